// SPDX-License-Identifier: Apache-2.0
//! Strict parsing of JSON from other parties.
//!
//! `serde_json` keeps the last of several members with the same name when it reads a map, and ignores the
//! members that a typed struct does not declare. If a gateway keeps the first of two members and the vault
//! the last, the same token means different things to them. Duplicate members are therefore rejected (RFC
//! 7515 §4, RFC 7519 §4): [`check`] walks through a document before it is deserialized.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};

use crate::objects;

/// The maximum nesting depth of arrays and objects. Tokens, metadata and requests stay well below it.
pub const MAX_DEPTH: usize = 16;

/// The document was rejected. The error contains nothing of the document, which may hold secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonError;

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not one JSON value without repeated members, nested at most 16 deep")
    }
}

impl std::error::Error for JsonError {}

/// Checks that `bytes` are one JSON value in UTF-8, without a byte-order mark and without trailing data,
/// nested at most [`MAX_DEPTH`] levels deep, and that no object has two members of the same name. Names are
/// compared after their escape sequences are resolved.
///
/// # Errors
/// [`JsonError`] if one of these conditions does not hold.
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
    let value = Strict { depth: 0, repeated: None }
        .deserialize(&mut deserializer)
        .map_err(|_| JsonError)?;
    deserializer.end().map_err(|_| JsonError)?;
    Ok(value)
}

/// Deserializes a `T` from a document that passes [`check`], after a byte-order mark, which parsers may skip
/// (RFC 8259 §8.1).
///
/// # Errors
/// [`JsonError`] if the document fails the check or is not a `T`.
pub fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, JsonError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    check(bytes)?;
    objects::read(bytes).map_err(|_| JsonError)
}

/// A document that was read with [`read_tolerant`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tolerant {
    /// The value, without the members of [`Tolerant::repeated`].
    pub value: Value,
    /// The paths of the members that an object has more than once with different values: member names, and
    /// indexes of arrays, joined by dots.
    pub repeated: Vec<String>,
}

/// Reads one JSON value of another party of which only some members matter, so that no other member can make
/// it unreadable. An escape sequence of half a character (a lone surrogate, RFC 8259 §8.2) becomes U+FFFD.
/// What is nested more than [`MAX_DEPTH`] levels deep becomes `null`. Of members with the same name and the
/// same value, one is kept; those with different values are left out and named. A number that is longer than
/// 15 characters or has an exponent of more than two becomes text, exactly as it was written: as a number it
/// could be rounded, and an id would become another one.
///
/// # Errors
/// [`JsonError`] if the text is not one JSON value.
pub fn read_tolerant(text: &str) -> Result<Tolerant, JsonError> {
    let text = exact(text);
    let repeated = RefCell::default();
    let mut deserializer = serde_json::Deserializer::from_slice(text.as_bytes());
    let seed = Strict { depth: 0, repeated: Some(&repeated) };
    let value = seed.deserialize(&mut deserializer).map_err(|_| JsonError)?;
    deserializer.end().map_err(|_| JsonError)?;
    Ok(Tolerant { value, repeated: repeated.into_inner() })
}

/// The text with long numbers quoted, and with lone surrogates replaced.
fn exact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string(rest, &mut out),
            '-' | '0'..='9' => number(rest, &mut out),
            other => {
                out.push(other);
                other.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

/// Copies the string that `text` begins with. Returns its length with both quotes.
fn string(text: &str, out: &mut String) -> usize {
    let mut at = 1;
    out.push('"');
    while let Some(next) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let escaped = text.get(at..at + 6).filter(|_| next == '\\').and_then(code_unit);
        let length = match escaped {
            Some(0xd800..=0xdbff) => {
                let low = text.get(at + 6..at + 12).and_then(code_unit);
                if matches!(low, Some(0xdc00..=0xdfff)) { 12 } else { 0 }
            }
            Some(0xdc00..=0xdfff) => 0,
            Some(_) => 6,
            None if next == '\\' => 1 + text.get(at + 1..).map_or(0, first_length),
            None => next.len_utf8(),
        };
        if length == 0 {
            out.push_str("\\ufffd");
            at += 6;
            continue;
        }
        out.push_str(text.get(at..at + length).unwrap_or_default());
        at += length;
        if next == '"' {
            break;
        }
    }
    at
}

