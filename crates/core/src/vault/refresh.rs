// SPDX-License-Identifier: Apache-2.0
//! Renewing a grant so that it survives lost answers, crashes and races.
//!
//! Before the provider is asked, an [`Intent`] is written. Its answer is settled against the grant
//! as it is then: a grant that moved on or went away in the meantime is left as it is.
//!
//! A new refresh token is durable before anything else of its answer is judged ([`Intent::successor`]).
//! It takes the place of the old one when an answer that was asked for with either is good. What is not
//! settled is followed up by the vault itself ([`follow_up`]).

use super::jobs;
use super::record::{AccountState, Grant, Intent, Reason};
use vault_base::encoding;
use vault_base::secret::Secret;
use vault_base::time::UnixSeconds;
use vault_jose::id_token;
use vault_provider::connection::Connection;
use vault_provider::error_codes::{TokenEndpointError, UNUSABLE_ACCESS_TOKEN};
use vault_provider::scopes;
use vault_provider::token_response::{self, TokenResponse};

/// First cool-down after a failure, in seconds; it doubles with each further one.
const FIRST_COOL_DOWN: i64 = 5;
/// Longest cool-down we choose ourselves, in seconds.
const LONGEST_COOL_DOWN: i64 = 300;

/// Seconds for which a flight waits for the provider where nothing is known of a rotated token's second
/// chance: whoever gives up a flight may give up the only good refresh token with it. The platform would
/// let it wait for 15 minutes; but while it waits nobody gets a token, and a connection that is silent
/// for two minutes is dead.
const FLIGHT: i64 = 120;

/// The least that a flight waits, in seconds.
const SHORTEST_FLIGHT: i64 = 30;

/// Seconds for which a flight waits for the provider. Callers wait less: what comes later is stored all
/// the same. Where the provider takes a rotated token again for more than a minute, at most half of that
/// time goes by, so that the other half is left for asking again.
pub fn flight_time(leeway: Option<i64>) -> i64 {
    match leeway {
        Some(leeway) if leeway > 60 => (leeway / 2).clamp(SHORTEST_FLIGHT, FLIGHT),
        _ => FLIGHT,
    }
}

/// The intent to write before asking. One that is already there for the same token was never
/// settled: its answer is lost.
pub fn begin(grant: &Grant, token: &Secret, now: UnixSeconds) -> Intent {
    let token_sha256 = encoding::hex(&token.sha256());
    let unsettled = grant.intent.as_ref().filter(|intent| intent.generation == grant.generation);
    let earlier = unsettled.filter(|intent| intent.token_sha256 == token_sha256);
    Intent {
        generation: grant.generation,
        token_sha256,
        attempt: earlier.map_or(1, |intent| intent.attempt.saturating_add(1)),
        at: now,
        since: Some(earlier.map_or(now, Intent::since)),
        successor: unsettled.and_then(|intent| intent.successor.clone()),
    }
}

/// A grant whose answer named another refresh token, which was `sealed`: whatever the rest of the answer
/// turns out to be, that one is sent from now on.
#[must_use]
pub fn with_successor(grant: Grant, sealed: String) -> Grant {
    let intent = grant.intent.clone().map(|intent| Intent { successor: Some(sealed), ..intent });
    Grant { intent, ..grant }
}

