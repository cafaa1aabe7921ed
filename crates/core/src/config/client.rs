// SPDX-License-Identifier: Apache-2.0
//! The clients of the vault (RFC 6749 §2), and the entries of `CLIENTS` that configure them.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

use super::FieldError;
use super::api::Api;
use super::fields::Fields;
use super::grant_type::GrantType;
use super::issuer::subject_audiences;
use super::lease;
use vault_base::address::Location;
use vault_base::encoding;
use vault_base::public_url::{PublicUrl, parse_url};
use vault_base::text;
use vault_jose::access_token::AccessToken;
use vault_jose::jwk::JwkSet;
use vault_provider::connection::Connection;

/// A registered client and its permissions.
#[derive(Debug, Clone)]
pub struct Client {
    /// How the client authenticates at the token endpoint.
    pub authentication: Authentication,
    /// What `aud` of its assertions may be.
    pub assertion_audience: AssertionAudience,
    /// The grant types that the client may use at the token endpoint.
    pub grants: Vec<GrantType>,
    /// The accepted audiences of the subject tokens that the client exchanges.
    pub audiences: Vec<String>,
    /// The ids of the clients whose users' tokens this client may exchange. They are compared with the
    /// token's `client_id` or `azp`.
    pub accepts_from: Vec<String>,
    /// The names of the connections that the client may use.
    pub connections: Vec<String>,
    /// Which of its users' accounts the client may list and delete.
    pub account_access: AccountAccess,
    /// The redirect URIs that the client may name in a connect. They are compared byte by byte.
    pub redirect_uris: Vec<String>,
    /// The browser origins from which the client calls the connected-accounts API.
    pub origins: Vec<String>,
    /// The meaning of `scope` in the client's exchanges.
    pub scope_policy: ScopePolicy,
    /// The name that pages show.
    pub name: String,
    /// What kind of application it is.
    pub kind: ClientKind,
    /// Scopes that it may request, by audience of the resource server.
    pub apis: BTreeMap<String, Vec<String>>,
    /// Where a sign-out may return, compared byte by byte.
    pub post_logout_redirect_uris: Vec<String>,
    /// Where it is told of ended sessions (OpenID Connect Back-Channel Logout 1.0 §2.2).
    pub backchannel_logout_uri: Option<String>,
    /// How its refresh tokens live.
    pub refresh: RefreshPolicy,
    /// The longest lease of a token that is released to it, in seconds; 0: none.
    pub lease_seconds: i64,
    /// Where its back ends are: objects for its users are created there.
    pub location: Option<Location>,
}

impl Client {
    /// Whether the client may exchange tokens issued to `client_id` at `connection`; `None` is any.
    pub fn exchanges_for(&self, client_id: Option<&str>, connection: Option<&str>) -> bool {
        let has = |all: &[String], one: Option<&str>| {
            one.is_none_or(|one| all.iter().any(|other| other == one))
        };
        self.grants.iter().any(|grant| !grant.is_issuing())
            && has(&self.accepts_from, client_id)
            && has(&self.connections, connection)
    }

    /// Whether the client, whose id is `client_id`, may be told of a token: of its own, or of one for a
    /// resource server whose tokens it accepts (RFC 7662 §4). Somebody else's client is told of its own.
    pub fn may_introspect(&self, client_id: &str, token: &AccessToken) -> bool {
        let accepts = || token.audiences.iter().any(|audience| self.audiences.contains(audience));
        token.client_id == client_id || (self.kind != ClientKind::ThirdParty && accepts())
    }

    /// Whether the client may list and delete its users' accounts at this connection.
    pub fn may_manage(&self, connection: &str) -> bool {
        self.account_access == AccountAccess::All
            || self.connections.iter().any(|own| own == connection)
    }
}

impl Client {
    /// Whether this is one of the client's redirect URIs, in an authorization request or a connect. URIs are
    /// compared byte by byte (RFC 9700 §2.1); a native application may use any port of a loopback address
    /// (RFC 8252 §7.3).
    pub fn may_return_to(&self, uri: &str) -> bool {
        self.has(&self.redirect_uris, uri)
    }

