// SPDX-License-Identifier: Apache-2.0
//! `Vault`: the Durable Object that holds all accounts of one user at one connection.

mod delete;
mod issue;
mod jobs;
mod renew;
mod store;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Request;
use worker::worker_sys::DurableObjectState;
use worker::{Env, State};

use crate::config::{Config, ExchangeGrant};
use crate::event::{Event, EventName};
use crate::ids::{AccountId, UserId};
use crate::message::vault::{VaultAction, VaultRequest, VaultResponse};
use crate::objects::vault::renew::Waited;
use crate::objects::vault::store::VaultStore;
use crate::provider::connection::Connection;
use crate::runtime::context::Context;
use crate::runtime::executor::apart;
use crate::runtime::object_call::{self, ObjectError};
use crate::runtime::single_flight::Flights;
use crate::runtime::storage::Storage;
use crate::runtime::{clock, configuration, leases, log};
use crate::seal::Sealer;
use crate::time::UnixSeconds;
use crate::vault::consent::NewGrant;
use crate::vault::exchange::{self, ExchangeStep};
use crate::vault::holders::AtProvider;
use crate::vault::home::Home;
use crate::vault::keep::{self, KeepOutcome};
use crate::vault::lease::{self, LeaseRequest, Lender};
use crate::vault::lifetime::StandingAlarm;
use crate::vault::plan::{Plan, Write};
use crate::vault::record::AccountView;
use crate::vault::release::{NegativeCache, ReleaseError, RequestedToken};
use crate::vault::stamp;

/// Time until the alarm runs again after it failed to run the jobs.
const RETRY_JOBS: Duration = Duration::from_mins(5);

/// Maximum number of refreshes that one exchange starts before it gives up.
const REFRESHES: usize = 3;

/// Maximum number of times that one exchange looks at the vault. Between them it mostly waits for refreshes
/// that other callers started.
const WAITS: usize = 100;

/// The Durable Object class; there is one object per user and connection.
#[wasm_bindgen]
pub struct Vault {
    inner: Rc<Inner>,
}

pub(super) struct Inner {
    pub(super) state: State,
    pub(super) env: Env,
    pub(super) storage: Rc<Storage>,
    pub(super) store: Rc<VaultStore>,
    home: RefCell<Option<Rc<Home>>>,
    pub(super) flights: Rc<Flights<(AccountId, String)>>,
    /// Negative cache: tokens that could not be obtained, with the time of the next attempt.
    pub(super) held: RefCell<NegativeCache>,
    /// How many messages are being answered.
    answering: Cell<usize>,
    lender: Cell<Lender>,
    /// The alarm that is set, if the object knows it.
    alarm: Cell<StandingAlarm>,
}

#[wasm_bindgen]
impl Vault {
    /// Creates the object in an isolate. The platform calls it.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        let state = State::from(state);
        let storage = Rc::new(Storage::of(&state));
        let store = Rc::new(VaultStore::new(storage.clone()));
        Self {
            inner: Rc::new(Inner {
                state,
                env,
                storage,
                store,
                home: RefCell::default(),
                flights: Rc::default(),
                held: RefCell::default(),
                answering: Cell::default(),
                lender: Cell::new(Lender::started(clock::now())),
                alarm: Cell::default(),
            }),
        }
    }

    /// Answers one message ([`VaultRequest`]) with a `Response` or a promise of one.
    #[must_use]
    pub fn fetch(&self, request: Request) -> JsValue {
        let inner = self.inner.clone();
        object_call::answer(request, move |message| inner.answer(message))
    }

    /// Runs the jobs that are due, and deletes a vault that is over. If that fails, it logs the cause and sets
    /// the alarm anew.
    ///
    /// # Errors
    /// If the platform cannot set the alarm. It then calls this method again.
    pub async fn alarm(&self) -> Result<(), JsValue> {
        let inner = self.inner.clone();
        if let Err(trouble) = inner.clone().run_jobs().await {
            let event = Event::new(EventName::JobsFailed);
            log::event(&match trouble {
                ObjectError::Failed(word) => event.because(word),
                ObjectError::KeyUnavailable(key) => event.because("key_unavailable").detail(key),
                ObjectError::Misconfigured => event.because("misconfigured"),
            });
            // The jobs are still stored. Without a new alarm nothing would run them.
            inner.alarm.take();
            inner
                .storage
                .set_alarm(RETRY_JOBS)
                .await
                .map_err(|_| JsValue::from_str("no alarm could be set"))?;
        }
        Ok(())
    }
}

