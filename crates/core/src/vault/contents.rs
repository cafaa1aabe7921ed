// SPDX-License-Identifier: Apache-2.0
//! What a vault holds: the rows of its tables, as plain values. [`super::schema`] says how they are stored.

use vault_base::ids::AccountId;
use vault_provider::registration::Registration;

use super::record::{AccessTokenRecord, Account, AccountView, Grant, Selector};

/// A record and what is sealed with it.
#[derive(Debug, Clone)]
pub struct Sealed<T> {
    /// The record.
    pub record: T,
    /// The envelope ([`vault_base::seal`]), if there is one.
    pub envelope: Option<Vec<u8>>,
}

/// A row of `grant`.
#[derive(Debug, Clone)]
pub struct StoredGrant {
    /// Whose.
    pub account: AccountId,
    /// Which kind of token it gives; empty for the account's own.
    pub kind: String,
    /// The grant, with its sealed refresh token.
    pub grant: Sealed<Grant>,
}

/// A row of `access_token`.
#[derive(Debug, Clone)]
pub struct StoredToken {
    /// Whose.
    pub account: AccountId,
    /// Which of its tokens.
    pub selector: Selector,
    /// The token, sealed.
    pub token: Sealed<AccessTokenRecord>,
}

/// What a vault holds, apart from its jobs.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// All accounts, the oldest first.
    pub accounts: Vec<Account>,
    /// All grants; those of an account in the order of their kinds, its own first.
    pub grants: Vec<StoredGrant>,
    /// All access tokens.
    pub tokens: Vec<StoredToken>,
}

impl Contents {
    /// The account of this id.
    pub fn account(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id == *id)
    }

    /// An account's grant of this kind; empty for its own.
    pub fn grant(&self, account: &AccountId, kind: &str) -> Option<&Sealed<Grant>> {
        let mut own = self.grants(account);
        own.find(|(of, _)| *of == kind).map(|(_, grant)| grant)
    }

    /// An account's grants with their kinds.
    pub fn grants(&self, account: &AccountId) -> impl Iterator<Item = (&str, &Sealed<Grant>)> {
        let own = self.grants.iter().filter(move |row| row.account == *account);
        own.map(|row| (row.kind.as_str(), &row.grant))
    }

    /// The registration that an account's grants came from, its own before others.
    pub fn registration(&self, account: &AccountId) -> Option<&Registration> {
        self.grants(account).find_map(|(_, grant)| grant.record.registration.as_ref())
    }

    /// The registration that its grant of this kind came from: a consent need not renew all kinds. One that
    /// does not tell it came from that of the others.
    pub fn registration_of(&self, account: &AccountId, kind: &str) -> Option<&Registration> {
        let own = self.grant(account, kind).and_then(|grant| grant.record.registration.as_ref());
        own.or_else(|| self.registration(account))
    }

    /// One of an account's access tokens.
    pub fn access_token(
        &self,
        account: &AccountId,
        selector: &Selector,
    ) -> Option<&Sealed<AccessTokenRecord>> {
        let mut own = self.access_tokens(account);
        own.find(|(of, _)| *of == selector).map(|(_, token)| token)
    }

    /// All access tokens of an account.
    pub fn access_tokens(
        &self,
        account: &AccountId,
    ) -> impl Iterator<Item = (&Selector, &Sealed<AccessTokenRecord>)> {
        let own = self.tokens.iter().filter(move |row| row.account == *account);
        own.map(|row| (&row.selector, &row.token))
    }

    /// An account as lists show it.
    pub fn view(&self, account: &Account) -> AccountView {
        let grant = self.grant(&account.id, "").map(|grant| &grant.record);
        AccountView { registration: self.registration(&account.id).cloned(), ..account.view(grant) }
    }
}
