// SPDX-License-Identifier: Apache-2.0
//! The configuration of a development Worker on this machine. This module does no I/O.

use std::iter;

use anyhow::Result;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::dev_files::Secrets;
use crate::tools::hex;

/// The vault's client id at the development provider.
const PROVIDER_CLIENT: &str = "edge-token-vault";

/// The connection to the development provider. The main job uses only this one, because the connections of
/// a `--with` file lead to real providers.
const CONNECTION: &str = "demo";

pub(crate) type Table = Map<String, Value>;

pub(crate) struct DevConfig {
    pub(crate) vault: String,
    pub(crate) issuer: String,
    pub(crate) issuers: Table,
    pub(crate) connections: Table,
    pub(crate) clients: Table,
    /// The origin of the example application, whose users the vault signs in itself.
    pub(crate) app: String,
    pub(crate) provider_secrets: Table,
}

impl DevConfig {
    /// A configuration with one issuer, one connection, a backend and two browser applications: users sign in
    /// to `spa` at the issuer, and to `app` at the vault.
    pub(crate) fn new(port: u16, provider_port: u16, app_port: u16, secrets: &Secrets) -> Self {
        let vault = format!("http://127.0.0.1:{port}");
        let issuer = format!("http://127.0.0.1:{provider_port}");
        let app = format!("http://127.0.0.1:{app_port}");
        let audience = format!("{vault}/");
        let issuers = json!({
            "dev": {"issuer": issuer, "audiences": [audience], "algorithms": ["RS256"], "typ": "at+jwt"},
        });
        let connections = json!({
            CONNECTION: {
                "kind": "oidc",
                "issuer": issuer,
                "client_id": PROVIDER_CLIENT,
                "client_authentication": "client_secret_basic",
                "scopes": ["openid", "email", "profile", "offline_access"],
                "authorization_params": {"prompt": "consent"},
            },
        });
        let clients = json!({
            "backend": {
                "authentication": "client_secret",
                "secret_sha256": [hex(&Sha256::digest(&secrets.backend_client))],
                "grants": [
                    "urn:ietf:params:oauth:grant-type:token-exchange",
                    "urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token",
                ],
                "audiences": [audience],
                "accepts_from": ["spa", "app"],
                "connections": [CONNECTION],
            },
            "spa": {
                "authentication": "none",
                "connections": [CONNECTION],
                "redirect_uris": [format!("{issuer}/app")],
                "origins": [issuer],
            },
            "app": {
                "authentication": "none",
                "kind": "spa",
                "name": "Example",
                "grants": ["authorization_code", "refresh_token"],
                "connections": [CONNECTION],
                "redirect_uris": [format!("{app}/")],
                "post_logout_redirect_uris": [format!("{app}/")],
                "origins": [app],
            },
        });
        Self {
            vault,
            issuer,
            issuers: table(issuers),
            connections: table(connections),
            clients: table(clients),
            app,
            provider_secrets: table(json!({CONNECTION: secrets.provider_client})),
        }
    }

    /// The Worker's variables and secrets, in the format of `.dev.vars`.
    pub(crate) fn dev_vars(&self, secrets: &Secrets) -> Result<String> {
        let key_ring = json!({"write": "k1", "keys": {"k1": secrets.sealing_key}});
        let variables = [
            ("PUBLIC_URL", self.vault.clone()),
            ("ISSUERS", serde_json::to_string(&self.issuers)?),
            ("CONNECTIONS", serde_json::to_string(&self.connections)?),
            ("CLIENTS", serde_json::to_string(&self.clients)?),
            ("SIGN_IN", json!({"connections": [CONNECTION]}).to_string()),
            ("KEY_RING", key_ring.to_string()),
            ("OBJECT_NAME_KEY", secrets.object_name_key.clone()),
            ("PROVIDER_SECRETS", serde_json::to_string(&self.provider_secrets)?),
        ];
        Ok(variables.iter().map(|(name, value)| dotenv_line(name, value)).collect())
    }

