// SPDX-License-Identifier: Apache-2.0
//! `POST /oauth/token`: reads the request and passes it to the module that serves its grant.

use web_sys::Response;

use crate::endpoints::{exchange, issuer};
use crate::error::OAuthError;
use crate::oauth::exchange::profile;
use crate::oauth::parameters::MAX_BODY;
use crate::oauth::token_request::{Grant, TokenRequest};
use crate::request_line::RequestLine;
use crate::runtime::context::Context;
use crate::runtime::executor::apart;
use crate::runtime::http::{self, HttpResult, Incoming};
use crate::secret::Secret;

/// An error for the caller, and the reason for the log where the error's code does not tell it.
pub struct Failure {
    /// What the caller is told.
    pub error: OAuthError,
    /// A stable reason word.
    pub reason: Option<String>,
}

impl Failure {
    /// An error whose code says all.
    pub fn new(error: OAuthError) -> Self {
        Self { error, reason: None }
    }

    /// An error with a reason that only the operator sees.
    pub fn because(error: OAuthError, reason: &str) -> Self {
        Self { error, reason: Some(reason.to_owned()) }
    }
}

/// Answers a token request.
pub async fn answer(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
) -> HttpResult {
    let failure = match grant(context, incoming, line).await {
        Ok(response) => return Ok(response),
        Err(failure) => failure,
    };
    failed(failure, line)
}

/// Answers with a failure, and notes it in the log.
pub fn failed(failure: Failure, line: &mut RequestLine) -> HttpResult {
    line.error = Some(failure.error.code);
    line.reason = failure.reason;
    http::oauth_error(&failure.error)
}

/// Reads the body of a request that a client sends itself.
///
/// # Errors
/// 413 `invalid_request`.
pub async fn read_body(incoming: &Incoming) -> Result<Vec<u8>, Failure> {
    let too_large =
        || Failure::new(OAuthError::new(413, "invalid_request", "the body is larger than 64 KiB"));
    incoming.body(MAX_BODY).await.ok_or_else(too_large)
}

async fn grant(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
) -> Result<Response, Failure> {
    let body = read_body(incoming).await?;
    let authorization = incoming.authorization.as_ref().map(Secret::expose);
    let content_type = incoming.content_type.as_deref();
    let TokenRequest { credentials, grant } =
        TokenRequest::read(content_type, authorization, &body, context.config.sign_in.is_some())
            .map_err(Failure::new)?;
    match grant {
        Grant::AuthorizationCode(request) => {
            apart(issuer::tokens::code(context, &credentials, &request, line)).await
        }
        Grant::RefreshToken(request) => {
            apart(issuer::tokens::refresh(context, &credentials, &request, line)).await
        }
        Grant::Exchange(request) => {
            let profile = profile(request.grant);
            let cache_control = incoming.cache_control.as_deref();
            let exchanged =
                exchange::exchange(context, &credentials, &request, cache_control, line).await;
            exchanged.map_err(|failure| Failure { error: profile.error(failure.error), ..failure })
        }
    }
}
