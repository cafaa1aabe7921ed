// SPDX-License-Identifier: Apache-2.0
//! What a response to a refresh does to its grant: none ends a grant that could be kept.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/grants.rs"]
mod grants;

use grants::{NOW, connection, grant, intent, settle, settle_at, step, successor, texts, tokens};
use vault_base::encoding::base64url;
use vault_base::secret::Secret;
use vault_core::vault::record::{AccountState, Grant, Intent, Reason, Unexplained};
use vault_core::vault::refresh::{self, CommitDecision, Heard, SentRequest, Settlement};
use vault_core::vault::release::{Misconfiguration, ReleaseError, ReleaseStep};
use vault_provider::connection::Connection;
use vault_provider::error_codes::TokenEndpointError;
use vault_provider::profile::Rotation;
use vault_provider::registration::Registration;
use vault_provider::token_response::{Lifetime, TokenResponse};

#[test]
fn a_renewal_moves_to_the_next_generation_with_the_new_refresh_token() {
    let begun = Grant { failures: 3, intent: Some(intent(1)), ..grant() };
    let Settlement::Renewed(renewal) = settle(&begun, Ok(tokens())) else { panic!() };
    // The refresh succeeded with the connection's registration, so the grant is bound to that.
    let registration = Some(connection().registration);
    let expected = Grant { registration, ..Grant::new(5, true, grant().scopes) };
    assert_eq!(renewal.grant, expected);
    // A bound grant keeps its registration, which the configuration may list as an earlier authority.
    let bound = Registration { authority: "earlier".into(), client_id: "c".into() };
    let begun = Grant { registration: Some(bound.clone()), ..grant() };
    let Settlement::Renewed(renewal) = settle(&begun, Ok(tokens())) else { panic!() };
    assert_eq!(renewal.grant.registration, Some(bound));
    let Settlement::Renewed(renewal) =
        settle(&Grant { failures: 3, intent: Some(intent(1)), ..grant() }, Ok(tokens()))
    else {
        panic!()
    };
    assert_eq!(renewal.refresh_token.expose(), "new refresh");
    assert_eq!(renewal.expires_at, Some(NOW + 3600));
}

#[test]
fn an_answer_without_a_refresh_token_keeps_the_old_one() {
    let answer = TokenResponse { refresh_token: None, ..tokens() };
    let Settlement::Renewed(renewal) = settle(&grant(), Ok(answer)) else { panic!() };
    assert_eq!(renewal.refresh_token.expose(), "old refresh");
}

#[test]
fn a_narrower_scope_narrows_what_is_recorded_unless_it_was_asked_for() {
    let answer = TokenResponse { scopes: Some(vec!["read".into()]), ..tokens() };
    let Settlement::Renewed(renewal) = settle(&grant(), Ok(answer.clone())) else { panic!() };
    assert_eq!(renewal.grant.scopes, ["read"]);
    let narrowed = ["read".to_owned()];
    let answer = TokenResponse { lifetime: Lifetime::Endless, ..answer };
    let settled = settle_at(&connection(), &grant(), Some(&narrowed), Ok(answer));
    let Settlement::Renewed(renewal) = settled else { panic!() };
    assert_eq!(renewal.grant.scopes, ["read", "write"]);
    assert_eq!(renewal.scopes, ["read"]);
    assert_eq!(renewal.expires_at, None);
}

#[test]
fn no_scopes_at_all_are_none_told_unless_fewer_were_asked_for() {
    let answer = TokenResponse { scopes: Some(Vec::new()), ..tokens() };
    let Settlement::Renewed(renewal) = settle(&grant(), Ok(answer.clone())) else { panic!() };
    assert_eq!(renewal.grant.scopes, ["read", "write"]);
    assert_eq!(renewal.scopes, ["read", "write"]);
    let settled = settle_at(&connection(), &grant(), Some(&["read".to_owned()]), Ok(answer));
    let Settlement::Renewed(renewal) = settled else { panic!() };
    assert_eq!((renewal.grant.scopes.len(), renewal.scopes.len()), (2, 0));
}