/// An opened vault: its owner and sealer, the configuration and the store, for one event.
pub(super) struct Open {
    pub(super) config: Rc<Config>,
    pub(super) home: Rc<Home>,
    pub(super) store: Rc<VaultStore>,
}

impl Open {
    pub(super) fn connection(&self) -> Result<&Connection, ObjectError> {
        self.config
            .connections
            .get(&self.home.connection)
            .ok_or(ObjectError::Failed("connection is not configured any more"))
    }

    /// The vault's redirect URI at the provider of this connection.
    pub(super) fn callback(&self) -> String {
        self.config.public_url.callback(&self.home.connection)
    }

    /// Logs events about the vault's user.
    pub(super) fn tell<'a>(&self, events: impl IntoIterator<Item = &'a Event>) {
        for event in events {
            log::event_of(event, &self.config.names, &self.home.user);
        }
    }

    /// Logs what an isolate released by lease.
    fn tell_of_releases(&self, lease: &LeaseRequest) {
        self.tell(&lease.events(&self.home.connection));
    }

    /// Carries out a plan: logs its events and applies its writes in one transaction. Returns the ids of the
    /// added jobs.
    pub(super) fn carry_out(&self, plan: Plan) -> Result<Vec<i64>, ObjectError> {
        self.tell(&plan.events);
        self.apply(plan.writes)
    }

    /// Applies writes in one transaction. Returns the ids of the added jobs.
    pub(super) fn apply(&self, writes: Vec<Write>) -> Result<Vec<i64>, ObjectError> {
        self.store.apply(&self.home, &self.config.key_ring, writes)
    }
}

impl Inner {
    pub(super) fn open(&self, user: UserId, connection: String) -> Result<Open, ObjectError> {
        let config = configuration::load(&self.env).ok_or(ObjectError::Misconfigured)?;
        let known = self.home.borrow().clone();
        let known = known.filter(|home| home.user == user && home.connection == connection);
        let home = match known {
            Some(home) => home,
            None => self.enter(&config, user, connection)?,
        };
        Ok(Open { config, home, store: self.store.clone() })
    }

    /// Makes the home, if the configured keys are those that sealed what is stored.
    fn enter(
        &self,
        config: &Config,
        user: UserId,
        connection: String,
    ) -> Result<Rc<Home>, ObjectError> {
        if let Some(key) = stamp::changed(&self.store.stamp()?, &config.key_ring) {
            return Err(ObjectError::KeyUnavailable(key));
        }
        let object = config.names.vault(&user, &connection);
        let sealer = Sealer::new(&config.key_ring, &object);
        let home = Rc::new(Home::new(user, connection, sealer));
        self.home.replace(Some(home.clone()));
        Ok(home)
    }

    /// The context of an event that happens now.
    fn context<'a>(&'a self, open: &'a Open) -> Context<'a> {
        Context { env: &self.env, config: &open.config, now: clock::now() }
    }

    async fn answer(self: Rc<Self>, message: VaultRequest) -> Result<VaultResponse, ObjectError> {
        let open = self.open(message.user, message.connection)?;
        self.answering.set(self.answering.get() + 1);
        let answer = self.act(&open, message.act).await;
        self.answering.set(self.answering.get() - 1);
        if open.store.take_stale_alarm() {
            apart(self.schedule()).await?;
        }
        answer
    }

    async fn act(
        self: &Rc<Self>,
        open: &Open,
        act: VaultAction,
    ) -> Result<VaultResponse, ObjectError> {
        match act {
            VaultAction::Exchange {
                grant,
                login_hint,
                scopes,
                exact,
                kind,
                resource,
                refused_token,
                min_ttl,
                lease,
            } => {
                let want = RequestedToken {
                    login_hint,
                    scopes,
                    exact,
                    kind,
                    resource,
                    refused_token,
                    min_ttl,
                };
                let exchanged = self.exchange(open, grant, &want, lease.as_ref()).await;
                // Of what fails, the isolate takes its report back.
                if let (Ok(_), Some(lease)) = (&exchanged, &lease) {
                    open.tell_of_releases(lease);
                }
                exchanged
            }
            VaultAction::Store(store) => apart(self.keep(open, *store)).await,
            VaultAction::Accounts => {
                let contents = open.store.contents()?;
                let views = contents.accounts.iter().map(|account| contents.view(account));
                Ok(VaultResponse::Accounts(views.collect()))
            }
            VaultAction::Delete { account, tell, tell_leases } => {
                let removed = apart(self.delete(open, &account)).await?;
                let gone = removed.is_some();
                Ok(if tell_leases {
                    // Also where there is no account: it may have been deleted before this object started.
                    let lease_until = self.lease_until(open, true);
                    VaultResponse::Ended { revocation: removed, lease_until }
                } else if tell {
                    VaultResponse::Removed(removed)
                } else {
                    VaultResponse::Deleted(gone)
                })
            }
        }
    }

