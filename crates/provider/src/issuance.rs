// SPDX-License-Identifier: Apache-2.0
//! The issuance of tokens that the vault requests with its private key, beyond the user's consent.
//!
//! Such a token can do everything that the account it is issued for allows the application to do. Before
//! each issuance the provider is therefore asked whether the account is the user's own, or an organization
//! that the user owns. Access to the account or membership in the organization is not enough.
//!
//! Sources: GitHub's documentation, "Generating a JSON Web Token (JWT) for a GitHub App" and "Generating
//! an installation access token for a GitHub App".

use serde_json::{Map, Value, json};

use super::document::Document;
use super::endpoints::Provider;
use super::error_codes::TokenEndpointError;
use super::profile::{HttpMethod, IssuanceRules};
use super::request::{self, Body, ProviderRequest};
use super::token_response::{self, ProviderResponse};
use super::{json_path, userinfo};
use crate::connection::Connection;
use vault_base::secret::Secret;
use vault_base::text;
use vault_base::time::{self, CLOCK_SKEW_SECONDS, UnixSeconds};
use vault_jose::signing::SigningInput;

/// Lifetime of the vault's signed JWT, in seconds. GitHub accepts at most ten minutes.
const SIGNATURE_LIFETIME: i64 = 300;

/// An issued token.
#[derive(Debug, Clone)]
pub struct IssuedToken {
    /// The access token.
    pub access_token: Secret,
    /// Its scopes, each as `name:level`.
    pub scopes: Vec<String>,
    /// When it expires.
    pub expires_at: UnixSeconds,
}

/// Why no token was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuanceError {
    /// The provider rejects the user's own access token.
    UserToken,
    /// No token can be issued for the requested account.
    NoAccount(NoAccount),
    /// The provider does not grant the requested scopes.
    Scopes,
    /// The provider failed, or rejected the vault's request.
    Failure(TokenEndpointError),
}

/// Why no token can be issued for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoAccount {
    /// The application is not installed on the account.
    NotInstalled,
    /// The user does not own the account.
    NotOwner,
    /// The provider does not disclose whether the user owns the account.
    Untold,
    /// The installation of the application is suspended.
    Suspended,
}

impl NoAccount {
    /// The reason code that callers receive. [`NoAccount::Untold`] reads as `not_owner`.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotInstalled => "not_installed",
            Self::NotOwner | Self::Untold => "not_owner",
            Self::Suspended => "suspended",
        }
    }
}

impl IssuanceRules {
    /// The name of the account that a `resource` identifies, in lower case: the provider compares names
    /// without regard to case. `None` if the resource does not have the form of
    /// [`IssuanceRules::resource`].
    pub fn name_in(&self, resource: &str) -> Option<String> {
        let name = resource.strip_prefix(self.resource.strip_suffix("{name}")?)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let fits = (1..=100).contains(&name.len()) && name.bytes().all(plain);
        fits.then(|| name.to_ascii_lowercase())
    }
}

/// The issuance of one token, as a sequence of requests: the caller sends [`Issuance::request`] and passes
/// the response to [`Issuance::answered`], until that returns the token or an error.
pub struct Issuance<'a> {
    connection: &'a Connection,
    provider: &'a Provider,
    rules: &'a IssuanceRules,
    wanted: IssuanceRequest<'a>,
    /// The signed [`client_token`].
    signature: Secret,
    stage: Stage,
}

/// The token to issue.
#[derive(Debug, Clone, Copy)]
pub struct IssuanceRequest<'a> {
    /// The user's own access token, which proves the ownership.
    pub user_token: &'a Secret,
    /// The provider's id of the user, as stored with the account.
    pub user: Option<&'a str>,
    /// Name of the account to issue the token for; empty for the user's own.
    pub name: &'a str,
    /// The scopes that the token is narrowed to, each as `name:level`; `None` for all that are available.
    pub scopes: Option<&'a [String]>,
}

