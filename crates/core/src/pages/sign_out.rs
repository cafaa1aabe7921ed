// SPDX-License-Identifier: Apache-2.0
//! The pages of signing out.

use maud::html;
use url::Url;

use super::foreign::Foreign;
use super::layout::{self, Extras};
use super::policy::{self, FormAction};
use super::{Form, Look, Page};

/// Asks whether to sign out, because a page of somebody else may have sent the user here. `form` signs out.
/// The page names no application: everybody can name any in an address.
pub fn sign_out(look: &Look, form: &Form) -> Page {
    let own = &look.language.texts().sign_out;
    let content = html! {
        p.lead { (own.question) }
        (layout::form(form, &html! { button.primary type="submit" { (own.yes) } }))
    };
    let forms = Some(FormAction::Anywhere);
    layout::page(look, own.heading, &content, &Extras { forms, ..Extras::default() })
}

/// A user who was signed out and is not sent on.
#[derive(Debug, Clone, Copy, Default)]
pub struct SignedOut<'a> {
    /// Name and address of the application to go back to. Another address than an http one is
    /// left out.
    pub back: Option<(&'a str, &'a str)>,
}

/// Says that the user is signed out.
pub fn signed_out(look: &Look, done: &SignedOut) -> Page {
    let own = &look.language.texts().sign_out;
    let is_http = |address: &str| Url::parse(address).is_ok_and(|url| policy::is_http(&url));
    let back = done.back.filter(|(_, address)| is_http(address));
    let content = html! {
        p.lead { (own.done) }
        p.quiet { (own.elsewhere) }
        @if let Some((name, address)) = back {
            p { a href=(address) rel="noreferrer" { (own.back.around(&Foreign::name(name))) } }
        }
    };
    layout::page(look, own.done_heading, &content, &Extras::default())
}
