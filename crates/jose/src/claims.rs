// SPDX-License-Identifier: Apache-2.0
//! Validation of the claims that all kinds of token share: `aud`, `sub`, `exp`, `nbf` and `iat`.

use jwt_compact::TimeOptions;
use jwt_compact::prelude::Claims;
use serde::Deserialize;

use super::TokenError;
use vault_base::time::{CLOCK_SKEW_SECONDS, UnixSeconds};

/// `aud`: a string or an array of strings (RFC 7519 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// A single audience.
    One(String),
    /// A list, possibly empty.
    Many(Vec<String>),
    /// The claim is absent.
    #[default]
    #[serde(skip)]
    None,
}

impl Audience {
    /// The audiences as a list, which is empty if the claim is absent.
    pub fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
            Self::None => Vec::new(),
        }
    }
}

/// Checks `exp` (required), `nbf` and `iat` with [`CLOCK_SKEW_SECONDS`] of tolerance, and that the lifetime
/// is at most `longest` seconds. Returns `exp`.
///
/// # Errors
/// [`TokenError::Time`] if one of these checks fails.
pub fn check_time<T>(
    claims: &Claims<T>,
    now: UnixSeconds,
    longest: i64,
) -> Result<UnixSeconds, TokenError> {
    let clock = chrono_of(now).ok_or(TokenError::Time)?;
    let skew = jwt_compact_duration(CLOCK_SKEW_SECONDS).ok_or(TokenError::Time)?;
    let options = TimeOptions::new(skew, || clock);
    claims.validate_expiration(&options).map_err(|_| TokenError::Time)?;
    let expires = claims.expiration.map(|at| at.timestamp()).ok_or(TokenError::Time)?;
    if let Some(not_before) = claims.not_before {
        // `validate_maturity` subtracts the skew, which overflows for the earliest representable time.
        if not_before.timestamp() < 0 {
            return Err(TokenError::Time);
        }
        claims.validate_maturity(&options).map_err(|_| TokenError::Time)?;
    }
    let issued = claims.issued_at.map_or(now, |at| at.timestamp());
    if issued > now + CLOCK_SKEW_SECONDS || expires.saturating_sub(issued) > longest {
        return Err(TokenError::Time);
    }
    // The rest of the lifetime is limited as well: `iat` may be a false time in the past. The skew allows for
    // an issuer whose clock is ahead.
    if expires.saturating_sub(now) > longest + CLOCK_SKEW_SECONDS {
        return Err(TokenError::Time);
    }
    Ok(expires)
}

fn chrono_of(at: UnixSeconds) -> Option<chrono::DateTime<chrono::Utc>> {
    chrono::DateTime::from_timestamp(at, 0)
}

fn jwt_compact_duration(seconds: i64) -> Option<chrono::Duration> {
    chrono::Duration::try_seconds(seconds)
}

/// Checks that `sub` is present, not empty, and at most 1,024 bytes long. Returns it.
///
/// # Errors
/// [`TokenError::Subject`] otherwise.
pub fn check_subject(subject: Option<String>) -> Result<String, TokenError> {
    subject
        .filter(|subject| !subject.is_empty() && subject.len() <= 1024)
        .ok_or(TokenError::Subject)
}
