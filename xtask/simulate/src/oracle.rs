// SPDX-License-Identifier: Apache-2.0
//! Judges a run by the providers' own records.

use vault_base::ids::AccountId;
use vault_base::time::UnixSeconds;
use vault_core::vault::record::{Account, AccountState};
use vault_core::vault::release::RequestedToken;

use crate::isolates::{Isolate, Version};
use crate::object::{Released, Vault};
use crate::provider::{Effect, End, Fault, Provider, Rotation};
use crate::world::{Sent, World};

/// What became of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The vault holds a refresh token that the provider accepts, and uses it.
    Kept,
    /// It is lost, and nobody could have kept it.
    Lost(&'static str),
    /// It is lost, and could have been kept: why.
    Violation(String),
}

/// Seconds that a vault needs to send another request once it knows that a response was lost.
const REACTION: i64 = 6;

/// The most requests with one refresh token that the state machine sends in a minute: it follows a lost response
/// up at once and after 5, 10 and 30 s, and callers start requests after 5, 10 and 20 s.
const REQUESTS_A_MINUTE: usize = 12;

/// Judges the grant of an account.
pub fn judge(world: &World, vault: &Vault, account: &Account) -> Verdict {
    let Some(tokens) = tokens(vault, &account.id) else {
        return Verdict::Violation(format!("{}: its refresh token does not open", account.id));
    };
    let providers = world.providers.borrow();
    let now = world.executor.now();
    let found = tokens.iter().find_map(|token| {
        let provider = providers.iter().find(|one| token.starts_with(one.letter))?;
        Some((provider, provider.refresh_tokens.get(token)?.family))
    });
    let Some((provider, number)) = found else {
        return Verdict::Lost("the provider issued no refresh token");
    };
    let works = tokens.iter().any(|token| provider.accepts(token, now));
    if works && account.state == AccountState::Active {
        return Verdict::Kept;
    }
    let Some(family) = provider.family(number) else {
        return Verdict::Violation(format!("{}: no such family", account.id));
    };
    match family.ended {
        Some(End::Replaced) => return Verdict::Lost("the provider ended it for a later consent"),
        Some(End::Withdrawn) => return Verdict::Lost("the user withdrew the consent"),
        _ if family.was_refused => return Verdict::Lost("the provider refused a valid token"),
        Some(End::Idle) if world.keeps_alive() => {
            return Verdict::Violation(format!("{}: ended because nobody used it", account.id));
        }
        Some(End::Idle) => return Verdict::Lost("the provider ended it because nobody used it"),
        Some(End::Revoked) => {
            return Verdict::Violation(format!("{}: the vault revoked a grant in use", account.id));
        }
        _ if works => {
            return Verdict::Violation(format!(
                "{}: given up as {} although the provider accepts its refresh token",
                account.id,
                account.state.column()
            ));
        }
        _ => {}
    }
    let Some(last) = tokens.last() else {
        return Verdict::Violation(format!("{}: no refresh token", account.id));
    };
    drop_cause(world, provider, account, last)
}

/// Why the last refresh token that the vault holds is not accepted any more.
fn drop_cause(world: &World, provider: &Provider, account: &Account, last: &str) -> Verdict {
    let sent = world.sent.borrow();
    let last = last_known(&sent, last);
    let uses: Vec<&Sent> = sent.iter().filter(|sent| sent.token == last).collect();
    let is_rotation = |sent: &&Sent| matches!(sent.decided, Some((Effect::Issued, _)));
    let Some(position) = uses.iter().position(is_rotation) else {
        let why = "it was never rotated, yet the vault does not use it or its family ended";
        return Verdict::Violation(format!("{}: {last}: {why}", account.id));
    };
    let (earlier, since) = uses.split_at(position);
    let Some((first, later)) = since.split_first() else {
        return Verdict::Violation(format!("{}: {last}: no rotation", account.id));
    };
    let begun = first.decided.map_or(first.at, |(_, at)| at);
    let leeway = match provider.behaviour.rotation {
        Rotation::LeewayByTime(leeway) => leeway,
        Rotation::Strict => return Verdict::Lost("rotated, response lost, no leeway"),
        Rotation::None | Rotation::LeewayByUse => {
            let why = "its refresh token was valid for as long as no successor was used";
            return Verdict::Violation(format!("{}: {why}", account.id));
        }
    };
    let end = begun + leeway * 1000;
    let within = |at: &i64| *at >= first.at && *at < end;
    if later.iter().any(|sent| sent.at < end) || world.unreachable.borrow().iter().any(within) {
        return Verdict::Lost("rotated, responses lost until the leeway ended");
    }
    let known = first.heard.unwrap_or(begun);
    if known + REACTION * 1000 >= end {
        return Verdict::Lost("rotated, and the response was not given up before the leeway ended");
    }
    if world.clock_set_at.borrow().iter().any(within) {
        return Verdict::Lost("rotated, response lost, and the clock was set within the leeway");
    }
    let overlaps = |(from, to): &(i64, i64)| *from < end && *to >= begun;
    if world.misconfigured.borrow().iter().any(overlaps) {
        return Verdict::Lost(
            "rotated, response lost, and another configuration until the leeway ended",
        );
    }
    let config = world.config.borrow().clone();
    let is_known = World::connection(&config).is_some_and(|one| one.rotation_leeway.is_some());
    if !is_known && !earlier.is_empty() {
        return Verdict::Lost(
            "rotated by a later attempt, response lost, and the leeway not configured",
        );
    }
    let why = format!("no further request within the leeway of {leeway} s");
    Verdict::Violation(format!("{}: {why}", account.id))
}

