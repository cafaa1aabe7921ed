// SPDX-License-Identifier: Apache-2.0
//! What becomes of a grant where a token that we make was not to be had.

use super::record::{AccessTokenRecord, AccountState, Grant, Reason};
use super::refresh;
use super::release::{TokenUnavailable, Unobtainable};
use vault_base::time::UnixSeconds;
use vault_provider::error_codes::TokenEndpointError;
use vault_provider::issuance::IssuanceError;

/// How old a token must be before its refusal is a reason to renew it, in seconds.
const OLD: i64 = 60;

/// What to do next.
#[derive(Debug)]
pub enum AfterIssuance {
    /// Remember it of this token alone; the grant is as it was.
    Withhold(Unobtainable),
    /// Renew the user's own token, and remember that. If the provider refuses it, the grant is over.
    Renew(Unobtainable),
    /// The grant is over: its only token was refused, and after a while again.
    End {
        /// The account's new state.
        state: AccountState,
        /// The grant as it must be stored.
        grant: Box<Grant>,
    },
}

/// Decides. `own`: the user's token that was shown; `before`: what was remembered of the wanted one.
pub fn after(
    failure: &IssuanceError,
    grant: &Grant,
    own: &AccessTokenRecord,
    before: Option<Unobtainable>,
    now: UnixSeconds,
) -> AfterIssuance {
    let failures = before.map_or(0, |held| held.failures);
    let refused = before.is_some_and(|held| held.refused);
    let put_off = |why, told, refused| {
        let until = now.saturating_add(refresh::cool_down(told, failures));
        AfterIssuance::Withhold(Unobtainable {
            why,
            until,
            failures: failures.saturating_add(1),
            refused,
        })
    };
    let failed = |why, told| put_off(why, told, refused);
    match failure {
        IssuanceError::Scopes => {
            AfterIssuance::Withhold(Unobtainable::new(TokenUnavailable::Scopes, now))
        }
        IssuanceError::NoAccount(reason) => {
            AfterIssuance::Withhold(Unobtainable::new(TokenUnavailable::NoAccount(*reason), now))
        }
        IssuanceError::Failure(TokenEndpointError::Misconfigured(_)) => {
            failed(TokenUnavailable::Misconfigured, None)
        }
        IssuanceError::Failure(TokenEndpointError::UnusableToken) => {
            failed(TokenUnavailable::UnusableToken, None)
        }
        IssuanceError::Failure(
            TokenEndpointError::Unavailable { retry_after }
            | TokenEndpointError::Ambiguous { retry_after },
        ) => failed(TokenUnavailable::Unavailable, *retry_after),
        IssuanceError::UserToken if grant.has_refresh_token => {
            if !refused && now - own.issued_at >= OLD {
                let why = TokenUnavailable::Unavailable;
                return AfterIssuance::Renew(Unobtainable {
                    why,
                    until: now,
                    failures: 1,
                    refused: true,
                });
            }
            // A renewal has not helped, or was just made: another would not either.
            failed(TokenUnavailable::Unavailable, None)
        }
        IssuanceError::UserToken if refused => {
            let (state, grant) = refresh::ended(grant, Reason::RefreshRefused);
            AfterIssuance::End { state, grant: Box::new(grant) }
        }
        // There is no other token: it is tried once more before that is believed.
        IssuanceError::UserToken => put_off(TokenUnavailable::Unavailable, None, true),
        IssuanceError::Failure(_) => failed(TokenUnavailable::Unavailable, None),
    }
}
