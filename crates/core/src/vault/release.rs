// SPDX-License-Identifier: Apache-2.0
//! Decides which access token a caller gets, or why none is released.

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

/// The value of `expires_in`, in seconds, for a token whose expiry is unknown. Clients need a number; after
/// this time they ask again and get the same token.
pub const UNKNOWN_EXPIRES_IN: i64 = 600;

/// A token that is valid for at least this many seconds is released without a refresh. For a token whose
/// whole lifetime is shorter than twice that, half of the lifetime is enough.
const MARGIN: i64 = 60;

/// The access token that a caller requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedToken {
    /// Selects one of several accounts by the provider's id of the user, or by e-mail address or name.
    pub login_hint: Option<String>,
    /// The scopes that the token must have.
    pub scopes: Vec<String>,
    /// Whether the token must have no other scopes.
    pub exact: bool,
    /// The token's kind; empty for the account's own.
    pub kind: String,
    /// The resource that the token is for, where tokens of this kind are for one: the parameter `resource` of
    /// RFC 8693 §2.1.
    pub resource: Option<String>,
}

/// Why no token is released. The token endpoint reports most of these as `connection_state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseError {
    /// The user has no account at this connection.
    NotConnected,
    /// `login_hint` matches none of the user's accounts.
    NoSuchAccount,
    /// `login_hint` matches several accounts.
    AmbiguousAccount,
    /// The user must connect again.
    ReconnectRequired {
        /// Why.
        reason: Reason,
    },
    /// The account did not grant all requested scopes.
    MissingScopes {
        /// The scopes that the user must grant.
        missing: Vec<String>,
    },
    /// The provider issues no token of this kind, or issued none for this account.
    NoSuchKind,
    /// Tokens of this kind are not issued for the requested resource.
    NoSuchResource,
    /// There is no account at the provider to issue a token for, or it is not the user's.
    NoAccount {
        /// Why.
        reason: NoAccount,
    },
    /// The requested scopes belong to several resources, but a token is for one resource.
    SeveralResources,
    /// The token would have more scopes than requested, and cannot be narrowed.
    CannotNarrow,
    /// The provider is unavailable at present.
    Unavailable {
        /// Seconds until the next attempt.
        retry_after: i64,
    },
    /// The operator must fix something; the account's grant stays valid.
    Misconfigured {
        /// Seconds until the next attempt.
        retry_after: i64,
        /// What the operator must fix.
        #[serde(default, skip_serializing_if = "Misconfiguration::is_default")]
        reason: Misconfiguration,
    },
}

/// What the operator must fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misconfiguration {
    /// The provider does not accept the vault's registration or request.
    #[default]
    ProviderRefusedClient,
    /// The account was connected under another registration than the configured one.
    RegistrationChanged,
    /// The access token in the provider's response has characters that an access token must not have
    /// (RFC 6749 Appendix A.12).
    UnusableAccessToken,
}

impl Misconfiguration {
    /// The value of `connection_state.reason`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProviderRefusedClient => "provider_refused_client",
            Self::RegistrationChanged => "registration_changed",
            Self::UnusableAccessToken => UNUSABLE_ACCESS_TOKEN,
        }
    }

    /// The misconfiguration that [`Grant::fault`] stands for.
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

/// Seconds after which a caller may retry for an account of another registration. The operator must correct
/// the configuration first.
const REGISTRATION_RETRY: i64 = 60;

/// The next step for a caller who requests a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseStep {
    /// Release the stored token.
    Serve {
        /// The remaining lifetime in seconds, more than 0; [`UNKNOWN_EXPIRES_IN`] if the expiry is unknown.
        expires_in: i64,
    },
    /// Renew or issue the token, then decide again.
    Refresh,
    /// Answer with this error.
    Stop(ReleaseError),
}

/// Selects the account that the caller means. `accounts` are sorted by age, the oldest first. Without a
/// `hint` the oldest one is selected, so that a second account never changes the behaviour of an application.
///
/// `fits` says whether an account's grant came from the configured registration. Accounts for which it is
/// false are considered only if no other account matches.
///
/// # Errors
/// The [`ReleaseError`] for the caller; [`Misconfiguration::RegistrationChanged`] if only accounts of another
/// registration match.
pub fn pick<'a>(
    accounts: &'a [Account],
    hint: Option<&str>,
    fits: impl Fn(&Account) -> bool,
) -> Result<&'a Account, ReleaseError> {
    let no_match = match pick_among(accounts.iter().filter(|account| fits(account)), hint) {
        Err(no_match @ (ReleaseError::NotConnected | ReleaseError::NoSuchAccount)) => no_match,
        picked => return picked,
    };
    match pick_among(accounts.iter().filter(|account| !fits(account)), hint) {
        Ok(_) | Err(ReleaseError::AmbiguousAccount) => Err(registration_changed()),
        Err(ReleaseError::NoSuchAccount) => Err(ReleaseError::NoSuchAccount),
        Err(_) => Err(no_match),
    }
}

