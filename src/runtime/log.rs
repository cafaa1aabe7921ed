// SPDX-License-Identifier: Apache-2.0
//! The operator's log: one JSON line per request, and one per event that no request waits for.

use worker::console_log;

use crate::event::Event;
use crate::request_line::RequestLine;

/// Writes one line.
pub fn event(event: &Event) {
    console_log!("{}", event.line());
}

/// Writes the line of a request.
pub fn request(line: &RequestLine) {
    console_log!("{}", line.line());
}

/// The kind of a platform error. Its text is not logged: it may quote what was being handled.
pub fn kind(error: &worker::Error) -> &'static str {
    match error {
        worker::Error::JsError(_) => "platform",
        worker::Error::RustError(_) => "worker",
        worker::Error::BindingError(_) => "binding",
        _ => "other",
    }
}
