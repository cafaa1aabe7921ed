// SPDX-License-Identifier: Apache-2.0
//! Tokens that we make ourselves at a provider: not on the user's consent alone, but with our own
//! signature. Such a token can do all that the account it is made for lets our application do, so the
//! provider is asked each time whether that account is the user's own, or one of an organisation that
//! the user owns. To see an account, or to be a member of it, is not enough.
//!
//! Sources: GitHub's documentation, "Generating a JSON Web Token (JWT) for a GitHub App" and "Generating
//! an installation access token for a GitHub App".

use serde_json::{Map, Value, json};

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

/// How long our signature is good, in seconds. GitHub takes ten minutes at most.
const SIGNATURE_LIFETIME: i64 = 300;

/// A token that was made.
#[derive(Debug, Clone)]
pub struct IssuedToken {
    /// The token.
    pub access_token: Secret,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it ends.
    pub expires_at: UnixSeconds,
}

/// Why none was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuanceError {
    /// The user's own token is not good any more.
    UserToken,
    /// There is nothing to make one for.
    NoAccount(NoAccount),
    /// It would not have these scopes.
    Scopes,
    /// The provider cannot do it, or not for us.
    Failure(TokenEndpointError),
}

/// Why there is nothing to make a token for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoAccount {
    /// The application is not installed there.
    NotInstalled,
    /// The user does not own it.
    NotOwner,
    /// The provider does not tell whether the user owns it.
    Untold,
    /// The application may not work there at present.
    Suspended,
}

impl NoAccount {
    /// The word that is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotInstalled => "not_installed",
            Self::NotOwner | Self::Untold => "not_owner",
            Self::Suspended => "suspended",
        }
    }
}

impl IssuanceRules {
    /// The account's name in a `resource`. Names are compared without regard to case. `None` if it
    /// names nothing of this provider's.
    pub fn name_in(&self, resource: &str) -> Option<String> {
        let name = resource.strip_prefix(self.resource.strip_suffix("{name}")?)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let fits = (1..=100).contains(&name.len()) && name.bytes().all(plain);
        fits.then(|| name.to_ascii_lowercase())
    }
}

/// The requests that make one token: each is sent, and its answer decides what comes next.
pub struct Issuance<'a> {
    connection: &'a Connection,
    provider: &'a Provider,
    rules: &'a IssuanceRules,
    wanted: IssuanceRequest<'a>,
    /// The signed [`client_token`].
    signature: Secret,
    stage: Stage,
}

/// For whom a token is made, and what it shall be.
#[derive(Debug, Clone, Copy)]
pub struct IssuanceRequest<'a> {
    /// The user's own token.
    pub user_token: &'a Secret,
    /// The provider's id of the user whose grant it is.
    pub user: Option<&'a str>,
    /// Name of the account it is for; the empty one is the user's own.
    pub name: &'a str,
    /// Its scopes; without, all there are.
    pub scopes: Option<&'a [String]>,
}

/// How far it is.
enum Stage {
    /// The provider tells whether the user owns the account.
    Proof,
    /// It does not accept the user's token: it is asked whose that is before that is believed.
    Confirm,
    /// It does not say. Where the application is not installed it may not: it is asked which it is.
    Why,
    /// The provider tells what to make a token for.
    LookUp(Owned),
    /// The token of this id is made.
    Make(String),
}

/// An account at the provider that the user was shown to own.
struct Owned {
    /// The provider's id of it.
    id: String,
    /// Its name, as the provider writes it.
    name: String,
}

impl<'a> Issuance<'a> {
    /// Nothing was asked yet.
    pub fn new(
        connection: &'a Connection,
        provider: &'a Provider,
        issuance: &'a IssuanceRules,
        wanted: IssuanceRequest<'a>,
        signature: Secret,
    ) -> Self {
        Self { connection, provider, rules: issuance, wanted, signature, stage: Stage::Proof }
    }

    /// What to ask now. `None` without a place to ask, or for a token that cannot stand in a header.
    pub fn request(&self) -> Option<ProviderRequest> {
        let IssuanceRequest { user_token, name, .. } = self.wanted;
        let issuance = self.rules;
        let lookup =
            if name.is_empty() { &issuance.own_lookup } else { &issuance.organization_lookup };
        match &self.stage {
            Stage::Proof if !name.is_empty() => {
                self.get(&issuance.membership_endpoint, ("{name}", name), user_token)
            }
            Stage::Proof | Stage::Confirm => {
                ProviderRequest::userinfo(self.connection, self.provider, user_token)
            }
            Stage::Why => self.get(lookup, ("{name}", name), &self.signature),
            Stage::LookUp(owned) => self.get(lookup, ("{name}", &owned.name), &self.signature),
            Stage::Make(id) => self.make(id),
        }
    }

    /// Reads the answer: the token, or nothing where more must be asked.
    ///
    /// # Errors
    /// [`IssuanceError`].
    pub fn answered(
        &mut self,
        received: &ProviderResponse,
        now: UnixSeconds,
    ) -> Result<Option<IssuedToken>, IssuanceError> {
        let (status, document) = read(received, now)?;
        self.stage = match &self.stage {
            Stage::Proof => self.proven(status, &document)?,
            Stage::Confirm if status == 401 => return Err(IssuanceError::UserToken),
            Stage::Confirm => {
                return Err(IssuanceError::Failure(TokenEndpointError::Unavailable {
                    retry_after: None,
                }));
            }
            Stage::Why => return Err(why_not(status)),
            Stage::LookUp(owned) => Stage::Make(self.found(status, &document, owned)?),
            Stage::Make(_) => return self.made(status, &document, now).map(Some),
        };
        Ok(None)
    }

