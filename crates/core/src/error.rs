// SPDX-License-Identifier: Apache-2.0
//! Error responses: [`OAuthError`] of the token endpoint, [`ProblemDetails`] of the connected-accounts API.
//! Neither holds text from a caller, a provider or a store.

use serde::Serialize;
use serde_json::{Value, json};

use vault_base::text;

/// `connection_state` of an error about a connection: what the application can do about it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ConnectionState {
    /// `not_connected`, `reconnect_required`, `missing_scopes`, `unavailable` or `misconfigured`.
    pub state: &'static str,
    /// More precisely why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Scopes to connect again with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_scopes: Option<Vec<String>>,
    /// Seconds to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<i64>,
}

/// An error of the token endpoint (RFC 6749 §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthError {
    /// HTTP status.
    pub status: u16,
    /// `error`.
    pub code: &'static str,
    /// `error_description`: what to fix.
    pub description: String,
    /// `connection_state`, for errors about a connection.
    pub connection_state: Option<Box<ConnectionState>>,
    /// Header `Retry-After`, seconds.
    pub retry_after: Option<i64>,
    /// Header `WWW-Authenticate`: only where the RFC demands it and no client is known to lose the
    /// error over it.
    pub challenge: Option<&'static str>,
}

impl OAuthError {
    /// An error with this description. Characters the RFC does not allow are replaced.
    pub fn new(status: u16, code: &'static str, description: &str) -> Self {
        Self {
            status,
            code,
            description: text::description(description),
            connection_state: None,
            retry_after: None,
            challenge: None,
        }
    }

    /// `invalid_request`: the caller's developer has something to fix.
    pub fn invalid_request(description: &str) -> Self {
        Self::new(400, "invalid_request", description)
    }

    /// The vault cannot answer now.
    pub fn unavailable(description: &str, retry_after: i64) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(503, "temporarily_unavailable", description)
        }
    }

    /// The JSON body.
    pub fn body(&self) -> Value {
        let mut body = json!({ "error": self.code, "error_description": self.description });
        if let (Some(state), Some(members)) = (&self.connection_state, body.as_object_mut()) {
            members.insert("connection_state".into(), json!(state));
        }
        body
    }
}

/// An error of the connected-accounts API, in the form of RFC 9457.
///
/// It carries no `WWW-Authenticate`: Auth0's clients lose the body where they see that header. The
/// API's metadata document says what RFC 6750 would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProblemDetails {
    /// HTTP status.
    pub status: u16,
    /// What to fix.
    pub detail: String,
    /// The word for the log: it never holds text of a caller or a provider.
    pub reason: &'static str,
    /// Which fields are wrong.
    pub validation_errors: Vec<ValidationError>,
    /// Header `Retry-After`, seconds.
    pub retry_after: Option<i64>,
    /// Header `Allow`, of a 405.
    pub allow: Option<&'static str>,
}

/// One wrong field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValidationError {
    /// What is wrong.
    pub detail: &'static str,
    /// Its name.
    pub field: &'static str,
}

/// The log's word for a problem that has none of its own.
fn reason_of(status: u16) -> &'static str {
    match status {
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not_found",
        405 => "method_not_allowed",
        409 => "conflict",
        413 => "body_too_large",
        415 => "media_type",
        502 | 503 => "unavailable",
        _ => "invalid_request",
    }
}

impl ProblemDetails {
    /// A problem without further members.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            reason: reason_of(status),
            validation_errors: Vec::new(),
            retry_after: None,
            allow: None,
        }
    }

    /// A method that this address does not take (RFC 9110 §15.5.6).
    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::new(405, format!("Use {allow}.")) }
    }

    /// A request whose fields are wrong.
    pub fn invalid(validation_errors: Vec<ValidationError>) -> Self {
        let detail = validation_errors
            .first()
            .map_or_else(String::new, |first| format!("{}: {}", first.field, first.detail));
        Self { validation_errors, ..Self::new(400, detail) }
    }

    /// The vault cannot answer now.
    pub fn unavailable(retry_after: i64) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(503, "The vault cannot answer at the moment.")
        }
    }

    /// The JSON body.
    pub fn body(&self) -> Value {
        let title = match self.status {
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            409 => "Conflict",
            413 => "Content Too Large",
            415 => "Unsupported Media Type",
            502 => "Bad Gateway",
            _ => "Service Unavailable",
        };
        let mut body = json!({
            "type": "about:blank",
            "title": title,
            "status": self.status,
            "detail": self.detail,
        });
        if let (false, Some(members)) = (self.validation_errors.is_empty(), body.as_object_mut()) {
            members.insert("validation_errors".into(), json!(self.validation_errors));
        }
        body
    }
}
