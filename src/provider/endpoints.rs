//! A provider's endpoints, from configuration or from its metadata.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::config::{Connection, IdentityFields, Protocol, PublicUrl};
use crate::json;

/// Longest metadata or key document that is read, in bytes.
pub const MAX_DOCUMENT: usize = 256 * 1024;

/// The members of an authorization server's metadata that we use (OpenID Connect Discovery §3,
/// RFC 8414 §2, RFC 9207 §3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Issuer identifier; equals the one it was fetched for.
    pub issuer: String,
    /// Keys.
    pub jwks_uri: String,
    /// Where users consent.
    pub authorization_endpoint: Option<String>,
    /// Where tokens are issued.
    pub token_endpoint: Option<String>,
    /// Where identity is read.
    pub userinfo_endpoint: Option<String>,
    /// Where tokens are revoked.
    pub revocation_endpoint: Option<String>,
    /// Whether authorization responses carry `iss`.
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

/// Why a metadata document was discarded whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadMetadata {
    /// Not a JSON object with the members we need.
    Malformed,
    /// `issuer` is not the one it was fetched for (RFC 8414 §3.3).
    OtherIssuer,
    /// An endpoint's address is not allowed.
    Endpoint,
}

impl std::fmt::Display for BadMetadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "metadata is not a JSON object with issuer and jwks_uri",
            Self::OtherIssuer => "metadata names another issuer",
            Self::Endpoint => "metadata has an endpoint that is not https with a public host",
        })
    }
}

impl std::error::Error for BadMetadata {}

impl Metadata {
    /// Where an issuer's metadata is: the suffix goes after the whole identifier (OpenID Connect
    /// Discovery §4).
    pub fn address(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
    }

    /// Reads a fetched document.
    ///
    /// # Errors
    /// [`BadMetadata`]; nothing of the document may be used then.
    pub fn parse(body: &[u8], issuer: &str, vault: &PublicUrl) -> Result<Self, BadMetadata> {
        let metadata: Self = json::read(body).map_err(|_| BadMetadata::Malformed)?;
        if metadata.issuer != issuer {
            return Err(BadMetadata::OtherIssuer);
        }
        let endpoints = [
            Some(&metadata.jwks_uri),
            metadata.authorization_endpoint.as_ref(),
            metadata.token_endpoint.as_ref(),
            metadata.userinfo_endpoint.as_ref(),
            metadata.revocation_endpoint.as_ref(),
        ];
        if endpoints.into_iter().flatten().any(|endpoint| vault.allows(endpoint).is_err()) {
            return Err(BadMetadata::Endpoint);
        }
        Ok(metadata)
    }
}

/// A provider, ready to be talked to.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Where users consent.
    pub authorization_endpoint: Url,
    /// Where codes and refresh tokens are redeemed.
    pub token_endpoint: Url,
    /// Where identity is read, and from which fields.
    pub userinfo: Option<(Url, IdentityFields)>,
    /// Where tokens are revoked.
    pub revocation_endpoint: Option<Url>,
    /// For `OpenID` providers, the issuer identifier: an ID token is required.
    pub open_id: Option<String>,
    /// What `iss` of an authorization response must be, if it is there.
    pub response_iss: Option<String>,
    /// Whether an authorization response without `iss` is refused (RFC 9207 §2.4).
    pub response_iss_required: bool,
}

/// A provider that cannot be talked to because its metadata lacks an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoEndpoint;

impl std::fmt::Display for NoEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the provider's metadata lacks an authorization or a token endpoint")
    }
}

impl std::error::Error for NoEndpoint {}

impl Provider {
    /// The issuer whose metadata [`Provider::new`] needs, for `OpenID` connections.
    pub fn discovered_from(connection: &Connection) -> Option<&str> {
        match &connection.protocol {
            Protocol::OpenId { issuer } => Some(issuer),
            Protocol::OAuth2(_) => None,
        }
    }

    /// Puts configuration and metadata together.
    ///
    /// # Errors
    /// [`NoEndpoint`] if metadata is needed and missing or incomplete.
    pub fn new(connection: &Connection, metadata: Option<&Metadata>) -> Result<Self, NoEndpoint> {
        let url = |text: &str| Url::parse(text).map_err(|_| NoEndpoint);
        let optional = |text: &Option<String>| text.as_deref().map(url).transpose();
        match (&connection.protocol, metadata) {
            (Protocol::OAuth2(endpoints), _) => Ok(Self {
                authorization_endpoint: url(&endpoints.authorization_endpoint)?,
                token_endpoint: url(&endpoints.token_endpoint)?,
                userinfo: match &endpoints.userinfo {
                    Some((endpoint, fields)) => Some((url(endpoint)?, fields.clone())),
                    None => None,
                },
                revocation_endpoint: optional(&endpoints.revocation_endpoint)?,
                open_id: None,
                response_iss: endpoints.authorization_response_iss.clone(),
                response_iss_required: endpoints.authorization_response_iss.is_some(),
            }),
            (Protocol::OpenId { issuer }, Some(metadata)) => {
                let authorization = metadata.authorization_endpoint.as_deref();
                let token = metadata.token_endpoint.as_deref();
                let userinfo = optional(&metadata.userinfo_endpoint)?;
                Ok(Self {
                    authorization_endpoint: url(authorization.ok_or(NoEndpoint)?)?,
                    token_endpoint: url(token.ok_or(NoEndpoint)?)?,
                    userinfo: userinfo.map(|endpoint| (endpoint, IdentityFields::open_id())),
                    revocation_endpoint: optional(&metadata.revocation_endpoint)?,
                    open_id: Some(issuer.clone()),
                    response_iss: Some(issuer.clone()),
                    response_iss_required: metadata.authorization_response_iss_parameter_supported,
                })
            }
            (Protocol::OpenId { .. }, None) => Err(NoEndpoint),
        }
    }

    /// Checks `iss` of an authorization response, on success and on error alike (RFC 9207 §2.4):
    /// plain string comparison; a missing one counts only where the provider promises it.
    pub fn accepts_response_from(&self, iss: Option<&str>) -> bool {
        match (iss, &self.response_iss) {
            (Some(iss), Some(expected)) => iss == expected,
            (Some(_), None) => true,
            (None, _) => !self.response_iss_required,
        }
    }
}
