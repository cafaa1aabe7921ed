//! The line that the operator's log has for each request: enough to find out what went wrong for
//! whom, and nothing that is of use to a thief.

use serde::Serialize;

use crate::metadata;

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

/// Names the endpoint of a request; `unknown` for none of ours. Method and path come from the
/// caller and are not logged as they are.
pub fn route(method: &str, path: &str) -> &'static str {
    let api = path.strip_prefix("/me/v1/connected-accounts/");
    let item = api.is_some_and(|rest| rest.starts_with("accounts/"));
    match (method, path) {
        ("GET" | "HEAD", "/health") => "GET /health",
        ("GET" | "HEAD", path) if metadata::at(path).is_some() => "GET /.well-known",
        ("POST", "/oauth/token") => "POST /oauth/token",
        ("GET", "/connected-accounts/connect") => "GET /connected-accounts/connect",
        ("GET", path) if path.starts_with("/callback/") => "GET /callback",
        ("OPTIONS", _) if api.is_some() => "OPTIONS /me/v1/connected-accounts",
        ("POST", _) if api == Some("connect") => "POST /me/v1/connected-accounts/connect",
        ("POST", _) if api == Some("complete") => "POST /me/v1/connected-accounts/complete",
        ("GET", _) if api == Some("accounts") => "GET /me/v1/connected-accounts/accounts",
        ("GET", _) if api == Some("connections") => "GET /me/v1/connected-accounts/connections",
        ("DELETE", _) if item => "DELETE /me/v1/connected-accounts/accounts",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_one_of_ours_or_unknown_and_never_what_was_sent() {
        assert_eq!(route("POST", "/oauth/token"), "POST /oauth/token");
        assert_eq!(route("GET", "/callback/demo"), "GET /callback");
        for document in ["oauth-authorization-server", "openid-configuration"] {
            assert_eq!(route("HEAD", &format!("/.well-known/{document}")), "GET /.well-known");
        }
        assert_eq!(
            route("DELETE", "/me/v1/connected-accounts/accounts/cac_1"),
            "DELETE /me/v1/connected-accounts/accounts"
        );
        for (method, path) in [("PUT", "/oauth/token"), ("GET", "/a-token"), ("A-TOKEN", "/health")]
        {
            assert_eq!(route(method, path), "unknown");
        }
    }

    #[test]
    fn a_line_has_what_is_known_and_no_more() {
        let line = RequestLine { route: "GET /health", status: 200, ..RequestLine::default() };
        let json = r#"{"event":"request","route":"GET /health","status":200,"duration_ms":0}"#;
        assert_eq!(line.line(), json);
    }
}
