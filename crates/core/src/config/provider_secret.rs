// SPDX-License-Identifier: Apache-2.0
//! `PROVIDER_SECRETS`: the credentials with which the vault authenticates at the providers.

use serde_json::Value;

use super::variables::Table;
use super::{ConfigError, FieldError, Variables};
use vault_base::secret::Secret;
use vault_jose::private_key::PrivateKey;

/// The vault's credentials at one provider.
#[derive(Debug, Clone, Default)]
pub(super) struct ProviderSecret {
    pub(super) client_secret: Option<Secret>,
    pub(super) private_key: Option<PrivateKey>,
}

/// The secrets of all connections. Error texts never quote a value.
pub(super) struct ProviderSecrets(Table);

impl ProviderSecrets {
    /// Reads the table.
    pub(super) fn read(variables: &Variables) -> Result<Self, ConfigError> {
        variables.table("PROVIDER_SECRETS").map(Self)
    }

    /// Removes and parses the secret of a connection; the default if there is none.
    pub(super) fn take(&mut self, connection: &str) -> Result<ProviderSecret, ConfigError> {
        let Some(value) = self.0.entries.remove(connection) else {
            return Ok(ProviderSecret::default());
        };
        secret(value).map_err(|fault| fault.at(self.0.origins.get(connection), connection))
    }

    /// Checks that every secret was taken: one that is left belongs to no connection.
    pub(super) fn end(self) -> Result<(), ConfigError> {
        match self.0.entries.keys().next() {
            None => Ok(()),
            Some(name) => {
                let fix = "there is no connection of this name; remove the secret or add it";
                Err(ConfigError::new("PROVIDER_SECRETS", name, fix))
            }
        }
    }
}

/// Parses a secret. Most are text.
fn secret(value: Value) -> Result<ProviderSecret, FieldError> {
    match value {
        Value::String(text) => {
            Ok(ProviderSecret { client_secret: Some(Secret::new(text)), private_key: None })
        }
        value => table(value),
    }
}

#[inline(never)]
fn table(value: Value) -> Result<ProviderSecret, FieldError> {
    const FORM: &str = "must be text, the client secret, or a table of client_secret and \
                        private_key, both text";
    let form = || FieldError::new("", FORM);
    let mut secret = ProviderSecret::default();
    let Value::Object(members) = value else {
        return Err(form());
    };
    for (name, value) in members {
        let Value::String(text) = value else {
            return Err(form());
        };
        let text = Secret::new(text);
        match name.as_str() {
            "client_secret" => secret.client_secret = Some(text),
            "private_key" => {
                let key = PrivateKey::parse(&text).ok_or_else(|| {
                    let fix = "must be an RSA key of 2048 bits or more as a PEM file: PRIVATE KEY \
                                or RSA PRIVATE KEY, without a passphrase";
                    FieldError::new("private_key", fix)
                })?;
                secret.private_key = Some(key);
            }
            _ => return Err(form()),
        }
    }
    Ok(secret)
}
