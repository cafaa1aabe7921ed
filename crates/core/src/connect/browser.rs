// SPDX-License-Identifier: Apache-2.0
//! The browser's part of a connect: the parameters of the callback, the session's cookie, and the error
//! page.

use std::collections::BTreeMap;

use super::handle::OpaqueHandle;
use super::hops::SessionOrigin;
use super::record::{AuthorizationResponse, Denied, Flow, SESSION_LIFETIME, StatelessError};
use crate::config::Client;
use crate::pages::{self, Application, ErrorPage, Failed, Fault, Look, Page};
use vault_base::ids::ObjectNames;
use vault_base::mac_id::{IdKind, MacId};
use vault_base::public_url::PublicUrl;
use vault_base::secret::Secret;
use vault_base::text;
use vault_provider::connection::Connection;

/// Most cookies that are read: browsers keep no more for a site.
const MAX_COOKIES: usize = 200;

/// A request at the callback.
#[derive(Debug, Clone, Copy)]
pub struct CallbackRequest<'a> {
    /// The connection's name, from the path.
    pub connection: &'a str,
    /// The parameters: of the query, or of the body of a POST.
    pub parameters: &'a str,
    /// How they came.
    pub mode: ResponseMode,
    /// The header `Cookie`.
    pub cookies: Option<&'a str>,
}

/// How an authorization response came to the callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseMode {
    /// In the query of a redirect (RFC 6749 §4.1.2).
    Query,
    /// In a form that the provider's page posted (OAuth 2.0 Form Post Response Mode). Browsers send no `Lax` cookie
    /// with a form of another site.
    FormPost,
    /// In the form that the vault's own page posted with what it got by [`ResponseMode::FormPost`].
    PostedAgain,
}

impl ResponseMode {
    /// The mode of a request with this method and this query.
    pub fn of(method: &str, query: &str) -> Self {
        match (method, query) {
            ("POST", POSTED_AGAIN) => Self::PostedAgain,
            ("POST", _) => Self::FormPost,
            _ => Self::Query,
        }
    }
}

/// The query of the callback to which the vault's own page posts.
const POSTED_AGAIN: &str = "again";

/// The parameters that the vault's own page posts again.
const POSTED: [&str; 5] = ["code", "state", "iss", "error", "error_code"];

/// Most sessions that are asked whose error without `state` this is. A user has at most as many in flight.
const MAX_ASKED: usize = super::in_flight::MAX_IN_FLIGHT;

