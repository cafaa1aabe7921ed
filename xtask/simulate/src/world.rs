// SPDX-License-Identifier: Apache-2.0
//! What all tasks of a run share: time, network, providers, the registry, the configuration, and the record of
//! what happened.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use vault_base::time::UnixSeconds;
use vault_core::config::Config;
use vault_core::message::registry::{RegistryRequest, RegistryResponse};
use vault_provider::connection::Connection;
use vault_provider::request::ProviderRequest;
use vault_provider::token_response::ProviderResponse;

use crate::choice::Choices;
use crate::executor::{Executor, Flag, Group, OUTSIDE, Wait, hash};
use crate::mechanisms::Mechanisms;
use crate::oracle;
use crate::provider::{Decided, Effect, Fault, Provider};

/// The time at which a run begins, Unix seconds.
pub const EPOCH: i64 = 1_795_492_800;

/// Which of a provider's endpoints a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// The token endpoint.
    Token,
    /// The revocation endpoint.
    Revocation,
}

/// A refresh request as it was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The vault that sent it.
    pub vault: usize,
    /// The incarnation of the object that sent it.
    pub group: u32,
    /// The refresh token.
    pub token: String,
    /// When it was sent, in milliseconds.
    pub at: i64,
    /// What goes wrong with it.
    pub fault: Fault,
    /// What it did, and when, in milliseconds, once the provider has decided.
    pub decided: Option<(Effect, i64)>,
    /// The refresh token that the provider made in its place.
    pub next: Option<String>,
    /// When the vault had the response, or knew that there is none, in milliseconds.
    pub heard: Option<i64>,
    /// Whether a response arrived while the vault waited for it.
    pub has_arrived: bool,
    /// Whether the response is durable in the vault.
    pub is_kept: bool,
}

/// What must not happen, and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Whether a grant was lost that could have been kept.
    pub is_loss: bool,
    /// What happened.
    pub what: String,
}

/// The platform's side of the faults: how often each happens, in percent.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// Requests to a provider that go wrong.
    pub requests: usize,
    /// Requests that a provider refuses although the token is valid.
    pub refusals: usize,
    /// Messages to the registry that are not answered.
    pub registry: usize,
    /// Metadata that cannot be fetched.
    pub metadata: usize,
    /// The longest time that a message takes in one direction, in milliseconds.
    pub latency: i64,
}

impl Weather {
    /// Nothing goes wrong.
    pub const FAIR: Self = Self { requests: 0, refusals: 0, registry: 0, metadata: 0, latency: 0 };
}

/// What all tasks share.
pub struct World {
    /// The scheduler.
    pub executor: Executor,
    /// The run's decisions.
    pub choices: RefCell<Choices>,
    /// The providers, by the first letter of their tokens.
    pub providers: RefCell<Vec<Provider>>,
    /// The vaults that rest on an account at a provider.
    pub registry: RefCell<BTreeMap<String, BTreeSet<String>>>,
    /// The configuration that is deployed now.
    pub config: RefCell<Rc<Config>>,
    /// Which code is deployed now.
    pub build: Cell<u32>,
    /// When the configured leases became shorter, in milliseconds of true time.
    pub leases_shortened_at: RefCell<Vec<i64>>,
    /// How far the vault's clock is ahead, in milliseconds.
    pub clock: Cell<i64>,
    /// When the vault's clock was set, in milliseconds of true time.
    pub clock_set_at: RefCell<Vec<i64>>,
    /// When metadata could not be fetched, in milliseconds.
    pub unreachable: RefCell<Vec<i64>>,
    /// When another configuration was deployed, in milliseconds: the periods with a wrong one.
    pub misconfigured: RefCell<Vec<(i64, i64)>>,
    /// What goes wrong.
    pub weather: Cell<Weather>,
    /// Faults that requests get next, before chance decides.
    pub next_faults: RefCell<Vec<Fault>>,
    /// Raised when the next refresh is sent.
    pub next_refresh: RefCell<Flag>,
    /// How plans are carried out.
    pub mechanisms: Rc<dyn Mechanisms>,
    /// All refresh requests.
    pub sent: RefCell<Vec<Sent>>,
    /// How long the response with an access token took, in milliseconds.
    pub delays: RefCell<BTreeMap<String, i64>>,
    /// What leases did.
    pub leases: RefCell<BTreeMap<&'static str, u64>>,
    /// How often each fault happened.
    pub faults: RefCell<BTreeMap<&'static str, u64>>,
    /// What must not happen, and did.
    pub violations: RefCell<Vec<Violation>>,
    /// Lines that tell what happens, if somebody reads them.
    pub trace: RefCell<Option<Vec<String>>>,
}