#[test]
fn an_answer_about_another_user_is_not_taken_over() {
    let id_token = |subject: &str| {
        let claims = format!(r#"{{"iss":"https://p.example","sub":"{subject}"}}"#);
        let header = base64url(r#"{"alg":"RS256"}"#);
        Some(Secret::new(format!("{header}.{}.c2ln", base64url(claims))))
    };
    let (old, connection) = (Secret::new("old refresh"), connection());
    let asked = SentRequest {
        refresh_token: &old,
        kept: None,
        lifetime_before: None,
        scopes: None,
        user: Some("1"),
        issuer: Some("https://p.example"),
        sent_before: None,
        connection: &connection,
    };
    let judged = |subject| {
        let token: Option<Secret> = id_token(subject);
        refresh::of_same_user(&asked, token.as_ref())
    };
    assert_eq!(judged("1"), Ok(()));
    assert_eq!(judged("2"), Err(TokenEndpointError::OtherUser));
    // The grant is unchanged: the provider's mistake may be temporary.
    let begun = Grant { intent: Some(intent(1)), ..grant() };
    let Settlement::Kept { grant: kept } = settle(&begun, Err(TokenEndpointError::OtherUser))
    else {
        panic!()
    };
    assert_eq!((kept.generation, kept.has_refresh_token, kept.intent), (4, true, begun.intent));
}

#[test]
fn only_the_providers_clear_no_ends_a_grant_and_says_whether_a_rotation_was_lost() {
    for (attempt, reason) in [(1, Reason::RefreshRefused), (2, Reason::RotationLost)] {
        let begun = Grant { intent: Some(intent(attempt)), ..grant() };
        let Settlement::Ended { state, grant } =
            settle(&begun, Err(TokenEndpointError::Refused("invalid_grant".into())))
        else {
            panic!()
        };
        assert_eq!(state, AccountState::ReconnectRequired(reason));
        assert_eq!((grant.intent, grant.has_refresh_token), (None, true));
    }
    for failure in [
        TokenEndpointError::Misconfigured("invalid_client".into()),
        TokenEndpointError::Unavailable { retry_after: Some(120) },
        TokenEndpointError::Down { retry_after: None },
        TokenEndpointError::Ambiguous { retry_after: None },
    ] {
        assert!(matches!(settle(&grant(), Err(failure)), Settlement::Kept { .. }));
    }
}

/// Refusals without a code of which the last came now.
fn refusals(count: u32, over: i64) -> Intent {
    let since = NOW - over;
    Intent { unexplained: Some(Unexplained { count, since, last: NOW }), ..intent(count) }
}

#[test]
fn refusals_that_are_not_clear_end_a_grant_after_five_over_a_day_and_keep_its_token() {
    const DAY: i64 = 86_400;
    let without_code = TokenEndpointError::Unexplained("http_400".into());
    let unlisted = TokenEndpointError::Unlisted("70000".into());
    let failures = [without_code, unlisted];
    let refused = |number: usize| Err(failures[number % 2].clone());
    for (number, (before, first_ago, ends)) in [
        (0, 0, false),
        (1, DAY, false),
        (3, 2 * DAY, false),
        (4, DAY - 1, false),
        (4, DAY, true),
        (40, DAY - 1, false),
        (40, DAY, true),
        (3, DAY, false),
        (4, DAY, true),
    ]
    .into_iter()
    .enumerate()
    {
        let case = (number, before, first_ago);
        let begun = Intent { attempt: before + 1, ..refusals(before, first_ago) };
        let begun = if before == 0 { Intent { unexplained: None, ..begun } } else { begun };
        let begun = Grant { intent: Some(begun), ..grant() };
        let intent = match settle(&begun, refused(number)) {
            Settlement::Kept { grant } if !ends => {
                assert!(grant.retry_at.is_some() && !grant.may_live_on(), "{case:?}");
                grant.intent.unwrap()
            }
            Settlement::Ended { state, grant } if ends => {
                let reason = Reason::RefreshRefused;
                assert_eq!(state, AccountState::ReconnectRequired(reason), "{case:?}");
                assert!(grant.may_live_on(), "{case:?}");
                // It is tried once a day.
                for told in [None, Some(60)] {
                    let due = refresh::follow_up(&grant, Some(60), Heard::Unclear, told, NOW);
                    assert_eq!(due, Some(NOW + DAY), "{case:?}");
                }
                grant.intent.unwrap()
            }
            other => panic!("{case:?} {other:?}"),
        };
        let counted = Unexplained { count: before + 1, since: NOW - first_ago, last: NOW };
        assert_eq!(intent.unexplained, Some(counted), "{case:?}");
        // They are counted of one refresh token.
        let next = |token: &str| {
            let sent = Secret::new(token);
            let begun = Grant { intent: Some(refresh::begin(&grant(), &sent, NOW)), ..grant() };
            let counted = begun.intent.unwrap();
            let counted = Intent { unexplained: intent.unexplained, ..counted };
            let begun = Grant { intent: Some(counted), ..grant() };
            refresh::begin(&begun, &Secret::new("own"), NOW).unexplained.is_some()
        };
        assert_eq!((next("own"), next("other")), (true, false), "{case:?}");
    }
}

#[test]
fn refusals_without_a_code_lose_no_rotation_and_those_about_scopes_are_not_counted() {
    let refused = |code| Err(TokenEndpointError::Refused(code));
    let unexplained = || Err(TokenEndpointError::Unexplained("http_400".into()));
    // One attempt more than there were refusals: a response was lost.
    for (attempt, reason) in [(5, Reason::RefreshRefused), (6, Reason::RotationLost)] {
        let begun = Intent { attempt, ..refusals(4, 86_400) };
        let begun = Grant { intent: Some(begun), ..grant() };
        for answer in [unexplained(), refused("invalid_grant".into())] {
            let Settlement::Ended { state, .. } = settle(&begun, answer) else { panic!() };
            assert_eq!(state, AccountState::ReconnectRequired(reason), "{attempt}");
        }
    }
    let begun = Grant { intent: Some(refusals(4, 86_400)), ..grant() };
    let scopes = texts(&["read"]);
    let settled = settle_at(&connection(), &begun, Some(&scopes), unexplained());
    let Settlement::Kept { grant: kept } = settled else { panic!() };
    assert_eq!(kept.intent, begun.intent);
    // A new refresh token that is refused so gives way to the one before it.
    let begun = Intent { successor: Some("sealed".into()), ..refusals(4, 86_400) };
    let begun = Grant { intent: Some(begun), ..grant() };
    let Settlement::Kept { grant: kept } = settle_successor(&begun, unexplained()) else {
        panic!()
    };
    let intent = kept.intent.unwrap();
    assert_eq!((intent.successor, intent.unexplained), (None, None));
}

#[test]
fn a_grant_whose_user_must_authenticate_further_is_over_and_tried_once_a_day() {
    const DAY: i64 = 86_400;
    let begun = Grant { intent: Some(intent(1)), ..grant() };
    let demanded = || Err(TokenEndpointError::Consent("50076".into()));
    let Settlement::Ended { state, grant: over } = settle(&begun, demanded()) else { panic!() };
    assert_eq!(state, AccountState::ReconnectRequired(Reason::RefreshRefused));
    assert!(over.may_live_on());
    assert_eq!(refresh::follow_up(&over, None, Heard::Unclear, None, NOW), Some(NOW + DAY));
    // The same answer a day later changes nothing, and a success makes the grant good again.
    let sent = refresh::begin(&over, &Secret::new("own"), NOW + DAY);
    let again = Grant { intent: Some(sent), ..over };
    let Settlement::Ended { state, grant: over } = settle(&again, demanded()) else { panic!() };
    assert_eq!(state, AccountState::ReconnectRequired(Reason::RefreshRefused));
    assert!(over.may_live_on());
    // A clear refusal drops nothing more than the attempts.
    let refused = settle(&again, Err(TokenEndpointError::Refused("700082".into())));
    let Settlement::Ended { grant: over, .. } = refused else { panic!() };
    assert!(!over.may_live_on());
}

#[test]
fn an_unlisted_code_for_one_resource_is_about_that_resource() {
    let begun = Grant { intent: Some(intent(1)), ..grant() };
    let scopes = texts(&["https://vault.example/user"]);
    let unlisted = || Err(TokenEndpointError::Unlisted("70000".into()));
    let microsoft =
        Connection { default_resource: Some("https://graph.example".into()), ..connection() };
    let Settlement::Kept { grant: kept } = settle_at(&microsoft, &begun, Some(&scopes), unlisted())
    else {
        panic!()
    };
    assert_eq!((kept.intent, kept.retry_at), (None, None));
}

#[test]
fn a_grant_that_is_over_waits_for_nothing_and_has_no_fault_of_before() {
    let begun = Grant {
        intent: Some(intent(1)),
        retry_at: Some(NOW - 1),
        fault: Some("invalid_client".into()),
        failures: 2,
        ..grant()
    };
    let refused = settle(&begun, Err(TokenEndpointError::Refused("invalid_grant".into())));
    let Settlement::Ended { grant: over, .. } = refused else { panic!() };
    assert_eq!((over.intent, over.retry_at, over.fault), (None, None, None));
}

#[test]
fn where_refresh_tokens_go_on_a_lost_answer_lost_no_rotation() {
    let begun = Grant { intent: Some(intent(2)), ..grant() };
    for (rotation, reason) in [
        (Rotation::None, Reason::RefreshRefused),
        (Rotation::OldStaysValid, Reason::RefreshRefused),
        (Rotation::SingleUse, Reason::RotationLost),
        (Rotation::Unknown, Reason::RotationLost),
    ] {
        let connection = Connection { rotation, ..connection() };
        let refused = Err(TokenEndpointError::Refused("invalid_grant".into()));
        let Settlement::Ended { state, .. } = settle_at(&connection, &begun, None, refused) else {
            panic!()
        };
        assert_eq!(state, AccountState::ReconnectRequired(reason), "{rotation:?}");
    }
}

#[test]
fn consent_that_is_missing_for_one_resource_ends_no_grant() {
    let begun = Grant { intent: Some(intent(1)), ..grant() };
    let scopes = texts(&["https://vault.example/user"]);
    let refused = || Err(TokenEndpointError::Consent("65001".into()));
    let Settlement::Kept { grant: kept } =
        settle_at(&connection(), &begun, Some(&scopes), refused())
    else {
        panic!()
    };
    assert_eq!((kept.retry_at, kept.intent), (None, None));
    // If the consent to the default token is missing, the grant has ended.
    assert!(matches!(settle(&begun, refused()), Settlement::Ended { .. }));
    // Where a token is for one resource, `invalid_grant` may concern that resource only. A code that is
    // listed as permanent ends the grant.
    let by_resource =
        Connection { default_resource: Some("https://graph.example".into()), ..connection() };
    let settled = |connection: &Connection, code: &str| {
        settle_at(connection, &begun, Some(&scopes), Err(TokenEndpointError::Refused(code.into())))
    };
    assert!(matches!(settled(&by_resource, "invalid_grant"), Settlement::Kept { .. }));
    assert!(matches!(settled(&by_resource, "700082"), Settlement::Ended { .. }));
    assert!(matches!(settled(&connection(), "invalid_grant"), Settlement::Ended { .. }));
}

#[test]
fn the_end_of_a_refresh_token_is_that_of_the_one_that_is_kept() {
    let old = Grant { expires_at: Some(NOW + 7), ..grant() };
    let ends = |answer| match settle(&old, Ok(answer)) {
        Settlement::Renewed(renewal) => renewal.grant.expires_at,
        other => panic!("{other:?}"),
    };
    let told = TokenResponse { refresh_token_expires_in: Some(60), ..tokens() };
    assert_eq!(ends(told.clone()), Some(NOW + 60));
    assert_eq!(ends(tokens()), None);
    assert_eq!(ends(TokenResponse { refresh_token: None, ..told }), Some(NOW + 7));
}

#[test]
fn a_grant_that_ends_a_fixed_time_after_the_consent_ends_then_however_often_it_is_refreshed() {
    const YEAR: i64 = 365 * 86_400;
    let year = Connection { grant_lifetime: Some(YEAR), ..connection() };
    let consented = NOW - 300 * 86_400;
    let refresh = |connection: &Connection, consented_at, expires_at, answer: TokenResponse| {
        let old = Grant { consented_at, expires_at, ..grant() };
        match settle_at(connection, &old, None, Ok(answer)) {
            Settlement::Renewed(renewal) => {
                assert_eq!(renewal.grant.consented_at, consented_at);
                renewal.grant.expires_at
            }
            other => panic!("{other:?}"),
        }
    };
    let told = |seconds| TokenResponse { refresh_token_expires_in: Some(seconds), ..tokens() };
    let end = Some(consented + YEAR);
    for (connection, consented_at, stored, answer, ends) in [
        (&year, Some(consented), end, tokens(), end),
        (&year, Some(consented), None, tokens(), end),
        // The refresh token may end before.
        (&year, Some(consented), end, told(60), Some(NOW + 60)),
        (&year, Some(consented), Some(NOW + 60), told(2 * YEAR), end),
        // Without a fixed time, or an unknown consent, the refresh token's end alone counts.
        (&connection(), Some(consented), None, told(60), Some(NOW + 60)),
        (&year, None, None, told(60), Some(NOW + 60)),
        (&year, None, None, tokens(), None),
    ] {
        assert_eq!(refresh(connection, consented_at, stored, answer), ends, "{consented_at:?}");
    }
}

#[test]
fn a_lost_answer_keeps_its_intent_and_the_next_attempt_counts_on() {
    let secret = Secret::new("old refresh");
    let first = refresh::begin(&grant(), &secret, NOW);
    assert_eq!((first.attempt, first.generation), (1, 4));
    let begun = Grant { intent: Some(first.clone()), ..grant() };
    let Settlement::Kept { grant: kept } =
        settle(&begun, Err(TokenEndpointError::Ambiguous { retry_after: None }))
    else {
        panic!()
    };
    assert_eq!(kept.intent, Some(first));
    let second = refresh::begin(&kept, &secret, NOW + 5);
    assert_eq!(second.attempt, 2);
    // With a refresh token that was stored since, the attempts are counted anew.
    assert_eq!(refresh::begin(&kept, &Secret::new("another"), NOW).attempt, 1);
    assert_eq!(refresh::begin(&Grant { generation: 5, ..kept }, &secret, NOW).attempt, 1);
}

#[test]
fn a_provider_that_did_nothing_settles_its_own_attempt_and_none_before() {
    for failure in [
        TokenEndpointError::Unavailable { retry_after: None },
        TokenEndpointError::Misconfigured("invalid_client".into()),
    ] {
        for (attempt, left) in [(1, None), (2, Some(intent(1)))] {
            let begun = Grant { intent: Some(intent(attempt)), ..grant() };
            let Settlement::Kept { grant: kept } = settle(&begun, Err(failure.clone())) else {
                panic!()
            };
            assert_eq!(kept.intent, left);
        }
    }
}

#[test]
fn failures_wait_as_long_as_the_provider_says_or_longer_each_time() {
    let wait = |grant: &Grant, failure| match settle(grant, Err(failure)) {
        Settlement::Kept { grant } => (grant.retry_at.unwrap() - NOW, grant),
        other => panic!("{other:?}"),
    };
    let (told, _) = wait(&grant(), TokenEndpointError::Unavailable { retry_after: Some(120) });
    assert_eq!(told, 120);
    // A refresh token that may have been rotated is sent again before the rotation leeway has passed.
    let (told, _) = wait(&grant(), TokenEndpointError::Ambiguous { retry_after: Some(1800) });
    assert_eq!(told, 30);
    // A service that says how long it is down does not answer sooner.
    let (told, _) = wait(&grant(), TokenEndpointError::Down { retry_after: Some(1800) });
    assert_eq!(told, 1800);
    let mut grant = grant();
    let mut waits = Vec::new();
    for _ in 0..9 {
        let (seconds, next) = wait(&grant, TokenEndpointError::Ambiguous { retry_after: None });
        waits.push(seconds);
        grant = next;
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    let (_, faulty) = wait(&grant, TokenEndpointError::Misconfigured("invalid_client".into()));
    assert_eq!((faulty.fault.as_deref(), faulty.intent), (Some("invalid_client"), None));
}

/// Settles a refresh that was sent with the successor of the grant's own refresh token.
fn settle_successor(
    begun: &Grant,
    answer: Result<TokenResponse, TokenEndpointError>,
) -> Settlement {
    let (sent, own, connection) = (Secret::new("next"), Secret::new("own"), connection());
    let asked = SentRequest {
        refresh_token: &sent,
        kept: Some(&own),
        lifetime_before: None,
        scopes: None,
        user: Some("1"),
        issuer: None,
        sent_before: None,
        connection: &connection,
    };
    refresh::settle(begun, &asked, answer, NOW)
}

#[test]
fn a_new_refresh_token_outlives_an_answer_that_nothing_else_can_be_taken_from() {
    let begun =
        refresh::with_successor(Grant { intent: Some(intent(1)), ..grant() }, "sealed".to_owned());
    for failure in
        [TokenEndpointError::Ambiguous { retry_after: None }, TokenEndpointError::UnusableToken]
    {
        let Settlement::Kept { grant: kept } = settle(&begun, Err(failure)) else { panic!() };
        assert_eq!(kept.intent.as_ref().unwrap().successor.as_deref(), Some("sealed"));
        // The next attempt keeps the successor, and is its first: it was never sent.
        let next = refresh::begin(&kept, &Secret::new("next"), NOW + 5);
        assert_eq!((next.attempt, next.successor.as_deref()), (1, Some("sealed")));
    }
}

#[test]
fn a_provider_that_did_nothing_leaves_the_successor_to_be_sent() {
    for failure in [
        TokenEndpointError::Unavailable { retry_after: None },
        TokenEndpointError::Misconfigured("invalid_client".into()),
    ] {
        let begun = Grant { intent: Some(successor(1)), ..grant() };
        let Settlement::Kept { grant: kept } = settle_successor(&begun, Err(failure)) else {
            panic!()
        };
        assert_eq!(kept.intent, Some(successor(0)));
    }
}

#[test]
fn a_successor_that_is_refused_gives_way_to_the_grants_own_token_before_the_grant_ends() {
    let begun = Grant { intent: Some(successor(1)), ..grant() };
    let refused = || Err(TokenEndpointError::Refused("invalid_grant".into()));
    let Settlement::Kept { grant: kept } = settle_successor(&begun, refused()) else { panic!() };
    assert_eq!((kept.intent.as_ref().unwrap().successor.as_ref(), kept.retry_at), (None, None));
    // The provider rejects the grant's own token as well: it was rotated, and its successor is invalid.
    let own = Secret::new("own");
    let again = Grant { intent: Some(refresh::begin(&kept, &own, NOW)), ..kept };
    let Settlement::Ended { state, .. } = settle(&again, refused()) else { panic!() };
    assert_eq!(state, AccountState::ReconnectRequired(Reason::RotationLost));
}

#[test]
fn another_users_tokens_leave_a_successor_to_be_sent_again() {
    let begun = Grant { intent: Some(successor(3)), ..grant() };
    let other_user = Err(TokenEndpointError::OtherUser);
    let Settlement::Kept { grant: kept } = settle_successor(&begun, other_user) else { panic!() };
    assert_eq!(kept.intent, Some(successor(3)));
}

#[test]
fn a_successor_that_works_takes_the_place_of_the_grants_own_token() {
    let begun = Grant { intent: Some(successor(1)), ..grant() };
    let answer = TokenResponse { refresh_token: None, ..tokens() };
    let Settlement::Renewed(renewal) = settle_successor(&begun, Ok(answer)) else { panic!() };
    assert_eq!((renewal.refresh_token.expose(), renewal.grant.intent), ("next", None));
}

#[test]
fn an_access_token_that_cannot_be_used_leaves_the_grant_and_names_itself_as_the_fault() {
    for failure in [TokenEndpointError::UnusableToken, TokenEndpointError::UnknownTokenType] {
        let begun = Grant { intent: Some(intent(1)), ..grant() };
        let Settlement::Kept { grant: kept } = settle(&begun, Err(failure.clone())) else {
            panic!()
        };
        // The response has no new refresh token: the old one remains valid, and no attempt is open.
        assert_eq!((kept.generation, kept.intent.as_ref()), (4, None));
        let told = step(&kept, None);
        let reason = Misconfiguration::UnusableAccessToken;
        assert_eq!(told, ReleaseStep::Stop(ReleaseError::Misconfigured { retry_after: 5, reason }));
        // A new one is sent from then on.
        let begun = Grant { intent: Some(successor(0)), ..grant() };
        let Settlement::Kept { grant: kept } = settle(&begun, Err(failure)) else { panic!() };
        assert_eq!(kept.intent, begun.intent);
    }
}

#[test]
fn an_answer_that_cannot_be_read_leaves_the_grant_as_one_that_says_nothing_does() {
    let begun = Grant { intent: Some(intent(1)), ..grant() };
    let kept = |failure| match settle(&begun, Err(failure)) {
        Settlement::Kept { grant } => grant,
        other => panic!("{other:?}"),
    };
    let unclear = kept(TokenEndpointError::Ambiguous { retry_after: None });
    assert_eq!(kept(TokenEndpointError::Unreadable("answer_not_json")), unclear);
}

#[test]
fn an_answer_is_written_to_the_grant_it_is_about_and_to_no_other() {
    let (asked, sent) = (grant(), Secret::new("rt-4"));
    let fate = |stored| refresh::fate(&asked, &[&sent], stored);
    let same = grant();
    let later = Grant { generation: 5, ..grant() };
    let other = Secret::new("rt-5");
    assert_eq!(fate(Some((&same, Some(&sent)))), CommitDecision::Write);
    assert_eq!(fate(Some((&later, Some(&other)))), CommitDecision::Drop);
    assert_eq!(fate(Some((&later, None))), CommitDecision::Drop);
    assert_eq!(fate(None), CommitDecision::Revoke);
    // The user has connected again without a new refresh token, so the one in flight is still the only one.
    assert_eq!(fate(Some((&later, Some(&sent)))), CommitDecision::KeepToken);
}
