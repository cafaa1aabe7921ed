// SPDX-License-Identifier: Apache-2.0
//! The variables that the platform provides, and the tables that are merged from several of them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::ConfigError;
use vault_base::{encoding, json};

/// All variables and secrets of the deployment that are text or JSON, by name.
#[derive(Default)]
pub struct Variables(BTreeMap<String, Value>);

/// A table merged from `NAME` and every `NAME_*`.
pub(super) struct Table {
    pub(super) entries: BTreeMap<String, Value>,
    /// The variable that each entry came from, for error texts.
    pub(super) origins: BTreeMap<String, String>,
}

impl FromIterator<(String, Value)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(variables: I) -> Self {
        // Not `collect`, which would add code for a sort to the Worker.
        let mut all = BTreeMap::new();
        all.extend(variables);
        Self(all)
    }
}

impl Variables {
    /// The SHA-256 digest of all variables with their names.
    pub(super) fn digest(&self) -> [u8; 32] {
        encoding::sha256(serde_json::to_string(&self.0).unwrap_or_default().as_bytes())
    }

    /// A text variable. An empty one counts as absent.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, ConfigError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            // Some deployment tools pass a secret that is JSON as a parsed object.
            Some(value @ Value::Object(_)) => Ok(Some(value.to_string())),
            Some(_) => Err(ConfigError::new(name, "", "must be text")),
        }
    }

    pub(super) fn required(&self, name: &str) -> Result<String, ConfigError> {
        self.text(name)?.ok_or_else(|| ConfigError::new(name, "", "is missing; set it"))
    }

    /// Reads a table. An entry that appears in two variables is an error even if both are equal, because one
    /// of the two would be ignored silently.
    pub(super) fn table(&self, name: &str) -> Result<Table, ConfigError> {
        let prefix = format!("{name}_");
        let mut table = Table { entries: BTreeMap::new(), origins: BTreeMap::new() };
        let parts = self.0.iter().filter(|(key, _)| *key == name || key.starts_with(&prefix));
        for (variable, value) in parts {
            for (entry, value) in read_part(variable, value)? {
                if let Some(first) = table.origins.insert(entry.clone(), variable.clone()) {
                    let fix = format!("is also in {first}; keep one of the two");
                    return Err(ConfigError::new(variable, entry, fix));
                }
                table.entries.insert(entry, value);
            }
        }
        Ok(table)
    }
}

fn read_part(variable: &str, value: &Value) -> Result<Map<String, Value>, ConfigError> {
    // A parsed object is parsed again from its text, so that both forms give the same errors.
    let text = match value {
        Value::String(text) if text.trim().is_empty() => return Ok(Map::new()),
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    };
    json::read(text.as_bytes()).map_err(|_| {
        let fix = "must be a table (or a string that holds a JSON object), no name twice";
        ConfigError::new(variable, "", fix)
    })
}