/// The error for an account of another registration than the configured one.
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
        // Users write e-mail addresses in any case. Whether case matters in names is up to the provider.
        email.is_some_and(|email| email.eq_ignore_ascii_case(hint))
            || account.identity.name.as_deref() == Some(hint)
    });
    let account = matching.next().ok_or(ReleaseError::NoSuchAccount)?;
    // One user has several accounts after connecting before and after the provider's address changed.
    let is_same =
        |other: &Account| account.identity.id.is_some() && other.identity.id == account.identity.id;
    if matching.all(is_same) { Ok(account) } else { Err(ReleaseError::AmbiguousAccount) }
}

/// Selects the access token that satisfies the request. `account_name` is the account's name at the provider,
/// and `granted` has the scopes of the grant that the requested token rests on.
///
/// # Errors
/// [`ReleaseError::MissingScopes`], [`ReleaseError::NoSuchResource`], [`ReleaseError::SeveralResources`],
/// [`ReleaseError::CannotNarrow`].
pub fn select(
    connection: &Connection,
    account_name: Option<&str>,
    granted: &[String],
    want: &RequestedToken,
) -> Result<Selector, ReleaseError> {
    if let Some(issuance) = connection.issuance(&want.kind) {
        let name = match &want.resource {
            Some(resource) => issuance.name_in(resource).ok_or(ReleaseError::NoSuchResource)?,
            None => String::new(),
        };
        let is_own = account_name.is_some_and(|own| own.eq_ignore_ascii_case(&name));
        let name = if is_own { String::new() } else { name };
        // The scopes of an issued token are known only after it was issued, so none are checked here.
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

/// Whether a token with the scopes `has` has more of them than the caller may get.
fn is_wider(connection: &Connection, want: &RequestedToken, has: &[String]) -> bool {
    let surplus = || match connection.issuance(&want.kind) {
        Some(_) => issuance::missing(&want.scopes, has),
        None => scopes::missing(connection, &want.scopes, has),
    };
    want.exact && !surplus().is_empty()
}

/// Whether and when a token can be renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalMethod {
    /// Whether it can be renewed at all.
    pub possible: bool,
    /// Whether it may be renewed before it expires. It may not where the renewal would end an access token
    /// that other callers still use.
    pub ahead: bool,
    /// The error from the negative cache: while it is set, the token is not requested again.
    pub withheld: Option<ReleaseError>,
}

/// How a token of this kind can be renewed. `own` is the account's own access token, which the issuance of a
/// further token needs, and `withheld` is what the negative cache says of the wanted token.
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
    let is_own_valid = own.is_some_and(|own| remaining(own, now).is_some());
    RenewalMethod { possible: grant.has_refresh_token || is_own_valid, ahead: true, withheld }
}

/// Decides whether to release the selected token, given its grant and the grant's state. `token` is `None` if
/// the token is not stored.
pub fn decide(
    state: AccountState,
    grant: &Grant,
    token: Option<&AccessTokenRecord>,
    renewal: RenewalMethod,
    now: UnixSeconds,
) -> ReleaseStep {
    let seconds_left = token.and_then(|token| remaining(token, now));
    if let (Some(token), Some(expires_in)) = (token, seconds_left)
        && (!renewal.ahead || expires_in >= margin(token))
    {
        return ReleaseStep::Serve { expires_in };
    }
    // A refresh is due. Where none is possible, the token is still released until it expires.
    let stop = |problem| match seconds_left {
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
            // The resource is not the user's, or not any more: even a valid token must not be released.
            Some(problem @ ReleaseError::NoAccount { .. }) => ReleaseStep::Stop(problem),
            Some(problem) => stop(problem),
        },
    }
}

/// Negative cache: tokens that could not be obtained, with the time of the next attempt. It is kept in
/// memory, so that an object that starts again tries again.
#[derive(Debug, Default)]
pub struct NegativeCache(HashMap<(AccountId, Selector), Unobtainable>);

impl NegativeCache {
    /// The entry of a token, which may have expired ([`Unobtainable::problem`]).
    pub fn get(&self, token: &(AccountId, Selector)) -> Option<&Unobtainable> {
        self.0.get(token)
    }

