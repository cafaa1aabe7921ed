// SPDX-License-Identifier: Apache-2.0
//! What a browser session's object does when it wakes: it carries out the tasks that the end of the session
//! left, and then takes the step that is due.

use wasm_bindgen::JsValue;

use crate::issuer::machine::Addressed;
use crate::issuer::session::{Request, Response};
use crate::json;
use crate::objects::machine::MachineObject;
use crate::runtime::context::Context;
use crate::runtime::object_call::ObjectError;
use crate::runtime::{clock, configuration, logout};

/// Carries out the tasks that are due, and takes the step that is due.
pub async fn alarm(object: &MachineObject) -> Result<(), JsValue> {
    let carried_out = carry_out(object).await;
    carried_out.map_err(|_| JsValue::from_str("the tasks that were due failed"))?;
    object.alarm().await
}

async fn carry_out(object: &MachineObject) -> Result<(), ObjectError> {
    let Some(name) = object.name()? else {
        return Ok(());
    };
    let Response::Due { sid, sub, tasks } = ask(object, &name, &Request::Due).await? else {
        return Ok(());
    };
    let config = configuration::load(object.env()).ok_or(ObjectError::Misconfigured)?;
    let context = Context { env: object.env(), config: &config, now: clock::now() };
    let tasks = logout::carry_out(context, &sid, &sub, tasks).await;
    if !tasks.is_empty() {
        ask(object, &name, &Request::Done { tasks }).await?;
    }
    Ok(())
}

async fn ask(
    object: &MachineObject,
    name: &str,
    request: &Request,
) -> Result<Response, ObjectError> {
    let failed = |_| ObjectError::Failed("message");
    let request = serde_json::to_string(request).map_err(failed)?;
    let answer = object.answer(Addressed { name: name.to_owned(), request }).await?;
    json::parse_trusted(&answer).map_err(|_| ObjectError::Failed("message"))
}
