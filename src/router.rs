// SPDX-License-Identifier: Apache-2.0
//! Dispatches requests by the route table, and logs one line for each.

use js_sys::Promise;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Request;
use worker::Env;

use crate::endpoints::{browser, connected_accounts, token};
use crate::metadata;
use crate::request_line::RequestLine;
use crate::routes::{self, Cors, Endpoint, Route, Routed};
use crate::runtime::context::Context;
use crate::runtime::http::{HttpResult, Incoming};
use crate::runtime::{clock, configuration, executor, http, log};

/// Serves one request. The platform calls it.
#[wasm_bindgen]
pub fn fetch(request: Request, env: Env) -> Promise {
    executor::start(async move { Ok(serve(request, &env).await?.into()) })
}

async fn serve(request: Request, env: &Env) -> HttpResult {
    let incoming = Incoming::new(request);
    #[cfg(feature = "test-clock")]
    match incoming.path.as_str() {
        "/test-clock" => return clock::set(incoming).await,
        "/test-live" => return http::json(200, &executor::live()),
        "/test-trap" => {
            // A POST traps after its body was read, and so after a wait.
            if incoming.method == "POST" {
                incoming.body(1024).await;
            }
            std::arch::wasm32::unreachable()
        }
        _ => {}
    }
    let started = clock::milliseconds();
    let routed = routes::route(&incoming.method, &incoming.path);
    let mut line = RequestLine { route: routed.log_name(), ..RequestLine::default() };
    let answer = match answer(&incoming, &routed, env, &mut line).await {
        Ok(response) => Ok(response),
        Err(error) => {
            // The platform's text is about building responses and holds no secret; still only its
            // kind is logged.
            line.reason = Some(format!("answer_failed: {}", log::kind(&error)));
            http::text(500, "internal error")
        }
    };
    if let (Ok(response), Routed::Served { route: Route { cors: Cors::Public, .. }, .. }) =
        (&answer, &routed)
    {
        response.headers().set("access-control-allow-origin", "*")?;
    }
    line.status = answer.as_ref().map_or(500, web_sys::Response::status);
    line.duration_ms = clock::milliseconds().saturating_sub(started).unsigned_abs();
    log::request(&line);
    answer
}

async fn answer(
    incoming: &Incoming,
    routed: &Routed<'_>,
    env: &Env,
    line: &mut RequestLine,
) -> HttpResult {
    let Some(config) = configuration::load(env) else {
        line.reason = Some("configuration_error".to_owned());
        return http::configuration_error();
    };
    let context = Context { env, config: &config, now: clock::now() };
    let (route, rest) = match *routed {
        Routed::Served { route, rest } => (route, rest),
        Routed::MethodNotAllowed { allow, is_api: false } => {
            return http::method_not_allowed(allow);
        }
        Routed::NotFound { is_api: false } => return http::not_found(),
        Routed::Preflight
        | Routed::MethodNotAllowed { is_api: true, .. }
        | Routed::NotFound { is_api: true } => {
            return connected_accounts::serve(context, incoming, routed, line).await;
        }
    };
    match route.endpoint {
        Endpoint::Health => http::json(200, &serde_json::json!({"status": "ok"})),
        Endpoint::AuthorizationServer => http::document(&metadata::authorization_server(&config)),
        Endpoint::ProtectedResource => http::document(&metadata::protected_resource(&config)),
        Endpoint::Token => token::answer(context, incoming, line).await,
        Endpoint::OpenTicket => browser::open_ticket(context, incoming, line).await,
        Endpoint::Callback => browser::callback(context, incoming, rest, line).await,
        Endpoint::Connect
        | Endpoint::Complete
        | Endpoint::Accounts
        | Endpoint::Connections
        | Endpoint::DeleteAccount => {
            connected_accounts::serve(context, incoming, routed, line).await
        }
    }
}
