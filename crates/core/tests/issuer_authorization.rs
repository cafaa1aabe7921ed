// SPDX-License-Identifier: Apache-2.0
//! Authorization requests, state by request, and machines whose record and messages are text.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::{Value, json};
use vault_base::encoding::base64url;
use vault_base::seal::{KeyRing, SealError, Sealer};
use vault_base::secret::Secret;
use vault_core::issuer::authorization_request::AuthorizationRequest;
use vault_core::issuer::machine::{At, Erased, Machine, StepError, Write};
use vault_core::issuer::{authorization, identity};

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

#[test]
fn an_erased_machine_is_the_same_and_says_what_it_cannot_read() {
    let sealer = sealer("k1");
    let at = At { now: NOW, sealer: &sealer, issuer: "https://vault.example/" };
    let machine = Erased::of::<identity::Identity>();
    let step = (machine.step)(None, r#"{"link":{"sub":"a"}}"#, &at).unwrap();
    let stored = r#"{"owner":{"sub":"a","reserved_until":1795493400},"erased":false,"revision":1}"#;
    assert_eq!(step.write, Write::Put(stored.to_owned()));
    assert_eq!(step.response, r#"{"reserved":{"sub":"a","revision":1}}"#);
    assert_eq!((machine.step)(None, r#"{"later":{}}"#, &at).unwrap_err(), StepError::Request);
    assert_eq!(
        (machine.step)(Some("7"), r#"{"confirm":{"sub":"a"}}"#, &at).unwrap_err(),
        StepError::Record
    );
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
}
