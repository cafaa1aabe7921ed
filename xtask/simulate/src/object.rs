// SPDX-License-Identifier: Apache-2.0
//! A model of a `Vault` object: what `src/objects/vault/` does with the core's decisions, in the same order and
//! with the same places where others may run. Storage, alarm and memory end with a crash as the platform has it:
//! what was written before the last message left is durable.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;

use vault_base::ids::{AccountId, UserId};
use vault_base::seal::{SealError, Sealer};
use vault_base::time::UnixSeconds;
use vault_core::config::Config;
use vault_core::message::registry::{RegistryRequest, RegistryResponse};
use vault_core::vault::consent::NewGrant;
use vault_core::vault::contents::Contents;
use vault_core::vault::delete::{self, Deletion};
use vault_core::vault::exchange::{self, ExchangeStep};
use vault_core::vault::follow_up;
use vault_core::vault::holders::{self, AtProvider, Binding, Holder};
use vault_core::vault::home::Home;
use vault_core::vault::jobs::{self, Job};
use vault_core::vault::keep::{self, KeepOutcome};
use vault_core::vault::keep_alive::{self, KeepAliveStep};
use vault_core::vault::lease::{self, LeaseRequest, Lender};
use vault_core::vault::lifetime::{Alarm, StandingAlarm};
use vault_core::vault::plan::{Plan, Write};
use vault_core::vault::record::Selector;
use vault_core::vault::refresh;
use vault_core::vault::release::{
    self, NegativeCache, ReleaseError, RequestedToken, TokenUnavailable, Unobtainable,
};
use vault_core::vault::renew::{self, Renewing, Snapshot};
use vault_core::vault::revoke::{HoldersCheck, RevocationStep, Revoking};
use vault_provider::connection::Connection;
use vault_provider::endpoints::{Metadata, Provider};
use vault_provider::error_codes::TokenEndpointError;
use vault_provider::request;
use vault_provider::revocation::Revocation;

use crate::executor::{Bell, Flag, Group, OUTSIDE, Wait, hash};
use crate::isolates::Version;
use crate::storage::Storage;
use crate::world::{Endpoint, World};

/// As in `src/objects/vault/mod.rs`.
const REFRESHES: usize = 3;
const WAITS: usize = 100;
/// As in `src/objects/vault/jobs.rs`.
const JOBS_AT_ONCE: usize = 20;
/// As in `src/objects/vault/delete.rs`, in milliseconds.
const PATIENCE: i64 = 8_000;
/// As in `src/runtime/http_client.rs`, in seconds.
const TOKEN_TIME: i64 = 10;
const OTHER_TIME: i64 = 5;

/// Milliseconds after which a write is durable even if no message leaves.
const SAVED_AFTER: i64 = 50;

/// Why an object could not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed(pub &'static str);

impl From<SealError> for Failed {
    fn from(_: SealError) -> Self {
        Self("seal")
    }
}

/// One object, with what outlives a crash.
pub struct Vault {
    /// Its number.
    pub index: usize,
    /// Its owner.
    pub home: Home,
    /// The rows as the object sees them.
    pub stored: RefCell<Storage>,
    /// The rows that outlive a crash.
    durable: RefCell<Storage>,
    memory: RefCell<Option<Rc<Memory>>>,
    incarnations: Cell<Group>,
    /// When the alarm rings. While its handler runs, never.
    bell: Bell,
    /// Whether the alarm's handler runs.
    rings: Cell<bool>,
    /// When it was last written, in milliseconds.
    written_at: Cell<i64>,
    /// Refreshes whose responses are written and not yet durable.
    unflushed: RefCell<Vec<Option<usize>>>,
}

/// What a crash ends.
struct Memory {
    group: Group,
    /// How many messages are being answered.
    answering: Cell<usize>,
    flights: RefCell<BTreeMap<(String, String), Flag>>,
    held: RefCell<NegativeCache>,
    lender: Cell<Lender>,
    /// The alarm that is set, if the object knows it.
    alarm: Cell<StandingAlarm>,
}

