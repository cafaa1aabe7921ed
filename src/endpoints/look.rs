// SPDX-License-Identifier: Apache-2.0
//! How pages look, and their language.

use std::borrow::Cow;

use crate::pages::{Language, Look};
use crate::runtime::context::Context;
use crate::runtime::http::Incoming;

/// The parameter with the user's languages, of authorization requests (OpenID Connect Core §3.1.2.1) and of
/// logout requests (OpenID Connect RP-Initiated Logout 1.0 §2).
const UI_LOCALES: &str = "ui_locales";

/// How a page looks. `ui_locales`: of a request that is not this one; otherwise that of the address counts.
pub fn look<'a>(context: Context<'a>, incoming: &Incoming, ui_locales: Option<&str>) -> Look<'a> {
    let query = incoming.query.expose().as_bytes();
    let of_query = || {
        let mut parameters = url::form_urlencoded::parse(query);
        parameters.find(|(name, _)| name == UI_LOCALES).map(|(_, value)| value)
    };
    let ui_locales = ui_locales.map(Cow::Borrowed).or_else(of_query);
    let accepted = incoming.header("accept-language");
    let language = Language::choose(ui_locales.as_deref(), accepted.as_deref());
    match &context.config.sign_in {
        Some(sign_in) => {
            let title =
                sign_in.title.as_deref().unwrap_or_else(|| context.config.public_url.host());
            Look { title: Some(title), logo: sign_in.logo.as_deref(), language }
        }
        None => Look::plain(language),
    }
}
