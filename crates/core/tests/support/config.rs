// SPDX-License-Identifier: Apache-2.0
//! A complete, good configuration as the platform hands it over, and good requests that fit it, to
//! be changed by each test.

#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::ops::Deref;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use url::form_urlencoded::{Serializer, byte_serialize};
use vault_base::encoding;
use vault_base::ids::{AccountId, UserId};
use vault_base::mac_id::{IdKind, MacId};
use vault_base::secret::Secret;
use vault_core::config::{Config, ConfigError, ExchangeGrant, Variables};
use vault_core::connect::handle::{self, OpaqueHandle};
use vault_core::connect::record::Complete;
use vault_core::connect::request as api;
use vault_core::connect::request::{CompleteBody, ConnectBody, NewSession};
use vault_core::error::{OAuthError, ProblemDetails};
use vault_core::oauth::client_auth::Credentials;
use vault_core::oauth::exchange::federated_connection::FEDERATED_ACCESS_TOKEN;
use vault_core::oauth::exchange::request::ExchangeRequest;
use vault_core::oauth::exchange::token_exchange::ACCESS_TOKEN;
use vault_core::oauth::token_request::{Grant, TokenRequest};
use vault_core::vault::record::AccountView;
use vault_jose::access_token::AccessToken;

/// Secret of the client `backend`; the configuration has only its SHA-256.
pub const BACKEND_SECRET: &str = "p%+ q";

/// The media type of token requests.
pub const FORM: &str = "application/x-www-form-urlencoded";
/// The media type of Auth0's other token requests, and of the API.
pub const JSON: &str = "application/json";

/// A token exchange and how its client authenticates.
#[derive(Debug)]
pub struct Exchange {
    pub credentials: Credentials,
    pub request: ExchangeRequest,
}

impl Deref for Exchange {
    type Target = ExchangeRequest;

    fn deref(&self) -> &ExchangeRequest {
        &self.request
    }
}

/// The result of reading a token exchange.
pub type Read = Result<Exchange, Box<OAuthError>>;

/// Loads [`variables`] as they are.
pub fn config() -> Config {
    load(&json!({})).unwrap()
}

/// Loads [`variables`] after `change`, a merge patch (RFC 7396): members replace, `null` removes.
pub fn load(change: &Value) -> Result<Config, ConfigError> {
    let mut variables = variables();
    merge(&mut variables, change);
    load_all(&variables)
}

/// Loads these variables.
pub fn load_all(variables: &Value) -> Result<Config, ConfigError> {
    Config::load(&Variables::from_iter(variables.as_object().unwrap().clone()))
}

/// The parameters of a good token request, without client authentication.
pub fn exchange(grant: ExchangeGrant) -> Vec<(&'static str, &'static str)> {
    let (target, requested) = match grant {
        ExchangeGrant::TokenExchange => ("audience", ACCESS_TOKEN),
        ExchangeGrant::FederatedConnection => ("connection", FEDERATED_ACCESS_TOKEN),
    };
    vec![
        ("grant_type", grant.name()),
        ("subject_token", "canary-subject"),
        ("subject_token_type", ACCESS_TOKEN),
        (target, "calendar"),
        ("requested_token_type", requested),
    ]
}

/// A form body.
pub fn form(parameters: &[(&str, &str)]) -> Vec<u8> {
    Serializer::new(String::new()).extend_pairs(parameters).finish().into_bytes()
}

/// An `Authorization` header, made as RFC 6749 §2.3.1 says.
pub fn basic(id: &str, secret: &str) -> String {
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(id), encode(secret))))
}

/// Reads a request.
pub fn read(media_type: &str, authorization: Option<&str>, body: &[u8]) -> Read {
    let TokenRequest { credentials, grant } =
        TokenRequest::read(Some(media_type), authorization, body, false).map_err(Box::new)?;
    let Grant::Exchange(request) = grant else { panic!("{grant:?}") };
    Ok(Exchange { credentials, request })
}