/// Which flight a caller waited for.
enum Waited {
    Own,
    Others,
    Stopped(ReleaseError),
}

/// A token as a caller gets it.
#[derive(Debug, Clone)]
pub struct Released {
    /// The provider's access token.
    pub access_token: String,
    /// The scopes that the vault says it has.
    pub scopes: Vec<String>,
    /// `expires_in` in seconds.
    pub expires_in: i64,
    /// For how many seconds it is lent; 0: not at all.
    pub lease_seconds: i64,
}

/// The result of an exchange.
pub type Exchanged = Result<Result<Released, ReleaseError>, Failed>;

impl Vault {
    /// An empty vault of a user.
    pub fn new(index: usize, user: &str, config: &Config) -> Rc<Self> {
        let user = UserId { issuer: "https://idp.example/".into(), subject: user.into() };
        let sealer = Sealer::new(&config.key_ring, &config.names.vault(&user, "it"));
        Rc::new(Self {
            index,
            home: Home::new(user, "it".into(), sealer),
            stored: RefCell::default(),
            durable: RefCell::default(),
            memory: RefCell::default(),
            incarnations: Cell::new(0),
            bell: Bell::default(),
            rings: Cell::new(false),
            written_at: Cell::new(0),
            unflushed: RefCell::default(),
        })
    }

    /// Makes everything that was written durable, before a message leaves.
    pub fn flush(&self, world: &World) {
        self.durable.replace(self.stored.borrow().clone());
        for index in self.unflushed.take() {
            world.change_sent(index, |sent| sent.is_kept = true);
        }
    }

    /// The process ends. Its tasks and its memory are lost, and with `unsaved` also what was written since the
    /// last message left. A handler of the alarm that was interrupted runs again.
    pub fn crash(&self, world: &World, unsaved: bool) {
        let Some(memory) = self.memory.take() else {
            return;
        };
        let how = if unsaved { ", unsaved" } else { "" };
        world.say(|| format!("vault {} crashes{how}", self.index));
        world.executor.end(memory.group);
        world.forget_responses(memory.group);
        if unsaved && world.executor.now() - self.written_at.get() <= SAVED_AFTER {
            self.unflushed.take();
            self.stored.replace(self.durable.borrow().clone());
        } else {
            self.flush(world);
        }
        if let Err(error) = self.stored.borrow_mut().read_back() {
            world.violation(format!("a stored row cannot be read: {error}"));
        }
        let alarm = self.stored.borrow().alarm;
        let again = self.rings.take().then(|| world.executor.now() + 2_000);
        self.set_alarm(again.into_iter().chain(alarm).min());
        self.flush(world);
    }

    fn set_alarm(&self, at: Option<i64>) {
        self.stored.borrow_mut().alarm = at;
        self.bell.set(at.filter(|_| !self.rings.get()));
    }

    /// What the object stores, as a number.
    fn fingerprint(&self) -> u64 {
        let stored = self.stored.borrow();
        let mut all = hash(0, format!("{:?}", stored.contents.accounts).as_bytes());
        for row in &stored.contents.grants {
            let tokens =
                self.home.refresh_tokens(&row.account, &row.kind, &row.grant).ok().flatten();
            let tokens = tokens.map(|tokens| {
                let next = tokens.successor().map(|next| next.expose().to_owned());
                (tokens.own().expose().to_owned(), next)
            });
            let mut record = row.grant.record.clone();
            if let Some(intent) = &mut record.intent {
                intent.successor = None;
            }
            all = hash(all, format!("{tokens:?} {record:?}").as_bytes());
        }
        for row in &stored.contents.tokens {
            all = hash(all, format!("{:?} {:?}", row.selector, row.token.record).as_bytes());
        }
        for (id, due, job) in &stored.jobs {
            let what = match job {
                Job::Revoke { field, generation, attempt, doubtful, .. } => {
                    format!("revoke {field} {generation} {attempt} {doubtful}")
                }
                other => format!("{other:?}"),
            };
            all = hash(all, format!("{id} {due} {what}").as_bytes());
        }
        hash(all, format!("{:?}", stored.alarm).as_bytes())
    }

