// SPDX-License-Identifier: Apache-2.0
//! The steps of revoking one token, and the writes that end its job or put it off.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::VecDeque;

use serde_json::{Value, json};
use support::{NOW, Rows, account, answer, connection, grant, home, id, lines};
use vault_base::encoding::base64url;
use vault_base::secret::Secret;
use vault_core::vault::contents::Contents;
use vault_core::vault::home::Home;
use vault_core::vault::jobs::Job;
use vault_core::vault::revoke::{HoldersCheck, RevocationStep, Revoking};
use vault_provider::connection::Connection;
use vault_provider::endpoints::Provider;
use vault_provider::request::ProviderRequest;
use vault_provider::revocation::{self, Revocation};
use vault_provider::token_response::ProviderResponse;

/// The behaviour of the registry, the vault and the provider during a revocation.
#[derive(Default)]
struct World<'a> {
    /// Whether the registry lists other holders; `None` if it does not respond.
    others: Option<bool>,
    /// The contents of this vault when the registry has responded.
    contents: Contents,
    /// Whether the provider's endpoints cannot be found.
    hidden: bool,
    /// Whether the job is deleted while the provider's endpoints are looked up.
    taken_back: bool,
    /// The provider's responses, in turn.
    answers: Vec<&'a ProviderResponse>,
}

/// Carries out a job. Returns the outcome, and a line for each request, write and event.
fn run(
    connection: &Connection,
    job: &Job,
    check: HoldersCheck,
    world: &World,
) -> (Revocation, Vec<String>) {
    let home = home();
    run_at(&home, Some(connection), job, check, world)
}

fn run_at(
    home: &Home,
    connection: Option<&Connection>,
    job: &Job,
    check: HoldersCheck,
    world: &World,
) -> (Revocation, Vec<String>) {
    let mut did = Vec::new();
    let mut answers: VecDeque<&ProviderResponse> = world.answers.iter().copied().collect();
    let mut revoking =
        Revoking::new(home, connection, "https://vault.example.com/callback/it", job);
    let mut step = revoking.begin(check);
    for _ in 0..6 {
        step = match step {
            RevocationStep::AskOthers => {
                did.push("registry".to_owned());
                revoking.others(world.others, &world.contents)
            }
            RevocationStep::FindProvider(connection) => {
                revoking.found((!world.hidden).then(|| Provider::new(connection, None).unwrap()))
            }
            RevocationStep::Renew(_) | RevocationStep::Revoke(_) if world.taken_back => {
                revoking.taken_back()
            }
            RevocationStep::Renew(request) => {
                did.push(shown(&request));
                revoking.renewed(answers.pop_front().unwrap(), NOW).unwrap()
            }
            RevocationStep::Revoke(request) => {
                did.push(shown(&request));
                revoking.revoked(answers.pop_front().unwrap())
            }
            RevocationStep::Settle => {
                let (outcome, plan) = revoking.settle(7, !world.taken_back, NOW);
                did.extend(lines(home, &plan));
                return (outcome, did);
            }
        }
    }
    panic!("the revocation does not end: {did:?}");
}

/// The path of a request and its parameters with the token.
fn shown(request: &ProviderRequest) -> String {
    let body = request.body.as_ref().map(|body| body.text.expose()).unwrap_or_default();
    let parameter = |name: &str| {
        let pair = body.split('&').find(|pair| pair.starts_with(&format!("{name}=")));
        pair.map(|pair| format!(" {pair}")).unwrap_or_default()
    };
    format!(
        "{}{}{}{}",
        request.url.path(),
        parameter("token"),
        parameter("refresh_token"),
        parameter("token_type_hint")
    )
}

fn revoke(home: &Home, connection: &Connection, column: &str, text: &str) -> Job {
    let envelope = home.seal(&id("1"), column, 4, &Secret::new(text)).unwrap();
    Job::Revoke {
        account: id("1"),
        field: column.to_owned(),
        generation: 4,
        envelope: base64url(envelope),
        attempt: 0,
        user: Some("u".into()),
        doubtful: false,
        registration: Some(connection.registration.clone()),
        waits_since: None,
    }
}

fn doubtful(job: &Job) -> Job {
    let mut job = job.clone();
    if let Job::Revoke { doubtful, .. } = &mut job {
        *doubtful = true;
    }
    job
}

fn with(rules: &Value) -> Connection {
    connection(&json!({"revocation": rules}))
}

const END: &str = "end job 7";
const AGAIN: &str = "job +10 revoke refresh_token r4";

