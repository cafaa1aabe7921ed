// SPDX-License-Identifier: Apache-2.0
//! A strict reading of JSON that comes from strangers.
//!
//! `serde_json` keeps the last of two members with the same name where a map is read, and a typed
//! struct says nothing about members it does not know. Two readers that keep different ones is how
//! a token means one thing to a gateway and another to us (RFC 7515 §4, RFC 8725bis), so
//! documents are walked once before they are read.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};

/// How deep honest tokens, metadata and requests nest, with room to spare.
pub const MAX_DEPTH: usize = 16;

/// Why a document was refused. Carries no content of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonError;

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not one JSON value without repeated members, nested at most 16 deep")
    }
}

impl std::error::Error for JsonError {}

/// Checks that `bytes` are one UTF-8 JSON value, no byte-order mark, nothing after it, no member
/// name twice in an object (escapes resolved first), and at most [`MAX_DEPTH`] levels.
///
/// # Errors
/// [`JsonError`] otherwise.
pub fn check(bytes: &[u8]) -> Result<(), JsonError> {
    strict(bytes).map(drop)
}

/// Reads an object in one pass, checked as [`check`] does.
///
/// # Errors
/// [`JsonError`] if the document is not strict or not an object.
pub fn read_object(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    match strict(bytes)? {
        Value::Object(members) => Ok(members),
        _ => Err(JsonError),
    }
}

fn strict(bytes: &[u8]) -> Result<Value, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0 }.deserialize(&mut deserializer).map_err(|_| JsonError)?;
    deserializer.end().map_err(|_| JsonError)?;
    Ok(value)
}

/// Checks as [`check`] does, then reads a `T`.
///
/// # Errors
/// [`JsonError`] if the document is not strict or not a `T`.
pub fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, JsonError> {
    check(bytes)?;
    serde_json::from_slice(bytes).map_err(|_| JsonError)
}

/// Reads JSON that we wrote ourselves. All reading is from bytes: reading from text as well would
/// put most of the reader into the Worker twice.
///
/// # Errors
/// As `serde_json` has it; may quote what was read.
pub fn parse_trusted<'a, T: Deserialize<'a>>(text: &'a str) -> serde_json::Result<T> {
    serde_json::from_slice(text.as_bytes())
}

/// Reads one text at a path (members with dots between them; empty for the document itself, whose
/// `member` is wanted) out of a document that need not be strict: what stands beside it, however odd, is
/// skipped unread. `None` if it is not there, is no text, or stands there twice with two values.
pub fn text_at(bytes: &[u8], path: &str, member: &str) -> Option<String> {
    let steps: Vec<&str> =
        path.split('.').filter(|step| !step.is_empty()).chain([member]).collect();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Descent(&steps).deserialize(&mut deserializer).ok()?
}

/// Goes down the members that are left of a path.
struct Descent<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Descent<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Option<String>, D::Error> {
        if self.0.is_empty() {
            return Option::<String>::deserialize(deserializer);
        }
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Descent<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<String>, A::Error> {
        let Some((wanted, rest)) = self.0.split_first() else {
            return Ok(None);
        };
        let mut found: Option<String> = None;
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            if name != *wanted {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let text = map.next_value_seed(Descent(rest))?;
            if found.is_some() && found != text {
                return Err(A::Error::custom("two values"));
            }
            found = text;
        }
        Ok(found)
    }
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom("too deep"));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(deeper)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        // Ordered: names can be made to collide in a hash without a secret, as this target's is.
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(deeper)?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("repeated member"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_documents_pass() {
        for text in [
            r#"{"a":1,"b":{"a":[1,2.5,null,true,"x"]}}"#,
            "[]",
            " 1 ",
            r#"{"a":{"b":1},"c":{"b":1}}"#,
        ] {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
        }
    }

    #[test]
    fn repeated_members_are_refused_even_when_escaped_or_nested() {
        for text in
            [r#"{"sub":1,"sub":1}"#, r#"{"sub":1,"s\u0075b":2}"#, r#"[{"a":{"b":1,"b":2}}]"#]
        {
            assert_eq!(check(text.as_bytes()), Err(JsonError), "{text}");
        }
    }

    #[test]
    fn one_text_is_read_whatever_stands_beside_it() {
        let deep = format!(r#"{{"a":{}{},"t":"x"}}"#, "[".repeat(200), "]".repeat(200));
        for (text, path, found) in [
            (r#"{"t":"x"}"#, "", Some("x")),
            (r#"{"a":"\ud800","t":"x","error":false}"#, "", Some("x")),
            (r#"{"a":1,"a":2,"t":"x"}"#, "", Some("x")),
            (r#"{"t":"x","t":"x"}"#, "", Some("x")),
            (r#"{"t":"x","t":"y"}"#, "", None),
            (r#"{"t":7}"#, "", None),
            (r#"{"t":null}"#, "", None),
            (r#"{"u":{"v":{"t":"x"}},"t":"y"}"#, "u.v", Some("x")),
            (r#"{"u":["t"]}"#, "u", None),
            (r#"{"t":"x""#, "", None),
            ("", "", None),
            (&deep, "", Some("x")),
        ] {
            assert_eq!(text_at(text.as_bytes(), path, "t").as_deref(), found, "{text}");
        }
    }

    #[test]
    fn trailing_bytes_marks_bad_utf8_and_depth_are_refused() {
        assert_eq!(check(b"{} {}"), Err(JsonError));
        assert_eq!(check(b"\xef\xbb\xbf{}"), Err(JsonError));
        assert_eq!(check(b"\"\xff\""), Err(JsonError));
        assert_eq!(check(b""), Err(JsonError));
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(check(nested(MAX_DEPTH).as_bytes()), Ok(()));
        assert_eq!(check(nested(MAX_DEPTH + 1).as_bytes()), Err(JsonError));
    }
}
