// SPDX-License-Identifier: Apache-2.0
//! The cache policy for an issuer's documents (metadata and key set): when to fetch them, and how long to use
//! them.
//!
//! An isolate keeps its own copy for [`FRESH`]. The object of the issuer keeps the last good copy for
//! [`LAST_GOOD`] and fetches at most once per [`COOL_DOWN`], however many tokens with unknown key ids arrive.
//! A request waits for a fetch only if its answer depends on it, so an issuer that does not answer delays
//! only those requests.

use vault_base::time::UnixSeconds;

/// How long a fetched copy is used before it is fetched again, in seconds.
pub const FRESH: i64 = 600;
/// The minimum time between two fetches from one issuer, in seconds.
pub const COOL_DOWN: i64 = 30;
/// For how long after a fetch was attempted a copy that is no longer fresh is used without waiting for the
/// next fetch, in seconds. After a longer pause the issuer may have withdrawn a key that the copy still has.
pub const NO_WAIT: i64 = 1800;
/// How long the last good copy is used while the issuer cannot be reached, in seconds.
pub const LAST_GOOD: i64 = 24 * 3600;

/// The times of the last fetches, as the object of the issuer records them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FetchHistory {
    /// When the stored copy was fetched; `None` if no copy is stored.
    pub good_at: Option<UnixSeconds>,
    /// When the last fetch was attempted, successful or not; `None` if there was none.
    pub tried_at: Option<UnixSeconds>,
}

/// What the object does with a request for the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchStep {
    /// Return the stored copy.
    Serve,
    /// Return the stored copy, and fetch the documents without waiting for them.
    ServeAndFetch,
    /// Fetch the documents, and wait for them. If that fails, [`after_failure`] decides.
    Fetch,
    /// No copy is stored or the stored copy is too old, and the issuer must not be asked again yet.
    Unavailable,
}

/// Decides what to do with one request. `renew`: the requesting isolate's copy lacks a key id, so a copy that
/// is still fresh is fetched again too.
pub fn plan(fetches: FetchHistory, renew: bool, now: UnixSeconds) -> FetchStep {
    let stale = fetches.good_at.is_none_or(|at| age(at, now) >= FRESH);
    let cooling = fetches.tried_at.is_some_and(|at| age(at, now) < COOL_DOWN);
    let without_fetch = after_failure(fetches, now);
    if !(stale || renew) || cooling {
        return without_fetch;
    }
    let asked_lately = fetches.tried_at.is_some_and(|at| age(at, now) < NO_WAIT);
    if without_fetch == FetchStep::Serve && asked_lately && !renew {
        return FetchStep::ServeAndFetch;
    }
    FetchStep::Fetch
}

/// Decides what to do when a fetch has failed or must not be attempted.
pub fn after_failure(fetches: FetchHistory, now: UnixSeconds) -> FetchStep {
    match fetches.good_at {
        Some(at) if age(at, now) < LAST_GOOD => FetchStep::Serve,
        _ => FetchStep::Unavailable,
    }
}

/// The times of an isolate's own copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachedCopy {
    /// When the object fetched the documents from the issuer.
    pub fetched_at: UnixSeconds,
    /// When the isolate last requested them from the object.
    pub asked_at: UnixSeconds,
}

impl CachedCopy {
    /// Whether the copy may be used without a request to the object. During an outage of the issuer the
    /// object's copy is old as well; the isolate then asks at most once per [`COOL_DOWN`].
    pub fn is_usable(self, now: UnixSeconds) -> bool {
        let asked_just_now = age(self.asked_at, now) < COOL_DOWN;
        age(self.fetched_at, now) < FRESH
            || (asked_just_now && age(self.fetched_at, now) < LAST_GOOD)
    }

    /// Whether a request to the object could bring a key that this copy lacks.
    pub fn may_renew(self, now: UnixSeconds) -> bool {
        age(self.fetched_at, now) >= COOL_DOWN
    }
}

