// SPDX-License-Identifier: Apache-2.0
//! What a vault stores: the rows of its tables as plain values. [`super::schema`] defines the
//! tables.

use vault_base::ids::AccountId;
use vault_provider::registration::Registration;

use super::record::{AccessTokenRecord, Account, AccountView, Grant, Selector};

/// A record with its sealed secret.
#[derive(Debug, Clone)]
pub struct Sealed<T> {
    /// The record, which is stored in the clear.
    pub record: T,
    /// The envelope ([`vault_base::seal`]), if the record has a secret.
    pub envelope: Option<Vec<u8>>,
}

/// A row of `grant`.
#[derive(Debug, Clone)]
pub struct StoredGrant {
    /// The account that owns the row.
    pub account: AccountId,
    /// The kind of its tokens; empty for the account's own.
    pub kind: String,
    /// The grant with its sealed refresh token.
    pub grant: Sealed<Grant>,
}

/// A row of `access_token`.
#[derive(Debug, Clone)]
pub struct StoredToken {
    /// The account that owns the row.
    pub account: AccountId,
    /// Which of the account's access tokens it is.
    pub selector: Selector,
    /// The record with the sealed access token.
    pub token: Sealed<AccessTokenRecord>,
}

/// All rows of a vault, without its jobs.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// All accounts, the oldest first.
    pub accounts: Vec<Account>,
    /// All grants. Those of one account are in the order of their kinds, its own first.
    pub grants: Vec<StoredGrant>,
    /// All access tokens.
    pub tokens: Vec<StoredToken>,
}

impl Contents {
    /// The account with this id.
    pub fn account(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id == *id)
    }

    /// The account's grant of this kind; the empty kind is the account's own grant.
    pub fn grant(&self, account: &AccountId, kind: &str) -> Option<&Sealed<Grant>> {
        let mut own = self.grants(account);
        own.find(|(of, _)| *of == kind).map(|(_, grant)| grant)
    }

    /// The account's grants with their kinds.
    pub fn grants(&self, account: &AccountId) -> impl Iterator<Item = (&str, &Sealed<Grant>)> {
        let own = self.grants.iter().filter(move |row| row.account == *account);
        own.map(|row| (row.kind.as_str(), &row.grant))
    }

    /// The registration of the account: that of its own grant, else of another one.
    pub fn registration(&self, account: &AccountId) -> Option<&Registration> {
        self.grants(account).find_map(|(_, grant)| grant.record.registration.as_ref())
    }

    /// The registration of the account's grant of one kind, because a consent need not renew all
    /// kinds. A grant without a registration has that of the others.
    pub fn registration_of(&self, account: &AccountId, kind: &str) -> Option<&Registration> {
        let own = self.grant(account, kind).and_then(|grant| grant.record.registration.as_ref());
        own.or_else(|| self.registration(account))
    }

    /// One access token of an account.
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

    /// The account in the form that lists show.
    pub fn view(&self, account: &Account) -> AccountView {
        let grant = self.grant(&account.id, "").map(|grant| &grant.record);
        AccountView { registration: self.registration(&account.id).cloned(), ..account.view(grant) }
    }
}
