// SPDX-License-Identifier: Apache-2.0
//! A sign-in, a link and an unlink of the same account, step by step in every order, each cut short at
//! every step: the account is never two users', and the next sign-in finds whose it is.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod issuer_support;
mod support;

use std::collections::BTreeMap;
use std::rc::Rc;

use issuer_support::{NOW, at, sealer};
use serde_json::json;
use support::connection;
use vault_base::seal::Sealer;
use vault_core::issuer::identities::{self, Unlinked, Unlinking};
use vault_core::issuer::identity::{self, RESERVED_SECONDS};
use vault_core::issuer::machine::{Machine as _, Write};
use vault_core::issuer::sign_in::{Answer, Question, Refused, Resolution, Resolved};
use vault_core::issuer::user::{self, LINK_SECONDS, Profile};
use vault_provider::connection::Connection;

const ALICE: &str = "github|42";
const BOB: &str = "google|7";

thread_local! {
    static GITHUB: Connection = connection(&json!({}));
    /// Bob's first account.
    static GOOGLE: user::Identity = {
        identity::of("google", &connection(&json!({"client_id": "g"})), "7".into())
    };
}

fn github() -> Connection {
    GITHUB.with(Clone::clone)
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
            identity: GOOGLE.with(Clone::clone),
            profile: Profile::default(),
        };
        world.user(BOB, first, NOW);
        world
    }

    fn identity(&mut self, request: identity::Request, now: i64) -> identity::Response {
        let step = identity::Identity::step(self.identity.clone(), request, &at(now, &self.sealer))
            .unwrap();
        match step.write {
            Write::Keep => (),
            Write::Put(record) => self.identity = Some(record),
            Write::Delete => self.identity = None,
        }
        step.response
    }

    fn answer(&mut self, question: Question, now: i64) -> Answer {
        match question {
            Question::Identity(request) => Answer::Identity(self.identity(request, now)),
            Question::User(sub, request) => Answer::User(self.user(&sub, request, now)),
        }
    }

    /// The users whose objects hold the account.
    fn holders(&self) -> Vec<&str> {
        let account = account();
        let holds = |user: &user::Record| user.identities.iter().any(|one| one.identity == account);
        self.users.iter().filter(|(_, user)| holds(user)).map(|(sub, _)| sub.as_str()).collect()
    }

    fn user(&mut self, sub: &str, request: user::Request, now: i64) -> user::Response {
        let record = self.users.get(sub).cloned();
        let step = user::User::step(record, request, &at(now, &self.sealer)).unwrap();
        if let Write::Put(record) = step.write {
            self.users.insert(sub.to_owned(), record);
        }
        step.response
    }
}

/// The account at GitHub.
fn account() -> user::Identity {
    identity::of("github", &github(), "42".into())
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
        let answer = world.answer(self.resolution.question(), now);
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
                assert!(world.holders().contains(&found.as_str()));
                let both = (signing.user().is_some(), linking.user().is_some());
                *outcomes.entry(both).or_insert(0) += 1;
            }
        }
    }
    // The test has seen each of the two win, both (the sign-in as Bob), and neither.
    assert_eq!(outcomes.len(), 4, "{outcomes:?}");
}

/// Bob unlinks an account.
struct Unlink {
    unlinking: Unlinking,
    outcome: Option<Unlinked>,
}

impl Unlink {
    fn of(identity: &user::Identity) -> Self {
        Self { unlinking: Unlinking::new(BOB, &identities::id(identity)), outcome: None }
    }

    fn step(&mut self, world: &mut World, now: i64) {
        if self.outcome.is_some() {
            return;
        }
        let answer = world.answer(self.unlinking.question(), now);
        let outcome = self.unlinking.answered(answer);
        self.outcome = Some(outcome).filter(|outcome| *outcome != Unlinked::More);
    }

    fn run(mut self, world: &mut World, now: i64) -> Unlinked {
        for _ in 0..8 {
            self.step(world, now);
        }
        self.outcome.unwrap()
    }
}

/// A world in which Bob has linked the account.
fn linked() -> World {
    let mut world = World::new();
    assert!(is_bob(&Flow::link(NOW).run(&mut world, NOW)));
    world
}

