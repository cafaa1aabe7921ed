// SPDX-License-Identifier: Apache-2.0
//! Checks that the configured keys are the ones this vault was created with.
//!
//! Object names are derived from `OBJECT_NAME_KEY`: with another key every user would find an empty vault
//! and could connect again beside the accounts that exist. If a key of the ring changed under the same id,
//! intact values would look corrupt. One object, whose name depends on neither key, stores a check value of
//! each.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::event::{Event, EventName};
use crate::ids::KEY_CHECK;
use crate::message::registry::{OBJECT_NAME_KEY, RegistryRequest, RegistryResponse, ring_key};
use crate::runtime::context::Context;
use crate::runtime::log;
use crate::runtime::object_call::{self, CallError};

/// How much of the check this isolate has done so far; each step includes those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Done {
    Nothing,
    Compared,
    Remembered,
}

thread_local! {
    static DONE: Cell<Done> = const { Cell::new(Done::Nothing) };
}

/// Compares the keys with the stored check values before stored data is read, once per isolate.
/// [`CallError::KeyUnavailable`] if a key differs; the log names it.
pub async fn compare(context: Context<'_>) -> Result<(), CallError> {
    ask(context, Done::Compared).await
}

/// Compares the keys before data is written, and stores the check values of the keys that the data will
/// depend on (the name key and the primary sealing key), once per isolate. Errors as for [`compare`].
pub async fn remember(context: Context<'_>) -> Result<(), CallError> {
    ask(context, Done::Remembered).await
}

async fn ask(Context { env, config, .. }: Context<'_>, goal: Done) -> Result<(), CallError> {
    if DONE.get() >= goal {
        return Ok(());
    }
    let remember = match goal {
        Done::Remembered => {
            vec![OBJECT_NAME_KEY.to_owned(), ring_key(config.key_ring.primary_key())]
        }
        _ => Vec::new(),
    };
    let ring = config.key_ring.check_values();
    let mut values = BTreeMap::new();
    values.insert(OBJECT_NAME_KEY.to_owned(), config.names.check_value());
    values.extend(ring.into_iter().map(|(id, value)| (ring_key(&id), value)));
    let request = RegistryRequest::Check { values, remember };
    let RegistryResponse::Checked { changed, known } =
        object_call::ask(env, KEY_CHECK, &request).await?
    else {
        return Err(CallError::Unavailable);
    };
    if changed.is_empty() {
        if known {
            DONE.set(goal.max(DONE.get()));
        }
        return Ok(());
    }
    let reason = format!(
        "these are not the keys with which this vault was created; restore: {}",
        changed.join(", ")
    );
    log::event(&Event::new(EventName::ConfigurationError).detail(reason));
    Err(CallError::KeyUnavailable)
}
