// SPDX-License-Identifier: Apache-2.0
//! Leases: what an object lends and for how long, and what an isolate serves from them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/config.rs"]
mod config;
#[path = "support/connection.rs"]
mod known;
mod support;

use serde_json::{Value, json};
use support::{NOW, connection};
use vault_base::secret::Secret;
use vault_core::config::ExchangeGrant;
use vault_core::vault::lease::{self, LeasedReleases, Lender};
use vault_core::vault::lease_cache::{LeaseCache, LeaseKey, Released};
use vault_core::vault::release::RequestedToken;

const GRANT: ExchangeGrant = ExchangeGrant::TokenExchange;

fn want() -> RequestedToken {
    RequestedToken::default()
}

fn key<'a>(vault: &'a str, client_id: &'a str, want: &'a RequestedToken) -> LeaseKey<'a> {
    LeaseKey { vault, client_id, grant: GRANT, want }
}

fn token(name: &str, lease_seconds: i64) -> Released {
    Released { expires_in: 3600, lease_seconds, object_ms: 0, members: Secret::new(name) }
}

/// The token that is on lease, with its `expires_in`.
fn found(leases: &mut LeaseCache, key: &LeaseKey<'_>, now: i64) -> Option<String> {
    leases.find(key, now).map(|(expires_in, members)| format!("{} {expires_in}", members.expose()))
}

/// Notes an answer to a question that was asked at this time.
fn note(
    leases: &mut LeaseCache,
    key: &LeaseKey<'_>,
    answer: Option<Released>,
    asked_at: i64,
    now: i64,
) -> Vec<LeasedReleases> {
    let asked = leases.ask(key.vault, asked_at);
    leases.note(key, answer, asked, now)
}

fn counts(releases: &[LeasedReleases]) -> Vec<(&str, u32)> {
    releases.iter().map(|one| (one.client_id.as_str(), one.count)).collect()
}

#[test]
fn a_token_is_lent_for_a_tenth_of_its_life_at_most_and_not_where_it_may_end_earlier() {
    let plain = || connection(&json!({}));
    let lends =
        |entry: Value, expires_in| lease::lendable(&connection(&entry), &want(), expires_in);
    for (expires_in, seconds) in
        [(0, 0), (119, 0), (120, 12), (149, 14), (150, 15), (3600, 15), (i64::MAX, 15)]
    {
        assert_eq!(lease::lendable(&plain(), &want(), expires_in), seconds, "{expires_in}");
    }
    assert_eq!(lends(json!({"lease_seconds": 60}), 3600), 60);
    assert_eq!(lends(json!({"lease_seconds": 60}), 300), 30);
    assert_eq!(lends(json!({"lease_seconds": 0}), 3600), 0);
    assert_eq!(lends(json!({"refresh_ends_access_token": true}), 3600), 0);
    assert_eq!(lends(json!({"renewal": "access_token"}), 3600), 0);
}

#[test]
fn a_token_that_is_issued_on_demand_is_not_lent() {
    let app = known::known("github_app");
    let issued = RequestedToken { kind: "installation".into(), ..want() };
    assert!(app.issuance("installation").is_some());
    assert_eq!(lease::lendable(&app, &issued, 3600), 0);
}

#[test]
fn callers_who_want_a_new_token_go_past_leases() {
    let refused = RequestedToken { refused_token: Some("hash".into()), ..want() };
    let lives = RequestedToken { min_ttl: 1, ..want() };
    assert!(lease::goes_past(&refused, None));
    assert!(lease::goes_past(&lives, None));
    for (header, past) in [
        (None, false),
        (Some(""), false),
        (Some("no-cache"), true),
        (Some("max-age=0, No-Cache"), true),
        (Some("no-store"), false),
        (Some("x-no-cache"), false),
    ] {
        assert_eq!(lease::goes_past(&want(), header), past, "{header:?}");
    }
}

#[test]
fn an_object_knows_until_when_its_leases_may_serve() {
    let mut lender = Lender::started(NOW - 1000);
    assert_eq!(lender.lease_until(15, NOW), None);
    lender.lend(0, NOW);
    assert_eq!(lender.lease_until(15, NOW), None);
    lender.lend(30, NOW);
    lender.lend(5, NOW + 1);
    assert_eq!(lender.lease_until(15, NOW + 1), Some(NOW + 31));
    assert_eq!(lender.lease_until(15, NOW + 30), Some(NOW + 31));
    assert_eq!(lender.lease_until(15, NOW + 31), None);
}