    fn proven(&self, status: u16, document: &Value) -> Result<Stage, IssuanceError> {
        let no = |why| Err(IssuanceError::NoAccount(why));
        match status {
            200 => {}
            401 => return Ok(Stage::Confirm),
            403 if !self.wanted.name.is_empty() => return Ok(Stage::Why),
            404 if self.wanted.name.is_empty() => return no(NoAccount::Untold),
            404 => return no(NoAccount::NotOwner),
            // Who asks too often is told so, and not always when to come again.
            403 => {
                return Err(IssuanceError::Failure(TokenEndpointError::Unavailable {
                    retry_after: None,
                }));
            }
            status => return Err(unexpected(status)),
        }
        if self.wanted.name.is_empty() {
            let told = userinfo::of_document(document, &self.connection.identity);
            let own = told.filter(|own| own.id.is_some() && own.id.as_deref() == self.wanted.user);
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
        id.map_or_else(|| no(NoAccount::NotOwner), |id| Ok(Stage::LookUp(Owned { id, name })))
    }

    /// The id to make a token for. Of an account that only bears the same name by now there is none.
    fn found(&self, status: u16, document: &Value, owned: &Owned) -> Result<String, IssuanceError> {
        let none = |why| Err(IssuanceError::NoAccount(why));
        match status {
            200 => {}
            404 => return none(NoAccount::NotInstalled),
            status => return Err(unexpected(status)),
        }
        if json_path::text(document, &self.rules.account).as_ref() != Some(&owned.id) {
            return none(NoAccount::NotInstalled);
        }
        if json_path::text(document, &self.rules.suspended).is_some() {
            return none(NoAccount::Suspended);
        }
        json_path::text(document, &self.rules.id)
            .ok_or(IssuanceError::Failure(TokenEndpointError::Ambiguous { retry_after: None }))
    }

    fn make(&self, id: &str) -> Option<ProviderRequest> {
        let mut members = Map::new();
        if let Some(scopes) = self.wanted.scopes {
            let mut levels = Map::new();
            for (name, wanted) in scopes.iter().map(|scope| level(scope)) {
                let so_far = levels.get(name).and_then(Value::as_str);
                if so_far.is_none_or(|so_far| is_above(wanted, so_far)) {
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

    fn made(
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
        let end = member(&self.rules.expires_at_member)
            .and_then(time::from_rfc3339)
            .filter(|end| *end > now);
        if token.is_some_and(|token| !text::is_access_token(token)) {
            return Err(IssuanceError::Failure(TokenEndpointError::UnusableToken));
        }
        let made = token.zip(end).map(|(token, expires_at)| IssuedToken {
            access_token: Secret::new(token),
            scopes: scopes(document.get(&self.rules.scope_member)),
            expires_at,
        });
        made.ok_or(IssuanceError::Failure(TokenEndpointError::Ambiguous { retry_after: None }))
    }

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

fn why_not(status: u16) -> IssuanceError {
    match status {
        200 => IssuanceError::NoAccount(NoAccount::Untold),
        404 => IssuanceError::NoAccount(NoAccount::NotInstalled),
        status => unexpected(status),
    }
}

/// Which of the wanted scopes a token lacks. A level includes those below it: who may write may read.
pub fn missing(granted: &[String], wanted: &[String]) -> Vec<String> {
    let covers = |scope: &String| {
        let (name, wanted) = level(scope);
        let mut levels = granted.iter().map(|one| level(one)).filter(|(of, _)| *of == name);
        levels.any(|(_, granted)| granted == wanted || is_above(granted, wanted))
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

/// A scope's name and level.
fn level(scope: &str) -> (&str, &str) {
    scope.rsplit_once(':').unwrap_or((scope, ""))
}

fn is_above(level: &str, other: &str) -> bool {
    matches!((level, other), ("write" | "admin", "read") | ("admin", "write"))
}

/// An object of names and levels as scopes.
fn scopes(levels: Option<&Value>) -> Vec<String> {
    let levels = levels.and_then(Value::as_object).into_iter().flatten();
    let scope = |(name, level): (&String, &Value)| Some(format!("{name}:{}", level.as_str()?));
    levels.filter_map(scope).collect()
}

/// Status and document of an answer that means something.
fn read(received: &ProviderResponse, now: UnixSeconds) -> Result<(u16, Value), IssuanceError> {
    let ProviderResponse::Answer { status, retry_after, body } = received else {
        return Err(IssuanceError::Failure(TokenEndpointError::Unavailable { retry_after: None }));
    };
    if received.is_limited() || *status >= 500 {
        let retry_after =
            retry_after.as_deref().and_then(|at| token_response::seconds_to_wait(at, now));
        return Err(IssuanceError::Failure(TokenEndpointError::Unavailable { retry_after }));
    }
    match token_response::document(body.expose()) {
        Some(document) => Ok((*status, document)),
        None if *status < 300 => {
            Err(IssuanceError::Failure(TokenEndpointError::Ambiguous { retry_after: None }))
        }
        None => Ok((*status, Value::Null)),
    }
}

/// What no other meaning fits. Our signature refused is the operator's to fix, too.
fn unexpected(status: u16) -> IssuanceError {
    let word =
        if status == 401 { "signature_refused".to_owned() } else { format!("http_{status}") };
    IssuanceError::Failure(TokenEndpointError::Misconfigured(word))
}
