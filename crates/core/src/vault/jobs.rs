// SPDX-License-Identifier: Apache-2.0
//! Jobs: work that outlives a request. Stored as `jobs(due, kind, payload)`, with one alarm for the
//! earliest.

use serde::{Deserialize, Serialize};

use super::record;
use vault_base::ids::AccountId;
use vault_base::time::UnixSeconds;
use vault_provider::connection::Connection;
use vault_provider::registration::Registration;

/// A job. Handlers are idempotent, because alarms run at least once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "Members")]
pub enum Job {
    /// Settle a refresh whose object stopped, or whose response was lost or unclear.
    Recover {
        /// The account.
        account: AccountId,
        /// The generation that was being renewed.
        generation: u64,
        /// The grant's kind; empty for the account's own.
        #[serde(skip_serializing_if = "String::is_empty")]
        token_kind: String,
    },
    /// Revoke a token at the provider after its account was deleted here.
    Revoke {
        /// The deleted account.
        account: AccountId,
        /// The field it was sealed as: `refresh_token` or `access_token`, then a space and the kind
        /// if it has one.
        field: String,
        /// The generation it was sealed with.
        generation: u64,
        /// The envelope, in base64url.
        envelope: String,
        /// Number of attempts so far.
        attempt: u32,
        /// The provider's id of the user, if known.
        user: Option<String>,
        /// Whether a response with the next refresh token may have been lost. Then a refusal of
        /// this token does not prove that the grant has ended.
        #[serde(skip_serializing_if = "is_false")]
        doubtful: bool,
        /// The registration of the token, and the only one it is sent to. The account's row no
        /// longer exists.
        #[serde(skip_serializing_if = "Option::is_none")]
        registration: Option<Registration>,
        /// When the configuration was first found to have another registration, Unix seconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        waits_since: Option<UnixSeconds>,
    },
    /// Tell the registry that this vault depends on an account at the provider.
    #[serde(rename = "hold")]
    AddReference {
        /// The provider's id of the user.
        user: String,
        /// The registration of the grant; `None` is the configured one.
        #[serde(skip_serializing_if = "Option::is_none")]
        registration: Option<Registration>,
    },
    /// Ask the registry whether grants without a registration were connected under the configured
    /// one.
    Bind {
        /// The account.
        account: AccountId,
        /// Number of attempts so far.
        attempt: u32,
    },
    /// Refresh a grant in time that its provider would end because nobody uses it.
    KeepAlive {
        /// The account.
        account: AccountId,
        /// The grant's kind; empty for the account's own.
        #[serde(skip_serializing_if = "String::is_empty")]
        token_kind: String,
    },
}

