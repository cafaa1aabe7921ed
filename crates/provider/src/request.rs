// SPDX-License-Identifier: Apache-2.0
//! Requests to a provider's token endpoint, built by the `oauth2` crate and then adapted to the provider's
//! profile, and requests to its userinfo endpoint.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken, Scope, SyncHttpClient, TokenUrl,
};
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

use super::authorization_request::CLIENT_ID;
use super::endpoints::Provider;
use super::profile::{BodyFormat, ClientAuthentication, HttpMethod, Pkce};
use super::scopes;
use crate::connection::Connection;
use vault_base::secret::Secret;
use vault_base::text;

/// One request to a provider. `Debug` prints no secret, so neither the path nor the query of the URL.
#[derive(Clone)]
pub struct ProviderRequest {
    /// HTTP method.
    pub method: HttpMethod,
    /// Target URL. It may contain a token and the client secret, if an endpoint of the provider requires it.
    pub url: Url,
    /// Value of the `Authorization` header, if there is one.
    pub authorization: Option<Secret>,
    /// Further headers. [`ProviderRequest::all_headers`] returns the complete list.
    pub headers: Vec<(String, String)>,
    /// The body, if there is one.
    pub body: Option<Body>,
}

impl fmt::Debug for ProviderRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ProviderRequest");
        shown.field("method", &self.method).field("host", &self.url.host_str());
        shown.field("headers", &self.headers).field("body", &self.body).finish_non_exhaustive()
    }
}

/// A request body with its media type.
#[derive(Debug, Clone)]
pub struct Body {
    /// `Content-Type`.
    pub media_type: &'static str,
    /// The encoded content.
    pub text: Secret,
}

impl Body {
    /// Encodes parameters. `None` for [`BodyFormat::None`].
    pub(super) fn of(parameters: Vec<(String, String)>, format: BodyFormat) -> Option<Self> {
        match format {
            BodyFormat::None => None,
            BodyFormat::Form => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(parameters);
                let media_type = "application/x-www-form-urlencoded";
                Some(Self { media_type, text: Secret::new(form.finish()) })
            }
            BodyFormat::Json => {
                let mut members = Map::new();
                for (name, value) in parameters {
                    members.insert(name, Value::String(value));
                }
                let text = Secret::new(Value::Object(members).to_string());
                Some(Self { media_type: "application/json", text })
            }
        }
    }
}

impl ProviderRequest {
    /// The request, if all its headers are valid. `None` otherwise: it must not be sent, because text from
    /// the configuration or from a provider could inject a header.
    pub(super) fn checked(self) -> Option<Self> {
        let is_header = |(name, value): (&str, &str)| {
            text::is_header_name(name) && text::is_header_value(value)
        };
        let fits = self.all_headers().all(is_header);
        fits.then_some(self)
    }

    /// The same request by `GET`, with the parameters of its form in the query.
    fn in_query(mut self) -> Self {
        if let Some(body) = self.body.take() {
            let parameters = form_urlencoded::parse(body.text.expose().as_bytes());
            self.url.query_pairs_mut().extend_pairs(parameters);
        }
        Self { method: HttpMethod::Get, ..self }
    }

    /// All headers as names and values. If a name occurs twice, the later value must replace the earlier one.
    pub fn all_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let authorization =
            self.authorization.iter().map(|value| ("authorization", value.expose()));
        let media_type = self.body.iter().map(|body| ("content-type", body.media_type));
        headers.chain(authorization).chain(media_type)
    }

    /// The userinfo request for the account's identity (OpenID Connect Core §5.3.1). `None` if the provider
    /// has no userinfo endpoint, or if the token or a configured header is not valid as an HTTP header.
    pub fn userinfo(
        connection: &Connection,
        provider: &Provider,
        access_token: &Secret,
    ) -> Option<Self> {
        let rules = &connection.identity;
        let credentials = format!("{} {}", rules.scheme, access_token.expose());
        let json = |text: &String| Body {
            media_type: "application/json",
            text: Secret::new(text.clone()),
        };
        let mut headers = headers(connection, &connection.headers);
        headers.extend(self::headers(connection, &rules.headers));
        Self {
            method: rules.method,
            url: provider.userinfo_endpoint.clone()?,
            authorization: Some(Secret::new(credentials)),
            headers,
            body: rules.body.as_ref().map(json),
        }
        .checked()
    }
}

