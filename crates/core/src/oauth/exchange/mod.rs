// SPDX-License-Identifier: Apache-2.0
//! Token exchange: a user's token for the access token of a provider. Two grant types serve it, and
//! each says in a file of its own how its requests and errors differ.

pub mod federated_connection;
pub mod policy;
pub mod request;
pub mod response;
pub mod token_exchange;

use crate::config::ExchangeGrant;
use crate::error::OAuthError;

/// How one grant type's requests and responses differ from the other's.
#[derive(Debug)]
pub struct ExchangeProfile {
    /// `issued_token_type` of a response, and the only `requested_token_type` that is accepted.
    pub issued_token_type: &'static str,
    /// Whether a JSON body is accepted beside a form.
    pub accepts_json: bool,
    /// Whether an error may carry `WWW-Authenticate`.
    pub sends_challenge: bool,
    /// The error for a subject token that is not accepted.
    pub subject_token_refused: ErrorCode,
    /// The error for a client that may not use this grant type.
    pub grant_forbidden: ErrorCode,
    /// The error for a connection that does not exist or that the client may not use.
    pub connection_forbidden: ErrorCode,
    /// The error where the user has not connected an account.
    pub not_connected: ErrorCode,
    /// The error where the user must connect the account again.
    pub reconnect_required: ErrorCode,
}

/// HTTP status and `error` of a token endpoint error (RFC 6749 §5.2).
pub type ErrorCode = (u16, &'static str);

impl ExchangeProfile {
    /// The error as this grant type's clients can read it.
    #[must_use]
    pub fn error(&self, error: OAuthError) -> OAuthError {
        if self.sends_challenge { error } else { OAuthError { challenge: None, ..error } }
    }
}

/// The profile of a grant type.
pub fn profile(grant: ExchangeGrant) -> &'static ExchangeProfile {
    match grant {
        ExchangeGrant::TokenExchange => &token_exchange::PROFILE,
        ExchangeGrant::FederatedConnection => &federated_connection::PROFILE,
    }
}
