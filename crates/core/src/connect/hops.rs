// SPDX-License-Identifier: Apache-2.0
//! The browser's two hops of a connect session: with the ticket to the provider, and with the authorization
//! response to the application.
//!
//! A browser may repeat its hops. The session's cookie, which it gets with the ticket, shows that it is the same:
//! it gets the same authorization request again or, once the authorization response is there, goes to the
//! application with a new connect code. Until that response is there, another browser may open the ticket as
//! well, because link scanners open links before people do; it takes the first one's place.

use serde::{Deserialize, Serialize};
use url::Url;

use super::handle::{self, OpaqueHandle};
use super::record::{
    AuthorizationResponse, CODE_LIFETIME, Denied, Flow, FlowSecrets, Phase, ReturnedBrowser,
    STATE_LIFETIME, Session, StatelessError, TICKET_LIFETIME,
};
use super::session::SessionError;
use vault_base::encoding;
use vault_base::seal::{SealError, Sealer};
use vault_base::secret::Secret;
use vault_base::time::UnixSeconds;

/// Where a browser with a good ticket goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// To the provider, with a new authorization request.
    Authorize,
    /// To the provider, with the authorization request that it had before.
    Repeat,
    /// To the application: the provider has answered.
    ToApplication,
}

/// What became of an opened ticket.
#[derive(Debug)]
pub enum Opened {
    /// The browser goes to the provider.
    AtProvider {
        /// `state`.
        state: Secret,
        /// The value of the session's cookie; `None` if the browser has it.
        cookie: Option<Secret>,
        /// Verifier and nonce.
        secrets: FlowSecrets,
    },
    /// The browser goes to the application, at this address.
    ToApplication(Secret),
}

/// What a page can say about the application that began a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOrigin {
    /// The client.
    pub client_id: String,
    /// The redirect URI of the connect; empty for a sign-in, which leads to no application yet.
    pub redirect_uri: String,
    /// The kind of flow.
    pub flow: Flow,
}

