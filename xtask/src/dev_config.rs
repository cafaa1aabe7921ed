// SPDX-License-Identifier: Apache-2.0
//! The configuration of a development Worker on this machine. This module does no I/O.

use std::iter;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::dev_files::Secrets;
use crate::tools::hex;

/// The vault's client id at the development provider.
const PROVIDER_CLIENT: &str = "edge-token-vault";

/// The connection to the external provider. The main job connects only this one, because the connections of
/// a `--with` file lead to real providers.
const CONNECTION: &str = "demo";

/// The connection to the identity provider, through which the vault signs users in.
const SIGN_IN_CONNECTION: &str = "login";

/// The origin of the application that somebody tries with the client `web`, and the paths at which SDKs take
/// the browser back by default.
const WEB_ORIGIN: &str = "http://localhost:3000";
const WEB_CALLBACKS: [&str; 2] = ["/auth/callback", "/callback"];

const EXCHANGES: [&str; 2] = [
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token",
];

pub(crate) type Table = Map<String, Value>;

/// What the options of a run say about its addresses.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) port: u16,
    pub(crate) provider_port: u16,
    pub(crate) app_port: u16,
    /// Whether all servers use https.
    pub(crate) https: bool,
    /// Whether the users of the client `spa` sign in at the identity provider itself, whose tokens the vault
    /// then trusts, and not at the vault.
    pub(crate) foreign_issuer: bool,
}

pub(crate) struct DevConfig {
    setting: Setting,
    pub(crate) vault: String,
    /// The origin of the provider at which users sign in. Its host name differs from that of `provider`, so
    /// that a browser which is signed in at the one is not signed in at the other.
    pub(crate) identity_provider: String,
    /// The origin of the external provider, whose accounts are connected.
    pub(crate) provider: String,
    pub(crate) issuers: Table,
    pub(crate) connections: Table,
    pub(crate) clients: Table,
    pub(crate) apis: Table,
    pub(crate) sign_in: Table,
    /// The origin of the example application `examples/spa`.
    pub(crate) app: String,
    pub(crate) provider_secrets: Table,
}

