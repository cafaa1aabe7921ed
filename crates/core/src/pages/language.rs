// SPDX-License-Identifier: Apache-2.0
//! Which language a page is written in.

use super::text::{Texts, de, en, es, fr, ja};

/// Most languages that are looked at in what a request prefers.
const MAX_PREFERENCES: usize = 50;

/// A language that all texts exist in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// The one for readers of none of these.
    English,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
    /// Japanese.
    Japanese,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::English, Self::German, Self::French, Self::Spanish, Self::Japanese];

    /// What a request prefers: `ui_locales` (tags of BCP 47 with spaces between, the best first;
    /// OpenID Connect Core §3.1.2.1), then the header `Accept-Language` (RFC 9110 §12.5.4). The
    /// region of a tag does not matter. What cannot be read is passed over, and English is what
    /// remains.
    pub fn choose(ui_locales: Option<&str>, accept_language: Option<&str>) -> Self {
        let asked = ui_locales.and_then(|tags| {
            tags.split_ascii_whitespace().take(MAX_PREFERENCES).find_map(Self::of_tag)
        });
        asked.or_else(|| accepted(accept_language?)).unwrap_or(Self::English)
    }

    /// Its tag (BCP 47), for `lang` and `Content-Language`.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
            Self::Japanese => "ja",
        }
    }

    /// The direction it is written in, for `dir`.
    pub const fn direction(self) -> &'static str {
        match self {
            Self::English | Self::German | Self::French | Self::Spanish | Self::Japanese => "ltr",
        }
    }

    pub(super) const fn texts(self) -> &'static Texts {
        match self {
            Self::English => &en::TEXTS,
            Self::German => &de::TEXTS,
            Self::French => &fr::TEXTS,
            Self::Spanish => &es::TEXTS,
            Self::Japanese => &ja::TEXTS,
        }
    }

    /// The language of a tag such as `de-CH`: tags fall back to their first part (RFC 4647 §3.4).
    fn of_tag(tag: &str) -> Option<Self> {
        let language = tag.split('-').next()?;
        Self::ALL.into_iter().find(|one| one.tag().eq_ignore_ascii_case(language))
    }
}

/// The language with the highest weight, and of several the one that is named first.
fn accepted(header: &str) -> Option<Language> {
    let ranges: Vec<(&str, u16)> =
        header.split(',').take(MAX_PREFERENCES).filter_map(weighted).collect();
    // `*` is whatever no other range names.
    let unnamed =
        |one: &Language| !ranges.iter().any(|(tag, _)| Language::of_tag(tag) == Some(*one));
    let mut best: Option<(Language, u16)> = None;
    for (tag, weight) in ranges.iter().copied().filter(|(_, weight)| *weight > 0) {
        let language = if tag == "*" {
            Language::ALL.into_iter().find(unnamed)
        } else {
            Language::of_tag(tag)
        };
        if let Some(language) = language
            && best.is_none_or(|(_, most)| weight > most)
        {
            best = Some((language, weight));
        }
    }
    best.map(|(language, _)| language)
}

/// A language range and its weight in thousandths. `None` if the weight is none.
fn weighted(range: &str) -> Option<(&str, u16)> {
    let Some((tag, parameter)) = range.split_once(';') else {
        return Some((range.trim(), 1000));
    };
    let (name, value) = parameter.split_once('=')?;
    let is_weight = name.trim().eq_ignore_ascii_case("q");
    is_weight.then(|| thousandths(value.trim())).flatten().map(|weight| (tag.trim(), weight))
}

/// `qvalue` (RFC 9110 §12.4.2): from 0 to 1, with at most three decimals.
fn thousandths(value: &str) -> Option<u16> {
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    if !matches!(whole, "0" | "1")
        || decimals.len() > 3
        || !decimals.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let weight: u16 = format!("{whole}{decimals:0<3}").parse().ok()?;
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_one_that_is_asked_for_first() {
        use Language::{English, French, German, Japanese, Spanish};
        for (ui_locales, accept_language, expected) in [
            (None, None, English),
            (None, Some(""), English),
            (None, Some("de"), German),
            (None, Some("de-CH, fr;q=0.9, en;q=0.8"), German),
            (None, Some("pt-BR,pt;q=0.9,es;q=0.7,en;q=0.6"), Spanish),
            (None, Some("en;q=0.2, JA-jp ; Q=0.3"), Japanese),
            // Of equal weights the first.
            (None, Some("fr;q=0.5,de;q=0.5"), French),
            // 0 is "not acceptable", and `*` whatever is not named.
            (None, Some("de;q=0, fr;q=0.001"), French),
            (None, Some("de;q=0"), English),
            (None, Some("en;q=0, *"), German),
            (None, Some("*, ja;q=0.9"), English),
            (None, Some("pt, *;q=0.1"), English),
            // What is no weight takes its range along.
            (None, Some("de;q=2, fr;q=0.1"), French),
            (None, Some("de;q=0.1234, fr;q=0.1"), French),
            (None, Some("de;level=1, fr;q=0.1"), French),
            (None, Some("de;q=, es;q=1.000"), Spanish),
            (None, Some("de;q=+1, es;q=1."), Spanish),
            (None, Some(",;,-,é;q=1,\u{0}, ja"), Japanese),
            // No language begins with a part of a tag.
            (None, Some("den, f, jap, fr;q=0.1"), French),
            (Some("fr-CA fr en"), Some("de"), French),
            (Some("pt ja"), Some("de"), Japanese),
            (Some("pt"), Some("de"), German),
            (Some(""), None, English),
        ] {
            let chosen = Language::choose(ui_locales, accept_language);
            assert_eq!(chosen, expected, "{ui_locales:?} {accept_language:?}");
        }
        let many = format!("{}de", "xx,".repeat(100_000));
        assert_eq!(Language::choose(None, Some(&many)), English);
    }
}
