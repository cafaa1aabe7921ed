// SPDX-License-Identifier: Apache-2.0
//! Reads a table of the configuration field by field, so that whatever is wrong has a name and a
//! fix, and what nobody asked for does not pass unseen.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::FieldError;
use vault_base::text;

/// What is asked of text that stands in a header.
pub(super) const HEADER_VALUE: &str = "must be printable ASCII without line breaks, and without \
                                       white space at its ends: it stands in a header";

/// What is left of a table.
///
/// What cannot be read reads as if it were not there, and the first such fault comes out at the end:
/// so fields are read in a row, with no way out after each.
#[derive(Debug)]
pub(super) struct Fields {
    /// Where the table stands, with a dot at the end; empty for an entry itself.
    path: String,
    members: Map<String, Value>,
    asked: Vec<&'static str>,
    fault: Option<FieldError>,
}

/// Reads the fields of an entry.
///
/// # Errors
/// The first [`FieldError`]; also a field that nobody asked for.
pub(super) fn read<T>(entry: Value, read: impl FnOnce(&mut Fields) -> T) -> Result<T, FieldError> {
    let mut fields = Fields::at(String::new(), entry);
    let found = read(&mut fields);
    match fields.end() {
        None => Ok(found),
        Some(fault) => Err(fault),
    }
}

impl Fields {
    fn at(path: String, value: Value) -> Self {
        let (members, fault) = match value {
            Value::Object(members) => (members, None),
            _ => {
                let fault = FieldError::new(path.trim_end_matches('.'), "must be a table");
                (Map::new(), Some(fault))
            }
        };
        Self { path, members, asked: Vec::new(), fault }
    }

