//! The clock, read once per event.

use crate::time::UnixSeconds;

/// Now.
#[cfg(not(feature = "test-clock"))]
pub fn now() -> UnixSeconds {
    real()
}

fn real() -> UnixSeconds {
    i64::try_from(worker::Date::now().as_millis() / 1000).unwrap_or(i64::MAX)
}

#[cfg(feature = "test-clock")]
pub use moved::{now, set};

/// A clock that tests move, for all objects of the process at once.
#[cfg(feature = "test-clock")]
mod moved {
    use std::cell::Cell;

    use serde::Deserialize;
    use worker::Response;

    use super::real;
    use crate::edge::http::Incoming;
    use crate::time::UnixSeconds;

    thread_local! {
        static OFFSET: Cell<i64> = const { Cell::new(0) };
    }

    #[derive(Deserialize)]
    struct Body {
        offset_seconds: i64,
    }

    /// Now, moved.
    pub fn now() -> UnixSeconds {
        real() + OFFSET.get()
    }

    /// `POST /test-clock {"offset_seconds": N}`.
    pub async fn set(mut incoming: Incoming) -> worker::Result<Response> {
        match incoming.body(1024).await.and_then(|body| serde_json::from_slice::<Body>(&body).ok())
        {
            Some(body) => {
                OFFSET.set(body.offset_seconds);
                Ok(Response::empty()?.with_status(204))
            }
            None => Response::error("send {\"offset_seconds\": N}", 400),
        }
    }
}
