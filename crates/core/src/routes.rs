// SPDX-License-Identifier: Apache-2.0
//! The table of routes. Dispatch, the log's route names, CORS, 405 responses and the required scopes of the
//! endpoints are all read from it.

use crate::connect::policy::{CREATE, DELETE, DELETE_IDENTITIES, READ, READ_IDENTITIES};

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
    /// Lists the identities of a user of the vault.
    Identities,
    /// Unlinks an identity.
    UnlinkIdentity,
    /// The vault's public keys (RFC 7517 §5).
    Jwks,
    /// The authorization endpoint (RFC 6749 §3.1).
    Authorize,
    /// The forms of the sign-in and consent pages.
    SignIn,
    /// Pushed authorization requests (RFC 9126 §2).
    PushedRequest,
    /// Claims of the user (OpenID Connect Core §5.3).
    Userinfo,
    /// Revokes a refresh token (RFC 7009 §2).
    Revoke,
    /// Tells whether a token is active (RFC 7662 §2).
    Introspect,
    /// Sign-out (OpenID Connect RP-Initiated Logout 1.0 §2).
    EndSession,
    /// Sign-out as Auth0's SDKs ask for it.
    Logout,
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
    /// The same, while the vault is an OpenID provider.
    IssuersClients,
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
    /// Whether it is served only while the vault is an OpenID provider.
    pub is_issuers: bool,
}

/// The path prefix of the connected-accounts API.
pub const CONNECTED_ACCOUNTS: &str = "/me/v1/connected-accounts/";

/// The path of the API of a user's identities.
pub const IDENTITIES: &str = "/me/v1/identities";

const fn document(endpoint: Endpoint, path: &'static str) -> Route {
    Route {
        endpoint,
        method: "GET",
        path: Path::Exact(path),
        log_name: "GET /.well-known",
        cors: Cors::Public,
        authentication: Authentication::None,
        is_issuers: false,
    }
}

/// A row of the OpenID provider.
const fn issuers(
    endpoint: Endpoint,
    method: &'static str,
    path: &'static str,
    log_name: &'static str,
    cors: Cors,
    authentication: Authentication,
) -> Route {
    let path = Path::Exact(path);
    Route { endpoint, method, path, log_name, cors, authentication, is_issuers: true }
}

const fn api(
    endpoint: Endpoint,
    method: &'static str,
    path: Path,
    log_name: &'static str,
    scope: &'static str,
) -> Route {
    let authentication = Authentication::User(scope);
    Route {
        endpoint,
        method,
        path,
        log_name,
        cors: Cors::Clients,
        authentication,
        is_issuers: false,
    }
}

