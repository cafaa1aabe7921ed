// SPDX-License-Identifier: Apache-2.0
//! `Registry`: the Durable Object that stores, in shards, which users have a directory and which vaults hold
//! which account at a provider. Further objects of the class store the check values of the keys.

use std::collections::BTreeMap;
use std::rc::Rc;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Request;
use worker::worker_sys::DurableObjectState;
use worker::{Env, State};

use crate::message::registry::{
    self, CREATE, CREATE_COPY, CopyStep, RegistryRequest, RegistryResponse,
};
use crate::runtime::object_call::{self, ObjectError};
use crate::runtime::storage::{self, Storage};
use crate::runtime::{clock, configuration};

/// Time limit of a copy's request to the original, in milliseconds: shorter than that of the copy's caller.
const ORIGINAL_TIME: u32 = 2_000;

/// The Durable Object class; there is one object per shard, one named [`crate::ids::KEY_CHECK`], and its copies.
#[wasm_bindgen]
pub struct Registry {
    storage: Rc<Storage>,
    env: Env,
}

#[wasm_bindgen]
impl Registry {
    /// Creates the object in an isolate. The platform calls it.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        Self { storage: Rc::new(Storage::of(&State::from(state))), env }
    }

    /// Answers one message ([`RegistryRequest`]) with a `Response` or a promise of one.
    #[must_use]
    pub fn fetch(&self, request: Request) -> JsValue {
        let (storage, env) = (self.storage.clone(), self.env.clone());
        object_call::answer(request, move |message| answer(env, storage, message))
    }
}

async fn answer(
    env: Env,
    storage: Rc<Storage>,
    message: RegistryRequest,
) -> Result<RegistryResponse, ObjectError> {
    let storage = &storage;
    match message {
        RegistryRequest::Add { user } => {
            create(storage)?;
            let add = "INSERT OR IGNORE INTO user (issuer, subject, added_at) VALUES (?, ?, ?)";
            let row =
                vec![user.issuer.into(), user.subject.into(), storage::integer(clock::now())?];
            storage.run(add, row)?;
            Ok(RegistryResponse::Added)
        }
        RegistryRequest::AddReference { account, vault } => {
            create(storage)?;
            let hold = "INSERT OR IGNORE INTO holder (account, vault) VALUES (?, ?)";
            storage.run(hold, vec![account.into(), vault.into()])?;
            Ok(RegistryResponse::ReferenceAdded)
        }
        RegistryRequest::RemoveReference { account, vault } => {
            create(storage)?;
            let release = "DELETE FROM holder WHERE account = ? AND vault = ?";
            let row = vec![account.as_str().into(), vault.as_str().into()];
            storage.run(release, row)?;
            others(storage, account, vault)
        }
        RegistryRequest::Others { account, vault } => {
            create(storage)?;
            others(storage, account, vault)
        }
        RegistryRequest::Lists { account, vault } => {
            create(storage)?;
            let lists = "SELECT 1 FROM holder WHERE account = ? AND vault = ?";
            let rows = storage.run(lists, vec![account.into(), vault.into()])?;
            Ok(RegistryResponse::Listed { listed: !rows.is_empty() })
        }
        RegistryRequest::Check { values, remember } => check(storage, &values, &remember),
        RegistryRequest::CheckCopy { values, remember } => {
            check_copy(&env, storage, values, remember).await
        }
    }
}

fn others(
    storage: &Storage,
    account: String,
    vault: String,
) -> Result<RegistryResponse, ObjectError> {
    let others = "SELECT vault FROM holder WHERE account = ? AND vault <> ? LIMIT 1";
    let rows = storage.run(others, vec![account.into(), vault.into()])?;
    Ok(RegistryResponse::Shared { shared: !rows.is_empty() })
}

fn check(
    storage: &Storage,
    values: &BTreeMap<String, String>,
    remember: &[String],
) -> Result<RegistryResponse, ObjectError> {
    if !remember.is_empty() {
        create(storage)?;
    }
    let mut stored = stored_values(storage, "key_check")?;
    if stored.is_empty() && remember.is_empty() {
        return Ok(RegistryResponse::Checked { changed: Vec::new(), known: false, stored });
    }
    let changed = registry::changed(values, &stored);
    if changed.is_empty() {
        for (name, value) in values.iter().filter(|(name, _)| remember.contains(name)) {
            let first = "INSERT OR IGNORE INTO key_check (name, value) VALUES (?, ?)";
            storage.run(first, vec![name.as_str().into(), value.as_str().into()])?;
            stored.insert(name.clone(), value.clone());
        }
    }
    Ok(RegistryResponse::Checked { changed, known: true, stored })
}

/// The check values in a table of this object; none if it does not exist.
fn stored_values(
    storage: &Storage,
    table: &'static str,
) -> Result<BTreeMap<String, String>, ObjectError> {
    let mut values = BTreeMap::new();
    if storage.has_table(table)? {
        for mut row in storage.run(&format!("SELECT name, value FROM {table}"), vec![])? {
            values.insert(row.text()?, row.text()?);
        }
    }
    Ok(values)
}

async fn check_copy(
    env: &Env,
    storage: &Storage,
    values: BTreeMap<String, String>,
    remember: Vec<String>,
) -> Result<RegistryResponse, ObjectError> {
    let own = stored_values(storage, "key_check_copy")?;
    if let CopyStep::Answer(changed) = registry::of_copy(&own, &values) {
        return Ok(RegistryResponse::Checked { changed, known: true, stored: BTreeMap::new() });
    }
    let question = RegistryRequest::Check { values, remember };
    let config = configuration::load(env).ok_or(ObjectError::Misconfigured)?;
    let original = config.objects(None).key_check();
    let answer = object_call::ask_within(env, &original, &question, ORIGINAL_TIME).await;
    let Ok(RegistryResponse::Checked { changed, known, stored }) = answer else {
        return Err(ObjectError::Failed("key_check"));
    };
    if !stored.is_empty() {
        storage.create(CREATE_COPY)?;
    }
    for (name, value) in stored {
        let keep = "INSERT OR IGNORE INTO key_check_copy (name, value) VALUES (?, ?)";
        storage.run(keep, vec![name.into(), value.into()])?;
    }
    Ok(RegistryResponse::Checked { changed, known, stored: BTreeMap::new() })
}

fn create(storage: &Storage) -> Result<(), ObjectError> {
    for statement in CREATE {
        storage.create(statement)?;
    }
    Ok(())
}
