// SPDX-License-Identifier: Apache-2.0
//! A single-threaded executor that connects Rust futures with JavaScript promises.
//!
//! `wasm-bindgen-futures` allocates two closures per promise and schedules a microtask per wake; that costs
//! more than the work of an exchange itself. Here one closure serves all promises, and a task that is woken
//! is polled at once, within the request whose promise settled.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use js_sys::{Function, Promise};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast as _, JsValue};

use crate::runtime::platform;

type Work = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    static NEXT: Cell<u32> = const { Cell::new(0) };
    static TASKS: RefCell<HashMap<u32, Task>> = RefCell::default();
    static WAITS: RefCell<HashMap<u32, Wait>> = RefCell::default();
    static SETTLED: Function = settled();
}

/// Numbers wrap around; far fewer are in use at any time.
fn number() -> u32 {
    NEXT.replace(NEXT.get().wrapping_add(1))
}

/// A future that waits, or the mark of one that is being polled, with whether it was woken meanwhile and
/// must be polled again.
enum Task {
    Waiting(Work),
    Running { woken: bool },
}

struct Number(u32);

impl Wake for Number {
    fn wake(self: Arc<Self>) {
        run(self.0);
    }
}

/// A future that [`apart`] made.
pub type Apart<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Moves a future into an allocation of its own, and its code into a function of its own.
///
/// The compiler puts a future that is awaited in one place into the one that awaits it, and V8 compiles a function
/// as a whole when it is called for the first time. Without this, the first exchange of an isolate would wait for
/// the code of all other endpoints.
pub fn apart<'a, T>(work: impl Future<Output = T> + 'a) -> Apart<'a, T> {
    Box::pin(work)
}

/// Polls `work` for the first time at once and returns a promise of its result.
pub fn start(work: impl Future<Output = Result<JsValue, JsValue>> + 'static) -> Promise {
    let number = number();
    let promise = platform::promise(number);
    let work = async move {
        match work.await {
            Ok(value) => platform::settle(number, true, &value),
            Err(error) => platform::settle(number, false, &error),
        }
    };
    TASKS.with_borrow_mut(|tasks| tasks.insert(number, Task::Waiting(Box::pin(work))));
    run(number);
    promise
}

/// Polls `work` once, and drops it.
pub fn poll_once(work: impl Future) {
    let _ = pin!(work).poll(&mut Context::from_waker(Waker::noop()));
}

/// Counts what is live, so that tests can detect leaks: tasks, their unsettled promises, registered waits,
/// and JavaScript values that Rust holds.
#[cfg(feature = "test-clock")]
pub fn live() -> serde_json::Value {
    serde_json::json!({
        "tasks": TASKS.with_borrow(HashMap::len),
        "promises": platform::unsettled(),
        "waits": WAITS.with_borrow(HashMap::len),
        "values": wasm_bindgen::externref_heap_live_count(),
    })
}

/// Polls a task until it is pending without a wake, or done.
fn run(number: u32) {
    let waker = Waker::from(Arc::new(Number(number)));
    while let Some(mut work) = TASKS.with_borrow_mut(|tasks| take(tasks, number)) {
        let pending = work.as_mut().poll(&mut Context::from_waker(&waker)).is_pending();
        let again = TASKS.with_borrow_mut(|tasks| {
            if !pending {
                tasks.remove(&number);
                return false;
            }
            let task = tasks.insert(number, Task::Waiting(work));
            matches!(task, Some(Task::Running { woken: true }))
        });
        if !again {
            return;
        }
    }
}

/// Takes out the future of a waiting task. A running task is marked as woken instead. `None` for that, and
/// for a task that has ended.
fn take(tasks: &mut HashMap<u32, Task>, number: u32) -> Option<Work> {
    let task = tasks.get_mut(&number)?;
    let woken = matches!(task, Task::Running { .. });
    match mem::replace(task, Task::Running { woken }) {
        Task::Waiting(work) => Some(work),
        Task::Running { .. } => None,
    }
}

/// Runs two futures at the same time, and returns when both are done.
pub async fn both<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let mut done = (None, None);
    poll_fn(move |context| {
        if done.0.is_none()
            && let Poll::Ready(output) = one.as_mut().poll(context)
        {
            done.0 = Some(output);
        }
        if done.1.is_none()
            && let Poll::Ready(output) = other.as_mut().poll(context)
        {
            done.1 = Some(output);
        }
        match mem::take(&mut done) {
            (Some(one), Some(other)) => Poll::Ready((one, other)),
            waiting => {
                done = waiting;
                Poll::Pending
            }
        }
    })
    .await
}

enum Wait {
    Since(Waker),
    Over(Result<JsValue, JsValue>),
}

/// A future of a platform operation's result. `Err` holds what the operation's promise was rejected with.
pub struct Awaited {
    number: u32,
}

/// Waits for a promise and returns its value.
///
/// # Errors
/// The value with which the promise was rejected.
pub async fn wait(promise: &Promise) -> Result<JsValue, JsValue> {
    wait_for(|number, settled| platform::watch(promise, number, settled))?.await
}

/// Starts an operation and returns a future of its result. `begin` calls one of the functions of
/// [`platform`] that take a number.
///
/// # Errors
/// The exception that `begin` threw.
pub fn wait_for(
    begin: impl FnOnce(u32, &Function) -> Result<(), JsValue>,
) -> Result<Awaited, JsValue> {
    let number = number();
    SETTLED.with(|settled| begin(number, settled))?;
    WAITS.with_borrow_mut(|waits| waits.insert(number, Wait::Since(Waker::noop().clone())));
    Ok(Awaited { number })
}

impl Future for Awaited {
    type Output = Result<JsValue, JsValue>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let since = Wait::Since(context.waker().clone());
        WAITS.with_borrow_mut(|waits| match waits.insert(self.number, since) {
            Some(Wait::Over(result)) => Poll::Ready(result),
            _ => Poll::Pending,
        })
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        WAITS.with_borrow_mut(|waits| waits.remove(&self.number));
    }
}

/// The one function that every watched promise calls.
fn settled() -> Function {
    let settled = |number: u32, worked: bool, value: JsValue| {
        let over = Wait::Over(if worked { Ok(value) } else { Err(value) });
        let waiting = WAITS.with_borrow_mut(|waits| {
            // The future that waited may have been dropped.
            waits.contains_key(&number).then(|| waits.insert(number, over))
        });
        if let Some(Some(Wait::Since(waker))) = waiting {
            waker.wake();
        }
    };
    let settled = Closure::<dyn Fn(u32, bool, JsValue)>::new(settled);
    settled.into_js_value().unchecked_into()
}
