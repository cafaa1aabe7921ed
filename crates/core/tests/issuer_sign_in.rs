// SPDX-License-Identifier: Apache-2.0
//! What an authorization request needs, and what an account at a provider is for.

#![allow(clippy::unwrap_used)]

#[path = "support/config.rs"]
mod config_support;

use config_support::load;
use serde_json::json;
use vault_core::config::{Client, Config};
use vault_core::issuer::authorization::CodeGrant;
use vault_core::issuer::authorization_request::{AuthorizationRequest, Prompt, ResponseMode};
use vault_core::issuer::session::View;
use vault_core::issuer::sign_in::{Next, Purpose, Refused, after, may_link, next, purpose};
use vault_core::issuer::user::LINK_SECONDS;

const NOW: i64 = 1_795_492_800;

fn config() -> Config {
    let client = |kind: &str, digits: &str| {
        json!({
            "authentication": "client_secret", "kind": kind, "secret_sha256": [digits.repeat(32)],
            "grants": ["authorization_code"],
        })
    };
    load(&json!({
        "SIGN_IN": { "connections": ["calendar"] },
        "CLIENTS": { "own": client("web", "11"), "partner": client("third_party", "22") },
    }))
    .unwrap()
}

fn client<'a>(config: &'a Config, id: &str) -> &'a Client {
    config.clients.get(id).unwrap()
}

fn request(link: bool, prompt: Prompt, max_age: Option<i64>) -> AuthorizationRequest {
    AuthorizationRequest {
        client_id: "own".into(),
        redirect_uri: "https://app.example.com/".into(),
        response_mode: ResponseMode::Query,
        state: None,
        nonce: None,
        scopes: vec!["openid".into()],
        audience: None,
        code_challenge: None,
        prompt,
        max_age,
        login_hint: None,
        ui_locales: None,
        connection: None,
        link: link.then(|| "calendar".into()),
    }
}

/// Alice's session, which began this many seconds ago.
fn session(age: i64) -> View {
    View {
        sid: "s1".into(),
        sub: "calendar|alice".into(),
        connection: "calendar".into(),
        auth_time: NOW - age,
        absolute_end: NOW + 1000,
        clients: Vec::new(),
    }
}

/// What Alice's session gives.
fn grant(age: i64) -> CodeGrant {
    CodeGrant { subject: "calendar|alice".into(), sid: "s1".into(), auth_time: NOW - age }
}

