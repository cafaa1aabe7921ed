// SPDX-License-Identifier: Apache-2.0
//! The Workers platform, as endpoints and objects use it.

pub(crate) mod clock;
pub(crate) mod configuration;
pub(crate) mod context;
pub(crate) mod executor;
pub(crate) mod families;
pub(crate) mod http;
pub(crate) mod http_client;
pub(crate) mod issuers;
pub(crate) mod key_check;
pub(crate) mod leases;
pub(crate) mod log;
pub(crate) mod logout;
pub(crate) mod machines;
pub(crate) mod object_call;
pub(crate) mod own_users;
pub(crate) mod platform;
pub(crate) mod providers;
pub(crate) mod signing_keys;
pub(crate) mod single_flight;
pub(crate) mod storage;
pub(crate) mod tokens;
pub mod webcrypto;