/// Reads a good form of this grant with these parameters in place of those of the same name. The
/// value `-` takes one out.
pub fn read_with(
    grant: ExchangeGrant,
    authorization: Option<&str>,
    changes: &[(&str, &str)],
) -> Read {
    let mut all = exchange(grant);
    all.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    all.extend(changes.iter().filter(|(_, value)| *value != "-"));
    read(FORM, authorization, &form(&all))
}

/// Reads the same in JSON, with one member changed.
pub fn read_json(grant: ExchangeGrant, name: &str, value: Value) -> Read {
    let mut body = json!(BTreeMap::from_iter(exchange(grant)));
    body[name] = value;
    read(JSON, None, body.to_string().as_bytes())
}

/// `error` of a refusal, whose status must be 400, or 401 for `invalid_client`.
pub fn code(read: Read) -> &'static str {
    let error = read.unwrap_err();
    assert_eq!(error.status, if error.code == "invalid_client" { 401 } else { 400 });
    error.code
}

/// RFC 6749 §5.2: `error_description` has only `%x20-21 / %x23-5B / %x5D-7E`, and no canary is in the body.
pub fn assert_allowed(error: &OAuthError) {
    let allowed = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    assert!(!error.description.is_empty() && error.description.bytes().all(allowed), "{error:?}");
    assert!(!error.body().to_string().contains("canary"), "{error:?}");
}

/// A user's token that `backend` may exchange, issued to `spa`.
pub fn user_token() -> AccessToken {
    AccessToken {
        user: UserId { issuer: "https://login.example.com/".into(), subject: "alice".into() },
        client_id: "spa".into(),
        audiences: vec!["https://unrelated.example/".into(), "https://api.example.com/".into()],
        scopes: Vec::new(),
        expires_at: 0,
        issued_at: None,
        sid: None,
        grant_id: None,
    }
}

/// The redirect URI of `spa`.
pub const REDIRECT: &str = "https://app.example.com/connected?from=vault";
/// The code verifier of RFC 7636, appendix B, and its challenge.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// What `spa` gets for a good connect body after this change, whose members replace.
pub fn connect(change: &Value) -> Result<NewSession, ProblemDetails> {
    connect_in(&config(), change)
}

/// As [`connect`], with another configuration.
pub fn connect_in(config: &Config, change: &Value) -> Result<NewSession, ProblemDetails> {
    let good = json!({ "connection": "calendar", "redirect_uri": REDIRECT });
    let body: ConnectBody = api::read(Some(JSON), &changed(good, change))?;
    let find = |name: &str| config.connections.get(name);
    body.begin(&user_token().user, "spa", &config.clients["spa"], &config.names, find)
}

/// The id of a session of [`config`].
pub fn new_session() -> MacId {
    MacId::new(&config().names, IdKind::Connect).unwrap()
}

/// A new handle of this session.
pub fn new_handle(session: &MacId) -> String {
    OpaqueHandle::new(session, Secret::new(handle::random().unwrap())).text().expose().to_owned()
}

/// The session and message of a good complete body of this session after this change, whose members replace.
pub fn complete(session: &MacId, change: &Value) -> Result<(MacId, Complete), ProblemDetails> {
    let good = json!({
        "auth_session": new_handle(session),
        "connect_code": new_handle(session),
        "redirect_uri": REDIRECT,
    });
    let body: CompleteBody = api::read(Some(JSON), &changed(good, change))?;
    body.complete(&user_token().user, "spa", &config().names)
}

fn changed(mut body: Value, change: &Value) -> Vec<u8> {
    for (name, value) in change.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.to_string().into_bytes()
}

/// The fields a 400 of the API names, one after the other.
pub fn fields<T: std::fmt::Debug>(refused: Result<T, ProblemDetails>) -> String {
    let problem = refused.unwrap_err();
    assert_eq!(problem.status, 400);
    let fields: Vec<&str> = problem.validation_errors.iter().map(|error| error.field).collect();
    fields.join(" ")
}

