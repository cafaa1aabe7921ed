//! Which token is released, if any.

use serde::{Deserialize, Serialize};

use super::record::{AccessTokenRecord, Account, AccountState, Grant, Reason, Selector};
use crate::config::Connection;
use crate::provider::minting::{self, NoAccount};
use crate::provider::scopes;
use crate::time::UnixSeconds;

/// `expires_in` of a token whose end the provider does not tell: clients need a number, and come
/// back for the same token after it.
pub const UNKNOWN_EXPIRES_IN: i64 = 600;

/// A token that lives this long or longer is released without a refresh; one of a short life, from
/// half of that life on.
const MARGIN: i64 = 60;

/// What a caller wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
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
pub enum Problem {
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
    /// The provider does not accept our registration; the operator must act.
    Misconfigured {
        /// Seconds until the provider is asked again.
        retry_after: i64,
    },
}

/// What to do for a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Release the stored token.
    Serve {
        /// Its remaining life in seconds, at least 0.
        expires_in: i64,
    },
    /// Renew the grant, then decide again.
    Refresh,
    /// Tell why not.
    Stop(Problem),
}

/// Picks the account. `accounts` are in order of connection, the oldest first: that is the default,
/// so that a second account never changes what an application already does.
///
/// # Errors
/// The [`Problem`] to tell.
pub fn pick<'a>(accounts: &'a [Account], hint: Option<&str>) -> Result<&'a Account, Problem> {
    let Some(hint) = hint else {
        return accounts.first().ok_or(Problem::NotConnected);
    };
    if accounts.is_empty() {
        return Err(Problem::NotConnected);
    }
    let by_id = |account: &&Account| account.identity.id.as_deref() == Some(hint);
    if let Some(account) = accounts.iter().find(by_id) {
        return Ok(account);
    }
    let mut matching = accounts.iter().filter(|account| {
        let email = account.identity.email.as_deref();
        // People write addresses in any case; names and ids are the provider's business.
        email.is_some_and(|email| email.eq_ignore_ascii_case(hint))
            || account.identity.name.as_deref() == Some(hint)
    });
    match (matching.next(), matching.next()) {
        (Some(account), None) => Ok(account),
        (None, _) => Err(Problem::NoSuchAccount),
        (Some(_), Some(_)) => Err(Problem::AmbiguousAccount),
    }
}

/// Which of the account's tokens the caller needs. `granted`: scopes of the grant of the wanted kind.
///
/// # Errors
/// [`Problem::MissingScopes`], [`Problem::NoSuchResource`], [`Problem::SeveralResources`],
/// [`Problem::CannotNarrow`].
pub fn select(
    connection: &Connection,
    granted: &[String],
    want: &Want,
) -> Result<Selector, Problem> {
    if let Some(minting) = connection.minting(&want.kind) {
        let name = match &want.resource {
            Some(resource) => minting.name_in(resource).ok_or(Problem::NoSuchResource)?,
            None => String::new(),
        };
        // What the token may do shows only when it is there.
        let narrowed = if want.exact { want.scopes.as_slice() } else { &[] };
        return Ok(Selector::new(&want.kind, &name, narrowed));
    }
    if want.resource.is_some() {
        return Err(Problem::NoSuchResource);
    }
    let missing = scopes::missing(connection, granted, &want.scopes);
    if !missing.is_empty() {
        return Err(Problem::MissingScopes { missing });
    }
    let resource = |scope: &String| scopes::resource(connection, scope).map(str::to_owned);
    let mut resources = want.scopes.iter().map(resource);
    let first = resources.next().flatten();
    if resources.any(|other| other != first) {
        return Err(Problem::SeveralResources);
    }
    let mut within = granted.iter().filter(|scope| resource(scope) == first);
    let wider = within.any(|scope| !want.scopes.contains(scope));
    let narrow = want.exact && !want.scopes.is_empty() && wider;
    if narrow && !connection.down_scoping {
        return Err(Problem::CannotNarrow);
    }
    let narrowed = if narrow { want.scopes.as_slice() } else { &[] };
    Ok(Selector::new(&want.kind, first.as_deref().unwrap_or_default(), narrowed))
}

/// How a token can be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewal {
    /// Whether it can.
    pub possible: bool,
    /// Whether before its end, too: not where that would end the one that others still hold.
    pub ahead: bool,
}

/// Of a token of this kind. `own`: the account's own token, on which one that we make rests.
pub fn renewal(
    connection: &Connection,
    kind: &str,
    grant: &Grant,
    own: Option<&AccessTokenRecord>,
    now: UnixSeconds,
) -> Renewal {
    if connection.minting(kind).is_none() {
        let ahead = !connection.refresh_ends_access_token;
        return Renewal { possible: grant.has_refresh_token, ahead };
    }
    let lives = own.is_some_and(|own| remaining(own, now).is_some());
    Renewal { possible: grant.has_refresh_token || lives, ahead: true }
}

/// Decides over one grant, its state and the selected token.
pub fn decide(
    state: AccountState,
    grant: &Grant,
    token: Option<&AccessTokenRecord>,
    renewal: Renewal,
    now: UnixSeconds,
) -> Step {
    let alive = token.and_then(|token| remaining(token, now));
    if let (Some(token), Some(expires_in)) = (token, alive)
        && (!renewal.ahead || expires_in >= margin(token))
    {
        return Step::Serve { expires_in };
    }
    // From here on a refresh is due. Where there can be none, what is left of the token serves.
    let stop = |problem| match alive {
        Some(expires_in) => Step::Serve { expires_in },
        None => Step::Stop(problem),
    };
    if let AccountState::ReconnectRequired(reason) = state {
        return stop(Problem::ReconnectRequired { reason });
    }
    if !renewal.possible {
        return stop(Problem::ReconnectRequired { reason: Reason::NoRefreshToken });
    }
    match grant.retry_at {
        Some(at) if at > now && grant.fault.is_some() => {
            stop(Problem::Misconfigured { retry_after: at - now })
        }
        Some(at) if at > now => stop(Problem::Unavailable { retry_after: at - now }),
        _ => Step::Refresh,
    }
}

/// Why the provider would not give a token, though the grant goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// The user has not consented to its scopes.
    Scopes,
    /// There is nothing to make it for.
    NoAccount(NoAccount),
}

/// What to tell while such a token is not asked for again yet. `refused`: why and when it was.
pub fn withheld(
    refused: Option<(Withheld, UnixSeconds)>,
    want: &Want,
    now: UnixSeconds,
) -> Option<Problem> {
    const ASK_AGAIN: i64 = 60;
    let (why, at) = refused?;
    (0..ASK_AGAIN).contains(&(now - at)).then(|| match why {
        Withheld::Scopes => Problem::MissingScopes { missing: want.scopes.clone() },
        Withheld::NoAccount(reason) => Problem::NoAccount { reason },
    })
}

/// Scopes that the caller needs and a token that we made does not have.
///
/// # Errors
/// [`Problem::MissingScopes`].
pub fn check_minted(
    connection: &Connection,
    token: &AccessTokenRecord,
    want: &Want,
) -> Result<(), Problem> {
    if connection.minting(&want.kind).is_none() {
        return Ok(());
    }
    let missing = minting::missing(&token.scopes, &want.scopes);
    if missing.is_empty() { Ok(()) } else { Err(Problem::MissingScopes { missing }) }
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