/// Age in seconds. A time more than [`COOL_DOWN`] in the future counts as infinitely old, so that a copy from
/// before the clock was set back is fetched again.
fn age(at: UnixSeconds, now: UnixSeconds) -> i64 {
    if now < at - COOL_DOWN { i64::MAX } else { (now - at).max(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    fn fetches(good_ago: i64, tried_ago: i64) -> FetchHistory {
        FetchHistory { good_at: Some(NOW - good_ago), tried_at: Some(NOW - tried_ago) }
    }

    #[test]
    fn the_first_question_fetches_and_a_fresh_copy_does_not() {
        assert_eq!(plan(FetchHistory::default(), false, NOW), FetchStep::Fetch);
        assert_eq!(plan(fetches(599, 599), false, NOW), FetchStep::Serve);
        assert_eq!(plan(fetches(600, 600), false, NOW), FetchStep::ServeAndFetch);
    }

    #[test]
    fn a_request_waits_for_a_fetch_only_if_its_answer_depends_on_it() {
        for (good_ago, tried_ago, renew, step) in [
            // The issuer answers, and is asked regularly.
            (600, 600, false, FetchStep::ServeAndFetch),
            (NO_WAIT - 1, NO_WAIT - 1, false, FetchStep::ServeAndFetch),
            // A copy from before a pause may have a key that was withdrawn.
            (NO_WAIT, NO_WAIT, false, FetchStep::Fetch),
            // The issuer does not answer: only the first request after a pause waits.
            (LAST_GOOD - 1, COOL_DOWN, false, FetchStep::ServeAndFetch),
            (LAST_GOOD - 1, COOL_DOWN - 1, false, FetchStep::Serve),
            (LAST_GOOD - 1, NO_WAIT, false, FetchStep::Fetch),
            // A copy that is too old is not served.
            (LAST_GOOD, COOL_DOWN, false, FetchStep::Fetch),
            (LAST_GOOD, COOL_DOWN - 1, false, FetchStep::Unavailable),
            // Only a fetch can bring a key that the copy lacks.
            (600, 600, true, FetchStep::Fetch),
            (LAST_GOOD - 1, COOL_DOWN, true, FetchStep::Fetch),
        ] {
            let history = fetches(good_ago, tried_ago);
            assert_eq!(plan(history, renew, NOW), step, "{good_ago} {tried_ago} {renew}");
        }
        let never = FetchHistory { good_at: None, tried_at: Some(NOW - COOL_DOWN) };
        assert_eq!(plan(never, false, NOW), FetchStep::Fetch);
    }

    #[test]
    fn unknown_key_ids_fetch_at_most_once_per_cool_down() {
        assert_eq!(plan(fetches(29, 29), true, NOW), FetchStep::Serve);
        assert_eq!(plan(fetches(30, 30), true, NOW), FetchStep::Fetch);
        let never = FetchHistory { good_at: None, tried_at: Some(NOW - 5) };
        assert_eq!(plan(never, true, NOW), FetchStep::Unavailable);
    }

    #[test]
    fn an_outage_is_bridged_for_a_day_by_the_last_good_copy() {
        assert_eq!(after_failure(fetches(LAST_GOOD - 1, 0), NOW), FetchStep::Serve);
        assert_eq!(after_failure(fetches(LAST_GOOD, 0), NOW), FetchStep::Unavailable);
    }

    #[test]
    fn an_isolate_asks_the_object_rarely_and_relies_on_no_copy_for_more_than_a_day() {
        let held = |fetched, asked| CachedCopy { fetched_at: NOW - fetched, asked_at: NOW - asked };
        assert!(held(599, 599).is_usable(NOW));
        assert!(!held(600, 600).is_usable(NOW));
        assert!(held(LAST_GOOD - 1, 29).is_usable(NOW));
        assert!(!held(LAST_GOOD - 1, 30).is_usable(NOW));
        assert!(!held(LAST_GOOD, 0).is_usable(NOW));
        assert_eq!(LAST_GOOD, 86_400);
        assert!(!held(29, 29).may_renew(NOW));
        assert!(held(30, 30).may_renew(NOW));
    }

    #[test]
    fn a_clock_set_back_does_not_keep_a_copy_for_ever() {
        let held = |fetched_at| CachedCopy { fetched_at, asked_at: NOW - 3600 };
        assert!(!held(NOW + 3600).is_usable(NOW));
        assert!(held(NOW + 1).is_usable(NOW));
        assert!(held(NOW + COOL_DOWN).is_usable(NOW));
        assert!(!held(NOW + COOL_DOWN + 1).is_usable(NOW));
    }
}
