// SPDX-License-Identifier: Apache-2.0
//! Renews a grant so that it survives lost responses, crashes and races.
//!
//! An [`Intent`] is written before the provider is asked. The response is settled against the grant
//! as it is then: a grant that was replaced or deleted meanwhile is left as it is.
//!
//! A new refresh token is durable before anything else of its response is judged
//! ([`Intent::successor`]). It replaces the old one when a request with either of them succeeds.
//! The vault itself follows up what is not settled ([`follow_up`]).

use super::record::{AccountState, Grant, Intent, Reason, Unexplained};
use super::{consent, jobs};
use vault_base::encoding;
use vault_base::secret::Secret;
use vault_base::time::UnixSeconds;
use vault_jose::id_token;
use vault_provider::connection::Connection;
use vault_provider::error_codes::{TokenEndpointError, UNUSABLE_ACCESS_TOKEN};
use vault_provider::scopes;
use vault_provider::token_response::{self, ProviderResponse, TokenResponse};

/// First cool-down after a failure, in seconds; it doubles with each further failure.
const FIRST_COOL_DOWN: i64 = 5;
/// Longest time that a failure puts a refresh off, in seconds.
const LONGEST_WAIT: i64 = token_response::MAX_RETRY_AFTER;
/// Longest cool-down that the vault chooses itself, in seconds.
const LONGEST_COOL_DOWN: i64 = 300;

/// Longest cool-down of a grant that the provider may have rotated, in seconds, whatever the provider
/// says.
const LONGEST_UNCLEAR: i64 = 30;

/// Seconds for which a flight waits for the provider where the rotation leeway is unknown: giving
/// up a flight may give up the only valid refresh token. The platform would let it wait for 15
/// minutes, but while it waits nobody gets a token, and a connection that is silent for two minutes
/// is dead.
const FLIGHT: i64 = 120;

/// Shortest time that a flight waits, in seconds.
const SHORTEST_FLIGHT: i64 = 30;

/// Seconds for which a flight waits for the provider. Callers wait less; a later response is stored
/// all the same. With a rotation leeway of a minute or more a flight waits for at most half of
/// it, so that the other half remains for another request.
pub fn flight_time(leeway: Option<i64>) -> i64 {
    match leeway {
        Some(leeway) if leeway >= 60 => (leeway / 2).clamp(SHORTEST_FLIGHT, FLIGHT),
        _ => FLIGHT,
    }
}

/// The intent to write before asking. An intent that is already there for the same token was never
/// settled: its response was lost.
pub fn begin(grant: &Grant, token: &Secret, now: UnixSeconds) -> Intent {
    let token_sha256 = encoding::hex(&token.sha256());
    let unsettled = grant.intent.as_ref().filter(|intent| intent.generation == grant.generation);
    let is_open = |intent: &&Intent| intent.token_sha256 == token_sha256 && intent.attempt > 0;
    let earlier = unsettled.filter(is_open);
    Intent {
        generation: grant.generation,
        token_sha256,
        attempt: earlier.map_or(1, |intent| intent.attempt.saturating_add(1)),
        at: now,
        since: Some(earlier.map_or(now, Intent::since)),
        successor: unsettled.and_then(|intent| intent.successor.clone()),
        is_awaited: true,
        unexplained: earlier.and_then(|intent| intent.unexplained),
        follow_up: None,
    }
}

/// Whether the request of an object that has stopped since may still be on its way. A provider that
/// receives it after another one with the same token takes that for a copy of the token, and ends the
/// grant (RFC 9700 §4.14.2).
pub fn may_be_on_its_way(grant: &Grant, leeway: Option<i64>, now: UnixSeconds) -> bool {
    let is_recent = |intent: &Intent| {
        let age = now.saturating_sub(intent.at);
        intent.is_awaited && (0..jobs::recover_after(leeway)).contains(&age)
    };
    grant.intent.as_ref().is_some_and(is_recent)
}

/// The grant, whose response was received or given up. What remains open is followed up by a job
/// ([`follow_up`]).
#[must_use]
pub fn heard(mut grant: Grant) -> Grant {
    if let Some(intent) = &mut grant.intent {
        intent.is_awaited = false;
        intent.follow_up = None;
    }
    grant
}

