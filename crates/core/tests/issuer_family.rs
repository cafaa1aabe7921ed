// SPDX-License-Identifier: Apache-2.0
//! Refresh token families: rotation that survives lost responses, and ends with a copied token.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::json;
use vault_base::encoding::base64url;
use vault_base::seal::{KeyRing, Sealer};
use vault_base::secret::Secret;
use vault_core::event::EventName;
use vault_core::issuer::family::{
    Family, FamilyGrant, LEEWAY, Record, Refusal, Request, Response, Start,
};
use vault_core::issuer::machine::{At, Machine, Write};

const NOW: i64 = 1_795_492_800;
const ISSUER: &str = "https://vault.example/";
const DAY: i64 = 86_400;

/// A family as its object holds it.
struct World {
    sealer: Sealer,
    record: Option<Record>,
    events: Vec<Option<String>>,
}

impl World {
    fn new() -> Self {
        let ring = json!({"write": "k1", "keys": {"k1": base64url([7; 32])}}).to_string();
        let sealer = Sealer::new(&KeyRing::parse(&ring).unwrap(), "object");
        Self { sealer, record: None, events: Vec::new() }
    }

    fn ask(&mut self, request: &Request, now: i64) -> Response {
        let at = At { now, sealer: &self.sealer, issuer: ISSUER };
        // What a message cannot carry never arrives.
        let request = serde_json::from_str(&serde_json::to_string(request).unwrap()).unwrap();
        let step = Family::step(self.record.clone(), request, &at).unwrap();
        match step.write {
            Write::Keep => {}
            Write::Put(record) => {
                let json = serde_json::to_string(&record).unwrap();
                self.record = Some(serde_json::from_str(&json).unwrap());
            }
            Write::Delete => self.record = None,
        }
        for event in step.events {
            assert_eq!(event.event, EventName::RefreshTokenMisused);
            self.events.push(event.reason);
        }
        step.response
    }

    fn start(rotation: bool) -> (Self, String) {
        let mut world = Self::new();
        let grant = FamilyGrant {
            subject: "google|1".into(),
            client_id: "spa".into(),
            scopes: vec!["openid".into()],
            audience: None,
            sid: Some("sid".into()),
            auth_time: NOW - 5,
        };
        let start = Start { id: "f".into(), grant, rotation, idle: 30 * DAY, lifetime: 365 * DAY };
        let Response::Token { token, .. } = world.ask(&Request::Start(Box::new(start)), NOW) else {
            panic!()
        };
        (world, token.expose().to_owned())
    }

    fn refresh_as(
        &mut self,
        token: &str,
        client: &str,
        authenticated: bool,
        now: i64,
    ) -> Result<String, Refused> {
        let request =
            Request::Refresh { secret: secret(token), client_id: client.into(), authenticated };
        match self.ask(&request, now) {
            Response::Token { token, grant } => {
                assert_eq!(grant.subject, "google|1");
                Ok(token.expose().to_owned())
            }
            Response::Refused(refusal) => Err(Refused::Because(refusal)),
            Response::Replayed { subject } => {
                assert_eq!(subject, "google|1");
                Err(Refused::Replayed)
            }
            other => panic!("{other:?}"),
        }
    }

    fn refresh(&mut self, token: &str, now: i64) -> Result<String, Refused> {
        self.refresh_as(token, "spa", false, now)
    }