/// The state of an issuance, which is what the next request asks.
enum Stage {
    /// Asks whether the user owns the account.
    Ownership,
    /// Asks for the owner of the user's token. The provider rejected the token (401) in the first request;
    /// only a second rejection counts.
    ConfirmUserToken,
    /// Asks whether the application is installed. The provider did not disclose whether the user owns the
    /// account (403), as it may do where the application is not installed.
    CheckInstallation,
    /// Asks for the id that a token is issued for.
    LookUp(Owned),
    /// Requests the token for this id.
    Issue(String),
}

/// An account at the provider that the user was shown to own.
struct Owned {
    /// The provider's id of the account.
    id: String,
    /// Its name. For the user's own account it is in the provider's spelling.
    name: String,
}

impl<'a> Issuance<'a> {
    /// Begins an issuance. `signature` is the signed JWT: `signed`, a dot, and the signature in base64url.
    pub fn new(
        connection: &'a Connection,
        provider: &'a Provider,
        issuance: &'a IssuanceRules,
        wanted: IssuanceRequest<'a>,
        signature: Secret,
    ) -> Self {
        Self { connection, provider, rules: issuance, wanted, signature, stage: Stage::Ownership }
    }

    /// The next request to send. `None` if an endpoint is missing or not a URL, or if a token or a configured
    /// header is not valid as an HTTP header.
    pub fn request(&self) -> Option<ProviderRequest> {
        let IssuanceRequest { user_token, name, .. } = self.wanted;
        let rules = self.rules;
        let lookup = if name.is_empty() { &rules.own_lookup } else { &rules.organization_lookup };
        match &self.stage {
            Stage::Ownership if !name.is_empty() => {
                self.get(&rules.membership_endpoint, ("{name}", name), user_token)
            }
            Stage::Ownership | Stage::ConfirmUserToken => {
                ProviderRequest::userinfo(self.connection, self.provider, user_token)
            }
            Stage::CheckInstallation => self.get(lookup, ("{name}", name), &self.signature),
            Stage::LookUp(owned) => self.get(lookup, ("{name}", &owned.name), &self.signature),
            Stage::Issue(id) => self.token_request(id),
        }
    }

    /// Processes the response to [`Issuance::request`]. Returns the token, or `None` if another request
    /// must be sent.
    ///
    /// # Errors
    /// [`IssuanceError`] if no token is issued. The issuance must not be continued then.
    pub fn answered(
        &mut self,
        received: &ProviderResponse,
        now: UnixSeconds,
    ) -> Result<Option<IssuedToken>, IssuanceError> {
        let (status, document) = read(received, now)?;
        self.stage = match &self.stage {
            Stage::Ownership => self.after_ownership(status, &document)?,
            Stage::ConfirmUserToken if status == 401 => return Err(IssuanceError::UserToken),
            Stage::ConfirmUserToken => {
                return Err(IssuanceError::Failure(TokenEndpointError::Unavailable {
                    retry_after: None,
                }));
            }
            Stage::CheckInstallation => return Err(undisclosed_reason(status)),
            Stage::LookUp(owned) => Stage::Issue(self.looked_up(status, &document, owned)?),
            Stage::Issue(_) => return self.issued(status, &document, now).map(Some),
        };
        Ok(None)
    }

    /// The stage after [`Stage::Ownership`].
    fn after_ownership(&self, status: u16, document: &Value) -> Result<Stage, IssuanceError> {
        let no_account = |reason| Err(IssuanceError::NoAccount(reason));
        match status {
            200 => {}
            401 => return Ok(Stage::ConfirmUserToken),
            403 if !self.wanted.name.is_empty() => return Ok(Stage::CheckInstallation),
            404 if self.wanted.name.is_empty() => return no_account(NoAccount::Untold),
            404 => return no_account(NoAccount::NotOwner),
            // A rate limit, reported without `Retry-After`.
            403 => {
                return Err(IssuanceError::Failure(TokenEndpointError::Unavailable {
                    retry_after: None,
                }));
            }
            status => return Err(unexpected(status)),
        }
        if self.wanted.name.is_empty() {
            let user = userinfo::of_document(document, &self.connection.identity);
            let own = user.filter(|own| own.id.is_some() && own.id.as_deref() == self.wanted.user);
            let owned = own.and_then(|own| Some(Owned { id: own.id?, name: own.name? }));
            return owned
                .map(Stage::LookUp)
                .ok_or(IssuanceError::Failure(TokenEndpointError::OtherUser));
        }
        let mut required = self.rules.membership_required.iter();
        let owns =
            required.all(|(member, is)| json_path::text(document, member).as_ref() == Some(is));
        let id = json_path::text(document, &self.rules.membership_account).filter(|_| owns);
        let name = self.wanted.name.to_owned();
        id.map_or_else(
            || no_account(NoAccount::NotOwner),
            |id| Ok(Stage::LookUp(Owned { id, name })),
        )
    }

