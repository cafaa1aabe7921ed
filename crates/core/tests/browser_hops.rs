// SPDX-License-Identifier: Apache-2.0
//! The browser's hops of a connect: a browser repeats its own, and another one takes its place until the
//! authorization response is there.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/journey.rs"]
mod journey;

use journey::{Journey, NOW, connect_code, parameter, user};
use vault_base::ids::AccountId;
use vault_base::secret::Secret;
use vault_core::connect::hops::{Hop, Opened};
use vault_core::connect::record::{
    AuthorizationResponse, CODE_LIFETIME, Complete, Denied, Phase, STATE_LIFETIME, Session,
    StatelessError, TICKET_LIFETIME,
};
use vault_core::connect::session::Completion;

/// Opens the ticket in the browser that has the session's cookie.
fn reload(journey: &mut Journey, now: i64) -> Result<Opened, Denied> {
    let (ticket, cookie) = (journey.ticket.clone(), journey.cookie.clone());
    journey.step(|session, sealer| session.open(&ticket, Some(&cookie), sealer, now))
}

/// Where the browser goes that has the session's cookie, when the ticket is opened after the response.
fn reload_to_application(journey: &mut Journey, now: i64) -> Secret {
    match reload(journey, now).unwrap() {
        Opened::ToApplication(location) => location,
        opened @ Opened::AtProvider { .. } => panic!("{opened:?}"),
    }
}

fn completes(journey: &mut Journey, code: &Secret, now: i64) -> Result<Completion, Denied> {
    let ask = Complete { connect_code: code.clone(), ..journey.ask() };
    journey.complete(&ask, now)
}

#[test]
fn a_ticket_opens_in_time_and_only_if_it_is_the_right_one() {
    let mut journey = Journey::started();
    let before = journey.session.clone();
    let ticket = journey.ticket.clone();
    let guess = Secret::new("guess");
    assert_eq!(journey.open(&guess, None, NOW).unwrap_err(), Denied::Unknown);
    let late = journey.open(&ticket, None, NOW + TICKET_LIFETIME).unwrap_err();
    assert_eq!(late, Denied::Expired);
    assert_eq!(journey.session, before);
    assert!(journey.open(&ticket, None, NOW + TICKET_LIFETIME - 1).is_ok());
}

#[test]
fn until_the_response_another_browser_takes_the_place_of_the_first() {
    let mut journey = Journey::at_provider();
    let scanner = journey.back();
    let ticket = journey.ticket.clone();
    for cookie in [None, Some(Secret::new("of another session"))] {
        let opened = journey.open(&ticket, cookie.as_ref(), NOW + TICKET_LIFETIME - 1).unwrap();
        (journey.state, journey.cookie) = opened;
    }
    // The first one's state and cookie are of no use any more, neither together nor with the other's.
    let person = journey.back();
    for (state, cookie, denied) in [
        (&scanner.state, &scanner.cookie, Denied::Unknown),
        (&scanner.state, &person.cookie, Denied::Unknown),
        (&person.state, &scanner.cookie, Denied::OtherBrowser),
    ] {
        let (state, cookie) = (state.clone(), cookie.clone());
        let back = AuthorizationResponse { state, cookie, ..journey.back() };
        assert_eq!(journey.come_back(&back, true, NOW).unwrap_err(), denied);
    }
    // The state's own time runs from the second browser's hop.
    let last = NOW + TICKET_LIFETIME - 1 + STATE_LIFETIME - 1;
    let code = connect_code(&journey.come_back(&person, true, last).unwrap());
    assert!(matches!(completes(&mut journey, &code, last), Ok(Completion::Redeem { .. })));
}

#[test]
fn a_browser_without_the_cookie_opens_no_ticket_after_its_time_or_after_the_response() {
    let mut late = Journey::at_provider();
    let before = late.session.clone();
    let ticket = late.ticket.clone();
    assert_eq!(late.open(&ticket, None, NOW + TICKET_LIFETIME).unwrap_err(), Denied::Expired);
    assert_eq!(late.session, before);
    let mut returned = Journey::returned();
    let before = returned.session.clone();
    for cookie in [None, Some(Secret::new("guess"))] {
        assert_eq!(returned.open(&ticket, cookie.as_ref(), NOW).unwrap_err(), Denied::Used);
    }
    assert_eq!(returned.session, before);
}

