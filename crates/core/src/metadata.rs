// SPDX-License-Identifier: Apache-2.0
//! The metadata documents (RFC 8414, RFC 9728). They advertise exactly what the vault supports.

use serde_json::{Value, json};

use crate::config::{Config, GrantType};
use crate::connect::policy;
use crate::issuer::scopes::OPEN_ID;
use vault_jose::algorithm::Algorithm;

/// The metadata of the vault as an authorization server (RFC 8414 §2) and, while it signs users in, as an
/// OpenID provider (OpenID Connect Discovery §3). Without an authorization endpoint it supports no
/// response type.
pub fn authorization_server(config: &Config) -> Value {
    let path = |path: &str| config.public_url.path(path);
    let mut metadata = json!({
        "issuer": config.public_url.identifier(),
        "token_endpoint": path("/oauth/token"),
        "token_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": Algorithm::ALL.map(Algorithm::name),
        "grant_types_supported": grant_types(config),
        "response_types_supported": [],
        "protected_resources": [config.public_url.me()],
    });
    if config.sign_in.is_none() {
        return metadata;
    }
    let methods = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];
    let open_id = json!({
        "authorization_endpoint": path("/authorize"),
        "pushed_authorization_request_endpoint": path("/oauth/par"),
        "jwks_uri": path("/.well-known/jwks.json"),
        "userinfo_endpoint": path("/userinfo"),
        "revocation_endpoint": path("/oauth/revoke"),
        "introspection_endpoint": path("/oauth/introspect"),
        "end_session_endpoint": path("/oidc/logout"),
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": &methods[..3],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post", "web_message"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": OPEN_ID,
        "claims_supported": [
            "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid", "name",
            "email", "email_verified",
        ],
        "prompt_values_supported": ["none", "login", "select_account", "consent"],
        "ui_locales_supported": ["en", "de", "fr", "es", "ja"],
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "authorization_response_iss_parameter_supported": true,
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    });
    if let (Some(all), Value::Object(more)) = (metadata.as_object_mut(), open_id) {
        all.extend(more);
    }
    metadata
}

fn grant_types(config: &Config) -> Vec<&'static str> {
    let issues = config.sign_in.is_some();
    let supported = GrantType::ALL.into_iter().filter(|grant| issues || !grant.is_issuing());
    supported.map(GrantType::name).collect()
}

/// The metadata of the connected-accounts API as a protected resource (RFC 9728 §2).
pub fn protected_resource(config: &Config) -> Value {
    let issuers: Vec<&String> = config.issuers.keys().collect();
    json!({
        "resource": config.public_url.me(),
        "authorization_servers": issuers,
        "bearer_methods_supported": ["header"],
        "scopes_supported": [policy::CREATE, policy::READ, policy::DELETE],
        "resource_name": "Connected accounts",
    })
}
