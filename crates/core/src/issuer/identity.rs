// SPDX-License-Identifier: Apache-2.0
//! The machine of an identity: whose user an account at a provider is. One object per authority and
//! the provider's id of the user, so that a connection which comes to stand for another provider
//! finds other objects, and signs nobody in as somebody else.
//!
//! ```text
//!        sign-in, link            confirm          unlink
//! free ────────────────▶ reserved ───────▶ owned ────────▶ free
//!                           └──── erase ─────┴───────────▶ free, erased
//! ```
//!
//! The user's object has the last word on what belongs to it. So an identity is reserved here,
//! written there, and then confirmed here. A crash between any two is made good at the next
//! sign-in:
//!
//! 1. [`Request::Resolve`] or [`Request::Link`] here.
//! 2. The sign-in or the link in the user's object. If it answers to a sign-in that the `sub` is
//!    another's, [`Request::Resolve`] again, with the revision that was answered.
//! 3. [`Request::Confirm`] here. If it is another's by now, the sign-in fails, and a link is undone
//!    in the user's object.
//!
//! An unlink reserves the identity for its user, so that it has a new revision, removes it from the
//! user's object, and then unlinks it here at that revision. After a crash in between, the user's
//! object does not hold it, and the next sign-in with it is another user's.
//!
//! Each write has a revision. What a user's object said of an identity counts only while the
//! revision is the same: a link may have been completed meanwhile.
//!
//! What an erased user leaves is that there was one: the name of the object is a keyed hash of the
//! account, and it tells nothing else. Whoever comes next with the account gets another `sub`.
//! Nothing here knows an e-mail address.

use serde::{Deserialize, Serialize};

use vault_base::encoding;
use vault_base::seal::SealError;
use vault_base::time::UnixSeconds;
use vault_provider::connection::Connection;
use vault_provider::registration::Registration;

use super::machine::{At, Machine, Step};
use super::user;

/// Seconds for which nobody else may link an identity that is reserved.
pub const RESERVED_SECONDS: i64 = 600;

/// Longest provider's id, in bytes, that stands in a `sub` as it is: with the connection's name and
/// a suffix it keeps within the 255 ASCII characters of OpenID Connect Core §2.
const LONGEST_ID: usize = 128;

/// What the object holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Record {
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Whether a user it belonged to was erased: then no `sub` is made of it as it is.
    #[serde(default)]
    pub erased: bool,
    /// Grows by one with each write.
    #[serde(default)]
    pub revision: u64,
}

/// The user that an identity belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The user.
    pub sub: String,
    /// Until when it is reserved. `None`: the user's object holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_until: Option<UnixSeconds>,
}

/// A request to the object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Somebody signed in with it: who is that?
    Resolve {
        /// The connection.
        connection: String,
        /// The provider's id of the user.
        provider_user_id: String,
        /// The revision of the response before, if the object of its user does not hold this
        /// identity.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<u64>,
    },
    /// The user's object holds it.
    Confirm {
        /// The user.
        sub: String,
    },
    /// A user who is signed in proved that it is theirs as well.
    Link {
        /// The user.
        sub: String,
    },
    /// The user's object does not hold it, or no more.
    Unlink {
        /// The user.
        sub: String,
        /// The revision of the response before, if that user's object was asked because of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<u64>,
    },
    /// The user is erased.
    Erase {
        /// The user.
        sub: String,
    },
}

/// The response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// It belongs to this user.
    Owned(Holder),
    /// It is kept for this user: tell the user's object, then confirm.
    Reserved(Holder),
    /// It belongs to another user, whom no caller is told. If that user's object does not hold it,
    /// as after a crash, unlink it from that user and ask again.
    Taken(Holder),
    /// It is kept for another user, who may be signing in at this moment.
    Busy,
    /// It belongs to nobody.
    Free,
}

/// Whose an identity is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The user.
    pub sub: String,
    /// The revision at which that is so.
    pub revision: u64,
}

type IdentityStep = Step<Record, Response>;

/// The account `user` of a connection. Its authority, the first part of the object's name, is where the
/// provider's id is unique. Where a provider tells each of its clients another id of the same user (OpenID
/// Connect Core §8.1), the client is part of it.
pub fn of(name: &str, connection: &Connection, user: String) -> user::Identity {
    let Registration { authority, client_id } = &connection.registration;
    // No authority and no detail of a registration has a line break in it.
    let authority = if connection.identity.permanent {
        authority.clone()
    } else {
        format!("{authority}\n{client_id}")
    };
    user::Identity { authority, connection: name.to_owned(), provider_user_id: user }
}

