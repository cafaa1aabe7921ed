//! A vault's jobs and its one alarm.

use std::rc::Rc;
use std::time::Duration;

use super::vault::{Inner, Open};
use crate::edge::objects::Trouble;
use crate::edge::outbound::{self, OTHER_TIME};
use crate::edge::{clock, log, providers};
use crate::encoding;
use crate::error::Event;
use crate::ids::AccountId;
use crate::provider::answer::Received;
use crate::provider::request::{self, TokenKind};
use crate::seal::SealError;
use crate::secret::Secret;
use crate::vault::jobs::Job;
use crate::vault::record::Selector;

/// Most jobs that one alarm runs.
const JOBS_AT_ONCE: usize = 20;

impl Inner {
    /// Sets the alarm to the earliest job, or takes it back.
    pub(super) async fn schedule(&self, open: &Open) -> Result<(), Trouble> {
        let storage = self.state.storage();
        match open.store.next_job()? {
            // An alarm set to this very moment from within an alarm is lost locally.
            Some(due) => {
                let wait = (due - clock::now()).max(0).unsigned_abs();
                storage.set_alarm(Duration::from_millis(wait * 1000 + 50)).await?;
            }
            None => storage.delete_alarm().await?,
        }
        Ok(())
    }

    /// Runs what is due. A job that fails is not in the way of the others.
    pub(super) async fn run_jobs(self: Rc<Self>) -> Result<(), Trouble> {
        let store = &self.store;
        let Some((user, connection)) = store.owner()? else {
            return Ok(());
        };
        let open = self.open(user, connection)?;
        let now = clock::now();
        for _ in 0..JOBS_AT_ONCE {
            // Looked up each time: while one runs, a reconnect may take others back.
            let Some((id, _, job)) = store.jobs()?.into_iter().find(|(_, due, _)| *due <= now)
            else {
                break;
            };
            let done = match &job {
                Job::Recover { account, generation } => {
                    self.recover(&open, account, *generation).await
                }
                Job::Revoke { .. } => self.revoke(&open, &job).await,
            };
            let taken_back = !store.end_job(id)?;
            if let (false, false, Some((job, due))) = (done, taken_back, job.again(now)) {
                store.add_job(&job, due)?;
            }
        }
        self.schedule(&open).await
    }

    /// Takes up a refresh whose answer was never settled: the object was stopped in between.
    /// `false`: that was not possible.
    async fn recover(self: &Rc<Self>, open: &Open, account: &AccountId, generation: u64) -> bool {
        let Ok(grant) = open.store.grant(account) else {
            return false;
        };
        let unsettled = grant
            .and_then(|sealed| sealed.record.intent)
            .is_some_and(|intent| intent.generation == generation);
        !unsettled || self.refresh(open, account, Selector::default()).await.is_ok()
    }

    /// Revokes a token. `true`: done, or never possible.
    async fn revoke(&self, open: &Open, job: &Job) -> bool {
        let Job::Revoke { account, field, generation, envelope, .. } = job else {
            return true;
        };
        let opened = encoding::from_base64url(envelope)
            .ok_or(SealError::Corrupt)
            .and_then(|envelope| open.open(account, field, *generation, &envelope));
        let token = match opened {
            Ok(token) => token,
            Err(SealError::KeyUnavailable { .. }) => return false,
            Err(_) => return true,
        };
        let kind = if field == "refresh_token" { TokenKind::Refresh } else { TokenKind::Access };
        let (done, word) = self.revoke_at_provider(open, &token, kind).await;
        log::event(&Event {
            connection: Some(open.home.connection.clone()),
            ..Event::new("revocation", format!("{account} {field}: {word}"))
        });
        done
    }

    async fn revoke_at_provider(
        &self,
        open: &Open,
        token: &Secret,
        kind: TokenKind,
    ) -> (bool, &'static str) {
        let Ok(connection) = open.connection() else {
            return (true, "connection is not configured any more");
        };
        let found = providers::of(&self.env, &open.config, connection, clock::now()).await;
        let Ok(provider) = found else {
            return (false, "provider unavailable");
        };
        let Some(request) = request::revoke(connection, &provider, token, kind) else {
            return (true, "not supported by the provider");
        };
        match outbound::send(&request, OTHER_TIME).await {
            Received::Answer { status: 200..=299, .. } => (true, "done"),
            _ => (false, "failed"),
        }
    }
}
