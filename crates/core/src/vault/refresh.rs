// SPDX-License-Identifier: Apache-2.0
//! Refreshing a grant (RFC 6749 §6) so that it survives lost responses, crashes and races.
//!
//! An [`Intent`] is written before the request is sent. The response is settled against the grant that is
//! stored when it arrives: a grant that was replaced or deleted in the meantime is left as it is.
//!
//! A new refresh token is kept whatever the other members of its response turn out to be
//! ([`Intent::successor`]). It replaces the old one when a refresh with either of the two succeeds. The
//! vault itself repeats a refresh that is not settled ([`follow_up`]).

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

/// The cool-down after the first failure, in seconds. It doubles with each further failure.
const FIRST_COOL_DOWN: i64 = 5;
/// The longest cool-down in seconds, unless the provider names one.
const LONGEST_COOL_DOWN: i64 = 300;

/// The longest time, in seconds, for which a flight waits for the provider. To give up a flight may mean to
/// lose the only valid refresh token. The platform would allow 15 minutes, but no caller gets a token in the
/// meantime, and a network connection without traffic for two minutes is dead.
const FLIGHT: i64 = 120;

/// The shortest time, in seconds, for which a flight waits for the provider.
const SHORTEST_FLIGHT: i64 = 30;

/// Seconds for which a flight waits for the provider's response. Callers wait less; a response that arrives
/// after they have gone is stored all the same. If the rotation leeway is longer than a minute, a flight
/// takes at most half of it, so that the other half is left for a second attempt.
pub fn flight_time(leeway: Option<i64>) -> i64 {
    match leeway {
        Some(leeway) if leeway > 60 => (leeway / 2).clamp(SHORTEST_FLIGHT, FLIGHT),
        _ => FLIGHT,
    }
}

/// The intent to write before `token` is sent. If the grant already has an intent for the same token, the
/// response to that attempt was lost or unclear, and the new intent counts one attempt more.
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

/// The grant with a refresh token that a response named in place of the one that was sent. From then on the
/// new one is sent, whatever the rest of that response turns out to be. `sealed` is the new token in the
/// form of [`Intent::successor`].
#[must_use]
pub fn with_successor(grant: Grant, sealed: String) -> Grant {
    let intent = grant.intent.clone().map(|intent| Intent { successor: Some(sealed), ..intent });
    Grant { intent, ..grant }
}

/// When the vault itself repeats a refresh that is not settled. `None` if the refresh is settled, or if the
/// vault gains nothing by repeating it before a caller needs a token.
///
/// - `grant` is the grant as it is stored after the response; `leeway` is the rotation leeway in seconds.
/// - After a `lost` response the follow-up is due at once, and then less and less often. After an unclear
///   one it is due within half of the rotation leeway ([`jobs::recover_after`]).
/// - After the end of a known rotation leeway it is `None`, because an attempt for a later caller has the
///   same chance.
/// - `retry_after` is the provider's `Retry-After` in seconds. The cool-down of callers does not apply.
pub fn follow_up(
    grant: &Grant,
    leeway: Option<i64>,
    lost: bool,
    retry_after: Option<i64>,
    now: UnixSeconds,
) -> Option<UnixSeconds> {
    const WAITS: [i64; 7] = [5, 10, 30, 120, 600, 1800, 3600];
    let intent = grant.intent.as_ref().filter(|intent| !is_given_up(intent, now))?;
    let first = if lost { now } else { now.max(intent.at + jobs::recover_after(leeway)) };
    // An attempt that the provider says had no effect is not counted in `attempt`, but it is a failure.
    let tries = if lost { intent.attempt } else { intent.attempt.max(grant.failures) };
    let due = match usize::try_from(tries).unwrap_or(usize::MAX) {
        0 | 1 => first,
        attempt => first.max(now + WAITS.get(attempt - 2).or(WAITS.last()).copied().unwrap_or(0)),
    };
    let due = retry_after.map_or(due, |wait| due.max(now.saturating_add(wait)));
    // A successor has not been used, so that no leeway is running for it.
    let until = leeway.filter(|leeway| *leeway > 0 && intent.successor.is_none());
    let Some(until) = until.map(|leeway| intent.since().saturating_add(leeway)) else {
        return Some(due);
    };
    let final_try = until - LAST_CHANCE;
    if due > final_try && now < final_try {
        return Some(final_try);
    }
    // The first response may have taken longer than the leeway, and the provider may count the leeway from
    // the end of its work. So the first attempt is always followed up.
    (due < until || (tries <= 1 && retry_after.is_none())).then_some(due)
}

