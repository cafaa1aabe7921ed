// SPDX-License-Identifier: Apache-2.0
//! A sign-in and a link of the same account, step by step in every order, each cut short at every
//! step: the account is never two users', and the next sign-in finds whose it is.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod issuer_support;
mod support;

use std::collections::BTreeMap;
use std::rc::Rc;

use issuer_support::{NOW, at, sealer};
use serde_json::json;
use support::connection;
use vault_base::seal::Sealer;
use vault_core::issuer::identity::{self, RESERVED_SECONDS};
use vault_core::issuer::machine::Write;
use vault_core::issuer::sign_in::{Answer, Question, Refused, Resolution, Resolved};
use vault_core::issuer::user::{self, LINK_SECONDS, Profile};
use vault_provider::connection::Connection;

const ALICE: &str = "github|42";
const BOB: &str = "google|7";

fn github() -> Connection {
    connection(&json!({}))
}

/// The objects of the account at GitHub and of all users.
#[derive(Clone)]
struct World {
    sealer: Rc<Sealer>,
    identity: Option<identity::Record>,
    users: BTreeMap<String, user::Record>,
}

impl World {
    /// Bob is a user already.
    fn new() -> Self {
        let mut world = Self { sealer: Rc::new(sealer()), identity: None, users: BTreeMap::new() };
        let first = user::Request::SignedIn {
            identity: identity::of("google", &connection(&json!({"client_id": "g"})), "7".into()),
            profile: Profile::default(),
        };
        world.user(BOB, first, NOW);
        world
    }

    fn identity(&mut self, request: identity::Request, now: i64) -> identity::Response {
        let step = identity::step(self.identity.clone(), request, &at(now, &self.sealer)).unwrap();
        match step.write {
            Write::Keep => (),
            Write::Put(record) => self.identity = Some(record),
            Write::Delete => self.identity = None,
        }
        step.response
    }

    fn user(&mut self, sub: &str, request: user::Request, now: i64) -> user::Response {
        let record = self.users.get(sub).cloned();
        let step = user::step(record, request, &at(now, &self.sealer)).unwrap();
        if let Write::Put(record) = step.write {
            self.users.insert(sub.to_owned(), record);
        }
        step.response
    }
}

/// A flow of messages, and what came of it.
struct Flow {
    resolution: Resolution,
    outcome: Option<Resolved>,
}

impl Flow {
    fn sign_in() -> Self {
        let profile = Profile::default();
        let resolution = Resolution::sign_in("github", &github(), "42".into(), profile);
        Self { resolution, outcome: None }
    }

    /// Bob links the account.
    fn link(auth_time: i64) -> Self {
        let (user, sub) = ("42".into(), BOB.into());
        let resolution = Resolution::link("github", &github(), user, sub, auth_time);
        Self { resolution, outcome: None }
    }

    /// One message to one object, as the Worker sends it.
    fn step(&mut self, world: &mut World, now: i64) {
        if self.outcome.is_some() {
            return;
        }
        let answer = match self.resolution.question() {
            Question::Identity(request) => Answer::Identity(world.identity(request, now)),
            Question::User(sub, request) => Answer::User(world.user(&sub, request, now)),
        };
        let resolved = self.resolution.answered(answer);
        self.outcome = Some(resolved).filter(|resolved| *resolved != Resolved::More);
    }

    fn run(mut self, world: &mut World, now: i64) -> Resolved {
        for _ in 0..20 {
            self.step(world, now);
        }
        self.outcome.unwrap()
    }

    fn user(&self) -> Option<&str> {
        match &self.outcome {
            Some(Resolved::User(sub)) => Some(sub),
            _ => None,
        }
    }
}

fn is_bob(resolved: &Resolved) -> bool {
    *resolved == Resolved::User(BOB.into())
}

