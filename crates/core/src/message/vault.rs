// SPDX-License-Identifier: Apache-2.0
//! Messages to a `Vault` object.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Class, Question};
use crate::config::ExchangeGrant;
use crate::oauth::exchange::response;
use crate::vault::consent::NewGrant;
use crate::vault::record::AccountView;
use crate::vault::release::ReleaseError;
use vault_base::ids::{AccountId, UserId};
use vault_base::secret::Secret;
use vault_provider::revocation::Revocation;

/// What a vault is asked. It is the vault of `user` and `connection`, which name the place its
/// values are sealed for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VaultRequest {
    /// Whose vault.
    pub user: UserId,
    /// Which connection.
    pub connection: String,
    /// What to do.
    pub act: VaultAction,
}

/// What to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VaultAction {
    /// Release an access token.
    Exchange {
        /// The grant that asks: it names the type of what it gets.
        grant: ExchangeGrant,
        /// Picks among several accounts.
        login_hint: Option<String>,
        /// Scopes needed.
        scopes: Vec<String>,
        /// Those and no others.
        #[serde(default)]
        exact: bool,
        /// Which kind of token; empty for the account's own.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        kind: String,
        /// What the token is for, where tokens of this kind are for something.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resource: Option<String>,
    },
    /// Keep a grant that was just connected.
    Store(Box<NewGrant>),
    /// List the accounts.
    Accounts,
    /// Delete an account, and revoke its tokens at the provider.
    Delete {
        /// Which.
        account: AccountId,
        /// Whether to answer [`VaultResponse::Removed`]; code of before knows [`VaultResponse::Deleted`] only.
        #[serde(default, skip_serializing_if = "is_false")]
        tell: bool,
    },
}

/// What a vault answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VaultResponse {
    /// A token. It leaves as it is: the Worker passes it on unread.
    #[serde(skip)]
    Token {
        /// The grant that asked.
        grant: ExchangeGrant,
        /// The access token.
        access_token: Secret,
        /// Its true scopes.
        scopes: Vec<String>,
        /// Seconds of life left.
        expires_in: i64,
        /// What applications need beside it.
        provider_data: BTreeMap<String, String>,
    },
    /// No token, and why.
    #[serde(rename = "problem")]
    NotReleased(ReleaseError),
    /// The account that holds the grant now.
    Stored(AccountView),
    /// All accounts, the oldest first.
    Accounts(Vec<AccountView>),
    /// The account's grant lives and has scopes that the new one lacks: nothing was changed.
    Narrower {
        /// Which.
        missing: Vec<String>,
    },
    /// The account's grant lives and can be renewed, the new one cannot, and nothing tells whether they are
    /// the same user's: nothing was changed.
    UnknownUser,
    /// Whether there was such an account.
    Deleted(bool),
    /// The same, and what became of it at the provider.
    Removed(Option<Revocation>),
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Question for VaultRequest {
    const CLASS: Class = Class::Vault;
    type Answer = VaultResponse;

    fn passthrough(answer: &VaultResponse) -> Option<String> {
        match answer {
            VaultResponse::Token { grant, access_token, scopes, expires_in, provider_data } => {
                Some(response::success(*grant, access_token, scopes, *expires_in, provider_data))
            }
            _ => None,
        }
    }
}
