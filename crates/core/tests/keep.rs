// SPDX-License-Identifier: Apache-2.0
//! The writes for a new grant in each state of the vault, and the stored grants that it does not replace.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;

use serde_json::json;
use support::{NOW, Rows, account, connection, grant, home, id, intent, lines};
use vault_base::encoding::base64url;
use vault_base::secret::Secret;
use vault_core::connect::record::STORE_LIFETIME;
use vault_core::vault::consent::NewGrant;
use vault_core::vault::contents::Contents;
use vault_core::vault::home::Home;
use vault_core::vault::jobs::Job;
use vault_core::vault::keep::{KeepOutcome, keep};
use vault_core::vault::lifetime::REPEATABLE;
use vault_core::vault::plan::{StoredJob, Write};
use vault_core::vault::record::{Account, AccountState, Grant, Intent, Reason};
use vault_provider::connection::Connection;

/// A consent with the id `2` and the tokens `a9` and `r9`.
fn consent(connection: &Connection, user: Option<&str>) -> NewGrant {
    NewGrant {
        account: id("2"),
        provider_user: user.map(str::to_owned),
        email: None,
        name: None,
        access_token: Secret::new("a9"),
        refresh_token: Some(Secret::new("r9")),
        scopes: vec!["read".into()],
        issued_at: NOW - 5,
        expires_at: Some(NOW + 595),
        refresh_token_expires_at: None,
        kinds: BTreeMap::new(),
        provider_data: BTreeMap::new(),
        registration: Some(connection.registration.clone()),
    }
}

fn without_refresh_token(store: NewGrant) -> NewGrant {
    NewGrant { refresh_token: None, ..store }
}

/// A vault with account `1`.
fn holding(home: &Home, account: Account, grant: Grant) -> Contents {
    Rows::new(home).with(account, grant, 500).contents
}

fn kept(home: &Home, contents: &Contents, connection: &Connection, new: NewGrant) -> KeepOutcome {
    keep(home, contents, &[], connection, None, new, NOW).unwrap()
}

fn written(home: &Home, kept: KeepOutcome) -> Vec<String> {
    match kept {
        KeepOutcome::Stored { plan, .. } => lines(home, &plan),
        other => panic!("{other:?}"),
    }
}

/// The expected writes if the consent renews account `1`, which has this refresh token then.
fn renewed(refresh_token: &str) -> Vec<String> {
    vec![
        "account cac_1 active".into(),
        "redeemed cac_2 cac_1".into(),
        "drop tokens cac_1 \"\"".into(),
        "token cac_1 a9 gen 5 ends Some(595)".into(),
        format!("grant cac_1 gen 5 active = {refresh_token}"),
        "job +60 hold u".into(),
    ]
}

/// The expected writes if the consent adds account `2`.
fn added(user: Option<&str>) -> Vec<String> {
    let mut lines = vec![
        "account cac_2 active".to_owned(),
        "redeemed cac_2 cac_2".into(),
        "drop tokens cac_2 \"\"".into(),
        "token cac_2 a9 gen 1 ends Some(595)".into(),
        "grant cac_2 gen 1 active = r9".into(),
    ];
    lines.extend(user.map(|user| format!("job +60 hold {user}")));
    lines
}

#[test]
fn a_consent_renews_the_account_of_the_same_user_and_adds_one_for_another() {
    let (home, connection) = (home(), connection(&json!({})));
    let own = |user: Option<&str>| holding(&home, account("1", user), grant(&connection));
    for (what, contents, user, expected) in [
        ("the first account", Contents::default(), Some("u"), added(Some("u"))),
        ("the same user", own(Some("u")), Some("u"), renewed("r9")),
        ("another user", own(Some("v")), Some("u"), added(Some("u"))),
        // Before the provider identified its users, a vault had only one account.
        ("an account without a known user", own(None), Some("u"), renewed("r9")),
        ("the first account, of an unknown user", Contents::default(), None, added(None)),
    ] {
        let new = consent(&connection, user);
        assert_eq!(written(&home, kept(&home, &contents, &connection, new)), expected, "{what}");
    }
}

#[test]
fn an_account_from_before_ids_came_in_the_callback_is_told_apart_by_its_provider_data() {
    let callback =
        json!({"identity": {"from": "callback", "id": "realmId"}, "callback_extra": ["realmId"]});
    let (home, connection) = (home(), connection(&callback));
    let company = BTreeMap::from([("realmId".to_owned(), "u".to_owned())]);
    let before = Account { provider_data: company, ..account("1", None) };
    let contents = holding(&home, before, grant(&connection));
    for (user, expected) in [("u", renewed("r9")), ("v", added(Some("v")))] {
        let new = consent(&connection, Some(user));
        assert_eq!(written(&home, kept(&home, &contents, &connection, new)), expected, "{user}");
    }
}

