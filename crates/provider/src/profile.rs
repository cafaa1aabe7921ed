// SPDX-License-Identifier: Apache-2.0
//! How a provider speaks, as data: what the catalogue says of each, and what a connection written by
//! hand can say just as well. `docs/providers/README.md` explains each field.

use std::collections::BTreeMap;

/// How we prove ourselves at a provider's token endpoint (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuthentication {
    /// HTTP Basic.
    #[default]
    ClientSecretBasic,
    /// In the body.
    ClientSecretPost,
    /// HTTP Basic with the secret as user name and no password.
    SecretAsUsername,
    /// Not at all: a public client, which PKCE protects.
    None,
}

impl ClientAuthentication {
    /// As configuration names them.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("client_secret_basic", Self::ClientSecretBasic),
        ("client_secret_post", Self::ClientSecretPost),
        ("secret_as_username", Self::SecretAsUsername),
        ("none", Self::None),
    ];
}

/// Whether the provider takes PKCE with S256 (RFC 7636).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pkce {
    /// It refuses requests without.
    Required,
    /// It takes it, or passes it over.
    #[default]
    Supported,
    /// None is sent: it refuses requests with it, or wants its clients set up for it.
    Refused,
}

impl Pkce {
    /// As configuration names them.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("required", Self::Required), ("supported", Self::Supported), ("refused", Self::Refused)];
}

/// How the body of a token request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyFormat {
    /// As the RFC says.
    #[default]
    Form,
    /// A JSON object of the same members.
    Json,
    /// No body.
    None,
}

impl BodyFormat {
    /// As configuration names them.
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
    /// As configuration names them.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("GET", Self::Get), ("POST", Self::Post), ("DELETE", Self::Delete)];

    /// As it is sent.
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
    /// It goes on.
    None,
    /// It is over, and a new one comes.
    SingleUse,
    /// A new one comes, and the old one goes on.
    OldStaysValid,
    /// A new one comes now and then.
    Periodic,
    /// A new one may come.
    Sometimes,
    /// As the application is registered.
    PerApp,
    /// Nobody says: taken for single use.
    #[default]
    Unknown,
}

impl Rotation {
    /// As configuration names them.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("none", Self::None),
        ("single_use", Self::SingleUse),
        ("old_stays_valid", Self::OldStaysValid),
        ("periodic", Self::Periodic),
        ("sometimes", Self::Sometimes),
        ("per_app", Self::PerApp),
        ("unknown", Self::Unknown),
    ];

    /// Whether a refresh whose answer was lost may have ended the token that was sent.
    pub fn may_end_the_old(self) -> bool {
        !matches!(self, Self::None | Self::OldStaysValid)
    }
}

/// What a lifetime is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LifetimeUnit {
    /// As the RFC says.
    #[default]
    Seconds,
    /// Sixty seconds.
    Minutes,
    /// Thousandths of a second.
    Milliseconds,
}

impl LifetimeUnit {
    /// As configuration names them.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("seconds", Self::Seconds),
        ("minutes", Self::Minutes),
        ("milliseconds", Self::Milliseconds),
    ];
}

/// What `expires_in: 0` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZeroLifetime {
    /// The token is over.
    #[default]
    Over,
    /// The token does not end.
    Never,
}

impl ZeroLifetime {
    /// As configuration names them.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("over", Self::Over), ("never", Self::Never)];
}

/// What it means that an answer has no `expires_in`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingLifetime {
    /// The token ends, and nobody says when.
    #[default]
    Untold,
    /// The token does not end.
    Never,
}

impl MissingLifetime {
    /// As configuration names them.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("untold", Self::Untold), ("never", Self::Never)];
}

/// Where things stand in the answer to a token request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseShape {
    /// Path to the object that holds the tokens; empty for the answer itself.
    pub path: String,
    /// The same in the answer to a refresh.
    pub refresh_path: String,
    /// Values of `token_type` that are as good as `Bearer`.
    pub token_types: Vec<String>,
    /// Member that holds the scopes granted.
    pub scope_member: String,
    /// What stands between scopes, beside spaces.
    pub scope_separator: String,
    /// Member that holds the access token's life.
    pub expires_in_member: String,
    /// What it is counted in.
    pub expires_in_unit: LifetimeUnit,
    /// What zero means there.
    pub zero_expires_in: ZeroLifetime,
    /// What it means that it is not there.
    pub missing_expires_in: MissingLifetime,
    /// Life of an access token whose answer tells none, in seconds, where it can be renewed. Without
    /// a refresh token it is taken to last.
    pub default_expires_in: Option<i64>,
    /// Member that holds the refresh token's life.
    pub refresh_token_expires_in_member: String,
    /// Life of a refresh token whose answer tells none, in seconds.
    pub refresh_token_lifetime: Option<i64>,
    /// Paths of members that applications need and that are no secrets.
    pub provider_data: Vec<String>,
}

/// What errors of the token endpoint mean. Codes are compared as they are with every value found at
/// `members`; what no list names means what RFC 6749 §5.2 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorRules {
    /// Paths at which codes stand. Lists are gone through, numbers are read as text.
    pub members: Vec<String>,
    /// The grant is over.
    pub permanent: Vec<String>,
    /// Later.
    pub transient: Vec<String>,
    /// The operator's to fix.
    pub misconfigured: Vec<String>,
    /// The user has not consented to what this request asks for, or must prove more for it; the
    /// grant goes on.
    pub consent: Vec<String>,
}