impl Session {
    /// Where a browser with this ticket and this cookie goes.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn hop(
        &self,
        ticket: &Secret,
        cookie: Option<&Secret>,
        now: UnixSeconds,
    ) -> Result<Hop, Denied> {
        if !handle::matches(ticket, &self.begin.ticket) {
            return Err(Denied::Unknown);
        }
        let is_in_time = now < self.created_at + TICKET_LIFETIME;
        let has = |hash: &str| cookie.is_some_and(|cookie| handle::matches(cookie, hash));
        match &self.phase {
            Phase::AtProvider { cookie, until, sealed_state: Some(_), .. }
                if has(cookie) && now < *until =>
            {
                Ok(Hop::Repeat)
            }
            // The vault opens the tickets of its sign-ins itself, so nobody else does it twice.
            Phase::AtProvider { .. } if self.flow == Flow::Login => Err(Denied::Used),
            Phase::Started | Phase::AtProvider { .. } if is_in_time => Ok(Hop::Authorize),
            Phase::Started | Phase::AtProvider { .. } => Err(Denied::Expired),
            _ if self.browser.as_ref().is_some_and(|browser| has(&browser.cookie)) => {
                Ok(Hop::ToApplication)
            }
            _ => Err(Denied::Used),
        }
    }

    /// Opens the ticket.
    ///
    /// # Errors
    /// [`SessionError`]; nothing changes.
    pub fn open(
        &mut self,
        ticket: &Secret,
        cookie: Option<&Secret>,
        sealer: &Sealer,
        now: UnixSeconds,
    ) -> Result<Opened, SessionError> {
        match (self.hop(ticket, cookie, now)?, &self.phase) {
            (Hop::ToApplication, _) => self.to_application_again().map(Opened::ToApplication),
            (Hop::Repeat, Phase::AtProvider { secrets, sealed_state: Some(state), .. }) => {
                Ok(Opened::AtProvider {
                    state: self.unseal(sealer, "state", state)?,
                    cookie: None,
                    secrets: self.open_json(sealer, "provider_secrets", secrets)?,
                })
            }
            _ => self.authorize(sealer, now),
        }
    }

    /// Begins a new authorization request, in the place of an earlier one.
    fn authorize(&mut self, sealer: &Sealer, now: UnixSeconds) -> Result<Opened, SessionError> {
        let random = || handle::random().map_err(|_| SealError::CannotSeal);
        let verifier = encoding::random::<32>().map_err(|_| SealError::CannotSeal)?;
        let secrets = FlowSecrets {
            verifier: Secret::new(encoding::base64url(verifier)),
            nonce: Secret::new(random()?),
        };
        let handle = OpaqueHandle::new(&self.begin.session, Secret::new(random()?));
        let (state, cookie) = (handle.text(), Secret::new(random()?));
        self.phase = Phase::AtProvider {
            state: handle::hash(&handle.secret),
            cookie: handle::hash(&cookie),
            until: now + STATE_LIFETIME,
            secrets: self.seal_json(sealer, "provider_secrets", &secrets)?,
            sealed_state: Some(self.seal(sealer, "state", &state)?),
        };
        Ok(Opened::AtProvider { state, cookie: Some(cookie), secrets })
    }

    /// Where the browser goes whose ticket is good, but whom the vault cannot send to the provider because of
    /// `denied`. While the provider is down it returns to the application, which can tell its user and offer to
    /// try again (RFC 6749 §4.1.2.1). The session stays as it is: until the ticket expires, the same link works
    /// once the provider is back.
    ///
    /// # Errors
    /// `denied` itself, where the application cannot act on it, or no application began the session.
    pub fn not_opened(&self, denied: Denied) -> Result<Secret, Denied> {
        match (self.flow, denied) {
            (Flow::Connect, Denied::ProviderUnavailable) => {
                Ok(self.failed_location("temporarily_unavailable"))
            }
            (_, denied) => Err(denied),
        }
    }

    /// Takes the authorization response and returns where the browser goes. `from_provider` says
    /// that its `iss` is the provider's (RFC 9207).
    ///
    /// The first response counts. Where the same browser brings it again, or another one, it goes to the
    /// application as it did before, with a new connect code.
    ///
    /// # Errors
    /// [`SessionError`]: the browser gets an error page, never a redirect. Only a response from
    /// another provider changes the session: it fails.
    pub fn returned(
        &mut self,
        back: &AuthorizationResponse,
        from_provider: bool,
        sealer: &Sealer,
        now: UnixSeconds,
    ) -> Result<Secret, SessionError> {
        if self.is_repeated(back) {
            return self.to_application_again();
        }
        let checked = self.check_response(Flow::Connect, back, from_provider, now)?;
        let CheckedResponse { secrets, mut browser } = checked;
        let code = match (&back.code, &back.error) {
            (Some(code), None) => code,
            (_, error) => {
                let (error, _) = outward(error.as_deref().unwrap_or("server_error"));
                browser.error = Some(error.to_owned());
                self.phase = Phase::FAILED;
                self.browser = Some(browser);
                return Ok(self.failed_location(error));
            }
        };
        let waiting = self.seal(sealer, "provider_code", code)?;
        let connect_code = self.new_connect_code()?;
        self.provider_data.clone_from(&back.provider_data);
        self.phase = Phase::Returned {
            connect_code: handle::hash(&connect_code.secret),
            until: now + CODE_LIFETIME,
            secrets,
            code: waiting,
        };
        self.browser = Some(browser);
        Ok(self.location(&[("connect_code", connect_code.text().expose())]))
    }

    /// Takes the authorization response of a sign-in: the code is redeemed at once, because no user waits to
    /// complete it. The browser's cookie binds the sign-in to the browser that began it.
    ///
    /// # Errors
    /// [`SessionError`]. A response from another provider, or with an error, makes the session fail.
    pub fn returned_login(
        &mut self,
        back: &AuthorizationResponse,
        from_provider: bool,
        sealer: &Sealer,
        now: UnixSeconds,
    ) -> Result<(Secret, FlowSecrets), SessionError> {
        let secrets = self.check_response(Flow::Login, back, from_provider, now)?.secrets;
        let (Some(code), None) = (&back.code, &back.error) else {
            self.phase = Phase::FAILED;
            let (code, _) = outward(back.error.as_deref().unwrap_or("server_error"));
            return Err(SessionError::Declined(code));
        };
        let secrets = self.open_json(sealer, "provider_secrets", &secrets)?;
        self.phase = Phase::Completing { connect_code: String::new() };
        Ok((code.clone(), secrets))
    }

    /// Checks that an authorization response belongs to this session, this browser and this provider.
    fn check_response(
        &mut self,
        flow: Flow,
        back: &AuthorizationResponse,
        from_provider: bool,
        now: UnixSeconds,
    ) -> Result<CheckedResponse, SessionError> {
        let Phase::AtProvider { state, cookie, until, secrets, .. } = &self.phase else {
            return Err(Denied::Used.into());
        };
        if self.flow != flow || !handle::matches(&back.state, state) {
            return Err(Denied::Unknown.into());
        }
        if !back.cookie.as_ref().is_some_and(|presented| handle::matches(presented, cookie)) {
            return Err(Denied::OtherBrowser.into());
        }
        if now >= *until {
            return Err(Denied::Expired.into());
        }
        if back.connection != self.begin.connection || !from_provider {
            self.phase = Phase::FAILED;
            return Err(Denied::OtherProvider.into());
        }
        let (state, cookie) = (state.clone(), cookie.clone());
        let browser = ReturnedBrowser { state, cookie, connect_code: None, error: None };
        Ok(CheckedResponse { secrets: secrets.clone(), browser })
    }

    /// Whether the browser that brought the authorization response comes to the callback again. What it brings is
    /// not looked at any more, except for `state`.
    pub fn is_repeated(&self, back: &AuthorizationResponse) -> bool {
        self.browser.as_ref().is_some_and(|browser| {
            back.connection == self.begin.connection
                && handle::matches(&back.state, &browser.state)
                && back
                    .cookie
                    .as_ref()
                    .is_some_and(|cookie| handle::matches(cookie, &browser.cookie))
        })
    }

    /// Where the browser that brought the authorization response goes when it repeats a hop. Its earlier connect
    /// code works no more, except for the completion that was made with it; the time to complete stays.
    ///
    /// # Errors
    /// [`Denied::Used`] if the session failed, or ended without a code to repeat.
    pub fn to_application_again(&mut self) -> Result<Secret, SessionError> {
        let error = self.browser.as_ref().and_then(|browser| browser.error.as_deref());
        if let Some(error) = error {
            return Ok(self.failed_location(error));
        }
        if self.phase.connect_code().is_none() {
            return Err(Denied::Used.into());
        }
        let handle = self.new_connect_code()?;
        let hash = handle::hash(&handle.secret);
        match (&mut self.phase, &mut self.browser) {
            (Phase::Returned { connect_code, .. }, _) => *connect_code = hash,
            (_, Some(browser)) => browser.connect_code = Some(hash),
            _ => return Err(Denied::Used.into()),
        }
        Ok(self.location(&[("connect_code", handle.text().expose())]))
    }

    /// Where a browser goes that brought an error without `state`, which RFC 6749 §4.1.2.1 requires. Anybody can
    /// make a browser bring such an error, so the session stays open, and the application only learns of it.
    ///
    /// # Errors
    /// [`Denied`] unless this browser is at this provider for this session.
    pub fn declined_without_state(
        &self,
        told: &StatelessError,
        now: UnixSeconds,
    ) -> Result<Secret, Denied> {
        match &self.phase {
            Phase::AtProvider { cookie, until, .. }
                if self.flow == Flow::Connect
                    && told.connection == self.begin.connection
                    && handle::matches(&told.cookie, cookie)
                    && now < *until =>
            {
                Ok(self.failed_location(&told.error))
            }
            _ => Err(Denied::Unknown),
        }
    }

    /// What a page can say about the application that began the session.
    pub fn origin(&self) -> SessionOrigin {
        SessionOrigin {
            client_id: self.begin.client_id.clone(),
            redirect_uri: self.begin.redirect_uri.clone(),
            flow: self.flow,
        }
    }

    fn new_connect_code(&self) -> Result<OpaqueHandle, SealError> {
        let secret = handle::random().map_err(|_| SealError::CannotSeal)?;
        Ok(OpaqueHandle::new(&self.begin.session, Secret::new(secret)))
    }

    fn failed_location(&self, error: &str) -> Secret {
        let (error, description) = outward(error);
        self.location(&[("error", error), ("error_description", description)])
    }

    /// The redirect URI with these parameters and the application's state in its query.
    fn location(&self, params: &[(&str, &str)]) -> Secret {
        let state = self.begin.state.as_deref().map(|state| ("state", state));
        let params: Vec<(&str, &str)> = params.iter().copied().chain(state).collect();
        let location = Url::parse(&self.begin.redirect_uri).map(|mut url| {
            url.query_pairs_mut().extend_pairs(params);
            url.to_string()
        });
        Secret::new(location.unwrap_or_default())
    }
}

