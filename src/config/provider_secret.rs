//! `PROVIDER_SECRETS`: what proves us at our providers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{ConfigError, Fault, Variables};
use crate::jwt::private_key::PrivateKey;
use crate::secret::Secret;

/// What proves us at one provider.
#[derive(Debug, Clone, Default)]
pub(super) struct ProviderSecret {
    pub(super) client_secret: Option<Secret>,
    pub(super) private_key: Option<PrivateKey>,
}

/// Reads the secrets of all connections, by name. No message quotes what it is about.
pub(super) fn read(variables: &Variables) -> Result<BTreeMap<String, ProviderSecret>, ConfigError> {
    let table = variables.table("PROVIDER_SECRETS")?;
    let mut secrets = BTreeMap::new();
    for (name, value) in table.entries {
        let secret = one(value).map_err(|fault| fault.at(table.origins.get(&name), &name))?;
        secrets.insert(name, secret);
    }
    Ok(secrets)
}

fn one(value: Value) -> Result<ProviderSecret, Fault> {
    const FORM: &str = "must be text, the client secret, or a table of client_secret and \
                        private_key, both text";
    let form = || Fault::new("", FORM);
    let members = match value {
        Value::String(text) => {
            return Ok(ProviderSecret {
                client_secret: Some(Secret::new(text)),
                private_key: None,
            });
        }
        Value::Object(members) => members,
        _ => return Err(form()),
    };
    let mut secret = ProviderSecret::default();
    for (name, value) in members {
        let Value::String(text) = value else {
            return Err(form());
        };
        let text = Secret::new(text);
        match name.as_str() {
            "client_secret" => secret.client_secret = Some(text),
            "private_key" => {
                let key = PrivateKey::parse(&text).ok_or_else(|| {
                    let mend = "must be an RSA key of 2048 bits or more as a PEM file: PRIVATE KEY \
                                or RSA PRIVATE KEY, without a passphrase";
                    Fault::new("private_key", mend)
                })?;
                secret.private_key = Some(key);
            }
            _ => return Err(form()),
        }
    }
    Ok(secret)
}
