// SPDX-License-Identifier: Apache-2.0
//! Keys: which are taken into a set, and which algorithm each may check.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::{Value, json};
use vault_base::encoding::{base64url, from_base64url, sha256};
use vault_jose::TokenError;
use vault_jose::algorithm::Algorithm::{self, EdDsa, Es256, Ps256, Rs256};
use vault_jose::jwk::{Jwk, JwkSet, KeyMaterial};
use vault_jose::jws::Jws;
use vault_jose::signature::SignatureCheck;

/// An honest modulus of 2048 bits (RFC 7515 §A.2).
const MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

fn rsa(change: &Value) -> Value {
    changed(json!({"kty": "RSA", "n": MODULUS, "e": "AQAB"}), change)
}

fn p256(change: &Value) -> Value {
    let (x, y) = (base64url([1; 32]), base64url([2; 32]));
    changed(json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}), change)
}

fn ed25519(change: &Value) -> Value {
    changed(json!({"kty": "OKP", "crv": "Ed25519", "x": base64url([3; 32])}), change)
}

fn changed(mut key: Value, change: &Value) -> Value {
    key.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    key
}

fn set(keys: &[Value]) -> Option<JwkSet> {
    JwkSet::parse(json!({ "keys": keys }).to_string().as_bytes()).ok()
}

fn is_taken(key: &Value) -> bool {
    set(std::slice::from_ref(key)).is_some()
}

/// A modulus of `bits` bits whose other bytes are those of an honest one, so that it is odd.
fn modulus(bits: usize) -> String {
    let honest = from_base64url(MODULUS).unwrap();
    let length = bits.div_ceil(8);
    let mut bytes: Vec<u8> = honest.iter().rev().copied().cycle().take(length).collect();
    bytes.reverse();
    bytes[0] = 1 << ((bits - 1) % 8);
    base64url(bytes)
}

#[test]
fn a_key_that_says_what_it_is_for_says_signatures() {
    for (change, taken) in [
        (json!({}), true),
        (json!({"use": "sig"}), true),
        (json!({"use": "enc"}), false),
        (json!({"key_ops": ["verify"]}), true),
        (json!({"key_ops": ["sign", "verify"]}), true),
        (json!({"key_ops": ["sign"]}), false),
        (json!({"key_ops": []}), false),
        (json!({"use": "sig", "key_ops": ["encrypt"]}), false),
    ] {
        for key in [rsa(&change), p256(&change), ed25519(&change)] {
            assert_eq!(is_taken(&key), taken, "{key}");
        }
    }
}

#[test]
fn a_key_with_a_private_part_is_refused() {
    for part in ["d", "k"] {
        for key in [rsa, p256, ed25519] {
            assert!(!is_taken(&key(&json!({part: "AQAB"}))), "{part}");
        }
    }
}

#[test]
fn each_kind_of_key_checks_its_own_algorithms_and_a_declared_one_alone() {
    for (key, fitting) in [
        (rsa(&json!({})), &[Rs256, Ps256][..]),
        (p256(&json!({})), &[Es256]),
        (ed25519(&json!({})), &[EdDsa]),
    ] {
        let read = set(std::slice::from_ref(&key)).unwrap();
        for algorithm in Algorithm::ALL {
            let fits = fitting.contains(&algorithm);
            assert_eq!(read.keys()[0].fits(algorithm), fits, "{key} {algorithm:?}");
            // A key that declares an algorithm of another kind is no key.
            let declared = changed(key.clone(), &json!({"alg": algorithm.name()}));
            assert_eq!(is_taken(&declared), fits, "{declared}");
            if fits {
                let read = set(&[declared]).unwrap();
                let checks = |other: &Algorithm| read.keys()[0].fits(*other);
                let alone: Vec<_> = Algorithm::ALL.into_iter().filter(checks).collect();
                assert_eq!(alone, [algorithm]);
            }
        }
    }
}

#[test]
fn a_key_is_given_out_as_it_was_published() {
    let keys = [rsa(&json!({})), p256(&json!({})), ed25519(&json!({}))];
    let read = set(&keys).unwrap();
    let materials: Vec<_> = read.keys().iter().map(Jwk::material).collect();
    let text = |key: &Value, member: &str| key[member].as_str().unwrap().to_owned();
    let expected = [
        KeyMaterial::Rsa { n: text(&keys[0], "n"), e: text(&keys[0], "e") },
        KeyMaterial::P256 { x: text(&keys[1], "x"), y: text(&keys[1], "y") },
        KeyMaterial::Ed25519 { x: text(&keys[2], "x") },
    ];
    assert_eq!(materials, expected.iter().collect::<Vec<_>>());
}