#[test]
fn an_object_that_has_just_started_counts_from_the_longest_lease() {
    let lender = Lender::started(NOW);
    assert_eq!(lender.lease_until(15, NOW), Some(NOW + 16));
    assert_eq!(lender.lease_until(15, NOW + 15), Some(NOW + 16));
    assert_eq!(lender.lease_until(15, NOW + 16), None);
    assert_eq!(lender.lease_until(0, NOW), None, "it had nothing to lend");
}

#[test]
fn the_longest_lease_before_the_start_is_the_configured_one_or_else_the_longest_of_all() {
    let life = |seconds: i64| connection(&json!({"lease_seconds": seconds}));
    for seconds in [0, 15, 60] {
        assert_eq!(lease::longest(Some(&life(seconds))), seconds);
    }
    assert_eq!(lease::longest(None), 60);
}

#[test]
fn a_clock_that_is_set_back_does_not_lengthen_leases() {
    let mut lender = Lender::started(NOW);
    lender.lend(60, NOW);
    assert_eq!(lender.lease_until(60, NOW - 86_400), Some(NOW - 86_400 + 61));
    let (mut leases, want) = (LeaseCache::default(), want());
    let key = key("v", "a", &want);
    note(&mut leases, &key, Some(token("t", 15)), NOW, NOW);
    assert_eq!(found(&mut leases, &key, NOW - 1), None);
}

/// The isolate counts a lease from before it asked, the object from when it was asked. Whole seconds are rounded.
#[test]
fn a_lease_ends_before_the_time_that_the_object_tells() {
    let want = want();
    for (asked_ms, lent_ms) in [(0, 0), (0, 999), (1, 1000), (999, 999), (999, 1000), (500, 9500)] {
        let (mut leases, mut lender) = (LeaseCache::default(), Lender::started(0));
        let key = key("v", "a", &want);
        let base = NOW * 1000;
        lender.lend(15, (base + lent_ms) / 1000);
        let asked_at = (base + asked_ms) / 1000;
        note(&mut leases, &key, Some(token("t", 15)), asked_at, asked_at);
        let until = lender.lease_until(15, NOW).unwrap() * 1000;
        let times = (base..base + 40_000).step_by(250);
        let last = times.filter(|at| leases.find(&key, at / 1000).is_some()).last().unwrap();
        assert!(last < until, "{asked_ms} {lent_ms}: served at {last}, told {until}");
    }
}

#[test]
fn a_lease_serves_its_token_until_it_ends_with_the_present_expires_in() {
    let (mut leases, want) = (LeaseCache::default(), want());
    let key = key("v", "a", &want);
    assert_eq!(found(&mut leases, &key, NOW), None);
    note(&mut leases, &key, Some(token("t", 15)), NOW, NOW);
    assert_eq!(found(&mut leases, &key, NOW), Some("t 3600".into()));
    assert_eq!(found(&mut leases, &key, NOW + 14), Some("t 3586".into()));
    assert_eq!(found(&mut leases, &key, NOW + 15), None);
}

#[test]
fn a_lease_answers_no_other_question() {
    let mut leases = LeaseCache::default();
    let own = RequestedToken {
        login_hint: Some("one".into()),
        scopes: vec!["a".into()],
        exact: true,
        kind: "k".into(),
        resource: Some("https://r.example".into()),
        ..want()
    };
    note(&mut leases, &key("v", "a", &own), Some(token("t", 15)), NOW, NOW);
    let others = [
        RequestedToken { login_hint: None, ..own.clone() },
        RequestedToken { login_hint: Some("two".into()), ..own.clone() },
        RequestedToken { scopes: vec!["a".into(), "b".into()], ..own.clone() },
        RequestedToken { exact: false, ..own.clone() },
        RequestedToken { kind: String::new(), ..own.clone() },
        RequestedToken { resource: None, ..own.clone() },
    ];
    for other in &others {
        assert_eq!(found(&mut leases, &key("v", "a", other), NOW), None, "{other:?}");
    }
    assert_eq!(found(&mut leases, &key("w", "a", &own), NOW), None);
    assert_eq!(found(&mut leases, &key("v", "b", &own), NOW), None);
    let federated = LeaseKey { grant: ExchangeGrant::FederatedConnection, ..key("v", "a", &own) };
    assert_eq!(found(&mut leases, &federated, NOW), None);
    assert_eq!(found(&mut leases, &key("v", "a", &own), NOW), Some("t 3600".into()));
}

