//! Deleting an account, and revoking its tokens at the provider.

use std::rc::Rc;

use crate::encoding;
use crate::event::{Event, EventName};
use crate::ids::AccountId;
use crate::message::registry::{Answer, Ask};
use crate::objects::vault::{Inner, Open};
use crate::provider::answer::{self, Received};
use crate::provider::connection::Connection;
use crate::provider::endpoints::Provider;
use crate::provider::errors::Failure;
use crate::provider::registration::Registration;
use crate::provider::request;
use crate::provider::revocation::{self, Revocation, TokenKind};
use crate::runtime::http_client::{self, OTHER_TIME, TOKEN_TIME};
use crate::runtime::object_call::{self, Trouble};
use crate::runtime::{clock, log, providers};
use crate::seal::SealError;
use crate::secret::Secret;
use crate::time::UnixSeconds;
use crate::vault::delete::{self, Deletion};
use crate::vault::jobs::{self, Job};
use crate::vault::plan::Write;
use crate::vault::record;

/// How many milliseconds a deletion waits for the provider before the jobs take over.
const PATIENCE: i64 = 8_000;

/// When the registry was asked who else rests on the grant of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Just now.
    Now,
    /// Before, if at all: somebody may have come since.
    Before,
}

/// How many milliseconds the registry may take: others wait meanwhile, and a job comes back to it.
const REGISTRY_TIME: u32 = 3_000;

/// What the registry is told or asked.
enum Registry {
    Hold,
    Release,
    Others,
}

impl Inner {
    /// Deletes an account, and says what became of it at the provider. `None`: there is none.
    pub(super) async fn delete(
        self: &Rc<Self>,
        open: &Open,
        id: &AccountId,
    ) -> Result<Option<Revocation>, Trouble> {
        let contents = open.store.contents()?;
        let Some(account) = contents.account(id) else {
            return Ok(None);
        };
        let (user, registration) =
            (account.identity.id.clone(), contents.registration(id).cloned());
        // Whatever comes of it, this puts right what the registry knows.
        if let Some(user) = user.clone() {
            let job = Job::Hold { user, registration: registration.clone() };
            open.store.add_job(&job, clock::now() + jobs::HOLD_AGAIN)?;
            self.schedule(open).await?;
        }
        let of = (user.as_deref(), registration.as_ref());
        let shared = self.registry(open, of, Registry::Release).await?;
        // Meanwhile the account may have been renewed, or deleted.
        let (contents, now) = (open.store.contents()?, clock::now());
        let connection = open.connection().ok();
        let shared = shared || delete::rests(&contents, connection, of, Some(id));
        let deletion = delete::delete(&contents, id, connection, shared, now);
        let Some(Deletion { plan, jobs }) = deletion else {
            return Ok(None);
        };
        let added = open.carry_out(plan)?;
        self.schedule(open).await?;
        let begun = clock::milliseconds();
        let mut told = None;
        for (job_id, job) in added.into_iter().zip(jobs) {
            let one = if clock::milliseconds() - begun < PATIENCE {
                self.run_revocation(open, job_id, &job, Asked::Now, now).await?
            } else {
                Revocation::Pending
            };
            told = Some(told.map_or(one, |told: Revocation| told.and(one)));
        }
        self.schedule(open).await?;
        Ok(Some(told.unwrap_or(Revocation::NotSupported)))
    }

    /// Lets the registry know whether this vault rests on an account at the provider. Whether that
    /// is settled.
    pub(super) async fn hold(
        &self,
        open: &Open,
        user: &str,
        registration: Option<&Registration>,
    ) -> bool {
        let of = (Some(user), registration);
        let rests = || {
            let contents = open.store.contents().ok()?;
            Some(delete::rests(&contents, open.connection().ok(), of, None))
        };
        let before = rests();
        let what = if before == Some(true) { Registry::Hold } else { Registry::Release };
        let told = before.is_some() && self.registry(open, of, what).await.is_ok();
        told && before == rests()
    }

