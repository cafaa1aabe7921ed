// SPDX-License-Identifier: Apache-2.0
//! The keys that the vault signs its tokens with. A key is published before it is used, and stays published
//! until the last token that it signed has expired.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::machine::{At, Machine, Step};
use vault_base::encoding;
use vault_base::seal::{AssociatedData, SealError};
use vault_base::secret::{Secret, exposed};
use vault_base::time::UnixSeconds;

/// Seconds for which a key signs: 90 days.
const SIGNS_FOR: i64 = 90 * 86_400;

/// Seconds before its use at which a key is published: verifiers fetch keys at least once a day.
const PUBLISHED_BEFORE: i64 = 86_400;

/// Seconds after its last use for which a key stays published: no token lives longer than a day.
const PUBLISHED_AFTER: i64 = 86_400 + 3600;

/// The stored record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The keys, the oldest first.
    pub keys: Vec<Key>,
}

/// An RSA key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its id: the SHA-256 thumbprint of the public key (RFC 7638).
    pub kid: String,
    /// Modulus, base64url.
    pub n: String,
    /// Exponent, base64url.
    pub e: String,
    /// The private key in PKCS#8, as base64url text, sealed, in base64url.
    pub sealed: String,
    /// From when it signs, Unix seconds.
    pub signs_from: UnixSeconds,
}

/// What the keys are asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The keys as they are now.
    Get,
    /// A new key, which the platform made.
    Add {
        /// Modulus, base64url.
        n: String,
        /// Exponent, base64url.
        e: String,
        /// PKCS#8 in base64url.
        #[serde(with = "exposed")]
        pkcs8: Secret,
    },
}

/// What they answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// The keys.
    Keys {
        /// Id of the key that signs now.
        kid: String,
        /// Its private key, PKCS#8 in base64url.
        #[serde(with = "exposed")]
        pkcs8: Secret,
        /// The public keys: a JWK set (RFC 7517 §5).
        jwks: Value,
        /// Whether a new key must be made.
        make: bool,
    },
    /// There is no key yet: one must be made.
    Make,
}

/// The machine of the signing keys.
#[derive(Debug)]
pub struct SigningKeys;

impl Machine for SigningKeys {
    type Record = Record;
    type Request = Request;
    type Response = Response;

    fn step(
        record: Option<Record>,
        request: Request,
        at: &At<'_>,
    ) -> Result<Step<Record, Response>, SealError> {
        let mut record = record.unwrap_or(Record { keys: Vec::new() });
        match request {
            // Two isolates may make a key at once: the first one's is taken.
            Request::Add { n, e, pkcs8 } if record.needs_key(at.now) => {
                let key = record.new_key(n, e, &pkcs8, at)?;
                record.retire(at.now);
                record.keys.push(key);
                let response = record.response(at)?;
                Ok(Step::put(record, response))
            }
            Request::Get | Request::Add { .. } => Ok(Step::answer(record.response(at)?)),
        }
    }

    fn wake(_record: Record, _at: &At<'_>) -> Step<Record, ()> {
        Step::answer(())
    }
}

impl Record {
    /// Whether the newest key will have signed long enough by the time a new one may be used.
    fn needs_key(&self, now: UnixSeconds) -> bool {
        let newest = self.keys.iter().map(|key| key.signs_from).max();
        newest.is_none_or(|from| now >= from + SIGNS_FOR - PUBLISHED_BEFORE)
    }

    fn new_key(&self, n: String, e: String, pkcs8: &Secret, at: &At<'_>) -> Result<Key, SealError> {
        let kid = thumbprint(&n, &e);
        let sealed = at.sealer.seal(&place(&kid, at), pkcs8.expose().as_bytes())?;
        let ahead = if self.keys.is_empty() { 0 } else { PUBLISHED_BEFORE };
        let signs_from = at.now.saturating_add(ahead);
        Ok(Key { kid, n, e, sealed: encoding::base64url(sealed), signs_from })
    }

    /// Drops keys whose successor has signed for longer than any token lives.
    fn retire(&mut self, now: UnixSeconds) {
        let starts: Vec<UnixSeconds> = self.keys.iter().map(|key| key.signs_from).collect();
        let is_needed = |key: &Key| {
            let next = starts.iter().filter(|start| **start > key.signs_from).min();
            next.is_none_or(|next| now < next + PUBLISHED_AFTER)
        };
        self.keys.retain(is_needed);
    }

    fn response(&self, at: &At<'_>) -> Result<Response, SealError> {
        let active = self.keys.iter().filter(|key| key.signs_from <= at.now);
        // A clock that went back leaves the first key.
        let newest = active.max_by_key(|key| key.signs_from).or(self.keys.first());
        let Some(key) = newest else {
            return Ok(Response::Make);
        };
        let sealed = encoding::from_base64url(&key.sealed).ok_or(SealError::Corrupt)?;
        let opened = at.sealer.open(&place(&key.kid, at), &sealed)?;
        let pkcs8 = std::str::from_utf8(&opened).map_err(|_| SealError::Corrupt)?;
        Ok(Response::Keys {
            kid: key.kid.clone(),
            pkcs8: Secret::new(pkcs8),
            jwks: json!({ "keys": self.keys.iter().map(Key::jwk).collect::<Vec<_>>() }),
            make: self.needs_key(at.now),
        })
    }
}

impl Key {
    fn jwk(&self) -> Value {
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "n": self.n, "e": self.e,
        })
    }
}

/// RFC 7638 §3: SHA-256 over the required members in lexicographic order.
fn thumbprint(n: &str, e: &str) -> String {
    encoding::base64url(encoding::sha256(format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#)))
}

fn place<'a>(kid: &'a str, at: &At<'a>) -> AssociatedData<'a> {
    AssociatedData {
        issuer: at.issuer,
        subject: "",
        connection: "",
        account: kid,
        field: "signing_key",
        generation: 0,
    }
}
