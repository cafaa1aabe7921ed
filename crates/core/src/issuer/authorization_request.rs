// SPDX-License-Identifier: Apache-2.0
//! Authorization requests to the vault (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1): read and checked
//! in one go, so that whatever follows works with a request that is good.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;

use super::scopes;
use crate::config::{Authentication, Client, Config, GrantType};
use vault_base::text::{self, MAX_SCOPES};

/// A checked authorization request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// The client that asks.
    pub client_id: String,
    /// Where the response goes: one of the client's redirect URIs.
    pub redirect_uri: String,
    /// How the response goes there.
    pub response_mode: ResponseMode,
    /// The client's state, returned unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The nonce of the ID token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The requested scopes that the client may have; others are left out (RFC 6749 §3.3).
    pub scopes: Vec<String>,
    /// The resource server that the access token is for; `None` is the userinfo endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The S256 code challenge (RFC 7636 §4.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_challenge: Option<String>,
    /// What the user must see.
    #[serde(default)]
    pub prompt: Prompt,
    /// Greatest age of the sign-in, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<i64>,
    /// Who is to sign in, for the provider's page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_hint: Option<String>,
    /// Languages for the pages, in order of preference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ui_locales: Option<String>,
    /// The connection to sign in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
}

/// How a response goes to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    /// In the query of the redirect URI (RFC 6749 §4.1.2).
    #[default]
    Query,
    /// By a form that posts itself (OAuth 2.0 Form Post Response Mode).
    FormPost,
    /// By a message to the window that opened or embeds the page.
    WebMessage,
}

/// `prompt` (OpenID Connect Core §3.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// What is needed.
    #[default]
    Needed,
    /// Nothing: an error if the user would have to act.
    None,
    /// A sign-in, though there is a session.
    Login,
    /// A choice of account, which is a sign-in here.
    SelectAccount,
    /// A consent.
    Consent,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// No response may be sent to the client: the browser gets an error page with this reason.
    Page(&'static str),
    /// The client gets this error.
    Client(Box<ClientError>),
}

/// An error for the client, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientError {
    /// The client's redirect URI.
    pub redirect_uri: String,
    /// How the error goes there.
    pub response_mode: ResponseMode,
    /// The client's state.
    pub state: Option<String>,
    /// `error`.
    pub code: &'static str,
    /// `error_description`: what to fix.
    pub description: &'static str,
}

/// The parameters of a request by name. Names that stand twice are kept apart.
struct Parameters {
    values: BTreeMap<String, String>,
    repeated: bool,
}

impl Parameters {
    fn read(query: &[u8]) -> Option<Self> {
        let (mut values, mut repeated) = (BTreeMap::new(), false);
        for (name, value) in text::parameters(query)? {
            // A parameter without a value counts as left out (RFC 6749 §3.1).
            if !value.is_empty() {
                repeated |= values.insert(name.into_owned(), value.into_owned()).is_some();
            }
        }
        Some(Self { values, repeated })
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.values.remove(name)
    }
}

/// Reads a request from a query or a form. `client_id` is the client that a pushed request
/// authenticated (RFC 9126 §2.1).
///
/// # Errors
/// [`Refused`].
pub fn read(
    config: &Config,
    query: &[u8],
    client_id: Option<&str>,
) -> Result<AuthorizationRequest, Refused> {
    let mut parameters = Parameters::read(query).ok_or(Refused::Page("too_many_parameters"))?;
    if parameters.repeated {
        return Err(Refused::Page("repeated_parameter"));
    }
    let named = parameters.take("client_id");
    let client_id = match (client_id, named) {
        (Some(one), Some(other)) if one != other => return Err(Refused::Page("client_unknown")),
        (Some(one), _) => one.to_owned(),
        (None, Some(one)) => one,
        (None, None) => return Err(Refused::Page("client_unknown")),
    };
    let client = config
        .clients
        .get(&client_id)
        .filter(|client| client.grants.contains(&GrantType::AuthorizationCode))
        .ok_or(Refused::Page("client_unknown"))?;
    let redirect_uri = parameters
        .take("redirect_uri")
        .filter(|uri| client.may_return_to(uri))
        .ok_or(Refused::Page("redirect_uri_unknown"))?;
    let response_mode = match parameters.take("response_mode").as_deref() {
        None | Some("query") => Some(ResponseMode::Query),
        Some("form_post") => Some(ResponseMode::FormPost),
        Some("web_message") => Some(ResponseMode::WebMessage),
        Some(_) => None,
    };
    let mut error = ClientError {
        redirect_uri: redirect_uri.clone(),
        response_mode: response_mode.unwrap_or_default(),
        state: parameters.take("state"),
        code: "invalid_request",
        description: "response_mode must be query, form_post or web_message",
    };
    let response_mode = match response_mode {
        Some(ResponseMode::WebMessage) if web_message_origin(client, &redirect_uri).is_none() => {
            error.response_mode = ResponseMode::Query;
            error.description = "web_message needs the origin of redirect_uri among the origins";
            return Err(Refused::Client(Box::new(error)));
        }
        Some(mode) => mode,
        None => return Err(Refused::Client(Box::new(error))),
    };
    let state = error.state.clone();
    let refuse =
        |(code, description)| Refused::Client(Box::new(ClientError { code, description, ..error }));
    let rest = check(config, &client_id, client, &mut parameters).map_err(refuse)?;
    Ok(AuthorizationRequest { client_id, redirect_uri, response_mode, state, ..rest })
}

