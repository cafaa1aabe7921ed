// SPDX-License-Identifier: Apache-2.0
//! Client authentication (RFC 6749 §2.3, RFC 7523 §3), for every endpoint that needs it.

use crate::config::Client;
use crate::endpoints::token::Failure;
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
    let Context { config, now, .. } = context;
    let refused = |reason: &str| Failure::because(credentials.refused(), reason);
    let assertion = credentials.assertion().map_err(Failure::new)?;
    let (client_id, client) = credentials
        .find(&config.clients, assertion.as_ref())
        .map_err(|error| refused(error.reason()))?;
    if let Some(assertion) = assertion {
        let because = |error: TokenError| refused(error.reason());
        let check = client_auth::assertion_check(&assertion, client).map_err(because)?;
        if !webcrypto::verify(&check).await {
            return Err(because(TokenError::Signature));
        }
        let vault = config.public_url.identifier();
        assertion::check(&assertion, client_id, &vault, now).map_err(because)?;
    }
    Ok((client_id, client))
}
