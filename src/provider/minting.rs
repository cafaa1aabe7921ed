//! Tokens that we make ourselves at a provider: not on the user's consent alone, but with our own
//! signature. Such a token can do all that the account it is made for lets our application do, so the
//! provider is asked each time whether that account is the user's own, or one of an organisation that
//! the user owns. To see an account, or to be a member of it, is not enough.
//!
//! The sources are GitHub's: "Authenticating as a GitHub App installation".

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answer::{self, Received};
use super::dialect::{Method, Minting};
use super::endpoints::Provider;
use super::errors::Failure;
use super::request::{self, Body, ProviderRequest};
use super::{identity, path};
use crate::config::Connection;
use crate::encoding;
use crate::secret::Secret;
use crate::time::{self, SKEW, UnixSeconds};

/// How long our signature is good, in seconds. GitHub takes ten minutes at most.
const SIGNATURE_LIFETIME: i64 = 300;

/// An account at the provider that the user was shown to own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// The provider's id of it.
    id: String,
    /// Its name, as the provider writes it.
    name: String,
    /// Whether it is an organisation and not the user.
    is_organization: bool,
}

/// A token that was made.
#[derive(Debug, Clone)]
pub struct Minted {
    /// The token.
    pub access_token: Secret,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it ends.
    pub expires_at: UnixSeconds,
}

/// Why none was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unminted {
    /// The user's own token is not good any more.
    UserToken,
    /// There is nothing to make one for.
    NoAccount(NoAccount),
    /// It would not have these scopes.
    Scopes,
    /// The provider cannot do it, or not for us.
    Failure(Failure),
}

/// Why there is nothing to make a token for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoAccount {
    /// The application is not installed there.
    NotInstalled,
    /// The user does not own it, or the provider does not tell.
    NotOwner,
    /// The application may not work there at present.
    Suspended,
}

impl NoAccount {
    /// The word that is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotInstalled => "not_installed",
            Self::NotOwner => "not_owner",
            Self::Suspended => "suspended",
        }
    }
}

impl Minting {
    /// The account's name in a `resource`. Names are compared without regard to case. `None` if it
    /// names nothing of this provider's.
    pub fn name_in(&self, resource: &str) -> Option<String> {
        let name = resource.strip_prefix(self.resource.strip_suffix("{name}")?)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let fits = (1..=100).contains(&name.len()) && name.bytes().all(plain);
        fits.then(|| name.to_ascii_lowercase())
    }
}

/// Asks whether the account of this name is the user's; the empty name is the user's own. `None`
/// without a place to ask.
pub fn prove(
    connection: &Connection,
    provider: &Provider,
    minting: &Minting,
    user_token: &Secret,
    name: &str,
) -> Option<ProviderRequest> {
    if name.is_empty() {
        return ProviderRequest::userinfo(connection, provider, user_token);
    }
    let membership = &minting.membership_endpoint;
    get(connection, minting, membership, ("{name}", name), user_token)
}

/// Reads the answer. `user`: the provider's id of the user whose grant it is.
///
/// # Errors
/// [`Unminted`].
pub fn proven(
    received: &Received,
    connection: &Connection,
    minting: &Minting,
    user: Option<&str>,
    name: &str,
    now: UnixSeconds,
) -> Result<Owned, Unminted> {
    let document = match read(received, now)? {
        (200, document) => document,
        (401, _) => return Err(Unminted::UserToken),
        (403 | 404, _) => return Err(Unminted::NoAccount(NoAccount::NotOwner)),
        (status, _) => return Err(unexpected(status)),
    };
    if name.is_empty() {
        let own = identity::of_document(&document, &connection.identity);
        let own = own.filter(|own| own.id.is_some() && own.id.as_deref() == user);
        let found = own
            .and_then(|own| Some(Owned { id: own.id?, name: own.name?, is_organization: false }));
        return found.ok_or(Unminted::Failure(Failure::OtherUser));
    }
    let mut required = minting.membership_required.iter();
    let owns = required.all(|(member, is)| path::text(&document, member).as_ref() == Some(is));
    let id = path::text(&document, &minting.membership_account).filter(|_| owns);
    let id = id.ok_or(Unminted::NoAccount(NoAccount::NotOwner))?;
    Ok(Owned { id, name: name.to_owned(), is_organization: true })
}

/// Asks what to make a token for.
pub fn look_up(
    connection: &Connection,
    minting: &Minting,
    owned: &Owned,
    signature: &Secret,
) -> Option<ProviderRequest> {
    if owned.is_organization {
        return look_up_organization(connection, minting, &owned.name, signature);
    }
    get(connection, minting, &minting.own_lookup, ("{name}", &owned.name), signature)
}

/// Asks the same of an organisation that the user was not shown to own: to tell why, and for no more.
pub fn look_up_organization(
    connection: &Connection,
    minting: &Minting,
    name: &str,
    signature: &Secret,
) -> Option<ProviderRequest> {
    get(connection, minting, &minting.organization_lookup, ("{name}", name), signature)
}