/// When the vault itself asks again, though no caller does. `None`: the refresh is settled, or nothing is
/// to be won by asking again without need. `grant`: as it was stored after the answer.
///
/// An answer that is `lost` is followed up at once and then less and less often; an unclear one within
/// half of the time for which the provider takes a rotated token again. Where that time is known and is
/// over, the old token serves a caller as well as it serves us. `told`: the provider's `Retry-After`. The
/// cool-down that callers wait for does not count here.
pub fn follow_up(
    grant: &Grant,
    leeway: Option<i64>,
    lost: bool,
    told: Option<i64>,
    now: UnixSeconds,
) -> Option<UnixSeconds> {
    const WAITS: [i64; 7] = [5, 10, 30, 120, 600, 1800, 3600];
    let intent = grant.intent.as_ref().filter(|intent| !is_given_up(intent, now))?;
    let first = if lost { now } else { now.max(intent.at + jobs::recover_after(leeway)) };
    // An attempt that the provider says it did nothing with is taken back, and yet was a failure.
    let tries = if lost { intent.attempt } else { intent.attempt.max(grant.failures) };
    let due = match usize::try_from(tries).unwrap_or(usize::MAX) {
        0 | 1 => first,
        attempt => first.max(now + WAITS.get(attempt - 2).or(WAITS.last()).copied().unwrap_or(0)),
    };
    let due = told.map_or(due, |wait| due.max(now.saturating_add(wait)));
    // A successor was never used, so no such time is running for it.
    let until = leeway.filter(|leeway| *leeway > 0 && intent.successor.is_none());
    let Some(until) = until.map(|leeway| intent.since().saturating_add(leeway)) else {
        return Some(due);
    };
    let final_try = until - LAST_CHANCE;
    if due > final_try && now < final_try {
        return Some(final_try);
    }
    // Of the first answer nobody knows when it was given: of one that took longer than that time the
    // provider may have counted from its end.
    (due < until || (tries <= 1 && told.is_none())).then_some(due)
}

/// Whether the vault itself asks no more: the provider, or its registration, has been gone for a month, and
/// may be gone for ever. A caller who comes still starts a refresh.
pub fn is_given_up(intent: &Intent, now: UnixSeconds) -> bool {
    const MONTH: i64 = 30 * 86_400;
    now.saturating_sub(intent.since()) >= MONTH
}

/// How long before a rotated token's second chance is over it is tried for the last time, in seconds.
const LAST_CHANCE: i64 = 3;

/// What to write after the provider's answer.
#[derive(Debug)]
pub enum Settlement {
    /// Store the new tokens under the next generation.
    Renewed(Box<RenewedGrant>),
    /// Keep the refresh token, and do not ask again before `retry_at`.
    Kept {
        /// The grant as it must be stored.
        grant: Grant,
    },
    /// The grant is over.
    Ended {
        /// The account's new state.
        state: AccountState,
        /// The grant as it must be stored.
        grant: Grant,
    },
}

/// A renewed grant and its tokens, to be sealed.
#[derive(Debug)]
pub struct RenewedGrant {
    /// The grant as it must be stored.
    pub grant: Grant,
    /// The access token.
    pub access_token: Secret,
    /// Its true scopes.
    pub scopes: Vec<String>,
    /// When it ends, if known.
    pub expires_at: Option<UnixSeconds>,
    /// Whether its end is counted on though the provider tells none: the operator's log says so.
    pub is_lifetime_assumed: bool,
    /// The refresh token from now on: the new one, or the old one if there is no new one.
    pub refresh_token: Secret,
}

/// What was sent to the provider.
#[derive(Debug, Clone, Copy)]
pub struct SentRequest<'a> {
    /// The refresh token.
    pub refresh_token: &'a Secret,
    /// The grant's own refresh token, where the one that was sent is its successor.
    pub kept: Option<&'a Secret>,
    /// Seconds that the access token lived which is to be replaced, if known.
    pub lifetime_before: Option<i64>,
    /// Scopes that were asked for, if not the default: a narrowed token, or one for another
    /// resource.
    pub scopes: Option<&'a [String]>,
    /// The account's id at the provider, and the provider's issuer identifier, where known.
    pub user: Option<&'a str>,
    /// Issuer identifier of an `OpenID` provider.
    pub issuer: Option<&'a str>,
    /// The connection.
    pub connection: &'a Connection,
}

impl SentRequest<'_> {
    /// Whether a failure is about the scopes that were asked for and not about the grant: the user
    /// has not consented to them, or a provider whose tokens are for one resource says no more than
    /// `invalid_grant`: one resource may want more proof than another.
    pub fn refused_alone(&self, failure: &TokenEndpointError) -> bool {
        let about_them = match failure {
            TokenEndpointError::Consent(_) => true,
            TokenEndpointError::Refused(code) => {
                code == "invalid_grant" && self.connection.default_resource.is_some()
            }
            _ => false,
        };
        about_them && self.scopes.is_some()
    }
}

