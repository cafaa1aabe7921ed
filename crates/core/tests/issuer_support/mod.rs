// SPDX-License-Identifier: Apache-2.0
//! What the tests of the issuer's machines share.

#![allow(dead_code, clippy::unwrap_used)]

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vault_base::encoding::base64url;
use vault_base::seal::{KeyRing, Sealer};
use vault_core::issuer::machine::At;

pub const NOW: i64 = 1_795_492_800;

pub fn sealer() -> Sealer {
    sealer_with("k1")
}

/// Seals under a key of this id.
pub fn sealer_with(key: &str) -> Sealer {
    let ring = json!({"write": key, "keys": {key: base64url([7; 32])}}).to_string();
    Sealer::new(&KeyRing::parse(&ring).unwrap(), "object")
}

pub fn at(now: i64, sealer: &Sealer) -> At<'_> {
    At { now, sealer, issuer: "https://vault.example/" }
}

/// The value has these bytes, and these bytes, with a member of a later version, are the value. A
/// test that fails here wants a form beside the old one, not a new expectation.
pub fn pinned<T: Serialize + DeserializeOwned>(value: &T, json: &str) {
    assert_eq!(serde_json::to_string(value).unwrap(), json);
    let mut later: Value = serde_json::from_str(json).unwrap();
    extend(&mut later);
    let read: T = serde_json::from_value(later).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
}

/// Adds a member to each object that has several: one alone may be the name of a variant.
fn extend(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(extend);
            if members.len() > 1 {
                members.insert("of_a_later_version".into(), json!(1));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(extend),
        _ => (),
    }
}
