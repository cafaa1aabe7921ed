// SPDX-License-Identifier: Apache-2.0
//! Pins the bytes that are stored and the messages between the Worker and its objects. A change to them
//! would lose data, or break a rollout in which old code talks to new code.
//!
//! A test that fails here needs a new version beside the old one, not a new expectation.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/connection.rs"]
mod connection_support;

use std::collections::{BTreeMap, BTreeSet};

use connection_support::known;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use vault_base::ids::{AccountId, DocumentSource, KEY_CHECK, ObjectNames, UserId, key_check_copy};
use vault_base::mac_id::MacId;
use vault_base::secret::Secret;
use vault_core::config::ExchangeGrant;
use vault_core::connect::hops::SessionOrigin;
use vault_core::connect::record::{
    Begin, Denied, Flow, Phase, ReturnedBrowser, Session, StatelessError,
};
use vault_core::message::{
    self, Class, Outcome, Question, connect, directory, issuer, registry, vault,
};
use vault_core::vault::consent::NewGrant;
use vault_core::vault::jobs::{self, Job};
use vault_core::vault::lease::{LeaseRequest, LeasedReleases};
use vault_core::vault::lease_cache::Released;
use vault_core::vault::record::{
    AccountState, AccountView, Intent, Reason, SUCCESSOR, Selector, Unexplained, field,
    is_refresh_token,
};
use vault_core::vault::release::{Misconfiguration, ReleaseError, RequestedToken};
use vault_core::vault::schema;
use vault_provider::registration::Registration;
use vault_provider::revocation::Revocation;

fn user() -> UserId {
    UserId { issuer: "https://idp.example/".into(), subject: "alice".into() }
}

fn recover(kind: &str) -> Job {
    Job::Recover { account: account(), generation: 4, token_kind: kind.into() }
}

fn account() -> AccountId {
    AccountId::parse("cac_0123456789ABCDEFGHIJKL").unwrap()
}

fn source(jwks_uri: Option<&str>, pattern: Option<&str>) -> DocumentSource {
    DocumentSource {
        issuer: "https://idp.example/".into(),
        jwks_uri: jwks_uri.map(str::to_owned),
        pattern: pattern.map(str::to_owned),
    }
}

/// An id as a record has it.
fn mac_id(text: &str) -> MacId {
    serde_json::from_value(json!(text)).unwrap()
}