/// A grant whose response named another refresh token, sealed as `sealed`. That one is sent from
/// now on, whatever the rest of the response says. It was not sent yet, so it has no attempts.
#[must_use]
pub fn with_successor(grant: Grant, sealed: String) -> Grant {
    let intent = grant.intent.clone();
    let intent = intent.map(|intent| Intent { successor: Some(sealed), attempt: 0, ..intent });
    Grant { intent, ..grant }
}

/// What is known of the response to the last request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The request was sent, and no response came.
    Lost,
    /// The response does not say whether the request had an effect.
    Unclear,
    /// The provider did not process the request, or it was not sent.
    NotProcessed,
}

impl Heard {
    /// What a failure says. `received` is the response it was read from.
    pub fn of(failure: &TokenEndpointError, received: &ProviderResponse) -> Self {
        match (received, failure) {
            (ProviderResponse::Lost | ProviderResponse::Cut { .. }, _) => Self::Lost,
            (_, TokenEndpointError::Unavailable { .. } | TokenEndpointError::Misconfigured(_)) => {
                Self::NotProcessed
            }
            _ => Self::Unclear,
        }
    }
}

/// When the vault itself asks again without a caller, Unix seconds. `None` if the refresh is
/// settled, or asking again gains nothing. `grant` is as it was stored after the response.
///
/// A [`Heard::Lost`] response is followed up at once and an unclear one after a few seconds, because
/// many providers have a rotation leeway that they do not document; then in pairs of attempts at
/// growing intervals. Any
/// of the attempts may be the one that rotated the token, so a known leeway is counted from the last
/// one. Once it has passed, asking for a caller is as good as asking now. `told` is the provider's
/// `Retry-After`. The cool-down that callers wait for does not apply here. A grant that counts as
/// ended by refusals without an error code is tried once a day.
pub fn follow_up(
    grant: &Grant,
    leeway: Option<i64>,
    heard: Heard,
    told: Option<i64>,
    now: UnixSeconds,
) -> Option<UnixSeconds> {
    const WAITS: [i64; 8] = [5, 10, 30, 120, 600, 1800, 3600, 7200];
    const DAY: i64 = 86_400;
    let intent = grant.intent.as_ref().filter(|intent| !is_given_up(intent, now))?;
    // Nobody else tries this grant any more, and no leeway is running.
    if intent.is_refused() {
        return Some(now + told.unwrap_or(0).max(DAY));
    }
    let pause = now + jobs::recover_after(leeway).min(FIRST_COOL_DOWN);
    let long = |tries: u32| {
        let index = usize::try_from(tries).unwrap_or(usize::MAX);
        pause.max(now + WAITS.get(index).or(WAITS.last()).copied().unwrap_or(0))
    };
    let due = match (heard, intent.attempt) {
        (Heard::Lost, 1) => now,
        // Each second attempt follows soon: whichever attempt rotated the token, there is another one
        // within most leeways, unless two responses in a row are missing.
        (Heard::Lost | Heard::Unclear, attempt) if attempt % 2 == 1 => pause,
        (Heard::Lost | Heard::Unclear, attempt @ 2..) => long(attempt / 2 - 1),
        // A request that the provider did not process is taken back as an attempt, and a response
        // that brought a successor counts as none of its attempts; but both count as failures.
        (_, attempt) => match attempt.max(grant.failures) {
            0 | 1 => pause,
            tries => long(tries - 2),
        },
    };
    let due = told.map_or(due, |wait| due.max(now.saturating_add(wait)));
    // The leeway of a successor that was never sent has not begun.
    let is_sent = intent.successor.is_none() || intent.attempt > 0;
    let until = leeway.filter(|leeway| *leeway > 0 && is_sent);
    let Some(until) = until.map(|leeway| intent.at.saturating_add(leeway)) else {
        return Some(due);
    };
    let final_try = until - LAST_CHANCE;
    let is_persistent = now.saturating_sub(intent.since()) < PERSISTENCE;
    if due > final_try && now < final_try && is_persistent {
        return Some(final_try);
    }
    // Nobody knows when the provider gave its first response. If that took longer than the leeway,
    // the provider may have counted the leeway from its end.
    let is_first = intent.attempt.max(grant.failures) <= 1;
    (due < until || (is_first && told.is_none())).then_some(due)
}

