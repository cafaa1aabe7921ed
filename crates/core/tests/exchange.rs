// SPDX-License-Identifier: Apache-2.0
//! What an exchange is answered, given what the vault holds.

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

/// In one line: the token and its life, the word of the problem, or the refresh that is due.
fn told(contents: &Contents, connection: &Connection, want: &RequestedToken) -> String {
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
    let (home, here) = (home(), connection(&json!({})));
    let other = connection(&json!({"client_id": "other"}));
    let rows =
        |grant: Grant, lives| Rows::new(&home).with(account("1", Some("u")), grant, lives).contents;
    let over = |mut contents: Contents| {
        contents.accounts[0].state = AccountState::ReconnectRequired(Reason::RefreshRefused);
        contents
    };
    let bare = Grant { has_refresh_token: false, ..grant(&here) };
    let cooling = Grant { retry_at: Some(NOW + 30), ..grant(&here) };
    for (what, contents, connection, want, expected) in [
        ("nothing connected", Contents::default(), &here, want(None, &[]), r#""not_connected" "#),
        ("a token that lives", rows(grant(&here), 500), &here, want(None, &[]), "a4 500"),
        ("one that ends", rows(grant(&here), 20), &here, want(None, &[]), "refresh cac_1"),
        (
            "one that ends while nothing is asked",
            rows(cooling, 20),
            &here,
            want(None, &[]),
            "a4 20",
        ),
        (
            "one that is over, without a refresh token",
            rows(bare, 0),
            &here,
            want(None, &[]),
            r#"{"reconnect_required":{"reason":"no_refresh_token"}} "#,
        ),
        (
            "a grant that is over",
            over(rows(grant(&here), 0)),
            &here,
            want(None, &[]),
            r#"{"reconnect_required":{"reason":"refresh_refused"}} "#,
        ),
        (
            "a scope that was not granted",
            rows(grant(&here), 500),
            &here,
            want(None, &["write"]),
            r#"{"missing_scopes":{"missing":["write"]}} "#,
        ),
        (
            "a hint that matches nobody",
            rows(grant(&here), 500),
            &here,
            want(Some("v"), &[]),
            r#""no_such_account" "#,
        ),
        (
            "another registration",
            rows(grant(&here), 500),
            &other,
            want(None, &[]),
            r#"{"misconfigured":{"retry_after":60,"reason":"registration_changed"}} registration_changed"#,
        ),
    ] {
        assert_eq!(told(&contents, connection, &want), expected, "{what}");
    }
}

#[test]
fn a_token_that_does_not_open_counts_as_none_and_one_whose_key_is_missing_is_an_error() {
    let (home, here) = (home(), connection(&json!({})));
    let mut contents = Rows::new(&home).with(account("1", Some("u")), grant(&here), 500).contents;
    let last = contents.tokens[0].token.envelope.as_mut().unwrap().last_mut().unwrap();
    *last ^= 1;
    assert_eq!(told(&contents, &here, &want(None, &[])), format!("refresh {}", id("1")));
    contents.tokens[0].token.envelope.as_mut().unwrap()[2] = b'x';
    let held = NegativeCache::default();
    assert!(look(&home, &contents, &here, &want(None, &[]), &held, NOW).is_err());
}
