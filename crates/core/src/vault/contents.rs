// SPDX-License-Identifier: Apache-2.0
//! The contents of a vault: the rows of its tables as plain values. [`super::schema`] defines the columns.

use vault_base::ids::AccountId;
use vault_provider::registration::Registration;

use super::record::{AccessTokenRecord, Account, AccountView, Grant, Selector};

/// A record, and the sealed token that belongs to it.
#[derive(Debug, Clone)]
pub struct Sealed<T> {
    /// The record.
    pub record: T,
    /// The token's envelope ([`vault_base::seal`]); `None` if there is no token.
    pub envelope: Option<Vec<u8>>,
}

/// A row of `grant`.
#[derive(Debug, Clone)]
pub struct StoredGrant {
    /// The account that the grant belongs to.
    pub account: AccountId,
    /// The kind of the grant's tokens; empty for the account's own grant.
    pub kind: String,
    /// The grant, with its sealed refresh token.
    pub grant: Sealed<Grant>,
}

/// A row of `access_token`.
#[derive(Debug, Clone)]
pub struct StoredToken {
    /// The account that the token belongs to.
    pub account: AccountId,
    /// Which of the account's access tokens this is.
    pub selector: Selector,
    /// The token's record, with the sealed token.
    pub token: Sealed<AccessTokenRecord>,
}

/// All rows of a vault, except its jobs.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// All accounts, the oldest first.
    pub accounts: Vec<Account>,
    /// All grants. Those of one account are sorted by kind, so that the account's own grant is first.
    pub grants: Vec<StoredGrant>,
    /// All access tokens.
    pub tokens: Vec<StoredToken>,
}

impl Contents {
    /// The account with this id, if there is one.
    pub fn account(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id == *id)
    }

    /// An account's grant of this kind, if there is one. The empty kind is the account's own grant.
    pub fn grant(&self, account: &AccountId, kind: &str) -> Option<&Sealed<Grant>> {
        let mut own = self.grants(account);
        own.find(|(stored_kind, _)| *stored_kind == kind).map(|(_, grant)| grant)
    }

    /// An account's grants, each with its kind.
    pub fn grants(&self, account: &AccountId) -> impl Iterator<Item = (&str, &Sealed<Grant>)> {
        let own = self.grants.iter().filter(move |row| row.account == *account);
        own.map(|row| (row.kind.as_str(), &row.grant))
    }

    /// The registration that an account's grants came from: the first one that a grant names, in the order
    /// of [`Contents::grants`]. `None` if no grant names one.
    pub fn registration(&self, account: &AccountId) -> Option<&Registration> {
        self.grants(account).find_map(|(_, grant)| grant.record.registration.as_ref())
    }

    /// The registration that the account's grant of this kind came from. It may differ from that of the
    /// other grants, because a consent need not renew all kinds. A grant that names no registration counts
    /// as one of the account's [`Contents::registration`].
    pub fn registration_of(&self, account: &AccountId, kind: &str) -> Option<&Registration> {
        let own = self.grant(account, kind).and_then(|grant| grant.record.registration.as_ref());
        own.or_else(|| self.registration(account))
    }

    /// The access token of an account that this selector names, if it is stored. It may have expired.
    pub fn access_token(
        &self,
        account: &AccountId,
        selector: &Selector,
    ) -> Option<&Sealed<AccessTokenRecord>> {
        let mut own = self.access_tokens(account);
        own.find(|(stored, _)| *stored == selector).map(|(_, token)| token)
    }

    /// All access tokens of an account, each with its selector.
    pub fn access_tokens(
        &self,
        account: &AccountId,
    ) -> impl Iterator<Item = (&Selector, &Sealed<AccessTokenRecord>)> {
        let own = self.tokens.iter().filter(move |row| row.account == *account);
        own.map(|row| (&row.selector, &row.token))
    }

    /// The account in the form that the connected-accounts API lists, with its registration.
    pub fn view(&self, account: &Account) -> AccountView {
        let grant = self.grant(&account.id, "").map(|grant| &grant.record);
        AccountView { registration: self.registration(&account.id).cloned(), ..account.view(grant) }
    }
}
