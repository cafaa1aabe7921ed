// SPDX-License-Identifier: Apache-2.0
//! Carrying out one [`Job::Revoke`] (RFC 7009): the steps that the object must take in turn, and the writes
//! that end the job or put it off.

use vault_base::encoding;
use vault_base::seal::SealError;
use vault_base::secret::Secret;
use vault_base::time::UnixSeconds;
use vault_provider::connection::Connection;
use vault_provider::endpoints::Provider;
use vault_provider::error_codes::TokenEndpointError;
use vault_provider::request::{self, ProviderRequest};
use vault_provider::revocation::{self, Revocation, TokenTypeHint};
use vault_provider::token_response::{self, ProviderResponse};

use super::contents::Contents;
use super::holders::{self, AtProvider};
use super::home::Home;
use super::jobs::Job;
use super::plan::{Plan, Write};
use super::record;
use crate::event::{Event, EventName};

/// When the registry was asked for other holders of the account at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldersCheck {
    /// Just now, by the deletion that created the job.
    Now,
    /// Earlier, if at all: there may be new holders since.
    Before,
}

/// The next step of a revocation. The caller carries it out and reports the result to the named method.
#[derive(Debug)]
pub enum RevocationStep<'a> {
    /// Ask the registry whether the account at the provider has other holders, then call
    /// [`Revoking::others`].
    AskOthers,
    /// Find the provider's endpoints, then call [`Revoking::found`].
    FindProvider(&'a Connection),
    /// Send this refresh request, then call [`Revoking::renewed`]. A reconnect deletes jobs: before each
    /// request, and in the same turn, the caller must check that the job is still stored, and otherwise call
    /// [`Revoking::taken_back`].
    Renew(ProviderRequest),
    /// Send this revocation request, then call [`Revoking::revoked`]. The same check applies.
    Revoke(ProviderRequest),
    /// No step is left: call [`Revoking::settle`].
    Settle,
}

/// A revocation in progress.
pub struct Revoking<'a> {
    home: &'a Home,
    connection: Option<&'a Connection>,
    callback: &'a str,
    job: &'a Job,
    token: Option<Secret>,
    provider: Option<Provider>,
    /// The type of the token that was sent to the revocation endpoint.
    sent: TokenTypeHint,
    outcome: Revocation,
    /// The job for the next attempt.
    next: Job,
    /// Whether the token was decrypted, so that the outcome is worth a log event.
    is_tried: bool,
    /// Whether the job waits for its registration.
    waits: bool,
}

impl<'a> Revoking<'a> {
    /// Starts to carry out `job`. `connection` is the configured connection of this name, if there is one,
    /// and `callback` its redirect URI.
    pub fn new(
        home: &'a Home,
        connection: Option<&'a Connection>,
        callback: &'a str,
        job: &'a Job,
    ) -> Self {
        Self {
            home,
            connection,
            callback,
            job,
            token: None,
            provider: None,
            sent: TokenTypeHint::Refresh,
            outcome: Revocation::NotSupported,
            next: job.clone(),
            is_tried: false,
            waits: job.must_wait(connection),
        }
    }

