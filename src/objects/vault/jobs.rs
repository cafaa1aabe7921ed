// SPDX-License-Identifier: Apache-2.0
//! Runs a vault's jobs, and sets its one alarm.

use std::rc::Rc;
use std::time::Duration;

use crate::ids::AccountId;
use crate::objects::vault::renew::Waited;
use crate::objects::vault::{Inner, Open};
use crate::runtime::clock;
use crate::runtime::object_call::ObjectError;
use crate::time::UnixSeconds;
use crate::vault::holders::AtProvider;
use crate::vault::jobs::{self, Job};
use crate::vault::keep_alive::{self, KeepAliveStep};
use crate::vault::lifetime::{Alarm, StandingAlarm};
use crate::vault::plan::Write;
use crate::vault::record::Selector;
use crate::vault::revoke::HoldersCheck;
use crate::vault::{follow_up, refresh, release};

/// Maximum number of jobs that one alarm runs.
const JOBS_AT_ONCE: usize = 20;

impl Inner {
    /// Sets the alarm to the time at which something is due, or deletes it if nothing is.
    pub(super) async fn schedule(&self) -> Result<(), ObjectError> {
        let (storage, now) = (&self.storage, clock::now());
        let next = self.next_alarm(now)?;
        self.store.take_stale_alarm();
        let due = match next {
            Alarm::Never => {
                self.alarm.take();
                return storage.delete_alarm().await;
            }
            Alarm::At(due) => due,
            Alarm::ToDelete => now,
        };
        if self.alarm.get().serves(due, now) {
            return Ok(());
        }
        // At once, because others may set the alarm or delete it while this waits.
        self.alarm.set(StandingAlarm::set(due, now));
        // In local development, an alarm that is set to the present moment from within an alarm is lost.
        let wait = (due - now).max(0).unsigned_abs();
        let done = storage.set_alarm(Duration::from_millis(wait * 1000 + 50)).await;
        if done.is_err() {
            self.alarm.take();
        }
        done
    }

    fn next_alarm(&self, now: UnixSeconds) -> Result<Alarm, ObjectError> {
        let is_working = self.answering.get() > 0 || !self.flights.is_empty();
        Ok(self.store.stored()?.map_or(Alarm::Never, |stored| stored.alarm(is_working, now)))
    }

    /// Deletes all that is stored and remembered. A later plan creates the tables anew.
    async fn delete_all(&self) -> Result<(), ObjectError> {
        self.home.take();
        self.held.take();
        self.store.forget();
        self.alarm.take();
        self.storage.delete_all().await
    }

    /// Runs the jobs that are due. A job that is not done does not stop the others: it is stored anew, with a
    /// later due time. If nothing is left that is of use, deletes all that is stored.
    pub(super) async fn run_jobs(self: Rc<Self>) -> Result<(), ObjectError> {
        let store = &self.store;
        self.alarm.take();
        let Some((user, connection)) = store.owner()? else {
            return Ok(());
        };
        let open = self.open(user, connection)?;
        let now = clock::now();
        if let Ok(contents) = store.contents() {
            open.apply(follow_up::into_jobs(&contents, &store.jobs()?, now))?;
        }
        for _ in 0..JOBS_AT_ONCE {
            // Read each time: while one job runs, a reconnect may remove others.
            let all = store.jobs()?;
            let next = jobs::next(&all, now).and_then(|next| all.get(next));
            let Some(&(id, _, ref job)) = next else {
                break;
            };
            let done = match job {
                Job::Recover { account, generation, token_kind } => {
                    self.recover(&open, account, token_kind, *generation).await
                }
                Job::AddReference { user, registration } => {
                    let registration = registration.as_ref();
                    self.hold(&open, AtProvider { user: Some(user), registration }).await
                }
                Job::Bind { account, .. } => self.bind(&open, account).await,
                Job::KeepAlive { account, token_kind } => {
                    let due = self.keep_alive(&open, account, token_kind).await?;
                    let again = due.map(|due| Write::AddJob { job: job.clone(), due });
                    open.apply(vec![Write::EndJob(id)].into_iter().chain(again).collect())?;
                    continue;
                }
                Job::Revoke { .. } => {
                    self.run_revocation(&open, id, job, HoldersCheck::Before, now).await?;
                    continue;
                }
            };
            let mut writes = vec![Write::EndJob(id)];
            if let (false, Some((job, due))) = (done, job.again(now)) {
                writes.push(Write::AddJob { job, due });
            }
            open.apply(writes)?;
        }
        match self.next_alarm(clock::now())? {
            Alarm::ToDelete => self.delete_all().await,
            _ => self.schedule().await,
        }
    }

    /// Refreshes a grant that its provider would end otherwise, if it is time to. Returns when to look again;
    /// `None` if there is nothing to keep alive any more.
    async fn keep_alive(
        self: &Rc<Self>,
        open: &Open,
        account: &AccountId,
        kind: &str,
    ) -> Result<Option<UnixSeconds>, ObjectError> {
        let look = || -> Result<KeepAliveStep, ObjectError> {
            let contents = open.store.contents()?;
            let connection = open.connection().ok();
            Ok(keep_alive::look(&contents, connection, account, kind, clock::now()))
        };
        if let KeepAliveStep::Refresh { .. } = look()? {
            let selector = Selector::new(kind, "", &[]);
            // What prevents it now, such as a missing key, may have passed at the next attempt.
            self.refresh(open, account, selector).await.ok();
        }
        Ok(look()?.due())
    }

    /// Follows up on a refresh that was not settled because the object was stopped or the response was lost
    /// or unclear. Returns `false` if the job must try again later.
    async fn recover(
        self: &Rc<Self>,
        open: &Open,
        account: &AccountId,
        kind: &str,
        generation: u64,
    ) -> bool {
        let Ok(contents) = open.store.contents() else {
            return false;
        };
        let grant = contents.grant(account, kind);
        let intent = grant.and_then(|sealed| sealed.record.intent.clone());
        let Some(intent) = intent.filter(|intent| intent.generation == generation) else {
            return true;
        };
        let selector = Selector::new(kind, "", &[]);
        let done = match self.refresh(open, account, selector).await {
            // A grant of another registration waits until that registration is configured again.
            Ok(Waited::Stopped(problem)) => problem != release::registration_changed(),
            waited => waited.is_ok(),
        };
        done || refresh::is_given_up(&intent, clock::now())
    }
}
