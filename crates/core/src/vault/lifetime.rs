// SPDX-License-Identifier: Apache-2.0
//! How long a vault's storage lasts. A vault without accounts keeps what its jobs need, and what tells that
//! the tokens of a connect were stored before. After that, the object deletes all that it stores.

use vault_base::time::UnixSeconds;

use super::jobs::RECOVER_AFTER;

/// Seconds for which the tokens of a connect may arrive again after they were stored. An application may
/// repeat `complete` for ten minutes; the rest is for the duration of the last one, and for clocks that differ.
/// Without the row of `redemption`, the tokens would bring an account back that was deleted meanwhile.
pub const REPEATABLE: i64 = 660;

/// Seconds until the object looks again, if other work of it has not ended.
const LOOK_AGAIN: i64 = 600;

/// What a vault's tables have, besides their owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Whether there is an account.
    pub has_accounts: bool,
    /// Whether there is a job, perhaps one that only a later version can parse.
    pub has_jobs: bool,
    /// When the earliest job or follow-up ([`super::follow_up`]) is due, Unix seconds; `None` if this version
    /// can parse none.
    pub next_job: Option<UnixSeconds>,
    /// When tokens of a connect were last stored, Unix seconds, if that is remembered.
    pub last_redemption: Option<UnixSeconds>,
}

/// When the object's alarm runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// At this time, Unix seconds.
    At(UnixSeconds),
    /// Never: nothing is due.
    Never,
    /// At once, because nothing that is stored is of use any more: the alarm deletes it.
    ToDelete,
}

impl Stored {
    /// Decides when the alarm runs. `is_working`: the object is answering requests, or refreshing a grant, and
    /// may still write.
    pub fn alarm(self, is_working: bool, now: UnixSeconds) -> Alarm {
        if let Some(due) = self.next_job {
            return Alarm::At(due);
        }
        if self.has_accounts || self.has_jobs {
            return Alarm::Never;
        }
        let over = self.last_redemption.map_or(now, |at| at + REPEATABLE);
        if is_working {
            Alarm::At(over.max(now + LOOK_AGAIN))
        } else if over > now {
            Alarm::At(over)
        } else {
            Alarm::ToDelete
        }
    }
}

/// An alarm that the object knows to be set. Each one that is set costs as much as a row that is written.
///
/// Only an alarm that was to run within seconds is remembered: a far one may run at another time than the clock
/// says, if the clock was set meanwhile.
#[derive(Debug, Clone, Copy, Default)]
pub struct StandingAlarm(Option<UnixSeconds>);

/// Seconds. It is the time after which a refresh is followed up.
const SOON: i64 = RECOVER_AFTER;

impl StandingAlarm {
    /// The alarm that is set for `due` at `now`, Unix seconds.
    pub fn set(due: UnixSeconds, now: UnixSeconds) -> Self {
        Self(Some(due).filter(|due| due.saturating_sub(now) <= SOON))
    }

    /// Whether what is due at `due` needs no other alarm: this one runs at that time, or seconds before, and
    /// then looks again. Mostly another refresh has ended by then, and it need not.
    pub fn serves(self, due: UnixSeconds, now: UnixSeconds) -> bool {
        self.0.is_some_and(|at| at > now && (at..=at.saturating_add(SOON)).contains(&due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::schema;

    const NOW: i64 = 1_000_000;
    const NOTHING: Stored =
        Stored { has_accounts: false, has_jobs: false, next_job: None, last_redemption: None };

    #[test]
    fn a_vault_is_deleted_once_nothing_needs_what_it_stores() {
        let stored_ago = |ago: i64| Stored { last_redemption: Some(NOW - ago), ..NOTHING };
        let job = Stored { has_jobs: true, next_job: Some(NOW + 7), ..stored_ago(REPEATABLE) };
        for (stored, is_working, alarm) in [
            (NOTHING, false, Alarm::ToDelete),
            (stored_ago(REPEATABLE), false, Alarm::ToDelete),
            // The tokens of a connect may arrive again.
            (stored_ago(REPEATABLE - 1), false, Alarm::At(NOW + 1)),
            (stored_ago(-5), false, Alarm::At(NOW + 5 + REPEATABLE)),
            // Work in progress may write.
            (NOTHING, true, Alarm::At(NOW + LOOK_AGAIN)),
            (stored_ago(0), true, Alarm::At(NOW + REPEATABLE)),
            // A job has tokens to revoke, or something to tell.
            (job, false, Alarm::At(NOW + 7)),
            (Stored { has_jobs: true, ..NOTHING }, false, Alarm::Never),
            // An account stays for ever, and its jobs are run.
            (Stored { has_accounts: true, ..stored_ago(REPEATABLE) }, false, Alarm::Never),
            (Stored { has_accounts: true, ..job }, false, Alarm::At(NOW + 7)),
        ] {
            assert_eq!(stored.alarm(is_working, NOW), alarm, "{stored:?} {is_working}");
        }
    }

    #[test]
    fn an_alarm_is_not_set_where_one_stands_that_runs_then_or_seconds_before() {
        let stands = |at: i64| StandingAlarm::set(NOW + at, NOW);
        for (standing, due, later, serves) in [
            (stands(10), 10, 0, true),
            (stands(10), 13, 3, true),
            (stands(10), 20, 3, true),
            // It would run for nothing long before.
            (stands(10), 21, 3, false),
            (stands(10), 86_400, 1, false),
            // What is due earlier needs an earlier one.
            (stands(10), 9, 0, false),
            (stands(10), 0, 0, false),
            // It runs now, or has run.
            (stands(10), 10, 10, false),
            (stands(10), 20, 12, false),
            (stands(0), 0, 0, false),
            // None is known, or it is far away.
            (StandingAlarm::default(), 10, 0, false),
            (stands(11), 11, 0, false),
            (stands(86_400), 86_400, 86_390, false),
        ] {
            assert_eq!(
                standing.serves(NOW + due, NOW + later),
                serves,
                "{standing:?} {due} {later}"
            );
        }
    }

    #[test]
    fn every_table_is_one_whose_rows_count() {
        // The rows of `grant` and `access_token` are deleted with their account; `owner` and `key_stamp` are of
        // no use without one.
        let tables =
            ["owner", "account", "grant", "access_token", "jobs", "redemption", "key_stamp"];
        assert_eq!(schema::CREATE.len(), tables.len());
        for (statement, table) in schema::CREATE.iter().zip(tables) {
            assert!(
                statement.replace('"', "").contains(&format!("EXISTS {table} (")),
                "{statement}"
            );
        }
    }
}
