// SPDX-License-Identifier: Apache-2.0
//! Whose user an account at a provider is: state by state, and after a crash between two steps.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::unnecessary_wraps)]

mod issuer_support;
mod support;

use issuer_support::{NOW, at, pinned, sealer};
use serde_json::json;
use support::connection;
use vault_core::issuer::identity::{
    self, Holder, Identity, Owner, RESERVED_SECONDS, Record, Request, Response,
};
use vault_core::issuer::machine::{Machine, Step, Write};

const ALICE: &str = "github|42";

fn resolve(refused: Option<u64>) -> Request {
    Request::Resolve { connection: "github".into(), provider_user_id: "42".into(), refused }
}

fn link(sub: &str) -> Request {
    Request::Link { sub: sub.into() }
}

fn confirm(sub: &str) -> Request {
    Request::Confirm { sub: sub.into() }
}

fn unlink(sub: &str) -> Request {
    Request::Unlink { sub: sub.into(), revision: None }
}

fn unlink_at(sub: &str, revision: u64) -> Request {
    Request::Unlink { sub: sub.into(), revision: Some(revision) }
}

fn erase(sub: &str) -> Request {
    Request::Erase { sub: sub.into() }
}

fn holder(sub: &str, revision: u64) -> Holder {
    Holder { sub: sub.into(), revision }
}

fn owned(sub: &str, revision: u64) -> Response {
    Response::Owned(holder(sub, revision))
}

fn reserved(sub: &str, revision: u64) -> Response {
    Response::Reserved(holder(sub, revision))
}

fn taken(sub: &str, revision: u64) -> Response {
    Response::Taken(holder(sub, revision))
}

/// A record, as a table has it: owner and end of the reservation, whether a user was erased,
/// revision.
fn record(owner: Option<(&str, Option<i64>)>, erased: bool, revision: u64) -> Option<Record> {
    let owner = owner.map(|(sub, reserved_until)| Owner { sub: sub.into(), reserved_until });
    Some(Record { owner, erased, revision })
}

const UNTIL: i64 = NOW + RESERVED_SECONDS;

fn ask(record: Option<Record>, now: i64, request: Request) -> Step<Record, Response> {
    Identity::step(record, request, &at(now, &sealer())).unwrap()
}

fn after(before: Option<Record>, write: Write<Record>) -> Option<Record> {
    match write {
        Write::Keep => before,
        Write::Put(record) => Some(record),
        Write::Delete => None,
    }
}