/// Whether the vault no longer asks by itself: the provider or its registration has been
/// unreachable for a month. A caller still starts a refresh.
pub fn is_given_up(intent: &Intent, now: UnixSeconds) -> bool {
    const MONTH: i64 = 30 * 86_400;
    now.saturating_sub(intent.since()) >= MONTH
}

/// Seconds before the end of the leeway at which the old token is tried for the last time.
const LAST_CHANCE: i64 = 3;

/// Seconds after the first unsettled attempt for which the end of the leeway is used in each further
/// one: longer than most outages, and at most one request a minute at a leeway of a minute.
const PERSISTENCE: i64 = 900;

/// What the provider's response changes.
#[derive(Debug)]
pub enum Settlement {
    /// The new tokens are stored under the next generation.
    Renewed(Box<RenewedGrant>),
    /// The refresh token is kept, and no request is sent before `retry_at`.
    Kept {
        /// The grant to store.
        grant: Grant,
    },
    /// The grant has ended.
    Ended {
        /// The account's new state.
        state: AccountState,
        /// The grant to store.
        grant: Grant,
    },
}

/// A renewed grant and its tokens, before they are sealed.
#[derive(Debug)]
pub struct RenewedGrant {
    /// The grant to store.
    pub grant: Grant,
    /// The access token.
    pub access_token: Secret,
    /// The scopes that it has.
    pub scopes: Vec<String>,
    /// When it expires, Unix seconds; `None` if unknown.
    pub expires_at: Option<UnixSeconds>,
    /// Whether the vault assumes the expiry because the provider names none; the operator's log
    /// says so.
    pub is_lifetime_assumed: bool,
    /// The refresh token from now on: the new one, or the old one if the response has none.
    pub refresh_token: Secret,
}

/// The request that was sent to the provider.
#[derive(Debug, Clone, Copy)]
pub struct SentRequest<'a> {
    /// The refresh token that was sent.
    pub refresh_token: &'a Secret,
    /// The grant's own refresh token, where its successor was sent.
    pub kept: Option<&'a Secret>,
    /// Lifetime in seconds of the access token that is replaced, if known.
    pub lifetime_before: Option<i64>,
    /// The requested scopes, unless they are the default: for a narrowed token, or one for another
    /// resource.
    pub scopes: Option<&'a [String]>,
    /// The provider's id of the user, if known.
    pub user: Option<&'a str>,
    /// The issuer identifier of an `OpenID` provider.
    pub issuer: Option<&'a str>,
    /// When the same token was sent before without a settled response, Unix seconds, if it was.
    pub sent_before: Option<UnixSeconds>,
    /// The connection.
    pub connection: &'a Connection,
}

impl SentRequest<'_> {
    /// Whether a failure is about the requested scopes and not about the grant: the user has not
    /// consented to them, or the provider issues one token per resource and answers
    /// `invalid_grant`, because one resource may require more proof than another.
    pub fn refused_alone(&self, failure: &TokenEndpointError) -> bool {
        let about_them = match failure {
            TokenEndpointError::Consent(_) => true,
            TokenEndpointError::Refused(code) => {
                code == "invalid_grant" && self.connection.default_resource.is_some()
            }
            TokenEndpointError::Unlisted(_) => self.connection.default_resource.is_some(),
            _ => false,
        };
        about_them && self.scopes.is_some()
    }
}

