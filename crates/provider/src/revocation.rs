// SPDX-License-Identifier: Apache-2.0
//! Revoking tokens at a provider, in that provider's shape (RFC 7009 where it follows one), and never
//! wider than it may be.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::endpoints::Provider;
use super::error_codes::{self, TokenEndpointError};
use super::profile::{
    ClientAuthentication, HttpMethod, RevocationAuthentication, RevocationRules, RevocationScope,
    RevokedToken,
};
use super::request::{self, Body, ProviderRequest};
use super::token_response::{self, ProviderResponse};
use crate::connection::Connection;
use vault_base::secret::Secret;

/// Which of the two tokens a revocation is about: `token_type_hint` of RFC 7009 §2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenTypeHint {
    /// A refresh token.
    Refresh,
    /// An access token.
    Access,
}

impl TokenTypeHint {
    /// The hint, which is also the field that the token is sealed as.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refresh => "refresh_token",
            Self::Access => "access_token",
        }
    }
}

/// What became of an account at its provider when it was deleted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revocation {
    /// The provider said that its tokens are revoked.
    Revoked,
    /// The provider cannot be had now; it is tried again.
    Pending,
    /// The provider revokes nothing, or only more than this account's tokens.
    NotSupported,
    /// The provider refused.
    Failed,
}

impl Revocation {
    /// The word that is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Pending => "pending",
            Self::NotSupported => "not_supported",
            Self::Failed => "failed",
        }
    }

    /// Of several tokens, what is to be said of the account.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let weight = |one| match one {
            Self::Revoked => 0,
            Self::NotSupported => 1,
            Self::Pending => 2,
            Self::Failed => 3,
        };
        if weight(other) > weight(self) { other } else { self }
    }
}

/// Whether the revocation of a token of this kind ends no more than the account that is deleted.
/// `shared`: another account may rest on the same grant at the provider.
pub fn is_narrow(connection: &Connection, of: &str, shared: bool) -> bool {
    match connection.revocation_of(of).blast {
        RevocationScope::Token => true,
        RevocationScope::Grant => !shared,
        RevocationScope::App => false,
    }
}

/// Which tokens are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevocationTargets {
    /// The refresh token.
    pub refresh: bool,
    /// Each access token that lives.
    pub access: bool,
}