impl World {
    /// A world with these providers and this configuration.
    pub fn new(
        choices: Choices,
        providers: Vec<Provider>,
        config: Rc<Config>,
        mechanisms: Rc<dyn Mechanisms>,
        traced: bool,
    ) -> Rc<Self> {
        Rc::new(Self {
            executor: Executor::default(),
            choices: RefCell::new(choices),
            providers: RefCell::new(providers),
            registry: RefCell::default(),
            config: RefCell::new(config),
            build: Cell::new(0),
            leases_shortened_at: RefCell::default(),
            clock: Cell::new(0),
            clock_set_at: RefCell::default(),
            unreachable: RefCell::default(),
            misconfigured: RefCell::default(),
            weather: Cell::new(Weather::FAIR),
            next_faults: RefCell::default(),
            next_refresh: RefCell::default(),
            mechanisms,
            sent: RefCell::default(),
            delays: RefCell::default(),
            leases: RefCell::default(),
            faults: RefCell::default(),
            violations: RefCell::default(),
            trace: RefCell::new(traced.then(Vec::new)),
        })
    }

    /// The vault's clock, Unix seconds.
    pub fn clock(&self) -> UnixSeconds {
        EPOCH + (self.executor.now() + self.clock.get()).div_euclid(1000)
    }

    /// Adds a line to the trace.
    pub fn say(&self, line: impl FnOnce() -> String) {
        if let Some(lines) = self.trace.borrow_mut().as_mut() {
            let now = self.executor.now();
            lines.push(format!("{:>10}.{:03}  {}", now / 1000, now % 1000, line()));
        }
    }

    /// Records what must not happen.
    pub fn violation(&self, what: String) {
        self.say(|| format!("VIOLATION {what}"));
        self.violations.borrow_mut().push(Violation { is_loss: false, what });
    }

    /// Records a grant that was lost and could have been kept.
    pub fn loss(&self, what: String) {
        self.say(|| format!("LOSS {what}"));
        self.violations.borrow_mut().push(Violation { is_loss: true, what });
    }

    /// Adds what the running task reads to what identifies its progress, where a search compares states.
    pub fn observe(&self, what: impl FnOnce() -> u64) {
        if matches!(*self.choices.borrow(), Choices::Listed { .. }) {
            self.executor.observe(&what().to_le_bytes());
        }
    }

    /// Counts a fault.
    pub fn count(&self, what: &'static str) {
        *self.faults.borrow_mut().entry(what).or_default() += 1;
    }

    /// Counts what leases did.
    pub fn count_lease(&self, what: &'static str, more: u64) {
        *self.leases.borrow_mut().entry(what).or_default() += more;
    }

    /// The true time in milliseconds at which the vault's clock, as it is set now, shows this time.
    pub fn true_time(&self, shown: UnixSeconds) -> i64 {
        (shown - EPOCH) * 1000 - self.clock.get()
    }

    /// The connection as configured now, if it is.
    pub fn connection(config: &Config) -> Option<&Connection> {
        config.connections.get("it")
    }

    /// Whether the configuration says after which time the provider ends idle grants.
    pub fn keeps_alive(&self) -> bool {
        let config = self.config.borrow().clone();
        Self::connection(&config).is_some_and(|connection| connection.keep_alive.is_some())
    }

    /// Whether something happens that has this probability, in percent. It does not in fair weather.
    pub fn chance(&self, percent: usize) -> bool {
        percent > 0 && self.choices.borrow_mut().happens(percent)
    }

