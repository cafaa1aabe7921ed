// SPDX-License-Identifier: Apache-2.0
//! Decides which token is released, or why none is.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::record::{AccessTokenRecord, Account, AccountState, Grant, Reason, Selector};
use super::refresh;
use vault_base::encoding;
use vault_base::ids::AccountId;
use vault_base::secret::Secret;
use vault_base::time::{CLOCK_SKEW_SECONDS, UnixSeconds};
use vault_provider::connection::Connection;
use vault_provider::error_codes::UNUSABLE_ACCESS_TOKEN;
use vault_provider::issuance::{self, NoAccount};
use vault_provider::profile::{MissingLifetime, ZeroLifetime};
use vault_provider::scopes;
use vault_provider::token_response::{self, Lifetime};

/// `expires_in` in seconds of a token whose expiry is unknown: clients need a number, and get the
/// same token again after it.
pub const UNKNOWN_EXPIRES_IN: i64 = 600;

/// A token is released without a refresh if it lives this long, in seconds; one with a short
/// lifetime, until half of it has passed.
const MARGIN: i64 = 60;

/// The token that a caller requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestedToken {
    /// Selects one of several accounts: account id, or the user's id, e-mail or name at the provider.
    pub login_hint: Option<String>,
    /// The scopes that the token must have.
    pub scopes: Vec<String>,
    /// Whether the token may have no other scopes.
    pub exact: bool,
    /// The kind of token; empty for the account's own.
    pub kind: String,
    /// The resource that the token is for (RFC 8693 §2.1), where this kind has resources.
    pub resource: Option<String>,
    /// The SHA-256, in base64url, of an access token that the provider's API refused.
    pub refused_token: Option<String>,
    /// The lifetime in seconds that the token should have left; 0 if the caller does not say.
    pub min_ttl: i64,
}

impl RequestedToken {
    /// Whether the caller says that this token is refused.
    pub fn is_refused(&self, token: &Secret) -> bool {
        let refused = self.refused_token.as_ref();
        refused.is_some_and(|refused| *refused == encoding::base64url(token.sha256()))
    }
}

/// Why no token is released. Callers see it as `connection_state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseError {
    /// The user has connected no account.
    NotConnected,
    /// `login_hint` matches none of the user's accounts.
    NoSuchAccount,
    /// `login_hint` matches several of the user's accounts.
    AmbiguousAccount,
    /// The grant has ended: the user must connect again.
    ReconnectRequired {
        /// Why it ended.
        reason: Reason,
    },
    /// The account lacks scopes.
    MissingScopes {
        /// The scopes that it lacks.
        missing: Vec<String>,
    },
    /// The account has no token of this kind.
    NoSuchKind,
    /// The provider has no such resource for tokens of this kind.
    NoSuchResource,
    /// There is no account at the provider to issue a token for, or the user does not own it.
    NoAccount {
        /// Which of the two.
        reason: NoAccount,
    },
    /// The scopes belong to several resources, and a token is for one.
    SeveralResources,
    /// The token would have more scopes than requested, and the provider cannot narrow it.
    CannotNarrow,
    /// The provider does not answer now.
    Unavailable {
        /// Seconds to wait before the next request.
        retry_after: i64,
    },
    /// The caller refuses the current token, and the account's newest token is too new to ask the
    /// provider for another.
    TooManyRequests {
        /// Seconds until such a request is carried out.
        retry_after: i64,
    },
    /// The operator must act. The account is unchanged.
    Misconfigured {
        /// Seconds to wait before the next request.
        retry_after: i64,
        /// What to look into.
        #[serde(default, skip_serializing_if = "Misconfiguration::is_default")]
        reason: Misconfiguration,
    },
}

/// What the operator must look into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misconfiguration {
    /// The provider does not accept the vault's registration or request.
    #[default]
    ProviderRefusedClient,
    /// The account was connected under another registration than the configured one.
    RegistrationChanged,
    /// The provider's access token has characters that no access token may have (RFC 6750 §2.1).
    UnusableAccessToken,
}

