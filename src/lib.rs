// SPDX-License-Identifier: Apache-2.0
//! Edge token vault: keeps users' OAuth tokens of other providers, sealed, and exchanges user
//! tokens for them.
//!
//! This package is the Worker. Its endpoints, Durable Objects and runtime carry out what the crates
//! below decide. They are compiled for wasm32 only; the crates below know no platform.

pub use vault_base::{address, encoding, ids, json, mac_id, public_url, seal, secret, text, time};
pub use vault_core::{
    config, connect, error, event, issuer, message, metadata, oauth, pages, placement,
    request_line, routes, vault, warm_up,
};
pub use vault_jose as jwt;
pub use vault_provider as provider;

#[cfg(target_arch = "wasm32")]
mod endpoints;
#[cfg(target_arch = "wasm32")]
mod objects;
#[cfg(target_arch = "wasm32")]
mod router;
#[cfg(target_arch = "wasm32")]
pub mod runtime;
