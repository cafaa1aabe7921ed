// SPDX-License-Identifier: Apache-2.0
//! The writes of a refresh before its request is sent, and those for each response, given the vault's
//! contents when the response arrives.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::{
    NOW, Rows, account, answer, connection, connection_of, grant, home, home_with_key, id, intent,
    lines,
};
use vault_base::encoding::base64url;
use vault_base::seal::SealError;
use vault_base::secret::Secret;
use vault_core::event::EventName;
use vault_core::vault::contents::{Contents, Sealed, StoredGrant};
use vault_core::vault::follow_up;
use vault_core::vault::home::Home;
use vault_core::vault::jobs::Job;
use vault_core::vault::plan::{Plan, StoredJob, Write};
use vault_core::vault::record::{
    Account, AccountState, Grant, Intent, Reason, Selector, Unexplained, field,
};
use vault_core::vault::release::{self, ReleaseError};
use vault_core::vault::renew::{self, Renewing, Snapshot};
use vault_provider::connection::Connection;
use vault_provider::error_codes::TokenEndpointError;
use vault_provider::token_response::ProviderResponse;

fn recover() -> Vec<StoredJob> {
    let job = Job::Recover { account: id("1"), generation: 4, token_kind: String::new() };
    let other = Job::Recover { account: id("2"), generation: 4, token_kind: String::new() };
    vec![(7, NOW, job), (8, NOW, other)]
}

fn begin(home: &Home, contents: &Contents, connection: &Connection) -> Renewing {
    let token = (&id("1"), &Selector::default());
    Renewing::begin(home, contents, connection, token, NOW).unwrap().unwrap()
}

/// What the vault stores when a response arrives.
fn snapshot<'a>(
    home: &'a Home,
    contents: &'a Contents,
    jobs: &'a [StoredJob],
    connection: &'a Connection,
) -> Snapshot<'a> {
    Snapshot { home, contents, jobs, connection, now: NOW }
}

/// The writes and events for a response if the vault has not changed meanwhile.
fn after(connection: &Connection, before: Grant, received: &ProviderResponse) -> Vec<String> {
    let home = home();
    let contents = Rows::new(&home).with(account("1", Some("u")), before, 5).contents;
    let renewing = begin(&home, &contents, connection);
    let jobs = recover();
    let at = snapshot(&home, &contents, &jobs, connection);
    lines(&home, &renewing.answered(at, None, received).unwrap().plan)
}

fn tokens(more: &Value) -> ProviderResponse {
    let mut body = json!({"access_token": "a5", "refresh_token": "r5", "expires_in": 600});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    answer(200, &body)
}

#[test]
fn a_grant_of_another_registration_or_one_that_does_not_open_is_not_renewed() {
    let (home, configured) = (home(), connection(&json!({})));
    let contents = Rows::new(&home).with(account("1", Some("u")), grant(&configured), 5).contents;
    let check = |home: &Home, contents: &Contents, connection: &Connection| {
        renew::check(home, contents, connection, &id("1"), "")
    };
    assert_eq!(check(&home, &contents, &configured).unwrap(), Ok(()));
    assert_eq!(check(&home, &Contents::default(), &configured).unwrap(), Ok(()));
    let other = connection(&json!({"client_id": "d"}));
    let stopped = check(&home, &contents, &other).unwrap().unwrap_err();
    assert_eq!((stopped.problem, stopped.event), (release::registration_changed(), None));

    let mut damaged = contents.clone();
    damaged.grants[0].grant.envelope.as_mut().unwrap()[20] ^= 1;
    let stopped = check(&home, &damaged, &configured).unwrap().unwrap_err();
    let reason = Reason::Corrupt;
    assert_eq!(stopped.problem, ReleaseError::ReconnectRequired { reason });
    assert_eq!(stopped.event.unwrap().event, EventName::GrantCorrupt);

    let without_key = check(&home_with_key("k2"), &contents, &configured);
    assert!(matches!(without_key, Err(SealError::KeyUnavailable { .. })), "{without_key:?}");
}

