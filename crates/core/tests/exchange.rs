// SPDX-License-Identifier: Apache-2.0
//! The decisions of a token exchange, given the vault's contents.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use serde_json::json;
use support::{NOW, Rows, account, connection, grant, home, id};
use vault_core::vault::contents::Contents;
use vault_core::vault::exchange::{ExchangeStep, look};
use vault_core::vault::record::{AccountState, Grant, Reason};
use vault_core::vault::release::{NegativeCache, RequestedToken};
use vault_provider::connection::Connection;

fn want(hint: Option<&str>, scopes: &[&str]) -> RequestedToken {
    RequestedToken {
        login_hint: hint.map(str::to_owned),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        exact: false,
        kind: String::new(),
        resource: None,
    }
}

/// The step in one line: the token and its `expires_in`, the error and its events, or the account to refresh.
fn step(contents: &Contents, connection: &Connection, want: &RequestedToken) -> String {
    let home = home();
    match look(&home, contents, connection, want, &NegativeCache::default(), NOW).unwrap() {
        ExchangeStep::Serve { access_token, expires_in, .. } => {
            format!("{} {expires_in}", access_token.expose())
        }
        ExchangeStep::Stop { problem, events } => {
            let logged: Vec<&str> = events.iter().map(|event| event.event.name()).collect();
            format!("{} {}", serde_json::to_string(&problem).unwrap(), logged.join(" "))
        }
        ExchangeStep::Refresh(account, _) => format!("refresh {account}"),
    }
}

#[test]
fn an_exchange_serves_renews_or_says_why_not() {
    let (home, own) = (home(), connection(&json!({})));
    let other = connection(&json!({"client_id": "other"}));
    let rows = |grant: Grant, seconds_left| {
        Rows::new(&home).with(account("1", Some("u")), grant, seconds_left).contents
    };
    let ended = |mut contents: Contents| {
        contents.accounts[0].state = AccountState::ReconnectRequired(Reason::RefreshRefused);
        contents
    };
    let without_refresh_token = Grant { has_refresh_token: false, ..grant(&own) };
    let cooling_down = Grant { retry_at: Some(NOW + 30), ..grant(&own) };
    for (what, contents, connection, want, expected) in [
        ("no account", Contents::default(), &own, want(None, &[]), r#""not_connected" "#),
        ("a valid token", rows(grant(&own), 500), &own, want(None, &[]), "a4 500"),
        ("a token about to expire", rows(grant(&own), 20), &own, want(None, &[]), "refresh cac_1"),
        (
            "a token about to expire during the cool-down",
            rows(cooling_down, 20),
            &own,
            want(None, &[]),
            "a4 20",
        ),
        (
            "an expired token without a refresh token",
            rows(without_refresh_token, 0),
            &own,
            want(None, &[]),
            r#"{"reconnect_required":{"reason":"no_refresh_token"}} "#,
        ),
        (
            "a grant that has ended",
            ended(rows(grant(&own), 0)),
            &own,
            want(None, &[]),
            r#"{"reconnect_required":{"reason":"refresh_refused"}} "#,
        ),
        (
            "a scope that was not granted",
            rows(grant(&own), 500),
            &own,
            want(None, &["write"]),
            r#"{"missing_scopes":{"missing":["write"]}} "#,
        ),
        (
            "a hint that matches no account",
            rows(grant(&own), 500),
            &own,
            want(Some("v"), &[]),
            r#""no_such_account" "#,
        ),
        (
            "another registration",
            rows(grant(&own), 500),
            &other,
            want(None, &[]),
            r#"{"misconfigured":{"retry_after":60,"reason":"registration_changed"}} registration_changed"#,
        ),
    ] {
        assert_eq!(step(&contents, connection, &want), expected, "{what}");
    }
}

#[test]
fn a_token_that_does_not_open_counts_as_none_and_one_whose_key_is_missing_is_an_error() {
    let (home, own) = (home(), connection(&json!({})));
    let mut contents = Rows::new(&home).with(account("1", Some("u")), grant(&own), 500).contents;
    let last = contents.tokens[0].token.envelope.as_mut().unwrap().last_mut().unwrap();
    *last ^= 1;
    assert_eq!(step(&contents, &own, &want(None, &[])), format!("refresh {}", id("1")));
    contents.tokens[0].token.envelope.as_mut().unwrap()[2] = b'x';
    let unobtainable = NegativeCache::default();
    assert!(look(&home, &contents, &own, &want(None, &[]), &unobtainable, NOW).is_err());
}
