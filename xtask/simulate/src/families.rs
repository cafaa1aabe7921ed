// SPDX-License-Identifier: Apache-2.0
//! The vault's own refresh tokens under the same treatment: the real state machine of a family, with clients that
//! lose responses, two tabs, a thief, revocations and a clock that jumps.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use vault_base::encoding::base64url;
use vault_base::seal::{KeyRing, Sealer};
use vault_base::secret::Secret;
use vault_core::issuer::family::{Family, FamilyGrant, LEEWAY, Record, Request, Response, Start};
use vault_core::issuer::machine::{At, Machine, Write};

use crate::choice::Choices;
use crate::world::EPOCH;

/// Seconds without use after which a family expires, and seconds after which it does in any case.
const IDLE: i64 = 7 * 86_400;
const LIFETIME: i64 = 30 * 86_400;

/// What a run found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Refreshes that were sent.
    pub refreshes: u64,
    /// Why honest clients were signed out, and how often.
    pub ends: BTreeMap<&'static str, u64>,
    /// What must not happen, and did.
    pub violations: Vec<String>,
}

/// A place that holds a refresh token: a tab of the client, or a thief.
#[derive(Debug, Clone, Default)]
struct Holder {
    token: String,
}

#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of the run, apart from the others"
)]
struct Run<'a> {
    choices: Choices,
    change: &'a dyn Fn(&mut Record),
    sealer: Sealer,
    record: Option<Record>,
    now: i64,
    /// The tabs of the client.
    tabs: Vec<Holder>,
    /// Whether the tabs share their token, as with one storage.
    shares: bool,
    thief: Option<Holder>,
    /// Whether the client authenticates.
    authenticated: bool,
    rotation: bool,
    /// What each token was answered with: its successor, and when that was first.
    successors: BTreeMap<String, (String, i64)>,
    /// Tokens that somebody used after they had come as a successor.
    used: BTreeSet<String>,
    /// When a token was last accepted.
    used_at: i64,
    /// Whether the family was revoked, or ended by a replay.
    is_over: bool,
    /// Whether the thief has used a token.
    was_stolen: bool,
    /// Whether the clock was set.
    clock_was_set: bool,
    outcome: Outcome,
}

/// Runs one seed.
pub fn run(seed: u64) -> Outcome {
    run_with(seed, &|_| {})
}

/// Runs one seed with each record changed before it is stored, which takes a protection away.
pub fn run_with(seed: u64, change: &dyn Fn(&mut Record)) -> Outcome {
    let mut choices = Choices::seeded(seed);
    let (authenticated, rotation) = (choices.happens(50), choices.happens(85));
    let (tabs, shares) = (choices.below(2) + 1, choices.happens(60));
    let ring = json!({"write": "k1", "keys": {"k1": base64url([7; 32])}}).to_string();
    let Ok(ring) = KeyRing::parse(&ring) else { unreachable!("the key ring is well-formed") };
    let mut run = Run {
        choices,
        change,
        sealer: Sealer::new(&ring, "family"),
        record: None,
        now: EPOCH,
        tabs: vec![Holder::default(); tabs],
        shares,
        thief: None,
        authenticated,
        rotation,
        successors: BTreeMap::new(),
        used: BTreeSet::new(),
        used_at: EPOCH,
        is_over: false,
        was_stolen: false,
        clock_was_set: false,
        outcome: Outcome::default(),
    };
    run.go();
    run.outcome
}

