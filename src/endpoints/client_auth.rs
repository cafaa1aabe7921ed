// SPDX-License-Identifier: Apache-2.0
//! Client authentication (RFC 6749 §2.3, RFC 7523 §3), for every endpoint that needs it.

use crate::config::Client;
use crate::endpoints::token::Failure;
use crate::jwt::jws::Jws;
use crate::jwt::{TokenError, assertion};
use crate::oauth::client_auth::{self, Credentials};
use crate::runtime::context::Context;
use crate::runtime::webcrypto;

/// Authenticates the client that a request comes from.
///
/// # Errors
/// `invalid_client`, with one text for all reasons. The log has the reason.
pub async fn authenticate<'a>(
    context: Context<'a>,
    credentials: &Credentials,
) -> Result<(&'a str, &'a Client), Failure> {
    let assertion = credentials.assertion().map_err(Failure::new)?;
    let found = credentials.find(&context.config.clients, assertion.as_ref());
    let (client_id, client) = found.map_err(|error| refused(credentials, error.reason()))?;
    check(context, credentials, assertion, client_id, client).await?;
    Ok((client_id, client))
}

/// The same where clients without authentication may ask as well. The last value says whether the client
/// authenticated.
///
/// # Errors
/// As [`authenticate`].
pub async fn authenticate_any<'a>(
    context: Context<'a>,
    credentials: &Credentials,
) -> Result<(&'a str, &'a Client, bool), Failure> {
    let assertion = credentials.assertion().map_err(Failure::new)?;
    let found = credentials.find_any(&context.config.clients, assertion.as_ref());
    let (client_id, client, authenticated) =
        found.map_err(|error| refused(credentials, error.reason()))?;
    check(context, credentials, assertion, client_id, client).await?;
    Ok((client_id, client, authenticated))
}

fn refused(credentials: &Credentials, reason: &str) -> Failure {
    Failure::because(credentials.refused(), reason)
}

/// Checks a client assertion, if there is one.
async fn check(
    Context { config, now, .. }: Context<'_>,
    credentials: &Credentials,
    assertion: Option<Jws<'_>>,
    client_id: &str,
    client: &Client,
) -> Result<(), Failure> {
    let Some(assertion) = assertion else {
        return Ok(());
    };
    let because = |error: TokenError| refused(credentials, error.reason());
    let signature = client_auth::assertion_check(&assertion, client).map_err(because)?;
    if !webcrypto::verify(&signature).await {
        return Err(because(TokenError::Signature));
    }
    let audiences = client_auth::assertion_audiences(client, &config.public_url);
    assertion::check(&assertion, client_id, &audiences, now).map_err(because)
}
