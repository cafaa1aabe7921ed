// SPDX-License-Identifier: Apache-2.0
//! Authorization requests, browser sessions, identities, users and signing keys: state by request.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::{Value, json};
use vault_base::encoding::base64url;
use vault_base::seal::{KeyRing, SealError, Sealer};
use vault_base::secret::Secret;
use vault_core::issuer::authorization_request::AuthorizationRequest;
use vault_core::issuer::machine::{At, Erased, Machine, StepError, Write};
use vault_core::issuer::user::{LinkedIdentity, Profile};
use vault_core::issuer::{authorization, identity, session, signing_keys, user};

const NOW: i64 = 1_795_492_800;
const DAY: i64 = 86_400;

/// An object of one machine, as the Worker sees it.
struct Object<M: Machine> {
    record: Option<M::Record>,
    sealer: Sealer,
    wakes_at: Option<i64>,
}

fn sealer(key: &str) -> Sealer {
    let ring = json!({"write": key, "keys": {key: base64url([7; 32])}}).to_string();
    Sealer::new(&KeyRing::parse(&ring).unwrap(), "object")
}

impl<M: Machine> Object<M> {
    fn new() -> Self {
        Self { record: None, sealer: sealer("k1"), wakes_at: None }
    }

    fn try_ask(&mut self, request: M::Request, now: i64) -> Result<M::Response, SealError> {
        let record = self.record.take();
        let stored = record.as_ref().map(|record| serde_json::to_string(record).unwrap());
        let read = |text: &String| serde_json::from_str(text).unwrap();
        self.record = stored.as_ref().map(read);
        let at = At { now, sealer: &self.sealer, issuer: "https://vault.example/" };
        let step = M::step(record, request, &at)?;
        match step.write {
            Write::Keep => {}
            Write::Put(record) => {
                self.record = Some(read(&serde_json::to_string(&record).unwrap()));
            }
            Write::Delete => self.record = None,
        }
        self.wakes_at = step.wake_at.or(self.wakes_at);
        Ok(step.response)
    }

    fn ask(&mut self, request: M::Request, now: i64) -> M::Response {
        self.try_ask(request, now).unwrap()
    }
}

fn request(challenge: Option<&str>) -> Box<AuthorizationRequest> {
    let mut value = json!({
        "client_id": "app", "redirect_uri": "https://app.example/cb", "response_mode": "query",
        "scopes": ["openid"],
    });
    if let Some(challenge) = challenge {
        value["code_challenge"] = challenge.into();
    }
    serde_json::from_value(value).unwrap()
}

fn grant() -> authorization::CodeGrant {
    authorization::CodeGrant { subject: "demo|1".into(), sid: "s".into(), auth_time: NOW }
}

fn secret_of(handle: &Secret) -> Secret {
    Secret::new(handle.expose().split_once('.').unwrap().1)
}

type Authorization = Object<authorization::Authorization>;

/// An authorization whose code was issued, and the code's secret.
fn issued(challenge: Option<&str>) -> (Authorization, Secret) {
    let mut object = Authorization::new();
    let issue = authorization::Request::Issue {
        grant: Some(grant()),
        request: Some(("a".into(), request(challenge))),
    };
    match object.ask(issue, NOW) {
        authorization::Response::Issued { code, .. } => (object, secret_of(&code)),
        other => panic!("{other:?}"),
    }
}

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn redeem(secret: &Secret, change: &Value) -> authorization::Request {
    let text = |name: &str, standard: Option<&str>| match &change[name] {
        Value::Null => standard.map(str::to_owned),
        Value::String(text) => Some(text.clone()),
        _ => None,
    };
    authorization::Request::Redeem {
        secret: secret.clone(),
        client_id: text("client_id", Some("app")).unwrap(),
        redirect_uri: text("redirect_uri", Some("https://app.example/cb")),
        code_verifier: text("code_verifier", Some(VERIFIER)).map(Secret::new),
        family: "f".into(),
    }
}

