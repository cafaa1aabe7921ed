// SPDX-License-Identifier: Apache-2.0
//! Which scopes a client may have, by resource server.

use super::family::FamilyGrant;
use super::tokens;
use crate::config::{ACCESS_TOKEN_LIFETIME, Client, ClientKind, Config, GrantType};

/// Scopes that are about the user and the sign-in (OpenID Connect Core §5.4, §11).
pub const OPEN_ID: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// Scopes of the connected-accounts API, and of the API of the user's identities beside it.
pub const ME: [&str; 5] = [
    "create:me:connected_accounts",
    "read:me:connected_accounts",
    "delete:me:connected_accounts",
    "read:me:identities",
    "delete:me:identities",
];

/// Whether a client may request tokens for this resource server. The connected-accounts API needs no
/// configuration, unless the client is somebody else's.
pub fn may_ask(config: &Config, client: &Client, audience: &str) -> bool {
    audience == config.public_url.identifier()
        || client.apis.contains_key(audience)
        || (audience == config.public_url.me() && client.kind != ClientKind::ThirdParty)
}

/// The requested scopes that the client may have at this resource server (RFC 6749 §3.3). `None` is the
/// userinfo endpoint.
pub fn allowed(
    config: &Config,
    client: &Client,
    audience: Option<&str>,
    requested: &[String],
) -> Vec<String> {
    let refreshes = client.grants.contains(&GrantType::RefreshToken);
    let is_me = audience == Some(config.public_url.me().as_str());
    let of_api = audience.and_then(|audience| client.apis.get(audience));
    let may = |scope: &String| match scope.as_str() {
        "offline_access" => refreshes,
        scope if OPEN_ID.contains(&scope) => true,
        scope if is_me => ME.contains(&scope) && client.kind != ClientKind::ThirdParty,
        scope => of_api.is_some_and(|scopes| scopes.iter().any(|one| one == scope)),
    };
    requested.iter().filter(|scope| may(scope)).cloned().collect()
}

/// Whether a client may have a refreshed access token for this resource server; `None` is the userinfo
/// endpoint. Somebody else's client stays at that of the sign-in, which its consent page was about.
pub fn may_refresh(
    config: &Config,
    client: &Client,
    grant: &FamilyGrant,
    audience: Option<&str>,
) -> bool {
    let issuer = config.public_url.identifier();
    let of = |audience: Option<&str>| audience.unwrap_or(&issuer).to_owned();
    client.kind != ClientKind::ThirdParty || of(audience) == of(grant.audience.as_deref())
}

/// The scopes of a refreshed access token. Those about the user never exceed the sign-in's. For another
/// resource server than the sign-in's a client gets what it may have there, unless it is somebody else's:
/// such a client never gets more than its consent page named.
pub fn refreshed(
    config: &Config,
    client: &Client,
    grant: &FamilyGrant,
    audience: Option<&str>,
    requested: &[String],
) -> Vec<String> {
    let is_same = audience == grant.audience.as_deref();
    let requested = if requested.is_empty() { grant.scopes.as_slice() } else { requested };
    let granted = |scope: &String| {
        let is_about_user = OPEN_ID.contains(&scope.as_str());
        if is_same || is_about_user {
            return grant.scopes.contains(scope);
        }
        // Another resource server may give the same name to another scope.
        client.kind != ClientKind::ThirdParty
    };
    let allowed = allowed(config, client, audience, requested);
    allowed.into_iter().filter(granted).collect()
}

/// The longest lifetime of a token that the vault issues, in seconds: a signing key stays published as long.
pub fn longest_lifetime(config: &Config) -> i64 {
    let access = config.apis.values().map(|api| api.access_token_lifetime).max();
    access.unwrap_or(0).max(ACCESS_TOKEN_LIFETIME).max(tokens::ID_TOKEN_LIFETIME)
}

/// Lifetime of an access token for this resource server, in seconds.
pub fn access_token_lifetime(config: &Config, audience: &str) -> i64 {
    let api = config.apis.values().find(|api| api.identifier == audience);
    api.map_or(ACCESS_TOKEN_LIFETIME, |api| api.access_token_lifetime)
}
