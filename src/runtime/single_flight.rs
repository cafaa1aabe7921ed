// SPDX-License-Identifier: Apache-2.0
//! Work that continues when its caller disconnects, and work that several callers share.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::future_to_promise;
use worker::State;

use crate::runtime::executor;

/// Runs `work` to its end, even if the request that started it is aborted, and returns its result.
/// `None` only if the work itself ended without a result.
pub async fn run<T: 'static>(state: &State, work: impl Future<Output = T> + 'static) -> Option<T> {
    let slot = Rc::new(RefCell::new(None));
    let promise = spawn(state, {
        let slot = slot.clone();
        async move {
            let result = work.await;
            slot.replace(Some(result));
        }
    });
    wait(&promise).await;
    slot.take()
}

/// Work in flight, by key: a caller that arrives while it runs waits for the same work.
///
/// Each object has its own map. The promises belong to this object, because code outside an object must
/// never wait for a promise that another request created.
pub struct Flights<K>(RefCell<HashMap<K, Promise>>);

impl<K> Default for Flights<K> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<K: Eq + Hash + Clone + 'static> Flights<K> {
    /// Whether no work is in flight.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Waits for the work in flight under `key`, or starts `work` and waits for that. Returns whether this
    /// call started it.
    pub async fn join<F>(self: &Rc<Self>, state: &State, key: K, work: impl FnOnce() -> F) -> bool
    where
        F: Future<Output = ()> + 'static,
    {
        let (promise, starts) = self.in_flight(state, key, work);
        wait(&promise).await;
        starts
    }

    /// Starts `work` unless work is in flight under `key`, and does not wait.
    pub fn start<F>(self: &Rc<Self>, state: &State, key: K, work: impl FnOnce() -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        let _ = self.in_flight(state, key, work);
    }

    fn in_flight<F>(
        self: &Rc<Self>,
        state: &State,
        key: K,
        work: impl FnOnce() -> F,
    ) -> (Promise, bool)
    where
        F: Future<Output = ()> + 'static,
    {
        if let Some(running) = self.0.borrow().get(&key) {
            return (running.clone(), false);
        }
        let work = work();
        let (flights, own) = (self.clone(), key.clone());
        // The work first runs in a later microtask, so the entry is inserted before the work removes it.
        let promise = spawn(state, async move {
            work.await;
            flights.0.borrow_mut().remove(&own);
        });
        self.0.borrow_mut().insert(key, promise.clone());
        (promise, true)
    }
}

fn spawn(state: &State, work: impl Future<Output = ()> + 'static) -> Promise {
    let promise = future_to_promise(async move {
        work.await;
        Ok(JsValue::UNDEFINED)
    });
    let kept = promise.clone();
    state.wait_until(async move { wait(&kept).await });
    promise
}

async fn wait(promise: &Promise) {
    // The promise never rejects. If it did, the caller would find the stored state unchanged.
    let _ = executor::wait(promise).await;
}