    /// What the object stores, in memory and on disk, as a number.
    pub fn state(&self) -> u64 {
        let flights =
            self.memory.borrow().as_ref().map_or(0, |memory| memory.flights.borrow().len());
        let unflushed = self.unflushed.borrow().len();
        hash(self.fingerprint(), format!("{flights} {unflushed} {}", self.rings.get()).as_bytes())
    }

    /// The object, started if it is not running.
    pub fn object(self: &Rc<Self>, world: &Rc<World>) -> Object {
        let memory = self.memory.borrow().clone();
        let memory = memory.unwrap_or_else(|| {
            let number = self.incarnations.get() + 1;
            self.incarnations.set(number);
            let started = if world.mechanisms.forgets_leases() { 0 } else { world.clock() };
            let group = u32::try_from(self.index).unwrap_or(0) * 100_000 + number;
            let memory = Rc::new(Memory {
                group,
                answering: Cell::new(0),
                flights: RefCell::default(),
                held: RefCell::default(),
                lender: Cell::new(Lender::started(started)),
                alarm: Cell::default(),
            });
            self.memory.replace(Some(memory.clone()));
            memory
        });
        Object { world: world.clone(), vault: self.clone(), memory }
    }

    /// Watches the alarm, as the platform does: a handler runs when it is due, one at a time.
    pub fn watch(self: &Rc<Self>, world: &Rc<World>) {
        let (vault, shared) = (self.clone(), world.clone());
        let watching = async move {
            loop {
                shared.executor.wait(Wait::Bell(vault.bell.clone())).await;
                vault.ring(&shared);
            }
        };
        world.executor.start(OUTSIDE, "alarm", watching);
    }

    fn ring(self: &Rc<Self>, world: &Rc<World>) {
        self.rings.set(true);
        self.set_alarm(None);
        let object = self.object(world);
        object.memory.alarm.take();
        let vault = self.clone();
        let group = object.memory.group;
        world.executor.start(group, "jobs", async move {
            if object.run_jobs().await.is_err() {
                object.memory.alarm.take();
                vault.set_alarm(Some(object.world.executor.now() + 300_000));
            }
            vault.rings.set(false);
            let alarm = vault.stored.borrow().alarm;
            vault.set_alarm(alarm);
            vault.flush(&object.world);
        });
    }
}

/// A running object.
#[derive(Clone)]
pub struct Object {
    /// What all tasks share.
    pub world: Rc<World>,
    /// The object's storage.
    pub vault: Rc<Vault>,
    memory: Rc<Memory>,
}

impl Object {
    /// The group of the object's tasks.
    pub fn group(&self) -> Group {
        self.memory.group
    }

    fn contents(&self) -> Contents {
        self.world.observe(|| self.vault.fingerprint());
        self.world.mechanisms.rows(self.vault.stored.borrow().contents.clone())
    }

