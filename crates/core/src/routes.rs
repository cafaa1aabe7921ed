// SPDX-License-Identifier: Apache-2.0
//! The table of routes. Dispatch, the log's route names, CORS, 405 responses and the required scopes of the
//! endpoints are all read from it.

use crate::connect::policy::{CREATE, DELETE, READ};

/// An endpoint of the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Tells whether the configuration is valid.
    Health,
    /// The metadata of the authorization server (RFC 8414).
    AuthorizationServer,
    /// The metadata of the connected-accounts API (RFC 9728).
    ProtectedResource,
    /// The token endpoint (RFC 6749 §3.2).
    Token,
    /// Redirects the browser to the provider's authorization endpoint.
    OpenTicket,
    /// The vault's redirection endpoint at providers (RFC 6749 §3.1.2).
    Callback,
    /// Begins a connect.
    Connect,
    /// Completes a connect.
    Complete,
    /// Lists accounts.
    Accounts,
    /// Lists connections.
    Connections,
    /// Deletes an account.
    DeleteAccount,
}

/// The origins whose pages may read a response (CORS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cors {
    /// No other origin.
    None,
    /// All origins.
    Public,
    /// The configured origins of the clients. Preflight requests are answered.
    Clients,
}

/// How the sender of a request authenticates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// Not at all.
    None,
    /// As a client (RFC 6749 §2.3).
    Client,
    /// By a handle of a connect in the browser.
    Browser,
    /// By a user's access token with this scope.
    User(&'static str),
}

/// The paths of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Only this path.
    Exact(&'static str),
    /// All paths that start with this prefix, which ends in a slash.
    Below(&'static str),
}

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    /// The endpoint that serves the route.
    pub endpoint: Endpoint,
    /// The HTTP method. Health and metadata documents are served to `HEAD` as well.
    pub method: &'static str,
    /// The paths of the route.
    pub path: Path,
    /// The name of the route in the log. It contains nothing from a request.
    pub log_name: &'static str,
    /// The origins that may read a response.
    pub cors: Cors,
    /// How the sender authenticates.
    pub authentication: Authentication,
}

/// The path prefix of the connected-accounts API.
pub const CONNECTED_ACCOUNTS: &str = "/me/v1/connected-accounts/";

const fn document(endpoint: Endpoint, path: &'static str) -> Route {
    Route {
        endpoint,
        method: "GET",
        path: Path::Exact(path),
        log_name: "GET /.well-known",
        cors: Cors::Public,
        authentication: Authentication::None,
    }
}

const fn api(
    endpoint: Endpoint,
    method: &'static str,
    path: Path,
    log_name: &'static str,
    scope: &'static str,
) -> Route {
    let authentication = Authentication::User(scope);
    Route { endpoint, method, path, log_name, cors: Cors::Clients, authentication }
}

/// The table. The authorization server's metadata is also at the path of `OpenID` Connect Discovery (§4), for
/// clients that know no other.
pub const ROUTES: [Route; 12] = [
    Route {
        endpoint: Endpoint::Health,
        method: "GET",
        path: Path::Exact("/health"),
        log_name: "GET /health",
        cors: Cors::None,
        authentication: Authentication::None,
    },
    document(Endpoint::AuthorizationServer, "/.well-known/oauth-authorization-server"),
    document(Endpoint::AuthorizationServer, "/.well-known/openid-configuration"),
    document(Endpoint::ProtectedResource, "/.well-known/oauth-protected-resource/me/"),
    Route {
        endpoint: Endpoint::Token,
        method: "POST",
        path: Path::Exact("/oauth/token"),
        log_name: "POST /oauth/token",
        cors: Cors::None,
        authentication: Authentication::Client,
    },
    Route {
        endpoint: Endpoint::OpenTicket,
        method: "GET",
        path: Path::Exact("/connected-accounts/connect"),
        log_name: "GET /connected-accounts/connect",
        cors: Cors::None,
        authentication: Authentication::Browser,
    },
    Route {
        endpoint: Endpoint::Callback,
        method: "GET",
        path: Path::Below("/callback/"),
        log_name: "GET /callback",
        cors: Cors::None,
        authentication: Authentication::Browser,
    },
    api(
        Endpoint::Connect,
        "POST",
        Path::Exact("/me/v1/connected-accounts/connect"),
        "POST /me/v1/connected-accounts/connect",
        CREATE,
    ),
    api(
        Endpoint::Complete,
        "POST",
        Path::Exact("/me/v1/connected-accounts/complete"),
        "POST /me/v1/connected-accounts/complete",
        CREATE,
    ),
    api(
        Endpoint::Accounts,
        "GET",
        Path::Exact("/me/v1/connected-accounts/accounts"),
        "GET /me/v1/connected-accounts/accounts",
        READ,
    ),
    api(
        Endpoint::Connections,
        "GET",
        Path::Exact("/me/v1/connected-accounts/connections"),
        "GET /me/v1/connected-accounts/connections",
        READ,
    ),
    api(
        Endpoint::DeleteAccount,
        "DELETE",
        Path::Below("/me/v1/connected-accounts/accounts/"),
        "DELETE /me/v1/connected-accounts/accounts",
        DELETE,
    ),
];

/// The name of a preflight request in the log.
const PREFLIGHT: &str = "OPTIONS /me/v1/connected-accounts";

/// The name of a request that no route serves in the log.
const UNKNOWN: &str = "unknown";