/// Asserts that the message is written as these bytes and read from them.
fn pinned<T: Serialize + DeserializeOwned>(value: &T, body: &str) {
    let wire = format!(r#"{{"v":1,"body":{body}}}"#);
    assert_eq!(message::write(value).unwrap(), wire);
    let read: T = message::read(wire.as_bytes()).unwrap();
    assert_eq!(message::write(&read).unwrap(), wire);
}

#[test]
fn object_names_are_pinned() {
    let names = ObjectNames::new([5; 32]);
    let pinned = [
        names.vault(&user(), "demo"),
        names.directory(&user()),
        names.registry(&user()),
        names.registry_shard(63),
        names.connect_session(&mac_id("sid")),
        names.issuer_keys(&source(None, None)),
        names.check_value(),
        names.issuer_keys(&source(Some("https://idp.example/jwks"), None)),
        names.issuer_keys(&source(None, Some("https://idp.example/*"))),
    ];
    assert_eq!(pinned.join("\n"), include_str!("../../../tests/golden/object-names.txt").trim());
    assert_eq!(KEY_CHECK, "object-name-key-check");
    let copies: BTreeSet<String> = (0..=255).map(key_check_copy).collect();
    assert_eq!(copies, (1..=8).map(|number| format!("object-name-key-check-{number}")).collect());
}

#[test]
fn names_tell_users_connections_and_classes_apart() {
    let names = ObjectNames::new([5; 32]);
    let of = |issuer: &str, subject: &str, connection: &str| {
        names.vault(&UserId { issuer: issuer.into(), subject: subject.into() }, connection)
    };
    assert_ne!(of("a|b", "c", "d"), of("a", "b|c", "d"));
    assert_ne!(of("a", "b", "cd"), of("a", "bc", "d"));
    assert_ne!(names.directory(&user()), names.registry(&user()));
    let account = |user: &str| names.provider_account("https://idp.example", "client", user);
    assert_ne!(account("1"), account("2"));
    assert_ne!(account("1"), names.provider_account("https://idp.example", "other", "1"));
    assert_ne!(names.check_value(), ObjectNames::new([6; 32]).check_value());
}

#[test]
fn an_issuers_documents_are_kept_apart_by_what_was_asked_for() {
    let names = ObjectNames::new([5; 32]);
    let asked = [(None, None), (Some("x"), None), (None, Some("x")), (Some("y"), None)];
    let distinct: BTreeSet<String> =
        asked.iter().map(|(uri, pattern)| names.issuer_keys(&source(*uri, *pattern))).collect();
    assert_eq!(distinct.len(), asked.len());
}

#[test]
fn documents_of_an_issuer_that_were_found_in_another_way_answer_no_question() {
    let found = |issuer: Option<&str>| {
        let metadata = issuer.map(|issuer| json!({"issuer": issuer, "jwks_uri": "https://k"}));
        let published = json!({"metadata": metadata, "jwks": "{}", "fetched_at": 1});
        serde_json::from_value::<issuer::Published>(published).unwrap()
    };
    let pinned = found(None);
    let own = found(Some("https://idp.example/"));
    let tenant = found(Some("https://idp.example/t1"));
    let answered = |source: &DocumentSource| {
        let ask = issuer::IssuerRequest::of(source, false);
        [&pinned, &own, &tenant].map(|published| ask.is_answered_by(published))
    };
    assert_eq!(answered(&source(None, None)), [false, true, false]);
    assert_eq!(answered(&source(Some("https://k"), None)), [true, false, false]);
    assert_eq!(answered(&source(None, Some("https://idp.example/*"))), [false, false, true]);
}

#[test]
fn the_table_of_connects_in_flight_is_pinned() {
    assert_eq!(
        directory::CREATE_IN_FLIGHT,
        "CREATE TABLE IF NOT EXISTS in_flight (session TEXT PRIMARY KEY, until INTEGER NOT NULL)"
    );
}

#[test]
fn the_tables_of_version_6_are_pinned() {
    assert_eq!(schema::VERSION, 6);
    let tables = [
        schema::CREATE.join("\n"),
        directory::CREATE.to_owned(),
        registry::CREATE.join("\n"),
        registry::CREATE_COPY.to_owned(),
        issuer::CREATE.to_owned(),
        connect::CREATE.to_owned(),
    ];
    assert_eq!(tables.join("\n"), include_str!("../../../tests/golden/schema-v6.sql").trim());
}

#[test]
fn columns_are_pinned() {
    let states = [
        (AccountState::Active, "active"),
        (AccountState::ReconnectRequired(Reason::RefreshRefused), "refresh_refused"),
        (AccountState::ReconnectRequired(Reason::RotationLost), "rotation_lost"),
        (AccountState::ReconnectRequired(Reason::NoRefreshToken), "no_refresh_token"),
        (AccountState::ReconnectRequired(Reason::Corrupt), "corrupt"),
    ];
    for (state, column) in states {
        assert_eq!((state.column(), AccountState::from_column(column)), (column, state));
    }
    let later = AccountState::from_column("a reason of a later version");
    assert_eq!(later, AccountState::ReconnectRequired(Reason::RefreshRefused));
    assert_eq!(Selector::default().column(), r#"["","",""]"#);
    let narrowed = Selector::new("", "", &["b".into(), "a".into(), "b".into()]);
    assert_eq!(narrowed.column(), r#"["a b","",""]"#);
    let bot = Selector::new("bot", "https://api.example", &[]);
    assert_eq!(bot.column(), r#"["","https://api.example","bot"]"#);
    assert_eq!(Selector::from_column(&bot.column()), Some(bot));
    assert_eq!(Selector::from_column("[\"a later form\"]"), None);
    assert_eq!(
        [field("refresh_token", ""), field("refresh_token", "bot")],
        ["refresh_token", "refresh_token bot"]
    );
    let token_sha256 = "00ff".to_owned();
    let intent = Intent {
        generation: 4,
        token_sha256,
        attempt: 2,
        at: 7,
        since: None,
        successor: None,
        is_awaited: false,
        unexplained: None,
        follow_up: None,
    };
    let json = r#"{"generation":4,"token_sha256":"00ff","attempt":2,"at":7}"#;
    assert_eq!(serde_json::to_string(&intent).unwrap(), json);
    assert_eq!(serde_json::from_str::<Intent>(json).unwrap(), intent);
}

#[test]
fn an_intent_with_refusals_is_pinned_and_read_without_them_too() {
    let unexplained = Some(Unexplained { count: 3, since: 5, last: 9 });
    let token_sha256 = "00ff".to_owned();
    let intent = Intent {
        generation: 4,
        token_sha256,
        attempt: 3,
        at: 9,
        since: Some(5),
        successor: None,
        is_awaited: true,
        unexplained,
        follow_up: None,
    };
    let json = r#"{"generation":4,"token_sha256":"00ff","attempt":3,"at":9,"since":5,"is_awaited":true,"unexplained":{"count":3,"since":5,"last":9}}"#;
    assert_eq!(serde_json::to_string(&intent).unwrap(), json);
    assert_eq!(serde_json::from_str::<Intent>(json).unwrap(), intent);
    let without = r#"{"generation":4,"token_sha256":"00ff","attempt":3,"at":9,"since":5}"#;
    let expected = Intent { is_awaited: false, unexplained: None, ..intent };
    assert_eq!(serde_json::from_str::<Intent>(without).unwrap(), expected);
}

#[test]
fn an_intent_that_says_when_it_is_followed_up_is_pinned_and_read_without_that_too() {
    let intent = Intent {
        generation: 4,
        token_sha256: "00ff".into(),
        attempt: 1,
        at: 7,
        since: Some(7),
        successor: None,
        is_awaited: true,
        unexplained: None,
        follow_up: Some(17),
    };
    let json = r#"{"generation":4,"token_sha256":"00ff","attempt":1,"at":7,"since":7,"is_awaited":true,"follow_up":17}"#;
    assert_eq!(serde_json::to_string(&intent).unwrap(), json);
    assert_eq!(serde_json::from_str::<Intent>(json).unwrap(), intent);
    // As the version before writes it, with a job beside it.
    let without =
        r#"{"generation":4,"token_sha256":"00ff","attempt":1,"at":7,"since":7,"is_awaited":true}"#;
    let expected = Intent { follow_up: None, ..intent };
    assert_eq!(serde_json::from_str::<Intent>(without).unwrap(), expected);
    // The version before reads the intent, and passes over a member that it does not know.
    let later = json.replace("follow_up", "of_a_later_version");
    assert_eq!(serde_json::from_str::<Intent>(&later).unwrap(), expected);
}

#[test]
fn an_intent_with_a_successor_is_pinned_and_sealed_as_no_kind_of_token_is() {
    let intent = Intent {
        generation: 4,
        token_sha256: "00ff".into(),
        attempt: 2,
        at: 7,
        since: Some(5),
        successor: Some("AQ".into()),
        is_awaited: false,
        unexplained: None,
        follow_up: None,
    };
    let json =
        r#"{"generation":4,"token_sha256":"00ff","attempt":2,"at":7,"since":5,"successor":"AQ"}"#;
    assert_eq!(serde_json::to_string(&intent).unwrap(), json);
    assert_eq!(serde_json::from_str::<Intent>(json).unwrap(), intent);
    let fields = [field(SUCCESSOR, ""), field(SUCCESSOR, "bot")];
    assert_eq!(fields, ["next_refresh_token", "next_refresh_token bot"]);
    for column in ["refresh_token", "access_token"] {
        for kind in ["", "next", "next_refresh_token", " next"] {
            assert!(!fields.contains(&field(column, kind)), "{column} {kind}");
        }
    }
    for (field, is_one) in
        [("refresh_token bot", true), ("next_refresh_token", true), ("access_token", false)]
    {
        assert_eq!(is_refresh_token(field), is_one, "{field}");
    }
}

#[test]
fn what_carries_a_registration_is_pinned() {
    let registration =
        Some(Registration { authority: "zendesk subdomain=acme".into(), client_id: "c".into() });
    let stamp = r#"{"authority":"zendesk subdomain=acme","client_id":"c"}"#;
    let jobs = [
        (
            Job::AddReference { user: "u".into(), registration: registration.clone() },
            format!(r#"{{"kind":"hold","user":"u","registration":{stamp}}}"#),
        ),
        (
            Job::Bind { account: account(), attempt: 3 },
            r#"{"kind":"bind","account":"cac_0123456789ABCDEFGHIJKL","attempt":3}"#.to_owned(),
        ),
        (
            Job::Revoke {
                account: account(),
                field: "refresh_token".into(),
                generation: 4,
                envelope: "AQ".into(),
                attempt: 0,
                user: None,
                doubtful: true,
                registration: registration.clone(),
                waits_since: Some(7),
            },
            format!(
                r#"{{"kind":"revoke","account":"cac_0123456789ABCDEFGHIJKL","field":"refresh_token","generation":4,"envelope":"AQ","attempt":0,"user":null,"doubtful":true,"registration":{stamp},"waits_since":7}}"#
            ),
        ),
    ];
    for (job, json) in jobs {
        assert_eq!(serde_json::to_string(&job).unwrap(), json);
        assert_eq!(serde_json::from_str::<Job>(&json).unwrap(), job);
    }
    let view = AccountView {
        id: account(),
        user_id: None,
        label: None,
        scopes: vec![],
        created_at: 7,
        expires_at: None,
        provider_data: BTreeMap::new(),
        registration,
        lease_until: None,
    };
    let shown = format!(
        r#"{{"id":"cac_0123456789ABCDEFGHIJKL","scopes":[],"created_at":7,"registration":{stamp}}}"#
    );
    pinned(&vault::VaultResponse::Accounts(vec![view]), &format!(r#"{{"accounts":[{shown}]}}"#));
}

#[test]
fn a_vault_of_each_earlier_version_ends_with_the_tables_of_this_one() {
    // The upgrade from each earlier version contains what all later versions added.
    for version in 1..schema::VERSION {
        let steps: Vec<&str> = schema::upgrade(version).collect();
        let binds = steps.iter().any(|step| step.contains("ADD COLUMN client_id"));
        assert_eq!(binds, version < 4, "{version}");
        assert_eq!(steps.iter().any(|step| step.contains("key_stamp")), version < 5, "{version}");
        assert!(steps.iter().any(|step| step.contains("ADD COLUMN consented_at")), "{version}");
        let last = format!("UPDATE owner SET schema = {}", schema::VERSION);
        assert!(steps.contains(&last.as_str()), "{version}");
        // Only a vault of version 3 registered its accounts at the connect under today's names.
        assert_eq!(steps.iter().any(|step| step.contains("'bind'")), version == 3, "{version}");
    }
    assert_eq!(schema::upgrade(schema::VERSION).count(), 0);
}

#[test]
fn jobs_are_pinned() {
    let jobs = [
        (
            recover(""),
            r#"{"kind":"recover","account":"cac_0123456789ABCDEFGHIJKL","generation":4}"#,
        ),
        (
            Job::Revoke {
                account: account(),
                field: "refresh_token".into(),
                generation: 4,
                envelope: "AQ".into(),
                attempt: 0,
                user: Some("u".into()),
                doubtful: false,
                registration: None,
                waits_since: None,
            },
            r#"{"kind":"revoke","account":"cac_0123456789ABCDEFGHIJKL","field":"refresh_token","generation":4,"envelope":"AQ","attempt":0,"user":"u"}"#,
        ),
    ];
    let hold = Job::AddReference { user: "u".into(), registration: None };
    assert_eq!(serde_json::to_string(&hold).unwrap(), r#"{"kind":"hold","user":"u"}"#);
    let keep_alive = r#"{"kind":"keep_alive","account":"cac_0123456789ABCDEFGHIJKL"}"#;
    let job = Job::KeepAlive { account: account(), token_kind: String::new() };
    assert_eq!(
        (serde_json::to_string(&job).unwrap().as_str(), job.kind()),
        (keep_alive, "keep_alive")
    );
    assert_eq!(serde_json::from_str::<Job>(keep_alive).unwrap(), job);
    let bot = r#"{"kind":"recover","account":"cac_0123456789ABCDEFGHIJKL","generation":4,"token_kind":"bot"}"#;
    assert_eq!(serde_json::to_string(&recover("bot")).unwrap(), bot);
    for (job, json) in jobs {
        assert_eq!(serde_json::to_string(&job).unwrap(), json);
        assert_eq!(serde_json::from_str::<Job>(json).unwrap(), job);
    }
}

#[test]
fn a_failed_revocation_is_tried_eight_times_in_two_days_and_a_recovery_until_it_is_possible() {
    let mut job = Job::Revoke {
        account: account(),
        field: "refresh_token".into(),
        generation: 4,
        envelope: "AQ".into(),
        attempt: 0,
        user: None,
        doubtful: false,
        registration: None,
        waits_since: None,
    };
    let mut now = 0;
    let mut attempts = 1;
    while let Some((next, due)) = job.again(now) {
        (job, now) = (next, due);
        attempts += 1;
    }
    assert_eq!((attempts, now), (8, 43 * 3600 + 670));
    let recover = recover("");
    assert_eq!(recover.again(7), Some((recover.clone(), 307)));
}

#[test]
fn connecting_again_takes_back_what_was_still_to_be_revoked_of_that_provider_user() {
    let job = |user: Option<&str>, field: &str| Job::Revoke {
        account: account(),
        field: field.into(),
        generation: 4,
        envelope: "AQ".into(),
        attempt: 3,
        user: user.map(str::to_owned),
        doubtful: false,
        registration: None,
        waits_since: None,
    };
    let app = known("github_app");
    for (revoked, connected, taken_back) in [
        (Some("u"), Some("u"), true),
        (Some("u"), Some("v"), false),
        (Some("u"), None, false),
        // The provider states no user id, so the user has one account at this connection.
        (None, None, true),
    ] {
        let job = job(revoked, "access_token");
        assert_eq!(job.is_against(connected, &app), taken_back, "{revoked:?} {connected:?}");
    }
    // The revocation of an issued token does not end a grant.
    assert!(!job(Some("u"), "access_token installation").is_against(Some("u"), &app));
    assert!(!recover("").is_against(None, &app));
}

#[test]
fn a_refresh_to_be_taken_up_goes_before_what_was_due_earlier() {
    let hold = || Job::AddReference { user: "1".into(), registration: None };
    let recover = || Job::Recover { account: account(), generation: 1, token_kind: String::new() };
    let next = |jobs: &[(i64, i64, Job)]| jobs::next(jobs, 10);
    assert_eq!(next(&[(1, 5, hold()), (2, 10, recover()), (3, 10, recover())]), Some(1));
    assert_eq!(next(&[(1, 5, recover()), (2, 6, recover())]), Some(0));
    assert_eq!(next(&[(1, 5, hold()), (2, 6, hold()), (3, 11, recover())]), Some(0));
    assert_eq!(next(&[(1, 11, hold())]), None);
}

#[test]
fn a_refresh_is_taken_up_within_the_time_for_which_a_rotated_token_is_taken_once_more() {
    for (grace, after) in
        [(None, 10), (Some(0), 10), (Some(30), 10), (Some(10), 5), (Some(1), 1), (Some(600), 10)]
    {
        assert_eq!(jobs::recover_after(grace), after, "{grace:?}");
    }
}

#[test]
fn each_phase_of_a_session_reads_as_it_was_written() {
    let text = || "x".to_owned();
    for (phase, json) in [
        (Phase::Started, r#"{"name":"started"}"#),
        (
            Phase::AtProvider {
                state: text(),
                cookie: text(),
                until: 8,
                secrets: text(),
                sealed_state: None,
            },
            r#"{"name":"at_provider","state":"x","cookie":"x","until":8,"secrets":"x"}"#,
        ),
        (
            Phase::AtProvider {
                state: text(),
                cookie: text(),
                until: 8,
                secrets: text(),
                sealed_state: Some(text()),
            },
            r#"{"name":"at_provider","state":"x","cookie":"x","until":8,"secrets":"x","sealed_state":"x"}"#,
        ),
        (
            Phase::Returned { connect_code: text(), until: 8, secrets: text(), code: text() },
            r#"{"name":"returned","connect_code":"x","until":8,"secrets":"x","code":"x"}"#,
        ),
        (Phase::Completing { connect_code: text() }, r#"{"name":"completing","connect_code":"x"}"#),
        (
            Phase::Granted {
                connect_code: text(),
                until: 8,
                secrets: text(),
                id_token: None,
                store: text(),
            },
            r#"{"name":"granted","connect_code":"x","until":8,"secrets":"x","id_token":null,"store":"x"}"#,
        ),
        (
            Phase::Redeemed { connect_code: text(), until: 8, store: text() },
            r#"{"name":"redeemed","connect_code":"x","until":8,"store":"x"}"#,
        ),
        (Phase::Finished { connect_code: None, account: None }, r#"{"name":"finished"}"#),
        (
            Phase::Finished { connect_code: Some(text()), account: Some(account()) },
            r#"{"name":"finished","connect_code":"x","account":"cac_0123456789ABCDEFGHIJKL"}"#,
        ),
        (Phase::FAILED, r#"{"name":"failed"}"#),
        (
            Phase::Failed {
                connect_code: Some(text()),
                error: Some(Denied::CodeRefused),
                cause: None,
            },
            r#"{"name":"failed","connect_code":"x","error":"code_refused"}"#,
        ),
        (
            Phase::Failed {
                connect_code: Some(text()),
                error: Some(Denied::Narrower { missing: vec!["a".into()] }),
                cause: None,
            },
            r#"{"name":"failed","connect_code":"x","error":{"narrower":{"missing":["a"]}}}"#,
        ),
        (
            Phase::Failed {
                connect_code: Some(text()),
                error: Some(Denied::Identity),
                cause: Some("no_userinfo".into()),
            },
            r#"{"name":"failed","connect_code":"x","error":"identity","cause":"no_userinfo"}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&phase).unwrap(), json);
        assert_eq!(serde_json::from_str::<Phase>(json).unwrap(), phase);
    }
    // An object that lacks a member is not read as another phase.
    for bad in [r#"{"name":"returned","connect_code":"x"}"#, r#"{"name":"later"}"#, "{}"] {
        assert!(serde_json::from_str::<Phase>(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_session_is_stored_as_pinned() {
    let mut session = Session {
        begin: Begin {
            session: mac_id("sid"),
            user: user(),
            client_id: "spa".into(),
            connection: "demo".into(),
            redirect_uri: "https://app.example/".into(),
            state: Some("s".into()),
            code_challenge: None,
            scopes: vec!["openid".into()],
            params: vec![("prompt".into(), "login".into())],
            ticket: "t".into(),
            authorization: None,
            link: None,
            auth_session: "a".into(),
            registration: None,
        },
        created_at: 7,
        flow: Flow::Connect,
        phase: Phase::Returned {
            connect_code: "c".into(),
            until: 8,
            secrets: "s".into(),
            code: "p".into(),
        },
        provider_data: BTreeMap::new(),
        browser: None,
    };
    let json = include_str!("../../../tests/golden/session-v1.json").trim();
    assert_eq!(serde_json::to_string(&session).unwrap(), json);
    assert_eq!(serde_json::from_str::<Session>(json).unwrap(), session);
    let text = |text: &str| Some(text.to_owned());
    for (connect_code, error, browser) in [
        (None, None, r#"{"state":"s","cookie":"k"}"#),
        (text("d"), None, r#"{"state":"s","cookie":"k","connect_code":"d"}"#),
        (None, text("access_denied"), r#"{"state":"s","cookie":"k","error":"access_denied"}"#),
    ] {
        let (state, cookie) = ("s".into(), "k".into());
        session.browser = Some(ReturnedBrowser { state, cookie, connect_code, error });
        let json = format!("{},\"browser\":{browser}}}", json.strip_suffix('}').unwrap());
        assert_eq!(serde_json::to_string(&session).unwrap(), json);
        assert_eq!(serde_json::from_str::<Session>(&json).unwrap(), session);
    }
}

#[test]
fn questions_to_a_vault_are_pinned() {
    let ask = |act| vault::VaultRequest { user: user(), connection: "demo".into(), act };
    let asked = |act: &str| {
        format!(
            r#"{{"user":{{"issuer":"https://idp.example/","subject":"alice"}},"connection":"demo","act":{act}}}"#
        )
    };
    pinned(
        &ask(vault::VaultAction::Exchange {
            grant: ExchangeGrant::TokenExchange,
            login_hint: None,
            scopes: vec!["read".into()],
            exact: false,
            kind: String::new(),
            resource: None,
            refused_token: None,
            min_ttl: 0,
            lease: None,
        }),
        &asked(
            r#"{"exchange":{"grant":"urn:ietf:params:oauth:grant-type:token-exchange","login_hint":null,"scopes":["read"],"exact":false}}"#,
        ),
    );
    pinned(
        &ask(vault::VaultAction::Exchange {
            grant: ExchangeGrant::TokenExchange,
            login_hint: None,
            scopes: vec![],
            exact: false,
            kind: String::new(),
            resource: None,
            refused_token: Some("hash".into()),
            min_ttl: 300,
            lease: None,
        }),
        &asked(
            r#"{"exchange":{"grant":"urn:ietf:params:oauth:grant-type:token-exchange","login_hint":null,"scopes":[],"exact":false,"refused_token":"hash","min_ttl":300}}"#,
        ),
    );
    let want = RequestedToken { login_hint: Some("a".into()), ..RequestedToken::default() };
    let releases = vec![LeasedReleases { client_id: "backend".into(), count: 3 }];
    let lease = LeaseRequest { seconds: 15, fingerprint: "f".into(), releases };
    pinned(
        &ask(vault::VaultAction::exchange(ExchangeGrant::TokenExchange, &want, lease)),
        &asked(
            r#"{"exchange":{"grant":"urn:ietf:params:oauth:grant-type:token-exchange","login_hint":"a","scopes":[],"exact":false,"lease":{"seconds":15,"fingerprint":"f","releases":[{"client_id":"backend","count":3}]}}}"#,
        ),
    );
    pinned(&ask(vault::VaultAction::Accounts), &asked(r#""accounts""#));
    pinned(
        &ask(vault::VaultAction::Delete { account: account(), tell: false, tell_leases: false }),
        &asked(r#"{"delete":{"account":"cac_0123456789ABCDEFGHIJKL"}}"#),
    );
    pinned(
        &ask(vault::VaultAction::Delete { account: account(), tell: true, tell_leases: true }),
        &asked(
            r#"{"delete":{"account":"cac_0123456789ABCDEFGHIJKL","tell":true,"tell_leases":true}}"#,
        ),
    );
    pinned(
        &ask(vault::VaultAction::Store(Box::new(NewGrant {
            account: account(),
            provider_user: Some("1".into()),
            email: None,
            name: None,
            access_token: Secret::new("at"),
            refresh_token: Some(Secret::new("rt")),
            scopes: vec![],
            issued_at: 7,
            expires_at: None,
            refresh_token_expires_at: None,
            kinds: BTreeMap::new(),
            provider_data: BTreeMap::new(),
            registration: None,
        }))),
        &asked(
            r#"{"store":{"account":"cac_0123456789ABCDEFGHIJKL","provider_user":"1","email":null,"name":null,"access_token":"at","refresh_token":"rt","scopes":[],"issued_at":7,"expires_at":null}}"#,
        ),
    );
}

#[test]
fn a_vaults_answers_are_pinned() {
    let view = AccountView {
        id: account(),
        user_id: None,
        label: None,
        scopes: vec![],
        created_at: 7,
        expires_at: None,
        provider_data: BTreeMap::new(),
        registration: None,
        lease_until: None,
    };
    let shown = r#"{"id":"cac_0123456789ABCDEFGHIJKL","scopes":[],"created_at":7}"#;
    let answers = [
        (
            vault::VaultResponse::NotReleased(ReleaseError::NotConnected),
            r#"{"problem":"not_connected"}"#.to_owned(),
        ),
        (
            vault::VaultResponse::NotReleased(ReleaseError::ReconnectRequired {
                reason: Reason::RotationLost,
            }),
            r#"{"problem":{"reconnect_required":{"reason":"rotation_lost"}}}"#.into(),
        ),
        (vault::VaultResponse::Stored(view.clone()), format!(r#"{{"stored":{shown}}}"#)),
        (
            vault::VaultResponse::Stored(AccountView { lease_until: Some(9), ..view.clone() }),
            r#"{"stored":{"id":"cac_0123456789ABCDEFGHIJKL","scopes":[],"created_at":7,"lease_until":9}}"#.into(),
        ),
        (
            vault::VaultResponse::Ended { revocation: Some(Revocation::Pending), lease_until: Some(9) },
            r#"{"ended":{"revocation":"pending","lease_until":9}}"#.into(),
        ),
        (
            vault::VaultResponse::Stored(AccountView {
                user_id: Some("1".into()),
                label: Some("a@x.example".into()),
                ..view.clone()
            }),
            r#"{"stored":{"id":"cac_0123456789ABCDEFGHIJKL","user_id":"1","label":"a@x.example","scopes":[],"created_at":7}}"#.into(),
        ),
        (vault::VaultResponse::Accounts(vec![view]), format!(r#"{{"accounts":[{shown}]}}"#)),
        (vault::VaultResponse::Deleted(true), r#"{"deleted":true}"#.into()),
        (vault::VaultResponse::Removed(None), r#"{"removed":null}"#.into()),
        (
            vault::VaultResponse::Removed(Some(Revocation::NotSupported)),
            r#"{"removed":"not_supported"}"#.into(),
        ),
        (vault::VaultResponse::UnknownUser, r#""unknown_user""#.into()),
        (
            vault::VaultResponse::NotReleased(ReleaseError::Misconfigured {
                retry_after: 5,
                reason: Misconfiguration::RegistrationChanged,
            }),
            r#"{"problem":{"misconfigured":{"retry_after":5,"reason":"registration_changed"}}}"#
                .into(),
        ),
        (
            vault::VaultResponse::NotReleased(ReleaseError::Misconfigured {
                retry_after: 5,
                reason: Misconfiguration::ProviderRefusedClient,
            }),
            r#"{"problem":{"misconfigured":{"retry_after":5}}}"#.into(),
        ),
        (
            vault::VaultResponse::Narrower { missing: vec!["a".into()] },
            r#"{"narrower":{"missing":["a"]}}"#.into(),
        ),
    ];
    for (answer, json) in answers {
        assert!(vault::VaultRequest::written(&answer, 0).is_none());
        pinned(&answer, &json);
    }
}

#[test]
fn a_token_is_no_message_and_has_a_form_for_this_worker_and_one_for_those_before() {
    let answer = |lease_seconds| vault::VaultResponse::Token {
        grant: ExchangeGrant::TokenExchange,
        access_token: Secret::new("at"),
        scopes: vec!["a".into(), "b".into()],
        expires_in: 9,
        provider_data: BTreeMap::new(),
        lease_seconds,
    };
    let written = |lease_seconds| {
        let answer = answer(lease_seconds);
        assert_eq!(message::write(&answer), None);
        let (outcome, body) = vault::VaultRequest::written(&answer, 3).unwrap();
        (outcome, body.expose().to_owned())
    };
    let members = r#""access_token":"at","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","scope":"a b","token_type":"Bearer"}"#;
    let body = format!(r#"{{"expires_in":9,{members}"#);
    assert_eq!(written(None), (Outcome::Passthrough, body));
    assert_eq!(written(Some(0)), (Outcome::Released, format!("9 0 3 {members}")));
    let (_, message) = written(Some(15));
    let released = Released::read(&Secret::new(message)).unwrap();
    assert_eq!((released.expires_in, released.lease_seconds, released.object_ms), (9, 15, 3));
    assert_eq!(released.members.expose(), members);
    for bad in ["", "9 0 3", "9 0 x {", "9  3 {"] {
        assert!(Released::read(&Secret::new(bad)).is_none(), "{bad}");
    }
}

#[test]
fn the_statuses_of_objects_are_pinned_and_none_is_taken_for_another() {
    let outcomes = [
        (Outcome::Passthrough, 200),
        (Outcome::Answer, 290),
        (Outcome::KeyUnavailable, 291),
        (Outcome::Misconfigured, 292),
        (Outcome::Failed, 293),
        (Outcome::Unsupported, 294),
        (Outcome::Released, 295),
    ];
    for (outcome, status) in outcomes {
        assert_eq!(outcome.status(), status);
        assert_eq!(Outcome::of(status), Some(outcome));
    }
    for status in [0, 201, 204, 299, 302, 400, 500, 503] {
        assert_eq!(Outcome::of(status), None, "{status}");
    }
}

#[test]
fn messages_of_the_small_objects_are_pinned() {
    pinned(
        &directory::DirectoryRequest::Add { connection: "demo".into(), session: None },
        r#"{"add":{"connection":"demo"}}"#,
    );
    pinned(
        &directory::DirectoryRequest::Add {
            connection: "demo".into(),
            session: Some(mac_id("sid")),
        },
        r#"{"add":{"connection":"demo","session":"sid"}}"#,
    );
    pinned(
        &directory::DirectoryRequest::Ended { session: mac_id("sid") },
        r#"{"ended":{"session":"sid"}}"#,
    );
    pinned(&directory::DirectoryResponse::Ended, r#""ended""#);
    pinned(
        &directory::DirectoryResponse::TooManyInFlight { retry_after: 7 },
        r#"{"too_many_in_flight":{"retry_after":7}}"#,
    );
    pinned(&directory::DirectoryRequest::List, r#""list""#);
    pinned(
        &directory::DirectoryResponse::Connections(vec!["demo".into()]),
        r#"{"connections":["demo"]}"#,
    );
    pinned(
        &registry::RegistryRequest::Check {
            values: [("k".into(), "v".into())].into(),
            remember: vec!["k".into()],
        },
        r#"{"check":{"values":{"k":"v"},"remember":["k"]}}"#,
    );
    pinned(
        &registry::RegistryResponse::Checked {
            changed: vec!["k".into()],
            known: false,
            stored: BTreeMap::new(),
        },
        r#"{"checked":{"changed":["k"],"known":false}}"#,
    );
    pinned(
        &registry::RegistryResponse::Checked {
            changed: vec![],
            known: true,
            stored: [("k".into(), "v".into())].into(),
        },
        r#"{"checked":{"changed":[],"known":true,"stored":{"k":"v"}}}"#,
    );
    pinned(
        &registry::RegistryRequest::CheckCopy {
            values: [("k".into(), "v".into())].into(),
            remember: vec!["k".into()],
        },
        r#"{"check_copy":{"values":{"k":"v"},"remember":["k"]}}"#,
    );
    pinned(
        &registry::RegistryRequest::AddReference { account: "a".into(), vault: "v".into() },
        r#"{"hold":{"account":"a","vault":"v"}}"#,
    );
    pinned(
        &registry::RegistryRequest::RemoveReference { account: "a".into(), vault: "v".into() },
        r#"{"release":{"account":"a","vault":"v"}}"#,
    );
    pinned(&registry::RegistryResponse::ReferenceAdded, r#""held""#);
    pinned(&registry::RegistryResponse::Shared { shared: true }, r#"{"shared":{"shared":true}}"#);
    pinned(
        &registry::RegistryRequest::Others { account: "a".into(), vault: "v".into() },
        r#"{"others":{"account":"a","vault":"v"}}"#,
    );
    pinned(
        &issuer::IssuerRequest { issuer: "i".into(), jwks_uri: None, pattern: None, renew: false },
        r#"{"issuer":"i","jwks_uri":null,"renew":false}"#,
    );
    pinned(&issuer::IssuerResponse::Unavailable, r#""unavailable""#);
    pinned(&issuer::IssuerResponse::Unusable, r#""unusable""#);
}

#[test]
fn messages_of_the_browsers_hops_are_pinned() {
    pinned(
        &connect::SessionRequest::Open { ticket: Secret::new("t"), cookie: None },
        r#"{"open":{"ticket":"t"}}"#,
    );
    pinned(
        &connect::SessionRequest::Open { ticket: Secret::new("t"), cookie: Some(Secret::new("c")) },
        r#"{"open":{"ticket":"t","cookie":"c"}}"#,
    );
    pinned(
        &connect::SessionRequest::ReturnWithoutState(StatelessError {
            cookie: Secret::new("c"),
            connection: "demo".into(),
            error: "access_denied".into(),
        }),
        r#"{"return_without_state":{"cookie":"c","connection":"demo","error":"access_denied"}}"#,
    );
    pinned(&connect::SessionRequest::Origin, r#""origin""#);
    pinned(
        &connect::SessionResponse::Origin(SessionOrigin {
            client_id: "spa".into(),
            redirect_uri: "https://app.example/".into(),
            flow: Flow::Connect,
        }),
        r#"{"origin":{"client_id":"spa","redirect_uri":"https://app.example/","flow":"connect"}}"#,
    );
    pinned(
        &connect::SessionResponse::Opened { location: "l".into(), cookie: Some(Secret::new("c")) },
        r#"{"opened":{"location":"l","cookie":"c"}}"#,
    );
    pinned(
        &connect::SessionResponse::Opened { location: "l".into(), cookie: None },
        r#"{"opened":{"location":"l"}}"#,
    );
    pinned(
        &connect::SessionResponse::Returned { location: Secret::new("l"), denied: None },
        r#"{"returned":{"location":"l"}}"#,
    );
    pinned(
        &connect::SessionResponse::Returned {
            location: Secret::new("l"),
            denied: Some(Denied::ProviderUnavailable),
        },
        r#"{"returned":{"location":"l","denied":"provider_unavailable"}}"#,
    );
    pinned(&connect::SessionResponse::Denied(Denied::OtherUser), r#"{"denied":"other_user"}"#);
}

#[test]
fn a_member_of_a_later_version_is_passed_over_and_an_unknown_question_is_not_guessed_at() {
    let later = r#"{"v":2,"body":{"add":{"connection":"demo","since":7}},"more":1}"#;
    assert!(message::read::<directory::DirectoryRequest>(later.as_bytes()).is_some());
    let unknown = br#"{"v":2,"body":{"rename":{"connection":"demo"}}}"#;
    assert!(message::read::<directory::DirectoryRequest>(unknown).is_none());
}

#[test]
fn bindings_are_those_of_the_deployment() {
    let file = include_str!("../../../wrangler.toml");
    for class in
        [Class::Vault, Class::Directory, Class::Registry, Class::ConnectSession, Class::IssuerKeys]
    {
        assert!(file.contains(&format!("name = \"{}\"", class.binding())), "{class:?}");
        assert!(file.contains(&format!("\"{class:?}\"")), "{class:?}");
    }
}
