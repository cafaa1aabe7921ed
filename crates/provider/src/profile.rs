// SPDX-License-Identifier: Apache-2.0
//! The profile of a provider: how it differs from the RFCs, as data. It comes from the catalogue or from the
//! configuration of a connection. `docs/providers/README.md` explains each field.

use std::collections::BTreeMap;

/// Client authentication at a provider's token endpoint (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuthentication {
    /// HTTP Basic with the client id as user name and the client secret as password.
    #[default]
    ClientSecretBasic,
    /// HTTP Basic, with client id and client secret as they are. RFC 6749 §2.3.1 has them form-encoded, which
    /// some providers do not undo.
    ClientSecretBasicRaw,
    /// Client id and client secret as parameters of the body.
    ClientSecretPost,
    /// HTTP Basic with the client secret as user name and an empty password.
    SecretAsUsername,
    /// None: a public client, which sends only its client id.
    None,
}

impl ClientAuthentication {
    /// The values in the configuration, by name.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("client_secret_basic", Self::ClientSecretBasic),
        ("client_secret_basic_raw", Self::ClientSecretBasicRaw),
        ("client_secret_post", Self::ClientSecretPost),
        ("secret_as_username", Self::SecretAsUsername),
        ("none", Self::None),
    ];
}

/// The provider's support of PKCE with S256 (RFC 7636).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pkce {
    /// PKCE is sent: the provider rejects requests without it.
    Required,
    /// PKCE is sent: the provider verifies it, or ignores it.
    #[default]
    Supported,
    /// PKCE is not sent: the provider rejects requests with it, or needs clients that are set up for it.
    Refused,
}

impl Pkce {
    /// The values in the configuration, by name.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("required", Self::Required), ("supported", Self::Supported), ("refused", Self::Refused)];
}

/// The encoding of a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyFormat {
    /// `application/x-www-form-urlencoded` (RFC 6749 §4.1.3).
    #[default]
    Form,
    /// A JSON object with one string member for each parameter.
    Json,
    /// No body.
    None,
}

impl BodyFormat {
    /// The values in the configuration, by name.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("form", Self::Form), ("json", Self::Json), ("none", Self::None)];
}

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpMethod {
    /// `GET`.
    Get,
    /// `POST`.
    #[default]
    Post,
    /// `DELETE`.
    Delete,
}

impl HttpMethod {
    /// The values in the configuration, by name.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("GET", Self::Get), ("POST", Self::Post), ("DELETE", Self::Delete)];

    /// The method in a request line, in upper case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// What a refresh does to the refresh token that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rotation {
    /// It remains valid, and the response contains no other one.
    None,
    /// It becomes invalid, and the response contains a new one.
    SingleUse,
    /// It remains valid, and the response contains a new one.
    OldStaysValid,
    /// It is replaced by a new one from time to time.
    Periodic,
    /// It may be replaced by a new one.
    Sometimes,
    /// It depends on the registration of the application.
    PerApp,
    /// Not documented: the vault assumes [`Rotation::SingleUse`].
    #[default]
    Unknown,
}

impl Rotation {
    /// The values in the configuration, by name.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("none", Self::None),
        ("single_use", Self::SingleUse),
        ("old_stays_valid", Self::OldStaysValid),
        ("periodic", Self::Periodic),
        ("sometimes", Self::Sometimes),
        ("per_app", Self::PerApp),
        ("unknown", Self::Unknown),
    ];

    /// Whether a refresh whose response was lost may have invalidated the refresh token that was sent.
    pub fn may_end_the_old(self) -> bool {
        !matches!(self, Self::None | Self::OldStaysValid)
    }
}

/// The unit of a lifetime in a response, or the form of the time that stands in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LifetimeUnit {
    /// Seconds (RFC 6749 §5.1).
    #[default]
    Seconds,
    /// Minutes.
    Minutes,
    /// Milliseconds.
    Milliseconds,
    /// No lifetime: the time of expiry, in the format of RFC 3339 with whole seconds in UTC.
    DateTime,
}

impl LifetimeUnit {
    /// The values in the configuration, by name.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("seconds", Self::Seconds),
        ("minutes", Self::Minutes),
        ("milliseconds", Self::Milliseconds),
        ("date_time", Self::DateTime),
    ];
}

