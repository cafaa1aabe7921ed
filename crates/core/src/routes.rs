// SPDX-License-Identifier: Apache-2.0
//! The one table of what is served: dispatch, the log's route names, CORS, 405 and the scopes that an
//! endpoint asks for read it.

use crate::connect::policy::{CREATE, DELETE, READ};

/// What is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Whether the configuration is good.
    Health,
    /// Metadata of the authorization server (RFC 8414).
    AuthorizationServer,
    /// Metadata of the connected-accounts API (RFC 9728).
    ProtectedResource,
    /// The token endpoint (RFC 6749 §3.2).
    Token,
    /// The browser's hop to the provider.
    OpenTicket,
    /// The provider's redirect (RFC 6749 §4.1.2).
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

/// Whose pages may read an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cors {
    /// Nobody's.
    None,
    /// Everybody's.
    Public,
    /// Those of the clients' registered origins; a preflight is answered.
    Clients,
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// Anybody.
    None,
    /// A client that proves itself.
    Client,
    /// A browser that holds a handle of its connect.
    Browser,
    /// A user, by an access token with this scope.
    User(&'static str),
}

/// A path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// This one.
    Exact(&'static str),
    /// One segment or more below this one.
    Below(&'static str),
}

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    /// What is served.
    pub endpoint: Endpoint,
    /// The method. A document that is read by `GET` is also served to `HEAD`.
    pub method: &'static str,
    /// Where.
    pub path: Path,
    /// What the log calls it. Never what was asked for.
    pub log_name: &'static str,
    /// Whose pages may read it.
    pub cors: Cors,
    /// Who may ask.
    pub authentication: Authentication,
}

/// Where the connected-accounts API is.
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

/// The table. Clients that know `OpenID` Connect Discovery alone look for the authorization server's
/// metadata at an address of its own (§4), and find the same members there.
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

/// What the log calls a preflight.
const PREFLIGHT: &str = "OPTIONS /me/v1/connected-accounts";

/// What the log calls what is none of ours.
const UNKNOWN: &str = "unknown";

/// What a request is answered with.
#[derive(Debug, PartialEq, Eq)]
pub enum Routed<'a> {
    /// This row serves it. `rest`: what stands behind the row's path.
    Served {
        /// The row.
        route: &'static Route,
        /// Empty where the path is exact.
        rest: &'a str,
    },
    /// A preflight of the connected-accounts API.
    Preflight,
    /// The path is served, and not to this method.
    MethodNotAllowed {
        /// `Allow` (RFC 9110 §10.2.1).
        allow: &'static str,
        /// Whether the connected-accounts API answers, in its own form.
        is_api: bool,
    },
    /// Nothing is served there.
    NotFound {
        /// Whether the connected-accounts API answers, in its own form.
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
    /// What the log calls it: one of our own words.
    pub fn log_name(&self) -> &'static str {
        match self {
            Self::Served { route, .. } => route.log_name,
            Self::Preflight => PREFLIGHT,
            Self::MethodNotAllowed { .. } | Self::NotFound { .. } => UNKNOWN,
        }
    }
}

/// Finds what answers a request.
pub fn route<'a>(method: &str, path: &'a str) -> Routed<'a> {
    let is_api = path.starts_with(CONNECTED_ACCOUNTS);
    if is_api && method == "OPTIONS" {
        return Routed::Preflight;
    }
    let Some((route, rest)) = ROUTES.iter().find_map(|one| Some((one, one.rest(path)?))) else {
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
        for one in &ROUTES {
            let path = match one.path {
                Path::Exact(path) => path.to_owned(),
                Path::Below(path) => format!("{path}x"),
            };
            assert_eq!(served(one.method, &path).map(|(endpoint, _)| endpoint), Some(one.endpoint));
            let is_api = path.starts_with(CONNECTED_ACCOUNTS);
            for method in ["PUT", "PATCH", "TRACE", "A-TOKEN"] {
                let refused = Routed::MethodNotAllowed { allow: one.method, is_api };
                assert_eq!(route(method, &path), refused, "{method} {path}");
            }
        }
    }

    #[test]
    fn only_documents_are_served_to_head() {
        for one in &ROUTES {
            let Path::Exact(path) = one.path else { continue };
            let is_document = one.authentication == Authentication::None;
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
