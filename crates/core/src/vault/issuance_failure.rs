// SPDX-License-Identifier: Apache-2.0
//! Decides what a failed token issuance means for the grant it depends on.

use super::record::{AccessTokenRecord, AccountState, Grant, Reason};
use super::refresh;
use super::release::{TokenUnavailable, Unobtainable};
use vault_base::time::UnixSeconds;
use vault_provider::error_codes::TokenEndpointError;
use vault_provider::issuance::IssuanceError;

/// Minimum age of the user's token, in seconds, at which its rejection is a reason to renew it.
const OLD: i64 = 60;

/// The consequence of a failed issuance.
#[derive(Debug)]
pub enum AfterIssuance {
    /// Enter the failure into the negative cache for this token alone. The grant is unchanged.
    Withhold(Unobtainable),
    /// Renew the user's own token, and remember that. If the provider refuses the refresh, the
    /// grant has ended.
    Renew(Unobtainable),
    /// End the grant: the provider rejected its only token twice, some time apart.
    End {
        /// The account's new state.
        state: AccountState,
        /// The grant to store.
        grant: Box<Grant>,
    },
}

/// Decides the consequence. `own` is the user's token that was sent; `before` is the cache entry of
/// the requested token.
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
            | TokenEndpointError::Down { retry_after }
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
            // A renewal did not help, or has just happened; another would not help either.
            failed(TokenUnavailable::Unavailable, None)
        }
        IssuanceError::UserToken if refused => {
            let (state, grant) = refresh::ended(grant, Reason::RefreshRefused);
            AfterIssuance::End { state, grant: Box::new(grant) }
        }
        // The grant has no other token, so one rejection is not enough to end it.
        IssuanceError::UserToken => put_off(TokenUnavailable::Unavailable, None, true),
        IssuanceError::Failure(_) => failed(TokenUnavailable::Unavailable, None),
    }
}