/// The meaning of `expires_in: 0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZeroLifetime {
    /// The token has expired.
    #[default]
    Over,
    /// The token does not expire.
    Never,
}

impl ZeroLifetime {
    /// The values in the configuration, by name.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("over", Self::Over), ("never", Self::Never)];
}

/// The meaning of a token response without `expires_in`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingLifetime {
    /// The token expires at a time that is not known.
    #[default]
    Untold,
    /// The token does not expire.
    Never,
}

impl MissingLifetime {
    /// The values in the configuration, by name.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("untold", Self::Untold), ("never", Self::Never)];
}

/// How tokens are renewed; by default with a refresh token (RFC 6749 §6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalRules {
    /// Whether the provider issues no refresh tokens, and exchanges a valid access token for a new one. The access
    /// token is then kept as the grant's refresh token as well, and renewed after half of its lifetime.
    pub by_access_token: bool,
    /// HTTP method of the request. With [`HttpMethod::Get`], its parameters are in the query.
    pub method: HttpMethod,
    /// The parameter with the token that is sent.
    pub token_parameter: String,
    /// Value of `grant_type`.
    pub grant_type: String,
    /// Value of `grant_type` for the first renewal after a consent, at [`first_refresh_endpoint`], if it is another
    /// one: the token of a code is then exchanged for one that lives longer.
    ///
    /// [`first_refresh_endpoint`]: crate::connection::Endpoints::first_refresh_endpoint
    pub first_grant_type: Option<String>,
}

impl RenewalRules {
    /// Longest lifetime in seconds of an access token that is renewed with [`RenewalRules::first_grant_type`].
    const SHORT_LIVED: i64 = 86_400;

    /// Whether the renewal of an access token with this lifetime in seconds is the first one after a consent.
    pub fn is_first(&self, lifetime: Option<i64>) -> bool {
        self.first_grant_type.is_some()
            && lifetime.is_some_and(|lifetime| lifetime <= Self::SHORT_LIVED)
    }
}

/// The format of a token response (RFC 6749 §5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseShape {
    /// Path to the object with the tokens, in the response to a code; empty for the response itself. `a|b` is `b` if
    /// there is nothing at `a`.
    pub path: String,
    /// The same path in the response to a refresh.
    pub refresh_path: String,
    /// Values of `token_type` that are accepted besides `Bearer`.
    pub token_types: Vec<String>,
    /// Member with the token that renews the grant: `refresh_token`, or `access_token`
    /// ([`RenewalRules::by_access_token`]).
    pub refresh_token_member: &'static str,
    /// Member with the granted scopes.
    pub scope_member: String,
    /// Separators of scopes besides the space; each character is one.
    pub scope_separator: String,
    /// Member with the lifetime of the access token.
    pub expires_in_member: String,
    /// Unit of that lifetime.
    pub expires_in_unit: LifetimeUnit,
    /// Meaning of the lifetime 0.
    pub zero_expires_in: ZeroLifetime,
    /// Meaning of a missing lifetime.
    pub missing_expires_in: MissingLifetime,
    /// Lifetime in seconds of an access token that comes without one, if it can be refreshed. Without a
    /// refresh token, it is served without an expiry.
    pub default_expires_in: Option<i64>,
    /// Member with the lifetime of the refresh token, in seconds.
    pub refresh_token_expires_in_member: String,
    /// Lifetime in seconds of a refresh token that comes without one.
    pub refresh_token_lifetime: Option<i64>,
    /// Paths of values that are passed on to applications. They must not be secrets.
    pub provider_data: Vec<String>,
}

