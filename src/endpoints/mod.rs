// SPDX-License-Identifier: Apache-2.0
//! The HTTP endpoints: each reads a request, asks the core, and carries out what it decides.

pub mod browser;
mod client_auth;
pub mod connected_accounts;
pub mod exchange;
pub mod issuer;
mod look;
pub mod token;
