// SPDX-License-Identifier: Apache-2.0
//! `Directory`: the Durable Object that lists the connections for which one user ever started a connect.

use std::future::ready;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Request;
use worker::worker_sys::DurableObjectState;
use worker::{Env, SqlStorage, State};

use crate::message::directory::{CREATE, DirectoryRequest, DirectoryResponse};
use crate::runtime::object_call::{self, ObjectError};
use crate::runtime::{clock, sql};

/// The Durable Object class; there is one object per user.
#[wasm_bindgen]
pub struct Directory {
    storage: SqlStorage,
}

#[wasm_bindgen]
impl Directory {
    /// Creates the object in an isolate. The platform calls it.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(state: DurableObjectState, _env: Env) -> Self {
        Self { storage: State::from(state).storage().sql() }
    }

    /// Answers one message ([`DirectoryRequest`]) with a `Response` or a promise of one.
    #[must_use]
    pub fn fetch(&self, request: Request) -> JsValue {
        let storage = self.storage.clone();
        object_call::answer(request, move |message| ready(answer(&storage, message)))
    }
}

fn answer(
    storage: &SqlStorage,
    message: DirectoryRequest,
) -> Result<DirectoryResponse, ObjectError> {
    match message {
        DirectoryRequest::Add { connection } => {
            sql::run(storage, CREATE, vec![])?;
            let add = "INSERT OR IGNORE INTO connection (name, added_at) VALUES (?, ?)";
            sql::run(storage, add, vec![connection.into(), sql::integer(clock::now())?])?;
            Ok(DirectoryResponse::Added)
        }
        DirectoryRequest::List if !sql::has_table(storage, "connection")? => {
            Ok(DirectoryResponse::Connections(Vec::new()))
        }
        DirectoryRequest::List => {
            let rows = sql::run(storage, "SELECT name FROM connection ORDER BY name", vec![])?;
            let names = rows.into_iter().map(|mut row| row.text());
            names.collect::<Result<_, _>>().map(DirectoryResponse::Connections)
        }
    }
}
