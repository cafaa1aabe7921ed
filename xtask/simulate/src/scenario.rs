// SPDX-License-Identifier: Apache-2.0
//! One run from a seed: users, callers, providers and everything that goes wrong, then calm until all jobs have
//! come to an end, then the judgement.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::{Value, json};
use vault_base::encoding::{base64url, sha256};
use vault_base::ids::AccountId;
use vault_base::secret::Secret;
use vault_core::config::{Config, Variables};
use vault_core::vault::consent::NewGrant;
use vault_core::vault::follow_up;
use vault_core::vault::jobs::Job;
use vault_core::vault::lease;
use vault_core::vault::record::{Account, AccountState};
use vault_core::vault::release::RequestedToken;

use crate::choice::Choices;
use crate::executor::{Flag, OUTSIDE, Wait};
use crate::isolates::{Call, Isolates};
use crate::mechanisms::Mechanisms;
use crate::object::{Object, Vault};
use crate::oracle::{self, Ended, FamilyOf, Verdict};
use crate::provider::{Behaviour, Granted, Provider, Rotation};
use crate::world::{Violation, Weather, World};

mod exchanges;

use exchanges::{Ending, Raised};

/// Seconds of calm at the end of a run: longer than any job of the vault lasts.
const CALM: i64 = 40 * 86_400;

/// Milliseconds for which a caller waits (the deadline of a question to an object).
const CALLER_PATIENCE: i64 = 15_000;

/// Seconds for which an application may repeat the completion of a connect.
const REPEATABLE: i64 = 600;

/// What a run found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Refresh requests that were sent.
    pub refreshes: u64,
    /// Exchanges that were answered, with a token or an error.
    pub answered: u64,
    /// Grants that the vault still holds, or held until it was told to delete or replace them.
    pub kept: u64,
    /// Grants that were lost and could not have been kept, by cause.
    pub losses: BTreeMap<&'static str, u64>,
    /// How often each fault happened.
    pub faults: BTreeMap<&'static str, u64>,
    /// What leases did.
    pub leases: BTreeMap<&'static str, u64>,
    /// What must not happen, and did.
    pub violations: Vec<Violation>,
    /// What happened, line by line, if it was asked for.
    pub trace: Vec<String>,
}

/// A run with its actors.
struct Run {
    world: Rc<World>,
    vaults: Vec<Rc<Vault>>,
    /// The users at the provider, by vault.
    users: Vec<String>,
    configs: Configs,
    isolates: Rc<Isolates>,
    /// Families of deleted accounts, by vault.
    deleted: Vec<RefCell<Vec<FamilyOf>>>,
    /// Families of deleted accounts and replaced grants, by vault, as far as their leases have an end.
    ended: Vec<RefCell<Vec<Ended>>>,
    /// Whether the version before wrote some of the rows and messages. They name no registration, so no other
    /// configuration is deployed in such a run: nothing could tell it apart.
    has_old_rows: bool,
    consents: Cell<u32>,
    answered: Cell<u64>,
    /// Exchanges that no crash and no caller ended, and that are not answered.
    open: RefCell<BTreeSet<u64>>,
    calls: Cell<u64>,
    kept: Cell<u64>,
    losses: RefCell<BTreeMap<&'static str, u64>>,
    /// The token that was released last, by vault.
    released: RefCell<BTreeMap<usize, String>>,
    /// Grants that were judged as lost already.
    judged: RefCell<BTreeSet<(usize, String, u64)>>,
}

/// The configurations that may be deployed.
struct Configs {
    /// The first one, and those that differ in the life of leases only.
    right: Vec<Rc<Config>>,
    wrong: Vec<Rc<Config>>,
}

impl Configs {
    fn first(&self) -> &Rc<Config> {
        let Some(first) = self.right.first() else { unreachable!("one is right") };
        first
    }
}

