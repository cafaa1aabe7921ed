//! Deleting an account, and revoking its tokens at the provider.

use std::rc::Rc;

use super::vault::{Inner, Open};
use super::vault_store::Contents;
use crate::config::Connection;
use crate::edge::objects::{self, Trouble};
use crate::edge::outbound::{self, OTHER_TIME, TOKEN_TIME};
use crate::edge::{clock, log, providers};
use crate::encoding;
use crate::error::Event;
use crate::ids::AccountId;
use crate::message::registry::{Answer, Ask};
use crate::provider::answer;
use crate::provider::endpoints::Provider;
use crate::provider::errors::Failure;
use crate::provider::request;
use crate::provider::revocation::{self, Revocation, TokenKind};
use crate::seal::SealError;
use crate::secret::Secret;
use crate::time::{SKEW, UnixSeconds};
use crate::vault::jobs::{self, Job};
use crate::vault::record::{self, AccessTokenRecord, Account};

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

impl Inner {
    /// Deletes an account, and says what became of it at the provider. `None`: there is none.
    pub(super) async fn delete(
        self: &Rc<Self>,
        open: &Open,
        id: &AccountId,
    ) -> Result<Option<Revocation>, Trouble> {
        let contents = open.store.contents()?;
        let Some(account) = contents.accounts.iter().find(|account| account.id == *id) else {
            return Ok(None);
        };
        let shared = self.release(open, account.identity.id.as_deref()).await?;
        // Meanwhile the account may have been renewed, or deleted.
        let contents = open.store.contents()?;
        let Some(account) = contents.accounts.iter().find(|account| account.id == *id) else {
            return Ok(None);
        };
        let jobs = match open.connection() {
            Ok(connection) => revocations(connection, account, &contents, shared, clock::now()),
            Err(_) => Vec::new(),
        };
        let now = clock::now();
        let mut added = Vec::new();
        for job in jobs {
            added.push((open.store.add_job(&job, now + jobs::REVOKE_AFTER)?, job));
        }
        open.store.drop_account(id)?;
        self.schedule(open).await?;
        let begun = clock::milliseconds();
        let mut told = None;
        for (job_id, job) in added {
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

    /// Lets the registry know that this vault rests on an account at the provider.
    pub(super) async fn hold(&self, open: &Open, user: Option<&str>) {
        let Some((account, vault)) = holding(open, user) else {
            return;
        };
        let shard = open.config.names.registry_of(&account);
        let held = objects::ask(&self.env, &shard, &Ask::Hold { account, vault }).await;
        if held.is_err() {
            // The tokens are worth more than what is known of them: they come but once.
            log::event(&Event::new("grant_not_held", "registry"));
        }
    }

    /// The opposite. Returns whether another vault rests on that account.
    async fn release(&self, open: &Open, user: Option<&str>) -> Result<bool, Trouble> {
        let Some((account, vault)) = holding(open, user) else {
            return Ok(false);
        };
        let shard = open.config.names.registry_of(&account);
        match objects::ask(&self.env, &shard, &Ask::Release { account, vault }).await {
            Ok(Answer::Released { shared }) => Ok(shared),
            _ => Err(Trouble::Failed("registry")),
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
        let (told, left) = self.revoke(open, job, asked).await?;
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
        job: &Job,
        asked: Asked,
    ) -> Result<(Revocation, Job), Trouble> {
        let Job::Revoke { account, field, generation, envelope, user, .. } = job else {
            return Ok((Revocation::NotSupported, job.clone()));
        };
        let Ok(connection) = open.connection() else {
            return Ok((Revocation::NotSupported, job.clone()));
        };
        let shared = asked == Asked::Before && self.release(open, user.as_deref()).await?;
        if !revocation::is_narrow(connection, shared) {
            return Ok((Revocation::NotSupported, job.clone()));
        }
        let opened = encoding::from_base64url(envelope)
            .ok_or(SealError::Corrupt)
            .and_then(|envelope| open.open(account, field, *generation, &envelope));
        let token = match opened {
            Ok(token) => token,
            Err(SealError::KeyUnavailable { .. }) => return Ok((Revocation::Pending, job.clone())),
            Err(_) => return Ok((Revocation::Failed, job.clone())),
        };
        let found = providers::of(&self.env, &open.config, connection, clock::now()).await;
        let (told, left) = match found {
            Ok(provider) => {
                let at = At { open, connection, provider: &provider, user: user.as_deref() };
                at.revoke(job, &token).await?
            }
            Err(_) => (Revocation::Pending, job.clone()),
        };
        log::event(&Event {
            connection: Some(open.home.connection.clone()),
            ..Event::new("revocation", format!("{account} {field}: {}", told.name()))
        });
        Ok((told, left))
    }
}

/// A provider at which a token is revoked.
struct At<'a> {
    open: &'a Open,
    connection: &'a Connection,
    provider: &'a Provider,
    user: Option<&'a str>,
}

impl At<'_> {
    async fn revoke(&self, job: &Job, token: &Secret) -> Result<(Revocation, Job), Trouble> {
        let Job::Revoke { account, field, generation, attempt, .. } = job else {
            return Ok((Revocation::NotSupported, job.clone()));
        };
        let refresh = field.starts_with(TokenKind::Refresh.name());
        if !refresh || !revocation::needs_access_token(self.connection) {
            let kind = if refresh { TokenKind::Refresh } else { TokenKind::Access };
            return Ok((self.send(token, kind).await, job.clone()));
        }
        // This provider ends a grant only for one of its access tokens, and none lives.
        let access_token = match self.access_token(token, *attempt).await {
            Ok(access_token) => access_token,
            Err(told) => return Ok((told, job.clone())),
        };
        let field = field.replace(TokenKind::Refresh.name(), TokenKind::Access.name());
        let sealed = self.open.seal(account, &field, *generation, &access_token)?;
        let left = job.with(field, encoding::base64url(sealed));
        Ok((self.send(&access_token, TokenKind::Access).await, left))
    }

    async fn send(&self, token: &Secret, kind: TokenKind) -> Revocation {
        let request = revocation::revoke(self.connection, self.provider, token, kind, self.user);
        match request {
            Some(request) => {
                let received = outbound::send(&request, OTHER_TIME).await;
                revocation::outcome(&received, self.connection)
            }
            None => Revocation::NotSupported,
        }
    }

    async fn access_token(
        &self,
        refresh_token: &Secret,
        attempt: u32,
    ) -> Result<Secret, Revocation> {
        let callback = self.open.callback();
        let request =
            request::refresh(self.connection, self.provider, &callback, refresh_token, None)
                .ok_or(Revocation::Failed)?;
        let received = outbound::send(&request, TOKEN_TIME).await;
        match answer::renewed(&received, self.connection, clock::now()) {
            Ok(tokens) => Ok(tokens.access_token),
            // The provider says that there is no grant any more. After an attempt whose answer was
            // lost it may only say that the token was rotated.
            Err(Failure::Refused(_)) if attempt == 0 => Err(Revocation::Revoked),
            Err(Failure::Refused(_)) => Err(Revocation::Failed),
            Err(_) => Err(Revocation::Pending),
        }
    }
}

/// What the registry remembers: the account at the provider, and the vault. `None` where the account
/// is not known.
fn holding(open: &Open, user: Option<&str>) -> Option<(String, String)> {
    let connection = open.connection().ok()?;
    let names = &open.config.names;
    let account = names.provider_account(connection.authority(), &connection.client_id, user?);
    Some((account, names.vault(&open.home.user, &open.home.connection)))
}

/// The jobs that revoke what the provider can revoke of an account, the refresh token first: at most
/// providers its end is the grant's (RFC 7009 §2.1).
fn revocations(
    connection: &Connection,
    account: &Account,
    contents: &Contents,
    shared: bool,
    now: UnixSeconds,
) -> Vec<Job> {
    if !revocation::is_narrow(connection, shared) {
        return Vec::new();
    }
    let mut jobs = Vec::new();
    for (kind, grant) in contents.grants(&account.id) {
        if connection.kinds.get(kind).is_some_and(|kind| !kind.revocable) {
            continue;
        }
        let mut tokens = contents
            .access_tokens(&account.id)
            .filter(|(of, _)| of == kind)
            .filter_map(|(_, token)| Some((&token.record, token.envelope.clone()?)));
        let lives = |record: &AccessTokenRecord| record.expires_at.is_none_or(|at| at > now + SKEW);
        let refresh = grant.envelope.clone();
        let access: Vec<_> = tokens.by_ref().filter(|(record, _)| lives(record)).collect();
        let chosen = revocation::choose(connection, refresh.is_some(), !access.is_empty());
        if let (true, Some(envelope)) = (chosen.refresh, refresh) {
            let field = record::field("refresh_token", kind);
            jobs.push(revoke_job(account, &field, grant.record.generation, envelope));
        }
        for (record, envelope) in access.into_iter().filter(|_| chosen.access) {
            let field = record::field("access_token", kind);
            jobs.push(revoke_job(account, &field, record.generation, envelope));
        }
    }
    jobs
}

/// A job to revoke a token that is already sealed.
pub(super) fn revoke_job(
    account: &Account,
    field: &str,
    generation: u64,
    envelope: Vec<u8>,
) -> Job {
    Job::Revoke {
        account: account.id.clone(),
        field: field.to_owned(),
        generation,
        envelope: encoding::base64url(envelope),
        attempt: 0,
        user: account.identity.id.clone(),
    }
}
