// SPDX-License-Identifier: Apache-2.0
//! The line that the operator's log has for each request: enough to find out what went wrong for
//! whom, and nothing that is of use to a thief.

use serde::Serialize;

/// One request, in JSON. Built from our own words, configured names and hashes; never from text of
/// a caller or provider.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RequestLine {
    /// Always `request`.
    pub event: RequestEvent,
    /// Which endpoint, such as `POST /oauth/token`; not the path that was asked for.
    pub route: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Code of the error that was answered, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
    /// Why, more precisely than the caller is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The connection, if it is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The client, once it has proved itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The user, once the token is verified: [`vault_base::ids::ObjectNames::log_name`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The account that came or went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Milliseconds until the answer was ready. The platform's clock stands still between I/O.
    pub duration_ms: u64,
}

/// The word `request`.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestEvent {
    /// The only one.
    #[default]
    Request,
}

impl RequestLine {
    /// The line.
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
