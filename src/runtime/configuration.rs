// SPDX-License-Identifier: Apache-2.0
//! The configuration of this isolate: read from the environment once.

use std::cell::OnceCell;
use std::rc::Rc;

use js_sys::{JSON, Object};
use serde_json::Value;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::Env;

use crate::config::{Config, Variables};
use crate::event::{Event, EventName};
use crate::runtime::log;

thread_local! {
    static CONFIG: OnceCell<Option<Rc<Config>>> = const { OnceCell::new() };
}

/// Returns the configuration, or `None` if it is invalid. The first call in an isolate parses it, and logs
/// that or the error; later calls return the same result.
pub fn load(env: &Env) -> Option<Rc<Config>> {
    CONFIG.with(|cell| cell.get_or_init(|| read(env)).clone())
}

fn read(env: &Env) -> Option<Rc<Config>> {
    match Config::load(&variables(env)) {
        Ok(config) => {
            // The first line takes workerd several milliseconds. This one is written before the first request.
            log::event(&Event::new(EventName::Started).detail(env!("CARGO_PKG_VERSION")));
            Some(Rc::new(config))
        }
        Err(error) => {
            log::event(&Event::new(EventName::ConfigurationError).detail(error.to_string()));
            None
        }
    }
}

/// Collects all variables and secrets whose value is text or plain JSON. Bindings to Durable Objects are
/// neither and are left out.
fn variables(env: &Env) -> Variables {
    let env: &JsValue = env.as_ref();
    let Some(env) = env.dyn_ref::<Object>() else {
        return Variables::default();
    };
    Object::entries(env)
        .iter()
        .filter_map(|entry| {
            let entry: js_sys::Array = entry.dyn_into().ok()?;
            let name = entry.get(0).as_string()?;
            Some((name, Value::String(text(&entry.get(1))?)))
        })
        .collect()
}

/// The text of a value. A table reads alike as a JSON object and as its text, which is parsed once then.
fn text(value: &JsValue) -> Option<String> {
    if let Some(text) = value.as_string() {
        return Some(text);
    }
    let prototype = Object::get_prototype_of(value);
    let is_plain = value.is_object()
        && prototype.is_object()
        && Object::get_prototype_of(&prototype).is_null();
    if !is_plain {
        return None;
    }
    JSON::stringify(value).ok()?.as_string()
}
