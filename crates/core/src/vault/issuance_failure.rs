// SPDX-License-Identifier: Apache-2.0
//! Decides what a failed token issuance means for the grant it depends on.

use super::record::{AccessTokenRecord, AccountState, Grant, Reason};
use super::refresh;
use super::release::{TokenUnavailable, Unobtainable};
use vault_base::time::UnixSeconds;
use vault_provider::error_codes::TokenEndpointError;
use vault_provider::issuance::IssuanceError;

/// The age in seconds from which a rejected access token of the user is worth renewing.
const OLD: i64 = 60;

/// What to do after a failed issuance.
#[derive(Debug)]
pub enum AfterIssuance {
    /// Put this entry into the negative cache for the wanted token; the grant stays as it is.
    Withhold(Unobtainable),
    /// Put this entry into the negative cache, and refresh the user's own access token. If the provider
    /// rejects that refresh, the grant has ended.
    Renew(Unobtainable),
    /// The grant has ended: the provider rejected its only access token twice.
    End {
        /// The account's new state.
        state: AccountState,
        /// The grant as it must be stored.
        grant: Box<Grant>,
    },
}

/// Decides what to do after a failed issuance. `own` is the user's access token that the request carried, and
/// `before` is the wanted token's entry in the negative cache, if it has one.
pub fn after(
    failure: &IssuanceError,
    grant: &Grant,
    own: &AccessTokenRecord,
    before: Option<Unobtainable>,
    now: UnixSeconds,
) -> AfterIssuance {
    let failures = before.map_or(0, |entry| entry.failures);
    let refused = before.is_some_and(|entry| entry.refused);
    let put_off = |why, retry_after, refused| {
        let until = now.saturating_add(refresh::cool_down(retry_after, failures));
        AfterIssuance::Withhold(Unobtainable {
            why,
            until,
            failures: failures.saturating_add(1),
            refused,
        })
    };
    let failed = |why, retry_after| put_off(why, retry_after, refused);
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
            // The user's token was renewed already, or only just: another renewal would not help.
            failed(TokenUnavailable::Unavailable, None)
        }
        IssuanceError::UserToken if refused => {
            let (state, grant) = refresh::ended(grant, Reason::RefreshRefused);
            AfterIssuance::End { state, grant: Box::new(grant) }
        }
        // The token cannot be renewed, so that a rejection ends the grant. It is tried once more first.
        IssuanceError::UserToken => put_off(TokenUnavailable::Unavailable, None, true),
        IssuanceError::Failure(_) => failed(TokenUnavailable::Unavailable, None),
    }
}
