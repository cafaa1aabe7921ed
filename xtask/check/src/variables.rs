// SPDX-License-Identifier: Apache-2.0
//! Reads the variables of a deployment, and adds placeholders for its secrets, which are not in the file.

use anyhow::{Context, Result, bail};
use edge_token_vault::config::{Config, ConfigError, SECRETS, TABLES, TEXTS, Variables};
use serde_json::{Map, Value, json};

use crate::limits::too_large;
use crate::misplaced;
use crate::similar::{advice, did_you_mean};

/// A placeholder with the form of a key: 32 zero bytes in base64url.
const NO_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Reads `[vars]`, or `[env.NAME.vars]` of an environment, which inherits no variables. `Err` if the text is
/// not TOML, has no such table, or has tables of the vault outside of it.
pub(crate) fn read(wrangler_toml: &str, environment: Option<&str>) -> Result<Map<String, Value>> {
    if wrangler_toml.trim_start().starts_with('{') {
        bail!("is JSON, but this command reads TOML: put the configuration into a wrangler.toml");
    }
    let file: Value = toml::from_str(wrangler_toml)?;
    let (place, around) = match environment {
        None => ("vars".to_owned(), Some(&file)),
        Some(name) => {
            let all = file.get("env").and_then(Value::as_object);
            let known: Vec<&str> =
                all.into_iter().flat_map(Map::keys).map(String::as_str).collect();
            let found = all.and_then(|all| all.get(name));
            found.with_context(|| no_environment(name, &known))?;
            (format!("env.{name}.vars"), found)
        }
    };
    let outside = file.as_object().into_iter().chain(around.and_then(Value::as_object));
    if let Some(name) = outside.flat_map(Map::keys).find(|name| is_known(name)) {
        bail!(
            "{name} is outside of [{place}], where the vault does not see it: write [{place}.{name}]"
        );
    }
    if let Some(wrong) = around.and_then(misplaced::mistaken_for_vars) {
        let wrong = place.replace("vars", wrong);
        bail!(
            "[{wrong}] has the vault's variables, but the vault sees [{place}] alone: write [{place}]"
        );
    }
    match around.and_then(|around| around.get("vars")) {
        Some(Value::Object(vars)) => Ok(vars.clone()),
        Some(_) => bail!("{place} must be a table"),
        None if environment.is_some() => {
            bail!(
                "there is no [{place}]: an environment does not inherit [vars], so repeat it there"
            )
        }
        None => bail!("there is no [vars]; the comments in wrangler.toml show how to write it"),
    }
}

fn no_environment(name: &str, known: &[&str]) -> String {
    let advice = match did_you_mean(name, known.iter().copied()) {
        Some(question) => question,
        None if known.is_empty() => "the file has no environments; leave out --env".to_owned(),
        None => format!("the environments are {}", known.join(", ")),
    };
    format!("there is no [env.{name}]; {advice}")
}

/// The name of the table to which a variable belongs: `CONNECTIONS` for `CONNECTIONS_2`.
pub(crate) fn table_of(variable: &str) -> Option<&'static str> {
    TABLES.into_iter().find(|table| {
        let rest = variable.strip_prefix(table);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    })
}

fn is_secret(variable: &str) -> bool {
    SECRETS.contains(&variable) || variable.starts_with("PROVIDER_SECRETS_")
}

pub(crate) fn is_known(variable: &str) -> bool {
    TEXTS.contains(&variable) || table_of(variable).is_some() || is_secret(variable)
}

/// What is wrong with the variables although the Worker would start with them, or because Cloudflare would not take
/// them: one line for each fault.
pub(crate) fn faults(vars: &Map<String, Value>) -> Vec<String> {
    let mut faults: Vec<String> =
        vars.iter().filter_map(|(name, value)| fault_of(name, value)).collect();
    let is_empty = ["ISSUERS", "SIGN_IN", "CONNECTIONS", "CLIENTS"]
        .into_iter()
        .all(|table| entries(vars, table).is_empty());
    if is_empty && faults.is_empty() {
        faults.push(
            "the configuration is empty: the vault needs ISSUERS or SIGN_IN (whose users), CONNECTIONS \
             (which providers) and CLIENTS (who may ask); the comments in wrangler.toml show all of them"
                .to_owned(),
        );
    }
    faults
}

