// SPDX-License-Identifier: Apache-2.0
//! When a job refreshes a grant that nobody uses, and when it ends.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use serde_json::json;
use support::{NOW, Rows, account, connection, grant, home, id, lines};
use vault_base::secret::Secret;
use vault_core::vault::contents::Contents;
use vault_core::vault::jobs::Job;
use vault_core::vault::keep_alive::{self, KeepAliveStep};
use vault_core::vault::plan::{Plan, StoredJob};
use vault_core::vault::record::{Account, AccountState, Grant, Reason, Selector};
use vault_core::vault::renew::{Renewing, Snapshot};
use vault_provider::connection::Connection;
use vault_provider::token_response::ProviderResponse;

const DAY: i64 = 86_400;

fn kept_alive() -> Connection {
    connection(&json!({"keep_alive_days": 80}))
}

/// A vault with an account whose token was issued this many seconds ago.
fn idle(grant: Grant, seconds: i64) -> Contents {
    let home = home();
    let mut contents = Rows::new(&home).with(account("1", Some("u")), grant, 0).contents;
    let record = &mut contents.tokens[0].token.record;
    (record.issued_at, record.expires_at) = (NOW - seconds, Some(NOW - seconds + 600));
    contents
}

fn look(contents: &Contents, connection: &Connection) -> KeepAliveStep {
    keep_alive::look(contents, Some(connection), &id("1"), "", NOW)
}

