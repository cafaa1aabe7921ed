// SPDX-License-Identifier: Apache-2.0
//! The configuration and the helpers that the fuzz targets share.

use edge_token_vault::config::{Config, Variables};
use serde_json::json;

/// The present time for every target, in seconds since 1970.
pub const NOW: i64 = 1_795_492_800;

/// The registered redirect URIs of the client `spa`.
pub const REDIRECT_URIS: [&str; 2] =
    ["https://app.example.com/callback", "https://app.example.com/a?b=c"];

/// The registered origins of the client `spa`.
pub const ORIGINS: [&str; 1] = ["https://app.example.com"];

/// A valid configuration with one issuer, one client and connections of several kinds.
#[must_use]
pub fn config() -> Config {
    let key = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
    let variables = [
        ("PUBLIC_URL", json!("https://vault.example.com")),
        (
            "PROVIDER_SECRETS",
            json!({
                "slack": "s", "microsoft": "s", "salesforce": "s", "mailchimp": "s",
                "github_app": {"client_secret": "s", "private_key": private_key()},
            }),
        ),
        ("KEY_RING", json!(format!(r#"{{"write":"k1","keys":{{"k1":"{key}"}}}}"#))),
        ("OBJECT_NAME_KEY", json!(key)),
        (
            "ISSUERS",
            json!({"main": {
                "issuer": "https://login.example.com/", "audiences": ["https://vault.example.com/"],
                "algorithms": ["RS256", "ES256", "EdDSA"], "typ": "at+jwt",
            }}),
        ),
        (
            "CONNECTIONS",
            json!({"demo": {
                "kind": "oidc", "issuer": "https://accounts.example.com", "client_id": "vault",
                "client_authentication": "none", "scopes": ["openid"],
                "callback_extra": ["realmId"],
                "authorization_params": {"response_mode": "form_post"},
            }, "slack": {
                "provider": "slack", "client_id": "vault", "kinds": {"bot": {"scopes": ["a"]}},
            }, "microsoft": {
                "provider": "microsoft", "client_id": "vault",
            }, "salesforce": {
                "provider": "salesforce", "client_id": "vault",
            }, "mailchimp": {
                "provider": "mailchimp", "client_id": "vault",
            }, "github_app": {
                "provider": "github_app", "client_id": "vault",
            }}),
        ),
        (
            "CLIENTS",
            json!({"spa": {
                "authentication": "none", "connections": ["demo"],
                "redirect_uris": REDIRECT_URIS, "origins": ORIGINS,
            }}),
        ),
    ];
    let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value));
    match Config::load(&Variables::from_iter(variables)) {
        Ok(config) => config,
        Err(error) => panic!("the configuration of the targets: {error}"),
    }
}

/// A PEM file that has the form of an RSA key but no key's content.
fn private_key() -> String {
    format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", "A".repeat(1600))
}

/// Splits the input into its first `N - 1` lines and the rest. `None` if it is not UTF-8 or has fewer lines.
#[must_use]
pub fn lines<const N: usize>(data: &[u8]) -> Option<[&str; N]> {
    let text = std::str::from_utf8(data).ok()?;
    let mut parts = text.splitn(N, '\n');
    let mut out = [""; N];
    for slot in &mut out {
        *slot = parts.next()?;
    }
    Some(out)
}
