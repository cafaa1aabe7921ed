// SPDX-License-Identifier: Apache-2.0
//! JSON Web Key Sets (RFC 7517 §5) of public signature keys.

use serde::Deserialize;

use super::TokenError;
use super::algorithm::Algorithm;
use super::jws::Jws;
use vault_base::encoding;

/// The maximum number of keys that are read from a set. The rest are ignored.
const MAX_KEYS: usize = 100;

/// A public key for the verification of signatures, with `kid` and `alg` if the JWK has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwk {
    key_id: Option<String>,
    algorithm: Option<Algorithm>,
    material: KeyMaterial,
}

/// The key parameters (RFC 7518 §6, RFC 8037 §2). The values are canonical base64url, as in the JWK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyMaterial {
    /// An RSA key of 2048 to 8192 bits.
    Rsa {
        /// Modulus.
        n: String,
        /// Public exponent.
        e: String,
    },
    /// A point on the curve P-256.
    P256 {
        /// The x coordinate, 32 bytes.
        x: String,
        /// The y coordinate, 32 bytes.
        y: String,
    },
    /// An Ed25519 key.
    Ed25519 {
        /// The public key, 32 bytes.
        x: String,
    },
}

impl KeyMaterial {
    /// The key's thumbprint with SHA-256, in base64url (RFC 7638 §3): the members that are required
    /// of its type, in the order of their names. Values need no escaping: they are base64url.
    pub fn thumbprint(&self) -> String {
        let members = match self {
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
            Self::P256 { x, y } => {
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            Self::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
        };
        encoding::base64url(encoding::sha256(members))
    }
}

/// The usable keys of one issuer or client; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwkSet {
    keys: Vec<Jwk>,
    fingerprint: [u8; 32],
}

/// The document is not a key set, or has no usable key. It must not be taken to mean that the issuer has
/// withdrawn its keys: the key set fetched before remains in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JwkSetError {
    /// The index of the first key that cannot be used, from 0, and the cause. `None` if the document is no
    /// key set, or has no keys.
    first: Option<(usize, &'static str)>,
}

impl std::fmt::Display for JwkSetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not a JWK set with at least one usable signature key")?;
        match self.first {
            Some((index, cause)) => write!(f, "; the key at index {index} {cause}"),
            None => f.write_str("; it has no keys"),
        }
    }
}

impl std::error::Error for JwkSetError {}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<serde_json::Value>,
    k: Option<serde_json::Value>,
}

impl JwkSet {
    /// Parses a key set. Keys that are unsupported, malformed or weak are left out; the others remain usable.
    ///
    /// # Errors
    /// [`JwkSetError`] if the document is not a key set, or if no usable key is left.
    pub fn parse(json: &[u8]) -> Result<Self, JwkSetError> {
        let raw: RawSet = vault_base::json::read(json).map_err(|_| JwkSetError { first: None })?;
        let (mut keys, mut first) = (Vec::new(), None);
        for (index, key) in raw.keys.into_iter().take(MAX_KEYS).enumerate() {
            match Jwk::read(key) {
                Ok(key) => keys.push(key),
                Err(cause) => first = first.or(Some((index, cause))),
            }
        }
        if keys.is_empty() {
            return Err(JwkSetError { first });
        }
        Ok(Self { keys, fingerprint: encoding::sha256(json) })
    }

    /// The usable keys, in the order of the document.
    pub fn keys(&self) -> &[Jwk] {
        &self.keys
    }

    /// The SHA-256 digest of the document. Verified tokens are cached under the digest of the key set that
    /// they were verified with.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// Selects the key to verify a token with: the only key that fits `alg` and, if the token has a `kid`,
    /// has that `kid`.
    ///
    /// # Errors
    /// [`TokenError::Key`] if no key fits, or more than one.
    pub fn key_for(&self, token: &Jws<'_>) -> Result<&Jwk, TokenError> {
        let mut fitting = self.keys.iter().filter(|key| {
            let same_id = token.key_id().is_none_or(|kid| key.key_id.as_deref() == Some(kid));
            same_id && key.fits(token.algorithm())
        });
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            _ => Err(TokenError::Key),
        }
    }
}