    /// Waits for the next turn: where the platform may let others run.
    pub async fn turn(&self) {
        self.executor.wait(Wait::Turn).await;
    }

    /// Waits for some milliseconds of true time.
    pub async fn sleep(&self, milliseconds: i64) {
        let until = self.executor.now() + milliseconds;
        self.executor.wait(Wait::Until(until)).await;
    }

    /// Sends a request, and waits for the response for at most `patience` seconds. The provider goes on without
    /// the vault. Returns the response, and for a refresh its index in [`World::sent`].
    pub async fn send(
        self: &Rc<Self>,
        from: (usize, u32),
        request: ProviderRequest,
        endpoint: Endpoint,
        patience: i64,
    ) -> (ProviderResponse, Option<usize>) {
        let fault = self.choose_fault(endpoint);
        let index = self.record(from, &request, endpoint, fault);
        if index.is_some() {
            oracle::check_request(self);
        }
        let arrived: Flag = Flag::default();
        let slot: Rc<RefCell<Option<ProviderResponse>>> = Rc::default();
        let work = {
            let (world, arrived, slot) = (self.clone(), arrived.clone(), slot.clone());
            let (there, back) = (self.latency(), self.latency());
            async move {
                world.sleep(there).await;
                let response = world.decide(&request, endpoint, fault, index);
                world.sleep(back).await;
                match fault {
                    Fault::Slow(seconds) => world.sleep(seconds * 1000).await,
                    Fault::Hangs => world.sleep(200_000).await,
                    _ => {}
                }
                slot.replace(Some(response));
                arrived.set(true);
            }
        };
        self.executor.start(OUTSIDE, "provider", work);
        let deadline = self.executor.now() + patience * 1000;
        self.executor.wait(Wait::Flag(arrived, deadline)).await;
        let response = slot.take().unwrap_or(ProviderResponse::Lost);
        self.observe(|| hash(0, outline(&response).as_bytes()));
        if let Some(sent) = index.and_then(|index| self.sent.borrow().get(index).cloned()) {
            if let (Some(token), Some((_, at))) = (member(&response, "access_token"), sent.decided)
            {
                self.delays.borrow_mut().insert(token, self.executor.now() - at);
            }
            let now = self.executor.now();
            let has_arrived = !matches!(response, ProviderResponse::Lost);
            self.change_sent(index, |sent| {
                sent.heard = Some(now);
                sent.has_arrived = has_arrived;
            });
            self.say(|| {
                format!("vault {} heard {} for {}", sent.vault, outline(&response), sent.token)
            });
        }
        (response, index)
    }

    /// How long a message takes in one direction, in milliseconds.
    pub fn latency(&self) -> i64 {
        self.choices.borrow_mut().between(0, self.weather.get().latency)
    }

    fn choose_fault(&self, endpoint: Endpoint) -> Fault {
        if let Some(next) = self.next_faults.borrow_mut().pop() {
            return next;
        }
        let weather = self.weather.get();
        if endpoint == Endpoint::Token && self.chance(weather.refusals) {
            return Fault::RefusesLiveToken;
        }
        if !self.chance(weather.requests) {
            return Fault::None;
        }
        let chosen = self.choices.borrow_mut().below(Fault::ALL.len());
        Fault::ALL.get(chosen).copied().unwrap_or(Fault::None)
    }

    fn record(
        &self,
        (vault, group): (usize, u32),
        request: &ProviderRequest,
        endpoint: Endpoint,
        fault: Fault,
    ) -> Option<usize> {
        if fault != Fault::None {
            self.count(fault.name());
        }
        let body = request.body.as_ref().map(|body| body.text.expose()).unwrap_or_default();
        let sends = |name: &str| {
            let pairs = url::form_urlencoded::parse(body.as_bytes());
            pairs.into_owned().find(|(key, _)| key == name).map(|(_, value)| value)
        };
        let host = request.url.host_str().unwrap_or_default().to_owned();
        if endpoint == Endpoint::Revocation {
            let token = sends("token").unwrap_or_default();
            self.say(|| format!("vault {vault} revokes {token} at {host} ({})", fault.name()));
            return None;
        }
        let token = sends("refresh_token").unwrap_or_default();
        self.say(|| format!("vault {vault} sends {token} to {host} ({})", fault.name()));
        let at = self.executor.now();
        self.next_refresh.take().set(true);
        let sent = Sent {
            vault,
            group,
            token,
            at,
            fault,
            decided: None,
            next: None,
            heard: None,
            has_arrived: false,
            is_kept: false,
        };
        let mut all = self.sent.borrow_mut();
        all.push(sent);
        Some(all.len() - 1)
    }

