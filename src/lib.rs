//! Edge token vault: keeps users' OAuth tokens for other providers, sealed, and exchanges for them.
//!
//! The crate is a pure core that decides, and [`edge`], compiled for wasm32 only, that carries out.
//! No module but `edge` names the platform, reads a clock or talks to a network: time is an
//! argument, randomness comes from `getrandom`, requests and answers are plain values.

pub mod config;
pub mod connect;
pub mod encoding;
pub mod error;
pub mod exchange;
pub mod ids;
pub mod json;
pub mod jwt;
pub mod message;
pub mod metadata;
pub mod provider;
pub mod public_url;
pub mod request_line;
pub mod seal;
pub mod secret;
pub mod text;
pub mod time;
pub mod vault;

#[cfg(target_arch = "wasm32")]
pub mod edge;
