//! Renewing a grant so that it survives lost answers, crashes and races.
//!
//! Before the provider is asked, an [`Intent`] is written. Its answer is settled against the grant
//! as it is then: a grant that moved on or went away in the meantime is left as it is.

use super::jobs;
use super::record::{AccountState, Grant, Intent, Reason};
use crate::config::Connection;
use crate::encoding;
use crate::jwt::id_token;
use crate::provider::answer::Tokens;
use crate::provider::errors::Failure;
use crate::provider::scopes;
use crate::secret::Secret;
use crate::time::UnixSeconds;

/// First cool-down after a failure, in seconds; it doubles with each further one.
const FIRST_COOL_DOWN: i64 = 5;
/// Longest cool-down we choose ourselves, in seconds.
const LONGEST_COOL_DOWN: i64 = 300;

/// The intent to write before asking. One that is already there for the same token was never
/// settled: its answer is lost.
pub fn begin(grant: &Grant, token: &Secret, now: UnixSeconds) -> Intent {
    let token_sha256 = encoding::hex(&token.sha256());
    let earlier = grant.intent.as_ref().filter(|intent| {
        intent.generation == grant.generation && intent.token_sha256 == token_sha256
    });
    Intent {
        generation: grant.generation,
        token_sha256,
        attempt: earlier.map_or(1, |intent| intent.attempt.saturating_add(1)),
        at: now,
    }
}

/// What to write after the provider's answer.
#[derive(Debug)]
pub enum Settlement {
    /// Store the new tokens under the next generation.
    Renewed(Box<Renewal>),
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
pub struct Renewal {
    /// The grant as it must be stored.
    pub grant: Grant,
    /// The access token.
    pub access_token: Secret,
    /// Its true scopes.
    pub scopes: Vec<String>,
    /// When it ends, if known.
    pub expires_at: Option<UnixSeconds>,
    /// The refresh token from now on: the new one, or the old one if there is no new one.
    pub refresh_token: Secret,
}

/// What was sent to the provider.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The refresh token.
    pub refresh_token: &'a Secret,
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

impl Asked<'_> {
    /// Whether a failure is about the scopes that were asked for and not about the grant: the user
    /// has not consented to them, or a provider whose tokens are for one resource says no more than
    /// `invalid_grant`: one resource may want more proof than another.
    pub fn refused_alone(&self, failure: &Failure) -> bool {
        let about_them = match failure {
            Failure::Consent(_) => true,
            Failure::Refused(code) => {
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
    asked: &Asked<'_>,
    answer: Result<Tokens, Failure>,
    now: UnixSeconds,
) -> Settlement {
    match answer {
        Ok(tokens) => Settlement::Renewed(Box::new(renewal(grant, asked, tokens, now))),
        // The grant goes on; what was asked for beyond it is not to be had without the user.
        Err(failure) if asked.refused_alone(&failure) => {
            Settlement::Kept { grant: Grant { intent: undone(grant), ..grant.clone() } }
        }
        Err(Failure::Refused(_) | Failure::Consent(_)) => {
            let lost = asked.connection.rotation.may_end_the_old()
                && grant.intent.as_ref().is_some_and(|intent| intent.attempt > 1);
            let reason = if lost { Reason::RotationLost } else { Reason::RefreshRefused };
            let (state, grant) = ended(grant, reason);
            Settlement::Ended { state, grant }
        }
        Err(failure @ (Failure::Misconfigured(_) | Failure::Unavailable { .. })) => {
            let grant = Grant { intent: undone(grant), ..put_off(grant, failure, now) };
            Settlement::Kept { grant }
        }
        // The intent stays: should the provider refuse next time, its rotation was lost.
        Err(failure) => Settlement::Kept { grant: put_off(grant, failure, now) },
    }
}

/// What becomes of a settlement, given the grant as it is stored when the answer arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is the grant that was asked about: write the settlement.
    Write,
    /// The account was connected again meanwhile and kept its refresh token, because the provider
    /// gave no new one. If the answer has a successor of that token, only the successor is good.
    KeepToken,
    /// The account was connected again meanwhile with a token of its own: that grant stands. What
    /// was minted for the old one is dropped and not revoked, because at several providers a
    /// revocation takes the whole grant, the new one too.
    Drop,
    /// The account was deleted meanwhile: what was minted for it is revoked.
    Revoke,
}

/// Decides on `asked`, the grant as it was when the provider was asked with its refresh token.
/// `stored` is the grant that is there now, and its refresh token.
pub fn fate(asked: &Grant, token: &Secret, stored: Option<(&Grant, Option<&Secret>)>) -> Fate {
    match stored {
        None => Fate::Revoke,
        Some((grant, _)) if grant.generation == asked.generation => Fate::Write,
        Some((_, Some(now))) if now.sha256() == token.sha256() => Fate::KeepToken,
        Some(_) => Fate::Drop,
    }
}

fn renewal(grant: &Grant, asked: &Asked<'_>, tokens: Tokens, now: UnixSeconds) -> Renewal {
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
    // A refresh token that goes on ends when it would have.
    let ends = match (&tokens.refresh_token, tokens.refresh_token_expires_in) {
        (Some(_), told) => told.map(at),
        (None, _) => grant.expires_at,
    };
    Renewal {
        grant: Grant { expires_at: ends, ..Grant::new(grant.generation + 1, true, granted) },
        access_token: tokens.access_token,
        scopes,
        expires_at: tokens.expires_in.map(at),
        refresh_token: tokens.refresh_token.unwrap_or_else(|| asked.refresh_token.clone()),
    }
}

/// The intent after a provider said that it did nothing: this attempt is settled, those before it
/// are not.
fn undone(grant: &Grant) -> Option<Intent> {
    let intent = grant.intent.clone()?;
    (intent.attempt > 1).then(|| Intent { attempt: intent.attempt - 1, ..intent })
}

/// Refuses tokens whose ID token is about another user or of another issuer than the account
/// (OpenID Connect Core §12.2). They are not this account's, and nothing is known of its own.
///
/// # Errors
/// [`Failure::OtherUser`].
pub fn of_same_user(asked: &Asked<'_>, tokens: Tokens) -> Result<Tokens, Failure> {
    let (Some(user), Some(issuer), Some(token)) = (asked.user, asked.issuer, &tokens.id_token)
    else {
        return Ok(tokens);
    };
    match id_token::is_of(token.expose(), issuer, user) {
        Ok(false) => Err(Failure::OtherUser),
        _ => Ok(tokens),
    }
}

/// Seconds until a provider is asked again after these many failures before: as it says, or as we do.
pub fn cool_down(told: Option<i64>, failures: u32) -> i64 {
    let doubled = FIRST_COOL_DOWN.saturating_mul(1 << failures.min(10));
    told.unwrap_or_else(|| doubled.min(LONGEST_COOL_DOWN))
}

/// A grant that a failure leaves as good as it was: for a while nothing is asked with it.
fn put_off(grant: &Grant, failure: Failure, now: UnixSeconds) -> Grant {
    let (told, fault) = match failure {
        Failure::Misconfigured(code) => (None, Some(code)),
        Failure::Unavailable { retry_after } => (retry_after, None),
        // It may have rotated, and then the old token is good for a short time only.
        Failure::Ambiguous { retry_after } => {
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