    /// Tells or asks the registry of a user's grant of this registration; without one, of today's.
    /// Returns whether another vault rests on that account, which nobody knows of an unknown one.
    async fn registry(
        &self,
        open: &Open,
        (user, registration): (Option<&str>, Option<&Registration>),
        what: Registry,
    ) -> Result<bool, Trouble> {
        let same = delete::same_registrations(open.connection().ok(), registration);
        let Some(user) = user.filter(|_| !same.is_empty()) else {
            return Ok(true);
        };
        let mut others = false;
        for registration in &same {
            let (account, vault) = registry_names(open, user, registration);
            let shard = open.config.names.registry_of(&account);
            let ask = match what {
                Registry::Hold => Ask::Hold { account, vault },
                Registry::Release => Ask::Release { account, vault },
                Registry::Others => Ask::Others { account, vault },
            };
            match object_call::ask_within(&self.env, &shard, &ask, REGISTRY_TIME).await {
                Ok(Answer::Shared { shared }) => others |= shared,
                // Told once, under its own registration.
                Ok(_) => return Ok(false),
                Err(_) => return Err(Trouble::Failed("registry")),
            }
        }
        Ok(others)
    }

    /// Binds an account's grants that do not tell their registration to today's, if the registry was told
    /// of them under it. Whether that is settled.
    pub(super) async fn bind(&self, open: &Open, id: &AccountId) -> bool {
        self.registry_lists(open, id).await.unwrap_or(false)
    }

