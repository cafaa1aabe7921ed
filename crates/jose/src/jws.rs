// SPDX-License-Identifier: Apache-2.0
//! Strict parsing of the JWS compact serialization (RFC 7515 §7.1).

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::TokenError;
use super::algorithm::Algorithm;
use vault_base::{encoding, json};

/// The maximum length of a token, in bytes. Access tokens with many claims reach 4 to 8 KiB.
pub const MAX_LENGTH: usize = 16 * 1024;

/// The maximum length of an ID token of a provider, in bytes.
pub const MAX_ID_TOKEN: usize = 512 * 1024;

/// The maximum length of `kid`, in bytes.
const MAX_KEY_ID: usize = 256;

/// A well-formed token with a supported `alg`. Its signature and its claims are not verified.
#[derive(Debug)]
pub struct Jws<'a> {
    algorithm: Algorithm,
    key_id: Option<String>,
    token_type: Option<String>,
    signed: &'a str,
    signature: Vec<u8>,
    payload: Value,
}

impl<'a> Jws<'a> {
    /// Parses a JWT (RFC 7519): a JWS whose payload is a JSON object that passes [`json::check`].
    ///
    /// # Errors
    /// As [`Jws::parse_message`]; also [`TokenError::Json`] if the payload is not such an object.
    pub fn parse(text: &'a str) -> Result<Self, TokenError> {
        Self::parse_within(text, MAX_LENGTH)
    }

    /// Parses an ID token, which may be longer: it is in no header, and some providers put a picture into it.
    ///
    /// # Errors
    /// As [`Jws::parse`], with [`MAX_ID_TOKEN`] in place of [`MAX_LENGTH`].
    pub fn parse_id_token(text: &'a str) -> Result<Self, TokenError> {
        Self::parse_within(text, MAX_ID_TOKEN)
    }

    fn parse_within(text: &'a str, longest: usize) -> Result<Self, TokenError> {
        let message = Self::message_within(text, longest)?;
        let claims = object(text.split('.').nth(1).unwrap_or_default())?;
        Ok(Self { payload: Value::Object(claims), ..message })
    }

    /// Parses a JWS with any payload (RFC 7515): its three segments and its header. Of the header, `alg`,
    /// `kid`, `typ`, `crit`, `b64` and `zip` are read. All other parameters are ignored, whatever their type.
    /// Keys in the header (`jwk`, `x5c`, `jku`, `x5u`) are among them: a token must not select its own key.
    ///
    /// # Errors
    /// [`TokenError::Format`] for text that is not three segments of canonical base64url or is longer than
    /// [`MAX_LENGTH`], [`TokenError::Json`] for a malformed header, [`TokenError::Algorithm`] for an
    /// unsupported `alg`, [`TokenError::Critical`] for `crit`, `b64` or `zip`, [`TokenError::Key`] for a
    /// `kid` that is too long.
    pub fn parse_message(text: &'a str) -> Result<Self, TokenError> {
        Self::message_within(text, MAX_LENGTH)
    }

    fn message_within(text: &'a str, longest: usize) -> Result<Self, TokenError> {
        if text.len() > longest || !text.bytes().all(is_token_byte) {
            return Err(TokenError::Format);
        }
        let mut segments = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(TokenError::Format);
        };
        let header = object(header)?;
        if encoding::from_base64url(payload).is_none() {
            return Err(TokenError::Format);
        }
        let signature = encoding::from_base64url(signature).filter(|bytes| !bytes.is_empty());
        let signature = signature.ok_or(TokenError::Format)?;
        let signed = text.rsplit_once('.').map(|(signed, _)| signed).ok_or(TokenError::Format)?;
        let parameter = |name: &str| header.get(name).filter(|value| !value.is_null());
        let Some(Value::String(algorithm)) = parameter("alg") else {
            return Err(TokenError::Json);
        };
        let algorithm = Algorithm::parse(algorithm).ok_or(TokenError::Algorithm)?;
        if ["crit", "b64", "zip"].into_iter().any(|name| parameter(name).is_some()) {
            // RFC 7515 §4.1.11: a JWS with a critical extension that is not supported is invalid. The vault
            // supports none.
            return Err(TokenError::Critical);
        }
        // RFC 7515 §4.1.4 wants a string. With another value, the token names no key, and is verified as if it
        // had no `kid`: with the only key that fits `alg`.
        let key_id = parameter("kid").and_then(Value::as_str).map(str::to_owned);
        if key_id.as_ref().is_some_and(|kid| kid.len() > MAX_KEY_ID) {
            return Err(TokenError::Key);
        }
        let token_type = match parameter("typ") {
            Some(Value::String(typ)) => Some(media_type(typ)),
            Some(_) => return Err(TokenError::Json),
            None => None,
        };
        Ok(Self { algorithm, key_id, token_type, signed, signature, payload: Value::Null })
    }

    /// `alg`.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// `kid`; `None` if it is absent or no string.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// `typ` in lower case and without the prefix `application/` (RFC 7515 §4.1.9); `None` if absent.
    pub fn token_type(&self) -> Option<&str> {
        self.token_type.as_deref()
    }

    /// The JWS signing input (RFC 7515 §5.1): `header.payload`, both in base64url.
    pub fn signed(&self) -> &'a str {
        self.signed
    }

    /// The decoded signature.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The claims, unverified. Before the signature is verified, they may be used only to select the key.
    ///
    /// # Errors
    /// [`TokenError::Json`] if a claim has the wrong type, a time is no timestamp, or the message was
    /// read without its claims.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<jwt_compact::Claims<T>, TokenError> {
        jwt_compact::Claims::deserialize(&self.payload).map_err(|_| TokenError::Json)
    }

    /// One claim as it is, likewise unverified.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.payload.get(name)
    }

    /// All claims as they are, likewise unverified: an object.
    pub fn payload(&self) -> &Value {
        &self.payload
    }
}

/// A media type in lower case, without the prefix `application/`.
fn media_type(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").map(str::to_owned).unwrap_or(typ)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn object(segment: &str) -> Result<Map<String, Value>, TokenError> {
    let bytes = encoding::from_base64url(segment).ok_or(TokenError::Format)?;
    json::read_object(&bytes).map_err(|_| TokenError::Json)
}