impl Misconfiguration {
    /// The word in `connection_state.reason`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProviderRefusedClient => "provider_refused_client",
            Self::RegistrationChanged => "registration_changed",
            Self::UnusableAccessToken => UNUSABLE_ACCESS_TOKEN,
        }
    }

    /// The reason for a grant whose last failure left this error code.
    fn of_fault(fault: &str) -> Self {
        match fault {
            UNUSABLE_ACCESS_TOKEN => Self::UnusableAccessToken,
            _ => Self::ProviderRefusedClient,
        }
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Seconds until a caller may ask again about an account of another registration, because somebody
/// must fix the configuration first.
const REGISTRATION_RETRY: i64 = 60;

/// The next step of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseStep {
    /// Release the stored token.
    Serve {
        /// Its remaining lifetime in seconds, at least 0.
        expires_in: i64,
    },
    /// Renew the grant, then decide again.
    Refresh,
    /// Release nothing, for this reason.
    Stop(ReleaseError),
}

/// Selects the account. `accounts` are all of one user at one connection, so no hint reaches another
/// user's. They are in the order of connection; the oldest is the default, so
/// that a second account never changes what an application already does.
///
/// `fits` says whether an account's grant came from the configured registration. Accounts that do
/// not fit are skipped as long as another one can be meant.
///
/// # Errors
/// The [`ReleaseError`] to tell the caller.
pub fn pick<'a>(
    accounts: &'a [Account],
    hint: Option<&str>,
    fits: impl Fn(&Account) -> bool,
) -> Result<&'a Account, ReleaseError> {
    let none = match pick_among(accounts.iter().filter(|account| fits(account)), hint) {
        Err(none @ (ReleaseError::NotConnected | ReleaseError::NoSuchAccount)) => none,
        picked => return picked,
    };
    match pick_among(accounts.iter().filter(|account| !fits(account)), hint) {
        Ok(_) | Err(ReleaseError::AmbiguousAccount) => Err(registration_changed()),
        Err(ReleaseError::NoSuchAccount) => Err(ReleaseError::NoSuchAccount),
        Err(_) => Err(none),
    }
}

/// The error for an account of another registration.
pub fn registration_changed() -> ReleaseError {
    let reason = Misconfiguration::RegistrationChanged;
    ReleaseError::Misconfigured { retry_after: REGISTRATION_RETRY, reason }
}

fn pick_among<'a>(
    mut accounts: impl Iterator<Item = &'a Account> + Clone,
    hint: Option<&str>,
) -> Result<&'a Account, ReleaseError> {
    let Some(hint) = hint else {
        return accounts.next().ok_or(ReleaseError::NotConnected);
    };
    if accounts.clone().next().is_none() {
        return Err(ReleaseError::NotConnected);
    }
    let by_id = |account: &&Account| account.identity.id.as_deref() == Some(hint);
    let own = accounts.clone().find(|account| account.id.as_str() == hint);
    if let Some(account) = own.or_else(|| accounts.clone().find(by_id)) {
        return Ok(account);
    }
    if AccountId::parse(hint).is_some() {
        // Users choose their names, so a name never stands for an account that was deleted.
        return Err(ReleaseError::NoSuchAccount);
    }
    let mut matching = accounts.filter(|account| {
        let email = account.identity.email.as_deref();
        // People write e-mail addresses in any case; names and ids are compared exactly.
        email.is_some_and(|email| email.eq_ignore_ascii_case(hint))
            || account.identity.name.as_deref() == Some(hint)
    });
    let account = matching.next().ok_or(ReleaseError::NoSuchAccount)?;
    // A user who connected before and after an address moved has the same account twice.
    let is_same =
        |other: &Account| account.identity.id.is_some() && other.identity.id == account.identity.id;
    if matching.all(is_same) { Ok(account) } else { Err(ReleaseError::AmbiguousAccount) }
}

