// SPDX-License-Identifier: Apache-2.0
//! All orders of events of small cases: two callers and a crash around one refresh, and a deletion or a reconnect.
//! `cargo xtask simulate --exhaustive` also has both at once.

use simulate::explore::{cases, explore};

#[test]
fn no_order_of_events_around_one_refresh_loses_a_grant_that_could_be_kept() {
    let mut states = 0;
    for case in cases(false) {
        let explored = explore(case, 100_000);
        assert!(explored.is_complete, "{case:?}");
        assert_eq!(explored.violations, [], "{case:?}");
        states += explored.states;
    }
    assert!(states > 50_000, "{states}");
}
