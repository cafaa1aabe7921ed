// SPDX-License-Identifier: Apache-2.0
//! A connection's provider, ready to be talked to.

use crate::ids::Source;
use crate::provider::connection::Connection;
use crate::provider::endpoints::{NoEndpoint, Provider};
use crate::provider::errors::Failure;
use crate::runtime::context::Context;
use crate::runtime::issuers;

/// Why a provider cannot be talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoProvider {
    /// Its metadata cannot be had now.
    Unavailable,
    /// Its metadata lacks what we need.
    Incomplete,
}

impl From<NoEndpoint> for NoProvider {
    fn from(_: NoEndpoint) -> Self {
        Self::Incomplete
    }
}

impl From<NoProvider> for Failure {
    /// The provider was not asked: as good as one that says it did nothing.
    fn from(reason: NoProvider) -> Self {
        match reason {
            NoProvider::Unavailable => Self::Unavailable { retry_after: None },
            NoProvider::Incomplete => Self::Misconfigured("metadata".into()),
        }
    }
}

/// Puts configuration and, for `OpenID` providers, metadata together.
pub async fn of(context: Context<'_>, connection: &Connection) -> Result<Provider, NoProvider> {
    let Some(source) = source(connection) else {
        return Ok(Provider::new(connection, None)?);
    };
    let documents =
        issuers::documents(context, &source, None).await.ok_or(NoProvider::Unavailable)?;
    Ok(Provider::new(connection, documents.metadata.as_ref())?)
}

/// Where the documents of an `OpenID` provider are.
pub fn source(connection: &Connection) -> Option<Source> {
    let discovery = Provider::discovery(connection)?;
    Some(Source {
        issuer: discovery.issuer.to_owned(),
        jwks_uri: None,
        pattern: discovery.pattern.map(str::to_owned),
    })
}