#[test]
fn the_same_browser_gets_the_same_authorization_request_again() {
    let mut journey = Journey::at_provider();
    let before = journey.session.clone();
    let last = NOW + STATE_LIFETIME - 1;
    for now in [NOW, last] {
        let (Opened::AtProvider { state, cookie, secrets }, Phase::AtProvider { .. }) =
            (reload(&mut journey, now).unwrap(), &before.phase)
        else {
            panic!("not at the provider");
        };
        assert!(state.expose().ends_with(journey.state.expose()), "another state");
        assert!(cookie.is_none());
        assert_eq!(journey.session, before);
        let code = journey.back();
        let mut other = Journey { session: before.clone(), ..Journey::at_provider() };
        other.ring = journey.ring.clone();
        let code = connect_code(&other.come_back(&code, true, now).unwrap());
        let Ok(Completion::Redeem { secrets: redeemed, .. }) = completes(&mut other, &code, now)
        else {
            panic!("not redeemed");
        };
        assert_eq!(redeemed.verifier.expose(), secrets.verifier.expose());
        assert_eq!(redeemed.nonce.expose(), secrets.nonce.expose());
    }
    assert_eq!(reload(&mut journey, last + 1).unwrap_err(), Denied::Expired);
    assert!(!serde_json::to_string(&before).unwrap().contains(journey.state.expose()));
}

#[test]
fn a_record_without_the_sealed_state_gives_the_same_browser_a_new_request() {
    let mut journey = Journey::at_provider();
    let mut stored = serde_json::to_value(&journey.session).unwrap();
    stored["phase"].as_object_mut().unwrap().remove("sealed_state").unwrap();
    journey.session = serde_json::from_value::<Session>(stored).unwrap();
    let (ticket, cookie) = (journey.ticket.clone(), journey.cookie.clone());
    assert_eq!(journey.session.hop(&ticket, Some(&cookie), NOW), Ok(Hop::Authorize));
    let (state, _) = journey.open(&ticket, Some(&cookie), NOW).unwrap();
    assert_ne!(state.expose(), journey.state.expose());
}

#[test]
fn after_the_response_the_same_browser_goes_to_the_application_with_a_new_connect_code() {
    let mut journey = Journey::returned();
    let first = journey.connect_code.clone();
    let by_ticket = connect_code(&reload_to_application(&mut journey, NOW + 1));
    assert_eq!(completes(&mut journey, &first, NOW + 1).unwrap_err(), Denied::Unknown);
    let back = journey.back();
    let location = journey.come_back(&back, true, NOW + 2).unwrap();
    assert_eq!(parameter(&location, "state").as_deref(), Some("a b&c=#ü"));
    let by_callback = connect_code(&location);
    for dead in [&first, &by_ticket] {
        assert_eq!(completes(&mut journey, dead, NOW + 2).unwrap_err(), Denied::Unknown);
    }
    let late = journey.session.clone();
    let in_time = NOW + CODE_LIFETIME - 1;
    assert!(matches!(
        completes(&mut journey, &by_callback, in_time),
        Ok(Completion::Redeem { .. })
    ));
    // The time to complete is still that of the first.
    journey.session = late;
    let denied = completes(&mut journey, &by_callback, in_time + 1).unwrap_err();
    assert_eq!(denied, Denied::Expired);
}

#[test]
fn the_first_code_stands_whatever_the_same_browser_brings_later() {
    let first = Journey::returned();
    let later =
        |code: Option<&str>, error: Option<&str>, iss: Option<&str>| AuthorizationResponse {
            code: code.map(Secret::new),
            error: error.map(str::to_owned),
            iss: iss.map(str::to_owned),
            ..first.back()
        };
    for (back, is_providers) in [
        (later(Some("another code"), None, None), true),
        (later(None, Some("access_denied"), None), true),
        (later(Some("another code"), None, Some("https://mallory.example")), false),
    ] {
        let mut journey = Journey { session: first.session.clone(), ..Journey::returned() };
        (journey.ring, journey.cookie) = (first.ring.clone(), first.cookie.clone());
        let code = connect_code(&journey.come_back(&back, is_providers, NOW).unwrap());
        let Ok(Completion::Redeem { code, .. }) = completes(&mut journey, &code, NOW) else {
            panic!("not redeemed");
        };
        assert_eq!(code.expose(), "provider code");
    }
}

#[test]
fn only_the_browser_that_brought_the_response_brings_it_again() {
    let mut journey = Journey::returned();
    let before = journey.session.clone();
    let guess = || Secret::new("guess");
    for back in [
        AuthorizationResponse { cookie: None, ..journey.back() },
        AuthorizationResponse { cookie: Some(guess()), ..journey.back() },
        AuthorizationResponse { state: guess(), ..journey.back() },
        AuthorizationResponse { connection: "other".into(), ..journey.back() },
    ] {
        assert_eq!(journey.come_back(&back, true, NOW).unwrap_err(), Denied::Used);
        assert_eq!(journey.session, before);
    }
}