#[derive(Debug, PartialEq)]
enum Is {
    Issue,
    Consent,
    Link,
    SignIn,
    Fail(&'static str),
}

fn is(next: Next, age: i64) -> Is {
    let kind = match &next {
        Next::Issue(_) => Is::Issue,
        Next::Consent(_) => Is::Consent,
        Next::Link(_) => Is::Link,
        Next::SignIn => Is::SignIn,
        Next::Fail(code, _) => Is::Fail(code),
    };
    if let Next::Issue(given) | Next::Consent(given) | Next::Link(given) = next {
        assert_eq!(given, grant(age));
    }
    kind
}

#[test]
fn a_link_needs_a_fresh_sign_in_and_consent_whatever_else_is_asked_for() {
    let config = config();
    let own = client(&config, "own");
    let old = LINK_SECONDS + 1;
    for (age, prompt, max_age, expected, then) in [
        (None, Prompt::Needed, None, Is::SignIn, Is::Link),
        (Some(0), Prompt::Needed, None, Is::Link, Is::Link),
        (Some(LINK_SECONDS), Prompt::Needed, None, Is::Link, Is::Link),
        (Some(old), Prompt::Needed, None, Is::SignIn, Is::Link),
        (Some(old), Prompt::Needed, Some(old), Is::SignIn, Is::Link),
        (Some(60), Prompt::Needed, Some(59), Is::SignIn, Is::Link),
        (Some(60), Prompt::Needed, Some(60), Is::Link, Is::Link),
        (Some(0), Prompt::Login, None, Is::SignIn, Is::Link),
        (Some(0), Prompt::SelectAccount, None, Is::SignIn, Is::Link),
        (Some(0), Prompt::Consent, None, Is::Link, Is::Link),
        (Some(old), Prompt::Consent, None, Is::SignIn, Is::Link),
        (None, Prompt::None, None, Is::Fail("interaction_required"), Is::Link),
        (Some(0), Prompt::None, None, Is::Fail("interaction_required"), Is::Link),
        (Some(old), Prompt::None, None, Is::Fail("interaction_required"), Is::Link),
    ] {
        let asked = request(true, prompt, max_age);
        let found = age.map(session);
        let got = is(next(&asked, own, found.as_ref(), NOW), age.unwrap_or_default());
        assert_eq!(got, expected, "{age:?} {prompt:?} {max_age:?}");
        let signed_in = is(after(&asked, own, grant(0)), 0);
        assert_eq!(signed_in, then, "{age:?} {prompt:?} {max_age:?}");
    }
}

#[test]
fn without_a_link_a_session_serves_however_old_and_consent_is_asked_for_where_it_is_needed() {
    let config = config();
    let old = LINK_SECONDS + 1;
    for (name, age, prompt, max_age, expected) in [
        ("own", Some(old), Prompt::Needed, None, Is::Issue),
        ("own", Some(old), Prompt::Needed, Some(LINK_SECONDS), Is::SignIn),
        ("own", Some(old), Prompt::None, None, Is::Issue),
        ("own", None, Prompt::None, None, Is::Fail("login_required")),
        ("own", Some(old), Prompt::Consent, None, Is::Consent),
        ("own", Some(0), Prompt::Login, None, Is::SignIn),
        ("partner", Some(old), Prompt::Needed, None, Is::Consent),
        ("partner", Some(0), Prompt::None, None, Is::Fail("consent_required")),
        ("partner", None, Prompt::Needed, None, Is::SignIn),
    ] {
        let asked = request(false, prompt, max_age);
        let found = age.map(session);
        let got = next(&asked, client(&config, name), found.as_ref(), NOW);
        assert_eq!(is(got, age.unwrap_or_default()), expected, "{name} {age:?} {prompt:?}");
    }
}

#[test]
fn a_user_goes_on_to_link_only_in_the_session_that_consented_and_soon_after_its_sign_in() {
    let other_user = View { sub: "calendar|mallory".into(), ..session(0) };
    let other_session = View { sid: "s2".into(), ..session(0) };
    let of_age = |age| (Some(session(age)), grant(age));
    for ((found, consented), expected) in [
        (of_age(0), Ok(())),
        (of_age(LINK_SECONDS), Ok(())),
        (of_age(LINK_SECONDS + 1), Err(Refused::SignInTooOld)),
        ((None, grant(0)), Err(Refused::SessionEnded)),
        ((Some(other_user), grant(0)), Err(Refused::SessionEnded)),
        ((Some(other_session), grant(0)), Err(Refused::SessionEnded)),
    ] {
        assert_eq!(may_link(&consented, found.as_ref(), NOW), expected, "{found:?}");
    }
}

#[test]
fn an_account_is_linked_only_with_the_consent_that_still_waits_and_at_the_connection_asked_for() {
    let link = request(true, Prompt::Needed, None);
    let plain = request(false, Prompt::Needed, None);
    let mallory = CodeGrant { subject: "calendar|mallory".into(), ..grant(0) };
    let other_session = CodeGrant { sid: "s2".into(), ..grant(0) };
    let linked = Ok(Purpose::Link(grant(0)));
    let other = Err(Refused::OtherRequest);
    for (request, connection, waiting, consented, expected) in [
        (&link, "calendar", Some(grant(0)), Some(grant(0)), &linked),
        (&link, "mail", Some(grant(0)), Some(grant(0)), &other),
        (&link, "calendar", None, Some(grant(0)), &other),
        (&link, "calendar", Some(mallory), Some(grant(0)), &other),
        (&link, "calendar", Some(other_session), Some(grant(0)), &other),
        (&link, "calendar", Some(grant(1)), Some(grant(0)), &other),
        (&plain, "calendar", Some(grant(0)), Some(grant(0)), &other),
        (&plain, "calendar", None, Some(grant(0)), &other),
        // Who went to the provider to sign in does not link, though a consent waits.
        (&link, "calendar", Some(grant(0)), None, &Ok(Purpose::SignIn)),
        (&link, "mail", None, None, &Ok(Purpose::SignIn)),
        (&plain, "calendar", None, None, &Ok(Purpose::SignIn)),
    ] {
        let got = purpose(request, connection, waiting.as_ref(), consented);
        assert_eq!(&got, expected, "{connection} {waiting:?}");
    }
}
