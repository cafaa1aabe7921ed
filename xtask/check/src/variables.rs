//! The variables of a deployment, with stand-ins for its secrets: those are not in the file.

use anyhow::{Context, Result, bail};
use edge_token_vault::config::Variables;
use edge_token_vault::provider::catalogue;
use serde_json::{Map, Value, json};

/// 32 bytes in base64url: a key's form, and nobody's key.
const NO_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Reads `[vars]`, or those of an environment: it inherits nothing.
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
        None => bail!("there is no [vars]; the file itself shows how to write one"),
    }
}

/// Adds a stand-in for each secret that the variables need.
pub(crate) fn with_secrets(vars: Map<String, Value>) -> Variables {
    let secrets = provider_secrets(&vars);
    let more = [
        ("OBJECT_NAME_KEY", json!(NO_KEY)),
        ("KEY_RING", json!({"write": "k1", "keys": {"k1": NO_KEY}})),
        ("PROVIDER_SECRETS", Value::Object(secrets)),
    ];
    vars.into_iter().chain(more.map(|(name, value)| (name.to_owned(), value))).collect()
}

/// A stand-in for each connection that authenticates with a secret, with a key where one can be used.
fn provider_secrets(vars: &Map<String, Value>) -> Map<String, Value> {
    let tables =
        vars.iter().filter(|(name, _)| *name == "CONNECTIONS" || name.starts_with("CONNECTIONS_"));
    let mut secrets = Map::new();
    for (_, table) in tables {
        let parsed = match table {
            Value::String(text) => serde_json::from_str(text).unwrap_or(Value::Null),
            other => other.clone(),
        };
        for (name, entry) in parsed.as_object().into_iter().flatten() {
            let mut secret = Map::new();
            if entry.get("client_authentication") != Some(&json!("none")) {
                secret.insert("client_secret".to_owned(), json!("stand-in"));
            }
            if signs(entry) {
                secret.insert("private_key".to_owned(), json!(no_private_key()));
            }
            secrets.insert(name.clone(), Value::Object(secret));
        }
    }
    secrets
}

/// Whether tokens of some kind can be made with a private key.
fn signs(entry: &Value) -> bool {
    let provider = entry.get("provider").and_then(Value::as_str).and_then(catalogue::entry);
    let facts: Option<Value> = provider.and_then(|facts| serde_json::from_str(facts).ok());
    [facts.as_ref(), Some(entry)].into_iter().flatten().any(|table| {
        let mut kinds = table.get("kinds").and_then(Value::as_object).into_iter().flatten();
        kinds.any(|(_, kind)| kind.get("minting").is_some())
    })
}

/// A PEM file in the form of an RSA key, and nobody's key.
fn no_private_key() -> String {
    format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", "A".repeat(1600))
}

#[cfg(test)]
mod tests {
    use edge_token_vault::config::Config;

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
    fn a_connection_that_can_sign_is_checked_with_a_key() {
        let vars = json!({
            "PUBLIC_URL": "https://vault.example.com",
            "CONNECTIONS": {"code": {"provider": "github_app", "client_id": "1"}},
        });
        let vars = vars.as_object().unwrap().clone();
        let config = Config::load(&with_secrets(vars)).unwrap();
        assert!(config.connections["code"].minting("installation").is_some());
    }

    #[test]
    fn an_environment_has_its_own_variables() {
        let error = Config::load(&with_secrets(read(FILE, Some("test")).unwrap())).unwrap_err();
        assert!(error.to_string().starts_with("PUBLIC_URL: must be https"), "{error}");
        assert!(read(FILE, Some("other")).unwrap_err().to_string().contains("[env.other]"));
    }
}
