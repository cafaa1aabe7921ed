// SPDX-License-Identifier: Apache-2.0
//! A type for text that must not appear in logs or error messages: tokens, codes, client secrets.

use std::fmt;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::encoding;

/// A secret text. `Debug` prints `[secret]`, and the memory is wiped when the value is dropped. The type has
/// no `PartialEq`: compare [`Secret::expose`] with [`encoding::constant_time_eq`].
///
/// It deserializes from a string. It has no `Serialize`: a field that is to be written names [`exposed`].
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text in the clear. Every call is a place where the secret can leak, so keep them few.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The SHA-256 digest of the text, to store or look up where the secret itself must not be kept.
    pub fn sha256(&self) -> [u8; 32] {
        encoding::sha256(self.0.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// `#[serde(with = "secret::exposed")]`: serializes a secret in the clear. For messages between the Worker
/// and its own Durable Objects.
pub mod exposed {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Secret;

    /// Serializes the text as a string.
    ///
    /// # Errors
    /// The error of the serializer.
    pub fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    /// Deserializes a string.
    ///
    /// # Errors
    /// The error of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        Secret::deserialize(deserializer)
    }
}

/// [`exposed`] for a secret that may be absent.
pub mod exposed_option {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Secret;

    /// Serializes the text as a string, or `None` as `null`.
    ///
    /// # Errors
    /// The error of the serializer.
    pub fn serialize<S: Serializer>(
        secret: &Option<Secret>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => serializer.serialize_some(secret.expose()),
            None => serializer.serialize_none(),
        }
    }

    /// Deserializes a string, or `null` as `None`.
    ///
    /// # Errors
    /// The error of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret>, D::Error> {
        Option::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "[secret] Some([secret])");
    }
}
