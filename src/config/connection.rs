//! A connection: one provider, as users connect their accounts there.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::issuer::issuer_identifier;
use super::{Fault, PublicUrl, endpoint};
use crate::secret::Secret;
use crate::text;

/// One provider and our registration there.
#[derive(Debug, Clone)]
pub struct Connection {
    /// How its endpoints are found.
    pub protocol: Protocol,
    /// Our client id there.
    pub client_id: String,
    /// Our client secret there, unless we are a public client.
    pub client_secret: Option<Secret>,
    /// How we prove ourselves at its token endpoint.
    pub client_authentication: ClientAuthentication,
    /// Scopes asked for when an application names none.
    pub scopes: Vec<String>,
    /// Scopes asked for in any case, such as `openid` and `offline_access`.
    pub required_scopes: Vec<String>,
    /// What stands between scopes in requests and answers: a space by the RFC, a comma with some.
    pub scope_separator: String,
    /// Extra parameters of the authorization request.
    pub authorization_params: BTreeMap<String, String>,
    /// Extra parameters of every token request.
    pub token_params: BTreeMap<String, String>,
    /// Whether PKCE with S256 is used.
    pub pkce: bool,
    /// Whether a refresh may ask for fewer scopes and give a narrower access token.
    pub down_scoping: bool,
    /// Life of an access token whose answer has no `expires_in`, in seconds; `None`: it is taken to
    /// last until the provider refuses it.
    pub default_expires_in: Option<i64>,
}

/// How a provider's endpoints are found.
#[derive(Debug, Clone)]
pub enum Protocol {
    /// By `OpenID` Connect discovery from this issuer identifier.
    OpenId {
        /// The issuer identifier.
        issuer: String,
    },
    /// From configuration.
    OAuth2(Endpoints),
}

/// Endpoints given in configuration.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// Where users consent.
    pub authorization_endpoint: String,
    /// Where codes and refresh tokens are redeemed.
    pub token_endpoint: String,
    /// Where the account's identity is read, and from which fields.
    pub userinfo: Option<(String, IdentityFields)>,
    /// Where tokens are revoked (RFC 7009).
    pub revocation_endpoint: Option<String>,
    /// Issuer identifier that must come back as `iss` (RFC 9207), where the provider sends one.
    pub authorization_response_iss: Option<String>,
}

/// Which fields of a userinfo answer say who the account is. A dot goes one level down.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityFields {
    /// The provider's id of the user: a string or an integer.
    #[serde(default = "sub")]
    pub id: String,
    /// E-mail address.
    #[serde(default = "email")]
    pub email: String,
    /// Name to show.
    #[serde(default = "name")]
    pub name: String,
}

impl IdentityFields {
    /// The standard claims of `OpenID` Connect (Core §5.1).
    pub fn open_id() -> Self {
        Self { id: sub(), email: email(), name: name() }
    }
}

fn sub() -> String {
    "sub".into()
}

fn email() -> String {
    "email".into()
}

fn name() -> String {
    "name".into()
}

/// How we prove ourselves at a provider's token endpoint (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// HTTP Basic.
    #[default]
    ClientSecretBasic,
    /// In the body.
    ClientSecretPost,
    /// Not at all: a public client, which PKCE protects.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
enum Pkce {
    #[default]
    S256,
    #[serde(rename = "none")]
    None,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    issuer: Option<String>,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    identity: Option<IdentityFields>,
    revocation_endpoint: Option<String>,
    authorization_response_iss: Option<String>,
    client_id: String,
    #[serde(default)]
    client_authentication: ClientAuthentication,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    required_scopes: Vec<String>,
    scope_separator: Option<String>,
    #[serde(default)]
    authorization_params: BTreeMap<String, String>,
    #[serde(default)]
    token_params: BTreeMap<String, String>,
    #[serde(default)]
    pkce: Pkce,
    #[serde(default)]
    down_scoping: bool,
    default_expires_in: Option<i64>,
}

/// Parameters of the authorization request that are ours: configuration must not set them.
const OWN_PARAMETERS: [&str; 11] = [
    "client_id",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "nonce",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
];