/// Runs one seed.
pub fn run(seed: u64, mechanisms: Rc<dyn Mechanisms>, traced: bool) -> Outcome {
    let mut choices = Choices::seeded(seed);
    let behaviour = behaviour(&mut choices);
    let is_documented = choices.happens(70);
    let right = |lease: i64| {
        let mut entry = entry('a', "c", behaviour, is_documented);
        if let Some(fields) = entry.as_object_mut() {
            fields.insert("lease_seconds".into(), json!(lease));
        }
        config(&entry)
    };
    let configs = Configs {
        right: vec![right(15 + 45 * choices.between(0, 1)), right(choices.between(0, 60))],
        wrong: vec![
            config(&entry('b', "c", behaviour, is_documented)),
            config(&entry('a', "other", behaviour, is_documented)),
            config(&Value::Null),
        ],
    };
    let providers = vec![Provider::new('a', behaviour), Provider::new('b', behaviour)];
    let (shared, has_old_rows) = (choices.happens(30), choices.happens(25));
    let world = World::new(choices, providers, configs.first().clone(), mechanisms, traced);
    world.say(|| format!("seed {seed}: {behaviour:?}, documented: {is_documented}"));
    let names: &[&str] = if shared { &["alice", "bob"] } else { &["alice"] };
    let vaults = names.iter().enumerate();
    let vaults: Vec<_> =
        vaults.map(|(index, name)| Vault::new(index, name, configs.first())).collect();
    let run = Rc::new(Run {
        users: vaults.iter().map(|_| "u1".to_owned()).collect(),
        deleted: vaults.iter().map(|_| RefCell::default()).collect(),
        ended: vaults.iter().map(|_| RefCell::default()).collect(),
        isolates: Rc::new(Isolates::new(&world)),
        world,
        vaults,
        configs,
        has_old_rows,
        consents: Cell::new(0),
        answered: Cell::new(0),
        open: RefCell::default(),
        calls: Cell::new(0),
        kept: Cell::new(0),
        losses: RefCell::default(),
        released: RefCell::default(),
        judged: RefCell::default(),
    });
    run.go();
    let world = &run.world;
    Outcome {
        refreshes: u64::try_from(world.sent.borrow().len()).unwrap_or(0),
        answered: run.answered.get(),
        kept: run.kept.get(),
        losses: run.losses.take(),
        faults: world.faults.take(),
        leases: world.leases.take(),
        violations: world.violations.take(),
        trace: world.trace.take().unwrap_or_default(),
    }
}

fn behaviour(choices: &mut Choices) -> Behaviour {
    let rotations = [
        Rotation::Strict,
        Rotation::Strict,
        Rotation::LeewayByTime(30),
        Rotation::LeewayByTime(60),
        Rotation::LeewayByTime(300),
        Rotation::LeewayByUse,
        Rotation::None,
    ];
    let chosen = choices.below(rotations.len());
    let lifetimes = [60, 120, 600, 3600];
    let lifetime = choices.below(lifetimes.len());
    Behaviour {
        rotation: rotations.get(chosen).copied().unwrap_or(Rotation::Strict),
        lifetime: lifetimes.get(lifetime).copied().unwrap_or(3600),
        tells_lifetime: choices.happens(85),
        ends_access_token: choices.happens(25),
        one_consent: choices.happens(20),
        idle_days: choices.happens(25).then_some(8),
        open_id: choices.happens(50),
    }
}

/// The connection to a provider, as an entry of `CONNECTIONS`. `is_known`: it tells what the provider documents.
pub(crate) fn entry(letter: char, client_id: &str, behaviour: Behaviour, is_known: bool) -> Value {
    let address = format!("https://{letter}.example");
    let mut entry = json!({
        "client_id": client_id,
        "scopes": ["read", "write"],
        "down_scoping": true,
        "revocation": {"blast": "token"},
        "refresh_ends_access_token": behaviour.ends_access_token,
    });
    let more = if behaviour.open_id {
        json!({"kind": "oidc", "issuer": address})
    } else {
        json!({
            "kind": "oauth2",
            "authorization_endpoint": format!("{address}/authorize"),
            "token_endpoint": format!("{address}/token"),
            "revocation_endpoint": format!("{address}/revoke"),
            "identity": {"from": "answer", "id": "user"},
        })
    };
    let rotation = match behaviour.rotation {
        Rotation::None if is_known => json!({"rotation": "none"}),
        Rotation::None => json!({}),
        Rotation::LeewayByTime(leeway) if is_known => {
            json!({"rotation": "single_use", "reuse_grace": leeway})
        }
        _ => json!({"rotation": "single_use"}),
    };
    let idle = match behaviour.idle_days {
        Some(days) if is_known => json!({"keep_alive_days": days}),
        _ => json!({}),
    };
    for part in [more, rotation, idle] {
        if let (Some(entry), Value::Object(part)) = (entry.as_object_mut(), part) {
            entry.extend(part);
        }
    }
    entry
}

