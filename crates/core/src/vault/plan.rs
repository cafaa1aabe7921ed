// SPDX-License-Identifier: Apache-2.0
//! Plans: changes of a vault as values. The object carries a plan out in one transaction, so that
//! all of its writes happen or none.

use vault_base::ids::AccountId;
use vault_base::time::UnixSeconds;
use vault_provider::registration::Registration;

use super::jobs::Job;
use super::record::{AccessTokenRecord, Account, AccountState, Grant, Selector};
use crate::event::Event;

/// A stored job: its id, when it is due (Unix seconds), and the job.
pub type StoredJob = (i64, UnixSeconds, Job);

/// One change of what a vault stores.
#[derive(Debug)]
pub enum Write {
    /// Adds an account, or updates it.
    PutAccount(Account),
    /// Changes an account's state.
    SetState(AccountId, AccountState),
    /// Writes a grant with its refresh token.
    PutGrant {
        /// The account.
        account: AccountId,
        /// The kind; empty for the account's own grant.
        kind: String,
        /// The grant.
        grant: Grant,
        /// The sealed refresh token, if there is one.
        envelope: Option<Vec<u8>>,
    },
    /// Updates a grant, and leaves its refresh token as it is.
    UpdateGrant {
        /// The account.
        account: AccountId,
        /// The kind; empty for the account's own grant.
        kind: String,
        /// The grant.
        grant: Grant,
    },
    /// Binds those grants of an account that have no registration to this one.
    BindGrants(AccountId, Registration),
    /// Writes an access token.
    PutAccessToken {
        /// The account.
        account: AccountId,
        /// Which of the account's access tokens it is.
        selector: Selector,
        /// Its record.
        record: AccessTokenRecord,
        /// Its envelope.
        envelope: Vec<u8>,
    },
    /// Deletes an account's access tokens of one kind.
    DropAccessTokens(AccountId, String),
    /// Deletes an account's access tokens of one kind and resource.
    DropMade {
        /// The account.
        account: AccountId,
        /// The kind.
        kind: String,
        /// The resource.
        resource: String,
    },
    /// Deletes an account's expired access tokens of one kind.
    DropOver {
        /// The account.
        account: AccountId,
        /// The kind.
        kind: String,
        /// The time to compare with, Unix seconds.
        now: UnixSeconds,
    },
    /// Deletes an account with everything that belongs to it.
    DropAccount(AccountId),
    /// Remembers that the tokens of this consent were stored for `account`, and forgets entries
    /// older than an hour.
    RememberRedemption {
        /// The id of the consent ([`super::consent::NewGrant::account`]).
        id: AccountId,
        /// The account that holds them.
        account: AccountId,
        /// The time, Unix seconds.
        now: UnixSeconds,
    },
    /// Adds a job.
    AddJob {
        /// The job.
        job: Job,
        /// When it is due, Unix seconds.
        due: UnixSeconds,
    },
    /// Deletes the job with this id.
    EndJob(i64),
}

/// Writes that belong together, and the log events that go with them.
#[derive(Debug, Default)]
pub struct Plan {
    /// The writes, in order.
    pub writes: Vec<Write>,
    /// Events for the operator's log, emitted after the writes.
    pub events: Vec<Event>,
}

impl Plan {
    /// Adds a write.
    pub fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// Adds a job.
    pub fn add_job(&mut self, job: Job, due: UnixSeconds) {
        self.writes.push(Write::AddJob { job, due });
    }

    /// Adds a log event.
    pub fn tell(&mut self, event: Event) {
        self.events.push(event);
    }
}
