// SPDX-License-Identifier: Apache-2.0
//! The state machine of a connect: each handle is accepted in time, from the right browser and user, and a code is
//! redeemed once.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/connection.rs"]
mod connection_support;
#[path = "support/journey.rs"]
mod journey;

use journey::{Journey, NOW, VERIFIER, parameter, store, user};
use serde_json::json;
use vault_base::ids::{AccountId, UserId};
use vault_base::secret::Secret;
use vault_core::connect::record::{
    AuthorizationResponse, CODE_LIFETIME, Complete, Denied, FlowSecrets, Phase, STATE_LIFETIME,
    STORE_LIFETIME, Session,
};
use vault_core::connect::session::{Completion, Unidentified};
use vault_core::vault::consent::NewGrant;

#[test]
fn the_whole_way_gives_the_providers_code_back_to_who_began() {
    let mut journey = Journey::returned();
    let ask = journey.ask();
    let Ok(Completion::Redeem { code, secrets }) = journey.complete(&ask, NOW) else {
        panic!("not redeemed");
    };
    assert_eq!(code.expose(), "provider code");
    // RFC 7636 §4.1 and §7.1: 43 characters of 256 random bits.
    assert_eq!(secrets.verifier.expose().len(), 43);
    assert!(matches!(journey.session.phase, Phase::Completing { .. }));
}

#[test]
fn the_applications_redirect_keeps_its_query_and_gets_its_state_back_unchanged() {
    let mut journey = Journey::at_provider();
    let back = journey.back();
    let location = journey.come_back(&back, true, NOW).unwrap();
    assert!(location.expose().starts_with("https://app.example/back?tab=1&connect_code="));
    assert_eq!(parameter(&location, "state").unwrap(), "a b&c=#ü");
    assert!(parameter(&location, "connect_code").unwrap().len() <= 46);
}

#[test]
fn nothing_secret_is_stored_in_the_clear() {
    let journey = Journey::returned();
    let stored = serde_json::to_string(&journey.session).unwrap();
    let held = [&journey.ticket, &journey.auth_session, &journey.connect_code];
    for secret in held.map(Secret::expose).into_iter().chain(["provider code", VERIFIER]) {
        assert!(!stored.contains(secret), "{stored}");
    }
}

#[test]
fn an_answer_that_is_not_this_browsers_changes_nothing() {
    let fresh = Journey::at_provider();
    let refused = [
        (
            AuthorizationResponse { state: Secret::new("guess"), ..fresh.back() },
            NOW,
            Denied::Unknown,
        ),
        (AuthorizationResponse { cookie: None, ..fresh.back() }, NOW, Denied::OtherBrowser),
        (
            AuthorizationResponse { cookie: Some(Secret::new("x")), ..fresh.back() },
            NOW,
            Denied::OtherBrowser,
        ),
        (fresh.back(), NOW + STATE_LIFETIME, Denied::Expired),
    ];
    let mut journey = fresh;
    let before = journey.session.clone();
    for (back, now, denied) in refused {
        assert_eq!(journey.come_back(&back, true, now).unwrap_err(), denied);
        assert_eq!(journey.session, before);
    }
    let back = journey.back();
    assert!(journey.come_back(&back, true, NOW).is_ok());
    let elsewhere = AuthorizationResponse { cookie: None, ..back };
    assert_eq!(journey.come_back(&elsewhere, true, NOW).unwrap_err(), Denied::Used);
}

#[test]
fn an_answer_of_another_provider_ends_the_session_before_any_code_is_redeemed() {
    for (connection, ours) in [("other", true), ("demo", false)] {
        let mut journey = Journey::at_provider();
        let back = AuthorizationResponse { connection: connection.into(), ..journey.back() };
        assert_eq!(journey.come_back(&back, ours, NOW).unwrap_err(), Denied::OtherProvider);
        assert_eq!(journey.session.phase, Phase::FAILED);
        let ask = journey.ask();
        assert_eq!(journey.complete(&ask, NOW).unwrap_err(), Denied::Used);
    }
}

#[test]
fn a_refusal_at_the_provider_reaches_the_application_in_our_words() {
    for (error, expected) in [
        ("access_denied", "access_denied"),
        ("login_required", "interaction_required"),
        ("<script>alert(1)</script>", "server_error"),
    ] {
        let mut journey = Journey::at_provider();
        let back =
            AuthorizationResponse { code: None, error: Some(error.into()), ..journey.back() };
        let location = journey.come_back(&back, true, NOW).unwrap();
        assert_eq!(parameter(&location, "error").unwrap(), expected);
        assert_eq!(parameter(&location, "state").unwrap(), "a b&c=#ü");
        assert_eq!(parameter(&location, "connect_code"), None);
        assert!(!location.expose().contains("alert"));
        assert_eq!(journey.session.phase, Phase::FAILED);
    }
}