/// Settles the response to the refresh that `grant.intent` announced.
pub fn settle(
    grant: &Grant,
    asked: &SentRequest<'_>,
    answer: Result<TokenResponse, TokenEndpointError>,
    now: UnixSeconds,
) -> Settlement {
    match answer {
        Ok(tokens) => Settlement::Renewed(Box::new(renewal(grant, asked, tokens, now))),
        // The grant is still valid; the requested scopes need the user.
        Err(failure) if asked.refused_alone(&failure) => {
            Settlement::Kept { grant: Grant { intent: undone(grant, asked), ..grant.clone() } }
        }
        Err(TokenEndpointError::Refused(_) | TokenEndpointError::Consent(_))
            if asked.kept.is_some() =>
        {
            let intent = back_to(asked.kept, grant, now);
            Settlement::Kept { grant: Grant { intent, ..grant.clone() } }
        }
        Err(failure @ (TokenEndpointError::Refused(_) | TokenEndpointError::Consent(_))) => {
            let (state, over) = ended(grant, refusal(grant, asked));
            let may_pass = matches!(failure, TokenEndpointError::Consent(_));
            let intent = grant
                .intent
                .clone()
                .filter(|_| may_pass)
                .map(|intent| Intent { unexplained: Some(Unexplained::enough(now)), ..intent });
            Settlement::Ended { state, grant: Grant { intent, ..over } }
        }
        // One that was about scopes says nothing about the grant.
        Err(failure @ (TokenEndpointError::Unexplained(_) | TokenEndpointError::Unlisted(_)))
            if asked.scopes.is_none() =>
        {
            unexplained(grant, asked, failure, now)
        }
        Err(
            failure @ (TokenEndpointError::Misconfigured(_)
            | TokenEndpointError::Unavailable { .. }),
        ) => {
            let grant = Grant { intent: undone(grant, asked), ..put_off(grant, failure, now) };
            Settlement::Kept { grant }
        }
        // The provider has rotated. Without a new refresh token the old one stays valid.
        Err(
            failure @ (TokenEndpointError::UnusableToken | TokenEndpointError::UnknownTokenType),
        ) => {
            let has_successor = |intent: &Intent| intent.successor.is_some();
            let intent = match &grant.intent {
                Some(intent) if has_successor(intent) => Some(intent.clone()),
                _ => undone(grant, asked),
            };
            Settlement::Kept { grant: Grant { intent, ..put_off(grant, failure, now) } }
        }
        // The intent stays: if the provider refuses next time, its rotation was lost. That holds for
        // another user's tokens too: the account's own may have been rotated with them.
        Err(failure) => Settlement::Kept { grant: put_off(grant, failure, now) },
    }
}

/// Why a grant whose refresh token was refused has ended.
fn refusal(grant: &Grant, asked: &SentRequest<'_>) -> Reason {
    let lost = grant.intent.as_ref().is_some_and(Intent::lost_a_response);
    if lost && asked.connection.rotation.may_end_the_old() {
        Reason::RotationLost
    } else {
        Reason::RefreshRefused
    }
}

/// Counts a refusal without an error code, or with one that is not clear. After several over a long time the grant counts as ended, but
/// keeps its refresh token and its intent, with which it is tried further ([`follow_up`]).
fn unexplained(
    grant: &Grant,
    asked: &SentRequest<'_>,
    failure: TokenEndpointError,
    now: UnixSeconds,
) -> Settlement {
    let reason = refusal(grant, asked);
    let count = |intent: Intent| Intent {
        unexplained: Some(Unexplained::with_one_more(intent.unexplained, now)),
        ..intent
    };
    let intent = grant.intent.clone().map(count);
    let suffices = intent.as_ref().is_some_and(Intent::is_refused);
    if suffices && asked.kept.is_some() {
        let intent = back_to(asked.kept, grant, now);
        return Settlement::Kept { grant: Grant { intent, ..grant.clone() } };
    }
    if suffices {
        let (state, over) = ended(grant, reason);
        return Settlement::Ended { state, grant: Grant { intent, ..over } };
    }
    Settlement::Kept { grant: Grant { intent, ..put_off(grant, failure, now) } }
}

/// How a settlement applies to the grant as it is stored when the response arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitDecision {
    /// It is the grant that was asked about: write the settlement.
    Write,
    /// The account was connected again meanwhile and kept its refresh token, because the provider
    /// issued no new one. If the response has a successor of that token, only the successor is
    /// valid.
    KeepToken,
    /// The account was connected again meanwhile with a token of its own, and that grant stays.
    /// Tokens of the old one are dropped and not revoked, because at several providers a revocation
    /// ends the whole grant, the new one too.
    Drop,
    /// The account was deleted meanwhile: the new tokens are revoked.
    Revoke,
}