/// The newest refresh token that reached a commit of the vault: it follows from `token` by responses that were
/// stored.
fn last_known(sent: &[Sent], token: &str) -> String {
    let mut last = token.to_owned();
    let stored = |last: &str| {
        let mut uses = sent.iter().filter(|one| one.token == *last && one.is_kept);
        uses.find(|one| carries_token(one) && one.next.is_some())
    };
    while let Some(next) = stored(&last).and_then(|sent| sent.next.clone()) {
        last = next;
    }
    last
}

/// Whether a response arrived that has the new refresh token in it.
fn carries_token(sent: &Sent) -> bool {
    let is_whole = matches!(
        sent.fault,
        Fault::None | Fault::Slow(_) | Fault::OddTokenType | Fault::UnusableAccessToken
    );
    is_whole && sent.has_arrived
}

/// The refresh tokens of an account's own grant, the newest last. `None` if they do not open.
fn tokens(vault: &Vault, id: &AccountId) -> Option<Vec<String>> {
    let stored = vault.stored.borrow();
    let Some(sealed) = stored.contents.grant(id, "") else {
        return Some(Vec::new());
    };
    let opened = vault.home.refresh_tokens(id, "", sealed).ok()?;
    let all = opened.map(|tokens| {
        let own = tokens.own().expose().to_owned();
        std::iter::once(own)
            .chain(tokens.successor().map(|next| next.expose().to_owned()))
            .collect()
    });
    Some(all.unwrap_or_default())
}

/// A family at a provider: the provider's letter, and the family's number.
pub type FamilyOf = (char, usize);

/// The families that an account's tokens belong to.
pub fn families(world: &World, vault: &Vault, id: &AccountId) -> Vec<FamilyOf> {
    let providers = world.providers.borrow();
    let family = |token: String| {
        let provider = providers.iter().find(|one| token.starts_with(one.letter))?;
        let of_refresh = provider.refresh_tokens.get(&token).map(|known| known.family);
        let of_access = provider.access_tokens.get(&token).map(|known| known.family);
        Some((provider.letter, of_refresh.or(of_access)?))
    };
    let contents = &vault.stored.borrow().contents;
    let access = contents.tokens.iter().filter(|row| row.account == *id).filter_map(|row| {
        let (_, token) = vault.home.access_token(contents, id, &row.selector).ok()??;
        Some(token.expose().to_owned())
    });
    tokens(vault, id).unwrap_or_default().into_iter().chain(access).filter_map(family).collect()
}

/// The families of all accounts of a vault.
pub fn all_families(world: &World, vault: &Vault) -> Vec<FamilyOf> {
    let accounts = vault.stored.borrow().contents.accounts.clone();
    accounts.iter().flat_map(|account| families(world, vault, &account.id)).collect()
}

/// A family whose account was deleted, or whose grant was replaced, and until when isolates may release its access
/// tokens by lease, in milliseconds of true time.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// The family.
    pub family: FamilyOf,
    /// As the answer told it.
    pub until: i64,
}

impl Ended {
    /// What an answer promises that tells this time, by the vault's clock; `None`: no lease may serve any more.
    /// Returns `None` where the answer could not tell, because it comes too soon after the clock was set or the
    /// configured leases were shortened.
    pub fn promised(world: &World, told: Option<UnixSeconds>) -> Option<i64> {
        let now = world.executor.now();
        let may_count = |at: &i64| *at < now - LONGEST_LEASE;
        let is_steady = world.clock_set_at.borrow().iter().all(may_count);
        if !is_steady || !world.leases_shortened_at.borrow().iter().all(may_count) {
            return None;
        }
        Some(told.map_or(now, |until| world.true_time(until)))
    }
}

/// The longest lease that can be configured, in milliseconds, and a second for rounding.
const LONGEST_LEASE: i64 = 61_000;