/// The members of any [`Job`], read in one pass: serde reads a tagged enum twice, with code of its
/// own for the intermediate form.
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
        "keep_alive" => Job::KeepAlive { account: account?, token_kind },
        _ => return None,
    })
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Job {
    /// The value of the column `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Recover { .. } => "recover",
            Self::Revoke { .. } => "revoke",
            Self::AddReference { .. } => "hold",
            Self::Bind { .. } => "bind",
            Self::KeepAlive { .. } => "keep_alive",
        }
    }

    /// The job after a failed attempt, and when it is due. A revocation is given up two days after
    /// its first attempt, the question about a registration after a month; other jobs never.
    pub fn again(&self, now: UnixSeconds) -> Option<(Self, UnixSeconds)> {
        const WAITS: [i64; 7] = [10, 60, 600, 3600, 6 * 3600, 12 * 3600, 24 * 3600];
        let mut next = self.clone();
        match &mut next {
            Self::Recover { .. } | Self::AddReference { .. } => Some((next, now + AGAIN)),
            // Its next time follows from the grant ([`super::keep_alive`]).
            Self::KeepAlive { .. } => None,
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

    /// Whether the job must wait because the configuration lacks its registration. `connection` is
    /// the configured connection of that name, if any.
    pub fn must_wait(&self, connection: Option<&Connection>) -> bool {
        let Self::Revoke { registration: Some(of), .. } = self else {
            return false;
        };
        !connection.is_some_and(|connection| connection.accepts(Some(of)))
    }

    /// The waiting job, and when it is looked at again. The intervals grow from seconds, because a
    /// wrong deployment is corrected soon or not at all. Waiting counts as no attempt. `None` after
    /// 30 days.
    pub fn waiting(&self, now: UnixSeconds) -> Option<(Self, UnixSeconds)> {
        let mut next = self.clone();
        let Self::Revoke { waits_since, .. } = &mut next else {
            return None;
        };
        let waited = now.saturating_sub(*waits_since.get_or_insert(now)).max(0);
        let wait = waited.clamp(FIRST_WAIT, LONGEST_WAIT);
        (waited < WAITS_AT_MOST).then_some((next, now + wait))
    }

    /// Whether the job settles a refresh of this grant.
    pub fn recovers(&self, of: &AccountId, of_kind: &str) -> bool {
        matches!(self, Self::Recover { account, token_kind, .. } if account == of && token_kind == of_kind)
    }

    /// Whether the job keeps this grant alive.
    pub fn keeps_alive(&self, of: &AccountId, of_kind: &str) -> bool {
        matches!(self, Self::KeepAlive { account, token_kind } if account == of && token_kind == of_kind)
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

    /// Whether the job would harm the grant that this provider user has just given again: at
    /// several providers a revocation ends all grants of the user, the new one too, and some
    /// providers issue the same token again. A revocation of a token that the vault requested with
    /// its key ends no grant, nor does one at another registration.
    pub fn is_against(&self, connected: Option<&str>, connection: &Connection) -> bool {
        let Self::Revoke { user, field, registration, .. } = self else {
            return false;
        };
        connection.made(record::kind_of(field)).is_none()
            && user.as_deref() == connected
            && connection.accepts(registration.as_ref())
    }
}

/// The index of the job to run now. A refresh comes before everything else, because the provider
/// may accept the old token for a short time only.
pub fn next(jobs: &[(i64, UnixSeconds, Job)], now: UnixSeconds) -> Option<usize> {
    let mut due = jobs.iter().enumerate().filter(|(_, (_, due, _))| *due <= now);
    let first = due.next()?;
    let is_recovery =
        |(_, (_, _, job)): &(usize, &(i64, UnixSeconds, Job))| matches!(job, Job::Recover { .. });
    let chosen = if is_recovery(&first) { first } else { due.find(is_recovery).unwrap_or(first) };
    Some(chosen.0)
}

/// Seconds after a deletion at which a revocation is tried again that was tried at once and did not
/// finish: longer than two responses may take.
pub const REVOKE_AFTER: i64 = 20;

/// Seconds after a refresh was sent at which an unsettled one is taken up, where no shorter time is
/// known: a third of the shortest rotation leeway that is common.
pub const RECOVER_AFTER: i64 = 10;

/// Seconds after a refresh was sent at which an unsettled one is taken up: within half of the
/// rotation leeway, where that is known. A flight that still waits then is joined and not doubled.
pub fn recover_after(rotation_leeway: Option<i64>) -> i64 {
    match rotation_leeway {
        Some(grace) if grace > 0 => (grace / 2).clamp(1, RECOVER_AFTER),
        _ => RECOVER_AFTER,
    }
}

/// Bounds of the interval at which a waiting job is looked at again, in seconds. Within them the
/// interval equals the time waited so far.
const FIRST_WAIT: i64 = 10;
const LONGEST_WAIT: i64 = 3600;
/// Longest time that a job waits for its registration, in seconds: 30 days.
const WAITS_AT_MOST: i64 = 30 * 86_400;

/// How often the registry is asked about a registration, and the interval in seconds.
const BIND_ATTEMPTS: u32 = 30;
const BIND_AGAIN: i64 = 86_400;

/// Seconds until a job is tried again that could not run, for example because a key was missing.
const AGAIN: i64 = 300;

/// Seconds until the registry is told again about a new account, or about one whose deletion
/// failed.
pub const HOLD_AGAIN: i64 = 60;
