// SPDX-License-Identifier: Apache-2.0
//! The registration that a grant is bound to, and that the grant is used with no other.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/connection.rs"]
mod connection_support;

use connection_support::connection;
use serde_json::{Value, json};
use vault_base::ids::AccountId;
use vault_base::secret::Secret;
use vault_core::connect::request::NewSession;
use vault_core::vault::consent::{RefreshTokenFrom, UnknownUser, refresh_token_from};
use vault_core::vault::jobs::Job;
use vault_core::vault::record::{AccountState, AccountView, Grant, Intent, Reason, Unexplained};
use vault_core::vault::refresh;
use vault_provider::connection::Connection;
use vault_provider::registration::Registration;

const NOW: i64 = 1_795_492_800;

fn entry(more: Value) -> Connection {
    let mut entry = json!({"client_id": "one"});
    let Value::Object(members) = more else { panic!() };
    entry.as_object_mut().unwrap().extend(members);
    connection(&entry).unwrap()
}

fn tasks(more: Value) -> Connection {
    let mut entry = json!({
        "kind": "oauth2",
        "authorization_endpoint": "https://tasks.example.com/authorize",
        "token_endpoint": "https://tasks.example.com/token",
    });
    let Value::Object(members) = more else { panic!() };
    entry.as_object_mut().unwrap().extend(members);
    self::entry(entry)
}

fn of(authority: &str) -> Registration {
    Registration { authority: authority.into(), client_id: "one".into() }
}

#[test]
fn a_registration_names_whatever_decides_where_tokens_are_sent() {
    for (connection, authority) in [
        (tasks(json!({})), "https://tasks.example.com/token"),
        (
            tasks(json!({"refresh_endpoint": "https://tasks.example.com/refresh"})),
            "https://tasks.example.com/token refresh_endpoint=https://tasks.example.com/refresh",
        ),
        (entry(json!({"provider": "github"})), "github"),
        (
            entry(json!({"provider": "github", "token_endpoint": "https://ghe.example.com/token"})),
            "github token_endpoint=https://ghe.example.com/token",
        ),
        (
            entry(json!({"provider": "zendesk", "variables": {"subdomain": "acme"}})),
            "zendesk subdomain=acme",
        ),
        // A variable with a default value is part of the registration.
        (entry(json!({"provider": "salesforce"})), "salesforce host=login.salesforce.com"),
        (
            entry(json!({"kind": "oidc", "issuer": "https://id.example.com"})),
            "https://id.example.com",
        ),
    ] {
        assert_eq!(connection.registration, of(authority));
        // The registry's names are derived from the bare authority, which the details do not change.
        assert_eq!(connection.registration.bare_authority(), connection.authority());
        assert_eq!(connection.registration.is_bare(), !authority.contains(' '));
    }
}

#[test]
fn the_registry_is_a_witness_where_the_authority_tells_all() {
    for (authority, tells_all) in [
        ("github", true),
        ("https://id.example.com/acme", true),
        // The tenant is a path segment of the issuer identifier.
        ("https://login.example.com/acme/v2.0 tenant=acme", true),
        ("https://login.example.com/acme/v2.0 tenant=other", false),
        ("https://login.example.com/acme/v2.0 tenant=acme region=eu", false),
        ("https://login.example.com domain=login.example.com", false),
        ("zendesk subdomain=zendesk", false),
        ("https://id.example.com token_endpoint=https://id.example.com/token", false),
    ] {
        assert_eq!(of(authority).is_bare(), tells_all, "{authority}");
    }
    let tenant = entry(json!({"provider": "entra", "variables": {"tenant": "acme"}}));
    assert!(tenant.registration.is_bare(), "{:?}", tenant.registration);
}

#[test]
fn a_grant_fits_its_own_registration_and_earlier_ones_that_are_listed() {
    let moved = tasks(json!({"earlier_authorities": ["https://old.example.com/token"]}));
    for (registration, fits) in [
        (Some(moved.registration.clone()), true),
        (Some(of("https://old.example.com/token")), true),
        (Some(of("https://other.example.com/token")), false),
        (Some(Registration { client_id: "two".into(), ..moved.registration.clone() }), false),
        (Some(of("https://old.example.com/token region=eu")), false),
        // Grants of versions that did not store a registration.
        (None, true),
    ] {
        assert_eq!(moved.accepts(registration.as_ref()), fits, "{registration:?}");
    }
    let tenant =
        |tenant: &str| entry(json!({"provider": "zendesk", "variables": {"subdomain": tenant}}));
    assert!(!tenant("acme").accepts(Some(&tenant("other").registration)));
}

#[test]
fn the_registry_is_asked_under_the_grants_own_registration_and_those_that_count_as_the_same() {
    let moved = tasks(json!({"earlier_authorities": ["https://old.example.com/token"]}));
    let names = |connection: &Connection, registration: Option<&Registration>| {
        let same = connection.same_registrations(registration);
        same.iter().map(|one| one.bare_authority().to_owned()).collect::<Vec<_>>()
    };
    let (new, old) = ("https://tasks.example.com/token", "https://old.example.com/token");
    assert_eq!(names(&moved, None), [new, old]);
    assert_eq!(names(&moved, Some(&of(old))), [old, new]);
    assert_eq!(names(&moved, Some(&of("elsewhere"))), ["elsewhere"]);
    // For the registry, two subdomains of one provider have the same authority.
    let zendesk = entry(json!({"provider": "zendesk", "variables": {"subdomain": "acme"}}));
    assert_eq!(names(&zendesk, Some(&zendesk.registration)), ["zendesk"]);
    let other = Registration { authority: "zendesk subdomain=other".into(), ..of("") };
    assert!(zendesk.registration.shares_name(&other));
    assert!(!zendesk.registration.shares_name(&of("zendesk.example subdomain=acme")));
    assert!(!other.shares_name(&Registration { client_id: "two".into(), ..other.clone() }));
}

