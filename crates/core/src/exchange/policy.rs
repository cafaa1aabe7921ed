// SPDX-License-Identifier: Apache-2.0
//! Who may exchange whose token for what.

use super::request::TokenRequest;
use crate::config::{Client, Config, GrantType, ScopePolicy};
use crate::error::OAuthError;
use vault_jose::TokenError;
use vault_jose::access_token::AccessToken;
use vault_jose::trusted_issuer::Issuer;
use vault_provider::connection::Connection;

/// Why an exchange may not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forbidden {
    /// The client may not use this grant type.
    Grant,
    /// The client may not use this connection, or there is none of this name.
    Connection,
    /// The client may only have tokens with the scopes it names, and names none.
    NoScope,
    /// The subject token is not for this client. Leaves like any other refusal of the token.
    SubjectToken(TokenError),
}

/// Whether `client` may use this grant type.
///
/// # Errors
/// [`Forbidden::Grant`].
pub fn check_grant(client: &Client, grant: GrantType) -> Result<(), Forbidden> {
    if client.grants.contains(&grant) { Ok(()) } else { Err(Forbidden::Grant) }
}

/// Whether `client` may exchange `token` for `connection`: the token's audience is one of the
/// issuer's and of the client's, it was issued to a client this one accepts from, and the
/// connection is one of the client's.
///
/// # Errors
/// [`Forbidden`].
pub fn check(
    client: &Client,
    issuer: &Issuer,
    token: &AccessToken,
    connection: &str,
) -> Result<(), Forbidden> {
    let meant = |audience: &&String| {
        issuer.audiences.contains(audience) && client.audiences.contains(audience)
    };
    if !token.audiences.iter().any(|audience| meant(&audience)) {
        return Err(Forbidden::SubjectToken(TokenError::Audience));
    }
    if !client.accepts_from.contains(&token.client_id) {
        return Err(Forbidden::SubjectToken(TokenError::Client));
    }
    if !client.connections.iter().any(|name| name == connection) {
        return Err(Forbidden::Connection);
    }
    Ok(())
}

/// Whether `client` names the scopes that its token shall have, if it may have no others. Where there
/// are no scopes, there are none to name.
///
/// # Errors
/// [`Forbidden::NoScope`].
pub fn check_scopes(
    client: &Client,
    connection: Option<&Connection>,
    request: &TokenRequest,
) -> Result<(), Forbidden> {
    let names = client.scope_policy == ScopePolicy::AtLeast || !request.scopes.is_empty();
    if names || !connection.is_some_and(|one| one.has_scopes(&request.kind)) {
        return Ok(());
    }
    Err(Forbidden::NoScope)
}

/// The issuer's record for a verified token. It was there when the token was verified.
///
/// # Errors
/// [`Forbidden::SubjectToken`].
pub fn issuer_of<'a>(config: &'a Config, token: &AccessToken) -> Result<&'a Issuer, Forbidden> {
    config.issuers.get(&token.user.issuer).ok_or(Forbidden::SubjectToken(TokenError::Issuer))
}

/// The answer to a refused subject token: one body for all reasons, which lists what to check.
pub fn subject_token_refused(grant: GrantType) -> OAuthError {
    const CHECK: &str = "The subject token is not accepted. Check that it is an access token of a \
                         trusted issuer, unexpired, with a life of 24 hours at most, its audience \
                         among the client's, and issued to a client this one accepts from.";
    match grant {
        GrantType::TokenExchange => OAuthError::invalid_request(CHECK),
        GrantType::FederatedConnection => OAuthError::new(403, "invalid_grant", CHECK),
    }
}

impl Forbidden {
    /// What leaves.
    pub fn answer(self, grant: GrantType) -> OAuthError {
        let auth0 = grant == GrantType::FederatedConnection;
        match self {
            Self::SubjectToken(_) => subject_token_refused(grant),
            Self::Grant => OAuthError::new(
                if auth0 { 403 } else { 400 },
                "unauthorized_client",
                "this client may not use this grant_type; it is not among its grants",
            ),
            Self::NoScope => OAuthError::new(
                400,
                "invalid_scope",
                "this client gets tokens with the scopes it names and no others; name them in scope",
            ),
            Self::Connection if auth0 => OAuthError::new(
                403,
                "unauthorized_client",
                "no connection of this name, or not among the client's connections",
            ),
            Self::Connection => OAuthError::new(
                400,
                "invalid_target",
                "no connection of this name, or not among the client's connections",
            ),
        }
    }

    /// The word for the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Connection => "connection",
            Self::NoScope => "no_scope",
            Self::SubjectToken(refusal) => refusal.reason(),
        }
    }
}