#[test]
fn an_rsa_key_has_2048_to_8192_bits() {
    for (bits, taken) in [
        (2047, false),
        (2048, true),
        (2049, true),
        (4095, true),
        (8191, true),
        (8192, true),
        (8193, false),
    ] {
        assert_eq!(is_taken(&rsa(&json!({"n": modulus(bits)}))), taken, "{bits}");
    }
    assert!(!is_taken(&rsa(&json!({"n": ""}))));
}

#[test]
fn an_rsa_exponent_is_odd_more_than_one_and_of_eight_bytes_at_most() {
    for (exponent, taken) in [
        (&[3][..], true),
        (&[1, 0, 1], true),
        (&[0xff; 8], true),
        (&[1], false),
        (&[2], false),
        (&[1, 0, 0], false),
        (&[0xff; 9], false),
        (&[], false),
    ] {
        assert_eq!(is_taken(&rsa(&json!({"e": base64url(exponent)}))), taken, "{exponent:?}");
    }
}

#[test]
fn coordinates_have_32_bytes() {
    for (length, taken) in [(31, false), (32, true), (33, false)] {
        let text = base64url(vec![1; length]);
        for key in
            [p256(&json!({"x": text})), p256(&json!({"y": text})), ed25519(&json!({"x": text}))]
        {
            assert_eq!(is_taken(&key), taken, "{key}");
        }
    }
}

/// A number in base 256, its lowest digit first.
fn multiply(number: &mut Vec<u8>, factor: u32) {
    let mut carry = 0;
    for digit in number.iter_mut() {
        carry += u32::from(*digit) * factor;
        *digit = (carry & 0xff) as u8;
        carry >>= 8;
    }
    while carry > 0 {
        number.push((carry & 0xff) as u8);
        carry >>= 8;
    }
}

fn add(number: &mut [u8], other: &[u8]) {
    let mut carry = 0;
    for (index, digit) in number.iter_mut().enumerate() {
        carry += u16::from(*digit) + u16::from(other.get(index).copied().unwrap_or(0));
        *digit = (carry & 0xff) as u8;
        carry >>= 8;
    }
}

#[test]
fn a_modulus_of_the_flawed_generator_is_refused_and_one_near_it_is_not() {
    // CVE-2017-15361: such a modulus is a power of 65537 modulo the product of the first primes. This one is
    // 65537^128, of 2049 bits, and multiples of twice that product are added.
    let primes = (3_u32..=167).filter(|n| (2..*n).all(|factor| n % factor != 0));
    let mut step = vec![2];
    primes.for_each(|prime| multiply(&mut step, prime));
    let mut flawed = vec![1];
    (0..128).for_each(|_| multiply(&mut flawed, 65_537));
    for _ in 0..4 {
        for (near, taken) in [(0, false), (2, true)] {
            let mut number = flawed.clone();
            add(&mut number, &[near]);
            number.reverse();
            let key = rsa(&json!({"n": base64url(&number)}));
            assert_eq!(is_taken(&key), taken, "{near} {key}");
        }
        add(&mut flawed, &step);
    }
}

#[test]
fn a_set_is_told_from_another_by_the_hash_of_its_document() {
    let document = json!({"keys": [p256(&json!({}))]}).to_string();
    let fingerprint = JwkSet::parse(document.as_bytes()).unwrap().fingerprint();
    assert_eq!(fingerprint, sha256(&document));
    let error = JwkSet::parse(b"{}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "not a JWK set with at least one usable signature key; it has no keys"
    );
}

#[test]
fn a_check_has_the_one_key_of_the_tokens_id_and_algorithm_and_what_was_signed() {
    let keys =
        set(&[p256(&json!({"kid": "1"})), p256(&json!({"kid": "2", "x": base64url([9; 32])}))])
            .unwrap();
    let text = |header: &Value| {
        format!("{}.{}.{}", base64url(header.to_string()), base64url("{}"), base64url([7; 64]))
    };
    let named = text(&json!({"alg": "ES256", "kid": "2"}));
    let token = Jws::parse(&named).unwrap();
    let check = SignatureCheck::of(&token, &keys, &[Es256]).unwrap();
    assert_eq!((check.algorithm, check.key), (Es256, &keys.keys()[1]));
    assert_eq!(check.message, named.rsplit_once('.').unwrap().0.as_bytes());
    assert_eq!(check.signature, [7; 64]);
    for (header, allowed, refused) in [
        (json!({"alg": "ES256", "kid": "3"}), Es256, TokenError::Key),
        (json!({"alg": "EdDSA", "kid": "2"}), EdDsa, TokenError::Key),
        (json!({"alg": "ES256"}), Es256, TokenError::Key),
        (json!({"alg": "ES256", "kid": "2"}), Rs256, TokenError::Algorithm),
    ] {
        let text = text(&header);
        let token = Jws::parse(&text).unwrap();
        let check = SignatureCheck::of(&token, &keys, &[allowed]).map(drop);
        assert_eq!(check, Err(refused), "{header}");
    }
}