/// Settles an answer to the refresh that `grant.intent` announced.
pub fn settle(
    grant: &Grant,
    asked: &SentRequest<'_>,
    answer: Result<TokenResponse, TokenEndpointError>,
    now: UnixSeconds,
) -> Settlement {
    match answer {
        Ok(tokens) => Settlement::Renewed(Box::new(renewal(grant, asked, tokens, now))),
        // The grant goes on; what was asked for beyond it is not to be had without the user.
        Err(failure) if asked.refused_alone(&failure) => {
            Settlement::Kept { grant: Grant { intent: undone(grant), ..grant.clone() } }
        }
        Err(failure) if asked.kept.is_some() && failure.is_verdict_on_token() => {
            let intent = back_to(asked.kept, grant, now);
            Settlement::Kept { grant: Grant { intent, ..grant.clone() } }
        }
        Err(TokenEndpointError::Refused(_) | TokenEndpointError::Consent(_)) => {
            let lost = asked.connection.rotation.may_end_the_old()
                && grant.intent.as_ref().is_some_and(|intent| intent.attempt > 1);
            let reason = if lost { Reason::RotationLost } else { Reason::RefreshRefused };
            let (state, grant) = ended(grant, reason);
            Settlement::Ended { state, grant }
        }
        Err(
            failure @ (TokenEndpointError::Misconfigured(_)
            | TokenEndpointError::Unavailable { .. }),
        ) => {
            let grant = Grant { intent: undone(grant), ..put_off(grant, failure, now) };
            Settlement::Kept { grant }
        }
        // The provider did it. Without a new refresh token the old one goes on.
        Err(failure @ TokenEndpointError::UnusableToken) => {
            let has_successor = |intent: &Intent| intent.successor.is_some();
            let intent = match &grant.intent {
                Some(intent) if has_successor(intent) => Some(intent.clone()),
                _ => undone(grant),
            };
            Settlement::Kept { grant: Grant { intent, ..put_off(grant, failure, now) } }
        }
        // Its tokens are not this user's, the new refresh token included.
        Err(failure @ TokenEndpointError::OtherUser) => {
            let intent = grant.intent.clone().map(|intent| Intent { successor: None, ..intent });
            Settlement::Kept { grant: Grant { intent, ..put_off(grant, failure, now) } }
        }
        // The intent stays: should the provider refuse next time, its rotation was lost.
        Err(failure) => Settlement::Kept { grant: put_off(grant, failure, now) },
    }
}

/// What becomes of a settlement, given the grant as it is stored when the answer arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitDecision {
    /// It is the grant that was asked about: write the settlement.
    Write,
    /// The account was connected again meanwhile and kept its refresh token, because the provider
    /// gave no new one. If the answer has a successor of that token, only the successor is good.
    KeepToken,
    /// The account was connected again meanwhile with a token of its own: that grant stands. What
    /// was issued for the old one is dropped and not revoked, because at several providers a
    /// revocation takes the whole grant, the new one too.
    Drop,
    /// The account was deleted meanwhile: what was issued for it is revoked.
    Revoke,
}

/// Decides on `asked`, the grant as it was when the provider was asked with one of its refresh tokens, all
/// of which are in `tokens`. `stored` is the grant that is there now, and its refresh token.
pub fn fate(
    asked: &Grant,
    tokens: &[&Secret],
    stored: Option<(&Grant, Option<&Secret>)>,
) -> CommitDecision {
    let is_one = |now: &Secret| tokens.iter().any(|token| token.sha256() == now.sha256());
    match stored {
        None => CommitDecision::Revoke,
        Some((grant, _)) if grant.generation == asked.generation => CommitDecision::Write,
        Some((_, Some(now))) if is_one(now) => CommitDecision::KeepToken,
        Some(_) => CommitDecision::Drop,
    }
}