    /// The content of `run.json`, which the scripts read. `files` are the paths of the provider's keys and of
    /// `dev.json`.
    pub(crate) fn run_file(
        &self,
        provider_port: u16,
        secrets: &Secrets,
        files: (&str, &str),
    ) -> Value {
        let added = self.connections.keys().map(String::as_str).filter(|name| *name != CONNECTION);
        let names: Vec<&str> = iter::once(CONNECTION).chain(added).collect();
        let spa_redirects = self.clients.get("spa").and_then(|spa| spa.get("redirect_uris"));
        json!({
            "vault": self.vault,
            "issuer": self.issuer,
            "provider_port": provider_port,
            "audience": format!("{}/", self.vault),
            "me_audience": format!("{}/me/", self.vault),
            "clients": {
                "backend": {"client_id": "backend", "client_secret": secrets.backend_client},
                "spa": {"client_id": "spa", "redirect_uris": spa_redirects},
                "app": {"client_id": "app", "origin": self.app},
            },
            "connection": CONNECTION,
            "connections": names,
            "provider_client": {
                "client_id": PROVIDER_CLIENT,
                "client_secret": secrets.provider_client,
                "redirect_uris": self.callbacks_at_our_provider(),
            },
            "keys_file": files.0,
            "dev_json": files.1,
        })
    }

    fn callbacks_at_our_provider(&self) -> Vec<String> {
        let ours = |(_, connection): &(&String, &Value)| {
            connection.get("issuer") == Some(&json!(self.issuer))
        };
        self.connections
            .iter()
            .filter(ours)
            .map(|(name, _)| format!("{}/callback/{name}", self.vault))
            .collect()
    }
}

/// One line of a dotenv file. A single-quoted value has no escapes, and a dollar sign starts a variable name
/// even there, so both characters are written as JSON escapes.
fn dotenv_line(name: &str, value: &str) -> String {
    format!("{name}='{}'\n", value.replace('\'', r"\u0027").replace('$', r"\u0024"))
}

fn table(value: Value) -> Table {
    match value {
        Value::Object(table) => table,
        _ => Table::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        Secrets {
            sealing_key: "seal".into(),
            object_name_key: "names".into(),
            backend_client: "backend-secret".into(),
            provider_client: "provider-secret".into(),
        }
    }

    fn config() -> DevConfig {
        DevConfig::new(8787, 8788, 8789, &secrets())
    }

    #[test]
    fn apostrophes_and_dollars_survive_single_quotes() {
        let line = dotenv_line("X", r#"{"a":"it's $5"}"#);
        assert_eq!(line, "X='{\"a\":\"it\\u0027s \\u00245\"}'\n");
        let json = line.trim_start_matches("X='").trim_end_matches("'\n");
        assert_eq!(serde_json::from_str::<Value>(json).unwrap()["a"], "it's $5");
    }

    #[test]
    fn the_variables_hold_the_digest_of_a_client_secret_and_never_itself() {
        let text = config().dev_vars(&secrets()).unwrap();
        assert!(!text.contains("backend-secret"));
        assert!(text.contains(&hex(&Sha256::digest("backend-secret"))));
        assert!(text.contains(r#"KEY_RING='{"keys":{"k1":"seal"},"write":"k1"}'"#));
        assert_eq!(text.lines().count(), 8);
    }

    #[test]
    fn the_backend_exchanges_tokens_of_the_application_whose_users_the_vault_signs_in() {
        let config = config();
        assert_eq!(config.clients["app"]["redirect_uris"], json!(["http://127.0.0.1:8789/"]));
        assert_eq!(config.clients["app"]["origins"], json!([config.app]));
        assert_eq!(config.clients["backend"]["accepts_from"], json!(["spa", "app"]));
        let text = config.dev_vars(&secrets()).unwrap();
        assert!(text.contains("SIGN_IN='{\"connections\":[\"demo\"]}'"));
    }

    #[test]
    fn the_provider_knows_the_callbacks_of_its_own_connections_only() {
        let text = "[connections.github]\nprovider = \"github\"\n[connections.twin]\nissuer = \"http://127.0.0.1:8788\"";
        let mut config = config();
        config.merge(text).unwrap();
        let run = config.run_file(8788, &secrets(), ("keys", "dev"));
        let callbacks =
            json!(["http://127.0.0.1:8787/callback/demo", "http://127.0.0.1:8787/callback/twin"]);
        assert_eq!(run["provider_client"]["redirect_uris"], callbacks);
        assert_eq!(run["connections"], json!(["demo", "github", "twin"]));
        assert_eq!(run["clients"]["spa"]["redirect_uris"], json!(["http://127.0.0.1:8788/app"]));
    }

    #[test]
    fn the_connection_of_the_main_job_is_demo_whatever_sorts_before_it() {
        let mut config = config();
        config.merge("[connections.asana]\nprovider = \"asana\"\n[connections.zoom]").unwrap();
        let run = config.run_file(8788, &secrets(), ("keys", "dev"));
        assert_eq!(run["connection"], "demo");
        assert_eq!(run["connections"], json!(["demo", "asana", "zoom"]));
    }
}
