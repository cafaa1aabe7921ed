// SPDX-License-Identifier: Apache-2.0
//! Requests as the core reads them, and answers as it wants them.
//!
//! The platform's own types, and not `worker`'s around them: those copy headers and bodies that
//! nobody reads, and build an answer a second time.

use js_sys::Uint8Array;
use serde_json::Value;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{Headers, Request, Response, ResponseInit};

use crate::error::{OAuthError, ProblemDetails};
use crate::message::Outcome;
use crate::pages::Page;
use crate::runtime::{executor, platform};
use crate::secret::Secret;
use crate::text;

/// An answer. An error is the platform's, and holds none of our data.
pub type HttpResult = worker::Result<Response>;

/// A request.
pub struct Incoming {
    /// `GET`, `POST` …, as it was sent.
    pub method: String,
    /// Path of the URL.
    pub path: String,
    /// Query without its `?`, or empty. It holds secrets of the browser's hops.
    pub query: Secret,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Authorization`.
    pub authorization: Option<Secret>,
    length: Option<String>,
    request: Request,
}

impl Incoming {
    /// Takes a request apart.
    pub fn new(request: Request) -> Self {
        let head = Secret::new(platform::head(&request));
        let mut lines = head.expose().split('\n');
        let mut line = || lines.next().unwrap_or_default();
        let method = line().to_owned();
        let (path, query) = text::path_and_query(line());
        let mut header = || Some(line()).filter(|value| !value.is_empty());
        Self {
            method,
            path: path.to_owned(),
            query: Secret::new(query),
            length: header().map(str::to_owned),
            content_type: header().map(str::to_owned),
            authorization: header().map(Secret::new),
            request,
        }
    }

    /// Another header's value.
    pub fn header(&self, name: &str) -> Option<String> {
        self.request.headers().get(name).ok().flatten()
    }

    /// The body, if it is whole and no longer than `limit` bytes.
    pub async fn body(&self, limit: usize) -> Option<Vec<u8>> {
        match &self.length {
            // A body that tells its length has no more than that.
            Some(length) => {
                let length: usize = length.parse().ok()?;
                if length > limit {
                    return None;
                }
                let read = |number, settled: &_| platform::body(&self.request, number, settled);
                let body: Uint8Array = executor::wait_for(read).ok()?.await.ok()?.unchecked_into();
                Some(body.to_vec()).filter(|body| body.len() <= limit)
            }
            None => {
                let read = |number, settled: &_| {
                    platform::bounded_body(&self.request, limit, number, settled)
                };
                let body = executor::wait_for(read).ok()?.await.ok()?;
                Some(body.dyn_into::<Uint8Array>().ok()?.to_vec())
            }
        }
    }
}

/// Makes an answer.
fn respond(status: u16, headers: &[(&str, &str)], body: Option<&str>) -> HttpResult {
    Ok(Response::new_with_opt_str_and_init(body, &init(status, headers)?)?)
}

fn init(status: u16, headers: &[(&str, &str)]) -> Result<ResponseInit, JsValue> {
    let all = Headers::new()?;
    for (name, value) in headers {
        all.set(name, value)?;
    }
    let init = ResponseInit::new();
    init.set_status(status);
    init.set_headers(&all);
    Ok(init)
}

/// Headers of JSON that must not be stored. The content type has no charset: a client of Auth0's
/// compares it whole.
const JSON: [(&str, &str); 4] = [
    ("content-type", "application/json"),
    ("cache-control", "no-store"),
    ("pragma", "no-cache"),
    ("x-content-type-options", "nosniff"),
];

/// JSON that must not be stored.
pub fn json(status: u16, body: &Value) -> HttpResult {
    respond(status, &JSON, Some(&body.to_string()))
}

/// A public document that may be cached for a while.
pub fn document(body: &Value) -> HttpResult {
    let headers = [("content-type", "application/json"), ("cache-control", "public, max-age=300")];
    respond(200, &headers, Some(&body.to_string()))
}

/// An error of the token endpoint.
pub fn oauth_error(error: &OAuthError) -> HttpResult {
    let response = json(error.status, &error.body())?;
    if let Some(seconds) = error.retry_after {
        response.headers().set("retry-after", &seconds.to_string())?;
    }
    if let Some(challenge) = error.challenge {
        response.headers().set("www-authenticate", challenge)?;
    }
    Ok(response)
}

/// An error of the connected-accounts API.
pub fn problem(problem: &ProblemDetails) -> HttpResult {
    let response = json(problem.status, &problem.body())?;
    if let Some(seconds) = problem.retry_after {
        response.headers().set("retry-after", &seconds.to_string())?;
    }
    if let Some(allow) = problem.allow {
        response.headers().set("allow", allow)?;
    }
    Ok(response)
}

/// 204 with these headers.
pub fn no_content(headers: &[(&str, &str)]) -> HttpResult {
    respond(204, headers, None)
}

/// Sends a browser on. 303, so that nothing is posted along (RFC 9700 §4.12).
pub fn redirect(location: &Secret, cookie: &Secret) -> HttpResult {
    let headers = [
        ("location", location.expose()),
        ("set-cookie", cookie.expose()),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
    ];
    respond(303, &headers, None)
}

/// A page, with its own policy. Older browsers know `X-Frame-Options` alone, which cannot name the
/// one origin that may frame an answer.
pub fn page(status: u16, page: &Page) -> HttpResult {
    let headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", page.content_security_policy.as_str()),
    ];
    let response = respond(status, &headers, Some(&page.html))?;
    if !page.framed {
        response.headers().set("x-frame-options", "DENY")?;
    }
    Ok(response)
}

/// Plain text for whoever operates the vault.
pub fn text(status: u16, text: &str) -> HttpResult {
    let headers = [("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store")];
    respond(status, &headers, Some(text))
}

/// 405.
pub fn method_not_allowed(allow: &str) -> HttpResult {
    let description = format!("use {allow}");
    let response = json(405, &OAuthError::new(405, "invalid_request", &description).body())?;
    response.headers().set("allow", allow)?;
    Ok(response)
}

/// 404.
pub fn not_found() -> HttpResult {
    problem(&ProblemDetails::new(404, "There is nothing at this address."))
}

/// 503: the operator's log says what to fix.
pub fn configuration_error() -> HttpResult {
    text(503, "configuration error")
}

thread_local! {
    /// How every token leaves, made once.
    static LEAVING: Option<ResponseInit> = init(Outcome::Passthrough.status(), &JSON).ok();
}

/// 200 with JSON that must not be stored, already written.
pub fn passthrough(body: &str) -> Result<Response, JsValue> {
    LEAVING.with(|ready| match ready {
        Some(ready) => Response::new_with_opt_str_and_init(Some(body), ready),
        None => Response::new_with_opt_str_and_init(
            Some(body),
            &init(Outcome::Passthrough.status(), &JSON)?,
        ),
    })
}

/// An answer to ourselves.
pub fn outcome(outcome: Outcome, body: &str) -> Result<Response, JsValue> {
    Response::new_with_opt_str_and_init(Some(body), &init(outcome.status(), &[])?)
}
