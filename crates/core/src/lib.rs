// SPDX-License-Identifier: Apache-2.0
//! The decisions of the vault. No module depends on the platform, reads a clock or uses the network: the time
//! is an argument, and requests and responses are plain values.
//!
//! The modules are layered, from the bottom up: [`config`]; [`error`], [`event`], [`pages`] and [`placement`]; [`vault`] and [`issuer`];
//! [`connect`] and [`oauth`]; [`message`], [`metadata`], [`routes`], [`request_line`] and `reasons`, which
//! only documents and tests use; and [`warm_up`]. A module uses only modules of lower layers.

pub mod config;
pub mod connect;
pub mod error;
pub mod event;
pub mod issuer;
pub mod message;
pub mod metadata;
pub mod oauth;
pub mod pages;
pub mod placement;
#[cfg(not(target_arch = "wasm32"))]
pub mod reasons;
pub mod request_line;
pub mod routes;
pub mod vault;
pub mod warm_up;