fn fault_of(name: &str, value: &Value) -> Option<String> {
    if is_secret(name) {
        return Some(format!(
            "{name}: is a secret, and everybody who may read this file or the Worker's settings can read \
             it here; remove it, and let `cargo xtask deploy` set it. Replace the value if others saw it"
        ));
    }
    if let Some(place) = misplaced::place(name, value) {
        return Some(format!("{name}: {place}"));
    }
    // The parser says of it that it is reserved.
    if name != "JURISDICTION" && !is_known(name) {
        let known = TEXTS.into_iter().chain(TABLES);
        let advice = did_you_mean(name, known.clone()).unwrap_or_else(|| {
            format!("the variables are {}", known.collect::<Vec<_>>().join(", "))
        });
        return Some(format!("{name}: unknown variable, which the vault would ignore; {advice}"));
    }
    too_large(name, value).map(|fault| format!("{name}: {fault}"))
}

/// The names of the entries of a table, from all variables that it is read from.
pub(crate) fn entries(vars: &Map<String, Value>, table: &str) -> Vec<String> {
    let parts = vars.iter().filter(|(name, _)| table_of(name) == Some(table));
    parts.flat_map(|(_, part)| members(part)).map(|(name, _)| name).collect()
}

/// The entries of a variable that is a table or a string that holds one.
fn members(part: &Value) -> Map<String, Value> {
    match part {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        Value::Object(members) => members.clone(),
        _ => Map::new(),
    }
}

/// Adds a placeholder for each secret that the variables need.
pub(crate) fn with_secrets(vars: Map<String, Value>) -> Variables {
    let names = connections(&vars);
    let secrets = names.into_iter().map(|name| (name, json!("stand-in"))).collect();
    let placeholders = placeholders(secrets);
    vars.into_iter().chain(placeholders.map(|(name, value)| (name.to_owned(), value))).collect()
}

