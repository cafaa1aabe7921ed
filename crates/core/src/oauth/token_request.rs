// SPDX-License-Identifier: Apache-2.0
//! A token request (RFC 6749 §3.2): who asks, and for which grant.

use super::authorization_code::CodeRequest;
use super::client_auth::Credentials;
use super::exchange;
use super::exchange::request::ExchangeRequest;
use super::parameters::{BodyFormat, Parameters};
use super::refresh_token::RefreshRequest;
use crate::config::GrantType;
use crate::error::OAuthError;

/// A well-formed token request.
#[derive(Debug)]
pub struct TokenRequest {
    /// How the client authenticates.
    pub credentials: Credentials,
    /// The grant with its own parameters.
    pub grant: Grant,
}

/// A grant with its parameters: one variant for each module that serves one.
#[derive(Debug)]
pub enum Grant {
    /// An authorization code.
    AuthorizationCode(CodeRequest),
    /// A refresh token of the vault.
    RefreshToken(RefreshRequest),
    /// A token exchange, by either of its grant types.
    Exchange(ExchangeRequest),
}

impl TokenRequest {
    /// Reads the body and the `Authorization` header of a request. `issues`: whether the vault issues
    /// tokens of its own.
    ///
    /// # Errors
    /// The error to answer with: `invalid_request`, `unsupported_grant_type`, `invalid_client` for an
    /// unreadable header, or what the grant's own parameters call for.
    pub fn read(
        content_type: Option<&str>,
        authorization: Option<&str>,
        body: &[u8],
        issues: bool,
    ) -> Result<Self, OAuthError> {
        let (parameters, format) = Parameters::read(content_type, body)?;
        let grant_type = parameters.required("grant_type")?;
        let known = GrantType::parse(grant_type.expose());
        let grant_type = known.filter(|one| issues || !one.is_issuing()).ok_or_else(|| {
            let fix = "grant_type must be one of grant_types_supported in the vault's metadata";
            OAuthError::new(400, "unsupported_grant_type", fix)
        })?;
        let read = || Credentials::read(authorization, &parameters);
        match grant_type {
            GrantType::AuthorizationCode => {
                let (credentials, request) = (read()?, CodeRequest::read(&parameters)?);
                Ok(Self { credentials, grant: Grant::AuthorizationCode(request) })
            }
            GrantType::RefreshToken => {
                let (credentials, request) = (read()?, RefreshRequest::read(&parameters)?);
                Ok(Self { credentials, grant: Grant::RefreshToken(request) })
            }
            GrantType::Exchange(grant) => {
                let profile = exchange::profile(grant);
                if format == BodyFormat::Json && !profile.accepts_json {
                    let fix = "this grant_type takes application/x-www-form-urlencoded bodies only";
                    return Err(OAuthError::invalid_request(fix));
                }
                let credentials = read().map_err(|error| profile.error(error))?;
                let grant = Grant::Exchange(ExchangeRequest::read(grant, &parameters, issues)?);
                Ok(Self { credentials, grant })
            }
        }
    }
}
