// SPDX-License-Identifier: Apache-2.0
//! What answering one event takes: the platform's bindings, the configuration, and the time of the event.

use worker::Env;

use crate::config::Config;
use crate::time::UnixSeconds;

/// One event: a request, a question to an object, an alarm, or the answer of a provider that was waited
/// for. Its time is read once and passed down.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The platform's bindings.
    pub env: &'a Env,
    /// The configuration.
    pub config: &'a Config,
    /// When it happened.
    pub now: UnixSeconds,
}
