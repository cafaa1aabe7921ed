// SPDX-License-Identifier: Apache-2.0
//! The parameters of a token request (RFC 6749 §3.2, appendix B), from a form or a JSON object.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::OAuthError;
use vault_base::json;
use vault_base::secret::Secret;
use vault_base::text::{self, MAX_PARAMETERS, MAX_SCOPES};

/// Largest body that is read, in bytes: two tokens of the greatest length and room for the rest.
pub const MAX_BODY: usize = 64 * 1024;

/// The form of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFormat {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `application/json`.
    Json,
}

/// Names of the parameters that some grant reads. Each may occur once; others are ignored, however
/// often they occur.
const READ: [&str; 23] = [
    "actor_token",
    "actor_token_type",
    "audience",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_verifier",
    "connection",
    "grant_type",
    "login_hint",
    "min_ttl",
    "redirect_uri",
    "refresh_token",
    "refused_token",
    "requested_token_type",
    "resource",
    "scope",
    "subject_token",
    "subject_token_type",
    "token",
    "token_kind",
];

/// Parameters by name. Values may be secrets, so none prints.
#[derive(Debug)]
pub struct Parameters(BTreeMap<String, Secret>);

impl Parameters {
    /// Reads a body of the media type that `content_type` names. An empty parameter counts as left out.
    ///
    /// # Errors
    /// `invalid_request` for another media type, a malformed body, more than [`MAX_PARAMETERS`], or a
    /// parameter that occurs twice; `invalid_target` where that is `audience` or `resource`.
    pub fn read(content_type: Option<&str>, body: &[u8]) -> Result<(Self, BodyFormat), OAuthError> {
        let media_type = content_type.and_then(|value| value.split(';').next()).map(str::trim);
        match media_type {
            Some(kind) if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") => {
                Ok((from_form(body)?, BodyFormat::Form))
            }
            Some(kind) if kind.eq_ignore_ascii_case("application/json") => {
                Ok((from_json(body)?, BodyFormat::Json))
            }
            _ => {
                let fix = "send the parameters as application/x-www-form-urlencoded";
                Err(OAuthError::invalid_request(fix))
            }
        }
    }

    /// The value of a parameter, if the request has one.
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }

    /// The value of a parameter that the grant needs.
    ///
    /// # Errors
    /// `invalid_request` that names the parameter.
    pub fn required(&self, name: &str) -> Result<&Secret, OAuthError> {
        self.get(name)
            .ok_or_else(|| OAuthError::invalid_request(&format!("parameter {name} is missing")))
    }
}

fn from_form(body: &[u8]) -> Result<Parameters, OAuthError> {
    let mut parameters = BTreeMap::new();
    for (name, value) in text::parameters(body).ok_or_else(too_many)? {
        // An empty parameter counts as left out (RFC 6749 §3.2).
        if value.is_empty() || !READ.contains(&name.as_ref()) {
            continue;
        }
        let name = name.into_owned();
        let target = name == "audience" || name == "resource";
        if parameters.insert(name.clone(), Secret::new(value)).is_some() {
            return Err(if target {
                OAuthError::new(
                    400,
                    "invalid_target",
                    "ask for one connection, or resource, at a time",
                )
            } else {
                OAuthError::invalid_request(&format!("parameter {name} stands more than once"))
            });
        }
    }
    Ok(Parameters(parameters))
}

fn too_many() -> OAuthError {
    OAuthError::invalid_request(&format!("send at most {MAX_PARAMETERS} parameters"))
}

fn from_json(body: &[u8]) -> Result<Parameters, OAuthError> {
    let object: BTreeMap<String, Value> = json::read(body).map_err(|_| {
        OAuthError::invalid_request("the body must be a JSON object, no member twice")
    })?;
    if object.len() > MAX_PARAMETERS {
        return Err(too_many());
    }
    let mut parameters = BTreeMap::new();
    for (name, value) in object {
        if !READ.contains(&name.as_str()) {
            continue;
        }
        match value {
            Value::Null => {}
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => {
                parameters.insert(name, Secret::new(text));
            }
            Value::Number(number) if name == "min_ttl" => {
                parameters.insert(name, Secret::new(number.to_string()));
            }
            _ => {
                return Err(OAuthError::invalid_request(&format!("{name} must be a string")));
            }
        }
    }
    Ok(Parameters(parameters))
}

/// Reads `scope` (RFC 6749 §3.3). Empty if it is absent.
///
/// # Errors
/// `invalid_scope`.
pub fn scopes(parameters: &Parameters) -> Result<Vec<String>, OAuthError> {
    let value = parameters.get("scope").map_or("", Secret::expose);
    if value.split(' ').filter(|scope| !scope.is_empty()).count() > MAX_SCOPES {
        let fix = format!("scope may name at most {MAX_SCOPES} scopes");
        return Err(OAuthError::new(400, "invalid_scope", &fix));
    }
    let scopes = text::scopes(value);
    if scopes.iter().all(|scope| text::is_scope(scope)) {
        return Ok(scopes);
    }
    let fix = "scope must be scope names separated by spaces";
    Err(OAuthError::new(400, "invalid_scope", fix))
}

/// Reads `audience`, or `resource` in its place: the resource server that a token is for.
///
/// # Errors
/// `invalid_target` if they differ (RFC 8707 §2).
pub fn audience(parameters: &Parameters) -> Result<Option<String>, OAuthError> {
    let text = |name| parameters.get(name).map(|value| value.expose().to_owned());
    match (text("audience"), text("resource")) {
        (Some(one), Some(other)) if one != other => {
            let fix = "audience and resource name different resource servers; send one of them";
            Err(OAuthError::new(400, "invalid_target", fix))
        }
        (one, other) => Ok(one.or(other)),
    }
}