impl Jwk {
    /// Reads a key. The error says why it cannot be used.
    fn read(value: serde_json::Value) -> Result<Self, &'static str> {
        let raw: RawKey = serde_json::from_value(value)
            .map_err(|_| "is no JWK: a member is missing or has the wrong type")?;
        let wrong_use = raw.usage.as_deref().is_some_and(|usage| usage != "sig");
        let wrong_ops =
            raw.key_ops.as_ref().is_some_and(|ops| !ops.iter().any(|op| op == "verify"));
        // A private or symmetric key in a public document is compromised.
        if raw.d.is_some() || raw.k.is_some() {
            return Err("is private or symmetric");
        }
        if wrong_use || wrong_ops {
            return Err("is not for signatures (use, key_ops)");
        }
        let material = raw.material().ok_or(
            "is neither RSA of 2048 to 8192 bits, nor P-256, nor Ed25519, or is weak or malformed",
        )?;
        let algorithm = match &raw.alg {
            Some(name) => {
                Some(Algorithm::parse(name).ok_or("is for an unsupported algorithm (alg)")?)
            }
            None => None,
        };
        let key = Self { key_id: raw.kid, algorithm, material };
        match algorithm {
            Some(algorithm) if !key.fits(algorithm) => {
                Err("is for an algorithm of another type of key (alg)")
            }
            _ => Ok(key),
        }
    }

    /// The key parameters.
    pub fn material(&self) -> &KeyMaterial {
        &self.material
    }

    /// Whether the key may be used with this algorithm: its type fits, and its `alg`, if present, is the
    /// same.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        let kind = match self.material {
            KeyMaterial::Rsa { .. } => matches!(algorithm, Algorithm::Rs256 | Algorithm::Ps256),
            KeyMaterial::P256 { .. } => algorithm == Algorithm::Es256,
            KeyMaterial::Ed25519 { .. } => algorithm == Algorithm::EdDsa,
        };
        kind && self.algorithm.is_none_or(|declared| declared == algorithm)
    }
}

impl RawKey {
    fn material(&self) -> Option<KeyMaterial> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => {
                let (n, e) = (self.n.clone()?, self.e.clone()?);
                let (modulus, exponent) =
                    (encoding::from_base64url(&n)?, encoding::from_base64url(&e)?);
                let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
                let odd = exponent.last()? & 1 == 1;
                let sane = (2048..=8192).contains(&bits) && odd && exponent.len() <= 8;
                let weak = exponent == [1] || is_roca(&modulus);
                (sane && !weak).then_some(KeyMaterial::Rsa { n, e })
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (self.x.clone()?, self.y.clone()?);
                encoding::from_base64url_array::<32>(&x)?;
                encoding::from_base64url_array::<32>(&y)?;
                Some(KeyMaterial::P256 { x, y })
            }
            ("OKP", Some("Ed25519")) => {
                let x = self.x.clone()?;
                encoding::from_base64url_array::<32>(&x)?;
                Some(KeyMaterial::Ed25519 { x })
            }
            _ => None,
        }
    }
}

/// Whether a modulus has the fingerprint of the RSA keys of a flawed library, which can be factored (ROCA,
/// CVE-2017-15361): modulo each of these primes it is a power of 65537. The test rejects about one sound key
/// in some hundred million.
fn is_roca(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89,
        97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    PRIMES.iter().all(|prime| {
        let rest = modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        (0..*prime).any(|_| {
            power = power * 65_537 % prime;
            power == rest
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprints_are_those_of_the_rfcs() {
        // RFC 7638 §3.1.
        let rsa = KeyMaterial::Rsa {
            n: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw".into(),
            e: "AQAB".into(),
        };
        assert_eq!(rsa.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        // RFC 8037 §A.3.
        let ed25519 =
            KeyMaterial::Ed25519 { x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".into() };
        assert_eq!(ed25519.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
