// SPDX-License-Identifier: Apache-2.0
//! A deterministic scheduler: it polls one task at a time, and chooses which. Time passes only when no task can
//! run.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::choice::Choices;

/// What a task waits for.
#[derive(Debug, Clone)]
pub enum Wait {
    /// Its next turn.
    Turn,
    /// A time, in milliseconds.
    Until(i64),
    /// A flag, or a time in milliseconds if that comes first.
    Flag(Flag, i64),
    /// The time in this cell, in milliseconds; nothing while it has none.
    Bell(Bell),
}

/// A flag that is raised once, for all who wait for it.
pub type Flag = Rc<Cell<bool>>;

/// When an alarm rings, in milliseconds.
pub type Bell = Rc<Cell<Option<i64>>>;

/// Tasks of one group end together: those of one incarnation of an object.
pub type Group = u32;

/// The group of tasks that no crash ends: callers, providers, operators.
pub const OUTSIDE: Group = 0;

type Work = Pin<Box<dyn Future<Output = ()>>>;

struct Task {
    group: Group,
    /// Raised when the task's caller has gone, and the platform drops the task.
    gone: Option<Flag>,
    wait: Wait,
    work: Work,
    /// What identifies the task and its progress, for the search of states.
    history: u64,
}

/// The scheduler.
#[derive(Default)]
pub struct Executor {
    now: Cell<i64>,
    tasks: RefCell<Vec<Task>>,
    /// What the task that is polled now waits for.
    wanted: RefCell<Option<Wait>>,
    /// Tasks started by the task that is polled now.
    started: RefCell<Vec<Task>>,
    ended: RefCell<Vec<Group>>,
    /// What the task that is polled now has observed, for the search of states.
    observed: Cell<u64>,
}

impl Executor {
    /// The true time in milliseconds.
    pub fn now(&self) -> i64 {
        self.now.get()
    }

    /// Lets time pass until `end`, in milliseconds.
    pub fn pass(&self, end: i64) {
        self.now.set(self.now().max(end));
    }

    /// Starts a task. It runs first in a later turn.
    pub fn start(&self, group: Group, name: &str, work: impl Future<Output = ()> + 'static) {
        self.start_for(group, None, name, work);
    }

    /// Starts a task that is dropped when `gone` is raised.
    pub fn start_for(
        &self,
        group: Group,
        gone: Option<Flag>,
        name: &str,
        work: impl Future<Output = ()> + 'static,
    ) {
        let history = hash(0, name.as_bytes());
        let task = Task { group, gone, wait: Wait::Turn, work: Box::pin(work), history };
        self.started.borrow_mut().push(task);
    }

    /// Ends all tasks of a group.
    pub fn end(&self, group: Group) {
        self.ended.borrow_mut().push(group);
    }

    /// Waits.
    pub fn wait(&self, wait: Wait) -> impl Future<Output = ()> + '_ {
        let mut wanted = Some(wait);
        std::future::poll_fn(move |_| match wanted.take() {
            Some(wait) => {
                self.wanted.replace(Some(wait));
                Poll::Pending
            }
            None => Poll::Ready(()),
        })
    }

    /// Adds to what identifies the progress of the task that runs now.
    pub fn observe(&self, what: &[u8]) {
        self.observed.set(hash(self.observed.get(), what));
    }

    /// Runs one task for one turn, and lets time pass if none can run. Returns `false` if nothing is left to
    /// run until `end`, in milliseconds.
    pub fn step(&self, choices: &RefCell<Choices>, end: i64) -> bool {
        self.settle();
        let mut able = self.able();
        if able.is_empty() {
            let Some(next) = self.next_time().filter(|next| *next <= end) else {
                return false;
            };
            self.now.set(next);
            able = self.able();
        }
        let chosen = choices.borrow_mut().below(able.len());
        let Some(index) = able.get(chosen).copied() else {
            return false;
        };
        let mut task = self.tasks.borrow_mut().remove(index);
        self.observed.set(task.history);
        let poll = task.work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if poll.is_pending() && !self.ended.borrow().contains(&task.group) {
            task.wait = self.wanted.take().unwrap_or(Wait::Turn);
            task.history = hash(self.observed.get(), b"turn");
            self.tasks.borrow_mut().insert(index, task);
        }
        true
    }

    /// The number of tasks that are not over.
    pub fn len(&self) -> usize {
        self.settle();
        self.tasks.borrow().len()
    }

    /// Whether all tasks are over.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A fingerprint of all tasks: their histories and what they wait for.
    pub fn fingerprint(&self) -> u64 {
        self.settle();
        let of = |task: &Task| {
            let wait = match &task.wait {
                Wait::Turn => -1,
                Wait::Until(at) => at - self.now(),
                Wait::Flag(flag, at) => {
                    if flag.get() {
                        -2
                    } else {
                        at.saturating_sub(self.now())
                    }
                }
                Wait::Bell(bell) => bell.get().map_or(-3, |at| at - self.now()),
            };
            hash(task.history, &wait.to_le_bytes())
        };
        let tasks = self.tasks.borrow();
        tasks.iter().fold(0, |all, task| hash(all, &of(task).to_le_bytes()))
    }

    /// Adds what was started and removes what was ended in the last turn. A dropped task may have started or
    /// ended others, so this repeats.
    fn settle(&self) {
        loop {
            let started = self.started.take();
            let ended = self.ended.take();
            let begins = !started.is_empty();
            self.tasks.borrow_mut().extend(started);
            let over: Vec<Task> = {
                let mut tasks = self.tasks.borrow_mut();
                let has_gone = |task: &Task| task.gone.as_ref().is_some_and(|gone| gone.get());
                let is_over = |task: &mut Task| ended.contains(&task.group) || has_gone(task);
                tasks.extract_if(.., is_over).collect()
            };
            if over.is_empty() && !begins {
                return;
            }
            drop(over);
        }
    }

    fn able(&self) -> Vec<usize> {
        let now = self.now();
        let is_able = |task: &Task| match &task.wait {
            Wait::Turn => true,
            Wait::Until(at) => *at <= now,
            Wait::Flag(flag, at) => flag.get() || *at <= now,
            Wait::Bell(bell) => bell.get().is_some_and(|at| at <= now),
        };
        let tasks = self.tasks.borrow();
        tasks.iter().enumerate().filter(|(_, task)| is_able(task)).map(|(index, _)| index).collect()
    }

    fn next_time(&self) -> Option<i64> {
        let at = |task: &Task| match &task.wait {
            Wait::Turn => 0,
            Wait::Until(at) | Wait::Flag(_, at) => *at,
            Wait::Bell(bell) => bell.get().unwrap_or(i64::MAX),
        };
        self.tasks.borrow().iter().map(at).min()
    }
}

/// FNV-1a, continued from `seed`.
pub fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ seed;
    bytes
        .iter()
        .fold(start, |all, byte| (all ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