/// The result of routing a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Routed<'a> {
    /// A route serves the request.
    Served {
        /// The route.
        route: &'static Route,
        /// The rest of the path after the prefix of [`Path::Below`]; empty for [`Path::Exact`].
        rest: &'a str,
    },
    /// The request is a preflight request to the connected-accounts API.
    Preflight,
    /// The path exists, but not with this method.
    MethodNotAllowed {
        /// The value of the header `Allow` (RFC 9110 §10.2.1).
        allow: &'static str,
        /// Whether the response has the form of the connected-accounts API
        /// ([`crate::error::ProblemDetails`]).
        is_api: bool,
    },
    /// The path does not exist.
    NotFound {
        /// Whether the response has the form of the connected-accounts API
        /// ([`crate::error::ProblemDetails`]).
        is_api: bool,
    },
}

impl Route {
    fn rest<'a>(&self, path: &'a str) -> Option<&'a str> {
        match self.path {
            Path::Exact(own) => (own == path).then_some(""),
            Path::Below(own) => path.strip_prefix(own),
        }
    }

    fn serves(&self, method: &str) -> bool {
        let is_document = matches!(
            self.endpoint,
            Endpoint::Health | Endpoint::AuthorizationServer | Endpoint::ProtectedResource
        );
        method == self.method || (is_document && method == "HEAD")
    }
}

impl Routed<'_> {
    /// The name of the route in the log. It contains nothing from the request.
    pub fn log_name(&self) -> &'static str {
        match self {
            Self::Served { route, .. } => route.log_name,
            Self::Preflight => PREFLIGHT,
            Self::MethodNotAllowed { .. } | Self::NotFound { .. } => UNKNOWN,
        }
    }
}

/// Finds the route of a request by its method and the path of its URL.
pub fn route<'a>(method: &str, path: &'a str) -> Routed<'a> {
    let is_api = path.starts_with(CONNECTED_ACCOUNTS);
    if is_api && method == "OPTIONS" {
        return Routed::Preflight;
    }
    let Some((route, rest)) = ROUTES.iter().find_map(|route| Some((route, route.rest(path)?)))
    else {
        return Routed::NotFound { is_api };
    };
    if route.serves(method) {
        Routed::Served { route, rest }
    } else {
        Routed::MethodNotAllowed { allow: route.method, is_api }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(method: &str, path: &str) -> Option<(Endpoint, String)> {
        match route(method, path) {
            Routed::Served { route, rest } => Some((route.endpoint, rest.to_owned())),
            _ => None,
        }
    }

    #[test]
    fn each_row_serves_its_method_and_refuses_others_with_allow() {
        for row in &ROUTES {
            let path = match row.path {
                Path::Exact(path) => path.to_owned(),
                Path::Below(path) => format!("{path}x"),
            };
            assert_eq!(served(row.method, &path).map(|(endpoint, _)| endpoint), Some(row.endpoint));
            let is_api = path.starts_with(CONNECTED_ACCOUNTS);
            for method in ["PUT", "PATCH", "TRACE", "A-TOKEN"] {
                let refused = Routed::MethodNotAllowed { allow: row.method, is_api };
                assert_eq!(route(method, &path), refused, "{method} {path}");
            }
        }
    }

    #[test]
    fn only_documents_are_served_to_head() {
        for row in &ROUTES {
            let Path::Exact(path) = row.path else { continue };
            let is_document = row.authentication == Authentication::None;
            assert_eq!(served("HEAD", path).is_some(), is_document, "{path}");
        }
    }

    #[test]
    fn what_stands_behind_a_path_is_handed_on() {
        let deleted = served("DELETE", "/me/v1/connected-accounts/accounts/cac_1");
        assert_eq!(deleted, Some((Endpoint::DeleteAccount, "cac_1".into())));
        assert_eq!(served("GET", "/callback/demo"), Some((Endpoint::Callback, "demo".into())));
        assert_eq!(served("GET", "/callback"), None);
    }

    #[test]
    fn preflights_are_the_apis_and_unknown_paths_are_answered_in_the_form_of_their_surface() {
        assert_eq!(route("OPTIONS", "/me/v1/connected-accounts/what"), Routed::Preflight);
        let refused = Routed::MethodNotAllowed { allow: "POST", is_api: false };
        assert_eq!(route("OPTIONS", "/oauth/token"), refused);
        assert_eq!(
            route("GET", "/me/v1/connected-accounts/what"),
            Routed::NotFound { is_api: true }
        );
        assert_eq!(route("GET", "/a-token"), Routed::NotFound { is_api: false });
    }

    #[test]
    fn the_log_never_names_what_was_asked_for() {
        for (method, path, name) in [
            ("GET", "/callback/secret", "GET /callback"),
            (
                "DELETE",
                "/me/v1/connected-accounts/accounts/cac_1",
                "DELETE /me/v1/connected-accounts/accounts",
            ),
            ("OPTIONS", "/me/v1/connected-accounts/secret", "OPTIONS /me/v1/connected-accounts"),
            ("HEAD", "/.well-known/openid-configuration", "GET /.well-known"),
            ("PUT", "/oauth/token", "unknown"),
            ("GET", "/secret", "unknown"),
            ("SECRET", "/health", "unknown"),
        ] {
            assert_eq!(route(method, path).log_name(), name, "{method} {path}");
        }
    }
}
