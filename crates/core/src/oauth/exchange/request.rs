// SPDX-License-Identifier: Apache-2.0
//! The parameters of a token exchange (RFC 8693 §2.1, and Auth0's grant type).

use url::Url;

use super::token_exchange::{ACCESS_TOKEN, REFRESH_TOKEN};
use super::{ExchangeProfile, profile};
use crate::config::{Client, ExchangeGrant, ScopePolicy};
use crate::error::OAuthError;
use crate::oauth::parameters::{self, Parameters};
use crate::vault::release::RequestedToken;
use vault_base::encoding;
use vault_base::secret::Secret;

/// Longest `resource`, in bytes: parsing an address costs more than its length.
const MAX_RESOURCE: usize = 2048;

/// Greatest `min_ttl`, in seconds: a day.
const MAX_MIN_TTL: i64 = 86_400;

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
    /// Selects one of several accounts: account id, or the user's id, e-mail or name at the provider.
    pub login_hint: Option<String>,
    /// Scopes that the provider's token must have.
    pub scopes: Vec<String>,
    /// `token_kind`, where the provider gives several kinds of token; empty for the account's own.
    pub kind: String,
    /// `resource`: the absolute address that the token is for.
    pub resource: Option<String>,
    /// `refused_token`: the SHA-256, in base64url, of an access token that the provider's API refused.
    pub refused_token: Option<String>,
    /// `min_ttl`: the lifetime in seconds that the token should have left; 0 if it is left out.
    pub min_ttl: i64,
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
            refused_token: refused_token(parameters)?,
            min_ttl: min_ttl(parameters)?,
        })
    }
}

impl ExchangeRequest {
    /// The token that the request is for, if it comes from this client.
    pub fn want(&self, client: &Client) -> RequestedToken {
        RequestedToken {
            login_hint: self.login_hint.clone(),
            scopes: self.scopes.clone(),
            exact: client.scope_policy == ScopePolicy::Exact,
            kind: self.kind.clone(),
            resource: self.resource.clone(),
            refused_token: self.refused_token.clone(),
            min_ttl: self.min_ttl,
        }
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

/// `refused_token`: 32 bytes in base64url. It is a hash, because no token should travel more often than it
/// must.
fn refused_token(parameters: &Parameters) -> Result<Option<String>, OAuthError> {
    let Some(hash) = parameters.get("refused_token").map(Secret::expose) else {
        return Ok(None);
    };
    if encoding::from_base64url_array::<32>(hash).is_some() {
        return Ok(Some(hash.to_owned()));
    }
    let fix = "refused_token must be the SHA-256 of the refused access token, in base64url without padding (43 characters)";
    Err(OAuthError::invalid_request(fix))
}

/// `min_ttl`: a number of seconds, in digits.
fn min_ttl(parameters: &Parameters) -> Result<i64, OAuthError> {
    let Some(text) = parameters.get("min_ttl").map(Secret::expose) else {
        return Ok(0);
    };
    let seconds = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match seconds.and_then(|text| text.parse().ok()) {
        Some(seconds) if (1..=MAX_MIN_TTL).contains(&seconds) => Ok(seconds),
        _ => {
            let fix = format!("min_ttl must be a number of seconds from 1 to {MAX_MIN_TTL}");
            Err(OAuthError::invalid_request(&fix))
        }
    }
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
