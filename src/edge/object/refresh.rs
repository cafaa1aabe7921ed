//! Renewing a grant: one request to the provider, however many callers wait.

use std::rc::Rc;

use super::vault::{Inner, Open, RefreshTokens};
use super::vault_revoke::revoke_job;
use super::vault_store::{NewToken, Sealed};
use crate::config::Connection;
use crate::edge::objects::Trouble;
use crate::edge::outbound;
use crate::edge::providers;
use crate::edge::{clock, log};
use crate::encoding;
use crate::error::Event;
use crate::ids::AccountId;
use crate::provider::answer::{self, Received, Tokens};
use crate::provider::errors::Failure;
use crate::provider::request;
use crate::provider::revocation;
use crate::provider::scopes;
use crate::seal::SealError;
use crate::secret::Secret;
use crate::time::UnixSeconds;
use crate::vault::jobs::{self, Job};
use crate::vault::record::{
    self, AccessTokenRecord, Account, AccountState, Grant, Intent, Reason, SUCCESSOR, Selector,
};
use crate::vault::refresh::{self, Asked, Fate, Renewal, Settlement};
use crate::vault::release::{self, Held, Problem, Withheld};

/// What a caller waited for.
pub(super) enum Waited {
    /// What it started itself: what came of that is stored.
    Own,
    /// What another caller had started, perhaps for another token of the account.
    Others,
    /// Nothing: this is in the way.
    Stopped(Problem),
}

impl Inner {
    /// Waits for the refresh of this account that is in flight, or starts one. What came of it is
    /// stored; the caller looks again.
    ///
    /// A grant that does not open is told and not stored as over: should the cause be a wrong key,
    /// all is well again once that is mended.
    pub(super) async fn refresh(
        self: &Rc<Self>,
        open: &Open,
        account: &AccountId,
        selector: Selector,
    ) -> Result<Waited, Trouble> {
        let connection = open.connection()?;
        let grant_kind = connection.grant_of(selector.kind()).to_owned();
        // A grant of another registration stays as it is, until the configuration is put right.
        if !connection.accepts(open.store.contents()?.registration_of(account, &grant_kind)) {
            let problem = release::registration_changed();
            return Ok(Waited::Stopped(problem));
        }
        // Without its key nothing is tried and nothing changes.
        match read_refresh_tokens(open, account, &grant_kind) {
            Ok(_) => {}
            Err(NoToken::Corrupt) => {
                log::event(&Event {
                    connection: Some(open.home.connection.clone()),
                    ..Event::new("grant_corrupt", account.to_string())
                });
                let reason = Reason::Corrupt;
                return Ok(Waited::Stopped(Problem::ReconnectRequired { reason }));
            }
            Err(NoToken::Trouble(trouble)) => return Err(trouble),
        }
        let own = Open {
            config: open.config.clone(),
            home: open.home.clone(),
            store: open.store.clone(),
        };
        // Each token that we make has a flight of its own; a grant is renewed in one.
        let flight = match open.connection()?.minting(selector.kind()) {
            Some(_) => (account.clone(), selector.column()),
            None => (account.clone(), grant_kind),
        };
        let (this, id) = (self.clone(), account.clone());
        let work = || async move {
            let done = match own.connection().map(|one| one.minting(selector.kind())) {
                Ok(Some(minting)) => this.mint(&own, &id, &selector, minting).await,
                Ok(None) => this.renew(&own, &id, &selector).await,
                Err(trouble) => Err(trouble),
            };
            if let Err(trouble) = done {
                log::event(&Event::new("refresh_failed", format!("{trouble:?}")));
            }
        };
        let starts = self.flights.join(&self.state, flight, work).await;
        Ok(if starts { Waited::Own } else { Waited::Others })
    }

