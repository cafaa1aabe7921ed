//! What becomes of a grant where a token that we make was not to be had.

use super::record::{AccessTokenRecord, AccountState, Grant, Reason};
use super::refresh;
use super::release::{Held, Withheld};
use crate::provider::errors::Failure;
use crate::provider::minting::Unminted;
use crate::time::UnixSeconds;

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
        grant: Grant,
    },
}

/// Decides. `own`: the user's token that was shown; `failures`: those of this token in a row before.
pub fn after(
    unminted: &Unminted,
    grant: &Grant,
    own: &AccessTokenRecord,
    failures: u32,
    now: UnixSeconds,
) -> After {
    let failed = |why, told| {
        let until = now.saturating_add(refresh::cool_down(told, failures));
        After::Withhold(Held { why, until, failures: failures.saturating_add(1) })
    };
    match unminted {
        Unminted::Scopes => After::Withhold(Held::new(Withheld::Scopes, now)),
        Unminted::NoAccount(reason) => {
            After::Withhold(Held::new(Withheld::NoAccount(*reason), now))
        }
        Unminted::Failure(Failure::Misconfigured(_)) => failed(Withheld::Misconfigured, None),
        Unminted::Failure(
            Failure::Unavailable { retry_after } | Failure::Ambiguous { retry_after },
        ) => failed(Withheld::Unavailable, *retry_after),
        Unminted::UserToken if failures > 0 && !grant.has_refresh_token => {
            let (state, grant) = refresh::ended(grant, Reason::RefreshRefused);
            After::End { state, grant }
        }
        Unminted::UserToken
            if failures == 0 && grant.has_refresh_token && now - own.issued_at >= OLD =>
        {
            After::Renew(Held { why: Withheld::Unavailable, until: now, failures: 1 })
        }
        // Where there is no other token, it is tried once more before that is believed; where a renewal
        // has not helped, another would not either.
        Unminted::Failure(_) | Unminted::UserToken => failed(Withheld::Unavailable, None),
    }
}