/// The time for which account `1` may be idle, in seconds.
fn idle_time() -> i64 {
    let connection = kept_alive();
    match look(&idle(grant(&connection), 0), &connection) {
        KeepAliveStep::Wait(due) => due - NOW,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_grant_is_refreshed_when_it_was_idle_for_its_share_of_the_time_and_not_for_ever() {
    let connection = kept_alive();
    let time = idle_time();
    for (seconds, expected) in [
        (0, KeepAliveStep::Wait(NOW + time)),
        (time - 1, KeepAliveStep::Wait(NOW + 1)),
        (time, KeepAliveStep::Refresh { again: NOW + 10 * DAY }),
        (160 * DAY - 1, KeepAliveStep::Refresh { again: NOW + 10 * DAY }),
        (160 * DAY, KeepAliveStep::End),
        // The clock was set back.
        (-100 * DAY, KeepAliveStep::Wait(NOW + time)),
    ] {
        assert_eq!(look(&idle(grant(&connection), seconds), &connection), expected, "{seconds}");
    }
    // The newest token of the grant counts, and no token of another kind.
    let mut contents = idle(grant(&connection), time);
    for (kind, ago, due) in [("made", 5, None), ("", 7, Some(NOW + time - 7))] {
        let mut other = contents.tokens[0].clone();
        other.selector = Selector::new(kind, "", &["read".into()]);
        other.token.record.issued_at = NOW - ago;
        contents.tokens.push(other);
        let expected =
            due.map_or(KeepAliveStep::Refresh { again: NOW + 10 * DAY }, KeepAliveStep::Wait);
        assert_eq!(look(&contents, &connection), expected, "{kind:?}");
    }
}

#[test]
fn grants_are_refreshed_from_half_of_the_time_on_to_three_quarters_and_spread_between() {
    let connection = kept_alive();
    let due = |name: &str, kind: &str| {
        let mut plan = Plan::default();
        keep_alive::ensure(&mut plan, &[], &connection, (&id(name), kind), Some(7), NOW);
        let home = home();
        let [line] = &lines(&home, &plan)[..] else { panic!() };
        let (due, _) = line.strip_prefix("job +").unwrap().split_once(' ').unwrap();
        due.parse::<i64>().unwrap()
    };
    let mut all: Vec<i64> = (0..400).map(|number| due(&number.to_string(), "")).collect();
    assert!(all.iter().all(|due| (40 * DAY..60 * DAY).contains(due)));
    // On none of the twenty days more than 12 % of them.
    all.sort_unstable();
    assert!(all.windows(48).all(|some| some[47] - some[0] > DAY));
    assert_ne!(due("1", ""), due("1", "bot"));
    assert_eq!(due("1", ""), due("1", ""));
    assert_eq!(due("1", ""), idle_time());
}

#[test]
fn a_token_that_renews_itself_is_renewed_before_it_ends_though_nobody_uses_it() {
    let connection = connection(&json!({"renewal": "access_token"}));
    let due = |lifetime| {
        let mut plan = Plan::default();
        keep_alive::ensure(&mut plan, &[], &connection, (&id("1"), ""), lifetime, NOW);
        lines(&home(), &plan).first().map(|line| {
            let (due, _) = line.strip_prefix("job +").unwrap().split_once(' ').unwrap();
            due.parse::<i64>().unwrap()
        })
    };
    for lifetime in [3600, 60 * DAY] {
        let due = due(Some(lifetime)).unwrap();
        assert!((lifetime / 2..lifetime * 3 / 4).contains(&due), "{lifetime} {due}");
    }
    assert_eq!(due(None), None);
    // The job looks at the lifetime of the token that is stored. `idle` stores one of ten minutes.
    for (seconds, is_due) in [(299, false), (450, true)] {
        let step = look(&idle(grant(&connection), seconds), &connection);
        assert_eq!(matches!(step, KeepAliveStep::Refresh { .. }), is_due, "{seconds} {step:?}");
    }
    // Of one that lives for a second, the next is not asked for at once, again and again.
    let mut contents = idle(grant(&connection), 0);
    contents.tokens[0].token.record.expires_at = Some(NOW + 1);
    assert_eq!(look(&contents, &connection), KeepAliveStep::Wait(NOW + 60));
    let mut short = idle(grant(&connection), 70);
    short.tokens[0].token.record.expires_at = Some(NOW - 30);
    let again = KeepAliveStep::Refresh { again: NOW + 60 };
    assert_eq!(look(&short, &connection), again);
}

#[test]
fn what_has_ended_or_is_not_to_be_kept_is_not_refreshed() {
    let connection = kept_alive();
    let idle = |grant| idle(grant, 70 * DAY);
    let refresh = KeepAliveStep::Refresh { again: NOW + 10 * DAY };
    assert_eq!(look(&idle(grant(&connection)), &connection), refresh);
    let mut ended = idle(grant(&connection));
    let state = AccountState::ReconnectRequired(Reason::RefreshRefused);
    ended.accounts[0] = Account { state, ..ended.accounts[0].clone() };
    let over = Grant { expires_at: Some(NOW), ..grant(&connection) };
    let bare = Grant { has_refresh_token: false, ..grant(&connection) };
    for (what, contents) in [
        ("an ended grant", ended),
        ("a refresh token that has expired", idle(over)),
        ("no refresh token", idle(bare)),
        ("no account", Contents::default()),
    ] {
        assert_eq!(look(&contents, &connection), KeepAliveStep::End, "{what}");
    }
    let plain = support::connection(&json!({}));
    let contents = idle(grant(&connection));
    assert_eq!(look(&contents, &plain), KeepAliveStep::End);
    // A connection that is missing may come back.
    let missing = keep_alive::look(&contents, None, &id("1"), "", NOW);
    assert_eq!(missing, KeepAliveStep::Wait(NOW + DAY));
    for (step, due) in [
        (KeepAliveStep::End, None),
        (KeepAliveStep::Wait(NOW + 7), Some(NOW + 7)),
        (refresh, Some(NOW + 10 * DAY)),
    ] {
        assert_eq!(step.due(), due);
    }
}

#[test]
fn a_token_that_others_hold_is_not_ended_for_it() {
    let connection = connection(&json!({"keep_alive_days": 80, "refresh_ends_access_token": true}));
    let mut contents = idle(grant(&connection), 70 * DAY);
    let refresh = KeepAliveStep::Refresh { again: NOW + 10 * DAY };
    assert_eq!(look(&contents, &connection), refresh);
    contents.tokens[0].token.record.expires_at = Some(NOW + 5);
    assert_eq!(look(&contents, &connection), KeepAliveStep::Wait(NOW + 5));
    assert_eq!(look(&contents, &kept_alive()), refresh);
}

#[test]
fn a_renewal_adds_the_job_of_its_grant_unless_it_has_one_or_the_connection_wants_none() {
    let home = home();
    let job =
        |name: &str, kind: &str| Job::KeepAlive { account: id(name), token_kind: kind.into() };
    let body = json!({"access_token": "a5", "refresh_token": "r5", "expires_in": 600}).to_string();
    let received =
        ProviderResponse::Answer { status: 200, retry_after: None, body: Secret::new(body) };
    for (what, connection, jobs, adds) in [
        ("no job", kept_alive(), vec![], true),
        ("jobs of others", kept_alive(), vec![job("2", ""), job("1", "bot")], true),
        ("its job", kept_alive(), vec![job("1", "")], false),
        ("not wanted", connection(&json!({})), vec![], false),
    ] {
        let contents = idle(grant(&connection), 700);
        let of = (&id("1"), &Selector::default());
        let renewing = Renewing::begin(&home, &contents, &connection, of, NOW).unwrap().unwrap();
        let jobs: Vec<StoredJob> =
            (7..).zip(jobs).map(|(number, job)| (number, NOW, job)).collect();
        let at = Snapshot {
            home: &home,
            contents: &contents,
            jobs: &jobs,
            connection: &connection,
            now: NOW,
        };
        let told = lines(&home, &renewing.answered(at, None, &received).unwrap().plan);
        let added = format!("job +{} keep alive cac_1 \"\"", idle_time());
        assert_eq!(told.contains(&added), adds, "{what}: {told:?}");
        assert_eq!(told.iter().any(|line| line.contains("keep alive")), adds, "{what}");
    }
}

#[test]
fn a_deletion_ends_the_jobs_of_its_account_and_no_others() {
    let job =
        |name: &str, kind: &str| Job::KeepAlive { account: id(name), token_kind: kind.into() };
    let recover = Job::Recover { account: id("1"), generation: 4, token_kind: String::new() };
    let jobs = [job("1", ""), job("2", ""), job("1", "bot"), recover];
    let jobs: Vec<StoredJob> = (7..).zip(jobs).map(|(number, job)| (number, NOW, job)).collect();
    let mut plan = Plan::default();
    keep_alive::end(&mut plan, &jobs, &id("1"));
    assert_eq!(lines(&home(), &plan), ["end job 7", "end job 9"]);
}
