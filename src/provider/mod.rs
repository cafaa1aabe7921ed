//! Talking to providers: what to send, and what to make of the answer. No network here.

pub mod answer;
pub mod authorize;
pub mod endpoints;
pub mod identity;
pub mod request;
