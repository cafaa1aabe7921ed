// SPDX-License-Identifier: Apache-2.0
//! The owner of a vault, and sealing for that owner.

use vault_base::encoding;
use vault_base::ids::{AccountId, UserId};
use vault_base::seal::{AssociatedData, SealError, Sealer};
use vault_base::secret::Secret;
use vault_base::text;
use zeroize::Zeroizing;

use super::contents::{Contents, Sealed};
use super::record::{self, AccessTokenRecord, Grant, SUCCESSOR, Selector};

/// The user and the connection that a vault belongs to. They never change, so derived values are
/// computed once.
pub struct Home {
    /// The user.
    pub user: UserId,
    /// The name of the connection.
    pub connection: String,
    sealer: Sealer,
}

impl Home {
    /// Makes the home of the object that `sealer` belongs to.
    pub fn new(user: UserId, connection: String, sealer: Sealer) -> Self {
        Self { user, connection, sealer }
    }

    fn place<'a>(
        &'a self,
        account: &'a AccountId,
        field: &'a str,
        generation: u64,
    ) -> AssociatedData<'a> {
        AssociatedData {
            issuer: &self.user.issuer,
            subject: &self.user.subject,
            connection: &self.connection,
            account: account.as_str(),
            field,
            generation,
        }
    }

    /// Seals a token for its account, field ([`record::field`]) and generation.
    ///
    /// # Errors
    /// [`SealError`]: no key, or no randomness.
    pub fn seal(
        &self,
        account: &AccountId,
        field: &str,
        generation: u64,
        secret: &Secret,
    ) -> Result<Vec<u8>, SealError> {
        let place = self.place(account, field, generation);
        self.sealer.seal(&place, secret.expose().as_bytes())
    }

    /// Opens an envelope that was sealed for this account, field and generation.
    ///
    /// # Errors
    /// [`SealError`]: the key is missing, or the envelope is damaged or of another place.
    pub fn open(
        &self,
        account: &AccountId,
        field: &str,
        generation: u64,
        envelope: &[u8],
    ) -> Result<Secret, SealError> {
        let place = self.place(account, field, generation);
        let bytes: Zeroizing<Vec<u8>> = self.sealer.open(&place, envelope)?;
        std::str::from_utf8(&bytes).map(Secret::new).map_err(|_| SealError::Corrupt)
    }

    /// Opens a grant's refresh tokens. `None` if the grant has none.
    ///
    /// # Errors
    /// [`SealError`]. A successor that does not open counts as absent.
    pub fn refresh_tokens(
        &self,
        account: &AccountId,
        kind: &str,
        sealed: &Sealed<Grant>,
    ) -> Result<Option<RefreshTokens>, SealError> {
        let Some(envelope) = &sealed.envelope else {
            return Ok(None);
        };
        let grant = &sealed.record;
        let field = record::field("refresh_token", kind);
        let own = self.open(account, &field, grant.generation, envelope)?;
        let sealed = grant.intent.as_ref().and_then(|intent| {
            let envelope = encoding::from_base64url(intent.successor.as_ref()?)?;
            Some((intent.generation, envelope))
        });
        let successor = match sealed {
            Some((generation, envelope)) => {
                match self.open(account, &record::field(SUCCESSOR, kind), generation, &envelope) {
                    Err(SealError::Corrupt) => None,
                    opened => Some(opened?),
                }
            }
            None => None,
        };
        Ok(Some(RefreshTokens { own, successor }))
    }

    /// Opens a stored access token. One that does not open counts as absent, because its grant may
    /// give another.
    ///
    /// # Errors
    /// [`SealError::KeyUnavailable`].
    pub fn access_token<'a>(
        &self,
        contents: &'a Contents,
        account: &AccountId,
        selector: &Selector,
    ) -> Result<Option<(&'a AccessTokenRecord, Secret)>, SealError> {
        let Some(Sealed { record, envelope: Some(envelope) }) =
            contents.access_token(account, selector)
        else {
            return Ok(None);
        };
        let field = record::field("access_token", selector.kind());
        match self.open(account, &field, record.generation, envelope) {
            // Earlier versions stored tokens that no header can carry.
            Ok(token) if !text::is_access_token(token.expose()) => Ok(None),
            Ok(token) => Ok(Some((record, token))),
            Err(SealError::Corrupt) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A grant's refresh token, and its successor if there is one.
pub struct RefreshTokens {
    own: Secret,
    successor: Option<Secret>,
}

impl RefreshTokens {
    /// The grant's own refresh token.
    pub fn own(&self) -> &Secret {
        &self.own
    }

    /// The successor: it came in a response that was otherwise unusable, and has not worked yet.
    pub fn successor(&self) -> Option<&Secret> {
        self.successor.as_ref()
    }

    /// The refresh token to send, and the grant's own where the successor is sent.
    pub fn into_sent_and_kept(self) -> (Secret, Option<Secret>) {
        match self.successor {
            Some(successor) => (successor, Some(self.own)),
            None => (self.own, None),
        }
    }
}
