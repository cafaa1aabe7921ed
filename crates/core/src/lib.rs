// SPDX-License-Identifier: Apache-2.0
//! What the vault decides. No module names the platform, reads a clock or talks to a network: time is an
//! argument, requests and answers are plain values.
//!
//! Each module uses only those before it: [`config`], [`pages`], [`error`] and [`event`], [`vault`] and
//! [`issuer`], [`connect`] and [`oauth`], and on top, each by itself, [`message`], [`metadata`], [`routes`], [`request_line`] and
//! `reasons`, which is for documents and tests alone.

pub mod config;
pub mod connect;
pub mod error;
pub mod event;
pub mod issuer;
pub mod message;
pub mod metadata;
pub mod oauth;
pub mod pages;
#[cfg(not(target_arch = "wasm32"))]
pub mod reasons;
pub mod request_line;
pub mod routes;
pub mod vault;
