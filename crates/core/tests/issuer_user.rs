// SPDX-License-Identifier: Apache-2.0
//! The user: which identities sign in, and which tokens and sessions serve.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod issuer_support;

use std::collections::BTreeSet;

use issuer_support::{NOW, at, pinned, sealer};
use serde_json::json;
use vault_core::issuer::identities;
use vault_core::issuer::machine::{Machine, Step, Write};
use vault_core::issuer::user::{
    Check, EndedSession, Identity, LINK_SECONDS, LinkedIdentity, MAX_ENDED, MAX_IDENTITIES,
    Profile, Record, Refusal, Request, Response, User as UserMachine, View,
};

const GITHUB: &str = "https://github.com/login/oauth/access_token";
const GOOGLE: &str = "https://accounts.google.com";

fn identity(authority: &str, id: &str) -> Identity {
    Identity {
        authority: authority.into(),
        connection: if authority == GITHUB { "github" } else { "google" }.into(),
        provider_user_id: id.into(),
    }
}

fn profile(email: &str) -> Profile {
    Profile { email: Some(email.into()), email_verified: true, ..Profile::default() }
}

fn signed_in(authority: &str, id: &str) -> Request {
    Request::SignedIn { identity: identity(authority, id), profile: profile("a@example.com") }
}

fn link(id: &str, auth_time: i64) -> Request {
    Request::Link { identity: identity(GOOGLE, id), auth_time }
}

fn unlink(authority: &str, id: &str) -> Request {
    Request::Unlink { authority: authority.into(), provider_user_id: id.into() }
}

fn refused(why: Refusal) -> Response {
    Response::Refused(why)
}

#[test]
fn the_list_of_identities_is_in_the_order_of_links_and_gives_each_its_own_id() {
    let mut alice = User::alice();
    alice.ask(NOW + 1, link("7", NOW));
    let Response::User(view) = alice.ask(NOW + 2, Request::Get) else { panic!() };
    let id = |authority, id| identities::id(&identity(authority, id));
    let expected = json!({ "identities": [
        {
            "id": id(GITHUB, "42"), "connection": "github", "provider_user_id": "42",
            "linked_at": "2026-11-24T04:00:00Z",
        },
        {
            "id": id(GOOGLE, "7"), "connection": "google", "provider_user_id": "7",
            "linked_at": "2026-11-24T04:00:01Z",
        },
    ] });
    assert_eq!(identities::list(&view), expected);
    // An id tells the parts of an identity apart, and depends on nothing else.
    let ids = [id("ab", "c"), id("a", "bc"), id("abc", ""), id(GITHUB, "42"), id(GITHUB, "7")];
    assert_eq!(BTreeSet::from(ids.clone()).len(), ids.len());
    assert!(ids.iter().all(|id| id.len() == 47 && id.starts_with("idn_")));
    let renamed = Identity { connection: "gh".into(), ..identity(GITHUB, "42") };
    assert_eq!(identities::id(&renamed), id(GITHUB, "42"));
}

/// A user's object.
struct User(Option<Record>);

impl User {
    fn none() -> Self {
        Self(None)
    }

    /// Alice, who signed in at GitHub at `NOW`.
    fn alice() -> Self {
        let mut user = Self::none();
        user.ask(NOW, signed_in(GITHUB, "42"));
        user
    }

    /// Alice, who linked an account at Google as well.
    fn linked() -> Self {
        Self::alice().then(link("7", NOW))
    }

    fn erased() -> Self {
        Self::alice().then(Request::Erase)
    }

    fn disabled() -> Self {
        Self::alice().then(Request::Disable)
    }

    fn then(mut self, request: Request) -> Self {
        self.ask(NOW, request);
        self
    }

    fn step(&self, now: i64, request: Request) -> Step<Record, Response> {
        UserMachine::step(self.0.clone(), request, &at(now, &sealer())).unwrap()
    }

    fn ask(&mut self, now: i64, request: Request) -> Response {
        let step = self.step(now, request);
        match step.write {
            Write::Keep => (),
            Write::Put(record) => self.0 = Some(record),
            Write::Delete => self.0 = None,
        }
        step.response
    }

