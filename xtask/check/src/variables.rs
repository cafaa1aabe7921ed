// SPDX-License-Identifier: Apache-2.0
//! Reads the variables of a deployment, and adds placeholders for its secrets, which are not in the file.

use anyhow::{Context, Result, bail};
use edge_token_vault::config::{Config, Variables};
use serde_json::{Map, Value, json};

/// A placeholder with the form of a key: 32 zero bytes in base64url.
const NO_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Reads `[vars]`, or `[env.NAME.vars]` of an environment, which inherits no variables. `Err` if the text is
/// not TOML or has no such table.
pub(crate) fn read(wrangler_toml: &str, environment: Option<&str>) -> Result<Map<String, Value>> {
    let file: Value = toml::from_str(wrangler_toml)?;
    let place = match environment {
        None => file.get("vars"),
        Some(name) => {
            let environment = file.get("env").and_then(|all| all.get(name));
            environment.with_context(|| format!("there is no [env.{name}]"))?.get("vars")
        }
    };
    match place {
        Some(Value::Object(vars)) => Ok(vars.clone()),
        Some(_) => bail!("vars must be a table"),
        None => bail!("there is no [vars]; the comments in wrangler.toml show how to write it"),
    }
}

/// Adds a placeholder for each secret that the variables need.
pub(crate) fn with_secrets(vars: Map<String, Value>) -> Variables {
    let names = connections(&vars);
    let secrets: Map<String, Value> =
        names.into_iter().map(|name| (name, json!("stand-in"))).collect();
    let placeholders = [
        ("OBJECT_NAME_KEY", json!(NO_KEY)),
        ("KEY_RING", json!({"write": "k1", "keys": {"k1": NO_KEY}})),
        ("PROVIDER_SECRETS", Value::Object(secrets)),
    ];
    vars.into_iter().chain(placeholders.map(|(name, value)| (name.to_owned(), value))).collect()
}

/// The first fault of variables that are complete, with their secrets; `null` if there is none. It contains no
/// secret.
pub(crate) fn fault(vars: Map<String, Value>) -> Value {
    match Config::load(&vars.into_iter().collect()) {
        Ok(_) => Value::Null,
        Err(error) => json!({"variable": error.variable, "field": error.field, "fix": error.fix}),
    }
}

/// Names of the connections that need an entry in `PROVIDER_SECRETS`: all but those whose
/// `client_authentication` is `none`.
fn connections(vars: &Map<String, Value>) -> Vec<String> {
    let tables =
        vars.iter().filter(|(name, _)| *name == "CONNECTIONS" || name.starts_with("CONNECTIONS_"));
    let mut names = Vec::new();
    for (_, table) in tables {
        let parsed = match table {
            Value::String(text) => serde_json::from_str(text).unwrap_or(Value::Null),
            other => other.clone(),
        };
        for (name, entry) in parsed.as_object().into_iter().flatten() {
            if entry.get("client_authentication") != Some(&json!("none")) {
                names.push(name.clone());
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [vars]
        PUBLIC_URL = "https://vault.example.com"
        [vars.CONNECTIONS.a]
        kind = "oidc"
        issuer = "https://a.example.com"
        client_id = "1"
        [vars.CONNECTIONS_2.b]
        kind = "oidc"
        issuer = "https://b.example.com"
        client_id = "2"
        client_authentication = "none"
        [env.test.vars]
        PUBLIC_URL = "http://vault.example.com"
    "#;

    #[test]
    fn a_configuration_without_its_secrets_is_checked_as_if_they_were_there() {
        let config = Config::load(&with_secrets(read(FILE, None).unwrap())).unwrap();
        assert_eq!(config.connections.len(), 2);
    }

    #[test]
    fn a_fault_of_complete_variables_names_the_variable_and_the_field() {
        let mut vars = read(FILE, None).unwrap();
        vars.insert("OBJECT_NAME_KEY".into(), json!(NO_KEY));
        vars.insert("KEY_RING".into(), json!({"write": "k1", "keys": {"k1": NO_KEY}}));
        let missing = fault(vars.clone());
        assert_eq!(missing["variable"], "CONNECTIONS", "{missing}");
        assert!(missing["field"].as_str().unwrap().starts_with('a'), "{missing}");
        vars.insert("PROVIDER_SECRETS".into(), json!({"a": "s"}));
        assert_eq!(fault(vars), Value::Null);
    }

    #[test]
    fn an_environment_has_its_own_variables() {
        let error = Config::load(&with_secrets(read(FILE, Some("test")).unwrap())).unwrap_err();
        assert!(error.to_string().starts_with("PUBLIC_URL: must be https"), "{error}");
        assert!(read(FILE, Some("other")).unwrap_err().to_string().contains("[env.other]"));
    }
}
