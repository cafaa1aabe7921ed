// SPDX-License-Identifier: Apache-2.0
//! Renews a grant with its refresh token (RFC 6749 §6): one request to the provider, however many callers
//! wait.

use std::rc::Rc;

use crate::event::{Event, EventName};
use crate::ids::AccountId;
use crate::objects::vault::{Inner, Open};
use crate::provider::connection::Connection;
use crate::provider::request;
use crate::runtime::object_call::ObjectError;
use crate::runtime::{clock, http_client, providers};
use crate::seal::SealError;
use crate::vault::record::Selector;
use crate::vault::refresh;
use crate::vault::release::{ReleaseError, TokenUnavailable, Unobtainable};
use crate::vault::renew::{self, Renewing, Snapshot};

/// Which flight a caller waited for.
pub(super) enum Waited {
    /// The caller started the flight itself. The outcome is stored.
    Own,
    /// Another caller had started the flight, perhaps for another token of the account.
    Others,
    /// No flight: the error prevents a refresh.
    Stopped(ReleaseError),
}

impl Inner {
    /// Waits for the flight that refreshes this token, or starts one. The outcome is stored; the caller then
    /// looks at the vault again.
    ///
    /// A corrupt refresh token is reported as `reconnect_required`, but the grant is not stored as ended: if
    /// a wrong key is the cause, the grant works again once the key is fixed.
    pub(super) async fn refresh(
        self: &Rc<Self>,
        open: &Open,
        account: &AccountId,
        selector: Selector,
    ) -> Result<Waited, ObjectError> {
        let connection = open.connection()?;
        let grant_kind = connection.grant_of(selector.kind()).to_owned();
        let contents = open.store.contents()?;
        if let Err(stopped) = renew::check(&open.home, &contents, connection, account, &grant_kind)?
        {
            open.tell(&stopped.event);
            return Ok(Waited::Stopped(stopped.problem));
        }
        let own = Open {
            config: open.config.clone(),
            home: open.home.clone(),
            store: open.store.clone(),
        };
        // Each issued token has a flight of its own. All tokens of a grant share the flight that renews it.
        let flight = match open.connection()?.issuance(selector.kind()) {
            Some(_) => (account.clone(), selector.column()),
            None => (account.clone(), grant_kind),
        };
        let (this, id) = (self.clone(), account.clone());
        let work = || async move {
            let done = match own.connection().map(|connection| connection.issuance(selector.kind()))
            {
                Ok(Some(issuance)) => this.issue(&own, &id, &selector, issuance).await,
                Ok(None) => this.renew(&own, &id, &selector).await,
                Err(trouble) => Err(trouble),
            };
            if let Err(trouble) = done {
                let event = Event::new(EventName::RefreshFailed).at(&own.home.connection);
                own.tell(&[match trouble {
                    ObjectError::Failed(word) => event.because(word),
                    ObjectError::KeyUnavailable(key) => {
                        event.because("key_unavailable").detail(key)
                    }
                    ObjectError::Misconfigured => event.because("misconfigured"),
                }]);
            }
        };
        let starts = self.flights.join(&self.state, flight, work).await;
        Ok(if starts { Waited::Own } else { Waited::Others })
    }

    async fn renew(
        &self,
        open: &Open,
        id: &AccountId,
        selector: &Selector,
    ) -> Result<(), ObjectError> {
        let connection = open.connection()?;
        let found = providers::of(self.context(open), connection).await;
        // Between this read and the request, only storage is awaited, so the grant cannot change meanwhile.
        let (contents, now) = (open.store.contents()?, clock::now());
        let target = (id, selector);
        let renewing = match Renewing::begin(&open.home, &contents, connection, target, now) {
            Ok(Some(renewing)) => renewing,
            Ok(None) | Err(SealError::Corrupt) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let jobs = open.store.jobs()?;
        let provider = match found {
            Ok(provider) => provider,
            Err(reason) => {
                let at = Snapshot {
                    home: &open.home,
                    contents: &contents,
                    jobs: &jobs,
                    connection,
                    now,
                };
                open.carry_out(renewing.not_asked(at, reason.into())?)?;
                return self.schedule().await;
            }
        };
        let callback = open.callback();
        let (token, named) = renewing.request(connection);
        let request = if renewing.is_first(connection) {
            request::first_refresh(connection, &provider, &callback, token)
        } else {
            request::refresh(connection, &provider, &callback, token, named.as_deref())
        };
        let request = request.ok_or(ObjectError::Failed("request"))?;
        open.carry_out(renewing.intent(&jobs))?;
        self.schedule().await?;
        // The platform holds back the request until the intent is durable.
        let received = http_client::send(&request, flight_time(connection)).await;
        let (contents, jobs, now) = (open.store.contents()?, open.store.jobs()?, clock::now());
        let at = Snapshot { home: &open.home, contents: &contents, jobs: &jobs, connection, now };
        let answered = renewing.answered(at, provider.open_id.as_deref(), &received)?;
        if answered.is_refused_alone {
            let key = (id.clone(), selector.clone());
            self.held.borrow_mut().insert(
                key,
                Unobtainable::new(TokenUnavailable::Scopes, now),
                now,
            );
        }
        open.carry_out(answered.plan)?;
        self.schedule().await
    }
}

/// How long a flight waits for the provider's response, in milliseconds.
fn flight_time(connection: &Connection) -> u32 {
    let seconds = refresh::flight_time(connection.rotation_leeway);
    u32::try_from(seconds.saturating_mul(1000)).unwrap_or(u32::MAX)
}
