// SPDX-License-Identifier: Apache-2.0
//! Which token is released, if any.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::record::{AccessTokenRecord, Account, AccountState, Grant, Reason, Selector};
use vault_base::ids::AccountId;
use vault_base::time::UnixSeconds;
use vault_provider::connection::Connection;
use vault_provider::error_codes::UNUSABLE_ACCESS_TOKEN;
use vault_provider::issuance::{self, NoAccount};
use vault_provider::profile::{MissingLifetime, ZeroLifetime};
use vault_provider::scopes;
use vault_provider::token_response::{self, Lifetime};

/// `expires_in` of a token whose end the provider does not tell: clients need a number, and come
/// back for the same token after it.
pub const UNKNOWN_EXPIRES_IN: i64 = 600;

/// A token that lives this long or longer is released without a refresh; one of a short life, from
/// half of that life on.
const MARGIN: i64 = 60;

/// What a caller wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedToken {
    /// Picks among several accounts: provider user id, e-mail or name.
    pub login_hint: Option<String>,
    /// Scopes needed.
    pub scopes: Vec<String>,
    /// Those and no others.
    pub exact: bool,
    /// Which kind of token; empty for the account's own.
    pub kind: String,
    /// What it is for, where tokens of this kind are for something: `resource` of RFC 8693 §2.1.
    pub resource: Option<String>,
}

/// Why no token is released. Reaches the caller as `connection_state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseError {
    /// The user has no account here.
    NotConnected,
    /// `login_hint` matches none of the user's accounts.
    NoSuchAccount,
    /// `login_hint` matches more than one.
    AmbiguousAccount,
    /// The user must connect again.
    ReconnectRequired {
        /// Why.
        reason: Reason,
    },
    /// The account did not grant these scopes.
    MissingScopes {
        /// Which.
        missing: Vec<String>,
    },
    /// The provider gives no token of this kind, or gave none with this account.
    NoSuchKind,
    /// Tokens of this kind are for no such resource.
    NoSuchResource,
    /// There is nothing there to make a token for, or it is not the user's.
    NoAccount {
        /// Why.
        reason: NoAccount,
    },
    /// The scopes belong to several resources, and a token is for one.
    SeveralResources,
    /// The token would have more scopes than asked for, and cannot be narrowed.
    CannotNarrow,
    /// The provider cannot be had now.
    Unavailable {
        /// Seconds to wait.
        retry_after: i64,
    },
    /// The operator must act, and the account is as good as it was.
    Misconfigured {
        /// Seconds until it is tried again.
        retry_after: i64,
        /// Why.
        #[serde(default, skip_serializing_if = "Misconfiguration::is_default")]
        reason: Misconfiguration,
    },
}

/// What the operator must look into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misconfiguration {
    /// The provider does not accept our registration or request.
    #[default]
    ProviderRefusedClient,
    /// The account was connected under another registration than the configuration has.
    RegistrationChanged,
    /// The provider's access token is not text that may be one.
    UnusableAccessToken,
}

impl Misconfiguration {
    /// The word that is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProviderRefusedClient => "provider_refused_client",
            Self::RegistrationChanged => "registration_changed",
            Self::UnusableAccessToken => UNUSABLE_ACCESS_TOKEN,
        }
    }

    /// Of a grant whose last failure left this fault.
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

/// Seconds after which a caller may ask again for an account of another registration: somebody has to put
/// the configuration right first.
const REGISTRATION_RETRY: i64 = 60;

/// What to do for a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseStep {
    /// Release the stored token.
    Serve {
        /// Its remaining life in seconds, at least 0.
        expires_in: i64,
    },
    /// Renew the grant, then decide again.
    Refresh,
    /// Tell why not.
    Stop(ReleaseError),
}

/// Picks the account. `accounts` are in order of connection, the oldest first: that is the default,
/// so that a second account never changes what an application already does.
///
/// `fits`: whether an account's grant came from the registration that is configured. One that did not is
/// passed over as long as one that did can be meant.
///
/// # Errors
/// The [`ReleaseError`] to tell.
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

/// What a caller is told of an account of another registration.
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
    if let Some(account) = accounts.clone().find(by_id) {
        return Ok(account);
    }
    let mut matching = accounts.filter(|account| {
        let email = account.identity.email.as_deref();
        // People write addresses in any case; names and ids are the provider's business.
        email.is_some_and(|email| email.eq_ignore_ascii_case(hint))
            || account.identity.name.as_deref() == Some(hint)
    });
    let account = matching.next().ok_or(ReleaseError::NoSuchAccount)?;
    // One user has several where they connected before and after an address moved.
    let is_same =
        |other: &Account| account.identity.id.is_some() && other.identity.id == account.identity.id;
    if matching.all(is_same) { Ok(account) } else { Err(ReleaseError::AmbiguousAccount) }
}

/// Which of the account's tokens the caller needs. `own`: the account's name at the provider;
/// `granted`: scopes of the grant of the wanted kind.
///
/// # Errors
/// [`ReleaseError::MissingScopes`], [`ReleaseError::NoSuchResource`], [`ReleaseError::SeveralResources`],
/// [`ReleaseError::CannotNarrow`].
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
        // What the token may do shows only when it is there.
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

