// SPDX-License-Identifier: Apache-2.0
//! Sealing of values at rest: AES-256-GCM, with a key derived for each object by HKDF-SHA-256 (RFC 5869).
//!
//! Envelope: version (1 byte, `1`), length of the key id (1 byte), key id, nonce (12 bytes), ciphertext with
//! tag. The place of the value is associated data, so an envelope that was moved to another user,
//! connection, account, field or generation does not open.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use serde::Deserialize;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::encoding;
use crate::secret::Secret;

const VERSION: u8 = 1;
const NONCE: usize = 12;
const PURPOSE: &[u8] = b"edge-token-vault/seal/1";
/// Context of keys that follow from a presented secret.
const PRESENTED: &[u8] = b"edge-token-vault/presented/1";

const CHECK: &[u8] = b"edge-token-vault/check/1";

/// The sealing keys of the deployment. New envelopes are sealed under the primary key; envelopes under any
/// key of the ring can be opened.
#[derive(Clone)]
pub struct KeyRing {
    primary: String,
    keys: Rc<BTreeMap<String, Zeroizing<[u8; 32]>>>,
}

/// Why the value of `KEY_RING` was rejected. `Display` says what to fix and shows no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRingError {
    /// The value is not JSON of the form `{"write":"k1","keys":{"k1":"…"}}`.
    Malformed,
    /// This key id is empty, longer than 32 bytes, or has characters other than ASCII letters, digits, `-`
    /// and `_`.
    BadKeyId(String),
    /// The key with this id is not 32 bytes in base64url.
    BadKey(String),
    /// `write` is this id, which `keys` does not contain.
    UnknownPrimary(String),
}

impl fmt::Display for KeyRingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str(
                r#"must be JSON of the form {"write":"k1","keys":{"k1":"<32 bytes, base64url>"}}"#,
            ),
            Self::BadKeyId(id) => {
                write!(f, "key id `{id}` must be 1 to 32 letters, digits, `-` or `_`")
            }
            Self::BadKey(id) => {
                write!(f, "key `{id}` must be 32 bytes in base64url without padding")
            }
            Self::UnknownPrimary(id) => {
                write!(f, "`write` names `{id}`, which is not among `keys`")
            }
        }
    }
}

impl std::error::Error for KeyRingError {}

impl KeyRing {
    /// Parses the value of the secret `KEY_RING`.
    ///
    /// # Errors
    /// [`KeyRingError`] if the value is malformed.
    pub fn parse(json: &str) -> Result<Self, KeyRingError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Raw {
            write: String,
            keys: BTreeMap<String, Secret>,
        }
        let raw: Raw = crate::json::read(json.as_bytes()).map_err(|_| KeyRingError::Malformed)?;
        let mut keys = BTreeMap::new();
        for (id, key) in raw.keys {
            let fits = (1..=32).contains(&id.len());
            if !fits || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
                return Err(KeyRingError::BadKeyId(id));
            }
            match encoding::from_base64url_array(key.expose()) {
                Some(bytes) => keys.insert(id, Zeroizing::new(bytes)),
                None => return Err(KeyRingError::BadKey(id)),
            };
        }
        if !keys.contains_key(&raw.write) {
            return Err(KeyRingError::UnknownPrimary(raw.write));
        }
        Ok(Self { primary: raw.write, keys: Rc::new(keys) })
    }
}