    /// Whether a sign-out may return to this address, compared as [`Client::may_return_to`] does.
    pub fn may_return_after_logout(&self, uri: &str) -> bool {
        self.has(&self.post_logout_redirect_uris, uri)
    }

    fn has(&self, registered: &[String], uri: &str) -> bool {
        registered.iter().any(|one| one == uri)
            || (self.kind == ClientKind::Native
                && registered.iter().any(|one| differs_in_port(one, uri)))
    }
}

fn differs_in_port(registered: &str, uri: &str) -> bool {
    let (Ok(mut one), Ok(other)) = (Url::parse(registered), Url::parse(uri)) else {
        return false;
    };
    let is_loopback = matches!(one.host_str(), Some("127.0.0.1" | "[::1]"));
    // The text is compared, so that the parser's tolerance lets nothing else through.
    is_loopback
        && one.scheme() == "http"
        && one.set_port(other.port()).is_ok()
        && one.as_str() == uri
}

/// What kind of application a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientKind {
    /// An application on a server.
    #[default]
    Web,
    /// An application on a device (RFC 8252): any loopback port, private-use schemes.
    Native,
    /// An application in a browser.
    Spa,
    /// Somebody else's application: users are asked for consent.
    ThirdParty,
}

/// How refresh tokens of the vault live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshPolicy {
    /// Whether each use replaces the token.
    pub rotation: bool,
    /// Seconds without use after which it expires.
    pub idle: i64,
    /// Seconds after the sign-in at which it expires.
    pub lifetime: i64,
    /// Whether it ends with the browser session that it began in. If not, only its own revocation ends it
    /// earlier, so that agents go on while the user is away.
    pub ends_with_session: bool,
}

/// How a client authenticates.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// With a secret whose SHA-256 is one of these. There are several while a secret is being replaced.
    Secret(Vec<[u8; 32]>),
    /// With an assertion signed by one of these keys (RFC 7523 §2.2).
    PrivateKeyJwt(JwkSet),
    /// Not at all, because it is a public client (RFC 6749 §2.1). It may only use the connected-accounts API
    /// with its users' tokens.
    None,
}

/// What `aud` of a client's assertions may be (RFC 7523 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AssertionAudience {
    /// The vault's identifier alone.
    #[default]
    Issuer,
    /// The address of the token endpoint as well, which some libraries send.
    TokenEndpoint,
}

/// Which of its users' accounts a client may list and delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccountAccess {
    /// Those at the client's connections.
    #[default]
    Connections,
    /// All, as a page does on which users manage their accounts. They may be at connections of other clients, and
    /// at connections that are not configured any more.
    All,
}

/// The meaning of the parameter `scope` in an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScopePolicy {
    /// The token has at least the requested scopes.
    #[default]
    AtLeast,
    /// The token has exactly the requested scopes.
    Exact,
}

/// An entry of `CLIENTS` as it is written, before it is checked.
#[derive(Debug)]
pub(super) struct Raw {
    authentication: RawAuthentication,
    assertion_audience: Option<AssertionAudience>,
    secret_sha256: Vec<String>,
    jwks: Option<Value>,
    grants: Vec<GrantType>,
    audiences: Option<Vec<String>>,
    accepts_from: Option<Vec<String>>,
    connections: Vec<String>,
    account_access: AccountAccess,
    redirect_uris: Vec<String>,
    origins: Vec<String>,
    scope_policy: ScopePolicy,
    name: Option<String>,
    kind: ClientKind,
    apis: BTreeMap<String, Vec<String>>,
    post_logout_redirect_uris: Vec<String>,
    backchannel_logout_uri: Option<String>,
    refresh: RefreshPolicy,
    lease_seconds: i64,
    location: Option<Location>,
}

/// What the entries of `CLIENTS` are checked against.
pub(super) struct Around<'a> {
    pub(super) vault: &'a PublicUrl,
    pub(super) connections: &'a BTreeMap<String, Connection>,
    pub(super) apis: &'a BTreeMap<String, Api>,
    /// Whether the vault is an OpenID provider.
    pub(super) signs_in: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RawAuthentication {
    ClientSecret,
    PrivateKeyJwt,
    None,
}