/// Whether a token with these scopes has more than a caller may get.
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
    /// Whether it can.
    pub possible: bool,
    /// Whether before its end, too: not where that would end the one that others still hold.
    pub ahead: bool,
    /// What to tell instead while it is not asked for again.
    pub withheld: Option<ReleaseError>,
}

/// Of a token of this kind. `own`: the account's own token, on which one that we make rests.
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
        return RenewalMethod { possible: grant.has_refresh_token, ahead, withheld };
    }
    let lives = own.is_some_and(|own| remaining(own, now).is_some());
    RenewalMethod { possible: grant.has_refresh_token || lives, ahead: true, withheld }
}

/// Decides over one grant, its state and the selected token.
pub fn decide(
    state: AccountState,
    grant: &Grant,
    token: Option<&AccessTokenRecord>,
    renewal: RenewalMethod,
    now: UnixSeconds,
) -> ReleaseStep {
    let alive = token.and_then(|token| remaining(token, now));
    if let (Some(token), Some(expires_in)) = (token, alive)
        && (!renewal.ahead || expires_in >= margin(token))
    {
        return ReleaseStep::Serve { expires_in };
    }
    // From here on a refresh is due. Where there can be none, what is left of the token serves.
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
    match grant.retry_at {
        Some(at) if at > now => stop(match &grant.fault {
            Some(fault) => ReleaseError::Misconfigured {
                retry_after: at - now,
                reason: Misconfiguration::of_fault(fault),
            },
            None => ReleaseError::Unavailable { retry_after: at - now },
        }),
        _ => match renewal.withheld {
            None => ReleaseStep::Refresh,
            // It is not the user's, or not any more.
            Some(problem @ ReleaseError::NoAccount { .. }) => ReleaseStep::Stop(problem),
            Some(problem) => stop(problem),
        },
    }
}

/// Tokens that were not to be had, and are not asked for again yet. Kept in memory: an object that
/// starts anew asks again.
#[derive(Debug, Default)]
pub struct NegativeCache(HashMap<(AccountId, Selector), Unobtainable>);

impl NegativeCache {
    /// What is remembered of a token.
    pub fn get(&self, token: &(AccountId, Selector)) -> Option<&Unobtainable> {
        self.0.get(token)
    }

    /// Remembers it, and forgets what is long past: callers name tokens as they like.
    pub fn insert(&mut self, token: (AccountId, Selector), held: Unobtainable, now: UnixSeconds) {
        const MOST: usize = 256;
        const LONG_PAST: i64 = 600;
        self.0.retain(|_, held| held.until + LONG_PAST > now);
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(token, held);
    }

    /// Forgets a token that is there.
    pub fn remove(&mut self, token: &(AccountId, Selector)) {
        self.0.remove(token);
    }
}

/// [`decide`] for a caller who needs scopes. What a token that we made may do was settled when it was
/// made: an older one that lacks some is made anew before that is told.
///
/// What a token may do is what its own record says, whatever was asked for it: a provider may give more
/// than that. Such a token stays where it is and is not asked for again before its end, because the
/// provider would give the same.
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

/// Why a token is not to be had, though the grant goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenUnavailable {
    /// The user has not consented to its scopes.
    Scopes,
    /// There is nothing to make it for.
    NoAccount(NoAccount),
    /// The user's own token, on which it rests, does not open.
    Corrupt,
    /// The provider cannot be had.
    Unavailable,
    /// The provider does not accept our signature or request.
    Misconfigured,
    /// What the provider gave is not text that may be an access token.
    UnusableToken,
}

/// What is remembered of a token that was not to be had. Others of its account are none the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unobtainable {
    /// Why.
    pub why: TokenUnavailable,
    /// It is not asked for again before.
    pub until: UnixSeconds,
    /// Failures in a row.
    pub failures: u32,
    /// Whether the user's own token was refused, and what can be done about that was done.
    pub refused: bool,
}

impl Unobtainable {
    /// Of a token that somebody must do something for: asked for again in a minute.
    pub fn new(why: TokenUnavailable, now: UnixSeconds) -> Self {
        const ASK_AGAIN: i64 = 60;
        Self { why, until: now + ASK_AGAIN, failures: 0, refused: false }
    }

    /// What to tell while it is not asked for again.
    pub fn problem(&self, want: &RequestedToken, now: UnixSeconds) -> Option<ReleaseError> {
        let retry_after = self.until - now;
        (retry_after > 0).then(|| match self.why {
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

/// A token as it is taken to be, where that is not what stands in its record: one without an end that can
/// be renewed was stored when an end that could not be read counted as none. `None`: as it stands.
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

/// Seconds of life left; `None` if it is over.
pub fn remaining(token: &AccessTokenRecord, now: UnixSeconds) -> Option<i64> {
    match token.expires_at {
        None => Some(UNKNOWN_EXPIRES_IN),
        Some(at) if at > now => Some(at - now),
        Some(_) => None,
    }
}

fn margin(token: &AccessTokenRecord) -> i64 {
    let life = token.expires_at.map_or(i64::MAX, |at| at.saturating_sub(token.issued_at));
    MARGIN.min(life / 2)
}
