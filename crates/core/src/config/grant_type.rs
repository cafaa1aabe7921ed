// SPDX-License-Identifier: Apache-2.0
//! Grant types of the token endpoint (RFC 6749 §1.3).

use serde::{Deserialize, Serialize};

/// A grant type that a client may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantType {
    /// The authorization code grant (RFC 6749 §4.1).
    AuthorizationCode,
    /// Refreshing an access token (RFC 6749 §6).
    RefreshToken,
    /// A token exchange.
    Exchange(ExchangeGrant),
}

/// The two grant types of token exchange. They differ in codes, not in what they give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExchangeGrant {
    /// RFC 8693 §2.1.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:token-exchange")]
    TokenExchange,
    /// Auth0's Token Vault.
    #[serde(
        rename = "urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token"
    )]
    FederatedConnection,
}

impl ExchangeGrant {
    /// Both, in the order in which metadata lists them.
    pub const ALL: [Self; 2] = [Self::TokenExchange, Self::FederatedConnection];

    /// The value of `grant_type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
            Self::FederatedConnection => {
                "urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token"
            }
        }
    }
}

impl GrantType {
    /// All, in the order in which metadata lists them.
    pub const ALL: [Self; 4] = [
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::Exchange(ExchangeGrant::TokenExchange),
        Self::Exchange(ExchangeGrant::FederatedConnection),
    ];

    /// The value of `grant_type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::Exchange(grant) => grant.name(),
        }
    }

    /// Whether the vault issues tokens of its own by it, which takes [`super::SignIn`].
    pub fn is_issuing(self) -> bool {
        matches!(self, Self::AuthorizationCode | Self::RefreshToken)
    }

    /// Reads `grant_type`. `None` if it names none of [`GrantType::ALL`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.name() == name)
    }
}
