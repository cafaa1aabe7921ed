// SPDX-License-Identifier: Apache-2.0
//! A provider's endpoints, from configuration or from its metadata.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::connection::{Connection, Protocol};
use vault_base::json;
use vault_base::public_url::PublicUrl;
use vault_jose::id_token::{TENANT, is_tenant};

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

/// Where metadata is found, and whose it must be.
#[derive(Debug, Clone, Copy)]
pub struct Discovery<'a> {
    /// The issuer identifier that the address is made of.
    pub issuer: &'a str,
    /// What `issuer` in the document may be, if it is not that: `*` stands for one tenant, or for
    /// [`TENANT`].
    pub pattern: Option<&'a str>,
}

impl Discovery<'_> {
    /// Whether a document that tells this `issuer` is the one that was asked for.
    pub fn admits(&self, told: &str) -> bool {
        let Some((before, after)) = self.pattern.and_then(|pattern| pattern.split_once('*')) else {
            return told == self.issuer;
        };
        let tenant = told.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        tenant.is_some_and(|tenant| tenant == TENANT || is_tenant(tenant))
    }
}

/// Why a metadata document was discarded whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataError {
    /// Not a JSON object with the members we need.
    Malformed,
    /// `issuer` is not the one it was fetched for (RFC 8414 §3.3).
    OtherIssuer,
    /// An endpoint's address is not allowed.
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

impl Metadata {
    /// Where an issuer's metadata is: the suffix goes after the whole identifier (OpenID Connect
    /// Discovery §4).
    pub fn address(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
    }

    /// Reads a fetched document.
    ///
    /// # Errors
    /// [`MetadataError`]; nothing of the document may be used then.
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

/// A provider, ready to be talked to.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Where users consent.
    pub authorization_endpoint: Url,
    /// Where codes and refresh tokens are redeemed.
    pub token_endpoint: Url,
    /// Where refresh tokens are redeemed, if elsewhere.
    pub refresh_endpoint: Option<Url>,
    /// Where identity is read.
    pub userinfo_endpoint: Option<Url>,
    /// Where tokens are revoked; may hold placeholders ([`super::revocation`]).
    pub revocation_endpoint: Option<String>,
    /// For `OpenID` providers, the issuer of ID tokens ([`TENANT`] may stand in it): one is required.
    pub open_id: Option<String>,
    /// What `iss` of an authorization response must be, if it is there.
    pub response_iss: Option<String>,
    /// Whether an authorization response without `iss` is refused (RFC 9207 §2.4).
    pub response_iss_required: bool,
}

/// A provider that cannot be talked to because its metadata lacks an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingEndpoint;

impl std::fmt::Display for MissingEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the provider's metadata lacks an authorization or a token endpoint")
    }
}

impl std::error::Error for MissingEndpoint {}

impl Provider {
    /// The metadata that [`Provider::new`] needs, for `OpenID` connections.
    pub fn discovery(connection: &Connection) -> Option<Discovery<'_>> {
        match &connection.protocol {
            Protocol::OpenId { issuer, pattern } => {
                Some(Discovery { issuer, pattern: pattern.as_deref() })
            }
            Protocol::OAuth2 => None,
        }
    }

    /// Puts configuration and metadata together. What is configured wins.
    ///
    /// # Errors
    /// [`MissingEndpoint`] if metadata is needed and missing or incomplete.
    pub fn new(
        connection: &Connection,
        metadata: Option<&Metadata>,
    ) -> Result<Self, MissingEndpoint> {
        let open_id = matches!(connection.protocol, Protocol::OpenId { .. });
        if open_id && metadata.is_none() {
            return Err(MissingEndpoint);
        }
        let found = metadata.filter(|_| open_id);
        let given = &connection.endpoints;
        let pick = |given: &Option<String>, find: fn(&Metadata) -> &Option<String>| {
            given.clone().or_else(|| found.and_then(|found| find(found).clone()))
        };
        let parse = |text: String| Url::parse(&text).map_err(|_| MissingEndpoint);
        let authorization = pick(&given.authorization_endpoint, |one| &one.authorization_endpoint);
        let token = pick(&given.token_endpoint, |one| &one.token_endpoint);
        let userinfo = pick(&given.userinfo_endpoint, |one| &one.userinfo_endpoint);
        let issuer = found.map(|found| found.issuer.clone());
        let response_iss = given.authorization_response_iss.clone();
        Ok(Self {
            authorization_endpoint: parse(authorization.ok_or(MissingEndpoint)?)?,
            token_endpoint: parse(token.ok_or(MissingEndpoint)?)?,
            refresh_endpoint: given.refresh_endpoint.clone().map(parse).transpose()?,
            userinfo_endpoint: userinfo.map(parse).transpose()?,
            revocation_endpoint: pick(&given.revocation_endpoint, |one| &one.revocation_endpoint),
            response_iss_required: response_iss.is_some()
                || found.is_some_and(|one| one.authorization_response_iss_parameter_supported),
            response_iss: response_iss
                .or_else(|| issuer.clone().filter(|issuer| !issuer.contains(TENANT))),
            open_id: issuer,
        })
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
