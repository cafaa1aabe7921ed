// SPDX-License-Identifier: Apache-2.0
//! A user's access token: the subject token of a token exchange (RFC 8693 §2.1), or the bearer token of the
//! connected-accounts API.
//!
//! It is validated by RFC 9068 §4, RFC 8725 and the configuration of its issuer.

use serde::Deserialize;
use serde_json::Value;

use super::TokenError;
use super::claims::{self, Audience};
use super::jws::Jws;
use crate::trusted_issuer::Issuer;
use vault_base::ids::UserId;
use vault_base::text;
use vault_base::time::{CLOCK_SKEW_SECONDS, UnixSeconds};

/// The longest accepted lifetime of a subject token, in seconds: 24 hours. It limits the time for which a
/// leaked token is useful.
pub const MAX_LIFETIME: i64 = 24 * 3600;

/// The claims of a verified access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// `iss` and `sub`.
    pub user: UserId,
    /// The client that the token was issued to: `client_id`, or `azp`, or the claim that
    /// [`Issuer::client_claim`] names.
    pub client_id: String,
    /// `aud`, or without that the claim that [`Issuer::audience_claim`] names.
    pub audiences: Vec<String>,
    /// `scope`, or without that `scp`, which some issuers use; either a space-separated string or a list.
    pub scopes: Vec<String>,
    /// `exp`.
    pub expires_at: UnixSeconds,
    /// `iat`, where the issuer writes it.
    pub issued_at: Option<UnixSeconds>,
    /// `sid`: the session that the token was issued in, where the issuer writes it.
    pub sid: Option<String>,
    /// `grant_id`: the refresh-token family that the token was issued with, where the vault itself is the
    /// issuer.
    pub grant_id: Option<String>,
}

#[derive(Deserialize)]
struct RawClaims {
    sid: Option<serde_json::Value>,
    grant_id: Option<serde_json::Value>,
    iss: Option<String>,
    sub: Option<String>,
    #[serde(default)]
    aud: Audience,
    azp: Option<String>,
    client_id: Option<String>,
    scope: Option<OneOrMany>,
    scp: Option<OneOrMany>,
    cnf: Option<serde_json::Value>,
}

/// Scopes as a space-separated string (RFC 9068 §2.2.3), or as the list that several issuers use.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    /// One text is one item.
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// The issuer that an unverified token claims, to select the configuration and the key set. It must not be
/// used for anything else before the signature is verified.
///
/// # Errors
/// [`TokenError::Issuer`] if `iss` is missing, [`TokenError::Json`] if it is no text.
pub fn claimed_issuer<'a>(token: &'a Jws<'_>) -> Result<&'a str, TokenError> {
    match token.claim("iss") {
        Some(Value::String(issuer)) => Ok(issuer),
        Some(Value::Null) | None => Err(TokenError::Issuer),
        Some(_) => Err(TokenError::Json),
    }
}

impl AccessToken {
    /// Validates the claims of a token whose signature was verified with a key of `issuer`. The caller must
    /// still check the audience.
    ///
    /// # Errors
    /// The [`TokenError`] that says which claim was rejected.
    pub fn read(token: &Jws<'_>, issuer: &Issuer, now: UnixSeconds) -> Result<Self, TokenError> {
        if !issuer.accepts_type(token.token_type()) {
            return Err(TokenError::Type);
        }
        let claims = token.claims::<RawClaims>()?;
        let expires_at = claims::check_time(&claims, now, MAX_LIFETIME)?;
        let issued_at = claims.issued_at.map(|at| at.timestamp());
        let raw = claims.custom;
        if raw.iss.as_ref() != Some(&issuer.source.issuer) {
            return Err(TokenError::Issuer);
        }
        if is_id_token(token) {
            return Err(TokenError::IdToken);
        }
        if raw.cnf.is_some() {
            return Err(TokenError::Bound);
        }
        let subject = claims::check_subject(raw.sub)?;
        let client_id = client(token, issuer, raw.client_id, raw.azp)?;
        let audiences = audiences(token, issuer, raw.aud, &client_id)?;
        let scopes = match raw.scope.or(raw.scp) {
            Some(OneOrMany::One(scopes)) => {
                text::unique(scopes.split_whitespace().map(str::to_owned))
            }
            Some(OneOrMany::Many(scopes)) => text::unique(scopes),
            None => Vec::new(),
        };
        Ok(Self {
            user: UserId { issuer: issuer.source.issuer.clone(), subject },
            client_id,
            audiences,
            scopes,
            expires_at,
            issued_at,
            sid: raw.sid.and_then(|sid| sid.as_str().map(str::to_owned)),
            grant_id: raw.grant_id.and_then(|id| id.as_str().map(str::to_owned)),
        })
    }

    /// Whether `exp` has not passed, with [`CLOCK_SKEW_SECONDS`] of tolerance. It must be checked at every
    /// use of a token that was verified earlier.
    pub fn is_current(&self, now: UnixSeconds) -> bool {
        now <= self.expires_at.saturating_add(CLOCK_SKEW_SECONDS)
    }
}

/// Whether the token is an ID token: it has a claim that only ID tokens have, or says in its payload that it
/// is one, as those of Cognito (`token_use`) and of Keycloak (`typ`) do. `nonce` alone does not make it one
/// where `typ` of its header (RFC 9068 §2.1) or one of these two claims says that it is an access token:
/// Keycloak wrote `nonce` into access tokens before its version 24.
fn is_id_token(token: &Jws<'_>) -> bool {
    let says = |claim: &str, value: &str| {
        let text = token.claim(claim).and_then(Value::as_str);
        text.is_some_and(|text| text.eq_ignore_ascii_case(value))
    };
    let has = |claim: &str| token.claim(claim).is_some_and(|value| !value.is_null());
    let is_access_token = token.token_type() == Some("at+jwt")
        || says("typ", "Bearer")
        || says("token_use", "access");
    has("at_hash")
        || has("c_hash")
        || says("token_use", "id")
        || says("typ", "ID")
        || (has("nonce") && !is_access_token)
}

/// The client that the token was issued to. All claims that name it must agree.
fn client(
    token: &Jws<'_>,
    issuer: &Issuer,
    client_id: Option<String>,
    azp: Option<String>,
) -> Result<String, TokenError> {
    let configured = match &issuer.client_claim {
        Some(claim) => Some(token.claim(claim).and_then(Value::as_str).ok_or(TokenError::Client)?),
        None => None,
    };
    let named = [configured.map(str::to_owned), client_id, azp];
    let mut named = named.into_iter().flatten();
    let client = named.next().filter(|client| !client.is_empty()).ok_or(TokenError::Client)?;
    if named.all(|other| other == client) { Ok(client) } else { Err(TokenError::Client) }
}

/// The audiences of the token. Where tokens without `aud` are bound by another claim, a client may be an
/// accepted audience, and then `aud` of an ID token of that client would be one as well (OpenID Connect Core
/// §2): such a token is refused.
fn audiences(
    token: &Jws<'_>,
    issuer: &Issuer,
    aud: Audience,
    client: &str,
) -> Result<Vec<String>, TokenError> {
    let Some(claim) = &issuer.audience_claim else {
        return Ok(aud.into_vec());
    };
    if aud != Audience::None {
        let audiences = aud.into_vec();
        let is_for_client = audiences.iter().any(|audience| audience == client);
        return if is_for_client { Err(TokenError::IdToken) } else { Ok(audiences) };
    }
    match token.claim(claim) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(value) => {
            OneOrMany::deserialize(value).map(OneOrMany::into_vec).map_err(|_| TokenError::Json)
        }
    }
}
