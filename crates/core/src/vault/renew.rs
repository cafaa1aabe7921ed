// SPDX-License-Identifier: Apache-2.0
//! Renews a grant: what is written before the provider is asked, and what its response changes.

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
use super::keep_alive;
use super::plan::{Plan, StoredJob, Write};
use super::record::{
    self, AccessTokenRecord, Account, AccountState, Grant, Intent, Reason, SUCCESSOR, Selector,
};
use super::refresh::{self, CommitDecision, Heard, RenewedGrant, SentRequest, Settlement};
use super::release::{self, ReleaseError};
use crate::event::{Event, EventName};

/// A renewal in progress.
#[derive(Debug)]
pub struct Renewing {
    /// The account as it was when the request was sent.
    account: Account,
    selector: Selector,
    /// The grant with its intent.
    begun: Grant,
    /// The refresh token that is sent.
    sent: Secret,
    /// The grant's own refresh token, where its successor is sent.
    kept: Option<Secret>,
    /// The requested scopes, unless they are the default.
    scopes: Option<Vec<String>>,
    lifetime_before: Option<i64>,
    /// When the same token was sent before without a settled response, Unix seconds, if it was.
    sent_before: Option<UnixSeconds>,
}

/// What the vault stores when the response arrives.
#[derive(Clone, Copy)]
pub struct Snapshot<'a> {
    /// The owner of the vault.
    pub home: &'a Home,
    /// Its rows.
    pub contents: &'a Contents,
    /// Its jobs.
    pub jobs: &'a [StoredJob],
    /// The connection as configured.
    pub connection: &'a Connection,
    /// The time of the response, Unix seconds.
    pub now: UnixSeconds,
}

/// What a response changes.
#[derive(Debug)]
pub struct RenewalOutcome {
    /// The writes.
    pub plan: Plan,
    /// Whether only the requested scopes were refused: they go into the negative cache.
    pub is_refused_alone: bool,
}

/// Why no renewal of a grant begins.
#[derive(Debug, PartialEq, Eq)]
pub struct Stopped {
    /// What callers are told.
    pub problem: ReleaseError,
    /// The operator log event, where nothing stored tells the same.
    pub event: Option<Event>,
}

/// Checks that a grant may be renewed: it is of the configured registration, and its tokens open. A grant
/// that does not open is reported and not marked, because with the right key it is good again.
///
/// # Errors
/// [`SealError::KeyUnavailable`]: nothing is tried without the key.
pub fn check(
    home: &Home,
    contents: &Contents,
    connection: &Connection,
    account: &AccountId,
    kind: &str,
) -> Result<Result<(), Stopped>, SealError> {
    if !connection.accepts(contents.registration_of(account, kind)) {
        let problem = release::registration_changed();
        return Ok(Err(Stopped { problem, event: None }));
    }
    let tokens =
        contents.grant(account, kind).map(|sealed| home.refresh_tokens(account, kind, sealed));
    match tokens.transpose() {
        Ok(_) => Ok(Ok(())),
        Err(SealError::Corrupt) => {
            let event = Event::new(EventName::GrantCorrupt).at(&home.connection).of(account);
            let problem = ReleaseError::ReconnectRequired { reason: Reason::Corrupt };
            Ok(Err(Stopped { problem, event: Some(event) }))
        }
        Err(error) => Err(error),
    }
}

