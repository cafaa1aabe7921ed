// SPDX-License-Identifier: Apache-2.0
//! Whether the keys are the ones this vault was made with.
//!
//! Object names follow from `OBJECT_NAME_KEY`: another key would show every user an empty vault and
//! let them connect again beside what they have. A key of the ring that changed under its id would
//! make good values look damaged. One object, whose name follows from neither, remembers a check
//! value of each.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::event::{Event, EventName};
use crate::ids::KEY_CHECK;
use crate::message::registry::{OBJECT_NAME_KEY, RegistryRequest, RegistryResponse, ring_key};
use crate::runtime::context::Context;
use crate::runtime::log;
use crate::runtime::object_call::{self, CallError};

/// What this isolate has done so far.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Done {
    Nothing,
    Compared,
    Remembered,
}

thread_local! {
    static DONE: Cell<Done> = const { Cell::new(Done::Nothing) };
}

/// Compares the keys before something stored is looked for, once per isolate.
pub async fn compare(context: Context<'_>) -> Result<(), CallError> {
    ask(context, Done::Compared).await
}

/// Compares the keys before something is stored, and has those it is stored under remembered, once
/// per isolate.
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
    let ask = RegistryRequest::Check { values, remember };
    let RegistryResponse::Checked { changed, known } =
        object_call::ask(env, KEY_CHECK, &ask).await?
    else {
        return Err(CallError::Unavailable);
    };
    if changed.is_empty() {
        if known {
            DONE.set(goal.max(DONE.get()));
        }
        return Ok(());
    }
    let reason = format!("not the keys this vault was made with; restore: {}", changed.join(", "));
    log::event(&Event::new(EventName::ConfigurationError).detail(reason));
    Err(CallError::KeyUnavailable)
}