#[test]
fn each_request_in_each_state() {
    let bob = "google|7";
    let first = || record(Some((ALICE, Some(UNTIL))), false, 1);
    let fresh = |revision| record(Some((ALICE, Some(UNTIL))), false, revision);
    let stale = || record(Some((ALICE, Some(NOW))), false, 4);
    let mine = |revision| record(Some((ALICE, None)), false, revision);
    let again = || record(Some((ALICE, None)), true, 4);
    let free = |revision| record(None, false, revision);
    let gone = |revision| record(None, true, revision);
    let bobs = |erased, revision| record(Some((bob, Some(UNTIL))), erased, revision);
    for (name, before, request, response, expected) in [
        ("sign-in, first", None, resolve(None), reserved(ALICE, 1), first()),
        ("sign-in, unlinked", free(4), resolve(None), reserved(ALICE, 5), fresh(5)),
        ("sign-in, crashed before", fresh(4), resolve(None), reserved(ALICE, 4), fresh(4)),
        ("sign-in, crashed long ago", stale(), resolve(None), reserved(ALICE, 4), stale()),
        ("sign-in", mine(4), resolve(None), owned(ALICE, 4), mine(4)),
        ("sign-in, refused before that", mine(4), resolve(Some(3)), owned(ALICE, 4), mine(4)),
        ("sign-in, refused and free", free(4), resolve(Some(3)), reserved(ALICE, 5), fresh(5)),
        ("confirm, none", None, confirm(ALICE), Response::Free, None),
        ("confirm", fresh(4), confirm(ALICE), owned(ALICE, 5), mine(5)),
        ("confirm, late", stale(), confirm(ALICE), owned(ALICE, 5), mine(5)),
        ("confirm, twice", mine(4), confirm(ALICE), owned(ALICE, 4), mine(4)),
        ("confirm for another", fresh(4), confirm(bob), taken(ALICE, 4), fresh(4)),
        ("link, none", None, link(bob), reserved(bob, 1), bobs(false, 1)),
        ("link, erased", gone(4), link(bob), reserved(bob, 5), bobs(true, 5)),
        ("link, own", mine(4), link(ALICE), reserved(ALICE, 5), fresh(5)),
        ("link, own, reserved", stale(), link(ALICE), reserved(ALICE, 5), fresh(5)),
        ("link, another's", mine(4), link(bob), taken(ALICE, 4), mine(4)),
        ("link, another signs in", fresh(4), link(bob), Response::Busy, fresh(4)),
        ("link, another's crashed", stale(), link(bob), taken(ALICE, 4), stale()),
        ("unlink, none", None, unlink(ALICE), Response::Free, None),
        ("unlink", mine(4), unlink(ALICE), Response::Free, free(5)),
        ("unlink, reserved", stale(), unlink(ALICE), Response::Free, free(5)),
        ("unlink, erased before", again(), unlink(ALICE), Response::Free, gone(5)),
        ("unlink, as it was", mine(4), unlink_at(ALICE, 4), Response::Free, free(5)),
        ("unlink, changed since", mine(4), unlink_at(ALICE, 3), owned(ALICE, 4), mine(4)),
        ("unlink, another's", mine(4), unlink(bob), taken(ALICE, 4), mine(4)),
        ("erase, none", None, erase(ALICE), Response::Free, gone(1)),
        ("erase", mine(4), erase(ALICE), Response::Free, gone(5)),
        ("erase, twice", gone(4), erase(ALICE), Response::Free, gone(4)),
        ("erase, another's", mine(4), erase(bob), taken(ALICE, 4), mine(4)),
    ] {
        let step = ask(before.clone(), NOW, request);
        assert_eq!(step.response, response, "{name}");
        let is_written = !matches!(step.write, Write::Keep);
        assert_eq!(is_written, before != expected, "{name}");
        assert_eq!(after(before, step.write), expected, "{name}");
        assert!(step.events.is_empty() && step.wake_at.is_none());
    }
}

/// What is reserved for a sign-in.
fn signed_in(record: &mut Option<Record>, refused: Option<u64>) -> Holder {
    let step = ask(record.clone(), NOW, resolve(refused));
    *record = after(record.take(), step.write);
    match step.response {
        Response::Reserved(holder) => holder,
        other => panic!("{other:?}"),
    }
}

#[test]
fn whoever_comes_after_an_erased_user_is_another_user() {
    let mut one = record(None, true, 4);
    let mut other = record(None, true, 4);
    let (one, other) = (signed_in(&mut one, None).sub, signed_in(&mut other, None).sub);
    for sub in [&one, &other] {
        assert!(sub.starts_with("github|42|") && sub.len() == ALICE.len() + 25, "{sub}");
    }
    assert_ne!(one, other);
}