/// Selects the access token that satisfies the request. `own` is the account's name at the
/// provider, `granted` the scopes of its grant of the requested kind.
///
/// # Errors
/// [`ReleaseError::MissingScopes`], [`ReleaseError::NoSuchResource`],
/// [`ReleaseError::SeveralResources`], [`ReleaseError::CannotNarrow`].
pub fn select(
    connection: &Connection,
    own: Option<&str>,
    granted: &[String],
    want: &RequestedToken,
) -> Result<Selector, ReleaseError> {
    if let Some(issuance) = connection.issuance(&want.kind) {
        let name = match &want.resource {
            Some(resource) => issuance.name_in(resource).ok_or(ReleaseError::NoSuchResource)?,
            None => String::new(),
        };
        let is_own = own.is_some_and(|own| own.eq_ignore_ascii_case(&name));
        let name = if is_own { String::new() } else { name };
        // The scopes of such a token are known only once it is issued.
        let narrowed = if want.exact { want.scopes.as_slice() } else { &[] };
        return Ok(Selector::new(&want.kind, &name, narrowed));
    }
    if want.resource.is_some() {
        return Err(ReleaseError::NoSuchResource);
    }
    let missing = scopes::missing(connection, granted, &want.scopes);
    if !missing.is_empty() {
        return Err(ReleaseError::MissingScopes { missing });
    }
    let resource = |scope: &String| scopes::resource(connection, scope).map(str::to_owned);
    let mut resources = want.scopes.iter().map(resource);
    let first = resources.next().flatten();
    if resources.any(|other| other != first) {
        return Err(ReleaseError::SeveralResources);
    }
    let within: Vec<String> =
        granted.iter().filter(|scope| resource(scope) == first).cloned().collect();
    let narrow = is_wider(connection, want, &within);
    if narrow && (!connection.down_scoping || want.scopes.is_empty()) {
        return Err(ReleaseError::CannotNarrow);
    }
    let narrowed = if narrow { want.scopes.as_slice() } else { &[] };
    Ok(Selector::new(&want.kind, first.as_deref().unwrap_or_default(), narrowed))
}

/// Whether a token with these scopes has more than the request allows.
fn is_wider(connection: &Connection, want: &RequestedToken, has: &[String]) -> bool {
    let more = || match connection.issuance(&want.kind) {
        Some(_) => issuance::missing(&want.scopes, has),
        None => scopes::missing(connection, &want.scopes, has),
    };
    want.exact && !more().is_empty()
}

/// How a token can be renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalMethod {
    /// Whether it can be renewed at all.
    pub possible: bool,
    /// Whether it may be renewed before it expires: not where that would end the old token, which
    /// others still hold.
    pub ahead: bool,
    /// Whether it renews itself, which it cannot do any more when it has expired: it is renewed after half of its
    /// lifetime.
    pub by_itself: bool,
    /// What to tell callers while it is in the negative cache.
    pub withheld: Option<ReleaseError>,
    /// The lifetime in seconds with less of which it is renewed ahead ([`at_least`]).
    pub at_least: i64,
}

/// How a token of this kind can be renewed. `own` is the account's own token, which an issued token
/// depends on.
pub fn renewal(
    connection: &Connection,
    kind: &str,
    grant: &Grant,
    own: Option<&AccessTokenRecord>,
    withheld: Option<ReleaseError>,
    now: UnixSeconds,
) -> RenewalMethod {
    if connection.issuance(kind).is_none() {
        let ahead = !connection.refresh_ends_access_token;
        let by_itself = connection.renewal.by_access_token;
        let is_over = by_itself && grant.expires_at.is_some_and(|at| at <= now);
        let possible = grant.has_refresh_token && !is_over;
        return RenewalMethod { possible, ahead, by_itself, withheld, at_least: 0 };
    }
    let lives = own.is_some_and(|own| remaining(own, now).is_some());
    let possible = grant.has_refresh_token || lives;
    RenewalMethod { possible, ahead: true, by_itself: false, withheld, at_least: 0 }
}

/// Seconds after the issue of an account's newest token before which no caller can demand another one.
/// Callers who share an account may each demand one, and one may demand tokens with many selections of
/// scopes, so the account's tokens count together.
const DEMAND_PAUSE: i64 = 60;

/// Seconds until a caller can demand a new token of an account whose newest one was issued at `newest`.
/// `None`: now.
pub fn demand_wait(newest: Option<UnixSeconds>, now: UnixSeconds) -> Option<i64> {
    let wait = newest?.saturating_add(DEMAND_PAUSE).saturating_sub(now);
    (1..=DEMAND_PAUSE).contains(&wait).then_some(wait)
}

/// The lifetime in seconds with less of which a token is renewed for a caller who needs `min_ttl`. 0 where a
/// new token would not live so long either, or where none can be demanded now: then the caller gets the
/// current one, whose `expires_in` tells.
pub fn at_least(
    min_ttl: i64,
    token: Option<&AccessTokenRecord>,
    newest: Option<UnixSeconds>,
    now: UnixSeconds,
) -> i64 {
    let lifetime = token.and_then(AccessTokenRecord::lifetime);
    let helps = lifetime.is_some_and(|lifetime| lifetime >= min_ttl);
    if helps && demand_wait(newest, now).is_none() { min_ttl } else { 0 }
}

