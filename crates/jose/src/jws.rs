// SPDX-License-Identifier: Apache-2.0
//! Strict parsing of the JWS compact serialization (RFC 7515 §7.1).

use jwt_compact::UntrustedToken;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::TokenError;
use super::algorithm::Algorithm;
use vault_base::{encoding, json};

/// The maximum length of a token, in bytes. Access tokens with many claims reach 4 to 8 KiB.
pub const MAX_LENGTH: usize = 16 * 1024;

/// The maximum length of `kid`, in bytes.
const MAX_KEY_ID: usize = 256;

/// A well-formed token with a supported `alg`. Its signature and its claims are not verified.
#[derive(Debug)]
pub struct Jws<'a> {
    token: UntrustedToken<'a, Header>,
    algorithm: Algorithm,
    signed: &'a str,
    payload: Value,
}

/// The header parameters that jwt-compact does not read itself. Keys in the header (`jwk`, `x5c`, `jku`,
/// `x5u`) are ignored: a token must not select its own key.
#[derive(Debug, Clone, Default, Deserialize, serde::Serialize)]
struct Header {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    b64: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zip: Option<serde_json::Value>,
}

impl<'a> Jws<'a> {
    /// Parses a JWT (RFC 7519): a JWS whose payload is a JSON object that passes [`json::check`].
    ///
    /// # Errors
    /// As [`Jws::parse_message`]; also [`TokenError::Json`] if the payload is not such an object.
    pub fn parse(text: &'a str) -> Result<Self, TokenError> {
        let message = Self::parse_message(text)?;
        let claims = object(text.split('.').nth(1).unwrap_or_default())?;
        Ok(Self { payload: Value::Object(claims), ..message })
    }

    /// Parses a JWS with any payload (RFC 7515): its three segments and its header.
    ///
    /// # Errors
    /// [`TokenError::Format`] for text that is not three segments of canonical base64url or is longer than
    /// [`MAX_LENGTH`], [`TokenError::Json`] for a malformed header, [`TokenError::Algorithm`] for an
    /// unsupported `alg`, [`TokenError::Critical`] for `crit`, `b64` or `zip`, [`TokenError::Key`] for a
    /// `kid` that is too long.
    pub fn parse_message(text: &'a str) -> Result<Self, TokenError> {
        if text.len() > MAX_LENGTH || !text.bytes().all(is_token_byte) {
            return Err(TokenError::Format);
        }
        let mut segments = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(TokenError::Format);
        };
        object(header)?;
        if encoding::from_base64url(payload).is_none() {
            return Err(TokenError::Format);
        }
        if signature.is_empty() || encoding::from_base64url(signature).is_none() {
            return Err(TokenError::Format);
        }
        let signed = text.rsplit_once('.').map(|(signed, _)| signed).ok_or(TokenError::Format)?;
        let token: UntrustedToken<'_, Header> = text.try_into().map_err(|_| TokenError::Json)?;
        let algorithm = Algorithm::parse(token.algorithm()).ok_or(TokenError::Algorithm)?;
        let extra = &token.header().other_fields;
        if extra.crit.is_some() || extra.b64.is_some() || extra.zip.is_some() {
            // RFC 7515 §4.1.11: a JWS with a critical extension that is not supported is invalid. The vault
            // supports none.
            return Err(TokenError::Critical);
        }
        if token.header().key_id.as_ref().is_some_and(|kid| kid.len() > MAX_KEY_ID) {
            return Err(TokenError::Key);
        }
        Ok(Self { token, algorithm, signed, payload: Value::Null })
    }

    /// `alg`.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// `kid`.
    pub fn key_id(&self) -> Option<&str> {
        self.token.header().key_id.as_deref()
    }

    /// `typ` in lower case and without the prefix `application/` (RFC 7515 §4.1.9); `None` if absent.
    pub fn token_type(&self) -> Option<String> {
        let typ = self.token.header().token_type.as_ref()?.to_ascii_lowercase();
        Some(typ.strip_prefix("application/").map(str::to_owned).unwrap_or(typ))
    }

    /// The JWS signing input (RFC 7515 §5.1): `header.payload`, both in base64url.
    pub fn signed(&self) -> &'a str {
        self.signed
    }

    /// The decoded signature.
    pub fn signature(&self) -> &[u8] {
        self.token.signature_bytes()
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

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn object(segment: &str) -> Result<Map<String, Value>, TokenError> {
    let bytes = encoding::from_base64url(segment).ok_or(TokenError::Format)?;
    json::read_object(&bytes).map_err(|_| TokenError::Json)
}