/// How we prove ourselves where tokens are revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RevocationAuthentication {
    /// As at the token endpoint.
    #[default]
    Client,
    /// HTTP Basic.
    ClientSecretBasic,
    /// Id and secret in the body.
    ClientSecretPost,
    /// The id alone, in the body.
    ClientId,
    /// HTTP Basic with the secret as user name.
    SecretAsUsername,
    /// With the access token that is to end.
    Bearer,
    /// Not at all.
    None,
}

impl RevocationAuthentication {
    /// As configuration names them.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("client", Self::Client),
        ("client_secret_basic", Self::ClientSecretBasic),
        ("client_secret_post", Self::ClientSecretPost),
        ("client_id", Self::ClientId),
        ("secret_as_username", Self::SecretAsUsername),
        ("bearer", Self::Bearer),
        ("none", Self::None),
    ];
}

/// Which tokens are sent to be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RevokedToken {
    /// The refresh token, then each access token.
    #[default]
    Each,
    /// The refresh token, or the access token where there is none.
    RefreshToken,
    /// An access token.
    AccessToken,
}

impl RevokedToken {
    /// As configuration names them.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("each", Self::Each),
        ("refresh_token", Self::RefreshToken),
        ("access_token", Self::AccessToken),
    ];
}

/// What dies with a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RevocationScope {
    /// The token that was sent and what was derived from it.
    Token,
    /// All tokens this user gave this application. What nobody says counts as this.
    #[default]
    Grant,
    /// The application's installation, for other users too.
    App,
}

impl RevocationScope {
    /// As configuration names them.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("token", Self::Token), ("grant", Self::Grant), ("app", Self::App)];
}

/// How tokens are revoked; by default as RFC 7009 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationRules {
    /// HTTP method.
    pub method: HttpMethod,
    /// How we prove ourselves.
    pub authentication: RevocationAuthentication,
    /// How the body is written.
    pub body: BodyFormat,
    /// Name of the token's parameter; empty if it is not in the body.
    pub token_parameter: String,
    /// Whether `token_type_hint` is sent.
    pub hint: bool,
    /// More parameters.
    pub params: BTreeMap<String, String>,
    /// More headers.
    pub headers: BTreeMap<String, String>,
    /// Which tokens.
    pub token: RevokedToken,
    /// What dies.
    pub blast: RevocationScope,
    /// Error codes that say there is nothing (left) to revoke.
    pub gone: Vec<String>,
}

/// What tells who an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentitySource {
    /// The ID token, completed by userinfo (`OpenID` Connect).
    IdToken,
    /// A request to `userinfo_endpoint`.
    Userinfo,
    /// The token answer itself.
    Answer,
}

impl IdentitySource {
    /// As configuration names them.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("id_token", Self::IdToken), ("userinfo", Self::Userinfo), ("answer", Self::Answer)];
}

/// Where an account's identity is read, by default in the standard claims of `OpenID` Connect (Core
/// §5.1). A dot in a path goes one level down, a number into a list,
/// `|` stands before another path for where there is none, and `+` joins two values with a colon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRules {
    /// Which document; by default what the connection has.
    pub from: Option<IdentitySource>,
    /// Method of the request.
    pub method: HttpMethod,
    /// JSON body of the request.
    pub body: Option<String>,
    /// What stands before the token in `Authorization`.
    pub scheme: String,
    /// More headers of the request.
    pub headers: BTreeMap<String, String>,
    /// The provider's id of the user: text or a number.
    pub id: String,
    /// Whether the provider documents that it never gives an id to somebody else.
    pub permanent: bool,
    /// E-mail address.
    pub email: String,
    /// Name to show.
    pub name: String,
    /// Paths of what applications need of that document, and that is no secret.
    pub provider_data: Vec<String>,
}

/// A further token that comes along with an account's own, such as the bot's beside the user's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KindRules {
    /// Scopes asked for it.
    pub scopes: Vec<String>,
    /// The parameter that asks for them.
    pub scope_parameter: String,
    /// Path to the object that holds it; empty for the answer itself.
    pub answer_path: String,
    /// Whether it is revoked with the account. `false` where that would end it for others.
    pub revocable: bool,
    /// How it is made, where it does not come with the consent.
    pub issuance: Option<IssuanceRules>,
}

/// How a token is made by ourselves: signed for with a private key, for an account at the provider that
/// the user is shown to own. Tokens of a GitHub App's installation are such.
///
/// In addresses `{name}` stands for the account's name, `{id}` for what the lookup found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuanceRules {
    /// How callers name such an account, with `{name}` at the end (`resource`, RFC 8693 §2.1). Without
    /// one it is the user's own.
    pub resource: String,
    /// Finds what to issue a token for, of the user's own account. Asked with our signature.
    pub own_lookup: String,
    /// The same of an organisation.
    pub organization_lookup: String,
    /// Where the provider tells what the user is in an organisation. Asked with the user's token.
    pub membership_endpoint: String,
    /// What an owner has there, by path.
    pub membership_required: BTreeMap<String, String>,
    /// Path there to the organisation's id.
    pub membership_account: String,
    /// Path to the `{id}` in what was found.
    pub id: String,
    /// Path to the id of the account that it belongs to.
    pub account: String,
    /// Path to what is there only while it may not be used.
    pub suspended: String,
    /// Where the token is made.
    pub token_endpoint: String,
    /// Member of its answer that holds the token.
    pub token_member: String,
    /// Member that holds the end of its life, in the form of RFC 3339.
    pub expires_at_member: String,
    /// Member that holds what it may do, and the parameter that narrows it: an object of names and
    /// levels, each a scope `name:level`.
    pub scope_member: String,
    /// Headers of these requests.
    pub headers: BTreeMap<String, String>,
    /// Where such a token is revoked, if anywhere.
    pub revocation_endpoint: Option<String>,
    /// How.
    pub revocation: RevocationRules,
}
