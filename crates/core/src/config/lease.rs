// SPDX-License-Identifier: Apache-2.0
//! `lease_seconds` of connections and clients: how long an isolate may serve a token again without asking the
//! vault's object ([`crate::vault::lease`]).

use super::fields::Fields;

/// The longest lease that can be configured, in seconds.
pub const MAX_LEASE_SECONDS: i64 = 60;

/// How long leases are if nothing is configured, in seconds.
const LEASE_SECONDS: i64 = 15;

/// Reads the field. 0 means that there are no leases.
pub(super) fn seconds(fields: &mut Fields, field: &'static str) -> i64 {
    let seconds = fields.number(field).unwrap_or(LEASE_SECONDS);
    if !(0..=MAX_LEASE_SECONDS).contains(&seconds) {
        fields.fault(field, "must be a number of seconds from 0 to 60");
    }
    seconds
}
