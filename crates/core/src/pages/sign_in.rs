// SPDX-License-Identifier: Apache-2.0
//! The page where a user chooses how to sign in.

use maud::html;

use super::foreign::Foreign;
use super::layout::{self, Extras};
use super::policy::FormAction;
use super::{Form, Look, Page};

/// What the page offers, and why it is shown.
#[derive(Debug, Clone, Copy)]
pub struct SignIn<'a> {
    /// The name of the application that asks.
    pub application: Option<&'a str>,
    /// What happened before.
    pub notice: Option<Notice>,
    /// The ways to sign in, in their order.
    pub ways: &'a [Way<'a>],
    /// Sent by who does not want to.
    pub cancel: Option<Form<'a>>,
}

/// A way to sign in: a button.
#[derive(Debug, Clone, Copy)]
pub struct Way<'a> {
    /// What the service is called, such as `GitHub`.
    pub service: &'a str,
    /// What the button sends.
    pub form: Form<'a>,
}

/// Why a user sees the page once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The user did not consent at the service.
    Cancelled,
    /// The service gave no answer that says who the user is.
    Failed,
    /// There is a session, and the application wants to be sure (`prompt=login`, `max_age`).
    Again,
}

/// The sign-in page.
pub fn sign_in(look: &Look, asked: &SignIn) -> Page {
    let texts = look.language.texts();
    let own = &texts.sign_in;
    let notice = asked.notice.map(|notice| match notice {
        Notice::Cancelled => own.cancelled,
        Notice::Failed => own.failed,
        Notice::Again => own.again,
    });
    let content = html! {
        @if let Some(application) = asked.application {
            p.lead { (own.application.around(&Foreign::name(application))) }
        }
        @if let Some(notice) = notice { p.notice role="status" { (notice) } }
        p.quiet { (own.explanation) }
        ul.ways {
            @for way in asked.ways {
                li {
                    (layout::form(&way.form, &html! {
                        button type="submit" { (own.with.around(&Foreign::name(way.service))) }
                    }))
                }
            }
        }
        @if let Some(cancel) = &asked.cancel {
            (layout::form(cancel, &html! { button.plain type="submit" { (texts.cancel) } }))
        }
    };
    let forms = Some(FormAction::Anywhere);
    layout::page(look, own.heading, &content, &Extras { forms, ..Extras::default() })
}
