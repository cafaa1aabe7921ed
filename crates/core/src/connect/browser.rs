// SPDX-License-Identifier: Apache-2.0
//! The browser's part of a connect: the query of the callback, the session's cookie, and the error
//! page.

use std::collections::BTreeMap;

use super::handle::OpaqueHandle;
use super::record::{Denied, STATE_LIFETIME};
use crate::connect::record::AuthorizationResponse;
use crate::pages::{self, ErrorPage, Failed, Fault, Look, Page};
use vault_base::ids::ObjectNames;
use vault_base::mac_id::MacId;
use vault_base::public_url::PublicUrl;
use vault_base::secret::Secret;
use vault_base::text;

/// Most cookies that are read: browsers keep no more for a site.
const MAX_COOKIES: usize = 200;

/// Reads the parameters of the callback (RFC 6749 §4.1.2) and the session that they belong to.
///
/// `kept` names parameters that the connection keeps for applications. Each parameter may occur
/// once, because with two `code`s, `state`s or `iss`s one response could be mistaken for another.
///
/// # Errors
/// [`Denied::Unknown`] if they are not a response to an authorization request of ours.
pub fn callback(
    query: &str,
    connection: &str,
    kept: &[String],
    cookies: Option<&str>,
    names: &ObjectNames,
    public_url: &PublicUrl,
) -> Result<(MacId, AuthorizationResponse), Denied> {
    let (session, state) = handle(query, "state", names)?;
    let cookie = cookies.and_then(|header| read_cookie(header, &session, public_url));
    let mut extra = BTreeMap::new();
    for name in kept {
        let value = once(query, name)?.map(|value| value.expose().to_owned());
        extra.extend(value.filter(|value| value.len() <= 1024).map(|value| (name.clone(), value)));
    }
    let back = AuthorizationResponse {
        state,
        cookie,
        connection: connection.to_owned(),
        iss: once(query, "iss")?.map(|iss| iss.expose().to_owned()),
        code: once(query, "code")?,
        error: once(query, "error")?.map(|error| error.expose().to_owned()),
        provider_data: extra,
    };
    if back.code.is_none() && back.error.is_none() {
        return Err(Denied::Unknown);
    }
    Ok((session, back))
}

/// Reads the ticket of the hop to the provider: the session's id, and the ticket's secret.
///
/// # Errors
/// [`Denied::Unknown`] unless the query has exactly one ticket, with an id that this deployment made.
pub fn ticket(query: &str, names: &ObjectNames) -> Result<(MacId, Secret), Denied> {
    handle(query, "ticket", names)
}

/// The handle in this parameter, which must be there.
fn handle(query: &str, name: &str, names: &ObjectNames) -> Result<(MacId, Secret), Denied> {
    let text = once(query, name)?.ok_or(Denied::Unknown)?;
    let handle = OpaqueHandle::parse(text.expose()).ok_or(Denied::Unknown)?;
    let session = handle.session_id(names).ok_or(Denied::Unknown)?;
    Ok((session, handle.secret))
}

fn once(query: &str, name: &str) -> Result<Option<Secret>, Denied> {
    let parameters = text::parameters(query.as_bytes()).ok_or(Denied::Unknown)?;
    let mut values = parameters.filter(|(key, _)| key == name);
    match (values.next(), values.next()) {
        (Some((_, value)), None) if !value.is_empty() => Ok(Some(Secret::new(value))),
        (Some(_), Some(_)) => Err(Denied::Unknown),
        _ => Ok(None),
    }
}

/// The `Set-Cookie` value that binds a browser to a session. It is `Lax`, because the provider's
/// redirect is a cross-site navigation.
pub fn set_cookie(session: &MacId, value: &Secret, public_url: &PublicUrl) -> Secret {
    let secure = if public_url.is_secure() { "; Secure" } else { "" };
    Secret::new(format!(
        "{}={}; Path=/; Max-Age={STATE_LIFETIME}; HttpOnly; SameSite=Lax{secure}",
        cookie_name(session, public_url),
        value.expose(),
    ))
}

/// The `Set-Cookie` value that deletes the cookie.
pub fn clear_cookie(session: &MacId, public_url: &PublicUrl) -> String {
    let secure = if public_url.is_secure() { "; Secure" } else { "" };
    format!(
        "{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}",
        cookie_name(session, public_url)
    )
}

/// Each session has a cookie of its own, so that two connects in two tabs do not disturb each
/// other.
fn cookie_name(session: &MacId, public_url: &PublicUrl) -> String {
    let prefix = if public_url.is_secure() { "__Host-" } else { "" };
    format!("{prefix}etv-{}", session.as_str())
}

fn read_cookie(header: &str, session: &MacId, public_url: &PublicUrl) -> Option<Secret> {
    let name = cookie_name(session, public_url);
    let mut values = header
        .split(';')
        .take(MAX_COOKIES)
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) => Some(Secret::new(value)),
        _ => None,
    }
}

/// Status and page for a browser that cannot be sent on: there is no address that is known to be
/// right. The text is ours alone.
pub fn page(denied: &Denied, look: &Look) -> (u16, Page) {
    let (status, fault) = match denied {
        Denied::Expired => (400, Fault::Expired),
        Denied::Used => (400, Fault::Used),
        Denied::OtherBrowser => (400, Fault::OtherBrowser),
        Denied::ProviderUnavailable | Denied::NotStored => (503, Fault::Unavailable),
        Denied::ProviderMisconfigured | Denied::RegistrationChanged => (503, Fault::Misconfigured),
        _ => (400, Fault::Invalid),
    };
    (status, pages::error(look, &ErrorPage { failed: Failed::Connect, fault, detail: None }))
}