    fn decide(
        &self,
        request: &ProviderRequest,
        endpoint: Endpoint,
        fault: Fault,
        index: Option<usize>,
    ) -> ProviderResponse {
        let host = request.url.host_str().unwrap_or_default();
        let now = self.executor.now();
        let mut providers = self.providers.borrow_mut();
        let Some(provider) = providers.iter_mut().find(|one| host.starts_with(one.letter)) else {
            return ProviderResponse::Lost;
        };
        if endpoint == Endpoint::Revocation {
            return provider.revoke(request, fault);
        }
        let Decided { effect, next, response } = provider.token(request, fault, now);
        self.change_sent(index, |sent| {
            sent.decided = Some((effect, now));
            sent.next = next;
        });
        response
    }

    /// Changes the record of a request.
    pub fn change_sent(&self, index: Option<usize>, change: impl FnOnce(&mut Sent)) {
        let mut all = self.sent.borrow_mut();
        if let Some(sent) = index.and_then(|index| all.get_mut(index)) {
            change(sent);
        }
    }

    /// The tasks of a group have ended: nobody waits for their responses any more.
    pub fn forget_responses(&self, group: Group) {
        let now = self.executor.now();
        for sent in self.sent.borrow_mut().iter_mut().filter(|sent| sent.group == group) {
            sent.heard.get_or_insert(now);
        }
    }

    /// Sends a message to the registry, as `src/objects/registry.rs` answers it. `None` if it does not.
    pub async fn ask_registry(&self, message: RegistryRequest) -> Option<RegistryResponse> {
        self.turn().await;
        let is_lost = self.chance(self.weather.get().registry);
        let answer = self.registry_answers(message);
        self.turn().await;
        if is_lost {
            self.count("registry did not answer");
            return None;
        }
        Some(answer)
    }

    fn registry_answers(&self, message: RegistryRequest) -> RegistryResponse {
        let mut registry = self.registry.borrow_mut();
        let others = |holders: &BTreeSet<String>, vault: &String| RegistryResponse::Shared {
            shared: holders.iter().any(|holder| holder != vault),
        };
        match message {
            RegistryRequest::AddReference { account, vault } => {
                registry.entry(account).or_default().insert(vault);
                RegistryResponse::ReferenceAdded
            }
            RegistryRequest::RemoveReference { account, vault } => {
                let holders = registry.entry(account).or_default();
                holders.remove(&vault);
                others(holders, &vault)
            }
            RegistryRequest::Others { account, vault } => {
                others(registry.entry(account).or_default(), &vault)
            }
            RegistryRequest::Lists { account, vault } => RegistryResponse::Listed {
                listed: registry.get(&account).is_some_and(|holders| holders.contains(&vault)),
            },
            _ => RegistryResponse::Added,
        }
    }
}

/// What a response is, for the trace.
fn outline(response: &ProviderResponse) -> String {
    match response {
        ProviderResponse::Cut { status, .. } => format!("the beginning of a {status}"),
        ProviderResponse::Lost => "nothing".into(),
        ProviderResponse::Answer { status, .. } => {
            let told = member(response, "error").or_else(|| member(response, "refresh_token"));
            format!("{status} {}", told.unwrap_or_default())
        }
    }
}

/// A member of a response's document.
fn member(response: &ProviderResponse, name: &str) -> Option<String> {
    let ProviderResponse::Answer { body, .. } = response else {
        return None;
    };
    let document: serde_json::Value = serde_json::from_str(body.expose()).ok()?;
    Some(document.get(name)?.as_str()?.to_owned())
}
