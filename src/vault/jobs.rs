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
        /// Whose it was at the provider, if known.
        user: Option<String>,
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

    /// The job to try again after a failed attempt, and when. A revocation is given up two days
    /// after its first attempt; a recovery never, for it waits for the operator.
    pub fn again(&self, now: UnixSeconds) -> Option<(Self, UnixSeconds)> {
        const WAITS: [i64; 7] = [10, 60, 600, 3600, 6 * 3600, 12 * 3600, 24 * 3600];
        let mut next = self.clone();
        match &mut next {
            Self::Recover { .. } => Some((next, now + RECOVER_AGAIN)),
            Self::Revoke { attempt, .. } => {
                let wait = WAITS.get(usize::try_from(*attempt).ok()?)?;
                *attempt += 1;
                Some((next, now + wait))
            }
        }
    }

    /// Whether the job would harm the grant that this provider user just gave again: at several
    /// providers a revocation takes all grants of the user, the new one too.
    pub fn is_against(&self, connected: Option<&str>) -> bool {
        matches!(self, Self::Revoke { user, .. } if user.as_deref() == connected)
    }
}

/// How long after a refresh began an unsettled one is taken up again, in seconds: longer than a
/// provider may take to answer.
pub const RECOVER_AFTER: i64 = 30;

/// How long until that is tried again where it was not possible, such as for want of a key.
const RECOVER_AGAIN: i64 = 300;
