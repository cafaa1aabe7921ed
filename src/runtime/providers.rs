// SPDX-License-Identifier: Apache-2.0
//! The endpoints of a connection's provider, from configuration and metadata.

use crate::ids::DocumentSource;
use crate::jwt::TokenError;
use crate::provider::connection::Connection;
use crate::provider::endpoints::{MissingEndpoint, Provider};
use crate::provider::error_codes::TokenEndpointError;
use crate::runtime::context::Context;
use crate::runtime::issuers;

/// Why no request can be sent to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderError {
    /// Its metadata cannot be fetched now; a later attempt may succeed.
    Unavailable,
    /// Its metadata or keys cannot be used, or its metadata lacks an endpoint that the vault needs. The operator
    /// must act.
    Incomplete,
}

impl From<MissingEndpoint> for ProviderError {
    fn from(_: MissingEndpoint) -> Self {
        Self::Incomplete
    }
}

impl From<TokenError> for ProviderError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::KeysUnusable => Self::Incomplete,
            _ => Self::Unavailable,
        }
    }
}

impl From<ProviderError> for TokenEndpointError {
    /// No request was sent, so this is handled like a response by which the provider did nothing.
    fn from(reason: ProviderError) -> Self {
        match reason {
            ProviderError::Unavailable => Self::Unavailable { retry_after: None },
            ProviderError::Incomplete => Self::Misconfigured("metadata".into()),
        }
    }
}

/// Resolves a connection's endpoints from the configuration and, for `OpenID` providers, from the metadata
/// document (OpenID Connect Discovery 1.0 §4). `Err` if the metadata is unavailable or incomplete.
pub async fn of(context: Context<'_>, connection: &Connection) -> Result<Provider, ProviderError> {
    let Some(source) = source(connection) else {
        return Ok(Provider::new(connection, None)?);
    };
    let documents = issuers::documents(context, &source, None).await?;
    Ok(Provider::new(connection, documents.metadata.as_ref())?)
}

/// Where the metadata and the keys of an `OpenID` provider are published. `None` for a connection that
/// uses no discovery.
pub fn source(connection: &Connection) -> Option<DocumentSource> {
    let discovery = Provider::discovery(connection)?;
    Some(DocumentSource {
        issuer: discovery.issuer.to_owned(),
        jwks_uri: None,
        pattern: discovery.pattern.map(str::to_owned),
    })
}