#[test]
fn another_user_or_client_ends_the_session_and_never_gets_the_code() {
    for thief in [
        Complete { user: user("mallory"), ..Journey::returned().ask() },
        Complete {
            user: UserId { issuer: "https://other.example/".into(), ..user("alice") },
            ..Journey::returned().ask()
        },
        Complete { client_id: "other".into(), ..Journey::returned().ask() },
    ] {
        let mut journey = Journey::returned();
        // The victim's browser was led through the connect of the attacker. The victim's application
        // completes it with what it received.
        let thief = Complete {
            auth_session: journey.auth_session.clone(),
            connect_code: journey.connect_code.clone(),
            ..thief
        };
        assert_eq!(journey.complete(&thief, NOW).unwrap_err(), Denied::OtherUser);
        assert_eq!(journey.session.phase, Phase::FAILED);
        let own = journey.ask();
        assert_eq!(journey.complete(&own, NOW).unwrap_err(), Denied::Used);
    }
}

#[test]
fn the_right_code_with_a_wrong_proof_ends_the_session() {
    type Change = fn(Complete) -> Complete;
    let wrong: [(Change, Denied); 3] = [
        (
            |ask| Complete { redirect_uri: "https://app.example/".into(), ..ask },
            Denied::OtherRedirect,
        ),
        (|ask| Complete { code_verifier: None, ..ask }, Denied::Verifier),
        (
            |ask| Complete { code_verifier: Some(Secret::new("x".repeat(43))), ..ask },
            Denied::Verifier,
        ),
    ];
    for (change, denied) in wrong {
        let mut journey = Journey::returned();
        let ask = change(journey.ask());
        // The proof that was right all along brings the code back no more.
        for ask in [&ask, &ask, &journey.ask()] {
            assert_eq!(journey.complete(ask, NOW).unwrap_err(), denied);
            assert!(matches!(journey.session.phase, Phase::Failed { .. }));
        }
    }
}

#[test]
fn a_verifier_without_a_challenge_is_refused_and_neither_is_fine() {
    for (verifier, expected) in [(Some(Secret::new(VERIFIER)), false), (None, true)] {
        let mut journey = Journey::returned();
        journey.session.begin.code_challenge = None;
        let ask = Complete { code_verifier: verifier, ..journey.ask() };
        assert_eq!(journey.complete(&ask, NOW).is_ok(), expected);
    }
}

#[test]
fn a_connect_waits_while_its_connection_is_another_registration() {
    let entry = |client_id: &str| {
        connection_support::connection(&json!({"provider": "github", "client_id": client_id}))
    };
    let (ours, other) = (entry("one").unwrap(), entry("two").unwrap());
    let mut journey = Journey::returned();
    journey.session.begin.registration = Some(ours.registration.clone());
    let before = journey.session.clone();
    let ask = journey.ask();
    let complete = |journey: &mut Journey, connection| {
        journey.step(|session, sealer| session.complete(&ask, Some(connection), false, sealer, NOW))
    };
    assert_eq!(complete(&mut journey, &other).unwrap_err(), Denied::RegistrationChanged);
    assert_eq!(journey.session, before);
    let without = journey.step(|session, sealer| session.complete(&ask, None, false, sealer, NOW));
    assert_eq!(without.unwrap_err(), Denied::RegistrationChanged);
    assert_eq!(journey.session, before);
    assert!(matches!(complete(&mut journey, &ours), Ok(Completion::Redeem { .. })));
}

#[test]
fn a_guess_changes_nothing() {
    let mut journey = Journey::returned();
    let before = journey.session.clone();
    for ask in [
        Complete { auth_session: Secret::new("guess"), ..journey.ask() },
        Complete { connect_code: Secret::new("guess"), ..journey.ask() },
    ] {
        assert_eq!(journey.complete(&ask, NOW).unwrap_err(), Denied::Unknown);
        assert_eq!(journey.session, before);
    }
    for mut early in [Journey::started(), Journey::at_provider()] {
        let ask = early.ask();
        assert_eq!(early.complete(&ask, NOW).unwrap_err(), Denied::Unknown);
    }
}

