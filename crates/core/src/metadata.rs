// SPDX-License-Identifier: Apache-2.0
//! The metadata documents (RFC 8414, RFC 9728): what they advertise works, and what works is
//! advertised.

use serde_json::{Value, json};

use crate::config::{Config, GrantType};
use crate::connect::policy;
use vault_jose::algorithm::Algorithm;

/// Metadata of the vault as an authorization server (RFC 8414 §2). It has no authorization
/// endpoint, so it supports no response type.
pub fn authorization_server(config: &Config) -> Value {
    json!({
        "issuer": config.public_url.identifier(),
        "token_endpoint": config.public_url.path("/oauth/token"),
        "token_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": Algorithm::ALL.map(Algorithm::name),
        "grant_types_supported": grant_types(config),
        "response_types_supported": [],
        "protected_resources": [config.public_url.me()],
    })
}

fn grant_types(config: &Config) -> Vec<&'static str> {
    let issues = config.sign_in.is_some();
    let supported = GrantType::ALL.into_iter().filter(|grant| issues || !grant.is_issuing());
    supported.map(GrantType::name).collect()
}

/// Metadata of the connected-accounts API (RFC 9728 §2).
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