#[test]
fn in_every_order_and_cut_short_anywhere_the_account_is_one_users() {
    let mut outcomes = BTreeMap::new();
    for steps in 0..=12 {
        for schedule in 0..1 << steps {
            // The link comes at once, or when what the sign-in reserved has ended.
            for link_at in [NOW, NOW + RESERVED_SECONDS] {
                let mut world = World::new();
                let (mut signing, mut linking) = (Flow::sign_in(), Flow::link(link_at));
                for turn in 0..steps {
                    if schedule >> turn & 1 == 0 {
                        signing.step(&mut world, NOW);
                    } else {
                        linking.step(&mut world, link_at);
                    }
                }
                let next = Flow::sign_in().run(&mut world, NOW + 2 * RESERVED_SECONDS);
                let Resolved::User(found) = &next else { panic!("{next:?}") };
                for sub in [&signing, &linking].into_iter().filter_map(Flow::user) {
                    assert_eq!(sub, found, "{schedule:b} {steps} {link_at}");
                }
                let account = identity::of("github", &github(), "42".into());
                let holds = &world.users[found].identities;
                assert!(holds.iter().any(|one| one.identity == account));
                let both = (signing.user().is_some(), linking.user().is_some());
                *outcomes.entry(both).or_insert(0) += 1;
            }
        }
    }
    // The test has seen each of the two win, both (the sign-in as Bob), and neither.
    assert_eq!(outcomes.len(), 4, "{outcomes:?}");
}

#[test]
fn a_reservation_that_nobody_took_up_is_free_for_a_link_once_it_has_ended() {
    let mut world = World::new();
    Flow::sign_in().step(&mut world, NOW);
    let early = NOW + RESERVED_SECONDS - 1;
    let refused = Flow::link(early).run(&mut world.clone(), early);
    assert_eq!(refused, Resolved::Refused(Refused::Again));
    let late = NOW + RESERVED_SECONDS;
    assert!(is_bob(&Flow::link(late).run(&mut world, late)));
    assert!(is_bob(&Flow::sign_in().run(&mut world, NOW + 700)));
    assert!(!world.users.contains_key(ALICE));
}

#[test]
fn an_account_of_another_user_is_not_linked_and_stays_theirs() {
    let mut world = World::new();
    Flow::sign_in().run(&mut world, NOW);
    let refused = Flow::link(NOW).run(&mut world, NOW);
    assert_eq!(refused, Resolved::Refused(Refused::OtherUser));
    assert_eq!(Flow::sign_in().run(&mut world, NOW), Resolved::User(ALICE.into()));
}

#[test]
fn a_link_after_an_old_sign_in_leaves_the_account_free() {
    let mut world = World::new();
    let refused = Flow::link(NOW - LINK_SECONDS - 1).run(&mut world, NOW);
    assert_eq!(refused, Resolved::Refused(Refused::SignInTooOld));
    assert_eq!(Flow::sign_in().run(&mut world, NOW), Resolved::User(ALICE.into()));
}

#[test]
fn a_disabled_user_is_not_signed_in() {
    let mut world = World::new();
    Flow::sign_in().run(&mut world, NOW);
    world.user(ALICE, user::Request::Disable, NOW);
    let refused = Flow::sign_in().run(&mut world, NOW + 1);
    assert_eq!(refused, Resolved::Refused(Refused::Disabled));
}

#[test]
fn a_connection_that_has_another_provider_now_signs_in_another_user() {
    let mut world = World::new();
    Flow::sign_in().run(&mut world, NOW);
    // The account is another object's; here it is the same `sub` that is asked for.
    world.identity = None;
    let entry = json!({
        "authorization_endpoint": "https://other.example/authorize",
        "token_endpoint": "https://other.example/token",
    });
    let other = connection(&entry);
    let profile = Profile::default();
    let resolution = Resolution::sign_in("github", &other, "42".into(), profile);
    let signed_in = Flow { resolution, outcome: None }.run(&mut world, NOW);
    let Resolved::User(sub) = signed_in else { panic!("{signed_in:?}") };
    assert!(sub.starts_with("github|42|"), "{sub}");
}
