//! `platform.js`, as Rust calls it.

use js_sys::{Function, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Request;

#[wasm_bindgen(module = "/src/edge/platform.js")]
extern "C" {
    /// Five lines: method, URL, `content-length`, `content-type`, `authorization`.
    pub fn head(request: &Request) -> String;

    /// The body, as a promise of a `Uint8Array`.
    #[wasm_bindgen(catch)]
    pub fn body(request: &Request) -> Result<Promise, JsValue>;

    /// The question in a request to an object.
    pub fn question(request: &Request) -> Option<String>;

    /// A promise of an object's response, or of `undefined` when the time is over.
    #[wasm_bindgen(catch)]
    pub fn ask(
        namespace: &JsValue,
        name: &str,
        question: &str,
        in_header: bool,
        milliseconds: u32,
    ) -> Result<Promise, JsValue>;

    /// Calls `settled(number, worked, value)` once the promise is settled.
    pub fn watch(promise: &Promise, number: u32, settled: &Function);

    /// A promise that [`settle`] settles.
    pub fn promise(number: u32) -> Promise;

    /// Settles the promise of this number.
    pub fn settle(number: u32, worked: bool, value: &JsValue);
}
