// SPDX-License-Identifier: Apache-2.0
//! The stamp of a vault: check values of the keys that sealed what it holds. A vault with a stamp shows by
//! itself whether the configured keys are the ones that its tokens were sealed with.

use std::collections::BTreeMap;

use vault_base::seal::{self, KeyRing};

use super::plan::Write;

/// Check values ([`KeyRing::check_value`]) by key id. Empty until something is sealed: vaults of earlier
/// versions have none.
pub type Stamp = BTreeMap<String, String>;

/// The id of a key whose bytes changed since it sealed something in this vault. A key that left the ring has
/// not changed.
pub fn changed(stamp: &Stamp, ring: &KeyRing) -> Option<String> {
    let differs = |(id, value): &(&String, &String)| {
        ring.check_value(id).is_some_and(|configured| configured != **value)
    };
    stamp.iter().find(differs).map(|(id, _)| id.clone())
}

/// The check values of the keys with which these writes are sealed.
pub fn of_writes(writes: &[Write], ring: &KeyRing) -> Stamp {
    let envelopes = writes.iter().filter_map(|write| match write {
        Write::PutGrant { envelope, .. } => envelope.as_ref(),
        Write::PutAccessToken { envelope, .. } => Some(envelope),
        _ => None,
    });
    let mut stamp = Stamp::new();
    for id in envelopes.filter_map(|envelope| seal::key_id(envelope)) {
        if !stamp.contains_key(id)
            && let Some(value) = ring.check_value(id)
        {
            stamp.insert(id.to_owned(), value);
        }
    }
    stamp
}
