// SPDX-License-Identifier: Apache-2.0
//! The operator's log: one JSON line per request, and one per event.

use worker::console_log;

use crate::event::Event;
use crate::ids::{ObjectNames, UserId};
use crate::request_line::RequestLine;

/// Writes an event as one JSON line.
pub fn event(event: &Event) {
    console_log!("{}", event.line());
}

/// Writes an event about a user, with the user's pseudonym.
pub fn event_of(event: &Event, names: &ObjectNames, user: &UserId) {
    self::event(&Event { user: Some(names.log_name(user)), ..event.clone() });
}

/// Writes the JSON line of a request.
pub fn request(line: &RequestLine) {
    console_log!("{}", line.line());
}

/// The kind of a platform error, as a word for the log. Its text is not logged, because it may quote the
/// data that was being handled.
pub fn kind(error: &worker::Error) -> &'static str {
    match error {
        worker::Error::JsError(_) => "platform",
        worker::Error::RustError(_) => "worker",
        worker::Error::BindingError(_) => "binding",
        _ => "other",
    }
}
