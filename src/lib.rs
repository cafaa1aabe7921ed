//! Edge token vault: keeps users' OAuth tokens for other providers, sealed, and exchanges for them.
//!
//! This is the Worker. What it decides is in the crates below it, which know no platform; `edge`,
//! compiled for wasm32 only, carries out.

pub use vault_base::{encoding, ids, json, public_url, seal, secret, text, time};
pub use vault_core::{config, connect, error, exchange, message, metadata, request_line, vault};
pub use vault_jose as jwt;
pub use vault_provider as provider;

#[cfg(target_arch = "wasm32")]
pub mod edge;
