// SPDX-License-Identifier: Apache-2.0
//! Some thousands of runs. `cargo xtask simulate --refreshes 1000000` makes many more.

use std::rc::Rc;

use simulate::mechanisms::Intact;
use simulate::scenario;

#[test]
fn five_thousand_runs_lose_no_grant_that_could_be_kept_and_break_no_other_promise() {
    let mut refreshes = 0;
    for seed in 1..=5_000 {
        let outcome = scenario::run(seed, Rc::new(Intact), false);
        let what: Vec<_> = outcome.violations.iter().map(|violation| &violation.what).collect();
        assert!(
            what.is_empty(),
            "seed {seed}: {what:?} (cargo xtask simulate --seed {seed} --trace)"
        );
        refreshes += outcome.refreshes;
    }
    assert!(refreshes > 30_000, "{refreshes}");
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    for seed in 1..=20 {
        let first = scenario::run(seed, Rc::new(Intact), true).trace;
        assert!(first.len() > 3, "{first:?}");
        assert_eq!(first, scenario::run(seed, Rc::new(Intact), true).trace, "seed {seed}");
    }
}
