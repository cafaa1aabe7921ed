// SPDX-License-Identifier: Apache-2.0
//! Whose vault this is, and what opens and seals its values.

use vault_base::encoding;
use vault_base::ids::{AccountId, UserId};
use vault_base::seal::{AssociatedData, SealError, Sealer};
use vault_base::secret::Secret;
use vault_base::text;
use zeroize::Zeroizing;

use super::contents::{Contents, Sealed};
use super::record::{self, AccessTokenRecord, Grant, SUCCESSOR, Selector};

/// The user and the connection that a vault belongs to. It never changes, so what follows from it is derived
/// once.
pub struct Home {
    /// Whose.
    pub user: UserId,
    /// At which connection.
    pub connection: String,
    sealer: Sealer,
}

impl Home {
    /// The home of the object that `sealer` was made for.
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

    /// Seals a token for its place ([`record::field`]).
    ///
    /// # Errors
    /// [`SealError`].
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

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// [`SealError`].
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

    /// A grant's refresh tokens. `None` if it has none.
    ///
    /// # Errors
    /// [`SealError`]. A successor that does not open counts as none.
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

    /// A stored access token. One that does not open counts as none: its grant may give another.
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
            // One that no header can carry was stored before that was looked at.
            Ok(token) if !text::is_access_token(token.expose()) => Ok(None),
            Ok(token) => Ok(Some((record, token))),
            Err(SealError::Corrupt) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A grant's own refresh token, and the one that came in an answer nothing else could be taken from.
pub struct RefreshTokens {
    own: Secret,
    successor: Option<Secret>,
}

impl RefreshTokens {
    /// The grant's own.
    pub fn own(&self) -> &Secret {
        &self.own
    }

    /// The one that is not proved yet.
    pub fn successor(&self) -> Option<&Secret> {
        self.successor.as_ref()
    }

    /// The one to send, and the grant's own where that is another.
    pub fn into_sent_and_kept(self) -> (Secret, Option<Secret>) {
        match self.successor {
            Some(successor) => (successor, Some(self.own)),
            None => (self.own, None),
        }
    }
}