#[test]
fn a_code_is_redeemed_once_and_its_replay_names_what_it_gave() {
    // RFC 6749 §4.1.2.
    let (mut object, secret) = issued(Some(CHALLENGE));
    let granted = object.ask(redeem(&secret, &json!({})), NOW + 59);
    assert!(matches!(granted, authorization::Response::Granted { grant: of, .. } if of == grant()));
    let other = object.ask(redeem(&Secret::new("x"), &json!({})), NOW + 60);
    assert!(matches!(other, authorization::Response::Refused));
    let again = object.ask(redeem(&secret, &json!({})), NOW + DAY - 1);
    assert!(matches!(again, authorization::Response::Replayed { family } if family == "f"));
    assert!(object.record.is_none());
}

#[test]
fn a_code_with_a_wrong_client_redirect_uri_or_verifier_is_burnt() {
    // RFC 7636 §4.6, RFC 9700 §2.1.1: no downgrade in either direction.
    for (challenge, change) in [
        (Some(CHALLENGE), json!({"client_id": "other"})),
        (Some(CHALLENGE), json!({"redirect_uri": "https://app.example/cb2"})),
        (Some(CHALLENGE), json!({"code_verifier": "wrong"})),
        (Some(CHALLENGE), json!({"code_verifier": false})),
        (None, json!({})),
        (None, json!({"code_verifier": false, "redirect_uri": false})),
    ] {
        let (mut object, secret) = issued(challenge);
        let refused = object.ask(redeem(&secret, &change), NOW);
        assert!(matches!(refused, authorization::Response::Refused), "{change}");
        assert!(object.record.is_none(), "{change}");
    }
    // A wrong secret burns nothing: it proves no theft.
    let (mut object, secret) = issued(None);
    object.ask(redeem(&Secret::new("guess"), &json!({})), NOW);
    let good = object.ask(redeem(&secret, &json!({"code_verifier": false})), NOW);
    assert!(matches!(good, authorization::Response::Granted { .. }));
    // A challenge binds the code, so the redirect URI may be left out.
    let (mut object, secret) = issued(Some(CHALLENGE));
    let good = object.ask(redeem(&secret, &json!({"redirect_uri": false})), NOW);
    assert!(matches!(good, authorization::Response::Granted { .. }));
}

#[test]
fn each_phase_of_an_authorization_ends_in_time() {
    let (mut object, secret) = issued(None);
    let late = object.ask(redeem(&secret, &json!({"code_verifier": false})), NOW + 60);
    assert!(matches!(late, authorization::Response::Refused) && object.record.is_none());

    let mut object = Authorization::new();
    let open = authorization::Request::Open {
        id: "a".into(),
        request: request(None),
        browser: Secret::new("b"),
    };
    object.ask(open, NOW);
    assert_eq!(object.wakes_at, Some(NOW + authorization::SIGN_IN_TIME));
    let read = |browser: &str| authorization::Request::Read { browser: Secret::new(browser) };
    assert!(matches!(object.ask(read("other"), NOW), authorization::Response::Refused));
    assert!(matches!(object.ask(read("b"), NOW), authorization::Response::Request { .. }));
    let late = object.ask(read("b"), NOW + authorization::SIGN_IN_TIME);
    assert!(matches!(late, authorization::Response::Refused));
}

#[test]
fn a_pushed_request_is_used_once_by_its_client() {
    // RFC 9126 §4.
    let mut object = Authorization::new();
    let push = authorization::Request::Push { id: "a".into(), request: request(None) };
    let authorization::Response::Pushed { handle } = object.ask(push, NOW) else { panic!() };
    let take = |client: &str, secret: Secret| authorization::Request::Take {
        secret,
        client_id: client.into(),
    };
    for (client, secret) in [("other", secret_of(&handle)), ("app", Secret::new("x"))] {
        let refused = object.ask(take(client, secret), NOW);
        assert!(matches!(refused, authorization::Response::Refused));
    }
    let taken =
        object.ask(take("app", secret_of(&handle)), NOW + authorization::PUSHED_LIFETIME - 1);
    assert!(matches!(taken, authorization::Response::Request { .. }));
    let again = object.ask(take("app", secret_of(&handle)), NOW);
    assert!(matches!(again, authorization::Response::Refused));
}

