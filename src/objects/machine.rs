// SPDX-License-Identifier: Apache-2.0
//! The object of a machine ([`crate::issuer::machine`]): loads the record, takes the core's step, applies
//! it in one turn, and answers.

use std::marker::PhantomData;
use std::time::Duration;

use worker::{Env, State};

use crate::issuer::machine::{Addressed, At, CREATE, Machine, Step, Write};
use crate::json;
use crate::runtime::object_call::ObjectError;
use crate::runtime::{clock, configuration, log, sql};
use crate::seal::Sealer;

/// The storage of one machine.
pub struct MachineObject<M> {
    state: State,
    env: Env,
    machine: PhantomData<M>,
}

impl<M: Machine> MachineObject<M> {
    pub fn new(state: State, env: Env) -> Self {
        Self { state, env, machine: PhantomData }
    }

    /// Answers one request.
    pub async fn answer(
        &self,
        message: Addressed<M::Request>,
    ) -> Result<M::Response, ObjectError> {
        let Addressed { name, request } = message;
        let record = self.load()?.map(|(_, record)| record);
        self.take(&name, |at| M::step(record, request, at)).await
    }

    /// Takes the step of an alarm.
    pub async fn wake(&self) -> Result<(), ObjectError> {
        match self.load()? {
            Some((name, record)) => self.take(&name, |at| Ok(M::wake(record, at))).await,
            None => Ok(()),
        }
    }

    async fn take<A>(
        &self,
        name: &str,
        step: impl FnOnce(&At<'_>) -> Result<Step<M::Record, A>, crate::seal::SealError>,
    ) -> Result<A, ObjectError> {
        let config = configuration::load(&self.env).ok_or(ObjectError::Misconfigured)?;
        let (now, sealer) = (clock::now(), Sealer::new(&config.key_ring, name));
        let issuer = config.public_url.identifier();
        let step = step(&At { now, sealer: &sealer, issuer: &issuer })?;
        match &step.write {
            Write::Keep => {}
            Write::Put(record) => self.save(name, record)?,
            Write::Delete => self.state.storage().delete_all().await?,
        }
        step.events.iter().for_each(log::event);
        if let Some(at) = step.wake_at {
            let seconds = u64::try_from(at - now).unwrap_or_default();
            self.state.storage().set_alarm(Duration::from_secs(seconds)).await?;
        }
        Ok(step.response)
    }

    fn load(&self) -> Result<Option<(String, M::Record)>, ObjectError> {
        let storage = self.state.storage().sql();
        if !sql::has_table(&storage, "machine")? {
            return Ok(None);
        }
        let rows = sql::run(&storage, "SELECT name, record FROM machine WHERE id = 1", vec![])?;
        let Some(mut row) = rows.into_iter().next() else {
            return Ok(None);
        };
        let (name, record) = (row.text()?, row.text()?);
        let record = json::parse_trusted(&record).map_err(|_| ObjectError::Failed("record"))?;
        Ok(Some((name, record)))
    }

    fn save(&self, name: &str, record: &M::Record) -> Result<(), ObjectError> {
        let storage = self.state.storage().sql();
        let json = serde_json::to_string(record).map_err(|_| ObjectError::Failed("record"))?;
        sql::run(&storage, CREATE, vec![])?;
        let upsert = "INSERT OR REPLACE INTO machine (id, name, record) VALUES (1, ?, ?)";
        sql::run(&storage, upsert, vec![name.into(), json.into()])?;
        Ok(())
    }
}