#[test]
fn a_connect_code_sends_the_providers_code_once_and_within_a_minute() {
    let mut late = Journey::returned();
    let ask = late.ask();
    assert_eq!(late.complete(&ask, NOW + CODE_LIFETIME).unwrap_err(), Denied::Expired);
    let mut journey = Journey::returned();
    let ask = journey.ask();
    assert!(journey.complete(&ask, NOW + CODE_LIFETIME - 1).is_ok());
    // The response of the provider may be lost. The authorization code is not sent twice (RFC 6749 §4.1.2).
    let again = |journey: &mut Journey, is_redeeming| {
        let complete = journey
            .step(|session, sealer| session.complete(&ask, None, is_redeeming, sealer, NOW + 300));
        complete.unwrap_err()
    };
    assert_eq!(again(&mut journey, true), Denied::NotStored);
    assert!(matches!(journey.session.phase, Phase::Completing { .. }));
    for is_redeeming in [false, false, true] {
        assert_eq!(again(&mut journey, is_redeeming), Denied::ProviderUnavailable);
    }
}

/// Completions that are not the one of the user who began the connect, or not with all that it promised.
fn others(journey: &Journey) -> Vec<Complete> {
    let own = || journey.ask();
    vec![
        Complete { user: user("mallory"), ..own() },
        Complete { client_id: "other".into(), ..own() },
        Complete { connect_code: Secret::new("guess"), ..own() },
        Complete { redirect_uri: "https://app.example/".into(), ..own() },
        Complete { code_verifier: None, ..own() },
        Complete { code_verifier: Some(Secret::new("x".repeat(43))), ..own() },
    ]
}

#[test]
fn a_finished_connect_answers_its_account_again_and_only_to_who_completed_it() {
    let account = AccountId::random().unwrap();
    let mut journey = Journey::returned();
    let ask = journey.ask();
    assert!(journey.complete(&ask, NOW).is_ok());
    journey.session.finish(Some(account.clone()));
    let before = journey.session.clone();
    for now in [NOW, NOW + STORE_LIFETIME] {
        let Ok(Completion::Answer(answered)) = journey.complete(&ask, now) else {
            panic!("not answered");
        };
        assert_eq!(answered, account);
    }
    for other in others(&journey) {
        assert_eq!(journey.complete(&other, NOW).unwrap_err(), Denied::Used);
    }
    let guess = Complete { auth_session: Secret::new("guess"), ..journey.ask() };
    assert_eq!(journey.complete(&guess, NOW).unwrap_err(), Denied::Unknown);
    // The record of an earlier version, and an account that was deleted before the session was told.
    journey.session.phase = Phase::Finished { connect_code: None, account: None };
    assert_eq!(journey.complete(&ask, NOW).unwrap_err(), Denied::Used);
    journey.session.phase = before.phase.clone();
    journey.session.fail(&Denied::Identity);
    assert_eq!(journey.session, before);
}

#[test]
fn a_failed_connect_answers_its_error_again_and_only_to_who_completed_it() {
    let narrower = Denied::Narrower { missing: vec!["a".into()] };
    for error in [
        narrower,
        Denied::UnknownUser,
        Denied::CodeRefused,
        Denied::ProviderMisconfigured,
        Denied::Identity,
        Denied::Unnamed { cause: "userinfo_signed".into() },
    ] {
        let mut journey = Journey::returned();
        let ask = journey.ask();
        assert!(journey.complete(&ask, NOW).is_ok());
        journey.session.fail(&error);
        // The first error counts.
        journey.session.fail(&Denied::Used);
        for _ in 0..2 {
            assert_eq!(journey.complete(&ask, NOW + STORE_LIFETIME).unwrap_err(), error);
        }
        for other in others(&journey) {
            assert_eq!(journey.complete(&other, NOW).unwrap_err(), Denied::Used, "{error:?}");
        }
    }
    let mut late = Journey::returned();
    let ask = late.ask();
    for now in [NOW + CODE_LIFETIME, NOW] {
        assert_eq!(late.complete(&ask, now).unwrap_err(), Denied::Expired);
    }
}

#[test]
fn a_wrong_verifier_or_redirect_uri_ends_no_grant_once_the_connect_was_completed_rightly() {
    let mut granted = Journey::returned();
    let ask = granted.ask();
    assert!(granted.complete(&ask, NOW).is_ok());
    let completing = granted.session.clone();
    granted.step(|session, sealer| Ok(session.granted(&tokens(), sealer, NOW)?)).unwrap();
    let held = granted.session.clone();
    for before in [completing, held] {
        granted.session = before.clone();
        for other in others(&granted).into_iter().skip(2) {
            let denied = granted.complete(&other, NOW).unwrap_err();
            assert!(
                matches!(denied, Denied::Unknown | Denied::OtherRedirect | Denied::Verifier),
                "{denied:?}"
            );
            assert_eq!(granted.session, before);
        }
    }
}