/// Decides about one grant, its state and the selected token.
pub fn decide(
    state: AccountState,
    grant: &Grant,
    token: Option<&AccessTokenRecord>,
    renewal: RenewalMethod,
    now: UnixSeconds,
) -> ReleaseStep {
    let alive = token.and_then(|token| remaining(token, now));
    if let (Some(token), Some(expires_in)) = (token, alive)
        && (!renewal.ahead || expires_in >= margin(token, renewal.by_itself).max(renewal.at_least))
        && !is_of_the_future(token, now)
    {
        return ReleaseStep::Serve { expires_in };
    }
    // From here on a refresh is due. Where none is possible, the stored token serves until it
    // expires.
    let stop = |problem| match alive {
        Some(expires_in) => ReleaseStep::Serve { expires_in },
        None => ReleaseStep::Stop(problem),
    };
    if let AccountState::ReconnectRequired(reason) = state {
        return stop(ReleaseError::ReconnectRequired { reason });
    }
    if !renewal.possible {
        return stop(ReleaseError::ReconnectRequired { reason: Reason::NoRefreshToken });
    }
    match grant.retry_at.and_then(|at| refresh::seconds_to_wait(at, now)) {
        Some(retry_after) => stop(match &grant.fault {
            Some(fault) => {
                let reason = Misconfiguration::of_fault(fault);
                ReleaseError::Misconfigured { retry_after, reason }
            }
            None => ReleaseError::Unavailable { retry_after },
        }),
        _ => match renewal.withheld {
            None => ReleaseStep::Refresh,
            // The account at the provider is not, or no longer, the user's.
            Some(problem @ ReleaseError::NoAccount { .. }) => ReleaseStep::Stop(problem),
            Some(problem) => stop(problem),
        },
    }
}

/// Negative cache: tokens that could not be obtained, with the time of the next attempt. It is kept
/// in memory only; an object that starts again asks again.
#[derive(Debug, Default)]
pub struct NegativeCache(HashMap<(AccountId, Selector), Unobtainable>);

impl NegativeCache {
    /// The entry of a token.
    pub fn get(&self, token: &(AccountId, Selector)) -> Option<&Unobtainable> {
        self.0.get(token)
    }

    /// Adds an entry, and drops old ones, because callers choose the names of tokens.
    pub fn insert(&mut self, token: (AccountId, Selector), held: Unobtainable, now: UnixSeconds) {
        const MOST: usize = 256;
        const LONG_PAST: i64 = 600;
        self.0.retain(|_, held| held.until + LONG_PAST > now);
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(token, held);
    }

    /// Drops the entry of a token that was obtained.
    pub fn remove(&mut self, token: &(AccountId, Selector)) {
        self.0.remove(token);
    }
}

/// [`decide`] for a caller who needs scopes. The scopes of a token that the vault requested with
/// its key were settled when it was issued: an older token that lacks some is issued again before
/// the caller is told.
///
/// The record of a token says which scopes it has, whatever was requested, because a provider may
/// give more. Such a token stays, and is not requested again before it expires: the provider would
/// give the same.
pub fn decide_for(
    want: &RequestedToken,
    connection: &Connection,
    state: AccountState,
    grant: &Grant,
    token: Option<&AccessTokenRecord>,
    renewal: RenewalMethod,
    now: UnixSeconds,
) -> ReleaseStep {
    const FRESH: i64 = 60;
    let step = decide(state, grant, token, renewal.clone(), now);
    let (ReleaseStep::Serve { .. }, Some(token)) = (&step, token) else {
        return step;
    };
    let missing = match connection.issuance(&want.kind) {
        Some(_) => issuance::missing(&token.scopes, &want.scopes),
        None => Vec::new(),
    };
    if !missing.is_empty() {
        return match decide(state, grant, None, renewal, now) {
            ReleaseStep::Refresh if now - token.issued_at >= FRESH => ReleaseStep::Refresh,
            told @ ReleaseStep::Stop(ReleaseError::NoAccount { .. }) => told,
            _ => ReleaseStep::Stop(ReleaseError::MissingScopes { missing }),
        };
    }
    if is_wider(connection, want, &token.scopes) {
        return ReleaseStep::Stop(ReleaseError::CannotNarrow);
    }
    step
}