const AUTHENTICATIONS: &[(&str, RawAuthentication)] = &[
    ("client_secret", RawAuthentication::ClientSecret),
    ("private_key_jwt", RawAuthentication::PrivateKeyJwt),
    ("none", RawAuthentication::None),
];

const ASSERTION_AUDIENCES: &[(&str, AssertionAudience)] =
    &[("issuer", AssertionAudience::Issuer), ("token_endpoint", AssertionAudience::TokenEndpoint)];

const KINDS: &[(&str, ClientKind)] = &[
    ("web", ClientKind::Web),
    ("native", ClientKind::Native),
    ("spa", ClientKind::Spa),
    ("third_party", ClientKind::ThirdParty),
];

/// The SHA-256 of an empty text, as `printf %s "$SECRET" | sha256sum` prints it if there is no such variable.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Thirty days, in seconds.
const REFRESH_IDLE: i64 = 30 * 86_400;
/// A year, in seconds.
const REFRESH_LIFETIME: i64 = 365 * 86_400;

const ACCOUNT_ACCESSES: &[(&str, AccountAccess)] =
    &[("connections", AccountAccess::Connections), ("all", AccountAccess::All)];

const SCOPE_POLICIES: &[(&str, ScopePolicy)] =
    &[("at_least", ScopePolicy::AtLeast), ("exact", ScopePolicy::Exact)];

impl Raw {
    /// Reads all fields.
    pub(super) fn read(fields: &mut Fields) -> Self {
        let grants = GrantType::ALL.map(|grant| (grant.name(), grant));
        let kind: ClientKind = fields.choice("kind", KINDS).unwrap_or_default();
        Self {
            authentication: fields.choice("authentication", AUTHENTICATIONS).unwrap_or_else(|| {
                fields.missing("authentication");
                RawAuthentication::None
            }),
            assertion_audience: fields.choice("assertion_audience", ASSERTION_AUDIENCES),
            secret_sha256: fields.list("secret_sha256"),
            jwks: fields.take("jwks"),
            grants: fields.choices("grants", &grants).unwrap_or_default(),
            audiences: fields.some_list("audiences"),
            accepts_from: fields.some_list("accepts_from"),
            connections: fields.list("connections"),
            account_access: fields.choice("account_access", ACCOUNT_ACCESSES).unwrap_or_default(),
            redirect_uris: fields.list("redirect_uris"),
            origins: fields.list("origins"),
            scope_policy: fields.choice("scope_policy", SCOPE_POLICIES).unwrap_or_default(),
            name: fields.text("name"),
            kind,
            apis: fields.lists("apis"),
            post_logout_redirect_uris: fields.list("post_logout_redirect_uris"),
            backchannel_logout_uri: fields.text("backchannel_logout_uri"),
            lease_seconds: lease::seconds(fields, "lease_seconds"),
            location: fields.location("location"),
            refresh: fields.table("refresh_tokens", |fields| {
                let lifetime = fields.number("lifetime").unwrap_or(REFRESH_LIFETIME);
                RefreshPolicy {
                    rotation: fields.flag_or("rotation", true),
                    idle: fields.number("idle").unwrap_or(REFRESH_IDLE.min(lifetime)),
                    lifetime,
                    ends_with_session: fields.flag_or("end_with_session", kind == ClientKind::Spa),
                }
            }),
        }
    }

