// SPDX-License-Identifier: Apache-2.0
//! Messages between the Worker and its objects: the classes, and the one shape of body both sides
//! use.
//!
//! A message is JSON `{"v":1,"body":…}`. During a rollout new code talks to old code
//! both ways: fields may be added with a default, unknown fields are passed over, and a question
//! that is not understood is answered with [`Outcome::Unsupported`], never guessed at.

pub mod connect;
pub mod directory;
pub mod issuer;
pub mod machines;
pub mod registry;
pub mod vault;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version this code writes.
pub const VERSION: u32 = 1;

/// A class of Durable Objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// One user's accounts at one connection.
    Vault,
    /// The connections one user ever started.
    Directory,
    /// The users that have a directory, in shards.
    Registry,
    /// One connect in flight.
    ConnectSession,
    /// What one issuer publishes.
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
    /// The binding's name in `wrangler.toml`.
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

/// A question that belongs to a class and has one type of answer.
pub trait Question: Serialize + DeserializeOwned {
    /// Which class is asked.
    const CLASS: Class;
    /// What it answers.
    type Answer: Serialize + DeserializeOwned;

    /// The body of the vault's own answer, for an answer that is no message: it leaves for the
    /// caller as the object wrote it.
    fn passthrough(_answer: &Self::Answer) -> Option<String> {
        None
    }
}

/// How an object's answer is to be taken: the status of its response. None of ours is one of
/// HTTP's own, so that neither side ever takes something else for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The body is for the caller: [`Question::passthrough`].
    Passthrough,
    /// The body is the answer.
    Answer,
    /// A stored value needs a sealing key that `KEY_RING` lacks. Nothing was changed.
    KeyUnavailable,
    /// The configuration cannot be worked with; the object's log says what to fix.
    Misconfigured,
    /// The object could not do its work now; its log says why.
    Failed,
    /// The object's code does not know the question.
    Unsupported,
}

impl Outcome {
    const ALL: [(Self, u16); 6] = [
        (Self::Passthrough, 200),
        (Self::Answer, 290),
        (Self::KeyUnavailable, 291),
        (Self::Misconfigured, 292),
        (Self::Failed, 293),
        (Self::Unsupported, 294),
    ];

    /// The status.
    pub fn status(self) -> u16 {
        Self::ALL.iter().find(|(outcome, _)| *outcome == self).map_or(500, |(_, status)| *status)
    }

    /// Reads a status. `None`: this code does not understand the answer.
    pub fn of(status: u16) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == status).map(|(outcome, _)| *outcome)
    }
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    v: u32,
    body: T,
}

/// Writes a question or an answer.
pub fn write<T: Serialize>(body: &T) -> Option<String> {
    #[derive(Serialize)]
    struct Borrowed<'a, T> {
        v: u32,
        body: &'a T,
    }
    serde_json::to_string(&Borrowed { v: VERSION, body }).ok()
}

/// Reads a question or an answer. `None` if this code does not understand it.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice::<Envelope<T>>(bytes).ok().map(|envelope| envelope.body)
}
