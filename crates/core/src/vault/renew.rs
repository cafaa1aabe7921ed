// SPDX-License-Identifier: Apache-2.0
//! Renewing a grant: the writes before the refresh request, and those after the provider's response.

use vault_base::encoding;
use vault_base::ids::AccountId;
use vault_base::seal::SealError;
use vault_base::secret::Secret;
use vault_base::time::UnixSeconds;
use vault_provider::connection::Connection;
use vault_provider::error_codes::TokenEndpointError;
use vault_provider::token_response::{self, ProviderResponse};
use vault_provider::{revocation, scopes};

use super::contents::{Contents, Sealed};
use super::delete;
use super::home::{Home, RefreshTokens};
use super::jobs::{self, Job};
use super::plan::{Plan, StoredJob, Write};
use super::record::{
    self, AccessTokenRecord, Account, AccountState, Grant, Intent, SUCCESSOR, Selector,
};
use super::refresh::{self, CommitDecision, RenewedGrant, SentRequest, Settlement};
use crate::event::{Event, EventName};

/// A grant that is being renewed.
#[derive(Debug)]
pub struct Renewing {
    /// The account when the request is sent.
    account: Account,
    selector: Selector,
    /// The grant when the request is sent, with the intent.
    begun: Grant,
    /// The refresh token that is sent.
    sent: Secret,
    /// The grant's own refresh token, if the one that is sent is its successor.
    kept: Option<Secret>,
    /// The scopes that are requested, if not the default.
    scopes: Option<Vec<String>>,
    lifetime_before: Option<i64>,
}

/// The state of the vault when a response is settled.
#[derive(Clone, Copy)]
pub struct Snapshot<'a> {
    /// The user and connection of the vault, and its keys.
    pub home: &'a Home,
    /// The vault's rows.
    pub contents: &'a Contents,
    /// The vault's jobs.
    pub jobs: &'a [StoredJob],
    /// The connection as it is configured.
    pub connection: &'a Connection,
    /// The time at which the response arrived.
    pub now: UnixSeconds,
}

/// The effects of a refresh response.
#[derive(Debug)]
pub struct RenewalOutcome {
    /// The writes and log events.
    pub plan: Plan,
    /// Whether the failure is about the requested scopes only ([`SentRequest::refused_alone`]). The caller
    /// puts the token into the negative cache then.
    pub is_refused_alone: bool,
}

/// The facts about a response that decide when the follow-up is due ([`refresh::follow_up`]).
#[derive(Debug, Clone, Copy, Default)]
struct FollowUpHints {
    /// Whether the request was sent and no response came.
    lost: bool,
    /// The provider's `Retry-After` in seconds.
    retry_after: Option<i64>,
}

impl Renewing {
    /// Prepares the refresh of the grant that the selected token of an account rests on. `None` if there is
    /// no such grant, or it has no refresh token.
    ///
    /// # Errors
    /// [`SealError`] if the refresh token cannot be decrypted; the caller must send nothing.
    pub fn begin(
        home: &Home,
        contents: &Contents,
        connection: &Connection,
        (id, selector): (&AccountId, &Selector),
        now: UnixSeconds,
    ) -> Result<Option<Self>, SealError> {
        let (Some(account), Some(sealed)) =
            (contents.account(id), contents.grant(id, selector.kind()))
        else {
            return Ok(None);
        };
        let Some(tokens) = home.refresh_tokens(id, selector.kind(), sealed)? else {
            return Ok(None);
        };
        let (sent, kept) = tokens.into_sent_and_kept();
        let grant = sealed.record.clone();
        let before = contents.access_token(id, selector).map(|token| &token.record);
        let intent = refresh::begin(&grant, &sent, now);
        Ok(Some(Self {
            account: account.clone(),
            selector: selector.clone(),
            scopes: selector.scopes(connection, &grant.scopes),
            lifetime_before: before.and_then(AccessTokenRecord::lifetime),
            begun: Grant { intent: Some(intent), ..grant },
            sent,
            kept,
        }))
    }

    /// The refresh token to send, and the scopes for the parameter `scope`, if the request has one.
    pub fn request(&self, connection: &Connection) -> (&Secret, Option<Vec<String>>) {
        let requested = self.scopes.clone();
        (&self.sent, requested.or_else(|| scopes::at_refresh(connection, &self.begun.scopes)))
    }