#[test]
fn scopes_of_accounts_of_another_registration_are_not_asked_for_again() {
    let account = |scope: &str, registration| AccountView {
        id: AccountId::parse("cac_1").unwrap(),
        user_id: None,
        label: None,
        scopes: vec![scope.to_owned()],
        created_at: NOW,
        expires_at: None,
        provider_data: std::collections::BTreeMap::new(),
        registration,
        lease_until: None,
    };
    let connection = tasks(json!({}));
    let accounts = [
        account("own", Some(connection.registration.clone())),
        account("before", None),
        account("foreign", Some(of("elsewhere"))),
    ];
    let begin = json!({
        "session": "", "user": {"issuer": "", "subject": ""}, "client_id": "", "connection": "it",
        "redirect_uri": "", "scopes": ["new"], "params": [], "ticket": "", "auth_session": "",
    });
    let mut session = NewSession {
        begin: serde_json::from_value(begin).unwrap(),
        ticket: Secret::new(""),
        auth_session: Secret::new(""),
    };
    session.keep_granted(&connection, &accounts);
    assert_eq!(session.begin.scopes, ["new", "own", "before"]);
}

fn revoke(registration: Option<Registration>) -> Job {
    Job::Revoke {
        account: AccountId::parse("cac_1").unwrap(),
        field: "refresh_token".into(),
        generation: 1,
        envelope: "AQ".into(),
        attempt: 2,
        user: Some("u".into()),
        doubtful: false,
        registration,
        waits_since: None,
    }
}

#[test]
fn a_revocation_waits_for_its_registration_uses_up_no_attempt_and_ends_after_thirty_days() {
    let (one, other) = (tasks(json!({})), tasks(json!({"client_id": "two"})));
    let bound = revoke(Some(one.registration.clone()));
    for (job, connection, waits) in [
        (&bound, Some(&one), false),
        (&bound, Some(&other), true),
        // The connection is no longer configured.
        (&bound, None, true),
        (&revoke(None), Some(&other), false),
        (&revoke(None), None, false),
    ] {
        assert_eq!(job.must_wait(connection), waits, "{job:?}");
    }
    let (mut job, mut now, mut looked) = (bound, NOW, 0);
    while let Some((next, due)) = job.waiting(now) {
        assert!((10..=3600).contains(&(due - now)), "{}", due - now);
        let Job::Revoke { attempt: 2, .. } = next else { panic!("{next:?}") };
        (job, now, looked) = (next, due, looked + 1);
    }
    let waited = now - NOW;
    assert!((30 * 86_400..30 * 86_400 + 3600).contains(&waited), "{waited}");
    assert!(looked < 800, "{looked}");
    // A clock that was set back does not end the wait.
    assert!(job.waiting(NOW - 1000).is_some());
}

#[test]
fn a_connect_takes_back_no_revocation_at_another_registration() {
    let (one, other) = (tasks(json!({})), tasks(json!({"client_id": "two"})));
    let bound = revoke(Some(one.registration.clone()));
    assert!(bound.is_against(Some("u"), &one));
    assert!(!bound.is_against(Some("u"), &other));
    assert!(revoke(None).is_against(Some("u"), &other));
}

#[test]
fn the_registry_is_asked_about_an_unbound_account_once_a_day_for_a_month() {
    let mut job = Job::Bind { account: AccountId::parse("cac_1").unwrap(), attempt: 0 };
    let (mut now, mut asked) = (NOW, 1);
    while let Some((next, due)) = job.again(now) {
        assert_eq!(due - now, 86_400);
        (job, now, asked) = (next, due, asked + 1);
    }
    assert_eq!(asked, 30);
}

#[test]
fn a_refresh_token_is_kept_over_a_consent_without_one_only_if_the_user_is_known_and_the_grant_lives()
 {
    let (active, over) =
        (AccountState::Active, AccountState::ReconnectRequired(Reason::RefreshRefused));
    let renewable = Grant::new(1, true, vec![]);
    let ended = Grant { expires_at: Some(NOW), ..renewable.clone() };
    let bare = Grant::new(1, false, vec![]);
    // It counts as ended by refusals without a code, so its refresh token may still be good.
    let unexplained = Some(Unexplained { count: 5, since: NOW - 86_400, last: NOW });
    let presumed = Intent { unexplained, ..refresh::begin(&renewable, &Secret::new("r"), NOW) };
    let presumed = Grant { intent: Some(presumed), ..renewable.clone() };
    let (consent, stored) = (Ok(RefreshTokenFrom::Consent), Ok(RefreshTokenFrom::Stored));
    for (brings_one, known, old, from) in [
        (true, false, Some((&renewable, active)), consent),
        (true, true, Some((&renewable, active)), consent),
        (false, true, Some((&renewable, active)), stored),
        (false, false, Some((&renewable, active)), Err(UnknownUser)),
        (false, true, Some((&renewable, over)), consent),
        (false, false, Some((&renewable, over)), consent),
        (false, true, Some((&presumed, over)), stored),
        (false, false, Some((&presumed, over)), consent),
        (false, false, Some((&ended, active)), consent),
        (false, false, Some((&bare, active)), consent),
        (false, false, None, consent),
    ] {
        assert_eq!(
            refresh_token_from(brings_one, known, old, NOW),
            from,
            "{brings_one} {known} {old:?}"
        );
    }
}
