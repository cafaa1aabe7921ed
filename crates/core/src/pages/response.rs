// SPDX-License-Identifier: Apache-2.0
//! Answers to an authorization request that are pages.

use maud::html;
use serde_json::{Map, Value};
use url::Url;

use super::foreign::Foreign;
use super::layout::{self, Extras};
use super::policy::{self, FormAction};
use super::{Look, Page};

/// Sends the only form of its page. A field that is named `submit` is not in its way.
const SUBMIT: &str = "HTMLFormElement.prototype.submit.call(document.forms[0])";

/// Gives the answer to the window that asked, if that is of the origin it is meant for. Its data
/// stands in attributes, so that the script is the same on every page and has one hash.
const POST_MESSAGE: &str = include_str!("web_message.js");

/// The answer as a form that is posted to the application, or to the vault itself once more (OAuth 2.0 Form Post
/// Response Mode §2).
/// It is sent by itself, and without script by its button.
///
/// The policy has no `form-action`: Chromium would apply it to whatever redirects the application
/// answers with.
///
/// `None` if `action`, which must be the client's registered redirect URI or an address of the vault, is one that no
/// client may have.
pub fn form_post(look: &Look, action: &str, response: &[(&str, &str)]) -> Option<Page> {
    let host = policy::destination(action)?;
    let texts = look.language.texts();
    let own = &texts.response;
    let content = html! {
        p.lead { (own.going.around(&Foreign::name(&host))) }
        p.quiet { (own.nothing_happens) }
        form method="post" action=(action) autocomplete="off" {
            (layout::hidden(response))
            button.primary type="submit" { (own.go_on) }
        }
    };
    let extras =
        Extras { forms: Some(FormAction::Anywhere), script: Some(SUBMIT), ..Extras::default() };
    Some(layout::page(look, own.almost, &content, &extras))
}

/// The answer as a message to the window that framed or opened this one (OAuth 2.0 Web Message
/// Response Mode, draft 00 §4.1): `{ type: "authorization_response", response }`, to the origin of
/// `redirect_uri` alone, which alone may frame the page. No policy can name an IPv6 address: such an
/// application can open the page, and cannot frame it.
///
/// `None` if `redirect_uri`, which must be the client's registered one, has no origin.
pub fn web_message(look: &Look, redirect_uri: &str, response: &[(&str, &str)]) -> Option<Page> {
    let url = Url::parse(redirect_uri).ok().filter(policy::is_http)?;
    let origin = url.origin().ascii_serialization();
    let framed_by = policy::origin(&url);
    let own = &look.language.texts().response;
    let members = response.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
    let response = Value::Object(members.collect::<Map<_, _>>()).to_string();
    let content = html! {
        p.lead #response data-origin=(origin) data-response=(response) { (own.close) }
    };
    let framed_by = framed_by.as_deref();
    let extras = Extras { script: Some(POST_MESSAGE), framed_by, ..Extras::default() };
    Some(layout::page(look, own.done, &content, &extras))
}