/// Whether the vault no longer repeats the refresh itself, because it has been unsettled for 30 days: the
/// provider or the registration may be gone for good. A caller's request still starts a refresh.
pub fn is_given_up(intent: &Intent, now: UnixSeconds) -> bool {
    const MONTH: i64 = 30 * 86_400;
    now.saturating_sub(intent.since()) >= MONTH
}

/// Seconds before the end of the rotation leeway at which the last follow-up within it is due.
const LAST_CHANCE: i64 = 3;

/// What to write after the provider's response.
#[derive(Debug)]
pub enum Settlement {
    /// Store the new tokens under the next generation.
    Renewed(Box<RenewedGrant>),
    /// Keep the refresh token. No caller starts a refresh before [`Grant::retry_at`], if that is set.
    Kept {
        /// The grant as it must be stored.
        grant: Grant,
    },
    /// The grant has ended: the user must connect again.
    Ended {
        /// The account's new state.
        state: AccountState,
        /// The grant as it must be stored.
        grant: Grant,
    },
}

/// A renewed grant and its tokens, which the caller must seal.
#[derive(Debug)]
pub struct RenewedGrant {
    /// The grant as it must be stored.
    pub grant: Grant,
    /// The access token.
    pub access_token: Secret,
    /// The access token's scopes ([`super::record::AccessTokenRecord::scopes`]).
    pub scopes: Vec<String>,
    /// When the access token expires, if known or assumed.
    pub expires_at: Option<UnixSeconds>,
    /// Whether `expires_at` is an assumption, because the response did not tell a lifetime. The caller must
    /// log [`crate::event::EventName::ExpiresInAssumed`] then.
    pub is_lifetime_assumed: bool,
    /// The grant's refresh token from now on: the one in the response, or else the one that was sent.
    pub refresh_token: Secret,
}

/// The refresh request that was sent to the provider.
#[derive(Debug, Clone, Copy)]
pub struct SentRequest<'a> {
    /// The refresh token that was sent.
    pub refresh_token: &'a Secret,
    /// The grant's own refresh token, if the one that was sent is its successor.
    pub kept: Option<&'a Secret>,
    /// The lifetime in seconds of the access token that is to be replaced, if known.
    pub lifetime_before: Option<i64>,
    /// The scopes that were requested, if not the default: for a narrowed token, or for another resource.
    pub scopes: Option<&'a [String]>,
    /// The account's `sub` at the provider, if its identity is the subject of the provider's ID tokens.
    pub user: Option<&'a str>,
    /// The issuer identifier of an `OpenID` provider; `None` for other providers.
    pub issuer: Option<&'a str>,
    /// The connection that the request was made for.
    pub connection: &'a Connection,
}

impl SentRequest<'_> {
    /// Whether a failure is about the requested scopes and not about the grant: the user has not consented to
    /// them, or the provider's tokens are for one resource each and it answered `invalid_grant`. One resource
    /// may demand more authentication of the user than another.
    pub fn refused_alone(&self, failure: &TokenEndpointError) -> bool {
        let is_about_scopes = match failure {
            TokenEndpointError::Consent(_) => true,
            TokenEndpointError::Refused(code) => {
                code == "invalid_grant" && self.connection.default_resource.is_some()
            }
            _ => false,
        };
        is_about_scopes && self.scopes.is_some()
    }
}