impl DevConfig {
    /// A configuration with a connection to sign in with, one to connect, a backend, a confidential
    /// application and two browser applications.
    pub(crate) fn new(setting: Setting, secrets: &Secrets) -> Self {
        let Setting { port, provider_port, app_port, https, foreign_issuer } = setting;
        let (scheme, host) = if https { ("https", "localhost") } else { ("http", "127.0.0.1") };
        let vault = format!("{scheme}://{host}:{port}");
        let app = format!("{scheme}://{host}:{app_port}");
        let identity_provider = format!("{scheme}://localhost:{provider_port}");
        let provider = format!("{scheme}://127.0.0.1:{provider_port}");
        let audience = format!("{vault}/");
        let issuers = if foreign_issuer {
            json!({"dev": {
                "issuer": identity_provider, "audiences": [audience], "algorithms": ["RS256"], "typ": "at+jwt",
            }})
        } else {
            json!({})
        };
        // Each asks its users to sign in every time, so that they can choose another account.
        let connections = json!({
            SIGN_IN_CONNECTION: {
                "kind": "oidc",
                "issuer": identity_provider,
                "client_id": PROVIDER_CLIENT,
                "client_authentication": "client_secret_basic",
                "scopes": ["openid", "email", "profile"],
                "authorization_params": {"prompt": "login"},
            },
            CONNECTION: {
                "kind": "oidc",
                "issuer": provider,
                "client_id": PROVIDER_CLIENT,
                "client_authentication": "client_secret_basic",
                "scopes": ["openid", "email", "profile", "offline_access"],
                "authorization_params": {"prompt": "login consent"},
            },
        });
        let mut spa = table(json!({
            "authentication": "none",
            "connections": [CONNECTION],
            "redirect_uris": [format!("{identity_provider}/app")],
            "origins": [identity_provider],
        }));
        if !foreign_issuer {
            spa.extend(table(json!({
                "kind": "spa",
                "name": "Development",
                "grants": ["authorization_code", "refresh_token"],
                "post_logout_redirect_uris": [format!("{identity_provider}/app")],
            })));
        }
        let web = |paths: &[&str]| -> Vec<String> {
            paths.iter().map(|path| format!("{WEB_ORIGIN}{path}")).collect()
        };
        let web_grants = [["authorization_code", "refresh_token"], EXCHANGES].concat();
        let clients = json!({
            "backend": {
                "authentication": "client_secret",
                "secret_sha256": [hex(&Sha256::digest(&secrets.backend_client))],
                "grants": EXCHANGES,
                "audiences": [audience],
                "accepts_from": ["spa", "app", "web"],
                "connections": [CONNECTION],
            },
            "web": {
                "authentication": "client_secret",
                "secret_sha256": [hex(&Sha256::digest(&secrets.web_client))],
                "name": "Web application",
                "grants": web_grants,
                "connections": [CONNECTION],
                "redirect_uris": web(&WEB_CALLBACKS),
                "post_logout_redirect_uris": web(&["", "/"]),
            },
            "spa": spa,
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
        let secret = &secrets.provider_client;
        Self {
            setting,
            vault,
            identity_provider,
            provider,
            issuers: table(issuers),
            connections: table(connections),
            clients: table(clients),
            apis: Table::new(),
            sign_in: table(json!({"connections": [SIGN_IN_CONNECTION]})),
            app,
            provider_secrets: table(json!({CONNECTION: secret, SIGN_IN_CONNECTION: secret})),
        }
    }

    /// The Worker's variables and secrets.
    pub(crate) fn variables(&self, secrets: &Secrets) -> Vec<(&'static str, String)> {
        let key_ring = json!({"write": "k1", "keys": {"k1": secrets.sealing_key}});
        let text = |table: &Table| Value::Object(table.clone()).to_string();
        vec![
            ("PUBLIC_URL", self.vault.clone()),
            ("ISSUERS", text(&self.issuers)),
            ("CONNECTIONS", text(&self.connections)),
            ("CLIENTS", text(&self.clients)),
            ("APIS", text(&self.apis)),
            ("SIGN_IN", text(&self.sign_in)),
            ("KEY_RING", key_ring.to_string()),
            ("OBJECT_NAME_KEY", secrets.object_name_key.clone()),
            ("PROVIDER_SECRETS", text(&self.provider_secrets)),
        ]
    }

    /// The content of `run.json`, which the scripts read. `directory` is that of the files of the run.
    pub(crate) fn run_file(&self, secrets: &Secrets, directory: &Path) -> Value {
        let ours = [CONNECTION, SIGN_IN_CONNECTION];
        let added = self.connections.keys().map(String::as_str).filter(|name| !ours.contains(name));
        let names: Vec<&str> = iter::once(CONNECTION).chain(added).collect();
        let of =
            |client: &str, field: &str| self.clients.get(client).and_then(|one| one.get(field));
        let file = |name: &str| directory.join(name).display().to_string();
        let upstream = |origin: &str| {
            json!({
                "client_id": PROVIDER_CLIENT,
                "client_secret": secrets.provider_client,
                "redirect_uris": self.callbacks_at(origin),
            })
        };
        let issuer = if self.setting.foreign_issuer {
            self.identity_provider.clone()
        } else {
            format!("{}/", self.vault)
        };
        json!({
            "vault": self.vault,
            "issuer": issuer,
            "identity_provider": self.identity_provider,
            "provider": self.provider,
            "provider_port": self.setting.provider_port,
            "audience": format!("{}/", self.vault),
            "me_audience": format!("{}/me/", self.vault),
            "clients": {
                "backend": {"client_id": "backend", "client_secret": secrets.backend_client},
                "web": {
                    "client_id": "web",
                    "client_secret": secrets.web_client,
                    "redirect_uris": of("web", "redirect_uris"),
                    "post_logout_redirect_uris": of("web", "post_logout_redirect_uris"),
                },
                "spa": {"client_id": "spa", "redirect_uris": of("spa", "redirect_uris")},
                "app": {"client_id": "app", "origin": self.app},
            },
            "connection": CONNECTION,
            "connections": names,
            "upstream": {
                "identity_provider": upstream(&self.identity_provider),
                "provider": upstream(&self.provider),
            },
            "files": {
                "keys": file("provider-keys.json"),
                "dev_json": file("dev.json"),
                "env": file("env"),
                "log": file("wrangler.log"),
                "tls": self.setting.https.then(|| Certificates::below(directory).as_json()),
            },
        })
    }

    /// The vault's callbacks of the connections to one of the two development providers.
    fn callbacks_at(&self, origin: &str) -> Vec<String> {
        let there = |(_, connection): &(&String, &Value)| {
            connection.get("issuer").and_then(Value::as_str) == Some(origin)
        };
        self.connections
            .iter()
            .filter(there)
            .map(|(name, _)| format!("{}/callback/{name}", self.vault))
            .collect()
    }
}

/// The files of `xtask/js/certificates.mjs`.
pub(crate) struct Certificates {
    /// The certificate of the authority, which clients must trust.
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificates {
    pub(crate) fn below(directory: &Path) -> Self {
        let file = |name| directory.join("tls").join(name);
        Self {
            authority: file("ca.pem"),
            certificate: file("server.pem"),
            key: file("server-key.pem"),
        }
    }

    fn as_json(&self) -> Value {
        let Self { authority, certificate, key } = self;
        json!({"ca": authority, "certificate": certificate, "key": key})
    }
}

/// The Worker's variables in the format of `.dev.vars`.
pub(crate) fn dotenv(variables: &[(&str, String)]) -> String {
    variables.iter().map(|(name, value)| dotenv_line(name, value)).collect()
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

    fn config_of(https: bool, foreign_issuer: bool) -> DevConfig {
        let (port, provider_port, app_port) = (8787, 8788, 8789);
        let setting = Setting { port, provider_port, app_port, https, foreign_issuer };
        DevConfig::new(setting, &Secrets::for_tests())
    }

    fn config() -> DevConfig {
        config_of(false, false)
    }

    fn run(config: &DevConfig) -> Value {
        config.run_file(&Secrets::for_tests(), Path::new("/dev-state"))
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
        let text = dotenv(&config().variables(&Secrets::for_tests()));
        for secret in ["backend-secret", "web-secret"] {
            assert!(!text.contains(secret));
            assert!(text.contains(&hex(&Sha256::digest(secret))));
        }
        assert!(text.contains(r#"KEY_RING='{"keys":{"k1":"seal"},"write":"k1"}'"#));
        assert_eq!(text.lines().count(), 9);
    }

    #[test]
    fn the_vault_signs_users_in_and_trusts_nobody_else_by_default() {
        let config = config();
        assert!(config.issuers.is_empty());
        assert_eq!(config.sign_in["connections"], json!(["login"]));
        assert_eq!(config.clients["spa"]["grants"], json!(["authorization_code", "refresh_token"]));
        assert_eq!(config.clients["backend"]["accepts_from"], json!(["spa", "app", "web"]));
        assert_eq!(run(&config)["issuer"], "http://127.0.0.1:8787/");
    }

    #[test]
    fn a_foreign_issuer_is_the_identity_provider() {
        let config = config_of(false, true);
        assert_eq!(config.issuers["dev"]["issuer"], "http://localhost:8788");
        assert_eq!(config.clients["spa"].get("grants"), None);
        assert_eq!(run(&config)["issuer"], "http://localhost:8788");
    }

    #[test]
    fn the_identity_provider_and_the_provider_have_different_hosts() {
        for https in [false, true] {
            let run = run(&config_of(https, false));
            let scheme = if https { "https" } else { "http" };
            assert_eq!(run["identity_provider"], format!("{scheme}://localhost:8788"));
            assert_eq!(run["provider"], format!("{scheme}://127.0.0.1:8788"));
        }
    }

    #[test]
    fn with_https_every_address_but_those_of_the_web_application_is_https() {
        let config = config_of(true, false);
        let run = run(&config);
        assert_eq!(run["vault"], "https://localhost:8787");
        assert_eq!(config.clients["app"]["origins"], json!(["https://localhost:8789"]));
        assert_eq!(run["files"]["tls"]["ca"], "/dev-state/tls/ca.pem");
        let text = dotenv(&config.variables(&Secrets::for_tests()));
        assert_eq!(text.matches("http://").count(), text.matches("http://localhost:3000").count());
    }

    #[test]
    fn the_confidential_client_is_written_with_its_secret_and_its_callbacks() {
        let web = &run(&config())["clients"]["web"];
        assert_eq!(web["client_secret"], "web-secret");
        let callbacks =
            json!(["http://localhost:3000/auth/callback", "http://localhost:3000/callback"]);
        assert_eq!(web["redirect_uris"], callbacks);
    }

    #[test]
    fn each_provider_knows_the_callbacks_of_its_own_connections_only() {
        let text = "[connections.github]\nprovider = \"github\"\n[connections.twin]\nissuer = \"http://127.0.0.1:8788\"";
        let mut config = config();
        config.merge(text).unwrap();
        let run = run(&config);
        let callbacks =
            json!(["http://127.0.0.1:8787/callback/demo", "http://127.0.0.1:8787/callback/twin"]);
        assert_eq!(run["upstream"]["provider"]["redirect_uris"], callbacks);
        let sign_in = json!(["http://127.0.0.1:8787/callback/login"]);
        assert_eq!(run["upstream"]["identity_provider"]["redirect_uris"], sign_in);
        assert_eq!(run["connections"], json!(["demo", "github", "twin"]));
        assert_eq!(run["clients"]["spa"]["redirect_uris"], json!(["http://localhost:8788/app"]));
    }

    #[test]
    fn the_connection_of_the_main_job_is_demo_whatever_sorts_before_it() {
        let mut config = config();
        config.merge("[connections.asana]\nprovider = \"asana\"\n[connections.zoom]").unwrap();
        let run = run(&config);
        assert_eq!(run["connection"], "demo");
        assert_eq!(run["connections"], json!(["demo", "asana", "zoom"]));
    }
}
