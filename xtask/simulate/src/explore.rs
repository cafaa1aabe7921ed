// SPDX-License-Identifier: Apache-2.0
//! Goes through all orders of events of small cases: two callers, a deletion, a reconnect and a crash around one
//! refresh.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use crate::choice::Choices;
use crate::executor::{Flag, OUTSIDE, Wait, hash};
use crate::mechanisms::Intact;
use crate::object::Vault;
use crate::oracle::{self, Verdict};
use crate::provider::{Behaviour, Fault, Provider, Rotation};
use crate::scenario::{config, entry, new_grant, plain};
use crate::world::{Violation, World};
use vault_core::vault::follow_up;

/// Milliseconds of calm after the events.
const CALM: i64 = 40 * 86_400_000;

/// What a case has besides two callers and a crash, which may lose what was written since the last message left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// What a refresh does to the refresh token.
    pub rotation: Rotation,
    /// What goes wrong with the first request.
    pub fault: Fault,
    /// Whether the account is deleted.
    pub deletes: bool,
    /// Whether the user connects again: with a new refresh token, or without one.
    pub reconnects: Option<bool>,
}

/// What was gone through.
#[derive(Debug, Default)]
pub struct Explored {
    /// Whether that is all.
    pub is_complete: bool,
    /// Distinct states.
    pub states: usize,
    /// Runs from the beginning.
    pub runs: u64,
    /// What must not happen, and did, with the decisions that lead there.
    pub violations: Vec<(Vec<usize>, Violation)>,
}

/// The cases: with one of deletion and reconnect beside the crash, and, where `all` are wanted, with both.
pub fn cases(all: bool) -> Vec<Case> {
    let faults = [Fault::None, Fault::DroppedAfter, Fault::OddTokenType];
    let mut cases = Vec::new();
    for rotation in [Rotation::Strict, Rotation::LeewayByTime(60), Rotation::None] {
        for fault in faults {
            for (deletes, reconnects) in [(true, None), (false, Some(true)), (false, Some(false))] {
                cases.push(Case { rotation, fault, deletes, reconnects });
            }
        }
    }
    if all {
        let rotation = Rotation::Strict;
        let both = |fault| Case { rotation, fault, deletes: true, reconnects: Some(true) };
        cases.extend(faults.map(both));
    }
    cases
}

/// Goes through all orders of a case, until `limit` runs.
pub fn explore(case: Case, limit: u64) -> Explored {
    let mut explored = Explored::default();
    let mut states = HashSet::new();
    let mut prefix = Vec::new();
    while explored.runs < limit {
        explored.runs += 1;
        let run = Run::new(case, prefix.clone());
        run.go(&mut states, prefix.len());
        let taken = match &*run.world.choices.borrow() {
            Choices::Listed { taken, .. } => taken.clone(),
            Choices::Seeded(_) => Vec::new(),
        };
        let decisions: Vec<usize> = taken.iter().map(|(chosen, _)| *chosen).collect();
        for violation in run.world.violations.take() {
            explored.violations.push((decisions.clone(), violation));
        }
        // The next list: the last decision that has another alternative.
        let Some(last) = taken.iter().rposition(|(chosen, of)| chosen + 1 < *of) else {
            explored.is_complete = true;
            break;
        };
        prefix = decisions.get(..=last).unwrap_or_default().to_vec();
        if let Some(decision) = prefix.last_mut() {
            *decision += 1;
        }
    }
    explored.states = states.len();
    explored
}

struct Run {
    world: Rc<World>,
    vault: Rc<Vault>,
    case: Case,
    deleted: Rc<RefCell<Vec<(char, usize)>>>,
}

impl Run {
    fn new(case: Case, prefix: Vec<usize>) -> Self {
        let behaviour = Behaviour {
            rotation: case.rotation,
            lifetime: 600,
            tells_lifetime: true,
            ends_access_token: false,
            one_consent: false,
            idle_days: None,
            open_id: false,
        };
        let config = config(&entry('a', "c", behaviour, true));
        let providers = vec![Provider::new('a', behaviour)];
        let choices = Choices::listed(prefix);
        let world = World::new(choices, providers, config.clone(), Rc::new(Intact), false);
        let vault = Vault::new(0, "alice", &config);
        Self { world, vault, case, deleted: Rc::default() }
    }

