// SPDX-License-Identifier: Apache-2.0
//! `private_key_jwt`: a client proves itself with a signed assertion (RFC 7523 §3).

use serde::Deserialize;

use super::TokenError;
use super::claims::{self, Audience};
use super::jws::Jws;
use vault_base::time::UnixSeconds;

/// Longest life of an assertion, in seconds. Its `jti` is not stored, so this bounds a replay.
pub const MAX_LIFETIME: i64 = 300;

#[derive(Deserialize)]
struct RawClaims {
    iss: Option<String>,
    sub: Option<String>,
    #[serde(default)]
    aud: Audience,
}

/// The client an assertion claims to come from: `sub`, which must equal `iss`. Says nothing yet.
///
/// # Errors
/// [`TokenError::Client`], [`TokenError::Json`].
pub fn claimed_client(token: &Jws<'_>) -> Result<String, TokenError> {
    let claims = token.claims::<RawClaims>()?.custom;
    match (claims.iss, claims.sub) {
        (Some(issuer), Some(subject)) if issuer == subject && !subject.is_empty() => Ok(subject),
        _ => Err(TokenError::Client),
    }
}

/// Checks the claims of an assertion whose signature was checked with the client's keys: `aud` is
/// the vault's identifier and nothing else, and it lives at most [`MAX_LIFETIME`].
///
/// # Errors
/// [`TokenError::Audience`], [`TokenError::Time`], [`TokenError::Client`], [`TokenError::Json`].
pub fn check(
    token: &Jws<'_>,
    client_id: &str,
    vault: &str,
    now: UnixSeconds,
) -> Result<(), TokenError> {
    if claimed_client(token)? != client_id {
        return Err(TokenError::Client);
    }
    let claims = token.claims::<RawClaims>()?;
    claims::check_time(&claims, now, MAX_LIFETIME)?;
    // Several audiences would let another server replay it here.
    if claims.custom.aud.into_vec() != [vault] {
        return Err(TokenError::Audience);
    }
    Ok(())
}
