// SPDX-License-Identifier: Apache-2.0
//! Models of the isolates that run the Worker: what `src/endpoints/exchange.rs` and `src/runtime/leases.rs` do with
//! the core's decisions about leases. Each isolate has its leases, its version and its clock.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::json;
use vault_base::secret::Secret;
use vault_base::time::UnixSeconds;
use vault_core::config::{Config, ExchangeGrant};
use vault_core::vault::lease::{LeaseRequest, LeasedReleases};
use vault_core::vault::lease_cache::{Asked, LeaseCache, LeaseKey, Released as Lent};
use vault_core::vault::release::RequestedToken;

use crate::executor::OUTSIDE;
use crate::object::Released;
use crate::world::{EPOCH, World};

/// Milliseconds for which isolates of the version before go on at most.
const LINGER: i64 = 90_000;

/// What an isolate or an object runs.
#[derive(Clone)]
pub struct Version {
    /// The configuration.
    pub config: Rc<Config>,
    /// The code.
    pub build: u32,
}

impl Version {
    /// The version that is deployed now.
    pub fn deployed(world: &World) -> Self {
        Self { config: world.config.borrow().clone(), build: world.build.get() }
    }

    /// As `src/runtime/leases.rs` tells it to objects.
    pub fn fingerprint(&self) -> String {
        self.config.fingerprint(&self.build.to_string())
    }

    /// Whether both are the same deployment.
    pub fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.config, &other.config) && self.build == other.build
    }
}

/// An exchange as a client requests it.
#[derive(Clone)]
pub struct Call {
    /// The client.
    pub client: &'static str,
    /// The token.
    pub want: RequestedToken,
    /// The header of the request.
    pub cache_control: Option<&'static str>,
}

impl Call {
    fn key<'a>(&'a self, vault: &'a str) -> LeaseKey<'a> {
        let grant = ExchangeGrant::TokenExchange;
        LeaseKey { vault, client_id: self.client, grant, want: &self.want }
    }
}

/// A message of an isolate to a vault, with what became of the releases that it tells.
pub struct Question {
    /// What it says about leases.
    pub lease: LeaseRequest,
    vault: String,
    asked: Asked,
    /// When it was sent, in milliseconds.
    sent_at: i64,
    /// Whether the object logged the releases.
    pub is_told: Cell<bool>,
    is_back: Cell<bool>,
    /// Whether the caller left, so that nobody waits for the answer.
    pub has_left: Cell<bool>,
    /// Whether the isolate stopped waiting before the object answered.
    pub is_late: Cell<bool>,
}

impl Question {
    fn count(&self) -> u64 {
        count(&self.lease.releases)
    }
}

fn count(releases: &[LeasedReleases]) -> u64 {
    releases.iter().map(|one| u64::from(one.count)).sum()
}

/// One isolate.
pub struct Isolate {
    /// Its number.
    pub number: usize,
    /// What it runs.
    pub version: Version,
    /// How far its clock is ahead, in milliseconds.
    ahead: i64,
    leases: RefCell<LeaseCache>,
    /// Families whose tokens it must not release by lease any more, because it ended their accounts or grants itself.
    pub has_ended: RefCell<Vec<(char, usize)>>,
}

impl Isolate {
    fn now(&self, world: &World) -> UnixSeconds {
        EPOCH + (world.executor.now() + self.ahead).div_euclid(1000)
    }

    /// Ends the leases of a vault, whose tokens of these families are gone.
    pub fn end(&self, world: &World, vault: usize, families: &[(char, usize)]) {
        world.say(|| format!("isolate {} ends its leases of vault {vault}", self.number));
        self.leases.borrow_mut().end(&vault.to_string());
        self.has_ended.borrow_mut().extend(families);
    }
}

