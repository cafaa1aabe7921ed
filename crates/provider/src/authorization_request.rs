// SPDX-License-Identifier: Apache-2.0
//! The authorization request (RFC 6749 §4.1.1, RFC 7636, OpenID Connect Core §3.1.2.1).

use std::borrow::Cow;

use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl};
use url::Url;

use super::endpoints::Provider;
use super::profile::Pkce;
use crate::connection::Connection;

/// The values of one connect in its authorization request.
#[derive(Debug, Clone, Copy)]
pub struct AuthorizationRequest<'a> {
    /// The redirect URI of the connection.
    pub callback: &'a str,
    /// `state`.
    pub state: &'a str,
    /// `nonce`; sent only to `OpenID` providers.
    pub nonce: &'a str,
    /// The PKCE code verifier. The request carries its S256 challenge.
    pub verifier: &'a str,
    /// All scopes to request.
    pub scopes: &'a [String],
    /// Further parameters from the application, each of them [`allowed`].
    pub params: &'a [(String, String)],
}

/// The parameters of authorization and token requests that the vault sets itself. The configuration must not
/// set them, nor may the query of an authorization endpoint have them: no parameter may be sent twice
/// (RFC 6749 §3.1, §3.2).
pub const OWN_PARAMETERS: [&str; 11] = [
    "client_id",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "nonce",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
];

/// Whether the vault sets this parameter of the connection's authorization requests itself: one of
/// [`OWN_PARAMETERS`], the parameter for the client id, or one for scopes.
pub fn is_own(connection: &Connection, name: &str) -> bool {
    OWN_PARAMETERS.contains(&name)
        || name == connection.client_id_parameter
        || is_for_scopes(connection, name)
}

/// Whether this is a parameter of the connection's authorization requests for scopes.
pub fn is_for_scopes(connection: &Connection, name: &str) -> bool {
    let is_a_kinds = || connection.kinds.values().any(|kind| kind.scope_parameter == name);
    !name.is_empty() && (name == connection.scope_parameter || is_a_kinds())
}

/// The parameter in the query of an authorization endpoint that the vault sets itself, if there is one.
pub fn own_parameter_of(connection: &Connection, endpoint: &Url) -> Option<String> {
    let mut names = endpoint.query_pairs().map(|(name, _)| name);
    names.find(|name| is_own(connection, name)).map(Cow::into_owned)
}

/// Why there is no authorization request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestError {
    /// The query of the authorization endpoint has this parameter, which the vault sets itself. The endpoint
    /// comes from the provider's metadata; the configuration is checked when it is loaded.
    OwnParameter(String),
    /// The `oauth2` library rejects the redirect URI, which is not expected of one derived from a valid
    /// configuration.
    RedirectUri,
}

/// The parameters of the authorization request that an application may set with `authorization_params`. All
/// others are ignored, because the protocol or the operator sets them.
const FROM_APPLICATION: [&str; 9] = [
    "acr_values",
    "audience",
    "display",
    "id_token_hint",
    "login_hint",
    "max_age",
    "prompt",
    "resource",
    "ui_locales",
];

/// Whether an application may set this parameter of the authorization request.
pub fn allowed(name: &str) -> bool {
    FROM_APPLICATION.contains(&name)
}

/// The URL of the authorization request, to which the browser is redirected. No parameter occurs twice
/// (RFC 6749 §3.1): those of the operator take precedence over those in the query of the authorization
/// endpoint, which is otherwise retained, and these over those of the application.
///
/// # Errors
/// [`RequestError`].
pub fn url(
    connection: &Connection,
    provider: &Provider,
    ask: &AuthorizationRequest<'_>,
) -> Result<Url, RequestError> {
    if let Some(name) = own_parameter_of(connection, &provider.authorization_endpoint) {
        return Err(RequestError::OwnParameter(name));
    }
    let configured = &connection.authorization_params;
    let endpoint = without(&provider.authorization_endpoint, |name| configured.contains_key(name));
    let redirect_uri = RedirectUrl::new(ask.callback.to_owned());
    let client = BasicClient::new(ClientId::new(connection.client_id.clone()))
        .set_auth_uri(AuthUrl::from_url(endpoint.clone()))
        .set_redirect_uri(redirect_uri.map_err(|_| RequestError::RedirectUri)?);
    let mut request = client.authorize_url(|| CsrfToken::new(ask.state.to_owned()));
    if connection.pkce != Pkce::Refused {
        let verifier = PkceCodeVerifier::new(ask.verifier.to_owned());
        request =
            request.set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
    }
    if provider.open_id.is_some() {
        request = request.add_extra_param("nonce", ask.nonce);
    }
    // The library would join scopes with a space in `scope`; some providers require a comma or another
    // parameter.
    let kinds = connection.kinds.values();
    let kinds = kinds.map(|kind| (&kind.scope_parameter, kind.scopes.as_slice()));
    for (parameter, scopes) in
        std::iter::once((&connection.scope_parameter, ask.scopes)).chain(kinds)
    {
        if !scopes.is_empty() && !parameter.is_empty() {
            request = request.add_extra_param(parameter, scopes.join(&connection.scope_separator));
        }
    }
    for (name, value) in configured {
        request = request.add_extra_param(name, value);
    }
    let is_set = |name: &str| {
        is_own(connection, name)
            || configured.contains_key(name)
            || endpoint.query_pairs().any(|(given, _)| given == name)
    };
    for (name, value) in ask.params.iter().filter(|(name, _)| !is_set(name)) {
        request = request.add_extra_param(Cow::Borrowed(name.as_str()), value);
    }
    let mut url = request.url().0;
    let renamed = &connection.client_id_parameter;
    if renamed != CLIENT_ID {
        // The library has no other name for it.
        url = without(&url, |name| name == CLIENT_ID);
        url.query_pairs_mut().append_pair(renamed, &connection.client_id);
    }
    Ok(url)
}

/// The parameter for the client id (RFC 6749 §4.1.1).
pub(crate) const CLIENT_ID: &str = "client_id";

/// The URL without the parameters of its query that are `replaced`.
fn without(url: &Url, replaced: impl Fn(&str) -> bool) -> Url {
    let mut rest = url.clone();
    if url.query_pairs().any(|(name, _)| replaced(&name)) {
        rest.set_query(None);
        let kept: Vec<_> = url.query_pairs().filter(|(name, _)| !replaced(name)).collect();
        if !kept.is_empty() {
            rest.query_pairs_mut().extend_pairs(kept);
        }
    }
    rest
}
