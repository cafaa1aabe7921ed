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

/// The URL of the authorization request, to which the browser is redirected. `None` if the `oauth2` library
/// rejects the redirect URI, which is not expected of one derived from a valid configuration.
pub fn url(
    connection: &Connection,
    provider: &Provider,
    ask: &AuthorizationRequest<'_>,
) -> Option<Url> {
    let client = BasicClient::new(ClientId::new(connection.client_id.clone()))
        .set_auth_uri(AuthUrl::from_url(provider.authorization_endpoint.clone()))
        .set_redirect_uri(RedirectUrl::new(ask.callback.to_owned()).ok()?);
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
    // Parameters of the operator take precedence over those of the application.
    for (name, value) in &connection.authorization_params {
        request = request.add_extra_param(name, value);
    }
    let configured = &connection.authorization_params;
    for (name, value) in ask.params.iter().filter(|(name, _)| !configured.contains_key(name)) {
        request = request.add_extra_param(Cow::Borrowed(name.as_str()), value);
    }
    Some(request.url().0)
}