    /// The id to issue a token for, from the response to [`Stage::LookUp`].
    fn looked_up(
        &self,
        status: u16,
        document: &Value,
        owned: &Owned,
    ) -> Result<String, IssuanceError> {
        let no_account = |reason| Err(IssuanceError::NoAccount(reason));
        match status {
            200 => {}
            404 => return no_account(NoAccount::NotInstalled),
            status => return Err(unexpected(status)),
        }
        // The lookup is by name. Since the ownership was shown, another account may have taken that name.
        if json_path::text(document, &self.rules.account).as_ref() != Some(&owned.id) {
            return no_account(NoAccount::NotInstalled);
        }
        if json_path::text(document, &self.rules.suspended).is_some() {
            return no_account(NoAccount::Suspended);
        }
        json_path::text(document, &self.rules.id)
            .ok_or(IssuanceError::Failure(TokenEndpointError::Ambiguous { retry_after: None }))
    }

    /// The request for the token of this id. Of several levels of one scope, the highest is requested.
    fn token_request(&self, id: &str) -> Option<ProviderRequest> {
        let mut members = Map::new();
        if let Some(scopes) = self.wanted.scopes {
            let mut levels = Map::new();
            for (name, wanted) in scopes.iter().map(|scope| level(scope)) {
                let highest = levels.get(name).and_then(Value::as_str);
                if highest.is_none_or(|highest| is_above(wanted, highest)) {
                    levels.insert(name.to_owned(), Value::String(wanted.to_owned()));
                }
            }
            members.insert(self.rules.scope_member.clone(), Value::Object(levels));
        }
        let text = Secret::new(Value::Object(members).to_string());
        let request = ProviderRequest {
            method: HttpMethod::Post,
            body: Some(Body { media_type: "application/json", text }),
            ..self.get(&self.rules.token_endpoint, ("{id}", id), &self.signature)?
        };
        request.checked()
    }

    /// The token in the response to [`Stage::Issue`].
    fn issued(
        &self,
        status: u16,
        document: &Value,
        now: UnixSeconds,
    ) -> Result<IssuedToken, IssuanceError> {
        match status {
            200 | 201 => {}
            403 => return Err(IssuanceError::NoAccount(NoAccount::Suspended)),
            404 => return Err(IssuanceError::NoAccount(NoAccount::NotInstalled)),
            422 if self.wanted.scopes.is_some() => return Err(IssuanceError::Scopes),
            status => return Err(unexpected(status)),
        }
        let member = |name: &str| document.get(name).and_then(Value::as_str);
        let token = member(&self.rules.token_member).filter(|token| !token.is_empty());
        let expires_at = member(&self.rules.expires_at_member)
            .and_then(time::from_rfc3339)
            .filter(|expires_at| *expires_at > now);
        if token.is_some_and(|token| !text::is_access_token(token)) {
            return Err(IssuanceError::Failure(TokenEndpointError::UnusableToken));
        }
        let issued = token.zip(expires_at).map(|(token, expires_at)| IssuedToken {
            access_token: Secret::new(token),
            scopes: scopes(document.get(&self.rules.scope_member)),
            expires_at,
        });
        issued.ok_or(IssuanceError::Failure(TokenEndpointError::Ambiguous { retry_after: None }))
    }

