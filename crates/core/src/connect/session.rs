// SPDX-License-Identifier: Apache-2.0
//! The state machine of a connect, from the application's request to the stored grant. The browser's steps are in
//! [`super::hops`].
//!
//! ```text
//! Started ──open──▶ AtProvider ──return──▶ Returned ──complete──▶ Completing ──▶ Granted ──▶ Redeemed ──▶ Finished
//!    │                  │                     │                        │            │
//!    └──────────────────┴─────────────────────┴──────▶ Failed ◀────────┴────────────┘
//! ```
//!
//! `complete` may be repeated in any phase after `Returned`. It continues where the connect stands, and a session
//! that has ended answers the account, or the error, again.
//!
//! The provider's code waits, sealed, until the user who began the connect completes it with an
//! access token. A browser that finishes the flow proves nothing about its user: this prevents
//! cross-user session fixation (RFC 9700 and its update).

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::handle;
use super::identify::IdentityError;
use super::record::{Begin, Complete, Denied, Flow, FlowSecrets, Phase, STORE_LIFETIME, Session};
use crate::event::Event;
use crate::vault::consent::NewGrant;
use vault_base::encoding;
use vault_base::ids::AccountId;
use vault_base::json;
use vault_base::seal::{AssociatedData, SealError, Sealer};
use vault_base::secret::Secret;
use vault_base::time::UnixSeconds;
use vault_provider::connection::Connection;
use vault_provider::error_codes::TokenEndpointError;
use vault_provider::userinfo::UserInfo;

/// The next step of a completion.
#[derive(Debug)]
pub enum Completion {
    /// Redeem the code, after `Completing` is stored.
    Redeem {
        /// The provider's authorization code.
        code: Secret,
        /// Verifier and nonce.
        secrets: FlowSecrets,
    },
    /// Find the user of these tokens.
    Identify(Unidentified),
    /// Store these tokens.
    Store(Box<NewGrant>),
    /// Answer with this account, which was connected before.
    Answer(AccountId),
}

/// Tokens whose user is not known yet.
#[derive(Debug)]
pub struct Unidentified {
    /// The grant; its user is set if the token response named one.
    pub store: Box<NewGrant>,
    /// The ID token, if there is one.
    pub id_token: Option<Secret>,
    /// Verifier and nonce.
    pub secrets: FlowSecrets,
}

/// What the identification changes.
#[derive(Debug)]
pub struct Identified {
    /// The grant to store, or why it is denied.
    pub outcome: Result<Box<NewGrant>, Denied>,
    /// Whether the session changed and must be stored first.
    pub is_changed: bool,
    /// The event for the operator's log.
    pub event: Option<Event>,
}

/// Why a step failed.
#[derive(Debug)]
pub enum SessionError {
    /// The step is denied. The session may have changed to `Failed` and must be stored.
    Denied(Denied),
    /// The provider or the user declined a sign-in, with this error code. The session has failed.
    Declined(&'static str),
    /// A key is missing, or a stored value does not open. Nothing changed.
    Seal(SealError),
}

impl From<Denied> for SessionError {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<SealError> for SessionError {
    fn from(error: SealError) -> Self {
        Self::Seal(error)
    }
}

impl Session {
    /// A new session.
    pub fn new(begin: Begin, now: UnixSeconds) -> Self {
        let flow = if begin.authorization.is_some() { Flow::Login } else { Flow::Connect };
        Self {
            begin,
            created_at: now,
            flow,
            phase: Phase::Started,
            provider_data: BTreeMap::new(),
            browser: None,
        }
    }

    /// Whether the connection still has the registration that the session began with.
    pub fn is_of(&self, connection: &Connection) -> bool {
        connection.accepts(self.begin.registration.as_ref())
    }