    /// The plan that must be durable before the request is sent: the intent, and the job that follows it up.
    pub fn intent(&self, connection: &Connection, jobs: &[StoredJob], now: UnixSeconds) -> Plan {
        let mut plan = Plan::default();
        plan.write(Write::UpdateGrant {
            account: self.account.id.clone(),
            kind: self.kind().to_owned(),
            grant: self.begun.clone(),
        });
        let due = now + jobs::recover_after(connection.rotation_leeway);
        self.follow_up(&mut plan, jobs, self.begun.generation, Some(due));
        plan
    }

    /// The plan if the request could not be sent: the failure is settled like one that the provider reports.
    ///
    /// # Errors
    /// [`SealError`] if a token cannot be sealed; the caller must then write nothing.
    pub fn not_asked(
        &self,
        at: Snapshot<'_>,
        failure: TokenEndpointError,
    ) -> Result<Plan, SealError> {
        let stored = self.stored(at.home, at.contents);
        let sent = self.sent_request(at.connection, None);
        let settlement = refresh::settle(&self.begun, &sent, Err(failure), at.now);
        let mut plan = Plan::default();
        self.finish(&mut plan, at, &stored, settlement, FollowUpHints::default())?;
        Ok(plan)
    }

    /// Settles a response, given the state of the vault when it arrives. `issuer` is the provider's issuer
    /// identifier, if it has one.
    ///
    /// # Errors
    /// [`SealError`] if a token cannot be sealed; the caller must then write nothing.
    pub fn answered(
        &self,
        at: Snapshot<'_>,
        issuer: Option<&str>,
        received: &ProviderResponse,
    ) -> Result<RenewalOutcome, SealError> {
        let Snapshot { home, connection, now, .. } = at;
        let stored = self.stored(home, at.contents);
        // A new refresh token is saved first, because the old one may be invalid by now.
        let begun = self.with_successor(home, &stored, connection, received)?;
        let sent = self.sent_request(connection, issuer);
        let response = token_response::renewed(received, connection, now)
            .and_then(|tokens| refresh::of_same_user(&sent, tokens));
        let mut plan = Plan::default();
        let mut is_refused_alone = false;
        if let Err(failure) = &response {
            let event = Event::new(EventName::RefreshRefused).at(&home.connection);
            plan.tell(event.of(&self.account.id).because(failure.word()));
            is_refused_alone = sent.refused_alone(failure);
            self.revoke_successor(&mut plan, at, &stored, received)?;
        }
        let settlement = refresh::settle(&begun, &sent, response, now);
        let hints = FollowUpHints {
            lost: matches!(received, ProviderResponse::Lost),
            retry_after: received.seconds_to_wait(now),
        };
        self.finish(&mut plan, at, &stored, settlement, hints)?;
        Ok(RenewalOutcome { plan, is_refused_alone })
    }

    fn kind(&self) -> &str {
        self.selector.kind()
    }

