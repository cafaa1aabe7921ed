// SPDX-License-Identifier: Apache-2.0
//! One connection, as a configuration with nothing else makes it.

#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vault_core::config::{Config, ConfigError, Variables};
use vault_provider::connection::Connection;

/// A connection written so, with a secret.
pub fn connection(entry: &Value) -> Result<Connection, ConfigError> {
    proved(entry, &json!("the-secret"))
}

/// A connection written so, whose entry of `PROVIDER_SECRETS` is this.
pub fn proved(entry: &Value, secret: &Value) -> Result<Connection, ConfigError> {
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let variables = [
        ("PUBLIC_URL", json!("https://vault.example.com")),
        ("KEY_RING", json!({"write": "k1", "keys": {"k1": key}})),
        ("OBJECT_NAME_KEY", json!(key)),
        ("CONNECTIONS", json!({"it": entry})),
        ("PROVIDER_SECRETS", json!({"it": secret})),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    Ok(Config::load(&Variables::from_iter(variables))?.connections["it"].clone())
}

/// A connection to a provider of the catalogue, with values for the variables that have none.
pub fn known(provider: &str) -> Connection {
    let mut entry = json!({"provider": provider, "client_id": "the-client"});
    let (name, value) = variable(provider);
    if !name.is_empty() {
        entry["variables"] = json!({name: value});
    }
    proved(&entry, &secret(provider)).unwrap()
}

/// The variable of a provider that has no value of its own, and one that fits.
pub fn variable(provider: &str) -> (&'static str, &'static str) {
    match provider {
        "entra" => ("tenant", "7f5d2b1c-0d3e-4c59-9a6e-2f1b8c4d5e6f"),
        "google_workspace" => ("domain", "example.org"),
        "shopify" => ("shop", "acme"),
        "snowflake" => ("account", "acme"),
        "zendesk" => ("subdomain", "acme"),
        _ => ("", ""),
    }
}

/// What proves us at a provider.
pub fn secret(provider: &str) -> Value {
    match provider {
        "github_app" => json!({"client_secret": "the-secret", "private_key": private_key()}),
        _ => json!("the-secret"),
    }
}

/// A PEM file in the form of a private key of 2048 bits, and nobody's key.
pub fn private_key() -> String {
    let head = [
        0x30, 0x82, 0x04, 0xc2, 0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
        0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ];
    let key = STANDARD.encode([head.as_slice(), &[0x55; 1200]].concat());
    format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n")
}
