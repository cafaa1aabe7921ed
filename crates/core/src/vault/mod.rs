// SPDX-License-Identifier: Apache-2.0
//! The vault of one user and connection: what is stored, which token is released, and how a grant
//! is renewed without losing it.

pub mod consent;
pub mod contents;
pub mod delete;
pub mod exchange;
pub mod follow_up;
pub mod holders;
pub mod home;
pub mod issuance_failure;
pub mod issue;
pub mod jobs;
pub mod keep;
pub mod keep_alive;
pub mod lease;
pub mod lease_cache;
pub mod lifetime;
pub mod plan;
pub mod record;
pub mod refresh;
pub mod release;
pub mod renew;
pub mod revoke;
pub mod schema;
pub mod stamp;