impl Raw {
    pub(super) fn check(
        self,
        name: &str,
        secret: Option<Secret>,
        vault: &PublicUrl,
    ) -> Result<Connection, Fault> {
        check_name(name)?;
        let protocol = self.protocol(vault)?;
        let public = self.client_authentication == ClientAuthentication::None;
        match (public, &secret) {
            (true, Some(_)) => {
                let mend = "is `none`, but PROVIDER_SECRETS has a secret; remove one of the two";
                return Err(Fault::new("client_authentication", mend));
            }
            (false, None) => {
                let mend = "needs the client secret in PROVIDER_SECRETS, under this name";
                return Err(Fault::new("client_authentication", mend));
            }
            (true, None) if self.pkce == Pkce::None => {
                let mend = "a public client must use PKCE (RFC 9700 §2.1.1)";
                return Err(Fault::new("pkce", mend));
            }
            _ => {}
        }
        let separator = self.scope_separator.unwrap_or_else(|| " ".into());
        if separator != " " && separator != "," {
            return Err(Fault::new("scope_separator", "must be a space or a comma"));
        }
        let mut required_scopes = self.required_scopes;
        if matches!(protocol, Protocol::OpenId { .. }) {
            required_scopes.insert(0, "openid".to_owned());
        }
        for (field, scopes) in [("scopes", &self.scopes), ("required_scopes", &required_scopes)] {
            if let Some(index) = scopes.iter().position(|scope| !text::is_scope(scope)) {
                let mend = "is not one scope (RFC 6749 §3.3); give a list";
                return Err(Fault::new(format!("{field}[{index}]"), mend));
            }
        }
        for (field, params) in [
            ("authorization_params", &self.authorization_params),
            ("token_params", &self.token_params),
        ] {
            if let Some(own) = OWN_PARAMETERS.iter().find(|own| params.contains_key(**own)) {
                return Err(Fault::new(format!("{field}.{own}"), "is set by the vault; remove it"));
            }
        }
        if self.default_expires_in.is_some_and(|seconds| !(1..=315_360_000).contains(&seconds)) {
            return Err(Fault::new("default_expires_in", "must be 1 to 315360000 seconds"));
        }
        Ok(Connection {
            protocol,
            client_id: self.client_id,
            client_secret: secret,
            client_authentication: self.client_authentication,
            scopes: text::unique(self.scopes),
            required_scopes: text::unique(required_scopes),
            scope_separator: separator,
            authorization_params: self.authorization_params,
            token_params: self.token_params,
            pkce: self.pkce == Pkce::S256,
            down_scoping: self.down_scoping,
            default_expires_in: self.default_expires_in,
        })
    }

    fn protocol(&self, vault: &PublicUrl) -> Result<Protocol, Fault> {
        let given = [
            ("authorization_endpoint", &self.authorization_endpoint),
            ("token_endpoint", &self.token_endpoint),
            ("userinfo_endpoint", &self.userinfo_endpoint),
            ("revocation_endpoint", &self.revocation_endpoint),
        ];
        for (field, value) in given {
            if let Some(uri) = value {
                endpoint(field, uri, vault)?;
            }
        }
        if let Some(issuer) = &self.issuer {
            issuer_identifier(issuer, vault)?;
            if let Some((field, _)) = given.iter().find(|(_, value)| value.is_some()) {
                let mend = "comes from discovery; give `issuer` or endpoints, not both";
                return Err(Fault::new(*field, mend));
            }
            return Ok(Protocol::OpenId { issuer: issuer.clone() });
        }
        let missing = |field| Fault::new(field, "is missing; give `issuer` or both endpoints");
        let authorization_endpoint =
            self.authorization_endpoint.clone().ok_or_else(|| missing("authorization_endpoint"))?;
        let token_endpoint =
            self.token_endpoint.clone().ok_or_else(|| missing("token_endpoint"))?;
        let fields = self.identity.clone().unwrap_or_else(IdentityFields::open_id);
        Ok(Protocol::OAuth2(Endpoints {
            authorization_endpoint,
            token_endpoint,
            userinfo: self.userinfo_endpoint.clone().map(|endpoint| (endpoint, fields)),
            revocation_endpoint: self.revocation_endpoint.clone(),
            authorization_response_iss: self.authorization_response_iss.clone(),
        }))
    }
}

/// The name stands in the callback's path and in requests.
fn check_name(name: &str) -> Result<(), Fault> {
    let fits = (1..=128).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && name.bytes().any(|b| b.is_ascii_alphanumeric());
    if fits {
        return Ok(());
    }
    Err(Fault::new("", "a connection's name is 1 to 128 letters, digits, `-`, `_`, `.`"))
}