/// The length of the first character in bytes.
fn first_length(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

/// The UTF-16 code unit of an escape sequence such as `\u00e9`.
fn code_unit(sequence: &str) -> Option<u16> {
    let digits = sequence.strip_prefix("\\u")?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

/// Copies the number that `text` begins with, in quotes if it could be rounded. Returns its length.
fn number(text: &str, out: &mut String) -> usize {
    let part = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    let length = text.find(|c| !part(c)).unwrap_or(text.len());
    let number = text.get(..length).unwrap_or_default();
    let exponent = number.split_once(['e', 'E']).map_or(0, |(_, exponent)| exponent.len());
    let quote = if length > 15 || exponent > 2 { "\"" } else { "" };
    out.extend([quote, number, quote]);
    length
}

/// Deserializes JSON that the vault wrote itself, without [`check`].
///
/// # Errors
/// The error of `serde_json`. It may quote the document, so it must not be logged if that holds secrets.
pub fn parse_trusted<'a, T: Deserialize<'a>>(text: &'a str) -> serde_json::Result<T> {
    // Not as text: it would compile most of the deserializer into the Worker a second time.
    objects::read(text.as_bytes())
}

/// Whether `bytes` are one complete object, whatever its members contain. Nothing of an object can follow
/// its closing brace, so such a document was not cut off.
pub fn is_complete_object(bytes: &[u8]) -> bool {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
    is_object && IgnoredAny::deserialize(&mut deserializer).is_ok() && deserializer.end().is_ok()
}

/// Extracts the string `member` of the object at `path` (member names joined by dots; empty for the
/// document itself) from a document that need not pass [`check`]: all other members are skipped, whatever
/// they contain, and the document may have been cut off behind the member. `None` if the member is absent, is
/// not a string, or occurs twice with different values.
pub fn text_at(bytes: &[u8], path: &str, member: &str) -> Option<String> {
    let steps: Vec<&str> =
        path.split('.').filter(|step| !step.is_empty()).chain([member]).collect();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let mut found = None;
    match (Descent { steps: &steps, found: &mut found }).deserialize(&mut deserializer) {
        Err(error) if !error.is_eof() => None,
        _ => found,
    }
}

/// Deserializes the string at the end of the remaining member names, descending one object per name.
struct Descent<'a> {
    steps: &'a [&'a str],
    /// The value, once the member was read whole; it outlives an error of what follows.
    found: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Descent<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if !self.steps.is_empty() {
            return deserializer.deserialize_map(self);
        }
        let text = String::deserialize(deserializer)?;
        if self.found.as_ref().is_some_and(|before| *before != text) {
            return Err(D::Error::custom("two values"));
        }
        *self.found = Some(text);
        Ok(())
    }
}

impl<'de> Visitor<'de> for Descent<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((wanted, rest)) = self.steps.split_first() else {
            return Ok(());
        };
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            if name == *wanted {
                map.next_value_seed(Descent { steps: rest, found: &mut *self.found })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// Deserializes a value.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    /// Where [`Tolerant::repeated`] is collected, if the document is read with [`read_tolerant`].
    repeated: Option<&'a RefCell<Vec<String>>>,
}

