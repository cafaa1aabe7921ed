// SPDX-License-Identifier: Apache-2.0
//! The machine of the keys that the vault signs its own tokens with: RSA of 2048 bits, one object.
//!
//! ```text
//! made, published ──active_from──▶ signs ──successor's active_from──▶ published ──▶ withdrawn
//! ```
//!
//! A key is in the key set from when it is made, so that whoever keeps a copy of the set has it
//! before the first token that it signed. It stays there until the last of those has ended. The
//! platform makes keys: where one is due the response says so, and the edge comes back with it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use vault_base::encoding;
use vault_base::seal::{AssociatedData, SealError};
use vault_base::secret::{self, Secret};
use vault_base::time::{CLOCK_SKEW_SECONDS, UnixSeconds};
use vault_jose::jwk::KeyMaterial;
use vault_jose::private_key::PrivateKey;

use super::machine::{At, Machine, Step, Write};
use crate::event::{Event, EventName};

/// Seconds for which a key signs.
pub const ROTATION_SECONDS: i64 = 90 * 86_400;

/// Seconds before its turn at which a successor is due.
pub const LEAD_SECONDS: i64 = 86_400;

/// Seconds for which a key is published, at the least, before it signs. The first key of all signs
/// at once: nobody can have a copy of the set yet.
pub const PUBLISHED_AHEAD_SECONDS: i64 = 3600;

/// Seconds until whoever was told that a successor is due asks again.
const RETRY_SECONDS: i64 = 60;

/// What the object holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Record {
    /// The keys, in the order in which they sign.
    pub keys: Vec<SigningKey>,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// Its id: the thumbprint of the public key (RFC 7638).
    pub kid: String,
    /// Modulus, base64url.
    pub n: String,
    /// Public exponent, base64url.
    pub e: String,
    /// The private key: PKCS#8, sealed as [`FIELD`], base64url.
    pub sealed: String,
    /// When it was made; published since.
    pub created_at: UnixSeconds,
    /// When it begins to sign.
    pub active_from: UnixSeconds,
    /// Longest life, in seconds, of the tokens that it signed.
    pub longest_life: i64,
}

/// The field that a private key is sealed as; the account is its kid.
pub const FIELD: &str = "signing_key";

/// A request to the object.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The key to sign with now.
    Current {
        /// Longest life, in seconds, of a token that is to be signed.
        longest_life: i64,
    },
    /// The public keys.
    Jwks,
    /// The key that was due.
    Generated {
        /// The private key: PKCS#8 in base64.
        #[serde(with = "secret::exposed")]
        pkcs8: Secret,
        /// Modulus, base64url, as WebCrypto exports it in a JWK.
        n: String,
        /// Public exponent, base64url.
        e: String,
        /// Longest life, in seconds, of a token that is to be signed.
        longest_life: i64,
    },
}

/// The response.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// The key to sign with.
    Current(CurrentKey),
    /// The public keys.
    Jwks(JwkSet),
    /// There is no key. Make one, and come back with [`Request::Generated`].
    Generate,
}

/// The key to sign with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CurrentKey {
    /// `kid` of the tokens' header.
    pub kid: String,
    /// The private key: PKCS#8 in base64. It may stay in memory and nowhere else.
    #[serde(with = "secret::exposed")]
    pub pkcs8: Secret,
    /// Until when it may be used without asking again.
    pub until: UnixSeconds,
    /// Whether its successor is due: make one, and come back with [`Request::Generated`]. Nothing
    /// is amiss if that fails; the next to ask is told the same.
    pub successor_due: bool,
}

impl CurrentKey {
    /// The key itself. `None` if it is none.
    pub fn private_key(&self) -> Option<PrivateKey> {
        private_key(&self.pkcs8)
    }
}

/// A JWK Set (RFC 7517 §5), as it is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwkSet {
    /// The keys.
    pub keys: Vec<Jwk>,
}

/// A public key of RSA (RFC 7517 §4, RFC 7518 §6.3.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// `RSA`.
    pub kty: String,
    /// `sig`.
    #[serde(rename = "use")]
    pub usage: String,
    /// `RS256`.
    pub alg: String,
    /// Its id.
    pub kid: String,
    /// Modulus, base64url.
    pub n: String,
    /// Public exponent, base64url.
    pub e: String,
}

type KeyStep = Step<Record, Response>;

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
        let record = record.unwrap_or_default();
        match request {
            Request::Current { longest_life } => current(record, longest_life, at),
            Request::Jwks => Ok(jwks(&record, at.now)),
            Request::Generated { pkcs8, n, e, longest_life } => {
                let public = KeyMaterial::Rsa { n: n.clone(), e: e.clone() };
                let (Some(key), true) = (private_key(&pkcs8), record.is_due(at.now)) else {
                    // Another isolate was faster, or what came is no key.
                    return current(record, longest_life, at);
                };
                let kid = public.thumbprint();
                let sealed = at.sealer.seal(&place(at.issuer, &kid), &key.pkcs8())?;
                let key = SigningKey {
                    kid,
                    n,
                    e,
                    sealed: encoding::base64url(sealed),
                    created_at: at.now,
                    active_from: record.next_active_from(at.now),
                    longest_life,
                };
                add(record, key, longest_life, at)
            }
        }
    }

    /// Removes keys that are withdrawn.
    fn wake(mut record: Record, at: &At<'_>) -> Step<Record, ()> {
        let before = record.keys.len();
        record.withdraw(at.now);
        let wake_at = record.retires_at();
        let is_changed = record.keys.len() < before;
        let write = if is_changed { Write::Put(record) } else { Write::Keep };
        Step { write, wake_at, ..Step::answer(()) }
    }
}