/// A configuration with this connection. `null`: without one.
pub(crate) fn config(entry: &Value) -> Rc<Config> {
    let key = base64url([7; 32]);
    let connections = if entry.is_null() { json!({}) } else { json!({"it": entry}) };
    let secrets = if entry.is_null() { json!({}) } else { json!({"it": "s"}) };
    let variables = [
        ("PUBLIC_URL", json!("https://vault.example.com")),
        ("KEY_RING", json!({"write": "k1", "keys": {"k1": key}})),
        ("OBJECT_NAME_KEY", json!(key)),
        ("CONNECTIONS", connections),
        ("PROVIDER_SECRETS", secrets),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    match Config::load(&Variables::from_iter(variables)) {
        Ok(config) => Rc::new(config),
        Err(error) => unreachable!("the configuration is valid: {error}"),
    }
}

impl Run {
    fn go(self: &Rc<Self>) {
        self.world.weather.set(self.weather());
        for vault in &self.vaults {
            vault.watch(&self.world);
        }
        for index in 0..self.vaults.len() {
            let this = self.clone();
            let start = async move { this.begin(index).await };
            self.world.executor.start(OUTSIDE, "user", start);
        }
        let this = self.clone();
        self.world.executor.start(OUTSIDE, "operator", async move { this.operate().await });
        self.run_until(7 * 86_400_000);
        self.calm();
        self.judge_all();
    }

    fn weather(&self) -> Weather {
        let mut choices = self.world.choices.borrow_mut();
        Weather {
            requests: [0, 10, 30, 60].get(choices.below(4)).copied().unwrap_or(0),
            refusals: choices.below(2),
            registry: [0, 20].get(choices.below(2)).copied().unwrap_or(0),
            metadata: [0, 5].get(choices.below(2)).copied().unwrap_or(0),
            latency: [0, 300, 3000].get(choices.below(3)).copied().unwrap_or(0),
        }
    }

    fn run_until(&self, end: i64) {
        // More turns than any run needs: a run that does not end is a fault of its own.
        for _ in 0..200_000 {
            if !self.world.executor.step(&self.world.choices, end) {
                self.world.executor.pass(end);
                return;
            }
        }
        self.world.violation("the run does not come to an end".into());
    }

    /// Nothing goes wrong any more, nobody calls, and the right configuration is deployed.
    fn calm(self: &Rc<Self>) {
        self.world.say(|| "calm".into());
        self.world.weather.set(Weather::FAIR);
        self.deploy(None);
        self.run_until(self.world.executor.now() + CALM * 1000);
        for (what, count) in self.isolates.account_for(&self.world, self.vaults.len()) {
            self.world.count_lease(what, count);
        }
        if !self.open.borrow().is_empty() {
            self.world.violation(format!("{} callers have no answer", self.open.borrow().len()));
        }
        for vault in &self.vaults {
            let mut jobs = vault.stored.borrow().jobs.clone();
            // That one goes on for as long as the grant.
            jobs.retain(|(.., job)| !matches!(job, Job::KeepAlive { .. }));
            if !jobs.is_empty() {
                let kinds: Vec<_> = jobs.iter().map(|(_, _, job)| job.kind()).collect();
                self.world.violation(format!("jobs do not come to an end: {kinds:?}"));
            }
            let stored = vault.stored.borrow();
            if follow_up::next(&stored.contents).is_some() {
                self.world.violation("a refresh in flight is not followed up".into());
            }
            if stored.contents.accounts.is_empty() && stored.stored().is_some() {
                self.world.violation(format!("vault {} is empty and still stored", vault.index));
            }
        }
        for provider in self.world.providers.borrow().iter() {
            for token in &provider.foreign {
                self.world.violation(format!("{token} was sent to {}", provider.issuer()));
            }
        }
    }

    fn judge_all(self: &Rc<Self>) {
        for provider in self.world.providers.borrow_mut().iter_mut() {
            provider.end_idle(self.world.executor.now());
        }
        for index in 0..self.vaults.len() {
            self.judge(index, true);
        }
        // What is kept must work.
        for (index, vault) in self.vaults.iter().enumerate() {
            let has_account = default_account(vault).is_some_and(|account| {
                oracle::judge(&self.world, vault, &account) == Verdict::Kept
            });
            if has_account {
                let answered: Rc<Cell<Option<bool>>> = Rc::default();
                let (this, slot) = (self.clone(), answered.clone());
                let object = vault.object(&self.world);
                self.world.executor.start(object.group(), "last caller", async move {
                    let last = this.exchange(&object, index, &plain(&[]), None).await;
                    slot.set(Some(matches!(last, Ok(Ok(_)))));
                });
                self.run_until(self.world.executor.now() + 600_000);
                if answered.get() != Some(true) {
                    self.world.violation(format!("vault {index}: a kept grant brings no token"));
                }
            }
        }
    }

    /// Judges the accounts of a vault. Before the end, only those that the vault has given up.
    fn judge(&self, index: usize, at_end: bool) {
        let Some(vault) = self.vaults.get(index) else {
            return;
        };
        let accounts = vault.stored.borrow().contents.accounts.clone();
        for account in accounts {
            if !at_end && account.state == AccountState::Active {
                continue;
            }
            let generation = vault
                .stored
                .borrow()
                .contents
                .grant(&account.id, "")
                .map(|grant| grant.record.generation);
            let key = (index, account.id.to_string(), generation.unwrap_or(0));
            if !self.judged.borrow_mut().insert(key) {
                continue;
            }
            match oracle::judge(&self.world, vault, &account) {
                Verdict::Kept => self.kept.set(self.kept.get() + 1),
                Verdict::Lost(cause) => {
                    self.world.say(|| format!("vault {index} lost {}: {cause}", account.id));
                    *self.losses.borrow_mut().entry(cause).or_default() += 1;
                }
                Verdict::Violation(what) => self.world.loss(format!("vault {index}: {what}")),
            }
        }
    }

    /// The SHA-256 of the token that was released last, which a caller may find to be refused.
    fn last_token(&self, index: usize) -> Option<String> {
        let released = self.released.borrow();
        released.get(&index).map(|token| base64url(sha256(token)))
    }

    fn below(&self, bound: usize) -> usize {
        self.world.choices.borrow_mut().below(bound)
    }

    fn between(&self, from: i64, to: i64) -> i64 {
        self.world.choices.borrow_mut().between(from, to)
    }

    fn happens(&self, percent: usize) -> bool {
        self.world.choices.borrow_mut().happens(percent)
    }

    /// A user connects, then the user's callers come.
    async fn begin(self: Rc<Self>, index: usize) {
        self.connect(index, true).await;
        self.forget_what_is_new(index);
        for _ in 0..=self.below(3) {
            let this = self.clone();
            self.world.executor.start(OUTSIDE, "caller", async move { this.call(index).await });
        }
    }

    /// The rows become those of a version before: without registration, without what an intent counts now, and with
    /// a job where an intent says when it is followed up.
    fn forget_what_is_new(&self, index: usize) {
        let Some(vault) = self.vaults.get(index).filter(|_| self.has_old_rows) else {
            return;
        };
        self.world.say(|| format!("vault {index} has rows of the previous version"));
        let mut stored = vault.stored.borrow_mut();
        let jobs = follow_up::into_jobs(&stored.contents, &stored.jobs, i64::MAX);
        stored.apply(jobs);
        for row in &mut stored.contents.grants {
            row.grant.record.registration = None;
            if let Some(intent) = &mut row.grant.record.intent {
                intent.unexplained = None;
            }
        }
    }

    /// An application that calls now and then.
    async fn call(self: Rc<Self>, index: usize) {
        for _ in 0..=self.below(20) {
            let gap = match self.below(5) {
                0 => self.between(0, 300),
                1 => self.between(0, 20_000),
                2 => self.between(30_000, 90_000),
                3 => self.between(0, 1_200_000),
                _ => self.between(0, 8_000_000),
            };
            self.world.sleep(gap).await;
            let want = match self.below(12) {
                0 => RequestedToken { exact: true, ..plain(&["read"]) },
                1 => plain(&["read"]),
                2 => plain(&["admin"]),
                3 => RequestedToken { min_ttl: 600, ..plain(&[]) },
                4 => RequestedToken { refused_token: self.last_token(index), ..plain(&[]) },
                _ => plain(&[]),
            };
            let client = if self.happens(80) { "app" } else { "agent" };
            let cache_control = self.happens(5).then_some("no-cache");
            self.ask(index, Call { client, want, cache_control }).await;
        }
    }

    /// An application that asks again and again, so that isolates have leases when something happens.
    fn press(self: &Rc<Self>, index: usize) {
        let this = self.clone();
        self.world.executor.start(OUTSIDE, "press", async move {
            for _ in 0..this.between(5, 30) {
                let call = Call { client: "app", want: plain(&[]), cache_control: None };
                this.ask(index, call).await;
                this.world.sleep(this.between(0, 8_000)).await;
            }
        });
    }

    /// What happens from outside: crashes, clocks, deployments, users.
    async fn operate(self: Rc<Self>) {
        for _ in 0..=self.below(12) {
            let gap = match self.below(4) {
                0 => self.between(0, 3_000),
                1 => self.between(0, 60_000),
                2 => self.between(0, 10_000_000),
                _ => {
                    // While a refresh is under way.
                    let sent = self.world.next_refresh.borrow().clone();
                    let deadline = self.world.executor.now() + 10_000_000;
                    self.world.executor.wait(Wait::Flag(sent, deadline)).await;
                    self.between(0, 2_000)
                }
            };
            self.world.sleep(gap).await;
            let index = self.below(self.vaults.len());
            if self.happens(40) {
                self.press(index);
                self.world.sleep(self.between(0, 30_000)).await;
            }
            match self.below(15) {
                0..=4 => self.crash(index),
                5 => self.set_clock(),
                6 | 7 if self.has_old_rows => self.crash(index),
                6 | 7 => self.redeploy().await,
                8 | 9 => self.connect(index, true).await,
                10 => self.connect(index, false).await,
                11 => self.delete(index).await,
                12 => self.forget_what_is_new(index),
                13 => self.update(),
                _ => self.withdraw(),
            }
        }
    }

    fn crash(&self, index: usize) {
        if let Some(vault) = self.vaults.get(index) {
            self.world.count("crash");
            vault.crash(&self.world, self.happens(50));
        }
    }

    /// The object may crash while it answers what comes next.
    fn may_crash_soon(self: &Rc<Self>, index: usize) {
        if !self.happens(10) {
            return;
        }
        let (this, wait) = (self.clone(), self.between(0, 1_000));
        self.world.executor.start(OUTSIDE, "crash", async move {
            this.world.sleep(wait).await;
            this.crash(index);
        });
    }

    fn set_clock(&self) {
        let (sign, size) = (self.between(0, 1) * 2 - 1, self.between(1, 7_200_000));
        self.world.count(if sign > 0 { "clock set forward" } else { "clock set back" });
        self.world.say(|| format!("the clock is set by {} s", sign * size / 1000));
        self.world.clock.set(self.world.clock.get() + sign * size);
        self.world.clock_set_at.borrow_mut().push(self.world.executor.now());
    }

    /// Deploys a wrong configuration, and the right one again later.
    async fn redeploy(&self) {
        self.world.count("wrong deployment");
        let chosen = self.below(self.configs.wrong.len());
        self.deploy(Some(chosen));
        self.world.sleep(self.between(0, 3_600_000)).await;
        self.deploy(None);
    }

    /// A new version of the Worker starts each object anew.
    fn deploy(&self, wrong: Option<usize>) {
        let config = wrong.and_then(|index| self.configs.wrong.get(index));
        let right = self.configs.first();
        self.world.say(|| {
            format!("deployed: {}", wrong.map_or("right".into(), |index| format!("wrong {index}")))
        });
        let now = self.world.executor.now();
        let mut periods = self.world.misconfigured.borrow_mut();
        match (config.is_some(), periods.last_mut()) {
            (true, _) => periods.push((now, i64::MAX)),
            (false, Some((_, to))) if *to == i64::MAX => *to = now,
            _ => {}
        }
        drop(periods);
        self.start_anew(config.unwrap_or(right));
    }

    /// Deploys other code, or leases of another life.
    fn update(&self) {
        let chosen = self.below(self.configs.right.len());
        let Some(config) = self.configs.right.get(chosen) else {
            return;
        };
        self.world.count("new version");
        self.world.say(|| format!("deployed: a new version with the leases of {chosen}"));
        self.world.build.set(self.world.build.get() + 1);
        self.start_anew(config);
    }

    fn start_anew(&self, config: &Rc<Config>) {
        let life = |config: &Config| lease::longest(World::connection(config));
        let before = self.world.config.replace(config.clone());
        if life(config) < life(&before) {
            self.world.leases_shortened_at.borrow_mut().push(self.world.executor.now());
        }
        for vault in &self.vaults {
            vault.crash(&self.world, false);
        }
        self.isolates.deploy(&self.world);
    }

    fn withdraw(&self) {
        self.world.count("consent withdrawn");
        self.world.say(|| "u1 withdraws all consents".into());
        for provider in self.world.providers.borrow_mut().iter_mut() {
            provider.withdraw("u1");
        }
    }

    /// The user consents at the provider of the right configuration, and the tokens are stored. The message may be
    /// repeated, and may be of the version before.
    async fn connect(self: &Rc<Self>, index: usize, refreshable: bool) {
        self.judge(index, false);
        let (Some(vault), Some(user)) = (self.vaults.get(index), self.users.get(index)) else {
            return;
        };
        let scopes = ["read".to_owned(), "write".to_owned()];
        let now = self.world.executor.now();
        let granted = match self.world.providers.borrow_mut().first_mut() {
            Some(provider) => provider.consent(user, &scopes, refreshable, now),
            None => return,
        };
        self.world.say(|| format!("vault {index}: {user} consents: {granted:?}"));
        self.consents.set(self.consents.get() + 1);
        let is_previous = self.has_old_rows && self.happens(50);
        let new = new_grant(&self.world, self.configs.first(), self.consents.get(), user, granted);
        let new = if is_previous { NewGrant { registration: None, ..new } } else { new };
        // A connect has its end by the vault's clock, as everything else.
        let begun = self.world.clock();
        let held: Rc<RefCell<Vec<FamilyOf>>> = Rc::default();
        while self.world.clock() - begun < REPEATABLE {
            self.may_crash_soon(index);
            let isolate = self.isolates.choose(&self.world);
            let object = vault.object(&self.world);
            let (over, stored) = (Flag::default(), Flag::default());
            let (guard, told, grant) = (Raised(over.clone()), stored.clone(), new.clone());
            let (this, before) = (self.clone(), held.clone());
            self.world.executor.start(object.group(), "keep", async move {
                let _guard = guard;
                before.borrow_mut().extend(oracle::all_families(&this.world, &object.vault));
                let held_any = object.has_accounts();
                let kept = object.keep(grant).await;
                this.world.say(|| format!("vault {index} keeps: {kept:?}"));
                told.set(kept.is_ok());
                let after = oracle::all_families(&this.world, &object.vault);
                before.borrow_mut().retain(|family| !after.contains(family));
                if held_any && kept == Ok(true) {
                    let until = object.lease_until(held_any);
                    this.promise(index, Ending::Consent(&before.borrow()), until);
                }
                object.vault.flush(&this.world);
            });
            let deadline = self.world.executor.now() + 20_000;
            self.world.executor.wait(Wait::Flag(over, deadline)).await;
            if stored.get() && !self.happens(10) {
                isolate.end(&self.world, index, &held.borrow());
                return;
            }
            // The session keeps the tokens and repeats: a crash, a wrong configuration, or a lost answer.
            self.world.sleep(self.between(0, 30_000)).await;
        }
    }

    async fn delete(self: &Rc<Self>, index: usize) {
        self.judge(index, false);
        let Some(vault) = self.vaults.get(index) else {
            return;
        };
        let Some(account) = default_account(vault) else {
            return;
        };
        self.world.count("deletion");
        self.world.say(|| format!("vault {index}: {} is deleted", account.id));
        let families = oracle::families(&self.world, vault, &account.id);
        // Who has no answer, because the object crashed or the answer was lost, repeats the deletion.
        for _ in 0..3 {
            self.may_crash_soon(index);
            let isolate = self.isolates.choose(&self.world);
            let object = vault.object(&self.world);
            let (over, answered) = (Flag::default(), Flag::default());
            let (guard, told) = (Raised(over.clone()), answered.clone());
            let (this, id, families) = (self.clone(), account.id.clone(), families.clone());
            let shared = families.clone();
            self.world.executor.start(object.group(), "delete", async move {
                let _guard = guard;
                told.set(this.deleted(index, &object, &id, &shared).await);
            });
            let deadline = self.world.executor.now() + CALLER_PATIENCE;
            self.world.executor.wait(Wait::Flag(over, deadline)).await;
            if answered.get() {
                isolate.end(&self.world, index, &families);
            }
            if answered.get() && !self.happens(10) {
                return;
            }
            self.world.sleep(self.between(0, 3_000)).await;
        }
    }

    /// Has an object delete an account. Returns whether it answers that the account is gone.
    async fn deleted(
        &self,
        index: usize,
        object: &Object,
        id: &AccountId,
        families: &[FamilyOf],
    ) -> bool {
        let removed = object.delete(id).await;
        let until = object.lease_until(true);
        self.world.say(|| format!("vault {index} deletes: {removed:?}, leases until {until:?}"));
        let is_gone = object.vault.stored.borrow().contents.account(id).is_none();
        let is_answered = removed.is_ok() && is_gone;
        if let (true, Some(deleted)) = (is_answered, self.deleted.get(index)) {
            deleted.borrow_mut().extend(families);
            self.promise(index, Ending::Deletion(families), until);
        }
        object.vault.flush(&self.world);
        is_answered
    }
}

/// The message of a connect session to a vault. `number` is that of the consent.
pub(crate) fn new_grant(
    world: &World,
    config: &Config,
    number: u32,
    user: &str,
    granted: Granted,
) -> NewGrant {
    let lifetime = world.providers.borrow().first().map_or(3600, |one| one.behaviour.lifetime);
    let Some(account) = AccountId::parse(&format!("cac_{number}")) else {
        unreachable!("the id is well-formed")
    };
    NewGrant {
        account,
        provider_user: Some(user.to_owned()),
        email: None,
        name: None,
        access_token: Secret::new(granted.access_token),
        refresh_token: granted.refresh_token.map(Secret::new),
        scopes: granted.scopes,
        issued_at: world.clock(),
        expires_at: Some(world.clock() + lifetime),
        refresh_token_expires_at: None,
        kinds: BTreeMap::new(),
        provider_data: BTreeMap::new(),
        registration: World::connection(config).map(|connection| connection.registration.clone()),
    }
}

fn default_account(vault: &Vault) -> Option<Account> {
    vault.stored.borrow().contents.accounts.first().cloned()
}

pub(crate) fn plain(scopes: &[&str]) -> RequestedToken {
    RequestedToken {
        login_hint: None,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        exact: false,
        kind: String::new(),
        resource: None,
        min_ttl: 0,
        refused_token: None,
    }
}
