// SPDX-License-Identifier: Apache-2.0
//! Futures and promises, for the platform's one thread.
//!
//! What `wasm-bindgen-futures` does through two closures per promise and a microtask per wake costs
//! more than an exchange's own work. Here one closure serves all promises, and who is woken goes on
//! at once, within the request whose promise settled.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::mem;
use std::pin::Pin;
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

/// Numbers go round; what lives is far fewer.
fn number() -> u32 {
    NEXT.replace(NEXT.get().wrapping_add(1))
}

/// Work and whether it is to go on as soon as its present turn ends.
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

/// Starts `work` at once and gives a promise of its result.
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

/// What is there until it ends: tasks, promises of theirs, what they wait for, and values of
/// JavaScript's that are held.
#[cfg(feature = "test-clock")]
pub fn live() -> serde_json::Value {
    serde_json::json!({
        "tasks": TASKS.with_borrow(HashMap::len),
        "promises": platform::unsettled(),
        "waits": WAITS.with_borrow(HashMap::len),
        "values": wasm_bindgen::externref_heap_live_count(),
    })
}

/// Lets a task go on until it waits again.
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

/// The work of a task that waits. One that runs is told to go on, one that has ended is none.
fn take(tasks: &mut HashMap<u32, Task>, number: u32) -> Option<Work> {
    let task = tasks.get_mut(&number)?;
    let woken = matches!(task, Task::Running { .. });
    match mem::replace(task, Task::Running { woken }) {
        Task::Waiting(work) => Some(work),
        Task::Running { .. } => None,
    }
}

enum Wait {
    Since(Waker),
    Over(Result<JsValue, JsValue>),
}

/// Something of the platform's that is waited for.
pub struct Awaited {
    number: u32,
}

/// Waits for a promise.
///
/// # Errors
/// What the promise was rejected with.
pub async fn wait(promise: &Promise) -> Result<JsValue, JsValue> {
    wait_for(|number, settled| platform::watch(promise, number, settled))?.await
}

/// Waits for what `begin` begins: one of the functions of [`platform`] that take a number.
///
/// # Errors
/// What `begin` threw.
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

/// The function that every watched promise calls.
fn settled() -> Function {
    let settled = |number: u32, worked: bool, value: JsValue| {
        let over = Wait::Over(if worked { Ok(value) } else { Err(value) });
        let waiting = WAITS.with_borrow_mut(|waits| {
            // Whoever waited may have gone.
            waits.contains_key(&number).then(|| waits.insert(number, over))
        });
        if let Some(Some(Wait::Since(waker))) = waiting {
            waker.wake();
        }
    };
    let settled = Closure::<dyn Fn(u32, bool, JsValue)>::new(settled);
    settled.into_js_value().unchecked_into()
}