/// Settles the response to `sent`, the request that `grant.intent` announced.
pub fn settle(
    grant: &Grant,
    sent: &SentRequest<'_>,
    response: Result<TokenResponse, TokenEndpointError>,
    now: UnixSeconds,
) -> Settlement {
    match response {
        Ok(tokens) => Settlement::Renewed(Box::new(renewal(grant, sent, tokens, now))),
        // The grant stays valid; only the user can add the scopes that it lacks.
        Err(failure) if sent.refused_alone(&failure) => {
            Settlement::Kept { grant: Grant { intent: undone(grant), ..grant.clone() } }
        }
        Err(failure) if sent.kept.is_some() && failure.is_verdict_on_token() => {
            let intent = back_to(sent.kept, grant, now);
            Settlement::Kept { grant: Grant { intent, ..grant.clone() } }
        }
        Err(TokenEndpointError::Refused(_) | TokenEndpointError::Consent(_)) => {
            let lost = sent.connection.rotation.may_end_the_old()
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
        // The provider carried out the refresh. If it named no new refresh token, the old one stays valid.
        Err(failure @ TokenEndpointError::UnusableToken) => {
            let has_successor = |intent: &Intent| intent.successor.is_some();
            let intent = match &grant.intent {
                Some(intent) if has_successor(intent) => Some(intent.clone()),
                _ => undone(grant),
            };
            Settlement::Kept { grant: Grant { intent, ..put_off(grant, failure, now) } }
        }
        // The tokens belong to another user, so that the new refresh token must not be used either.
        Err(failure @ TokenEndpointError::OtherUser) => {
            let intent = grant.intent.clone().map(|intent| Intent { successor: None, ..intent });
            Settlement::Kept { grant: Grant { intent, ..put_off(grant, failure, now) } }
        }
        // The intent stays. If the provider rejects the token next time, a rotation was lost.
        Err(failure) => Settlement::Kept { grant: put_off(grant, failure, now) },
    }
}

/// How a settlement is applied, given the grant that is stored when the response arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitDecision {
    /// The stored grant is the one that was refreshed: write the settlement.
    Write,
    /// The account was connected again meanwhile and kept its refresh token, because the consent brought no
    /// new one. If the response has a successor of that token, only the successor is still valid.
    KeepToken,
    /// The account was connected again meanwhile with a new refresh token: the stored grant stays as it is.
    /// The tokens of the response are dropped and not revoked, because at several providers a revocation
    /// ends all of the user's grants, the new one included.
    Drop,
    /// The account was deleted meanwhile: revoke the tokens of the response.
    Revoke,
}

/// Decides how to apply the response to a refresh. `begun` is the grant when the request was sent, and `sent`
/// has its refresh tokens: the one that was sent, and the grant's own. `stored` is the grant that is stored
/// now, with its own refresh token if that can be decrypted; `None` if the grant was deleted.
pub fn fate(
    begun: &Grant,
    sent: &[&Secret],
    stored: Option<(&Grant, Option<&Secret>)>,
) -> CommitDecision {
    let was_sent = |now: &Secret| sent.iter().any(|token| token.sha256() == now.sha256());
    match stored {
        None => CommitDecision::Revoke,
        Some((grant, _)) if grant.generation == begun.generation => CommitDecision::Write,
        Some((_, Some(now))) if was_sent(now) => CommitDecision::KeepToken,
        Some(_) => CommitDecision::Drop,
    }
}