#[test]
fn the_intent_says_when_it_is_taken_up_and_is_written_before_the_provider_is_asked() {
    let (home, connection) = (home(), connection(&json!({"reuse_grace": 20})));
    let before = Grant { intent: Some(intent(1)), ..grant(&connection) };
    let contents = Rows::new(&home).with(account("1", Some("u")), before, 5).contents;
    let renewing = begin(&home, &contents, &connection);
    let (sent, scopes) = renewing.request(&connection);
    assert_eq!((sent.expose(), scopes), ("r4", None));
    // This is the second attempt with the token, and its follow-up replaces the first one's.
    assert_eq!(
        lines(&home, &renewing.intent(&recover())),
        ["update cac_1 gen 4 active attempt 2 followed up +10", "end job 7"]
    );
}

#[test]
fn a_follow_up_that_is_due_becomes_the_one_job_of_its_grant() {
    let (home, connection) = (home(), connection(&json!({})));
    let open = |follow_up| Intent { follow_up, ..intent(1) };
    let of = |intent| Grant { intent, ..grant(&connection) };
    let contents = Rows::new(&home)
        .with(account("1", Some("u")), of(Some(open(Some(NOW)))), 5)
        .with(account("2", Some("v")), of(Some(open(Some(NOW + 1)))), 5)
        // The job of that one exists, or none asks for it any more.
        .with(account("3", Some("w")), of(Some(open(None))), 5)
        .with(account("4", Some("x")), of(None), 5)
        .contents;
    assert_eq!(follow_up::next(&contents), Some(NOW));
    let jobs = |stored: &[StoredJob], after: i64| {
        let writes = follow_up::into_jobs(&contents, stored, NOW + after);
        lines(&home, &Plan { writes, ..Plan::default() })
    };
    let first = ["update cac_1 gen 4 active attempt 1", "job +0 recover cac_1 gen 4"];
    let second = ["update cac_2 gen 4 active attempt 1", "job +1 recover cac_2 gen 4"];
    assert!(jobs(&[], -1).is_empty());
    assert_eq!(jobs(&[], 0), first);
    assert_eq!(jobs(&[], 1), [first, second].concat());
    // The grants have a job already, which an earlier version wrote.
    assert_eq!(jobs(&recover(), 1), [first[0], second[0]]);
    // Another grant of the account has a job of its own.
    let bot = Job::Recover { account: id("1"), generation: 4, token_kind: "bot".into() };
    assert_eq!(jobs(&[(7, NOW, bot)], 0), first);

    let settled = Rows::new(&home).with(account("4", Some("x")), of(None), 5).contents;
    assert_eq!(follow_up::next(&settled), None);
}

