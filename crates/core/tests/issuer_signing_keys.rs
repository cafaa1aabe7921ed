// SPDX-License-Identifier: Apache-2.0
//! The keys that the vault signs with: which signs when, when the next is due, and how long each
//! stays published.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod issuer_support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use issuer_support::{NOW, at, pinned, sealer_with};
use vault_base::encoding;
use vault_base::seal::{AssociatedData, SealError, Sealer};
use vault_base::secret::Secret;
use vault_core::issuer::machine::{Machine, Step, Write};
use vault_core::issuer::signing_keys::{
    CurrentKey, JwkSet, LEAD_SECONDS, ROTATION_SECONDS, Record, Request, Response, SigningKey,
    SigningKeys,
};
use vault_jose::jwk::JwkSet as Published;

const LIFE: i64 = 600;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;
/// When the successor of a key that signs from `NOW` is due, and when it signs.
const DUE: i64 = NOW + ROTATION_SECONDS - LEAD_SECONDS;
const TURN: i64 = NOW + ROTATION_SECONDS;
/// When the first key is withdrawn.
const GONE: i64 = TURN + LIFE + 120;

/// Something with the form of a private key: the numbers are all `byte`.
fn pkcs8(byte: u8) -> Secret {
    let mut der = vec![0x30, 0x82, 0x04, 0xb4];
    der.extend([2, 1, 0, 0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0]);
    der.extend([byte; 1186]);
    Secret::new(STANDARD.encode(der))
}

/// A modulus of 2048 bits.
fn modulus(byte: u8) -> String {
    encoding::base64url([byte | 0x80; 256])
}

fn generated(byte: u8) -> Request {
    Request::Generated {
        pkcs8: pkcs8(byte),
        n: modulus(byte),
        e: "AQAB".into(),
        longest_life: LIFE,
    }
}