fn renewal(
    grant: &Grant,
    asked: &SentRequest<'_>,
    tokens: TokenResponse,
    now: UnixSeconds,
) -> RenewedGrant {
    let told = tokens.scopes;
    let (granted, scopes) = match asked.scopes {
        // Such a token says nothing about the grant.
        Some(narrowed) => (grant.scopes.clone(), told.unwrap_or_else(|| narrowed.to_vec())),
        None => (
            scopes::granted(asked.connection, told.clone(), &grant.scopes),
            told.unwrap_or_else(|| scopes::of_first_token(asked.connection, &grant.scopes)),
        ),
    };
    let at = |seconds: i64| now.saturating_add(seconds);
    let lives = token_response::seconds_to_live(
        asked.connection,
        tokens.lifetime,
        true,
        asked.lifetime_before,
    );
    // A refresh token that goes on ends when it would have.
    let ends = match (&tokens.refresh_token, tokens.refresh_token_expires_in) {
        (Some(_), told) => told.map(at),
        (None, _) => grant.expires_at,
    };
    RenewedGrant {
        grant: Grant {
            expires_at: ends,
            // A success proves that it is today's registration that the grant belongs to.
            registration: Some(
                grant.registration.clone().unwrap_or_else(|| asked.connection.registration.clone()),
            ),
            ..Grant::new(grant.generation + 1, true, granted)
        },
        access_token: tokens.access_token,
        scopes,
        expires_at: lives.map(at),
        is_lifetime_assumed: token_response::is_lifetime_assumed(
            asked.connection,
            tokens.lifetime,
            true,
        ),
        refresh_token: tokens.refresh_token.unwrap_or_else(|| asked.refresh_token.clone()),
    }
}

/// The intent after a provider said that it did nothing: this attempt is settled, those before it
/// are not, and a successor that came before is still the one to send.
fn undone(grant: &Grant) -> Option<Intent> {
    let intent = grant.intent.clone()?;
    let goes_on = intent.attempt > 1 || intent.successor.is_some();
    goes_on.then(|| Intent { attempt: intent.attempt.saturating_sub(1), ..intent })
}

/// The intent after the provider refused a successor: the grant's own token is tried once more, and should
/// that be refused as well, it was rotated.
fn back_to(kept: Option<&Secret>, grant: &Grant, now: UnixSeconds) -> Option<Intent> {
    Some(Intent {
        generation: grant.generation,
        token_sha256: encoding::hex(&kept?.sha256()),
        attempt: 1,
        at: now,
        since: Some(now),
        successor: None,
    })
}

/// Refuses tokens whose ID token is about another user or of another issuer than the account
/// (OpenID Connect Core §12.2). They are not this account's, and nothing is known of its own.
///
/// # Errors
/// [`TokenEndpointError::OtherUser`].
pub fn of_same_user(
    asked: &SentRequest<'_>,
    tokens: TokenResponse,
) -> Result<TokenResponse, TokenEndpointError> {
    let (Some(user), Some(issuer), Some(token)) = (asked.user, asked.issuer, &tokens.id_token)
    else {
        return Ok(tokens);
    };
    match id_token::is_of(token.expose(), issuer, user) {
        Ok(false) => Err(TokenEndpointError::OtherUser),
        _ => Ok(tokens),
    }
}

/// Seconds until a provider is asked again after these many failures before: as it says, or as we do.
pub fn cool_down(told: Option<i64>, failures: u32) -> i64 {
    let doubled = FIRST_COOL_DOWN.saturating_mul(1 << failures.min(10));
    told.unwrap_or_else(|| doubled.min(LONGEST_COOL_DOWN))
}

/// A grant that a failure leaves as good as it was: for a while nothing is asked with it.
fn put_off(grant: &Grant, failure: TokenEndpointError, now: UnixSeconds) -> Grant {
    let (told, fault) = match failure {
        TokenEndpointError::Misconfigured(code) => (None, Some(code)),
        TokenEndpointError::UnusableToken => (None, Some(UNUSABLE_ACCESS_TOKEN.to_owned())),
        TokenEndpointError::Unavailable { retry_after } => (retry_after, None),
        // It may have rotated, and then the old token is good for a short time only.
        TokenEndpointError::Ambiguous { retry_after } => {
            (retry_after.map(|wait| wait.min(jobs::RECOVER_AFTER)), None)
        }
        _ => (None, None),
    };
    Grant {
        retry_at: Some(now.saturating_add(cool_down(told, grant.failures))),
        failures: grant.failures.saturating_add(1),
        fault,
        ..grant.clone()
    }
}

/// A grant that is over, and the state that says why.
pub fn ended(grant: &Grant, reason: Reason) -> (AccountState, Grant) {
    let over = Grant { intent: None, retry_at: None, fault: None, ..grant.clone() };
    (AccountState::ReconnectRequired(reason), over)
}
