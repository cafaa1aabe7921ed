// SPDX-License-Identifier: Apache-2.0
//! Merges a `--with` file into the development configuration.

use std::fmt;
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

use crate::dev_config::{DevConfig, Table};

/// Clients that may use every connection that a file adds, unless the file sets their connections.
const OPEN_CLIENTS: [&str; 4] = ["backend", "web", "spa", "app"];

/// The names of the variables, and of the tables of a file that become part of them.
const NAMES: [(&str, &str); 6] = [
    ("ISSUERS", "issuers"),
    ("CONNECTIONS", "connections"),
    ("CLIENTS", "clients"),
    ("APIS", "apis"),
    ("SIGN_IN", "sign_in"),
    ("PROVIDER_SECRETS", "secrets"),
];

/// A fault of the configuration, as `check --json` prints it.
#[derive(Deserialize)]
pub(crate) struct Fault {
    variable: String,
    field: String,
    fix: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}: {}", self.variable, self.field, self.fix)
    }
}

impl Fault {
    /// The fault in the words of the file that was merged into the configuration: the file, the line, the
    /// table and the field.
    pub(crate) fn in_words_of(&self, file: &Path, text: &str) -> String {
        let Self { variable, field, fix } = self;
        let mut fix = fix.clone();
        for (variable, table) in NAMES {
            fix = fix.replace(variable, &format!("[{table}]"));
        }
        let name = NAMES.iter().find(|(name, _)| name == variable).map(|(_, table)| *table);
        let Some(table) = name else { return format!("{}: {variable}: {fix}", file.display()) };
        let place = Place::find(text, table, field);
        let line =
            place.position.map_or_else(String::new, |at| format!(":{}", line_number(text, at)));
        let field = if place.rest.is_empty() { place.rest } else { format!(" {}", place.rest) };
        format!("{}{line}: [{}]{field}: {fix}", file.display(), place.table)
    }
}

/// Where a file has a field, or else the innermost table that would have it.
struct Place {
    position: Option<usize>,
    table: String,
    rest: String,
}

impl Place {
    /// `field` is the path of a field in a table, such as `github.client_id`.
    fn find(text: &str, table: &str, field: &str) -> Self {
        // A secret is a value of its table; the other tables contain tables of their own.
        let (entry, rest) = field.split_once('.').unwrap_or((field, ""));
        let flat = ["secrets", "sign_in"].contains(&table) || field.is_empty();
        let (shown, rest) = if flat {
            (table.to_owned(), field.to_owned())
        } else {
            (format!("{table}.{entry}"), rest.to_owned())
        };
        let document = DeTable::parse(text).ok();
        let position = document.and_then(|document| {
            let key = |name: &str| name.to_ascii_lowercase() == table;
            let found = document.get_ref().iter().find(|(name, _)| key(name.get_ref()));
            let (mut at, mut value) =
                found.map(|(name, value)| (name.span().start, value.get_ref()))?;
            for part in field.split('.').filter(|part| !part.is_empty()) {
                let DeValue::Table(inner) = value else { break };
                let part = part.split('[').next().unwrap_or(part);
                let found = inner.iter().find(|(name, _)| name.get_ref() == part);
                let Some((name, deeper)) = found else { break };
                (at, value) = (name.span().start, deeper.get_ref());
            }
            Some(at)
        });
        Self { position, table: shown, rest }
    }
}

impl DevConfig {
    /// Reads a file and merges its tables; returns its text.
    pub(crate) fn merge_file(&mut self, path: &Path) -> Result<String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| anyhow!("--with {}: cannot be read: {error}", path.display()))?;
        self.merge(&text).map_err(|error| anyhow!("{}{error}", path.display()))?;
        Ok(text)
    }

    /// Merges the tables of a file's text. Errors begin with `:`, the line and another `:`; they name tables
    /// and entries, never values.
    pub(crate) fn merge(&mut self, text: &str) -> Result<()> {
        let file: Table = toml::from_str(text).map_err(|error| match error.span() {
            // The error's own text quotes the line, which may contain a secret.
            Some(span) => anyhow!(":{}: {}", line_number(text, span.start), error.message()),
            None => anyhow!(": {}", error.message()),
        })?;
        let added = Tables::sorted(file, text)?;
        for client in OPEN_CLIENTS {
            let own = added.clients.get(client).and_then(|client| client.get("connections"));
            if own.is_none() {
                self.open(client, added.connections.keys());
            }
        }
        deep_merge(&mut self.issuers, added.issuers);
        deep_merge(&mut self.connections, added.connections);
        deep_merge(&mut self.clients, added.clients);
        deep_merge(&mut self.apis, added.apis);
        deep_merge(&mut self.sign_in, added.sign_in);
        deep_merge(&mut self.provider_secrets, added.secrets);
        Ok(())
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
}

