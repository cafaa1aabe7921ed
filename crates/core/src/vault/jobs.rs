// SPDX-License-Identifier: Apache-2.0
//! Work that outlives a request: `jobs(due, kind, payload)`, and one alarm for the earliest.

use serde::{Deserialize, Serialize};

use super::record;
use vault_base::ids::AccountId;
use vault_base::time::UnixSeconds;
use vault_provider::connection::Connection;
use vault_provider::registration::Registration;

/// A job. Handlers are idempotent: alarms run at least once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "Members")]
pub enum Job {
    /// Finish a refresh that is not settled: its object stopped, or its answer was lost or unclear.
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
        /// The registration it came from, and the only one it is sent to; the account's row is gone.
        #[serde(skip_serializing_if = "Option::is_none")]
        registration: Option<Registration>,
        /// Since when the configuration has had another registration.
        #[serde(skip_serializing_if = "Option::is_none")]
        waits_since: Option<UnixSeconds>,
    },
    /// Let the registry know that this vault rests on an account at the provider.
    #[serde(rename = "hold")]
    AddReference {
        /// The provider's id of the user.
        user: String,
        /// The registration of its grant; without, today's.
        #[serde(skip_serializing_if = "Option::is_none")]
        registration: Option<Registration>,
    },
    /// Ask the registry whether grants that do not tell their registration were connected under today's.
    Bind {
        /// Whose.
        account: AccountId,
        /// Attempts so far.
        attempt: u32,
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
    registration: Option<Registration>,
    waits_since: Option<UnixSeconds>,
}

impl TryFrom<Members> for Job {
    type Error = &'static str;

    fn try_from(members: Members) -> Result<Self, Self::Error> {
        job(members).ok_or("no job of this kind has these members")
    }
}

fn job(members: Members) -> Option<Job> {
    let Members { kind, account, generation, token_kind, field, envelope, attempt, .. } = members;
    let Members { user, doubtful, registration, waits_since, .. } = members;
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
            registration,
            waits_since,
        },
        "hold" => Job::AddReference { user: user?, registration },
        "bind" => Job::Bind { account: account?, attempt: attempt? },
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
            Self::AddReference { .. } => "hold",
            Self::Bind { .. } => "bind",
        }
    }

    /// The job to try again after a failed attempt, and when. A revocation is given up two days
    /// after its first attempt, the question about a registration after a month; the others never.
    pub fn again(&self, now: UnixSeconds) -> Option<(Self, UnixSeconds)> {
        const WAITS: [i64; 7] = [10, 60, 600, 3600, 6 * 3600, 12 * 3600, 24 * 3600];
        let mut next = self.clone();
        match &mut next {
            Self::Recover { .. } | Self::AddReference { .. } => Some((next, now + AGAIN)),
            Self::Bind { attempt, .. } => {
                *attempt += 1;
                (*attempt < BIND_ATTEMPTS).then_some((next, now + BIND_AGAIN))
            }
            Self::Revoke { attempt, .. } => {
                let wait = WAITS.get(usize::try_from(*attempt).ok()?)?;
                *attempt += 1;
                Some((next, now + wait))
            }
        }
    }

    /// Whether it must wait: it belongs to a registration that the configuration does not have.
    /// `connection`: what stands under the connection's name, if anything.
    pub fn must_wait(&self, connection: Option<&Connection>) -> bool {
        let Self::Revoke { registration: Some(of), .. } = self else {
            return false;
        };
        !connection.is_some_and(|connection| connection.accepts(Some(of)))
    }

    /// The job as it goes on waiting, and when it is looked at again: soon at first, since a wrong
    /// deployment is put right soon or not. That is no attempt. `None` after 30 days.
    pub fn waiting(&self, now: UnixSeconds) -> Option<(Self, UnixSeconds)> {
        let mut next = self.clone();
        let Self::Revoke { waits_since, .. } = &mut next else {
            return None;
        };
        let waited = now.saturating_sub(*waits_since.get_or_insert(now)).max(0);
        let wait = waited.clamp(FIRST_WAIT, LONGEST_WAIT);
        (waited < WAITS_AT_MOST).then_some((next, now + wait))
    }

    /// Whether it takes up a refresh of this grant.
    pub fn recovers(&self, of: &AccountId, of_kind: &str) -> bool {
        matches!(self, Self::Recover { account, token_kind, .. } if account == of && token_kind == of_kind)
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
    /// token again. That of a token we made takes no grant, nor one at another registration.
    pub fn is_against(&self, connected: Option<&str>, connection: &Connection) -> bool {
        let Self::Revoke { user, field, registration, .. } = self else {
            return false;
        };
        connection.made(record::kind_of(field)).is_none()
            && user.as_deref() == connected
            && connection.accepts(registration.as_ref())
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

/// How long after a refresh was sent an unsettled one is taken up, in seconds, where no shorter time is
/// known.
pub const RECOVER_AFTER: i64 = 30;

/// How long after a refresh was sent an unsettled one is taken up, in seconds: within half of the time
/// for which the provider takes a rotated token once more, where that is known. A flight that is still
/// waiting then is joined, not doubled.
pub fn recover_after(rotation_leeway: Option<i64>) -> i64 {
    match rotation_leeway {
        Some(grace) if grace > 0 => (grace / 2).clamp(1, RECOVER_AFTER),
        _ => RECOVER_AFTER,
    }
}

/// When a job that waits for its registration is looked at again, in seconds: as long as it has waited,
/// within these.
const FIRST_WAIT: i64 = 10;
const LONGEST_WAIT: i64 = 3600;
/// After this it ends, in seconds: 30 days.
const WAITS_AT_MOST: i64 = 30 * 86_400;

/// How often the registry is asked about a registration, and how many seconds apart.
const BIND_ATTEMPTS: u32 = 30;
const BIND_AGAIN: i64 = 86_400;

/// How long until what must be done is tried again where it was not possible, such as for want of a
/// key.
const AGAIN: i64 = 300;

/// How long the registry may take before it is told again, in seconds: of a new account, or of one
/// whose deletion came to nothing.
pub const HOLD_AGAIN: i64 = 60;
