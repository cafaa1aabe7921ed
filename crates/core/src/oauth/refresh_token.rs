// SPDX-License-Identifier: Apache-2.0
//! The refresh token grant (RFC 6749 §6).

use super::parameters::{self, Parameters};
use crate::error::OAuthError;
use vault_base::secret::Secret;

/// A well-formed request for tokens by a refresh token.
#[derive(Debug)]
pub struct RefreshRequest {
    /// The refresh token.
    pub refresh_token: Secret,
    /// The resource server that the access token is for: `audience`, or `resource` (RFC 8707).
    pub audience: Option<String>,
    /// The requested scopes; empty for those of the sign-in.
    pub scopes: Vec<String>,
}

impl RefreshRequest {
    /// Reads the parameters.
    ///
    /// # Errors
    /// `invalid_request` without `refresh_token`, `invalid_target` for two resource servers,
    /// `invalid_scope` for malformed scopes.
    pub fn read(parameters: &Parameters) -> Result<Self, OAuthError> {
        Ok(Self {
            refresh_token: parameters.required("refresh_token")?.clone(),
            audience: parameters::audience(parameters)?,
            scopes: parameters::scopes(parameters)?,
        })
    }
}
