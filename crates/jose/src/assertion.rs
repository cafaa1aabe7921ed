// SPDX-License-Identifier: Apache-2.0
//! Client authentication with `private_key_jwt`: the client sends a signed assertion (RFC 7523 §2.2 and §3).

use serde::Deserialize;

use super::TokenError;
use super::claims::{self, Audience};
use super::jws::Jws;
use vault_base::time::{CLOCK_SKEW_SECONDS, UnixSeconds};

/// For how many seconds an assertion is accepted. The vault does not store `jti`, so this is the time for
/// which an assertion can be replayed.
pub const ACCEPTED_SECONDS: i64 = 300;

/// The longest lifetime, in seconds, of an assertion that says when it was issued. Some libraries let it be
/// an hour. It is accepted no longer for that.
const MAX_LIFETIME: i64 = 86_400;

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
/// `client_id`, `aud` is one of `audiences` alone, and the assertion was issued at most [`ACCEPTED_SECONDS`]
/// ago; one that does not say when must expire within that time.
///
/// # Errors
/// [`TokenError::Client`], [`TokenError::Audience`] or [`TokenError::Time`] for these claims,
/// [`TokenError::Json`] if a claim has the wrong type.
pub fn check(
    token: &Jws<'_>,
    client_id: &str,
    audiences: &[String],
    now: UnixSeconds,
) -> Result<(), TokenError> {
    if claimed_client(token)? != client_id {
        return Err(TokenError::Client);
    }
    let claims = token.claims::<RawClaims>()?;
    let longest = match claims.issued_at {
        Some(issued)
            if now.saturating_sub(issued.timestamp()) > ACCEPTED_SECONDS + CLOCK_SKEW_SECONDS =>
        {
            return Err(TokenError::Time);
        }
        Some(_) => MAX_LIFETIME,
        None => ACCEPTED_SECONDS,
    };
    claims::check_time(&claims, now, longest)?;
    // With several audiences, another server that received the assertion could replay it here.
    match &claims.custom.aud.into_vec()[..] {
        [one] if audiences.contains(one) => Ok(()),
        _ => Err(TokenError::Audience),
    }
}