impl Run<'_> {
    fn go(&mut self) {
        let grant = FamilyGrant {
            subject: "u1".into(),
            client_id: "c".into(),
            scopes: vec!["openid".into()],
            audience: None,
            sid: None,
            auth_time: self.now,
        };
        let start = Start {
            id: "family".into(),
            grant,
            rotation: self.rotation,
            idle: IDLE,
            lifetime: LIFETIME,
        };
        let Some(Response::Token { token, .. }) = self.ask(&Request::Start(Box::new(start))) else {
            return self.violation("a family does not begin".into());
        };
        for tab in &mut self.tabs {
            token.expose().clone_into(&mut tab.token);
        }
        for _ in 0..self.choices.between(5, 60) {
            self.pass();
            match self.choices.below(20) {
                0 => self.steal(),
                1 | 2 if self.thief.is_some() => self.present_stolen(),
                3 if self.choices.happens(10) => self.revoke(),
                4 if self.choices.happens(30) => self.set_clock(),
                5 => self.present_made_up(),
                6..=8 => self.exchange(),
                _ => self.refresh(),
            }
        }
    }

    fn violation(&mut self, what: String) {
        self.outcome.violations.push(what);
    }

    /// Asks the machine, and stores what it writes. The message and the record go through their stored form.
    fn ask(&mut self, request: &Request) -> Option<Response> {
        let at = At { now: self.now, sealer: &self.sealer, issuer: "https://vault.example/" };
        let request = serde_json::from_str(&serde_json::to_string(request).ok()?).ok()?;
        let step = Family::step(self.record.clone(), request, &at).ok()?;
        match step.write {
            Write::Keep => {}
            Write::Put(mut record) => {
                (self.change)(&mut record);
                self.record = serde_json::from_str(&serde_json::to_string(&record).ok()?).ok()?;
            }
            Write::Delete => self.record = None,
        }
        Some(step.response)
    }

    fn pass(&mut self) {
        self.now += match self.choices.below(5) {
            0 => self.choices.between(0, 2),
            1 => self.choices.between(0, LEEWAY),
            2 => self.choices.between(0, 3 * LEEWAY),
            3 => self.choices.between(0, 86_400),
            _ => self.choices.between(0, IDLE / 3),
        };
    }

    fn set_clock(&mut self) {
        self.clock_was_set = true;
        self.now += self.choices.between(-7200, 7200);
    }

    /// One tab refreshes. Its response may be lost; then it has the token that it had.
    fn refresh(&mut self) {
        let index = self.choices.below(self.tabs.len());
        let Some(tab) = self.tabs.get(index).cloned() else {
            return;
        };
        let (is_lost, was_over) = (self.choices.happens(20), self.is_over);
        match self.present(&tab.token, self.authenticated) {
            Some(next) if !is_lost => {
                let shares = self.shares;
                let meant = |(at, _): &(usize, &mut Holder)| shares || *at == index;
                for (_, tab) in self.tabs.iter_mut().enumerate().filter(meant) {
                    tab.token.clone_from(&next);
                }
            }
            Some(_) => {}
            None => self.explain_end(&tab.token, was_over),
        }
    }

    /// One tab exchanges its token for a provider's: the family tells what it gives access to.
    fn exchange(&mut self) {
        let index = self.choices.below(self.tabs.len());
        let token = self.tabs.get(index).map(|tab| tab.token.clone()).unwrap_or_default();
        let was_over = self.is_over;
        let secret = Secret::new(token.split_once('.').map_or("", |(_, secret)| secret));
        let authenticated = self.authenticated;
        match self.ask(&Request::Look { secret, authenticated }) {
            Some(Response::Valid { .. }) => {
                if self.is_over {
                    self.violation("a token of a family that is over was accepted".into());
                }
                self.used.insert(token);
            }
            Some(Response::Replayed { .. }) => {
                self.is_over = true;
                self.explain_end(&token, was_over);
            }
            _ => self.explain_end(&token, was_over),
        }
    }

    /// An honest client was refused: there must be a reason.
    fn explain_end(&mut self, token: &str, was_over: bool) {
        let replaced_at = self.successors.get(token).map(|(_, at)| *at);
        let successor_used =
            self.successors.get(token).is_some_and(|(next, _)| self.used.contains(next));
        let cause = if self.outcome.ends.is_empty() {
            let is_late = replaced_at.is_some_and(|at| self.now - at >= LEEWAY);
            if self.was_stolen {
                "a token was copied"
            } else if was_over {
                "it was revoked"
            } else if successor_used {
                "a tab presented a token after another tab had used its successor"
            } else if is_late && !self.authenticated {
                "a public client lost a response, and repeated its request after the leeway"
            } else if self.now >= (EPOCH + LIFETIME).min(self.used_at + IDLE) {
                "it expired"
            } else if self.clock_was_set {
                "the clock was set"
            } else {
                let ago = replaced_at.map(|at| self.now - at);
                self.violation(format!(
                    "an honest client was refused without a reason: rotation {}, authenticated {}, clock set {}, token replaced {ago:?} s ago, unused for {} s",
                    self.rotation,
                    self.authenticated,
                    self.clock_was_set,
                    self.now - self.used_at,
                ));
                return;
            }
        } else {
            return;
        };
        *self.outcome.ends.entry(cause).or_default() += 1;
    }

    /// Presents a token. Returns the token from now on, if it is accepted.
    fn present(&mut self, token: &str, authenticated: bool) -> Option<String> {
        self.outcome.refreshes += 1;
        let secret = token.split_once('.').map_or("", |(_, secret)| secret);
        let request =
            Request::Refresh { secret: Secret::new(secret), client_id: "c".into(), authenticated };
        match self.ask(&request)? {
            Response::Token { token: next, grant } => {
                let next = next.expose().to_owned();
                self.check_accepted(token, &next, &grant);
                self.used.insert(token.to_owned());
                Some(next)
            }
            Response::Replayed { .. } => {
                self.is_over = true;
                None
            }
            _ => None,
        }
    }

    fn check_accepted(&mut self, token: &str, next: &str, grant: &FamilyGrant) {
        if self.is_over {
            self.violation("a token of a family that is over was accepted".into());
        }
        if grant.client_id != "c" || grant.scopes != ["openid"] {
            self.violation(format!("the grant changed: {grant:?}"));
        }
        let is_same = next == token;
        if is_same == self.rotation {
            self.violation(format!(
                "rotation is {}, and the token stays: {is_same}",
                self.rotation
            ));
        }
        let now = self.now;
        let known = self.successors.get(token).cloned();
        // A response that is given again is not a further use.
        if known.is_none() || !self.rotation {
            self.used_at = self.used_at.max(now);
        }
        match known {
            Some((before, _)) if before != next => {
                self.violation("one token has two successors".into());
            }
            Some((before, at)) if self.rotation => {
                let is_late = now - at >= LEEWAY && !self.clock_was_set;
                if is_late && (!self.authenticated || self.used.contains(&before)) {
                    self.violation("a replaced token was accepted after the leeway".into());
                }
            }
            Some(_) => {}
            None => {
                self.successors.insert(token.to_owned(), (next.to_owned(), now));
            }
        }
    }

    /// A thief copies the token of a tab.
    fn steal(&mut self) {
        self.thief = self.tabs.first().cloned();
    }

    /// The thief uses the copy. A thief of a confidential client's token cannot authenticate.
    fn present_stolen(&mut self) {
        let Some(thief) = self.thief.clone() else {
            return;
        };
        if self.authenticated {
            // The Worker refuses it before the family is asked.
            return;
        }
        self.was_stolen = true;
        if let Some(next) = self.present(&thief.token, false) {
            self.thief = Some(Holder { token: next });
        }
    }

    /// A secret that the family never issued changes nothing.
    fn present_made_up(&mut self) {
        let before = self.record.clone();
        let secret = Secret::new(base64url([self.choices.below(256).to_le_bytes(); 6].concat()));
        let request =
            Request::Refresh { secret, client_id: "c".into(), authenticated: self.authenticated };
        let is_refused = !matches!(self.ask(&request), Some(Response::Token { .. }));
        let is_expired = self.record.is_none();
        if !is_refused || (self.record != before && !is_expired) {
            self.violation("a made-up token was accepted or changed the family".into());
        }
    }

    fn revoke(&mut self) {
        let token = self.tabs.first().map(|tab| tab.token.clone()).unwrap_or_default();
        let secret = token.split_once('.').map(|(_, secret)| Secret::new(secret));
        let request = Request::Revoke { secret, client_id: Some("c".into()) };
        match self.ask(&request) {
            Some(Response::Revoked { .. }) => self.is_over = true,
            other => self.violation(format!("a revocation is answered with {other:?}")),
        }
    }
}