    /// Completes the connect for the application. `connection` is the configured connection of that
    /// name, if any; `is_redeeming` says whether the provider's response to the code is awaited now.
    ///
    /// Who completed the connect may do so again, and gets the account, or the same error.
    ///
    /// # Errors
    /// [`SessionError`]. Another user or client with the right auth session, or a wrong verifier or
    /// redirect URI with the right code, makes the session fail: its code is never redeemed.
    pub fn complete(
        &mut self,
        ask: &Complete,
        connection: Option<&Connection>,
        is_redeeming: bool,
        sealer: &Sealer,
        now: UnixSeconds,
    ) -> Result<Completion, SessionError> {
        if !handle::matches(&ask.auth_session, &self.begin.auth_session) {
            return Err(Denied::Unknown.into());
        }
        let proof = self.proof(ask);
        if self.is_over() {
            return Ok(Completion::Answer(self.answer_again(proof)?));
        }
        if let Err(denied) = proof {
            match (&denied, &self.phase) {
                (Denied::OtherUser, _) => self.phase = Phase::FAILED,
                (Denied::OtherRedirect | Denied::Verifier, Phase::Returned { .. }) => {
                    self.fail(&denied);
                }
                // The connect was completed as it should be; this request ends no grant.
                _ => {}
            }
            return Err(denied.into());
        }
        if self.phase.completes_until().is_some_and(|until| now >= until) {
            return Err(self.fail(&Denied::Expired).into());
        }
        if matches!(self.phase, Phase::Completing { .. }) {
            // The code is not sent twice. If nobody awaits the provider's response, it is lost.
            let denied = if is_redeeming {
                Denied::NotStored
            } else {
                self.fail(&Denied::ProviderUnavailable)
            };
            return Err(denied.into());
        }
        let is_of = match connection {
            Some(connection) => self.is_of(connection),
            None => self.begin.registration.is_none(),
        };
        if !is_of {
            return Err(Denied::RegistrationChanged.into());
        }
        match &self.phase {
            Phase::Returned { connect_code, secrets, code, .. } => {
                let redeem = Completion::Redeem {
                    code: self.unseal(sealer, "provider_code", code)?,
                    secrets: self.open_json(sealer, "provider_secrets", secrets)?,
                };
                self.phase = Phase::Completing { connect_code: connect_code.clone() };
                Ok(redeem)
            }
            Phase::Granted { secrets, id_token, store, .. } => {
                let id_token = id_token.as_ref();
                Ok(Completion::Identify(Unidentified {
                    store: Box::new(self.open_json(sealer, "tokens", store)?),
                    id_token: id_token
                        .map(|text| self.unseal(sealer, "id_token", text))
                        .transpose()?,
                    secrets: self.open_json(sealer, "provider_secrets", secrets)?,
                }))
            }
            Phase::Redeemed { store, .. } => {
                let store = self.open_json(sealer, "tokens", store)?;
                Ok(Completion::Store(Box::new(store)))
            }
            _ => Err(Denied::Unknown.into()),
        }
    }

    /// Whether a completion comes from the user and client who began the connect, with the right code, and
    /// with all that the connect request promised.
    fn proof(&self, ask: &Complete) -> Result<(), Denied> {
        if ask.user != self.begin.user || ask.client_id != self.begin.client_id {
            return Err(Denied::OtherUser);
        }
        let repeated = self.browser.as_ref().and_then(|browser| browser.connect_code.as_deref());
        let mut codes = self.phase.connect_code().into_iter().chain(repeated);
        if !codes.any(|code| handle::matches(&ask.connect_code, code)) {
            return Err(Denied::Unknown);
        }
        if ask.redirect_uri != self.begin.redirect_uri {
            return Err(Denied::OtherRedirect);
        }
        if !self.verifier_fits(ask.code_verifier.as_ref()) {
            return Err(Denied::Verifier);
        }
        Ok(())
    }

