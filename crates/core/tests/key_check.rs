// SPDX-License-Identifier: Apache-2.0
//! The key check: which answers need it, which keys count as changed, and what a copy answers itself. The stamp
//! of a vault: which keys sealed what it holds.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use support::{NOW, id};
use vault_base::encoding::base64url;
use vault_base::ids::UserId;
use vault_base::seal::{KeyRing, Sealer};
use vault_base::secret::Secret;
use vault_core::message::registry::{self, CopyStep, of_copy};
use vault_core::message::vault::VaultResponse;
use vault_core::vault::home::Home;
use vault_core::vault::plan::Write;
use vault_core::vault::record::{AccessTokenRecord, Grant, Reason, Selector};
use vault_core::vault::release::ReleaseError;
use vault_core::vault::stamp::{self, Stamp};
use vault_provider::issuance::NoAccount;

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_key_is_changed_if_its_stored_check_value_differs() {
    let stored = values(&[("name", "1"), ("k1", "2")]);
    for (now, changed) in [
        (&[("name", "1"), ("k1", "2")], &[][..]),
        (&[("name", "1"), ("k2", "3")], &[]),
        (&[("name", "9"), ("k1", "2")], &["name"]),
    ] {
        assert_eq!(registry::changed(&values(now), &stored), changed, "{now:?}");
    }
}

#[test]
fn a_copy_answers_what_it_has_from_the_original_and_asks_about_everything_else() {
    let answer = |changed: &[&str]| {
        CopyStep::Answer(changed.iter().map(|name| (*name).to_owned()).collect())
    };
    for (stored, now, step) in [
        // An empty copy never believes the configuration that asks.
        (&[][..], &[("name", "1"), ("k1", "2")][..], CopyStep::AskOriginal),
        (&[("name", "1"), ("k1", "2")], &[("name", "1"), ("k1", "2")], answer(&[])),
        // A key that left the ring.
        (&[("name", "1"), ("k1", "2"), ("k2", "3")], &[("name", "1"), ("k2", "3")], answer(&[])),
        // A key that may have been used since the copy was filled.
        (&[("name", "1"), ("k1", "2")], &[("name", "1"), ("k2", "3")], CopyStep::AskOriginal),
        (&[("name", "1"), ("k1", "2")], &[("name", "9"), ("k1", "2")], answer(&["name"])),
        (&[("name", "1"), ("k1", "2")], &[("name", "1"), ("k1", "9")], answer(&["k1"])),
        (&[("name", "1")], &[("name", "9"), ("k2", "3")], answer(&["name"])),
    ] {
        assert_eq!(of_copy(&values(stored), &values(now)), step, "{stored:?} {now:?}");
    }
}

#[test]
fn an_answer_that_a_wrong_key_would_cause_too_does_not_vouch_for_the_keys() {
    let ended = |reason| ReleaseError::ReconnectRequired { reason };
    for (problem, vouches) in [
        (ReleaseError::NotConnected, false),
        (ended(Reason::Corrupt), false),
        (ended(Reason::RefreshRefused), true),
        (ended(Reason::RotationLost), true),
        (ended(Reason::NoRefreshToken), true),
        (ReleaseError::NoSuchAccount, true),
        (ReleaseError::AmbiguousAccount, true),
        (ReleaseError::MissingScopes { missing: Vec::new() }, true),
        (ReleaseError::NoSuchKind, true),
        (ReleaseError::NoSuchResource, true),
        (ReleaseError::NoAccount { reason: NoAccount::NotOwner }, true),
        (ReleaseError::SeveralResources, true),
        (ReleaseError::CannotNarrow, true),
        (ReleaseError::Unavailable { retry_after: 2 }, true),
    ] {
        let text = format!("{problem:?}");
        assert_eq!(VaultResponse::NotReleased(problem).vouches_for_keys(), vouches, "{text}");
    }
}

/// A ring whose first key seals. Each key is an id and a byte, which it consists of.
fn ring(keys: &[(&str, u8)]) -> KeyRing {
    let all: BTreeMap<&str, String> =
        keys.iter().map(|(id, byte)| (*id, base64url([*byte; 32]))).collect();
    let write = keys.first().unwrap().0;
    KeyRing::parse(&serde_json::json!({ "write": write, "keys": all }).to_string()).unwrap()
}

fn sealed(ring: &KeyRing) -> Vec<u8> {
    let user = UserId { issuer: "i".into(), subject: "s".into() };
    let home = Home::new(user, "demo".into(), Sealer::new(ring, "object"));
    home.seal(&id("1"), "access_token", 1, &Secret::new("a")).unwrap()
}

fn token(envelope: Vec<u8>) -> Write {
    let record =
        AccessTokenRecord { generation: 1, scopes: Vec::new(), issued_at: NOW, expires_at: None };
    Write::PutAccessToken { account: id("1"), selector: Selector::default(), record, envelope }
}

fn grant(envelope: Option<Vec<u8>>) -> Write {
    let grant = Grant::new(1, envelope.is_some(), Vec::new());
    Write::PutGrant { account: id("1"), kind: String::new(), grant, envelope }
}

#[test]
fn a_vault_is_stamped_with_the_keys_that_seal_its_tokens() {
    let (one, two) = (ring(&[("k1", 1), ("k2", 2)]), ring(&[("k2", 2), ("k1", 1)]));
    let of = |writes: &[Write]| -> Vec<String> {
        let stamp = stamp::of_writes(writes, &one);
        assert!(stamp.iter().all(|(id, value)| one.check_value(id).as_ref() == Some(value)));
        stamp.into_keys().collect()
    };
    assert_eq!(of(&[token(sealed(&one))]), ["k1"]);
    assert_eq!(of(&[grant(Some(sealed(&two)))]), ["k2"]);
    assert_eq!(of(&[token(sealed(&one)), grant(Some(sealed(&two)))]), ["k1", "k2"]);
    assert_eq!(of(&[grant(None), Write::DropAccount(id("1")), Write::EndJob(7)]), [""; 0]);
    assert_eq!(of(&[token(b"no envelope".to_vec())]), [""; 0]);
    assert_eq!(of(&[token(sealed(&ring(&[("k3", 3)])))]), [""; 0]);
}

#[test]
fn a_stamp_tells_a_key_that_changed_from_one_that_came_or_went() {
    let stamp = stamp::of_writes(&[token(sealed(&ring(&[("k1", 1)])))], &ring(&[("k1", 1)]));
    for (configured, changed) in [
        (&[("k1", 1)][..], None),
        (&[("k2", 2), ("k1", 1)], None),
        (&[("k2", 2)], None),
        (&[("k1", 9)], Some("k1")),
        (&[("k2", 2), ("k1", 9)], Some("k1")),
    ] {
        assert_eq!(stamp::changed(&stamp, &ring(configured)).as_deref(), changed, "{configured:?}");
        assert_eq!(stamp::changed(&Stamp::new(), &ring(configured)), None);
    }
}