#[test]
fn a_completed_connect_is_answered_with_the_code_it_was_completed_with_and_the_browsers_last_one() {
    let account = AccountId::random().unwrap();
    let mut journey = Journey::returned();
    let first = journey.connect_code.clone();
    assert!(completes(&mut journey, &first, NOW).is_ok());
    let during = connect_code(&reload_to_application(&mut journey, NOW));
    assert!(matches!(journey.session.phase, Phase::Completing { .. }));
    journey.session.finish(Some(account.clone()));
    let after = connect_code(&reload_to_application(&mut journey, NOW + 1000));
    for code in [&first, &after] {
        let Ok(Completion::Answer(answered)) = completes(&mut journey, code, NOW) else {
            panic!("not answered");
        };
        assert_eq!(answered, account);
        let other = Complete { user: user("mallory"), ..journey.ask() };
        let ask = Complete { connect_code: code.clone(), ..other };
        assert_eq!(journey.complete(&ask, NOW).unwrap_err(), Denied::Used);
    }
    assert_eq!(completes(&mut journey, &during, NOW).unwrap_err(), Denied::Used);
}

#[test]
fn a_failed_completion_is_told_again_and_a_session_that_was_ended_by_another_user_is_not() {
    let mut journey = Journey::returned();
    journey.session.fail(&Denied::CodeRefused);
    let code = connect_code(&reload_to_application(&mut journey, NOW));
    assert_eq!(completes(&mut journey, &code, NOW).unwrap_err(), Denied::CodeRefused);
    let mut stolen = Journey::returned();
    let ask = Complete { user: user("mallory"), ..stolen.ask() };
    assert_eq!(stolen.complete(&ask, NOW).unwrap_err(), Denied::OtherUser);
    assert_eq!(reload(&mut stolen, NOW).unwrap_err(), Denied::Used);
}

#[test]
fn a_browser_that_declined_tells_the_application_so_again() {
    let mut journey = Journey::at_provider();
    let declined = AuthorizationResponse {
        code: None,
        error: Some("user_cancelled_login".into()),
        ..journey.back()
    };
    assert_eq!(declined.reason(), Some("declined"));
    let first = journey.come_back(&declined, true, NOW).unwrap();
    assert_eq!(parameter(&first, "error").as_deref(), Some("access_denied"));
    let before = journey.session.clone();
    // A code that comes later connects nothing.
    let granted = journey.back();
    for again in [
        journey.come_back(&declined, true, NOW).unwrap(),
        journey.come_back(&granted, true, NOW).unwrap(),
        reload_to_application(&mut journey, NOW),
    ] {
        assert_eq!(again.expose(), first.expose());
        assert_eq!(journey.session, before);
    }
}

#[test]
fn an_error_without_state_reaches_the_application_of_the_browsers_session_which_stays_open() {
    let mut journey = Journey::at_provider();
    let before = journey.session.clone();
    let told = || StatelessError {
        cookie: journey.cookie.clone(),
        connection: "demo".into(),
        error: "access_denied".into(),
    };
    let location = journey.session.declined_without_state(&told(), NOW).unwrap();
    assert_eq!(parameter(&location, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&location, "state").as_deref(), Some("a b&c=#ü"));
    for (told, now) in [
        (StatelessError { cookie: Secret::new("guess"), ..told() }, NOW),
        (StatelessError { connection: "other".into(), ..told() }, NOW),
        (told(), NOW + STATE_LIFETIME),
    ] {
        let denied = journey.session.declined_without_state(&told, now).unwrap_err();
        assert_eq!(denied, Denied::Unknown);
    }
    let told = told();
    assert_eq!(journey.session, before);
    let back = journey.back();
    assert!(journey.come_back(&back, true, NOW).is_ok());
    assert_eq!(journey.session.declined_without_state(&told, NOW).unwrap_err(), Denied::Unknown);
}

#[test]
fn a_sign_in_is_opened_by_one_browser_and_no_other_takes_its_place() {
    let mut begin = Journey::started().session.begin;
    begin.authorization = Some("authorization".into());
    let mut journey = Journey { session: Session::new(begin, NOW), ..Journey::started() };
    let ticket = journey.ticket.clone();
    let (_, cookie) = journey.open(&ticket, None, NOW).unwrap();
    assert_eq!(journey.open(&ticket, None, NOW).unwrap_err(), Denied::Used);
    let told = StatelessError { cookie, connection: "demo".into(), error: "access_denied".into() };
    let denied = journey.session.declined_without_state(&told, NOW).unwrap_err();
    assert_eq!(denied, Denied::Unknown);
}