/// Headers from the configuration, with `{client_id}` in their values filled in.
pub(super) fn headers(
    connection: &Connection,
    configured: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let fill = |value: &String| value.replace("{client_id}", &connection.client_id);
    configured.iter().map(|(name, value)| (name.clone(), fill(value))).collect()
}

/// Parses a URL whose path segments may begin with a placeholder. The value of `fill` for such a segment is
/// form-encoded, so that it cannot leave the segment. `None` if `fill` has no value, or `.` or `..`, which would leave
/// it all the same, or if the result is not a URL.
pub(super) fn filled(endpoint: &str, fill: &impl Fn(&str) -> Option<String>) -> Option<Url> {
    if !endpoint.contains('{') {
        return Url::parse(endpoint).ok();
    }
    let mut filled = String::new();
    for (index, segment) in endpoint.split('/').enumerate() {
        if index > 0 {
            filled.push('/');
        }
        if segment.starts_with('{') {
            let value = fill(segment).filter(|value| !matches!(value.as_str(), "." | ".."))?;
            filled.extend(form_urlencoded::byte_serialize(value.as_bytes()));
        } else {
            filled.push_str(segment);
        }
    }
    Url::parse(&filled).ok()
}

/// A client of the `oauth2` library with a token endpoint and no others.
type Client =
    BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// The token request for an authorization code (RFC 6749 §4.1.3). `callback` is the redirect URI and
/// `asked` are the scopes of the authorization request. `None` if the request cannot be built, such as for
/// a header value that is not valid.
pub fn redeem(
    connection: &Connection,
    provider: &Provider,
    callback: &str,
    code: &Secret,
    verifier: &Secret,
    asked: &[String],
) -> Option<ProviderRequest> {
    let client = client(connection, provider.token_endpoint.clone())
        .set_redirect_uri(RedirectUrl::new(callback.to_owned()).ok()?);
    let mut request = client.exchange_code(AuthorizationCode::new(code.expose().to_owned()));
    if connection.pkce != Pkce::Refused {
        request = request.set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()));
    }
    if let Some(scopes) = scopes::at_redemption(connection, asked) {
        request = request.add_extra_param("scope", scopes.join(&connection.scope_separator));
    }
    let captured = capture(|sender| drop(request.request(sender)))?;
    write(connection, &provider.token_endpoint, captured, &connection.code_params, callback)
}

/// The refresh request (RFC 6749 §6). `scopes` are named only if they differ from those that the provider
/// assumes. `None` if the request cannot be built, such as for a header value that is not valid.
pub fn refresh(
    connection: &Connection,
    provider: &Provider,
    callback: &str,
    token: &Secret,
    scopes: Option<&[String]>,
) -> Option<ProviderRequest> {
    let rules = &connection.renewal;
    let endpoint = provider.refresh_endpoint.as_ref().unwrap_or(&provider.token_endpoint);
    refresh_at(connection, endpoint, &rules.grant_type, callback, token, scopes)
}

/// The first renewal after a consent, where it differs from later ones
/// ([`RenewalRules::is_first`](super::profile::RenewalRules::is_first)).
pub fn first_refresh(
    connection: &Connection,
    provider: &Provider,
    callback: &str,
    token: &Secret,
) -> Option<ProviderRequest> {
    let endpoint = provider.first_refresh_endpoint.as_ref().unwrap_or(&provider.token_endpoint);
    let grant_type = connection.renewal.first_grant_type.as_deref()?;
    refresh_at(connection, endpoint, grant_type, callback, token, None)
}

fn refresh_at(
    connection: &Connection,
    endpoint: &Url,
    grant_type: &str,
    callback: &str,
    token: &Secret,
    scopes: Option<&[String]>,
) -> Option<ProviderRequest> {
    let client = client(connection, endpoint.clone());
    let token = RefreshToken::new(token.expose().to_owned());
    let mut request = client.exchange_refresh_token(&token);
    if let Some(scopes) = scopes {
        request = request.add_scope(Scope::new(scopes.join(&connection.scope_separator)));
    }
    let mut captured = capture(|sender| drop(request.request(sender)))?;
    let rules = &connection.renewal;
    for (name, value) in &mut captured.parameters {
        match name.as_str() {
            "grant_type" => grant_type.clone_into(value),
            "refresh_token" => rules.token_parameter.clone_into(name),
            _ => {}
        }
    }
    let request = write(connection, endpoint, captured, &connection.refresh_params, callback)?;
    Some(if rules.method == HttpMethod::Get { request.in_query() } else { request })
}

