// SPDX-License-Identifier: Apache-2.0
//! The pages that people see: signing in and out, consent, errors, and the two answers to an
//! authorization request that are pages (`form_post`, `web_message`).
//!
//! Each function gives a whole page and the policy it must be sent with. All text is escaped, and
//! what others chose (names of applications, users and services) stands isolated from the rest.
//! Every page works without script; only the two answers have one, and it is named by its hash.

mod consent;
mod error;
mod foreign;
mod language;
mod layout;
mod policy;
mod response;
mod sign_in;
mod sign_out;
mod text;

use std::fmt;

pub use consent::{AskedScope, Consent, DECISION, Link, consent, link};
pub use error::{Application, ErrorPage, Failed, Fault, error};
pub use language::Language;
pub use policy::FormAction;
pub use response::{form_post, web_message};
pub use sign_in::{Notice, SignIn, Way, sign_in};
pub use sign_out::{SignedOut, sign_out, signed_out};

/// A page, and what its headers say of it. Its forms and answers hold secrets, so it is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Page {
    /// The whole document.
    pub html: String,
    /// The value of `Content-Language`.
    pub language: &'static str,
    /// The value of `Content-Security-Policy`. Without it the page is as safe as its text alone.
    pub content_security_policy: String,
    /// Whether one origin, which the policy names, may frame the page. `X-Frame-Options`, which
    /// cannot name one, must then be left out.
    pub framed: bool,
    /// The value of `Referrer-Policy`. No other site gets the page's address. A form of a page with
    /// `no-referrer` has no `Origin` (Fetch standard), and the vault accepts no form without.
    pub referrer_policy: &'static str,
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = &self.content_security_policy;
        f.debug_struct("Page").field("content_security_policy", policy).finish_non_exhaustive()
    }
}

/// How the operator wants pages to look, and the language of who reads them.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// Stands on top of each page; if there is none, a word for what the vault does.
    pub title: Option<&'a str>,
    /// Address of a picture beside the title: https, of this host, or `data:`.
    pub logo: Option<&'a str>,
    /// What the page is written in.
    pub language: Language,
}

impl Look<'_> {
    /// Neither title nor logo.
    pub fn plain(language: Language) -> Self {
        Self { title: None, logo: None, language }
    }
}

/// A form that a button sends. Its fields hold secrets, so they are not printed.
#[derive(Clone, Copy)]
pub struct Form<'a> {
    /// Where it is posted: a path of ours.
    pub action: &'a str,
    /// Names and values of its hidden fields.
    pub fields: &'a [(&'a str, &'a str)],
}

impl fmt::Debug for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Form").field("action", &self.action).finish_non_exhaustive()
    }
}

/// An account, as a user knows it.
#[derive(Debug, Clone, Copy)]
pub struct Account<'a> {
    /// The user's name there; if it is empty, the e-mail address stands in its place.
    pub name: &'a str,
    /// The e-mail address there.
    pub email: Option<&'a str>,
    /// What the service is called, such as `GitHub`.
    pub service: Option<&'a str>,
}