impl KeyRing {
    /// A ring of one key that follows from a presented secret: what is sealed with it opens for those alone
    /// who present the same secret.
    ///
    /// # Errors
    /// [`SealError::CannotSeal`], which does not happen: 32 bytes are within what HKDF expands to.
    pub fn of_secret(secret: &Secret) -> Result<Self, SealError> {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, secret.expose().as_bytes())
            .expand(PRESENTED, key.as_mut_slice())
            .map_err(|_| SealError::CannotSeal)?;
        let primary = "presented".to_owned();
        let mut keys = BTreeMap::new();
        keys.insert(primary.clone(), key);
        Ok(Self { primary, keys: Rc::new(keys) })
    }

    /// Id of the key that new envelopes are sealed under.
    pub fn primary_key(&self) -> &str {
        &self.primary
    }

    /// A check value of each key, by key id ([`Self::check_value`]).
    pub fn check_values(&self) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        values.extend(self.keys.iter().map(|(id, key)| (id.clone(), check_value(key))));
        values
    }

    /// The check value of a key, if the ring has it: 32 hexadecimal digits that reveal nothing about the key.
    /// If an id were given to another key, intact envelopes would look corrupt; a changed check value detects
    /// it.
    pub fn check_value(&self, id: &str) -> Option<String> {
        self.keys.get(id).map(|key| check_value(key))
    }
}

fn check_value(key: &[u8; 32]) -> String {
    let mut value = [0; 16];
    // HKDF-SHA-256 expands to up to 8,160 bytes, so this cannot fail.
    let expanded = Hkdf::<Sha256>::new(None, key).expand(CHECK, &mut value);
    expanded.map_or_else(|_| String::new(), |()| encoding::hex(&value))
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("primary", &self.primary).finish_non_exhaustive()
    }
}

/// The place of a sealed value. All fields are authenticated as associated data.
#[derive(Debug, Clone, Copy)]
pub struct AssociatedData<'a> {
    /// `iss` of the user.
    pub issuer: &'a str,
    /// `sub` of the user.
    pub subject: &'a str,
    /// Name of the connection.
    pub connection: &'a str,
    /// Account id, or the id of the connect session while there is no account yet.
    pub account: &'a str,
    /// Name of the sealed field.
    pub field: &'a str,
    /// Generation of the grant.
    pub generation: u64,
}

/// Why a value could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealError {
    /// The envelope names a key that the ring does not contain. The envelope itself may be intact: the
    /// caller must keep it, so that it opens again once the operator has restored the key.
    KeyUnavailable {
        /// Id of the missing key.
        key_id: String,
    },
    /// The envelope is damaged, or was sealed for another place or under another key of the same id.
    Corrupt,
    /// The runtime gave no random bytes, or the value exceeds the size limit of AES-GCM.
    CannotSeal,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyUnavailable { key_id } => {
                write!(f, "sealed under key `{key_id}`, which KEY_RING lacks")
            }
            Self::Corrupt => f.write_str("sealed value is damaged or misplaced"),
            Self::CannotSeal => f.write_str("could not seal"),
        }
    }
}

impl std::error::Error for SealError {}

/// Seals and opens the values of one object. Its keys are derived at their first use.
pub struct Sealer {
    ring: KeyRing,
    object: String,
    ciphers: RefCell<BTreeMap<String, Rc<Aes256Gcm>>>,
}

impl Sealer {
    /// A sealer for the object of this name.
    pub fn new(ring: &KeyRing, object: &str) -> Self {
        Self { ring: ring.clone(), object: object.to_owned(), ciphers: RefCell::default() }
    }

    /// Seals a value under the primary key with a random nonce, and returns the envelope.
    ///
    /// # Errors
    /// [`SealError::CannotSeal`] if the runtime gives no random bytes or the value is too long.
    pub fn seal(&self, place: &AssociatedData<'_>, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce = encoding::random().map_err(|_| SealError::CannotSeal)?;
        self.seal_with_nonce(place, plaintext, nonce)
    }

    fn seal_with_nonce(
        &self,
        place: &AssociatedData<'_>,
        plaintext: &[u8],
        nonce: [u8; NONCE],
    ) -> Result<Vec<u8>, SealError> {
        let key_id = self.ring.primary.as_str();
        let cipher = self.cipher(key_id)?;
        let aad = associated_data(key_id, place);
        let ciphertext = cipher
            .encrypt(Nonce::from_slice(&nonce), Payload { msg: plaintext, aad: &aad })
            .map_err(|_| SealError::CannotSeal)?;
        let id_length = u8::try_from(key_id.len()).map_err(|_| SealError::CannotSeal)?;
        let mut envelope = Vec::with_capacity(2 + key_id.len() + NONCE + ciphertext.len());
        envelope.extend_from_slice(&[VERSION, id_length]);
        envelope.extend_from_slice(key_id.as_bytes());
        envelope.extend_from_slice(&nonce);
        envelope.extend_from_slice(&ciphertext);
        Ok(envelope)
    }