    async fn registry_lists(&self, open: &Open, id: &AccountId) -> Result<bool, Trouble> {
        let contents = open.store.contents()?;
        let account = contents.account(id);
        let user = account.and_then(|account| account.identity.id.as_deref());
        let (Some(user), None) = (user, contents.registration(id)) else {
            return Ok(true);
        };
        let registration = &open.connection()?.registration;
        if !registration.is_bare() {
            return Ok(true);
        }
        let (account, vault) = registry_names(open, user, registration);
        let shard = open.config.names.registry_of(&account);
        let ask = Ask::Lists { account, vault };
        match object_call::ask_within(&self.env, &shard, &ask, REGISTRY_TIME).await {
            Ok(Answer::Listed { listed: true }) => {
                let bound = Write::BindGrants(id.clone(), registration.clone());
                open.store.apply(vec![bound])?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Runs a revocation that is among the jobs: ends it there, or puts it off.
    pub(super) async fn run_revocation(
        &self,
        open: &Open,
        id: i64,
        job: &Job,
        asked: Asked,
        now: UnixSeconds,
    ) -> Result<Revocation, Trouble> {
        if job.must_wait(open.connection().ok()) {
            open.store.end_job(id)?;
            return match job.waiting(now) {
                Some((job, due)) => open.store.add_job(&job, due).map(|_| Revocation::Pending),
                None => Ok(Revocation::Failed),
            };
        }
        let (told, left) = self.revoke(open, id, job, asked).await?;
        let taken_back = !open.store.end_job(id)?;
        if told != Revocation::Pending || taken_back {
            return Ok(told);
        }
        match left.again(now) {
            Some((job, due)) => open.store.add_job(&job, due).map(|_| Revocation::Pending),
            None => Ok(Revocation::Failed),
        }
    }

    /// Revokes a token, and says what is left to do if the provider cannot be had.
    async fn revoke(
        &self,
        open: &Open,
        id: i64,
        job: &Job,
        asked: Asked,
    ) -> Result<(Revocation, Job), Trouble> {
        let Job::Revoke { account, field, generation, envelope, user, registration, .. } = job
        else {
            return Ok((Revocation::NotSupported, job.clone()));
        };
        let of = record::kind_of(field);
        let Some(connection) = open.connection().ok().filter(|one| one.may_revoke(of)) else {
            return Ok((Revocation::NotSupported, job.clone()));
        };
        if asked == Asked::Before {
            let whose = (user.as_deref(), registration.as_ref());
            let Ok(others) = self.registry(open, whose, Registry::Others).await else {
                return Ok((Revocation::Pending, job.clone()));
            };
            let contents = open.store.contents()?;
            let shared = others || delete::rests(&contents, Some(connection), whose, Some(account));
            if !revocation::is_narrow(connection, of, shared) {
                return Ok((Revocation::NotSupported, job.clone()));
            }
        }
        let opened = encoding::from_base64url(envelope)
            .ok_or(SealError::Corrupt)
            .and_then(|envelope| open.home.open(account, field, *generation, &envelope));
        let token = match opened {
            Ok(token) => token,
            Err(SealError::KeyUnavailable { .. }) => return Ok((Revocation::Pending, job.clone())),
            Err(_) => return Ok((Revocation::Failed, job.clone())),
        };
        let found = providers::of(self.context(open), connection).await;
        let (told, left) = match found {
            Ok(provider) => {
                let user = user.as_deref();
                let at = At { open, id, connection, provider: &provider, user };
                at.revoke(job, &token).await?
            }
            Err(_) => (Revocation::Pending, job.clone()),
        };
        let event = Event::new(EventName::Revocation).at(&open.home.connection).of(account);
        log::event(&Event { token: Some(field.clone()), ..event.because(told.name()) });
        Ok((told, left))
    }
}

/// A provider at which a token is revoked.
struct At<'a> {
    open: &'a Open,
    /// The job: a reconnect takes it back.
    id: i64,
    connection: &'a Connection,
    provider: &'a Provider,
    user: Option<&'a str>,
}

impl At<'_> {
    async fn revoke(&self, job: &Job, token: &Secret) -> Result<(Revocation, Job), Trouble> {
        let Job::Revoke { account, field, generation, attempt, doubtful, .. } = job else {
            return Ok((Revocation::NotSupported, job.clone()));
        };
        let sure = *attempt == 0 && !doubtful;
        let refresh = record::is_refresh_token(field);
        if !refresh || !revocation::needs_access_token(self.connection) {
            let kind = if refresh { TokenKind::Refresh } else { TokenKind::Access };
            return Ok((self.send(record::kind_of(field), token, kind).await, job.clone()));
        }
        // This provider ends a grant only for one of its access tokens, and none lives.
        let Some(received) = self.refresh(token).await else {
            return Ok((Revocation::NotSupported, job.clone()));
        };
        // Another attempt needs another access token, and the refresh token that gives one by then.
        let left = match answer::successor(&received, self.connection, token) {
            Some(next) => {
                let sealed = self.open.home.seal(account, field, *generation, &next)?;
                job.with(encoding::base64url(sealed))
            }
            None => job.clone(),
        };
        let told = match answer::renewed(&received, self.connection, clock::now()) {
            Ok(tokens) => {
                let of = record::kind_of(field);
                self.send(of, &tokens.access_token, TokenKind::Access).await
            }
            Err(Failure::Refused(_)) if sure => Revocation::Revoked,
            // It may only say that the token was rotated, in an answer that was lost.
            Err(Failure::Refused(_)) => Revocation::Failed,
            Err(_) => Revocation::Pending,
        };
        Ok((told, left))
    }

    /// Whether the job still stands: to be looked up in the turn in which a request goes out.
    fn stands(&self) -> bool {
        self.open.store.has_job(self.id).unwrap_or(false)
    }

    async fn send(&self, of: &str, token: &Secret, kind: TokenKind) -> Revocation {
        let shown = (token, kind);
        let request = revocation::revoke(self.connection, self.provider, of, shown, self.user);
        let Some(request) = request.filter(|_| self.stands()) else {
            return Revocation::NotSupported;
        };
        let received = http_client::send(&request, OTHER_TIME).await;
        revocation::outcome(&received, self.connection, of, kind)
    }

    /// Asks for an access token. `None` if there is nothing to ask, or the job was taken back.
    async fn refresh(&self, refresh_token: &Secret) -> Option<Received> {
        let callback = self.open.callback();
        let request =
            request::refresh(self.connection, self.provider, &callback, refresh_token, None)
                .filter(|_| self.stands())?;
        Some(http_client::send(&request, TOKEN_TIME).await)
    }
}

/// How the registry calls an account at a provider, and this vault.
fn registry_names(open: &Open, user: &str, of: &Registration) -> (String, String) {
    let names = &open.config.names;
    let account = names.provider_account(of.bare_authority(), &of.client_id, user);
    (account, names.vault(&open.home.user, &open.home.connection))
}
