// SPDX-License-Identifier: Apache-2.0
//! A connection's provider, ready to be talked to.

use crate::ids::DocumentSource;
use crate::provider::connection::Connection;
use crate::provider::endpoints::{MissingEndpoint, Provider};
use crate::provider::error_codes::TokenEndpointError;
use crate::runtime::context::Context;
use crate::runtime::issuers;

/// Why a provider cannot be talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderError {
    /// Its metadata cannot be had now.
    Unavailable,
    /// Its metadata lacks what we need.
    Incomplete,
}

impl From<MissingEndpoint> for ProviderError {
    fn from(_: MissingEndpoint) -> Self {
        Self::Incomplete
    }
}

impl From<ProviderError> for TokenEndpointError {
    /// The provider was not asked: as good as one that says it did nothing.
    fn from(reason: ProviderError) -> Self {
        match reason {
            ProviderError::Unavailable => Self::Unavailable { retry_after: None },
            ProviderError::Incomplete => Self::Misconfigured("metadata".into()),
        }
    }
}

/// Puts configuration and, for `OpenID` providers, metadata together.
pub async fn of(context: Context<'_>, connection: &Connection) -> Result<Provider, ProviderError> {
    let Some(source) = source(connection) else {
        return Ok(Provider::new(connection, None)?);
    };
    let documents =
        issuers::documents(context, &source, None).await.ok_or(ProviderError::Unavailable)?;
    Ok(Provider::new(connection, documents.metadata.as_ref())?)
}

/// Where the documents of an `OpenID` provider are.
pub fn source(connection: &Connection) -> Option<DocumentSource> {
    let discovery = Provider::discovery(connection)?;
    Some(DocumentSource {
        issuer: discovery.issuer.to_owned(),
        jwks_uri: None,
        pattern: discovery.pattern.map(str::to_owned),
    })
}
