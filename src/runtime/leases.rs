// SPDX-License-Identifier: Apache-2.0
//! This isolate's leases ([`crate::vault::lease_cache`]).

use std::cell::{OnceCell, RefCell};

use crate::config::Config;
use crate::event::Event;
use crate::runtime::{clock, log};
use crate::secret::Secret;
use crate::vault::lease::{LeaseRequest, LeasedReleases};
use crate::vault::lease_cache::{Asked, LeaseCache, LeaseKey, Released};

/// Which code this is: a hash of the sources.
const BUILD: &str = env!("VAULT_BUILD");

thread_local! {
    static LEASES: RefCell<LeaseCache> = RefCell::default();
    static FINGERPRINT: OnceCell<String> = const { OnceCell::new() };
}

/// What the decisions of this isolate rest on ([`LeaseRequest::fingerprint`]). An isolate has one configuration.
pub fn fingerprint(config: &Config) -> String {
    FINGERPRINT.with(|cell| cell.get_or_init(|| config.fingerprint(BUILD)).clone())
}

/// The token and its `expires_in`, if it is on lease. It counts as released.
///
/// The clock is read once more: the request may have waited for other objects, and a lease must not serve after its
/// end.
pub fn find(key: &LeaseKey<'_>) -> Option<(i64, Secret)> {
    LEASES.with_borrow_mut(|leases| {
        let (expires_in, members) = leases.find(key, clock::now())?;
        Some((expires_in, members.clone()))
    })
}

/// What to tell the vault's object that is asked now.
pub fn request(config: &Config, vault: &str, seconds: i64) -> LeaseRequest {
    let releases = LEASES.with_borrow_mut(|leases| leases.take_releases(vault));
    LeaseRequest { seconds, fingerprint: fingerprint(config), releases }
}

/// A question to the vault's object that leaves now.
pub fn ask(vault: &str) -> Asked {
    LEASES.with_borrow(|leases| leases.ask(vault, clock::now()))
}

/// Notes what the object answered; `None`: no token.
pub fn note(key: &LeaseKey<'_>, answer: Option<Released>, asked: Asked) {
    let lost = LEASES.with_borrow_mut(|leases| leases.note(key, answer, asked, clock::now()));
    not_reported(&lost);
}

/// Ends this isolate's leases of a vault whose accounts have changed. Those of other isolates end in seconds.
pub fn end(vault: &str) {
    LEASES.with_borrow_mut(|leases| leases.end(vault));
}

/// Takes back what the object could not be told.
pub fn put_back(vault: &str, releases: Vec<LeasedReleases>) {
    not_reported(&LEASES.with_borrow_mut(|leases| leases.put_back(vault, releases)));
}

fn not_reported(lost: &[LeasedReleases]) {
    for releases in lost {
        log::event(&Event { reason: Some("not_reported".to_owned()), ..releases.event() });
    }
}
