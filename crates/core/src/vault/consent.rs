// SPDX-License-Identifier: Apache-2.0
//! What a consent brings, and what becomes of a grant when the user consents again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::record::{AccessTokenRecord, Account, AccountState, Grant};
use vault_base::ids::AccountId;
use vault_base::secret::{Secret, exposed, exposed_option};
use vault_base::time::UnixSeconds;
use vault_jose::identity::Identity;
use vault_provider::connection::Connection;
use vault_provider::registration::Registration;
use vault_provider::scopes;
use vault_provider::token_response::{self, CodeResponse, TokenResponse};
use vault_provider::userinfo::UserInfo;

/// A grant that was just connected.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewGrant {
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
    #[serde(rename = "extra", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provider_data: BTreeMap<String, String>,
    /// The registration that the tokens came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
}

impl NewGrant {
    /// Whose it is.
    pub fn identity(&self) -> Identity {
        let Self { provider_user, email, name, .. } = self;
        Identity { id: provider_user.clone(), email: email.clone(), name: name.clone() }
    }

    /// Says whose it is, and what else was told then: what came with the tokens goes before that.
    pub fn tell(&mut self, UserInfo { identity, mut provider_data }: UserInfo) {
        (self.provider_user, self.email, self.name) = (identity.id, identity.email, identity.name);
        provider_data.append(&mut self.provider_data);
        self.provider_data = provider_data;
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

/// The grant to store, from the provider's answer to the code, which may tell whose it is. `asked`:
/// the scopes of the request.
pub fn store(
    connection: &Connection,
    account: AccountId,
    granted: CodeResponse,
    asked: &[String],
    now: UnixSeconds,
) -> NewGrant {
    let CodeResponse { tokens, kinds: further, identity, provider_data } = granted;
    let identity = identity.unwrap_or_default();
    let at = |seconds: i64| now.saturating_add(seconds);
    let ends = |tokens: &TokenResponse| {
        let renewable = tokens.refresh_token.is_some();
        token_response::seconds_to_live(connection, tokens.lifetime, renewable, None).map(at)
    };
    let mut kinds = BTreeMap::new();
    for (name, tokens) in further {
        let asked = connection.kinds.get(&name).map_or(&[][..], |kind| &kind.scopes);
        let tokens = KindTokens {
            expires_at: ends(&tokens),
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            scopes: tokens.scopes.unwrap_or_else(|| asked.to_vec()),
            refresh_token_expires_at: tokens.refresh_token_expires_in.map(at),
        };
        kinds.insert(name, tokens);
    }
    NewGrant {
        account,
        provider_user: identity.id,
        email: identity.email,
        name: identity.name,
        expires_at: ends(&tokens),
        access_token: tokens.access_token,
        refresh_token_expires_at: tokens
            .refresh_token_expires_in
            .filter(|_| tokens.refresh_token.is_some())
            .map(at),
        refresh_token: tokens.refresh_token,
        scopes: scopes::granted(connection, tokens.scopes, asked),
        issued_at: now,
        kinds,
        provider_data,
        registration: Some(connection.registration.clone()),
    }
}

/// Whether a consent brought tokens whose end is counted on though the provider tells none.
pub fn assumes_lifetime(connection: &Connection, granted: &CodeResponse) -> bool {
    std::iter::once(&granted.tokens).chain(granted.kinds.values()).any(|tokens| {
        token_response::is_lifetime_assumed(
            connection,
            tokens.lifetime,
            tokens.refresh_token.is_some(),
        )
    })
}

/// Which refresh token a grant has after a consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshTokenFrom {
    /// The new one, or none.
    Consent,
    /// The one that is stored: some providers give one at the first consent only.
    Stored,
}

/// A consent brought no refresh token, and nothing tells whether it is the same user's as the grant that
/// is stored and can be renewed. Stored over it, one user's access token would be renewed with another's
/// refresh token, or a good refresh token would be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownUser;

/// Decides it. `old`: the grant of this kind that is stored, and its state; `is_same_user`: whether the
/// provider told of both who they are of, and it is the same user.
///
/// # Errors
/// [`UnknownUser`].
pub fn refresh_token_from(
    brings_one: bool,
    is_same_user: bool,
    old: Option<(&Grant, AccountState)>,
    now: UnixSeconds,
) -> Result<RefreshTokenFrom, UnknownUser> {
    let is_kept = !brings_one && old.is_some_and(|(old, state)| old.is_renewable(state, now));
    match (is_kept, is_same_user) {
        (false, _) => Ok(RefreshTokenFrom::Consent),
        (true, true) => Ok(RefreshTokenFrom::Stored),
        (true, false) => Err(UnknownUser),
    }
}

/// The account that a consent renews, if any: the one that is this user's, or else one of which nobody
/// knows whose it is. Such a one comes from before the provider told who consents; then there was only
/// one, and each consent renewed that.
///
/// `accounts`: those of the registration that was consented to. One of another is another account, whoever
/// it is of.
pub fn renews<'a>(
    mut accounts: impl Iterator<Item = &'a Account> + Clone,
    identity: &Identity,
) -> Option<&'a Account> {
    let own = accounts.clone().find(|one| one.identity.id == identity.id);
    own.or_else(|| accounts.find(|one| one.identity.id.is_none()))
}

/// The scopes that storing `new` would take from a grant that lives. Empty: store it. `state` and `old`:
/// the grant's of this kind; `token`: its default access token.
///
/// A consent for less is never put over a wider one: other applications may rest on that. Whoever
/// means it deletes the account first.
pub fn lost(
    connection: &Connection,
    state: AccountState,
    old: &Grant,
    token: Option<&AccessTokenRecord>,
    new: &[String],
    now: UnixSeconds,
) -> Vec<String> {
    let token_lives = token.is_some_and(|token| token.expires_at.is_none_or(|at| at > now));
    let lives = state == AccountState::Active && (old.has_refresh_token || token_lives);
    if lives { scopes::missing(connection, new, &old.scopes) } else { Vec::new() }
}

/// What is to be kept, by kind: the account's own grant under the empty name.
pub fn by_kind(store: NewGrant) -> BTreeMap<String, KindTokens> {
    let mut all = store.kinds;
    let own = KindTokens {
        access_token: store.access_token,
        refresh_token: store.refresh_token,
        scopes: store.scopes,
        expires_at: store.expires_at,
        refresh_token_expires_at: store.refresh_token_expires_at,
    };
    all.insert(String::new(), own);
    all
}