/// Who releases a token.
pub enum By<'a> {
    /// The vault's object.
    Object {
        /// The families of deleted accounts.
        deleted: &'a [FamilyOf],
    },
    /// An isolate, by lease.
    Lease {
        /// The isolate.
        isolate: &'a Isolate,
        /// The families of deleted accounts and of replaced grants.
        ended: &'a [Ended],
    },
}

/// Whether a token is of a family.
pub fn is_of(world: &World, released: &Released, (letter, family): FamilyOf) -> bool {
    let providers = world.providers.borrow();
    let of = providers.iter().find(|provider| provider.letter == letter);
    let truth = of.and_then(|provider| provider.access_tokens.get(&released.access_token));
    truth.is_some_and(|truth| truth.family == family)
}

/// Checks a token that was released to a caller of the vault of `user`.
pub fn check_release(
    world: &World,
    user: &str,
    by: &By<'_>,
    want: &RequestedToken,
    released: &Released,
) {
    let providers = world.providers.borrow();
    let found = providers
        .iter()
        .find_map(|provider| Some((provider, provider.access_tokens.get(&released.access_token)?)));
    let Some((provider, truth)) = found else {
        world.violation(format!("released {}, which nobody issued", released.access_token));
        return;
    };
    let now = world.executor.now();
    let tell = |what: &str| world.violation(format!("released {} {what}", released.access_token));
    if truth.user != user {
        tell(&format!("of {} to {user}", truth.user));
    }
    let config = match by {
        By::Object { .. } => world.config.borrow().clone(),
        By::Lease { isolate, .. } => isolate.version.config.clone(),
    };
    let host =
        World::connection(&config).map(|connection| connection.registration.authority.clone());
    if !host.is_some_and(|host| host.starts_with(&provider.issuer())) {
        tell("under the configuration of another provider");
    }
    let family = (provider.letter, truth.family);
    match by {
        By::Object { deleted } if deleted.contains(&family) => tell("of a deleted account"),
        By::Lease { isolate, .. } if isolate.has_ended.borrow().contains(&family) => {
            tell("by a lease that the isolate itself has ended");
        }
        By::Lease { ended, .. }
            if ended.iter().any(|one| one.family == family && one.until <= now) =>
        {
            tell("by a lease that had to be over");
        }
        _ => {}
    }
    if want.exact && truth.scopes.iter().any(|scope| !want.scopes.contains(scope)) {
        tell("with more scopes than asked for");
    }
    if want.scopes.iter().any(|scope| !truth.scopes.contains(scope)) {
        tell("without a scope that was asked for");
    }
    // The vault counts a lifetime from the moment the response arrives, by its own clock.
    let delay = world.delays.borrow().get(&released.access_token).copied().unwrap_or(0);
    let is_clock_steady = world.clock_set_at.borrow().iter().all(|at| *at < truth.issued_at);
    // A lease subtracts whole seconds from whole seconds.
    let rounding = if matches!(by, By::Lease { .. }) { 2000 } else { 1000 };
    if provider.behaviour.tells_lifetime && is_clock_steady {
        let left = truth.expires_at + delay - now;
        if left < -1000 || released.expires_in * 1000 > left + rounding {
            tell(&format!("with expires_in {} and {left} ms left", released.expires_in));
        }
    }
}

/// Checks a token that an object lends to an isolate.
pub fn check_lent(world: &World, to: &Isolate, released: &Released) {
    let Released { access_token, expires_in, lease_seconds, .. } = released;
    let tell = |what: &str| world.violation(format!("lent {access_token} {what}"));
    if !to.version.is(&Version::deployed(world)) {
        tell("to an isolate with other code or another configuration");
    }
    if *lease_seconds > LONGEST_LEASE / 1000 || lease_seconds * 10 > *expires_in {
        tell(&format!("for {lease_seconds} s, with {expires_in} s left"));
    }
    let providers = world.providers.borrow();
    let of = providers.iter().find(|provider| access_token.starts_with(provider.letter));
    if of.is_some_and(|provider| provider.behaviour.ends_access_token) {
        tell("although a refresh ends it");
    }
}

/// Checks that a request is one that the state machine allows. It is the last one in the record.
pub fn check_request(world: &World) {
    let sent = world.sent.borrow();
    let Some((last, earlier)) = sent.split_last() else {
        return;
    };
    let mut same = earlier.iter().rev().filter(|one| one.token == last.token);
    let is_open = |one: &&Sent| one.heard.is_none() && one.group == last.group;
    if same.clone().any(|one| is_open(&one)) {
        world.violation(format!("{} is sent twice at once", last.token));
    }
    let recent = same.by_ref().take_while(|one| last.at - one.at < 60_000).count();
    if recent >= REQUESTS_A_MINUTE {
        world.violation(format!("{} is sent {} times in a minute", last.token, recent + 1));
    }
}