/// The table. The authorization server's metadata is also at the path of `OpenID` Connect Discovery (§4), for
/// clients that know no other.
pub const ROUTES: [Route; 27] = [
    Route {
        endpoint: Endpoint::Health,
        method: "GET",
        path: Path::Exact("/health"),
        log_name: "GET /health",
        cors: Cors::None,
        authentication: Authentication::None,
        is_issuers: false,
    },
    document(Endpoint::AuthorizationServer, "/.well-known/oauth-authorization-server"),
    document(Endpoint::AuthorizationServer, "/.well-known/openid-configuration"),
    document(Endpoint::ProtectedResource, "/.well-known/oauth-protected-resource/me/"),
    Route {
        endpoint: Endpoint::Token,
        method: "POST",
        path: Path::Exact("/oauth/token"),
        log_name: "POST /oauth/token",
        cors: Cors::IssuersClients,
        authentication: Authentication::Client,
        is_issuers: false,
    },
    Route {
        endpoint: Endpoint::OpenTicket,
        method: "GET",
        path: Path::Exact("/connected-accounts/connect"),
        log_name: "GET /connected-accounts/connect",
        cors: Cors::None,
        authentication: Authentication::Browser,
        is_issuers: false,
    },
    Route {
        endpoint: Endpoint::Callback,
        method: "GET",
        path: Path::Below("/callback/"),
        log_name: "GET /callback",
        cors: Cors::None,
        authentication: Authentication::Browser,
        is_issuers: false,
    },
    Route {
        endpoint: Endpoint::Callback,
        method: "POST",
        path: Path::Below("/callback/"),
        log_name: "POST /callback",
        cors: Cors::None,
        authentication: Authentication::Browser,
        is_issuers: false,
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
    Route {
        is_issuers: true,
        ..api(
            Endpoint::Identities,
            "GET",
            Path::Exact(IDENTITIES),
            "GET /me/v1/identities",
            READ_IDENTITIES,
        )
    },
    Route {
        is_issuers: true,
        ..api(
            Endpoint::UnlinkIdentity,
            "DELETE",
            Path::Below("/me/v1/identities/"),
            "DELETE /me/v1/identities",
            DELETE_IDENTITIES,
        )
    },
    issuers(
        Endpoint::Jwks,
        "GET",
        "/.well-known/jwks.json",
        "GET /.well-known",
        Cors::Public,
        Authentication::None,
    ),
    issuers(
        Endpoint::Authorize,
        "GET",
        "/authorize",
        "GET /authorize",
        Cors::None,
        Authentication::Browser,
    ),
    issuers(
        Endpoint::Authorize,
        "POST",
        "/authorize",
        "POST /authorize",
        Cors::None,
        Authentication::Browser,
    ),
    issuers(
        Endpoint::SignIn,
        "POST",
        "/sign-in",
        "POST /sign-in",
        Cors::None,
        Authentication::Browser,
    ),
    issuers(
        Endpoint::PushedRequest,
        "POST",
        "/oauth/par",
        "POST /oauth/par",
        Cors::None,
        Authentication::Client,
    ),
    issuers(
        Endpoint::Userinfo,
        "GET",
        "/userinfo",
        "GET /userinfo",
        Cors::Clients,
        Authentication::User("openid"),
    ),
    issuers(
        Endpoint::Userinfo,
        "POST",
        "/userinfo",
        "POST /userinfo",
        Cors::Clients,
        Authentication::User("openid"),
    ),
    issuers(
        Endpoint::Revoke,
        "POST",
        "/oauth/revoke",
        "POST /oauth/revoke",
        Cors::Clients,
        Authentication::Client,
    ),
    issuers(
        Endpoint::Introspect,
        "POST",
        "/oauth/introspect",
        "POST /oauth/introspect",
        Cors::None,
        Authentication::Client,
    ),
    issuers(
        Endpoint::EndSession,
        "GET",
        "/oidc/logout",
        "GET /oidc/logout",
        Cors::None,
        Authentication::Browser,
    ),
    issuers(
        Endpoint::EndSession,
        "POST",
        "/oidc/logout",
        "POST /oidc/logout",
        Cors::None,
        Authentication::Browser,
    ),
    issuers(
        Endpoint::Logout,
        "GET",
        "/v2/logout",
        "GET /v2/logout",
        Cors::None,
        Authentication::Browser,
    ),
];

/// The log name of a preflight of the connected-accounts API.
const API_PREFLIGHT: &str = "OPTIONS /me/v1/connected-accounts";

/// The log name of a preflight elsewhere.
const PREFLIGHT: &str = "OPTIONS";

/// The log name of a request for which there is no row.
const UNKNOWN: &str = "unknown";

/// How a request is answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Routed<'a> {
    /// This row serves it.
    Served {
        /// The route.
        route: &'static Route,
        /// The rest of the path behind the row's; empty where the row's is exact.
        rest: &'a str,
    },
    /// A browser, an application or a scanner fetches the link ahead of a person, who may never follow it: nothing
    /// may change, and the person's own request must reach the vault.
    Speculative {
        /// The route.
        route: &'static Route,
    },
    /// A preflight (Fetch standard) of pages that may be allowed to read the response.
    Preflight {
        /// Whether the connected-accounts API is asked.
        is_api: bool,
    },
    /// The path is served, but not to this method.
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
            Endpoint::Health
                | Endpoint::AuthorizationServer
                | Endpoint::ProtectedResource
                | Endpoint::Jwks
        );
        method == self.method || (is_document && method == "HEAD")
    }

    /// Whether it is the target of a link, and following the link changes something.
    fn is_navigation(&self) -> bool {
        self.method == "GET" && self.authentication == Authentication::Browser
    }

    fn has_preflight(&self, issues: bool) -> bool {
        match self.cors {
            Cors::Clients => true,
            Cors::IssuersClients => issues,
            Cors::None | Cors::Public => false,
        }
    }
}

/// The headers in which browsers say that they fetch ahead: `Sec-Purpose` (Fetch standard), `Purpose` (Chromium
/// and `WebKit` before it), `X-Purpose` (`WebKit`'s previews) and `X-Moz` (Firefox before 115).
const PURPOSE_HEADERS: [&str; 4] = ["sec-purpose", "purpose", "x-purpose", "x-moz"];

/// The purposes of a request that no person made.
const SPECULATIVE: [&str; 3] = ["prefetch", "prerender", "preview"];

