// SPDX-License-Identifier: Apache-2.0
//! Tokens that the vault issues with its private key: how they are stored, and how they are deleted when the
//! account at the provider is no longer the user's.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use serde_json::json;
use support::{NOW, Rows, account, connection, grant, home, id, lines};
use vault_base::secret::Secret;
use vault_core::vault::contents::{Contents, Sealed, StoredToken};
use vault_core::vault::home::Home;
use vault_core::vault::issue::{self, Begin};
use vault_core::vault::record::{AccessTokenRecord, Grant, Selector, field};
use vault_core::vault::release::{TokenUnavailable, Unobtainable};
use vault_provider::error_codes::TokenEndpointError;
use vault_provider::issuance::{IssuanceError, IssuedToken, NoAccount};

const ACME: &str = "https://p.example.com/acme";

fn issued() -> IssuedToken {
    IssuedToken {
        access_token: Secret::new("i1"),
        scopes: vec!["read".into()],
        expires_at: NOW + 3600,
    }
}

/// A vault with account `1`, and for each selector a token `i0` that expires after this many seconds.
fn holding(home: &Home, tokens: &[(Selector, i64)]) -> Contents {
    let connection = connection(&json!({}));
    let own = account("1", Some("u"));
    let mut contents = Rows::new(home).with(own, grant(&connection), 500).contents;
    for (selector, seconds_left) in tokens {
        let sealed_as = field("access_token", selector.kind());
        let envelope = home.seal(&id("1"), &sealed_as, 4, &Secret::new("i0")).unwrap();
        let record = AccessTokenRecord {
            generation: 4,
            scopes: vec!["read".into()],
            issued_at: NOW - 100,
            expires_at: Some(NOW + seconds_left),
        };
        contents.tokens.push(StoredToken {
            account: id("1"),
            selector: selector.clone(),
            token: Sealed { record, envelope: Some(envelope) },
        });
    }
    contents
}

#[test]
fn a_token_is_written_with_the_generation_of_the_users_grant_and_those_that_are_over_go() {
    let home = home();
    let contents = holding(&home, &[]);
    let selector = Selector::new("made", ACME, &[]);
    let account = &contents.accounts[0];
    let registration = contents.registration(&account.id);
    let plan =
        issue::keep(&home, &contents, account, registration, &selector, issued(), NOW).unwrap();
    assert_eq!(
        lines(&home, &plan),
        ["drop over cac_1 made", "token cac_1 i1 gen 4 ends Some(3600)"]
    );
}

#[test]
fn a_token_whose_account_was_deleted_meanwhile_is_revoked_and_not_written() {
    let home = home();
    let before = holding(&home, &[]);
    let selector = Selector::new("made", ACME, &[]);
    let account = &before.accounts[0];
    let registration = before.registration(&account.id);
    let deleted = Contents::default();
    let plan =
        issue::keep(&home, &deleted, account, registration, &selector, issued(), NOW).unwrap();
    assert_eq!(lines(&home, &plan), ["job +0 revoke access_token made i1"]);
}

#[test]
fn an_account_that_is_not_the_users_any_more_loses_its_tokens_and_no_others() {
    let home = home();
    let beta = "https://p.example.com/beta";
    let contents = holding(
        &home,
        &[
            (Selector::new("made", ACME, &[]), 1000),
            (Selector::new("made", ACME, &["read".into()]), 1000),
            // By a clock that is a minute behind, this one has not expired.
            (Selector::new("made", ACME, &["admin".into()]), -59),
            // An expired token, one for another resource, and one of another kind.
            (Selector::new("made", ACME, &["write".into()]), -60),
            (Selector::new("made", beta, &[]), 1000),
            (Selector::new("other", ACME, &[]), 1000),
        ],
    );
    let selector = Selector::new("made", ACME, &[]);
    let plan = issue::forget(&contents, &contents.accounts[0], &selector, NOW);
    assert_eq!(
        lines(&home, &plan),
        [
            "job +0 revoke access_token made i0",
            "job +0 revoke access_token made i0",
            "job +0 revoke access_token made i0",
            "drop made cac_1 made \"https://p.example.com/acme\""
        ]
    );
}

#[test]
fn the_users_own_token_is_shown_while_it_lives() {
    let home = home();
    let own = |lives: i64| {
        let connection = connection(&json!({}));
        let account = account("1", Some("u"));
        let contents = Rows::new(&home).with(account, grant(&connection), lives).contents;
        let own = issue::own_token(&home, &contents, &id("1"), NOW).unwrap();
        own.map(|(_, token)| token.expose().to_owned())
    };
    assert_eq!((own(500).as_deref(), own(0)), (Some("a4"), None));
}