/// The parts of a request that the library built: the `Authorization` header and the parameters of the body.
struct Captured {
    authorization: Option<Secret>,
    parameters: Vec<(String, String)>,
}

/// Adapts a token request to the provider's profile. Configured parameters replace those of the library.
fn write(
    connection: &Connection,
    endpoint: &Url,
    captured: Captured,
    params: &BTreeMap<String, String>,
    callback: &str,
) -> Option<ProviderRequest> {
    let Captured { mut authorization, mut parameters } = captured;
    for (name, _) in parameters.iter_mut().filter(|(name, _)| name == CLIENT_ID) {
        name.clone_from(&connection.client_id_parameter);
    }
    let fill =
        |(name, value): (&String, &String)| (name.clone(), value.replace("{callback}", callback));
    for (name, value) in connection.token_params.iter().chain(params).map(fill) {
        parameters.retain(|(known, _)| *known != name);
        parameters.push((name, value));
    }
    parameters.retain(|(name, _)| !connection.omit_params.contains(name));
    match (connection.client_authentication, &connection.client_secret) {
        (ClientAuthentication::SecretAsUsername, secret) => {
            authorization = Some(basic(secret.as_ref()?.expose(), ""));
        }
        (ClientAuthentication::ClientSecretBasicRaw, secret) => {
            authorization = Some(raw_basic(&connection.client_id, secret.as_ref()?.expose()));
        }
        _ => {}
    }
    let request = ProviderRequest {
        method: HttpMethod::Post,
        url: endpoint.clone(),
        authorization,
        headers: headers(connection, &connection.headers),
        body: Body::of(parameters, connection.body_format),
    };
    request.checked()
}

/// The value of `Authorization` for HTTP Basic, with both parts form-encoded first (RFC 6749 §2.3.1).
pub(super) fn basic(user: &str, password: &str) -> Secret {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    raw_basic(&encode(user), &encode(password))
}

/// The value of `Authorization` for HTTP Basic, with both parts as they are (RFC 7617 §2).
pub(super) fn raw_basic(user: &str, password: &str) -> Secret {
    let pair = Secret::new(format!("{user}:{password}"));
    Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())))
}

fn client(connection: &Connection, token_endpoint: Url) -> Client {
    let client = BasicClient::new(ClientId::new(connection.client_id.clone()))
        .set_token_uri(TokenUrl::from_url(token_endpoint))
        .set_auth_type(match connection.client_authentication {
            ClientAuthentication::ClientSecretBasic
            | ClientAuthentication::ClientSecretBasicRaw => AuthType::BasicAuth,
            _ => AuthType::RequestBody,
        });
    match &connection.client_secret {
        Some(secret)
            if connection.client_authentication != ClientAuthentication::SecretAsUsername =>
        {
            client.set_client_secret(ClientSecret::new(secret.expose().to_owned()))
        }
        _ => client,
    }
}

/// The error that ends every request of the library: requests are only built, not sent.
#[derive(Debug)]
struct NotSent;

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not sent")
    }
}

impl std::error::Error for NotSent {}

/// An HTTP client that stores the request instead of sending it: the library builds a request only when it
/// sends it, and this crate does no network access.
#[derive(Default)]
struct Sender(RefCell<Option<HttpRequest>>);

impl SyncHttpClient for Sender {
    type Error = NotSent;

    #[allow(
        clippy::inline_always,
        reason = "the compiler then sees that there is never a response, and leaves out the library's parser of responses: 22 KB of the Worker"
    )]
    #[inline(always)]
    fn call(&self, request: HttpRequest) -> Result<HttpResponse, NotSent> {
        self.0.replace(Some(request));
        Err(NotSent)
    }
}

/// Takes apart the request that `send` gives to the sender.
fn capture(send: impl FnOnce(&Sender)) -> Option<Captured> {
    let sender = Sender::default();
    send(&sender);
    let (parts, body) = sender.0.into_inner()?.into_parts();
    let mut headers = parts.headers.iter();
    let authorization = match headers.find(|(name, _)| name.as_str() == "authorization") {
        Some((_, value)) => Some(Secret::new(value.to_str().ok()?)),
        None => None,
    };
    let parameters = form_urlencoded::parse(&body)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    Some(Captured { authorization, parameters })
}