#[test]
fn an_answer_without_a_lease_ends_the_lease_before() {
    let want = want();
    let key = key("v", "a", &want);
    for answer in [None, Some(token("next", 0))] {
        let mut leases = LeaseCache::default();
        note(&mut leases, &key, Some(token("t", 15)), NOW, NOW);
        note(&mut leases, &key, answer, NOW + 1, NOW + 1);
        assert_eq!(found(&mut leases, &key, NOW + 1), None);
    }
}

#[test]
fn the_leases_of_a_vault_can_be_ended_and_their_releases_are_still_told() {
    let (mut leases, want) = (LeaseCache::default(), want());
    for vault in ["v", "w"] {
        note(&mut leases, &key(vault, "a", &want), Some(token("t", 15)), NOW, NOW);
        leases.find(&key(vault, "a", &want), NOW);
    }
    leases.end("v");
    assert_eq!(found(&mut leases, &key("v", "a", &want), NOW), None);
    assert_eq!(counts(&leases.take_releases("v")), [("a", 1)]);
    assert!(leases.find(&key("w", "a", &want), NOW).is_some());
}

/// The object may have answered before it deleted the account, and the answer come after that of the deletion.
#[test]
fn an_answer_to_a_question_from_before_the_end_of_the_leases_is_not_on_lease() {
    let (mut leases, want) = (LeaseCache::default(), want());
    let (ended, other) = (key("v", "a", &want), key("w", "a", &want));
    let asked = |leases: &LeaseCache| [&ended, &other].map(|key| leases.ask(key.vault, NOW));
    for known in [false, true] {
        if known {
            note(&mut leases, &ended, Some(token("t", 15)), NOW, NOW);
        }
        let [asked, asked_other] = asked(&leases);
        leases.end("v");
        leases.note(&ended, Some(token("old", 15)), asked, NOW);
        leases.note(&other, Some(token("other", 15)), asked_other, NOW);
        assert_eq!(found(&mut leases, &ended, NOW), None, "{known}");
        assert_eq!(found(&mut leases, &other, NOW), Some("other 3600".into()));
    }
    note(&mut leases, &ended, Some(token("new", 15)), NOW, NOW);
    assert_eq!(found(&mut leases, &ended, NOW), Some("new 3600".into()));
}

#[test]
fn the_later_question_wins_in_whatever_order_the_answers_come() {
    let want = want();
    let key = key("v", "a", &want);
    let mut leases = LeaseCache::default();
    note(&mut leases, &key, Some(token("new", 15)), NOW + 1, NOW + 2);
    note(&mut leases, &key, Some(token("old", 15)), NOW, NOW + 2);
    assert_eq!(found(&mut leases, &key, NOW + 2), Some("new 3599".into()));
    // Also if the answer to it is that there is no token any more.
    note(&mut leases, &key, None, NOW + 4, NOW + 5);
    note(&mut leases, &key, Some(token("old", 15)), NOW + 3, NOW + 5);
    assert_eq!(found(&mut leases, &key, NOW + 5), None);
}

#[test]
fn a_clock_that_was_set_back_does_not_keep_an_isolate_from_leases() {
    let (mut leases, want) = (LeaseCache::default(), want());
    let key = key("v", "a", &want);
    note(&mut leases, &key, Some(token("t", 15)), NOW, NOW);
    note(&mut leases, &key, Some(token("t", 15)), NOW - 3600, NOW - 3600);
    assert_eq!(found(&mut leases, &key, NOW - 3600), Some("t 3600".into()));
}

