// SPDX-License-Identifier: Apache-2.0
//! The Durable Objects. Each reads what it holds, asks the core, and carries the plan out in one transaction.

mod browser_session;
mod connect_session;
mod directory;
mod issuer_keys;
mod machine;
mod machines;
mod registry;
mod vault;
