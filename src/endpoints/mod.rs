// SPDX-License-Identifier: Apache-2.0
//! What is served over HTTP: each reads a request, asks the core, and carries out what it says.

pub mod browser;
mod client_auth;
pub mod connected_accounts;
mod exchange;
pub mod token;
