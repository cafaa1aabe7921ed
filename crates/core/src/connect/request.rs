// SPDX-License-Identifier: Apache-2.0
//! Requests of the connected-accounts API.

use std::fmt;

use serde_json::{Map, Value};

use super::handle::{self, OpaqueHandle};
use super::policy;
use super::record::{Begin, Denied};
use crate::config::Client;
use crate::connect::record::Complete;
use crate::error::{ProblemDetails, ValidationError};
use crate::issuer::authorization::CodeGrant;
use crate::vault::record::AccountView;
use vault_base::encoding::{self, RandomnessError};
use vault_base::ids::{ObjectNames, UserId};
use vault_base::json;
use vault_base::mac_id::{IdKind, MacId};
use vault_base::secret::Secret;
use vault_base::text::{self, MAX_SCOPES};
use vault_provider::connection::{Connection, Protocol};
use vault_provider::{authorization_request, scopes};

/// Largest body that is read, in bytes. The published schema allows 100 scopes of 255 characters, and JSON
/// may write a character as twelve bytes.
pub const MAX_BODY: usize = 512 * 1024;

/// Body of `POST /connect`. Unknown members are ignored.
#[derive(Debug)]
pub struct ConnectBody(Members);

/// Body of `POST /complete`. Unknown members are ignored.
#[derive(Debug)]
pub struct CompleteBody(Members);

impl From<Members> for ConnectBody {
    fn from(members: Members) -> Self {
        Self(members)
    }
}

impl From<Members> for CompleteBody {
    fn from(members: Members) -> Self {
        Self(members)
    }
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
/// authorization request that it belongs to, and `link` the user to whom the account is to be linked, if it is
/// not to sign in. Both ask for what identifies the account's user, and no more.
///
/// # Errors
/// [`RandomnessError`].
pub fn sign_in(
    names: &ObjectNames,
    issuer: &str,
    authorization: &str,
    client_id: &str,
    (name, connection): (&str, &Connection),
    params: Vec<(String, String)>,
    link: Option<CodeGrant>,
) -> Result<(Begin, Secret), RandomnessError> {
    let (session, ticket, auth_session) = random_handles(names)?;
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
        link,
        registration: Some(connection.registration.clone()),
    };
    Ok((begin, ticket))
}