    fn check(&self, sid: Option<&str>, auth_time: Option<i64>, issued_at: Option<i64>) -> Response {
        let sid = sid.map(str::to_owned);
        self.step(NOW, Request::Check(Check { sid, grant_id: None, auth_time, issued_at })).response
    }

    fn identities(&self) -> Vec<&str> {
        let record = self.0.as_ref().unwrap();
        record.identities.iter().map(|one| one.identity.provider_user_id.as_str()).collect()
    }
}

#[test]
fn each_request_in_each_state() {
    let check = || Request::Check(Check::default());
    let end = || Request::EndSession { sid: "s".into(), until: NOW + 600 };
    let unknown = || refused(Refusal::Unknown);
    let (none, erased) = (User::none as fn() -> User, User::erased as fn() -> User);
    let (alice, linked) = (User::alice as fn() -> User, User::linked as fn() -> User);
    let disabled = User::disabled as fn() -> User;
    for (name, state, request, response, writes) in [
        ("first sign-in", none, signed_in(GITHUB, "42"), Response::Active, true),
        ("sign-in", alice, signed_in(GITHUB, "42"), Response::Active, false),
        ("sign-in, linked", linked, signed_in(GOOGLE, "7"), Response::Active, false),
        ("sign-in, not linked", alice, signed_in(GOOGLE, "7"), Response::Taken, false),
        ("sign-in, other authority", alice, signed_in(GOOGLE, "42"), Response::Taken, false),
        ("sign-in, erased", erased, signed_in(GITHUB, "42"), Response::Taken, false),
        ("sign-in, disabled", disabled, signed_in(GITHUB, "42"), refused(Refusal::Disabled), false),
        ("get, none", none, Request::Get, unknown(), false),
        ("get, erased", erased, Request::Get, unknown(), false),
        ("link, none", none, link("7", NOW), unknown(), false),
        ("link", alice, link("7", NOW), Response::Linked, true),
        ("link, twice", linked, link("7", NOW), Response::Linked, false),
        ("link, erased", erased, link("7", NOW), unknown(), false),
        ("link, disabled", disabled, link("7", NOW + 1), refused(Refusal::Disabled), false),
        ("unlink, none", none, unlink(GITHUB, "42"), Response::Unlinked, false),
        ("unlink, last", alice, unlink(GITHUB, "42"), Response::LastIdentity, false),
        ("unlink, first", linked, unlink(GITHUB, "42"), Response::Unlinked, true),
        ("unlink, further", linked, unlink(GOOGLE, "7"), Response::Unlinked, true),
        ("unlink, not linked", linked, unlink(GOOGLE, "42"), Response::Unlinked, false),
        ("end session, none", none, end(), Response::Done, false),
        ("end session", alice, end(), Response::Done, true),
        ("end session, erased", erased, end(), Response::Done, false),
        ("end all, none", none, Request::EndAll, Response::Done, false),
        ("end all", alice, Request::EndAll, Response::Done, true),
        ("disable, none", none, Request::Disable, unknown(), false),
        ("disable", alice, Request::Disable, Response::Done, true),
        ("enable, erased", erased, Request::Enable, unknown(), false),
        ("enable", disabled, Request::Enable, Response::Done, true),
        ("check, none", none, check(), unknown(), false),
        ("check", alice, check(), Response::Active, false),
        ("check, disabled", disabled, check(), refused(Refusal::Disabled), false),
        ("check, erased", erased, check(), unknown(), false),
        ("erase, none", none, Request::Erase, Response::Done, false),
        ("erase", linked, Request::Erase, Response::Done, true),
        ("erase, twice", erased, Request::Erase, Response::Done, false),
    ] {
        let step = state().step(NOW, request);
        assert_eq!(step.response, response, "{name}");
        assert_eq!(matches!(step.write, Write::Put(_)), writes, "{name}");
        assert!(step.events.is_empty() && step.wake_at.is_none());
    }
}

#[test]
fn a_link_needs_a_sign_in_at_most_five_minutes_old() {
    for (age, response) in [
        (0, Response::Linked),
        (LINK_SECONDS, Response::Linked),
        (LINK_SECONDS + 1, Response::SignInRequired),
        (-60, Response::Linked),
        (-61, Response::SignInRequired),
    ] {
        let mut user = User::alice();
        assert_eq!(user.ask(NOW, link("7", NOW - age)), response, "{age}");
        let expected: &[&str] = if response == Response::Linked { &["42", "7"] } else { &["42"] };
        assert_eq!(user.identities(), expected);
    }
    // Nor does a sign-in do that was ended since.
    let user = User::alice().then(Request::EndAll);
    assert_eq!(user.step(NOW + 1, link("7", NOW)).response, refused(Refusal::Ended));
    assert_eq!(user.step(NOW + 1, link("7", NOW + 1)).response, Response::Linked);
}