/// An authorization response that belongs to the session.
struct CheckedResponse {
    /// The sealed secrets of the flow.
    secrets: String,
    /// The browser that brought it.
    browser: ReturnedBrowser,
}

/// The provider's error as the application sees it: registered codes unchanged, a refusal under a name of its own
/// as `access_denied`, all others as `server_error`. The provider's text is never passed on, because we cannot
/// vouch for it.
pub(super) fn outward(error: &str) -> (&'static str, &'static str) {
    match error {
        // The last two of LinkedIn, and the reason that Facebook gives.
        "access_denied" | "user_denied" | "user_cancelled_login" | "user_cancelled_authorize" => {
            ("access_denied", "The user or the provider declined.")
        }
        "login_required"
        | "interaction_required"
        | "consent_required"
        | "account_selection_required" => {
            ("interaction_required", "The provider needs the user to interact.")
        }
        "invalid_scope" => ("invalid_scope", "The provider does not know a requested scope."),
        "temporarily_unavailable" => {
            ("temporarily_unavailable", "The provider cannot answer at the moment.")
        }
        "invalid_request" | "unauthorized_client" | "unsupported_response_type" => {
            ("server_error", "The provider does not accept the connection's configuration.")
        }
        _ => ("server_error", "The provider could not do it."),
    }
}
