//! What becomes of a grant where a token that we make was not to be had.

use super::record::{AccessTokenRecord, Grant, Reason};
use super::refresh::{self, Settlement};
use super::release::Withheld;
use crate::provider::errors::Failure;
use crate::provider::minting::Unminted;
use crate::time::UnixSeconds;

/// How old a token must be before its refusal is a reason to renew it, in seconds.
const OLD: i64 = 60;

/// What to do next.
#[derive(Debug)]
pub enum After {
    /// Tell the caller; the grant is as it was.
    Withhold(Withheld),
    /// Renew the user's own token. If the provider refuses that, the grant is over.
    Renew,
    /// Store the grant so.
    Settle(Settlement),
}

/// Decides. `own`: the user's token that was shown.
pub fn after(
    unminted: Unminted,
    grant: &Grant,
    own: &AccessTokenRecord,
    now: UnixSeconds,
) -> After {
    let put_off =
        |failure| After::Settle(Settlement::Kept { grant: refresh::put_off(grant, failure, now) });
    match unminted {
        Unminted::Scopes => After::Withhold(Withheld::Scopes),
        Unminted::NoAccount(reason) => After::Withhold(Withheld::NoAccount(reason)),
        Unminted::Failure(failure) => put_off(failure),
        Unminted::UserToken if !grant.has_refresh_token => {
            After::Settle(refresh::ended(grant, Reason::RefreshRefused))
        }
        Unminted::UserToken if now - own.issued_at >= OLD => After::Renew,
        // A new one is no better: whatever that is, more of them will not help.
        Unminted::UserToken => put_off(Failure::Unavailable { retry_after: None }),
    }
}