    pub(super) fn check(self, client_id: &str, around: &Around<'_>) -> Result<Client, FieldError> {
        let Around { vault, connections, .. } = around;
        if client_id.is_empty() || text::description(client_id) != client_id {
            let fix = "a client id is printable ASCII without quotes and backslashes";
            return Err(FieldError::new("", fix));
        }
        let authentication = self.authentication()?;
        let is_public = matches!(authentication, Authentication::None);
        let has_keys = matches!(authentication, Authentication::PrivateKeyJwt(_));
        if self.assertion_audience.is_some() && !has_keys {
            let fix = "is for private_key_jwt; remove it";
            return Err(FieldError::new("assertion_audience", fix));
        }
        if is_public && !self.grants.iter().all(|grant| grant.is_issuing()) {
            let fix = "a client without authentication cannot exchange; remove its grants";
            return Err(FieldError::new("grants", fix));
        }
        if self.account_access == AccountAccess::All && self.kind == ClientKind::ThirdParty {
            let fix = "must be \"connections\" for somebody else's application";
            return Err(FieldError::new("account_access", fix));
        }
        if !around.signs_in && self.grants.iter().any(|grant| grant.is_issuing()) {
            let fix =
                "authorization_code and refresh_token need SIGN_IN: the vault issues no tokens";
            return Err(FieldError::new("grants", fix));
        }
        let audiences = self.audiences.unwrap_or_else(|| vec![vault.identifier()]);
        subject_audiences(&audiences, vault)?;
        for (index, name) in self.connections.iter().enumerate() {
            if !connections.contains_key(name) {
                let field = format!("connections[{index}]");
                return Err(FieldError::no_entry(field, name, "CONNECTIONS"));
            }
        }
        for (field, uris) in [
            ("redirect_uris", &self.redirect_uris),
            ("post_logout_redirect_uris", &self.post_logout_redirect_uris),
        ] {
            for (index, uri) in uris.iter().enumerate() {
                redirect_uri(uri)
                    .map_err(|fix| FieldError::new(format!("{field}[{index}]"), fix))?;
            }
        }
        if let Some(uri) = &self.backchannel_logout_uri {
            vault.allows(uri).map_err(|fix| FieldError::new("backchannel_logout_uri", fix))?;
        }
        if is_public && !self.refresh.rotation {
            let fix = "must be true for a client without authentication (RFC 9700 §4.14.2)";
            return Err(FieldError::new("refresh_tokens.rotation", fix));
        }
        if self.refresh.idle < 60 || self.refresh.lifetime < self.refresh.idle {
            let fix = "must be at least 60 seconds, and the lifetime no shorter than the idle time";
            return Err(FieldError::new("refresh_tokens", fix));
        }
        let apis = apis(self.apis, around.apis)?;
        for (index, origin) in self.origins.iter().enumerate() {
            browser_origin(origin)
                .map_err(|fix| FieldError::new(format!("origins[{index}]"), fix))?;
        }
        Ok(Client {
            authentication,
            assertion_audience: self.assertion_audience.unwrap_or_default(),
            grants: self.grants,
            audiences,
            accepts_from: self.accepts_from.unwrap_or_else(|| vec![client_id.to_owned()]),
            connections: self.connections,
            account_access: self.account_access,
            redirect_uris: self.redirect_uris,
            origins: self.origins,
            scope_policy: self.scope_policy,
            name: self.name.unwrap_or_else(|| client_id.to_owned()),
            kind: self.kind,
            apis,
            post_logout_redirect_uris: self.post_logout_redirect_uris,
            backchannel_logout_uri: self.backchannel_logout_uri,
            refresh: self.refresh,
            lease_seconds: self.lease_seconds,
            location: self.location,
        })
    }

