// SPDX-License-Identifier: Apache-2.0
//! A model of an object's storage: the rows of a vault, its jobs and its alarm. `src/objects/vault/store.rs`
//! does the same with SQL.

use vault_base::ids::AccountId;
use vault_base::time::UnixSeconds;
use vault_core::vault::contents::{Contents, Sealed, StoredGrant, StoredToken};
use vault_core::vault::follow_up;
use vault_core::vault::jobs::Job;
use vault_core::vault::lifetime::Stored;
use vault_core::vault::plan::{StoredJob, Write};
use vault_core::vault::record::{Account, Grant};

/// What one object stores.
#[derive(Debug, Clone, Default)]
pub struct Storage {
    /// Accounts, grants and access tokens.
    pub contents: Contents,
    /// Jobs, in the order of their ids.
    pub jobs: Vec<StoredJob>,
    /// Consents whose tokens were stored: id of the consent, account, Unix seconds.
    pub redemptions: Vec<(AccountId, AccountId, UnixSeconds)>,
    /// When the alarm is due, in milliseconds of true time.
    pub alarm: Option<i64>,
    last_job: i64,
}

impl Storage {
    /// Applies the writes of a plan. Returns the ids of the added jobs.
    pub fn apply(&mut self, writes: Vec<Write>) -> Vec<i64> {
        let mut added = Vec::new();
        for write in writes {
            match write {
                Write::AddJob { job, due } => added.push(self.add_job(job, due)),
                Write::EndJob(id) => self.end_job(id),
                other => self.put(other),
            }
        }
        added
    }

    fn put(&mut self, write: Write) {
        match write {
            Write::PutAccount(account) => self.put_account(account),
            Write::SetState(id, state) => {
                for account in self.contents.accounts.iter_mut().filter(|one| one.id == id) {
                    account.state = state;
                }
            }
            Write::PutGrant { account, kind, grant, envelope } => {
                self.contents.grants.retain(|row| (&row.account, &row.kind) != (&account, &kind));
                let record = Grant { has_refresh_token: envelope.is_some(), ..grant };
                let grant = Sealed { record, envelope };
                self.contents.grants.push(StoredGrant { account, kind, grant });
            }
            Write::UpdateGrant { account, kind, grant } => {
                self.update_grant(&account, &kind, &grant);
            }
            Write::BindGrants(id, to) => {
                let own = self.contents.grants.iter_mut().filter(|row| row.account == id);
                for row in own {
                    let _ = row.grant.record.registration.get_or_insert_with(|| to.clone());
                }
            }
            Write::PutAccessToken { account, selector, record, envelope } => {
                let is_same =
                    |row: &StoredToken| row.account == account && row.selector == selector;
                self.contents.tokens.retain(|row| !is_same(row));
                let token = Sealed { record, envelope: Some(envelope) };
                self.contents.tokens.push(StoredToken { account, selector, token });
            }
            Write::DropAccessTokens(id, kind) => {
                self.contents.tokens.retain(|row| row.account != id || row.selector.kind() != kind);
            }
            Write::DropMade { account, kind, resource } => self.contents.tokens.retain(|row| {
                row.account != account
                    || row.selector.kind() != kind
                    || row.selector.resource() != resource
            }),
            Write::DropOver { account, kind, now } => self.contents.tokens.retain(|row| {
                row.account != account
                    || row.selector.kind() != kind
                    || row.token.record.expires_at.is_none_or(|at| at > now)
            }),
            Write::DropAccount(id) => {
                self.contents.tokens.retain(|row| row.account != id);
                self.contents.grants.retain(|row| row.account != id);
                self.contents.accounts.retain(|account| account.id != id);
            }
            Write::RememberRedemption { id, account, now } => {
                self.redemptions.retain(|(.., at)| *at >= now - 3600);
                if self.redeemed(&id).is_none() {
                    self.redemptions.push((id, account, now));
                }
            }
            Write::AddJob { .. } | Write::EndJob(_) => {}
        }
    }

    fn put_account(&mut self, account: Account) {
        match self.contents.accounts.iter_mut().find(|known| known.id == account.id) {
            Some(known) => *known = Account { created_at: known.created_at, ..account },
            None => self.contents.accounts.push(account),
        }
    }

    /// Updates the columns that can change while the refresh token stays the same.
    fn update_grant(&mut self, account: &AccountId, kind: &str, grant: &Grant) {
        let is_meant = |row: &&mut StoredGrant| row.account == *account && row.kind == kind;
        for row in self.contents.grants.iter_mut().filter(is_meant) {
            let Grant { intent, retry_at, failures, fault, state, .. } = grant.clone();
            let stored = row.grant.record.clone();
            row.grant.record = Grant { intent, retry_at, failures, fault, state, ..stored };
        }
    }

    /// The account that the tokens of a consent were stored for.
    pub fn redeemed(&self, id: &AccountId) -> Option<AccountId> {
        let entry = self.redemptions.iter().find(|(of, ..)| of == id);
        entry.map(|(_, account, _)| account.clone())
    }

    /// Adds a job and returns its id.
    pub fn add_job(&mut self, job: Job, due: UnixSeconds) -> i64 {
        self.last_job += 1;
        self.jobs.push((self.last_job, due, job));
        self.jobs.sort_by_key(|(id, due, _)| (*due, *id));
        self.last_job
    }

    /// Deletes a job.
    pub fn end_job(&mut self, id: i64) {
        self.jobs.retain(|(stored, ..)| *stored != id);
    }

    /// What decides how long the storage lasts. `None` if nothing was ever written.
    pub fn stored(&self) -> Option<Stored> {
        (self.last_job > 0 || !self.contents.accounts.is_empty()).then(|| Stored {
            has_accounts: !self.contents.accounts.is_empty(),
            has_jobs: !self.jobs.is_empty(),
            next_job: self
                .jobs
                .first()
                .map(|(_, due, _)| *due)
                .into_iter()
                .chain(follow_up::next(&self.contents))
                .min(),
            last_redemption: self.redemptions.iter().map(|(.., at)| *at).max(),
        })
    }

    /// Whether a job is stored.
    pub fn has_job(&self, id: i64) -> bool {
        self.jobs.iter().any(|(stored, ..)| *stored == id)
    }

    /// The same rows, read from the bytes that they are stored as.
    ///
    /// # Errors
    /// If a row does not survive.
    pub fn read_back(&mut self) -> Result<(), serde_json::Error> {
        for (.., job) in &mut self.jobs {
            *job = serde_json::from_str(&serde_json::to_string(job)?)?;
        }
        for row in &mut self.contents.grants {
            if let Some(intent) = &mut row.grant.record.intent {
                *intent = serde_json::from_str(&serde_json::to_string(intent)?)?;
            }
        }
        Ok(())
    }
}
