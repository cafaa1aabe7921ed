// SPDX-License-Identifier: Apache-2.0
//! The grant that a consent brings, and how it relates to the grant that is stored already.

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

/// A grant that was just connected, with its tokens. Travels from the connect session to the vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewGrant {
    /// The account's id, if the account is new. It also identifies the consent, so that storing the
    /// same grant twice changes nothing.
    pub account: AccountId,
    /// The provider's id of the user, if known.
    pub provider_user: Option<String>,
    /// E-mail address at the provider, if known.
    pub email: Option<String>,
    /// Display name at the provider, if known.
    pub name: Option<String>,
    /// The access token.
    #[serde(with = "exposed")]
    pub access_token: Secret,
    /// The refresh token, if there is one.
    #[serde(with = "exposed_option")]
    pub refresh_token: Option<Secret>,
    /// The scopes that the provider granted.
    pub scopes: Vec<String>,
    /// When the provider issued the tokens, Unix seconds.
    pub issued_at: UnixSeconds,
    /// When the access token expires, Unix seconds; `None` if unknown.
    pub expires_at: Option<UnixSeconds>,
    /// When the refresh token expires, Unix seconds; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token_expires_at: Option<UnixSeconds>,
    /// Further tokens of the same response, by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kinds: BTreeMap<String, KindTokens>,
    /// Members of the provider's response that applications need. No secrets.
    #[serde(rename = "extra", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provider_data: BTreeMap<String, String>,
    /// The registration that the tokens came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
}

impl NewGrant {
    /// The user at the provider, as far as known.
    pub fn identity(&self) -> Identity {
        let Self { provider_user, email, name, .. } = self;
        Identity { id: provider_user.clone(), email: email.clone(), name: name.clone() }
    }

    /// Adds the user's identity and further provider data. Data that came with the tokens takes
    /// precedence.
    pub fn tell(&mut self, UserInfo { identity, mut provider_data }: UserInfo) {
        (self.provider_user, self.email, self.name) = (identity.id, identity.email, identity.name);
        provider_data.append(&mut self.provider_data);
        self.provider_data = provider_data;
    }
}

/// A further token of a consent, such as Slack's bot token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KindTokens {
    /// The access token.
    #[serde(with = "exposed")]
    pub access_token: Secret,
    /// The refresh token, if there is one.
    #[serde(with = "exposed_option")]
    pub refresh_token: Option<Secret>,
    /// The scopes that the provider granted.
    pub scopes: Vec<String>,
    /// When the access token expires, Unix seconds; `None` if unknown.
    pub expires_at: Option<UnixSeconds>,
    /// When the refresh token expires, Unix seconds; `None` if unknown.
    pub refresh_token_expires_at: Option<UnixSeconds>,
}

/// The grant to store, from the provider's response to the authorization code. The response may
/// name the user. `asked` are the scopes of the authorization request: they count as granted where
/// the response names none (RFC 6749 §5.1).
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
            refresh_token_expires_at: end(
                connection,
                tokens.refresh_token_expires_in.map(at),
                Some(now),
            ),
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
            .refresh_token
            .as_ref()
            .and_then(|_| end(connection, tokens.refresh_token_expires_in.map(at), Some(now))),
        refresh_token: tokens.refresh_token,
        scopes: scopes::granted(connection, tokens.scopes, asked),
        issued_at: now,
        kinds,
        provider_data,
        registration: Some(connection.registration.clone()),
    }
}

/// When a grant ends, Unix seconds: at the end of its refresh token (`told`), or a fixed time after the user
/// consented, whichever comes first. A refresh moves the first and not the second.
pub fn end(
    connection: &Connection,
    told: Option<UnixSeconds>,
    consented_at: Option<UnixSeconds>,
) -> Option<UnixSeconds> {
    let fixed = consented_at.zip(connection.grant_lifetime);
    let fixed = fixed.map(|(at, lifetime)| at.saturating_add(lifetime));
    told.into_iter().chain(fixed).min()
}

/// Whether the vault assumes an expiry for tokens of this response because the provider names none.
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
    /// The refresh token of the consent, or none.
    Consent,
    /// The stored one: some providers issue a refresh token at the first consent only.
    Stored,
}

/// The consent has no refresh token, and nothing proves that it is of the same user as the stored,
/// renewable grant. Storing it would renew one user's access token with another's refresh token, or
/// lose a valid refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownUser;

/// Decides which refresh token the grant has. `old` is the stored grant of this kind with its
/// state; `is_same_user` says that the provider identified the user both times, and that it is the
/// same.
///
/// # Errors
/// [`UnknownUser`].
pub fn refresh_token_from(
    brings_one: bool,
    is_same_user: bool,
    old: Option<(&Grant, AccountState)>,
    now: UnixSeconds,
) -> Result<RefreshTokenFrom, UnknownUser> {
    let Some((old, state)) = old.filter(|_| !brings_one) else {
        return Ok(RefreshTokenFrom::Consent);
    };
    let is_kept = old.is_renewable(state, now);
    match (is_kept || old.may_live_on(), is_same_user) {
        (true, true) => Ok(RefreshTokenFrom::Stored),
        (true, false) if is_kept => Err(UnknownUser),
        _ => Ok(RefreshTokenFrom::Consent),
    }
}

/// The account that a consent renews, if any: the account of the same provider user, or else one
/// whose user is unknown. Accounts with an unknown user were stored before the provider identified
/// users; a connection had one account per user then, and each consent renewed it. Where the id comes in the
/// authorization response, such an account has it among its provider data, and is told apart by that.
///
/// `accounts` are those of the registration that the user consented to. Accounts of another
/// registration are never renewed.
pub fn renews<'a>(
    connection: &Connection,
    mut accounts: impl Iterator<Item = &'a Account> + Clone,
    identity: &Identity,
) -> Option<&'a Account> {
    let before = |one: &Account| connection.callback_user(&one.provider_data);
    let id = |one: &Account| one.identity.id.clone().or_else(|| before(one));
    let own = accounts.clone().find(|one| id(one) == identity.id);
    own.or_else(|| accounts.find(|one| id(one).is_none()))
}

/// The scopes that storing `new` would take from a grant that is still valid. Empty means: store
/// it. `state` and `old` are of the grant of this kind, `token` is its default access token.
///
/// A narrower consent never replaces a wider one, because other applications may depend on it. A
/// user who wants that deletes the account first.
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

/// The tokens to store, by kind; the account's own grant has the empty name.
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