    /// Runs the case. A run ends where it comes to a state that another run has gone on from.
    fn go(&self, states: &mut HashSet<u64>, known: usize) {
        self.vault.watch(&self.world);
        self.connect(0, true);
        self.run(states, usize::MAX, 1_000);
        // The access token has expired when the callers come.
        self.world.executor.pass(700_000);
        for _ in 0..2 {
            self.call();
        }
        if self.case.fault != Fault::None {
            self.world.next_faults.borrow_mut().push(self.case.fault);
        }
        if let Some(refreshable) = self.case.reconnects {
            self.connect(1, refreshable);
        }
        if self.case.deletes {
            self.delete();
        }
        let (world, vault) = (self.world.clone(), self.vault.clone());
        self.world.executor.start(OUTSIDE, "crash", async move {
            let unsaved = world.choices.borrow_mut().below(2) == 1;
            vault.crash(&world, unsaved);
        });
        if self.run(states, known, 700_000 + CALM) {
            self.judge();
        }
    }

    /// Returns `false` if the run came to a known state. The first `known` decisions are those of another run.
    fn run(&self, states: &mut HashSet<u64>, known: usize, end: i64) -> bool {
        for _ in 0..100_000 {
            let taken = match &*self.world.choices.borrow() {
                Choices::Listed { taken, .. } => taken.len(),
                Choices::Seeded(_) => 0,
            };
            if taken >= known && !states.insert(self.state()) {
                return false;
            }
            if !self.world.executor.step(&self.world.choices, end) {
                return true;
            }
        }
        self.world.violation("the run does not come to an end".into());
        false
    }

    fn state(&self) -> u64 {
        let world = &self.world;
        let providers = format!("{:?}", world.providers.borrow());
        let records = format!("{:?} {:?}", world.sent.borrow(), self.deleted.borrow());
        let registry = format!("{:?} {}", world.registry.borrow(), world.executor.now());
        let parts = [providers, records, registry];
        let start = hash(world.executor.fingerprint(), &self.vault.state().to_le_bytes());
        parts.iter().fold(start, |all, part| hash(all, part.as_bytes()))
    }

    fn connect(&self, number: u32, refreshable: bool) {
        let config = self.world.config.borrow().clone();
        let scopes = ["read".to_owned()];
        let now = self.world.executor.now();
        let granted = match self.world.providers.borrow_mut().first_mut() {
            Some(provider) => provider.consent("u1", &scopes, refreshable, now),
            None => return,
        };
        let new = new_grant(&self.world, &config, number, "u1", granted);
        let (world, vault) = (self.world.clone(), self.vault.clone());
        self.world.executor.start(OUTSIDE, "connect", async move {
            // The session repeats the message until it is answered.
            for _ in 0..3 {
                let object = vault.object(&world);
                let over = Flag::default();
                let (done, grant) = (over.clone(), new.clone());
                world.executor.start(object.group(), "keep", async move {
                    let stored = object.keep(grant).await.is_ok();
                    object.vault.flush(&object.world);
                    done.set(stored);
                });
                let deadline = world.executor.now() + 20_000;
                world.executor.wait(Wait::Flag(over.clone(), deadline)).await;
                if over.get() {
                    return;
                }
            }
        });
    }

    fn call(&self) {
        let object = self.vault.object(&self.world);
        let deleted = self.deleted.clone();
        self.world.executor.start(object.group(), "exchange", async move {
            let want = plain(&[]);
            if let Ok(Ok(released)) = object.exchange(&want, None).await {
                let deleted = deleted.borrow().clone();
                let by = oracle::By::Object { deleted: &deleted };
                oracle::check_release(&object.world, "u1", &by, &want, &released);
                object.vault.flush(&object.world);
            }
        });
    }

    fn delete(&self) {
        let object = self.vault.object(&self.world);
        let deleted = self.deleted.clone();
        self.world.executor.start(object.group(), "delete", async move {
            let account = object.vault.stored.borrow().contents.accounts.first().cloned();
            let Some(account) = account else {
                return;
            };
            let families = oracle::families(&object.world, &object.vault, &account.id);
            let gone = object.delete(&account.id).await;
            let is_gone = object.vault.stored.borrow().contents.account(&account.id).is_none();
            if gone == Ok(true) && is_gone {
                deleted.borrow_mut().extend(families);
            }
            object.vault.flush(&object.world);
        });
    }

    fn judge(&self) {
        let accounts = self.vault.stored.borrow().contents.accounts.clone();
        for account in accounts {
            if let Verdict::Violation(what) = oracle::judge(&self.world, &self.vault, &account) {
                self.world.loss(what);
            }
        }
        let jobs = self.vault.stored.borrow().jobs.len();
        if jobs > 0 {
            self.world.violation(format!("{jobs} jobs do not come to an end"));
        }
        if follow_up::next(&self.vault.stored.borrow().contents).is_some() {
            self.world.violation("a refresh in flight is not followed up".into());
        }
    }
}