    async fn keep(
        self: &Rc<Self>,
        open: &Open,
        new: NewGrant,
    ) -> Result<VaultResponse, ObjectError> {
        self.held.take();
        let (contents, jobs) = (open.store.contents()?, open.store.jobs()?);
        let held_any = !contents.accounts.is_empty();
        let redeemed = open.store.redeemed(&new.account)?;
        let (connection, now) = (open.connection()?, clock::now());
        let kept =
            keep::keep(&open.home, &contents, &jobs, connection, redeemed.as_ref(), new, now)?;
        let (plan, account, registry) = match kept {
            KeepOutcome::Stored { plan, account, registry } => (plan, account, registry),
            KeepOutcome::Before(account) => return Ok(self.stored(open, account, held_any)),
            KeepOutcome::Gone => return Ok(VaultResponse::Deleted(true)),
            KeepOutcome::Narrower(missing) => return Ok(VaultResponse::Narrower { missing }),
            KeepOutcome::UnknownUser => return Ok(VaultResponse::UnknownUser),
            // The session's isolate has another configuration. The session keeps the tokens and retries.
            KeepOutcome::OtherRegistration => {
                return Err(ObjectError::Failed("registration_changed"));
            }
        };
        let job = open.carry_out(plan)?.pop();
        self.schedule().await?;
        // Registered at once, so that a later deletion elsewhere does not revoke this grant too. If the
        // registry does not answer, the job registers it later.
        if let (Some((user, registration)), Some(job)) = (registry, job) {
            let at_provider = AtProvider { user: Some(&user), registration: registration.as_ref() };
            if self.hold(open, at_provider).await {
                open.store.end_job(job)?;
                self.schedule().await?;
            }
        }
        Ok(self.stored(open, account, held_any))
    }

    fn stored(&self, open: &Open, account: AccountView, held_any: bool) -> VaultResponse {
        let lease_until = self.lease_until(open, held_any);
        VaultResponse::Stored(AccountView { lease_until, ..account })
    }

    /// Until when a lease may still serve a token of this vault. `held_any`: whether it may have had an account.
    fn lease_until(&self, open: &Open, held_any: bool) -> Option<UnixSeconds> {
        let longest = if held_any { lease::longest(open.connection().ok()) } else { 0 };
        self.lender.get().lease_until(longest, clock::now())
    }

    /// Lends a token to the isolate that asks, if both run with the same code and configuration. `None` if it
    /// does not know of leases.
    fn lend(&self, open: &Open, lease: Option<&LeaseRequest>, lendable: i64) -> Option<i64> {
        let LeaseRequest { seconds, fingerprint, .. } = lease?;
        if *seconds == 0 || *fingerprint != leases::fingerprint(&open.config) {
            return Some(0);
        }
        let seconds = lendable.min(*seconds);
        let mut lender = self.lender.get();
        lender.lend(seconds, clock::now());
        self.lender.set(lender);
        Some(seconds)
    }

    async fn exchange(
        self: &Rc<Self>,
        open: &Open,
        grant: ExchangeGrant,
        want: &RequestedToken,
        lease: Option<&LeaseRequest>,
    ) -> Result<VaultResponse, ObjectError> {
        let mut started = 0;
        for _ in 0..WAITS {
            let contents = open.store.contents()?;
            let (connection, now) = (open.connection()?, clock::now());
            let step =
                exchange::look(&open.home, &contents, connection, want, &self.held.borrow(), now)?;
            match step {
                ExchangeStep::Serve {
                    access_token,
                    scopes,
                    expires_in,
                    lendable,
                    provider_data,
                } => {
                    return Ok(VaultResponse::Token {
                        grant,
                        access_token,
                        scopes,
                        expires_in,
                        provider_data,
                        lease_seconds: self.lend(open, lease, lendable),
                    });
                }
                ExchangeStep::Stop { problem, events } => {
                    open.tell(&events);
                    return Ok(VaultResponse::NotReleased(problem));
                }
                ExchangeStep::Refresh(..) if started == REFRESHES => break,
                ExchangeStep::Refresh(account, selector) => {
                    match apart(self.refresh(open, &account, selector)).await? {
                        Waited::Own => started += 1,
                        Waited::Others => {}
                        Waited::Stopped(problem) => return Ok(VaultResponse::NotReleased(problem)),
                    }
                }
            }
        }
        Ok(VaultResponse::NotReleased(ReleaseError::Unavailable { retry_after: 2 }))
    }
}