fn kid(byte: u8) -> String {
    let members = format!(r#"{{"e":"AQAB","kty":"RSA","n":"{}"}}"#, modulus(byte));
    encoding::base64url(encoding::sha256(members))
}

/// The object: a record, and what it is asked.
struct Object {
    sealer: Sealer,
    record: Option<Record>,
}

impl Object {
    fn new() -> Self {
        Self { sealer: sealer_with("k1"), record: None }
    }

    /// With a key of these bytes that signs from `NOW`.
    fn holding(byte: u8) -> Self {
        let mut object = Self::new();
        object.ask(NOW, generated(byte));
        object
    }

    /// With its successor, made in time.
    fn renewed() -> Self {
        let mut object = Self::holding(1);
        object.ask(DUE, generated(2));
        object
    }

    fn try_ask(&self, now: i64, request: Request) -> Result<Step<Record, Response>, SealError> {
        SigningKeys::step(self.record.clone(), request, &at(now, &self.sealer))
    }

    fn ask(&mut self, now: i64, request: Request) -> Step<Record, Response> {
        let step = self.try_ask(now, request).unwrap();
        if let Write::Put(record) = &step.write {
            self.record = Some(record.clone());
        }
        step
    }

    fn current(&mut self, now: i64) -> CurrentKey {
        match self.ask(now, Request::Current { longest_life: LIFE }).response {
            Response::Current(key) => key,
            other => panic!("{other:?}"),
        }
    }

    fn published(&mut self, now: i64) -> Vec<String> {
        match self.ask(now, Request::Jwks).response {
            Response::Jwks(set) => set.keys.into_iter().map(|key| key.kid).collect(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn without_a_key_one_must_be_made_and_nothing_is_published() {
    let mut object = Object::new();
    for request in [Request::Current { longest_life: LIFE }, Request::Jwks] {
        let step = object.ask(NOW, request);
        assert!(matches!(step.response, Response::Generate));
        assert_eq!(step.write, Write::Keep);
    }
}

#[test]
fn the_first_key_signs_at_once() {
    let mut object = Object::new();
    let step = object.ask(NOW, generated(1));
    let Response::Current(key) = step.response else { panic!("{:?}", step.response) };
    assert_eq!((key.kid, key.until, key.successor_due), (kid(1), DUE, false));
    assert_eq!(key.pkcs8.expose(), pkcs8(1).expose());
    assert_eq!(
        step.events[0].line(),
        format!(r#"{{"event":"signing_key_added","detail":"{}"}}"#, kid(1))
    );
    assert_eq!(step.wake_at, None);
    assert_eq!(object.published(NOW), [kid(1)]);
}

#[test]
fn a_key_signs_until_its_successor_was_published_for_long_enough() {
    let mut object = Object::holding(1);
    // (time, kid, may be used until, successor is due)
    for (now, until, due) in [(NOW + 1, DUE, false), (DUE - 1, DUE, false), (DUE, DUE + 60, true)] {
        let key = object.current(now);
        assert_eq!((key.kid, key.until, key.successor_due), (kid(1), until, due), "{now}");
    }
    let step = object.ask(DUE, generated(2));
    assert_eq!(step.wake_at, Some(GONE));
    for (now, byte, until) in [
        (DUE, 1, TURN),
        (TURN - 1, 1, TURN),
        (TURN, 2, DUE + ROTATION_SECONDS),
        (TURN + 1, 2, DUE + ROTATION_SECONDS),
    ] {
        let key = object.current(now);
        assert_eq!((key.kid, key.until, key.successor_due), (kid(byte), until, false), "{now}");
    }
}

#[test]
fn a_successor_that_comes_late_is_published_for_an_hour_all_the_same() {
    let mut object = Object::holding(1);
    let late = TURN + 30 * DAY;
    assert!(object.current(late).successor_due);
    object.ask(late, generated(2));
    assert_eq!(object.published(late), [kid(1), kid(2)]);
    assert_eq!(object.current(late + HOUR - 1).kid, kid(1));
    assert_eq!(object.current(late + HOUR).kid, kid(2));
}

#[test]
fn a_key_is_published_until_the_last_token_it_signed_has_ended() {
    let mut object = Object::renewed();
    for (now, published) in [
        (DUE, vec![kid(1), kid(2)]),
        (TURN + LIFE, vec![kid(1), kid(2)]),
        (GONE - 1, vec![kid(1), kid(2)]),
        (GONE, vec![kid(2)]),
    ] {
        assert_eq!(object.published(now), published, "{now}");
    }
}

#[test]
fn a_key_outlasts_the_longest_life_that_it_ever_signed_for() {
    let mut object = Object::renewed();
    let longer = Request::Current { longest_life: DAY };
    let step = object.ask(TURN - 1, longer);
    assert!(matches!(step.write, Write::Put(_)));
    assert_eq!(step.wake_at, Some(TURN + DAY + 120));
    // A shorter one afterwards takes nothing back.
    let step = object.ask(TURN - 1, Request::Current { longest_life: 1 });
    assert_eq!(step.write, Write::Keep);
    assert_eq!(object.published(TURN + DAY + 119), [kid(1), kid(2)]);
    assert_eq!(object.published(TURN + DAY + 120), [kid(2)]);
}

#[test]
fn of_two_isolates_that_make_a_key_the_second_is_told_the_firsts() {
    let mut object = Object::holding(1);
    let step = object.ask(NOW, generated(2));
    assert_eq!((step.write, step.events.len()), (Write::Keep, 0));
    let Response::Current(key) = step.response else { panic!("{:?}", step.response) };
    assert_eq!(key.kid, kid(1));
    let mut object = Object::renewed();
    object.ask(DUE, generated(3));
    assert_eq!(object.published(DUE), [kid(1), kid(2)]);
}

#[test]
fn what_is_no_key_is_not_stored() {
    for bad in ["", "*", "AAAA"] {
        let request = Request::Generated {
            pkcs8: Secret::new(bad),
            n: modulus(1),
            e: "AQAB".into(),
            longest_life: LIFE,
        };
        let step = Object::new().ask(NOW, request);
        assert!(matches!((&step.response, &step.write), (Response::Generate, Write::Keep)));
    }
}

#[test]
fn withdrawn_keys_are_removed_when_the_object_wakes() {
    let object = Object::renewed();
    let record = object.record.unwrap();
    let early = SigningKeys::wake(record.clone(), &at(GONE - 1, &object.sealer));
    assert_eq!((early.write, early.wake_at), (Write::Keep, Some(GONE)));
    let step = SigningKeys::wake(record, &at(GONE, &object.sealer));
    let Write::Put(record) = step.write else { panic!("{:?}", step.write) };
    assert_eq!(record.keys.iter().map(|key| &key.kid).collect::<Vec<_>>(), [&kid(2)]);
    assert_eq!(step.wake_at, None);
}

#[test]
fn a_key_opens_in_its_own_place_alone() {
    let object = Object::renewed();
    let key = &object.record.as_ref().unwrap().keys[0];
    let envelope = encoding::from_base64url(&key.sealed).unwrap();
    let place = AssociatedData {
        issuer: "https://vault.example/",
        subject: "",
        connection: "",
        account: &key.kid,
        field: "signing_key",
        generation: 0,
    };
    let opened = object.sealer.open(&place, &envelope).unwrap();
    assert_eq!(STANDARD.encode(&*opened), pkcs8(1).expose());
    // Under the other key's id it does not open, and nothing is given or written.
    let mut swapped = object.record.clone().unwrap();
    swapped.keys[0].kid = swapped.keys[1].kid.clone();
    let current = Request::Current { longest_life: LIFE };
    let refused = SigningKeys::step(Some(swapped), current, &at(NOW, &object.sealer))
        .map(|step| step.response);
    assert!(matches!(refused, Err(SealError::Corrupt)), "{refused:?}");
}

#[test]
fn a_sealing_key_that_is_gone_is_an_error_and_no_reason_for_another_key() {
    let mut object = Object::holding(1);
    object.sealer = sealer_with("k2");
    let refused = object.try_ask(NOW, Request::Current { longest_life: LIFE });
    let error = refused.map(|step| step.response).unwrap_err();
    assert_eq!(error, SealError::KeyUnavailable { key_id: "k1".into() });
    // The public keys are there all the same.
    assert_eq!(object.published(NOW), [kid(1)]);
}

#[test]
fn what_is_published_is_a_set_that_others_read() {
    let mut object = Object::renewed();
    let Response::Jwks(set) = object.ask(DUE, Request::Jwks).response else { panic!() };
    let text = serde_json::to_string(&set).unwrap();
    assert_eq!(Published::parse(text.as_bytes()).unwrap().keys().len(), 2);
    let one = JwkSet { keys: set.keys[..1].to_vec() };
    assert_eq!(
        serde_json::to_string(&one).unwrap(),
        format!(
            r#"{{"keys":[{{"kty":"RSA","use":"sig","alg":"RS256","kid":"{}","n":"{}","e":"AQAB"}}]}}"#,
            kid(1),
            modulus(1)
        )
    );
}

#[test]
fn record_and_messages_are_pinned() {
    pinned(
        &Record {
            keys: vec![SigningKey {
                kid: "k".into(),
                n: "n".into(),
                e: "AQAB".into(),
                sealed: "s".into(),
                created_at: 1,
                active_from: 2,
                longest_life: 600,
            }],
        },
        r#"{"keys":[{"kid":"k","n":"n","e":"AQAB","sealed":"s","created_at":1,"active_from":2,"longest_life":600}]}"#,
    );
    pinned(&Request::Current { longest_life: 600 }, r#"{"current":{"longest_life":600}}"#);
    pinned(&Request::Jwks, r#""jwks""#);
    pinned(
        &Request::Generated {
            pkcs8: Secret::new("p"),
            n: "n".into(),
            e: "AQAB".into(),
            longest_life: 600,
        },
        r#"{"generated":{"pkcs8":"p","n":"n","e":"AQAB","longest_life":600}}"#,
    );
    pinned(
        &Response::Current(CurrentKey {
            kid: "k".into(),
            pkcs8: Secret::new("p"),
            until: 9,
            successor_due: true,
        }),
        r#"{"current":{"kid":"k","pkcs8":"p","until":9,"successor_due":true}}"#,
    );
    pinned(&Response::Jwks(JwkSet { keys: vec![] }), r#"{"jwks":{"keys":[]}}"#);
    pinned(&Response::Generate, r#""generate""#);
}