#[test]
fn a_deletion_sends_its_tokens_without_asking_the_registry_again() {
    let (home, connection) = (home(), with(&json!({"blast": "token"})));
    let ok = answer(200, &json!({}));
    for (column, text) in [("refresh_token", "r4"), ("access_token", "a4")] {
        let job = revoke(&home, &connection, column, text);
        let world = World { answers: vec![&ok], ..World::default() };
        let sent = format!("/revoke token={text} token_type_hint={column}");
        assert_eq!(
            run(&connection, &job, HoldersCheck::Now, &world),
            (Revocation::Revoked, vec![sent, END.into(), "log revocation cac_1: revoked".into()])
        );
    }
}

#[test]
fn what_the_provider_answers_ends_the_job_or_puts_it_off() {
    let (home, connection) = (home(), with(&json!({"blast": "token"})));
    let job = revoke(&home, &connection, "refresh_token", "r4");
    let busy = answer(503, &json!({}));
    let refused = answer(400, &json!({"error": "unsupported_token_type"}));
    for (what, received, expected, again) in [
        ("unavailable", &busy, Revocation::Pending, true),
        ("lost", &ProviderResponse::Lost, Revocation::Pending, true),
        ("refused", &refused, Revocation::Failed, false),
    ] {
        let world = World { answers: vec![received], ..World::default() };
        let (outcome, did) = run(&connection, &job, HoldersCheck::Now, &world);
        assert_eq!(outcome, expected, "{what}");
        assert_eq!(did.contains(&AGAIN.to_owned()), again, "{what}: {did:?}");
        assert!(did.contains(&END.to_owned()), "{what}: {did:?}");
    }
}

#[test]
fn a_job_taken_up_again_asks_who_has_come_to_rest_on_the_grant_since() {
    let home = home();
    let connection = with(&json!({"blast": "grant"}));
    let job = revoke(&home, &connection, "refresh_token", "r4");
    let ok = answer(200, &json!({}));
    let mine = |name: &str, user: &str| {
        Rows::new(&home).with(account(name, Some(user)), grant(&connection), 500).contents
    };
    let sent = [
        "registry",
        "/revoke token=r4 token_type_hint=refresh_token",
        END,
        "log revocation cac_1: revoked",
    ];
    let left = ["registry", END];
    for (what, others, contents, outcome, expected) in [
        ("no other holder", Some(false), Contents::default(), Revocation::Revoked, &sent[..]),
        ("another holder", Some(true), Contents::default(), Revocation::NotSupported, &left),
        ("connected again", Some(false), mine("2", "u"), Revocation::NotSupported, &left),
        ("another user at the provider", Some(false), mine("2", "v"), Revocation::Revoked, &sent),
        (
            "a registry that does not respond",
            None,
            Contents::default(),
            Revocation::Pending,
            &["registry", END, AGAIN],
        ),
    ] {
        let world = World { others, contents, answers: vec![&ok], ..World::default() };
        let did = run(&connection, &job, HoldersCheck::Before, &world);
        assert_eq!(did, (outcome, expected.iter().map(|&line| line.into()).collect()), "{what}");
    }
}

#[test]
fn a_job_that_is_taken_back_sends_nothing_and_is_not_put_off() {
    let home = home();
    for rules in [json!({"blast": "token"}), json!({"blast": "token", "token": "access_token"})] {
        let connection = with(&rules);
        let job = revoke(&home, &connection, "refresh_token", "r4");
        let world = World { taken_back: true, ..World::default() };
        let (outcome, did) = run(&connection, &job, HoldersCheck::Now, &world);
        assert_eq!(outcome, Revocation::NotSupported);
        assert_eq!(did, [END, "log revocation cac_1: not_supported"]);
    }
}

#[test]
fn a_provider_that_cannot_be_found_is_asked_later() {
    let (home, connection) = (home(), connection(&json!({})));
    let job = revoke(&home, &connection, "refresh_token", "r4");
    let world = World { hidden: true, ..World::default() };
    let (outcome, did) = run(&connection, &job, HoldersCheck::Now, &world);
    assert_eq!(outcome, Revocation::Pending);
    assert_eq!(did, [END, AGAIN, "log revocation cac_1: pending"]);
}

