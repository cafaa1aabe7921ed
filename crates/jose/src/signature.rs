// SPDX-License-Identifier: Apache-2.0
//! What the platform is asked: is this a signature of that key over these bytes?

use super::TokenError;
use super::algorithm::Algorithm;
use super::jwk::{Jwk, JwkSet};
use super::jws::Jws;

/// One signature to check. The answer must be `true` only for a valid signature of `key` under
/// `algorithm`; anything that goes wrong is `false`.
#[derive(Debug, Clone, Copy)]
pub struct SignatureCheck<'a> {
    /// Which algorithm; it fits the key.
    pub algorithm: Algorithm,
    /// The public key.
    pub key: &'a Jwk,
    /// The signed bytes.
    pub message: &'a [u8],
    /// The signature, of the algorithm's length where that is fixed.
    pub signature: &'a [u8],
}

impl<'a> SignatureCheck<'a> {
    /// Picks the key for a token and says what to check.
    ///
    /// # Errors
    /// [`TokenError::Algorithm`] if `allowed` lacks the token's algorithm, [`TokenError::Key`] if no key
    /// fits, [`TokenError::Signature`] if the signature cannot be one.
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

    /// A check of raw bytes.
    ///
    /// # Errors
    /// [`TokenError::Key`] if the key is not one of this algorithm, [`TokenError::Signature`] if the
    /// signature cannot be one.
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
