// SPDX-License-Identifier: Apache-2.0
//! A provider's endpoints, from the configuration and its metadata.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::connection::{Connection, Protocol};
use vault_base::json;
use vault_base::public_url::PublicUrl;
use vault_jose::id_token::{TENANT, is_tenant};
use vault_jose::jwk::JwkSetError;

/// The maximum length of a metadata document or key set, in bytes.
pub const MAX_DOCUMENT: usize = 256 * 1024;

/// The members of an authorization server's metadata that the vault uses (OpenID Connect Discovery §3,
/// RFC 8414 §2, RFC 9207 §3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Issuer identifier. [`Discovery::admits`] held for it when the document was parsed.
    pub issuer: String,
    /// URL of the key set.
    pub jwks_uri: String,
    /// Authorization endpoint.
    pub authorization_endpoint: Option<String>,
    /// Token endpoint.
    pub token_endpoint: Option<String>,
    /// Userinfo endpoint.
    pub userinfo_endpoint: Option<String>,
    /// Revocation endpoint.
    pub revocation_endpoint: Option<String>,
    /// Whether every authorization response carries `iss` (RFC 9207 §3).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

/// The issuer whose metadata is fetched, and the issuer that the document may name.
#[derive(Debug, Clone, Copy)]
pub struct Discovery<'a> {
    /// The issuer identifier, from which [`Metadata::address`] derives the URL.
    pub issuer: &'a str,
    /// The pattern of `issuer` in the document, if it is not that identifier: `*` matches one tenant id, or
    /// [`TENANT`].
    pub pattern: Option<&'a str>,
}

impl Discovery<'_> {
    /// Whether the document may carry this `issuer` (RFC 8414 §3.3): it matches the pattern or, if there is
    /// none, equals the identifier.
    pub fn admits(&self, issuer: &str) -> bool {
        let Some((before, after)) = self.pattern.and_then(|pattern| pattern.split_once('*')) else {
            return issuer == self.issuer;
        };
        let tenant = issuer.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        tenant.is_some_and(|tenant| tenant == TENANT || is_tenant(tenant))
    }
}

/// Why a metadata document was rejected. No part of it may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataError {
    /// The document is not a JSON object with `issuer` and `jwks_uri`, or a member has the wrong type.
    Malformed,
    /// `issuer` is not the one that the document was fetched for (RFC 8414 §3.3).
    OtherIssuer,
    /// The URL of an endpoint or of the key set is not allowed ([`PublicUrl::allows`]).
    Endpoint,
}

impl std::fmt::Display for MetadataError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "metadata is not a JSON object with issuer and jwks_uri",
            Self::OtherIssuer => "metadata names another issuer",
            Self::Endpoint => "metadata has an endpoint that is not https with a public host",
        })
    }
}

impl std::error::Error for MetadataError {}

/// Why the documents of an issuer cannot be obtained. The text is for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentError {
    /// The request for this document (its name) got no complete response.
    Lost(&'static str),
    /// The request for this document (its name) got a response with this status, which is not 200.
    Status(&'static str, u16),
    /// The metadata document is not valid.
    Metadata(MetadataError),
    /// The key set is not valid, or has no usable key.
    Keys(JwkSetError),
}

impl DocumentError {
    /// Whether the documents may be obtained later although nobody changes anything. A redirect is not
    /// followed, and a document that is not there, or cannot be used, stays so until somebody acts.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Lost(_) => true,
            Self::Status(_, status) => !matches!(status, 300..=399 | 404 | 405 | 410),
            Self::Metadata(_) | Self::Keys(_) => false,
        }
    }
}

impl std::fmt::Display for DocumentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lost(document) => write!(f, "no {document}: no complete response"),
            Self::Status(document, status @ 300..=399) => write!(
                f,
                "no {document}: status {status}: redirects are not followed; configure the final address"
            ),
            Self::Status(document, status) => write!(f, "no {document}: status {status}"),
            Self::Metadata(error) => error.fmt(f),
            Self::Keys(error) => error.fmt(f),
        }
    }
}

impl From<MetadataError> for DocumentError {
    fn from(error: MetadataError) -> Self {
        Self::Metadata(error)
    }
}

impl From<JwkSetError> for DocumentError {
    fn from(error: JwkSetError) -> Self {
        Self::Keys(error)
    }
}

impl Metadata {
    /// The URL of an issuer's metadata: the well-known suffix is appended to the whole identifier (OpenID
    /// Connect Discovery §4).
    pub fn address(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
    }

    /// Parses and validates a fetched document.
    ///
    /// # Errors
    /// [`MetadataError`] if the document is malformed, belongs to another issuer, or names a URL that is not
    /// allowed.
    pub fn parse(
        body: &[u8],
        source: Discovery<'_>,
        vault: &PublicUrl,
    ) -> Result<Self, MetadataError> {
        let metadata: Self = json::read(body).map_err(|_| MetadataError::Malformed)?;
        if !source.admits(&metadata.issuer) {
            return Err(MetadataError::OtherIssuer);
        }
        let endpoints = [
            Some(&metadata.jwks_uri),
            metadata.authorization_endpoint.as_ref(),
            metadata.token_endpoint.as_ref(),
            metadata.userinfo_endpoint.as_ref(),
            metadata.revocation_endpoint.as_ref(),
        ];
        if endpoints.into_iter().flatten().any(|endpoint| vault.allows(endpoint).is_err()) {
            return Err(MetadataError::Endpoint);
        }
        Ok(metadata)
    }
}

