// SPDX-License-Identifier: Apache-2.0
//! The decisions of a token exchange, given the vault's contents.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use serde_json::json;
use support::{NOW, Rows, account, connection, grant, home, id};
use vault_base::encoding::base64url;
use vault_base::secret::Secret;
use vault_core::vault::contents::Contents;
use vault_core::vault::exchange::{ExchangeStep, look};
use vault_core::vault::record::{AccountState, Grant, Reason, Selector};
use vault_core::vault::release::{NegativeCache, RequestedToken};
use vault_provider::connection::Connection;

fn want(hint: Option<&str>, scopes: &[&str]) -> RequestedToken {
    RequestedToken {
        login_hint: hint.map(str::to_owned),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        ..RequestedToken::default()
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

/// A vault of one account, whose default token was issued `issued_ago` seconds ago for `life` seconds, and
/// which has a narrowed one that was issued `narrowed_ago` seconds ago.
fn vault(grant: Grant, issued_ago: i64, life: i64, narrowed_ago: Option<i64>) -> Contents {
    let home = home();
    let mut contents = Rows::new(&home).with(account("1", Some("u")), grant, 0).contents;
    let record = &mut contents.tokens[0].token.record;
    (record.issued_at, record.expires_at) = (NOW - issued_ago, Some(NOW - issued_ago + life));
    if let Some(ago) = narrowed_ago {
        let mut narrowed = contents.tokens[0].clone();
        narrowed.selector = Selector::new("", "", &["read".into()]);
        narrowed.token.record.issued_at = NOW - ago;
        contents.tokens.push(narrowed);
    }
    contents
}

#[test]
fn a_token_that_is_refused_is_renewed_if_it_is_the_current_one_once_a_minute_for_an_account() {
    let own = connection(&json!({}));
    let ends_others = connection(&json!({"refresh_ends_access_token": true}));
    let refused = |token: &str| RequestedToken {
        refused_token: Some(base64url(Secret::new(token).sha256())),
        ..want(None, &[])
    };
    let (current, other) = (refused("a4"), refused("a3"));
    let cooling = Grant { retry_at: Some(NOW + 30), ..grant(&own) };
    let bare = Grant { has_refresh_token: false, ..grant(&own) };
    let wait = |seconds: i64| format!(r#"{{"too_many_requests":{{"retry_after":{seconds}}}}} "#);
    let refresh = || "refresh cac_1".to_owned();
    for (what, contents, connection, want, expected) in [
        ("another token", vault(grant(&own), 100, 600, None), &own, &other, "a4 500".to_owned()),
        ("the current one", vault(grant(&own), 100, 600, None), &own, &current, refresh()),
        (
            "where that ends others' tokens",
            vault(grant(&own), 100, 600, None),
            &ends_others,
            &current,
            refresh(),
        ),
        (
            "one without an end",
            endless(vault(bare.clone(), 100, 600, None)),
            &own,
            &other,
            "a4 600".to_owned(),
        ),
        ("one of just now", vault(grant(&own), 0, 600, None), &own, &current, wait(60)),
        ("one of a minute ago", vault(grant(&own), 59, 600, None), &own, &current, wait(1)),
        (
            "one of more than a minute ago",
            vault(grant(&own), 60, 600, None),
            &own,
            &current,
            refresh(),
        ),
        (
            "after another token of the account",
            vault(grant(&own), 100, 600, Some(20)),
            &own,
            &current,
            wait(40),
        ),
        (
            "one from before the clock was set back",
            vault(grant(&own), -7200, 600, None),
            &own,
            &current,
            refresh(),
        ),
        // An expired one is renewed in any case, without a limit.
        ("an expired other one", vault(grant(&own), 10, 5, None), &own, &other, refresh()),
        (
            "while the provider does not answer",
            vault(cooling, 100, 600, None),
            &own,
            &current,
            r#"{"unavailable":{"retry_after":30}} "#.to_owned(),
        ),
        (
            "one that cannot be renewed",
            vault(bare, 100, 600, None),
            &own,
            &current,
            r#"{"reconnect_required":{"reason":"no_refresh_token"}} "#.to_owned(),
        ),
    ] {
        assert_eq!(step(&contents, connection, want), expected, "{what}");
    }
}

fn endless(mut contents: Contents) -> Contents {
    contents.tokens[0].token.record.expires_at = None;
    contents
}

#[test]
fn a_token_that_ends_sooner_than_a_caller_needs_is_renewed_where_that_helps() {
    let own = connection(&json!({}));
    let ends_others = connection(&json!({"refresh_ends_access_token": true}));
    let endless_tokens = connection(&json!({"missing_expires_in": "never"}));
    let least = |min_ttl| RequestedToken { min_ttl, ..want(None, &[]) };
    let cooling = Grant { retry_at: Some(NOW + 30), ..grant(&own) };
    for (what, contents, connection, min_ttl, expected) in [
        ("one that lives longer", vault(grant(&own), 100, 600, None), &own, 500, "a4 500"),
        ("one that ends sooner", vault(grant(&own), 100, 600, None), &own, 501, "refresh cac_1"),
        ("no token lives so long", vault(grant(&own), 100, 600, None), &own, 601, "a4 500"),
        ("one of just now", vault(grant(&own), 59, 600, None), &own, 600, "a4 541"),
        ("after another token", vault(grant(&own), 100, 600, Some(59)), &own, 600, "a4 500"),
        ("where it ends others'", vault(grant(&own), 100, 600, None), &ends_others, 600, "a4 500"),
        ("no answer now", vault(cooling, 100, 600, None), &own, 600, "a4 500"),
        ("less than the margin", vault(grant(&own), 550, 600, None), &own, 10, "refresh cac_1"),
        (
            "one without an end",
            endless(vault(grant(&own), 100, 600, None)),
            &endless_tokens,
            900,
            "a4 600",
        ),
    ] {
        assert_eq!(step(&contents, connection, &least(min_ttl)), expected, "{what}");
    }
}
