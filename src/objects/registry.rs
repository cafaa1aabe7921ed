// SPDX-License-Identifier: Apache-2.0
//! `Registry`: the Durable Object that stores, in shards, which users have a directory and which vaults hold
//! which account at a provider. One further object of the class stores the check values of the keys.

use std::collections::BTreeMap;
use std::future::ready;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Request;
use worker::worker_sys::DurableObjectState;
use worker::{Env, SqlStorage, State};

use crate::message::registry::{self, CREATE, RegistryRequest, RegistryResponse};
use crate::runtime::object_call::{self, ObjectError};
use crate::runtime::{clock, sql};

/// The Durable Object class; there is one object per shard, and one named [`crate::ids::KEY_CHECK`].
#[wasm_bindgen]
pub struct Registry {
    storage: SqlStorage,
}

#[wasm_bindgen]
impl Registry {
    /// Creates the object in an isolate. The platform calls it.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(state: DurableObjectState, _env: Env) -> Self {
        Self { storage: State::from(state).storage().sql() }
    }

    /// Answers one message ([`RegistryRequest`]) with a `Response` or a promise of one.
    #[must_use]
    pub fn fetch(&self, request: Request) -> JsValue {
        let storage = self.storage.clone();
        object_call::answer(request, move |message| ready(answer(&storage, message)))
    }
}

fn answer(storage: &SqlStorage, message: RegistryRequest) -> Result<RegistryResponse, ObjectError> {
    match message {
        RegistryRequest::Add { user } => {
            create(storage)?;
            let add = "INSERT OR IGNORE INTO user (issuer, subject, added_at) VALUES (?, ?, ?)";
            let row = vec![user.issuer.into(), user.subject.into(), sql::integer(clock::now())?];
            sql::run(storage, add, row)?;
            Ok(RegistryResponse::Added)
        }
        RegistryRequest::AddReference { account, vault } => {
            create(storage)?;
            let hold = "INSERT OR IGNORE INTO holder (account, vault) VALUES (?, ?)";
            sql::run(storage, hold, vec![account.into(), vault.into()])?;
            Ok(RegistryResponse::ReferenceAdded)
        }
        RegistryRequest::RemoveReference { account, vault } => {
            create(storage)?;
            let release = "DELETE FROM holder WHERE account = ? AND vault = ?";
            let row = vec![account.as_str().into(), vault.as_str().into()];
            sql::run(storage, release, row)?;
            others(storage, account, vault)
        }
        RegistryRequest::Others { account, vault } => {
            create(storage)?;
            others(storage, account, vault)
        }
        RegistryRequest::Lists { account, vault } => {
            create(storage)?;
            let lists = "SELECT 1 FROM holder WHERE account = ? AND vault = ?";
            let rows = sql::run(storage, lists, vec![account.into(), vault.into()])?;
            Ok(RegistryResponse::Listed { listed: !rows.is_empty() })
        }
        RegistryRequest::Check { values, remember } => check(storage, &values, &remember),
    }
}

fn others(
    storage: &SqlStorage,
    account: String,
    vault: String,
) -> Result<RegistryResponse, ObjectError> {
    let others = "SELECT vault FROM holder WHERE account = ? AND vault <> ? LIMIT 1";
    let rows = sql::run(storage, others, vec![account.into(), vault.into()])?;
    Ok(RegistryResponse::Shared { shared: !rows.is_empty() })
}

fn check(
    storage: &SqlStorage,
    values: &BTreeMap<String, String>,
    remember: &[String],
) -> Result<RegistryResponse, ObjectError> {
    if !remember.is_empty() {
        create(storage)?;
    } else if !sql::has_table(storage, "key_check")? {
        return Ok(RegistryResponse::Checked { changed: Vec::new(), known: false });
    }
    let mut remembered = BTreeMap::new();
    for mut row in sql::run(storage, "SELECT name, value FROM key_check", vec![])? {
        remembered.insert(row.text()?, row.text()?);
    }
    let changed = registry::changed(values, &remembered);
    if changed.is_empty() {
        for (name, value) in values.iter().filter(|(name, _)| remember.contains(name)) {
            let first = "INSERT OR IGNORE INTO key_check (name, value) VALUES (?, ?)";
            sql::run(storage, first, vec![name.as_str().into(), value.as_str().into()])?;
        }
    }
    Ok(RegistryResponse::Checked { changed, known: true })
}

fn create(storage: &SqlStorage) -> Result<(), ObjectError> {
    for statement in CREATE {
        sql::run(storage, statement, vec![])?;
    }
    Ok(())
}