#[test]
fn where_only_access_tokens_are_revoked_the_refresh_token_gets_one_first() {
    let home = home();
    let connection = with(&json!({"blast": "token", "token": "access_token"}));
    let job = revoke(&home, &connection, "refresh_token", "r4");
    let unsure = doubtful(&job);
    let renewed = answer(
        200,
        &json!({"access_token": "a5", "refresh_token": "r5", "token_type": "Bearer", "expires_in": 60}),
    );
    let (ok, busy) = (answer(200, &json!({})), answer(503, &json!({})));
    let refused = answer(400, &json!({"error": "invalid_grant"}));
    let renew = "/token refresh_token=r4";
    for (what, job, answers, outcome, expected) in [
        (
            "both work",
            &job,
            vec![&renewed, &ok],
            Revocation::Revoked,
            &[renew, "/revoke token=a5 token_type_hint=access_token", END][..],
        ),
        // The refresh token that was sent is not valid any more by then.
        (
            "the revocation has to wait",
            &job,
            vec![&renewed, &busy],
            Revocation::Pending,
            &[
                renew,
                "/revoke token=a5 token_type_hint=access_token",
                END,
                "job +10 revoke refresh_token r5",
            ],
        ),
        ("the grant has ended", &job, vec![&refused], Revocation::Revoked, &[renew, END]),
        ("the token may be rotated", &unsure, vec![&refused], Revocation::Failed, &[renew, END]),
        ("the provider is busy", &job, vec![&busy], Revocation::Pending, &[renew, END, AGAIN]),
    ] {
        let world = World { answers, ..World::default() };
        let (came, mut did) = run(&connection, job, HoldersCheck::Now, &world);
        let event = format!("log revocation cac_1: {}", outcome.name());
        assert_eq!(did.pop(), Some(event), "{what}");
        let expected = expected.iter().map(|&line| line.into()).collect();
        assert_eq!((came, did), (outcome, expected), "{what}");
    }
}

#[test]
fn an_access_token_that_renews_itself_is_revoked_as_it_is_and_once() {
    let home = home();
    for token in ["each", "access_token"] {
        let connection = connection(&json!({
            "renewal": "access_token",
            "revocation": {"blast": "token", "token": token},
        }));
        let chosen = |refresh, access| {
            let chosen = revocation::choose(&connection, refresh, access);
            (chosen.refresh, chosen.access)
        };
        assert_eq!([chosen(true, true), chosen(true, false)], [(false, true), (true, false)]);
        let job = revoke(&home, &connection, "refresh_token", "a4");
        let ok = answer(200, &json!({}));
        let world = World { answers: vec![&ok], ..World::default() };
        let (outcome, did) = run(&connection, &job, HoldersCheck::Now, &world);
        assert_eq!(outcome, Revocation::Revoked);
        assert_eq!(did[0], "/revoke token=a4 token_type_hint=access_token");
    }
}

#[test]
fn a_job_of_another_registration_asks_nobody_and_waits_for_thirty_days() {
    let (home, own) = (home(), connection(&json!({})));
    let other = connection(&json!({"client_id": "other"}));
    let job = revoke(&home, &own, "refresh_token", "r4");
    let since = |days: i64| {
        let mut job = job.clone();
        if let Job::Revoke { waits_since, .. } = &mut job {
            *waits_since = Some(NOW - days * 86_400);
        }
        job
    };
    for (configured, days, outcome, expected) in [
        (Some(&other), 0, Revocation::Pending, &[END, "job +10 revoke refresh_token r4"][..]),
        (None, 0, Revocation::Pending, &[END, "job +10 revoke refresh_token r4"]),
        (Some(&other), 29, Revocation::Pending, &[END, "job +3600 revoke refresh_token r4"]),
        (Some(&other), 30, Revocation::Failed, &[END]),
    ] {
        let world = World::default();
        let did = run_at(&home, configured, &since(days), HoldersCheck::Before, &world);
        assert_eq!(did, (outcome, expected.iter().map(|&line| line.into()).collect()));
    }
}

#[test]
fn a_token_that_does_not_open_fails_and_one_whose_key_is_missing_waits() {
    let (home, connection) = (home(), connection(&json!({})));
    let mut moved = revoke(&home, &connection, "refresh_token", "r4");
    if let Job::Revoke { generation, .. } = &mut moved {
        *generation = 5;
    }
    assert_eq!(settled(&home, &connection, &moved), (Revocation::Failed, 1));
    let job = revoke(&support::home_with_key("k2"), &connection, "refresh_token", "r4");
    assert_eq!(settled(&home, &connection, &job), (Revocation::Pending, 2));
}

/// The outcome of a job whose token cannot be decrypted, and the number of its writes.
fn settled(home: &Home, connection: &Connection, job: &Job) -> (Revocation, usize) {
    let mut revoking = Revoking::new(home, Some(connection), "https://vault.example.com/x", job);
    assert!(matches!(revoking.begin(HoldersCheck::Now), RevocationStep::Settle));
    let (outcome, plan) = revoking.settle(7, true, NOW);
    (outcome, plan.writes.len())
}
