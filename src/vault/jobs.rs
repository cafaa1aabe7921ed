//! Work that outlives a request: `jobs(due, kind, payload)`, and one alarm for the earliest.

use serde::{Deserialize, Serialize};

use super::record;
use crate::config::Connection;
use crate::ids::AccountId;
use crate::time::UnixSeconds;

/// A job. Handlers are idempotent: alarms run at least once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "Members")]
pub enum Job {
    /// Finish a refresh whose object stopped before its answer was settled.
    Recover {
        /// Whose.
        account: AccountId,
        /// The generation that was being renewed.
        generation: u64,
        /// The grant's kind; empty for the account's own.
        #[serde(skip_serializing_if = "String::is_empty")]
        token_kind: String,
    },
    /// Revoke a token at the provider after its account was deleted here.
    Revoke {
        /// Whose it was.
        account: AccountId,
        /// What it was sealed as: `refresh_token` or `access_token`, and its kind.
        field: String,
        /// The generation it was sealed with.
        generation: u64,
        /// The sealed token, base64url.
        envelope: String,
        /// Attempts so far.
        attempt: u32,
        /// Whose it was at the provider, if known.
        user: Option<String>,
        /// Whether an answer with the next refresh token may have been lost: then the provider's
        /// refusal of this one does not say that there is no grant.
        #[serde(skip_serializing_if = "is_false")]
        doubtful: bool,
    },
    /// Let the registry know that this vault rests on an account at the provider.
    Hold {
        /// The provider's id of the user.
        user: String,
    },
}

/// The members of any [`Job`], to be read at once: a tagged enum is read twice, with a reader of its own
/// for what is in between.
#[derive(Deserialize)]
struct Members {
    kind: String,
    account: Option<AccountId>,
    generation: Option<u64>,
    #[serde(default)]
    token_kind: String,
    field: Option<String>,
    envelope: Option<String>,
    attempt: Option<u32>,
    user: Option<String>,
    #[serde(default)]
    doubtful: bool,
}

impl TryFrom<Members> for Job {
    type Error = &'static str;

    fn try_from(members: Members) -> Result<Self, Self::Error> {
        job(members).ok_or("no job of this kind has these members")
    }
}

fn job(members: Members) -> Option<Job> {
    let Members { kind, account, generation, token_kind, field, envelope, attempt, user, doubtful } =
        members;
    Some(match kind.as_str() {
        "recover" => Job::Recover { account: account?, generation: generation?, token_kind },
        "revoke" => Job::Revoke {
            account: account?,
            field: field?,
            generation: generation?,
            envelope: envelope?,
            attempt: attempt?,
            user,
            doubtful,
        },
        "hold" => Job::Hold { user: user? },
        _ => return None,
    })
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Job {
    /// The column `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Recover { .. } => "recover",
            Self::Revoke { .. } => "revoke",
            Self::Hold { .. } => "hold",
        }
    }

    /// The job to try again after a failed attempt, and when. A revocation is given up two days
    /// after its first attempt; the others never.
    pub fn again(&self, now: UnixSeconds) -> Option<(Self, UnixSeconds)> {
        const WAITS: [i64; 7] = [10, 60, 600, 3600, 6 * 3600, 12 * 3600, 24 * 3600];
        let mut next = self.clone();
        match &mut next {
            Self::Recover { .. } | Self::Hold { .. } => Some((next, now + AGAIN)),
            Self::Revoke { attempt, .. } => {
                let wait = WAITS.get(usize::try_from(*attempt).ok()?)?;
                *attempt += 1;
                Some((next, now + wait))
            }
        }
    }

    /// The same revocation for the token's successor.
    #[must_use]
    pub fn with(&self, successor: String) -> Self {
        let mut job = self.clone();
        if let Self::Revoke { envelope, .. } = &mut job {
            *envelope = successor;
        }
        job
    }

    /// Whether the job would harm the grant that this provider user just gave again: at several
    /// providers a revocation takes all grants of the user, the new one too, and some give the same
    /// token again. That of a token we made takes no grant.
    pub fn is_against(&self, connected: Option<&str>, connection: &Connection) -> bool {
        let Self::Revoke { user, field, .. } = self else {
            return false;
        };
        connection.made(record::kind_of(field)).is_none() && user.as_deref() == connected
    }
}

/// The place of the job to do now among those with when they are due. A refresh to be taken up goes
/// first: the provider may take the old token for a short time only.
pub fn next(jobs: &[(i64, UnixSeconds, Job)], now: UnixSeconds) -> Option<usize> {
    let mut due = jobs.iter().enumerate().filter(|(_, (_, due, _))| *due <= now);
    let first = due.next()?;
    let is_recovery =
        |(_, (_, _, job)): &(usize, &(i64, UnixSeconds, Job))| matches!(job, Job::Recover { .. });
    let chosen = if is_recovery(&first) { first } else { due.find(is_recovery).unwrap_or(first) };
    Some(chosen.0)
}

/// How long after its account was deleted a revocation that was tried at once and came to no end is
/// tried again, in seconds: longer than two answers may take.
pub const REVOKE_AFTER: i64 = 20;

/// The longest that an unsettled refresh waits to be taken up, in seconds.
pub const RECOVER_AFTER: i64 = 30;

/// How long after a refresh began an unsettled one is taken up again, in seconds: longer than a
/// provider may take to answer, and within the time for which it takes a rotated token once more,
/// where that is known.
pub fn recover_after(reuse_grace: Option<i64>) -> i64 {
    const SHORTEST: i64 = 12;
    match reuse_grace {
        Some(grace) if grace > 0 => (grace / 2).clamp(SHORTEST, RECOVER_AFTER),
        _ => RECOVER_AFTER,
    }
}

/// How long until what must be done is tried again where it was not possible, such as for want of a
/// key.
const AGAIN: i64 = 300;

/// How long the registry may take before it is told again, in seconds: of a new account, or of one
/// whose deletion came to nothing.
pub const HOLD_AGAIN: i64 = 60;