#[test]
fn each_answer_changes_what_it_must_and_no_more() {
    let connection = connection(&json!({}));
    let settled = "end job 7";
    let odd = tokens(&json!({"token_type": "mac"}));
    for (what, received, expected) in [
        (
            "tokens",
            tokens(&json!({})),
            &["grant cac_1 gen 5 active = r5", "token cac_1 a5 gen 5 ends Some(600)", settled][..],
        ),
        (
            "tokens without a new refresh token",
            tokens(&json!({"refresh_token": null})),
            &["grant cac_1 gen 5 active = r4", "token cac_1 a5 gen 5 ends Some(600)", settled],
        ),
        (
            "tokens without a readable lifetime",
            tokens(&json!({"expires_in": "soon"})),
            // The lifetime of the previous token is assumed.
            &[
                "grant cac_1 gen 5 active = r5",
                "token cac_1 a5 gen 5 ends Some(600)",
                settled,
                "log expires_in_assumed cac_1",
            ],
        ),
        (
            "a response of which only the new refresh token is usable",
            odd,
            &[
                "update cac_1 gen 4 active attempt 0 next r5 retry +5 fault unusable_access_token",
                settled,
                "job +5 recover cac_1 gen 4",
                "log refresh_refused cac_1: token_type",
            ],
        ),
        (
            "an access token that no header can carry",
            tokens(&json!({"access_token": "a 5"})),
            &[
                "update cac_1 gen 4 active attempt 0 next r5 retry +5 fault unusable_access_token",
                settled,
                "job +5 recover cac_1 gen 4",
                "log refresh_refused cac_1: unusable_access_token",
            ],
        ),
        (
            "no response",
            ProviderResponse::Lost,
            &[
                "update cac_1 gen 4 active attempt 1 retry +5",
                settled,
                "job +0 recover cac_1 gen 4",
                "log refresh_refused cac_1: ambiguous",
            ],
        ),
        (
            "a server error without a code of the provider",
            answer(503, &json!({"message": "upstream"})),
            &[
                "update cac_1 gen 4 active attempt 1 retry +5",
                settled,
                "job +5 recover cac_1 gen 4",
                "log refresh_refused cac_1: unavailable",
            ],
        ),
        (
            "an unavailable provider",
            answer(503, &json!({"error": "temporarily_unavailable"})),
            &[
                "update cac_1 gen 4 active retry +5",
                settled,
                "log refresh_refused cac_1: unavailable",
            ],
        ),
        (
            "a rejected registration",
            answer(401, &json!({"error": "invalid_client"})),
            &[
                "update cac_1 gen 4 active retry +5 fault invalid_client",
                settled,
                "log refresh_refused cac_1: invalid_client",
            ],
        ),
        (
            "a rejected refresh token",
            answer(400, &json!({"error": "invalid_grant"})),
            &[
                "update cac_1 gen 4 refresh_refused",
                "state cac_1 refresh_refused",
                settled,
                "log refresh_refused cac_1: invalid_grant",
                "log reconnect_required cac_1: refresh_refused",
            ],
        ),
    ] {
        assert_eq!(after(&connection, grant(&connection), &received), expected, "{what}");
    }
}