/// Reads a JSON body.
///
/// # Errors
/// 415 for another media type, 400 for anything but a JSON object without repeated members.
pub fn read<T: From<Members>>(
    content_type: Option<&str>,
    body: &[u8],
) -> Result<T, ProblemDetails> {
    let media_type = content_type.and_then(|value| value.split(';').next()).map(str::trim);
    if !media_type.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
        return Err(ProblemDetails::new(415, "Send a JSON body as application/json."));
    }
    json::read_object(body).map(|all| Members::from(all).into()).map_err(|_| {
        let fix = "The body must be a JSON object in which no member is repeated.";
        ProblemDetails::new(400, fix)
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
        names: &ObjectNames,
        find: impl Fn(&str) -> Option<&'a Connection>,
    ) -> Result<NewSession, ProblemDetails> {
        let mut members = self.0;
        let connection = members.required("connection").unwrap_or_default();
        let known = client.connections.contains(&connection);
        let record = if known { find(&connection) } else { None };
        if record.is_none() {
            members.fault(
                "connection",
                "no connection of this name, or not among the client's connections",
            );
        }
        let redirect_uri = members.required("redirect_uri").filter(|uri| client.may_return_to(uri));
        if redirect_uri.is_none() {
            members.fault(
                "redirect_uri",
                "must equal, byte by byte, one of the client's redirect_uris",
            );
        }
        let state = members.text("state");
        if state.as_ref().is_some_and(|state| state.is_empty() || state.len() > 4096) {
            members.fault("state", "must have 1 to 4096 bytes");
        }
        let code_challenge = members.text("code_challenge");
        match (&code_challenge, members.text("code_challenge_method").as_deref()) {
            (None, None) => {}
            (Some(challenge), Some("S256")) => {
                if encoding::from_base64url_array::<32>(challenge).is_none() {
                    members.fault(
                        "code_challenge",
                        "must be the base64url SHA-256 of the verifier: 43 characters",
                    );
                }
            }
            (Some(_), _) => members.fault("code_challenge_method", "must be S256"),
            (None, Some(_)) => members.fault("code_challenge", "is missing"),
        }
        let asked = members.texts("scopes").unwrap_or_default();
        if asked.len() > MAX_SCOPES || !asked.iter().all(|scope| text::is_scope(scope)) {
            members.fault("scopes", "must be a list of at most 100 scope names");
        }
        let params = members.object("authorization_params").unwrap_or_default();
        let params = read_params(params).unwrap_or_else(|| {
            members.fault(
                "authorization_params",
                "values must be text or numbers, at most 4096 bytes each",
            );
            Vec::new()
        });
        let (Some(record), Some(redirect_uri), true) =
            (record, redirect_uri, members.errors.is_empty())
        else {
            return Err(ProblemDetails::invalid(members.errors));
        };
        let (session, ticket, auth_session) =
            random_handles(names).map_err(|_| ProblemDetails::unavailable(5))?;
        let text = |secret| OpaqueHandle::new(&session, secret).text();
        Ok(NewSession {
            begin: Begin {
                session: session.clone(),
                user: user.clone(),
                client_id: client_id.to_owned(),
                connection,
                redirect_uri,
                state,
                code_challenge,
                scopes: scopes::ask(record, &asked),
                params,
                ticket: handle::hash(&ticket),
                auth_session: handle::hash(&auth_session),
                authorization: None,
                link: None,
                registration: Some(record.registration.clone()),
            },
            ticket: text(ticket),
            auth_session: text(auth_session),
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
    /// A [`ProblemDetails`] that names each wrong field. An id that this deployment did not make is answered as
    /// one whose session has expired.
    pub fn complete(
        self,
        user: &UserId,
        client_id: &str,
        names: &ObjectNames,
    ) -> Result<(MacId, Complete), ProblemDetails> {
        let mut members = self.0;
        let handle = |text: Option<String>| OpaqueHandle::parse(&text?);
        let session = handle(members.text("auth_session"));
        if session.is_none() {
            members.fault("auth_session", "must be the auth_session of the connect answer");
        }
        let code = handle(members.text("connect_code"));
        if code.is_none() {
            members.fault(
                "connect_code",
                "must be the connect_code of the redirect; without one the connect failed, and \
                 the redirect says why in error",
            );
        }
        let redirect_uri = members.required("redirect_uri");
        let code_verifier = members.text("code_verifier").map(Secret::new);
        if let Some(verifier) = &code_verifier {
            let unreserved =
                |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
            let verifier = verifier.expose();
            if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
                members.fault("code_verifier", "must have 43 to 128 unreserved characters");
            }
        }
        let (Some(session), Some(code), Some(redirect_uri), true) =
            (session, code, redirect_uri, members.errors.is_empty())
        else {
            return Err(ProblemDetails::invalid(members.errors));
        };
        if session.session != code.session {
            return Err(ProblemDetails::invalid(vec![invalid(
                "connect_code",
                "belongs to another connect than auth_session",
            )]));
        }
        let id =
            session.session_id(names).ok_or_else(|| policy::completion_denied(Denied::Unknown))?;
        let complete = Complete {
            user: user.clone(),
            client_id: client_id.to_owned(),
            auth_session: session.secret,
            connect_code: code.secret,
            redirect_uri,
            code_verifier,
        };
        Ok((id, complete))
    }
}

/// The members of a body, which are read one by one. One of another type reads as absent.
pub struct Members {
    unread: Map<String, Value>,
    /// One for each field that is wrong.
    errors: Vec<ValidationError>,
}

impl From<Map<String, Value>> for Members {
    fn from(unread: Map<String, Value>) -> Self {
        Self { unread, errors: Vec::new() }
    }
}

impl fmt::Debug for Members {
    /// The names alone, because values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.unread.keys()).finish()
    }
}

impl Members {
    /// A member that is not null.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.unread.remove(name).filter(|value| !value.is_null())
    }

    /// Records what is wrong with a field, unless something already is.
    fn fault(&mut self, field: &'static str, detail: &'static str) {
        if self.errors.iter().all(|error| error.field != field) {
            self.errors.push(invalid(field, detail));
        }
    }

    fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            _ => {
                self.fault(name, "must be a string");
                None
            }
        }
    }

    fn required(&mut self, name: &'static str) -> Option<String> {
        let text = self.text(name);
        if text.is_none() {
            self.fault(name, "is missing");
        }
        text
    }

    fn texts(&mut self, name: &'static str) -> Option<Vec<String>> {
        let text = |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        };
        let texts = match self.take(name)? {
            Value::Array(values) => values.into_iter().map(text).collect(),
            _ => None,
        };
        if texts.is_none() {
            self.fault(name, "must be a list of strings");
        }
        texts
    }

    fn object(&mut self, name: &'static str) -> Option<Map<String, Value>> {
        match self.take(name)? {
            Value::Object(members) => Some(members),
            _ => {
                self.fault(name, "must be an object");
                None
            }
        }
    }
}

fn invalid(field: &'static str, detail: &'static str) -> ValidationError {
    ValidationError { detail, field }
}

/// A new session's id, and the secrets of its ticket and its `auth_session`.
fn random_handles(names: &ObjectNames) -> Result<(MacId, Secret, Secret), RandomnessError> {
    let secret = || handle::random().map(Secret::new);
    Ok((MacId::new(names, IdKind::Connect)?, secret()?, secret()?))
}

/// The authorization parameters that an application may set; others are ignored.
fn read_params(params: Map<String, Value>) -> Option<Vec<(String, String)>> {
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