/// 25 accounts at two connections, in no order, five connected in each second.
pub fn accounts() -> Vec<(String, AccountView)> {
    let account = |index: i64| AccountView {
        registration: None,
        lease_until: None,
        id: AccountId::parse(&format!("cac_{:02}", index * 7 % 25)).unwrap(),
        user_id: None,
        label: None,
        scopes: vec!["a".into()],
        created_at: 1_795_492_800 + index % 5,
        expires_at: None,
        provider_data: BTreeMap::new(),
    };
    let connection = |index| if index > 20 { "chat" } else { "calendar" };
    (0..25).map(|index| (connection(index).into(), account(index))).collect()
}

/// Applies a merge patch (RFC 7396).
pub fn merge(target: &mut Value, change: &Value) {
    let (Value::Object(members), Value::Object(changes)) = (&mut *target, change) else {
        *target = change.clone();
        return;
    };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), change);
        }
    }
}

/// Three providers: `calendar` speaks `OpenID` Connect, `code` is plain OAuth with everything set,
/// `chat` (in a second variable) knows us as a public client. Three clients: `backend` and `agent`
/// exchange, the browser application `spa` connects.
pub fn variables() -> Value {
    json!({
        "PUBLIC_URL": "https://vault.example.com",
        "KEY_RING":
            json!({ "write": "k1", "keys": { "k1": encoding::base64url([1; 32]) } }).to_string(),
        "OBJECT_NAME_KEY": encoding::base64url([2; 32]),
        "PROVIDER_SECRETS": r#"{"calendar":"calendar: secret+1%","code":"code-secret"}"#,
        "ISSUERS": {
            "main": {
                "issuer": "https://login.example.com/",
                "audiences": ["https://vault.example.com/", "https://api.example.com/"],
                "algorithms": ["RS256", "EdDSA"],
            },
        },
        "CONNECTIONS": {
            "calendar": {
                "kind": "oidc",
                "issuer": "https://accounts.calendar.example",
                "client_id": "vault:calendar",
                "scopes": ["events.read"],
                "required_scopes": ["offline_access"],
                "authorization_params": { "access_type": "offline", "prompt": "consent" },
            },
            "code": {
                "kind": "oauth2",
                "authorization_endpoint": "https://code.example/authorize?tenant=7",
                "token_endpoint": "https://code.example/token",
                "userinfo_endpoint": "https://api.code.example/user",
                "identity": { "id": "id", "name": "login" },
                "revocation_endpoint": "https://code.example/revoke",
                "authorization_response_iss": "https://code.example",
                "client_id": "vault-code",
                "client_authentication": "client_secret_post",
                "scopes": ["repo", "user"],
                "scope_separator": ",",
                "token_params": { "resource": "https://api.code.example" },
                "pkce": "refused",
                "down_scoping": true,
                "default_expires_in": 28800,
            },
        },
        "CONNECTIONS_2": {
            "chat": {
                "kind": "oauth2",
                "authorization_endpoint": "https://chat.example/authorize",
                "token_endpoint": "https://chat.example/token",
                "client_id": "vault-chat",
                "client_authentication": "none",
            },
        },
        "CLIENTS": {
            "backend": {
                "authentication": "client_secret",
                "secret_sha256": [
                    "00".repeat(32), encoding::hex(&encoding::sha256(BACKEND_SECRET)),
                ],
                "grants": [
                    "urn:ietf:params:oauth:grant-type:token-exchange",
                    "urn:auth0:params:oauth:grant-type:token-exchange:\
                     federated-connection-access-token",
                ],
                "audiences": ["https://api.example.com/", "https://other.example.com/"],
                "accepts_from": ["spa"],
                "connections": ["calendar", "code"],
                "scope_policy": "exact",
            },
            "agent": {
                "authentication": "private_key_jwt",
                "jwks": { "keys": [
                    { "kty": "OKP", "crv": "Ed25519", "x": encoding::base64url([3; 32]) },
                ] },
                "grants": ["urn:ietf:params:oauth:grant-type:token-exchange"],
            },
            "spa": {
                "authentication": "none",
                "connections": ["calendar", "chat"],
                "redirect_uris": ["https://app.example.com/connected?from=vault"],
                "origins": ["https://app.example.com"],
            },
        },
    })
}
