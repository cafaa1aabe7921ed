// SPDX-License-Identifier: Apache-2.0
//! Signature checks and signing with jwt-compact's own algorithms: what native tests have in place
//! of the runtime's `WebCrypto`.

#![allow(dead_code, clippy::unwrap_used)]

use jwt_compact::AlgorithmSignature;
use jwt_compact::alg::{Ed25519, Es256, Rsa, RsaPublicKey};
use jwt_compact::jwk::JsonWebKey;
use serde_json::json;
use vault_jose::algorithm::Algorithm;
use vault_jose::jwk::KeyMaterial;
use vault_jose::signature::SignatureCheck;

type EsKey = <Es256 as jwt_compact::Algorithm>::VerifyingKey;
type EdKey = <Ed25519 as jwt_compact::Algorithm>::VerifyingKey;

/// Whether the signature is valid.
pub fn verify(check: &SignatureCheck<'_>) -> bool {
    let jwk = match check.key.material() {
        KeyMaterial::Rsa { n, e } => json!({"kty": "RSA", "n": n, "e": e}),
        KeyMaterial::P256 { x, y } => json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}),
        KeyMaterial::Ed25519 { x } => json!({"kty": "OKP", "crv": "Ed25519", "x": x}),
    };
    let Ok(jwk) = serde_json::from_value::<JsonWebKey<'_>>(jwk) else {
        return false;
    };
    match check.algorithm {
        Algorithm::Rs256 => run(&Rsa::rs256(), RsaPublicKey::try_from(&jwk), check),
        Algorithm::Ps256 => run(&Rsa::ps256(), RsaPublicKey::try_from(&jwk), check),
        Algorithm::Es256 => run(&Es256, EsKey::try_from(&jwk), check),
        Algorithm::EdDsa => run(&Ed25519, EdKey::try_from(&jwk), check),
    }
}

fn run<A: jwt_compact::Algorithm, E>(
    algorithm: &A,
    key: Result<A::VerifyingKey, E>,
    check: &SignatureCheck<'_>,
) -> bool {
    let (Ok(key), Ok(signature)) = (key, A::Signature::try_from_slice(check.signature)) else {
        return false;
    };
    algorithm.verify_signature(&signature, &key, check.message)
}
