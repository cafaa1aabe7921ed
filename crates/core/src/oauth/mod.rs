// SPDX-License-Identifier: Apache-2.0
//! The token endpoint (RFC 6749 §3.2): parameters, client authentication, and one module for each
//! kind of grant.

pub mod authorization_code;
pub mod client_auth;
pub mod exchange;
pub mod parameters;
pub mod refresh_token;
pub mod token_request;
