//! Requests as the core reads them, and answers as it wants them.

use serde_json::Value;
use worker::{Headers, Request, Response, ResponseBuilder};

use super::body;
use crate::error::{OAuthError, Problem};
use crate::secret::Secret;

/// A request. Its method is the one that was sent: the platform's own type turns unknown ones into
/// `GET`.
pub struct Incoming {
    /// `GET`, `POST` …
    pub method: String,
    /// Path of the URL.
    pub path: String,
    /// Query without its `?`, or empty. It holds secrets of the browser's hops.
    pub query: Secret,
    request: Request,
}

impl Incoming {
    /// Takes a request apart. `None` if its URL is none.
    pub fn new(request: Request) -> Option<Self> {
        let url = request.url().ok()?;
        Some(Self {
            method: request.inner().method(),
            path: url.path().to_owned(),
            query: Secret::new(url.query().unwrap_or_default()),
            request,
        })
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<String> {
        self.request.headers().get(name).ok().flatten()
    }

    /// The body, if it is whole and no longer than `limit` bytes.
    pub async fn body(&mut self, limit: usize) -> Option<Vec<u8>> {
        let length = self.header("content-length").and_then(|value| value.parse::<usize>().ok());
        if length.is_some_and(|length| length > limit) {
            return None;
        }
        if self.request.inner().body().is_none() {
            return Some(Vec::new());
        }
        body::read(self.request.stream().ok()?, limit).await
    }
}

fn builder(status: u16, headers: &[(&str, &str)]) -> worker::Result<ResponseBuilder> {
    let all = Headers::new();
    for (name, value) in headers {
        all.append(name, value)?;
    }
    Ok(ResponseBuilder::new().with_status(status).with_headers(all))
}

/// JSON that must not be stored. The content type has no charset: a client of Auth0's compares it
/// whole.
pub fn json(status: u16, body: &Value) -> worker::Result<Response> {
    let headers = [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("pragma", "no-cache"),
        ("x-content-type-options", "nosniff"),
    ];
    Ok(builder(status, &headers)?.fixed(body.to_string().into_bytes()))
}

/// A public document that may be cached for a while.
pub fn document(body: &Value) -> worker::Result<Response> {
    let headers = [
        ("content-type", "application/json"),
        ("cache-control", "public, max-age=300"),
        ("access-control-allow-origin", "*"),
    ];
    Ok(builder(200, &headers)?.fixed(body.to_string().into_bytes()))
}

/// An error of the token endpoint.
pub fn oauth_error(error: &OAuthError) -> worker::Result<Response> {
    let mut response = json(error.status, &error.body())?;
    if let Some(seconds) = error.retry_after {
        response.headers_mut().set("retry-after", &seconds.to_string())?;
    }
    if let Some(challenge) = error.challenge {
        response.headers_mut().set("www-authenticate", challenge)?;
    }
    Ok(response)
}

/// An error of the connected-accounts API.
pub fn problem(problem: &Problem) -> worker::Result<Response> {
    let mut response = json(problem.status, &problem.body())?;
    if let Some(seconds) = problem.retry_after {
        response.headers_mut().set("retry-after", &seconds.to_string())?;
    }
    if let Some(allow) = problem.allow {
        response.headers_mut().set("allow", allow)?;
    }
    Ok(response)
}

/// Sends a browser on. 303, so that nothing is posted along (RFC 9700 §4.12).
pub fn redirect(location: &Secret, cookie: &Secret) -> worker::Result<Response> {
    let headers = [
        ("location", location.expose()),
        ("set-cookie", cookie.expose()),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
    ];
    Ok(builder(303, &headers)?.empty())
}

/// A page that loads and runs nothing and cannot be framed.
pub fn page(status: u16, html: String) -> worker::Result<Response> {
    let headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        (
            "content-security-policy",
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
    ];
    Ok(builder(status, &headers)?.fixed(html.into_bytes()))
}

/// Answers `GET` and `HEAD`.
pub fn read_only(
    method: &str,
    answer: impl FnOnce() -> worker::Result<Response>,
) -> worker::Result<Response> {
    if method == "GET" || method == "HEAD" { answer() } else { method_not_allowed("GET") }
}

/// 405.
pub fn method_not_allowed(allow: &str) -> worker::Result<Response> {
    let description = format!("use {allow}");
    let mut response = json(405, &OAuthError::new(405, "invalid_request", &description).body())?;
    response.headers_mut().set("allow", allow)?;
    Ok(response)
}

/// 404.
pub fn not_found() -> worker::Result<Response> {
    problem(&Problem::new(404, "There is nothing at this address."))
}

/// 503: the operator's log says what to mend.
pub fn configuration_error() -> worker::Result<Response> {
    let headers = [("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store")];
    Ok(builder(503, &headers)?.fixed(b"configuration error".to_vec()))
}
