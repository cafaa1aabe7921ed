//! One connection, as a configuration with nothing else makes it.

#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing)]

use edge_token_vault::config::{Config, ConfigError, Connection, Variables};
use serde_json::{Value, json};

/// A connection written so, with a secret.
pub fn connection(entry: &Value) -> Result<Connection, ConfigError> {
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let variables = [
        ("PUBLIC_URL", json!("https://vault.example.com")),
        ("KEY_RING", json!({"write": "k1", "keys": {"k1": key}})),
        ("OBJECT_NAME_KEY", json!(key)),
        ("CONNECTIONS", json!({"it": entry})),
        ("PROVIDER_SECRETS", json!({"it": "the-secret"})),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    Ok(Config::load(&Variables::from_iter(variables))?.connections["it"].clone())
}

/// A connection to a provider of the catalogue, with values for the variables that have none.
pub fn known(provider: &str) -> Connection {
    let mut entry = json!({"provider": provider, "client_id": "the-client"});
    let variable = match provider {
        "entra" => Some(("tenant", "7f5d2b1c-0d3e-4c59-9a6e-2f1b8c4d5e6f")),
        "google_workspace" => Some(("domain", "example.org")),
        "shopify" => Some(("shop", "acme")),
        "snowflake" => Some(("account", "acme")),
        "zendesk" => Some(("subdomain", "acme")),
        _ => None,
    };
    if let Some((name, value)) = variable {
        entry["variables"] = json!({name: value});
    }
    connection(&entry).unwrap()
}
