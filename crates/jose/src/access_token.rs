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
    /// The client that the token was issued to: `client_id`, or `azp`.
    pub client_id: String,
    /// `aud`.
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
    nonce: Option<serde_json::Value>,
    at_hash: Option<serde_json::Value>,
    c_hash: Option<serde_json::Value>,
}

/// Scopes as a space-separated string (RFC 9068 §2.2.3), or as the list that several issuers use.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
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
        let typ = token.token_type();
        if !issuer.accepts_type(typ.as_deref()) {
            return Err(TokenError::Type);
        }
        let claims = token.claims::<RawClaims>()?;
        let expires_at = claims::check_time(&claims, now, MAX_LIFETIME)?;
        let issued_at = claims.issued_at.map(|at| at.timestamp());
        let raw = claims.custom;
        if raw.iss.as_ref() != Some(&issuer.source.issuer) {
            return Err(TokenError::Issuer);
        }
        if raw.nonce.is_some() || raw.at_hash.is_some() || raw.c_hash.is_some() {
            return Err(TokenError::IdToken);
        }
        if raw.cnf.is_some() {
            return Err(TokenError::Bound);
        }
        let subject = claims::check_subject(raw.sub)?;
        let client_id = match (raw.client_id, raw.azp) {
            (Some(client), Some(party)) if client != party => return Err(TokenError::Client),
            (Some(client), _) | (None, Some(client)) if !client.is_empty() => client,
            _ => return Err(TokenError::Client),
        };
        let scopes = match raw.scope.or(raw.scp) {
            Some(OneOrMany::One(scopes)) => text::scopes(&scopes),
            Some(OneOrMany::Many(scopes)) => text::unique(scopes),
            None => Vec::new(),
        };
        Ok(Self {
            user: UserId { issuer: issuer.source.issuer.clone(), subject },
            client_id,
            audiences: raw.aud.into_vec(),
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
