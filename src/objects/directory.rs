// SPDX-License-Identifier: Apache-2.0
//! `Directory`: the Durable Object that lists the connections for which one user ever started a connect, and
//! counts the user's connects in flight.

use std::future::ready;
use std::rc::Rc;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Request;
use worker::worker_sys::DurableObjectState;
use worker::{Env, State};

use crate::connect::in_flight;
use crate::mac_id::MacId;
use crate::message::directory::{CREATE, CREATE_IN_FLIGHT, DirectoryRequest, DirectoryResponse};
use crate::runtime::clock;
use crate::runtime::object_call::{self, ObjectError};
use crate::runtime::storage::{self, Storage};

/// The Durable Object class; there is one object per user.
#[wasm_bindgen]
pub struct Directory {
    storage: Rc<Storage>,
}

#[wasm_bindgen]
impl Directory {
    /// Creates the object in an isolate. The platform calls it.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(state: DurableObjectState, _env: Env) -> Self {
        Self { storage: Rc::new(Storage::of(&State::from(state))) }
    }

    /// Answers one message ([`DirectoryRequest`]) with a `Response` or a promise of one.
    #[must_use]
    pub fn fetch(&self, request: Request) -> JsValue {
        let storage = self.storage.clone();
        object_call::answer(request, move |message| ready(answer(&storage, message)))
    }
}

fn answer(storage: &Storage, message: DirectoryRequest) -> Result<DirectoryResponse, ObjectError> {
    match message {
        DirectoryRequest::Add { connection, session } => {
            if let Some(session) = session
                && let Err(retry_after) = begin(storage, &session)?
            {
                return Ok(DirectoryResponse::TooManyInFlight { retry_after });
            }
            storage.create(CREATE)?;
            let add = "INSERT OR IGNORE INTO connection (name, added_at) VALUES (?, ?)";
            storage.run(add, vec![connection.into(), storage::integer(clock::now())?])?;
            Ok(DirectoryResponse::Added)
        }
        DirectoryRequest::Ended { session } => {
            if storage.has_table("in_flight")? {
                let remove = "DELETE FROM in_flight WHERE session = ?";
                storage.run(remove, vec![session.as_str().into()])?;
            }
            Ok(DirectoryResponse::Ended)
        }
        DirectoryRequest::List if !storage.has_table("connection")? => {
            Ok(DirectoryResponse::Connections(Vec::new()))
        }
        DirectoryRequest::List => {
            let rows = storage.run("SELECT name FROM connection ORDER BY name", vec![])?;
            let names = rows.into_iter().map(|mut row| row.text());
            names.collect::<Result<_, _>>().map(DirectoryResponse::Connections)
        }
    }
}

/// Counts a connect that begins, unless there are too many: then the seconds after which one may begin.
fn begin(storage: &Storage, session: &MacId) -> Result<Result<(), i64>, ObjectError> {
    let now = clock::now();
    storage.create(CREATE_IN_FLIGHT)?;
    let expired = "DELETE FROM in_flight WHERE until <= ?";
    storage.run(expired, vec![storage::integer(now)?])?;
    let rows = storage.run("SELECT until FROM in_flight", vec![])?;
    let ends: Vec<i64> = rows.into_iter().map(|mut row| row.integer()).collect::<Result<_, _>>()?;
    Ok(match in_flight::admit(&ends, now) {
        Ok(until) => {
            let add = "INSERT OR REPLACE INTO in_flight (session, until) VALUES (?, ?)";
            storage.run(add, vec![session.as_str().into(), storage::integer(until)?])?;
            Ok(())
        }
        Err(retry_after) => Err(retry_after),
    })
}
