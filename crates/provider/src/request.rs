// SPDX-License-Identifier: Apache-2.0
//! Requests to a provider's token endpoint, built by the `oauth2` crate and then written as this
//! provider wants them, and to its userinfo endpoint.

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

use super::endpoints::Provider;
use super::profile::{BodyFormat, ClientAuthentication, HttpMethod, Pkce};
use super::scopes;
use crate::connection::Connection;
use vault_base::secret::Secret;
use vault_base::text;

/// One request to a provider. Its secrets do not print.
#[derive(Debug, Clone)]
pub struct ProviderRequest {
    /// `GET`, `POST` or `DELETE`.
    pub method: HttpMethod,
    /// Where to.
    pub url: Url,
    /// The `Authorization` header, if any.
    pub authorization: Option<Secret>,
    /// More headers. All of them are read with [`ProviderRequest::all_headers`].
    pub headers: Vec<(String, String)>,
    /// The body, if any.
    pub body: Option<Body>,
}

/// A body with its media type.
#[derive(Debug, Clone)]
pub struct Body {
    /// `Content-Type`.
    pub media_type: &'static str,
    /// What is sent.
    pub text: Secret,
}

impl Body {
    /// These parameters, written so. Of none there is no body.
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
    /// The request if each of its headers is one. `None`: it must not be sent, since text of the
    /// configuration or of a provider would become another header.
    pub(super) fn checked(self) -> Option<Self> {
        let is_header = |(name, value): (&str, &str)| {
            text::is_header_name(name) && text::is_header_value(value)
        };
        let fits = self.all_headers().all(is_header);
        fits.then_some(self)
    }

    /// All headers by name. Of two with the same name the later holds.
    pub fn all_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let more = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let authorization = self.authorization.iter().map(|one| ("authorization", one.expose()));
        let media_type = self.body.iter().map(|body| ("content-type", body.media_type));
        more.chain(authorization).chain(media_type)
    }

    /// Asks for the account's identity (OpenID Connect Core §5.3.1). `None` without an endpoint, or
    /// for a token that cannot stand in a header.
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

/// Headers of the configuration, with our client id where they want it.
pub(super) fn headers(
    connection: &Connection,
    given: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let fill = |value: &String| value.replace("{client_id}", &connection.client_id);
    given.iter().map(|(name, value)| (name.clone(), fill(value))).collect()
}

/// An address with its placeholders filled, each within its own segment.
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
            filled.extend(form_urlencoded::byte_serialize(fill(segment)?.as_bytes()));
        } else {
            filled.push_str(segment);
        }
    }
    Url::parse(&filled).ok()
}

/// A client of one provider's token endpoint.
type Client =
    BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// Redeems an authorization code (RFC 6749 §4.1.3) that was `asked` for with these scopes.
pub fn redeem(
    connection: &Connection,
    provider: &Provider,
    callback: &str,
    code: &Secret,
    verifier: &Secret,
    asked: &[String],
) -> Option<ProviderRequest> {
    let client =
        client(connection, provider).set_redirect_uri(RedirectUrl::new(callback.to_owned()).ok()?);
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

/// Redeems a refresh token (RFC 6749 §6). `scopes` only to ask for others than the default.
pub fn refresh(
    connection: &Connection,
    provider: &Provider,
    callback: &str,
    token: &Secret,
    scopes: Option<&[String]>,
) -> Option<ProviderRequest> {
    let client = client(connection, provider);
    let token = RefreshToken::new(token.expose().to_owned());
    let mut request = client.exchange_refresh_token(&token);
    if let Some(scopes) = scopes {
        request = request.add_scope(Scope::new(scopes.join(&connection.scope_separator)));
    }
    let captured = capture(|sender| drop(request.request(sender)))?;
    let endpoint = provider.refresh_endpoint.as_ref().unwrap_or(&provider.token_endpoint);
    write(connection, endpoint, captured, &connection.refresh_params, callback)
}

/// What the library built: credentials in the header, parameters of the body.
struct Captured {
    authorization: Option<Secret>,
    parameters: Vec<(String, String)>,
}

/// Writes a token request as this provider wants it.
fn write(
    connection: &Connection,
    endpoint: &Url,
    captured: Captured,
    more: &BTreeMap<String, String>,
    callback: &str,
) -> Option<ProviderRequest> {
    let Captured { mut authorization, mut parameters } = captured;
    let own =
        |(name, value): (&String, &String)| (name.clone(), value.replace("{callback}", callback));
    for (name, value) in connection.token_params.iter().chain(more).map(own) {
        parameters.retain(|(known, _)| *known != name);
        parameters.push((name, value));
    }
    parameters.retain(|(name, _)| !connection.omit_params.contains(name));
    if connection.client_authentication == ClientAuthentication::SecretAsUsername {
        authorization = Some(basic(connection.client_secret.as_ref()?.expose(), ""));
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

/// `Authorization: Basic` (RFC 6749 §2.3.1).
pub(super) fn basic(user: &str, password: &str) -> Secret {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Secret::new(format!("{}:{}", encode(user), encode(password)));
    Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())))
}

fn client(connection: &Connection, provider: &Provider) -> Client {
    let client = BasicClient::new(ClientId::new(connection.client_id.clone()))
        .set_token_uri(TokenUrl::from_url(provider.token_endpoint.clone()))
        .set_auth_type(match connection.client_authentication {
            ClientAuthentication::ClientSecretBasic => AuthType::BasicAuth,
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

/// What the library's request "fails" with: it was only to be built.
#[derive(Debug)]
struct NotSent;

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not sent")
    }
}

impl std::error::Error for NotSent {}

/// The library builds a request only in order to send it. This "sends" it into a cell, which keeps
/// the core free of input and output.
#[derive(Default)]
struct Sender(RefCell<Option<HttpRequest>>);

impl SyncHttpClient for Sender {
    type Error = NotSent;

    #[allow(
        clippy::inline_always,
        reason = "the compiler then sees that no answer ever comes, and leaves out the library's reader of answers: 22 KB of the Worker"
    )]
    #[inline(always)]
    fn call(&self, request: HttpRequest) -> Result<HttpResponse, NotSent> {
        self.0.replace(Some(request));
        Err(NotSent)
    }
}

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