#[test]
fn what_is_erased_tells_nothing_of_the_user() {
    let before = record(Some((ALICE, None)), false, 2);
    let step = ask(before.clone(), NOW, erase(ALICE));
    let stored = serde_json::to_string(&after(before, step.write)).unwrap();
    assert_eq!(stored, r#"{"erased":true,"revision":3}"#);
}

#[test]
fn a_sub_that_another_identity_has_is_given_to_nobody_else() {
    // Another authority under the same connection, or a link that a crash cut short: the user's
    // object says that it does not hold this identity.
    for before in [
        record(Some((ALICE, Some(UNTIL))), false, 4),
        record(Some((ALICE, Some(NOW))), false, 4),
        record(Some((ALICE, None)), false, 4),
    ] {
        let mut object = before;
        let holder = signed_in(&mut object, Some(4));
        assert!(holder.sub.starts_with("github|42|"), "{holder:?}");
        // A second sign-in at the same time is told the same.
        assert_eq!(signed_in(&mut object, Some(4)), holder);
        assert_eq!(signed_in(&mut object, None), holder);
    }
}

#[test]
fn another_authority_is_another_identity_and_so_is_another_client_where_ids_are_pairwise() {
    let account = |provider: &str, issuer: &str, client: &str, permanent: bool| {
        let entry = json!({
            "kind": "oauth2", "client_id": client, "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"), "userinfo_endpoint": format!("{issuer}/me"),
            "identity": {"id": "/id", "permanent": permanent},
        });
        identity::of(provider, &connection(&entry), "42".into())
    };
    for permanent in [true, false] {
        let base = account("work", "https://idp.example", "c1", permanent);
        for (name, issuer, client, is_same) in [
            ("work", "https://idp.example", "c1", true),
            ("home", "https://idp.example", "c1", true),
            ("work", "https://idp.example", "c2", permanent),
            ("work", "https://other.example", "c1", false),
        ] {
            let other = account(name, issuer, client, permanent);
            assert_eq!(base.authority == other.authority, is_same, "{name} {issuer} {client}");
        }
    }
}

#[test]
fn a_sub_keeps_within_what_openid_connect_allows() {
    let long = "1".repeat(129);
    for (id, expected) in [
        ("42", Some("github|42".to_owned())),
        ("a|b", Some("github|a|b".to_owned())),
        (&long[..128], Some(format!("github|{}", &long[..128]))),
        (&long, None),
        ("é", None),
        ("a b", None),
        ("", None),
    ] {
        let resolve = Request::Resolve {
            connection: "github".into(),
            provider_user_id: id.into(),
            refused: None,
        };
        let Response::Reserved(Holder { sub, .. }) = ask(None, NOW, resolve).response else {
            panic!()
        };
        match expected {
            Some(expected) => assert_eq!(sub, expected),
            None => assert_eq!(sub.len(), "github|".len() + 64, "{sub}"),
        }
        assert!(sub.is_ascii() && sub.len() <= 230, "{sub}");
    }
}

#[test]
fn nothing_is_due_at_any_time() {
    let step = Identity::wake(Record::default(), &at(NOW, &sealer()));
    assert_eq!((step.write, step.wake_at), (Write::Keep, None));
}

#[test]
fn record_and_messages_are_pinned() {
    let record = |reserved_until| Record {
        owner: Some(Owner { sub: "u".into(), reserved_until }),
        erased: false,
        revision: 3,
    };
    for (record, json) in [
        (Record { owner: None, erased: true, revision: 3 }, r#"{"erased":true,"revision":3}"#),
        (record(None), r#"{"owner":{"sub":"u"},"erased":false,"revision":3}"#),
        (
            record(Some(9)),
            r#"{"owner":{"sub":"u","reserved_until":9},"erased":false,"revision":3}"#,
        ),
    ] {
        pinned(&record, json);
    }
    for (request, json) in [
        (resolve(None), r#"{"resolve":{"connection":"github","provider_user_id":"42"}}"#),
        (
            resolve(Some(3)),
            r#"{"resolve":{"connection":"github","provider_user_id":"42","refused":3}}"#,
        ),
        (confirm("u"), r#"{"confirm":{"sub":"u"}}"#),
        (link("u"), r#"{"link":{"sub":"u"}}"#),
        (unlink("u"), r#"{"unlink":{"sub":"u"}}"#),
        (unlink_at("u", 3), r#"{"unlink":{"sub":"u","revision":3}}"#),
        (erase("u"), r#"{"erase":{"sub":"u"}}"#),
    ] {
        pinned(&request, json);
    }
    for (response, json) in [
        (owned("u", 3), r#"{"owned":{"sub":"u","revision":3}}"#),
        (reserved("u", 3), r#"{"reserved":{"sub":"u","revision":3}}"#),
        (taken("u", 3), r#"{"taken":{"sub":"u","revision":3}}"#),
        (Response::Busy, r#""busy""#),
        (Response::Free, r#""free""#),
    ] {
        pinned(&response, json);
    }
}