    fn authentication(&self) -> Result<Authentication, FieldError> {
        let has_secret = !self.secret_sha256.is_empty();
        match (self.authentication, has_secret, &self.jwks) {
            (RawAuthentication::ClientSecret, true, None) => {
                if let Some(index) =
                    self.secret_sha256.iter().position(|hash| hash.eq_ignore_ascii_case(EMPTY))
                {
                    let fix = "is the hash of an empty secret, with which everybody would be this client; \
                               check the command that made it";
                    return Err(FieldError::new(format!("secret_sha256[{index}]"), fix));
                }
                let hashes = self.secret_sha256.iter().enumerate().map(|(index, hash)| {
                    encoding::from_hex_array(hash).ok_or_else(|| {
                        let fix = "must be the SHA-256 of the secret: 64 hex digits";
                        FieldError::new(format!("secret_sha256[{index}]"), fix)
                    })
                });
                Ok(Authentication::Secret(hashes.collect::<Result<_, _>>()?))
            }
            (RawAuthentication::PrivateKeyJwt, false, Some(jwks)) => {
                JwkSet::parse(jwks.to_string().as_bytes())
                    .map(Authentication::PrivateKeyJwt)
                    .map_err(|_| {
                        let fix = "must be a JWK set with at least one public signature key: RSA \
                                    of 2048 bits or more, P-256 or Ed25519";
                        FieldError::new("jwks", fix)
                    })
            }
            (RawAuthentication::None, false, None) => Ok(Authentication::None),
            (RawAuthentication::ClientSecret, false, None) => {
                Err(FieldError::new("secret_sha256", "is missing"))
            }
            (RawAuthentication::PrivateKeyJwt, false, None) => {
                Err(FieldError::new("jwks", "is missing"))
            }
            _ => Err(FieldError::new(
                "authentication",
                "give `secret_sha256` for client_secret, `jwks` for private_key_jwt, neither for \
                 none",
            )),
        }
    }
}

/// The scopes that a client may request, by audience. Configuration names resource servers by their
/// entries in `APIS`.
fn apis(
    named: BTreeMap<String, Vec<String>>,
    all: &BTreeMap<String, Api>,
) -> Result<BTreeMap<String, Vec<String>>, FieldError> {
    let mut apis = BTreeMap::new();
    for (name, scopes) in named {
        let field = format!("apis.{name}");
        let Some(api) = all.get(&name) else {
            return Err(FieldError::no_entry(field, &name, "APIS"));
        };
        if let Some(unknown) = scopes.iter().find(|scope| !api.scopes.contains(scope)) {
            return Err(FieldError::new(field, format!("`{unknown}` is not among its scopes")));
        }
        apis.insert(api.identifier.clone(), scopes);
    }
    Ok(apis)
}

/// The client that has a secret of `client`, if there is one: a secret may have to name its client.
pub(super) fn sharing_secret<'a>(
    clients: &'a BTreeMap<String, Client>,
    client: &Client,
) -> Option<&'a str> {
    let Authentication::Secret(own) = &client.authentication else {
        return None;
    };
    let shares = |other: &Client| match &other.authentication {
        Authentication::Secret(hashes) => hashes.iter().any(|hash| own.contains(hash)),
        Authentication::PrivateKeyJwt(_) | Authentication::None => false,
    };
    clients.iter().find_map(|(name, other)| shares(other).then_some(name.as_str()))
}

/// Checks a redirect URI: it must be https, http on loopback (RFC 8252 §7.3) or of a private-use scheme
/// (RFC 8252 §7.1), and must not have a fragment (RFC 6749 §3.1.2). The error says what to fix.
fn redirect_uri(text: &str) -> Result<(), String> {
    let url = parse_url(text, "must be an absolute URI")?;
    if text.contains('#') {
        return Err("must not have a fragment (RFC 6749 §3.1.2)".into());
    }
    if url.host_str().is_some_and(|host| host.contains('*')) || url.path().contains('*') {
        return Err(
            "must be a whole URI without `*`: URIs are compared byte by byte (RFC 9700 §2.1)"
                .into(),
        );
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost")) => Ok(()),
        "http" => Err("must be https; http is for loopback only".into()),
        // A private-use scheme is a reversed domain name, and so has a dot (RFC 8252 §7.1).
        scheme if scheme.contains('.') => Ok(()),
        _ => Err("must be https, http on loopback, or a private-use scheme with a dot".into()),
    }
}

fn browser_origin(text: &str) -> Result<(), String> {
    let url = parse_url(text, "must be an origin such as https://app.example.com")?;
    if !matches!(url.scheme(), "https" | "http") || url.origin().ascii_serialization() != text {
        return Err("must be scheme, host and port alone, such as https://app.example.com".into());
    }
    if text.contains('*') {
        return Err(
            "must be one origin without `*`: browsers send the whole origin, which is compared"
                .into(),
        );
    }
    Ok(())
}
