//! Work that outlives a request: `jobs(due, kind, payload)`, and one alarm for the earliest.

use serde::{Deserialize, Serialize};

use crate::ids::AccountId;
use crate::time::UnixSeconds;

/// A job. Handlers are idempotent: alarms run at least once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Job {
    /// Finish a refresh whose object stopped before its answer was settled.
    Recover {
        /// Whose.
        account: AccountId,
        /// The generation that was being renewed.
        generation: u64,
    },
    /// Revoke a token at the provider (RFC 7009) after its account was deleted here.
    Revoke {
        /// Whose it was.
        account: AccountId,
        /// `refresh_token` or `access_token`: what it was sealed as.
        field: String,
        /// The generation it was sealed with.
        generation: u64,
        /// The sealed token, base64url.
        envelope: String,
        /// Attempts so far.
        attempt: u32,
    },
}

impl Job {
    /// The column `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Recover { .. } => "recover",
            Self::Revoke { .. } => "revoke",
        }
    }

    /// When to try again after a failed attempt; `None` to give up, two days after the first.
    pub fn again(&self, now: UnixSeconds) -> Option<(Self, UnixSeconds)> {
        const WAITS: [i64; 7] = [10, 60, 600, 3600, 6 * 3600, 12 * 3600, 24 * 3600];
        let Self::Revoke { account, field, generation, envelope, attempt } = self else {
            return None;
        };
        let wait = WAITS.get(usize::try_from(*attempt).ok()?)?;
        let next = Self::Revoke {
            account: account.clone(),
            field: field.clone(),
            generation: *generation,
            envelope: envelope.clone(),
            attempt: attempt + 1,
        };
        Some((next, now + wait))
    }
}

/// How long after a refresh began an unsettled one is taken up again, in seconds: longer than a
/// provider may take to answer.
pub const RECOVER_AFTER: i64 = 30;
