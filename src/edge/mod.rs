//! The edge: carries out on the Workers platform what the core decides. The only place that names
//! `worker`; compiled for wasm32 alone.

mod browser;
mod clock;
mod configuration;
mod connected_accounts;
pub mod crypto;
mod http;
mod issuers;
mod key_check;
mod log;
mod object;
mod objects;
mod outbound;
mod platform;
mod providers;
mod task;
mod token_endpoint;
mod tokens;

use js_sys::Promise;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Request;
use worker::Env;

use crate::metadata;
use crate::request_line::{self, RequestLine};
use http::{Answered, Incoming};

/// One request. The platform calls it.
#[wasm_bindgen]
pub fn fetch(request: Request, env: Env) -> Promise {
    task::start(async move { Ok(serve(request, &env).await?.into()) })
}

async fn serve(request: Request, env: &Env) -> Answered {
    let incoming = Incoming::new(request);
    #[cfg(feature = "test-clock")]
    match incoming.path.as_str() {
        "/test-clock" => return clock::set(incoming).await,
        "/test-live" => return http::json(200, &task::live()),
        "/test-trap" => {
            // With a body, after a wait.
            if incoming.method == "POST" {
                incoming.body(1024).await;
            }
            std::arch::wasm32::unreachable()
        }
        _ => {}
    }
    let started = clock::milliseconds();
    let route = request_line::route(&incoming.method, &incoming.path);
    let mut line = RequestLine { route, ..RequestLine::default() };
    let answer = match answer(&incoming, env, &mut line).await {
        Ok(response) => Ok(response),
        Err(error) => {
            // The platform's own words: they are about building answers, which hold no secrets
            // when they fail; still only their kind is logged.
            line.reason = Some(format!("answer_failed: {}", log::kind(&error)));
            http::text(500, "internal error")
        }
    };
    line.status = answer.as_ref().map_or(500, web_sys::Response::status);
    line.duration_ms = clock::milliseconds().saturating_sub(started).unsigned_abs();
    log::request(&line);
    answer
}

async fn answer(incoming: &Incoming, env: &Env, line: &mut RequestLine) -> Answered {
    let Some(config) = configuration::load(env) else {
        line.reason = Some("configuration_error".to_owned());
        return http::configuration_error();
    };
    let method = incoming.method.as_str();
    match incoming.path.as_str() {
        "/health" => {
            http::read_only(method, || http::json(200, &serde_json::json!({"status": "ok"})))
        }
        "/oauth/token" if method == "POST" => {
            token_endpoint::exchange(incoming, env, &config, line).await
        }
        "/oauth/token" => http::method_not_allowed("POST"),
        "/connected-accounts/connect" if method == "GET" => {
            browser::open_ticket(incoming, env, &config, line).await
        }
        "/connected-accounts/connect" => http::method_not_allowed("GET"),
        path => {
            if let Some(document) = metadata::at(path) {
                return http::read_only(method, || http::document(&document(&config)));
            }
            match (path.strip_prefix("/me/v1/connected-accounts/"), path.strip_prefix("/callback/"))
            {
                (Some(rest), _) => {
                    connected_accounts::serve(incoming, rest, env, &config, line).await
                }
                (_, Some(connection)) if method == "GET" => {
                    browser::callback(incoming, connection, env, &config, line).await
                }
                (_, Some(_)) => http::method_not_allowed("GET"),
                (None, None) => http::not_found(),
            }
        }
    }
}