/// Whether the value of one of [`PURPOSE_HEADERS`] names a purpose in [`SPECULATIVE`], such as
/// `prefetch;prerender`.
fn is_speculative(purpose: &str) -> bool {
    let mut words = purpose.split([';', ',']).map(str::trim);
    words.any(|word| SPECULATIVE.iter().any(|one| word.eq_ignore_ascii_case(one)))
}

impl Routed<'_> {
    /// The same, but speculative if a header says so and the route is one that a browser navigates to. `header`
    /// returns the value of a header; it is not called for other routes.
    #[must_use]
    pub fn with_purpose(self, header: impl Fn(&str) -> Option<String>) -> Self {
        let Self::Served { route, .. } = self else {
            return self;
        };
        let says_so = |name: &&str| header(name).is_some_and(|value| is_speculative(&value));
        if route.is_navigation() && PURPOSE_HEADERS.iter().any(says_so) {
            return Self::Speculative { route };
        }
        self
    }

    /// The route's name in the log: one of our own words.
    pub fn log_name(&self) -> &'static str {
        match self {
            Self::Served { route, .. } | Self::Speculative { route } => route.log_name,
            Self::Preflight { is_api: true } => API_PREFLIGHT,
            Self::Preflight { is_api: false } => PREFLIGHT,
            Self::MethodNotAllowed { .. } | Self::NotFound { .. } => UNKNOWN,
        }
    }

    /// Whose pages may read the response. `issues`: whether the vault is an OpenID provider.
    pub fn cors(&self, issues: bool) -> Cors {
        match self {
            Self::Served { route, .. } if route.cors == Cors::IssuersClients => {
                if issues {
                    Cors::Clients
                } else {
                    Cors::None
                }
            }
            Self::Served { route, .. } => route.cors,
            Self::Preflight { .. }
            | Self::MethodNotAllowed { is_api: true, .. }
            | Self::NotFound { is_api: true } => Cors::Clients,
            Self::Speculative { .. } | Self::MethodNotAllowed { .. } | Self::NotFound { .. } => {
                Cors::None
            }
        }
    }
}

