// SPDX-License-Identifier: Apache-2.0
//! Deleting an account, and the jobs that revoke its tokens at the provider.

use vault_base::encoding;
use vault_base::ids::AccountId;
use vault_base::time::{CLOCK_SKEW_SECONDS, UnixSeconds};
use vault_provider::connection::Connection;
use vault_provider::registration::Registration;
use vault_provider::revocation;

use super::contents::{Contents, Sealed};
use super::jobs::{self, Job};
use super::plan::{Plan, Write};
use super::record::{self, Account, AccountState, Grant, Reason, SUCCESSOR};

/// What deletes an account: the jobs that revoke its tokens first, then the account.
#[derive(Debug)]
pub struct Deletion {
    /// What to write: the first writes add [`Deletion::jobs`], in their order.
    pub plan: Plan,
    /// The jobs, to be tried at once.
    pub jobs: Vec<Job>,
}

/// Plans a deletion. `connection`: what stands under the connection's name now; `shared`: whether another
/// account may rest on the same grant at the provider. `None`: there is no such account.
///
/// Of an account of another registration nothing can be revoked until that is configured again: its jobs
/// wait.
pub fn delete(
    contents: &Contents,
    id: &AccountId,
    connection: Option<&Connection>,
    shared: bool,
    now: UnixSeconds,
) -> Option<Deletion> {
    let account = contents.account(id)?;
    let of = Of { account, contents, now };
    let jobs = match (contents.registration(id), connection) {
        (registration, Some(connection)) if connection.accepts(registration) => {
            of.revocations(connection, shared)
        }
        (Some(_), _) => of.waiting_revocations(),
        (None, _) => Vec::new(),
    };
    let mut plan = Plan::default();
    for job in &jobs {
        plan.add_job(job.clone(), now + jobs::REVOKE_AFTER);
    }
    plan.write(Write::DropAccount(id.clone()));
    Some(Deletion { plan, jobs })
}

/// A sealed token that is to be revoked.
#[derive(Debug)]
pub struct TokenToRevoke {
    /// What it is sealed as ([`record::field`]).
    pub field: String,
    /// The generation it is sealed with.
    pub generation: u64,
    /// The envelope.
    pub envelope: Vec<u8>,
}

impl TokenToRevoke {
    /// The job. `doubtful`: [`Job::Revoke`].
    pub fn job(
        self,
        account: &Account,
        registration: Option<&Registration>,
        doubtful: bool,
    ) -> Job {
        Job::Revoke {
            account: account.id.clone(),
            field: self.field,
            generation: self.generation,
            envelope: encoding::base64url(self.envelope),
            attempt: 0,
            user: account.identity.id.clone(),
            doubtful,
            registration: registration.cloned(),
            waits_since: None,
        }
    }
}

/// An account that is deleted.
struct Of<'a> {
    account: &'a Account,
    contents: &'a Contents,
    now: UnixSeconds,
}

impl Of<'_> {
    /// The jobs that revoke what the provider can revoke of an account. The refresh token goes first: at
    /// most providers its end is the grant's (RFC 7009 §2.1). Tokens that we made go last.
    fn revocations(&self, connection: &Connection, shared: bool) -> Vec<Job> {
        let revocable = |kind: &str| {
            connection.may_revoke(kind) && revocation::is_narrow(connection, kind, shared)
        };
        let mut jobs = Vec::new();
        for (kind, grant) in self.contents.grants(&self.account.id) {
            if !revocable(kind) {
                continue;
            }
            let access = self.access_tokens(kind);
            let has_refresh = grant.envelope.is_some();
            let chosen = revocation::choose(connection, has_refresh, !access.is_empty());
            if chosen.refresh {
                jobs.extend(self.refresh_tokens(kind, grant));
            }
            if chosen.access {
                jobs.extend(access);
            }
        }
        for kind in connection.kinds.keys() {
            if connection.made(kind).is_some() && revocable(kind) {
                jobs.extend(self.access_tokens(kind));
            }
        }
        jobs
    }

    /// The jobs that wait to revoke an account of a registration that is not configured. Its provider's
    /// ways are not known here: so of each grant the refresh token, at whose end access tokens end too
    /// (RFC 7009 §2.1), and where there is none the access tokens that live.
    fn waiting_revocations(&self) -> Vec<Job> {
        let grants = self.contents.grants(&self.account.id);
        let jobs = grants.flat_map(|(kind, grant)| match grant.envelope {
            Some(_) => self.refresh_tokens(kind, grant),
            None => self.access_tokens(kind),
        });
        jobs.collect()
    }

    /// Jobs for a grant's refresh token, and for the successor that came in an answer nothing else could be
    /// taken from.
    fn refresh_tokens(&self, kind: &str, grant: &Sealed<Grant>) -> Vec<Job> {
        let record = &grant.record;
        let doubtful = record.intent.is_some()
            || record.state_of(kind, self.account)
                == AccountState::ReconnectRequired(Reason::RotationLost);
        let successor = record.intent.as_ref().and_then(|intent| {
            let envelope = intent.successor.as_deref().and_then(encoding::from_base64url)?;
            Some((SUCCESSOR, intent.generation, envelope))
        });
        let own = grant.envelope.clone();
        let own = own.map(|envelope| ("refresh_token", record.generation, envelope));
        let job = |(column, generation, envelope): (&str, u64, Vec<u8>)| {
            let revoked =
                TokenToRevoke { field: record::field(column, kind), generation, envelope };
            revoked.job(self.account, self.registration(kind), doubtful)
        };
        successor.into_iter().chain(own).map(job).collect()
    }

    /// Jobs for an account's access tokens of one kind that live.
    fn access_tokens(&self, kind: &str) -> Vec<Job> {
        let own = self.contents.access_tokens(&self.account.id);
        let own = own.filter(|(selector, _)| selector.kind() == kind).map(|(_, token)| token);
        let lives =
            |at: Option<UnixSeconds>| at.is_none_or(|at| at > self.now + CLOCK_SKEW_SECONDS);
        let own = own.filter(|token| lives(token.record.expires_at));
        let job = |token: &Sealed<record::AccessTokenRecord>| {
            let field = record::field("access_token", kind);
            let envelope = token.envelope.clone()?;
            let revoked = TokenToRevoke { field, generation: token.record.generation, envelope };
            Some(revoked.job(self.account, self.registration(kind), false))
        };
        own.filter_map(job).collect()
    }

    fn registration(&self, kind: &str) -> Option<&Registration> {
        self.contents.registration_of(&self.account.id, kind)
    }
}
