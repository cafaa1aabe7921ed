// SPDX-License-Identifier: Apache-2.0
//! Messages to an `IssuerKeys` object.

use serde::{Deserialize, Serialize};

use super::{Class, Question};
use vault_base::ids::DocumentSource;
use vault_base::time::UnixSeconds;
use vault_provider::endpoints::{Discovery, Metadata};

/// A request for the documents that an issuer publishes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IssuerRequest {
    /// The issuer identifier.
    pub issuer: String,
    /// The address of the issuer's key set, if it is configured. Discovery is not used then, and the response
    /// has no metadata.
    pub jwks_uri: Option<String>,
    /// The pattern for `issuer` in the metadata, if it may differ from the issuer identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Whether to fetch the documents again, because the caller's copy lacks a key.
    #[serde(default)]
    pub renew: bool,
}

impl IssuerRequest {
    /// A request for the documents at `source`.
    pub fn of(source: &DocumentSource, renew: bool) -> Self {
        let DocumentSource { issuer, jwks_uri, pattern } = source.clone();
        Self { issuer, jwks_uri, pattern, renew }
    }

    /// The issuer and pattern that the metadata must fit.
    pub fn discovery(&self) -> Discovery<'_> {
        Discovery { issuer: &self.issuer, pattern: self.pattern.as_deref() }
    }

    /// Whether these documents were fetched for a request like this one. The previous version stored an
    /// issuer's documents under one name, whether or not they were found by discovery.
    pub fn is_answered_by(&self, published: &Published) -> bool {
        match &published.metadata {
            None => self.jwks_uri.is_some(),
            Some(found) => self.jwks_uri.is_none() && self.discovery().admits(&found.issuer),
        }
    }
}

/// The documents that an issuer publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The issuer's metadata; `None` if the address of the key set is configured.
    pub metadata: Option<Metadata>,
    /// The issuer's key set (RFC 7517 §5), as it was fetched.
    pub jwks: String,
    /// When the documents were fetched.
    pub fetched_at: UnixSeconds,
}

/// The response of an `IssuerKeys` object.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerResponse {
    /// The last valid documents.
    Published(Published),
    /// There are no valid documents, and the issuer is unavailable.
    Unavailable,
    /// There are no valid documents, and what the issuer publishes cannot be used. Code of before version 0.3.0
    /// does not know it, and takes it for [`IssuerResponse::Unavailable`].
    Unusable,
}

impl Question for IssuerRequest {
    const CLASS: Class = Class::IssuerKeys;
    type Answer = IssuerResponse;
}

/// The only table of an `IssuerKeys` object: the last valid documents as [`Published`] in JSON, and the time
/// of the last attempt to fetch them.
pub const CREATE: &str = "CREATE TABLE IF NOT EXISTS issuer (id INTEGER PRIMARY KEY CHECK (id = 1), published TEXT, tried_at INTEGER NOT NULL)";
