// SPDX-License-Identifier: Apache-2.0
//! Jobs: work that outlives a request. They are rows of the table `jobs`; the object's alarm is set to the
//! earliest due time.

use serde::{Deserialize, Serialize};

use super::record;
use vault_base::ids::AccountId;
use vault_base::time::UnixSeconds;
use vault_provider::connection::Connection;
use vault_provider::registration::Registration;

/// A job. Its handler must be idempotent, because the platform runs alarms at least once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "Members")]
pub enum Job {
    /// Finish an unsettled refresh: the object stopped during it, or the response was lost or unclear.
    Recover {
        /// The account that the grant belongs to.
        account: AccountId,
        /// The generation of the grant that was being renewed.
        generation: u64,
        /// The grant's kind; empty for the account's own grant.
        #[serde(skip_serializing_if = "String::is_empty")]
        token_kind: String,
    },
    /// Revoke a token at the provider that is deleted here, with its account or alone.
    Revoke {
        /// The account that the token belonged to. Its row may be deleted.
        account: AccountId,
        /// The field that the token is sealed for ([`record::field`]).
        field: String,
        /// The generation that the token is sealed with.
        generation: u64,
        /// The sealed token in base64url.
        envelope: String,
        /// The number of attempts so far.
        attempt: u32,
        /// The provider's id of the user, if known.
        user: Option<String>,
        /// Whether a response with the next refresh token may have been lost. If so, the provider's
        /// rejection of this refresh token does not prove that the grant has ended.
        #[serde(skip_serializing_if = "is_false")]
        doubtful: bool,
        /// The registration that issued the token; the token is sent to no other.
        #[serde(skip_serializing_if = "Option::is_none")]
        registration: Option<Registration>,
        /// When the job began to wait because the configuration has another registration.
        #[serde(skip_serializing_if = "Option::is_none")]
        waits_since: Option<UnixSeconds>,
    },
    /// Add this vault to the registry as a holder of an account at the provider.
    #[serde(rename = "hold")]
    AddReference {
        /// The provider's id of the user.
        user: String,
        /// The registration that the grant came from; `None` for the connection's present one.
        #[serde(skip_serializing_if = "Option::is_none")]
        registration: Option<Registration>,
    },
    /// Ask the registry whether grants that name no registration were connected under the present one.
    Bind {
        /// The account that the grants belong to.
        account: AccountId,
        /// The number of attempts so far.
        attempt: u32,
    },
}

/// The members of all variants of [`Job`]. Jobs are deserialized through this type, because the code that
/// serde derives for an internally tagged enum buffers the members and needs a second deserializer.
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
    /// The text of the column `jobs.kind`, which is also the member `kind` of the payload.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Recover { .. } => "recover",
            Self::Revoke { .. } => "revoke",
            Self::AddReference { .. } => "hold",
            Self::Bind { .. } => "bind",
        }
    }

    /// The job for the next attempt after a failed one, and its due time. `None` if the job is given up:
    /// [`Job::Revoke`] about two days after the first attempt, [`Job::Bind`] after 30 daily attempts, the
    /// other jobs never.
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

    /// Whether the job must wait because its token belongs to a registration that the configuration does not
    /// have. `connection` is the configured connection of this name, if there is one.
    pub fn must_wait(&self, connection: Option<&Connection>) -> bool {
        let Self::Revoke { registration: Some(registration), .. } = self else {
            return false;
        };
        !connection.is_some_and(|connection| connection.accepts(Some(registration)))
    }

    /// The waiting job with its next due time. The first checks follow soon after each other, because a
    /// wrong deployment is usually corrected soon. Waiting does not count as an attempt. `None` after 30
    /// days, and for jobs other than [`Job::Revoke`].
    pub fn waiting(&self, now: UnixSeconds) -> Option<(Self, UnixSeconds)> {
        let mut next = self.clone();
        let Self::Revoke { waits_since, .. } = &mut next else {
            return None;
        };
        let waited = now.saturating_sub(*waits_since.get_or_insert(now)).max(0);
        let wait = waited.clamp(FIRST_WAIT, LONGEST_WAIT);
        (waited < WAITS_AT_MOST).then_some((next, now + wait))
    }

    /// Whether this is the follow-up ([`Job::Recover`]) of this account's grant of this kind.
    pub fn recovers(&self, id: &AccountId, kind: &str) -> bool {
        matches!(self, Self::Recover { account, token_kind, .. } if account == id && token_kind == kind)
    }

    /// The same revocation for the token's successor, a sealed token in base64url.
    #[must_use]
    pub fn with(&self, successor: String) -> Self {
        let mut job = self.clone();
        if let Self::Revoke { envelope, .. } = &mut job {
            *envelope = successor;
        }
        job
    }

    /// Whether the job could revoke the new grant of a user who has just connected again. At several
    /// providers a revocation ends all grants of the user, and some providers issue the same token again.
    /// The revocation of a token that the vault issued ends no grant, nor does one at another registration.
    /// `connected` is the provider's id of the user who connected.
    pub fn is_against(&self, connected: Option<&str>, connection: &Connection) -> bool {
        let Self::Revoke { user, field, registration, .. } = self else {
            return false;
        };
        connection.made(record::kind_of(field)).is_none()
            && user.as_deref() == connected
            && connection.accepts(registration.as_ref())
    }
}