#[test]
fn a_consent_with_a_refresh_token_has_a_job_that_keeps_it_alive_where_the_connection_wants_one() {
    let (home, connection) = (home(), connection(&json!({"keep_alive_days": 80})));
    let jobs = |new| {
        let lines = written(&home, kept(&home, &Contents::default(), &connection, new));
        // The job that tells the registry is the last one.
        assert_eq!(lines.last().unwrap(), "job +60 hold u");
        lines.iter().filter(|line| line.ends_with("keep alive cac_2 \"\"")).count()
    };
    let new = consent(&connection, Some("u"));
    assert_eq!((jobs(new.clone()), jobs(without_refresh_token(new))), (1, 0));
}

#[test]
fn a_grant_remembers_the_consent_that_its_refresh_token_came_from() {
    let (home, connection) = (home(), connection(&json!({})));
    let contents = |consented_at| {
        let grant = Grant { consented_at, ..grant(&connection) };
        holding(&home, account("1", Some("u")), grant)
    };
    let new = consent(&connection, Some("u"));
    for (stored, new, consented_at) in [
        (Some(NOW - 500), new.clone(), Some(NOW - 5)),
        (Some(NOW - 500), without_refresh_token(new.clone()), Some(NOW - 500)),
        (None, without_refresh_token(new), None),
    ] {
        let KeepOutcome::Stored { plan, .. } = kept(&home, &contents(stored), &connection, new)
        else {
            panic!()
        };
        let grants = plan.writes.iter().filter_map(|write| match write {
            Write::PutGrant { grant, .. } => Some(grant.consented_at),
            _ => None,
        });
        assert_eq!(grants.collect::<Vec<_>>(), [consented_at]);
    }
}

#[test]
fn a_grant_that_is_over_is_replaced_by_whatever_comes() {
    let (home, connection) = (home(), connection(&json!({})));
    let state = AccountState::ReconnectRequired(Reason::RefreshRefused);
    let ended = Account { state, ..account("1", Some("u")) };
    let wider = Grant { scopes: vec!["read".into(), "write".into()], ..grant(&connection) };
    let contents = holding(&home, ended, wider);
    let new = without_refresh_token(consent(&connection, Some("u")));
    assert_eq!(written(&home, kept(&home, &contents, &connection, new)), renewed("none"));
}

#[test]
fn without_a_new_refresh_token_the_same_users_goes_on_and_an_unknown_users_is_not_written_over() {
    let (home, connection) = (home(), connection(&json!({})));
    let own = |user| holding(&home, account("1", user), grant(&connection));
    let new = |user| without_refresh_token(consent(&connection, user));
    let same = kept(&home, &own(Some("u")), &connection, new(Some("u")));
    assert_eq!(written(&home, same), renewed("r4"));
    // An id that the browser brought proves nothing.
    let unproved = json!({"identity": {"from": "callback", "id": "c"}, "callback_extra": ["c"]});
    let unproved = self::connection(&unproved);
    let claimed = kept(&home, &own(Some("u")), &unproved, new(Some("u")));
    assert!(matches!(claimed, KeepOutcome::UnknownUser), "{claimed:?}");
    for (what, stored, user) in [("both unknown", None, None), ("one unknown", None, Some("u"))] {
        let kept = kept(&home, &own(stored), &connection, new(user));
        assert!(matches!(kept, KeepOutcome::UnknownUser), "{what}: {kept:?}");
    }
}

#[test]
fn a_refresh_token_that_goes_on_takes_its_unsettled_refresh_along() {
    let (home, connection) = (home(), connection(&json!({})));
    let next = home.seal(&id("1"), "next_refresh_token", 4, &Secret::new("r5")).unwrap();
    let unsettled = Intent { successor: Some(base64url(next)), ..intent(2) };
    let before = Grant { intent: Some(unsettled), ..grant(&connection) };
    let contents = holding(&home, account("1", Some("u")), before);
    let follow_up = Job::Recover { account: id("1"), generation: 4, token_kind: String::new() };
    let jobs: Vec<StoredJob> = vec![(7, NOW + 30, follow_up)];
    let new = without_refresh_token(consent(&connection, Some("u")));
    let kept = keep(&home, &contents, &jobs, &connection, None, new, NOW).unwrap();
    let lines = written(&home, kept);
    assert_eq!(
        lines[4..],
        [
            "grant cac_1 gen 5 active attempt 2 next r5 = r4",
            "end job 7",
            "job +30 recover cac_1 gen 5",
            "job +60 hold u"
        ]
    );
    // A response that is awaited is followed up at the same time.
    let mut awaited = contents.clone();
    awaited.grants[0].grant.record.intent.as_mut().unwrap().follow_up = Some(NOW + 9);
    let new = without_refresh_token(consent(&connection, Some("u")));
    let lines = written(&home, keep(&home, &awaited, &[], &connection, None, new, NOW).unwrap());
    let kept = "grant cac_1 gen 5 active attempt 2 next r5 followed up +9 = r4";
    assert_eq!(lines[4..], [kept, "job +60 hold u"]);
    // A new refresh token has no unsettled refresh.
    let new = consent(&connection, Some("u"));
    let kept = keep(&home, &contents, &jobs, &connection, None, new, NOW).unwrap();
    assert_eq!(written(&home, kept), renewed("r9"));
}

