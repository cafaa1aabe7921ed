//! Reads a table of the configuration field by field, so that whatever is wrong has a name and a
//! mend, and what nobody asked for does not pass unseen.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Fault;

/// What is left of a table.
#[derive(Debug)]
pub(super) struct Fields {
    /// Where the table stands, with a dot at the end; empty for an entry itself.
    path: String,
    members: Map<String, Value>,
    asked: Vec<&'static str>,
}

impl Fields {
    /// The fields of an entry.
    pub(super) fn new(entry: Value) -> Result<Self, Fault> {
        Self::at(String::new(), entry)
    }

    fn at(path: String, value: Value) -> Result<Self, Fault> {
        match value {
            Value::Object(members) => Ok(Self { path, members, asked: Vec::new() }),
            _ => Err(Fault::new(path.trim_end_matches('.'), "must be a table")),
        }
    }

    /// Any value.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Value> {
        self.asked.push(name);
        self.members.remove(name)
    }

    /// What is wrong with a field.
    pub(super) fn fault(&self, name: &str, mend: impl Into<String>) -> Fault {
        Fault::new(format!("{}{name}", self.path), mend)
    }

    /// Text.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, Fault> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.fault(name, "must be text")),
        }
    }

    /// Text; without, this.
    pub(super) fn text_or(&mut self, name: &'static str, else_: &str) -> Result<String, Fault> {
        Ok(self.text(name)?.unwrap_or_else(|| else_.to_owned()))
    }

    /// Text that must be there.
    pub(super) fn required(&mut self, name: &'static str) -> Result<String, Fault> {
        self.text(name)?.ok_or_else(|| self.fault(name, "is missing; set it"))
    }

    /// A truth value.
    pub(super) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, Fault> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(self.fault(name, "must be true or false")),
        }
    }

    /// A whole number.
    pub(super) fn number(&mut self, name: &'static str) -> Result<Option<i64>, Fault> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.fault(name, "must be a whole number")),
            },
        }
    }

    /// A list of texts.
    pub(super) fn list(&mut self, name: &'static str) -> Result<Option<Vec<String>>, Fault> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        match texts(value) {
            Some(texts) => Ok(Some(texts)),
            None => Err(self.fault(name, "must be a list of texts, such as [\"a\", \"b\"]")),
        }
    }

    /// Texts by name; without, none.
    pub(super) fn texts(&mut self, name: &'static str) -> Result<BTreeMap<String, String>, Fault> {
        let mut texts = BTreeMap::new();
        for (key, value) in self.members_of(name)? {
            let Value::String(text) = value else {
                return Err(self.fault(&format!("{name}.{key}"), "must be text"));
            };
            texts.insert(key, text);
        }
        Ok(texts)
    }

    /// One of these.
    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        all: &[(&str, T)],
    ) -> Result<Option<T>, Fault> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        match one_of(&value, all) {
            Some(found) => Ok(Some(found)),
            None => Err(self.fault(name, must_be_one_of(all))),
        }
    }

    /// Some of these.
    pub(super) fn choices<T: Copy>(
        &mut self,
        name: &'static str,
        all: &[(&str, T)],
    ) -> Result<Option<Vec<T>>, Fault> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let Value::Array(items) = value else {
            return Err(
                self.fault(name, format!("must be a list; each item {}", must_be_one_of(all)))
            );
        };
        let mut found = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let fault = || self.fault(&format!("{name}[{index}]"), must_be_one_of(all));
            found.push(one_of(item, all).ok_or_else(fault)?);
        }
        Ok(Some(found))
    }

    /// A table within; without, an empty one.
    pub(super) fn table(&mut self, name: &'static str) -> Result<Self, Fault> {
        let value = self.take(name).unwrap_or_else(|| Value::Object(Map::new()));
        Self::at(format!("{}{name}.", self.path), value)
    }

    /// A table within, if there is one.
    pub(super) fn some_table(&mut self, name: &'static str) -> Result<Option<Self>, Fault> {
        if self.members.contains_key(name) {
            return self.table(name).map(Some);
        }
        self.asked.push(name);
        Ok(None)
    }

    /// Tables by name.
    pub(super) fn tables(&mut self, name: &'static str) -> Result<Vec<(String, Self)>, Fault> {
        let mut tables = Vec::new();
        for (key, value) in self.members_of(name)? {
            let path = format!("{}{name}.{key}.", self.path);
            tables.push((key, Self::at(path, value)?));
        }
        Ok(tables)
    }

    fn members_of(&mut self, name: &'static str) -> Result<Map<String, Value>, Fault> {
        match self.take(name) {
            None => Ok(Map::new()),
            Some(Value::Object(members)) => Ok(members),
            Some(_) => Err(self.fault(name, "must be a table")),
        }
    }

    /// Nothing else may be there.
    pub(super) fn end(self) -> Result<(), Fault> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(name) => Err(self.fault(name, self.unknown(name))),
        }
    }

    fn unknown(&self, name: &str) -> String {
        const FEW: usize = 16;
        let begins = |one: &&&str| one.get(..3).is_some_and(|begin| name.starts_with(begin));
        let near: Vec<&str> = self.asked.iter().filter(begins).copied().collect();
        let mend = if !near.is_empty() {
            format!("did you mean {}?", near.join(", "))
        } else if self.asked.len() <= FEW {
            format!("there are {}", self.asked.join(", "))
        } else {
            "docs/providers.md lists those of a connection".to_owned()
        };
        format!("unknown field `{name}`; {mend}")
    }
}

/// A list of texts.
pub(super) fn texts(value: Value) -> Option<Vec<String>> {
    let Value::Array(items) = value else {
        return None;
    };
    let mut texts = Vec::new();
    for item in items {
        let Value::String(text) = item else {
            return None;
        };
        texts.push(text);
    }
    Some(texts)
}

fn one_of<T: Copy>(value: &Value, all: &[(&str, T)]) -> Option<T> {
    let text = value.as_str()?;
    all.iter().find(|(name, _)| *name == text).map(|(_, found)| *found)
}

fn must_be_one_of<T>(all: &[(&str, T)]) -> String {
    let names: Vec<String> = all.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    format!("must be one of {}", names.join(", "))
}