    /// The storage, to be written.
    fn storage(&self) -> RefMut<'_, Storage> {
        self.vault.written_at.set(self.world.executor.now());
        self.vault.stored.borrow_mut()
    }

    fn now(&self) -> i64 {
        self.world.clock()
    }

    fn config(&self) -> Rc<Config> {
        self.world.config.borrow().clone()
    }

    fn carry_out(&self, plan: Plan) -> Vec<i64> {
        let plan = self.world.mechanisms.plan(plan);
        for event in &plan.events {
            let reason = event.reason.as_deref().unwrap_or_default();
            self.world
                .say(|| format!("vault {} logs {} {reason}", self.vault.index, event.event.name()));
        }
        self.storage().apply(plan.writes)
    }

    async fn schedule(&self) {
        let now = self.now();
        let due = match self.next_alarm() {
            Alarm::Never => None,
            Alarm::At(due) => Some(due),
            Alarm::ToDelete => Some(now),
        };
        if due.is_some_and(|due| self.memory.alarm.get().serves(due, now)) {
            return;
        }
        let standing = due.map(|due| StandingAlarm::set(due, now));
        self.memory.alarm.set(standing.unwrap_or_default());
        let wait = due.map(|due| (due - now).max(0) * 1000 + 50);
        self.vault.set_alarm(wait.map(|wait| self.world.executor.now() + wait));
        self.world.turn().await;
    }

    fn next_alarm(&self) -> Alarm {
        let is_working =
            self.memory.answering.get() > 0 || !self.memory.flights.borrow().is_empty();
        let stored = self.vault.stored.borrow().stored();
        stored.map_or(Alarm::Never, |stored| stored.alarm(is_working, self.now()))
    }

    /// Answers one message: `answer` in `src/objects/vault/mod.rs`.
    async fn answer<T>(&self, act: impl Future<Output = T>) -> T {
        self.memory.answering.set(self.memory.answering.get() + 1);
        let answer = act.await;
        self.memory.answering.set(self.memory.answering.get() - 1);
        answer
    }

    /// The provider's endpoints, with its metadata if it is an `OpenID` provider.
    async fn provider(&self, connection: &Connection) -> Result<Provider, TokenEndpointError> {
        self.world.turn().await;
        let Some(discovery) = Provider::discovery(connection) else {
            return Provider::new(connection, None)
                .map_err(|_| TokenEndpointError::Misconfigured("metadata".into()));
        };
        if self.world.chance(self.world.weather.get().metadata) {
            self.world.count("metadata unavailable");
            self.world.unreachable.borrow_mut().push(self.world.executor.now());
            return Err(TokenEndpointError::Unavailable { retry_after: None });
        }
        let issuer = discovery.issuer;
        let at = |path: &str| Some(format!("{issuer}/{path}"));
        let metadata = Metadata {
            issuer: issuer.to_owned(),
            jwks_uri: format!("{issuer}/jwks"),
            authorization_endpoint: at("authorize"),
            token_endpoint: at("token"),
            userinfo_endpoint: None,
            revocation_endpoint: at("revoke"),
            authorization_response_iss_parameter_supported: false,
        };
        Provider::new(connection, Some(&metadata))
            .map_err(|_| TokenEndpointError::Misconfigured("metadata".into()))
    }

    /// `exchange` in `src/objects/vault/mod.rs`.
    ///
    /// # Errors
    /// If the connection is not configured, or a key is missing.
    pub async fn exchange(&self, want: &RequestedToken, lease: Option<&LeaseRequest>) -> Exchanged {
        self.answer(self.exchanged(want, lease)).await
    }

    async fn exchanged(&self, want: &RequestedToken, lease: Option<&LeaseRequest>) -> Exchanged {
        let mut started = 0;
        for _ in 0..WAITS {
            let (contents, config) = (self.contents(), self.config());
            let connection = World::connection(&config).ok_or(Failed("configuration"))?;
            let step = {
                let held = self.memory.held.borrow();
                exchange::look(&self.vault.home, &contents, connection, want, &held, self.now())?
            };
            match step {
                ExchangeStep::Serve { access_token, scopes, expires_in, lendable, .. } => {
                    let access_token = access_token.expose().to_owned();
                    let lease_seconds = self.lend(lease, lendable);
                    return Ok(Ok(Released { access_token, scopes, expires_in, lease_seconds }));
                }
                ExchangeStep::Stop { problem, .. } => return Ok(Err(problem)),
                ExchangeStep::Refresh(..) if started == REFRESHES => break,
                ExchangeStep::Refresh(account, selector) => {
                    match self.refresh(&account, selector).await? {
                        Waited::Own => started += 1,
                        Waited::Others => {}
                        Waited::Stopped(problem) => return Ok(Err(problem)),
                    }
                }
            }
        }
        Ok(Err(ReleaseError::Unavailable { retry_after: 2 }))
    }

    /// `lend` in `src/objects/vault/mod.rs`.
    fn lend(&self, lease: Option<&LeaseRequest>, lendable: i64) -> i64 {
        let own = Version::deployed(&self.world).fingerprint();
        let lends_to_all = self.world.mechanisms.lends_to_other_versions();
        let Some(lease) = lease.filter(|lease| lends_to_all || lease.fingerprint == own) else {
            return 0;
        };
        let seconds = lendable.min(lease.seconds);
        let mut lender = self.memory.lender.get();
        lender.lend(seconds, self.now());
        self.memory.lender.set(lender);
        seconds
    }

    /// `lease_until` in `src/objects/vault/mod.rs`, with what it is given there.
    pub fn lease_until(&self, held_any: bool) -> Option<UnixSeconds> {
        let config = self.config();
        let longest = if held_any { lease::longest(World::connection(&config)) } else { 0 };
        self.memory.lender.get().lease_until(longest, self.now())
    }

    /// Whether the vault has an account.
    pub fn has_accounts(&self) -> bool {
        !self.contents().accounts.is_empty()
    }

    /// `refresh` in `src/objects/vault/renew.rs`.
    async fn refresh(&self, account: &AccountId, selector: Selector) -> Result<Waited, Failed> {
        let config = self.config();
        let connection = World::connection(&config).ok_or(Failed("configuration"))?;
        let kind = connection.grant_of(selector.kind()).to_owned();
        let checked = renew::check(&self.vault.home, &self.contents(), connection, account, &kind)?;
        if let Err(stopped) = checked {
            return Ok(Waited::Stopped(stopped.problem));
        }
        let key = (account.as_str().to_owned(), kind);
        let running = self.memory.flights.borrow().get(&key).cloned();
        let running = running.filter(|_| self.world.mechanisms.shares_flights());
        let starts = running.is_none();
        let over = running.unwrap_or_else(|| self.start_flight(key, account, selector));
        self.world.executor.wait(Wait::Flag(over, i64::MAX)).await;
        Ok(if starts { Waited::Own } else { Waited::Others })
    }

    fn start_flight(&self, key: (String, String), account: &AccountId, selector: Selector) -> Flag {
        let over = Flag::default();
        self.memory.flights.borrow_mut().insert(key.clone(), over.clone());
        let (this, id, done) = (self.clone(), account.clone(), over.clone());
        // The work outlives its caller.
        self.world.executor.start(self.memory.group, "flight", async move {
            // A failure is logged; the callers look at the vault again.
            let _ = this.renew(&id, &selector).await;
            this.memory.flights.borrow_mut().remove(&key);
            done.set(true);
        });
        over
    }

    /// `renew` in `src/objects/vault/renew.rs`.
    async fn renew(&self, id: &AccountId, selector: &Selector) -> Result<(), Failed> {
        let config = self.config();
        let connection = World::connection(&config).ok_or(Failed("configuration"))?;
        let home = &self.vault.home;
        let found = self.provider(connection).await;
        let (contents, now) = (self.contents(), self.now());
        let renewing = match Renewing::begin(home, &contents, connection, (id, selector), now) {
            Ok(Some(renewing)) => renewing,
            Ok(None) | Err(SealError::Corrupt) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let jobs = self.vault.stored.borrow().jobs.clone();
        let provider = match found {
            Ok(provider) => provider,
            Err(reason) => {
                let at = Snapshot { home, contents: &contents, jobs: &jobs, connection, now };
                self.carry_out(renewing.not_asked(at, reason)?);
                self.schedule().await;
                return Ok(());
            }
        };
        let callback = config.public_url.callback("it");
        let (token, named) = renewing.request(connection);
        let request = if renewing.is_first(connection) {
            request::first_refresh(connection, &provider, &callback, token)
        } else {
            request::refresh(connection, &provider, &callback, token, named.as_deref())
        };
        let request = request.ok_or(Failed("request"))?;
        self.carry_out(renewing.intent(&jobs));
        self.schedule().await;
        self.vault.flush(&self.world);
        let from = (self.vault.index, self.memory.group);
        let patience = refresh::flight_time(connection.rotation_leeway);
        let (received, sent) = self.world.send(from, request, Endpoint::Token, patience).await;
        let stored = self.world.mechanisms.rows_of_settlement(contents, self.contents());
        let (jobs, now) = (self.vault.stored.borrow().jobs.clone(), self.now());
        let at = Snapshot { home, contents: &stored, jobs: &jobs, connection, now };
        let answered = renewing.answered(at, provider.open_id.as_deref(), &received)?;
        if answered.is_refused_alone {
            let entry = Unobtainable::new(TokenUnavailable::Scopes, now);
            self.memory.held.borrow_mut().insert((id.clone(), selector.clone()), entry, now);
        }
        self.carry_out(answered.plan);
        self.vault.unflushed.borrow_mut().push(sent);
        self.schedule().await;
        Ok(())
    }

    /// `run_jobs` in `src/objects/vault/jobs.rs`.
    async fn run_jobs(&self) -> Result<(), Failed> {
        let now = self.now();
        let jobs = self.vault.stored.borrow().jobs.clone();
        let writes = follow_up::into_jobs(&self.contents(), &jobs, now);
        self.storage().apply(writes);
        for _ in 0..JOBS_AT_ONCE {
            let mut all = self.vault.stored.borrow().jobs.clone();
            let Some(next) = jobs::next(&all, now) else {
                break;
            };
            let (id, _, job) = all.swap_remove(next);
            let done = match &job {
                Job::Recover { account, generation, token_kind } => {
                    self.recover(account, token_kind, *generation).await
                }
                Job::AddReference { user, registration } => {
                    let registration = registration.as_ref();
                    self.hold(AtProvider { user: Some(user), registration }).await
                }
                Job::Bind { account, .. } => self.bind(account).await.unwrap_or(false),
                Job::KeepAlive { account, token_kind } => {
                    let due = self.keep_alive(account, token_kind).await;
                    let again = due.map(|due| Write::AddJob { job: job.clone(), due });
                    let writes = [Write::EndJob(id)].into_iter().chain(again).collect();
                    self.storage().apply(writes);
                    continue;
                }
                Job::Revoke { .. } => {
                    self.run_revocation(id, &job, HoldersCheck::Before, now).await?;
                    continue;
                }
            };
            let mut writes = vec![Write::EndJob(id)];
            if let (false, Some((job, due))) = (done, job.again(now)) {
                writes.push(Write::AddJob { job, due });
            }
            self.storage().apply(writes);
        }
        match self.next_alarm() {
            Alarm::ToDelete => {
                self.world.say(|| format!("vault {} is deleted as a whole", self.vault.index));
                self.memory.held.take();
                self.memory.alarm.take();
                *self.storage() = Storage::default();
                self.vault.set_alarm(None);
                self.world.turn().await;
            }
            _ => self.schedule().await,
        }
        Ok(())
    }

    /// `keep_alive` in `src/objects/vault/jobs.rs`.
    async fn keep_alive(&self, account: &AccountId, kind: &str) -> Option<UnixSeconds> {
        let look = || {
            let (contents, config) = (self.contents(), self.config());
            keep_alive::look(&contents, World::connection(&config), account, kind, self.now())
        };
        if let KeepAliveStep::Refresh { .. } = look() {
            self.refresh(account, Selector::new(kind, "", &[])).await.ok();
        }
        look().due()
    }

    /// `recover` in `src/objects/vault/jobs.rs`.
    async fn recover(&self, account: &AccountId, kind: &str, generation: u64) -> bool {
        let contents = self.contents();
        let grant = contents.grant(account, kind);
        let intent = grant.and_then(|sealed| sealed.record.intent.clone());
        let Some(intent) = intent.filter(|intent| intent.generation == generation) else {
            return true;
        };
        let selector = Selector::new(kind, "", &[]);
        let done = match self.refresh(account, selector).await {
            Ok(Waited::Stopped(problem)) => problem != release::registration_changed(),
            waited => waited.is_ok(),
        };
        done || refresh::is_given_up(&intent, self.now())
    }

    /// `keep` in `src/objects/vault/mod.rs`.
    ///
    /// # Errors
    /// If the grant is of another registration than the configured one, or the connection is not configured.
    pub async fn keep(&self, new: NewGrant) -> Result<bool, Failed> {
        self.answer(self.kept(new)).await
    }

    async fn kept(&self, new: NewGrant) -> Result<bool, Failed> {
        self.memory.held.take();
        let (contents, jobs) = (self.contents(), self.vault.stored.borrow().jobs.clone());
        let redeemed = self.vault.stored.borrow().redeemed(&new.account);
        let config = self.config();
        let connection = World::connection(&config).ok_or(Failed("configuration"))?;
        let home = &self.vault.home;
        let kept =
            keep::keep(home, &contents, &jobs, connection, redeemed.as_ref(), new, self.now())?;
        let (plan, registry) = match kept {
            KeepOutcome::Stored { plan, registry, .. } => (plan, registry),
            KeepOutcome::Before(_) => return Ok(true),
            KeepOutcome::OtherRegistration => return Err(Failed("registration_changed")),
            KeepOutcome::Gone | KeepOutcome::Narrower(_) | KeepOutcome::UnknownUser => {
                return Ok(false);
            }
        };
        let job = self.carry_out(plan).pop();
        self.schedule().await;
        if let (Some((user, registration)), Some(job)) = (registry, job) {
            let of = AtProvider { user: Some(&user), registration: registration.as_ref() };
            if self.hold(of).await {
                self.storage().end_job(job);
                self.schedule().await;
            }
        }
        Ok(true)
    }

    /// `delete` in `src/objects/vault/delete.rs`.
    ///
    /// # Errors
    /// If the registry does not answer: nothing is deleted.
    pub async fn delete(&self, id: &AccountId) -> Result<bool, Failed> {
        self.answer(self.deleted(id)).await
    }

    async fn deleted(&self, id: &AccountId) -> Result<bool, Failed> {
        let contents = self.contents();
        let Some(account) = contents.account(id) else {
            return Ok(false);
        };
        let user = account.identity.id.clone();
        let registration = contents.registration(id).cloned();
        let of = AtProvider { user: user.as_deref(), registration: registration.as_ref() };
        if let Some(user) = user.clone() {
            let job = Job::AddReference { user, registration: registration.clone() };
            self.storage().add_job(job, self.now() + jobs::HOLD_AGAIN);
            self.schedule().await;
        }
        let shared = self.registry(of, RegistryQuestion::Remove).await.ok_or(Failed("registry"))?;
        let (contents, now, config) = (self.contents(), self.now(), self.config());
        let connection = World::connection(&config);
        let shared = shared || holders::rests(&contents, connection, of, Some(id));
        let Some(Deletion { mut plan, jobs }) =
            delete::delete(&contents, id, connection, shared, now)
        else {
            return Ok(false);
        };
        keep_alive::end(&mut plan, &self.vault.stored.borrow().jobs, id);
        let added = self.carry_out(plan);
        self.schedule().await;
        let begun = self.world.executor.now();
        for (job_id, job) in added.into_iter().zip(jobs) {
            if self.world.executor.now() - begun < PATIENCE {
                self.run_revocation(job_id, &job, HoldersCheck::Now, now).await?;
            }
        }
        self.schedule().await;
        Ok(true)
    }

    async fn hold(&self, of: AtProvider<'_>) -> bool {
        let rests = || {
            let config = self.config();
            holders::rests(&self.contents(), World::connection(&config), of, None)
        };
        let before = rests();
        let what = if before { RegistryQuestion::Add } else { RegistryQuestion::Remove };
        let updated = self.registry(of, what).await.is_some();
        updated && before == rests()
    }

    async fn registry(&self, of: AtProvider<'_>, what: RegistryQuestion) -> Option<bool> {
        let config = self.config();
        let connection = World::connection(&config);
        let holders = holders::holders(&config.names, &self.vault.home, connection, of);
        let mut shared = holders.is_empty();
        for Holder { account, vault, .. } in holders {
            let message = match what {
                RegistryQuestion::Add => RegistryRequest::AddReference { account, vault },
                RegistryQuestion::Remove => RegistryRequest::RemoveReference { account, vault },
                RegistryQuestion::Others => RegistryRequest::Others { account, vault },
            };
            self.vault.flush(&self.world);
            match self.world.ask_registry(message).await? {
                RegistryResponse::Shared { shared: by_others } => shared |= by_others,
                _ => return Some(false),
            }
        }
        Some(shared)
    }

    async fn bind(&self, id: &AccountId) -> Result<bool, Failed> {
        let (contents, config) = (self.contents(), self.config());
        let connection = World::connection(&config).ok_or(Failed("configuration"))?;
        let home = &self.vault.home;
        let binding = holders::binding(&config.names, home, &contents, connection, id);
        let Binding::IfListed(Holder { account, vault, .. }, registration) = binding else {
            return Ok(true);
        };
        self.vault.flush(&self.world);
        let message = RegistryRequest::Lists { account, vault };
        match self.world.ask_registry(message).await {
            Some(RegistryResponse::Listed { listed: true }) => {
                let write = holders::bound(id, registration);
                self.storage().apply(vec![write]);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// `run_revocation` in `src/objects/vault/delete.rs`.
    async fn run_revocation(
        &self,
        id: i64,
        job: &Job,
        asked: HoldersCheck,
        now: i64,
    ) -> Result<Revocation, Failed> {
        let config = self.config();
        let (connection, callback) = (World::connection(&config), config.public_url.callback("it"));
        let mut revoking = Revoking::new(&self.vault.home, connection, &callback, job);
        let from = (self.vault.index, self.memory.group);
        let exists = || self.vault.stored.borrow().has_job(id);
        let mut step = revoking.begin(asked);
        loop {
            step = match step {
                RevocationStep::AskOthers => {
                    let others = self.registry(revoking.of(), RegistryQuestion::Others).await;
                    revoking.others(others, &self.contents())
                }
                RevocationStep::FindProvider(connection) => {
                    revoking.found(self.provider(connection).await.ok())
                }
                RevocationStep::Renew(_) | RevocationStep::Revoke(_) if !exists() => {
                    revoking.taken_back()
                }
                RevocationStep::Renew(request) => {
                    self.vault.flush(&self.world);
                    let sent = self.world.send(from, request, Endpoint::Token, TOKEN_TIME);
                    let (received, _) = sent.await;
                    revoking.renewed(&received, self.now())?
                }
                RevocationStep::Revoke(request) => {
                    self.vault.flush(&self.world);
                    let sent = self.world.send(from, request, Endpoint::Revocation, OTHER_TIME);
                    revoking.revoked(&sent.await.0)
                }
                RevocationStep::Settle => break,
            };
        }
        let (outcome, plan) = revoking.settle(id, exists(), now);
        self.carry_out(plan);
        Ok(outcome)
    }
}

/// The kinds of messages to the registry.
#[derive(Clone, Copy)]
enum RegistryQuestion {
    Add,
    Remove,
    Others,
}