/// All isolates of a run, and what they released by lease.
pub struct Isolates {
    running: RefCell<Vec<Rc<Isolate>>>,
    /// Those too that run no more.
    all: RefCell<Vec<Rc<Isolate>>>,
    /// `lease_seconds` of the clients.
    seconds: i64,
    /// How many run a version.
    number: usize,
    questions: RefCell<Vec<Rc<Question>>>,
    /// Until when some isolate has a lease, by vault, in milliseconds.
    open_until: RefCell<BTreeMap<String, i64>>,
    releases: Cell<u64>,
    lost: Cell<u64>,
}

impl Isolates {
    /// Isolates of the version that is deployed.
    pub fn new(world: &World) -> Self {
        let (seconds, number) = {
            let mut choices = world.choices.borrow_mut();
            ([15, 60, 60].get(choices.below(3)).copied().unwrap_or(15), 2 + choices.below(2))
        };
        let all = Self {
            running: RefCell::default(),
            all: RefCell::default(),
            seconds,
            number,
            questions: RefCell::default(),
            open_until: RefCell::default(),
            releases: Cell::new(0),
            lost: Cell::new(0),
        };
        all.start(world);
        all
    }

    fn start(&self, world: &World) {
        for _ in 0..self.number {
            let number = self.all.borrow().len();
            let ahead = {
                let mut choices = world.choices.borrow_mut();
                let most = [0, 500_000, 7_200_000].get(choices.below(3)).copied().unwrap_or(0);
                choices.between(-most, most)
            };
            let version = Version::deployed(world);
            world.say(|| format!("isolate {number} starts, its clock {ahead} ms ahead"));
            let (leases, has_ended) = (RefCell::default(), RefCell::default());
            let isolate = Rc::new(Isolate { number, version, ahead, leases, has_ended });
            self.running.borrow_mut().push(isolate.clone());
            self.all.borrow_mut().push(isolate);
        }
    }

    /// Starts isolates of the version that is deployed now. Those before end at once, or go on for a while.
    pub fn deploy(self: &Rc<Self>, world: &Rc<World>) {
        let before = self.all.borrow().len();
        self.start(world);
        let linger = {
            let mut choices = world.choices.borrow_mut();
            let goes_on = choices.happens(50);
            if goes_on { choices.between(0, LINGER) } else { 0 }
        };
        if linger == 0 {
            self.running.borrow_mut().retain(|isolate| isolate.number >= before);
            return;
        }
        let (this, shared) = (self.clone(), world.clone());
        world.executor.start(OUTSIDE, "old isolates", async move {
            shared.sleep(linger).await;
            this.running.borrow_mut().retain(|isolate| isolate.number >= before);
        });
    }

    /// The isolate that a request comes to.
    pub fn choose(&self, world: &World) -> Rc<Isolate> {
        let running = self.running.borrow();
        let chosen = world.choices.borrow_mut().below(running.len());
        let Some(isolate) = running.get(chosen) else { unreachable!("a version has isolates") };
        isolate.clone()
    }

    /// The token, if the isolate has it on lease.
    pub fn find(
        &self,
        world: &World,
        isolate: &Isolate,
        vault: usize,
        call: &Call,
    ) -> Option<Released> {
        let mut leases = isolate.leases.borrow_mut();
        let vault = vault.to_string();
        let (expires_in, members) = leases.find(&call.key(&vault), isolate.now(world))?;
        let (access_token, scopes) = serde_json::from_str(members.expose()).ok()?;
        self.releases.set(self.releases.get() + 1);
        world.say(|| format!("isolate {} releases {access_token} by lease", isolate.number));
        Some(Released { access_token, scopes, expires_in, lease_seconds: 0 })
    }

    /// The message to a vault, as it leaves now.
    pub fn ask(&self, world: &World, isolate: &Isolate, vault: usize) -> Rc<Question> {
        let vault = vault.to_string();
        let releases = isolate.leases.borrow_mut().take_releases(&vault);
        let fingerprint = isolate.version.fingerprint();
        let lease = LeaseRequest { seconds: self.seconds, fingerprint, releases };
        let question = Rc::new(Question {
            lease,
            asked: isolate.leases.borrow().ask(&vault, isolate.now(world)),
            vault,
            sent_at: world.executor.now(),
            is_told: Cell::new(false),
            is_back: Cell::new(false),
            has_left: Cell::new(false),
            is_late: Cell::new(false),
        });
        self.questions.borrow_mut().push(question.clone());
        question
    }

