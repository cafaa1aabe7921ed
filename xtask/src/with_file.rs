// SPDX-License-Identifier: Apache-2.0
//! Merges a `--with` file into the development configuration.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::deploy::is_provider_secret;
use crate::dev_config::{DevConfig, Table};

/// Clients that may use every connection that a file adds, unless the file sets their connections.
const OPEN_CLIENTS: [&str; 3] = ["backend", "spa", "app"];

impl DevConfig {
    /// Reads a file and merges its tables.
    pub(crate) fn merge_file(&mut self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        self.merge(&text).with_context(|| path.display().to_string())
    }

    /// Merges the tables of a file's text. Errors name tables and entries, never values.
    pub(crate) fn merge(&mut self, text: &str) -> Result<()> {
        let file: Table = toml::from_str(text).map_err(|error| match error.span() {
            // The error's own text quotes the line, which may contain a secret.
            Some(span) => anyhow!("line {}: {}", line_number(text, span.start), error.message()),
            None => anyhow!("{}", error.message()),
        })?;
        let added = Tables::sorted(file)?;
        for client in OPEN_CLIENTS {
            let own = added.clients.get(client).and_then(|client| client.get("connections"));
            if own.is_none() {
                self.open(client, added.connections.keys());
            }
        }
        deep_merge(&mut self.issuers, added.issuers);
        deep_merge(&mut self.connections, added.connections);
        deep_merge(&mut self.clients, added.clients);
        deep_merge(&mut self.provider_secrets, added.secrets);
        self.check_secrets()
    }

    /// Adds `connections` to those that `client` may use.
    fn open<'a>(&mut self, client: &str, connections: impl Iterator<Item = &'a String>) {
        let list = self.clients.get_mut(client).and_then(|client| client.get_mut("connections"));
        let Some(list) = list.and_then(Value::as_array_mut) else {
            return;
        };
        for connection in connections {
            if !list.iter().any(|listed| listed == connection) {
                list.push(json!(connection));
            }
        }
    }

    fn check_secrets(&self) -> Result<()> {
        for (name, secret) in &self.provider_secrets {
            if !is_provider_secret(secret) {
                bail!(
                    "secrets.{name} must be a string, or a table of client_secret and private_key"
                );
            }
            if !self.connections.contains_key(name) {
                bail!("secrets.{name}: there is no connection with this name");
            }
        }
        Ok(())
    }
}

/// The tables that a file may contain.
#[derive(Default)]
struct Tables {
    issuers: Table,
    connections: Table,
    clients: Table,
    secrets: Table,
}

impl Tables {
    fn sorted(file: Table) -> Result<Self> {
        let mut tables = Self::default();
        let mut unknown = Vec::new();
        for (name, value) in file {
            let place = match name.to_ascii_lowercase().as_str() {
                "issuers" => &mut tables.issuers,
                "connections" => &mut tables.connections,
                "clients" => &mut tables.clients,
                "secrets" => &mut tables.secrets,
                _ => {
                    unknown.push(name);
                    continue;
                }
            };
            let Value::Object(entries) = value else { bail!("{name} must be a table") };
            deep_merge(place, entries);
        }
        if !unknown.is_empty() {
            bail!(
                "unknown tables: {}; known are issuers, connections, clients and secrets",
                unknown.join(", ")
            );
        }
        Ok(tables)
    }
}

/// Merges `over` into `base`: tables entry by entry; other values replace those in `base`.
fn deep_merge(base: &mut Table, over: Table) {
    for (name, value) in over {
        match (base.get_mut(&name), value) {
            (Some(Value::Object(below)), Value::Object(above)) => deep_merge(below, above),
            (_, value) => {
                base.insert(name, value);
            }
        }
    }
}

fn line_number(text: &str, position: usize) -> usize {
    text.bytes().take(position).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev_files::Secrets;

    fn config() -> DevConfig {
        let secret = || "secret".to_owned();
        let secrets = Secrets {
            sealing_key: secret(),
            object_name_key: secret(),
            backend_client: secret(),
            provider_client: secret(),
        };
        DevConfig::new(8787, 8788, 8789, &secrets)
    }

    fn merged(text: &str) -> DevConfig {
        let mut config = config();
        config.merge(text).unwrap();
        config
    }

    fn refusal(text: &str) -> String {
        config().merge(text).unwrap_err().to_string()
    }

    #[test]
    fn tables_merge_and_arrays_and_scalars_replace() {
        let merged = merged(
            "[issuers.dev]\naudiences = [\"a\"]\ntyp = \"JWT\"\n[issuers.other]\nissuer = \"https://i\"",
        );
        let dev = &merged.issuers["dev"];
        assert_eq!(dev["audiences"], json!(["a"]));
        assert_eq!(dev["typ"], "JWT");
        assert_eq!(dev["issuer"], "http://127.0.0.1:8788");
        assert_eq!(merged.issuers["other"]["issuer"], "https://i");
    }

    #[test]
    fn tables_merge_below_the_first_level_too() {
        let merged = merged("[connections.demo.authorization_params]\nhd = \"example.org\"");
        let params = &merged.connections["demo"]["authorization_params"];
        assert_eq!(params, &json!({"prompt": "consent", "hd": "example.org"}));
    }

    #[test]
    fn an_added_connection_is_open_to_backend_and_spa() {
        let merged =
            merged("[CONNECTIONS.github]\nprovider = \"github\"\n[SECRETS]\ngithub = \"s\"");
        assert_eq!(merged.clients["backend"]["connections"], json!(["demo", "github"]));
        assert_eq!(merged.clients["spa"]["connections"], json!(["demo", "github"]));
        assert_eq!(merged.provider_secrets["github"], "s");
    }

    #[test]
    fn a_client_whose_connections_the_file_sets_keeps_those() {
        let merged = merged(
            "[connections.github]\nprovider = \"github\"\n[clients.backend]\nconnections = [\"github\"]",
        );
        assert_eq!(merged.clients["backend"]["connections"], json!(["github"]));
        assert_eq!(merged.clients["spa"]["connections"], json!(["demo", "github"]));
    }

    #[test]
    fn unknown_tables_are_refused_by_name() {
        let message = refusal("[conections.x]\na = 1\n[connections.y]\nb = 1\n[vars]\nc = 1");
        assert!(message.starts_with("unknown tables: conections, vars;"), "{message}");
    }

    #[test]
    fn a_secret_needs_its_connection_and_must_be_a_string() {
        assert!(
            refusal("[secrets]\ngithub = \"s\"").contains("secrets.github: there is no connection")
        );
        for bad in ["demo = 1", "demo = { client_secret = 1 }"] {
            let text = format!("[secrets]\n{bad}");
            assert!(refusal(&text).contains("secrets.demo must be a string"), "{bad}");
        }
    }

    #[test]
    fn a_syntax_error_names_the_line_and_shows_nothing_of_it() {
        let message = refusal("[secrets]\ndemo = \"hidden-value");
        assert!(message.starts_with("line 2: "), "{message}");
        assert!(!message.contains("hidden-value"), "{message}");
    }
}
