// SPDX-License-Identifier: Apache-2.0
//! Deleting an account, and the jobs that revoke its tokens at the provider (RFC 7009).

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

/// The plan that deletes an account, and the jobs that revoke its tokens.
#[derive(Debug)]
pub struct Deletion {
    /// The writes. The first ones add [`Deletion::jobs`] in the same order; the last one deletes the account.
    pub plan: Plan,
    /// The revocation jobs, which the caller tries at once.
    pub jobs: Vec<Job>,
}

/// Plans the deletion of an account; `None` if there is no such account. `connection` is the configured
/// connection of this name, if there is one. `shared` says whether another account may rest on the same
/// grant at the provider.
///
/// The tokens of an account of another registration cannot be revoked until that registration is configured
/// again. Their jobs wait for it.
pub fn delete(
    contents: &Contents,
    id: &AccountId,
    connection: Option<&Connection>,
    shared: bool,
    now: UnixSeconds,
) -> Option<Deletion> {
    let account = contents.account(id)?;
    let deleted = DeletedAccount { account, contents, now };
    let jobs = match (contents.registration(id), connection) {
        (registration, Some(connection)) if connection.accepts(registration) => {
            deleted.revocations(connection, shared)
        }
        (Some(_), _) => deleted.waiting_revocations(),
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
    /// The field that the token is sealed for ([`record::field`]).
    pub field: String,
    /// The generation that the token is sealed with.
    pub generation: u64,
    /// The token's envelope.
    pub envelope: Vec<u8>,
}

impl TokenToRevoke {
    /// The [`Job::Revoke`] for this token of `account`. `registration` is the one that issued the token, and
    /// `doubtful` has the meaning of the job's member.
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

/// An account that is being deleted.
struct DeletedAccount<'a> {
    account: &'a Account,
    contents: &'a Contents,
    now: UnixSeconds,
}

impl DeletedAccount<'_> {
    /// The jobs for the tokens that the provider can revoke without ending more than this account. A refresh
    /// token goes first, because at most providers its revocation ends the grant (RFC 7009 §2.1). Tokens that
    /// the vault issued go last.
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

    /// The jobs for an account of a registration that is not configured; they wait for it. How its provider
    /// revokes tokens is not known here. So the jobs revoke the refresh token of each grant, which should end
    /// the access tokens as well (RFC 7009 §2.1), or the valid access tokens of a grant without one.
    fn waiting_revocations(&self) -> Vec<Job> {
        let grants = self.contents.grants(&self.account.id);
        let jobs = grants.flat_map(|(kind, grant)| match grant.envelope {
            Some(_) => self.refresh_tokens(kind, grant),
            None => self.access_tokens(kind),
        });
        jobs.collect()
    }

    /// The jobs for a grant's refresh token and, before it, its successor ([`record::Intent::successor`]).
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

    /// The jobs for the account's access tokens of one kind that have not expired.
    fn access_tokens(&self, kind: &str) -> Vec<Job> {
        let own = self.contents.access_tokens(&self.account.id);
        let own = own.filter(|(selector, _)| selector.kind() == kind).map(|(_, token)| token);
        let is_valid =
            |at: Option<UnixSeconds>| at.is_none_or(|at| at > self.now + CLOCK_SKEW_SECONDS);
        let own = own.filter(|token| is_valid(token.record.expires_at));
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
