// SPDX-License-Identifier: Apache-2.0
//! The vault as an OpenID provider: what its objects hold, and how each moves.

pub mod authorization;
pub mod authorization_request;
pub mod authorization_response;
pub mod error_page;
pub mod family;
pub mod identities;
pub mod identity;
pub mod machine;
pub mod scopes;
pub mod session;
pub mod sign_in;
pub mod signing_keys;
pub mod tokens;
pub mod user;
