// SPDX-License-Identifier: Apache-2.0
//! What becomes of a grant where a token that we make was not to be had.

use super::record::{AccessTokenRecord, AccountState, Grant, Reason};
use super::refresh;
use super::release::{Held, Withheld};
use vault_base::time::UnixSeconds;
use vault_provider::errors::Failure;
use vault_provider::minting::Unminted;

/// How old a token must be before its refusal is a reason to renew it, in seconds.
const OLD: i64 = 60;

/// What to do next.
#[derive(Debug)]
pub enum After {
    /// Remember it of this token alone; the grant is as it was.
    Withhold(Held),
    /// Renew the user's own token, and remember that. If the provider refuses it, the grant is over.
    Renew(Held),
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
    unminted: &Unminted,
    grant: &Grant,
    own: &AccessTokenRecord,
    before: Option<Held>,
    now: UnixSeconds,
) -> After {
    let failures = before.map_or(0, |held| held.failures);
    let refused = before.is_some_and(|held| held.refused);
    let put_off = |why, told, refused| {
        let until = now.saturating_add(refresh::cool_down(told, failures));
        After::Withhold(Held { why, until, failures: failures.saturating_add(1), refused })
    };
    let failed = |why, told| put_off(why, told, refused);
    match unminted {
        Unminted::Scopes => After::Withhold(Held::new(Withheld::Scopes, now)),
        Unminted::NoAccount(reason) => {
            After::Withhold(Held::new(Withheld::NoAccount(*reason), now))
        }
        Unminted::Failure(Failure::Misconfigured(_)) => failed(Withheld::Misconfigured, None),
        Unminted::Failure(Failure::UnusableToken) => failed(Withheld::UnusableToken, None),
        Unminted::Failure(
            Failure::Unavailable { retry_after } | Failure::Ambiguous { retry_after },
        ) => failed(Withheld::Unavailable, *retry_after),
        Unminted::UserToken if grant.has_refresh_token => {
            if !refused && now - own.issued_at >= OLD {
                let why = Withheld::Unavailable;
                return After::Renew(Held { why, until: now, failures: 1, refused: true });
            }
            // A renewal has not helped, or was just made: another would not either.
            failed(Withheld::Unavailable, None)
        }
        Unminted::UserToken if refused => {
            let (state, grant) = refresh::ended(grant, Reason::RefreshRefused);
            After::End { state, grant: Box::new(grant) }
        }
        // There is no other token: it is tried once more before that is believed.
        Unminted::UserToken => put_off(Withheld::Unavailable, None, true),
        Unminted::Failure(_) => failed(Withheld::Unavailable, None),
    }
}
