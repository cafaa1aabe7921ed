//! Requests to a provider: to its token and revocation endpoints, built by the `oauth2` crate, and
//! to its userinfo endpoint.

use std::cell::RefCell;
use std::fmt;

use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken, RevocationUrl, Scope,
    StandardRevocableToken, SyncHttpClient, TokenUrl,
};
use url::Url;

use super::endpoints::Provider;
use crate::config::{ClientAuthentication, Connection};
use crate::secret::Secret;

/// One request to a provider. Its secrets do not print.
#[derive(Debug, Clone)]
pub struct ProviderRequest {
    /// Where to.
    pub url: Url,
    /// The `Authorization` header, if any.
    pub authorization: Option<Secret>,
    /// A form body to `POST`; without one the request is a `GET`.
    pub form: Option<Secret>,
}

impl ProviderRequest {
    /// Asks for the account's identity (OpenID Connect Core §5.3.1).
    pub fn userinfo(endpoint: &Url, access_token: &Secret) -> Self {
        Self {
            url: endpoint.clone(),
            authorization: Some(Secret::new(format!("Bearer {}", access_token.expose()))),
            form: None,
        }
    }
}

/// A client of one provider's token endpoint.
type Client =
    BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// Redeems an authorization code (RFC 6749 §4.1.3).
pub fn redeem(
    connection: &Connection,
    provider: &Provider,
    callback: &str,
    code: &Secret,
    verifier: &Secret,
) -> Option<ProviderRequest> {
    let client =
        client(connection, provider).set_redirect_uri(RedirectUrl::new(callback.to_owned()).ok()?);
    let mut request = client.exchange_code(AuthorizationCode::new(code.expose().to_owned()));
    if connection.pkce {
        request = request.set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()));
    }
    for (name, value) in &connection.token_params {
        request = request.add_extra_param(name, value);
    }
    capture(&provider.token_endpoint, |sender| drop(request.request(sender)))
}

/// Redeems a refresh token (RFC 6749 §6). `scopes` only to ask for fewer than were granted.
pub fn refresh(
    connection: &Connection,
    provider: &Provider,
    token: &Secret,
    scopes: Option<&[String]>,
) -> Option<ProviderRequest> {
    let client = client(connection, provider);
    let token = RefreshToken::new(token.expose().to_owned());
    let mut request = client.exchange_refresh_token(&token);
    if let Some(scopes) = scopes {
        request = request.add_scope(Scope::new(scopes.join(&connection.scope_separator)));
    }
    for (name, value) in &connection.token_params {
        request = request.add_extra_param(name, value);
    }
    capture(&provider.token_endpoint, |sender| drop(request.request(sender)))
}

/// Which of the two tokens a revocation is about: `token_type_hint` of RFC 7009 §2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A refresh token.
    Refresh,
    /// An access token.
    Access,
}

/// Revokes a token (RFC 7009). `None` where the provider has no revocation endpoint.
pub fn revoke(
    connection: &Connection,
    provider: &Provider,
    token: &Secret,
    kind: TokenKind,
) -> Option<ProviderRequest> {
    let endpoint = provider.revocation_endpoint.as_ref()?;
    // The library builds no revocation request for http, which a development vault speaks on
    // loopback. Which addresses are allowed was settled by configuration; here it only builds.
    let mut secure = endpoint.clone();
    secure.set_scheme("https").ok()?;
    let client = client(connection, provider).set_revocation_url(RevocationUrl::from_url(secure));
    let text = token.expose().to_owned();
    let token: StandardRevocableToken = match kind {
        TokenKind::Refresh => RefreshToken::new(text).into(),
        TokenKind::Access => oauth2::AccessToken::new(text).into(),
    };
    let request = client.revoke_token(token).ok()?;
    capture(endpoint, |sender| drop(request.request(sender)))
}

fn client(connection: &Connection, provider: &Provider) -> Client {
    let client = BasicClient::new(ClientId::new(connection.client_id.clone()))
        .set_token_uri(TokenUrl::from_url(provider.token_endpoint.clone()))
        .set_auth_type(match connection.client_authentication {
            ClientAuthentication::ClientSecretBasic => AuthType::BasicAuth,
            ClientAuthentication::ClientSecretPost | ClientAuthentication::None => {
                AuthType::RequestBody
            }
        });
    match &connection.client_secret {
        Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
        None => client,
    }
}

/// What the library's request "fails" with: it was only to be built.
#[derive(Debug)]
struct Captured;

impl fmt::Display for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("captured")
    }
}

impl std::error::Error for Captured {}

/// The library builds a request only in order to send it. This "sends" it into a cell, which keeps
/// the core free of input and output.
#[derive(Default)]
struct Sender(RefCell<Option<HttpRequest>>);

impl SyncHttpClient for Sender {
    type Error = Captured;

    #[allow(
        clippy::inline_always,
        reason = "the compiler then sees that no answer ever comes, and leaves out the library's reader of answers: 22 KB of the Worker"
    )]
    #[inline(always)]
    fn call(&self, request: HttpRequest) -> Result<HttpResponse, Captured> {
        self.0.replace(Some(request));
        Err(Captured)
    }
}

fn capture(url: &Url, send: impl FnOnce(&Sender)) -> Option<ProviderRequest> {
    let sender = Sender::default();
    send(&sender);
    let (parts, body) = sender.0.into_inner()?.into_parts();
    let mut headers = parts.headers.iter();
    let authorization = match headers.find(|(name, _)| name.as_str() == "authorization") {
        Some((_, value)) => Some(Secret::new(value.to_str().ok()?)),
        None => None,
    };
    let form = Secret::new(String::from_utf8(body).ok()?);
    Some(ProviderRequest { url: url.clone(), authorization, form: Some(form) })
}
