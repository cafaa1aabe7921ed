//! Deleting an account, and revoking its tokens at the provider.

use std::rc::Rc;

use super::vault::{Inner, Open};
use super::vault_store::{Contents, Sealed};
use crate::config::Connection;
use crate::edge::objects::{self, Trouble};
use crate::edge::outbound::{self, OTHER_TIME, TOKEN_TIME};
use crate::edge::{clock, log, providers};
use crate::encoding;
use crate::error::Event;
use crate::ids::AccountId;
use crate::message::registry::{Answer, Ask};
use crate::provider::answer::{self, Received};
use crate::provider::endpoints::Provider;
use crate::provider::errors::Failure;
use crate::provider::registration::Registration;
use crate::provider::request;
use crate::provider::revocation::{self, Revocation, TokenKind};
use crate::seal::SealError;
use crate::secret::Secret;
use crate::time::{SKEW, UnixSeconds};
use crate::vault::jobs::{self, Job};
use crate::vault::record::{
    self, AccessTokenRecord, Account, AccountState, Grant, Reason, SUCCESSOR,
};

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
        let registration = open.store.contents()?.registration(id).cloned();
        // Whatever comes of it, this puts right what the registry knows.
        if let Some(user) = user.clone() {
            let job = Job::Hold { user, registration: registration.clone() };
            open.store.add_job(&job, clock::now() + jobs::HOLD_AGAIN)?;
            self.schedule(open).await?;
        }
        let of = (user.as_deref(), registration.as_ref());
        let shared = self.registry(open, of, Registry::Release).await?;
        // Meanwhile the account may have been renewed, or deleted.
        let contents = open.store.contents()?;
        let Some(account) = known(&contents) else {
            return Ok(None);
        };
        let shared = shared || rests(open, &contents, of, Some(id));
        let now = clock::now();
        let connection = open.connection().ok();
        let jobs = match (contents.registration(id), connection) {
            (registration, Some(connection)) if connection.accepts(registration) => {
                revocations(connection, &account, &contents, shared, now)
            }
            // Only where it came from can it be revoked: that waits until it is configured again.
            (Some(_), _) => waiting_revocations(&account, &contents, now),
            (None, _) => Vec::new(),
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
    pub(super) async fn hold(
        &self,
        open: &Open,
        user: &str,
        registration: Option<&Registration>,
    ) -> bool {
        let of = (Some(user), registration);
        let rests = || Some(rests(open, &*open.store.contents().ok()?, of, None));
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
        let same = registrations(open, registration);
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
            match objects::ask_within(&self.env, &shard, &ask, REGISTRY_TIME).await {
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
        let account = contents.accounts.iter().find(|account| account.id == *id);
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
        match objects::ask_within(&self.env, &shard, &ask, REGISTRY_TIME).await {
            Ok(Answer::Listed { listed: true }) => {
                open.store.bind_grants(id, registration)?;
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
            let shared = others || rests(open, &*open.store.contents()?, whose, Some(account));
            if !revocation::is_narrow(connection, of, shared) {
                return Ok((Revocation::NotSupported, job.clone()));
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
                let sealed = self.open.seal(account, field, *generation, &next)?;
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
        let received = outbound::send(&request, OTHER_TIME).await;
        revocation::outcome(&received, self.connection, of, kind)
    }

    /// Asks for an access token. `None` if there is nothing to ask, or the job was taken back.
    async fn refresh(&self, refresh_token: &Secret) -> Option<Received> {
        let callback = self.open.callback();
        let request =
            request::refresh(self.connection, self.provider, &callback, refresh_token, None)
                .filter(|_| self.stands())?;
        Some(outbound::send(&request, TOKEN_TIME).await)
    }
}

/// The registrations under which the registry may know a grant of this one; without, of today's.
fn registrations(open: &Open, of: Option<&Registration>) -> Vec<Registration> {
    match open.connection() {
        Ok(connection) => connection.same_registrations(of),
        Err(_) => of.cloned().into_iter().collect(),
    }
}

/// Whether this vault rests on a user's grant of this registration, with another account than `except`:
/// one user can have several here, connected under registrations that the registry does not tell apart.
fn rests(
    open: &Open,
    contents: &Contents,
    (user, registration): (Option<&str>, Option<&Registration>),
    except: Option<&AccountId>,
) -> bool {
    let meant = registrations(open, registration);
    let is_meant = |stamp: Option<&Registration>| {
        let own = registrations(open, stamp);
        own.iter().any(|one| meant.iter().any(|other| one.shares_name(other)))
    };
    contents.accounts.iter().any(|one| {
        user.is_some()
            && one.identity.id.as_deref() == user
            && except != Some(&one.id)
            && is_meant(contents.registration(&one.id))
    })
}

/// How the registry calls an account at a provider, and this vault.
fn registry_names(open: &Open, user: &str, of: &Registration) -> (String, String) {
    let names = &open.config.names;
    let account = names.provider_account(of.bare_authority(), &of.client_id, user);
    (account, names.vault(&open.home.user, &open.home.connection))
}

/// The jobs that wait to revoke an account of a registration that is not configured. Its provider's ways
/// are not known here: so of each grant the refresh token, at whose end access tokens end too (RFC 7009
/// §2.1), and where there is none the access tokens that live.
fn waiting_revocations(account: &Account, contents: &Contents, now: UnixSeconds) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (kind, grant) in contents.grants(&account.id) {
        if grant.envelope.is_some() {
            jobs.extend(refresh_jobs(account, contents, kind, grant));
        } else {
            jobs.extend(access_jobs(account, contents, kind, now));
        }
    }
    jobs
}

/// Jobs for a grant's refresh token, and for the successor that came in an answer nothing else could be
/// taken from.
fn refresh_jobs(
    account: &Account,
    contents: &Contents,
    kind: &str,
    grant: &Sealed<Grant>,
) -> Vec<Job> {
    let record = &grant.record;
    let doubtful = record.intent.is_some()
        || record.state_of(kind, account) == AccountState::ReconnectRequired(Reason::RotationLost);
    let of = contents.registration_of(&account.id, kind);
    let job = |column: &str, generation, envelope| {
        let field = record::field(column, kind);
        revoke_job(account, of, &field, generation, envelope, doubtful)
    };
    let mut jobs = Vec::new();
    if let Some(intent) = &record.intent
        && let Some(envelope) = intent.successor.as_deref().and_then(encoding::from_base64url)
    {
        jobs.push(job(SUCCESSOR, intent.generation, envelope));
    }
    if let Some(envelope) = grant.envelope.clone() {
        jobs.push(job("refresh_token", record.generation, envelope));
    }
    jobs
}

/// Jobs for an account's access tokens of one kind that live.
fn access_jobs(account: &Account, contents: &Contents, kind: &str, now: UnixSeconds) -> Vec<Job> {
    let lives = |record: &AccessTokenRecord| record.expires_at.is_none_or(|at| at > now + SKEW);
    let field = record::field("access_token", kind);
    let of = contents.registration_of(&account.id, kind);
    let tokens = contents.access_tokens(&account.id).filter(|(of, _)| of == kind);
    let tokens = tokens.filter_map(|(_, token)| Some((&token.record, token.envelope.clone()?)));
    let jobs = tokens.filter(|(record, _)| lives(record)).map(|(record, envelope)| {
        revoke_job(account, of, &field, record.generation, envelope, false)
    });
    jobs.collect()
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
    let revocable =
        |kind: &str| connection.may_revoke(kind) && revocation::is_narrow(connection, kind, shared);
    let mut jobs = Vec::new();
    for (kind, grant) in contents.grants(&account.id) {
        if !revocable(kind) {
            continue;
        }
        let access = access_jobs(account, contents, kind, now);
        let chosen = revocation::choose(connection, grant.envelope.is_some(), !access.is_empty());
        if chosen.refresh {
            jobs.extend(refresh_jobs(account, contents, kind, grant));
        }
        if chosen.access {
            jobs.extend(access);
        }
    }
    for kind in connection.kinds.keys() {
        if connection.made(kind).is_some() && revocable(kind) {
            jobs.extend(access_jobs(account, contents, kind, now));
        }
    }
    jobs
}

/// A job to revoke a token that is already sealed.
pub(super) fn revoke_job(
    account: &Account,
    registration: Option<&Registration>,
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
        registration: registration.cloned(),
        waits_since: None,
    }
}
