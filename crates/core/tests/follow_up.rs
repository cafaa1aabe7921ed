// SPDX-License-Identifier: Apache-2.0
//! When the vault itself follows up a refresh that is not settled.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/grants.rs"]
mod grants;

use grants::{NOW, connection, grant, intent, successor};
use vault_base::secret::Secret;
use vault_core::vault::record::{Grant, Intent};
use vault_core::vault::refresh::{self, Heard, SentRequest, Settlement};
use vault_provider::error_codes::TokenEndpointError;

#[test]
fn what_is_not_settled_is_followed_up_within_the_time_the_provider_leaves() {
    use Heard::{Lost, NotProcessed, Unclear};
    let due = |attempt, failures, leeway, heard, told| {
        let grant = Grant { intent: Some(intent(attempt)), failures, ..grant() };
        refresh::follow_up(&grant, leeway, heard, told, NOW + 1).map(|at| at - NOW)
    };
    for (attempt, failures, leeway, heard, told, expected) in [
        // After a lost response: at once, then in pairs, which come less and less often.
        (1, 1, None, Lost, None, Some(1)),
        (2, 2, None, Lost, None, Some(6)),
        (3, 3, None, Lost, None, Some(6)),
        (4, 4, None, Lost, None, Some(11)),
        (5, 5, None, Lost, None, Some(6)),
        (6, 6, None, Lost, None, Some(31)),
        (16, 16, None, Lost, None, Some(7201)),
        (17, 17, None, Lost, None, Some(6)),
        (99, 99, None, Unclear, None, Some(6)),
        (100, 100, None, Unclear, None, Some(7201)),
        // After an unclear response: after some seconds, or within half of a short leeway.
        (1, 1, None, Unclear, None, Some(6)),
        (1, 1, Some(0), Unclear, None, Some(6)),
        (1, 1, Some(4), Unclear, None, Some(3)),
        (1, 1, Some(600), Unclear, None, Some(6)),
        // Failures of earlier tokens do not delay it.
        (1, 9, None, Unclear, None, Some(6)),
        // A provider that reports again and again that it did nothing is asked less often, too, and
        // so is one whose responses bring nothing but a new refresh token.
        (1, 6, None, NotProcessed, None, Some(601)),
        (0, 6, None, Unclear, None, Some(601)),
        (0, 1, None, Unclear, None, Some(6)),
        // After the time that the provider states, unless the rotation leeway has passed by then.
        (1, 1, None, Unclear, Some(900), Some(901)),
        (1, 1, Some(60), Unclear, Some(900), Some(57)),
        (6, 6, Some(60), Lost, None, Some(31)),
        (8, 8, Some(60), Lost, None, Some(57)),
    ] {
        let case = (attempt, failures, leeway, heard, told);
        assert_eq!(due(attempt, failures, leeway, heard, told), expected, "{case:?}");
    }
    assert_eq!(refresh::follow_up(&grant(), None, Lost, None, NOW), None);
}

#[test]
fn a_follow_up_ends_with_the_leeway_of_the_last_attempt_unless_a_successor_was_never_sent() {
    let open = |intent: Intent, heard, at| {
        let grant = Grant { intent: Some(Intent { at, ..intent }), ..grant() };
        refresh::follow_up(&grant, Some(60), heard, None, NOW).map(|due| due - NOW)
    };
    assert_eq!(open(intent(3), Heard::Lost, NOW - 59), None);
    // Any attempt may be the one that rotated the token: that the first one is long ago ends nothing.
    let first_ago = Some(NOW - 800);
    assert_eq!(open(Intent { since: first_ago, ..intent(3) }, Heard::Lost, NOW - 1), Some(5));
    assert_eq!(open(successor(0), Heard::Unclear, NOW - 59), Some(5));
    assert_eq!(open(successor(3), Heard::Unclear, NOW - 59), None);
    // The last seconds of the rotation leeway count.
    assert_eq!(open(intent(1), Heard::Lost, NOW - 59), Some(0));
}

#[test]
fn an_intent_remembers_its_first_unsettled_attempt() {
    let own = Secret::new("own");
    let first = refresh::begin(&grant(), &own, NOW);
    let after = |intent: Intent| {
        let next = refresh::begin(&Grant { intent: Some(intent), ..grant() }, &own, NOW + 9);
        (next.attempt, next.at - NOW, next.since() - NOW)
    };
    assert_eq!(after(first.clone()), (2, 9, 0));
    // An attempt that was taken back, or that was made with another token, is none.
    assert_eq!(after(Intent { attempt: 0, ..first.clone() }), (1, 9, 9));
    assert_eq!(after(Intent { token_sha256: "other".into(), ..first }), (1, 9, 9));
}

