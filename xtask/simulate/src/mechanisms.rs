// SPDX-License-Identifier: Apache-2.0
//! The places where a test can take a protection away, to show that the simulation then finds a loss.

use vault_core::vault::contents::Contents;
use vault_core::vault::plan::Plan;

/// How an object carries out what the core decides. The defaults are what the Worker does.
pub trait Mechanisms {
    /// The plan as it is carried out.
    fn plan(&self, plan: Plan) -> Plan {
        plan
    }

    /// The rows as the object reads them.
    fn rows(&self, rows: Contents) -> Contents {
        rows
    }

    /// The rows that a response is settled against. `before` are those of when the request was sent.
    fn rows_of_settlement(&self, before: Contents, now: Contents) -> Contents {
        let _ = before;
        now
    }

    /// Whether callers share a flight.
    fn shares_flights(&self) -> bool {
        true
    }

    /// Whether an object that starts believes that it lent nothing before.
    fn forgets_leases(&self) -> bool {
        false
    }

    /// Whether isolates count leases from the answer, instead of from before the question.
    fn counts_leases_from_the_answer(&self) -> bool {
        false
    }

    /// Whether an object lends to isolates with other code or another configuration.
    fn lends_to_other_versions(&self) -> bool {
        false
    }
}

/// What the Worker does.
pub struct Intact;

impl Mechanisms for Intact {}