fn renewal(
    grant: &Grant,
    sent: &SentRequest<'_>,
    tokens: TokenResponse,
    now: UnixSeconds,
) -> RenewedGrant {
    let stated = tokens.scopes;
    let (granted, scopes) = match sent.scopes {
        // The scopes of a narrowed token say nothing about those of the grant.
        Some(narrowed) => (grant.scopes.clone(), stated.unwrap_or_else(|| narrowed.to_vec())),
        None => (
            scopes::granted(sent.connection, stated.clone(), &grant.scopes),
            stated.unwrap_or_else(|| scopes::of_first_token(sent.connection, &grant.scopes)),
        ),
    };
    let at = |seconds: i64| now.saturating_add(seconds);
    let lifetime = token_response::seconds_to_live(
        sent.connection,
        tokens.lifetime,
        true,
        sent.lifetime_before,
    );
    // A refresh token that is not replaced keeps its expiry.
    let refresh_token_expires_at = match (&tokens.refresh_token, tokens.refresh_token_expires_in) {
        (Some(_), lifetime) => lifetime.map(at),
        (None, _) => grant.expires_at,
    };
    RenewedGrant {
        grant: Grant {
            expires_at: refresh_token_expires_at,
            // The success proves that the grant belongs to the present registration.
            registration: Some(
                grant.registration.clone().unwrap_or_else(|| sent.connection.registration.clone()),
            ),
            ..Grant::new(grant.generation + 1, true, granted)
        },
        access_token: tokens.access_token,
        scopes,
        expires_at: lifetime.map(at),
        is_lifetime_assumed: token_response::is_lifetime_assumed(
            sent.connection,
            tokens.lifetime,
            true,
        ),
        refresh_token: tokens.refresh_token.unwrap_or_else(|| sent.refresh_token.clone()),
    }
}

/// The intent after the provider said that the request had no effect: this attempt is settled, earlier ones
/// are not, and a successor from an earlier response is still the token to send.
fn undone(grant: &Grant) -> Option<Intent> {
    let intent = grant.intent.clone()?;
    let is_unsettled = intent.attempt > 1 || intent.successor.is_some();
    is_unsettled.then(|| Intent { attempt: intent.attempt.saturating_sub(1), ..intent })
}

/// The intent after the provider rejected a successor. The grant's own token is sent once more; if the
/// provider rejects that as well, the token was rotated.
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

/// Rejects the tokens of a refresh response whose ID token has another `sub` or `iss` than the account
/// (OpenID Connect Core §12.2). Tokens without an ID token, or with one that cannot be read, pass.
///
/// # Errors
/// [`TokenEndpointError::OtherUser`]: the tokens are not this account's, and the response tells nothing about
/// the account's own grant.
pub fn of_same_user(
    sent: &SentRequest<'_>,
    tokens: TokenResponse,
) -> Result<TokenResponse, TokenEndpointError> {
    let (Some(user), Some(issuer), Some(token)) = (sent.user, sent.issuer, &tokens.id_token) else {
        return Ok(tokens);
    };
    match id_token::is_of(token.expose(), issuer, user) {
        Ok(false) => Err(TokenEndpointError::OtherUser),
        _ => Ok(tokens),
    }
}

/// Seconds until the next request to a provider after a failure: `retry_after` if the provider told it, or
/// else a time that doubles with the number of earlier `failures`, 300 seconds at most.
pub fn cool_down(retry_after: Option<i64>, failures: u32) -> i64 {
    let doubled = FIRST_COOL_DOWN.saturating_mul(1 << failures.min(10));
    retry_after.unwrap_or_else(|| doubled.min(LONGEST_COOL_DOWN))
}

/// The grant after a failure that does not end it: it gets a cool-down.
fn put_off(grant: &Grant, failure: TokenEndpointError, now: UnixSeconds) -> Grant {
    let (retry_after, fault) = match failure {
        TokenEndpointError::Misconfigured(code) => (None, Some(code)),
        TokenEndpointError::UnusableToken => (None, Some(UNUSABLE_ACCESS_TOKEN.to_owned())),
        TokenEndpointError::Unavailable { retry_after } => (retry_after, None),
        // The provider may have rotated the token, and accepts the old one only for a short time then.
        TokenEndpointError::Ambiguous { retry_after } => {
            (retry_after.map(|wait| wait.min(jobs::RECOVER_AFTER)), None)
        }
        _ => (None, None),
    };
    Grant {
        retry_at: Some(now.saturating_add(cool_down(retry_after, grant.failures))),
        failures: grant.failures.saturating_add(1),
        fault,
        ..grant.clone()
    }
}

/// The grant as it is stored after it has ended, and its state with the reason.
pub fn ended(grant: &Grant, reason: Reason) -> (AccountState, Grant) {
    let ended = Grant { intent: None, retry_at: None, fault: None, ..grant.clone() };
    (AccountState::ReconnectRequired(reason), ended)
}
