// SPDX-License-Identifier: Apache-2.0
//! A user of the vault as an OpenID provider: the identities they sign in with, what is known of them, and
//! which of their tokens no longer count.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::machine::{At, Machine, Step};
use vault_base::seal::SealError;
use vault_base::time::UnixSeconds;

/// Greatest age in seconds of the sign-in with which a user may add an identity.
pub const LINK_AGE: i64 = 300;

/// Most identities of a user.
const MAX_IDENTITIES: usize = 20;

/// Most ended sessions that are remembered. The oldest goes first; access tokens live a day at most.
const MAX_ENDED: usize = 200;

/// Seconds for which an ended session is remembered: no access token lives longer.
const ENDED_FOR: i64 = 86_400 + 60;

/// A user at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedIdentity {
    /// Where the id is unique ([`super::identity::realm`]).
    pub realm: String,
    /// The provider's id of the user.
    pub user: String,
    /// The connection that it was last used with.
    pub connection: String,
}

/// What is known of a user, from the provider's last statement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Name to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// The stored record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The identities; the first is the one that the user first signed in with.
    pub identities: Vec<LinkedIdentity>,
    /// What is known of the user.
    #[serde(default)]
    pub profile: Profile,
    /// When the user first signed in, Unix seconds.
    pub created_at: UnixSeconds,
    /// Tokens that were issued before this time do not count, Unix seconds.
    #[serde(default)]
    pub not_before: UnixSeconds,
    /// Whether the user may not sign in.
    #[serde(default)]
    pub disabled: bool,
    /// Ended sessions, with when they ended, Unix seconds.
    #[serde(default)]
    pub ended: BTreeMap<String, UnixSeconds>,
}

/// What a user is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The user signs in with this identity: for the first time, or again.
    SignIn {
        /// The identity.
        identity: LinkedIdentity,
        /// What the provider tells.
        profile: Profile,
    },
    /// What is known of the user.
    Get,
    /// Whether a token still counts.
    Check {
        /// The session that it was issued in.
        sid: Option<String>,
        /// When it was issued, Unix seconds.
        issued_at: UnixSeconds,
    },
    /// A session has ended: its tokens no longer count.
    EndSession {
        /// The session.
        sid: String,
    },
    /// Add an identity.
    Link {
        /// The identity.
        identity: LinkedIdentity,
        /// When the user signed in, Unix seconds.
        auth_time: UnixSeconds,
    },
    /// Remove an identity.
    Unlink {
        /// Its realm.
        realm: String,
        /// The provider's id of the user.
        user: String,
    },
    /// Whether the user may sign in. A user who may not has no tokens that count.
    Disable {
        /// Whether not.
        disabled: bool,
    },
}

/// What a user answers.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// The user is signed in.
    SignedIn,
    /// This `sub` is another user's.
    Taken,
    /// The user may not sign in.
    Disabled,
    /// What is known.
    User {
        /// From the provider's last statement.
        profile: Profile,
        /// The identities.
        identities: Vec<LinkedIdentity>,
    },
    /// The token counts.
    Active,
    /// It does not, or there is no such user.
    Inactive,
    /// Done.
    Done,
    /// The sign-in is too old, or there are too many identities.
    LinkRefused,
    /// The last identity stays.
    Last,
}

/// The machine of a user.
#[derive(Debug)]
pub struct User;

impl Machine for User {
    type Record = Record;
    type Request = Request;
    type Response = Response;

    fn step(
        record: Option<Record>,
        request: Request,
        at: &At<'_>,
    ) -> Result<Step<Record, Response>, SealError> {
        Ok(match (record, request) {
            (None, Request::SignIn { identity, profile }) => {
                let record = Record {
                    identities: vec![identity],
                    profile,
                    created_at: at.now,
                    not_before: 0,
                    disabled: false,
                    ended: BTreeMap::new(),
                };
                Step::put(record, Response::SignedIn)
            }
            (None, _) => Step::answer(Response::Inactive),
            (Some(record), request) => record.answer(request, at.now),
        })
    }

    fn wake(_record: Record, _at: &At<'_>) -> Step<Record, ()> {
        Step::answer(())
    }
}

impl Record {
    fn answer(mut self, request: Request, now: UnixSeconds) -> Step<Self, Response> {
        match request {
            Request::SignIn { identity, profile } => {
                let Some(known) = self.find(&identity.realm, &identity.user) else {
                    return Step::answer(Response::Taken);
                };
                if self.disabled {
                    return Step::answer(Response::Disabled);
                }
                let is_same = self.identities.get(known) == Some(&identity);
                if is_same && self.profile == profile {
                    return Step::answer(Response::SignedIn);
                }
                if let Some(stored) = self.identities.get_mut(known) {
                    *stored = identity;
                }
                self.profile = profile;
                Step::put(self, Response::SignedIn)
            }
            Request::Get if self.disabled => Step::answer(Response::Inactive),
            Request::Get => {
                let response =
                    Response::User { profile: self.profile, identities: self.identities };
                Step::answer(response)
            }
            Request::Check { sid, issued_at } => {
                let ended = sid.is_some_and(|sid| self.ended.contains_key(&sid));
                let active = !self.disabled && !ended && issued_at >= self.not_before;
                Step::answer(if active { Response::Active } else { Response::Inactive })
            }
            Request::EndSession { sid } => {
                self.ended.retain(|_, ended| now.saturating_sub(*ended) < ENDED_FOR);
                self.ended.insert(sid, now);
                while self.ended.len() > MAX_ENDED {
                    let oldest = self.ended.iter().min_by_key(|(_, at)| **at);
                    let Some(oldest) = oldest.map(|(sid, _)| sid.clone()) else { break };
                    self.ended.remove(&oldest);
                }
                Step::put(self, Response::Done)
            }
            Request::Link { identity, auth_time } => {
                let is_old = now.saturating_sub(auth_time) > LINK_AGE;
                if self.find(&identity.realm, &identity.user).is_some() {
                    return Step::answer(Response::Done);
                }
                if is_old || self.disabled || self.identities.len() >= MAX_IDENTITIES {
                    return Step::answer(Response::LinkRefused);
                }
                self.identities.push(identity);
                Step::put(self, Response::Done)
            }
            Request::Unlink { realm, user } => match self.find(&realm, &user) {
                None => Step::answer(Response::Done),
                Some(_) if self.identities.len() == 1 => Step::answer(Response::Last),
                Some(index) => {
                    self.identities.remove(index);
                    Step::put(self, Response::Done)
                }
            },
            Request::Disable { disabled } => {
                self.disabled = disabled;
                if disabled {
                    self.not_before = now.saturating_add(1);
                }
                Step::put(self, Response::Done)
            }
        }
    }

    fn find(&self, realm: &str, user: &str) -> Option<usize> {
        self.identities.iter().position(|one| one.realm == realm && one.user == user)
    }
}