/// The tables that a file may contain.
#[derive(Default)]
struct Tables {
    issuers: Table,
    connections: Table,
    clients: Table,
    apis: Table,
    sign_in: Table,
    secrets: Table,
}

impl Tables {
    fn sorted(file: Table, text: &str) -> Result<Self> {
        let mut tables = Self::default();
        for (name, value) in file {
            let place = match name.to_ascii_lowercase().as_str() {
                "issuers" => &mut tables.issuers,
                "connections" => &mut tables.connections,
                "clients" => &mut tables.clients,
                "apis" => &mut tables.apis,
                "sign_in" => &mut tables.sign_in,
                "secrets" => &mut tables.secrets,
                _ => bail!(
                    "{}: [{name}] is unknown; known are {}",
                    line_of_table(text, &name),
                    NAMES.map(|(_, table)| format!("[{table}]")).join(", ")
                ),
            };
            let Value::Object(entries) = value else {
                bail!("{}: {name} must be a table", line_of_table(text, &name))
            };
            deep_merge(place, entries);
        }
        Ok(tables)
    }
}

/// `:` and the line at which the text has this table or value.
fn line_of_table(text: &str, name: &str) -> String {
    let document = DeTable::parse(text).ok();
    let found = document.and_then(|document| {
        let keys = document.get_ref().keys();
        keys.filter(|key| key.get_ref() == name).map(|key| key.span().start).next()
    });
    found.map_or_else(String::new, |at| format!(":{}", line_number(text, at)))
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
    use crate::dev_config::Setting;
    use crate::dev_files::Secrets;

    fn config() -> DevConfig {
        let (port, provider_port, app_port) = (8787, 8788, 8789);
        let (https, foreign_issuer) = (false, true);
        let setting = Setting { port, provider_port, app_port, https, foreign_issuer };
        DevConfig::new(setting, &Secrets::for_tests())
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
        assert_eq!(dev["issuer"], "http://localhost:8788");
        assert_eq!(merged.issuers["other"]["issuer"], "https://i");
    }

    #[test]
    fn tables_merge_below_the_first_level_too() {
        let merged = merged("[connections.demo.authorization_params]\nhd = \"example.org\"");
        let params = &merged.connections["demo"]["authorization_params"];
        assert_eq!(params, &json!({"prompt": "login consent", "hd": "example.org"}));
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
    fn tables_that_are_unknown_or_no_tables_are_refused_with_their_line() {
        let message = refusal("[connections.y]\nb = 1\n[conections.x]\na = 1");
        assert!(
            message.starts_with(":3: [conections] is unknown; known are [issuers]"),
            "{message}"
        );
        assert_eq!(refusal("\nsecrets = 1"), ":2: secrets must be a table");
    }

    #[test]
    fn a_syntax_error_names_the_line_and_shows_nothing_of_it() {
        let message = refusal("[secrets]\ndemo = \"hidden-value");
        assert!(message.starts_with(":2: "), "{message}");
        assert!(!message.contains("hidden-value"), "{message}");
    }

    #[test]
    fn the_vaults_apis_and_sign_in_can_be_set() {
        let merged = merged("[apis.orders]\nidentifier = \"a\"\n[sign_in]\ntitle = \"T\"");
        assert_eq!(merged.apis["orders"]["identifier"], "a");
        assert_eq!(
            merged.sign_in,
            *json!({"connections": ["login"], "title": "T"}).as_object().unwrap()
        );
    }

    #[test]
    fn a_fault_is_told_in_the_words_of_the_file() {
        let text = "# mine\n[Connections.github]\nprovider = \"github\"\nscopes = [1]\n\n[secrets]\nbox = 1\n";
        let cases = [
            ("CONNECTIONS", "github.scopes[0]", "x", "m.toml:4: [connections.github] scopes[0]: x"),
            (
                "CONNECTIONS",
                "github.client_authentication",
                "needs it in PROVIDER_SECRETS",
                "m.toml:2: [connections.github] client_authentication: needs it in [secrets]",
            ),
            ("PROVIDER_SECRETS", "box", "x", "m.toml:7: [secrets] box: x"),
            ("CLIENTS", "backend.grants", "x", "m.toml: [clients.backend] grants: x"),
            ("SIGN_IN", "title", "x", "m.toml: [sign_in] title: x"),
            ("KEY_RING", "", "x", "m.toml: KEY_RING: x"),
        ];
        for (variable, field, fix, expected) in cases {
            let (variable, field, fix) = (variable.into(), field.into(), fix.into());
            let fault = Fault { variable, field, fix };
            assert_eq!(fault.in_words_of(Path::new("m.toml"), text), expected);
        }
    }
}
