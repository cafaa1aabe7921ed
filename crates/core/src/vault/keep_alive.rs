// SPDX-License-Identifier: Apache-2.0
//! Keeps grants alive that their provider would end because nobody uses them
//! ([`Connection::keep_alive`]): a job refreshes a grant in time.
//!
//! The job is added when a grant is stored or renewed, and there is one for each grant. It looks at the
//! grant's newest access token, so that the uses in between cost nothing.

use vault_base::encoding;
use vault_base::ids::AccountId;
use vault_base::time::UnixSeconds;
use vault_provider::connection::Connection;

use super::contents::Contents;
use super::jobs::Job;
use super::plan::{Plan, StoredJob, Write};
use super::record::AccessTokenRecord;

/// What a job does with its grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAliveStep {
    /// Nothing, and never again: the grant or the account has ended, the connection keeps no grants
    /// alive, or the provider has not answered for twice the time after which it ends a grant.
    End,
    /// Nothing yet: look again at this time, Unix seconds.
    Wait(UnixSeconds),
    /// Refresh the grant, and look again. If it was not renewed, the next attempt is at `again`, Unix
    /// seconds.
    Refresh {
        /// The time of the next attempt.
        again: UnixSeconds,
    },
}

impl KeepAliveStep {
    /// When to look again, Unix seconds; `None` if the job ends.
    pub fn due(self) -> Option<UnixSeconds> {
        match self {
            Self::End => None,
            Self::Wait(at) | Self::Refresh { again: at } => Some(at),
        }
    }
}

/// Decides about the grant of this kind. `connection` is the connection as configured; `None` if it is
/// not, which may be a mistake, so that the job waits.
pub fn look(
    contents: &Contents,
    connection: Option<&Connection>,
    id: &AccountId,
    kind: &str,
    now: UnixSeconds,
) -> KeepAliveStep {
    const DAY: i64 = 86_400;
    let Some(connection) = connection else {
        return KeepAliveStep::Wait(now + DAY);
    };
    let own = contents.access_tokens(id).filter(|(selector, _)| selector.kind() == kind);
    let newest = own.map(|(_, token)| &token.record).max_by_key(|record| record.issued_at);
    let limit = limit(connection, newest.and_then(AccessTokenRecord::lifetime));
    let (Some(limit), Some(account), Some(sealed)) =
        (limit, contents.account(id), contents.grant(id, kind))
    else {
        return KeepAliveStep::End;
    };
    let grant = &sealed.record;
    if !grant.is_renewable(grant.state_of(kind, account), now) {
        return KeepAliveStep::End;
    }
    // A time in the future is from before the clock was set back.
    let used = newest.map_or(now, |record| record.issued_at.min(now));
    let mut due = used + idle_time(limit, id, kind).max(SHORTEST);
    if connection.refresh_ends_access_token {
        // Others may still hold the token that a refresh would end.
        due = due.max(newest.and_then(|record| record.expires_at).unwrap_or(due));
    }
    if now < due {
        KeepAliveStep::Wait(due)
    } else if now - used < 2 * limit {
        KeepAliveStep::Refresh { again: now + (limit / 8).max(SHORTEST) }
    } else {
        KeepAliveStep::End
    }
}

/// Adds the job of a grant with a refresh token that was just stored or renewed, unless it has one. `lifetime` is
/// that of its new access token in seconds, if known.
pub fn ensure(
    plan: &mut Plan,
    jobs: &[StoredJob],
    connection: &Connection,
    (id, kind): (&AccountId, &str),
    lifetime: Option<i64>,
    now: UnixSeconds,
) {
    let Some(limit) = limit(connection, lifetime) else {
        return;
    };
    if !jobs.iter().any(|(_, _, job)| job.keeps_alive(id, kind)) {
        let job = Job::KeepAlive { account: id.clone(), token_kind: kind.to_owned() };
        plan.add_job(job, now + idle_time(limit, id, kind));
    }
}

/// Ends the jobs of an account that is deleted: nothing else would need what the vault stores for them.
pub fn end(plan: &mut Plan, jobs: &[StoredJob], id: &AccountId) {
    for (number, _, job) in jobs {
        if matches!(job, Job::KeepAlive { account, .. } if account == id) {
            plan.write(Write::EndJob(*number));
        }
    }
}

/// Seconds after which a grant that nobody uses ends, if the vault is to refresh it in time: as configured, or the
/// lifetime of an access token that renews itself, because it cannot be renewed any more when it has expired.
fn limit(connection: &Connection, lifetime: Option<i64>) -> Option<i64> {
    let lifetime = lifetime.filter(|_| connection.renewal.by_access_token);
    connection.keep_alive.into_iter().chain(lifetime).min()
}

/// Shortest time in seconds between two refreshes of a job. A token that renews itself for a shorter time is renewed by
/// its users alone: otherwise a provider that says `expires_in: 1` would be asked without end.
const SHORTEST: i64 = 60;

/// Seconds for which a grant may be idle that its provider ends after `limit` seconds: from half of them
/// to three quarters. They differ from grant to grant, so that those of one day are not all refreshed
/// on one day, and are the same each time.
fn idle_time(limit: i64, id: &AccountId, kind: &str) -> i64 {
    let [high, low, ..] = encoding::sha256(format!("{id} {kind}"));
    limit / 2 + (limit / 4 * i64::from(u16::from_be_bytes([high, low]))) / (1 << 16)
}