#[test]
fn while_the_provider_is_down_a_good_ticket_leads_back_to_the_application_and_is_not_used_up() {
    let mut journey = Journey::started();
    let before = journey.session.clone();
    let location = journey.session.not_opened(Denied::ProviderUnavailable).unwrap();
    assert!(
        location.expose().starts_with("https://app.example/back?tab=1&"),
        "{}",
        location.expose()
    );
    assert_eq!(parameter(&location, "error").as_deref(), Some("temporarily_unavailable"));
    assert_eq!(parameter(&location, "state").as_deref(), Some("a b&c=#ü"));
    assert_eq!(parameter(&location, "connect_code"), None);
    assert_eq!(journey.session, before);
    for denied in [Denied::ProviderMisconfigured, Denied::RegistrationChanged, Denied::NotStored] {
        assert_eq!(journey.session.not_opened(denied.clone()).unwrap_err(), denied);
    }
    let ticket = journey.ticket.clone();
    assert!(journey.open(&ticket, None, NOW + 1).is_ok());
    // A sign-in is the vault's own: no application began this session.
    let mut login = Journey::started().session.begin;
    login.authorization = Some("authorization".into());
    let login = Session::new(login, NOW);
    let denied = login.not_opened(Denied::ProviderUnavailable).unwrap_err();
    assert_eq!(denied, Denied::ProviderUnavailable);
}

/// Tokens whose response did not state the user.
fn tokens() -> Unidentified {
    Unidentified {
        store: Box::new(NewGrant { provider_user: None, ..store() }),
        id_token: Some(Secret::new("the-id-token")),
        secrets: FlowSecrets { verifier: Secret::new("verifier"), nonce: Secret::new("nonce") },
    }
}

#[test]
fn tokens_wait_until_it_is_known_whose_they_are() {
    let mut journey = Journey::returned();
    let ask = journey.ask();
    assert!(journey.complete(&ask, NOW).is_ok());
    journey.step(|session, sealer| Ok(session.granted(&tokens(), sealer, NOW)?)).unwrap();
    let stored = serde_json::to_string(&journey.session).unwrap();
    for secret in ["refresh\"", "\"access\"", "the-id-token", "nonce\""] {
        assert!(!stored.contains(secret), "{stored}");
    }
    for _ in 0..2 {
        let Ok(Completion::Identify(waiting)) = journey.complete(&ask, NOW + 30) else {
            panic!("the tokens are gone");
        };
        assert_eq!(waiting.store.refresh_token.unwrap().expose(), "refresh");
        assert_eq!(waiting.id_token.unwrap().expose(), "the-id-token");
        assert_eq!(waiting.secrets.nonce.expose(), "nonce");
    }
    // Another user cannot complete the connect.
    let mut other = Journey { session: journey.session.clone(), ..Journey::returned() };
    let stranger = Complete { user: UserId { subject: "eve".into(), ..ask.user.clone() }, ..ask };
    assert_eq!(other.complete(&stranger, NOW + 30).unwrap_err(), Denied::OtherUser);
}

#[test]
fn redeemed_tokens_wait_for_the_vault_and_can_be_stored_again() {
    let mut journey = Journey::returned();
    let ask = journey.ask();
    assert!(journey.complete(&ask, NOW).is_ok());
    journey.step(|session, sealer| Ok(session.granted(&tokens(), sealer, NOW)?)).unwrap();
    journey.step(|session, sealer| Ok(session.redeemed(&store(), sealer)?)).unwrap();
    let stored = serde_json::to_string(&journey.session).unwrap();
    assert!(!stored.contains("\"refresh\"") && !stored.contains("\"access\""), "{stored}");
    for _ in 0..2 {
        let Ok(Completion::Store(waiting)) = journey.complete(&ask, NOW + 30) else {
            panic!("the tokens are gone");
        };
        assert_eq!(waiting.refresh_token.unwrap().expose(), "refresh");
        assert_eq!(waiting.provider_user.as_deref(), Some("1"));
    }
    assert_eq!(journey.complete(&ask, NOW + STORE_LIFETIME).unwrap_err(), Denied::Expired);
}