    async fn renew(&self, open: &Open, id: &AccountId, selector: &Selector) -> Result<(), Trouble> {
        let connection = open.connection()?;
        let found = providers::of(&self.env, &open.config, connection, clock::now()).await;
        // From here to the request no await but storage's: this is the grant that is renewed.
        let (grant, tokens) = match read_refresh_tokens(open, id, selector.kind()) {
            Ok(Some(found)) => found,
            Ok(None) | Err(NoToken::Corrupt) => return Ok(()),
            Err(NoToken::Trouble(trouble)) => return Err(trouble),
        };
        let (token, kept) = tokens.into_sent_and_kept();
        let contents = open.store.contents()?;
        let Some(account) = contents.accounts.iter().find(|account| account.id == *id) else {
            return Ok(());
        };
        let scopes = selector.scopes(connection, &grant.scopes);
        let before = contents.access_token(id, selector).map(|token| &token.record);
        let asked = Asked {
            refresh_token: &token,
            kept: kept.as_ref(),
            lifetime_before: before.and_then(AccessTokenRecord::lifetime),
            scopes: scopes.as_deref(),
            user: account.identity.id.as_deref().filter(|_| connection.identity_is_subject()),
            issuer: None,
            connection,
        };
        let now = clock::now();
        let intent = refresh::begin(&grant, &token, now);
        let begun = Grant { intent: Some(intent), ..grant };
        let of = Renewing { open, account, selector, asked, sent: kept.as_ref().unwrap_or(&token) };
        let provider = match found {
            Ok(provider) => provider,
            Err(reason) => return of.settle(&begun, Err(reason.into()), Heard::default(), now),
        };
        let callback = open.callback();
        let named = scopes.clone().or_else(|| scopes::at_refresh(connection, &begun.scopes));
        let request = request::refresh(connection, &provider, &callback, &token, named.as_deref())
            .ok_or(Trouble::Failed("request"))?;
        open.store.update_grant(id, selector.kind(), &begun)?;
        let due = now + jobs::recover_after(connection.reuse_grace);
        of.follow_up(begun.generation, Some(due))?;
        self.schedule(open).await?;
        // The platform holds the request back until the intent is durable.
        let received = outbound::send(&request, flight_time(connection)).await;
        let now = clock::now();
        // First of all: the old refresh token may be over by now.
        let begun = of.keep_successor(begun, &received)?;
        let asked = Asked { issuer: provider.open_id.as_deref(), ..of.asked };
        let answer = answer::renewed(&received, connection, now)
            .and_then(|tokens| refresh::of_same_user(&asked, tokens));
        if let Err(failure) = &answer {
            log_failure(open, id, failure);
            if asked.refused_alone(failure) {
                let key = (id.clone(), selector.clone());
                self.held.borrow_mut().insert(key, Held::new(Withheld::Scopes, now), now);
            }
        }
        let heard = Heard::of(&received, now);
        Renewing { asked, ..of }.settle(&begun, answer, heard, now)?;
        self.schedule(open).await
    }
}

/// Milliseconds for which a flight waits for the provider.
fn flight_time(connection: &Connection) -> u32 {
    let seconds = refresh::flight_time(connection.reuse_grace);
    u32::try_from(seconds.saturating_mul(1000)).unwrap_or(u32::MAX)
}

/// What was heard of a provider, for when to ask again.
#[derive(Clone, Copy, Default)]
struct Heard {
    /// It was asked, and no answer came.
    lost: bool,
    /// Seconds after which it says to come again.
    told: Option<i64>,
}

impl Heard {
    fn of(received: &Received, now: UnixSeconds) -> Self {
        Self { lost: matches!(received, Received::Lost), told: received.seconds_to_wait(now) }
    }
}

/// A grant that is being renewed.
struct Renewing<'a> {
    open: &'a Open,
    account: &'a Account,
    selector: &'a Selector,
    asked: Asked<'a>,
    /// The grant's own refresh token when the provider was asked.
    sent: &'a Secret,
}

