// SPDX-License-Identifier: Apache-2.0
//! Reads a table of the configuration field by field. Each fault has the name of its field and a fix, and
//! unknown fields are faults as well.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{FieldError, Names};
use vault_base::address::Location;
use vault_base::text;

/// The fix for text that is sent in a header and must not be.
pub(super) const HEADER_VALUE: &str = "must be printable ASCII without line breaks, and without \
                                       white space at its ends: it is sent in a header";

/// How the fix of a field that is absent begins.
const MISSING: &str = "is missing";

/// The members of a table that have not been read yet.
///
/// Invalid fields read as absent, and the first error is recorded and returned at the end. So all fields can
/// be read one after another without handling an error after each.
#[derive(Debug)]
pub(super) struct Fields {
    /// The path of the table with a dot at its end; empty for the entry itself.
    path: String,
    members: Map<String, Value>,
    /// The names of the fields that were read, which are all known fields at the end.
    known: Vec<&'static str>,
    fault: Option<FieldError>,
}

/// Reads the fields of an entry.
///
/// # Errors
/// The first [`FieldError`]. A field that `read` does not read is an error.
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
        Self { path, members, known: Vec::new(), fault }
    }

    /// A value of any type.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.members.remove(name)
    }

    /// Records an error of a field, unless there is an earlier one.
    pub(super) fn fault(&mut self, name: &str, fix: &str) {
        if self.fault.is_none() {
            self.fault = Some(FieldError::new(format!("{}{name}", self.path), fix));
        }
    }

    /// A string.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            _ => {
                self.fault(name, "must be text");
                None
            }
        }
    }

    /// A string, or `default` if it is absent.
    pub(super) fn text_or(&mut self, name: &'static str, default: &str) -> String {
        self.text(name).unwrap_or_else(|| default.to_owned())
    }

    /// A string that must be present; empty if it is absent, which is recorded as an error.
    pub(super) fn required(&mut self, name: &'static str) -> String {
        self.text(name).unwrap_or_else(|| {
            self.missing(name);
            String::new()
        })
    }

    /// Records the error that a required field is absent.
    pub(super) fn missing(&mut self, name: &str) {
        self.fault(name, "is missing; set it");
    }

    /// A place in which objects are created.
    pub(super) fn location(&mut self, name: &'static str) -> Option<Location> {
        let value = self.take(name)?;
        match Location::parse(value.as_str().unwrap_or_default()) {
            Ok(location) => Some(location),
            Err(fix) => {
                self.fault(name, &fix);
                None
            }
        }
    }

    /// A Boolean, or `false` if it is absent.
    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        self.flag_or(name, false)
    }

    /// A Boolean, or `default` if it is absent.
    pub(super) fn flag_or(&mut self, name: &'static str, default: bool) -> bool {
        match self.take(name) {
            None => default,
            Some(Value::Bool(flag)) => flag,
            Some(_) => {
                self.fault(name, "must be true or false");
                default
            }
        }
    }

    /// An integer.
    pub(super) fn number(&mut self, name: &'static str) -> Option<i64> {
        let number = self.take(name)?.as_i64();
        if number.is_none() {
            self.fault(name, "must be a whole number");
        }
        number
    }

    /// A list of strings; empty if it is absent.
    pub(super) fn list(&mut self, name: &'static str) -> Vec<String> {
        self.some_list(name).unwrap_or_default()
    }

    /// A list of strings; `None` if it is absent.
    pub(super) fn some_list(&mut self, name: &'static str) -> Option<Vec<String>> {
        let texts = texts(self.take(name)?);
        if texts.is_none() {
            self.fault(name, "must be a list of texts, such as [\"a\", \"b\"]");
        }
        texts
    }

    /// A table of strings; empty if it is absent.
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

    /// A table of lists of strings; empty if it is absent.
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

    /// A table of headers. Each must have a valid name and value (RFC 9110 §5).
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

    /// A string that must be one of the names in `all`, as the value that belongs to it.
    pub(super) fn choice<T: Copy>(&mut self, name: &'static str, all: &[(&str, T)]) -> Option<T> {
        let value = self.take(name)?;
        self.one_of(name, &value, all)
    }

    /// A list of strings that must be among the names in `all`, as the values that belong to them.
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

    /// The index of `value` among `names`. It is not generic, so that the compiler emits it only once.
    fn index_of(&mut self, name: &str, value: &Value, names: &[&str]) -> Option<usize> {
        let found = value.as_str().and_then(|text| names.iter().position(|name| *name == text));
        if found.is_none() {
            self.fault(name, &format!("must be one of \"{}\"", names.join("\", \"")));
        }
        found
    }

    /// Reads an inner table; an absent one reads as empty.
    pub(super) fn table<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Self) -> T) -> T {
        let value = self.take(name).unwrap_or_else(|| Value::Object(Map::new()));
        self.within(name, value, read)
    }

    /// Reads an inner table; `None` if it is absent.
    pub(super) fn some_table<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        let value = self.take(name)?;
        Some(self.within(name, value, read))
    }

    /// Reads a table of tables; empty if it is absent.
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

    /// The first error, if there was one. A field that was not read is an error, and comes before one that is
    /// missing: it may be that one, under a wrong name.
    fn end(mut self) -> Option<FieldError> {
        let is_missing = |fault: &FieldError| fault.fix.starts_with(MISSING);
        let is_first = self.fault.as_ref().is_none_or(is_missing);
        if let (true, Some(name)) = (is_first, self.members.keys().next()) {
            let fix = format!("unknown field `{name}`: remove it, or correct its name");
            let fault = FieldError::new(format!("{}{name}", self.path), fix);
            self.fault = Some(fault.unknown(name, Names::Fields(self.known)));
        }
        self.fault
    }
}

/// A list of strings; `None` if the value is not one.
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
