// SPDX-License-Identifier: Apache-2.0
//! The token endpoint: what a request says, who may make it, and what is answered.

pub mod answer;
pub mod client_auth;
pub mod policy;
pub mod request;
