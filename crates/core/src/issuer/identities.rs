// SPDX-License-Identifier: Apache-2.0
//! The identities of a user, for the user's own application: the list, and the end of a link.

use serde_json::{Value, json};

use super::sign_in::{Answer, Question};
use super::user::{Identity, View};
use super::{identity, user};
use vault_base::encoding;
use vault_base::time::rfc3339;

/// Prefix of an identity's id.
const PREFIX: &str = "idn_";

/// The id of an identity: it follows from the identity, and tells only those who know the identity what it is.
pub fn id(identity: &Identity) -> String {
    let parts = [identity.authority.as_bytes(), identity.provider_user_id.as_bytes()];
    let hash = encoding::sha256(encoding::length_prefixed(&parts));
    format!("{PREFIX}{}", encoding::base64url(hash))
}

/// The response of `GET /me/v1/identities`: in the order of the links.
pub fn list(user: &View) -> Value {
    let item = |linked: &user::LinkedIdentity| {
        json!({
            "id": id(&linked.identity),
            "connection": linked.identity.connection,
            "provider_user_id": linked.identity.provider_user_id,
            "linked_at": rfc3339(linked.linked_at),
        })
    };
    json!({ "identities": user.identities.iter().map(item).collect::<Vec<_>>() })
}

/// What comes of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlinked {
    /// Another question follows.
    More,
    /// It does not sign in as this user any more.
    Done,
    /// The user has no identity of this id.
    Unknown,
    /// It is the user's last, and stays.
    Last,
}

/// The messages that unlink an identity of a user. Each response decides the next message.
///
/// The identity is reserved for its user first. So it has a new revision, and if it is linked anew while this
/// goes on, it is not freed.
#[derive(Debug)]
pub struct Unlinking {
    sub: String,
    id: String,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Find,
    Reserve(Identity),
    /// With the revision of the reservation, if the identity is this user's in its own object.
    Unlink(Identity, Option<u64>),
    Free(Identity, u64),
    /// The reservation ends: it was the last.
    Keep(Identity),
}

impl Unlinking {
    /// Unlinks the identity with this id from the user `sub`.
    pub fn new(sub: &str, id: &str) -> Self {
        Self { sub: sub.to_owned(), id: id.to_owned(), stage: Stage::Find }
    }

    /// The identity, once it is found: it names the identity's object.
    pub fn identity(&self) -> Option<&Identity> {
        match &self.stage {
            Stage::Find => None,
            Stage::Reserve(identity)
            | Stage::Unlink(identity, _)
            | Stage::Free(identity, _)
            | Stage::Keep(identity) => Some(identity),
        }
    }

    /// The next message.
    pub fn question(&self) -> Question {
        let sub = self.sub.clone();
        match &self.stage {
            Stage::Find => Question::User(sub, user::Request::Get),
            Stage::Reserve(_) => Question::Identity(identity::Request::Link { sub }),
            Stage::Unlink(Identity { authority, provider_user_id, .. }, _) => Question::User(
                sub,
                user::Request::Unlink {
                    authority: authority.clone(),
                    provider_user_id: provider_user_id.clone(),
                },
            ),
            Stage::Free(_, revision) => {
                let revision = Some(*revision);
                Question::Identity(identity::Request::Unlink { sub, revision })
            }
            Stage::Keep(_) => Question::Identity(identity::Request::Confirm { sub }),
        }
    }

    /// Takes the response to the message.
    pub fn answered(&mut self, answer: Answer) -> Unlinked {
        use identity::Response::{Owned, Reserved};
        let stage = match (std::mem::replace(&mut self.stage, Stage::Find), answer) {
            (Stage::Find, Answer::User(user::Response::User(view))) => {
                let found = view.identities.iter().find(|one| id(&one.identity) == self.id);
                match found {
                    None => return Unlinked::Unknown,
                    Some(_) if view.identities.len() == 1 => return Unlinked::Last,
                    Some(found) => Stage::Reserve(found.identity.clone()),
                }
            }
            (Stage::Reserve(identity), Answer::Identity(Owned(holder) | Reserved(holder))) => {
                Stage::Unlink(identity, Some(holder.revision))
            }
            // Its own object says that it is another user's: only the user's object is to be corrected.
            (Stage::Reserve(identity), _) => Stage::Unlink(identity, None),
            (Stage::Unlink(identity, Some(_)), Answer::User(user::Response::LastIdentity)) => {
                Stage::Keep(identity)
            }
            (Stage::Unlink(identity, Some(revision)), _) => Stage::Free(identity, revision),
            (Stage::Unlink(_, None), Answer::User(user::Response::LastIdentity))
            | (Stage::Keep(_), _) => return Unlinked::Last,
            (Stage::Unlink(_, None) | Stage::Free(..), _) => return Unlinked::Done,
            (Stage::Find, _) => return Unlinked::Unknown,
        };
        self.stage = stage;
        Unlinked::More
    }
}