#[test]
fn the_same_address_makes_nobody_the_same_user() {
    // Both providers say `a@example.com`, verified.
    assert_eq!(User::alice().ask(NOW, signed_in(GOOGLE, "7")), Response::Taken);
}

#[test]
fn the_last_identity_stays_whichever_that_is() {
    for (first, last) in [((GITHUB, "42"), (GOOGLE, "7")), ((GOOGLE, "7"), (GITHUB, "42"))] {
        let mut user = User::linked();
        assert_eq!(user.ask(NOW, unlink(first.0, first.1)), Response::Unlinked);
        assert_eq!(user.ask(NOW, unlink(last.0, last.1)), Response::LastIdentity);
        assert_eq!(user.identities(), [last.1]);
        assert_eq!(user.ask(NOW, signed_in(first.0, first.1)), Response::Taken);
        assert_eq!(user.ask(NOW, signed_in(last.0, last.1)), Response::Active);
    }
}

#[test]
fn a_user_has_a_bounded_number_of_identities() {
    let mut user = User::alice();
    for number in 1..MAX_IDENTITIES {
        assert_eq!(user.ask(NOW, link(&number.to_string(), NOW)), Response::Linked);
    }
    assert_eq!(user.ask(NOW, link("more", NOW)), Response::TooMany);
    assert_eq!(user.identities().len(), MAX_IDENTITIES);
}

#[test]
fn the_tokens_of_an_ended_session_are_refused_and_no_others() {
    let mut user = User::alice();
    user.ask(NOW + 10, Request::EndSession { sid: "s".into(), until: NOW + 610 });
    let ended = refused(Refusal::SessionEnded);
    for (name, sid, issued_at, response) in [
        ("a token of before", Some("s"), Some(NOW + 5), ended.clone()),
        ("a token of that second", Some("s"), Some(NOW + 10), ended.clone()),
        ("the session itself", Some("s"), None, ended),
        ("a token of a family that goes on", Some("s"), Some(NOW + 11), Response::Active),
        ("a token of another session", Some("t"), Some(NOW + 5), Response::Active),
        ("a token of no session", None, Some(NOW + 5), Response::Active),
    ] {
        assert_eq!(user.check(sid, Some(NOW), issued_at), response, "{name}");
    }
}

#[test]
fn what_came_of_sign_ins_until_the_end_of_all_is_refused() {
    let mut user = User::alice();
    user.ask(NOW + 10, Request::EndAll);
    let ended = refused(Refusal::Ended);
    for (auth_time, issued_at, response) in [
        (Some(NOW), None, ended.clone()),
        (Some(NOW + 10), None, ended.clone()),
        (Some(NOW + 11), None, Response::Active),
        (None, Some(NOW + 10), ended.clone()),
        (None, Some(NOW + 11), Response::Active),
        (Some(NOW), Some(NOW + 11), ended),
        (Some(NOW + 11), Some(NOW + 11), Response::Active),
    ] {
        assert_eq!(user.check(None, auth_time, issued_at), response, "{auth_time:?} {issued_at:?}");
    }
}

#[test]
fn what_was_ended_by_disabling_stays_so_when_the_user_is_enabled_again() {
    let user = User::disabled().then(Request::Enable);
    assert_eq!(user.check(None, Some(NOW), None), refused(Refusal::Ended));
    assert_eq!(user.check(None, Some(NOW + 1), Some(NOW + 1)), Response::Active);
}

