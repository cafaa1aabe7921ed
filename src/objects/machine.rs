// SPDX-License-Identifier: Apache-2.0
//! The object of a machine ([`crate::issuer::machine`]): loads the record, takes the core's step, applies
//! it in one turn, and answers.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use wasm_bindgen::JsValue;
use web_sys::Request;
use worker::worker_sys::DurableObjectState;
use worker::{Env, State};

use crate::issuer::machine::{Addressed, At, CREATE, Erased, Step, StepError, Write};
use crate::message::Class;
use crate::runtime::object_call::{self, ObjectError};
use crate::runtime::storage::Storage;
use crate::runtime::{clock, configuration, log};
use crate::seal::Sealer;

/// An object that holds one machine.
pub struct MachineObject {
    env: Env,
    class: Class,
    machine: Erased,
    storage: Storage,
    /// The name and the record, once they were read or written.
    known: RefCell<Option<(String, String)>>,
}

impl From<StepError> for ObjectError {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Seal(error) => error.into(),
            StepError::Record => Self::Failed("record"),
            StepError::Request => Self::Failed("unsupported"),
        }
    }
}

impl MachineObject {
    pub fn new(state: DurableObjectState, env: Env, class: Class, machine: Erased) -> Rc<Self> {
        let storage = Storage::of(&State::from(state));
        Rc::new(Self { env, class, machine, storage, known: RefCell::default() })
    }

    /// Answers one message.
    pub fn fetch(self: &Rc<Self>, request: Request) -> JsValue {
        let object = self.clone();
        object_call::answer_as(request, self.class, move |message| async move {
            object.answer(message).await
        })
    }

    /// The platform's bindings.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// The object's name, if it holds a record.
    pub fn name(&self) -> Result<Option<String>, ObjectError> {
        Ok(self.load()?.map(|(name, _)| name))
    }

    /// Answers one request.
    pub async fn answer(&self, message: Addressed) -> Result<String, ObjectError> {
        let Addressed { name, request } = message;
        let record = self.load()?.map(|(_, record)| record);
        let step = self.machine.step;
        self.take(&name, |at| step(record.as_deref(), &request, at)).await
    }

    /// Takes the step that is due.
    pub async fn alarm(&self) -> Result<(), JsValue> {
        let woken = match self.load() {
            Ok(Some((name, record))) => {
                let wake = self.machine.wake;
                self.take(&name, |at| wake(&record, at)).await
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        woken.map_err(|_| JsValue::from_str("the step that was due failed"))
    }

    async fn take<A>(
        &self,
        name: &str,
        step: impl FnOnce(&At<'_>) -> Result<Step<String, A>, StepError>,
    ) -> Result<A, ObjectError> {
        let config = configuration::load(&self.env).ok_or(ObjectError::Misconfigured)?;
        let (now, sealer) = (clock::now(), Sealer::new(&config.key_ring, name));
        let issuer = config.public_url.identifier();
        let step = step(&At { now, sealer: &sealer, issuer: &issuer })?;
        match &step.write {
            Write::Keep => {}
            Write::Put(record) => self.save(name, record)?,
            Write::Delete => {
                self.known.take();
                self.storage.delete_all().await?;
            }
        }
        step.events.iter().for_each(log::event);
        if let Some(at) = step.wake_at {
            let seconds = u64::try_from(at - now).unwrap_or_default();
            self.storage.set_alarm(Duration::from_secs(seconds)).await?;
        }
        Ok(step.response)
    }

    fn load(&self) -> Result<Option<(String, String)>, ObjectError> {
        if let Some(known) = self.known.borrow().as_ref() {
            return Ok(Some(known.clone()));
        }
        if !self.storage.has_table("machine")? {
            return Ok(None);
        }
        let rows = self.storage.run("SELECT name, record FROM machine WHERE id = 1", vec![])?;
        let Some(mut row) = rows.into_iter().next() else {
            return Ok(None);
        };
        let stored = (row.text()?, row.text()?);
        self.known.replace(Some(stored.clone()));
        Ok(Some(stored))
    }

    fn save(&self, name: &str, record: &str) -> Result<(), ObjectError> {
        self.known.take();
        self.storage.create(CREATE)?;
        let upsert = "INSERT OR REPLACE INTO machine (id, name, record) VALUES (1, ?, ?)";
        self.storage.run(upsert, vec![name.into(), record.into()])?;
        self.known.replace(Some((name.to_owned(), record.to_owned())));
        Ok(())
    }
}