impl Renewing {
    /// Begins a renewal. `None` if there is no refresh token, or if a request with it may still be on its
    /// way. It is called within the single flight of the grant, so that such a request is from before the
    /// object stopped.
    ///
    /// # Errors
    /// [`SealError`]; nothing is sent.
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
        let grant = sealed.record.clone();
        if refresh::may_be_on_its_way(&grant, connection.rotation_leeway, now) {
            return Ok(None);
        }
        let (sent, kept) = tokens.into_sent_and_kept();
        let before = contents.access_token(id, selector).map(|token| &token.record);
        let mut intent = refresh::begin(&grant, &sent, now);
        intent.follow_up = Some(now + jobs::recover_after(connection.rotation_leeway));
        let before_this = grant.intent.as_ref().filter(|_| intent.attempt > 1);
        Ok(Some(Self {
            account: account.clone(),
            selector: selector.clone(),
            scopes: selector.scopes(connection, &grant.scopes),
            lifetime_before: before.and_then(AccessTokenRecord::lifetime),
            sent_before: before_this.map(|intent| intent.at),
            begun: Grant { intent: Some(intent), ..grant },
            sent,
            kept,
        }))
    }

    /// The refresh token to send, and the scopes to name in the request, if any.
    pub fn request(&self, connection: &Connection) -> (&Secret, Option<Vec<String>>) {
        let named = self.scopes.clone();
        (&self.sent, named.or_else(|| scopes::at_refresh(connection, &self.begun.scopes)))
    }

    /// Whether this renewal is the first one after a consent, where that differs from later ones.
    pub fn is_first(&self, connection: &Connection) -> bool {
        connection.renewal.is_first(self.lifetime_before)
    }

    /// What must be durable before the provider is asked: the intent, which says when it is followed
    /// up. It replaces the job that followed an earlier attempt up.
    pub fn intent(&self, jobs: &[StoredJob]) -> Plan {
        let mut plan = Plan::default();
        self.update(&mut plan, self.begun.clone());
        self.follow_up(&mut plan, jobs, self.begun.generation, None);
        plan
    }

    /// What changes if the provider's endpoints cannot be found.
    ///
    /// # Errors
    /// [`SealError`]; nothing changes.
    pub fn not_asked(
        &self,
        at: Snapshot<'_>,
        failure: TokenEndpointError,
    ) -> Result<Plan, SealError> {
        let stored = self.stored(at.home, at.contents);
        let asked = self.asked(at.connection, None);
        let begun = refresh::heard(self.begun.clone());
        let settlement = refresh::settle(&begun, &asked, Err(failure), at.now);
        let mut plan = Plan::default();
        self.finish(&mut plan, at, &stored, settlement, (Heard::NotProcessed, None))?;
        Ok(plan)
    }

    /// What a response changes, given what the vault stores when it arrives. `issuer` is the
    /// provider's issuer identifier, if it has one.
    ///
    /// # Errors
    /// [`SealError`]; nothing changes.
    pub fn answered(
        &self,
        at: Snapshot<'_>,
        issuer: Option<&str>,
        received: &ProviderResponse,
    ) -> Result<RenewalOutcome, SealError> {
        let Snapshot { home, connection, now, .. } = at;
        let stored = self.stored(home, at.contents);
        let asked = self.asked(connection, issuer);
        let id_token = token_response::id_token(received, connection);
        let is_own = refresh::of_same_user(&asked, id_token.as_ref());
        // The successor comes first, because the old refresh token may no longer be accepted. Another
        // user's succeeds nothing.
        let begun = match is_own {
            Ok(()) => self.with_successor(home, &stored, connection, received)?,
            Err(_) => self.begun.clone(),
        };
        let begun = refresh::heard(begun);
        let has_own_tokens = is_own.is_ok();
        let secrets = std::iter::once(&self.sent).chain(&connection.client_secret);
        let answer = token_response::renewed(received, connection, now)
            .map_err(|failure| failure.without(secrets));
        let answer = answer.and_then(|tokens| is_own.map(|()| tokens));
        let mut plan = Plan::default();
        let mut is_refused_alone = false;
        if let Err(failure) = &answer {
            let event = Event::new(EventName::RefreshRefused).at(&home.connection);
            plan.tell(event.of(&self.account.id).because(failure.word()));
            is_refused_alone = asked.refused_alone(failure);
            if has_own_tokens {
                self.revoke_successor(&mut plan, at, &stored, received)?;
            }
        }
        let heard = match &answer {
            Ok(_) => Heard::Unclear,
            Err(failure) => Heard::of(failure, received),
        };
        let settlement = refresh::settle(&begun, &asked, answer, now);
        let heard = (heard, received.seconds_to_wait(now));
        self.finish(&mut plan, at, &stored, settlement, heard)?;
        Ok(RenewalOutcome { plan, is_refused_alone })
    }

    fn kind(&self) -> &str {
        self.selector.kind()
    }

    fn asked<'a>(&'a self, connection: &'a Connection, issuer: Option<&'a str>) -> SentRequest<'a> {
        let user = self.account.identity.id.as_deref();
        SentRequest {
            refresh_token: &self.sent,
            kept: self.kept.as_ref(),
            lifetime_before: self.lifetime_before,
            sent_before: self.sent_before,
            scopes: self.scopes.as_deref(),
            user: user.filter(|_| connection.identity_is_subject()),
            issuer,
            connection,
        }
    }

    /// The grant that is stored now, and how a response to this renewal applies to it.
    fn stored(&self, home: &Home, contents: &Contents) -> Stored {
        let (id, kind) = (&self.account.id, self.kind());
        let sealed = contents.grant(id, kind);
        // A token that does not open is not the one that was sent.
        let tokens = sealed.and_then(|sealed| home.refresh_tokens(id, kind, sealed).ok().flatten());
        let grant = sealed.map(|Sealed { record, .. }| record.clone());
        let own = tokens.as_ref().map(RefreshTokens::own);
        let sent: Vec<&Secret> = std::iter::once(&self.sent).chain(&self.kept).collect();
        let fate = refresh::fate(&self.begun, &sent, grant.as_ref().map(|grant| (grant, own)));
        Stored { grant, fate }
    }

    /// Replaces the refresh token that was sent by the one in the response, whatever the rest of
    /// the response says. It is of no use to an account that was deleted or connected again with a
    /// token of its own meanwhile.
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

    /// Writes a settlement, and follows up what it leaves open. The last argument is what is known of the
    /// response, and the provider's `Retry-After` in seconds.
    fn finish(
        &self,
        plan: &mut Plan,
        at: Snapshot<'_>,
        stored: &Stored,
        settlement: Settlement,
        (heard, told): (Heard, Option<i64>),
    ) -> Result<(), SealError> {
        let after = self.commit(plan, at, stored, settlement)?;
        let leeway = at.connection.rotation_leeway;
        let after = after.as_ref();
        let due = after.and_then(|grant| refresh::follow_up(grant, leeway, heard, told, at.now));
        let generation = after.map_or(self.begun.generation, |grant| grant.generation);
        self.follow_up(plan, at.jobs, generation, due);
        Ok(())
    }

    /// Applies a settlement to the stored grant. Returns that grant as it will be, if any.
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
            // The new grant of the account uses the token that was sent, so an open attempt is its
            // own. It has the successor sealed anew: what the response left alone stays as stored.
            (Settlement::Kept { grant }, CommitDecision::KeepToken, Some(stored)) => {
                let successor = |grant: &Grant| grant.intent.clone().and_then(|own| own.successor);
                let (before, after) = (successor(&self.begun), successor(&grant));
                let successor = if after == before { successor(&stored) } else { after };
                let generation = stored.generation;
                let intent = grant.intent.map(|intent| Intent { generation, successor, ..intent });
                Ok(Some(self.update(plan, Grant { intent, ..stored })))
            }
            // The operator knows.
            (Settlement::Ended { state, grant }, CommitDecision::Write, _)
                if self.begun.state_of(self.kind(), &self.account) == state =>
            {
                Ok(Some(self.update(plan, Grant { state, ..grant })))
            }
            (Settlement::Ended { state, grant }, CommitDecision::Write, _) => {
                let grant = end(plan, at.home, &self.account.id, self.kind(), state, grant);
                Ok(Some(grant))
            }
            // The old grant has ended; the grant that the consent made of it is tried when it is
            // needed.
            (Settlement::Ended { .. }, CommitDecision::KeepToken, Some(stored)) => {
                Ok(Some(self.update(plan, Grant { intent: None, ..stored })))
            }
            (_, _, stored) => Ok(stored),
        }
    }

    /// The account with the id that it has among its provider data, if it was connected before the connection took
    /// ids from there.
    fn identified_since(&self, at: Snapshot<'_>) -> Option<Account> {
        let mut account = at.contents.account(&self.account.id)?.clone();
        if account.identity.id.is_none() {
            account.identity.id = at.connection.callback_user(&account.provider_data);
            return account.identity.id.is_some().then_some(account);
        }
        None
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
        // The registry is told of a newly bound grant under its registration, and of one from before ids came in
        // the callback: a deletion elsewhere would revoke it otherwise.
        let newly_known = self.identified_since(at);
        let newly_bound = self.account.identity.id.as_ref();
        let newly_bound = newly_bound.filter(|_| self.begun.registration.is_none());
        if let Some(user) = newly_known.as_ref().map_or(newly_bound, |one| one.identity.id.as_ref())
        {
            let registration = renewal.grant.registration.clone();
            plan.add_job(Job::AddReference { user: user.clone(), registration }, at.now);
        }
        plan.writes.extend(newly_known.map(Write::PutAccount));
        let lifetime = renewal.expires_at.map(|at_end| at_end - at.now);
        keep_alive::ensure(plan, at.jobs, at.connection, (id, self.kind()), lifetime, at.now);
        let generation = renewal.grant.generation;
        let refresh = self.seal(at.home, "refresh_token", generation, &renewal.refresh_token)?;
        let access = self.seal(at.home, "access_token", generation, &renewal.access_token)?;
        plan.write(self.put(renewal.grant.clone(), refresh));
        if self.kind().is_empty() && self.account.state != AccountState::Active {
            plan.write(Write::SetState(id.clone(), AccountState::Active));
        }
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

    /// Revokes the new tokens of an account that was deleted meanwhile.
    fn revoke(
        &self,
        plan: &mut Plan,
        at: Snapshot<'_>,
        renewal: &RenewedGrant,
    ) -> Result<(), SealError> {
        let user = &self.account.identity.id;
        let anew = at.contents.accounts.iter().any(|one| one.identity.id == *user);
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

    /// Revokes a new refresh token from an otherwise unusable response, where the account was
    /// deleted meanwhile.
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
        let anew = at.contents.accounts.iter().any(|one| one.identity.id == *user);
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

    /// Schedules the one job that follows this refresh up, or ends it.
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

/// The stored grant, and how a response applies to it.
struct Stored {
    grant: Option<Grant>,
    fate: CommitDecision,
}

/// Writes that a grant has ended, and tells the operator.
pub fn end(
    plan: &mut Plan,
    home: &Home,
    id: &AccountId,
    kind: &str,
    state: AccountState,
    grant: Grant,
) -> Grant {
    let grant = Grant { state, ..grant };
    let (account, of) = (id.clone(), kind.to_owned());
    plan.write(Write::UpdateGrant { account, kind: of, grant: grant.clone() });
    if kind.is_empty() {
        plan.write(Write::SetState(id.clone(), state));
    }
    let event = Event::new(EventName::ReconnectRequired).at(&home.connection).of(id);
    plan.tell(event.because(state.column()));
    grant
}
