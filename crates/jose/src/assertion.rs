// SPDX-License-Identifier: Apache-2.0
//! `private_key_jwt`: a client proves itself with a signed assertion (RFC 7523 §3).

use serde::Deserialize;

use super::Refusal;
use super::claims::{self, Audience};
use super::compact::Compact;
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
/// [`Refusal::Client`], [`Refusal::Json`].
pub fn claimed_client(token: &Compact<'_>) -> Result<String, Refusal> {
    let claims = token.claims::<RawClaims>()?.custom;
    match (claims.iss, claims.sub) {
        (Some(issuer), Some(subject)) if issuer == subject && !subject.is_empty() => Ok(subject),
        _ => Err(Refusal::Client),
    }
}

/// Checks the claims of an assertion whose signature was checked with the client's keys: `aud` is
/// the vault's identifier and nothing else, and it lives at most [`MAX_LIFETIME`].
///
/// # Errors
/// [`Refusal::Audience`], [`Refusal::Time`], [`Refusal::Client`], [`Refusal::Json`].
pub fn check(
    token: &Compact<'_>,
    client_id: &str,
    vault: &str,
    now: UnixSeconds,
) -> Result<(), Refusal> {
    if claimed_client(token)? != client_id {
        return Err(Refusal::Client);
    }
    let claims = token.claims::<RawClaims>()?;
    claims::check_time(&claims, now, MAX_LIFETIME)?;
    // Several audiences would let another server replay it here.
    if claims.custom.aud.into_vec() != [vault] {
        return Err(Refusal::Audience);
    }
    Ok(())
}