impl Renewing<'_> {
    fn kind(&self) -> &str {
        self.selector.kind()
    }

    /// Keeps the refresh token that an answer names in place of the one that was sent, durably, whatever
    /// the rest of that answer turns out to be.
    fn keep_successor(&self, begun: Grant, received: &Received) -> Result<Grant, Trouble> {
        let (open, id, kind) = (self.open, &self.account.id, self.kind());
        let next = answer::successor(received, self.asked.connection, self.asked.refresh_token);
        let Some(next) = next else {
            return Ok(begun);
        };
        let stored = open.store.grant(id, kind)?;
        // Deleted meanwhile, or connected again with a token of its own: then it is of no use.
        let Some(Sealed { record: stored, .. }) =
            stored.filter(|_| matches!(self.fate(&begun), Ok(Fate::Write | Fate::KeepToken)))
        else {
            return Ok(begun);
        };
        let field = record::field(SUCCESSOR, kind);
        let sealed = encoding::base64url(open.seal(id, &field, stored.generation, &next)?);
        let intent = begun.intent.clone();
        let intent = intent.map(|intent| Intent { generation: stored.generation, ..intent });
        let kept = refresh::with_successor(Grant { intent, ..stored }, sealed);
        open.store.update_grant(id, kind, &kept)?;
        Ok(Grant { intent: kept.intent, ..begun })
    }

    /// What becomes of an answer, given the grant that is there now.
    fn fate(&self, begun: &Grant) -> Result<Fate, Trouble> {
        let (id, kind) = (&self.account.id, self.kind());
        let stored = self.open.store.grant(id, kind)?;
        let token = match &stored {
            // A token that does not open is not the one that was sent.
            Some(sealed) => self.open.refresh_tokens(id, kind, sealed).ok().flatten(),
            None => None,
        };
        let stored = stored.as_ref().map(|sealed| &sealed.record);
        let token = token.as_ref().map(RefreshTokens::own);
        let sent = [self.asked.refresh_token, self.sent];
        Ok(refresh::fate(begun, &sent, stored.map(|grant| (grant, token))))
    }

    /// Settles an answer, and follows up what it leaves open.
    fn settle(
        &self,
        begun: &Grant,
        answer: Result<Tokens, Failure>,
        heard: Heard,
        now: UnixSeconds,
    ) -> Result<(), Trouble> {
        let (open, id, kind) = (self.open, &self.account.id, self.kind());
        let settlement = refresh::settle(begun, &self.asked, answer, now);
        self.commit(begun, settlement)?;
        let Some(Sealed { record: stored, .. }) = open.store.grant(id, kind)? else {
            return self.follow_up(begun.generation, None);
        };
        let leeway = self.asked.connection.reuse_grace;
        let due = refresh::follow_up(&stored, leeway, heard.lost, heard.told, now);
        self.follow_up(stored.generation, due)
    }

    /// Puts the one job that takes this refresh up to when it is due, or ends it.
    fn follow_up(&self, generation: u64, due: Option<UnixSeconds>) -> Result<(), Trouble> {
        let (store, id, kind) = (&self.open.store, &self.account.id, self.kind());
        store.drop_jobs(|job| job.recovers(id, kind))?;
        if let Some(due) = due {
            let token_kind = kind.to_owned();
            let job = Job::Recover { account: id.clone(), generation, token_kind };
            store.add_job(&job, due)?;
        }
        Ok(())
    }

    /// Seals, then writes with a compare on the generation, in one turn: atomically.
    fn commit(&self, begun: &Grant, settlement: Settlement) -> Result<(), Trouble> {
        let (open, id, kind) = (self.open, &self.account.id, self.kind());
        let fate = self.fate(begun)?;
        let stored = open.store.grant(id, kind)?.map(|sealed| sealed.record);
        match (settlement, fate, stored) {
            (Settlement::Renewed(renewal), Fate::Write, _) => {
                if renewal.is_lifetime_assumed {
                    log::event(&Event {
                        connection: Some(open.home.connection.clone()),
                        ..Event::new("expires_in_assumed", id.to_string())
                    });
                }
                self.tell_registry(begun, &renewal.grant)?;
                let sealed = seal(open, id, kind, &renewal)?;
                write(open, id, self.selector, *renewal, sealed)
            }
            (Settlement::Renewed(renewal), Fate::KeepToken, Some(stored)) => {
                let grant = Grant { generation: stored.generation + 1, intent: None, ..stored };
                let field = record::field("refresh_token", kind);
                let sealed = open.seal(id, &field, grant.generation, &renewal.refresh_token)?;
                open.store.put_grant(id, kind, &grant, Some(sealed))
            }
            (Settlement::Renewed(renewal), Fate::Revoke, _) => {
                revoke_minted(open, self.account, kind, &renewal)
            }
            (Settlement::Kept { grant }, Fate::Write, _) => {
                open.store.update_grant(id, kind, &grant)
            }
            // The account's new grant rests on the token that was sent: what is open of that is its own.
            (Settlement::Kept { grant }, Fate::KeepToken, Some(stored)) => {
                let generation = stored.generation;
                let intent = grant.intent.map(|intent| Intent { generation, ..intent });
                open.store.update_grant(id, kind, &Grant { intent, ..stored })
            }
            (Settlement::Ended { state, grant }, Fate::Write, _) => {
                end(open, id, kind, state, grant)
            }
            // It is over for the grant of before; what the consent made of it is tried when it is needed.
            (Settlement::Ended { .. }, Fate::KeepToken, Some(stored)) => {
                open.store.update_grant(id, kind, &Grant { intent: None, ..stored })
            }
            _ => Ok(()),
        }
    }

    /// A grant that has just been bound is told to the registry under its registration.
    fn tell_registry(&self, before: &Grant, after: &Grant) -> Result<(), Trouble> {
        let Some(user) = self.account.identity.id.clone() else {
            return Ok(());
        };
        if before.registration.is_some() {
            return Ok(());
        }
        let job = Job::Hold { user, registration: after.registration.clone() };
        self.open.store.add_job(&job, clock::now()).map(drop)
    }
}

