// SPDX-License-Identifier: Apache-2.0
//! The vault as an OpenID provider: what its objects hold, and how each moves.

pub mod authorization_request;
pub mod authorization_response;
pub mod family;
pub mod machine;
pub mod scopes;
