// SPDX-License-Identifier: Apache-2.0
//! A user's access token: the subject token of an exchange, the bearer token of the API.
//!
//! Rules: RFC 9068 §4, RFC 8725, and what an issuer's configuration says.

use serde::Deserialize;
use serde_json::Value;

use super::TokenError;
use super::claims::{self, Audience};
use super::jws::Jws;
use crate::trusted_issuer::Issuer;
use vault_base::ids::UserId;
use vault_base::text;
use vault_base::time::{CLOCK_SKEW_SECONDS, UnixSeconds};

/// Longest life of a subject token: 24 hours. One that lives longer is a leak waiting.
pub const MAX_LIFETIME: i64 = 24 * 3600;

/// What a verified access token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// Who it is about.
    pub user: UserId,
    /// Which client it was issued to: `client_id` or `azp`.
    pub client_id: String,
    /// `aud`.
    pub audiences: Vec<String>,
    /// `scope`, or `scp` where an issuer writes that; text or a list.
    pub scopes: Vec<String>,
    /// `exp`.
    pub expires_at: UnixSeconds,
    /// `iat`, where the issuer writes it.
    pub issued_at: Option<UnixSeconds>,
    /// `sid`: the session that the token was issued in, where the issuer writes it.
    pub sid: Option<String>,
}

#[derive(Deserialize)]
struct RawClaims {
    sid: Option<serde_json::Value>,
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

/// Scopes: text (RFC 9068 §2.2.3), or the list that several issuers write.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// The issuer a token claims, to find its configuration and keys. Says nothing yet.
///
/// # Errors
/// [`TokenError::Issuer`] without one, [`TokenError::Json`].
pub fn claimed_issuer<'a>(token: &'a Jws<'_>) -> Result<&'a str, TokenError> {
    match token.claim("iss") {
        Some(Value::String(issuer)) => Ok(issuer),
        Some(Value::Null) | None => Err(TokenError::Issuer),
        Some(_) => Err(TokenError::Json),
    }
}

impl AccessToken {
    /// Reads the claims of a token whose signature was checked with `issuer`'s keys.
    ///
    /// # Errors
    /// The [`TokenError`] for the operator's log.
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
        })
    }

    /// Whether the token is still good; asked at every use of a remembered one.
    pub fn is_current(&self, now: UnixSeconds) -> bool {
        now <= self.expires_at.saturating_add(CLOCK_SKEW_SECONDS)
    }
}
