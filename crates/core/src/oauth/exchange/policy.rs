// SPDX-License-Identifier: Apache-2.0
//! The policy of token exchange: which client may exchange whose token for what.

use super::request::ExchangeRequest;
use super::{ErrorCode, ExchangeProfile};
use crate::config::{Client, Config, ExchangeGrant, GrantType, ScopePolicy};
use crate::error::{KEYS_UNUSABLE, OAuthError};
use vault_jose::TokenError;
use vault_jose::access_token::AccessToken;
use vault_jose::trusted_issuer::Issuer;
use vault_provider::connection::Connection;

/// What the scopes of the connected-accounts API have in common, such as `create:me:connected_accounts`.
const ME: &str = ":me:";

/// Why an exchange is forbidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forbidden {
    /// The client may not use this grant type.
    Grant,
    /// The client may not use this connection, or it does not exist.
    Connection,
    /// The client may only have tokens with the scopes it names, and it names none.
    NoScope,
    /// The subject token is not for this client. The caller gets the same error as for every
    /// refused subject token.
    SubjectToken(TokenError),
}

/// Checks that `client` may use this grant type.
///
/// # Errors
/// [`Forbidden::Grant`].
pub fn check_grant(client: &Client, grant: ExchangeGrant) -> Result<(), Forbidden> {
    if client.grants.contains(&GrantType::Exchange(grant)) { Ok(()) } else { Err(Forbidden::Grant) }
}

/// Checks that `client` may exchange `token` for `connection`: the token's audience is accepted by
/// the issuer's configuration and by the client's, the token was issued to a client that this one
/// accepts tokens from, and the connection is one of the client's.
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
    // Where one audience serves for both, the scopes tell what a token is for. A token for the API lets an
    // application manage accounts and must not be exchangeable for provider tokens.
    let serves_both = |audience: &String| issuer.api_audience.as_ref() == Some(audience);
    let is_for_api = token.scopes.iter().any(|scope| scope.contains(ME));
    let fits = |audience: &&String| meant(audience) && !(serves_both(audience) && is_for_api);
    if !token.audiences.iter().any(|audience| fits(&audience)) {
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

/// Checks that a client with an exact scope policy names the scopes that its token shall have.
/// Where a connection has no scopes, there are none to name.
///
/// # Errors
/// [`Forbidden::NoScope`].
pub fn check_scopes(
    client: &Client,
    connection: Option<&Connection>,
    request: &ExchangeRequest,
) -> Result<(), Forbidden> {
    let names = client.scope_policy == ScopePolicy::AtLeast || !request.scopes.is_empty();
    if names || !connection.is_some_and(|one| one.has_scopes(&request.kind)) {
        return Ok(());
    }
    Err(Forbidden::NoScope)
}

/// The configured issuer of a verified token. It existed when the token was verified.
///
/// # Errors
/// [`Forbidden::SubjectToken`].
pub fn issuer_of<'a>(config: &'a Config, token: &AccessToken) -> Result<&'a Issuer, Forbidden> {
    config.issuers.get(&token.user.issuer).ok_or(Forbidden::SubjectToken(TokenError::Issuer))
}

impl Forbidden {
    /// The error to answer with. All reasons to refuse a subject token share one body, which lists
    /// what to check: more would tell a thief what is wrong with a stolen token. Where the issuer's keys are
    /// missing, nothing is known of the token.
    pub fn error(self, profile: &ExchangeProfile) -> OAuthError {
        const SUBJECT_TOKEN: &str = "The subject token is not accepted. Check that it is of the given \
            subject_token_type, unexpired, not revoked, issued to a client this one accepts from, and, if \
            it is an access token, from a trusted issuer, with an audience of the client's and a life of \
            24 hours at most.";
        const SCOPES: &str =
            "this client gets tokens with the scopes it names and no others; name them in scope";
        let ((status, code), description): (ErrorCode, _) = match self {
            Self::SubjectToken(TokenError::KeysUnavailable) => {
                return OAuthError::unavailable("the issuer's keys cannot be obtained now", 5);
            }
            Self::SubjectToken(TokenError::KeysUnusable) => {
                return OAuthError::unavailable(KEYS_UNUSABLE, 60);
            }
            Self::SubjectToken(_) => (profile.subject_token_refused, SUBJECT_TOKEN),
            Self::Grant => (
                profile.grant_forbidden,
                "this client may not use this grant_type; it is not among its grants",
            ),
            Self::NoScope => ((400, "invalid_scope"), SCOPES),
            Self::Connection => (
                profile.connection_forbidden,
                "no connection of this name, or not among the client's connections",
            ),
        };
        OAuthError::new(status, code, description)
    }

    /// The reason word for the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Connection => "connection",
            Self::NoScope => "no_scope",
            Self::SubjectToken(refusal) => refusal.reason(),
        }
    }
}