    /// Adds or replaces the entry of a token. Entries that expired more than 600 seconds ago are removed, and
    /// all of them if there are 256 or more, because callers choose the tokens that they request.
    pub fn insert(&mut self, token: (AccountId, Selector), entry: Unobtainable, now: UnixSeconds) {
        const MOST: usize = 256;
        const LONG_PAST: i64 = 600;
        self.0.retain(|_, entry| entry.until + LONG_PAST > now);
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(token, entry);
    }

    /// Removes the entry of a token that was obtained.
    pub fn remove(&mut self, token: &(AccountId, Selector)) {
        self.0.remove(token);
    }
}

/// Like [`decide`], and also checks the scopes of the token that would be released. The scopes of a token
/// that the vault issued were fixed when it was issued. If such a token lacks a requested scope and is at
/// least 60 seconds old, it is issued again before the caller gets [`ReleaseError::MissingScopes`].
///
/// The check uses the scopes in the token's record and not the requested ones, because a provider may grant
/// more than was requested. A token that is too wide stays stored and is not requested again before it
/// expires, because the provider would issue the same one.
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
            no_account @ ReleaseStep::Stop(ReleaseError::NoAccount { .. }) => no_account,
            _ => ReleaseStep::Stop(ReleaseError::MissingScopes { missing }),
        };
    }
    if is_wider(connection, want, &token.scopes) {
        return ReleaseStep::Stop(ReleaseError::CannotNarrow);
    }
    step
}

/// Why a token cannot be obtained although the grant is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenUnavailable {
    /// The user has not consented to the token's scopes.
    Scopes,
    /// There is no account at the provider to issue the token for.
    NoAccount(NoAccount),
    /// The user's own access token, which the issuance needs, cannot be decrypted.
    Corrupt,
    /// The provider is unavailable.
    Unavailable,
    /// The provider does not accept the vault's signature or request.
    Misconfigured,
    /// The provider's response has no usable access token ([`Misconfiguration::UnusableAccessToken`]).
    UnusableToken,
}

/// An entry of the [`NegativeCache`]. It is about one token; other tokens of the account are not affected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unobtainable {
    /// Why the token could not be obtained.
    pub why: TokenUnavailable,
    /// The token is not requested again before this time.
    pub until: UnixSeconds,
    /// The number of consecutive failures.
    pub failures: u32,
    /// Whether the provider rejected the user's own access token, and the vault has reacted to that once.
    pub refused: bool,
}

impl Unobtainable {
    /// The entry for a failure that the user or the operator must resolve. It expires after 60 seconds.
    pub fn new(why: TokenUnavailable, now: UnixSeconds) -> Self {
        const ASK_AGAIN: i64 = 60;
        Self { why, until: now + ASK_AGAIN, failures: 0, refused: false }
    }

    /// The error for a caller who requests the token; `None` once the entry has expired.
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

/// The record of a stored token with an assumed expiry, if the stored record has none and should have one.
/// Earlier versions stored a lifetime that they could not read as no expiry. Such a token is now treated as
/// expiring if its grant has a refresh token and the connection does not say that tokens never expire.
/// `None` if the stored record is right as it is.
pub fn as_believed(
    connection: &Connection,
    grant: &Grant,
    token: &AccessTokenRecord,
) -> Option<AccessTokenRecord> {
    let may_never_expire = connection.answer.zero_expires_in == ZeroLifetime::Never
        || connection.answer.missing_expires_in == MissingLifetime::Never;
    if token.expires_at.is_some() || !grant.has_refresh_token || may_never_expire {
        return None;
    }
    let lifetime = token_response::seconds_to_live(connection, Lifetime::Untold, true, None)?;
    Some(AccessTokenRecord {
        expires_at: Some(token.issued_at.saturating_add(lifetime)),
        ..token.clone()
    })
}

/// The remaining lifetime in seconds: [`UNKNOWN_EXPIRES_IN`] if the expiry is unknown, `None` if the token
/// has expired.
pub fn remaining(token: &AccessTokenRecord, now: UnixSeconds) -> Option<i64> {
    match token.expires_at {
        None => Some(UNKNOWN_EXPIRES_IN),
        Some(at) if at > now => Some(at - now),
        Some(_) => None,
    }
}

fn margin(token: &AccessTokenRecord) -> i64 {
    let lifetime = token.expires_at.map_or(i64::MAX, |at| at.saturating_sub(token.issued_at));
    MARGIN.min(lifetime / 2)
}
