// SPDX-License-Identifier: Apache-2.0
//! The metadata documents (RFC 8414, RFC 9728). They advertise exactly what the vault supports.

use serde_json::{Value, json};

use crate::config::{Config, GrantType};
use crate::connect::policy;
use vault_jose::algorithm::Algorithm;

/// The metadata of the vault as an authorization server (RFC 8414 §2). The vault has no authorization
/// endpoint, and so supports no response type.
pub fn authorization_server(config: &Config) -> Value {
    json!({
        "issuer": config.public_url.identifier(),
        "token_endpoint": config.public_url.path("/oauth/token"),
        "token_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": Algorithm::ALL.map(Algorithm::name),
        "grant_types_supported": GrantType::ALL.map(GrantType::name),
        "response_types_supported": [],
        "protected_resources": [config.public_url.me()],
    })
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
