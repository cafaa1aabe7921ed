// SPDX-License-Identifier: Apache-2.0
//! HTTP requests to providers and issuers. Each has a limit of time and of size, and follows no redirect.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::JsCast as _;

use crate::provider::endpoints::MAX_DOCUMENT;
use crate::provider::request::ProviderRequest;
use crate::provider::token_response::{self, MAX_ANSWER, ProviderResponse};
use crate::runtime::{executor, platform};
use crate::secret::Secret;

/// Time limit of a token request that a deletion waits for, in milliseconds. Renewals and the redemption of
/// codes have more: [`crate::vault::refresh::flight_time`], [`crate::connect::record::REDEEM_TIME`].
pub const TOKEN_TIME: u32 = 10_000;
/// Time limit of any other request, in milliseconds: the caller also waits for further steps.
pub const OTHER_TIME: u32 = 5_000;

/// Sends a request to a provider, with a time limit in milliseconds. [`ProviderResponse::Lost`] if no
/// headers arrive in that time; the core decides what counts of a response that had not ended when the connection
/// broke ([`ProviderResponse::broken_off`]). A body of more than [`MAX_ANSWER`] bytes counts as empty.
pub async fn send(request: &ProviderRequest, time: u32) -> ProviderResponse {
    let headers = Array::new();
    for (name, value) in request.all_headers() {
        headers.push(&name.into());
        headers.push(&value.into());
    }
    let body = request.body.as_ref().map(|body| body.text.expose());
    let method = request.method.name();
    let answered = fetch(method, request.url.as_str(), &headers, body, MAX_ANSWER, time).await;
    let Some(Received { status, retry_after, body, complete }) = answered else {
        return ProviderResponse::Lost;
    };
    // An invalid UTF-8 byte in some other member must not cost the user the token: tokens are ASCII.
    let body = match String::from_utf8(body) {
        Ok(body) => Secret::new(body),
        Err(error) => Secret::new(String::from_utf8_lossy(error.as_bytes())),
    };
    if complete {
        ProviderResponse::Answer { status, retry_after, body }
    } else {
        ProviderResponse::broken_off(status, retry_after, body)
    }
}

/// Fetches a public document of at most [`MAX_DOCUMENT`] bytes.
///
/// # Errors
/// The status of the response, if it is not 200; `None` if no complete response came.
pub async fn document(address: &str) -> Result<Vec<u8>, Option<u16>> {
    match fetch("GET", address, &Array::new(), None, MAX_DOCUMENT, OTHER_TIME).await {
        Some(Received { status: 200, body, complete: true, .. }) => Ok(body),
        Some(Received { status, complete, .. }) if complete || status != 200 => Err(Some(status)),
        _ => Err(None),
    }
}

/// Sends a form and returns the status of the response, whose body is not used.
pub async fn post_form(address: &str, fields: &[(&str, &Secret)]) -> Option<u16> {
    let headers = Array::of2(&"content-type".into(), &"application/x-www-form-urlencoded".into());
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        form.append_pair(name, value.expose());
    }
    let body = Secret::new(form.finish());
    let answered =
        fetch("POST", address, &headers, Some(body.expose()), MAX_DOCUMENT, OTHER_TIME).await;
    answered.map(|received| received.status)
}

/// A response of which at least the headers arrived.
struct Received {
    status: u16,
    retry_after: Option<String>,
    /// The body, or what had arrived of it.
    body: Vec<u8>,
    /// Whether the body is complete: the connection did not break, and the time did not run out.
    complete: bool,
}

async fn fetch(
    method: &str,
    url: &str,
    headers: &Array,
    body: Option<&str>,
    limit: usize,
    time: u32,
) -> Option<Received> {
    let sent = executor::wait_for(|number, settled| {
        platform::send(method, url, headers, body, limit, time, number, settled)
    });
    let answer: Array = sent.ok()?.await.ok()?.unchecked_into();
    // The body is null if it exceeds the limit. The response is complete all the same: it has a status, and
    // asking again would bring the same body.
    let body = answer.get(4).dyn_into::<Uint8Array>().map(|body| body.to_vec()).unwrap_or_default();
    let status = answer.get(0).as_f64()?;
    let header = |index| answer.get(index).as_string();
    let retry_after =
        token_response::retry_after(header(1), header(2).as_deref(), header(3).as_deref());
    let complete = answer.get(5).is_truthy();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an HTTP status")]
    let status = status as u16;
    Some(Received { status, retry_after, body, complete })
}
