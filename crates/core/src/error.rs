// SPDX-License-Identifier: Apache-2.0
//! Error responses: [`OAuthError`] of the token endpoint, and [`ProblemDetails`] of the connected-accounts
//! API. They contain no text from a caller, a provider or the storage.

use serde::Serialize;
use serde_json::{Value, json};

use vault_base::text;

/// The member `connection_state` of an error about a connection. It tells the application how to react.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ConnectionState {
    /// `not_connected`, `reconnect_required`, `missing_scopes`, `unavailable` or `misconfigured`.
    pub state: &'static str,
    /// A more precise reason for the state, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The scopes that the user must grant by connecting again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_scopes: Option<Vec<String>>,
    /// Seconds after which the application may retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<i64>,
}

/// The text for a token whose issuer publishes nothing that its signature can be checked with.
pub const KEYS_UNUSABLE: &str = "The issuer publishes no metadata or keys that the vault can use. The vault's \
    operator must act: the log has the cause.";

/// An error of the token endpoint (RFC 6749 §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthError {
    /// The HTTP status.
    pub status: u16,
    /// The member `error`.
    pub code: &'static str,
    /// The member `error_description`, which says what to fix. It has only the characters that RFC 6749 §5.2
    /// allows.
    pub description: String,
    /// The member `connection_state`, for errors about a connection.
    pub connection_state: Option<Box<ConnectionState>>,
    /// The header `Retry-After`, in seconds.
    pub retry_after: Option<i64>,
    /// The header `WWW-Authenticate`. It is set only where the RFC demands it and no client is known to lose
    /// the error code because of it.
    pub challenge: Option<&'static str>,
}

impl ConnectionState {
    /// The value of `reason` in the log: the state, or for `not_connected` what it is that the user does not have.
    pub fn log_reason(&self) -> &'static str {
        match self.reason {
            Some(reason) if self.state == "not_connected" => reason,
            _ => self.state,
        }
    }
}

impl OAuthError {
    /// An error with a description. Characters that RFC 6749 §5.2 does not allow there are replaced.
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

    /// The error `invalid_request` with status 400: the caller's developer must fix the request.
    pub fn invalid_request(description: &str) -> Self {
        Self::new(400, "invalid_request", description)
    }

    /// The error `temporarily_unavailable` with status 503. `retry_after` is in seconds.
    pub fn unavailable(description: &str, retry_after: i64) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(503, "temporarily_unavailable", description)
        }
    }

    /// The JSON body of the response.
    pub fn body(&self) -> Value {
        let mut body = json!({ "error": self.code, "error_description": self.description });
        if let (Some(state), Some(members)) = (&self.connection_state, body.as_object_mut()) {
            members.insert("connection_state".into(), json!(state));
        }
        body
    }
}

/// An error of the connected-accounts API, as a problem details object (RFC 9457).
///
/// The response has no `WWW-Authenticate`, although RFC 6750 §3 asks for it, because Auth0's clients ignore
/// the body of a response with that header. The API's metadata document has the same information.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProblemDetails {
    /// The HTTP status.
    pub status: u16,
    /// The member `detail`, which says what to fix.
    pub detail: String,
    /// The value of `reason` in the log, a word from `docs/log.md`. Callers do not receive it.
    pub reason: &'static str,
    /// The member `validation_errors`; it is left out if this is empty.
    pub validation_errors: Vec<ValidationError>,
    /// The header `Retry-After`, in seconds.
    pub retry_after: Option<i64>,
    /// The header `Allow` of a 405 response.
    pub allow: Option<&'static str>,
}

/// An invalid field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValidationError {
    /// What is wrong with the field.
    pub detail: &'static str,
    /// The field's name.
    pub field: &'static str,
}

/// The value of `reason` in the log for a problem that has no other one.
fn reason_of(status: u16) -> &'static str {
    match status {
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not_found",
        405 => "method_not_allowed",
        409 => "conflict",
        413 => "body_too_large",
        415 => "media_type",
        429 => "too_many_requests",
        502 | 503 => "unavailable",
        _ => "invalid_request",
    }
}

impl ProblemDetails {
    /// A problem with a status and a detail, and the standard log reason of the status.
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

    /// The problem with another log reason.
    #[must_use]
    pub fn because(self, reason: &'static str) -> Self {
        Self { reason, ..self }
    }

    /// The 405 problem of a path that allows only the method `allow` (RFC 9110 §15.5.6).
    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::new(405, format!("Use {allow}.")) }
    }

    /// The 400 problem of a request with invalid fields. `detail` names the first of them.
    pub fn invalid(validation_errors: Vec<ValidationError>) -> Self {
        let detail = validation_errors
            .first()
            .map_or_else(String::new, |first| format!("{}: {}", first.field, first.detail));
        Self { validation_errors, ..Self::new(400, detail) }
    }

    /// The 503 problem of a vault that cannot respond now. `retry_after` is in seconds.
    pub fn unavailable(retry_after: i64) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(503, "The vault cannot answer at the moment.")
        }
    }

    /// The JSON body of the response.
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
            429 => "Too Many Requests",
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
