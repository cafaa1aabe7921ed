// SPDX-License-Identifier: Apache-2.0
//! The simulation finds a loss, or a lease that serves too long, where a protection is taken away. What finds nothing
//! proves nothing.

use std::rc::Rc;

use simulate::mechanisms::{Intact, Mechanisms};
use simulate::scenario;
use vault_core::vault::contents::Contents;
use vault_core::vault::jobs::Job;
use vault_core::vault::plan::{Plan, Write};
use vault_core::vault::record::Grant;

/// The most refreshes until a loss must be found.
const REFRESHES: u64 = 10_000;

/// The most runs until a broken promise about leases must be found. `seeds.rs` shows that the same seeds break none
/// otherwise.
const RUNS: u64 = 5_000;

/// The refreshes until the first grant was lost that could have been kept, if that happened.
fn refreshes_until_a_loss(mechanisms: &Rc<dyn Mechanisms>) -> Option<u64> {
    let mut refreshes = 0;
    for seed in 1.. {
        let outcome = scenario::run(seed, mechanisms.clone(), false);
        refreshes += outcome.refreshes;
        if outcome.violations.iter().any(|violation| violation.is_loss) {
            return Some(refreshes);
        }
        if refreshes > REFRESHES {
            break;
        }
    }
    None
}

fn assert_loses(mechanisms: impl Mechanisms + 'static) {
    let found = refreshes_until_a_loss(&(Rc::new(mechanisms) as Rc<dyn Mechanisms>));
    println!("found after {found:?} refreshes");
    assert!(found.is_some_and(|refreshes| refreshes <= REFRESHES), "{found:?}");
}

/// Runs seeds until one breaks a promise in these words. Returns how many that took.
fn runs_until(mechanisms: &Rc<dyn Mechanisms>, words: &str) -> Option<u64> {
    (1..=RUNS).find(|seed| {
        let outcome = scenario::run(*seed, mechanisms.clone(), false);
        outcome.violations.iter().any(|violation| violation.what.contains(words))
    })
}

fn assert_breaks(words: &str, mechanisms: impl Mechanisms + 'static) {
    let mechanisms = Rc::new(mechanisms) as Rc<dyn Mechanisms>;
    let found = runs_until(&mechanisms, words);
    println!("{words}: found after {found:?} runs");
    assert!(found.is_some(), "{words}");
}

/// What the oracle says of a lease that serves after the time that the vault told.
const TOO_LONG: &str = "by a lease that had to be over";

/// The plan with each grant that it writes changed.
fn with_grants(mut plan: Plan, change: impl Fn(&mut Grant)) -> Plan {
    for write in &mut plan.writes {
        if let Write::PutGrant { grant, .. } | Write::UpdateGrant { grant, .. } = write {
            change(grant);
        }
    }
    plan
}

#[test]
fn with_all_protections_no_grant_is_lost() {
    assert_eq!(refreshes_until_a_loss(&(Rc::new(Intact) as Rc<dyn Mechanisms>)), None);
}

#[test]
fn without_the_intent_a_grant_is_lost() {
    struct WithoutIntent;
    impl Mechanisms for WithoutIntent {
        fn plan(&self, plan: Plan) -> Plan {
            with_grants(plan, |grant| grant.intent = None)
        }
    }
    assert_loses(WithoutIntent);
}

#[test]
fn without_the_compare_on_the_generation_a_grant_is_lost() {
    struct WithoutCompare;
    impl Mechanisms for WithoutCompare {
        fn rows_of_settlement(&self, before: Contents, _now: Contents) -> Contents {
            before
        }
    }
    assert_loses(WithoutCompare);
}

#[test]
fn without_the_single_flight_a_grant_is_lost() {
    struct WithoutSingleFlight;
    impl Mechanisms for WithoutSingleFlight {
        fn shares_flights(&self) -> bool {
            false
        }
    }
    assert_loses(WithoutSingleFlight);
}

struct WithoutFollowUpInFlight;

impl Mechanisms for WithoutFollowUpInFlight {
    fn plan(&self, plan: Plan) -> Plan {
        with_grants(plan, |grant| {
            if let Some(intent) = &mut grant.intent {
                intent.follow_up = None;
            }
        })
    }
}

#[test]
fn unless_a_refresh_in_flight_is_followed_up_a_grant_is_lost() {
    assert_loses(WithoutFollowUpInFlight);
}

#[test]
fn without_that_and_the_job_that_follows_a_refresh_up_a_grant_is_lost() {
    struct WithoutFollowUp;
    impl Mechanisms for WithoutFollowUp {
        fn plan(&self, mut plan: Plan) -> Plan {
            let recovers =
                |write: &Write| matches!(write, Write::AddJob { job: Job::Recover { .. }, .. });
            plan.writes.retain(|write| !recovers(write));
            WithoutFollowUpInFlight.plan(plan)
        }
    }
    assert_loses(WithoutFollowUp);
}

#[test]
fn without_the_binding_to_the_provider_a_grant_is_lost() {
    struct WithoutBinding;
    impl Mechanisms for WithoutBinding {
        fn rows(&self, mut rows: Contents) -> Contents {
            for row in &mut rows.grants {
                row.grant.record.registration = None;
            }
            rows
        }
    }
    assert_loses(WithoutBinding);
}

#[test]
fn unless_a_new_refresh_token_is_durable_first_a_grant_is_lost() {
    struct WithoutSuccessor;
    impl Mechanisms for WithoutSuccessor {
        fn plan(&self, plan: Plan) -> Plan {
            with_grants(plan, |grant| {
                if let Some(intent) = &mut grant.intent {
                    intent.successor = None;
                }
            })
        }
    }
    assert_loses(WithoutSuccessor);
}

#[test]
fn an_object_that_forgets_its_leases_with_a_crash_tells_a_time_that_is_too_early() {
    struct ForgetsLeases;
    impl Mechanisms for ForgetsLeases {
        fn forgets_leases(&self) -> bool {
            true
        }
    }
    assert_breaks(TOO_LONG, ForgetsLeases);
}

#[test]
fn an_isolate_that_counts_a_lease_from_the_answer_serves_too_long() {
    struct CountsFromTheAnswer;
    impl Mechanisms for CountsFromTheAnswer {
        fn counts_leases_from_the_answer(&self) -> bool {
            true
        }
    }
    assert_breaks(TOO_LONG, CountsFromTheAnswer);
}

#[test]
fn an_object_that_compares_no_versions_lends_to_others() {
    struct ComparesNoVersions;
    impl Mechanisms for ComparesNoVersions {
        fn lends_to_other_versions(&self) -> bool {
            true
        }
    }
    assert_breaks("to an isolate with other code or another configuration", ComparesNoVersions);
}
