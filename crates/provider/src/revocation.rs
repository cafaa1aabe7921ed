// SPDX-License-Identifier: Apache-2.0
//! Revocation of tokens at a provider, by RFC 7009 or in the provider's own form. A token is never revoked if
//! that would invalidate more than the deleted account.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::Document;
use super::endpoints::Provider;
use super::error_codes::{self, TokenEndpointError};
use super::profile::{
    ClientAuthentication, HttpMethod, RevocationAuthentication, RevocationRules, RevocationScope,
    RevokedToken,
};
use super::request::{self, Body, ProviderRequest};
use super::token_response::ProviderResponse;
use crate::connection::Connection;
use vault_base::secret::Secret;

/// The type of the token to revoke: `token_type_hint` of RFC 7009 §2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenTypeHint {
    /// A refresh token.
    Refresh,
    /// An access token.
    Access,
}

impl TokenTypeHint {
    /// The value of `token_type_hint`, which is also the name of the sealed field.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refresh => "refresh_token",
            Self::Access => "access_token",
        }
    }
}

/// The result of the revocation at the provider when an account is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revocation {
    /// The provider confirmed that the tokens are no longer valid.
    Revoked,
    /// The provider cannot serve the request at present, or the operator must act first. A job tries again.
    Pending,
    /// The provider has no revocation, or only one that invalidates more than this account's tokens.
    NotSupported,
    /// The provider rejected the request.
    Failed,
}

impl Revocation {
    /// The code that callers receive.
    pub fn name(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Pending => "pending",
            Self::NotSupported => "not_supported",
            Self::Failed => "failed",
        }
    }

    /// Combines the results of two tokens of an account into the worse one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let weight = |result| match result {
            Self::Revoked => 0,
            Self::NotSupported => 1,
            Self::Pending => 2,
            Self::Failed => 3,
        };
        if weight(other) > weight(self) { other } else { self }
    }
}

/// Whether the revocation of a token of this kind invalidates nothing but the deleted account. `shared`:
/// another account may depend on the same grant at the provider.
pub fn is_narrow(connection: &Connection, kind: &str, shared: bool) -> bool {
    match connection.revocation_of(kind).blast {
        RevocationScope::Token => true,
        RevocationScope::Grant => !shared,
        RevocationScope::App => false,
    }
}

/// The tokens that a revocation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevocationTargets {
    /// Whether the refresh token is needed.
    pub refresh: bool,
    /// Whether each valid access token is needed.
    pub access: bool,
}

/// Selects the tokens to revoke among those that exist. If the provider revokes only access tokens and
/// there is no valid one, the refresh token is selected, to obtain an access token with it. Where the access token
/// renews itself, it is the refresh token too, and selected once.
pub fn choose(connection: &Connection, has_refresh: bool, has_access: bool) -> RevocationTargets {
    if connection.renewal.by_access_token {
        return RevocationTargets { refresh: has_refresh && !has_access, access: has_access };
    }
    match connection.revocation.token {
        RevokedToken::Each => RevocationTargets { refresh: has_refresh, access: has_access },
        RevokedToken::RefreshToken => {
            RevocationTargets { refresh: has_refresh, access: has_access && !has_refresh }
        }
        RevokedToken::AccessToken => {
            RevocationTargets { refresh: has_refresh && !has_access, access: has_access }
        }
    }
}

/// Selects the tokens to revoke of a response that arrived after the account was deleted. They are revoked
/// like its other tokens, unless the same user has connected `anew`: the revocation could invalidate the
/// new grant.
pub fn choose_issued(connection: &Connection, kind: &str, anew: bool) -> RevocationTargets {
    if anew || !connection.may_revoke(kind) {
        return RevocationTargets { refresh: false, access: false };
    }
    choose(connection, true, true)
}

/// Whether the provider revokes only access tokens.
pub fn needs_access_token(connection: &Connection) -> bool {
    connection.revocation.token == RevokedToken::AccessToken
}

/// The revocation request for a token of this kind. `user` is the provider's id of the user. In the path of
/// the endpoint and in the parameters of the rules, `{token}`, `{client_id}` and `{user}` are filled in.
///
/// `None` if the provider has no revocation endpoint, if `{user}` is needed and `user` is `None`, or if the
/// token is not valid in an HTTP header that must carry it.
pub fn revoke(
    connection: &Connection,
    provider: &Provider,
    kind: &str,
    (token, hint): (&Secret, TokenTypeHint),
    user: Option<&str>,
) -> Option<ProviderRequest> {
    let rules = connection.revocation_of(kind);
    let endpoint = match connection.made(kind) {
        Some(issuance) => &issuance.revocation_endpoint,
        None => &provider.revocation_endpoint,
    };
    let fill = |text: &str| {
        if text.contains("{user}") && user.is_none() {
            return None;
        }
        let text = text.replace("{client_id}", &connection.client_id);
        Some(text.replace("{user}", user.unwrap_or_default()).replace("{token}", token.expose()))
    };
    let mut parameters = Vec::new();
    if !rules.token_parameter.is_empty() {
        parameters.push((rules.token_parameter.clone(), token.expose().to_owned()));
    }
    if rules.hint {
        parameters.push(("token_type_hint".to_owned(), hint.name().to_owned()));
    }
    for (name, value) in &rules.params {
        parameters.push((name.clone(), fill(value)?));
    }
    let authorization = authenticate(connection, rules, token, &mut parameters);
    let request = ProviderRequest {
        method: rules.method,
        url: request::filled(endpoint.as_deref()?, &fill)?,
        authorization,
        headers: request::headers(connection, &rules.headers),
        body: Body::of(parameters, rules.body).filter(|_| rules.method != HttpMethod::Get),
    };
    request.checked()
}

