//! Requests to providers and issuers: bounded in time and size, redirects not followed.

use std::time::Duration;

use futures_util::future::{Either, select};
use wasm_bindgen::JsValue;
use worker::{
    AbortController, Delay, Fetch, Headers, Method, Request, RequestInit, RequestRedirect, Response,
};

use super::body;
use crate::provider::answer::{MAX_ANSWER, Received};
use crate::provider::endpoints::MAX_DOCUMENT;
use crate::provider::request::ProviderRequest;
use crate::secret::Secret;

/// How long a provider may take to answer a token request.
pub const TOKEN_TIME: Duration = Duration::from_secs(10);
/// How long anything else may take: the caller is waiting for more than this.
pub const OTHER_TIME: Duration = Duration::from_secs(5);

/// Sends a request to a provider.
pub async fn send(request: &ProviderRequest, time: Duration) -> Received {
    let built = build(request);
    let Ok(built) = built else {
        return Received::Lost;
    };
    let Some((status, retry_after, body)) = fetch(built, MAX_ANSWER, time).await else {
        return Received::Lost;
    };
    match String::from_utf8(body) {
        Ok(body) => Received::Answer { status, retry_after, body: Secret::new(body) },
        Err(_) => Received::Lost,
    }
}

/// Fetches a public document. `None` unless it came whole with status 200.
pub async fn document(address: &str) -> Option<Vec<u8>> {
    let mut init = RequestInit::new();
    init.with_redirect(RequestRedirect::Manual);
    let request = Request::new_with_init(address, &init).ok()?;
    match fetch(request, MAX_DOCUMENT, OTHER_TIME).await? {
        (200, _, body) => Some(body),
        _ => None,
    }
}

fn build(request: &ProviderRequest) -> worker::Result<Request> {
    let headers = Headers::new();
    headers.set("accept", "application/json")?;
    // Some providers refuse requests without one.
    headers.set("user-agent", "edge-token-vault")?;
    if let Some(authorization) = &request.authorization {
        headers.set("authorization", authorization.expose())?;
    }
    let mut init = RequestInit::new();
    // A redirect followed would carry our credentials to wherever it points.
    init.with_redirect(RequestRedirect::Manual);
    if let Some(form) = &request.form {
        headers.set("content-type", "application/x-www-form-urlencoded")?;
        init.with_method(Method::Post).with_body(Some(JsValue::from_str(form.expose())));
    }
    init.with_headers(headers);
    Request::new_with_init(request.url.as_str(), &init)
}

async fn fetch(
    request: Request,
    limit: usize,
    time: Duration,
) -> Option<(u16, Option<String>, Vec<u8>)> {
    let controller = AbortController::default();
    let signal = controller.signal();
    let fetch = Fetch::Request(request);
    let work = Box::pin(async {
        let mut response = fetch.send_with_signal(&signal).await.ok()?;
        let retry_after = response.headers().get("retry-after").ok().flatten();
        let body = read(&mut response, limit).await?;
        Some((response.status_code(), retry_after, body))
    });
    match select(work, Delay::from(time)).await {
        Either::Left((answer, _)) => answer,
        Either::Right(((), work)) => {
            drop(work);
            controller.abort();
            None
        }
    }
}

async fn read(response: &mut Response, limit: usize) -> Option<Vec<u8>> {
    match response.stream() {
        Ok(stream) => body::read(stream, limit).await,
        Err(_) => Some(Vec::new()),
    }
}
