// SPDX-License-Identifier: Apache-2.0
//! What is to be done in a vault, as values: the object carries a plan out in one transaction, so that all of
//! its writes are done or none.

use vault_base::ids::AccountId;
use vault_base::time::UnixSeconds;
use vault_provider::registration::Registration;

use super::jobs::Job;
use super::record::{AccessTokenRecord, Account, AccountState, Grant, Selector};
use crate::event::Event;

/// A job that is stored: its id, when it is due, and what it is.
pub type StoredJob = (i64, UnixSeconds, Job);

/// One change of what a vault holds.
#[derive(Debug)]
pub enum Write {
    /// Adds an account, or renews what is known of it.
    PutAccount(Account),
    /// Changes an account's state.
    SetState(AccountId, AccountState),
    /// Writes a grant with its refresh token.
    PutGrant {
        /// Whose.
        account: AccountId,
        /// Of which kind.
        kind: String,
        /// The grant.
        grant: Grant,
        /// The sealed refresh token.
        envelope: Option<Vec<u8>>,
    },
    /// Writes what changes about a grant while its refresh token stays.
    UpdateGrant {
        /// Whose.
        account: AccountId,
        /// Of which kind.
        kind: String,
        /// The grant.
        grant: Grant,
    },
    /// Binds an account's grants to a registration, those that do not tell one.
    BindGrants(AccountId, Registration),
    /// Writes an access token.
    PutAccessToken {
        /// Whose.
        account: AccountId,
        /// Which of them.
        selector: Selector,
        /// The token's record.
        record: AccessTokenRecord,
        /// The token, sealed.
        envelope: Vec<u8>,
    },
    /// Forgets an account's access tokens of one kind.
    DropAccessTokens(AccountId, String),
    /// Forgets an account's access tokens of one kind for one resource.
    DropMade {
        /// Whose.
        account: AccountId,
        /// Of which kind.
        kind: String,
        /// For what.
        resource: String,
    },
    /// Forgets an account's access tokens of one kind that are over.
    DropOver {
        /// Whose.
        account: AccountId,
        /// Of which kind.
        kind: String,
        /// At this time.
        now: UnixSeconds,
    },
    /// Forgets an account with everything.
    DropAccount(AccountId),
    /// Remembers that the tokens that came with `id` were stored for `account`; forgets those of an hour
    /// before `now`.
    RememberRedemption {
        /// The id that came with the tokens.
        id: AccountId,
        /// The account.
        account: AccountId,
        /// The time.
        now: UnixSeconds,
    },
    /// Adds a job.
    AddJob {
        /// What.
        job: Job,
        /// When.
        due: UnixSeconds,
    },
    /// Ends a job.
    EndJob(i64),
}

/// Writes that belong together, and what the operator is told of them.
#[derive(Debug, Default)]
pub struct Plan {
    /// In this order.
    pub writes: Vec<Write>,
    /// Log events.
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

    /// Adds an event.
    pub fn tell(&mut self, event: Event) {
        self.events.push(event);
    }
}