/// Reads what may be wrong without hiding the client's redirect URI.
fn check(
    config: &Config,
    client_id: &str,
    client: &Client,
    parameters: &mut Parameters,
) -> Result<AuthorizationRequest, (&'static str, &'static str)> {
    for (name, code) in [
        ("request", "request_not_supported"),
        ("request_uri", "request_uri_not_supported"),
        ("registration", "registration_not_supported"),
    ] {
        if parameters.take(name).is_some() {
            return Err((code, "send the parameters themselves, or push them"));
        }
    }
    if parameters.take("response_type").as_deref() != Some("code") {
        return Err(("unsupported_response_type", "response_type must be code"));
    }
    let code_challenge = code_challenge(client, parameters)?;
    let audience = audience(config, client, parameters)?;
    let requested = parameters.take("scope").unwrap_or_default();
    if requested.split(' ').count() > MAX_SCOPES {
        return Err(("invalid_scope", "scope names too many scopes"));
    }
    let requested = text::scopes(&requested);
    let scopes = scopes::allowed(config, client, audience.as_deref(), &requested);
    let (prompt, max_age) = (prompt(parameters)?, max_age(parameters)?);
    let connection = parameters.take("connection");
    let offered = config.sign_in.as_ref().map(|sign_in| sign_in.connections.as_slice());
    if connection.as_ref().is_some_and(|name| !offered.unwrap_or_default().contains(name)) {
        return Err(("invalid_request", "connection names none that users sign in with"));
    }
    Ok(AuthorizationRequest {
        client_id: client_id.to_owned(),
        redirect_uri: String::new(),
        response_mode: ResponseMode::Query,
        state: None,
        nonce: parameters.take("nonce"),
        scopes,
        audience,
        code_challenge,
        prompt,
        max_age,
        login_hint: parameters.take("login_hint"),
        ui_locales: parameters.take("ui_locales"),
        connection,
    })
}

/// A challenge is required of clients without authentication (RFC 9700 §2.1.1), and S256 alone is accepted.
fn code_challenge(
    client: &Client,
    parameters: &mut Parameters,
) -> Result<Option<String>, (&'static str, &'static str)> {
    let method = parameters.take("code_challenge_method");
    let challenge = parameters.take("code_challenge");
    let is_public = matches!(client.authentication, Authentication::None);
    match (challenge, method.as_deref()) {
        (None, None) if is_public => {
            Err(("invalid_request", "this client must send a code_challenge (RFC 7636)"))
        }
        (None, None) => Ok(None),
        (Some(challenge), Some("S256")) if is_challenge(&challenge) => Ok(Some(challenge)),
        _ => Err(("invalid_request", "code_challenge must be of the method S256")),
    }
}

/// base64url of SHA-256: 43 characters (RFC 7636 §4.2).
fn is_challenge(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// `audience`, or `resource` (RFC 8707 §2.1).
fn audience(
    config: &Config,
    client: &Client,
    parameters: &mut Parameters,
) -> Result<Option<String>, (&'static str, &'static str)> {
    match (parameters.take("audience"), parameters.take("resource")) {
        (Some(one), Some(other)) if one != other => {
            Err(("invalid_target", "audience and resource name different resource servers"))
        }
        (None, None) => Ok(None),
        (one, other) => {
            let named = one.or(other).filter(|name| scopes::may_ask(config, client, name));
            named.map(Some).ok_or(("invalid_target", "no such resource server for this client"))
        }
    }
}

fn prompt(parameters: &mut Parameters) -> Result<Prompt, (&'static str, &'static str)> {
    match parameters.take("prompt").as_deref() {
        None => Ok(Prompt::Needed),
        Some("none") => Ok(Prompt::None),
        Some("login" | "login consent" | "consent login") => Ok(Prompt::Login),
        Some("select_account") => Ok(Prompt::SelectAccount),
        Some("consent") => Ok(Prompt::Consent),
        Some(_) => {
            Err(("invalid_request", "prompt must be none, login, select_account or consent"))
        }
    }
}

fn max_age(parameters: &mut Parameters) -> Result<Option<i64>, (&'static str, &'static str)> {
    let Some(text) = parameters.take("max_age") else {
        return Ok(None);
    };
    let seconds = text.parse().ok().filter(|seconds: &i64| *seconds >= 0);
    seconds.map(Some).ok_or(("invalid_request", "max_age must be a number of seconds"))
}

/// The origin that a message goes to: that of the redirect URI, if the client registered it as one of
/// its pages'.
pub fn web_message_origin(client: &Client, redirect_uri: &str) -> Option<String> {
    let origin = Url::parse(redirect_uri).ok()?.origin().ascii_serialization();
    client.origins.contains(&origin).then_some(origin)
}
