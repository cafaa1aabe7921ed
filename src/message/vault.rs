//! Messages to a `Vault` object.

use serde::{Deserialize, Serialize};

use super::{Class, Question};
use crate::config::GrantType;
use crate::exchange::answer;
use crate::ids::{AccountId, UserId};
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
    },
    /// Keep a grant that was just connected.
    Store(Store),
    /// List the accounts.
    Accounts,
    /// Delete an account, and revoke its tokens at the provider.
    Delete {
        /// Which.
        account: AccountId,
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
    },
    /// No token, and why.
    Problem(Problem),
    /// The account that holds the grant now.
    Stored(AccountView),
    /// All accounts, the oldest first.
    Accounts(Vec<AccountView>),
    /// Whether there was such an account.
    Deleted(bool),
}

impl Question for Ask {
    const CLASS: Class = Class::Vault;
    type Answer = Answer;

    fn leaves(answer: &Answer) -> Option<String> {
        match answer {
            Answer::Token { grant, access_token, scopes, expires_in } => {
                Some(answer::success(*grant, access_token, scopes, *expires_in))
            }
            _ => None,
        }
    }
}