#[test]
fn of_many_ended_sessions_none_serves_again() {
    let mut user = User::alice();
    let more = 5;
    for number in 0..MAX_ENDED + more {
        let (sid, now) = (number.to_string(), NOW + i64::try_from(number).unwrap());
        user.ask(now, Request::EndSession { sid, until: NOW + 86_400 });
    }
    assert_eq!(user.0.as_ref().unwrap().ended.len(), MAX_ENDED);
    for number in 0..MAX_ENDED + more {
        let ended_at = NOW + i64::try_from(number).unwrap();
        let response = user.check(Some(&number.to_string()), Some(NOW), Some(ended_at));
        assert!(matches!(response, Response::Refused(_)), "{number}");
    }
    // Sign-ins go on.
    assert_eq!(user.check(Some("other"), Some(NOW - 5), None), Response::Active);
}

#[test]
fn an_ended_session_is_remembered_once_and_until_its_tokens_are_over() {
    let ended = |sid: &str, at: i64, until: i64| EndedSession { sid: sid.into(), at, until };
    let mut user = User::alice();
    let mut end = |sid: &str, now: i64, until: i64| {
        user.ask(now, Request::EndSession { sid: sid.into(), until });
        user.0.clone().unwrap().ended
    };
    assert_eq!(end("s", NOW, NOW + 600), [ended("s", NOW, NOW + 600)]);
    assert_eq!(end("s", NOW + 1, NOW + 601), [ended("s", NOW, NOW + 601)]);
    // A token is taken for a minute longer than it lives, as clocks differ.
    assert_eq!(end("t", NOW + 660, NOW + 1260).len(), 2);
    assert_eq!(end("t", NOW + 661, NOW + 1260), [ended("t", NOW + 660, NOW + 1260)]);
}

#[test]
fn an_ended_session_stays_so_after_the_end_of_all() {
    let mut user = User::alice();
    user.ask(NOW, Request::EndSession { sid: "s".into(), until: NOW + 600 });
    user.ask(NOW, Request::EndAll);
    assert_eq!(user.check(Some("s"), None, None), refused(Refusal::SessionEnded));
}

#[test]
fn the_profile_is_what_a_provider_told_last_within_bounds() {
    let long = "x".repeat(3000);
    let known = profile("a@example.com");
    let some = |text: &str| Some(text.to_owned());
    for (told, expected) in [
        (Profile::default(), known.clone()),
        (known.clone(), known.clone()),
        (profile("b@example.com"), profile("b@example.com")),
        (
            Profile { name: some("Alice"), email_verified: true, ..Profile::default() },
            Profile { name: some("Alice"), ..Profile::default() },
        ),
        (
            Profile {
                name: some("A"),
                email: some(&long),
                email_verified: true,
                picture: some(&long),
            },
            Profile { name: some("A"), ..Profile::default() },
        ),
        (Profile { name: some(&long), email: some(""), ..Profile::default() }, known),
    ] {
        let mut user = User::alice();
        let request = Request::SignedIn { identity: identity(GITHUB, "42"), profile: told.clone() };
        user.ask(NOW, request);
        assert_eq!(user.0.unwrap().profile, expected, "{told:?}");
    }
}

#[test]
fn who_a_user_is_can_be_asked() {
    let mut user = User::linked();
    let Response::User(view) = user.ask(NOW, Request::Get) else { panic!() };
    assert!(view.holds(GITHUB, "42") && view.holds(GOOGLE, "7"));
    assert!(!view.holds(GOOGLE, "42") && !view.holds(GITHUB, "7"));
    assert_eq!((view.created_at, view.disabled), (NOW, false));
    assert_eq!(view.profile, profile("a@example.com"));
}

#[test]
fn an_erased_user_leaves_nothing_but_that() {
    assert_eq!(User::erased().0.unwrap(), Record { erased: true, ..Record::default() });
    let step = UserMachine::wake(Record::default(), &at(NOW, &sealer()));
    assert_eq!((step.write, step.wake_at), (Write::Keep, None));
}

#[test]
fn the_record_is_pinned() {
    pinned(
        &Record {
            identities: vec![LinkedIdentity { identity: identity(GITHUB, "42"), linked_at: 1 }],
            profile: Profile {
                name: Some("Alice".into()),
                picture: Some("https://p.example/a".into()),
                ..profile("a@example.com")
            },
            created_at: 2,
            disabled: false,
            not_before: Some(3),
            tokens_not_before: Some(4),
            ended: vec![EndedSession { sid: "s".into(), at: 5, until: 6 }],
            erased: false,
        },
        r#"{"identities":[{"authority":"https://github.com/login/oauth/access_token","connection":"github","provider_user_id":"42","linked_at":1}],"profile":{"name":"Alice","email":"a@example.com","email_verified":true,"picture":"https://p.example/a"},"created_at":2,"disabled":false,"not_before":3,"tokens_not_before":4,"ended":[{"sid":"s","at":5,"until":6}],"erased":false}"#,
    );
    pinned(
        &Record { erased: true, ..Record::default() },
        r#"{"identities":[],"profile":{"email_verified":false},"created_at":0,"disabled":false,"ended":[],"erased":true}"#,
    );
}