/// Whether a path is of the APIs below `/me/`, which answer in problem documents.
fn is_api(path: &str, issues: bool) -> bool {
    let below = path.strip_prefix(IDENTITIES);
    path.starts_with(CONNECTED_ACCOUNTS)
        || (issues && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Finds how a request is answered. `issues`: whether the vault is an OpenID provider.
pub fn route<'a>(method: &str, path: &'a str, issues: bool) -> Routed<'a> {
    let is_api = is_api(path, issues);
    let there = || ROUTES.iter().filter(move |one| issues || !one.is_issuers);
    let found = || there().filter_map(|one| Some((one, one.rest(path)?)));
    let is_accounts = path.starts_with(CONNECTED_ACCOUNTS);
    if method == "OPTIONS" && (is_accounts || found().any(|(one, _)| one.has_preflight(issues))) {
        return Routed::Preflight { is_api: is_accounts };
    }
    if let Some((route, rest)) = found().find(|(one, _)| one.serves(method)) {
        return Routed::Served { route, rest };
    }
    if method == "HEAD"
        && let Some((route, _)) = found().find(|(one, _)| one.is_navigation())
    {
        return Routed::Speculative { route };
    }
    match (found().next(), found().nth(1)) {
        (None, _) => Routed::NotFound { is_api },
        (Some((one, _)), None) => Routed::MethodNotAllowed { allow: one.method, is_api },
        // A path with two rows is read and posted to.
        (Some(_), Some(_)) => Routed::MethodNotAllowed { allow: "GET, POST", is_api },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(method: &str, path: &str) -> Option<(Endpoint, String)> {
        match route(method, path, true) {
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
            let is_api = is_api(&path, true);
            for method in ["PUT", "PATCH", "TRACE", "A-TOKEN"] {
                let rows = ROUTES.iter().filter(|other| other.path == row.path).count();
                let allow = if rows == 1 { row.method } else { "GET, POST" };
                let refused = Routed::MethodNotAllowed { allow, is_api };
                assert_eq!(route(method, &path, true), refused, "{method} {path}");
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
    fn a_link_that_is_fetched_ahead_of_a_person_is_speculative() {
        let navigations = [
            "/connected-accounts/connect",
            "/callback/demo",
            "/authorize",
            "/oidc/logout",
            "/v2/logout",
        ];
        let purposes = [
            ("sec-purpose", "prefetch", true),
            ("sec-purpose", "prefetch;prerender", true),
            ("sec-purpose", "prefetch;anonymous-client-ip", true),
            ("purpose", "Prefetch", true),
            ("purpose", "preview", true),
            ("x-purpose", "preview", true),
            ("x-moz", "prefetch", true),
            ("sec-purpose", "", false),
            ("sec-purpose", "navigate", false),
            ("sec-fetch-mode", "prefetch", false),
        ];
        for path in navigations {
            assert!(matches!(route("HEAD", path, true), Routed::Speculative { .. }), "HEAD {path}");
            for (name, value, is_speculative) in purposes {
                let routed = route("GET", path, true)
                    .with_purpose(|asked| (asked == name).then(|| value.to_owned()));
                let found = matches!(routed, Routed::Speculative { .. });
                assert_eq!(found, is_speculative, "{path} {name}: {value}");
            }
        }
    }

    #[test]
    fn no_purpose_is_looked_for_where_a_link_changes_nothing() {
        for one in ROUTES.iter().filter(|one| !one.is_navigation()) {
            let (Path::Exact(path) | Path::Below(path)) = one.path;
            let routed = route(one.method, path, true).with_purpose(|_| Some("prefetch".into()));
            assert!(matches!(routed, Routed::Served { .. }), "{} {path}", one.method);
        }
    }

    #[test]
    fn a_vault_that_issues_nothing_has_none_of_the_issuers_addresses() {
        for one in ROUTES.iter().filter(|one| one.is_issuers) {
            let Path::Exact(path) = one.path else { continue };
            assert_eq!(route(one.method, path, false), Routed::NotFound { is_api: false });
            assert_eq!(route("OPTIONS", path, false), Routed::NotFound { is_api: false });
        }
        let token = route("POST", "/oauth/token", false);
        assert_eq!((token.cors(false), token.cors(true)), (Cors::None, Cors::Clients));
    }

    #[test]
    fn what_stands_behind_a_path_is_handed_on() {
        let deleted = served("DELETE", "/me/v1/connected-accounts/accounts/cac_1");
        assert_eq!(deleted, Some((Endpoint::DeleteAccount, "cac_1".into())));
        let unlinked = served("DELETE", "/me/v1/identities/idn_1");
        assert_eq!(unlinked, Some((Endpoint::UnlinkIdentity, "idn_1".into())));
        assert_eq!(served("GET", "/callback/demo"), Some((Endpoint::Callback, "demo".into())));
        assert_eq!(served("GET", "/callback"), None);
    }

    #[test]
    fn preflights_are_the_apis_and_unknown_paths_are_answered_in_the_form_of_their_surface() {
        assert_eq!(
            route("OPTIONS", "/me/v1/connected-accounts/what", true),
            Routed::Preflight { is_api: true }
        );
        let refused = Routed::MethodNotAllowed { allow: "POST", is_api: false };
        assert_eq!(route("OPTIONS", "/oauth/token", false), refused);
        assert_eq!(route("OPTIONS", "/oauth/token", true), Routed::Preflight { is_api: false });
        assert_eq!(route("OPTIONS", "/oauth/par", true), refused);
        assert_eq!(
            route("GET", "/me/v1/connected-accounts/what", true),
            Routed::NotFound { is_api: true }
        );
        assert_eq!(route("GET", "/a-token", true), Routed::NotFound { is_api: false });
    }

    #[test]
    fn the_api_of_identities_is_there_only_where_the_vault_has_users_of_its_own() {
        let refused = |allow, is_api| Routed::MethodNotAllowed { allow, is_api };
        assert_eq!(route("POST", IDENTITIES, true), refused("GET", true));
        assert_eq!(route("GET", "/me/v1/identities/", true), refused("DELETE", true));
        assert_eq!(route("OPTIONS", IDENTITIES, true), Routed::Preflight { is_api: false });
        for (path, issues) in [
            (IDENTITIES, false),
            ("/me/v1/identities/idn_1", false),
            ("/me/v1/identities-of-others", true),
        ] {
            assert_eq!(route("DELETE", path, issues), Routed::NotFound { is_api: false }, "{path}");
            assert_eq!(
                route("OPTIONS", path, issues),
                Routed::NotFound { is_api: false },
                "{path}"
            );
        }
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
            ("DELETE", "/me/v1/identities/secret", "DELETE /me/v1/identities"),
            ("OPTIONS", "/me/v1/connected-accounts/secret", "OPTIONS /me/v1/connected-accounts"),
            ("HEAD", "/.well-known/openid-configuration", "GET /.well-known"),
            ("PUT", "/oauth/token", "unknown"),
            ("GET", "/secret", "unknown"),
            ("SECRET", "/health", "unknown"),
        ] {
            assert_eq!(route(method, path, true).log_name(), name, "{method} {path}");
        }
    }
}
