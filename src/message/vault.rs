//! Messages to a `Vault` object.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Class, Question};
use crate::config::GrantType;
use crate::exchange::answer;
use crate::ids::{AccountId, UserId};
use crate::jwt::id_token::Identity;
use crate::provider::identity::Told;
use crate::provider::registration::Registration;
use crate::provider::revocation::Revocation;
use crate::secret::{Secret, exposed, exposed_option};
use crate::time::UnixSeconds;
use crate::vault::record::AccountView;
use crate::vault::release::Problem;

/// What a vault is asked. It is the vault of `user` and `connection`, which name the place its
/// values are sealed for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ask {
    /// Whose vault.
    pub user: UserId,
    /// Which connection.
    pub connection: String,
    /// What to do.
    pub act: Act,
}

/// What to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Release an access token.
    Exchange {
        /// The grant that asks: it names the type of what it gets.
        grant: GrantType,
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
    Store(Box<Store>),
    /// List the accounts.
    Accounts,
    /// Delete an account, and revoke its tokens at the provider.
    Delete {
        /// Which.
        account: AccountId,
        /// Whether to answer [`Answer::Removed`]; code of before knows [`Answer::Deleted`] only.
        #[serde(default, skip_serializing_if = "is_false")]
        tell: bool,
    },
}

/// A grant that was just connected.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Store {
    /// Id for the account if it is new. Storing the same twice changes nothing.
    pub account: AccountId,
    /// The provider's id of the user.
    pub provider_user: Option<String>,
    /// E-mail address at the provider.
    pub email: Option<String>,
    /// Name at the provider.
    pub name: Option<String>,
    /// The access token.
    #[serde(with = "exposed")]
    pub access_token: Secret,
    /// The refresh token, if there is one.
    #[serde(with = "exposed_option")]
    pub refresh_token: Option<Secret>,
    /// Scopes granted.
    pub scopes: Vec<String>,
    /// When the tokens came.
    pub issued_at: UnixSeconds,
    /// When the access token ends, if known.
    pub expires_at: Option<UnixSeconds>,
    /// When the refresh token ends, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token_expires_at: Option<UnixSeconds>,
    /// Further tokens that came along, by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kinds: BTreeMap<String, KindTokens>,
    /// What applications need of the provider's answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, String>,
    /// The registration that the tokens came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
}

impl Store {
    /// Whose it is.
    pub fn identity(&self) -> Identity {
        let Self { provider_user, email, name, .. } = self;
        Identity { id: provider_user.clone(), email: email.clone(), name: name.clone() }
    }

    /// Says whose it is, and what else was told then: what came with the tokens goes before that.
    pub fn tell(&mut self, Told { identity, mut extra }: Told) {
        (self.provider_user, self.email, self.name) = (identity.id, identity.email, identity.name);
        extra.append(&mut self.extra);
        self.extra = extra;
    }
}

/// A further token of an account that was just connected.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KindTokens {
    /// The access token.
    #[serde(with = "exposed")]
    pub access_token: Secret,
    /// The refresh token, if there is one.
    #[serde(with = "exposed_option")]
    pub refresh_token: Option<Secret>,
    /// Scopes granted.
    pub scopes: Vec<String>,
    /// When the access token ends, if known.
    pub expires_at: Option<UnixSeconds>,
    /// When the refresh token ends, if known.
    pub refresh_token_expires_at: Option<UnixSeconds>,
}

/// What a vault answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A token. It leaves as it is: the Worker passes it on unread.
    #[serde(skip)]
    Token {
        /// The grant that asked.
        grant: GrantType,
        /// The access token.
        access_token: Secret,
        /// Its true scopes.
        scopes: Vec<String>,
        /// Seconds of life left.
        expires_in: i64,
        /// What applications need beside it.
        extra: BTreeMap<String, String>,
    },
    /// No token, and why.
    Problem(Problem),
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

impl Question for Ask {
    const CLASS: Class = Class::Vault;
    type Answer = Answer;

    fn leaves(answer: &Answer) -> Option<String> {
        match answer {
            Answer::Token { grant, access_token, scopes, expires_in, extra } => {
                Some(answer::success(*grant, access_token, scopes, *expires_in, extra))
            }
            _ => None,
        }
    }
}
