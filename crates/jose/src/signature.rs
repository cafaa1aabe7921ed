// SPDX-License-Identifier: Apache-2.0
//! The verification of one signature, as a request to the platform.

use super::TokenError;
use super::algorithm::Algorithm;
use super::jwk::{Jwk, JwkSet};
use super::jws::Jws;

/// One signature to verify. The platform must report `true` only if `signature` is a valid signature of `key`
/// over `message` with `algorithm`, and `false` in every other case, errors included.
#[derive(Debug, Clone, Copy)]
pub struct SignatureCheck<'a> {
    /// The algorithm; [`Jwk::fits`] holds for it.
    pub algorithm: Algorithm,
    /// The public key.
    pub key: &'a Jwk,
    /// The signed bytes.
    pub message: &'a [u8],
    /// The signature. It has the length of [`Algorithm::signature_length`] where the algorithm fixes one.
    pub signature: &'a [u8],
}

impl<'a> SignatureCheck<'a> {
    /// Selects the key for a token and returns the signature to verify.
    ///
    /// # Errors
    /// [`TokenError::Algorithm`] if the token's algorithm is not in `allowed`, [`TokenError::Key`] if not
    /// exactly one key fits, [`TokenError::Signature`] if the signature has the wrong length for its
    /// algorithm.
    pub fn of(
        token: &'a Jws<'_>,
        keys: &'a JwkSet,
        allowed: &[Algorithm],
    ) -> Result<Self, TokenError> {
        let algorithm = token.algorithm();
        if !allowed.contains(&algorithm) {
            return Err(TokenError::Algorithm);
        }
        let key = keys.key_for(token)?;
        Self::new(algorithm, key, token.signed().as_bytes(), token.signature())
    }

    /// The signature of arbitrary bytes to verify.
    ///
    /// # Errors
    /// [`TokenError::Key`] if the key does not fit the algorithm, [`TokenError::Signature`] if the
    /// signature has the wrong length for its algorithm.
    pub fn new(
        algorithm: Algorithm,
        key: &'a Jwk,
        message: &'a [u8],
        signature: &'a [u8],
    ) -> Result<Self, TokenError> {
        if !key.fits(algorithm) {
            return Err(TokenError::Key);
        }
        if algorithm.signature_length().is_some_and(|length| length != signature.len()) {
            return Err(TokenError::Signature);
        }
        Ok(Self { algorithm, key, message, signature })
    }
}
