// SPDX-License-Identifier: Apache-2.0
//! The protocol with providers: builds requests and interprets responses. This crate does no network access.

pub mod authorization_request;
pub mod catalogue;
pub mod connection;
pub mod document;
pub mod endpoints;
pub mod error_codes;
pub mod issuance;
pub mod json_path;
pub mod profile;
pub mod registration;
pub mod request;
pub mod revocation;
pub mod scopes;
pub mod token_response;
pub mod userinfo;
