// SPDX-License-Identifier: Apache-2.0
//! Which user of the vault a user at a provider is: across sign-ins, connections and erasure.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/config.rs"]
mod config_support;

use std::collections::HashMap;

use config_support::load;
use serde_json::json;
use vault_base::encoding::base64url;
use vault_base::seal::{KeyRing, Sealer};
use vault_core::issuer::machine::{At, Machine, Write};
use vault_core::issuer::sign_in::{Answer, Question, Resolution, Resolved};
use vault_core::issuer::user::{Profile, User};
use vault_core::issuer::{identity, user};
use vault_provider::connection::Connection;

const NOW: i64 = 1_795_492_800;

/// The connection `calendar`, with another registration where `client_id` differs.
fn connection(client_id: &str) -> Connection {
    let change = json!({ "CONNECTIONS": { "calendar": { "client_id": client_id } } });
    load(&change).unwrap().connections["calendar"].clone()
}

/// The objects of identities and users, by what their names are made of.
#[derive(Default)]
struct Vault {
    identities: HashMap<(String, String), identity::Record>,
    users: HashMap<String, user::Record>,
}

fn ask<M: Machine, K: Eq + std::hash::Hash>(
    records: &mut HashMap<K, M::Record>,
    key: K,
    request: M::Request,
) -> M::Response
where
    M::Record: Clone,
{
    let ring = json!({"write": "k1", "keys": {"k1": base64url([7; 32])}}).to_string();
    let sealer = Sealer::new(&KeyRing::parse(&ring).unwrap(), "object");
    let at = At { now: NOW, sealer: &sealer, issuer: "https://vault.example/" };
    let step = M::step(records.get(&key).cloned(), request, &at).unwrap();
    match step.write {
        Write::Keep => {}
        Write::Put(record) => drop(records.insert(key, record)),
        Write::Delete => drop(records.remove(&key)),
    }
    step.response
}

impl Vault {
    /// Asks one question of a sign-in.
    fn step(&mut self, resolution: &mut Resolution) -> Resolved {
        let (realm, user) = resolution.identity();
        let key = (realm.to_owned(), user.to_owned());
        let answer = match resolution.question() {
            Question::Identity(request) => {
                Answer::Identity(ask::<identity::Identity, _>(&mut self.identities, key, request))
            }
            Question::User(subject, request) => {
                Answer::User(ask::<User, _>(&mut self.users, subject, request))
            }
        };
        resolution.answered(&answer).unwrap()
    }

    fn finish(&mut self, mut resolution: Resolution) -> Option<String> {
        for _ in 0..10 {
            match self.step(&mut resolution) {
                Resolved::More => {}
                Resolved::User(subject) => return Some(subject),
                Resolved::Refused => return None,
            }
        }
        panic!("no end");
    }

    /// The `sub` of a user who signs in.
    fn sign_in(&mut self, connection: &Connection, user: &str) -> Option<String> {
        self.finish(begin(connection, user))
    }
}

fn begin(connection: &Connection, user: &str) -> Resolution {
    let profile = Profile { email: Some("same@example.com".into()), ..Profile::default() };
    Resolution::new("calendar", connection, user.into(), profile).unwrap()
}

#[test]
fn a_user_at_a_provider_is_the_same_user_each_time_and_an_email_tells_nothing() {
    let (mut vault, connection) = (Vault::default(), connection("vault"));
    assert_eq!(vault.sign_in(&connection, "1").as_deref(), Some("calendar|1"));
    assert_eq!(vault.sign_in(&connection, "2").as_deref(), Some("calendar|2"));
    assert_eq!(vault.sign_in(&connection, "1").as_deref(), Some("calendar|1"));
}

#[test]
fn a_connection_that_stands_for_another_provider_signs_nobody_in_as_somebody_else() {
    let mut vault = Vault::default();
    let (old, new) = (connection("vault"), connection("other"));
    assert_ne!(identity::realm(&old), identity::realm(&new));
    assert_eq!(vault.sign_in(&old, "1").as_deref(), Some("calendar|1"));
    let other = vault.sign_in(&new, "1").unwrap();
    assert!(other.starts_with("calendar|1~"), "{other}");
    assert_eq!(vault.sign_in(&new, "1"), Some(other));
    assert_eq!(vault.sign_in(&old, "1").as_deref(), Some("calendar|1"));
}

#[test]
fn whoever_comes_with_an_identity_that_was_released_is_another_user() {
    let (mut vault, connection) = (Vault::default(), connection("vault"));
    let first = vault.sign_in(&connection, "1").unwrap();
    let key = (identity::realm(&connection), "1".to_owned());
    let release = identity::Request::Release { subject: first.clone() };
    ask::<identity::Identity, _>(&mut vault.identities, key, release);
    for is_erased in [false, true] {
        let mut vault = Vault { identities: vault.identities.clone(), users: vault.users.clone() };
        if is_erased {
            vault.users.clear();
        }
        let second = vault.sign_in(&connection, "1").unwrap();
        assert!(second.starts_with("calendar|1~"), "{second}");
        assert_eq!(vault.sign_in(&connection, "1"), Some(second));
    }
}

#[test]
fn a_user_who_spells_the_suffix_of_another_is_not_that_user() {
    let mut vault = Vault::default();
    let (old, new) = (connection("vault"), connection("other"));
    vault.sign_in(&old, "1").unwrap();
    let other = vault.sign_in(&new, "1").unwrap();
    let spelled = other.strip_prefix("calendar|").unwrap();
    let third = vault.sign_in(&old, spelled).unwrap();
    assert_ne!(third, other);
    assert!(third.starts_with(&format!("{other}~")), "{third}");
}

#[test]
fn of_two_first_sign_ins_at_once_in_any_order_both_are_one_user() {
    // Each bit says which of the two asks next.
    for order in 0..64_u32 {
        let (mut vault, connection) = (Vault::default(), connection("vault"));
        let mut both = [begin(&connection, "1"), begin(&connection, "1")];
        let mut ended = [None, None];
        for turn in 0..6 {
            let which = usize::from(order >> turn & 1 == 1);
            if ended[which].is_none()
                && let Resolved::User(subject) = vault.step(&mut both[which])
            {
                ended[which] = Some(subject);
            }
        }
        for (which, resolution) in both.into_iter().enumerate() {
            let subject = ended[which].take().or_else(|| vault.finish(resolution));
            assert_eq!(subject.as_deref(), Some("calendar|1"), "{order:06b}");
        }
        assert_eq!(vault.users.len(), 1);
    }
}

#[test]
fn an_id_that_cannot_be_part_of_a_sub_signs_nobody_in() {
    let connection = connection("vault");
    let new = |user: &str| {
        Resolution::new("calendar", &connection, user.into(), Profile::default()).is_some()
    };
    for good in ["1", "a|b", "~", "auth0|1", "https://login.example/id/1", &"x".repeat(237)] {
        assert!(new(good), "{good}");
    }
    for bad in ["a b", "a\r\nb", "a\0", "ä", "\u{202e}1", "\u{7f}", &"x".repeat(238)] {
        assert!(!new(bad), "{bad}");
    }
}
