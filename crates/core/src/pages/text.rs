// SPDX-License-Identifier: Apache-2.0
//! All texts of the pages: a table per language, each of one type, so that a text that is missing
//! in a language does not compile.

pub(super) mod de;
pub(super) mod en;
pub(super) mod es;
pub(super) mod fr;
pub(super) mod ja;

use maud::{Markup, html};

use super::foreign::Foreign;

/// What stands before and after a name.
pub(super) struct Around(&'static str, &'static str);

impl Around {
    /// The sentence with the name in it.
    pub(super) fn around(&self, name: &Foreign) -> Markup {
        html! { (self.0) (name) (self.1) }
    }
}

pub(super) struct Texts {
    /// In the place of the operator's title.
    pub default_title: &'static str,
    /// Above the account of the user.
    pub signed_in_as: &'static str,
    pub allow: &'static str,
    pub deny: &'static str,
    pub cancel: &'static str,
    pub sign_in: SignIn,
    pub consent: Consent,
    pub scopes: Scopes,
    pub link: Link,
    pub sign_out: SignOut,
    pub error: Error,
    pub response: Response,
}

pub(super) struct SignIn {
    pub heading: &'static str,
    /// Which application the user goes on to.
    pub application: Around,
    pub explanation: &'static str,
    /// The button of a service.
    pub with: Around,
    pub cancelled: &'static str,
    pub failed: &'static str,
    pub again: &'static str,
}

pub(super) struct Consent {
    pub heading: &'static str,
    /// Which application asks.
    pub application: Around,
    /// Above the scopes, which go on from it.
    pub list: &'static str,
    pub trust: &'static str,
    /// Where the user goes afterwards.
    pub host: Around,
}

/// What scopes allow: each goes on from [`Consent::list`].
pub(super) struct Scopes {
    pub openid: &'static str,
    pub profile: &'static str,
    pub email: &'static str,
    pub offline_access: &'static str,
    pub connect_accounts: &'static str,
    pub list_accounts: &'static str,
    pub disconnect_accounts: &'static str,
    pub list_identities: &'static str,
    pub unlink_identities: &'static str,
    /// A scope that nobody described.
    pub other: Around,
}

pub(super) struct Link {
    pub heading: &'static str,
    /// Above the account that is added.
    pub added: &'static str,
    pub effect: &'static str,
    pub trust: &'static str,
    pub allow: &'static str,
    pub deny: &'static str,
}

pub(super) struct SignOut {
    pub heading: &'static str,
    pub question: &'static str,
    pub yes: &'static str,
    pub done_heading: &'static str,
    pub done: &'static str,
    pub elsewhere: &'static str,
    pub back: Around,
}

pub(super) struct Error {
    pub not_connected: &'static str,
    pub not_signed_in: &'static str,
    pub not_signed_out: &'static str,
    pub not_linked: &'static str,
    /// Heading: the link is wrong or was used, and may have done what it was for.
    pub link_is_over: &'static str,
    /// Heading: nobody knows what came of it.
    pub no_answer: &'static str,
    pub invalid: &'static str,
    pub expired: &'static str,
    pub used: &'static str,
    /// The application knows what came of the connect.
    pub used_connect: &'static str,
    pub other_browser: &'static str,
    pub unavailable: &'static str,
    pub misconfigured: &'static str,
    pub application: &'static str,
    pub account_taken: &'static str,
    pub too_many_accounts: &'static str,
    pub disabled: &'static str,
    pub sign_in_too_old: &'static str,
    /// Which application it was about, where no link leads back to it.
    pub of_application: Around,
    /// Above what is for developers.
    pub detail: &'static str,
}

pub(super) struct Response {
    pub almost: &'static str,
    /// Where the user goes.
    pub going: Around,
    pub nothing_happens: &'static str,
    pub go_on: &'static str,
    pub done: &'static str,
    pub close: &'static str,
}
