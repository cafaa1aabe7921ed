// SPDX-License-Identifier: Apache-2.0
//! Sign-out: `/oidc/logout` (OpenID Connect RP-Initiated Logout 1.0) and `/v2/logout` (as Auth0's SDKs ask).

use std::collections::BTreeMap;

use url::{Url, form_urlencoded};

use super::{SESSION_COOKIE, cookie_of, handle, session, session_cookies};
use crate::endpoints::look::look;
use crate::issuer::error_page;
use crate::issuer::session::Proof;
use crate::jwt::jws::Jws;
use crate::jwt::signature::SignatureCheck;
use crate::mac_id::IdKind;
use crate::pages::{self, Failed, Form, SignedOut};
use crate::request_line::RequestLine;
use crate::runtime::context::Context;
use crate::runtime::http::{self, HttpResult, Incoming};
use crate::runtime::object_call::CallError;
use crate::runtime::{signing_keys, webcrypto};
use crate::secret::Secret;

/// Largest form that is read, in bytes.
const MAX_FORM: usize = 32 * 1024;

/// `GET` or `POST /oidc/logout`.
pub async fn end_session(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
) -> HttpResult {
    let body = match incoming.method.as_str() {
        "POST" => Some(incoming.body(MAX_FORM).await.unwrap_or_default()),
        _ => None,
    };
    let query = body.as_deref().unwrap_or_else(|| incoming.query.expose().as_bytes());
    let parameters = read(query);
    match oidc(context, incoming, &parameters).await {
        Ok(response) => response,
        Err(_) => unavailable(context, incoming, line),
    }
}

fn read(query: &[u8]) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query).take(50) {
        parameters.entry(name.into_owned()).or_insert_with(|| value.into_owned());
    }
    parameters
}

async fn oidc(
    context: Context<'_>,
    incoming: &Incoming,
    parameters: &BTreeMap<String, String>,
) -> Result<HttpResult, CallError> {
    let hinted = match parameters.get("id_token_hint") {
        Some(hint) => hint_of(context, hint).await?,
        None => None,
    };
    // A hint for another client than the named one is none (RP-Initiated Logout 1.0 §2).
    let named = parameters.get("client_id");
    let hinted = hinted.filter(|(client, _)| named.is_none_or(|named| named == client));
    let client = hinted.as_ref().map(|(client, _)| client).or(named);
    let back = client.and_then(|id| {
        let client = context.config.clients.get(id)?;
        let uri = parameters.get("post_logout_redirect_uri")?;
        client.may_return_after_logout(uri).then(|| uri.clone())
    });
    let Some(view) = session(context, incoming).await? else {
        return Ok(after(context, incoming, parameters, back, parameters.get("state")));
    };
    // Without a token of this very session anybody could have sent the browser here.
    let is_of_session = hinted.is_some_and(|(_, sid)| sid == view.sid);
    let is_ours = incoming.method == "POST"
        && incoming.origin.as_deref() == Some(context.config.public_url.origin())
        && parameters.get("confirm").is_some_and(|value| *value == view.sid);
    if !is_of_session && !is_ours {
        let mut fields = vec![("confirm", view.sid.as_str())];
        for name in ["client_id", "post_logout_redirect_uri", "state", "ui_locales"] {
            fields.extend(parameters.get(name).map(|value| (name, value.as_str())));
        }
        return Ok(question(context, incoming, parameters, &fields));
    }
    end(context, incoming).await?;
    Ok(after(context, incoming, parameters, back, parameters.get("state")))
}

/// The client and the session of an ID token of ours, which may have expired.
async fn hint_of(context: Context<'_>, hint: &str) -> Result<Option<(String, String)>, CallError> {
    let Ok(token) = Jws::parse(hint) else {
        return Ok(None);
    };
    let keys = signing_keys::published(context).await?;
    let check = SignatureCheck::of(&token, &keys.set, &[token.algorithm()]);
    let valid = match &check {
        Ok(check) => webcrypto::verify(check).await,
        Err(_) => false,
    };
    // An access or logout token of ours is known to others than its client.
    let is_id_token = token.token_type() == Some("jwt");
    let text = |name: &str| token.claim(name).and_then(|value| value.as_str()).map(str::to_owned);
    let issuer = context.config.public_url.identifier();
    if !valid || !is_id_token || text("iss").as_deref() != Some(&issuer) {
        return Ok(None);
    }
    Ok(text("aud").zip(text("sid")))
}