#[test]
fn an_issuance_asks_with_the_users_own_token_or_says_why_it_does_not() {
    let home = home();
    let connection = connection(&json!({}));
    let begin = |contents: &Contents| issue::begin(&home, contents, &id("1"), NOW).unwrap();
    let holding =
        |grant: Grant, lives| Rows::new(&home).with(account("1", Some("u")), grant, lives).contents;
    let renewable = grant(&connection);
    let bare = Grant { has_refresh_token: false, ..grant(&connection) };
    let Begin::Ask(issuing) = begin(&holding(renewable.clone(), 500)) else { panic!() };
    assert_eq!((issuing.own.expose(), &issuing.account.id), ("a4", &id("1")));
    // The failed renewal is stored with the grant, and tells callers why.
    assert!(matches!(begin(&holding(renewable, 0)), Begin::Withhold(None)));
    let Begin::Withhold(Some(entry)) = begin(&holding(bare, 0)) else { panic!() };
    assert_eq!(entry.why, TokenUnavailable::Corrupt);
    assert!(matches!(begin(&Contents::default()), Begin::Gone));
}

#[test]
fn each_failed_issuance_changes_what_it_must_and_no_more() {
    let home = home();
    let connection = connection(&json!({}));
    let selector = Selector::new("made", ACME, &[]);
    let with = |grant: Grant| Rows::new(&home).with(account("1", Some("u")), grant, 500).contents;
    let renewable = grant(&connection);
    let bare = Grant { has_refresh_token: false, ..grant(&connection) };
    let newer = Grant { generation: 5, ..renewable.clone() };
    let refused =
        Unobtainable { refused: true, ..Unobtainable::new(TokenUnavailable::Unavailable, NOW) };
    let lost = IssuanceError::Failure(TokenEndpointError::Unavailable { retry_after: None });
    let rejected = || IssuanceError::UserToken;
    let not_owner = IssuanceError::NoAccount(NoAccount::NotOwner);
    let none: &[&str] = &[];
    for (what, before, failure, entry, now, remembers, renews, expected) in [
        ("lost", &renewable, lost, None, &renewable, true, false, none),
        ("token rejected", &renewable, rejected(), None, &renewable, true, true, none),
        (
            "rejected after a renewal",
            &renewable,
            rejected(),
            Some(refused),
            &renewable,
            true,
            false,
            none,
        ),
        ("reconnected meanwhile", &renewable, rejected(), None, &newer, false, false, none),
        ("rejected once, and not renewable", &bare, rejected(), None, &bare, true, false, none),
        (
            "rejected twice, and not renewable",
            &bare,
            rejected(),
            Some(refused),
            &bare,
            false,
            false,
            &[
                "update cac_1 gen 4 refresh_refused",
                "state cac_1 refresh_refused",
                "log reconnect_required cac_1: refresh_refused",
            ],
        ),
        (
            "not the owner",
            &renewable,
            not_owner,
            None,
            &renewable,
            true,
            false,
            &["drop made cac_1 made \"https://p.example.com/acme\""],
        ),
    ] {
        let Begin::Ask(issuing) =
            issue::begin(&home, &with(before.clone()), &id("1"), NOW).unwrap()
        else {
            panic!("{what}")
        };
        let failed = issuing.failed(&home, &with(now.clone()), &selector, &failure, entry, NOW);
        assert_eq!((failed.remember.is_some(), failed.renews), (remembers, renews), "{what}");
        assert_eq!(lines(&home, &failed.plan), expected, "{what}");
    }
}

#[test]
fn the_log_tells_what_the_operator_can_act_on_and_not_what_users_settle() {
    let home = home();
    let connection = connection(&json!({}));
    let contents = Rows::new(&home).with(account("1", Some("u")), grant(&connection), 500).contents;
    let selector = Selector::new("made", ACME, &[]);
    for (failure, reason) in [
        (
            IssuanceError::Failure(TokenEndpointError::Misconfigured("invalid_client".into())),
            Some("invalid_client"),
        ),
        (IssuanceError::UserToken, Some("http_401")),
        (IssuanceError::NoAccount(NoAccount::NotOwner), None),
        (IssuanceError::Scopes, None),
    ] {
        let Begin::Ask(issuing) = issue::begin(&home, &contents, &id("1"), NOW).unwrap() else {
            panic!()
        };
        let failed = issuing.failed(&home, &contents, &selector, &failure, None, NOW);
        let told = failed.event.and_then(|event| event.reason);
        assert_eq!(told.as_deref(), reason, "{failure:?}");
    }
}