/// What to do with a request at the callback.
#[derive(Debug)]
pub enum Callback {
    /// Pass the response to its session.
    Respond(MacId, AuthorizationResponse),
    /// Ask each of these sessions whether it is the one whose provider sent this error without `state`. If exactly
    /// one is, the browser goes where that session says.
    Ask(Vec<(MacId, StatelessError)>),
    /// Answer with a page that posts these fields again, with [`post_again_page`]: only a form of the vault's own page
    /// carries the session's cookie.
    PostAgain(Vec<(&'static str, Secret)>),
}

/// Reads a request at the callback (RFC 6749 §4.1.2). `connection` is the configured connection of that name.
///
/// Each parameter may occur once, because with two `code`s, `state`s or `iss`s one response could be mistaken for
/// another. A form is accepted only from a connection that asks for it with `response_mode`, and only for what
/// [`AuthorizationResponse`] needs of it.
///
/// # Errors
/// [`Denied::Unknown`] if it is no response to an authorization request of ours.
pub fn callback(
    request: &CallbackRequest,
    connection: Option<&Connection>,
    names: &ObjectNames,
    public_url: &PublicUrl,
) -> Result<Callback, Denied> {
    let CallbackRequest { parameters, mode, .. } = *request;
    if mode != ResponseMode::Query && !connection.is_some_and(Connection::asks_for_form_post) {
        return Err(Denied::Unknown);
    }
    let code = once(parameters, "code")?;
    let error = match once(parameters, "error")? {
        // Facebook sends some errors with this parameter alone.
        None if code.is_none() => once(parameters, "error_code")?,
        error => error,
    };
    let error = error.map(|error| match connection {
        Some(connection) => connection.authorization_error(error.expose()).to_owned(),
        None => error.expose().to_owned(),
    });
    if code.is_none() && error.is_none() {
        return Err(Denied::Unknown);
    }
    if once(parameters, "state")?.is_none() {
        return match error {
            Some(error) if code.is_none() => without_state(request, &error, names, public_url),
            _ => Err(Denied::Unknown),
        };
    }
    let (session, state) = handle(parameters, "state", names)?;
    let cookie = request.cookies.and_then(|header| read_cookie(header, &session, public_url));
    if mode == ResponseMode::FormPost && cookie.is_none() {
        return post_again(parameters);
    }
    let kept = match (mode, connection) {
        (ResponseMode::Query, Some(connection)) => connection.callback_extra.as_slice(),
        _ => &[],
    };
    let mut extra = BTreeMap::new();
    for name in kept {
        let value = once(parameters, name)?.map(|value| value.expose().to_owned());
        extra.extend(value.filter(|value| value.len() <= 1024).map(|value| (name.clone(), value)));
    }
    let iss = once(parameters, "iss")?.map(|iss| iss.expose().to_owned());
    let connection = request.connection.to_owned();
    let back =
        AuthorizationResponse { state, cookie, connection, iss, code, error, provider_data: extra };
    Ok(Callback::Respond(session, back))
}

fn post_again(parameters: &str) -> Result<Callback, Denied> {
    let mut fields = Vec::new();
    for name in POSTED {
        fields.extend(once(parameters, name)?.map(|value| (name, value)));
    }
    Ok(Callback::PostAgain(fields))
}

fn without_state(
    request: &CallbackRequest,
    error: &str,
    names: &ObjectNames,
    public_url: &PublicUrl,
) -> Result<Callback, Denied> {
    let told = |cookie: &str| StatelessError {
        cookie: Secret::new(cookie),
        connection: request.connection.to_owned(),
        error: error.to_owned(),
    };
    let prefix = cookie_prefix(public_url);
    let found: Vec<_> = cookies(request.cookies.unwrap_or_default())
        .filter_map(|(name, value)| {
            let id = name.strip_prefix(prefix)?;
            Some((MacId::read(names, IdKind::Connect, id)?, told(value)))
        })
        .take(MAX_ASKED)
        .collect();
    match (found.is_empty(), request.mode) {
        (false, _) => Ok(Callback::Ask(found)),
        (true, ResponseMode::FormPost) => post_again(request.parameters),
        (true, _) => Err(Denied::Unknown),
    }
}

/// The page that posts an authorization response again, from the vault's own site.
pub fn post_again_page(
    look: &Look,
    connection: &str,
    fields: &[(&'static str, Secret)],
    public_url: &PublicUrl,
) -> Option<Page> {
    let action = format!("{}?{POSTED_AGAIN}", public_url.callback(connection));
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.expose())).collect();
    pages::form_post(look, &action, &fields)
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

/// The `Set-Cookie` value that binds a browser to a session, for as long as that lives: the browser may repeat its
/// hops. It is `Lax`, because the provider's redirect is a cross-site navigation.
pub fn set_cookie(session: &MacId, value: &Secret, public_url: &PublicUrl) -> Secret {
    let secure = if public_url.is_secure() { "; Secure" } else { "" };
    Secret::new(format!(
        "{}={}; Path=/; Max-Age={SESSION_LIFETIME}; HttpOnly; SameSite=Lax{secure}",
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
    format!("{}{}", cookie_prefix(public_url), session.as_str())
}

fn cookie_prefix(public_url: &PublicUrl) -> &'static str {
    if public_url.is_secure() { "__Host-etv-" } else { "etv-" }
}

/// The cookies of a header (RFC 6265 §4.2.1).
fn cookies(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header.split(';').take(MAX_COOKIES).filter_map(|pair| pair.trim().split_once('='))
}

/// The session's cookie in the header.
pub fn read_cookie(header: &str, session: &MacId, public_url: &PublicUrl) -> Option<Secret> {
    let name = cookie_name(session, public_url);
    let mut values = cookies(header).filter(|(key, _)| *key == name).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) => Some(Secret::new(value)),
        _ => None,
    }
}

/// Status and page for a browser that cannot be sent on: there is no address that is known to be
/// right. The text is ours alone. `origin` says whose session it is, if that is known, and `client` is its client.
pub fn page(
    denied: &Denied,
    look: &Look,
    origin: Option<&SessionOrigin>,
    client: Option<&Client>,
) -> (u16, Page) {
    let (status, fault) = match denied {
        Denied::Expired => (400, Fault::Expired),
        Denied::Used => (400, Fault::Used),
        Denied::OtherBrowser => (400, Fault::OtherBrowser),
        Denied::ProviderUnavailable | Denied::NotStored => (503, Fault::Unavailable),
        Denied::ProviderMisconfigured | Denied::RegistrationChanged => (503, Fault::Misconfigured),
        _ => (400, Fault::Invalid),
    };
    let failed = match origin.map(|origin| origin.flow) {
        Some(Flow::Login) => Failed::SignIn,
        _ => Failed::Connect,
    };
    let application = origin.map(|origin| Application {
        name: client.map_or(&origin.client_id, |client| &client.name),
        redirect_uri: &origin.redirect_uri,
    });
    (status, pages::error(look, &ErrorPage { failed, fault, detail: None, application }))
}
