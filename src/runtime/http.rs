// SPDX-License-Identifier: Apache-2.0
//! Requests in the form that the core reads, and responses in the form that it wants.
//!
//! These use the platform's own types and not `worker`'s around them, which copy headers and bodies
//! that nobody reads, and build a response a second time.

use js_sys::Uint8Array;
use serde_json::Value;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{Headers, Request, Response, ResponseInit};
use zeroize::Zeroizing;

use crate::error::{OAuthError, ProblemDetails};
use crate::message::Outcome;
use crate::pages::Page;
use crate::runtime::{executor, platform};
use crate::secret::Secret;
use crate::text;

/// A response. An error is the platform's and holds no data of ours.
pub type HttpResult = worker::Result<Response>;

/// A request in its parts.
pub struct Incoming {
    /// The method as it was sent.
    pub method: String,
    /// The path of the URL.
    pub path: String,
    /// The query without `?`, or empty. It carries secrets of the browser's hops.
    pub query: Secret,
    /// The header `Content-Type`.
    pub content_type: Option<String>,
    /// The header `Authorization`.
    pub authorization: Option<Secret>,
    /// The header `Cache-Control`.
    pub cache_control: Option<String>,
    /// The header `Origin`.
    pub origin: Option<String>,
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
            cache_control: header().map(str::to_owned),
            origin: header().map(str::to_owned),
            request,
        }
    }

    /// The value of another header.
    pub fn header(&self, name: &str) -> Option<String> {
        self.request.headers().get(name).ok().flatten()
    }

    /// The body. `None` if it is longer than `limit` bytes or did not arrive whole.
    pub async fn body(&self, limit: usize) -> Option<Vec<u8>> {
        match &self.length {
            // A body that announces its length has no more than that.
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

/// Makes a response, in one call: each crossing between wasm and the platform costs as much as most of the work.
fn respond(status: u16, headers: &[(&str, &str)], body: Option<&str>) -> HttpResult {
    // Cookies and addresses are secrets.
    let mut head = Zeroizing::new(String::new());
    for part in headers.iter().flat_map(|(name, value)| [name, value]) {
        if part.contains('\n') {
            return Err(worker::Error::RustError("header".into()));
        }
        head.push_str(part);
        head.push('\n');
    }
    Ok(platform::respond(status, &head, body)?)
}

/// Headers of JSON that must not be stored. The content type has no charset, because an SDK of
/// Auth0's compares it as a whole.
const JSON: [(&str, &str); 4] = [
    ("content-type", "application/json"),
    ("cache-control", "no-store"),
    ("pragma", "no-cache"),
    ("x-content-type-options", "nosniff"),
];

/// A response with JSON that must not be stored.
pub fn json(status: u16, body: &Value) -> HttpResult {
    json_with(status, body, [])
}

/// The same with further headers, which are left out where they have no value.
pub fn json_with<const N: usize>(
    status: u16,
    body: &Value,
    more: [(&str, Option<&str>); N],
) -> HttpResult {
    let mut headers = JSON.to_vec();
    headers.extend(more.iter().filter_map(|(name, value)| value.map(|value| (*name, value))));
    respond(status, &headers, Some(&body.to_string()))
}

/// A response with a public document that may be cached for a while.
pub fn document(body: &Value) -> HttpResult {
    let headers = [("content-type", "application/json"), ("cache-control", "public, max-age=300")];
    respond(200, &headers, Some(&body.to_string()))
}

/// An error response of the token endpoint (RFC 6749 §5.2).
pub fn oauth_error(error: &OAuthError) -> HttpResult {
    let retry_after = error.retry_after.map(|seconds| seconds.to_string());
    let headers = [("retry-after", retry_after.as_deref()), ("www-authenticate", error.challenge)];
    json_with(error.status, &error.body(), headers)
}

/// An error response of the connected-accounts API (RFC 9457).
pub fn problem(problem: &ProblemDetails) -> HttpResult {
    let retry_after = problem.retry_after.map(|seconds| seconds.to_string());
    let headers = [("retry-after", retry_after.as_deref()), ("allow", problem.allow)];
    json_with(problem.status, &problem.body(), headers)
}

/// A response 204 with these headers.
pub fn no_content(headers: &[(&str, &str)]) -> HttpResult {
    respond(204, headers, None)
}

/// Redirects a browser, with these cookies. The status is 303, so that it
/// posts nothing to the new address (RFC 9700 §4.12).
pub fn see_other(location: &Secret, cookies: &[Secret]) -> HttpResult {
    let mut headers = vec![
        ("location", location.expose()),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
    ];
    headers.extend(cookies.iter().map(|cookie| ("set-cookie", cookie.expose())));
    respond(303, &headers, None)
}

/// Adds headers. A response that an object wrote has headers that cannot change, so it is made anew around
/// the same body.
pub fn with_headers(response: Response, headers: &[(&str, &str)]) -> HttpResult {
    let add = |response: &Response| {
        headers.iter().try_for_each(|(name, value)| response.headers().set(name, value))
    };
    if add(&response).is_ok() {
        return Ok(response);
    }
    let init = ResponseInit::new();
    init.set_status(response.status());
    init.set_headers(&response.headers());
    let body = response.body();
    let copy = Response::new_with_opt_readable_stream_and_init(body.as_ref(), &init)?;
    add(&copy)?;
    Ok(copy)
}

/// The response to a preflight (Fetch standard).
pub fn preflight() -> HttpResult {
    no_content(&[
        ("access-control-allow-methods", "GET, POST, DELETE"),
        ("access-control-allow-headers", "Authorization, Content-Type, DPoP, Auth0-Client"),
        ("access-control-max-age", "600"),
    ])
}

/// A page with its own policies, and these cookies. Browsers that do not know `frame-ancestors` need
/// `X-Frame-Options`, which cannot name the one origin that may frame a page.
pub fn page(status: u16, page: &Page, cookies: &[Secret]) -> HttpResult {
    let mut headers = vec![
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("content-language", page.language),
        ("referrer-policy", page.referrer_policy),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", page.content_security_policy.as_str()),
    ];
    if !page.framed {
        headers.push(("x-frame-options", "DENY"));
    }
    headers.extend(cookies.iter().map(|cookie| ("set-cookie", cookie.expose())));
    respond(status, &headers, Some(&page.html))
}

/// A response in plain text, for the operator.
pub fn text(status: u16, text: &str) -> HttpResult {
    let headers = [("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store")];
    respond(status, &headers, Some(text))
}

/// A response 405 (RFC 9110 §15.5.6).
pub fn method_not_allowed(allow: &str) -> HttpResult {
    let description = format!("use {allow}");
    let body = OAuthError::new(405, "invalid_request", &description).body();
    json_with(405, &body, [("allow", Some(allow))])
}

/// A response 404.
pub fn not_found() -> HttpResult {
    problem(&ProblemDetails::new(404, "There is nothing at this address."))
}

/// A response 503. The operator's log says what to fix.
pub fn configuration_error() -> HttpResult {
    text(503, "configuration error")
}

thread_local! {
    /// The headers of every token response, made once: the platform copies them in less time than it makes them.
    static LEAVING: Option<Headers> = json(200, &Value::Null).ok().map(|made| made.headers());
}

/// A response 200 with a token. `timing` is the header `Server-Timing` (W3C Server Timing).
pub fn token(body: &Secret, timing: &str) -> HttpResult {
    LEAVING.with(|headers| {
        let headers = headers.as_ref().ok_or(JsValue::UNDEFINED)?;
        Ok(platform::token(headers, timing, body.expose())?)
    })
}

/// Longest message that an object sends in a header, in bytes.
const MAX_HEADER: usize = 8192;

/// An object's response to the Worker.
pub fn outcome(outcome: Outcome, body: &str) -> HttpResult {
    match outcome {
        Outcome::Passthrough => respond(outcome.status(), &JSON, Some(body)),
        // The Worker takes a header up sooner than a body.
        Outcome::Released if body.len() <= MAX_HEADER && body.is_ascii() => {
            Ok(platform::reply(outcome.status(), body)?)
        }
        _ => respond(outcome.status(), &[], Some(body)),
    }
}
