// SPDX-License-Identifier: Apache-2.0
//! Dispatches requests by the route table, and logs one line for each.

use js_sys::Promise;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::{Request, Response};
use worker::Env;

use crate::config::Config;
use crate::connect::policy;
use crate::endpoints::issuer::{authorize, sign_in, sign_out, tokens, userinfo};
use crate::endpoints::{browser, connected_accounts, exchange, token};
use crate::metadata;
use crate::request_line::RequestLine;
use crate::routes::{self, Cors, Endpoint, Routed};
use crate::runtime::context::Context;
use crate::runtime::executor::{self, Apart, apart};
use crate::runtime::http::{HttpResult, Incoming};
use crate::runtime::{clock, configuration, http, leases, log, signing_keys};
use crate::warm_up;

/// Prepares an isolate before its first request. It has no clock and no randomness yet, and can ask nobody.
/// `request` is a made-up one for a token, without a body.
#[wasm_bindgen]
pub fn prepare(env: &Env, request: Request) {
    let Some(config) = configuration::load(env) else {
        return;
    };
    leases::fingerprint(&config);
    if let Some((credentials, request)) = warm_up::request(&config) {
        warm_up::exchange(&config, &request);
        let context = Context { env, config: &config, now: 0 };
        exchange::warm_up(context, &credentials, &request);
    }
    // It waits for the body, and is dropped before it answers and logs.
    executor::poll_once(serve(request, env));
}

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
    let config = configuration::load(env);
    let issues = config.as_ref().is_some_and(|config| config.sign_in.is_some());
    let routed = routes::route(&incoming.method, &incoming.path, issues)
        .with_purpose(|name| incoming.header(name));
    let mut line = RequestLine { route: routed.log_name(), ..RequestLine::default() };
    let answer = match &config {
        Some(config) => {
            let context = Context { env, config, now: clock::now() };
            match answer(context, &incoming, &routed, &mut line).await {
                Ok(response) => Ok(response),
                Err(error) => {
                    // The platform's text is about building responses and holds no secret; still
                    // only its kind is logged.
                    line.reason = Some(format!("answer_failed: {}", log::kind(&error)));
                    http::text(500, "internal error")
                }
            }
        }
        None => {
            line.reason = Some("configuration_error".to_owned());
            http::configuration_error()
        }
    };
    let answer = match (answer, &config) {
        (Ok(response), Some(config)) => {
            share(response, routed.cors(issues), config, &incoming, &mut line)
        }
        (answer, _) => answer,
    };
    line.status = answer.as_ref().map_or(500, Response::status);
    line.duration_ms = clock::elapsed(started);
    log::request(&line);
    answer
}

/// Says which pages may read a response (Fetch standard). A page of an unknown origin reads nothing,
/// errors included.
fn share(
    response: Response,
    cors: Cors,
    config: &Config,
    incoming: &Incoming,
    line: &mut RequestLine,
) -> HttpResult {
    match cors {
        Cors::None | Cors::IssuersClients => Ok(response),
        Cors::Public => http::with_headers(response, &[("access-control-allow-origin", "*")]),
        Cors::Clients => {
            // These responses are never stored, so one to a request without an origin need not say that others
            // differ. To add a header to a response that an object wrote costs a copy.
            let Some(origin) = &incoming.origin else {
                return Ok(response);
            };
            if !policy::preflight_allowed(config, origin) {
                line.reason.get_or_insert_with(|| policy::ORIGIN_UNKNOWN.to_owned());
                return http::with_headers(response, &[("vary", "Origin")]);
            }
            http::with_headers(
                response,
                &[
                    ("vary", "Origin"),
                    ("access-control-allow-origin", origin),
                    (
                        "access-control-expose-headers",
                        "DPoP-Nonce, Lease-Until, Retry-After, Token-Revocation",
                    ),
                ],
            )
        }
    }
}

async fn answer(
    context: Context<'_>,
    incoming: &Incoming,
    routed: &Routed<'_>,
    line: &mut RequestLine,
) -> HttpResult {
    let (route, rest) = match *routed {
        Routed::Served { route, rest } => (route, rest),
        Routed::MethodNotAllowed { allow, is_api: false } => {
            return http::method_not_allowed(allow);
        }
        Routed::NotFound { is_api: false } => return http::not_found(),
        Routed::Preflight { .. } => return http::preflight(),
        Routed::Speculative { .. } => {
            line.reason = Some("speculative".to_owned());
            return http::text(
                503,
                "follow this link in a browser; it is not answered ahead of that",
            );
        }
        Routed::MethodNotAllowed { is_api: true, .. } | Routed::NotFound { is_api: true } => {
            return apart(connected_accounts::serve(context, incoming, routed, line)).await;
        }
    };
    endpoint(route.endpoint, rest, context, incoming, routed, line).await
}

/// The answer of an endpoint. Each is apart, so that an exchange compiles none of the others.
fn endpoint<'a>(
    endpoint: Endpoint,
    rest: &'a str,
    context: Context<'a>,
    incoming: &'a Incoming,
    routed: &'a Routed<'_>,
    line: &'a mut RequestLine,
) -> Apart<'a, HttpResult> {
    let config = context.config;
    match endpoint {
        Endpoint::Token => apart(token::answer(context, incoming, line)),
        Endpoint::Health => apart(async { http::json(200, &serde_json::json!({"status": "ok"})) }),
        Endpoint::AuthorizationServer => {
            apart(async { http::document(&metadata::authorization_server(config)) })
        }
        Endpoint::ProtectedResource => {
            apart(async { http::document(&metadata::protected_resource(config)) })
        }
        Endpoint::Jwks => apart(jwks(context)),
        Endpoint::Authorize => apart(authorize::authorize(context, incoming, line)),
        Endpoint::SignIn => apart(sign_in::submit(context, incoming, line)),
        Endpoint::PushedRequest => apart(async move {
            let pushed = authorize::push(context, incoming, line).await;
            pushed.or_else(|failure| token::failed(failure, line))
        }),
        Endpoint::Userinfo => apart(userinfo::userinfo(context, incoming, line)),
        Endpoint::Revoke => apart(async move {
            let revoked = tokens::revoke(context, incoming, line).await;
            revoked.or_else(|failure| token::failed(failure, line))
        }),
        Endpoint::Introspect => apart(async move {
            let told = tokens::introspect(context, incoming, line).await;
            told.or_else(|failure| token::failed(failure, line))
        }),
        Endpoint::EndSession => apart(sign_out::end_session(context, incoming, line)),
        Endpoint::Logout => apart(sign_out::logout(context, incoming, line)),
        Endpoint::OpenTicket => apart(browser::open_ticket(context, incoming, line)),
        Endpoint::Callback => apart(browser::callback(context, incoming, rest, line)),
        Endpoint::Connect
        | Endpoint::Complete
        | Endpoint::Accounts
        | Endpoint::Connections
        | Endpoint::DeleteAccount
        | Endpoint::Identities
        | Endpoint::UnlinkIdentity => {
            apart(connected_accounts::serve(context, incoming, routed, line))
        }
    }
}

async fn jwks(context: Context<'_>) -> HttpResult {
    match signing_keys::published(context).await {
        Ok(keys) => http::document(&keys.document),
        Err(_) => http::text(503, "the vault cannot answer now"),
    }
}
