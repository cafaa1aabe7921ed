// SPDX-License-Identifier: Apache-2.0
//! Claims that several kinds of token share, and the rules about time.

use jwt_compact::TimeOptions;
use jwt_compact::prelude::Claims;
use serde::Deserialize;

use super::TokenError;
use vault_base::time::{CLOCK_SKEW_SECONDS, UnixSeconds};

/// `aud`: one string or several (RFC 7519 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// A single audience.
    One(String),
    /// A list, possibly empty.
    Many(Vec<String>),
    /// Absent.
    #[default]
    #[serde(skip)]
    None,
}

impl Audience {
    /// The audiences as a list.
    pub fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
            Self::None => Vec::new(),
        }
    }
}

/// Checks `exp` (required), `nbf` and `iat`, with a minute of skew, and that the token lives no
/// longer than `longest` seconds. Gives `exp`.
///
/// # Errors
/// [`TokenError::Time`].
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
        // `validate_maturity` subtracts the skew, which overflows at the end of its range.
        if not_before.timestamp() < 0 {
            return Err(TokenError::Time);
        }
        claims.validate_maturity(&options).map_err(|_| TokenError::Time)?;
    }
    let issued = claims.issued_at.map_or(now, |at| at.timestamp());
    if issued > now + CLOCK_SKEW_SECONDS || expires.saturating_sub(issued) > longest {
        return Err(TokenError::Time);
    }
    // Without `iat`, or with one that lies about the past, the end is bounded from now as well.
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

/// Whether a subject can be one: not empty, at most 1,024 bytes.
///
/// # Errors
/// [`TokenError::Subject`].
pub fn check_subject(subject: Option<String>) -> Result<String, TokenError> {
    subject
        .filter(|subject| !subject.is_empty() && subject.len() <= 1024)
        .ok_or(TokenError::Subject)
}
