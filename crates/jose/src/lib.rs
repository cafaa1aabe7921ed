// SPDX-License-Identifier: Apache-2.0
//! JSON Web Tokens: structure, keys, and the claims of the three kinds of token that the vault accepts:
//! access tokens of users, client assertions, and ID tokens.
//!
//! Signatures are verified outside this crate ([`signature::SignatureCheck`]): with the runtime's `WebCrypto`
//! in the Worker, with the algorithms of jwt-compact in native tests. Before the signature of a token is
//! verified, only its issuer or client, its algorithm and its key id are used, to select the key.

pub mod access_token;
pub mod algorithm;
pub mod assertion;
pub mod claims;
pub mod id_token;
pub mod identity;
pub mod jwk;
pub mod jws;
pub mod key_cache;
pub mod private_key;
pub mod signature;
pub mod signing;
pub mod trusted_issuer;
pub mod verified;

use std::fmt;

/// Why a token was rejected. The reason is for the operator's log only: callers receive the same error
/// response for all of them but [`TokenError::KeysUnavailable`] and [`TokenError::KeysUnusable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// The token is not three segments of canonical base64url, or is too long.
    Format,
    /// The header or the claims fail the strict JSON check, are not an object, or have a member of the wrong
    /// type.
    Json,
    /// `alg` is unknown, `none`, symmetric, or not allowed for this issuer or client.
    Algorithm,
    /// The header has `crit`, `b64` or `zip`, none of which is supported.
    Critical,
    /// `typ` is absent, or not among the types accepted from the issuer.
    Type,
    /// `iss` is missing, or is not the expected or a trusted issuer.
    Issuer,
    /// No key, or more than one, fits `kid` and `alg`.
    Key,
    /// The signature is not valid.
    Signature,
    /// `aud` does not name the audience that the request requires.
    Audience,
    /// `exp` is missing, has passed or is too far ahead; or `nbf` or `iat` is in the future.
    Time,
    /// `sub` is missing, empty or too long; or a required claim of an ID token does not match.
    Subject,
    /// The client is missing or wrong: an access token without `client_id` and `azp` or with different
    /// ones, an assertion whose `iss` and `sub` are not the client, an ID token with another `azp`.
    Client,
    /// An ID token was presented instead of an access token.
    IdToken,
    /// `nonce` or `at_hash` does not have the expected value.
    Binding,
    /// The token is bound to a key (`cnf`, RFC 7800). The vault accepts no proof of possession.
    Bound,
    /// The key set of the issuer cannot be fetched at present. The caller may retry.
    KeysUnavailable,
    /// What the issuer publishes cannot be used: its metadata or key set is not valid, or has moved. The
    /// operator must act.
    KeysUnusable,
}

impl TokenError {
    /// All variants, in the order of their declaration.
    pub const ALL: [Self; 17] = [
        Self::Format,
        Self::Json,
        Self::Algorithm,
        Self::Critical,
        Self::Type,
        Self::Issuer,
        Self::Key,
        Self::Signature,
        Self::Audience,
        Self::Time,
        Self::Subject,
        Self::Client,
        Self::IdToken,
        Self::Binding,
        Self::Bound,
        Self::KeysUnavailable,
        Self::KeysUnusable,
    ];

    /// Whether the same token may be accepted later: its key could not be fetched, or is not in the key set
    /// fetched last.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::KeysUnavailable | Self::Key)
    }

    /// A stable code for logs and counters.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Json => "json",
            Self::Algorithm => "algorithm",
            Self::Critical => "critical",
            Self::Type => "type",
            Self::Issuer => "issuer",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Audience => "audience",
            Self::Time => "time",
            Self::Subject => "subject",
            Self::Client => "client",
            Self::IdToken => "id_token",
            Self::Binding => "binding",
            Self::Bound => "bound",
            Self::KeysUnavailable => "keys_unavailable",
            Self::KeysUnusable => "keys_unusable",
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for TokenError {}
