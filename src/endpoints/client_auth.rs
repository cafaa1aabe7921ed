// SPDX-License-Identifier: Apache-2.0
//! Client authentication (RFC 6749 §2.3, RFC 7523 §3), for every endpoint that needs it.

use crate::config::Client;
use crate::endpoints::token::Failure;
use crate::jwt::access_token::AccessToken;
use crate::jwt::jws::Jws;
use crate::jwt::{TokenError, assertion};
use crate::oauth::client_auth::{self, Credentials, Proof};
use crate::runtime::context::Context;
use crate::runtime::webcrypto;

/// Authenticates the client that a request comes from. `subject` is the verified subject token; it
/// names the client only where the request does not.
///
/// # Errors
/// `invalid_client`, with one text for all reasons. The log has the reason.
pub async fn authenticate<'a>(
    context: Context<'a>,
    credentials: &Credentials,
    subject: Option<&AccessToken>,
) -> Result<(String, &'a Client), Failure> {
    let Context { config, now, .. } = context;
    let client_id = credentials.client_id(subject).map_err(Failure::new)?;
    let refused = |reason: &str| Failure::because(credentials.refused(), reason);
    let client = config.clients.get(&client_id).ok_or_else(|| refused("unknown"))?;
    let Proof::Assertion(jwt) = &credentials.proof else {
        credentials.check_secret(client).map_err(|_| refused("secret"))?;
        return Ok((client_id, client));
    };
    let because = |error: TokenError| refused(error.reason());
    let token = Jws::parse(jwt.expose()).map_err(because)?;
    let check = client_auth::assertion_check(&token, client).map_err(because)?;
    if !webcrypto::verify(&check).await {
        return Err(because(TokenError::Signature));
    }
    assertion::check(&token, &client_id, &config.public_url.identifier(), now).map_err(because)?;
    Ok((client_id, client))
}