/// Reads that answer. Where the application is not installed, a provider may not tell who is an owner.
pub fn why_not(received: &Received) -> NoAccount {
    match received {
        Received::Answer { status: 404, .. } => NoAccount::NotInstalled,
        _ => NoAccount::NotOwner,
    }
}

/// Reads the answer: the id to make a token for. Of an account that only bears the same name by now
/// there is none.
///
/// # Errors
/// [`Unminted`].
pub fn found(
    received: &Received,
    minting: &Minting,
    owned: &Owned,
    now: UnixSeconds,
) -> Result<String, Unminted> {
    let document = match read(received, now)? {
        (200, document) => document,
        (404, _) => return Err(Unminted::NoAccount(NoAccount::NotInstalled)),
        (status, _) => return Err(unexpected(status)),
    };
    if path::text(&document, &minting.account).as_ref() != Some(&owned.id) {
        return Err(Unminted::NoAccount(NoAccount::NotInstalled));
    }
    if path::text(&document, &minting.suspended).is_some() {
        return Err(Unminted::NoAccount(NoAccount::Suspended));
    }
    path::text(&document, &minting.id).ok_or(Unminted::Failure(Failure::Ambiguous))
}

/// Makes a token with these scopes, or with all there are.
pub fn mint(
    connection: &Connection,
    minting: &Minting,
    id: &str,
    scopes: Option<&[String]>,
    signature: &Secret,
) -> Option<ProviderRequest> {
    let mut members = Map::new();
    if let Some(scopes) = scopes {
        let levels: BTreeMap<&str, &str> = scopes.iter().map(|scope| level(scope)).collect();
        members.insert(minting.scope_member.clone(), json!(levels));
    }
    let text = Secret::new(Value::Object(members).to_string());
    Some(ProviderRequest {
        method: Method::Post,
        body: Some(Body { media_type: "application/json", text }),
        ..get(connection, minting, &minting.token_endpoint, ("{id}", id), signature)?
    })
}

/// Reads the answer.
///
/// # Errors
/// [`Unminted`].
pub fn minted(
    received: &Received,
    minting: &Minting,
    now: UnixSeconds,
) -> Result<Minted, Unminted> {
    let document = match read(received, now)? {
        (200 | 201, document) => document,
        (403, _) => return Err(Unminted::NoAccount(NoAccount::Suspended)),
        (404, _) => return Err(Unminted::NoAccount(NoAccount::NotInstalled)),
        (422, _) => return Err(Unminted::Scopes),
        (status, _) => return Err(unexpected(status)),
    };
    let text = |member: &str| document.get(member).and_then(Value::as_str);
    let (token, end) = (text(&minting.token_member), text(&minting.expires_at_member));
    let minted = token.zip(end.and_then(time::from_rfc3339)).map(|(token, expires_at)| Minted {
        access_token: Secret::new(token),
        scopes: scopes(document.get(&minting.scope_member)),
        expires_at,
    });
    minted.ok_or(Unminted::Failure(Failure::Ambiguous))
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

/// What our signature goes over: the header and the claims of a JWT that tells who we are (RFC 7519).
pub fn signed(client_id: &str, now: UnixSeconds) -> String {
    let header = json!({ "alg": "RS256", "typ": "JWT" });
    let claims = json!({ "iss": client_id, "iat": now - SKEW, "exp": now + SIGNATURE_LIFETIME });
    format!(
        "{}.{}",
        encoding::base64url(header.to_string()),
        encoding::base64url(claims.to_string())
    )
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

fn get(
    connection: &Connection,
    minting: &Minting,
    endpoint: &str,
    (placeholder, value): (&str, &str),
    credentials: &Secret,
) -> Option<ProviderRequest> {
    let fill = |segment: &str| (segment == placeholder).then(|| value.to_owned());
    Some(ProviderRequest {
        method: Method::Get,
        url: request::filled(endpoint, &fill)?,
        authorization: Some(Secret::new(format!("Bearer {}", credentials.expose()))),
        headers: request::headers(connection, &minting.headers),
        body: None,
    })
}

/// Status and document of an answer that means something.
fn read(received: &Received, now: UnixSeconds) -> Result<(u16, Value), Unminted> {
    let Received::Answer { status, retry_after, body } = received else {
        return Err(Unminted::Failure(Failure::Unavailable { retry_after: None }));
    };
    let retry_after = retry_after.as_deref().and_then(|value| answer::seconds_to_wait(value, now));
    // Providers that limit rates answer 403 as well, and then say when to come again.
    if matches!(status, 429 | 500..) || (*status == 403 && retry_after.is_some()) {
        return Err(Unminted::Failure(Failure::Unavailable { retry_after }));
    }
    Ok((*status, answer::document(body.expose()).unwrap_or(Value::Null)))
}

/// What no other meaning fits. Our signature refused is the operator's to mend, too.
fn unexpected(status: u16) -> Unminted {
    let word =
        if status == 401 { "signature_refused".to_owned() } else { format!("http_{status}") };
    Unminted::Failure(Failure::Misconfigured(word))
}