fn placeholders(secrets: Map<String, Value>) -> [(&'static str, Value); 3] {
    [
        ("OBJECT_NAME_KEY", json!(NO_KEY)),
        ("KEY_RING", json!({"write": "k1", "keys": {"k1": NO_KEY}})),
        ("PROVIDER_SECRETS", Value::Object(secrets)),
    ]
}

/// The first fault of variables that are complete, with their secrets; `null` if there is none. It contains no
/// secret.
pub(crate) fn fault(vars: &Map<String, Value>) -> Value {
    match Config::load(&vars.clone().into_iter().collect()) {
        Ok(_) => Value::Null,
        Err(error) => {
            json!({"variable": error.variable, "field": error.field, "fix": fix(&error, vars)})
        }
    }
}

/// How to fix a fault; for a name that is not known also which one was meant.
pub(crate) fn fix(error: &ConfigError, vars: &Map<String, Value>) -> String {
    if let Some(place) = misplaced::in_table(error, vars) {
        return place;
    }
    let advice = match &error.unknown {
        Some(unknown) => advice(unknown, &error.variable, vars),
        None => no_entry(error, vars).unwrap_or_default(),
    };
    let between = if advice.is_empty() { "" } else { "; " };
    format!("{}{between}{advice}", error.fix)
}

/// What to say of an entry that is no table.
fn no_entry(error: &ConfigError, vars: &Map<String, Value>) -> Option<String> {
    let is_entry = error.fix == "must be a table" && !error.field.contains('.');
    let entry = vars.get(&error.variable)?.get(&error.field).filter(|_| is_entry)?;
    Some(if entry.is_array() {
        "it is a list: write its name in single brackets, not in double ones".to_owned()
    } else {
        format!("each entry has a name of its own, such as {}.main", error.variable)
    })
}

/// Names of the connections that need an entry in `PROVIDER_SECRETS`: all but those whose
/// `client_authentication` is `none`.
fn connections(vars: &Map<String, Value>) -> Vec<String> {
    let parts = vars.iter().filter(|(name, _)| table_of(name) == Some("CONNECTIONS"));
    let entries = parts.flat_map(|(_, part)| members(part));
    let secret =
        entries.filter(|(_, entry)| entry.get("client_authentication") != Some(&json!("none")));
    secret.map(|(name, _)| name).collect()
}

/// The configuration in a file that is valid, with placeholders for its secrets.
#[cfg(test)]
pub(crate) fn loaded(wrangler_toml: &str) -> Config {
    Config::load(&with_secrets(read(wrangler_toml, None).unwrap())).unwrap()
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
        let missing = fault(&vars);
        assert_eq!(missing["variable"], "CONNECTIONS", "{missing}");
        assert!(missing["field"].as_str().unwrap().starts_with('a'), "{missing}");
        vars.insert("PROVIDER_SECRETS".into(), json!({"a": "s"}));
        assert_eq!(fault(&vars), Value::Null);
    }

    #[test]
    fn an_environment_has_its_own_variables() {
        let error = Config::load(&with_secrets(read(FILE, Some("test")).unwrap())).unwrap_err();
        assert!(error.to_string().starts_with("PUBLIC_URL: must be https"), "{error}");
    }

    #[test]
    fn a_file_without_the_variables_is_refused_with_what_to_write() {
        for (file, environment, expected) in [
            (FILE, Some("tset"), "there is no [env.tset]; did you mean `test`?"),
            (FILE, Some("production"), "there is no [env.production]; the environments are test"),
            (
                "[vars]",
                Some("a"),
                "there is no [env.a]; the file has no environments; leave out --env",
            ),
            (
                "[vars]\n[env.a]",
                Some("a"),
                "there is no [env.a.vars]: an environment does not inherit [vars]",
            ),
            ("name = \"x\"", None, "there is no [vars]; the comments in wrangler.toml"),
            ("\n{\"vars\": {}}", None, "is JSON, but this command reads TOML"),
            ("vars = 1", None, "vars must be a table"),
            (
                "[vars]\n[CLIENTS.spa]",
                None,
                "CLIENTS is outside of [vars], where the vault does not see it: write [vars.CLIENTS]",
            ),
            ("PUBLIC_URL = \"https://a.example\"\n[vars]", None, "write [vars.PUBLIC_URL]"),
            (
                "[var]\nPUBLIC_URL = \"https://a.example\"\n[vars.CLIENTS.spa]",
                None,
                "[var] has the vault's variables, but the vault sees [vars] alone: write [vars]",
            ),
            ("[Vars.CLIENTS_2.spa]", None, "[Vars] has the vault's variables"),
            (
                "[vars]\n[env.a.var.CLIENTS.spa]",
                Some("a"),
                "[env.a.var] has the vault's variables, but the vault sees [env.a.vars] alone",
            ),
            (
                "[vars]\n[env.a.vars]\n[env.a.CLIENTS.spa]",
                Some("a"),
                "CLIENTS is outside of [env.a.vars]",
            ),
        ] {
            let refused = read(file, environment).unwrap_err().to_string();
            assert!(refused.contains(expected), "{expected}: {refused}");
        }
    }

    #[test]
    fn variables_that_the_vault_would_ignore_or_cloudflare_would_refuse_are_faults() {
        let large = json!({"a": "x".repeat(5_000)});
        for (name, value, expected) in [
            (
                "CLIENT",
                json!({"x": {}}),
                "CLIENT: unknown variable, which the vault would ignore; did you mean `CLIENTS`?",
            ),
            ("CONNECTION_2", json!({}), "did you mean `CONNECTIONS`?"),
            ("PUBLIC_URI", json!("https://a.example"), "did you mean `PUBLIC_URL`?"),
            (
                "DEBUG",
                json!("1"),
                "the variables are PUBLIC_URL, LOCATION, ISSUERS, CONNECTIONS, CLIENTS, SIGN_IN, APIS",
            ),
            ("KEY_RING", json!("secret"), "KEY_RING: is a secret"),
            ("PROVIDER_SECRETS_2", json!({"a": "secret"}), "PROVIDER_SECRETS_2: is a secret"),
            ("CONNECTIONS", large.clone(), "CONNECTIONS: has 5008 bytes as JSON"),
            ("CLIENTS_2", large, "CLIENTS_2: has 5008 bytes as JSON"),
        ] {
            let vars = Map::from_iter([(name.to_owned(), value)]);
            let [fault] = &faults(&vars)[..] else { panic!("{name}: {:?}", faults(&vars)) };
            assert!(fault.contains(expected), "{expected}: {fault}");
            assert!(!fault.contains("\"secret\""), "{fault}");
        }
    }

    #[test]
    fn a_configuration_is_empty_if_it_says_neither_whose_users_nor_which_providers_nor_who_may_ask()
    {
        let vars = |text: &str| {
            read(&format!("[vars]\nPUBLIC_URL = \"https://a.example\"\n{text}"), None).unwrap()
        };
        for empty in ["", "CLIENTS = \"{}\"", "[vars.APIS.a]\nidentifier = \"a\""] {
            assert!(faults(&vars(empty))[0].starts_with("the configuration is empty"), "{empty}");
        }
        for some in
            ["[vars.CLIENTS.a]", "CONNECTIONS_2 = '{\"a\":{}}'", "[vars.SIGN_IN]\nconnections = []"]
        {
            assert_eq!(faults(&vars(some)), Vec::<String>::new(), "{some}");
        }
    }

    #[test]
    fn every_variable_that_counts_as_known_is_read_by_the_worker() {
        let good = placeholders(Map::new())
            .into_iter()
            .chain([("PUBLIC_URL", json!("https://a.example"))]);
        let load = |more: Option<(&'static str, Value)>| {
            let all = good.clone().chain(more).map(|(name, value)| (name.to_owned(), value));
            Config::load(&all.collect())
        };
        assert!(load(None).is_ok());
        for name in TEXTS.into_iter().chain(TABLES).chain(SECRETS) {
            assert_eq!(load(Some((name, json!(true)))).unwrap_err().variable, name);
        }
    }

    #[test]
    fn an_entry_that_is_no_table_is_refused_with_how_to_write_it() {
        for (more, expected) in [
            (
                "[vars.ISSUERS]\nissuer = \"https://a.example\"",
                "ISSUERS.issuer: must be a table; each entry has a name of its own, such as ISSUERS.main",
            ),
            (
                "[[vars.CLIENTS.spa]]\nauthentication = \"none\"",
                "CLIENTS.spa: must be a table; it is a list: write its name in single brackets",
            ),
            (
                "[vars.CLIENTS.spa]\nauthentication = \"none\"\nrefresh_tokens = 1",
                "CLIENTS.spa.refresh_tokens: must be a table",
            ),
        ] {
            let file = format!("[vars]\nPUBLIC_URL = \"https://a.example\"\n{more}");
            let vars = read(&file, None).unwrap();
            let error = Config::load(&with_secrets(vars.clone())).unwrap_err();
            let said = ConfigError { fix: fix(&error, &vars), ..error }.to_string();
            assert!(said.contains(expected), "{expected}\n{said}");
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_one_that_was_meant() {
        for (more, expected) in [
            (
                "[vars.CLIENTS.x]\nauthentication = \"none\"\norigin = []",
                "CLIENTS.x.origin: unknown field `origin`: remove it, or correct its name; did you mean `origins`?",
            ),
            (
                "[vars.CLIENTS.x]\nauthentication = \"none\"\nconnections = [\"aa\"]",
                "CLIENTS.x.connections[0]: `aa` is not among CONNECTIONS; its entries are a, b",
            ),
            (
                "[vars.SIGN_IN]\nconnections = [\"calendar\"]",
                "`calendar` is not among CONNECTIONS; its entries are a, b",
            ),
            (
                "[vars.CONNECTIONS.c]\nprovider = \"githb\"",
                "CONNECTIONS.c.provider: is not in the catalogue: `cargo xtask providers` lists it. Describe another provider with `kind = \"oauth2\"` or `kind = \"oidc\"`; did you mean `github`?",
            ),
            (
                "[vars.CONNECTIONS.c]\nprovider = \"github\"\nclient_id = \"1\"\nscope = []",
                "unknown field `scope`: remove it, or correct its name; did you mean `scopes`?",
            ),
            (
                "[vars.CONNECTIONS.c]\nprovider = \"github\"\nclient_id = \"1\"\n[vars.CONNECTIONS.c.identity]\nmail = \"m\"",
                "CONNECTIONS.c.identity.mail: unknown field `mail`: remove it, or correct its name; did you mean `email`?",
            ),
        ] {
            let vars =
                read(&FILE.replace("[env.test.vars]", &format!("{more}\n[env.test.vars]")), None)
                    .unwrap();
            let error = Config::load(&with_secrets(vars.clone())).unwrap_err();
            let said = format!("{}.{}: {}", error.variable, error.field, fix(&error, &vars));
            assert!(said.contains(expected), "{expected}\n{said}");
        }
    }
}