    /// Notes what the object answered; `None`: no token.
    pub fn note(
        &self,
        world: &World,
        isolate: &Isolate,
        question: &Question,
        call: &Call,
        answer: Option<&Released>,
    ) {
        let now = isolate.now(world);
        if let Some(answer) = answer {
            let until = question.sent_at + answer.lease_seconds * 1000;
            let mut open_until = self.open_until.borrow_mut();
            let known = open_until.entry(question.vault.clone()).or_default();
            *known = until.max(*known);
        }
        // As it comes in a message.
        let answer = answer.and_then(|answer| {
            let members = json!([answer.access_token, answer.scopes]).to_string();
            let Released { expires_in, lease_seconds, .. } = *answer;
            let members = Secret::new(members);
            Lent::read(&Lent { expires_in, lease_seconds, object_ms: 0, members }.write())
        });
        let counts_late = world.mechanisms.counts_leases_from_the_answer();
        let key = call.key(&question.vault);
        let mut leases = isolate.leases.borrow_mut();
        let asked = if counts_late { leases.ask(&question.vault, now) } else { question.asked };
        let lost = leases.note(&key, answer, asked, now);
        self.lost.set(self.lost.get() + count(&lost));
    }

    /// Whether some isolate has a lease of this vault.
    pub fn has_open_lease(&self, world: &World, vault: usize) -> bool {
        let until = self.open_until.borrow().get(&vault.to_string()).copied();
        until.is_some_and(|until| until > world.executor.now())
    }

    /// Takes back what the object could not be told.
    pub fn put_back(&self, isolate: &Isolate, question: &Question) {
        question.is_back.set(true);
        let releases = question.lease.releases.clone();
        let lost = isolate.leases.borrow_mut().put_back(&question.vault, releases);
        self.lost.set(self.lost.get() + count(&lost));
    }

    /// What became of the releases, once nobody asks any more. Each was told to its vault, or is still to be told,
    /// or was logged as not told, or went with a caller that left. Only an answer that came too late may have them
    /// told twice.
    pub fn account_for(&self, world: &World, vaults: usize) -> Vec<(&'static str, u64)> {
        let questions = self.questions.take();
        let sum = |is_meant: &dyn Fn(&Question) -> bool| {
            let meant = questions.iter().filter(|question| is_meant(question));
            meant.map(|question| question.count()).sum::<u64>()
        };
        let told = sum(&|one| one.is_told.get());
        let twice = sum(&|one| one.is_told.get() && one.is_back.get());
        let left = sum(&|one| !one.is_told.get() && !one.is_back.get());
        let held: u64 = (0..vaults)
            .flat_map(|vault| {
                let all = self.all.borrow();
                let of = |isolate: &Rc<Isolate>| {
                    count(&isolate.leases.borrow_mut().take_releases(&vault.to_string()))
                };
                all.iter().map(of).collect::<Vec<_>>()
            })
            .sum();
        let (released, lost) = (self.releases.get(), self.lost.get());
        if released + twice != told + held + lost + left {
            world.violation(format!(
                "{released} releases by lease, of which {told} were told, {held} are to be told, {lost} are lost, \
                 {left} went with callers, and {twice} were told twice"
            ));
        }
        if sum(&|one| one.is_told.get() && one.is_back.get() && !one.is_late.get()) > 0 {
            world.violation("releases were told twice although the answer came in time".into());
        }
        if sum(&|one| !one.is_told.get() && !one.is_back.get() && !one.has_left.get()) > 0 {
            world.violation("releases were neither told nor taken back".into());
        }
        vec![
            ("releases by lease", released),
            ("releases by lease that a vault was told of", told),
            ("releases by lease that a vault was told of twice", twice),
            ("releases by lease that an isolate still has to tell", held),
            ("releases by lease that were logged as not reported", lost),
            ("releases by lease that went with a caller that left", left),
        ]
    }
}
