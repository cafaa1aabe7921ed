// SPDX-License-Identifier: Apache-2.0
//! `platform.js`, as Rust calls it. Functions that take a number call
//! `settled(number, worked, value)` when there is a result: [`crate::runtime::executor::wait_for`].

use js_sys::{Array, Function, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Request;

#[wasm_bindgen(module = "/src/runtime/platform.js")]
extern "C" {
    /// Five lines: method, URL, `content-length`, `content-type`, `authorization`.
    pub fn head(request: &Request) -> String;

    /// Reads the body of a request that told its length, as a `Uint8Array`.
    #[wasm_bindgen(catch)]
    pub fn body(request: &Request, number: u32, settled: &Function) -> Result<(), JsValue>;

    /// Reads the body of another request, as a `Uint8Array`; null if it is longer than `limit`.
    #[wasm_bindgen(catch, js_name = boundedBody)]
    pub fn bounded_body(
        request: &Request,
        limit: usize,
        number: u32,
        settled: &Function,
    ) -> Result<(), JsValue>;

    /// Sends a request to somebody else, for `[status, ...waits, body]`: a number, three headers that
    /// tell when to come again (strings or null), and a `Uint8Array` or null if it is longer than
    /// `limit`. `headers` has the name of each header and then its value.
    /// Redirects are not followed.
    #[wasm_bindgen(catch)]
    pub fn send(
        method: &str,
        url: &str,
        headers: &Array,
        body: Option<&str>,
        limit: usize,
        milliseconds: u32,
        number: u32,
        settled: &Function,
    ) -> Result<(), JsValue>;

    /// Runs `work` in one transaction of this storage; undoes what it wrote if it gives `false`.
    #[wasm_bindgen(catch)]
    pub fn transaction(storage: &JsValue, work: &mut dyn FnMut() -> bool) -> Result<(), JsValue>;

    /// The question in a request to an object.
    pub fn question(request: &Request) -> Option<String>;

    /// Asks an object for its response; `undefined` when the time is over.
    #[wasm_bindgen(catch)]
    pub fn ask(
        namespace: &JsValue,
        name: &str,
        question: &str,
        in_header: bool,
        milliseconds: u32,
        number: u32,
        settled: &Function,
    ) -> Result<(), JsValue>;

    /// Waits for a promise.
    #[wasm_bindgen(catch)]
    pub fn watch(promise: &Promise, number: u32, settled: &Function) -> Result<(), JsValue>;

    /// A promise that [`settle`] settles.
    pub fn promise(number: u32) -> Promise;

    /// How many promises of [`promise`] are not settled yet.
    #[cfg(feature = "test-clock")]
    pub fn unsettled() -> usize;

    /// Settles the promise of this number.
    pub fn settle(number: u32, worked: bool, value: &JsValue);
}