    /// Any value.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Value> {
        self.asked.push(name);
        self.members.remove(name)
    }

    /// Notes what is wrong with a field.
    pub(super) fn fault(&mut self, name: &str, fix: &str) {
        if self.fault.is_none() {
            self.fault = Some(FieldError::new(format!("{}{name}", self.path), fix));
        }
    }

    /// Text.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            _ => {
                self.fault(name, "must be text");
                None
            }
        }
    }

    /// Text; without, this.
    pub(super) fn text_or(&mut self, name: &'static str, standard: &str) -> String {
        self.text(name).unwrap_or_else(|| standard.to_owned())
    }

    /// Text that must be there.
    pub(super) fn required(&mut self, name: &'static str) -> String {
        self.text(name).unwrap_or_else(|| {
            self.missing(name);
            String::new()
        })
    }

    /// Notes that a field must be there.
    pub(super) fn missing(&mut self, name: &str) {
        self.fault(name, "is missing; set it");
    }

    /// A truth value; without, `false`.
    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        self.flag_or(name, false)
    }

    /// A truth value; without, this.
    pub(super) fn flag_or(&mut self, name: &'static str, standard: bool) -> bool {
        match self.take(name) {
            None => standard,
            Some(Value::Bool(flag)) => flag,
            Some(_) => {
                self.fault(name, "must be true or false");
                standard
            }
        }
    }

    /// A whole number.
    pub(super) fn number(&mut self, name: &'static str) -> Option<i64> {
        let number = self.take(name)?.as_i64();
        if number.is_none() {
            self.fault(name, "must be a whole number");
        }
        number
    }

    /// A list of texts; without, an empty one.
    pub(super) fn list(&mut self, name: &'static str) -> Vec<String> {
        self.some_list(name).unwrap_or_default()
    }

    /// A list of texts, if there is one.
    pub(super) fn some_list(&mut self, name: &'static str) -> Option<Vec<String>> {
        let texts = texts(self.take(name)?);
        if texts.is_none() {
            self.fault(name, "must be a list of texts, such as [\"a\", \"b\"]");
        }
        texts
    }

    /// Texts by name; without, none.
    pub(super) fn texts(&mut self, name: &'static str) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        for (key, value) in self.members_of(name) {
            match value {
                Value::String(text) => {
                    texts.insert(key, text);
                }
                _ => self.fault(&format!("{name}.{key}"), "must be text"),
            }
        }
        texts
    }

    /// Lists of texts by name; without, none.
    pub(super) fn lists(&mut self, name: &'static str) -> BTreeMap<String, Vec<String>> {
        let mut lists = BTreeMap::new();
        for (key, value) in self.members_of(name) {
            match texts(value) {
                Some(list) => {
                    lists.insert(key, list);
                }
                None => self.fault(
                    &format!("{name}.{key}"),
                    "must be a list of texts, such as [\"a\", \"b\"]",
                ),
            }
        }
        lists
    }

    /// Headers by name, each of which can be sent (RFC 9110 §5).
    pub(super) fn headers(&mut self, name: &'static str) -> BTreeMap<String, String> {
        let headers = self.texts(name);
        for (header, value) in &headers {
            if !text::is_header_name(header) {
                self.fault(name, &format!("has {header:?}, which is not the name of a header"));
            } else if !text::is_header_value(value) {
                self.fault(&format!("{name}.{header}"), HEADER_VALUE);
            }
        }
        headers
    }

    /// One of these.
    pub(super) fn choice<T: Copy>(&mut self, name: &'static str, all: &[(&str, T)]) -> Option<T> {
        let value = self.take(name)?;
        self.one_of(name, &value, all)
    }

    /// Some of these.
    pub(super) fn choices<T: Copy>(
        &mut self,
        name: &'static str,
        all: &[(&str, T)],
    ) -> Option<Vec<T>> {
        let Value::Array(items) = self.take(name)? else {
            self.fault(name, "must be a list of texts, such as [\"a\", \"b\"]");
            return None;
        };
        let mut found = Vec::new();
        for (index, item) in items.iter().enumerate() {
            found.extend(self.one_of(&format!("{name}[{index}]"), item, all));
        }
        Some(found)
    }

    fn one_of<T: Copy>(&mut self, name: &str, value: &Value, all: &[(&str, T)]) -> Option<T> {
        let mut names = Vec::new();
        for (name, _) in all {
            names.push(*name);
        }
        let index = self.index_of(name, value, &names)?;
        all.get(index).map(|(_, found)| *found)
    }

    /// Apart from what it is an index into, so that there is one of it for all.
    fn index_of(&mut self, name: &str, value: &Value, names: &[&str]) -> Option<usize> {
        let found = value.as_str().and_then(|text| names.iter().position(|name| *name == text));
        if found.is_none() {
            self.fault(name, &format!("must be one of \"{}\"", names.join("\", \"")));
        }
        found
    }

    /// Reads a table within; without, an empty one.
    pub(super) fn table<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Self) -> T) -> T {
        let value = self.take(name).unwrap_or_else(|| Value::Object(Map::new()));
        self.within(name, value, read)
    }

    /// Reads a table within, if there is one.
    pub(super) fn some_table<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        let value = self.take(name)?;
        Some(self.within(name, value, read))
    }

    /// Reads tables by name.
    pub(super) fn tables<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&mut Self) -> T,
    ) -> BTreeMap<String, T> {
        let mut tables = BTreeMap::new();
        for (key, value) in self.members_of(name) {
            let found = self.within(&format!("{name}.{key}"), value, &read);
            tables.insert(key, found);
        }
        tables
    }

    fn within<T>(&mut self, name: &str, value: Value, read: impl FnOnce(&mut Self) -> T) -> T {
        let mut inner = Self::at(format!("{}{name}.", self.path), value);
        let found = read(&mut inner);
        if let (None, Some(fault)) = (&self.fault, inner.end()) {
            self.fault = Some(fault);
        }
        found
    }

    fn members_of(&mut self, name: &'static str) -> Map<String, Value> {
        match self.take(name) {
            None => Map::new(),
            Some(Value::Object(members)) => members,
            Some(_) => {
                self.fault(name, "must be a table");
                Map::new()
            }
        }
    }

    /// The first fault, if there was one. What nobody asked for is one.
    fn end(mut self) -> Option<FieldError> {
        if let (None, Some(name)) = (&self.fault, self.members.keys().next().cloned()) {
            self.fault(&name, &self.unknown(&name));
        }
        self.fault
    }

    fn unknown(&self, name: &str) -> String {
        const FEW: usize = 16;
        let begins = |one: &&&str| one.get(..3).is_some_and(|begin| name.starts_with(begin));
        let near: Vec<&str> = self.asked.iter().filter(begins).copied().collect();
        let fix = if !near.is_empty() {
            format!("did you mean {}?", near.join(", "))
        } else if self.asked.len() <= FEW {
            format!("there are {}", self.asked.join(", "))
        } else {
            "docs/providers lists those of a connection".to_owned()
        };
        format!("unknown field `{name}`; {fix}")
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
