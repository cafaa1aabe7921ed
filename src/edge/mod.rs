//! The edge: carries out on the Workers platform what the core decides. The only place that names
//! `worker`; compiled for wasm32 alone.

mod body;
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
mod providers;
mod token_endpoint;
mod tokens;

use worker::{Context, Env, Request, Response, event};

use crate::error::Event;
use crate::metadata;
use http::Incoming;

/// One request. Always answers `Ok`: the platform would log an `Err` whole.
#[event(fetch)]
async fn fetch(request: Request, env: Env, _context: Context) -> worker::Result<Response> {
    let Some(incoming) = Incoming::new(request) else {
        return http::not_found();
    };
    #[cfg(feature = "test-clock")]
    if incoming.path == "/test-clock" {
        return clock::set(incoming).await;
    }
    match route(incoming, &env).await {
        Ok(response) => Ok(response),
        Err(error) => {
            // The platform's own words: they are about building answers, which hold no secrets
            // when they fail; still only their kind is logged.
            log::event(&Event::new("answer_failed", log::kind(&error)));
            Response::error("internal error", 500)
        }
    }
}

async fn route(incoming: Incoming, env: &Env) -> worker::Result<Response> {
    let Some(config) = configuration::load(env) else {
        return http::configuration_error();
    };
    let path = incoming.path.clone();
    let method = incoming.method.clone();
    match path.as_str() {
        "/health" => {
            http::read_only(&method, || http::json(200, &serde_json::json!({"status": "ok"})))
        }
        metadata::AUTHORIZATION_SERVER => {
            http::read_only(&method, || http::document(&metadata::authorization_server(&config)))
        }
        metadata::PROTECTED_RESOURCE => {
            http::read_only(&method, || http::document(&metadata::protected_resource(&config)))
        }
        "/oauth/token" if method == "POST" => {
            token_endpoint::exchange(incoming, env, &config).await
        }
        "/oauth/token" => http::method_not_allowed("POST"),
        "/connected-accounts/connect" if method == "GET" => {
            browser::open_ticket(&incoming, env, &config).await
        }
        "/connected-accounts/connect" => http::method_not_allowed("GET"),
        path => {
            match (path.strip_prefix("/me/v1/connected-accounts/"), path.strip_prefix("/callback/"))
            {
                (Some(rest), _) => connected_accounts::serve(incoming, rest, env, &config).await,
                (_, Some(connection)) if method == "GET" => {
                    browser::callback(&incoming, connection, env, &config).await
                }
                (_, Some(_)) => http::method_not_allowed("GET"),
                (None, None) => http::not_found(),
            }
        }
    }
}