#[test]
fn another_users_refresh_token_succeeds_nothing_whatever_else_is_wrong_with_the_response() {
    let (home, connection) = (
        home(),
        connection_of(&json!({
            "kind": "oidc", "issuer": "https://p.example.com", "client_id": "c", "scopes": ["read"],
        })),
    );
    let issuer = Some("https://p.example.com");
    let id_token = |subject: &str| {
        let claims = json!({"iss": "https://p.example.com", "sub": subject}).to_string();
        format!("{}.{}.c2ln", base64url(r#"{"alg":"RS256"}"#), base64url(claims))
    };
    for (subject, odd, successor) in
        [("u", "mac", Some("r5")), ("v", "mac", Some("r4next")), ("v", "Bearer", Some("r4next"))]
    {
        // The grant's own token has a successor already.
        let mut rows =
            Rows::new(&home).with(account("1", Some("u")), grant(&connection), 5).contents;
        let next = home.seal(&id("1"), "next_refresh_token", 4, &Secret::new("r4next")).unwrap();
        let next = Some(base64url(next));
        rows.grants[0].grant.record.intent = Some(Intent { successor: next, ..intent(0) });
        let renewing = begin(&home, &rows, &connection);
        let jobs = recover();
        let at = snapshot(&home, &rows, &jobs, &connection);
        let body = json!({"token_type": odd, "id_token": id_token(subject)});
        let answered = renewing.answered(at, issuer, &tokens(&body)).unwrap();
        let Some(Write::UpdateGrant { grant, .. }) = answered.plan.writes.first() else {
            panic!("{:?}", answered.plan.writes)
        };
        let stored =
            Sealed { record: grant.clone(), envelope: rows.grants[0].grant.envelope.clone() };
        let kept = home.refresh_tokens(&id("1"), "", &stored).unwrap().unwrap();
        assert_eq!(kept.successor().map(Secret::expose), successor, "{subject} {odd}");
        // Nor is it revoked where the account was deleted meanwhile.
        let gone = Contents::default();
        let answered =
            renewing.answered(Snapshot { contents: &gone, ..at }, issuer, &tokens(&body));
        let adds_job = |write: &Write| matches!(write, Write::AddJob { .. });
        let plan = answered.unwrap().plan;
        assert_eq!(plan.writes.iter().any(adds_job), subject == "u", "{subject} {odd}");
    }
}

#[test]
fn a_clear_no_after_a_lost_answer_says_that_a_rotation_was_lost() {
    let connection = connection(&json!({}));
    let before = Grant { intent: Some(intent(1)), ..grant(&connection) };
    let refused = answer(400, &json!({"error": "invalid_grant"}));
    let lines = after(&connection, before, &refused);
    assert!(lines.contains(&"state cac_1 rotation_lost".to_owned()), "{lines:?}");
}

#[test]
fn a_clear_no_after_a_server_error_says_that_a_rotation_was_lost_unless_the_error_was_without_effect()
 {
    let (home, connection) = (home(), connection(&json!({})));
    let refused = answer(400, &json!({"error": "invalid_grant"}));
    for (what, first, reason) in [
        ("a gateway's page", page(503, "<html>Service Unavailable</html>"), "rotation_lost"),
        (
            "a gateway's timeout",
            page(504, r#"{"error":"temporarily_unavailable"}"#),
            "rotation_lost",
        ),
        ("a failure", page(500, r#"{"error":"server_error"}"#), "rotation_lost"),
        (
            "the provider's own code",
            page(503, r#"{"error":"temporarily_unavailable"}"#),
            "refresh_refused",
        ),
        ("a rate limit", page(429, "<html>Too Many Requests</html>"), "refresh_refused"),
    ] {
        let contents =
            Rows::new(&home).with(account("1", Some("u")), grant(&connection), 5).contents;
        let renewing = begin(&home, &contents, &connection);
        let at = snapshot(&home, &contents, &[], &connection);
        let writes = renewing.answered(at, None, &first).unwrap().plan.writes;
        let Some(Write::UpdateGrant { grant, .. }) = writes.first() else { panic!("{what}") };
        let told = after(&connection, grant.clone(), &refused);
        assert!(told.contains(&format!("state cac_1 {reason}")), "{what}: {told:?}");
    }
}

fn page(status: u16, body: &str) -> ProviderResponse {
    ProviderResponse::Answer { status, retry_after: None, body: Secret::new(body.to_owned()) }
}

#[test]
fn a_grant_that_ended_by_refusals_without_a_code_is_tried_daily_and_lives_again_with_a_success() {
    let (home, connection) = (home(), connection(&json!({})));
    let refusals = Unexplained { count: 4, since: NOW - 86_400, last: NOW - 60 };
    let before = Intent { attempt: 4, unexplained: Some(refusals), ..intent(4) };
    let before = Grant { intent: Some(before), ..grant(&connection) };
    let settled = "end job 7";
    let ended = [
        "update cac_1 gen 4 refresh_refused attempt 5",
        "state cac_1 refresh_refused",
        settled,
        "job +86400 recover cac_1 gen 4",
        "log refresh_refused cac_1: http_400",
        "log reconnect_required cac_1: refresh_refused",
    ];
    assert_eq!(after(&connection, before.clone(), &page(400, "")), ended);

    let over = AccountState::ReconnectRequired(Reason::RefreshRefused);
    let refusals = Unexplained { count: 5, last: NOW, ..refusals };
    let intent = Intent { attempt: 5, unexplained: Some(refusals), ..intent(5) };
    let before = Grant { intent: Some(intent), state: over, ..before };
    let account = Account { state: over, ..account("1", Some("u")) };
    let contents = Rows::new(&home).with(account, before, 5).contents;
    let renewing = begin(&home, &contents, &connection);
    assert_eq!(renewing.request(&connection).0.expose(), "r4");
    for (what, received, expected) in [
        // The operator is told once.
        (
            "refused again",
            page(400, ""),
            &[
                "update cac_1 gen 4 refresh_refused attempt 6",
                settled,
                "job +86400 recover cac_1 gen 4",
                "log refresh_refused cac_1: http_400",
            ][..],
        ),
        (
            "down",
            page(503, ""),
            &[
                "update cac_1 gen 4 refresh_refused attempt 6 retry +5",
                settled,
                "job +86400 recover cac_1 gen 4",
                "log refresh_refused cac_1: unavailable",
            ],
        ),
        (
            "refused with a code",
            answer(400, &json!({"error": "invalid_grant"})),
            &[
                "update cac_1 gen 4 refresh_refused",
                settled,
                "log refresh_refused cac_1: invalid_grant",
            ],
        ),
        (
            "accepted",
            tokens(&json!({})),
            &[
                "grant cac_1 gen 5 active = r5",
                "state cac_1 active",
                "token cac_1 a5 gen 5 ends Some(600)",
                settled,
            ],
        ),
    ] {
        let jobs = recover();
        let at = snapshot(&home, &contents, &jobs, &connection);
        let plan = renewing.answered(at, None, &received).unwrap().plan;
        assert_eq!(lines(&home, &plan), expected, "{what}");
    }
}

#[test]
fn a_grant_that_tells_no_registration_is_bound_by_its_first_success_and_the_registry_told() {
    let connection = connection(&json!({}));
    let before = Grant { registration: None, ..grant(&connection) };
    let lines = after(&connection, before, &tokens(&json!({})));
    assert_eq!(lines[0], "job +0 hold u");
}

#[test]
fn an_account_from_before_ids_came_in_the_callback_gets_its_id_with_a_renewal_and_the_registry_told()
 {
    let callback = json!({"identity": {"from": "callback", "id": "c"}, "callback_extra": ["c"]});
    let (home, connection) = (home(), connection(&callback));
    let told = |user: Option<&str>, data: &str| {
        let provider_data = BTreeMap::from([(data.to_owned(), "company".to_owned())]);
        let before = Account { provider_data, ..account("1", user) };
        let contents = Rows::new(&home).with(before, grant(&connection), 5).contents;
        let renewing = begin(&home, &contents, &connection);
        let at = snapshot(&home, &contents, &[], &connection);
        let plan = renewing.answered(at, None, &tokens(&json!({}))).unwrap().plan;
        let ids = plan.writes.iter().filter_map(|write| match write {
            Write::PutAccount(account) => account.identity.id.clone(),
            _ => None,
        });
        let ids: Vec<_> = ids.collect();
        (ids, lines(&home, &plan).contains(&"job +0 hold company".to_owned()))
    };
    assert_eq!(told(None, "c"), (vec!["company".to_owned()], true));
    assert_eq!(told(None, "d"), (vec![], false));
    assert_eq!(told(Some("u"), "c"), (vec![], false));
}

#[test]
fn an_answer_to_a_grant_that_changed_meanwhile_is_written_where_it_belongs() {
    let (home, connection) = (home(), connection(&json!({})));
    let before = Rows::new(&home).with(account("1", Some("u")), grant(&connection), 5).contents;
    let renewing = begin(&home, &before, &connection);
    let connected_again = |keeps_token: bool| {
        let mut rows = before.clone();
        let row = &mut rows.grants[0].grant;
        row.record.generation = 5;
        let token = if keeps_token { "r4" } else { "new" };
        let token = vault_base::secret::Secret::new(token);
        row.envelope = Some(home.seal(&id("1"), "refresh_token", 5, &token).unwrap());
        rows
    };
    let gone = Contents::default();
    let end = "end job 7";
    for (what, now, received, expected) in [
        (
            "connected again, with the refresh token kept",
            connected_again(true),
            tokens(&json!({})),
            &["grant cac_1 gen 6 active = r5", end][..],
        ),
        (
            "connected again, with a new refresh token",
            connected_again(false),
            tokens(&json!({})),
            &[end],
        ),
        (
            "deleted",
            gone.clone(),
            tokens(&json!({})),
            &["job +0 revoke refresh_token r5", "job +0 revoke access_token a5", end],
        ),
        (
            "deleted, and only the new refresh token is usable",
            gone.clone(),
            tokens(&json!({"token_type": "mac"})),
            &["job +0 revoke refresh_token r5", end, "log refresh_refused cac_1: token_type"],
        ),
        (
            "deleted, and rejected",
            gone,
            answer(400, &json!({"error": "invalid_grant"})),
            &[end, "log refresh_refused cac_1: invalid_grant"],
        ),
        (
            "connected again with a new refresh token, and rejected",
            connected_again(false),
            answer(400, &json!({"error": "invalid_grant"})),
            &[end, "log refresh_refused cac_1: invalid_grant"],
        ),
    ] {
        let jobs = recover();
        let at = snapshot(&home, &now, &jobs, &connection);
        let plan = renewing.answered(at, None, &received).unwrap().plan;
        assert_eq!(lines(&home, &plan), expected, "{what}");
    }
}

/// What an answer writes for a grant whose account was connected again meanwhile and kept its refresh token,
/// and of which a refresh was begun since.
fn after_reconnect(received: &ProviderResponse) -> Vec<Write> {
    let (home, connection) = (home(), connection(&json!({})));
    let before = Rows::new(&home).with(account("1", Some("u")), grant(&connection), 5).contents;
    let renewing = begin(&home, &before, &connection);
    let mut now = before.clone();
    let row = &mut now.grants[0].grant;
    row.record.generation = 5;
    row.record.intent = Some(Intent { generation: 5, attempt: 9, ..intent(1) });
    let token = Secret::new("r4");
    row.envelope = Some(home.seal(&id("1"), "refresh_token", 5, &token).unwrap());
    let jobs = [];
    let at = snapshot(&home, &now, &jobs, &connection);
    renewing.answered(at, None, received).unwrap().plan.writes
}

#[test]
fn what_an_answer_leaves_open_is_open_of_the_generation_that_is_stored_by_then() {
    for (what, received, generation, open) in [
        ("tokens", tokens(&json!({})), 6, None),
        ("a clear no", answer(400, &json!({"error": "invalid_grant"})), 5, None),
        // This answer's attempt is the one that is open, and the next one is the second.
        ("no answer", ProviderResponse::Lost, 5, Some((5, 1))),
        // A successor that was never sent has no attempts.
        ("a new refresh token alone", tokens(&json!({"token_type": "mac"})), 5, Some((5, 0))),
        (
            "a provider that did nothing",
            answer(503, &json!({"error": "temporarily_unavailable"})),
            5,
            None,
        ),
    ] {
        let writes = after_reconnect(&received);
        let Some(Write::UpdateGrant { grant, .. } | Write::PutGrant { grant, .. }) = writes.first()
        else {
            panic!("{what}: {writes:?}");
        };
        let left = grant.intent.as_ref().map(|intent| (intent.generation, intent.attempt));
        assert_eq!((grant.generation, left), (generation, open), "{what}");
    }
}

#[test]
fn a_request_of_an_object_that_stopped_is_not_overtaken_by_another_one() {
    let (home, strict) = (home(), connection(&json!({})));
    let brief = connection(&json!({"reuse_grace": 4}));
    let contents = Rows::new(&home).with(account("1", Some("u")), grant(&strict), 5).contents;
    let renewing = begin(&home, &contents, &strict);
    let Some(Write::UpdateGrant { grant: stored, .. }) =
        renewing.intent(&[]).writes.into_iter().next()
    else {
        panic!("the intent is written first");
    };
    let begins = |connection: &Connection, is_awaited: bool, after: i64| {
        let mut contents = contents.clone();
        let intent = stored.intent.clone().map(|intent| Intent { is_awaited, ..intent });
        contents.grants[0].grant.record = Grant { intent, ..stored.clone() };
        let token = (&id("1"), &Selector::default());
        Renewing::begin(&home, &contents, connection, token, NOW + after).unwrap().is_some()
    };
    assert!(stored.intent.as_ref().is_some_and(|intent| intent.is_awaited));
    for (connection, is_awaited, after, expected) in [
        (&strict, true, 0, false),
        (&strict, true, 9, false),
        (&strict, true, 10, true),
        // A provider that takes a rotated token once more does not mind, after a while.
        (&brief, true, 1, false),
        (&brief, true, 2, true),
        // Its response was received.
        (&strict, false, 0, true),
        // The clock was set back.
        (&strict, true, -1, true),
    ] {
        assert_eq!(begins(connection, is_awaited, after), expected, "{is_awaited} {after}");
    }
    // Each response ends the wait, whatever it says.
    for received in
        [ProviderResponse::Lost, answer(500, &json!({})), tokens(&json!({"token_type": "mac"}))]
    {
        let jobs = recover();
        let at = snapshot(&home, &contents, &jobs, &strict);
        let plan = renewing.answered(at, None, &received).unwrap().plan;
        let Some(Write::UpdateGrant { grant, .. }) = plan.writes.first() else {
            panic!("{:?}", plan.writes)
        };
        assert!(!grant.intent.as_ref().unwrap().is_awaited, "{received:?}");
    }
}

#[test]
fn a_successor_that_a_reconnect_sealed_anew_outlives_the_response_to_a_request_before_it() {
    let (home, connection) = (home(), connection(&json!({})));
    let sealed = |generation: u64| {
        let next = home.seal(&id("1"), "next_refresh_token", generation, &Secret::new("next"));
        Some(base64url(next.unwrap()))
    };
    let mut before = Rows::new(&home).with(account("1", Some("u")), grant(&connection), 5).contents;
    before.grants[0].grant.record.intent = Some(Intent { successor: sealed(4), ..intent(0) });
    let renewing = begin(&home, &before, &connection);
    assert_eq!(renewing.request(&connection).0.expose(), "next");
    // The reconnect brought no refresh token.
    let mut now = before.clone();
    let row = &mut now.grants[0].grant;
    row.record.generation = 5;
    row.record.intent = Some(Intent { generation: 5, successor: sealed(5), ..intent(0) });
    row.envelope = Some(home.seal(&id("1"), "refresh_token", 5, &Secret::new("r4")).unwrap());
    for (received, kept) in [
        (ProviderResponse::Lost, Some("next")),
        (answer(503, &json!({"error": "temporarily_unavailable"})), Some("next")),
        (tokens(&json!({"token_type": "mac"})), Some("r5")),
        (answer(400, &json!({"error": "invalid_grant"})), None),
    ] {
        let jobs = [];
        let at = snapshot(&home, &now, &jobs, &connection);
        let plan = renewing.answered(at, None, &received).unwrap().plan;
        let Some(Write::UpdateGrant { grant, .. }) = plan.writes.first() else {
            panic!("{:?}", plan.writes)
        };
        let envelope = now.grants[0].grant.envelope.clone();
        let stored = Sealed { record: Grant { generation: 5, ..grant.clone() }, envelope };
        let tokens = home.refresh_tokens(&id("1"), "", &stored).unwrap().unwrap();
        assert_eq!(tokens.successor().map(Secret::expose), kept, "{received:?}");
    }
}

#[test]
fn an_answer_for_a_deleted_account_revokes_nothing_where_its_user_connected_anew() {
    let (home, connection) = (home(), connection(&json!({})));
    let before = Rows::new(&home).with(account("1", Some("u")), grant(&connection), 5).contents;
    let renewing = begin(&home, &before, &connection);
    for (anew, revoked) in [(Some("u"), false), (Some("v"), true), (None, true)] {
        let now = Rows::new(&home).with(account("2", anew), grant(&connection), 5).contents;
        for (received, count) in
            [(tokens(&json!({})), 2), (tokens(&json!({"token_type": "mac"})), 1)]
        {
            let jobs = [];
            let at = snapshot(&home, &now, &jobs, &connection);
            let plan = renewing.answered(at, None, &received).unwrap().plan;
            let generations: Vec<u64> = plan
                .writes
                .iter()
                .filter_map(|write| match write {
                    Write::AddJob { job: Job::Revoke { generation, .. }, .. } => Some(*generation),
                    _ => None,
                })
                .collect();
            // Sealed as the grant would have been.
            let expected = if revoked { vec![5; count] } else { Vec::new() };
            assert_eq!(generations, expected, "{anew:?}");
        }
    }
}

#[test]
fn a_grant_of_another_kind_is_renewed_beside_the_accounts_own() {
    let (home, connection) = (home(), connection(&json!({})));
    let mut contents =
        Rows::new(&home).with(account("1", Some("u")), grant(&connection), 5).contents;
    let token = home.seal(&id("1"), &field("refresh_token", "bot"), 4, &Secret::new("b4")).unwrap();
    contents.grants.push(StoredGrant {
        account: id("1"),
        kind: "bot".into(),
        grant: Sealed { record: grant(&connection), envelope: Some(token) },
    });
    let of = (&id("1"), &Selector::new("bot", "", &[]));
    let renewing = Renewing::begin(&home, &contents, &connection, of, NOW).unwrap().unwrap();
    assert_eq!(renewing.request(&connection).0.expose(), "b4");
    let kinds = |writes: &[Write]| -> Vec<String> {
        let kind = |write: &Write| match write {
            Write::UpdateGrant { kind, .. } | Write::PutGrant { kind, .. } => Some(kind.clone()),
            Write::AddJob { job: Job::Recover { token_kind, .. }, .. } => Some(token_kind.clone()),
            _ => None,
        };
        writes.iter().filter_map(kind).collect()
    };
    assert_eq!(kinds(&renewing.intent(&[]).writes), ["bot"]);
    let jobs = recover();
    let at = snapshot(&home, &contents, &jobs, &connection);
    let plan = renewing.answered(at, None, &tokens(&json!({}))).unwrap().plan;
    assert_eq!(kinds(&plan.writes), ["bot"]);
    // The job of the account's own grant stays, and what is sealed opens as the kind's.
    let told = lines(&home, &plan);
    assert_eq!(told, ["grant cac_1 gen 5 active = r5", "token cac_1 a5 gen 5 ends Some(600)"]);
    // Where it is over, the account goes on.
    let refused = answer(400, &json!({"error": "invalid_grant"}));
    let told = lines(&home, &renewing.answered(at, None, &refused).unwrap().plan);
    assert_eq!(told[0], "update cac_1 gen 4 refresh_refused");
    assert!(!told.iter().any(|line| line.starts_with("state")), "{told:?}");
}

#[test]
fn a_provider_that_could_not_be_asked_leaves_the_grant_as_it_was() {
    let (home, connection) = (home(), connection(&json!({})));
    let contents = Rows::new(&home).with(account("1", Some("u")), grant(&connection), 5).contents;
    let renewing = begin(&home, &contents, &connection);
    let jobs = [];
    let at = snapshot(&home, &contents, &jobs, &connection);
    let plan =
        renewing.not_asked(at, TokenEndpointError::Unavailable { retry_after: Some(9) }).unwrap();
    assert_eq!(lines(&home, &plan), ["update cac_1 gen 4 active retry +9"]);
}

#[test]
fn what_was_sealed_under_another_key_is_an_error_and_no_plan() {
    let (home, connection) = (home(), connection(&json!({})));
    let mut contents =
        Rows::new(&home).with(account("1", Some("u")), grant(&connection), 5).contents;
    let bytes = contents.grants[0].grant.envelope.as_mut().unwrap();
    // The key id of the envelope, after its version and length.
    bytes[2] = b'x';
    let token = (&id("1"), &Selector::default());
    assert!(Renewing::begin(&home, &contents, &connection, token, NOW).is_err());
}