/// The meaning of error codes. The codes of a list are compared exactly with every text found at `members`; a
/// code in none of the lists has the meaning of RFC 6749 §5.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorRules {
    /// Paths of error codes in a response. Every element of an array is a code; numbers are read as text.
    pub members: Vec<String>,
    /// Codes for: the grant has ended.
    pub permanent: Vec<String>,
    /// Codes for: the request had no effect, and may be repeated later.
    pub transient: Vec<String>,
    /// Codes for: the provider failed, and the request may have had an effect.
    pub unclear: Vec<String>,
    /// Codes for: the operator must fix the registration or the configuration.
    pub misconfigured: Vec<String>,
    /// Codes for: the user has not consented to what the request asks for, or must authenticate further for
    /// it. See [`TokenEndpointError::Consent`](crate::error_codes::TokenEndpointError::Consent).
    pub consent: Vec<String>,
    /// Whether the lists name all codes with which the provider refuses a refresh token for good. If so,
    /// `invalid_grant` with a code that no list names is no clear refusal
    /// ([`TokenEndpointError::Unlisted`](crate::error_codes::TokenEndpointError::Unlisted)).
    pub codes_listed: bool,
    /// Codes of authorization error responses for: the user or the provider declined (RFC 6749 §4.1.2.1). They
    /// are not compared with the responses of token endpoints.
    pub access_denied: Vec<String>,
}

/// Client authentication in revocation requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RevocationAuthentication {
    /// As at the token endpoint; a public client sends its client id.
    #[default]
    Client,
    /// HTTP Basic with client id and client secret.
    ClientSecretBasic,
    /// Client id and client secret as parameters of the body.
    ClientSecretPost,
    /// The client id alone, as a parameter of the body.
    ClientId,
    /// HTTP Basic with the client secret as user name and an empty password.
    SecretAsUsername,
    /// The client secret in `Authorization`, with the scheme `Client`.
    ClientScheme,
    /// The token to be revoked, as a bearer token.
    Bearer,
    /// None.
    None,
}

impl RevocationAuthentication {
    /// The values in the configuration, by name.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("client", Self::Client),
        ("client_secret_basic", Self::ClientSecretBasic),
        ("client_secret_post", Self::ClientSecretPost),
        ("client_id", Self::ClientId),
        ("secret_as_username", Self::SecretAsUsername),
        ("client_scheme", Self::ClientScheme),
        ("bearer", Self::Bearer),
        ("none", Self::None),
    ];
}

/// The tokens that a provider accepts for revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RevokedToken {
    /// The refresh token and then each access token is revoked.
    #[default]
    Each,
    /// The refresh token is revoked; without one, the access tokens are.
    RefreshToken,
    /// Only access tokens can be revoked.
    AccessToken,
}

impl RevokedToken {
    /// The values in the configuration, by name.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("each", Self::Each),
        ("refresh_token", Self::RefreshToken),
        ("access_token", Self::AccessToken),
    ];
}

/// What a revocation invalidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RevocationScope {
    /// The token that was sent and the tokens derived from it.
    Token,
    /// All tokens that the user granted to this client. Assumed if the provider does not document it.
    #[default]
    Grant,
    /// The installation of the application, and with it the tokens of other users.
    App,
}

impl RevocationScope {
    /// The values in the configuration, by name.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("token", Self::Token), ("grant", Self::Grant), ("app", Self::App)];
}

/// The form of revocation requests; by default that of RFC 7009 §2.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationRules {
    /// HTTP method.
    pub method: HttpMethod,
    /// Client authentication.
    pub authentication: RevocationAuthentication,
    /// Encoding of the body.
    pub body: BodyFormat,
    /// Parameter for the token; empty if the token is not in the body.
    pub token_parameter: String,
    /// Whether `token_type_hint` is sent.
    pub hint: bool,
    /// Further parameters. Values may contain `{token}`, `{client_id}` and `{user}`.
    pub params: BTreeMap<String, String>,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    /// The tokens to revoke.
    pub token: RevokedToken,
    /// What a revocation invalidates.
    pub blast: RevocationScope,
    /// Error codes that state that the token is not valid (any more), so that the revocation is complete.
    pub gone: Vec<String>,
}

/// The source of an account's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentitySource {
    /// The ID token, completed by the userinfo response (`OpenID` Connect).
    IdToken,
    /// The response of the userinfo endpoint.
    Userinfo,
    /// The token response.
    Answer,
    /// A parameter of the authorization response, named by [`IdentityRules::id`]. It comes by way of the browser,
    /// so nothing proves it: it tells a user's own accounts apart, and never signs anybody in.
    Callback,
}