    fn sent_request<'a>(
        &'a self,
        connection: &'a Connection,
        issuer: Option<&'a str>,
    ) -> SentRequest<'a> {
        let user = self.account.identity.id.as_deref();
        SentRequest {
            refresh_token: &self.sent,
            kept: self.kept.as_ref(),
            lifetime_before: self.lifetime_before,
            scopes: self.scopes.as_deref(),
            user: user.filter(|_| connection.identity_is_subject()),
            issuer,
            connection,
        }
    }

    /// The grant that is stored now, and how the response to this renewal is applied to it.
    fn stored(&self, home: &Home, contents: &Contents) -> Stored {
        let (id, kind) = (&self.account.id, self.kind());
        let sealed = contents.grant(id, kind);
        // A stored token that cannot be decrypted is not the one that was sent.
        let tokens = sealed.and_then(|sealed| home.refresh_tokens(id, kind, sealed).ok().flatten());
        let grant = sealed.map(|Sealed { record, .. }| record.clone());
        let own = tokens.as_ref().map(RefreshTokens::own);
        let sent: Vec<&Secret> = std::iter::once(&self.sent).chain(&self.kept).collect();
        let fate = refresh::fate(&self.begun, &sent, grant.as_ref().map(|grant| (grant, own)));
        Stored { grant, fate }
    }

    /// The grant with the new refresh token of the response as its successor, whatever the rest of the
    /// response turns out to be. The successor is not needed if the account was deleted meanwhile, or
    /// connected again with another refresh token.
    fn with_successor(
        &self,
        home: &Home,
        stored: &Stored,
        connection: &Connection,
        received: &ProviderResponse,
    ) -> Result<Grant, SealError> {
        let begun = self.begun.clone();
        let next = token_response::successor(received, connection, &self.sent);
        let (Some(next), Some(grant), CommitDecision::Write | CommitDecision::KeepToken) =
            (next, &stored.grant, stored.fate)
        else {
            return Ok(begun);
        };
        let generation = grant.generation;
        let field = record::field(SUCCESSOR, self.kind());
        let sealed = home.seal(&self.account.id, &field, generation, &next)?;
        let intent = begun.intent.clone().map(|intent| Intent { generation, ..intent });
        Ok(refresh::with_successor(Grant { intent, ..begun }, encoding::base64url(sealed)))
    }

    /// Plans the writes of a settlement, and the follow-up if the refresh is not settled.
    fn finish(
        &self,
        plan: &mut Plan,
        at: Snapshot<'_>,
        stored: &Stored,
        settlement: Settlement,
        FollowUpHints { lost, retry_after }: FollowUpHints,
    ) -> Result<(), SealError> {
        let after = self.commit(plan, at, stored, settlement)?;
        let leeway = at.connection.rotation_leeway;
        let after = after.as_ref();
        let due =
            after.and_then(|grant| refresh::follow_up(grant, leeway, lost, retry_after, at.now));
        let generation = after.map_or(self.begun.generation, |grant| grant.generation);
        self.follow_up(plan, at.jobs, generation, due);
        Ok(())
    }

    /// Plans the writes of a settlement to the grant that is stored now. Returns that grant as it will be
    /// stored, or `None` if there is none.
    fn commit(
        &self,
        plan: &mut Plan,
        at: Snapshot<'_>,
        stored: &Stored,
        settlement: Settlement,
    ) -> Result<Option<Grant>, SealError> {
        match (settlement, stored.fate, stored.grant.clone()) {
            (Settlement::Renewed(renewal), CommitDecision::Write, _) => {
                self.renewed(plan, at, *renewal).map(Some)
            }
            (Settlement::Renewed(renewal), CommitDecision::KeepToken, Some(stored)) => {
                let grant = Grant { generation: stored.generation + 1, intent: None, ..stored };
                let envelope =
                    self.seal(at.home, "refresh_token", grant.generation, &renewal.refresh_token)?;
                plan.write(self.put(grant.clone(), envelope));
                Ok(Some(grant))
            }
            (Settlement::Renewed(renewal), CommitDecision::Revoke, _) => {
                self.revoke(plan, at, &renewal)?;
                Ok(None)
            }
            (Settlement::Kept { grant }, CommitDecision::Write, _) => {
                Ok(Some(self.update(plan, grant)))
            }
            // The account's new grant uses the token that was sent, so it takes over the unsettled intent.
            (Settlement::Kept { grant }, CommitDecision::KeepToken, Some(stored)) => {
                let generation = stored.generation;
                let intent = grant.intent.map(|intent| Intent { generation, ..intent });
                Ok(Some(self.update(plan, Grant { intent, ..stored })))
            }
            (Settlement::Ended { state, grant }, CommitDecision::Write, _) => {
                let grant = end(plan, at.home, &self.account.id, self.kind(), state, grant);
                Ok(Some(grant))
            }
            // The rejection was about the grant before the consent. The new grant is tried when it is needed.
            (Settlement::Ended { .. }, CommitDecision::KeepToken, Some(stored)) => {
                Ok(Some(self.update(plan, Grant { intent: None, ..stored })))
            }
            (_, _, stored) => Ok(stored),
        }
    }

    fn renewed(
        &self,
        plan: &mut Plan,
        at: Snapshot<'_>,
        renewal: RenewedGrant,
    ) -> Result<Grant, SealError> {
        let id = &self.account.id;
        if renewal.is_lifetime_assumed {
            plan.tell(Event::new(EventName::ExpiresInAssumed).at(&at.home.connection).of(id));
        }
        // This success bound the grant to a registration, under which the registry must list the holder.
        if let (Some(user), None) = (&self.account.identity.id, &self.begun.registration) {
            let registration = renewal.grant.registration.clone();
            plan.add_job(Job::AddReference { user: user.clone(), registration }, at.now);
        }
        let generation = renewal.grant.generation;
        let refresh = self.seal(at.home, "refresh_token", generation, &renewal.refresh_token)?;
        let access = self.seal(at.home, "access_token", generation, &renewal.access_token)?;
        plan.write(self.put(renewal.grant.clone(), refresh));
        plan.write(Write::PutAccessToken {
            account: id.clone(),
            selector: self.selector.clone(),
            record: AccessTokenRecord {
                generation,
                scopes: renewal.scopes,
                issued_at: at.now,
                expires_at: renewal.expires_at,
            },
            envelope: access,
        });
        Ok(renewal.grant)
    }

    /// Adds jobs that revoke the tokens of a response whose account was deleted meanwhile.
    fn revoke(
        &self,
        plan: &mut Plan,
        at: Snapshot<'_>,
        renewal: &RenewedGrant,
    ) -> Result<(), SealError> {
        let user = &self.account.identity.id;
        let anew = at.contents.accounts.iter().any(|account| account.identity.id == *user);
        let chosen = revocation::choose_issued(at.connection, self.kind(), anew);
        let Grant { generation, registration, .. } = &renewal.grant;
        for (column, wanted, token) in [
            ("refresh_token", chosen.refresh, &renewal.refresh_token),
            ("access_token", chosen.access, &renewal.access_token),
        ] {
            if wanted {
                let envelope = self.seal(at.home, column, *generation, token)?;
                let field = record::field(column, self.kind());
                let registration = registration.as_ref();
                let revoked = delete::TokenToRevoke { field, generation: *generation, envelope };
                let job = revoked.job(&self.account, registration, false);
                plan.add_job(job, at.now);
            }
        }
        Ok(())
    }

    /// If the account was deleted meanwhile, adds the job that revokes the new refresh token of a response
    /// whose other members cannot be used.
    fn revoke_successor(
        &self,
        plan: &mut Plan,
        at: Snapshot<'_>,
        stored: &Stored,
        received: &ProviderResponse,
    ) -> Result<(), SealError> {
        let next = token_response::successor(received, at.connection, &self.sent);
        let Some(next) = next.filter(|_| stored.fate == CommitDecision::Revoke) else {
            return Ok(());
        };
        let user = &self.account.identity.id;
        let anew = at.contents.accounts.iter().any(|account| account.identity.id == *user);
        if revocation::choose_issued(at.connection, self.kind(), anew).refresh {
            let generation = self.begun.generation + 1;
            let envelope = self.seal(at.home, "refresh_token", generation, &next)?;
            let field = record::field("refresh_token", self.kind());
            let revoked = delete::TokenToRevoke { field, generation, envelope };
            let registration = self.begun.registration.as_ref();
            plan.add_job(revoked.job(&self.account, registration, false), at.now);
        }
        Ok(())
    }

    fn seal(
        &self,
        home: &Home,
        column: &str,
        generation: u64,
        token: &Secret,
    ) -> Result<Vec<u8>, SealError> {
        home.seal(&self.account.id, &record::field(column, self.kind()), generation, token)
    }

    fn put(&self, grant: Grant, envelope: Vec<u8>) -> Write {
        let (account, kind) = (self.account.id.clone(), self.kind().to_owned());
        Write::PutGrant { account, kind, grant, envelope: Some(envelope) }
    }

    fn update(&self, plan: &mut Plan, grant: Grant) -> Grant {
        let (account, kind) = (self.account.id.clone(), self.kind().to_owned());
        plan.write(Write::UpdateGrant { account, kind, grant: grant.clone() });
        grant
    }

    /// Replaces the follow-up job of this grant by one that is due at `due`, or deletes it if that is `None`.
    fn follow_up(
        &self,
        plan: &mut Plan,
        jobs: &[StoredJob],
        generation: u64,
        due: Option<UnixSeconds>,
    ) {
        let (id, kind) = (&self.account.id, self.kind());
        for (job, ..) in jobs.iter().filter(|(_, _, job)| job.recovers(id, kind)) {
            plan.write(Write::EndJob(*job));
        }
        if let Some(due) = due {
            let (account, token_kind) = (id.clone(), kind.to_owned());
            plan.add_job(Job::Recover { account, generation, token_kind }, due);
        }
    }
}

/// The grant that is stored when a response arrives, and how the response is applied to it.
struct Stored {
    grant: Option<Grant>,
    fate: CommitDecision,
}

/// Plans to store the state of a grant that has ended, and the log event. Returns the grant as it is stored.
pub fn end(
    plan: &mut Plan,
    home: &Home,
    id: &AccountId,
    kind: &str,
    state: AccountState,
    grant: Grant,
) -> Grant {
    let grant = Grant { state, ..grant };
    let (account, grant_kind) = (id.clone(), kind.to_owned());
    plan.write(Write::UpdateGrant { account, kind: grant_kind, grant: grant.clone() });
    if kind.is_empty() {
        plan.write(Write::SetState(id.clone(), state));
    }
    let event = Event::new(EventName::ReconnectRequired).at(&home.connection).of(id);
    plan.tell(event.because(state.column()));
    grant
}