#[test]
fn a_consent_for_less_than_a_living_grant_has_is_not_written_and_names_what_it_lacks() {
    let (home, connection) = (home(), connection(&json!({})));
    let wider = Grant { scopes: vec!["read".into(), "write".into()], ..grant(&connection) };
    let contents = holding(&home, account("1", Some("u")), wider);
    match kept(&home, &contents, &connection, consent(&connection, Some("u"))) {
        KeepOutcome::Narrower(missing) => assert_eq!(missing, ["write"]),
        other => panic!("{other:?}"),
    }
    let more = vec!["read".into(), "write".into(), "admin".into()];
    let new = NewGrant { scopes: more, ..consent(&connection, Some("u")) };
    assert_eq!(written(&home, kept(&home, &contents, &connection, new)), renewed("r9"));
}

#[test]
fn tokens_of_another_registration_are_not_written_and_an_account_of_another_is_not_renewed() {
    let (home, own) = (home(), connection(&json!({})));
    let other = connection(&json!({"client_id": "other"}));
    let contents = holding(&home, account("1", Some("u")), grant(&own));
    let outcome = kept(&home, &contents, &other, consent(&own, Some("u")));
    assert!(matches!(outcome, KeepOutcome::OtherRegistration), "{outcome:?}");
    let new = kept(&home, &contents, &other, consent(&other, Some("u")));
    assert_eq!(written(&home, new), added(Some("u")));
}

#[test]
fn tokens_that_come_again_are_not_written_again() {
    let (home, connection) = (home(), connection(&json!({})));
    let contents = holding(&home, account("1", Some("u")), grant(&connection));
    let again = |stored: &str| {
        let new = consent(&connection, Some("u"));
        keep(&home, &contents, &[], &connection, Some(&id(stored)), new, NOW).unwrap()
    };
    match again("1") {
        KeepOutcome::Before(view) => assert_eq!(view.id, id("1")),
        other => panic!("{other:?}"),
    }
    assert!(matches!(again("3"), KeepOutcome::Gone));
}

#[test]
fn a_consent_takes_back_revocations_that_could_take_the_new_grant_along() {
    let (home, own) = (home(), connection(&json!({})));
    let other = connection(&json!({"client_id": "other"}));
    let revocation = |user: Option<&str>, connection: &Connection| Job::Revoke {
        account: id("9"),
        field: "refresh_token".into(),
        generation: 1,
        envelope: String::new(),
        attempt: 1,
        user: user.map(str::to_owned),
        doubtful: false,
        registration: Some(connection.registration.clone()),
        waits_since: None,
    };
    let jobs: Vec<StoredJob> = vec![
        (1, NOW, revocation(Some("u"), &own)),
        (2, NOW, revocation(Some("v"), &own)),
        (3, NOW, revocation(Some("u"), &other)),
    ];
    let new = consent(&own, Some("u"));
    let kept = keep(&home, &Contents::default(), &jobs, &own, None, new, NOW).unwrap();
    let ended: Vec<String> =
        written(&home, kept).into_iter().filter(|line| line.starts_with("end job")).collect();
    assert_eq!(ended, ["end job 1"]);
}

#[test]
fn a_refresh_token_that_does_not_open_is_not_kept() {
    let (home, connection) = (home(), connection(&json!({})));
    let mut contents = holding(&home, account("1", Some("u")), grant(&connection));
    *contents.grants[0].grant.envelope.as_mut().unwrap().last_mut().unwrap() ^= 1;
    let new = without_refresh_token(consent(&connection, Some("u")));
    assert_eq!(written(&home, kept(&home, &contents, &connection, new)), renewed("none"));
}

#[test]
fn a_stored_consent_is_remembered_a_minute_longer_than_it_can_be_repeated() {
    assert_eq!(REPEATABLE, STORE_LIFETIME + 60);
}
