// SPDX-License-Identifier: Apache-2.0
//! The authorization code grant (RFC 6749 §4.1.3, RFC 7636 §4.5).

use super::parameters::Parameters;
use crate::error::OAuthError;
use vault_base::secret::Secret;

/// A well-formed request for the tokens of an authorization code.
#[derive(Debug)]
pub struct CodeRequest {
    /// The authorization code.
    pub code: Secret,
    /// The redirect URI of the authorization request.
    pub redirect_uri: Option<String>,
    /// The code verifier.
    pub code_verifier: Option<Secret>,
}

impl CodeRequest {
    /// Reads the parameters.
    ///
    /// # Errors
    /// `invalid_request` without `code`.
    pub fn read(parameters: &Parameters) -> Result<Self, OAuthError> {
        Ok(Self {
            code: parameters.required("code")?.clone(),
            redirect_uri: parameters.get("redirect_uri").map(|uri| uri.expose().to_owned()),
            code_verifier: parameters.get("code_verifier").cloned(),
        })
    }
}
