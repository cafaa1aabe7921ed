// SPDX-License-Identifier: Apache-2.0
//! Changes of a vault as values. The `Vault` object carries out a plan in one transaction, so that either
//! all of its writes take effect or none.

use vault_base::ids::AccountId;
use vault_base::time::UnixSeconds;
use vault_provider::registration::Registration;

use super::jobs::Job;
use super::record::{AccessTokenRecord, Account, AccountState, Grant, Selector};
use crate::event::Event;

/// A stored job: its row id, the time at which it is due, and the job.
pub type StoredJob = (i64, UnixSeconds, Job);

/// One change of a vault's rows.
#[derive(Debug)]
pub enum Write {
    /// Adds an account, or updates the row of the account with this id.
    PutAccount(Account),
    /// Sets an account's state.
    SetState(AccountId, AccountState),
    /// Writes a grant together with its refresh token.
    PutGrant {
        /// The account that the grant belongs to.
        account: AccountId,
        /// The grant's kind; empty for the account's own grant.
        kind: String,
        /// The grant.
        grant: Grant,
        /// The sealed refresh token, if the grant has one.
        envelope: Option<Vec<u8>>,
    },
    /// Updates a grant; its sealed refresh token stays as it is.
    UpdateGrant {
        /// The account that the grant belongs to.
        account: AccountId,
        /// The grant's kind; empty for the account's own grant.
        kind: String,
        /// The grant.
        grant: Grant,
    },
    /// Binds those of an account's grants that name no registration to this one.
    BindGrants(AccountId, Registration),
    /// Writes an access token.
    PutAccessToken {
        /// The account that the token belongs to.
        account: AccountId,
        /// Which of the account's access tokens this is.
        selector: Selector,
        /// The token's record.
        record: AccessTokenRecord,
        /// The sealed token.
        envelope: Vec<u8>,
    },
    /// Deletes an account's access tokens of one kind.
    DropAccessTokens(AccountId, String),
    /// Deletes an account's access tokens of one kind for one resource, whatever their scopes are.
    DropMade {
        /// The account that the tokens belong to.
        account: AccountId,
        /// The tokens' kind.
        kind: String,
        /// The resource that the tokens are for.
        resource: String,
    },
    /// Deletes those of an account's access tokens of one kind that have expired.
    DropOver {
        /// The account that the tokens belong to.
        account: AccountId,
        /// The tokens' kind.
        kind: String,
        /// The present time.
        now: UnixSeconds,
    },
    /// Deletes an account with its grants and access tokens.
    DropAccount(AccountId),
    /// Records that the tokens of the consent `id` were stored for `account`, and deletes such records that
    /// are more than an hour old.
    RememberRedemption {
        /// The consent's id ([`super::consent::NewGrant::account`]).
        id: AccountId,
        /// The account that holds the tokens.
        account: AccountId,
        /// The present time.
        now: UnixSeconds,
    },
    /// Adds a job.
    AddJob {
        /// The job.
        job: Job,
        /// The time at which it is due.
        due: UnixSeconds,
    },
    /// Deletes the job with this row id.
    EndJob(i64),
}

/// Writes that belong together, and the log events about them.
#[derive(Debug, Default)]
pub struct Plan {
    /// The writes, in the order in which they are carried out.
    pub writes: Vec<Write>,
    /// The events for the operator's log.
    pub events: Vec<Event>,
}

impl Plan {
    /// Appends a write.
    pub fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// Appends the write that adds a job, which is due at `due`.
    pub fn add_job(&mut self, job: Job, due: UnixSeconds) {
        self.writes.push(Write::AddJob { job, due });
    }

    /// Appends a log event.
    pub fn tell(&mut self, event: Event) {
        self.events.push(event);
    }
}