/// Why there is a refresh token that cannot be read.
enum NoToken {
    Corrupt,
    Trouble(Trouble),
}

impl From<Trouble> for NoToken {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// The grant and its refresh tokens. `None` if there is nothing to refresh with.
fn read_refresh_tokens(
    open: &Open,
    id: &AccountId,
    kind: &str,
) -> Result<Option<(Grant, RefreshTokens)>, NoToken> {
    let Some(sealed) = open.store.grant(id, kind)? else {
        return Ok(None);
    };
    match open.refresh_tokens(id, kind, &sealed) {
        Ok(tokens) => Ok(tokens.map(|tokens| (sealed.record, tokens))),
        Err(SealError::Corrupt) => Err(NoToken::Corrupt),
        Err(error) => Err(NoToken::Trouble(error.into())),
    }
}

/// Stores that a grant is over.
pub(super) fn end(
    open: &Open,
    id: &AccountId,
    kind: &str,
    state: AccountState,
    grant: Grant,
) -> Result<(), Trouble> {
    open.store.update_grant(id, kind, &Grant { state, ..grant })?;
    log::event(&Event {
        connection: Some(open.home.connection.clone()),
        ..Event::new("reconnect_required", format!("{id}: {}", state.column()))
    });
    if kind.is_empty() { open.store.set_state(id, state) } else { Ok(()) }
}

/// Revokes what was minted for an account that was deleted meanwhile.
fn revoke_minted(
    open: &Open,
    account: &Account,
    kind: &str,
    renewal: &Renewal,
) -> Result<(), Trouble> {
    let connection = open.connection()?;
    let contents = open.store.contents()?;
    let anew = contents.accounts.iter().any(|one| one.identity.id == account.identity.id);
    let chosen = revocation::choose_minted(connection, kind, anew);
    let columns = [("refresh_token", chosen.refresh), ("access_token", chosen.access)];
    let sealed = seal(open, &account.id, kind, renewal)?;
    for ((column, wanted), envelope) in columns.into_iter().zip(sealed) {
        let field = record::field(column, kind);
        let Grant { generation, registration, .. } = &renewal.grant;
        let job = revoke_job(account, registration.as_ref(), &field, *generation, envelope, false);
        if wanted {
            open.store.add_job(&job, clock::now())?;
        }
    }
    Ok(())
}

/// Envelopes of the refresh token and the access token.
fn seal(
    open: &Open,
    id: &AccountId,
    kind: &str,
    renewal: &Renewal,
) -> Result<[Vec<u8>; 2], Trouble> {
    let generation = renewal.grant.generation;
    let seal = |column: &str, token: &Secret| {
        open.seal(id, &record::field(column, kind), generation, token)
    };
    Ok([
        seal("refresh_token", &renewal.refresh_token)?,
        seal("access_token", &renewal.access_token)?,
    ])
}

fn write(
    open: &Open,
    id: &AccountId,
    selector: &Selector,
    renewal: Renewal,
    [refresh_token, access_token]: [Vec<u8>; 2],
) -> Result<(), Trouble> {
    open.store.put_grant(id, selector.kind(), &renewal.grant, Some(refresh_token))?;
    open.store.put_access_token(NewToken {
        account: id,
        selector,
        record: AccessTokenRecord {
            generation: renewal.grant.generation,
            scopes: renewal.scopes,
            issued_at: clock::now(),
            expires_at: renewal.expires_at,
        },
        envelope: access_token,
    })
}

pub(super) fn log_failure(open: &Open, id: &AccountId, failure: &Failure) {
    log::event(&Event {
        connection: Some(open.home.connection.clone()),
        ..Event::new("refresh_refused", format!("{id}: {}", failure.word()))
    });
}
