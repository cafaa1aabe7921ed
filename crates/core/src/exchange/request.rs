// SPDX-License-Identifier: Apache-2.0
//! Reading a token request (RFC 6749 §3.2, RFC 8693 §2.1, Auth0's federated-connection grant).

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

use super::client_auth::Credentials;
use crate::config::GrantType;
use crate::error::OAuthError;
use vault_base::json;
use vault_base::secret::Secret;
use vault_base::text::{self, MAX_PARAMETERS, MAX_SCOPES};

/// Largest body that is read, in bytes: two tokens of the greatest length and room for the rest.
pub const MAX_BODY: usize = 64 * 1024;

/// Longest `resource`, in bytes: reading an address costs more than its length.
const MAX_RESOURCE: usize = 2048;

/// Token types (RFC 8693 §3 and Auth0's).
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// What Auth0's clients ask for.
pub const FEDERATED_ACCESS_TOKEN: &str =
    "http://auth0.com/oauth/token-type/federated-connection-access-token";

/// A token request that is well formed.
#[derive(Debug)]
pub struct TokenRequest {
    /// Which grant.
    pub grant: GrantType,
    /// How the client shows who it is.
    pub credentials: Credentials,
    /// The user's token.
    pub subject_token: Secret,
    /// Connection name: `audience` or `connection`.
    pub connection: String,
    /// Picks among several accounts.
    pub login_hint: Option<String>,
    /// Scopes needed.
    pub scopes: Vec<String>,
    /// Which of the provider's tokens, where it gives several kinds; empty for the account's own.
    pub kind: String,
    /// What the token is for, where tokens of this kind are for something: an address.
    pub resource: Option<String>,
}

/// Parameters we read. Each may stand once; others are ignored, however often they stand.
const READ: [&str; 18] = [
    "actor_token",
    "actor_token_type",
    "audience",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "connection",
    "grant_type",
    "login_hint",
    "refresh_token",
    "requested_token_type",
    "resource",
    "scope",
    "subject_token",
    "subject_token_type",
    "token_kind",
];

/// Parameters by name, each once. They hold secrets.
struct Parameters(BTreeMap<String, Secret>);

/// Reads a request's body and its `Authorization` header.
///
/// # Errors
/// The [`OAuthError`] to answer with.
pub fn read(
    content_type: Option<&str>,
    authorization: Option<&str>,
    body: &[u8],
) -> Result<TokenRequest, OAuthError> {
    let media_type = content_type.and_then(|value| value.split(';').next()).map(str::trim);
    let (parameters, json) = match media_type {
        Some(kind) if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") => {
            (from_form(body)?, false)
        }
        Some(kind) if kind.eq_ignore_ascii_case("application/json") => (from_json(body)?, true),
        _ => {
            let fix = "send the parameters as application/x-www-form-urlencoded";
            return Err(OAuthError::invalid_request(fix));
        }
    };
    let grant = parameters.required("grant_type")?;
    let grant = GrantType::parse(grant.expose()).ok_or_else(|| {
        let fix = "grant_type must be a token exchange; see grant_types_supported in the metadata";
        OAuthError::new(400, "unsupported_grant_type", fix)
    })?;
    if json && grant == GrantType::TokenExchange {
        let fix = "this grant_type takes application/x-www-form-urlencoded bodies only";
        return Err(OAuthError::invalid_request(fix));
    }
    let credentials = Credentials::read(
        authorization,
        parameters.get("client_id"),
        parameters.get("client_secret"),
        parameters.get("client_assertion_type"),
        parameters.get("client_assertion"),
    )
    .map_err(|error| error.for_grant(grant))?;
    parameters.check_types(grant)?;
    Ok(TokenRequest {
        grant,
        credentials,
        subject_token: parameters.required("subject_token")?.clone(),
        connection: parameters.connection()?,
        login_hint: parameters.get("login_hint").map(|hint| hint.expose().to_owned()),
        scopes: parameters.scopes()?,
        kind: parameters
            .get("token_kind")
            .map_or_else(String::new, |kind| kind.expose().to_owned()),
        resource: parameters.resource()?,
    })
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
            _ => {
                return Err(OAuthError::invalid_request(&format!("{name} must be a string")));
            }
        }
    }
    Ok(Parameters(parameters))
}

impl Parameters {
    fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }

    fn required(&self, name: &str) -> Result<&Secret, OAuthError> {
        self.get(name)
            .ok_or_else(|| OAuthError::invalid_request(&format!("parameter {name} is missing")))
    }

    fn check_types(&self, grant: GrantType) -> Result<(), OAuthError> {
        if self.required("subject_token_type")?.expose() != ACCESS_TOKEN {
            let fix = format!("subject_token_type must be {ACCESS_TOKEN}");
            return Err(OAuthError::invalid_request(&fix));
        }
        // RFC 8693 §2.1: delegation is refused rather than passed over.
        if self.get("actor_token").is_some() || self.get("actor_token_type").is_some() {
            return Err(OAuthError::invalid_request("actor tokens are not supported"));
        }
        let requested = self.get("requested_token_type").map(Secret::expose);
        let (fits, expected) = match grant {
            GrantType::TokenExchange => {
                (requested.is_none_or(|kind| kind == ACCESS_TOKEN), ACCESS_TOKEN)
            }
            GrantType::FederatedConnection => (
                requested.is_none_or(|kind| kind == FEDERATED_ACCESS_TOKEN),
                FEDERATED_ACCESS_TOKEN,
            ),
        };
        if fits {
            return Ok(());
        }
        let fix = format!("requested_token_type must be {expected}");
        Err(OAuthError::invalid_request(&fix))
    }

    /// `resource`: an absolute address without a fragment (RFC 8693 §2.1).
    fn resource(&self) -> Result<Option<String>, OAuthError> {
        let Some(resource) = self.get("resource").map(Secret::expose) else {
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
    fn connection(&self) -> Result<String, OAuthError> {
        match (self.get("audience"), self.get("connection")) {
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

    fn scopes(&self) -> Result<Vec<String>, OAuthError> {
        let value = self.get("scope").map_or("", Secret::expose);
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
}
