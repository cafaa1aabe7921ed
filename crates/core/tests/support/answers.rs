// SPDX-License-Identifier: Apache-2.0
//! Responses of a provider, read by a connection.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used)]

#[path = "connection.rs"]
pub mod connection_support;

use serde_json::{Value, json};
use vault_base::secret::Secret;
use vault_provider::connection::Connection;
use vault_provider::error_codes::TokenEndpointError;
use vault_provider::token_response::{self, CodeResponse, ProviderResponse, TokenResponse};

pub const NOW: i64 = 1_795_492_800;

/// A connection to a provider that is not in the catalogue, with these fields.
pub fn custom(more: &Value) -> Connection {
    let mut entry = json!({
        "kind": "oauth2", "client_id": "vault",
        "authorization_endpoint": "https://idp.example/a", "token_endpoint": "https://idp.example/t",
    });
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    connection(&entry)
}

pub fn connection(entry: &Value) -> Connection {
    connection_support::connection(entry).unwrap()
}

pub fn received(status: u16, body: &str) -> ProviderResponse {
    ProviderResponse::Answer { status, retry_after: None, body: Secret::new(body.to_owned()) }
}

pub fn granted(connection: &Connection, body: &Value) -> Result<CodeResponse, TokenEndpointError> {
    token_response::granted(&received(200, &body.to_string()), connection, NOW)
}

pub fn renewed(
    connection: &Connection,
    status: u16,
    body: &str,
) -> Result<TokenResponse, TokenEndpointError> {
    token_response::renewed(&received(status, body), connection, NOW)
}

/// The result of a refresh at a provider that follows the RFCs.
pub fn plain(status: u16, body: &str) -> Result<TokenResponse, TokenEndpointError> {
    renewed(&custom(&json!({})), status, body)
}