/// The machine of an identity.
#[derive(Debug)]
pub struct Identity;

impl Machine for Identity {
    type Record = Record;
    type Request = Request;
    type Response = Response;

    fn step(
        record: Option<Record>,
        request: Request,
        at: &At<'_>,
    ) -> Result<Step<Record, Response>, SealError> {
        let record = record.unwrap_or_default();
        Ok(match request {
            Request::Resolve { connection, provider_user_id, refused } => {
                let is_refused = refused == Some(record.revision);
                match &record.owner {
                    Some(owner) if !is_refused => Step::answer(record.response(owner)),
                    _ => {
                        let is_used = record.erased || is_refused;
                        let sub = subject(&connection, &provider_user_id, is_used)?;
                        record.reserve(sub, at.now)
                    }
                }
            }
            Request::Confirm { sub } => match &record.owner {
                Some(owner) if owner.sub != sub => Step::answer(record.taken(owner)),
                Some(Owner { reserved_until: Some(_), .. }) => record.own(sub),
                Some(owner) => Step::answer(record.response(owner)),
                None => Step::answer(Response::Free),
            },
            Request::Link { sub } => match &record.owner {
                Some(owner) if owner.sub != sub => Step::answer(record.refusal(owner, at.now)),
                // Anew where it is this user's: what was said of the revision before counts no more.
                _ => record.reserve(sub, at.now),
            },
            Request::Unlink { sub, revision } => match &record.owner {
                Some(owner) if owner.sub != sub => Step::answer(record.taken(owner)),
                Some(owner) if revision.is_some_and(|revision| revision != record.revision) => {
                    Step::answer(record.response(owner))
                }
                Some(_) => record.free(record.erased),
                None => Step::answer(Response::Free),
            },
            Request::Erase { sub } => match &record.owner {
                Some(owner) if owner.sub != sub => Step::answer(record.taken(owner)),
                None if record.erased => Step::answer(Response::Free),
                _ => record.free(true),
            },
        })
    }
}

/// `sub` of a new user: connection and provider's id. Where that is a user's already or was one's,
/// with a suffix that is in no other `sub`. An id that does not fit `sub` stands there as its
/// SHA-256.
fn subject(connection: &str, id: &str, is_used: bool) -> Result<String, SealError> {
    let fits = (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    let id = if fits { id.to_owned() } else { encoding::hex(&encoding::sha256(id)) };
    if !is_used {
        return Ok(format!("{connection}|{id}"));
    }
    let suffix = encoding::random::<12>().map_err(|_| SealError::CannotSeal)?;
    Ok(format!("{connection}|{id}|{}", encoding::hex(&suffix)))
}

impl Record {
    fn reserve(&self, sub: String, now: UnixSeconds) -> IdentityStep {
        self.held(sub, Some(now + RESERVED_SECONDS))
    }

    fn own(&self, sub: String) -> IdentityStep {
        self.held(sub, None)
    }

    fn held(&self, sub: String, reserved_until: Option<UnixSeconds>) -> IdentityStep {
        let owner = Some(Owner { sub, reserved_until });
        let record = Self { owner, erased: self.erased, revision: self.revision + 1 };
        let response = record.owner.as_ref().map_or(Response::Free, |one| record.response(one));
        Step::put(record, response)
    }

    /// Belongs to nobody. The record stays, so that no revision comes twice.
    fn free(&self, erased: bool) -> IdentityStep {
        let revision = self.revision + 1;
        Step::put(Self { owner: None, erased, revision }, Response::Free)
    }

    fn holder(&self, owner: &Owner) -> Holder {
        Holder { sub: owner.sub.clone(), revision: self.revision }
    }

    /// The response to the owner.
    fn response(&self, owner: &Owner) -> Response {
        let holder = self.holder(owner);
        match owner.reserved_until {
            Some(_) => Response::Reserved(holder),
            None => Response::Owned(holder),
        }
    }

    fn taken(&self, owner: &Owner) -> Response {
        Response::Taken(self.holder(owner))
    }

    /// The response to another user who wants to link it.
    fn refusal(&self, owner: &Owner, now: UnixSeconds) -> Response {
        let is_busy = owner.reserved_until.is_some_and(|until| now < until);
        if is_busy { Response::Busy } else { self.taken(owner) }
    }
}
