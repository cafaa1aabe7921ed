// SPDX-License-Identifier: Apache-2.0
//! The tokens that an isolate has on lease ([`super::lease`]). They are in memory only.
//!
//! A lease answers what its key says and nothing else: the key has everything that the object's decision rested
//! on, apart from code and configuration, which are those of the isolate. Whether the caller may ask is decided
//! anew at each use, before the lease is looked up.

use std::collections::HashMap;

use super::lease::LeasedReleases;
use super::release::RequestedToken;
use crate::config::ExchangeGrant;
use vault_base::secret::Secret;
use vault_base::time::UnixSeconds;

/// The most leases, and the most bytes that they take.
const MOST: usize = 1024;
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// The groups of vaults in which ends of leases are counted: a count for each vault would need memory for each.
const GROUPS: usize = 32;

/// What a lease is for.
#[derive(Debug, Clone, Copy)]
pub struct LeaseKey<'a> {
    /// The name of the vault's object, which stands for the user and the connection.
    pub vault: &'a str,
    /// The client that gets the token.
    pub client_id: &'a str,
    /// The grant type, which decides the form of the response.
    pub grant: ExchangeGrant,
    /// The token. That another one was refused, and how long it should live, do not count.
    pub want: &'a RequestedToken,
}

/// A token that an object released.
#[derive(Debug, Clone)]
pub struct Released {
    /// Seconds until the token expires, at the time of the release.
    pub expires_in: i64,
    /// For how many seconds it is lent; 0: not at all.
    pub lease_seconds: i64,
    /// How long the object took, in milliseconds.
    pub object_ms: u64,
    /// The members of the response beside `expires_in`, in JSON from the first member to the closing brace.
    pub members: Secret,
}

impl Released {
    /// The message in which the object sends it: the three numbers and the members, with spaces between. The Worker
    /// takes the members over as they are.
    pub fn write(&self) -> Secret {
        let Self { expires_in, lease_seconds, object_ms, members } = self;
        Secret::new(format!("{expires_in} {lease_seconds} {object_ms} {}", members.expose()))
    }

    /// Reads what [`Released::write`] wrote. `None` for anything else.
    pub fn read(message: &Secret) -> Option<Self> {
        let mut parts = message.expose().splitn(4, ' ');
        Some(Self {
            expires_in: parts.next()?.parse().ok()?,
            lease_seconds: parts.next()?.parse().ok()?,
            object_ms: parts.next()?.parse().ok()?,
            members: Secret::new(parts.next()?),
        })
    }
}

/// What an isolate remembers of a question until the answer comes ([`LeaseCache::ask`]).
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    at: UnixSeconds,
    ends: u32,
}

#[derive(Debug)]
struct Lease {
    client_id: String,
    grant: ExchangeGrant,
    want: RequestedToken,
    /// `None` once the lease is over: then only its releases are kept, until they are reported.
    token: Option<Released>,
    asked_at: UnixSeconds,
    releases: u32,
    used: u64,
}

impl Lease {
    fn is_for(&self, key: &LeaseKey<'_>) -> bool {
        let (one, other) = (&self.want, key.want);
        self.client_id == key.client_id
            && self.grant == key.grant
            && one.login_hint == other.login_hint
            && one.scopes == other.scopes
            && one.exact == other.exact
            && one.kind == other.kind
            && one.resource == other.resource
    }

    /// The token with its present `expires_in`. `None` once the lease is over, also where the clock was set back.
    fn serve(&self, now: UnixSeconds) -> Option<(i64, &Secret)> {
        let token = self.token.as_ref()?;
        let age = now - self.asked_at;
        (0..token.lease_seconds).contains(&age).then(|| (token.expires_in - age, &token.members))
    }

    fn take_releases(&mut self) -> Option<LeasedReleases> {
        let count = std::mem::take(&mut self.releases);
        (count > 0).then(|| LeasedReleases { client_id: self.client_id.clone(), count })
    }

    fn bytes(&self) -> usize {
        let RequestedToken { login_hint, scopes, kind, resource, .. } = &self.want;
        let texts = login_hint.iter().chain(scopes).chain([kind]).chain(resource);
        let members = self.token.as_ref().map_or(0, |token| token.members.expose().len());
        size_of::<Self>() + self.client_id.len() + members + texts.map(String::len).sum::<usize>()
    }
}

/// The leases of one isolate.
#[derive(Debug, Default)]
pub struct LeaseCache {
    vaults: HashMap<String, Vec<Lease>>,
    count: usize,
    bytes: usize,
    uses: u64,
    swept_at: UnixSeconds,
    /// How often leases were ended, by group of vaults.
    ends: [u32; GROUPS],
}

impl LeaseCache {
    /// A question to a vault's object that leaves now.
    pub fn ask(&self, vault: &str, now: UnixSeconds) -> Asked {
        Asked { at: now, ends: self.ends_of(vault) }
    }

    /// The group of a vault, by the last character of its name.
    fn group(vault: &str) -> usize {
        usize::from(vault.bytes().last().unwrap_or_default()) % GROUPS
    }

    fn ends_of(&self, vault: &str) -> u32 {
        self.ends.get(Self::group(vault)).copied().unwrap_or_default()
    }

