//! Variables as the platform hands them over, and tables spread over several of them.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ConfigError, Fault};

/// All variables and secrets of the deployment that are text or JSON.
#[derive(Default)]
pub struct Variables(BTreeMap<String, Value>);

/// A table merged from `NAME` and every `NAME_*`.
pub(super) struct Table<T> {
    pub(super) entries: BTreeMap<String, T>,
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
    pub(super) fn table<T: DeserializeOwned>(&self, name: &str) -> Result<Table<T>, ConfigError> {
        let prefix = format!("{name}_");
        let mut table = Table { entries: BTreeMap::new(), origins: BTreeMap::new() };
        let parts = self.0.iter().filter(|(key, _)| *key == name || key.starts_with(&prefix));
        for (variable, value) in parts {
            for (entry, parsed) in read_part::<T>(variable, value)? {
                if let Some(first) = table.origins.insert(entry.clone(), variable.clone()) {
                    let mend = format!("is also in {first}; keep one of the two");
                    return Err(ConfigError::new(variable, entry, mend));
                }
                table.entries.insert(entry, parsed);
            }
        }
        Ok(table)
    }
}

fn read_part<T: DeserializeOwned>(
    variable: &str,
    value: &Value,
) -> Result<BTreeMap<String, T>, ConfigError> {
    // Text and a parsed object take the same road, so that both give the same errors.
    let json = match value {
        Value::String(text) if text.trim().is_empty() => return Ok(BTreeMap::new()),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if crate::json::check(json.as_bytes()).is_err() {
        let mend = "must be a table (or a string that holds a JSON object), no name twice";
        return Err(ConfigError::new(variable, "", mend));
    }
    read_json(&json)
        .map_err(|(field, error)| ConfigError::new(variable, field, shape(variable, &error)))
}

/// Reads one entry of a table that holds no secrets.
pub(super) fn read_entry<T: DeserializeOwned>(entry: &Value) -> Result<T, Fault> {
    read_json(&entry.to_string()).map_err(|(field, error)| Fault::new(field, shape("", &error)))
}

/// All reading is from bytes, never from values: see [`crate::json::own`]. An error comes with the
/// path to it, empty for the whole.
fn read_json<T: DeserializeOwned>(json: &str) -> Result<T, (String, serde_json::Error)> {
    let mut deserializer = serde_json::Deserializer::from_slice(json.as_bytes());
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let field = error.path().to_string();
        (if field == "." { String::new() } else { field }, error.into_inner())
    })
}

/// serde's message names types, fields and, for a wrong value, the value: fine for tables, not for
/// secrets.
fn shape(variable: &str, error: &serde_json::Error) -> String {
    if variable.starts_with("PROVIDER_SECRETS") {
        return "must be text: a JSON object from connection name to client secret".into();
    }
    let message = error.to_string();
    message.split(" at line ").next().unwrap_or_default().to_owned()
}
