// SPDX-License-Identifier: Apache-2.0
//! The tokens of a consent, and the rules for storing them when the user consents again.

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

/// The grant of a completed connect, as the `ConnectSession` object sends it to the `Vault` object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewGrant {
    /// The consent's id, which becomes the account's id if the account is new. The vault stores the tokens of
    /// one id only once.
    pub account: AccountId,
    /// The provider's id of the user, if the provider told it.
    pub provider_user: Option<String>,
    /// The user's e-mail address at the provider, if told.
    pub email: Option<String>,
    /// The user's name at the provider, if told.
    pub name: Option<String>,
    /// The access token.
    #[serde(with = "exposed")]
    pub access_token: Secret,
    /// The refresh token, if the provider issued one.
    #[serde(with = "exposed_option")]
    pub refresh_token: Option<Secret>,
    /// The scopes that the user granted.
    pub scopes: Vec<String>,
    /// When the tokens were received.
    pub issued_at: UnixSeconds,
    /// When the access token expires, if known or assumed.
    pub expires_at: Option<UnixSeconds>,
    /// When the refresh token expires, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token_expires_at: Option<UnixSeconds>,
    /// The tokens of further kinds from the same response, by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kinds: BTreeMap<String, KindTokens>,
    /// Members of the provider's responses that applications need.
    #[serde(rename = "extra", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provider_data: BTreeMap<String, String>,
    /// The registration that issued the tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
}

impl NewGrant {
    /// The user's identity at the provider.
    pub fn identity(&self) -> Identity {
        let Self { provider_user, email, name, .. } = self;
        Identity { id: provider_user.clone(), email: email.clone(), name: name.clone() }
    }

    /// Sets the identity, and adds the provider data that came with it. Provider data from the token response
    /// takes precedence.
    pub fn tell(&mut self, UserInfo { identity, mut provider_data }: UserInfo) {
        (self.provider_user, self.email, self.name) = (identity.id, identity.email, identity.name);
        provider_data.append(&mut self.provider_data);
        self.provider_data = provider_data;
    }
}

/// The tokens of one kind from a consent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KindTokens {
    /// The access token.
    #[serde(with = "exposed")]
    pub access_token: Secret,
    /// The refresh token, if the provider issued one.
    #[serde(with = "exposed_option")]
    pub refresh_token: Option<Secret>,
    /// The scopes that the user granted for this kind.
    pub scopes: Vec<String>,
    /// When the access token expires, if known or assumed.
    pub expires_at: Option<UnixSeconds>,
    /// When the refresh token expires, if known.
    pub refresh_token_expires_at: Option<UnixSeconds>,
}

/// The grant to store, from the provider's response to the authorization code (RFC 6749 §4.1.4). `asked` has
/// the scopes of the authorization request, which are granted unless the response says otherwise.
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
    let expires_at = |tokens: &TokenResponse| {
        let renewable = tokens.refresh_token.is_some();
        token_response::seconds_to_live(connection, tokens.lifetime, renewable, None).map(at)
    };
    let mut kinds = BTreeMap::new();
    for (name, tokens) in further {
        let asked = connection.kinds.get(&name).map_or(&[][..], |kind| &kind.scopes);
        let tokens = KindTokens {
            expires_at: expires_at(&tokens),
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
        expires_at: expires_at(&tokens),
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

/// Whether the vault assumes the lifetime of an access token of this response, because the response does not
/// tell it and the token can be renewed.
pub fn assumes_lifetime(connection: &Connection, granted: &CodeResponse) -> bool {
    std::iter::once(&granted.tokens).chain(granted.kinds.values()).any(|tokens| {
        token_response::is_lifetime_assumed(
            connection,
            tokens.lifetime,
            tokens.refresh_token.is_some(),
        )
    })
}

/// The source of a grant's refresh token after a consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshTokenFrom {
    /// The new refresh token, or none if the consent brought none.
    Consent,
    /// The stored refresh token, because some providers issue one only at the first consent.
    Stored,
}

/// A consent brought no refresh token, the stored grant is renewable, and the two are not known to belong to
/// the same user. Were the new grant stored, either one user's access token would be renewed with another
/// user's refresh token, or a valid refresh token would be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownUser;

/// Decides which refresh token a grant has after a consent. `has_new_token` says whether the consent brought
/// one, and `old` is the stored grant of this kind with its state. `is_same_user` is true only if the
/// provider identified the user of both grants, and it is the same user.
///
/// # Errors
/// [`UnknownUser`]; the caller must not store the new grant.
pub fn refresh_token_from(
    has_new_token: bool,
    is_same_user: bool,
    old: Option<(&Grant, AccountState)>,
    now: UnixSeconds,
) -> Result<RefreshTokenFrom, UnknownUser> {
    let is_kept = !has_new_token && old.is_some_and(|(old, state)| old.is_renewable(state, now));
    match (is_kept, is_same_user) {
        (false, _) => Ok(RefreshTokenFrom::Consent),
        (true, true) => Ok(RefreshTokenFrom::Stored),
        (true, false) => Err(UnknownUser),
    }
}

/// The stored account that a consent renews: this user's account, or else an account without a known user.
/// Without a known user a vault has only one account, which each consent renews. `None` if the consent
/// creates an account.
///
/// `accounts` must have only accounts of the present registration. An account of another registration is a
/// different one, even if its user is the same.
pub fn renews<'a>(
    mut accounts: impl Iterator<Item = &'a Account> + Clone,
    identity: &Identity,
) -> Option<&'a Account> {
    let same_user = accounts.clone().find(|account| account.identity.id == identity.id);
    same_user.or_else(|| accounts.find(|account| account.identity.id.is_none()))
}

/// The scopes that a valid grant would lose if a grant with the scopes `new` replaced it; the new one may be
/// stored only if this is empty. `old` is the stored grant of the same kind, `state` its state, and `token`
/// its default access token. A grant is valid here if it is active and has a refresh token or a token that
/// has not expired.
///
/// A narrower consent never replaces a wider one, because other applications may need the wider one. A user
/// who wants the narrower one deletes the account first.
pub fn lost(
    connection: &Connection,
    state: AccountState,
    old: &Grant,
    token: Option<&AccessTokenRecord>,
    new: &[String],
    now: UnixSeconds,
) -> Vec<String> {
    let is_token_valid = token.is_some_and(|token| token.expires_at.is_none_or(|at| at > now));
    let is_valid = state == AccountState::Active && (old.has_refresh_token || is_token_valid);
    if is_valid { scopes::missing(connection, new, &old.scopes) } else { Vec::new() }
}

/// The tokens of a consent by kind. The account's own tokens have the empty kind.
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
