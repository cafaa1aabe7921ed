// SPDX-License-Identifier: Apache-2.0
//! Requests of the connected-accounts API.

use serde::Deserialize;
use serde_json::Value;

use super::handle::{self, OpaqueHandle};
use super::record::Begin;
use crate::config::Client;
use crate::connect::record::Complete;
use crate::error::{ProblemDetails, ValidationError};
use crate::vault::record::AccountView;
use vault_base::encoding::{self, RandomnessError};
use vault_base::ids::UserId;
use vault_base::json;
use vault_base::secret::Secret;
use vault_base::text::{self, MAX_SCOPES};
use vault_provider::connection::{Connection, Protocol};
use vault_provider::{authorization_request, scopes};

/// Largest body that is read, in bytes.
pub const MAX_BODY: usize = 32 * 1024;

/// Body of `POST /connect`. Unknown members are ignored.
#[derive(Debug, Deserialize)]
pub struct ConnectBody {
    connection: Option<String>,
    redirect_uri: Option<String>,
    state: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    scopes: Option<Vec<String>>,
    authorization_params: Option<serde_json::Map<String, Value>>,
}

/// Body of `POST /complete`. Unknown members are ignored.
#[derive(Debug, Deserialize)]
pub struct CompleteBody {
    auth_session: Option<Secret>,
    connect_code: Option<Secret>,
    redirect_uri: Option<String>,
    code_verifier: Option<Secret>,
}

/// A new session, with the handles that the application receives.
#[derive(Debug)]
pub struct NewSession {
    /// The message to the session's object.
    pub begin: Begin,
    /// `connect_params.ticket` of the response.
    pub ticket: Secret,
    /// `auth_session` of the response.
    pub auth_session: Secret,
}

/// A session in which a user signs in to the vault, and the secret of its ticket. `authorization` is the
/// authorization request that it belongs to. A sign-in asks for what identifies the user, and no more.
///
/// # Errors
/// [`RandomnessError`].
pub fn sign_in(
    issuer: &str,
    authorization: &str,
    client_id: &str,
    (name, connection): (&str, &Connection),
    params: Vec<(String, String)>,
) -> Result<(Begin, Secret), RandomnessError> {
    let (session, ticket, auth_session) = random_handles()?;
    let openid = matches!(connection.protocol, Protocol::OpenId { .. });
    let scopes = if openid { &["openid", "email", "profile"][..] } else { &[] };
    let scopes = scopes.iter().map(|scope| (*scope).to_owned());
    let scopes = text::unique(scopes.chain(connection.required_scopes.iter().cloned()));
    let begin = Begin {
        session,
        user: UserId { issuer: issuer.to_owned(), subject: String::new() },
        client_id: client_id.to_owned(),
        connection: name.to_owned(),
        redirect_uri: String::new(),
        state: None,
        code_challenge: None,
        scopes,
        params,
        ticket: handle::hash(&ticket),
        auth_session: handle::hash(&auth_session),
        authorization: Some(authorization.to_owned()),
        registration: Some(connection.registration.clone()),
    };
    Ok((begin, ticket))
}

/// Reads a JSON body.
///
/// # Errors
/// 415 for another media type, 400 for anything but a JSON object of this form.
pub fn read<'a, T: Deserialize<'a>>(
    content_type: Option<&str>,
    body: &'a [u8],
) -> Result<T, ProblemDetails> {
    let media_type = content_type.and_then(|value| value.split(';').next()).map(str::trim);
    if !media_type.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
        return Err(ProblemDetails::new(415, "Send a JSON body as application/json."));
    }
    json::read(body).map_err(|_| {
        ProblemDetails::new(
            400,
            "The body must be a JSON object with members of the documented types.",
        )
    })
}

