// SPDX-License-Identifier: Apache-2.0
//! The pages of signing out.

use maud::html;
use url::Url;

use super::consent::decision;
use super::foreign::Foreign;
use super::layout::{self, Extras};
use super::policy::{self, FormAction};
use super::{Account, Form, Look, Page};

/// A request to sign out that nothing proves to be the user's own wish.
#[derive(Debug, Clone, Copy)]
pub struct SignOut<'a> {
    /// The name of the application that asks.
    pub application: Option<&'a str>,
    /// Who is signed in.
    pub user: Option<Account<'a>>,
    /// Sent with [`super::DECISION`].
    pub form: Form<'a>,
    /// Where the form may lead.
    pub leads_to: FormAction<'a>,
}

/// Asks whether to sign out.
pub fn sign_out(look: &Look, asked: &SignOut) -> Page {
    let texts = look.language.texts();
    let own = &texts.sign_out;
    let content = html! {
        p.lead {
            @match asked.application {
                Some(name) => (own.application.around(&Foreign::name(name))),
                None => (own.question),
            }
        }
        @if let Some(user) = &asked.user {
            p.account { span { (texts.signed_in_as) } (layout::account(user)) }
        }
        (layout::form(&asked.form, &decision(own.yes, own.no)))
    };
    let forms = Some(asked.leads_to);
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