/// Why a token cannot be obtained although its grant is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenUnavailable {
    /// The user has not consented to its scopes.
    Scopes,
    /// There is no account at the provider to issue it for.
    NoAccount(NoAccount),
    /// The user's own token, which it depends on, does not open.
    Corrupt,
    /// The provider does not answer.
    Unavailable,
    /// The provider does not accept the vault's signature or request.
    Misconfigured,
    /// The provider's token has characters that no access token may have.
    UnusableToken,
}

/// An entry of the negative cache. It concerns one token; others of the account are unaffected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unobtainable {
    /// Why the token cannot be obtained.
    pub why: TokenUnavailable,
    /// It is not requested again before this time, Unix seconds.
    pub until: UnixSeconds,
    /// Number of consecutive failures.
    pub failures: u32,
    /// Whether the provider rejected the user's own token, and the vault has already acted on that.
    pub refused: bool,
}

impl Unobtainable {
    /// An entry for a failure that somebody must fix: the next attempt is in a minute.
    pub fn new(why: TokenUnavailable, now: UnixSeconds) -> Self {
        const ASK_AGAIN: i64 = 60;
        Self { why, until: now + ASK_AGAIN, failures: 0, refused: false }
    }

    /// What to tell callers while the entry holds.
    pub fn problem(&self, want: &RequestedToken, now: UnixSeconds) -> Option<ReleaseError> {
        let retry_after = refresh::seconds_to_wait(self.until, now)?;
        Some(match self.why {
            TokenUnavailable::Scopes => {
                ReleaseError::MissingScopes { missing: want.scopes.clone() }
            }
            TokenUnavailable::NoAccount(reason) => ReleaseError::NoAccount { reason },
            TokenUnavailable::Corrupt => {
                ReleaseError::ReconnectRequired { reason: Reason::Corrupt }
            }
            TokenUnavailable::Unavailable => ReleaseError::Unavailable { retry_after },
            TokenUnavailable::Misconfigured => {
                ReleaseError::Misconfigured { retry_after, reason: Misconfiguration::default() }
            }
            TokenUnavailable::UnusableToken => ReleaseError::Misconfigured {
                retry_after,
                reason: Misconfiguration::UnusableAccessToken,
            },
        })
    }
}

/// The token's record as it counts, where that differs from the stored one: earlier versions stored
/// a token without an expiry when they could not read it. `None`: the stored record counts.
pub fn as_believed(
    connection: &Connection,
    grant: &Grant,
    token: &AccessTokenRecord,
) -> Option<AccessTokenRecord> {
    let told_endless = connection.answer.zero_expires_in == ZeroLifetime::Never
        || connection.answer.missing_expires_in == MissingLifetime::Never;
    if token.expires_at.is_some() || !grant.has_refresh_token || told_endless {
        return None;
    }
    let lives = token_response::seconds_to_live(connection, Lifetime::Untold, true, None)?;
    Some(AccessTokenRecord {
        expires_at: Some(token.issued_at.saturating_add(lives)),
        ..token.clone()
    })
}

/// Seconds after its issue for which a token is released that was issued with the lifetime 0. Without
/// them, each look at the vault would refresh again, and no caller would get a token.
const PAUSE: i64 = 10;

/// Remaining lifetime in seconds; `None` if the token has expired. It is never longer than the lifetime
/// that the token was issued with, also if the clock was set back since.
pub fn remaining(token: &AccessTokenRecord, now: UnixSeconds) -> Option<i64> {
    let Some(at) = token.expires_at else {
        return Some(UNKNOWN_EXPIRES_IN);
    };
    match token.lifetime() {
        Some(lifetime) => (at > now).then(|| lifetime.min(at - now)),
        None => (0..PAUSE).contains(&(now - token.issued_at)).then_some(0),
    }
}

/// Whether the clock was set back since the token was issued, by more than clocks differ: then nobody
/// knows how old the token is.
fn is_of_the_future(token: &AccessTokenRecord, now: UnixSeconds) -> bool {
    token.expires_at.is_some() && token.issued_at > now + CLOCK_SKEW_SECONDS
}

fn margin(token: &AccessTokenRecord, by_itself: bool) -> i64 {
    match token.lifetime() {
        Some(life) if by_itself => life / 2,
        Some(life) => MARGIN.min(life / 2),
        None if token.expires_at.is_some() => 0,
        None => MARGIN,
    }
}