/// The index of the job to run now, or `None` if none is due. `jobs` are sorted by due time. A due
/// [`Job::Recover`] goes before other jobs, because the provider may accept a rotated refresh token only for
/// a short time.
pub fn next(jobs: &[(i64, UnixSeconds, Job)], now: UnixSeconds) -> Option<usize> {
    let mut due = jobs.iter().enumerate().filter(|(_, (_, due, _))| *due <= now);
    let first = due.next()?;
    let is_recovery =
        |(_, (_, _, job)): &(usize, &(i64, UnixSeconds, Job))| matches!(job, Job::Recover { .. });
    let chosen = if is_recovery(&first) { first } else { due.find(is_recovery).unwrap_or(first) };
    Some(chosen.0)
}

/// Seconds between the deletion of an account and the job that repeats a revocation which the deletion tried
/// at once but did not finish. It exceeds the time that two responses may take.
pub const REVOKE_AFTER: i64 = 20;

/// The longest time, in seconds, between sending a refresh and the follow-up of one that is not settled.
pub const RECOVER_AFTER: i64 = 30;

/// Seconds between sending a refresh and the follow-up of one that is not settled: half of the rotation
/// leeway where that is known, and at most [`RECOVER_AFTER`]. A follow-up that is due while the flight still
/// waits joins that flight and sends no second request.
pub fn recover_after(rotation_leeway: Option<i64>) -> i64 {
    match rotation_leeway {
        Some(leeway) if leeway > 0 => (leeway / 2).clamp(1, RECOVER_AFTER),
        _ => RECOVER_AFTER,
    }
}

/// A job that waits for its registration is checked again after as many seconds as it has waited so far,
/// within these limits.
const FIRST_WAIT: i64 = 10;
const LONGEST_WAIT: i64 = 3600;
/// Seconds after which a job that waits for its registration is given up: 30 days.
const WAITS_AT_MOST: i64 = 30 * 86_400;

/// The number of times that the registry is asked about a registration, and the seconds in between.
const BIND_ATTEMPTS: u32 = 30;
const BIND_AGAIN: i64 = 86_400;

/// Seconds until the next attempt of a job that cannot run now, for example because a sealing key is
/// missing.
const AGAIN: i64 = 300;

/// Seconds after which a job adds this vault to the registry, if the request's own call may have failed: for
/// a new account, or for an account whose registry entry was removed for a deletion that then failed.
pub const HOLD_AGAIN: i64 = 60;