fn current(mut record: Record, longest_life: i64, at: &At<'_>) -> Result<KeyStep, SealError> {
    let due = record.is_due(at.now);
    let Some(index) = record.signing(at.now) else {
        return Ok(Step::answer(Response::Generate));
    };
    let until = match record.keys.get(index + 1) {
        Some(next) => next.active_from,
        None if due => at.now + RETRY_SECONDS,
        None => record.due_at().unwrap_or(at.now),
    };
    let Some(key) = record.keys.get_mut(index) else {
        return Ok(Step::answer(Response::Generate));
    };
    let envelope = encoding::from_base64url(&key.sealed).ok_or(SealError::Corrupt)?;
    let pkcs8 = at.sealer.open(&place(at.issuer, &key.kid), &envelope)?;
    let pkcs8 = Secret::new(STANDARD.encode(&*pkcs8));
    let current = CurrentKey { kid: key.kid.clone(), pkcs8, until, successor_due: due };
    let response = Response::Current(current);
    if longest_life <= key.longest_life {
        return Ok(Step::answer(response));
    }
    // Written before the first token of that life is signed: the key must outlast it.
    key.longest_life = longest_life;
    Ok(waking(record, response))
}

fn jwks(record: &Record, now: UnixSeconds) -> KeyStep {
    // An empty set would be kept as a copy by whoever fetched it.
    if record.keys.is_empty() {
        return Step::answer(Response::Generate);
    }
    let published = record.keys.iter().enumerate().filter(|(index, _)| {
        record.retires_at_of(*index).is_none_or(|retires_at| now < retires_at)
    });
    let keys = published.map(|(_, key)| key.public()).collect();
    Step::answer(Response::Jwks(JwkSet { keys }))
}

fn add(
    mut record: Record,
    key: SigningKey,
    longest_life: i64,
    at: &At<'_>,
) -> Result<KeyStep, SealError> {
    let event = Event::new(EventName::SigningKeyAdded).detail(key.kid.clone());
    record.withdraw(at.now);
    record.keys.push(key);
    let Step { write, response, .. } = current(record.clone(), longest_life, at)?;
    let record = if let Write::Put(raised) = write { raised } else { record };
    Ok(waking(record, response).logging(event))
}

/// Writes the record, and wakes when its oldest key is withdrawn.
fn waking(record: Record, response: Response) -> KeyStep {
    Step { wake_at: record.retires_at(), ..Step::put(record, response) }
}

fn place<'a>(issuer: &'a str, kid: &'a str) -> AssociatedData<'a> {
    AssociatedData {
        issuer,
        subject: "",
        connection: "",
        account: kid,
        field: FIELD,
        generation: 0,
    }
}

fn private_key(pkcs8: &Secret) -> Option<PrivateKey> {
    let pkcs8 = zeroize::Zeroizing::new(STANDARD.decode(pkcs8.expose()).ok()?);
    PrivateKey::from_pkcs8(&pkcs8)
}

impl Record {
    /// Which key signs: the last whose time has come. The first, should the clock have gone back.
    fn signing(&self, now: UnixSeconds) -> Option<usize> {
        let active = self.keys.iter().rposition(|key| key.active_from <= now);
        active.or((!self.keys.is_empty()).then_some(0))
    }

    /// When a successor of the last key is due.
    fn due_at(&self) -> Option<UnixSeconds> {
        Some(self.keys.last()?.active_from + ROTATION_SECONDS - LEAD_SECONDS)
    }

    /// Whether a key must be made.
    fn is_due(&self, now: UnixSeconds) -> bool {
        self.due_at().is_none_or(|due_at| due_at <= now)
    }

    /// When a key that is made now begins to sign.
    fn next_active_from(&self, now: UnixSeconds) -> UnixSeconds {
        match self.keys.last() {
            Some(last) => (last.active_from + ROTATION_SECONDS).max(now + PUBLISHED_AHEAD_SECONDS),
            None => now,
        }
    }

    /// When the last token that this key signed has ended, if it has a successor. Clocks may
    /// differ, of the isolates that sign and of those who check.
    fn retires_at_of(&self, index: usize) -> Option<UnixSeconds> {
        let (key, next) = (self.keys.get(index)?, self.keys.get(index + 1)?);
        Some(next.active_from + key.longest_life + 2 * CLOCK_SKEW_SECONDS)
    }

    /// When the oldest key is withdrawn.
    fn retires_at(&self) -> Option<UnixSeconds> {
        self.retires_at_of(0)
    }

    fn withdraw(&mut self, now: UnixSeconds) {
        while self.retires_at().is_some_and(|retires_at| retires_at <= now) {
            self.keys.remove(0);
        }
    }
}

impl SigningKey {
    fn public(&self) -> Jwk {
        Jwk {
            kty: "RSA".into(),
            usage: "sig".into(),
            alg: "RS256".into(),
            kid: self.kid.clone(),
            n: self.n.clone(),
            e: self.e.clone(),
        }
    }
}