    fn look(&mut self, token: &str, authenticated: bool, now: i64) -> Result<(), Refused> {
        match self.ask(&Request::Look { secret: secret(token), authenticated }, now) {
            Response::Valid { .. } => Ok(()),
            Response::Refused(refusal) => Err(Refused::Because(refusal)),
            Response::Replayed { subject } => {
                assert_eq!(subject, "google|1");
                Err(Refused::Replayed)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Revokes it; tells whether that names a user whose access tokens must end.
    fn revoke(&mut self, token: Option<&str>, client: Option<&str>) -> bool {
        let request =
            Request::Revoke { secret: token.map(secret), client_id: client.map(str::to_owned) };
        match self.ask(&request, NOW) {
            Response::Revoked { subject } => subject.is_some(),
            other => panic!("{other:?}"),
        }
    }
}

/// Why a token is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Refused {
    Because(Refusal),
    Replayed,
}

fn secret(token: &str) -> Secret {
    Secret::new(token.split_once('.').unwrap().1)
}

#[test]
fn each_use_replaces_the_token() {
    // RFC 9700 §4.14.2.
    let (mut world, first) = World::start(true);
    let second = world.refresh(&first, NOW + 1).unwrap();
    let third = world.refresh(&second, NOW + 2).unwrap();
    assert!(first != second && second != third);
    assert_eq!(world.record.as_ref().unwrap().generation, 2);
    assert!(world.events.is_empty());
}

#[test]
fn a_lost_response_is_repeated_with_the_same_successor() {
    let (mut world, first) = World::start(true);
    let second = world.refresh(&first, NOW).unwrap();
    for now in [NOW, NOW + LEEWAY - 1, NOW - 100] {
        assert_eq!(world.refresh(&first, now).as_deref(), Ok(second.as_str()), "{now}");
    }
    // It is the live one.
    assert!(world.refresh(&second, NOW + LEEWAY).is_ok());
}

#[test]
fn fifty_uses_of_one_token_leave_one_line() {
    let (mut world, first) = World::start(true);
    let given: Vec<_> = (0..50).map(|_| world.refresh(&first, NOW + 1).unwrap()).collect();
    assert!(given.iter().all(|token| *token == given[0]));
    assert!(world.refresh(&given[0], NOW + 2).is_ok() && world.events.is_empty());
}

#[test]
fn after_the_leeway_only_a_client_that_authenticates_gets_an_unused_successor() {
    for (authenticated, used, expected) in [
        (true, false, Ok(())),
        (true, true, Err(Refused::Replayed)),
        (false, false, Err(Refused::Replayed)),
        (false, true, Err(Refused::Replayed)),
    ] {
        let (mut world, first) = World::start(true);
        let second = world.refresh_as(&first, "spa", authenticated, NOW).unwrap();
        if used {
            world.look(&second, authenticated, NOW + 1).unwrap();
        }
        let again = world.refresh_as(&first, "spa", authenticated, NOW + LEEWAY);
        assert_eq!(again.clone().map(drop), expected, "{authenticated} {used}");
        match again {
            Ok(token) => assert_eq!(token, second),
            Err(_) => assert_eq!(
                world.refresh(&second, NOW + LEEWAY),
                Err(Refused::Because(Refusal::Unknown))
            ),
        }
    }
}

#[test]
fn a_token_before_the_last_one_ends_the_family() {
    for authenticated in [true, false] {
        for in_look in [true, false] {
            let (mut world, first) = World::start(true);
            let second = world.refresh_as(&first, "spa", authenticated, NOW).unwrap();
            let third = world.refresh_as(&second, "spa", authenticated, NOW).unwrap();
            let replayed = if in_look {
                world.look(&first, authenticated, NOW)
            } else {
                world.refresh_as(&first, "spa", authenticated, NOW).map(drop)
            };
            assert_eq!(replayed, Err(Refused::Replayed));
            assert_eq!(world.refresh(&third, NOW), Err(Refused::Because(Refusal::Unknown)));
            assert_eq!(world.events, [Some("refresh_token_replayed".to_owned())]);
        }
    }
}

#[test]
fn another_client_gets_nothing_and_ends_nothing() {
    // RFC 6749 §10.4.
    let (mut world, first) = World::start(true);
    for client in ["other", "", "SPA"] {
        assert_eq!(
            world.refresh_as(&first, client, true, NOW),
            Err(Refused::Because(Refusal::OtherClient))
        );
    }
    world.revoke(Some(&first), Some("other"));
    assert_eq!(world.events.len(), 3);
    assert!(world.refresh(&first, NOW).is_ok());
}

#[test]
fn a_guess_ends_nothing() {
    let (mut world, first) = World::start(true);
    let guesses = [
        "f.x".to_owned(),
        "f.".to_owned(),
        format!("f.{}", base64url([1; 48])),
        format!("{first}A"),
    ];
    for guess in &guesses {
        assert_eq!(world.refresh(guess, NOW), Err(Refused::Because(Refusal::Unknown)), "{guess}");
        assert_eq!(
            world.look(guess, true, NOW),
            Err(Refused::Because(Refusal::Unknown)),
            "{guess}"
        );
        world.revoke(Some(guess), Some("spa"));
    }
    assert!(world.refresh(&first, NOW).is_ok() && world.events.is_empty());
}

#[test]
fn looking_at_a_token_changes_nothing_that_a_refresh_would_not() {
    let (mut world, first) = World::start(true);
    for now in [NOW, NOW + 1, NOW + 2 * DAY] {
        assert_eq!(world.look(&first, false, now), Ok(()));
    }
    assert_eq!(world.record.as_ref().unwrap().generation, 0);
    let second = world.refresh(&first, NOW + 2 * DAY).unwrap();
    // A replaced token is judged as in a refresh.
    assert_eq!(world.look(&first, false, NOW + 2 * DAY + LEEWAY - 1), Ok(()));
    assert_eq!(world.look(&second, false, NOW + 2 * DAY), Ok(()));
    assert_eq!(world.look(&first, false, NOW + 3 * DAY), Err(Refused::Replayed));
    assert_eq!(world.look(&second, false, NOW + 3 * DAY), Err(Refused::Because(Refusal::Unknown)));
}

#[test]
fn a_family_ends_when_it_is_idle_and_at_its_end_in_any_case() {
    let (mut world, first) = World::start(true);
    assert_eq!(world.refresh(&first, NOW + 30 * DAY), Err(Refused::Because(Refusal::Expired)));
    assert!(world.record.is_none());

    let (mut world, mut token) = World::start(true);
    for days in (20..365).step_by(20) {
        token = world.refresh(&token, NOW + days * DAY).unwrap();
    }
    assert_eq!(world.refresh(&token, NOW + 365 * DAY), Err(Refused::Because(Refusal::Expired)));
    // The object wakes to delete what has ended.
    let (world, _) = World::start(true);
    let record = world.record.unwrap();
    let at = |now| At { now, sealer: &world.sealer, issuer: ISSUER };
    assert_eq!(Family::wake(record.clone(), &at(NOW + 1)).wake_at, Some(NOW + 30 * DAY));
    assert_eq!(Family::wake(record, &at(NOW + 30 * DAY)).write, Write::Delete);
}

#[test]
fn any_token_of_it_revokes_the_family() {
    // RFC 7009 §2.1; a predecessor within the leeway gives its successor, and must end it as well.
    for which in 0..3 {
        let (mut world, first) = World::start(true);
        let second = world.refresh(&first, NOW).unwrap();
        let third = world.refresh(&second, NOW).unwrap();
        let tokens = [&first, &second, &third];
        assert!(world.revoke(Some(tokens[which]), Some("spa")));
        assert!(!world.revoke(Some(tokens[which]), Some("spa")));
        for token in tokens {
            assert_eq!(world.refresh(token, NOW), Err(Refused::Because(Refusal::Unknown)));
        }
    }
    let (mut world, first) = World::start(true);
    world.revoke(None, None);
    assert_eq!(world.refresh(&first, NOW), Err(Refused::Because(Refusal::Unknown)));
}

#[test]
fn a_family_that_was_revoked_before_it_began_does_not_begin() {
    // A replay of the code may arrive between its redemption and the start of the family.
    let (started, _) = World::start(true);
    let record = started.record.unwrap();
    let start = Start {
        id: record.id,
        grant: record.grant,
        rotation: true,
        idle: 30 * DAY,
        lifetime: 365 * DAY,
    };
    let mut world = World::new();
    world.revoke(None, None);
    let refused = world.ask(&Request::Start(Box::new(start)), NOW + 5);
    assert!(matches!(refused, Response::Refused(Refusal::Unknown)), "{refused:?}");
    // A stranger's revocation stores nothing.
    let mut world = World::new();
    world.revoke(Some("f.x"), Some("spa"));
    assert!(world.record.is_none());
}

#[test]
fn without_rotation_the_token_stays() {
    let (mut world, first) = World::start(false);
    for now in [NOW, NOW + DAY, NOW + 20 * DAY] {
        assert_eq!(world.refresh_as(&first, "spa", true, now).as_deref(), Ok(first.as_str()));
    }
    assert_eq!(world.record.unwrap().used_at, NOW + 20 * DAY);
}

#[test]
fn nothing_that_is_stored_is_a_token() {
    let (mut world, first) = World::start(true);
    let second = world.refresh(&first, NOW).unwrap();
    let stored = serde_json::to_string(&world.record).unwrap();
    for token in [&first, &second] {
        assert!(!stored.contains(secret(token).expose()));
    }
}

#[test]
fn records_and_messages_are_pinned() {
    let record: Record = serde_json::from_str(
        r#"{"id":"f","grant":{"subject":"s","client_id":"c","scopes":["openid"],"auth_time":1},"rotation":true,"idle":2,"expires_at":3,"used_at":4,"generation":5,"current":"h","mark":"m","later":1}"#,
    )
    .unwrap();
    assert_eq!(
        serde_json::to_string(&record).unwrap(),
        r#"{"id":"f","grant":{"subject":"s","client_id":"c","scopes":["openid"],"auth_time":1},"rotation":true,"idle":2,"expires_at":3,"used_at":4,"generation":5,"current":"h","is_used":false,"mark":"m"}"#
    );
    let secret = || Secret::new("x");
    for (request, json) in [
        (
            Request::Refresh { secret: secret(), client_id: "c".into(), authenticated: true },
            r#"{"refresh":{"secret":"x","client_id":"c","authenticated":true}}"#,
        ),
        (
            Request::Look { secret: secret(), authenticated: false },
            r#"{"look":{"secret":"x","authenticated":false}}"#,
        ),
        (
            Request::Revoke { secret: None, client_id: None },
            r#"{"revoke":{"secret":null,"client_id":null}}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&request).unwrap(), json);
    }
    for (response, json) in [
        (Response::Refused(Refusal::OtherClient), r#"{"refused":"other_client"}"#),
        (Response::Replayed { subject: "u".into() }, r#"{"replayed":{"subject":"u"}}"#),
        (Response::Revoked { subject: Some("u".into()) }, r#"{"revoked":{"subject":"u"}}"#),
        (Response::Revoked { subject: None }, r#"{"revoked":{}}"#),
    ] {
        assert_eq!(serde_json::to_string(&response).unwrap(), json);
    }
}
