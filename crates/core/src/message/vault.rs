// SPDX-License-Identifier: Apache-2.0
//! Messages to a `Vault` object.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Class, Outcome, Question};
use crate::config::ExchangeGrant;
use crate::oauth::exchange::response;
use crate::vault::consent::NewGrant;
use crate::vault::lease::LeaseRequest;
use crate::vault::lease_cache::Released;
use crate::vault::record::{AccountView, Reason};
use crate::vault::release::{ReleaseError, RequestedToken};
use vault_base::ids::{AccountId, UserId};
use vault_base::secret::Secret;
use vault_base::time::UnixSeconds;
use vault_provider::revocation::Revocation;

/// A request to the vault of `user` and `connection`. Both are part of the associated data that the vault's
/// tokens are sealed with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VaultRequest {
    /// The user whose vault it is.
    pub user: UserId,
    /// The name of the vault's connection.
    pub connection: String,
    /// The action to carry out.
    pub act: VaultAction,
}

/// The action that a request asks of a vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VaultAction {
    /// Release an access token.
    Exchange {
        /// The grant type of the request, which decides the token types in the response.
        grant: ExchangeGrant,
        /// Selects one of several accounts.
        login_hint: Option<String>,
        /// The scopes that the token must have.
        scopes: Vec<String>,
        /// Whether the token must have no other scopes.
        #[serde(default)]
        exact: bool,
        /// The token's kind; empty for the account's own.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        kind: String,
        /// The resource that the token is for, where tokens of this kind are for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resource: Option<String>,
        /// The SHA-256, in base64url, of an access token that the provider's API refused. An earlier version
        /// releases the current token, also if it is that one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused_token: Option<String>,
        /// The lifetime in seconds that the token should have left; 0 if the caller does not say.
        #[serde(default, skip_serializing_if = "is_zero")]
        min_ttl: i64,
        /// Whether and how the token may be lent. A Worker of an earlier version leaves it out, and gets the
        /// response for its caller ([`Outcome::Passthrough`]); an object of an earlier version always responds so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease: Option<LeaseRequest>,
    },
    /// Store the grant of a completed connect.
    Store(Box<NewGrant>),
    /// List the accounts.
    Accounts,
    /// Delete an account, and revoke its tokens at the provider.
    Delete {
        /// The account's id.
        account: AccountId,
        /// Whether to respond with [`VaultResponse::Removed`]. Earlier versions know only
        /// [`VaultResponse::Deleted`].
        #[serde(default, skip_serializing_if = "is_false")]
        tell: bool,
        /// Whether to respond with [`VaultResponse::Ended`], which earlier versions do not know.
        #[serde(default, skip_serializing_if = "is_false")]
        tell_leases: bool,
    },
}

impl VaultAction {
    /// The request for this token.
    pub fn exchange(grant: ExchangeGrant, want: &RequestedToken, lease: LeaseRequest) -> Self {
        let RequestedToken { login_hint, scopes, exact, kind, resource, refused_token, min_ttl } =
            want.clone();
        let lease = Some(lease);
        Self::Exchange {
            grant,
            login_hint,
            scopes,
            exact,
            kind,
            resource,
            refused_token,
            min_ttl,
            lease,
        }
    }
}

/// The response of a vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VaultResponse {
    /// An access token. It has a form of its own ([`Question::written`]).
    #[serde(skip)]
    Token {
        /// The grant type of the request.
        grant: ExchangeGrant,
        /// The access token.
        access_token: Secret,
        /// The token's scopes ([`crate::vault::record::AccessTokenRecord::scopes`]).
        scopes: Vec<String>,
        /// The value of `expires_in`, in seconds.
        expires_in: i64,
        /// The account's provider data, which goes into the response.
        provider_data: BTreeMap<String, String>,
        /// For how many seconds it is lent; 0: not at all; `None`: a Worker of an earlier version asks.
        lease_seconds: Option<i64>,
    },
    /// No token is released, for this reason.
    #[serde(rename = "problem")]
    NotReleased(ReleaseError),
    /// The account that holds the new grant.
    Stored(AccountView),
    /// All accounts, the oldest first.
    Accounts(Vec<AccountView>),
    /// The account's valid grant has scopes that the new one lacks. Nothing was changed.
    Narrower {
        /// The scopes that the new grant lacks.
        missing: Vec<String>,
    },
    /// The new grant has no refresh token, the account's grant is renewable, and they are not known to belong
    /// to the same user ([`crate::vault::consent::UnknownUser`]). Nothing was changed.
    UnknownUser,
    /// Whether the account existed, which is deleted now. As the response to [`VaultAction::Store`]: the same
    /// tokens were stored before, and their account was deleted.
    Deleted(bool),
    /// The result of the deletion at the provider; `None` if the account did not exist.
    Removed(Option<Revocation>),
    /// The same, with the end of leases.
    Ended {
        /// The result of the deletion at the provider; `None` if the account did not exist.
        revocation: Option<Revocation>,
        /// Until when a lease may still serve a token of the account, Unix seconds; `None`: no lease does.
        lease_until: Option<UnixSeconds>,
    },
}

impl VaultResponse {
    /// Whether this answer to an exchange shows that the configured keys are those of the vault. The name of a
    /// vault that holds something follows from the name key, and its tokens open with the keys that sealed
    /// them. With another name key a vault would be empty, and with another sealing key its tokens would seem
    /// corrupt: such an answer may be given only after the key check.
    pub fn vouches_for_keys(&self) -> bool {
        let doubtful = matches!(
            self,
            Self::NotReleased(
                ReleaseError::NotConnected
                    | ReleaseError::ReconnectRequired { reason: Reason::Corrupt }
            )
        );
        !doubtful
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Question for VaultRequest {
    const CLASS: Class = Class::Vault;
    type Answer = VaultResponse;

    fn written(answer: &VaultResponse, elapsed: u64) -> Option<(Outcome, Secret)> {
        let VaultResponse::Token {
            grant,
            access_token,
            scopes,
            expires_in,
            provider_data,
            lease_seconds,
        } = answer
        else {
            return None;
        };
        let members = response::members(*grant, access_token, scopes, provider_data);
        let expires_in = *expires_in;
        Some(match *lease_seconds {
            Some(lease_seconds) => {
                let released = Released { expires_in, lease_seconds, object_ms: elapsed, members };
                (Outcome::Released, released.write())
            }
            None => (Outcome::Passthrough, response::success(expires_in, &members)),
        })
    }
}