#[test]
fn the_access_tokens_of_an_ended_refresh_token_family_end_and_no_others() {
    let end = Request::EndGrant { grant_id: "g1".into(), until: NOW + 600 };
    let user = User::alice().then(end);
    for (grant_id, issued_at, serves) in [
        (Some("g1"), NOW, false),
        (Some("g1"), NOW + 1, true),
        (Some("g2"), NOW, true),
        (None, NOW, true),
    ] {
        let check = Check {
            sid: Some("s".into()),
            grant_id: grant_id.map(str::to_owned),
            issued_at: Some(issued_at),
            ..Check::default()
        };
        let response = user.step(NOW, Request::Check(check)).response;
        assert_eq!(response == Response::Active, serves, "{grant_id:?} {issued_at}");
    }
}

#[test]
fn the_messages_are_pinned() {
    let who = r#"{"authority":"https://accounts.google.com","connection":"google","provider_user_id":"7"}"#;
    let told = r#"{"email":"a@example.com","email_verified":true}"#;
    for (request, json) in [
        (
            signed_in(GOOGLE, "7"),
            format!(r#"{{"signed_in":{{"identity":{who},"profile":{told}}}}}"#),
        ),
        (Request::Get, r#""get""#.into()),
        (link("7", 1), format!(r#"{{"link":{{"identity":{who},"auth_time":1}}}}"#)),
        (
            unlink(GOOGLE, "7"),
            r#"{"unlink":{"authority":"https://accounts.google.com","provider_user_id":"7"}}"#
                .into(),
        ),
        (
            Request::EndSession { sid: "s".into(), until: 9 },
            r#"{"end_session":{"sid":"s","until":9}}"#.into(),
        ),
        (
            Request::EndGrant { grant_id: "g".into(), until: 1 },
            r#"{"end_grant":{"grant_id":"g","until":1}}"#.into(),
        ),
        (Request::EndAll, r#""end_all""#.into()),
        (Request::Disable, r#""disable""#.into()),
        (Request::Enable, r#""enable""#.into()),
        (
            Request::Check(Check {
                sid: Some("s".into()),
                grant_id: Some("g".into()),
                auth_time: Some(1),
                issued_at: Some(2),
            }),
            r#"{"check":{"sid":"s","grant_id":"g","auth_time":1,"issued_at":2}}"#.into(),
        ),
        (Request::Check(Check::default()), r#"{"check":{}}"#.into()),
        (Request::Erase, r#""erase""#.into()),
    ] {
        pinned(&request, &json);
    }
    let view = View {
        identities: vec![],
        profile: profile("a@example.com"),
        created_at: 1,
        disabled: true,
    };
    for (response, json) in [
        (Response::Active, r#""active""#.to_owned()),
        (refused(Refusal::Unknown), r#"{"refused":"unknown"}"#.into()),
        (refused(Refusal::Disabled), r#"{"refused":"disabled"}"#.into()),
        (refused(Refusal::Ended), r#"{"refused":"ended"}"#.into()),
        (refused(Refusal::SessionEnded), r#"{"refused":"session_ended"}"#.into()),
        (Response::Taken, r#""taken""#.into()),
        (
            Response::User(Box::new(view)),
            format!(
                r#"{{"user":{{"identities":[],"profile":{told},"created_at":1,"disabled":true}}}}"#
            ),
        ),
        (Response::Linked, r#""linked""#.into()),
        (Response::SignInRequired, r#""sign_in_required""#.into()),
        (Response::TooMany, r#""too_many""#.into()),
        (Response::Unlinked, r#""unlinked""#.into()),
        (Response::LastIdentity, r#""last_identity""#.into()),
        (Response::Done, r#""done""#.into()),
    ] {
        pinned(&response, &json);
    }
}