#[test]
fn releases_are_counted_per_client_and_told_once() {
    let (mut leases, one) = (LeaseCache::default(), want());
    let other = RequestedToken { scopes: vec!["a".into()], ..want() };
    note(&mut leases, &key("v", "a", &one), Some(token("t", 15)), NOW, NOW);
    note(&mut leases, &key("v", "b", &other), Some(token("t", 15)), NOW, NOW);
    for _ in 0..3 {
        leases.find(&key("v", "a", &one), NOW);
    }
    leases.find(&key("v", "b", &other), NOW);
    assert_eq!(leases.take_releases("w"), []);
    let told = leases.take_releases("v");
    assert_eq!(counts(&told), [("a", 3), ("b", 1)]);
    assert_eq!(leases.take_releases("v"), []);
    assert_eq!(leases.put_back("v", told), []);
    assert_eq!(counts(&leases.take_releases("v")), [("a", 3), ("b", 1)]);
    let unknown = vec![LeasedReleases { client_id: "c".into(), count: 1 }];
    assert_eq!(leases.put_back("v", unknown.clone()), unknown);
    assert_eq!(leases.put_back("w", unknown.clone()), unknown);
}

#[test]
fn releases_are_told_also_after_the_lease_has_ended() {
    let (mut leases, want) = (LeaseCache::default(), want());
    note(&mut leases, &key("v", "a", &want), Some(token("t", 15)), NOW, NOW);
    leases.find(&key("v", "a", &want), NOW);
    let later = NOW + 100;
    note(&mut leases, &key("w", "a", &want), Some(token("t", 15)), later, later);
    assert_eq!(found(&mut leases, &key("v", "a", &want), later), None);
    assert_eq!(counts(&leases.take_releases("v")), [("a", 1)]);
}

#[test]
fn the_number_of_leases_is_bounded_and_the_least_recently_used_goes_first() {
    let (mut leases, want) = (LeaseCache::default(), want());
    let name = |index: usize| format!("vault-{index}");
    for index in 0..1024 {
        assert_eq!(
            note(&mut leases, &key(&name(index), "a", &want), Some(token("t", 15)), NOW, NOW),
            []
        );
    }
    assert!(leases.find(&key(&name(1), "a", &want), NOW).is_some());
    assert!(leases.find(&key(&name(0), "a", &want), NOW).is_some());
    for index in 1024..2046 {
        assert_eq!(
            note(&mut leases, &key(&name(index), "a", &want), Some(token("t", 15)), NOW, NOW),
            []
        );
    }
    assert!(leases.find(&key(&name(2), "a", &want), NOW).is_none());
    assert!(leases.find(&key(&name(0), "a", &want), NOW).is_some());
    let lost = note(&mut leases, &key("one-more", "a", &want), Some(token("t", 15)), NOW, NOW);
    assert_eq!(counts(&lost), [("a", 1)], "what was released by the lease that went");
}

#[test]
fn the_bytes_of_leases_are_bounded() {
    let (mut leases, want) = (LeaseCache::default(), want());
    let long = "x".repeat(64 * 1024);
    for index in 0..100 {
        note(&mut leases, &key(&format!("{index}"), "a", &want), Some(token(&long, 15)), NOW, NOW);
    }
    let kept = |index: &i32| leases.find(&key(&format!("{index}"), "a", &want), NOW).is_some();
    assert_eq!((0..100).filter(kept).count(), 31);
}

#[test]
fn leases_that_have_ended_make_room() {
    let (mut leases, want) = (LeaseCache::default(), want());
    let long = "x".repeat(64 * 1024);
    for round in 0..4 {
        let now = NOW + 100 * round;
        for index in 0..20 {
            let vault = format!("{round} {index}");
            let key = key(&vault, "a", &want);
            assert_eq!(note(&mut leases, &key, Some(token(&long, 15)), now, now), []);
            assert!(leases.find(&key, now).is_some());
            leases.take_releases(&vault);
        }
    }
}

#[test]
fn other_code_or_another_configuration_has_another_fingerprint() {
    let fingerprint = |change: Value, build| config::load(&change).unwrap().fingerprint(build);
    let own = fingerprint(json!({}), "build");
    assert_eq!(own.len(), 22);
    assert_eq!(own, fingerprint(json!({}), "build"));
    assert_ne!(own, fingerprint(json!({}), "other build"));
    let other = json!({"CLIENTS": {"backend": {"lease_seconds": 20}}});
    assert_ne!(own, fingerprint(other, "build"));
    assert_ne!(own, fingerprint(json!({"OBJECT_NAME_KEY": "A".repeat(43)}), "build"));
}
