// SPDX-License-Identifier: Apache-2.0
//! The signature algorithms that the vault accepts (RFC 7518 §3.1, RFC 8037 §3.1).

use serde::Deserialize;

/// An asymmetric signature algorithm. There are no variants for `none` and the HMAC algorithms, so no
/// configuration can allow them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    #[serde(rename = "PS256")]
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// All algorithms, in the order in which the vault's metadata lists them.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa];

    /// Parses a value of `alg`, which is case-sensitive (RFC 7515 §4.1.1). `None` for other algorithms.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The registered value of `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The length of a signature in bytes, if the algorithm fixes it: 64 for ES256, which is `r || s` and
    /// not DER (RFC 7518 §3.4), and 64 for Ed25519 (RFC 8032 §5.1.6). `None` for RSA, where it is the
    /// length of the modulus.
    pub fn signature_length(self) -> Option<usize> {
        match self {
            Self::Rs256 | Self::Ps256 => None,
            Self::Es256 | Self::EdDsa => Some(64),
        }
    }
}
