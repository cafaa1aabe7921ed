// SPDX-License-Identifier: Apache-2.0
//! Deserializes structs from JSON objects alone.
//!
//! `serde_json` also takes a struct from an array of its members in their order. Nobody writes such a document, and
//! the code for it would be compiled once more for every struct: a twentieth of the Worker's code. [`Objects`] wraps a
//! deserializer, and all that it gives to visitors, so that structs and variants with members are asked for as
//! maps.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

/// A deserializer, or what it gives to a visitor, that takes structs from maps alone.
pub struct Objects<T>(pub T);

/// A visitor or a seed that gets what [`Objects`] wraps.
struct Within<T>(T);

/// A seed that takes the members of a variant from a map.
struct Members<V>(V);

macro_rules! passed_on {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method(visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Objects<D> {
    type Error = D::Error;

    passed_on! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string
        deserialize_bytes deserialize_byte_buf deserialize_unit deserialize_identifier
        deserialize_ignored_any
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(Within(visitor))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_option(Within(visitor))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, Within(visitor))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_seq(Within(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(len, Within(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple_struct(name, len, Within(visitor))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Within(visitor))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Within(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(name, variants, Within(visitor))
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! visited {
    ($($method:ident: $type:ty),* $(,)?) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.0.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Within<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    visited! {
        visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str,
        visit_borrowed_str: &'de str, visit_string: String, visit_bytes: &[u8],
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Objects(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Objects(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Objects(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Objects(members))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(Objects(variant))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Within<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Objects(deserializer))
    }
}

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Members<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_map(Within(self.0))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Within(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Within(seed))
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Objects<A> {
    type Error = A::Error;
    type Variant = Objects<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Objects<A::Variant>), A::Error> {
        let (name, variant) = self.0.variant_seed(seed)?;
        Ok((name, Objects(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Within(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, Within(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.newtype_variant_seed(Members(visitor))
    }
}

/// Deserializes one JSON value that has nothing behind it.
///
/// # Errors
/// The error of `serde_json`. It may quote the document.
pub fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = T::deserialize(Objects(&mut deserializer))?;
    deserializer.end()?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::read;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Unit,
        One(Part),
        Two(u8, Part),
        Named { part: Part },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Part {
        text: String,
        number: Option<i64>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Wrapper(Part);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "tag", rename_all = "snake_case")]
    enum Tagged {
        Empty,
        Full { part: Part },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Whole {
        kinds: Vec<Kind>,
        map: BTreeMap<String, Part>,
        wrapper: Wrapper,
        pair: (bool, Part),
        tagged: Vec<Tagged>,
        #[serde(default)]
        float: f64,
        value: serde_json::Value,
    }

    fn part(text: &str) -> Part {
        Part { text: text.into(), number: Some(-7) }
    }

    fn whole() -> Whole {
        Whole {
            kinds: vec![
                Kind::Unit,
                Kind::One(part("a\"ü")),
                Kind::Two(9, Part { number: None, ..part("b") }),
                Kind::Named { part: part("c") },
            ],
            map: BTreeMap::from([("k".into(), part("d"))]),
            wrapper: Wrapper(part("e")),
            pair: (true, part("f")),
            tagged: vec![Tagged::Empty, Tagged::Full { part: part("g") }],
            float: 1.5,
            value: serde_json::json!({ "a": [1, null, { "b": false }] }),
        }
    }

    #[test]
    fn what_serde_json_writes_is_read_as_it_was() {
        let json = serde_json::to_string(&whole()).unwrap();
        assert_eq!(read::<Whole>(json.as_bytes()).unwrap(), whole());
    }

    #[test]
    fn a_struct_is_not_read_from_an_array_wherever_it_stands() {
        let array = r#"["x",1]"#;
        assert!(serde_json::from_str::<Part>(array).is_ok());
        assert!(read::<Part>(array.as_bytes()).is_err());
        assert!(read::<Part>(br#"{"text":"x","number":1}"#).is_ok());
        for (kind, object) in
            [(r#"{"one":P}"#, true), (r#"{"two":[1,P]}"#, true), (r#"{"named":{"part":P}}"#, true)]
        {
            for (part, reads) in [(array, false), (r#"{"text":"x","number":1}"#, object)] {
                let json = kind.replace('P', part);
                assert_eq!(read::<Kind>(json.as_bytes()).is_ok(), reads, "{json}");
                assert!(serde_json::from_str::<Kind>(&json).is_ok(), "{json}");
            }
        }
        assert!(read::<Kind>(br#"{"named":[{"text":"x","number":1}]}"#).is_err());
    }

    #[test]
    fn nothing_may_follow_and_the_depth_is_bounded() {
        for bad in ["", "{}", r#"{"text":"x"} x"#, r#"{"text":1}"#, r#"{"text":"x""#] {
            assert!(read::<Part>(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(read::<Part>(b" {\"text\":\"x\", \"later\": [1]} ").is_ok());
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        assert!(read::<serde_json::Value>(deep.as_bytes()).is_err());
    }
}
