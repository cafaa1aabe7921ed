// SPDX-License-Identifier: Apache-2.0
//! A machine: an object that holds one record, and answers each request with one step. The core decides
//! the step; the object loads the record, applies the step in one turn, and answers.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vault_base::seal::{SealError, Sealer};
use vault_base::time::UnixSeconds;

use crate::event::Event;

/// What a step does to the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write<R> {
    /// Nothing.
    Keep,
    /// Replaces it.
    Put(R),
    /// Deletes all that the object holds.
    Delete,
}

/// One step of a machine.
#[derive(Debug)]
pub struct Step<R, A> {
    /// The change of the record.
    pub write: Write<R>,
    /// The response to the caller.
    pub response: A,
    /// When the object must wake, if the step changes that.
    pub wake_at: Option<UnixSeconds>,
    /// Events for the operator's log.
    pub events: Vec<Event>,
}

/// What a step depends on beside record and request.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// The time of the event.
    pub now: UnixSeconds,
    /// Seals and opens for this object.
    pub sealer: &'a Sealer,
    /// The vault's issuer identifier: `{PUBLIC_URL}/`.
    pub issuer: &'a str,
}

impl<R, A> Step<R, A> {
    /// A step that changes nothing.
    pub fn answer(response: A) -> Self {
        Self { write: Write::Keep, response, wake_at: None, events: Vec::new() }
    }

    /// A step that replaces the record.
    pub fn put(record: R, response: A) -> Self {
        Self { write: Write::Put(record), ..Self::answer(response) }
    }

    /// Sets when the object wakes.
    #[must_use]
    pub fn waking(self, at: UnixSeconds) -> Self {
        Self { wake_at: Some(at), ..self }
    }

    /// Adds an event for the operator's log.
    #[must_use]
    pub fn logging(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }
}

/// A machine: its record, its messages, and its steps.
pub trait Machine {
    /// What it stores, as JSON.
    type Record: Serialize + DeserializeOwned;
    /// What it is asked.
    type Request: Serialize + DeserializeOwned;
    /// What it answers.
    type Response: Serialize + DeserializeOwned;

    /// Answers one request. `record` is `None` while nothing is stored.
    ///
    /// # Errors
    /// [`SealError`]: a key is missing, or a sealed value does not open. Nothing changes.
    fn step(
        record: Option<Self::Record>,
        request: Self::Request,
        at: &At<'_>,
    ) -> Result<Step<Self::Record, Self::Response>, SealError>;

    /// What is done when the object wakes.
    fn wake(record: Self::Record, at: &At<'_>) -> Step<Self::Record, ()>;
}

/// A message to a machine: which object it is, as its sealed values depend on it, and the request.
#[derive(Debug, Serialize, Deserialize)]
pub struct Addressed<Q> {
    /// The object's name.
    pub name: String,
    /// The request.
    pub request: Q,
}

/// The one table of a machine. The name is kept for when the object wakes by itself.
pub const CREATE: &str = "CREATE TABLE IF NOT EXISTS machine (id INTEGER PRIMARY KEY CHECK (id = 1), \
                          name TEXT NOT NULL, record TEXT NOT NULL)";
