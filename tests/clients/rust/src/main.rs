// SPDX-License-Identifier: Apache-2.0
//! Lets a test call functions of the crate `oauth2`: reads calls as lines of JSON, and answers each with a line of JSON.
//!
//! Arguments: the vault's address, the client's id and secret, the redirect URI and the file of the certificate.

use std::io::{BufRead, Write};
use std::net::{Ipv4Addr, SocketAddr};

use oauth2::basic::{BasicClient, BasicTokenResponse};
use oauth2::url::Url;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    HttpClientError, IntrospectionUrl, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RefreshToken, RequestTokenError, RevocationUrl, Scope, StandardRevocableToken,
    TokenIntrospectionResponse, TokenResponse, TokenUrl,
};
use serde::Deserialize;
use serde_json::{Value, json};

type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointSet, EndpointSet, EndpointSet>;
type Failure = Box<dyn std::error::Error>;

#[derive(Deserialize)]
struct Call {
    name: String,
    arguments: Arguments,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Arguments {
    token: String,
    code: String,
    verifier: String,
    secret: Option<String>,
    audience: Option<String>,
    scope: Option<String>,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [vault, id, secret, redirect_uri, certificate] = arguments.as_slice() else {
        return Err("five arguments are needed".into());
    };
    let http = http_client(vault, certificate)?;
    for line in std::io::stdin().lock().lines() {
        let call: Call = serde_json::from_str(&line?)?;
        let secret = call.arguments.secret.as_ref().unwrap_or(secret);
        let client = client(vault, id, secret, redirect_uri)?;
        let answer = match perform(&client, &http, &call) {
            Ok(result) => json!({ "result": result }),
            Err(error) => json!({ "error": error }),
        };
        let mut output = std::io::stdout().lock();
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}

fn client(vault: &str, id: &str, secret: &str, redirect_uri: &str) -> Result<Client, Failure> {
    Ok(BasicClient::new(ClientId::new(id.into()))
        .set_client_secret(ClientSecret::new(secret.into()))
        .set_auth_uri(AuthUrl::new(format!("{vault}/authorize"))?)
        .set_token_uri(TokenUrl::new(format!("{vault}/oauth/token"))?)
        .set_revocation_url(RevocationUrl::new(format!("{vault}/oauth/revoke"))?)
        .set_introspection_url(IntrospectionUrl::new(format!("{vault}/oauth/introspect"))?)
        .set_redirect_uri(RedirectUrl::new(redirect_uri.into())?))
}

/// Trusts the certificate, and resolves the vault's host name to the loopback address.
fn http_client(vault: &str, certificate: &str) -> Result<reqwest::blocking::Client, Failure> {
    let vault = Url::parse(vault)?;
    let port = vault.port_or_known_default().unwrap_or(443);
    let root = reqwest::Certificate::from_pem(&std::fs::read(certificate)?)?;
    Ok(reqwest::blocking::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .add_root_certificate(root)
        .resolve(
            vault.host_str().unwrap_or_default(),
            SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        )
        .build()?)
}

fn perform(client: &Client, http: &reqwest::blocking::Client, call: &Call) -> Result<Value, Value> {
    let given = &call.arguments;
    match call.name.as_str() {
        "authorize" => {
            let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
            let mut request =
                client.authorize_url(CsrfToken::new_random).set_pkce_challenge(challenge);
            for scope in ["openid", "profile", "email", "offline_access"] {
                request = request.add_scope(Scope::new(scope.into()));
            }
            if let Some(audience) = &given.audience {
                request = request.add_extra_param("audience", audience.as_str());
            }
            let (url, state) = request.url();
            Ok(json!({ "url": url, "state": state.secret(), "verifier": verifier.secret() }))
        }
        "redeem" => client
            .exchange_code(AuthorizationCode::new(given.code.clone()))
            .set_pkce_verifier(PkceCodeVerifier::new(given.verifier.clone()))
            .request(http)
            .map(|tokens| shown(&tokens))
            .map_err(|error| seen(&error)),
        "refresh" => {
            let token = RefreshToken::new(given.token.clone());
            let mut request = client.exchange_refresh_token(&token);
            if let Some(audience) = &given.audience {
                request = request.add_extra_param("audience", audience.as_str());
            }
            for scope in given.scope.iter().flat_map(|scopes| scopes.split(' ')) {
                request = request.add_scope(Scope::new(scope.into()));
            }
            request.request(http).map(|tokens| shown(&tokens)).map_err(|error| seen(&error))
        }
        "introspect" => client
            .introspect(&oauth2::AccessToken::new(given.token.clone()))
            .request(http)
            .map(|known| json!({ "active": known.active(), "sub": known.sub() }))
            .map_err(|error| seen(&error)),
        "revoke" => client
            .revoke_token(StandardRevocableToken::from(RefreshToken::new(given.token.clone())))
            .map_err(|error| json!({ "text": error.to_string() }))?
            .request(http)
            .map(|()| Value::Null)
            .map_err(|error| seen(&error)),
        other => Err(json!({ "text": format!("there is no function {other}") })),
    }
}

fn shown(tokens: &BasicTokenResponse) -> Value {
    let scopes =
        tokens.scopes().map(|scopes| scopes.iter().map(|one| one.as_str()).collect::<Vec<_>>());
    json!({
        "access_token": tokens.access_token().secret(),
        "refresh_token": tokens.refresh_token().map(RefreshToken::secret),
        "scope": scopes.map(|scopes| scopes.join(" ")),
        "expires_in": tokens.expires_in().map(|life| life.as_secs()),
    })
}

/// What an application can read of an error.
fn seen<E>(error: &RequestTokenError<HttpClientError<reqwest::Error>, E>) -> Value
where
    E: oauth2::ErrorResponse + std::fmt::Display,
{
    let (class, text) = match error {
        RequestTokenError::ServerResponse(answer) => ("ServerResponse", answer.to_string()),
        RequestTokenError::Request(error) => ("Request", error.to_string()),
        RequestTokenError::Parse(error, _) => ("Parse", error.to_string()),
        RequestTokenError::Other(text) => ("Other", text.clone()),
    };
    json!({ "class": class, "text": text })
}
