// SPDX-License-Identifier: Apache-2.0
//! A response body of a provider, as an object with members.

use serde_json::{Map, Value};
use url::form_urlencoded;

use vault_base::json::{self, Tolerant};

/// The body of a response. A member that no one uses cannot make it unreadable ([`json::read_tolerant`]).
#[derive(Debug)]
pub struct Document {
    value: Value,
    repeated: Vec<String>,
}

impl Document {
    /// Parses a body as a JSON object. `None` if it is none, such as HTML.
    pub fn of_json(body: &str) -> Option<Self> {
        let Tolerant { value, repeated } = json::read_tolerant(without_mark(body)).ok()?;
        value.is_object().then_some(Self { value, repeated })
    }

    /// Parses a body as a JSON object, or as a form. `None` if it is neither.
    pub fn parse(body: &str) -> Option<Self> {
        let body = without_mark(body);
        if body.trim_start().starts_with('{') {
            return Self::of_json(body);
        }
        if !body.contains('=') || body.contains('<') {
            return None;
        }
        let mut members = Map::new();
        let mut repeated = Vec::new();
        for (name, value) in form_urlencoded::parse(body.as_bytes()) {
            let value = Value::String(value.into_owned());
            match members.get(&*name) {
                Some(other) if *other != value => repeated.push(name.into_owned()),
                _ => {
                    members.insert(name.into_owned(), value);
                }
            }
        }
        for name in &repeated {
            members.remove(name);
        }
        Some(Self { value: Value::Object(members), repeated })
    }

    /// The object, without the members that it has more than once with different values.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The object, if it has no member more than once with different values.
    pub fn unambiguous(self) -> Option<Value> {
        self.repeated.is_empty().then_some(self.value)
    }

    /// Whether the value at a path ([`json_path::text`](crate::json_path::text)) is what the provider means:
    /// no member on the way to it, or to one of its alternatives, has several values.
    pub fn is_clear(&self, path: &str) -> bool {
        let is_on_the_way = |repeated: &String, path: &str| {
            let rest = path.strip_prefix(repeated.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let mut paths = path.split(['+', '|']);
        paths.all(|path| !self.repeated.iter().any(|repeated| is_on_the_way(repeated, path)))
    }
}

/// Removes a byte-order mark, which parsers may ignore (RFC 8259 §8.1).
pub(super) fn without_mark(body: &str) -> &str {
    body.strip_prefix('\u{feff}').unwrap_or(body)
}
