// SPDX-License-Identifier: Apache-2.0
//! The parameters of a token exchange (RFC 8693 §2.1, and Auth0's grant type).

use url::Url;

use super::token_exchange::{ACCESS_TOKEN, REFRESH_TOKEN};
use super::{ExchangeProfile, profile};
use crate::config::ExchangeGrant;
use crate::error::OAuthError;
use crate::oauth::parameters::{self, Parameters};
use vault_base::secret::Secret;

/// Longest `resource`, in bytes: parsing an address costs more than its length.
const MAX_RESOURCE: usize = 2048;

/// A well-formed token exchange.
#[derive(Debug)]
pub struct ExchangeRequest {
    /// Which of the two grant types.
    pub grant: ExchangeGrant,
    /// The user's token.
    pub subject_token: Secret,
    /// What the user's token is.
    pub subject: SubjectToken,
    /// Connection name: `audience` or `connection`.
    pub connection: String,
    /// Selects one of several accounts: provider user id, e-mail or name.
    pub login_hint: Option<String>,
    /// Scopes that the provider's token must have.
    pub scopes: Vec<String>,
    /// `token_kind`, where the provider gives several kinds of token; empty for the account's own.
    pub kind: String,
    /// `resource`: the absolute address that the token is for.
    pub resource: Option<String>,
}

/// What a subject token is (`subject_token_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectToken {
    /// An access token of a trusted issuer.
    AccessToken,
    /// A refresh token of the vault.
    RefreshToken,
}

impl ExchangeRequest {
    /// Reads the parameters of `grant`. `issues`: whether the vault issues refresh tokens.
    ///
    /// # Errors
    /// `invalid_request`, `invalid_target` or `invalid_scope`, with what to fix.
    pub fn read(
        grant: ExchangeGrant,
        parameters: &Parameters,
        issues: bool,
    ) -> Result<Self, OAuthError> {
        let subject = check_types(profile(grant), parameters, issues)?;
        let text = |name| parameters.get(name).map(|value| value.expose().to_owned());
        Ok(Self {
            grant,
            subject_token: parameters.required("subject_token")?.clone(),
            subject,
            connection: connection(parameters)?,
            login_hint: text("login_hint"),
            scopes: parameters::scopes(parameters)?,
            kind: text("token_kind").unwrap_or_default(),
            resource: resource(parameters)?,
        })
    }
}

fn check_types(
    profile: &ExchangeProfile,
    parameters: &Parameters,
    issues: bool,
) -> Result<SubjectToken, OAuthError> {
    let subject = match parameters.required("subject_token_type")?.expose() {
        ACCESS_TOKEN => SubjectToken::AccessToken,
        REFRESH_TOKEN if issues => SubjectToken::RefreshToken,
        _ => {
            let or = if issues { " or " } else { "" };
            let other = if issues { REFRESH_TOKEN } else { "" };
            let fix = format!("subject_token_type must be {ACCESS_TOKEN}{or}{other}");
            return Err(OAuthError::invalid_request(&fix));
        }
    };
    // RFC 8693 §2.1: a delegation that is ignored would look like one that was made.
    if parameters.get("actor_token").is_some() || parameters.get("actor_token_type").is_some() {
        return Err(OAuthError::invalid_request("actor tokens are not supported"));
    }
    let expected = profile.issued_token_type;
    if parameters.get("requested_token_type").is_none_or(|kind| kind.expose() == expected) {
        return Ok(subject);
    }
    let fix = format!("requested_token_type must be {expected}");
    Err(OAuthError::invalid_request(&fix))
}

/// `resource`: an absolute address without a fragment (RFC 8693 §2.1).
fn resource(parameters: &Parameters) -> Result<Option<String>, OAuthError> {
    let Some(resource) = parameters.get("resource").map(Secret::expose) else {
        return Ok(None);
    };
    if resource.len() > MAX_RESOURCE {
        let fix = format!("resource may have at most {MAX_RESOURCE} bytes");
        return Err(OAuthError::new(400, "invalid_target", &fix));
    }
    if Url::parse(resource).is_ok() && !resource.contains('#') {
        return Ok(Some(resource.to_owned()));
    }
    let fix = "resource must be an absolute address without a fragment (RFC 8693 §2.1)";
    Err(OAuthError::new(400, "invalid_target", fix))
}

/// The connection's name.
fn connection(parameters: &Parameters) -> Result<String, OAuthError> {
    match (parameters.get("audience"), parameters.get("connection")) {
        (Some(one), Some(other)) if one.expose() != other.expose() => {
            let fix = "audience and connection name different connections; send one of them";
            Err(OAuthError::invalid_request(fix))
        }
        (Some(name), _) | (None, Some(name)) => Ok(name.expose().to_owned()),
        (None, None) => {
            let fix = "name the connection: parameter audience or connection is missing";
            Err(OAuthError::invalid_request(fix))
        }
    }
}
