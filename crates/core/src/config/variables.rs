// SPDX-License-Identifier: Apache-2.0
//! Variables as the platform hands them over, and tables spread over several of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::ConfigError;
use vault_base::json;

/// All variables and secrets of the deployment that are text or JSON.
#[derive(Default)]
pub struct Variables(BTreeMap<String, Value>);

/// A table merged from `NAME` and every `NAME_*`.
pub(super) struct Table {
    pub(super) entries: BTreeMap<String, Value>,
    /// Which variable an entry came from, for messages.
    pub(super) origins: BTreeMap<String, String>,
}

impl FromIterator<(String, Value)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(variables: I) -> Self {
        // One by one: collecting would bring a sort along.
        let mut all = BTreeMap::new();
        all.extend(variables);
        Self(all)
    }
}

impl Variables {
    /// A text variable; an empty one counts as absent.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, ConfigError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            // A secret given as JSON arrives parsed under some tools.
            Some(value @ Value::Object(_)) => Ok(Some(value.to_string())),
            Some(_) => Err(ConfigError::new(name, "", "must be text")),
        }
    }

    pub(super) fn required(&self, name: &str) -> Result<String, ConfigError> {
        self.text(name)?.ok_or_else(|| ConfigError::new(name, "", "is missing; set it"))
    }

    /// Reads a table. An entry that appears twice, even alike, is an error: one of the two would
    /// be lost silently.
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
    // Text and a parsed object take the same road, so that both give the same errors.
    let text = match value {
        Value::String(text) if text.trim().is_empty() => return Ok(Map::new()),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    json::read(text.as_bytes()).map_err(|_| {
        let fix = "must be a table (or a string that holds a JSON object), no name twice";
        ConfigError::new(variable, "", fix)
    })
}