/// Adds the client authentication to `parameters`, or returns the value of the `Authorization` header.
fn authenticate(
    connection: &Connection,
    rules: &RevocationRules,
    token: &Secret,
    parameters: &mut Vec<(String, String)>,
) -> Option<Secret> {
    let id = connection.client_id.as_str();
    let secret = connection.client_secret.as_ref().map_or("", Secret::expose);
    let mut post = |name: &str, value: &str| parameters.push((name.to_owned(), value.to_owned()));
    let method = match (rules.authentication, connection.client_authentication) {
        (RevocationAuthentication::Client, as_client) => match as_client {
            ClientAuthentication::ClientSecretBasic => RevocationAuthentication::ClientSecretBasic,
            ClientAuthentication::ClientSecretBasicRaw => {
                return Some(request::raw_basic(id, secret));
            }
            ClientAuthentication::ClientSecretPost => RevocationAuthentication::ClientSecretPost,
            ClientAuthentication::SecretAsUsername => RevocationAuthentication::SecretAsUsername,
            ClientAuthentication::None => RevocationAuthentication::ClientId,
        },
        (method, _) => method,
    };
    match method {
        RevocationAuthentication::ClientSecretBasic => return Some(request::basic(id, secret)),
        RevocationAuthentication::SecretAsUsername => return Some(request::basic(secret, "")),
        RevocationAuthentication::Bearer => {
            return Some(Secret::new(format!("Bearer {}", token.expose())));
        }
        RevocationAuthentication::ClientScheme => {
            return Some(Secret::new(format!("Client {secret}")));
        }
        RevocationAuthentication::ClientSecretPost => {
            post(&connection.client_id_parameter, id);
            post("client_secret", secret);
        }
        RevocationAuthentication::ClientId => post(&connection.client_id_parameter, id),
        RevocationAuthentication::Client | RevocationAuthentication::None => {}
    }
    None
}

/// The result of a revocation request, by the provider's response (RFC 7009 §2.2). Only a response of the
/// provider itself counts as [`Revoked`]: not the HTML page of a proxy, and not a 404 that may concern the
/// vault's credentials instead of the token.
///
/// [`Revoked`]: Revocation::Revoked
pub fn outcome(
    received: &ProviderResponse,
    connection: &Connection,
    kind: &str,
    hint: TokenTypeHint,
) -> Revocation {
    let ProviderResponse::Answer { status, body, .. } = received else {
        return Revocation::Pending;
    };
    let rules = connection.revocation_of(kind);
    let good = (200..=299).contains(status);
    let document = Document::parse(body.expose()).and_then(Document::unambiguous);
    let error = document.as_ref().filter(|document| !good || error_codes::is_error(document));
    let codes =
        error.map(|error| error_codes::codes(&connection.errors, error)).unwrap_or_default();
    if codes.iter().any(|code| rules.gone.contains(code)) {
        return Revocation::Revoked;
    }
    let verdict = error.and_then(|error| error_codes::verdict(&connection.errors, error, None));
    // Where a revocation is to end a whole grant, an invalid access token does not show that the grant has
    // ended.
    let suffices = hint == TokenTypeHint::Refresh || rules.blast == RevocationScope::Token;
    match (*status, verdict) {
        _ if received.is_limited() => Revocation::Pending,
        (500.., _)
        | (
            _,
            Some(TokenEndpointError::Unavailable { .. } | TokenEndpointError::Ambiguous { .. }),
        ) => Revocation::Pending,
        (_, Some(TokenEndpointError::Misconfigured(code))) if code == "invalid_client" => {
            Revocation::Pending
        }
        (_, Some(TokenEndpointError::Refused(_))) if suffices => Revocation::Revoked,
        _ if good && error.is_none() => {
            let revoked = document.as_ref().and_then(|document| document.get("revoked"));
            if body.expose().trim_start().starts_with('<') {
                Revocation::Pending
            } else if revoked == Some(&Value::Bool(false)) {
                Revocation::Failed
            } else {
                Revocation::Revoked
            }
        }
        // The request is authenticated with the token itself, so a 401 means that the token is invalid.
        (401, _) if rules.authentication == RevocationAuthentication::Bearer => {
            if suffices {
                Revocation::Revoked
            } else {
                Revocation::Failed
            }
        }
        // The request has no client authentication, so the token, not the vault, is what was not found.
        (404 | 410, _)
            if rules.method == HttpMethod::Delete
                && rules.authentication == RevocationAuthentication::None
                && suffices =>
        {
            Revocation::Revoked
        }
        // The vault's credentials may be wrong. The revocation can succeed once the operator has fixed them.
        (401, _) => Revocation::Pending,
        (404 | 410, _) if rules.method == HttpMethod::Delete => Revocation::Pending,
        _ => Revocation::Failed,
    }
}
