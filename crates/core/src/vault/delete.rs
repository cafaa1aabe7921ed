// SPDX-License-Identifier: Apache-2.0
//! Deletes an account, and plans the jobs that revoke its tokens at the provider.

use vault_base::encoding;
use vault_base::ids::AccountId;
use vault_base::time::UnixSeconds;
use vault_provider::connection::Connection;
use vault_provider::registration::Registration;
use vault_provider::revocation;

use super::contents::{Contents, Sealed};
use super::jobs::{self, Job};
use super::plan::{Plan, Write};
use super::record::{self, AccessTokenRecord, Account, AccountState, Grant, Reason, SUCCESSOR};

/// What a deletion writes.
#[derive(Debug)]
pub struct Deletion {
    /// The writes. The first ones add [`Deletion::jobs`], in their order.
    pub plan: Plan,
    /// The jobs that revoke, to be tried at once.
    pub jobs: Vec<Job>,
}

/// Plans the deletion of an account. `connection` is the connection as configured now; `shared`
/// says that another account may depend on the same grant at the provider. `None` if there is no
/// such account.
///
/// Tokens of an account of another registration cannot be revoked until that registration is
/// configured again, so its jobs wait.
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

/// A sealed token that must be revoked.
#[derive(Debug)]
pub struct TokenToRevoke {
    /// The field that it is sealed as ([`record::field`]).
    pub field: String,
    /// The generation that it is sealed with.
    pub generation: u64,
    /// The envelope ([`vault_base::seal`]).
    pub envelope: Vec<u8>,
}

impl TokenToRevoke {
    /// The job that revokes it. `doubtful`: see [`Job::Revoke`].
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

/// The account that is deleted, with all that depends on it.
struct Of<'a> {
    account: &'a Account,
    contents: &'a Contents,
    now: UnixSeconds,
}

impl Of<'_> {
    /// The jobs that revoke what the provider can revoke. The refresh token comes first, because at
    /// most providers revoking it ends the grant (RFC 7009 §2.1). Tokens that the vault requested
    /// with its own key come last.
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
            // Where only an access token ends the grant, one that may have expired does not suffice: the
            // refresh token obtains another.
            let has_access = if has_refresh && revocation::needs_access_token(connection) {
                self.stored(kind).any(|token| token.record.is_sure_to_be_accepted(self.now))
            } else {
                !access.is_empty()
            };
            let chosen = revocation::choose(connection, has_refresh, has_access);
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

    /// The jobs of an account whose registration is not configured. The revocation rules of its
    /// provider are unknown here, so each grant has a job for its refresh token, which also ends
    /// its access tokens (RFC 7009 §2.1), or for its access tokens where it has none.
    fn waiting_revocations(&self) -> Vec<Job> {
        let grants = self.contents.grants(&self.account.id);
        let jobs = grants.flat_map(|(kind, grant)| match grant.envelope {
            Some(_) => self.refresh_tokens(kind, grant),
            None => self.access_tokens(kind),
        });
        jobs.collect()
    }

    /// Jobs for a grant's refresh token, and for its successor
    /// ([`super::record::Intent::successor`]).
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

    /// The account's access tokens of one kind.
    fn stored<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Sealed<AccessTokenRecord>> {
        let own = self.contents.access_tokens(&self.account.id);
        own.filter(move |(selector, _)| selector.kind() == kind).map(|(_, token)| token)
    }

    /// Jobs for the account's access tokens of one kind that the provider may still accept.
    fn access_tokens(&self, kind: &str) -> Vec<Job> {
        let own = self.stored(kind).filter(|token| token.record.may_be_accepted(self.now));
        let job = |token: &Sealed<AccessTokenRecord>| {
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