/// Decides how a settlement applies. `asked` is the grant as it was when the request was sent with
/// one of `tokens`; `stored` is the grant that is stored now with its refresh token.
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
    // No scopes at all would be a narrower token, which only a request for one gets.
    let told = tokens.scopes.filter(|told| !told.is_empty() || asked.scopes.is_some());
    let (granted, scopes) = match asked.scopes {
        // A narrowed token says nothing about the grant's scopes.
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
    // A refresh token that stays keeps its expiry.
    let ends = match (&tokens.refresh_token, tokens.refresh_token_expires_in) {
        (Some(_), told) => told.map(at),
        (None, _) => grant.expires_at,
    };
    RenewedGrant {
        grant: Grant {
            expires_at: consent::end(asked.connection, ends, grant.consented_at),
            consented_at: grant.consented_at,
            // A success proves that the grant belongs to the configured registration.
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

/// The intent after the provider said that it did nothing: this attempt is settled, earlier ones
/// are not, and an earlier successor is still the token to send.
fn undone(grant: &Grant, asked: &SentRequest<'_>) -> Option<Intent> {
    let intent = grant.intent.clone()?;
    let goes_on = intent.attempt > 1 || intent.successor.is_some();
    let at = asked.sent_before.unwrap_or(intent.at);
    goes_on.then(|| Intent { attempt: intent.attempt.saturating_sub(1), at, ..intent })
}

/// The intent after the provider refused a successor: the grant's own token is tried once more. If
/// that is refused too, it was rotated.
fn back_to(kept: Option<&Secret>, grant: &Grant, now: UnixSeconds) -> Option<Intent> {
    Some(Intent {
        generation: grant.generation,
        token_sha256: encoding::hex(&kept?.sha256()),
        attempt: 1,
        at: now,
        since: Some(now),
        successor: None,
        is_awaited: false,
        unexplained: None,
        follow_up: None,
    })
}

/// Rejects a response whose ID token names another user or issuer than the account's (OpenID Connect
/// Core §12.2). Its tokens say nothing about the account's own.
///
/// # Errors
/// [`TokenEndpointError::OtherUser`].
pub fn of_same_user(
    asked: &SentRequest<'_>,
    id_token: Option<&Secret>,
) -> Result<(), TokenEndpointError> {
    let (Some(user), Some(issuer), Some(token)) = (asked.user, asked.issuer, id_token) else {
        return Ok(());
    };
    match id_token::is_of(token.expose(), issuer, user) {
        Ok(false) => Err(TokenEndpointError::OtherUser),
        _ => Ok(()),
    }
}

/// Seconds until a provider is asked again after this number of failures: as the provider says,
/// else as the vault decides.
pub fn cool_down(told: Option<i64>, failures: u32) -> i64 {
    let doubled = FIRST_COOL_DOWN.saturating_mul(1 << failures.min(10));
    told.unwrap_or_else(|| doubled.min(LONGEST_COOL_DOWN))
}

/// Seconds until `at`, to which a failure has put off the next request; `None` if it may be sent now. A
/// time further ahead than any failure puts off was noted before the clock was set back, and does not
/// count.
pub fn seconds_to_wait(at: UnixSeconds, now: UnixSeconds) -> Option<i64> {
    let wait = at.saturating_sub(now);
    (1..=LONGEST_WAIT).contains(&wait).then_some(wait)
}

/// The grant after a failure that does not end it: no request is sent with it for a while.
fn put_off(grant: &Grant, failure: TokenEndpointError, now: UnixSeconds) -> Grant {
    let (told, fault) = match failure {
        TokenEndpointError::Misconfigured(code) => (None, Some(code)),
        TokenEndpointError::UnusableToken | TokenEndpointError::UnknownTokenType => {
            (None, Some(UNUSABLE_ACCESS_TOKEN.to_owned()))
        }
        TokenEndpointError::Unavailable { retry_after }
        | TokenEndpointError::Down { retry_after } => (retry_after, None),
        // The provider may have rotated, and then accepts the old token for a short time only.
        TokenEndpointError::Ambiguous { retry_after } => {
            (retry_after.map(|wait| wait.min(LONGEST_UNCLEAR)), None)
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

/// The ended grant, and the state that says why.
pub fn ended(grant: &Grant, reason: Reason) -> (AccountState, Grant) {
    let over = Grant { intent: None, retry_at: None, fault: None, ..grant.clone() };
    (AccountState::ReconnectRequired(reason), over)
}
