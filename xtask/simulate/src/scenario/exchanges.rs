// SPDX-License-Identifier: Apache-2.0
//! The exchanges of a run: each goes through an isolate, which releases a token by lease or asks the object.

use std::cell::RefCell;
use std::rc::Rc;

use vault_base::time::UnixSeconds;
use vault_core::vault::lease::{self, LeaseRequest};
use vault_core::vault::release::RequestedToken;

use super::{CALLER_PATIENCE, Run};
use crate::executor::{Flag, Wait};
use crate::isolates::{Call, Isolate, Question};
use crate::object::{Exchanged, Object, Released};
use crate::oracle::{self, By, Ended, FamilyOf};

impl Run {
    /// One exchange, as the Worker answers it: by lease, or with what the object answers.
    pub(super) async fn ask(self: &Rc<Self>, index: usize, call: Call) {
        let isolate = self.isolates.choose(&self.world);
        if !lease::goes_past(&call.want, call.cache_control)
            && let Some(released) = self.isolates.find(&self.world, &isolate, index, &call)
        {
            self.answered.set(self.answered.get() + 1);
            self.leased(index, &isolate, &call.want, &released);
            return;
        }
        let question = self.isolates.ask(&self.world, &isolate, index);
        let reply = self.ask_vault(index, &isolate, &call, &question).await;
        if question.has_left.get() {
            return;
        }
        match reply {
            Some(Ok(answer)) => {
                self.isolates.note(&self.world, &isolate, &question, &call, answer.ok().as_ref());
            }
            // This says nothing about the lease before.
            _ => self.isolates.put_back(&isolate, &question),
        }
    }

    /// Sends a message to an object, and waits for its answer. `None`: there is none, or the caller has left.
    async fn ask_vault(
        self: &Rc<Self>,
        index: usize,
        isolate: &Rc<Isolate>,
        call: &Call,
        question: &Rc<Question>,
    ) -> Option<Exchanged> {
        let patience = if self.happens(5) { self.between(0, 2_000) } else { CALLER_PATIENCE };
        let deadline = self.world.executor.now() + patience;
        self.world.sleep(self.world.latency()).await;
        let object = self.vaults.get(index)?.object(&self.world);
        self.calls.set(self.calls.get() + 1);
        let (gone, over) = (Flag::default(), Flag::default());
        let slot: Rc<RefCell<Option<Exchanged>>> = Rc::default();
        let (this, told, answer) = (self.clone(), question.clone(), slot.clone());
        let (to, want) = (isolate.clone(), call.want.clone());
        let guard = OpenCall::new(self, self.calls.get(), over.clone());
        self.world.executor.start_for(object.group(), Some(gone.clone()), "exchange", async move {
            let _guard = guard;
            let asker = Some((&*to, &told.lease));
            let reply = this.exchange(&object, index, &want, asker).await;
            told.is_told.set(reply.is_ok());
            answer.replace(Some(reply));
        });
        self.world.executor.wait(Wait::Flag(over.clone(), deadline)).await;
        if over.get() {
            self.world.sleep(self.world.latency()).await;
        } else if patience < CALLER_PATIENCE {
            self.world.say(|| format!("a caller of vault {index} leaves"));
            question.has_left.set(true);
            gone.set(true);
        } else {
            question.is_late.set(true);
        }
        slot.take().filter(|_| !question.is_late.get())
    }

    /// Has an object answer an exchange, and checks what it releases. `asker`: the isolate that asks, and what it says
    /// about leases.
    pub(super) async fn exchange(
        &self,
        object: &Object,
        index: usize,
        want: &RequestedToken,
        asker: Option<(&Isolate, &LeaseRequest)>,
    ) -> Exchanged {
        let result = object.exchange(want, asker.map(|(_, lease)| lease)).await;
        self.answered.set(self.answered.get() + 1);
        self.world.say(|| format!("vault {index} answers {result:?}"));
        if let (Ok(Ok(released)), Some(user), Some(deleted)) =
            (&result, self.users.get(index), self.deleted.get(index))
        {
            self.released.borrow_mut().insert(index, released.access_token.clone());
            let by = By::Object { deleted: &deleted.borrow() };
            oracle::check_release(&self.world, user, &by, want, released);
            if let Some((isolate, _)) = asker.filter(|_| released.lease_seconds > 0) {
                self.world.count_lease("tokens lent", 1);
                oracle::check_lent(&self.world, isolate, released);
            }
            object.vault.flush(&self.world);
        }
        result
    }

    /// Checks what an isolate releases by lease.
    fn leased(&self, index: usize, isolate: &Isolate, want: &RequestedToken, released: &Released) {
        let (Some(user), Some(ended)) = (self.users.get(index), self.ended.get(index)) else {
            return;
        };
        self.released.borrow_mut().insert(index, released.access_token.clone());
        if ended.borrow().iter().any(|one| oracle::is_of(&self.world, released, one.family)) {
            self.world.count_lease("releases by lease of what was deleted or replaced", 1);
        }
        let by = By::Lease { isolate, ended: &ended.borrow() };
        oracle::check_release(&self.world, user, &by, want, released);
    }

    /// An object answers that an account was deleted, or that a consent replaced a grant: these families of its vault
    /// are gone, and leases may still serve their tokens until the time that it told.
    pub(super) fn promise(&self, index: usize, what: Ending<'_>, told: Option<UnixSeconds>) {
        let (all, open, families) = match what {
            Ending::Deletion(families) => {
                ("deletions answered", "deletions answered while a lease was open", families)
            }
            Ending::Consent(families) => {
                ("new consents answered", "new consents answered while a lease was open", families)
            }
        };
        self.world.count_lease(all, 1);
        if self.isolates.has_open_lease(&self.world, index) {
            self.world.count_lease(open, 1);
        }
        let Some(until) = Ended::promised(&self.world, told) else {
            self.world.count_lease("answers just after the clock was set or leases shortened", 1);
            return;
        };
        self.world.say(|| format!("leases of {families:?} may serve until {}", until / 1000));
        if let Some(ended) = self.ended.get(index) {
            ended
                .borrow_mut()
                .extend(families.iter().map(|family| Ended { family: *family, until }));
        }
    }
}

/// What ends families of a vault.
#[derive(Clone, Copy)]
pub(super) enum Ending<'a> {
    /// Their account was deleted.
    Deletion(&'a [FamilyOf]),
    /// A new consent replaced their grant.
    Consent(&'a [FamilyOf]),
}

/// Raised when its task is over, also if a crash or the caller ends it.
pub(super) struct Raised(pub(super) Flag);

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// A call that must be answered, unless its task is dropped: by a crash, or because the caller has gone.
struct OpenCall {
    run: Rc<Run>,
    call: u64,
    _over: Raised,
}

impl OpenCall {
    fn new(run: &Rc<Run>, call: u64, over: Flag) -> Self {
        run.open.borrow_mut().insert(call);
        Self { run: run.clone(), call, _over: Raised(over) }
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.run.open.borrow_mut().remove(&self.call);
    }
}