/// `GET /v2/logout?client_id&returnTo`: ends the session if it signed in to that client.
pub async fn logout(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
) -> HttpResult {
    match auth0(context, incoming).await {
        Ok(response) => response,
        Err(_) => unavailable(context, incoming, line),
    }
}

async fn auth0(context: Context<'_>, incoming: &Incoming) -> Result<HttpResult, CallError> {
    let parameters = read(incoming.query.expose().as_bytes());
    let id = parameters.get("client_id");
    let client = id.and_then(|id| context.config.clients.get(id));
    let back = client
        .zip(parameters.get("returnTo"))
        .and_then(|(client, uri)| client.may_return_after_logout(uri).then(|| uri.clone()));
    let found = session(context, incoming).await?;
    let Some(view) = found else {
        return Ok(after(context, incoming, &parameters, back, None));
    };
    let signed_in_to = id.is_some_and(|id| view.clients.contains(id));
    if !(signed_in_to && back.is_some()) {
        let mut fields = vec![("confirm", view.sid.as_str())];
        fields.extend(id.map(|id| ("client_id", id.as_str())));
        fields.extend(back.as_ref().map(|uri| ("post_logout_redirect_uri", uri.as_str())));
        return Ok(question(context, incoming, &parameters, &fields));
    }
    end(context, incoming).await?;
    Ok(after(context, incoming, &parameters, back, None))
}

/// Asks the user; the page's form posts these fields.
fn question(
    context: Context<'_>,
    incoming: &Incoming,
    parameters: &BTreeMap<String, String>,
    fields: &[(&str, &str)],
) -> HttpResult {
    let look = look(context, incoming, ui_locales(parameters));
    let form = Form { action: "/oidc/logout", fields };
    http::page(200, &pages::sign_out(&look, &form), &[])
}

fn ui_locales(parameters: &BTreeMap<String, String>) -> Option<&str> {
    parameters.get("ui_locales").map(String::as_str)
}

fn unavailable(context: Context<'_>, incoming: &Incoming, line: &mut RequestLine) -> HttpResult {
    line.reason = Some("unavailable".to_owned());
    let look = look(context, incoming, None);
    let (status, page) = error_page::page(Failed::SignOut, "unavailable", &look);
    http::page(status, &page, &[])
}

/// Ends the browser's session.
async fn end(context: Context<'_>, incoming: &Incoming) -> Result<(), CallError> {
    let cookie = cookie_of(context, incoming, SESSION_COOKIE);
    match cookie.and_then(|cookie| handle(context, IdKind::Session, cookie.expose())) {
        Some((id, secret)) => super::end_session(context, &id, Proof::Secret(secret)).await,
        None => Ok(()),
    }
}

fn after(
    context: Context<'_>,
    incoming: &Incoming,
    parameters: &BTreeMap<String, String>,
    back: Option<String>,
    state: Option<&String>,
) -> HttpResult {
    // A page of another site can send the browser here, and then the browser keeps its cookie back. To
    // delete what the browser did not show would end a session that nobody asked to end.
    let cookies = match cookie_of(context, incoming, SESSION_COOKIE) {
        Some(_) => session_cookies(context, "", 0),
        None => Vec::new(),
    };
    let location = back.and_then(|uri| {
        let mut url = Url::parse(&uri).ok()?;
        if let Some(state) = state {
            url.query_pairs_mut().append_pair("state", state);
        }
        Some(url.to_string())
    });
    match location {
        Some(location) => http::see_other(&Secret::new(location), &cookies),
        None => {
            let look = look(context, incoming, ui_locales(parameters));
            http::page(200, &pages::signed_out(&look, &SignedOut::default()), &cookies)
        }
    }
}