    /// A `GET` request to an endpoint whose placeholder is filled in, with a bearer token.
    fn get(
        &self,
        endpoint: &str,
        (placeholder, value): (&str, &str),
        credentials: &Secret,
    ) -> Option<ProviderRequest> {
        let fill = |segment: &str| (segment == placeholder).then(|| value.to_owned());
        let request = ProviderRequest {
            method: HttpMethod::Get,
            url: request::filled(endpoint, &fill)?,
            authorization: Some(Secret::new(format!("Bearer {}", credentials.expose()))),
            headers: request::headers(self.connection, &self.rules.headers),
            body: None,
        };
        request.checked()
    }
}

/// Why the provider did not disclose the ownership, by the response to [`Stage::CheckInstallation`].
fn undisclosed_reason(status: u16) -> IssuanceError {
    match status {
        200 => IssuanceError::NoAccount(NoAccount::Untold),
        404 => IssuanceError::NoAccount(NoAccount::NotInstalled),
        status => unexpected(status),
    }
}

/// The wanted scopes that a token lacks. A level includes the lower ones: `admin` includes `write`, and
/// `write` includes `read`.
pub fn missing(granted: &[String], wanted: &[String]) -> Vec<String> {
    let covers = |scope: &String| {
        let (name, wanted) = level(scope);
        let granted = granted.iter().map(|scope| level(scope));
        let mut levels = granted.filter(|(granted, _)| *granted == name).map(|(_, level)| level);
        levels.any(|granted| granted == wanted || is_above(granted, wanted))
    };
    wanted.iter().filter(|scope| !covers(scope)).cloned().collect()
}

/// A JWT that says which client we are, to be signed with our private key at the provider (RFC 7519).
/// GitHub's documentation names its claims: `iss` the client id, and a life of ten minutes at most.
pub fn client_token(client_id: &str, now: UnixSeconds) -> SigningInput {
    let (issued_at, expires_at) = (now - CLOCK_SKEW_SECONDS, now + SIGNATURE_LIFETIME);
    let claims = json!({ "iss": client_id, "iat": issued_at, "exp": expires_at });
    SigningInput::new("JWT", None, &claims)
}

/// Splits a scope `name:level` into name and level. Without a colon the level is empty.
fn level(scope: &str) -> (&str, &str) {
    scope.rsplit_once(':').unwrap_or((scope, ""))
}

fn is_above(level: &str, other: &str) -> bool {
    matches!((level, other), ("write" | "admin", "read") | ("admin", "write"))
}

/// Converts an object of names and levels to scopes `name:level`.
fn scopes(levels: Option<&Value>) -> Vec<String> {
    let levels = levels.and_then(Value::as_object).into_iter().flatten();
    let scope = |(name, level): (&String, &Value)| Some(format!("{name}:{}", level.as_str()?));
    levels.filter_map(scope).collect()
}

/// Status and body of a response, with a body that is not JSON as `Null`.
///
/// # Errors
/// [`IssuanceError::Failure`] for a lost response, a rate limit, a server error, and a success without JSON.
fn read(received: &ProviderResponse, now: UnixSeconds) -> Result<(u16, Value), IssuanceError> {
    let ProviderResponse::Answer { status, retry_after, body } = received else {
        return Err(IssuanceError::Failure(TokenEndpointError::Unavailable { retry_after: None }));
    };
    if received.is_limited() || *status >= 500 {
        let retry_after =
            retry_after.as_deref().and_then(|at| token_response::seconds_to_wait(at, now));
        return Err(IssuanceError::Failure(TokenEndpointError::Unavailable { retry_after }));
    }
    match Document::parse(body.expose()).and_then(Document::unambiguous) {
        Some(document) => Ok((*status, document)),
        None if *status < 300 => {
            Err(IssuanceError::Failure(TokenEndpointError::Ambiguous { retry_after: None }))
        }
        None => Ok((*status, Value::Null)),
    }
}

/// The error for an unexpected status. With 401 the provider rejects the vault's signature, which the
/// operator must fix as well.
fn unexpected(status: u16) -> IssuanceError {
    let word =
        if status == 401 { "signature_refused".to_owned() } else { format!("http_{status}") };
    IssuanceError::Failure(TokenEndpointError::Misconfigured(word))
}