/// The endpoints of a provider and the issuer that its responses must carry.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Authorization endpoint.
    pub authorization_endpoint: Url,
    /// Token endpoint.
    pub token_endpoint: Url,
    /// Endpoint for refresh requests, if it is not the token endpoint.
    pub refresh_endpoint: Option<Url>,
    /// Endpoint for the first renewal after a consent, if it is another one.
    pub first_refresh_endpoint: Option<Url>,
    /// Endpoint that returns the account's identity.
    pub userinfo_endpoint: Option<Url>,
    /// Revocation endpoint. It may contain placeholders; see [`super::revocation::revoke`].
    pub revocation_endpoint: Option<String>,
    /// For `OpenID` providers the issuer of ID tokens, which may contain [`TENANT`]. The response to a code
    /// must then have an ID token, unless the identity is taken from elsewhere.
    pub open_id: Option<String>,
    /// The value that `iss` of an authorization response must have if it is present. `None`: not checked.
    pub response_iss: Option<String>,
    /// Whether an authorization response without `iss` is rejected (RFC 9207 §2.4).
    pub response_iss_required: bool,
}

/// The provider lacks an authorization endpoint or a token endpoint, or an endpoint is not a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingEndpoint;

impl std::fmt::Display for MissingEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the provider's metadata lacks an authorization or a token endpoint")
    }
}

impl std::error::Error for MissingEndpoint {}

impl Provider {
    /// The discovery of the metadata that [`Provider::new`] needs; `None` if the connection uses none.
    pub fn discovery(connection: &Connection) -> Option<Discovery<'_>> {
        match &connection.protocol {
            Protocol::OpenId { issuer, pattern } => {
                Some(Discovery { issuer, pattern: pattern.as_deref() })
            }
            Protocol::OAuth2 => None,
        }
    }

    /// Combines configuration and metadata. Configured endpoints take precedence.
    ///
    /// # Errors
    /// [`MissingEndpoint`] if a connection with discovery has no metadata, or if the authorization or the
    /// token endpoint is in neither.
    pub fn new(
        connection: &Connection,
        metadata: Option<&Metadata>,
    ) -> Result<Self, MissingEndpoint> {
        let open_id = matches!(connection.protocol, Protocol::OpenId { .. });
        if open_id && metadata.is_none() {
            return Err(MissingEndpoint);
        }
        let metadata = metadata.filter(|_| open_id);
        let configured = &connection.endpoints;
        let pick = |configured: &Option<String>, member: fn(&Metadata) -> &Option<String>| {
            configured.clone().or_else(|| metadata.and_then(|metadata| member(metadata).clone()))
        };
        let parse = |text: String| Url::parse(&text).map_err(|_| MissingEndpoint);
        let authorization =
            pick(&configured.authorization_endpoint, |metadata| &metadata.authorization_endpoint);
        let token = pick(&configured.token_endpoint, |metadata| &metadata.token_endpoint);
        let userinfo = pick(&configured.userinfo_endpoint, |metadata| &metadata.userinfo_endpoint);
        let revocation =
            pick(&configured.revocation_endpoint, |metadata| &metadata.revocation_endpoint);
        let issuer = metadata.map(|metadata| metadata.issuer.clone());
        let response_iss = configured.authorization_response_iss.clone();
        Ok(Self {
            authorization_endpoint: parse(authorization.ok_or(MissingEndpoint)?)?,
            token_endpoint: parse(token.ok_or(MissingEndpoint)?)?,
            refresh_endpoint: configured.refresh_endpoint.clone().map(parse).transpose()?,
            first_refresh_endpoint: configured
                .first_refresh_endpoint
                .clone()
                .map(parse)
                .transpose()?,
            userinfo_endpoint: userinfo.map(parse).transpose()?,
            revocation_endpoint: revocation,
            response_iss_required: response_iss.is_some()
                || metadata.is_some_and(|all| all.authorization_response_iss_parameter_supported),
            response_iss: response_iss
                .or_else(|| issuer.clone().filter(|issuer| !issuer.contains(TENANT))),
            open_id: issuer,
        })
    }

    /// Whether an authorization response with this `iss` is accepted (RFC 9207 §2.4). It must be checked for
    /// error responses too. The values are compared as strings. `None`, for a response without `iss`, is
    /// accepted unless [`Provider::response_iss_required`].
    pub fn accepts_response_from(&self, iss: Option<&str>) -> bool {
        match (iss, &self.response_iss) {
            (Some(iss), Some(expected)) => iss == expected,
            (Some(_), None) => true,
            (None, _) => !self.response_iss_required,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vault_jose::jwk::JwkSet;

    #[test]
    fn documents_that_somebody_must_change_are_told_from_an_outage() {
        let keys = JwkSet::parse(b"{}").unwrap_err();
        for (error, may_pass, text) in [
            (DocumentError::Lost("metadata"), true, "no metadata: no complete response"),
            (DocumentError::Status("key set", 500), true, "no key set: status 500"),
            (DocumentError::Status("key set", 429), true, "no key set: status 429"),
            (DocumentError::Status("key set", 403), true, "no key set: status 403"),
            (DocumentError::Status("metadata", 404), false, "no metadata: status 404"),
            (DocumentError::Status("metadata", 410), false, "no metadata: status 410"),
            (
                DocumentError::Status("metadata", 301),
                false,
                "no metadata: status 301: redirects are not followed; configure the final address",
            ),
            (MetadataError::OtherIssuer.into(), false, "metadata names another issuer"),
            (
                keys.into(),
                false,
                "not a JWK set with at least one usable signature key; it has no keys",
            ),
        ] {
            assert_eq!((error.may_pass(), error.to_string().as_str()), (may_pass, text));
        }
    }
}
