// SPDX-License-Identifier: Apache-2.0
//! JSON Web Tokens: structure, keys, and the claims of the three kinds of token we accept.
//!
//! A signature is checked outside the core ([`signature::SignatureCheck`]): by the runtime's
//! `WebCrypto` at the edge, by jwt-compact's own algorithms in native tests. Nothing of a token is
//! used for a decision before its check has passed, except its issuer and key id, which pick the
//! key.

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

/// Why a token was refused: for the operator's log, never for the caller. All of these leave as
/// one and the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// Not three segments of canonical base64url, or too long.
    Format,
    /// Header or claims are not a strict JSON object, or a member has the wrong type.
    Json,
    /// `alg` is unknown, `none`, symmetric, or not among the issuer's.
    Algorithm,
    /// `crit`, `b64` or `zip` ask for something that is not understood.
    Critical,
    /// `typ` is not what the issuer's tokens carry.
    Type,
    /// `iss` is missing or not a trusted issuer.
    Issuer,
    /// No key of the issuer fits `kid` and `alg`.
    Key,
    /// The signature is wrong.
    Signature,
    /// `aud` names nothing this request is about.
    Audience,
    /// `exp` is missing, past or too far ahead; or `iat`, `nbf` are ahead.
    Time,
    /// `sub` is missing, empty or too long.
    Subject,
    /// Neither `azp` nor `client_id`, or the two differ.
    Client,
    /// An ID token where an access token belongs.
    IdToken,
    /// `nonce` or `at_hash` is not the one expected.
    Binding,
    /// The token is bound to a key (`cnf`), and no proof of it was shown.
    Bound,
    /// The issuer's keys cannot be had at the moment.
    KeysUnavailable,
}

impl TokenError {
    /// All, in the order of their declaration.
    pub const ALL: [Self; 16] = [
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
    ];

    /// Whether the same token may be accepted later: its key was not to be had, or not known yet.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::KeysUnavailable | Self::Key)
    }

    /// A stable word for logs and counters.
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
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for TokenError {}
