// SPDX-License-Identifier: Apache-2.0
//! A machine: an object that holds one record, and answers each request with one step. The core decides
//! the step; the object loads the record, applies the step in one turn, and answers.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vault_base::json;
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

    /// What is done when the object wakes. By default nothing: the machine has no deadlines.
    fn wake(_record: Self::Record, _at: &At<'_>) -> Step<Self::Record, ()> {
        Step::answer(())
    }
}

/// A message to a machine: which object it is, because its sealed values depend on that, and the request
/// in JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct Addressed {
    /// The object's name.
    pub name: String,
    /// The request.
    pub request: String,
}

/// A step whose record is JSON text.
pub type ErasedStep<A> = Result<Step<String, A>, StepError>;

/// A machine whose record and messages are JSON text: objects of all machines share one code.
#[derive(Debug, Clone, Copy)]
pub struct Erased {
    /// [`Machine::step`].
    pub step: fn(Option<&str>, &str, &At<'_>) -> ErasedStep<String>,
    /// [`Machine::wake`].
    pub wake: fn(&str, &At<'_>) -> ErasedStep<()>,
}

/// Why a step is not taken. Nothing changes.
#[derive(Debug, PartialEq, Eq)]
pub enum StepError {
    /// A key is missing, or a sealed value does not open.
    Seal(SealError),
    /// This code cannot read the record.
    Record,
    /// This code does not know the request.
    Request,
}

impl From<SealError> for StepError {
    fn from(error: SealError) -> Self {
        Self::Seal(error)
    }
}

impl Erased {
    /// The machine `M`.
    pub const fn of<M: Machine>() -> Self {
        Self { step: step::<M>, wake: wake::<M> }
    }
}

fn step<M: Machine>(
    record: Option<&str>,
    request: &str,
    at: &At<'_>,
) -> Result<Step<String, String>, StepError> {
    let record = record.map(json::parse_trusted).transpose().map_err(|_| StepError::Record)?;
    let request = json::parse_trusted(request).map_err(|_| StepError::Request)?;
    let Step { write, response, wake_at, events } = M::step(record, request, at)?;
    let response = serde_json::to_string(&response).map_err(|_| StepError::Record)?;
    Ok(Step { write: erase(write)?, response, wake_at, events })
}

fn wake<M: Machine>(record: &str, at: &At<'_>) -> Result<Step<String, ()>, StepError> {
    let record = json::parse_trusted(record).map_err(|_| StepError::Record)?;
    let Step { write, response, wake_at, events } = M::wake(record, at);
    Ok(Step { write: erase(write)?, response, wake_at, events })
}

fn erase<R: Serialize>(write: Write<R>) -> Result<Write<String>, StepError> {
    Ok(match write {
        Write::Keep => Write::Keep,
        Write::Put(record) => {
            Write::Put(serde_json::to_string(&record).map_err(|_| StepError::Record)?)
        }
        Write::Delete => Write::Delete,
    })
}

/// The one table of a machine. The name is kept for when the object wakes by itself.
pub const CREATE: &str = "CREATE TABLE IF NOT EXISTS machine (id INTEGER PRIMARY KEY CHECK (id = 1), \
                          name TEXT NOT NULL, record TEXT NOT NULL)";
