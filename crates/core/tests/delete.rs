// SPDX-License-Identifier: Apache-2.0
//! The writes of a deletion: the revocation jobs, and then the account.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use serde_json::json;
use support::{NOW, Rows, account, connection, grant, home, id, intent, lines};
use vault_base::encoding::base64url;
use vault_base::secret::Secret;
use vault_core::vault::delete;
use vault_core::vault::record::{Grant, Intent};

#[test]
fn a_deletion_revokes_what_the_provider_takes_and_what_ends_nobody_elses() {
    let home = home();
    let each = connection(&json!({}));
    let other = connection(&json!({"client_id": "other"}));
    let with = |rules: serde_json::Value| connection(&json!({"revocation": rules}));
    let gone = "drop cac_1";
    for (what, connection, seconds_left, shared, expected) in [
        (
            "each token",
            Some(&each),
            500,
            false,
            &["job +20 revoke refresh_token r4", "job +20 revoke access_token a4", gone][..],
        ),
        (
            "an access token that has all but expired",
            Some(&each),
            5,
            false,
            &["job +20 revoke refresh_token r4", "job +20 revoke access_token a4", gone],
        ),
        (
            "an access token that has not expired by a clock a minute behind",
            Some(&each),
            -59,
            false,
            &["job +20 revoke refresh_token r4", "job +20 revoke access_token a4", gone],
        ),
        (
            "an access token that has expired",
            Some(&each),
            -60,
            false,
            &["job +20 revoke refresh_token r4", gone],
        ),
        (
            "the refresh token alone",
            Some(&with(json!({"blast": "token", "token": "refresh_token"}))),
            500,
            false,
            &["job +20 revoke refresh_token r4", gone],
        ),
        (
            "an access token alone",
            Some(&with(json!({"blast": "token", "token": "access_token"}))),
            500,
            false,
            &["job +20 revoke access_token a4", gone],
        ),
        // The refresh token obtains another: this one may not be accepted any more.
        (
            "an access token alone, which has all but expired",
            Some(&with(json!({"blast": "token", "token": "access_token"}))),
            60,
            false,
            &["job +20 revoke refresh_token r4", gone],
        ),
        (
            "an access token alone, which is good for a while",
            Some(&with(json!({"blast": "token", "token": "access_token"}))),
            61,
            false,
            &["job +20 revoke access_token a4", gone],
        ),
        ("a shared grant", Some(&with(json!({"blast": "grant"}))), 500, true, &[gone]),
        (
            "a grant that is not shared",
            Some(&with(json!({"blast": "grant"}))),
            500,
            false,
            &["job +20 revoke refresh_token r4", "job +20 revoke access_token a4", gone],
        ),
        ("an installation", Some(&with(json!({"blast": "app"}))), 500, false, &[gone]),
        // How the provider revokes is not known, so the refresh token waits for its registration.
        (
            "another registration",
            Some(&other),
            500,
            true,
            &["job +20 revoke refresh_token r4", gone],
        ),
        ("no connection", None, 500, true, &["job +20 revoke refresh_token r4", gone]),
    ] {
        let rows = Rows::new(&home).with(account("1", Some("u")), grant(&each), seconds_left);
        let contents = rows.contents;
        let deletion = delete::delete(&contents, &id("1"), connection, shared, NOW);
        assert_eq!(lines(&home, &deletion.unwrap().plan), expected, "{what}");
    }
}

#[test]
fn an_unsettled_refresh_makes_the_providers_refusal_doubtful_and_its_successor_goes_first() {
    let (home, connection) = (home(), connection(&json!({})));
    let next = home.seal(&id("1"), "next_refresh_token", 4, &Secret::new("r5")).unwrap();
    let unsettled = Intent { successor: Some(base64url(next)), ..intent(1) };
    let before = Grant { intent: Some(unsettled), ..grant(&connection) };
    let contents = Rows::new(&home).with(account("1", Some("u")), before, -500).contents;
    let plan = delete::delete(&contents, &id("1"), Some(&connection), false, NOW).unwrap().plan;
    assert_eq!(
        lines(&home, &plan),
        [
            "job +20 revoke next_refresh_token r5 doubtful",
            "job +20 revoke refresh_token r4 doubtful",
            "drop cac_1"
        ]
    );
}

#[test]
fn an_account_without_a_refresh_token_of_another_registration_waits_with_its_access_token() {
    let (home, connection) = (home(), connection(&json!({})));
    let bare = Grant { has_refresh_token: false, ..grant(&connection) };
    for seconds_left in [500, 5] {
        let rows = Rows::new(&home).with(account("1", Some("u")), bare.clone(), seconds_left);
        let plan = delete::delete(&rows.contents, &id("1"), None, true, NOW).unwrap().plan;
        assert_eq!(lines(&home, &plan), ["job +20 revoke access_token a4", "drop cac_1"]);
    }
}

#[test]
fn there_is_nothing_to_delete_where_there_is_no_such_account() {
    let (home, connection) = (home(), connection(&json!({})));
    let contents = Rows::new(&home).with(account("1", None), grant(&connection), 5).contents;
    assert!(delete::delete(&contents, &id("2"), Some(&connection), false, NOW).is_none());
}
