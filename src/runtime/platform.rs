// SPDX-License-Identifier: Apache-2.0
//! Rust declarations of the functions in `platform.js`. Those that take a `number` and a `settled` function
//! call `settled(number, worked, value)` when the result is there: [`crate::runtime::executor::wait_for`].

use js_sys::{Array, Function, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::{Headers, Request, Response};

#[wasm_bindgen(module = "/src/runtime/platform.js")]
extern "C" {
    /// The head of a request as seven lines: method, URL, and the headers `content-length`, `content-type`,
    /// `authorization`, `cache-control` and `origin`. The line of an absent header is empty.
    pub fn head(request: &Request) -> String;

    /// Reads the whole body of a request that has a `content-length`, as a `Uint8Array`.
    #[wasm_bindgen(catch)]
    pub fn body(request: &Request, number: u32, settled: &Function) -> Result<(), JsValue>;

    /// Reads the body of a request without `content-length`, as a `Uint8Array`; null if it is longer than
    /// `limit` bytes.
    #[wasm_bindgen(catch, js_name = boundedBody)]
    pub fn bounded_body(
        request: &Request,
        limit: usize,
        number: u32,
        settled: &Function,
    ) -> Result<(), JsValue>;

    /// Sends an HTTP request to a provider or an issuer. The value is `[status, ...waits, body]`: a number,
    /// the three headers that say when to retry (strings or null), and a `Uint8Array`, or null for a body
    /// longer than `limit` bytes. `headers` alternates names and values. Redirects are not followed. The
    /// promise is rejected after `milliseconds`.
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

    /// Runs a statement in the database of this storage. The first value is the number of columns; then follow
    /// those of all rows. It is empty if there are no rows.
    #[wasm_bindgen(catch)]
    pub fn rows(
        storage: &JsValue,
        query: &str,
        parameters: Vec<JsValue>,
    ) -> Result<Vec<JsValue>, JsValue>;

    /// Runs `work` in one transaction of this storage, and rolls back if it returns `false`.
    #[wasm_bindgen(catch)]
    pub fn transaction(storage: &JsValue, work: &mut dyn FnMut() -> bool) -> Result<(), JsValue>;

    /// Makes a response. `head` has the headers: a name and a value per line, in turn.
    #[wasm_bindgen(catch)]
    pub fn respond(status: u16, head: &str, body: Option<&str>) -> Result<Response, JsValue>;

    /// Makes a response 200 with a copy of these headers, and with `timing` as the header `server-timing`.
    #[wasm_bindgen(catch)]
    pub fn token(headers: &Headers, timing: &str, body: &str) -> Result<Response, JsValue>;

    /// Makes an object's response, with the message in the header `reply`.
    #[wasm_bindgen(catch)]
    pub fn reply(status: u16, message: &str) -> Result<Response, JsValue>;

    /// The message in the `question` header of a request to an object; `None` if it is in the body.
    pub fn question(request: &Request) -> Option<String>;

    /// Sends a message to the object `name` of the class with this `binding` in `env`. It is created near `hint` if
    /// there is none. The value is its response, or the message of it as a string if that is in the header
    /// `reply`; `undefined` if none arrives within `milliseconds`.
    #[wasm_bindgen(catch)]
    pub fn ask(
        env: &JsValue,
        binding: &str,
        name: &str,
        hint: Option<&str>,
        question: &str,
        in_header: bool,
        milliseconds: u32,
        number: u32,
        settled: &Function,
    ) -> Result<(), JsValue>;

    /// Calls `settled` when `promise` is fulfilled or rejected.
    #[wasm_bindgen(catch)]
    pub fn watch(promise: &Promise, number: u32, settled: &Function) -> Result<(), JsValue>;

    /// Creates a promise that [`settle`] settles by its number.
    pub fn promise(number: u32) -> Promise;

    /// Counts the promises of [`promise`] that are not settled yet.
    #[cfg(feature = "test-clock")]
    pub fn unsettled() -> usize;

    /// Settles the promise with this number: fulfils it if `worked`, else rejects it.
    pub fn settle(number: u32, worked: bool, value: &JsValue);
}