    /// The account of a finished session, or the error of a failed one, for who completed it. Anybody else
    /// learns that it is over, and nothing more.
    fn answer_again(&self, proof: Result<(), Denied>) -> Result<AccountId, Denied> {
        match (&self.phase, proof) {
            (Phase::Failed { error: Some(Denied::Identity), cause: Some(cause), .. }, Ok(())) => {
                Err(Denied::Unnamed { cause: cause.clone() })
            }
            (Phase::Finished { account: Some(account), .. }, Ok(())) => Ok(account.clone()),
            (Phase::Failed { error: Some(error), .. }, Ok(())) => Err(error.clone()),
            // The request that failed, again.
            (Phase::Failed { error: Some(error), .. }, Err(denied)) if *error == denied => {
                Err(denied)
            }
            _ => Err(Denied::Used),
        }
    }

    /// Whether the session has ended: nothing is connected any more that is not already.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Finished { .. } | Phase::Failed { .. })
    }

    /// Ends the session because a completion failed, and returns why. Whoever repeats that completion is told
    /// the same. Nothing changes if the session has ended already.
    pub fn fail(&mut self, denied: &Denied) -> Denied {
        if !self.is_over() {
            let connect_code = self.phase.connect_code().map(str::to_owned);
            let (error, cause) = match denied {
                Denied::Unnamed { cause } => (Denied::Identity, Some(cause.clone())),
                other => (other.clone(), None),
            };
            self.phase = Phase::Failed { connect_code, error: Some(error), cause };
        }
        denied.clone()
    }

    /// Ends the session because its account is stored. `account` is `None` for a sign-in, and if the account
    /// was deleted since.
    pub fn finish(&mut self, account: Option<AccountId>) {
        let connect_code = self.phase.connect_code().map(str::to_owned);
        self.phase = Phase::Finished { connect_code, account };
    }

    /// Keeps the tokens until their user is known.
    ///
    /// # Errors
    /// [`SealError`]; nothing changes.
    pub fn granted(
        &mut self,
        tokens: &Unidentified,
        sealer: &Sealer,
        now: UnixSeconds,
    ) -> Result<(), SealError> {
        let Phase::Completing { connect_code } = &self.phase else {
            return Err(SealError::CannotSeal);
        };
        let id_token = tokens.id_token.as_ref();
        self.phase = Phase::Granted {
            connect_code: connect_code.clone(),
            until: now + STORE_LIFETIME,
            secrets: self.seal_json(sealer, "provider_secrets", &tokens.secrets)?,
            id_token: id_token.map(|token| self.seal(sealer, "id_token", token)).transpose()?,
            store: self.seal_json(sealer, "tokens", &*tokens.store)?,
        };
        Ok(())
    }

    /// Takes the result of the identification. `stored` is the phase that is stored now: meanwhile
    /// the application may have completed again, or the session may have failed. Then the application repeats
    /// its request, and finds what came of that.
    ///
    /// # Errors
    /// [`SealError`]; nothing changes.
    pub fn identified(
        &mut self,
        stored: Option<&Phase>,
        identity: Result<UserInfo, IdentityError>,
        tokens: Unidentified,
        sealer: &Sealer,
    ) -> Result<Identified, SealError> {
        let denied = |denied, event| Identified { outcome: Err(denied), is_changed: false, event };
        let waits = matches!(stored, Some(Phase::Granted { .. }));
        if !waits && !matches!(stored, Some(Phase::Redeemed { .. } | Phase::Finished { .. })) {
            return Ok(denied(Denied::NotStored, None));
        }
        let mut store = tokens.store;
        match identity {
            Ok(told) => store.tell(told),
            Err(error) => {
                let event = Some(error.event().at(&self.begin.connection));
                if error == IdentityError::Later || !waits {
                    return Ok(denied(Denied::NotStored, event));
                }
                let refused = self.fail(&error.denial());
                return Ok(Identified { is_changed: true, ..denied(refused, event) });
            }
        }
        // Parameters from the browser never replace data from the provider.
        let mut provider_data = self.provider_data.clone();
        provider_data.append(&mut store.provider_data);
        store.provider_data = provider_data;
        if waits {
            self.redeemed(&store, sealer)?;
        }
        Ok(Identified { outcome: Ok(store), is_changed: waits, event: None })
    }