impl Strict<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH && self.repeated.is_none() {
            return Err(E::custom("too deep"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    /// How many members were found repeated so far.
    fn found(self) -> usize {
        self.repeated.map_or(0, |repeated| repeated.borrow().len())
    }

    /// Prefixes the paths that were found since there were `before` of them, which are below this step.
    fn place(self, before: usize, step: &str) {
        let Some(repeated) = self.repeated else { return };
        for path in repeated.borrow_mut().iter_mut().skip(before) {
            *path = format!("{step}.{path}");
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.depth > MAX_DEPTH {
            // Skipping needs no recursion.
            return IgnoredAny::deserialize(deserializer).map(|_| Value::Null);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
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
        let mut before = self.found();
        while let Some(item) = seq.next_element_seed(deeper)? {
            if self.found() > before {
                self.place(before, &items.len().to_string());
                before = self.found();
            }
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        // An ordered map, because hashing has no random seed on this target: a sender could choose names
        // that all collide in a hash map.
        let mut members = Map::new();
        let mut different = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            let before = self.found();
            let value = map.next_value_seed(deeper)?;
            self.place(before, &name);
            match members.get(&name) {
                None => {
                    members.insert(name, value);
                }
                Some(_) if self.repeated.is_none() => {
                    return Err(A::Error::custom("repeated member"));
                }
                Some(other) if *other == value => {}
                Some(_) => {
                    different.insert(name);
                }
            }
        }
        if let Some(repeated) = self.repeated {
            for name in different {
                members.remove(&name);
                repeated.borrow_mut().push(name);
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
            (r#"{"t":"x""#, "", Some("x")),
            (r#"{"t":"x","u"#, "", Some("x")),
            (r#"{"u":{"v":{"t":"x","w":"#, "u.v", Some("x")),
            (r#"{"t":"x"#, "", None),
            (r#"{"t":"x","t":"y""#, "", None),
            (r#"{"t":"x",}"#, "", None),
            ("", "", None),
            (&deep, "", Some("x")),
        ] {
            assert_eq!(text_at(text.as_bytes(), path, "t").as_deref(), found, "{text}");
        }
    }

    #[test]
    fn a_byte_order_mark_before_a_document_is_skipped() {
        assert_eq!(read::<Value>(b"\xef\xbb\xbf{}").unwrap(), Value::Object(Map::new()));
        assert!(read::<Value>(b"\xef\xbb\xbf\xef\xbb\xbf{}").is_err());
    }

    #[test]
    fn a_tolerant_reading_keeps_what_is_sound() {
        let deep = format!(r#"{{"t":"x","deep":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
        for (text, read, repeated) in [
            (r#"{"t":"x","t":"x"}"#, r#"{"t":"x"}"#, &[][..]),
            (r#"{"t":"x","u":1,"u":2,"u":1}"#, r#"{"t":"x"}"#, &["u"]),
            (r#"{"a":{"b":[0,{"c":1,"c":2,"d":3}]}}"#, r#"{"a":{"b":[0,{"d":3}]}}"#, &["a.b.1.c"]),
            (r#"{"a":[{"c":1,"c":2},{"c":1,"c":2}]}"#, r#"{"a":[{},{}]}"#, &["a.0.c", "a.1.c"]),
            (r#"{"a":{"b":1},"a":{"b":2}}"#, "{}", &["a"]),
            (r#"{"s":"\ud800","t":"\udc00x"}"#, r#"{"s":"\ufffd","t":"\ufffdx"}"#, &[]),
            (r#"{"s":"\ud800\ud83d\ude00"}"#, r#"{"s":"\ufffd\ud83d\ude00"}"#, &[]),
            (
                r#"{"s":"\\ud800 \" 9007199254740993"}"#,
                r#"{"s":"\\ud800 \" 9007199254740993"}"#,
                &[],
            ),
            ("[9007199254740993,7]", r#"["9007199254740993",7]"#, &[]),
            ("[18446744073709551617]", r#"["18446744073709551617"]"#, &[]),
            ("[9007199254740993.0, 1e400]", r#"["9007199254740993.0","1e400"]"#, &[]),
            ("[-1.5e3,0]", "[-1.5e3,0]", &[]),
        ] {
            let tolerant = read_tolerant(text).unwrap();
            let value: Value = serde_json::from_str(read).unwrap();
            assert_eq!(
                (tolerant.value, &tolerant.repeated[..]),
                (value, &repeated.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>()[..]),
                "{text}"
            );
        }
        assert_eq!(read_tolerant(&deep).unwrap().value["t"], "x");
        for bad in
            ["", "{", "{} {}", r#""x"#, r#"{"a":"\ud8"}"#, r#"{"a":"\"#, "[1-]", "\u{feff}{}"]
        {
            assert_eq!(read_tolerant(bad), Err(JsonError), "{bad}");
        }
    }

    #[test]
    fn an_object_is_complete_with_its_closing_brace() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        for (text, complete) in [
            ("{}", true),
            (" {\"a\":{\"b\":\"}\"}}\r\n", true),
            (r#"{"a":1,"a":"\ud800"}"#, true),
            (&deep, true),
            (r#"{"a":{"b":"c"}"#, false),
            (r#"{"a":"b"#, false),
            (r#"{"a":"}"#, false),
            (r#"{"a":"b"} {"#, false),
            ("{", false),
            ("[]", false),
            ("7", false),
            ("", false),
            ("<html>", false),
        ] {
            assert_eq!(is_complete_object(text.as_bytes()), complete, "{text}");
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
