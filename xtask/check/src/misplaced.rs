// SPDX-License-Identifier: Apache-2.0
//! Finds what stands in the wrong table. In TOML a key belongs to the last `[table]` above it, so that a setting
//! of wrangler at the end of the file becomes part of a table of the vault.

use edge_token_vault::config::ConfigError;
use serde_json::{Map, Value};

use crate::variables::is_known;

/// Whether a value looks like that of a setting.
type Fits = fn(&Value) -> bool;

/// The settings of wrangler that are neither tables nor names of the vault's variables, and how their value looks.
const WRANGLER: [(&str, Fits); 12] = [
    ("account_id", Value::is_string),
    ("compatibility_date", Value::is_string),
    ("compatibility_flags", Value::is_array),
    ("keep_vars", Value::is_boolean),
    ("logpush", Value::is_boolean),
    ("main", Value::is_string),
    ("minify", Value::is_boolean),
    ("name", Value::is_string),
    ("preview_urls", Value::is_boolean),
    ("route", |value| value.is_string() || value.get("pattern").is_some()),
    ("routes", Value::is_array),
    ("workers_dev", Value::is_boolean),
];

/// Where a key belongs that is a setting of wrangler, and not of the table in which it stands.
pub(crate) fn place(key: &str, value: &Value) -> Option<String> {
    let is_setting = WRANGLER.iter().any(|(name, fits)| *name == key && fits(value));
    is_setting.then(|| {
        format!("`{key}` belongs to the top of the file, above the first [table]: it is a setting of wrangler")
    })
}

/// The same for the key that a fault of a table is about.
pub(crate) fn in_table(error: &ConfigError, vars: &Map<String, Value>) -> Option<String> {
    let (before, key) = error.field.rsplit_once('.').unwrap_or(("", &error.field));
    let table = before.split('.').filter(|part| !part.is_empty());
    let table = table.fold(vars.get(&error.variable), |table, part| table?.get(part));
    let key = key.split('[').next().unwrap_or(key);
    place(key, table?.get(key)?)
}

/// The name of a table that has the vault's variables instead of `vars`, such as `var`.
pub(crate) fn mistaken_for_vars(around: &Value) -> Option<&str> {
    // Wrangler replaces names of the code with what `define` has.
    let others =
        around.as_object()?.iter().filter(|(name, _)| *name != "vars" && *name != "define");
    let mut wrong = others.filter(|(_, table)| {
        table.as_object().is_some_and(|table| table.keys().any(|name| is_known(name)))
    });
    wrong.next().map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use edge_token_vault::config::Config;

    use super::*;
    use crate::variables::{faults, fix, read, with_secrets};

    /// What the check says of a file with these lines in `[vars]`.
    fn said(lines: &str) -> String {
        let file = format!("[vars]\nPUBLIC_URL = \"https://vault.example.com\"\n{lines}");
        let vars = read(&file, None).unwrap();
        if let Some(fault) = faults(&vars).first() {
            return fault.clone();
        }
        let error = Config::load(&with_secrets(vars.clone())).unwrap_err();
        let fix = fix(&error, &vars);
        ConfigError { fix, ..error }.to_string()
    }

    #[test]
    fn a_setting_of_wrangler_in_a_table_of_the_vault_belongs_to_the_top_of_the_file() {
        const CLIENT: &str = "[vars.CLIENTS.spa]\nauthentication = \"none\"\n";
        const CONNECTION: &str = "[vars.CONNECTIONS.c]\nprovider = \"github\"\nclient_id = \"1\"\n";
        for (table, line, place) in [
            ("", "routes = [\"a.example/*\"]", "routes"),
            ("", "name = \"vault\"", "name"),
            (
                CLIENT,
                "routes = [{ pattern = \"a.example\", custom_domain = true }]",
                "CLIENTS.spa.routes",
            ),
            (CLIENT, "route = \"a.example/*\"", "CLIENTS.spa.route"),
            (CLIENT, "main = \"build/entry.js\"", "CLIENTS.spa.main"),
            (CLIENT, "compatibility_date = \"2026-10-01\"", "CLIENTS.spa.compatibility_date"),
            (CLIENT, "workers_dev = false", "CLIENTS.spa.workers_dev"),
            (CLIENT, "[vars.CLIENTS.spa.apis]\nroutes = [\"a\"]", "CLIENTS.spa.apis.routes"),
            ("[vars.CLIENTS]\n", "name = \"vault\"", "CLIENTS.name"),
            ("[vars.ISSUERS]\n", "main = \"build/entry.js\"", "ISSUERS.main"),
            (CONNECTION, "name = \"vault\"", "CONNECTIONS.c.name"),
            (
                CONNECTION,
                "[vars.CONNECTIONS.c.authorization_params]\nroutes = [\"a\"]",
                "CONNECTIONS.c.authorization_params.routes",
            ),
        ] {
            let key = place.rsplit('.').next().unwrap();
            let expected = format!(
                "{place}: `{key}` belongs to the top of the file, above the first [table]: it is a setting of wrangler"
            );
            assert_eq!(said(&format!("{table}{line}\n")), expected, "{table}{line}");
        }
    }

    #[test]
    fn a_name_of_the_vault_that_wrangler_has_too_keeps_its_own_faults() {
        for (lines, expected) in [
            ("[vars.CLIENTS.spa]\nauthentication = \"none\"\nname = 1", "CLIENTS.spa.name: must"),
            (
                "[vars.ISSUERS.main]\nissuer = \"http://a.example\"",
                "ISSUERS.main.issuer: must be https",
            ),
            (
                "[[vars.CLIENTS.main]]\nauthentication = \"none\"",
                "CLIENTS.main: must be a table; it is a list",
            ),
        ] {
            let said = said(lines);
            assert!(said.starts_with(expected), "{expected}: {said}");
        }
    }
}