    /// Keeps the identified tokens until the vault has stored them.
    ///
    /// # Errors
    /// [`SealError`]; nothing changes.
    pub fn redeemed(&mut self, store: &NewGrant, sealer: &Sealer) -> Result<(), SealError> {
        let Phase::Granted { connect_code, until, .. } = &self.phase else {
            return Err(SealError::CannotSeal);
        };
        self.phase = Phase::Redeemed {
            connect_code: connect_code.clone(),
            until: *until,
            store: self.seal_json(sealer, "tokens", store)?,
        };
        Ok(())
    }

    /// Whether the verifier is present exactly if a challenge was, and matches it (RFC 7636 §4.6).
    fn verifier_fits(&self, verifier: Option<&Secret>) -> bool {
        match (&self.begin.code_challenge, verifier) {
            (None, None) => true,
            (Some(challenge), Some(verifier)) => {
                let computed = encoding::base64url(verifier.sha256());
                encoding::constant_time_eq(computed.as_bytes(), challenge.as_bytes())
            }
            _ => false,
        }
    }

    fn place<'a>(&'a self, field: &'a str) -> AssociatedData<'a> {
        AssociatedData {
            issuer: &self.begin.user.issuer,
            subject: &self.begin.user.subject,
            connection: &self.begin.connection,
            account: self.begin.session.as_str(),
            field,
            generation: 0,
        }
    }

    pub(super) fn seal(
        &self,
        sealer: &Sealer,
        field: &str,
        secret: &Secret,
    ) -> Result<String, SealError> {
        let envelope = sealer.seal(&self.place(field), secret.expose().as_bytes())?;
        Ok(encoding::base64url(envelope))
    }

    pub(super) fn seal_json(
        &self,
        sealer: &Sealer,
        field: &str,
        value: &impl Serialize,
    ) -> Result<String, SealError> {
        let json = serde_json::to_string(value).map_err(|_| SealError::CannotSeal)?;
        self.seal(sealer, field, &Secret::new(json))
    }

    pub(super) fn open_json<T: DeserializeOwned>(
        &self,
        sealer: &Sealer,
        field: &str,
        text: &str,
    ) -> Result<T, SealError> {
        let json = self.unseal(sealer, field, text)?;
        json::parse_trusted(json.expose()).map_err(|_| SealError::Corrupt)
    }

    pub(super) fn unseal(
        &self,
        sealer: &Sealer,
        field: &str,
        text: &str,
    ) -> Result<Secret, SealError> {
        let envelope = encoding::from_base64url(text).ok_or(SealError::Corrupt)?;
        let bytes = sealer.open(&self.place(field), &envelope)?;
        std::str::from_utf8(&bytes).map(Secret::new).map_err(|_| SealError::Corrupt)
    }
}

/// The denial for a code that brought no tokens.
pub fn not_redeemed(failure: &TokenEndpointError) -> Denied {
    match failure {
        TokenEndpointError::Refused(_)
        | TokenEndpointError::Unlisted(_)
        | TokenEndpointError::Consent(_) => Denied::CodeRefused,
        TokenEndpointError::Misconfigured(_)
        | TokenEndpointError::UnusableToken
        | TokenEndpointError::UnknownTokenType => Denied::ProviderMisconfigured,
        TokenEndpointError::Unavailable { .. }
        | TokenEndpointError::Down { .. }
        | TokenEndpointError::Unexplained(_)
        | TokenEndpointError::Unreadable(_)
        | TokenEndpointError::Ambiguous { .. } => Denied::ProviderUnavailable,
        TokenEndpointError::OtherUser => Denied::Identity,
    }
}
