// SPDX-License-Identifier: Apache-2.0
//! Sealed values: an envelope in storage opens only to the value that was sealed for that place.
#![no_main]

use edge_token_vault::seal::{AssociatedData, Sealer};
use edge_token_vault_fuzz::config;
use libfuzzer_sys::fuzz_target;

const PLACE: AssociatedData<'_> = AssociatedData {
    issuer: "https://login.example.com/",
    subject: "alice",
    connection: "demo",
    account: "cac_1",
    field: "refresh_token",
    generation: 3,
};

fuzz_target!(|data: &[u8]| {
    thread_local!(static SEALER: Sealer = Sealer::new(&config().key_ring, "object"));
    SEALER.with(|sealer| {
        // Arbitrary bytes are not a valid envelope.
        assert!(sealer.open(&PLACE, data).is_err());
        let Ok(sealed) = sealer.seal(&PLACE, data) else { panic!("no randomness") };
        assert!(sealer.open(&PLACE, &sealed).is_ok_and(|opened| opened.as_slice() == data));
        // Rejected: an envelope with a flipped bit, a truncated one, and one moved to another place.
        let Some((first, rest)) = data.split_first() else { return };
        let index = (usize::from(*first) * 256 + rest.len()) % sealed.len();
        let mut flipped = sealed.clone();
        flipped[index] ^= 1 << (first % 8);
        assert!(sealer.open(&PLACE, &flipped).is_err());
        assert!(sealer.open(&PLACE, &sealed[..index]).is_err());
        let moved =
            AssociatedData { generation: PLACE.generation + u64::from(*first) + 1, ..PLACE };
        assert!(sealer.open(&moved, &sealed).is_err());
    });
});