#[test]
fn a_code_after_consent_is_for_the_user_who_signed_in_and_for_nobody_before() {
    let mut object = Authorization::new();
    let open = authorization::Request::Open {
        id: "a".into(),
        request: request(None),
        browser: Secret::new("b"),
    };
    object.ask(open, NOW);
    let allow = || authorization::Request::Issue { grant: None, request: None };
    assert!(matches!(object.ask(allow(), NOW), authorization::Response::Refused));
    object.ask(authorization::Request::Await { grant: grant() }, NOW);
    assert!(matches!(object.ask(allow(), NOW), authorization::Response::Issued { .. }));
    assert!(matches!(
        object.ask(authorization::Request::Fail, NOW),
        authorization::Response::Refused
    ));
}

fn started() -> (Object<session::BrowserSession>, Secret) {
    let mut object = Object::new();
    let user =
        session::SignedIn { subject: "demo|1".into(), connection: "demo".into(), auth_time: NOW };
    let start = session::Request::Start { id: "s".into(), user, idle: 3 * DAY, lifetime: 30 * DAY };
    match object.ask(start, NOW) {
        session::Response::Started { cookie } => (object, secret_of(&cookie)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_lives_while_it_is_used_and_to_its_end_at_most() {
    let (mut object, secret) = started();
    let check = |secret: &Secret| session::Request::Check { secret: secret.clone() };
    assert!(matches!(object.ask(check(&Secret::new("x")), NOW), session::Response::Unknown));
    for days in 1..15 {
        let alive = object.ask(check(&secret), NOW + 2 * days * DAY);
        assert!(matches!(alive, session::Response::Alive { .. }), "{days}");
    }
    assert!(matches!(object.ask(check(&secret), NOW + 30 * DAY), session::Response::Unknown));
    assert!(object.record.is_none());
    let (mut idle, secret) = started();
    assert!(matches!(idle.ask(check(&secret), NOW + 3 * DAY), session::Response::Unknown));
}

#[test]
fn an_ended_session_names_the_clients_and_families_that_it_gave() {
    let (mut object, secret) = started();
    for (client, family) in [("app", Some("f1")), ("app", Some("f2")), ("other", None)] {
        let family = family.map(str::to_owned);
        object.ask(session::Request::Join { client_id: client.into(), family }, NOW);
    }
    let wrong = session::Request::End { secret: Some(Secret::new("x")) };
    assert!(matches!(object.ask(wrong, NOW), session::Response::Unknown));
    let end = session::Request::End { secret: Some(secret) };
    let session::Response::Ended { clients, .. } = object.ask(end, NOW) else { panic!() };
    let expected = json!({"app": ["f1", "f2"], "other": []});
    assert_eq!(serde_json::to_value(clients).unwrap(), expected);
    assert!(object.record.is_none());
}

#[test]
fn an_identity_has_one_user_and_gives_a_released_one_no_second_life() {
    let mut object = Object::<identity::Identity>::new();
    let own = |subject: &str| identity::Request::Own { subject: subject.into() };
    let owned = |subject: &str| identity::Response::Owned { subject: subject.into() };
    let release = |subject: &str| identity::Request::Release { subject: subject.into() };
    assert_eq!(
        object.ask(identity::Request::Find, NOW),
        identity::Response::Free { was_owned: false }
    );
    assert_eq!(object.ask(own("a"), NOW), owned("a"));
    // Another user does not get it, and does not take it away.
    assert_eq!(object.ask(own("b"), NOW), owned("a"));
    assert_eq!(object.ask(release("b"), NOW), owned("a"));
    assert_eq!(object.ask(release("a"), NOW), identity::Response::Free { was_owned: true });
    assert_eq!(
        object.ask(identity::Request::Find, NOW),
        identity::Response::Free { was_owned: true }
    );
    assert_eq!(object.ask(own("b"), NOW), owned("b"));
}

fn linked(realm: &str) -> LinkedIdentity {
    LinkedIdentity { realm: realm.into(), user: "1".into(), connection: "demo".into() }
}

fn sign_in(realm: &str) -> user::Request {
    user::Request::SignIn { identity: linked(realm), profile: Profile::default() }
}

#[test]
fn a_sub_belongs_to_the_identities_of_its_user_alone() {
    let mut object = Object::<user::User>::new();
    assert_eq!(object.ask(user::Request::Get, NOW), user::Response::Inactive);
    assert_eq!(object.ask(sign_in("a"), NOW), user::Response::SignedIn);
    // A connection that comes to stand for another provider has another realm.
    assert_eq!(object.ask(sign_in("b"), NOW), user::Response::Taken);
    let link = |auth_time| user::Request::Link { identity: linked("b"), auth_time };
    assert_eq!(object.ask(link(NOW - user::LINK_AGE - 1), NOW), user::Response::LinkRefused);
    assert_eq!(object.ask(link(NOW - user::LINK_AGE), NOW), user::Response::Done);
    assert_eq!(object.ask(sign_in("b"), NOW), user::Response::SignedIn);
    let unlink = |realm: &str| user::Request::Unlink { realm: realm.into(), user: "1".into() };
    assert_eq!(object.ask(unlink("a"), NOW), user::Response::Done);
    assert_eq!(object.ask(unlink("b"), NOW), user::Response::Last);
    assert_eq!(object.ask(sign_in("a"), NOW), user::Response::Taken);
}

#[test]
fn tokens_of_an_ended_session_or_a_disabled_user_do_not_count() {
    let mut object = Object::<user::User>::new();
    object.ask(sign_in("a"), NOW);
    let check = |sid: &str, issued_at| user::Request::Check { sid: Some(sid.into()), issued_at };
    assert_eq!(object.ask(check("s1", NOW), NOW), user::Response::Active);
    object.ask(user::Request::EndSession { sid: "s1".into() }, NOW);
    assert_eq!(object.ask(check("s1", NOW), NOW), user::Response::Inactive);
    assert_eq!(object.ask(check("s2", NOW), NOW), user::Response::Active);
    object.ask(user::Request::Disable { disabled: true }, NOW);
    assert_eq!(object.ask(check("s2", NOW), NOW), user::Response::Inactive);
    assert_eq!(object.ask(sign_in("a"), NOW), user::Response::Disabled);
    object.ask(user::Request::Disable { disabled: false }, NOW);
    // What was issued before stays ended.
    assert_eq!(object.ask(check("s2", NOW), NOW), user::Response::Inactive);
    assert_eq!(object.ask(check("s2", NOW + 1), NOW + 1), user::Response::Active);
}

#[test]
fn ended_sessions_are_remembered_for_a_day_and_in_bounded_number() {
    let mut object = Object::<user::User>::new();
    object.ask(sign_in("a"), NOW);
    for number in 0..300 {
        object.ask(user::Request::EndSession { sid: format!("s{number}") }, NOW + number);
    }
    assert_eq!(object.record.as_ref().unwrap().ended.len(), 200);
    object.ask(user::Request::EndSession { sid: "last".into() }, NOW + 2 * DAY);
    assert_eq!(object.record.unwrap().ended.len(), 1);
}

fn add(n: &str) -> signing_keys::Request {
    signing_keys::Request::Add {
        n: n.into(),
        e: "AQAB".into(),
        pkcs8: Secret::new(format!("key {n}")),
    }
}

/// The key that signs, the ids that are published, and whether one must be made.
fn keys(object: &mut Object<signing_keys::SigningKeys>, now: i64) -> (String, usize, bool) {
    match object.ask(signing_keys::Request::Get, now) {
        signing_keys::Response::Keys { pkcs8, jwks, make, .. } => {
            (pkcs8.expose().to_owned(), jwks["keys"].as_array().unwrap().len(), make)
        }
        signing_keys::Response::Make => (String::new(), 0, true),
    }
}

#[test]
fn keys_are_published_before_they_sign_and_while_their_tokens_live() {
    let mut object = Object::new();
    assert_eq!(keys(&mut object, NOW), (String::new(), 0, true));
    object.ask(add("one"), NOW);
    // The first is used at once, and a second isolate's is not taken.
    object.ask(add("late"), NOW);
    assert_eq!(keys(&mut object, NOW), ("key one".into(), 1, false));
    let rotation = NOW + 90 * DAY;
    assert!(!keys(&mut object, rotation - DAY - 1).2 && keys(&mut object, rotation - DAY).2);
    object.ask(add("two"), rotation - DAY);
    assert_eq!(keys(&mut object, rotation - 1), ("key one".into(), 2, false));
    assert_eq!(keys(&mut object, rotation), ("key two".into(), 2, false));
    // The old one goes with the next change, when no token of its can live.
    object.ask(add("three"), rotation + 89 * DAY);
    assert_eq!(keys(&mut object, rotation + 89 * DAY), ("key two".into(), 2, false));
    let stored = serde_json::to_string(&object.record).unwrap();
    assert!(!stored.contains("key two"));
}

#[test]
fn without_its_sealing_key_no_key_signs_and_nothing_changes() {
    let mut object = Object::<signing_keys::SigningKeys>::new();
    object.ask(add("one"), NOW);
    let before = object.record.clone();
    object.sealer = sealer("k2");
    let refused = object.try_ask(signing_keys::Request::Get, NOW);
    assert!(matches!(refused, Err(SealError::KeyUnavailable { .. })));
    assert_eq!(object.record, before);
}

#[test]
fn an_erased_machine_is_the_same_and_says_what_it_cannot_read() {
    let sealer = sealer("k1");
    let at = At { now: NOW, sealer: &sealer, issuer: "https://vault.example/" };
    let machine = Erased::of::<identity::Identity>();
    let step = (machine.step)(None, r#"{"own":{"subject":"a"}}"#, &at).unwrap();
    assert_eq!(step.write, Write::Put(r#"{"owned":{"subject":"a"}}"#.to_owned()));
    assert_eq!(step.response, r#"{"owned":{"subject":"a"}}"#);
    assert_eq!((machine.step)(None, r#"{"later":{}}"#, &at).unwrap_err(), StepError::Request);
    assert_eq!((machine.step)(Some("{}"), r#""find""#, &at).unwrap_err(), StepError::Record);
}

#[test]
fn stored_records_are_pinned() {
    let (object, _) = issued(Some(CHALLENGE));
    let mut record = serde_json::to_value(object.record).unwrap();
    record["phase"]["issued"]["code"] = "h".into();
    assert_eq!(
        record.to_string(),
        r#"{"id":"a","phase":{"issued":{"code":"h","grant":{"auth_time":1795492800,"sid":"s","subject":"demo|1"},"until":1795492860}},"request":{"client_id":"app","code_challenge":"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM","prompt":"needed","redirect_uri":"https://app.example/cb","response_mode":"query","scopes":["openid"]}}"#
    );
    let (object, _) = started();
    let mut record = serde_json::to_value(object.record).unwrap();
    record["secret"] = "h".into();
    assert_eq!(
        record.to_string(),
        r#"{"clients":{},"expires_at":1798084800,"id":"s","idle":259200,"secret":"h","used_at":1795492800,"user":{"auth_time":1795492800,"connection":"demo","subject":"demo|1"}}"#
    );
    let mut object = Object::<user::User>::new();
    object.ask(sign_in("a"), NOW);
    assert_eq!(
        serde_json::to_string(&object.record).unwrap(),
        r#"{"identities":[{"realm":"a","user":"1","connection":"demo"}],"profile":{},"created_at":1795492800,"not_before":0,"disabled":false,"ended":{}}"#
    );
}