#[test]
fn an_unlinked_account_signs_in_as_another_user_and_can_be_linked_again() {
    let mut world = linked();
    assert!(is_bob(&Flow::sign_in().run(&mut world, NOW)));
    assert_eq!(Unlink::of(&account()).run(&mut world, NOW), Unlinked::Done);
    assert_eq!(world.holders(), [""; 0]);
    assert_eq!(Unlink::of(&account()).run(&mut world, NOW), Unlinked::Unknown);
    assert!(is_bob(&Flow::link(NOW).run(&mut world.clone(), NOW)));
    assert_eq!(Flow::sign_in().run(&mut world, NOW), Resolved::User(ALICE.into()));
    assert_eq!(world.holders(), [ALICE]);
    let refused = Flow::link(NOW).run(&mut world, NOW);
    assert_eq!(refused, Resolved::Refused(Refused::OtherUser));
}

#[test]
fn the_last_identity_stays_and_signs_in() {
    let mut world = linked();
    world.user(
        BOB,
        user::Request::Unlink {
            authority: world.users[BOB].identities[0].identity.authority.clone(),
            provider_user_id: "7".into(),
        },
        NOW,
    );
    assert_eq!(Unlink::of(&account()).run(&mut world, NOW), Unlinked::Last);
    assert!(is_bob(&Flow::sign_in().run(&mut world, NOW)));
    // The same if the other one is unlinked while this goes on.
    let mut world = linked();
    let mut unlink = Unlink::of(&account());
    unlink.step(&mut world, NOW);
    world.users.get_mut(BOB).unwrap().identities.remove(0);
    assert_eq!(unlink.run(&mut world, NOW), Unlinked::Last);
    let owner = world.identity.clone().unwrap().owner.unwrap();
    assert_eq!((owner.sub.as_str(), owner.reserved_until), (BOB, None));
}

#[test]
fn in_every_order_and_cut_short_anywhere_an_unlinked_account_is_one_users() {
    let mut outcomes = BTreeMap::new();
    for (steps, is_signing, is_cut) in (0..=6)
        .flat_map(|steps| [(steps, false), (steps, true)])
        .flat_map(|(steps, is_signing)| [(steps, is_signing, false), (steps, is_signing, true)])
    {
        for schedule in 0..3_u32.pow(steps) {
            let mut world = linked();
            let mut other = if is_signing { Flow::sign_in() } else { Flow::link(NOW) };
            let (mut unlink, mut second) = (Unlink::of(&account()), Unlink::of(&account()));
            for turn in 0..steps {
                match schedule / 3_u32.pow(turn) % 3 {
                    0 => other.step(&mut world, NOW),
                    1 => unlink.step(&mut world, NOW),
                    _ => second.step(&mut world, NOW),
                }
            }
            if !is_cut {
                other.run(&mut world, NOW);
                unlink.run(&mut world, NOW);
                second.run(&mut world, NOW);
            }
            let next = Flow::sign_in().run(&mut world, NOW + 2 * RESERVED_SECONDS);
            let Resolved::User(found) = &next else { panic!("{next:?}") };
            if is_cut {
                assert!(world.holders().contains(&found.as_str()), "{schedule} {steps}");
            } else {
                assert_eq!(world.holders(), [found.as_str()], "{schedule} {steps} {is_signing}");
            }
            *outcomes.entry((is_cut, is_bob(&next))).or_insert(0) += 1;
        }
    }
    // The test has seen the account still Bob's and another user's, with and without a crash.
    assert_eq!(outcomes.len(), 4, "{outcomes:?}");
}

#[test]
fn a_link_that_is_refused_leaves_an_account_that_was_linked_before() {
    for disable in [false, true] {
        let mut world = linked();
        let request = if disable { user::Request::Disable } else { user::Request::EndAll };
        world.user(BOB, request, NOW);
        let refused = Flow::link(NOW).run(&mut world, NOW);
        assert_eq!(refused, Resolved::Refused(Refused::Disabled));
        world.user(BOB, user::Request::Enable, NOW);
        assert!(is_bob(&Flow::sign_in().run(&mut world, NOW + 1)));
    }
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
