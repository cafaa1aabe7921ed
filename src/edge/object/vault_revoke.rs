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
use crate::provider::answer::{self, Tokens};
use crate::provider::endpoints::Provider;
use crate::provider::errors::Failure;
use crate::provider::request;
use crate::provider::revocation::{self, Revocation, TokenKind};
use crate::seal::SealError;
use crate::secret::Secret;
use crate::time::{SKEW, UnixSeconds};
use crate::vault::jobs::{self, Job};
use crate::vault::record::{self, AccessTokenRecord, Account, AccountState, Reason};

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
        let known = |contents: &Contents| {
            contents.accounts.iter().find(|account| account.id == *id).cloned()
        };
        let Some(account) = known(&*open.store.contents()?) else {
            return Ok(None);
        };
        let user = account.identity.id;
        // Whatever comes of it, this puts right what the registry knows.
        if let Some(user) = user.clone() {
            open.store.add_job(&Job::Hold { user }, clock::now() + jobs::HOLD_AGAIN)?;
            self.schedule(open).await?;
        }
        let shared = self.registry(open, user.as_deref(), Registry::Release).await?;
        // Meanwhile the account may have been renewed, or deleted.
        let contents = open.store.contents()?;
        let Some(account) = known(&contents) else {
            return Ok(None);
        };
        let now = clock::now();
        let jobs = match open.connection() {
            Ok(connection) => revocations(connection, &account, &contents, shared, now),
            Err(_) => Vec::new(),
        };
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

    /// Lets the registry know whether this vault rests on an account at the provider. Whether that
    /// is settled.
    pub(super) async fn hold(&self, open: &Open, user: &str) -> bool {
        let rests = || {
            let contents = open.store.contents().ok()?;
            Some(contents.accounts.iter().any(|one| one.identity.id.as_deref() == Some(user)))
        };
        let before = rests();
        let what = if before == Some(true) { Registry::Hold } else { Registry::Release };
        let told = before.is_some() && self.registry(open, Some(user), what).await.is_ok();
        told && before == rests()
    }

    /// Tells or asks the registry. Returns whether another vault rests on that account, which nobody
    /// knows of an unknown one.
    async fn registry(
        &self,
        open: &Open,
        user: Option<&str>,
        what: Registry,
    ) -> Result<bool, Trouble> {
        let (Some(user), Ok(connection)) = (user, open.connection()) else {
            return Ok(true);
        };
        let names = &open.config.names;
        let account = names.provider_account(connection.authority(), &connection.client_id, user);
        let vault = names.vault(&open.home.user, &open.home.connection);
        let shard = names.registry_of(&account);
        let ask = match what {
            Registry::Hold => Ask::Hold { account, vault },
            Registry::Release => Ask::Release { account, vault },
            Registry::Others => Ask::Others { account, vault },
        };
        match objects::ask_within(&self.env, &shard, &ask, REGISTRY_TIME).await {
            Ok(Answer::Shared { shared }) => Ok(shared),
            Ok(_) => Ok(false),
            Err(_) => Err(Trouble::Failed("registry")),
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
        let Job::Revoke { account, field, generation, envelope, user, .. } = job else {
            return Ok((Revocation::NotSupported, job.clone()));
        };
        let of = record::kind_of(field);
        let Some(connection) = open.connection().ok().filter(|one| one.may_revoke(of)) else {
            return Ok((Revocation::NotSupported, job.clone()));
        };
        if asked == Asked::Before {
            match self.registry(open, user.as_deref(), Registry::Others).await {
                Ok(shared) if revocation::is_narrow(connection, of, shared) => {}
                Ok(_) => return Ok((Revocation::NotSupported, job.clone())),
                Err(_) => return Ok((Revocation::Pending, job.clone())),
            }
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
                let user = user.as_deref();
                let at = At { open, id, connection, provider: &provider, user };
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
        let refresh = field.starts_with(TokenKind::Refresh.name());
        if !refresh || !revocation::needs_access_token(self.connection) {
            let kind = if refresh { TokenKind::Refresh } else { TokenKind::Access };
            return Ok((self.send(record::kind_of(field), token, kind).await, job.clone()));
        }
        // This provider ends a grant only for one of its access tokens, and none lives.
        let tokens = match self.renewed(token, sure).await {
            Ok(tokens) => tokens,
            Err(told) => return Ok((told, job.clone())),
        };
        // Another attempt needs another access token: this one may be over by then.
        let left = match &tokens.refresh_token {
            Some(next) => {
                let sealed = self.open.seal(account, field, *generation, next)?;
                job.with(encoding::base64url(sealed))
            }
            None => job.clone(),
        };
        let of = record::kind_of(field);
        Ok((self.send(of, &tokens.access_token, TokenKind::Access).await, left))
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
        let received = outbound::send(&request, OTHER_TIME).await;
        revocation::outcome(&received, self.connection, of, kind)
    }

    /// `sure`: a refusal says that there is no grant.
    async fn renewed(&self, refresh_token: &Secret, sure: bool) -> Result<Tokens, Revocation> {
        let callback = self.open.callback();
        let request =
            request::refresh(self.connection, self.provider, &callback, refresh_token, None);
        let Some(request) = request.filter(|_| self.stands()) else {
            return Err(Revocation::NotSupported);
        };
        let received = outbound::send(&request, TOKEN_TIME).await;
        match answer::renewed(&received, self.connection, clock::now()) {
            Ok(tokens) => Ok(tokens),
            Err(Failure::Refused(_)) if sure => Err(Revocation::Revoked),
            // It may only say that the token was rotated, in an answer that was lost.
            Err(Failure::Refused(_)) => Err(Revocation::Failed),
            Err(_) => Err(Revocation::Pending),
        }
    }
}

/// The jobs that revoke what the provider can revoke of an account. The refresh token goes first: at
/// most providers its end is the grant's (RFC 7009 §2.1). Tokens that we made go last.
fn revocations(
    connection: &Connection,
    account: &Account,
    contents: &Contents,
    shared: bool,
    now: UnixSeconds,
) -> Vec<Job> {
    let lives = |record: &AccessTokenRecord| record.expires_at.is_none_or(|at| at > now + SKEW);
    let tokens = |kind: &str| {
        let all = contents.access_tokens(&account.id).filter(|(of, _)| of == kind);
        let all = all.filter_map(|(_, token)| Some((&token.record, token.envelope.clone()?)));
        all.filter(|(record, _)| lives(record)).collect::<Vec<_>>()
    };
    let job = |kind: &str, (record, envelope): (&AccessTokenRecord, Vec<u8>)| {
        let field = record::field("access_token", kind);
        revoke_job(account, &field, record.generation, envelope, false)
    };
    let revocable =
        |kind: &str| connection.may_revoke(kind) && revocation::is_narrow(connection, kind, shared);
    let mut jobs = Vec::new();
    for (kind, grant) in contents.grants(&account.id) {
        if !revocable(kind) {
            continue;
        }
        let doubtful = grant.record.intent.is_some()
            || grant.record.state_of(kind, account)
                == AccountState::ReconnectRequired(Reason::RotationLost);
        let access = tokens(kind);
        let refresh = grant.envelope.clone();
        let chosen = revocation::choose(connection, refresh.is_some(), !access.is_empty());
        if let (true, Some(envelope)) = (chosen.refresh, refresh) {
            let field = record::field("refresh_token", kind);
            jobs.push(revoke_job(account, &field, grant.record.generation, envelope, doubtful));
        }
        if chosen.access {
            jobs.extend(access.into_iter().map(|token| job(kind, token)));
        }
    }
    for kind in connection.kinds.keys() {
        if connection.made(kind).is_some() && revocable(kind) {
            jobs.extend(tokens(kind).into_iter().map(|token| job(kind, token)));
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
    doubtful: bool,
) -> Job {
    Job::Revoke {
        account: account.id.clone(),
        field: field.to_owned(),
        generation,
        envelope: encoding::base64url(envelope),
        attempt: 0,
        user: account.identity.id.clone(),
        doubtful,
    }
}
