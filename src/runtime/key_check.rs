// SPDX-License-Identifier: Apache-2.0
//! Checks that the configured keys are the ones this vault was created with.
//!
//! Object names are derived from `OBJECT_NAME_KEY`: with another key every user would find an empty vault
//! and could connect again beside the accounts that exist. If a key of the ring changed under the same id,
//! intact values would look corrupt. One object, whose name depends on neither key, stores a check value of
//! each, and others have copies.
//!
//! A vault that releases a token vouches for the keys by that, and so does a directory that lists something.
//! The check is asked only where it matters, so that no isolate waits for an object that may be far away.

use std::cell::Cell;
use std::collections::BTreeMap;

use worker::Env;

use crate::config::Config;
use crate::encoding;
use crate::event::{Event, EventName};
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
    /// The copy that this isolate asks first, by any number.
    static COPY: u8 = encoding::random::<1>().map_or(0, |[number]| number);
}

/// Time limit of a request to one of the objects, in milliseconds.
const TIME: u32 = 3_000;

/// Compares the keys with the stored check values, once per isolate: before an answer is given or an account
/// deleted that would be wrong with other keys.
/// [`CallError::KeyUnavailable`] if a key differs; the log names it.
pub async fn compare(context: Context<'_>) -> Result<(), CallError> {
    ask(context, Done::Compared).await
}

/// Compares the keys before data is written, and stores the check values of the keys that the data will
/// depend on (the name key and the primary sealing key), once per isolate. Errors as for [`compare`], and
/// [`CallError::Unavailable`] if no copy answers and the original does not.
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
    let (changed, known) = check(env, config, values, remember).await?;
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

/// Asks two copies, then the original, until one answers: which keys differ, and whether any is stored.
async fn check(
    env: &Env,
    config: &Config,
    values: BTreeMap<String, String>,
    remember: Vec<String>,
) -> Result<(Vec<String>, bool), CallError> {
    let copy = COPY.with(|number| *number);
    let question =
        RegistryRequest::CheckCopy { values: values.clone(), remember: remember.clone() };
    let objects = config.objects(None);
    for number in [copy, copy.wrapping_add(1)] {
        if let Ok(RegistryResponse::Checked { changed, known, .. }) =
            object_call::ask_within(env, &objects.key_check_copy(number), &question, TIME).await
        {
            return Ok((changed, known));
        }
    }
    let question = RegistryRequest::Check { values, remember };
    match object_call::ask_within(env, &objects.key_check(), &question, TIME).await? {
        RegistryResponse::Checked { changed, known, .. } => Ok((changed, known)),
        _ => Err(CallError::Unavailable),
    }
}