impl IdentitySource {
    /// The values in the configuration, by name.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("id_token", Self::IdToken),
        ("userinfo", Self::Userinfo),
        ("answer", Self::Answer),
        ("callback", Self::Callback),
    ];
}

/// Where an account's identity is read from, by default the standard claims of `OpenID` Connect (Core §5.1).
/// [`crate::json_path::text`] explains the paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRules {
    /// The document with the identity. `None` for the ID token of an `OpenID` provider, else the userinfo
    /// response if there is a userinfo endpoint, else none.
    pub from: Option<IdentitySource>,
    /// HTTP method of the userinfo request.
    pub method: HttpMethod,
    /// JSON body of the userinfo request; `None` for no body.
    pub body: Option<String>,
    /// Authentication scheme of the userinfo request, which precedes the access token in `Authorization`.
    pub scheme: String,
    /// Further headers of the userinfo request.
    pub headers: BTreeMap<String, String>,
    /// Path of the provider's id of the user.
    pub id: String,
    /// Whether the provider documents that it never gives an id to somebody else.
    pub permanent: bool,
    /// E-mail address.
    pub email: String,
    /// Path of the name for display.
    pub name: String,
    /// Paths of further values that are passed on to applications. They must not be secrets.
    pub provider_data: Vec<String>,
    /// Whether an ID token may name further audiences besides the vault's client id, if `azp` is that id
    /// (OpenID Connect Core §3.1.3.7, steps 3 to 5).
    pub several_audiences: bool,
    /// Whether an ID token may lack `nonce`. PKCE then binds the code to the connect alone.
    pub optional_nonce: bool,
}

/// A further kind of token, besides the account's own, such as a bot's token besides the user's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KindRules {
    /// Scopes to request for it.
    pub scopes: Vec<String>,
    /// Parameter of the authorization request for these scopes.
    pub scope_parameter: String,
    /// Path to the object with the token in the response to a code; empty for the response itself.
    pub answer_path: String,
    /// Whether it may be revoked when the account is deleted. `false` if other users share the token.
    pub revocable: bool,
    /// Rules for its issuance; `None` if it comes with the consent.
    pub issuance: Option<IssuanceRules>,
}

/// The rules for the issuance of a token with the vault's private key, for an account at the provider that
/// the user owns, such as the token of a GitHub App's installation.
///
/// In URLs `{name}` is replaced by the name of the account, and `{id}` by the id from the lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuanceRules {
    /// The form of `resource` (RFC 8693 §2.1) by which callers name an account, with `{name}` at the end.
    /// In a request without `resource` the account is the user's own.
    pub resource: String,
    /// URL of the lookup for the user's own account. Requested with the vault's signature.
    pub own_lookup: String,
    /// URL of the lookup for an organization. Requested with the vault's signature.
    pub organization_lookup: String,
    /// URL of the user's membership in an organization. Requested with the user's access token.
    pub membership_endpoint: String,
    /// Values that the membership of an owner has, by path.
    pub membership_required: BTreeMap<String, String>,
    /// Path of the organization's id in the membership.
    pub membership_account: String,
    /// Path of `{id}` in the response to the lookup.
    pub id: String,
    /// Path of the id of the account in the response to the lookup.
    pub account: String,
    /// Path of a value in the response to the lookup that is present only while the installation is
    /// suspended.
    pub suspended: String,
    /// URL of the endpoint that issues the token. Requested with the vault's signature.
    pub token_endpoint: String,
    /// Member of its response with the token.
    pub token_member: String,
    /// Member of its response with the expiry time, in the format of RFC 3339.
    pub expires_at_member: String,
    /// Member of its response with the scopes of the token, and parameter that narrows them: an object of
    /// names and levels, each of which is a scope `name:level`.
    pub scope_member: String,
    /// Further headers of all these requests, except of userinfo requests.
    pub headers: BTreeMap<String, String>,
    /// URL of the revocation endpoint for such a token; `None` if it cannot be revoked.
    pub revocation_endpoint: Option<String>,
    /// The form of its revocation requests.
    pub revocation: RevocationRules,
}
