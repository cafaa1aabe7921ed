//! Messages between the Worker and its objects: the classes, and the one shape of body both sides
//! use.
//!
//! A message is JSON `{"v":1,"body":…}`. During a rollout new code talks to old code
//! both ways: fields may be added with a default, unknown fields are passed over, and a question
//! that is not understood is answered with [`Reply::Unsupported`], never guessed at.

pub mod connect;
pub mod directory;
pub mod issuer;
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
    fn leaves(_answer: &Self::Answer) -> Option<String> {
        None
    }
}

/// What an object answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply<A> {
    /// The answer.
    Answer(A),
    /// A stored value needs a sealing key that `KEY_RING` lacks. Nothing was changed.
    KeyUnavailable,
    /// The configuration cannot be worked with; the object's log says what to mend.
    Misconfigured,
    /// The object could not do its work now; its log says why.
    Failed,
    /// The object's code does not know the question.
    Unsupported,
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    v: u32,
    body: T,
}

/// Writes a question or a reply.
pub fn write<T: Serialize>(body: &T) -> Option<String> {
    #[derive(Serialize)]
    struct Borrowed<'a, T> {
        v: u32,
        body: &'a T,
    }
    serde_json::to_string(&Borrowed { v: VERSION, body }).ok()
}

/// Reads a question or a reply. `None` if this code does not understand it.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice::<Envelope<T>>(bytes).ok().map(|envelope| envelope.body)
}