    fn done(&mut self, outcome: Revocation) -> RevocationStep<'a> {
        self.outcome = outcome;
        RevocationStep::Settle
    }

    /// The connection, if tokens of this kind can be revoked there.
    fn able(&self) -> Option<&'a Connection> {
        let Job::Revoke { field, .. } = self.job else {
            return None;
        };
        self.connection.filter(|connection| connection.may_revoke(record::kind_of(field)))
    }

    /// The account at the provider that the token belongs to.
    pub fn of(&self) -> AtProvider<'a> {
        match self.job {
            Job::Revoke { user, registration, .. } => {
                AtProvider { user: user.as_deref(), registration: registration.as_ref() }
            }
            _ => AtProvider { user: None, registration: None },
        }
    }

    /// The first step. The registry must be asked for holders unless that was done just now.
    pub fn begin(&mut self, check: HoldersCheck) -> RevocationStep<'a> {
        if self.waits {
            return self.done(Revocation::Pending);
        }
        match (self.able(), check) {
            (None, _) => self.done(Revocation::NotSupported),
            (Some(_), HoldersCheck::Before) => RevocationStep::AskOthers,
            (Some(_), HoldersCheck::Now) => self.open(),
        }
    }

    /// The step after the registry was asked. `others` says whether the account at the provider has other
    /// holders, or is `None` if the registry did not respond. `contents` are the vault's present contents,
    /// whose other accounts count as well.
    pub fn others(&mut self, others: Option<bool>, contents: &Contents) -> RevocationStep<'a> {
        let Some(others) = others else {
            return self.done(Revocation::Pending);
        };
        let (Some(connection), Job::Revoke { account, field, .. }) = (self.able(), self.job) else {
            return self.done(Revocation::NotSupported);
        };
        let is_held_here = holders::rests(contents, Some(connection), self.of(), Some(account));
        if !revocation::is_narrow(connection, record::kind_of(field), others || is_held_here) {
            return self.done(Revocation::NotSupported);
        }
        self.open()
    }

    fn open(&mut self) -> RevocationStep<'a> {
        let (Some(connection), Job::Revoke { account, field, generation, envelope, .. }) =
            (self.able(), self.job)
        else {
            return self.done(Revocation::NotSupported);
        };
        let opened = encoding::from_base64url(envelope)
            .ok_or(SealError::Corrupt)
            .and_then(|envelope| self.home.open(account, field, *generation, &envelope));
        match opened {
            Ok(token) => self.token = Some(token),
            Err(SealError::KeyUnavailable { .. }) => return self.done(Revocation::Pending),
            Err(_) => return self.done(Revocation::Failed),
        }
        self.is_tried = true;
        RevocationStep::FindProvider(connection)
    }

    /// The step after the provider's endpoints were looked up; `None` if they could not be found now.
    pub fn found(&mut self, provider: Option<Provider>) -> RevocationStep<'a> {
        let Some(provider) = provider else {
            return self.done(Revocation::Pending);
        };
        let provider = self.provider.insert(provider);
        let (Some(connection), Some(token), Job::Revoke { field, .. }) =
            (self.connection, &self.token, self.job)
        else {
            return self.done(Revocation::NotSupported);
        };
        if !record::is_refresh_token(field) {
            return self.revoke(TokenTypeHint::Access);
        }
        if !revocation::needs_access_token(connection) {
            return self.revoke(TokenTypeHint::Refresh);
        }
        // This provider revokes a grant only by an access token, and no valid one is stored: obtain one.
        match request::refresh(connection, provider, self.callback, token, None) {
            Some(request) => RevocationStep::Renew(request),
            None => self.done(Revocation::NotSupported),
        }
    }

    fn revoke(&mut self, kind: TokenTypeHint) -> RevocationStep<'a> {
        self.sent = kind;
        let (Some(connection), Some(provider), Some(token), Job::Revoke { field, user, .. }) =
            (self.connection, &self.provider, &self.token, self.job)
        else {
            return self.done(Revocation::NotSupported);
        };
        let (token_kind, user) = (record::kind_of(field), user.as_deref());
        match revocation::revoke(connection, provider, token_kind, (token, kind), user) {
            Some(request) => RevocationStep::Revoke(request),
            None => self.done(Revocation::NotSupported),
        }
    }

    /// The step after the response to the refresh request.
    ///
    /// # Errors
    /// [`SealError`] if a new refresh token cannot be sealed; the caller must then leave the job as it is.
    pub fn renewed(
        &mut self,
        received: &ProviderResponse,
        now: UnixSeconds,
    ) -> Result<RevocationStep<'a>, SealError> {
        let (Some(connection), Some(token)) = (self.connection, &self.token) else {
            return Ok(self.done(Revocation::NotSupported));
        };
        let Job::Revoke { account, field, generation, attempt, doubtful, .. } = self.job else {
            return Ok(self.done(Revocation::NotSupported));
        };
        // Another attempt must obtain another access token, with the refresh token that is valid by then.
        if let Some(next) = token_response::successor(received, connection, token) {
            let sealed = self.home.seal(account, field, *generation, &next)?;
            self.next = self.job.with(encoding::base64url(sealed));
        }
        let is_proof = *attempt == 0 && !doubtful;
        Ok(match token_response::renewed(received, connection, now) {
            Ok(tokens) => {
                self.token = Some(tokens.access_token);
                self.revoke(TokenTypeHint::Access)
            }
            Err(TokenEndpointError::Refused(_)) if is_proof => self.done(Revocation::Revoked),
            // The rejection may only mean that the token was rotated in a response that was lost.
            Err(TokenEndpointError::Refused(_)) => self.done(Revocation::Failed),
            Err(_) => self.done(Revocation::Pending),
        })
    }

    /// The step after the response to the revocation request.
    pub fn revoked(&mut self, received: &ProviderResponse) -> RevocationStep<'a> {
        let (Some(connection), Job::Revoke { field, .. }) = (self.connection, self.job) else {
            return self.done(Revocation::NotSupported);
        };
        let outcome = revocation::outcome(received, connection, record::kind_of(field), self.sent);
        self.done(outcome)
    }

    /// The step after the job was deleted because the same user connected again: a request could end the new
    /// grant, so none is sent.
    pub fn taken_back(&mut self) -> RevocationStep<'a> {
        self.done(Revocation::NotSupported)
    }

    /// The outcome, and the plan that deletes the job with the row id `id` and, if the outcome is
    /// [`Revocation::Pending`], adds the job for the next attempt. A job that is given up has failed.
    /// `is_stored` says whether the job is still stored.
    pub fn settle(self, id: i64, is_stored: bool, now: UnixSeconds) -> (Revocation, Plan) {
        let mut plan = Plan::default();
        let mut outcome = self.outcome;
        plan.write(Write::EndJob(id));
        if outcome == Revocation::Pending && is_stored {
            let next = if self.waits { self.job.waiting(now) } else { self.next.again(now) };
            match next {
                Some((job, due)) => plan.add_job(job, due),
                None => outcome = Revocation::Failed,
            }
        }
        if let (true, Job::Revoke { account, field, .. }) = (self.is_tried, self.job) {
            let event = Event::new(EventName::Revocation).at(&self.home.connection).of(account);
            plan.tell(Event { token: Some(field.clone()), ..event.because(self.outcome.name()) });
        }
        (outcome, plan)
    }
}
