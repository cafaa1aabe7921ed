// SPDX-License-Identifier: Apache-2.0
//! What all pages have in common: the document around them, its style, and small parts.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::foreign::Foreign;
use super::policy::{FormAction, Policy};
use super::{Account, Form, Look, Page};

/// The style of all pages. It stands in the page, where its hash allows it.
const STYLE: &str = include_str!("style.css");

/// What differs between pages around their content.
#[derive(Default)]
pub(super) struct Extras<'a> {
    /// Where the page's forms may lead; `None` if it has none.
    pub forms: Option<FormAction>,
    /// Runs once all of the page is there.
    pub script: Option<&'a str>,
    /// The one origin that may frame it.
    pub framed_by: Option<&'a str>,
}

/// A page with this heading above this content.
pub(super) fn page(look: &Look, heading: &str, content: &Markup, extras: &Extras) -> Page {
    let texts = look.language.texts();
    let title = Foreign::name(look.title.unwrap_or(texts.default_title));
    let policy = Policy {
        style: STYLE,
        script: extras.script,
        images: look.logo.is_some(),
        framed_by: extras.framed_by,
        forms: extras.forms,
    };
    let document = html! {
        (DOCTYPE)
        html lang=(look.language.tag()) dir=(look.language.direction()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (heading) " – " (title.as_str()) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    // The title beside it says what it shows.
                    @if let Some(logo) = look.logo { img src=(logo) alt=""; }
                    (title)
                }
                main {
                    h1 { (heading) }
                    (content)
                }
                @if let Some(script) = extras.script { script { (PreEscaped(script)) } }
            }
        }
    };
    Page {
        html: document.into_string(),
        language: look.language.tag(),
        content_security_policy: policy.header(),
        framed: extras.framed_by.is_some(),
        referrer_policy: if extras.forms.is_some() { "same-origin" } else { "no-referrer" },
    }
}

/// A form with its hidden fields; `content` is its buttons. Browsers are not to put back what the
/// fields held in an earlier visit.
pub(super) fn form(form: &Form, content: &Markup) -> Markup {
    html! {
        form method="post" action=(form.action) autocomplete="off" {
            (hidden(form.fields))
            (content)
        }
    }
}

/// Hidden fields.
pub(super) fn hidden(fields: &[(&str, &str)]) -> Markup {
    html! { @for (name, value) in fields { input type="hidden" name=(name) value=(value); } }
}

/// An account: whose it is, then its address and service.
pub(super) fn account(account: &Account) -> Markup {
    let name = Foreign::name(account.name);
    let email = account.email.map(Foreign::name).filter(|email| !email.is_empty());
    let (first, email) = match email {
        Some(email) if name.is_empty() || email.as_str() == name.as_str() => (email, None),
        email => (name, email),
    };
    html! {
        strong { (first) }
        @if let Some(email) = email { span { (email) } }
        @if let Some(service) = account.service { span { (Foreign::name(service)) } }
    }
}

#[cfg(test)]
mod tests {
    use vault_base::encoding;

    use super::STYLE;

    /// The colours of one scheme: every `--name: #rrggbb` (or `#rgb`) of its block.
    fn colours(block: &str) -> Vec<(&str, [f64; 3])> {
        let declarations = block.split(';').filter_map(|one| one.trim().strip_prefix("--"));
        let pairs = declarations.filter_map(|one| one.split_once(": #"));
        pairs
            .map(|(name, hex)| {
                let full: String = match hex.len() {
                    3 => hex.chars().flat_map(|c| [c, c]).collect(),
                    _ => hex.to_owned(),
                };
                let [red, green, blue] = encoding::from_hex_array::<3>(&full).unwrap();
                (name, [red, green, blue].map(|part| f64::from(part) / 255.0))
            })
            .collect()
    }

    /// WCAG 2.2, "contrast ratio".
    fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
        let linear =
            |c: f64| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
        let luminance = |[red, green, blue]: [f64; 3]| {
            0.0722f64.mul_add(linear(blue), 0.2126f64.mul_add(linear(red), 0.7152 * linear(green)))
        };
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn text_and_controls_stand_out_in_light_and_dark() {
        let blocks: Vec<_> = STYLE.split(":root {").skip(1).collect();
        assert_eq!(blocks.len(), 2);
        for block in blocks {
            let colours = colours(block.split_once('}').unwrap().0);
            let colour = |name: &str| colours.iter().find(|(one, _)| *one == name).unwrap().1;
            // WCAG AA: 4.5 for text (§1.4.3), 3 for the outline of a control and of the focus (§1.4.11).
            for (front, back, least) in [
                ("text", "page", 4.5),
                ("text", "card", 4.5),
                ("text", "hover", 4.5),
                ("text", "note", 4.5),
                ("quiet", "card", 4.5),
                ("quiet", "hover", 4.5),
                ("main", "card", 4.5),
                ("on-main", "main", 4.5),
                ("on-main", "main-hover", 4.5),
                ("edge", "card", 3.0),
            ] {
                let ratio = contrast(colour(front), colour(back));
                assert!(ratio >= least, "{front} on {back}: {ratio:.2}");
            }
        }
    }
}