    /// Opens an envelope that was sealed for this place, with the key that it names.
    ///
    /// # Errors
    /// [`SealError::KeyUnavailable`] if the ring lacks that key, [`SealError::Corrupt`] if the envelope is
    /// damaged or belongs to another place.
    pub fn open(
        &self,
        place: &AssociatedData<'_>,
        envelope: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (key_id, nonce, ciphertext) = split(envelope).ok_or(SealError::Corrupt)?;
        let cipher = self.cipher(key_id)?;
        let aad = associated_data(key_id, place);
        cipher
            .decrypt(Nonce::from_slice(nonce), Payload { msg: ciphertext, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| SealError::Corrupt)
    }

    fn cipher(&self, key_id: &str) -> Result<Rc<Aes256Gcm>, SealError> {
        if let Some(cipher) = self.ciphers.borrow().get(key_id) {
            return Ok(cipher.clone());
        }
        let cipher = Rc::new(self.derive(key_id)?);
        self.ciphers.borrow_mut().insert(key_id.to_owned(), cipher.clone());
        Ok(cipher)
    }

    fn derive(&self, key_id: &str) -> Result<Aes256Gcm, SealError> {
        let key = self
            .ring
            .keys
            .get(key_id)
            .ok_or_else(|| SealError::KeyUnavailable { key_id: key_id.to_owned() })?;
        let info = encoding::length_prefixed(&[PURPOSE, self.object.as_bytes()]);
        let mut derived = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, key.as_slice())
            .expand(&info, derived.as_mut_slice())
            .map_err(|_| SealError::CannotSeal)?;
        Ok(Aes256Gcm::new(derived.as_slice().into()))
    }
}

/// The id of the key that sealed an envelope; `None` if it is no envelope.
pub fn key_id(envelope: &[u8]) -> Option<&str> {
    split(envelope).map(|(key_id, ..)| key_id)
}

fn split(envelope: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let (&[version, id_length], rest) = envelope.split_first_chunk::<2>()?;
    if version != VERSION {
        return None;
    }
    let (key_id, rest) = rest.split_at_checked(usize::from(id_length))?;
    let (nonce, ciphertext) = rest.split_at_checked(NONCE)?;
    Some((std::str::from_utf8(key_id).ok()?, nonce, ciphertext))
}

fn associated_data(key_id: &str, place: &AssociatedData<'_>) -> Vec<u8> {
    encoding::length_prefixed(&[
        &[VERSION],
        key_id.as_bytes(),
        place.issuer.as_bytes(),
        place.subject.as_bytes(),
        place.connection.as_bytes(),
        place.account.as_bytes(),
        place.field.as_bytes(),
        &place.generation.to_be_bytes(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_bytes_are_pinned() {
        let ring = KeyRing::parse(&format!(
            r#"{{"write":"k1","keys":{{"k1":"{}"}}}}"#,
            encoding::base64url([7; 32])
        ))
        .unwrap();
        let place = AssociatedData {
            issuer: "https://idp.example/",
            subject: "alice",
            connection: "demo",
            account: "cac_1",
            field: "refresh_token",
            generation: 3,
        };
        let sealer = Sealer::new(&ring, "object");
        let envelope = sealer.seal_with_nonce(&place, b"refresh me", [9; 12]).unwrap();
        assert_eq!(
            encoding::hex(&envelope),
            include_str!("../../../tests/golden/envelope-v1.hex").trim()
        );
        assert_eq!(sealer.open(&place, &envelope).unwrap().as_slice(), b"refresh me");
    }
}
