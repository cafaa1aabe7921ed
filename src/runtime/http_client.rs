// SPDX-License-Identifier: Apache-2.0
//! Requests to providers and issuers: bounded in time and size, redirects not followed.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::JsCast as _;

use crate::provider::endpoints::MAX_DOCUMENT;
use crate::provider::request::ProviderRequest;
use crate::provider::token_response::{self, MAX_ANSWER, ProviderResponse};
use crate::runtime::{executor, platform};
use crate::secret::Secret;

/// How many milliseconds a provider may take to answer a token request that a deletion waits for. Renewals
/// and codes have more: [`crate::vault::refresh::flight_time`], [`crate::connect::record::REDEEM_TIME`].
pub const TOKEN_TIME: u32 = 10_000;
/// How many milliseconds anything else may take: the caller is waiting for more than this.
pub const OTHER_TIME: u32 = 5_000;

/// Sends a request to a provider.
pub async fn send(request: &ProviderRequest, time: u32) -> ProviderResponse {
    let headers = Array::new();
    for (name, value) in request.all_headers() {
        headers.push(&name.into());
        headers.push(&value.into());
    }
    let body = request.body.as_ref().map(|body| body.text.expose());
    let method = request.method.name();
    let answered = fetch(method, request.url.as_str(), &headers, body, MAX_ANSWER, time).await;
    let Some((status, retry_after, body)) = answered else {
        return ProviderResponse::Lost;
    };
    // A byte that is no UTF-8 in a text nobody uses costs nobody a token: tokens are ASCII.
    let body = match String::from_utf8(body) {
        Ok(body) => Secret::new(body),
        Err(error) => Secret::new(String::from_utf8_lossy(error.as_bytes())),
    };
    ProviderResponse::Answer { status, retry_after, body }
}

/// Fetches a public document. `None` unless it came whole with status 200.
pub async fn document(address: &str) -> Option<Vec<u8>> {
    match fetch("GET", address, &Array::new(), None, MAX_DOCUMENT, OTHER_TIME).await? {
        (200, _, body) => Some(body),
        _ => None,
    }
}

async fn fetch(
    method: &str,
    url: &str,
    headers: &Array,
    body: Option<&str>,
    limit: usize,
    time: u32,
) -> Option<(u16, Option<String>, Vec<u8>)> {
    let sent = executor::wait_for(|number, settled| {
        platform::send(method, url, headers, body, limit, time, number, settled)
    });
    let answer: Array = sent.ok()?.await.ok()?.unchecked_into();
    let body: Uint8Array = answer.get(4).dyn_into().ok()?;
    let status = answer.get(0).as_f64()?;
    let told = |index| answer.get(index).as_string();
    let retry_after = token_response::retry_after(told(1), told(2).as_deref(), told(3).as_deref());
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an HTTP status")]
    Some((status as u16, retry_after, body.to_vec()))
}
