// SPDX-License-Identifier: Apache-2.0
//! Talking to providers: what to send, and what to make of the answer. No network here.

pub mod answer;
pub mod authorize;
pub mod catalogue;
pub mod connection;
pub mod dialect;
pub mod endpoints;
pub mod errors;
pub mod identity;
pub mod minting;
pub mod path;
pub mod registration;
pub mod request;
pub mod revocation;
pub mod scopes;