/// Chooses among the tokens that are there. Where only an access token is taken and none lives, the
/// refresh token serves to get one.
pub fn choose(connection: &Connection, has_refresh: bool, has_access: bool) -> RevocationTargets {
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

/// Chooses among the tokens that were issued for an account while it was deleted: as its other tokens
/// went, unless the same user has connected `anew`, whose new grant it could take along.
pub fn choose_issued(connection: &Connection, kind: &str, anew: bool) -> RevocationTargets {
    if anew || !connection.may_revoke(kind) {
        return RevocationTargets { refresh: false, access: false };
    }
    choose(connection, true, true)
}

/// Whether only an access token can be revoked.
pub fn needs_access_token(connection: &Connection) -> bool {
    connection.revocation.token == RevokedToken::AccessToken
}

/// Revokes a token of the kind `of`. `user` is the account's id at the provider. `None` where the
/// provider has no revocation endpoint, or its shape needs something that is not there, or the token
/// cannot stand in a header where it belongs in one.
pub fn revoke(
    connection: &Connection,
    provider: &Provider,
    of: &str,
    (token, kind): (&Secret, TokenTypeHint),
    user: Option<&str>,
) -> Option<ProviderRequest> {
    let rules = connection.revocation_of(of);
    let endpoint = match connection.made(of) {
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
        parameters.push(("token_type_hint".to_owned(), kind.name().to_owned()));
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

fn authenticate(
    connection: &Connection,
    rules: &RevocationRules,
    token: &Secret,
    parameters: &mut Vec<(String, String)>,
) -> Option<Secret> {
    let id = connection.client_id.as_str();
    let secret = connection.client_secret.as_ref().map_or("", Secret::expose);
    let mut post = |name: &str, value: &str| parameters.push((name.to_owned(), value.to_owned()));
    let how = match (rules.authentication, connection.client_authentication) {
        (RevocationAuthentication::Client, as_client) => match as_client {
            ClientAuthentication::ClientSecretBasic => RevocationAuthentication::ClientSecretBasic,
            ClientAuthentication::ClientSecretPost => RevocationAuthentication::ClientSecretPost,
            ClientAuthentication::SecretAsUsername => RevocationAuthentication::SecretAsUsername,
            ClientAuthentication::None => RevocationAuthentication::ClientId,
        },
        (how, _) => how,
    };
    match how {
        RevocationAuthentication::ClientSecretBasic => return Some(request::basic(id, secret)),
        RevocationAuthentication::SecretAsUsername => return Some(request::basic(secret, "")),
        RevocationAuthentication::Bearer => {
            return Some(Secret::new(format!("Bearer {}", token.expose())));
        }
        RevocationAuthentication::ClientSecretPost => {
            post("client_id", id);
            post("client_secret", secret);
        }
        RevocationAuthentication::ClientId => post("client_id", id),
        RevocationAuthentication::Client | RevocationAuthentication::None => {}
    }
    None
}

/// What the provider's answer to a revocation means. Only its own word makes it [`Revoked`]: a page of
/// whoever stands before it is none, and not a 404 that may as well be about our credentials.
///
/// [`Revoked`]: Revocation::Revoked
pub fn outcome(
    received: &ProviderResponse,
    connection: &Connection,
    of: &str,
    kind: TokenTypeHint,
) -> Revocation {
    let ProviderResponse::Answer { status, body, .. } = received else {
        return Revocation::Pending;
    };
    let rules = connection.revocation_of(of);
    let good = (200..=299).contains(status);
    let document = token_response::document(body.expose());
    let error = document.as_ref().filter(|document| !good || error_codes::is_error(document));
    let codes =
        error.map(|error| error_codes::codes(&connection.errors, error)).unwrap_or_default();
    if codes.iter().any(|code| rules.gone.contains(code)) {
        return Revocation::Revoked;
    }
    let verdict = error.and_then(|error| error_codes::verdict(&connection.errors, error, None));
    // That an access token is over says nothing of what else its grant holds.
    let alone = kind == TokenTypeHint::Refresh || rules.blast == RevocationScope::Token;
    match (*status, verdict) {
        _ if received.is_limited() => Revocation::Pending,
        (500.., _) | (_, Some(TokenEndpointError::Unavailable { .. })) => Revocation::Pending,
        (_, Some(TokenEndpointError::Misconfigured(code))) if code == "invalid_client" => {
            Revocation::Pending
        }
        (_, Some(TokenEndpointError::Refused(_))) if alone => Revocation::Revoked,
        _ if good && error.is_none() => {
            let said = document.as_ref().and_then(|document| document.get("revoked"));
            if body.expose().trim_start().starts_with('<') {
                Revocation::Pending
            } else if said == Some(&Value::Bool(false)) {
                Revocation::Failed
            } else {
                Revocation::Revoked
            }
        }
        // The token proves itself: refused, it is over.
        (401, _) if rules.authentication == RevocationAuthentication::Bearer => {
            if alone {
                Revocation::Revoked
            } else {
                Revocation::Failed
            }
        }
        // It is not there: where nothing but the token was shown, that cannot be about ourselves.
        (404 | 410, _)
            if rules.method == HttpMethod::Delete
                && rules.authentication == RevocationAuthentication::None
                && alone =>
        {
            Revocation::Revoked
        }
        // Ours to fix, and then it works.
        (401, _) => Revocation::Pending,
        (404 | 410, _) if rules.method == HttpMethod::Delete => Revocation::Pending,
        _ => Revocation::Failed,
    }
}
