// SPDX-License-Identifier: Apache-2.0
//! The line that the operator's log has for each request. It tells what failed for which user, and contains
//! no secret.

use serde::Serialize;

/// One request, in JSON. The line consists of fixed words, configured names, ids of accounts and hashes; it
/// never has text from a caller or provider.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RequestLine {
    /// Always `request`.
    pub event: RequestEvent,
    /// The endpoint, such as `POST /oauth/token` ([`crate::routes::Routed::log_name`]); never the requested
    /// path.
    pub route: &'static str,
    /// The HTTP status of the response.
    pub status: u16,
    /// The error code of the response, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
    /// The reason of an error, more precisely than the response tells it (`docs/log.md`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The connection's name, if it is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The client id, once the client is authenticated; at the API, that of the token, if it is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The user's pseudonym ([`vault_base::ids::ObjectNames::log_name`]), once the token is verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The id of the account that was connected or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Whether a token was released by lease, without asking the vault's object.
    #[serde(skip_serializing_if = "is_false")]
    pub lease: bool,
    /// Milliseconds until the response was ready. The platform's clock advances only during I/O.
    pub duration_ms: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The value of [`RequestLine::event`].
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestEvent {
    /// The only value, `request`.
    #[default]
    Request,
}

impl RequestLine {
    /// The line of the log, in JSON without a line break.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_is_known_and_no_more() {
        let line = RequestLine { route: "GET /health", status: 200, ..RequestLine::default() };
        let json = r#"{"event":"request","route":"GET /health","status":200,"duration_ms":0}"#;
        assert_eq!(line.line(), json);
    }
}
