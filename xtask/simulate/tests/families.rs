// SPDX-License-Identifier: Apache-2.0
//! Refresh tokens of the vault itself: thousands of runs with lost responses, two tabs, thieves and revocations.

use std::collections::BTreeMap;

use simulate::families;
use vault_core::issuer::family::Record;

#[test]
fn twenty_thousand_runs_sign_nobody_out_without_a_reason_and_accept_no_token_of_an_ended_family() {
    let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
    let mut refreshes = 0;
    for seed in 1..=20_000 {
        let outcome = families::run(seed);
        assert_eq!(outcome.violations, [""; 0], "seed {seed}");
        refreshes += outcome.refreshes;
        for (cause, count) in outcome.ends {
            *ends.entry(cause).or_default() += count;
        }
    }
    println!("{refreshes} refreshes, signed out: {ends:?}");
    assert!(refreshes > 100_000, "{refreshes}");
    assert!(ends.len() >= 4, "{ends:?}");
}

/// Whether ten thousand runs find something, where each record is changed before it is stored.
fn is_found(change: impl Fn(&mut Record)) -> bool {
    (1..=10_000).any(|seed| !families::run_with(seed, &change).violations.is_empty())
}

#[test]
fn what_protects_a_family_is_missed_when_it_is_taken_away() {
    assert!(!is_found(|_| {}));
    // The successor of a lost response.
    assert!(is_found(|record| record.predecessor = None));
    // That a successor was used.
    assert!(is_found(|record| record.is_used = false));
    // When a token was replaced.
    assert!(is_found(|record| {
        if let Some(predecessor) = &mut record.predecessor {
            predecessor.at = i64::MAX;
        }
    }));
    // What marks secrets as of this family.
    assert!(is_found(|record| record.current.clone_from(&record.mark)));
}
