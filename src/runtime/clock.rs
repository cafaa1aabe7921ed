// SPDX-License-Identifier: Apache-2.0
//! The clock. Each event reads it once and passes the time down ([`crate::runtime::context::Context`]).

use crate::time::UnixSeconds;

/// The present time, in seconds since 1970.
#[cfg(not(feature = "test-clock"))]
pub fn now() -> UnixSeconds {
    real()
}

/// The platform's clock, in milliseconds since 1970.
#[allow(clippy::cast_possible_truncation, reason = "a whole number far below 2^53")]
pub fn milliseconds() -> i64 {
    js_sys::Date::now() as i64
}

/// Milliseconds since `started`, which [`milliseconds`] returned. The platform's clock advances only during I/O.
pub fn elapsed(started: i64) -> u64 {
    milliseconds().saturating_sub(started).unsigned_abs()
}

fn real() -> UnixSeconds {
    milliseconds() / 1000
}

#[cfg(feature = "test-clock")]
pub use moved::{now, set};

/// A clock that tests can move, for all objects of the isolate at once.
#[cfg(feature = "test-clock")]
mod moved {
    use std::cell::Cell;

    use super::real;
    use crate::runtime::http::{self, HttpResult, Incoming};
    use crate::time::UnixSeconds;
    use serde::Deserialize;

    thread_local! {
        static OFFSET: Cell<i64> = const { Cell::new(0) };
    }

    #[derive(Deserialize)]
    struct Body {
        offset_seconds: i64,
    }

    /// The present time in seconds since 1970, plus the offset that a test has set.
    pub fn now() -> UnixSeconds {
        real() + OFFSET.get()
    }

    /// Handles `POST /test-clock {"offset_seconds": N}`: sets the offset from the real time. 400 for another
    /// body.
    pub async fn set(incoming: Incoming) -> HttpResult {
        match incoming.body(1024).await.and_then(|body| serde_json::from_slice::<Body>(&body).ok())
        {
            Some(body) => {
                OFFSET.set(body.offset_seconds);
                http::no_content(&[])
            }
            None => http::text(400, "send {\"offset_seconds\": N}"),
        }
    }
}
