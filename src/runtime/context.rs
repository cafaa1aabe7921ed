// SPDX-License-Identifier: Apache-2.0
//! The inputs for handling one event: the platform's bindings, the configuration, and the event's time.

use worker::Env;

use crate::config::Config;
use crate::time::UnixSeconds;

/// One event: an HTTP request, a message to an object, an alarm, or the arrival of a provider's response.
/// The clock is read once per event, and the value is passed down.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The platform's bindings.
    pub env: &'a Env,
    /// The configuration of this isolate.
    pub config: &'a Config,
    /// When the event happened.
    pub now: UnixSeconds,
}
