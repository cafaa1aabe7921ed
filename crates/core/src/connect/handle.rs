// SPDX-License-Identifier: Apache-2.0
//! Handles: ticket, state, `auth_session`, `connect_code`. Each is `sid.secret`, 22 + 1 + 22
//! base64url characters. The session's id names the object, which stores a hash of the secret.

use vault_base::encoding::{self, RandomnessError};
use vault_base::ids::ObjectNames;
use vault_base::mac_id::{IdKind, MacId};
use vault_base::secret::Secret;

const PART: usize = 22;

/// A handle in its two parts.
#[derive(Debug, Clone)]
pub struct OpaqueHandle {
    /// The session's id, as the handle has it. It is no secret and proves nothing.
    pub session: String,
    /// The secret, which proves that the holder received this handle.
    pub secret: Secret,
}

impl OpaqueHandle {
    /// A handle of this session.
    pub fn new(session: &MacId, secret: Secret) -> Self {
        Self { session: session.as_str().to_owned(), secret }
    }

    /// Reads `sid.secret`. `None` if the form is wrong.
    pub fn parse(text: &str) -> Option<Self> {
        let (session, secret) = text.split_once('.')?;
        let fits =
            |part: &str| part.len() == PART && encoding::from_base64url_array::<16>(part).is_some();
        (fits(session) && fits(secret))
            .then(|| Self { session: session.to_owned(), secret: Secret::new(secret) })
    }

    /// The session's id. `None` if this deployment did not make it, so that no object is asked.
    pub fn session_id(&self, names: &ObjectNames) -> Option<MacId> {
        MacId::read(names, IdKind::Connect, &self.session)
    }

    /// Writes `sid.secret`.
    pub fn text(&self) -> Secret {
        Secret::new(format!("{}.{}", self.session, self.secret.expose()))
    }
}

/// The secret of a handle or a cookie, or a nonce: 128 random bits as 22 base64url characters.
///
/// # Errors
/// [`RandomnessError`].
pub fn random() -> Result<String, RandomnessError> {
    Ok(encoding::base64url(encoding::random::<16>()?))
}

/// What is stored of the secret of a handle or cookie: its SHA-256 in hex.
pub fn hash(secret: &Secret) -> String {
    encoding::hex(&secret.sha256())
}

/// Compares a presented secret with a stored hash, in constant time.
pub fn matches(presented: &Secret, stored: &str) -> bool {
    encoding::constant_time_eq(hash(presented).as_bytes(), stored.as_bytes())
}
