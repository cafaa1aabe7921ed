// SPDX-License-Identifier: Apache-2.0
//! Leases: a vault's object may lend an access token to the isolate that asked for it, which then serves it for
//! some seconds without asking again ([`super::lease_cache`]).
//!
//! A lease serves a token no longer than the token's own `expires_in`, of which it is a tenth at most. What it
//! delays is that a deletion or a new consent reaches callers, so the object can say until when that may last.

use serde::{Deserialize, Serialize};

use super::release::RequestedToken;
use crate::config::MAX_LEASE_SECONDS;
use crate::event::{Event, EventName};
use vault_base::time::UnixSeconds;
use vault_provider::connection::Connection;

/// A token with less lifetime than this, in seconds, is not lent.
const LEAST_LIFETIME: i64 = 120;

/// The share of a token's remaining lifetime for which it is lent at most: one part of so many.
const SHARE: i64 = 10;

/// What the Worker says about leases in a request to a vault.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeaseRequest {
    /// How long a lease may be, in seconds; 0: none.
    #[serde(default)]
    pub seconds: i64,
    /// What the isolate's decisions rest on: its code and its whole configuration, as a hash. An object that runs
    /// with others lends nothing.
    #[serde(default)]
    pub fingerprint: String,
    /// The releases by lease that the vault has not been told of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub releases: Vec<LeasedReleases>,
}

/// How often an isolate released a vault's tokens to a client by lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeasedReleases {
    /// The client.
    pub client_id: String,
    /// How often.
    pub count: u32,
}

impl LeasedReleases {
    /// The event for the operator's log.
    pub fn event(&self) -> Event {
        let event = Event::new(EventName::LeasedReleases);
        Event { client_id: Some(self.client_id.clone()), count: Some(self.count), ..event }
    }
}

impl LeaseRequest {
    /// The events of what was released by lease at this connection.
    pub fn events(&self, connection: &str) -> Vec<Event> {
        self.releases.iter().map(|releases| releases.event().at(connection)).collect()
    }
}

/// Whether a request must not be answered from a lease: it says that a token is refused, or how long its token
/// should live, or it has `Cache-Control: no-cache` (RFC 9111 §5.2.1.4).
pub fn goes_past(want: &RequestedToken, cache_control: Option<&str>) -> bool {
    let directives = cache_control.unwrap_or_default().split(',');
    want.refused_token.is_some()
        || want.min_ttl > 0
        || directives.map(str::trim).any(|one| one.eq_ignore_ascii_case("no-cache"))
}

/// For how many seconds a token may be lent that expires in `expires_in` seconds. 0 for one that expires soon, for
/// a kind of token that the vault issues on demand, and where a renewal ends the token before, which an isolate
/// would serve on.
pub fn lendable(connection: &Connection, want: &RequestedToken, expires_in: i64) -> i64 {
    let ends_early = connection.refresh_ends_access_token || connection.renewal.by_access_token;
    let is_lent =
        !ends_early && connection.issuance(&want.kind).is_none() && expires_in >= LEAST_LIFETIME;
    if is_lent { (expires_in / SHARE).min(connection.lease_seconds) } else { 0 }
}

/// The longest lease in seconds that an object may have given before it started. `connection`: as configured, if it is.
pub fn longest(connection: Option<&Connection>) -> i64 {
    connection.map_or(MAX_LEASE_SECONDS, |connection| connection.lease_seconds)
}

/// What an object knows of the leases it gave.
#[derive(Debug, Clone, Copy)]
pub struct Lender {
    awake_since: UnixSeconds,
    until: UnixSeconds,
}

impl Lender {
    /// An object that starts. It does not know what it lent before it was evicted from memory.
    pub fn started(now: UnixSeconds) -> Self {
        Self { awake_since: now, until: 0 }
    }

    /// Notes a lease of so many seconds.
    ///
    /// The isolate counts them from a time before it asked, so its lease has ended then. Times are whole seconds,
    /// rounded down, which the one more second makes good.
    pub fn lend(&mut self, seconds: i64, now: UnixSeconds) {
        if seconds > 0 {
            self.until = self.until.max(now + seconds + 1);
        }
    }

    /// Until when a lease may still serve a token, Unix seconds; `None`: no lease does. `longest` is the longest
    /// lease in seconds that the object may have given before it started ([`longest`]); 0 where none of those matters.
    pub fn lease_until(&self, longest: i64, now: UnixSeconds) -> Option<UnixSeconds> {
        let before = if longest > 0 { self.awake_since + longest + 1 } else { 0 };
        // A clock that was set back would count leases as longer than any can be.
        let until = self.until.max(before).min(now + MAX_LEASE_SECONDS + 1);
        (until > now).then_some(until)
    }
}
