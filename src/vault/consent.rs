//! What a consent brings, and what becomes of a grant when the user consents again.

use std::collections::BTreeMap;

use super::record::{AccessTokenRecord, Account, AccountState, Grant};
use crate::config::Connection;
use crate::ids::AccountId;
use crate::jwt::id_token::Identity;
use crate::message::vault::{KindTokens, Store};
use crate::provider::answer::Granted;
use crate::provider::scopes;
use crate::time::UnixSeconds;

/// The grant to store, from the provider's answer to the code, which may tell whose it is. `asked`:
/// the scopes of the request.
pub fn store(
    connection: &Connection,
    account: AccountId,
    granted: Granted,
    asked: &[String],
    now: UnixSeconds,
) -> Store {
    let Granted { tokens, kinds: further, identity, extra } = granted;
    let identity = identity.unwrap_or_default();
    let at = |seconds: i64| now.saturating_add(seconds);
    let mut kinds = BTreeMap::new();
    for (name, tokens) in further {
        let asked = connection.kinds.get(&name).map_or(&[][..], |kind| &kind.scopes);
        let tokens = KindTokens {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            scopes: tokens.scopes.unwrap_or_else(|| asked.to_vec()),
            expires_at: tokens.expires_in.map(at),
            refresh_token_expires_at: tokens.refresh_token_expires_in.map(at),
        };
        kinds.insert(name, tokens);
    }
    Store {
        account,
        provider_user: identity.id,
        email: identity.email,
        name: identity.name,
        access_token: tokens.access_token,
        refresh_token_expires_at: tokens
            .refresh_token_expires_in
            .filter(|_| tokens.refresh_token.is_some())
            .map(at),
        refresh_token: tokens.refresh_token,
        scopes: scopes::granted(connection, tokens.scopes, asked),
        issued_at: now,
        expires_at: tokens.expires_in.map(at),
        kinds,
        extra,
    }
}

/// The account that a consent renews, if any: the one that is this user's, or else one of which nobody
/// knows whose it is. Such a one comes from before the provider told who consents; then there was only
/// one, and each consent renewed that.
pub fn renews<'a>(accounts: &'a [Account], identity: &Identity) -> Option<&'a Account> {
    let of = |id: Option<&str>| accounts.iter().find(|one| one.identity.id.as_deref() == id);
    of(identity.id.as_deref()).or_else(|| of(None))
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
pub fn by_kind(store: Store) -> BTreeMap<String, KindTokens> {
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
