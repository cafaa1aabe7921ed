// SPDX-License-Identifier: Apache-2.0
//! Messages between the Worker and its Durable Objects: the classes of objects, and the format of requests
//! and responses.
//!
//! A message is the JSON object `{"v":1,"body":…}`. During a rollout, new code sends messages to old code and
//! the reverse. So new members must have a default, unknown members are ignored, and an object answers a
//! request that its code does not know with [`Outcome::Unsupported`].

pub mod connect;
pub mod directory;
pub mod issuer;
pub mod machines;
pub mod registry;
pub mod vault;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vault_base::objects;
use vault_base::secret::Secret;

/// The message version that this code writes as `v`.
pub const VERSION: u32 = 1;

/// A class of Durable Objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The accounts of one user at one connection.
    Vault,
    /// The connections that one user ever started to connect.
    Directory,
    /// A shard of the users that have a directory and of the holders of accounts at providers, or the check
    /// values of keys.
    Registry,
    /// One connect in flight.
    ConnectSession,
    /// The metadata and keys that one issuer publishes.
    IssuerKeys,
    /// One authorization request to the vault.
    Authorization,
    /// One refresh token family.
    RefreshFamily,
    /// One browser session.
    BrowserSession,
    /// One user at a provider.
    Identity,
    /// One user of the vault as an OpenID provider.
    User,
    /// The vault's signing keys.
    SigningKeys,
}

impl Class {
    /// The name of the class's binding in `wrangler.toml`.
    pub fn binding(self) -> &'static str {
        match self {
            Self::Vault => "VAULT",
            Self::Directory => "DIRECTORY",
            Self::Registry => "REGISTRY",
            Self::ConnectSession => "CONNECT_SESSION",
            Self::IssuerKeys => "ISSUER_KEYS",
            Self::Authorization => "AUTHORIZATION",
            Self::RefreshFamily => "REFRESH_FAMILY",
            Self::BrowserSession => "BROWSER_SESSION",
            Self::Identity => "IDENTITY",
            Self::User => "USER",
            Self::SigningKeys => "SIGNING_KEYS",
        }
    }
}

/// A request to one class of objects, with the type of its response.
pub trait Question: Serialize + DeserializeOwned {
    /// The class of objects that the request is for.
    const CLASS: Class;
    /// The type of the response.
    type Answer: Serialize + DeserializeOwned;

    /// The response in a form of its own, with its outcome, if it has one ([`Outcome::Released`],
    /// [`Outcome::Passthrough`]). `None` for responses that are sent as a message. `elapsed` is how long the object
    /// took, in milliseconds.
    fn written(_answer: &Self::Answer, _elapsed: u64) -> Option<(Outcome, Secret)> {
        None
    }
}

/// The meaning of an object's response, encoded as its HTTP status. Except for [`Outcome::Passthrough`] the
/// statuses are not registered, so that no other response is mistaken for an object's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The body is for the vault's caller. Workers of an earlier version ask for it, and forward it unread.
    Passthrough,
    /// An access token ([`crate::vault::lease_cache::Released`]).
    Released,
    /// The body is a message with [`Question::Answer`].
    Answer,
    /// A stored value needs a sealing key that `KEY_RING` lacks. Nothing was changed.
    KeyUnavailable,
    /// The configuration is invalid; the object's log says what to fix.
    Misconfigured,
    /// The object failed; its log says why.
    Failed,
    /// The object's code does not know the request.
    Unsupported,
}

impl Outcome {
    const ALL: [(Self, u16); 7] = [
        (Self::Passthrough, 200),
        (Self::Released, 295),
        (Self::Answer, 290),
        (Self::KeyUnavailable, 291),
        (Self::Misconfigured, 292),
        (Self::Failed, 293),
        (Self::Unsupported, 294),
    ];

    /// The HTTP status of the response.
    pub fn status(self) -> u16 {
        Self::ALL.iter().find(|(outcome, _)| *outcome == self).map_or(500, |(_, status)| *status)
    }

    /// The outcome that has this HTTP status. `None` if the response does not come from an object's code, or
    /// comes from a later version of it.
    pub fn of(status: u16) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == status).map(|(outcome, _)| *outcome)
    }
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    v: u32,
    body: T,
}

/// Writes a request or a response as a message. `None` if it cannot be serialized.
// Neither this nor `read` is part of its callers: a new isolate would compile both for each call of an object.
#[inline(never)]
pub fn write<T: Serialize>(body: &T) -> Option<String> {
    #[derive(Serialize)]
    struct Borrowed<'a, T> {
        v: u32,
        body: &'a T,
    }
    serde_json::to_string(&Borrowed { v: VERSION, body }).ok()
}

/// Parses a message with a request or a response. `None` if this code does not know its form.
#[inline(never)]
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    objects::read::<Envelope<T>>(bytes).ok().map(|envelope| envelope.body)
}
