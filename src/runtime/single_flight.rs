// SPDX-License-Identifier: Apache-2.0
//! Work that goes on when its caller goes away, and that several callers share.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use worker::State;

/// Runs `work` to its end, even if the request that asked for it is aborted, and gives its result.
/// `None` only if the work itself was lost.
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

/// Work in flight by key: whoever asks while it runs waits for the same work.
///
/// The promises are this object's own: an isolate must never wait for another request's.
pub struct Flights<K>(RefCell<HashMap<K, Promise>>);

impl<K> Default for Flights<K> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<K: Eq + Hash + Clone + 'static> Flights<K> {
    /// Waits for the work in flight under `key`, or starts `work` and waits for that: then it is
    /// `true`.
    pub async fn join<F>(self: &Rc<Self>, state: &State, key: K, work: impl FnOnce() -> F) -> bool
    where
        F: Future<Output = ()> + 'static,
    {
        let running = self.0.borrow().get(&key).cloned();
        let starts = running.is_none();
        let promise = match running {
            Some(promise) => promise,
            None => {
                let work = work();
                let (flights, own) = (self.clone(), key.clone());
                // The promise's work first runs after this turn, so the entry is there before it
                // is taken out.
                let promise = spawn(state, async move {
                    work.await;
                    flights.0.borrow_mut().remove(&own);
                });
                self.0.borrow_mut().insert(key, promise.clone());
                promise
            }
        };
        wait(&promise).await;
        starts
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
    // It never rejects; if it did, the caller finds that nothing changed.
    let _ = JsFuture::from(promise.clone()).await;
}
