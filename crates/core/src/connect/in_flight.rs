// SPDX-License-Identifier: Apache-2.0
//! How many connects of one user may be in flight. The user's `Directory` counts them: a connect is in flight
//! from its beginning until its session ends, at the latest until the session's lifetime is over.

use super::record::SESSION_LIFETIME;
use vault_base::time::UnixSeconds;

/// Most connects of one user that are in flight at the same time.
pub const MAX_IN_FLIGHT: usize = 20;

/// Decides whether another connect of a user may begin. `ends` has for each counted connect the time at which
/// its session's lifetime is over, in any order; those in the past do not count. Returns that time of the new
/// connect.
///
/// # Errors
/// The seconds after which the next one may begin, if until then none of the others ends.
pub fn admit(ends: &[UnixSeconds], now: UnixSeconds) -> Result<UnixSeconds, i64> {
    let mut ends: Vec<UnixSeconds> = ends.iter().copied().filter(|end| *end > now).collect();
    ends.sort_unstable();
    // The last of those that must end so that one fewer than the most are left.
    match ends.len().checked_sub(MAX_IN_FLIGHT).and_then(|last| ends.get(last)) {
        Some(end) => Err(end - now),
        None => Ok(now + SESSION_LIFETIME),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_may_begin_connects_up_to_the_most_and_is_told_when_the_next_one_may() {
        let now = 1_795_492_800;
        let most = i64::try_from(MAX_IN_FLIGHT).unwrap();
        // The end of the connect that began `age` seconds ago.
        let begun = |age: i64| now - age + SESSION_LIFETIME;
        let each = |ages: std::ops::Range<i64>| ages.map(begun).collect::<Vec<_>>();
        let over = [begun(SESSION_LIFETIME), begun(SESSION_LIFETIME + 1)];
        for (ends, expected) in [
            (vec![], Ok(now + SESSION_LIFETIME)),
            (each(0..most - 1), Ok(now + SESSION_LIFETIME)),
            // The oldest must end.
            (each(0..most), Err(SESSION_LIFETIME - most + 1)),
            // More than the most, as after a change of the constant: the two oldest must end.
            (each(0..most + 1), Err(SESSION_LIFETIME - most + 1)),
            ([each(0..most - 1), over.to_vec()].concat(), Ok(now + SESSION_LIFETIME)),
            ([over.to_vec(), each(0..most)].concat(), Err(SESSION_LIFETIME - most + 1)),
            (vec![now + 1; MAX_IN_FLIGHT], Err(1)),
            (vec![now; MAX_IN_FLIGHT], Ok(now + SESSION_LIFETIME)),
        ] {
            assert_eq!(admit(&ends, now), expected, "{ends:?}");
        }
    }
}