    /// The token and its present `expires_in` in seconds, if it is on lease. It counts as released to the client.
    pub fn find(&mut self, key: &LeaseKey<'_>, now: UnixSeconds) -> Option<(i64, &Secret)> {
        self.uses += 1;
        let lease = self.vaults.get_mut(key.vault)?.iter_mut().find(|one| one.is_for(key))?;
        lease.serve(now)?;
        lease.used = self.uses;
        lease.releases += 1;
        lease.serve(now)
    }

    /// Notes what the object answered: the token, or `None` if it released none. A token that it did not lend ends
    /// the lease of the one before; so does one that it may have lent before this isolate ended the vault's leases.
    /// Returns releases that can no more be reported to their vaults: where there are too many leases, those go that
    /// were not used for longest.
    pub fn note(
        &mut self,
        key: &LeaseKey<'_>,
        answer: Option<Released>,
        Asked { at: asked_at, ends }: Asked,
        now: UnixSeconds,
    ) -> Vec<LeasedReleases> {
        let is_current = ends == self.ends_of(key.vault);
        let token = answer.filter(|token| token.lease_seconds > 0 && is_current);
        let known = self.vaults.get_mut(key.vault);
        if let Some(lease) = known.and_then(|all| all.iter_mut().find(|one| one.is_for(key))) {
            // Of two requests at the same time, the one that asked last knows best. A question of a later time than
            // now was asked before the clock was set back.
            if lease.asked_at <= asked_at || lease.asked_at > now {
                self.bytes -= lease.bytes();
                (lease.token, lease.asked_at) = (token, asked_at);
                self.bytes += lease.bytes();
            }
            return Vec::new();
        }
        if token.is_none() {
            return Vec::new();
        }
        self.uses += 1;
        let lease = Lease {
            client_id: key.client_id.to_owned(),
            grant: key.grant,
            want: RequestedToken { refused_token: None, min_ttl: 0, ..key.want.clone() },
            token,
            asked_at,
            releases: 0,
            used: self.uses,
        };
        self.sweep(now);
        self.count += 1;
        self.bytes += lease.bytes();
        self.vaults.entry(key.vault.to_owned()).or_default().push(lease);
        let mut lost = Vec::new();
        while self.count > MOST || self.bytes > MOST_BYTES {
            lost.extend(self.drop_one());
        }
        lost
    }

    /// Ends all leases of a vault, and those of questions that are not answered yet: an account was deleted or
    /// connected there, as this isolate knows.
    pub fn end(&mut self, vault: &str) {
        if let Some(ends) = self.ends.get_mut(Self::group(vault)) {
            *ends = ends.wrapping_add(1);
        }
        for lease in self.vaults.get_mut(vault).into_iter().flatten() {
            self.bytes -= lease.bytes();
            lease.token = None;
            self.bytes += lease.bytes();
        }
    }

    /// Takes the releases that the vault has not been told of.
    pub fn take_releases(&mut self, vault: &str) -> Vec<LeasedReleases> {
        let leases = self.vaults.get_mut(vault).into_iter().flatten();
        leases.filter_map(Lease::take_releases).collect()
    }

    /// Takes releases back of which the vault could not be told. Returns those of leases that are gone.
    pub fn put_back(&mut self, vault: &str, releases: Vec<LeasedReleases>) -> Vec<LeasedReleases> {
        let mut leases = self.vaults.get_mut(vault);
        let mut is_kept = |one: &LeasedReleases| {
            let all = leases.iter_mut().flat_map(|leases| leases.iter_mut());
            let lease = all.into_iter().find(|lease| lease.client_id == one.client_id);
            lease.map(|lease| lease.releases += one.count).is_some()
        };
        releases.into_iter().filter(|one| !is_kept(one)).collect()
    }

    /// Wipes the tokens whose lease is over, and forgets the leases that have nothing to report.
    fn sweep(&mut self, now: UnixSeconds) {
        if self.swept_at == now {
            return;
        }
        self.swept_at = now;
        (self.count, self.bytes) = (0, 0);
        let (count, bytes) = (&mut self.count, &mut self.bytes);
        self.vaults.retain(|_, leases| {
            leases.retain_mut(|lease| {
                if lease.serve(now).is_none() {
                    lease.token = None;
                }
                lease.token.is_some() || lease.releases > 0
            });
            *count += leases.len();
            *bytes += leases.iter().map(Lease::bytes).sum::<usize>();
            !leases.is_empty()
        });
    }

    /// Drops the lease that was not used for longest.
    fn drop_one(&mut self) -> Option<LeasedReleases> {
        let oldest = |leases: &Vec<Lease>| leases.iter().map(|lease| lease.used).min();
        let by_use = self.vaults.iter().map(|(vault, leases)| (oldest(leases), vault));
        let vault = by_use.min()?.1.clone();
        let leases = self.vaults.get_mut(&vault)?;
        let (index, _) = leases.iter().enumerate().min_by_key(|(_, lease)| lease.used)?;
        let mut lease = leases.swap_remove(index);
        if leases.is_empty() {
            self.vaults.remove(&vault);
        }
        self.count -= 1;
        self.bytes -= lease.bytes();
        lease.take_releases()
    }
}
