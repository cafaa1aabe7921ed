// SPDX-License-Identifier: Apache-2.0
//! Messages to an `IssuerKeys` object.

use serde::{Deserialize, Serialize};

use super::{Class, Question};
use vault_base::ids::DocumentSource;
use vault_base::time::UnixSeconds;
use vault_provider::endpoints::{Discovery, Metadata};

/// Asks for what an issuer publishes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IssuerRequest {
    /// Issuer identifier.
    pub issuer: String,
    /// Where its keys are, if not found by discovery: then there is no metadata.
    pub jwks_uri: Option<String>,
    /// What `issuer` in its metadata may be, if it is not that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The asker holds a copy fetched at this time, and it lacks a key.
    #[serde(default)]
    pub renew: bool,
}

impl IssuerRequest {
    /// Asks for what is found at `source`.
    pub fn of(source: &DocumentSource, renew: bool) -> Self {
        let DocumentSource { issuer, jwks_uri, pattern } = source.clone();
        Self { issuer, jwks_uri, pattern, renew }
    }

    /// Whose metadata is asked for.
    pub fn discovery(&self) -> Discovery<'_> {
        Discovery { issuer: &self.issuer, pattern: self.pattern.as_deref() }
    }

    /// Whether these documents were fetched for this question. The version before kept all of an
    /// issuer under one name, however they were found.
    pub fn is_answered_by(&self, published: &Published) -> bool {
        match &published.metadata {
            None => self.jwks_uri.is_some(),
            Some(found) => self.jwks_uri.is_none() && self.discovery().admits(&found.issuer),
        }
    }
}

/// What an issuer publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Its metadata, unless keys are found without.
    pub metadata: Option<Metadata>,
    /// Its key set, as fetched.
    pub jwks: String,
    /// When both were fetched.
    pub fetched_at: UnixSeconds,
}

/// What it answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerResponse {
    /// The last good documents.
    Published(Published),
    /// There are none, and the issuer cannot be had now.
    Unavailable,
}

impl Question for IssuerRequest {
    const CLASS: Class = Class::IssuerKeys;
    type Answer = IssuerResponse;
}

/// The one table: the last good documents, and when a fetch was last tried.
pub const CREATE: &str = "CREATE TABLE IF NOT EXISTS issuer (id INTEGER PRIMARY KEY CHECK (id = 1), published TEXT, tried_at INTEGER NOT NULL)";
