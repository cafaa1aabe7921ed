// SPDX-License-Identifier: Apache-2.0
//! The user and connection that a vault belongs to, and the sealing of its tokens.

use vault_base::encoding;
use vault_base::ids::{AccountId, UserId};
use vault_base::seal::{AssociatedData, SealError, Sealer};
use vault_base::secret::Secret;
use vault_base::text;
use zeroize::Zeroizing;

use super::contents::{Contents, Sealed};
use super::record::{self, AccessTokenRecord, Grant, SUCCESSOR, Selector};

/// The user and the connection that a vault belongs to, with the sealer for its tokens. They never change, so
/// that the keys are derived only once per object.
pub struct Home {
    /// The user whose accounts the vault holds.
    pub user: UserId,
    /// The name of the connection.
    pub connection: String,
    sealer: Sealer,
}

impl Home {
    /// Combines the user and the connection with the sealer that was created for their object.
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

    /// Encrypts a token. The envelope can be decrypted only with the same account, field ([`record::field`])
    /// and generation.
    ///
    /// # Errors
    /// [`SealError`] as [`Sealer::seal`] gives it.
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

    /// Decrypts an envelope that was sealed for this account, field and generation.
    ///
    /// # Errors
    /// [`SealError`] as [`Sealer::open`] gives it, and [`SealError::Corrupt`] if the token is not UTF-8.
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

    /// Decrypts a grant's refresh token and its successor. `None` if the grant has no refresh token. A
    /// successor that is corrupt counts as absent.
    ///
    /// # Errors
    /// [`SealError`] if the refresh token cannot be decrypted, or if the key of the successor is missing.
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

    /// Decrypts a stored access token. `None` if there is none, or if it is corrupt or unusable, because the
    /// grant may give another one.
    ///
    /// # Errors
    /// [`SealError::KeyUnavailable`] if the sealing key is missing.
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
            // Earlier versions stored tokens without checking that a header can carry them.
            Ok(token) if !text::is_access_token(token.expose()) => Ok(None),
            Ok(token) => Ok(Some((record, token))),
            Err(SealError::Corrupt) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A grant's own refresh token, and its successor if there is one ([`record::Intent::successor`]).
pub struct RefreshTokens {
    own: Secret,
    successor: Option<Secret>,
}

impl RefreshTokens {
    /// The grant's own refresh token.
    pub fn own(&self) -> &Secret {
        &self.own
    }

    /// The successor, which no refresh has used with success yet.
    pub fn successor(&self) -> Option<&Secret> {
        self.successor.as_ref()
    }

    /// The refresh token to send, which is the successor if there is one, and the grant's own token if that
    /// is not the one to send.
    pub fn into_sent_and_kept(self) -> (Secret, Option<Secret>) {
        match self.successor {
            Some(successor) => (successor, Some(self.own)),
            None => (self.own, None),
        }
    }
}
