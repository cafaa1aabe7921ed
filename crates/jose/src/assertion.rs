// SPDX-License-Identifier: Apache-2.0
//! Client authentication with `private_key_jwt`: the client sends a signed assertion (RFC 7523 §2.2 and §3).

use serde::Deserialize;

use super::TokenError;
use super::claims::{self, Audience};
use super::jws::Jws;
use vault_base::time::UnixSeconds;

/// The longest accepted lifetime of an assertion, in seconds. The vault does not store `jti`, so this is the
/// time for which an assertion can be replayed.
pub const MAX_LIFETIME: i64 = 300;

#[derive(Deserialize)]
struct RawClaims {
    iss: Option<String>,
    sub: Option<String>,
    #[serde(default)]
    aud: Audience,
}

/// The client id that an unverified assertion claims: `sub`, which must equal `iss`. It may be used only to
/// select the client's keys before the signature is verified.
///
/// # Errors
/// [`TokenError::Client`] if the two are missing, empty or different, [`TokenError::Json`] if a claim has the
/// wrong type.
pub fn claimed_client(token: &Jws<'_>) -> Result<String, TokenError> {
    let claims = token.claims::<RawClaims>()?.custom;
    match (claims.iss, claims.sub) {
        (Some(issuer), Some(subject)) if issuer == subject && !subject.is_empty() => Ok(subject),
        _ => Err(TokenError::Client),
    }
}

/// Validates the claims of an assertion whose signature was verified with a key of the client: `sub` is
/// `client_id`, `aud` is the vault's identifier alone, and the lifetime is at most [`MAX_LIFETIME`].
///
/// # Errors
/// [`TokenError::Client`], [`TokenError::Audience`] or [`TokenError::Time`] for these claims,
/// [`TokenError::Json`] if a claim has the wrong type.
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
    // With several audiences, another server that received the assertion could replay it here.
    if claims.custom.aud.into_vec() != [vault] {
        return Err(TokenError::Audience);
    }
    Ok(())
}
