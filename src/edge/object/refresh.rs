//! Renewing a grant: one request to the provider, however many callers wait.

use std::rc::Rc;

use super::vault::{Inner, Open};
use super::vault_revoke::revoke_job;
use super::vault_store::NewToken;
use crate::edge::objects::Trouble;
use crate::edge::outbound::{self, TOKEN_TIME};
use crate::edge::providers;
use crate::edge::{clock, log};
use crate::error::Event;
use crate::ids::AccountId;
use crate::provider::answer;
use crate::provider::errors::Failure;
use crate::provider::request;
use crate::provider::revocation;
use crate::provider::scopes;
use crate::seal::SealError;
use crate::secret::Secret;
use crate::vault::jobs::{self, Job};
use crate::vault::record::{
    self, AccessTokenRecord, Account, AccountState, Grant, Reason, Selector,
};
use crate::vault::refresh::{self, Asked, Fate, Renewal, Settlement};
use crate::vault::release::{Held, Problem, Withheld};

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
        let grant_kind = open.connection()?.grant_of(selector.kind()).to_owned();
        // Without its key nothing is tried and nothing changes.
        match read_refresh_token(open, account, &grant_kind) {
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
        let (grant, token) = match read_refresh_token(open, id, selector.kind()) {
            Ok(Some(found)) => found,
            Ok(None) | Err(NoToken::Corrupt) => return Ok(()),
            Err(NoToken::Trouble(trouble)) => return Err(trouble),
        };
        let contents = open.store.contents()?;
        let Some(account) = contents.accounts.iter().find(|account| account.id == *id) else {
            return Ok(());
        };
        let scopes = selector.scopes(connection, &grant.scopes);
        let asked = Asked {
            refresh_token: &token,
            scopes: scopes.as_deref(),
            user: account.identity.id.as_deref().filter(|_| connection.identity_is_subject()),
            issuer: None,
            connection,
        };
        let provider = match found {
            Ok(provider) => provider,
            Err(reason) => {
                let failure = reason.into();
                let now = clock::now();
                let intent = refresh::begin(&grant, &token, now);
                let begun = Grant { intent: Some(intent), ..grant.clone() };
                let settlement = refresh::settle(&begun, &asked, Err(failure), now);
                return commit(open, &grant, &token, account, selector, settlement);
            }
        };
        let callback = open.callback();
        let named = scopes.clone().or_else(|| scopes::at_refresh(connection, &grant.scopes));
        let request = request::refresh(connection, &provider, &callback, &token, named.as_deref())
            .ok_or(Trouble::Failed("request"))?;
        let now = clock::now();
        let intent = refresh::begin(&grant, &token, now);
        let grant = Grant { intent: Some(intent), ..grant };
        let recover = Job::Recover {
            account: id.clone(),
            generation: grant.generation,
            token_kind: selector.kind().to_owned(),
        };
        open.store.update_grant(id, selector.kind(), &grant)?;
        open.store.add_job(&recover, now + jobs::recover_after(connection.reuse_grace))?;
        self.schedule(open).await?;
        // The platform holds the request back until the intent is durable.
        let received = outbound::send(&request, TOKEN_TIME).await;
        let now = clock::now();
        let asked = Asked { issuer: provider.open_id.as_deref(), ..asked };
        let answer = answer::renewed(&received, connection, now)
            .and_then(|tokens| refresh::of_same_user(&asked, tokens));
        if let Err(failure) = &answer {
            log_failure(open, id, failure);
            if asked.refused_alone(failure) {
                let key = (id.clone(), selector.clone());
                self.held.borrow_mut().insert(key, Held::new(Withheld::Scopes, now), now);
            }
        }
        let settlement = refresh::settle(&grant, &asked, answer, now);
        open.store.drop_jobs(|job| *job == recover)?;
        commit(open, &grant, &token, account, selector, settlement)?;
        self.schedule(open).await
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

/// The grant and its refresh token. `None` if there is nothing to refresh with.
fn read_refresh_token(
    open: &Open,
    id: &AccountId,
    kind: &str,
) -> Result<Option<(Grant, Secret)>, NoToken> {
    let Some(sealed) = open.store.grant(id, kind)? else {
        return Ok(None);
    };
    let Some(envelope) = sealed.envelope else {
        return Ok(None);
    };
    let field = record::field("refresh_token", kind);
    match open.open(id, &field, sealed.record.generation, &envelope) {
        Ok(token) => Ok(Some((sealed.record, token))),
        Err(SealError::Corrupt) => Err(NoToken::Corrupt),
        Err(error) => Err(NoToken::Trouble(error.into())),
    }
}

/// Seals, then writes with a compare on the generation, in one turn: atomically.
fn commit(
    open: &Open,
    asked: &Grant,
    sent: &Secret,
    account: &Account,
    selector: &Selector,
    settlement: Settlement,
) -> Result<(), Trouble> {
    let id = &account.id;
    let kind = selector.kind();
    let stored = open.store.grant(id, kind)?.map(|sealed| sealed.record);
    // A token that does not open is not the one that was sent.
    let token = read_refresh_token(open, id, kind).ok().flatten().map(|(_, token)| token);
    let fate = refresh::fate(asked, sent, stored.as_ref().map(|grant| (grant, token.as_ref())));
    match (settlement, fate, stored) {
        (Settlement::Renewed(renewal), Fate::Write, _) => {
            let sealed = seal(open, id, kind, &renewal)?;
            write(open, id, selector, *renewal, sealed)
        }
        (Settlement::Renewed(renewal), Fate::KeepToken, Some(stored)) => {
            let grant = Grant { generation: stored.generation + 1, ..stored };
            let field = record::field("refresh_token", kind);
            let sealed = open.seal(id, &field, grant.generation, &renewal.refresh_token)?;
            open.store.put_grant(id, kind, &grant, Some(sealed))
        }
        (Settlement::Renewed(renewal), Fate::Revoke, _) => {
            revoke_minted(open, account, kind, &renewal)
        }
        (Settlement::Kept { grant }, Fate::Write, _) => open.store.update_grant(id, kind, &grant),
        (Settlement::Ended { state, grant }, Fate::Write, _) => end(open, id, kind, state, grant),
        _ => Ok(()),
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
        let job = revoke_job(account, &field, renewal.grant.generation, envelope, false);
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