impl ConnectBody {
    /// Checks all fields and makes a session for this user and client.
    ///
    /// # Errors
    /// A [`ProblemDetails`] that names each wrong field; 503 without randomness.
    pub fn begin<'a>(
        self,
        user: &UserId,
        client_id: &str,
        client: &Client,
        find: impl Fn(&str) -> Option<&'a Connection>,
    ) -> Result<NewSession, ProblemDetails> {
        let mut errors = Vec::new();
        let connection = self.connection.as_deref().unwrap_or_default();
        let known = client.connections.iter().any(|name| name == connection);
        let record = if known { find(connection) } else { None };
        if self.connection.is_none() {
            errors.push(invalid("connection", "is missing"));
        } else if record.is_none() {
            errors.push(invalid(
                "connection",
                "no connection of this name, or not among the client's connections",
            ));
        }
        match &self.redirect_uri {
            None => errors.push(invalid("redirect_uri", "is missing")),
            Some(uri) if !client.may_return_to(uri) => errors.push(invalid(
                "redirect_uri",
                "must equal, byte by byte, one of the client's redirect_uris",
            )),
            Some(_) => {}
        }
        if self.state.as_ref().is_some_and(|state| state.is_empty() || state.len() > 4096) {
            errors.push(invalid("state", "must have 1 to 4096 bytes"));
        }
        match (&self.code_challenge, self.code_challenge_method.as_deref()) {
            (None, None) => {}
            (Some(challenge), Some("S256")) => {
                if encoding::from_base64url_array::<32>(challenge).is_none() {
                    errors.push(invalid(
                        "code_challenge",
                        "must be the base64url SHA-256 of the verifier: 43 characters",
                    ));
                }
            }
            (Some(_), _) => errors.push(invalid("code_challenge_method", "must be S256")),
            (None, Some(_)) => errors.push(invalid("code_challenge", "is missing")),
        }
        let asked = self.scopes.unwrap_or_default();
        if asked.len() > MAX_SCOPES || !asked.iter().all(|scope| text::is_scope(scope)) {
            errors.push(invalid("scopes", "must be a list of at most 100 scope names"));
        }
        let params = self.authorization_params.unwrap_or_default();
        let params = read_params(params).unwrap_or_else(|| {
            errors.push(invalid(
                "authorization_params",
                "values must be text or numbers, at most 4096 bytes each",
            ));
            Vec::new()
        });
        let (Some(record), Some(redirect_uri), true) =
            (record, self.redirect_uri, errors.is_empty())
        else {
            return Err(ProblemDetails::invalid(errors));
        };
        let random = || random_handles().map_err(|_| ProblemDetails::unavailable(5));
        let (session, ticket, auth_session) = random()?;
        Ok(NewSession {
            begin: Begin {
                session: session.clone(),
                user: user.clone(),
                client_id: client_id.to_owned(),
                connection: connection.to_owned(),
                redirect_uri,
                state: self.state,
                code_challenge: self.code_challenge,
                scopes: scopes::ask(record, &asked),
                params,
                ticket: handle::hash(&ticket),
                auth_session: handle::hash(&auth_session),
                authorization: None,
                registration: Some(record.registration.clone()),
            },
            ticket: OpaqueHandle { session: session.clone(), secret: ticket }.text(),
            auth_session: OpaqueHandle { session, secret: auth_session }.text(),
        })
    }
}

impl NewSession {
    /// Requests also the scopes that the user's accounts have already, because nobody knows yet
    /// which of several accounts it will be. Accounts of another registration do not count: this
    /// consent takes nothing from them.
    pub fn keep_granted(&mut self, connection: &Connection, accounts: &[AccountView]) {
        let asked = std::mem::take(&mut self.begin.scopes);
        let fits = |account: &&AccountView| connection.accepts(account.registration.as_ref());
        let before = accounts.iter().filter(fits).flat_map(|account| &account.scopes);
        self.begin.scopes = scopes::keeping(connection, asked, before);
    }
}

impl CompleteBody {
    /// Checks the form of all fields and finds the session's id.
    ///
    /// # Errors
    /// A [`ProblemDetails`] that names each wrong field.
    pub fn complete(
        self,
        user: &UserId,
        client_id: &str,
    ) -> Result<(String, Complete), ProblemDetails> {
        let mut errors = Vec::new();
        let session =
            self.auth_session.as_ref().and_then(|text| OpaqueHandle::parse(text.expose()));
        let code = self.connect_code.as_ref().and_then(|text| OpaqueHandle::parse(text.expose()));
        if session.is_none() {
            errors.push(invalid("auth_session", "must be the auth_session of the connect answer"));
        }
        if code.is_none() {
            errors.push(invalid(
                "connect_code",
                "must be the connect_code of the redirect; without one the connect failed, and \
                 the redirect says why in error",
            ));
        }
        if self.redirect_uri.is_none() {
            errors.push(invalid("redirect_uri", "is missing"));
        }
        if let Some(verifier) = &self.code_verifier {
            let unreserved =
                |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
            let verifier = verifier.expose();
            if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
                errors.push(invalid("code_verifier", "must have 43 to 128 unreserved characters"));
            }
        }
        let (Some(session), Some(code), Some(redirect_uri), true) =
            (session, code, self.redirect_uri, errors.is_empty())
        else {
            return Err(ProblemDetails::invalid(errors));
        };
        if session.session != code.session {
            return Err(ProblemDetails::invalid(vec![invalid(
                "connect_code",
                "belongs to another connect than auth_session",
            )]));
        }
        let complete = Complete {
            user: user.clone(),
            client_id: client_id.to_owned(),
            auth_session: session.secret,
            connect_code: code.secret,
            redirect_uri,
            code_verifier: self.code_verifier,
        };
        Ok((session.session, complete))
    }
}

fn invalid(field: &'static str, detail: &'static str) -> ValidationError {
    ValidationError { detail, field }
}

fn random_handles() -> Result<(String, Secret, Secret), RandomnessError> {
    let secret = || handle::random().map(Secret::new);
    Ok((handle::random()?, secret()?, secret()?))
}

/// The authorization parameters that an application may set; others are ignored.
fn read_params(params: serde_json::Map<String, Value>) -> Option<Vec<(String, String)>> {
    let mut read = Vec::new();
    for (name, value) in params {
        if !authorization_request::allowed(&name) {
            continue;
        }
        let value = match value {
            Value::String(text) if !text.is_empty() && text.len() <= 4096 => text,
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        read.push((name, value));
    }
    Some(read)
}