#[test]
fn a_request_that_the_provider_did_not_process_leaves_the_time_of_the_one_before() {
    let (token, connection) = (Secret::new("own"), connection());
    let begun = Grant { intent: Some(intent(2)), ..grant() };
    for (sent_before, at) in [(Some(NOW - 20), NOW - 20), (None, intent(2).at)] {
        let asked = SentRequest {
            refresh_token: &token,
            kept: None,
            lifetime_before: None,
            scopes: None,
            user: None,
            issuer: None,
            sent_before,
            connection: &connection,
        };
        let unavailable = Err(TokenEndpointError::Unavailable { retry_after: None });
        let Settlement::Kept { grant } = refresh::settle(&begun, &asked, unavailable, NOW) else {
            panic!()
        };
        let left = grant.intent.unwrap();
        assert_eq!((left.attempt, left.at), (1, at));
    }
}

#[test]
fn the_last_seconds_of_a_leeway_are_used_once_and_nothing_is_asked_when_it_is_over() {
    let due = |intent: Intent, leeway, begun_ago: i64, told| {
        let grant = Grant { intent: Some(Intent { at: NOW - begun_ago, ..intent }), ..grant() };
        refresh::follow_up(&grant, Some(leeway), Heard::Lost, told, NOW).map(|at| at - NOW)
    };
    for (attempt, leeway, begun_ago, told, expected) in [
        // Too late for what is due in five seconds: it is tried three seconds before the end, once.
        (3, 60, 55, None, Some(2)),
        (3, 60, 56, None, Some(1)),
        (3, 60, 57, None, None),
        (3, 60, 58, None, None),
        // What is due when the time is over is too late.
        (1, 60, 58, Some(1), Some(1)),
        (1, 60, 58, Some(2), None),
        (1, 60, 58, Some(3), None),
        // A provider that takes no rotated token again leaves no time to run out.
        (2, 0, 0, None, Some(5)),
        (4, 0, 300, None, Some(10)),
    ] {
        let case = (attempt, leeway, begun_ago, told);
        assert_eq!(due(intent(attempt), leeway, begun_ago, told), expected, "{case:?}");
    }
    // For a quarter of an hour each attempt's leeway is used up, and then no longer.
    for (first_ago, expected) in [(899, Some(57)), (900, None)] {
        let since = Some(NOW - first_ago);
        let told = due(Intent { since, ..intent(12) }, 60, 0, None);
        assert_eq!(told, expected, "{first_ago}");
    }
}

#[test]
fn a_refresh_that_nobody_can_settle_is_followed_up_for_a_month_and_not_for_ever() {
    let (mut grant, token) = (grant(), Secret::new("own"));
    let mut now = NOW;
    for asked in 1..1000 {
        grant.intent = Some(refresh::begin(&grant, &token, now));
        match refresh::follow_up(&grant, None, Heard::Lost, None, now) {
            Some(due) => now = due,
            None => {
                let waited = now - NOW;
                assert!((30 * 86_400..30 * 86_400 + 7200).contains(&waited), "{waited}");
                assert!(asked < 740, "{asked}");
                return;
            }
        }
    }
    panic!("it is asked for ever");
}

#[test]
fn the_first_answer_is_followed_up_though_its_flight_took_longer_than_the_leeway() {
    use Heard::{Lost, NotProcessed, Unclear};
    let due = |attempt, failures, leeway, heard, told| {
        let grant = Grant { intent: Some(intent(attempt)), failures, ..grant() };
        refresh::follow_up(&grant, Some(leeway), heard, told, NOW + 120).map(|at| at - NOW)
    };
    for (leeway, pause) in [(1, 1), (2, 1), (30, 5), (60, 5)] {
        assert_eq!(due(1, 1, leeway, Lost, None), Some(120), "{leeway}");
        assert_eq!(due(1, 1, leeway, Unclear, None), Some(120 + pause), "{leeway}");
        // One additional attempt is enough, and not before the time that the provider states.
        assert_eq!(due(2, 2, leeway, Lost, None), None, "{leeway}");
        assert_eq!(due(1, 2, leeway, NotProcessed, None), None, "{leeway}");
        assert_eq!(due(1, 1, leeway, NotProcessed, Some(60)), None, "{leeway}");
    }
}

#[test]
fn a_flight_waits_as_long_as_it_may_and_leaves_half_of_a_known_leeway() {
    for (leeway, seconds) in [
        (None, 120),
        (Some(0), 120),
        (Some(30), 120),
        (Some(59), 120),
        (Some(60), 30),
        (Some(90), 45),
        (Some(600), 120),
    ] {
        assert_eq!(refresh::flight_time(leeway), seconds, "{leeway:?}");
    }
}
