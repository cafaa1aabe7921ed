// SPDX-License-Identifier: Apache-2.0
//! Edge token vault: keeps users' OAuth tokens for other providers, sealed, and exchanges for them.
//!
//! This is the Worker: endpoints, Durable Objects and the runtime below them carry out, and are compiled for
//! wasm32 only. What it decides is in the crates below it, which know no platform.

pub use vault_base::{encoding, ids, json, public_url, seal, secret, text, time};
pub use vault_core::{
    config, connect, error, event, message, metadata, oauth, pages, request_line, routes, vault,
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
