// SPDX-License-Identifier: Apache-2.0
//! Revokes one token of a deleted account: which requests to send, one after another, and what
//! becomes of the job.

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

/// When the registry was asked for other holders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldersCheck {
    /// Just now.
    Now,
    /// Earlier, or never: another holder may have come since.
    Before,
}

/// The next step of a revocation.
#[derive(Debug)]
pub enum RevocationStep<'a> {
    /// Ask the registry for other holders, then call [`Revoking::others`].
    AskOthers,
    /// Find the provider's endpoints, then call [`Revoking::found`].
    FindProvider(&'a Connection),
    /// Send a token request, then call [`Revoking::renewed`]. Every request is sent only if the job
    /// still exists in the same turn ([`Revoking::taken_back`]), because a reconnect withdraws
    /// jobs.
    Renew(ProviderRequest),
    /// Send a revocation request, then call [`Revoking::revoked`].
    Revoke(ProviderRequest),
    /// Call [`Revoking::settle`].
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
    /// Which kind of token the revocation request names.
    sent: TokenTypeHint,
    told: Revocation,
    /// The job for the next attempt.
    left: Job,
    /// Whether a request was due.
    tried: bool,
    /// Whether the job waits for its registration.
    waits: bool,
}

impl<'a> Revoking<'a> {
    /// Begins with a job. `connection` is the configured connection of that name, `callback` its
    /// redirect URI.
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
            told: Revocation::NotSupported,
            left: job.clone(),
            tried: false,
            waits: job.must_wait(connection),
        }
    }

    fn done(&mut self, told: Revocation) -> RevocationStep<'a> {
        self.told = told;
        RevocationStep::Settle
    }

    /// The connection, if its provider revokes tokens of this kind.
    fn able(&self) -> Option<&'a Connection> {
        let Job::Revoke { field, .. } = self.job else {
            return None;
        };
        self.connection.filter(|connection| connection.may_revoke(record::kind_of(field)))
    }

    /// The account at the provider that the token is of.
    pub fn of(&self) -> AtProvider<'a> {
        match self.job {
            Job::Revoke { user, registration, .. } => {
                AtProvider { user: user.as_deref(), registration: registration.as_ref() }
            }
            _ => AtProvider { user: None, registration: None },
        }
    }

    /// The first step.
    pub fn begin(&mut self, asked: HoldersCheck) -> RevocationStep<'a> {
        if self.waits {
            return self.done(Revocation::Pending);
        }
        match (self.able(), asked) {
            (None, _) => self.done(Revocation::NotSupported),
            (Some(_), HoldersCheck::Before) => RevocationStep::AskOthers,
            (Some(_), HoldersCheck::Now) => self.open(),
        }
    }

    /// The registry's answer about other holders; `None` if it did not answer. `contents` are this
    /// vault's rows now.
    pub fn others(&mut self, others: Option<bool>, contents: &Contents) -> RevocationStep<'a> {
        let Some(others) = others else {
            return self.done(Revocation::Pending);
        };
        let (Some(connection), Job::Revoke { account, field, .. }) = (self.able(), self.job) else {
            return self.done(Revocation::NotSupported);
        };
        let rests = holders::rests(contents, Some(connection), self.of(), Some(account));
        if !revocation::is_narrow(connection, record::kind_of(field), others || rests) {
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
        self.tried = true;
        RevocationStep::FindProvider(connection)
    }

    /// The provider's endpoints; `None` if they cannot be found now.
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
        if connection.renewal.by_access_token || !record::is_refresh_token(field) {
            return self.revoke(TokenTypeHint::Access);
        }
        if !revocation::needs_access_token(connection) {
            return self.revoke(TokenTypeHint::Refresh);
        }
        // This provider ends a grant only when one of its access tokens is revoked, and none is
        // valid.
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
        let (of, user) = (record::kind_of(field), user.as_deref());
        match revocation::revoke(connection, provider, of, (token, kind), user) {
            Some(request) => RevocationStep::Revoke(request),
            None => self.done(Revocation::NotSupported),
        }
    }

    /// The provider's response to the token request.
    ///
    /// # Errors
    /// [`SealError`]; the job is unchanged.
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
        // Another attempt needs another access token, and the refresh token that gives one by then.
        if let Some(next) = token_response::successor(received, connection, token) {
            let sealed = self.home.seal(account, field, *generation, &next)?;
            self.left = self.job.with(encoding::base64url(sealed));
        }
        let sure = *attempt == 0 && !doubtful;
        Ok(match token_response::renewed(received, connection, now) {
            Ok(tokens) => {
                self.token = Some(tokens.access_token);
                self.revoke(TokenTypeHint::Access)
            }
            Err(TokenEndpointError::Refused(_)) if sure => self.done(Revocation::Revoked),
            // The refusal may only mean that the token was rotated, in a response that was lost.
            Err(TokenEndpointError::Refused(_)) => self.done(Revocation::Failed),
            Err(_) => self.done(Revocation::Pending),
        })
    }

    /// The provider's response to the revocation request.
    pub fn revoked(&mut self, received: &ProviderResponse) -> RevocationStep<'a> {
        let (Some(connection), Job::Revoke { field, .. }) = (self.connection, self.job) else {
            return self.done(Revocation::NotSupported);
        };
        let of = record::kind_of(field);
        let told = revocation::outcome(received, connection, of, self.sent);
        self.done(told)
    }

    /// The job no longer exists: the same user has connected again, and the request could end the
    /// new grant.
    pub fn taken_back(&mut self) -> RevocationStep<'a> {
        self.done(Revocation::NotSupported)
    }

    /// The outcome, and what to write: the job ends, or is due again. `id` is the job's; `stands`
    /// says whether it still exists.
    pub fn settle(self, id: i64, stands: bool, now: UnixSeconds) -> (Revocation, Plan) {
        let mut plan = Plan::default();
        let mut told = self.told;
        plan.write(Write::EndJob(id));
        if told == Revocation::Pending && stands {
            let again = if self.waits { self.job.waiting(now) } else { self.left.again(now) };
            match again {
                Some((job, due)) => plan.add_job(job, due),
                None => told = Revocation::Failed,
            }
        }
        if let (true, Job::Revoke { account, field, .. }) = (self.tried, self.job) {
            let event = Event::new(EventName::Revocation).at(&self.home.connection).of(account);
            plan.tell(Event { token: Some(field.clone()), ..event.because(self.told.name()) });
        }
        (told, plan)
    }
}
