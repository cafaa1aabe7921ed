// SPDX-License-Identifier: Apache-2.0
//! The page for when there is nowhere to send a browser.

use maud::{Markup, html};
use url::Url;

use super::foreign::Foreign;
use super::layout::{self, Extras};
use super::policy;
use super::text::Texts;
use super::{Look, Page};

/// What did not come about: the heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// Connecting an account.
    Connect,
    /// Signing in.
    SignIn,
    /// Signing out.
    SignOut,
    /// Adding another account to sign in with.
    Link,
}

/// Why, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The link is none of ours, or not whole.
    Invalid,
    /// The link is too old.
    Expired,
    /// The link was followed before.
    Used,
    /// It began in another browser.
    OtherBrowser,
    /// A provider or the vault cannot answer at the moment.
    Unavailable,
    /// The registration at the service, or our configuration of it, is wrong.
    Misconfigured,
    /// The application sent what cannot be answered, and not even by a redirect.
    Application,
    /// The account signs in another user.
    AccountTaken,
    /// The user has as many accounts to sign in with as a user may have.
    TooManyAccounts,
    /// The user was disabled.
    Disabled,
    /// The sign-in is too old for what is to be done.
    SignInTooOld,
}

/// What the page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorPage<'a> {
    /// What did not come about.
    pub failed: Failed,
    /// Why.
    pub fault: Fault,
    /// What the developer of an application needs to know, in English.
    pub detail: Option<&'a str>,
    /// The application that the user came from, if that is known.
    pub application: Option<Application<'a>>,
}

/// The application that a user came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Application<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its redirect URI; may be empty. The page links to the origin of an http one, because the redirect URI itself
    /// expects a response.
    pub redirect_uri: &'a str,
}

/// The error page. It has nothing to press but the way back to the application.
pub fn error(look: &Look, error: &ErrorPage) -> Page {
    let texts = look.language.texts();
    let own = &texts.error;
    let heading = match error.failed {
        // Of these the page does not know what came of the connect.
        Failed::Connect if error.fault == Fault::Unavailable => own.no_answer,
        Failed::Connect if matches!(error.fault, Fault::Invalid | Fault::Used) => own.link_is_over,
        Failed::Connect => own.not_connected,
        Failed::SignIn => own.not_signed_in,
        Failed::SignOut => own.not_signed_out,
        Failed::Link => own.not_linked,
    };
    let message = match error.fault {
        Fault::Invalid => own.invalid,
        Fault::Expired => own.expired,
        Fault::Used if error.failed == Failed::Connect => own.used_connect,
        Fault::Used => own.used,
        Fault::OtherBrowser => own.other_browser,
        Fault::Unavailable => own.unavailable,
        Fault::Misconfigured => own.misconfigured,
        Fault::Application => own.application,
        Fault::AccountTaken => own.account_taken,
        Fault::TooManyAccounts => own.too_many_accounts,
        Fault::Disabled => own.disabled,
        Fault::SignInTooOld => own.sign_in_too_old,
    };
    let content = html! {
        p.lead { (message) }
        @if let Some(detail) = error.detail {
            p.account {
                span { (own.detail) }
                code lang="en" { (Foreign::sentence(detail)) }
            }
        }
        @if let Some(application) = &error.application { (way_back(texts, application)) }
    };
    layout::page(look, heading, &content, &Extras::default())
}

/// The way back to the application, or its name alone where no link leads there.
fn way_back(texts: &Texts, application: &Application) -> Markup {
    let name = Foreign::name(application.name);
    let url = Url::parse(application.redirect_uri).ok().filter(policy::is_http);
    html! {
        @if let Some(url) = url {
            p {
                a href=(url.origin().ascii_serialization()) rel="noreferrer" {
                    (texts.sign_out.back.around(&name))
                }
            }
        } @else {
            p.quiet { (texts.error.of_application.around(&name)) }
        }
    }
}
