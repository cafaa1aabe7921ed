// SPDX-License-Identifier: Apache-2.0
//! A deterministic simulation of vaults: the real core, with models of an object's platform, of providers, and of
//! everything that goes wrong. Each run follows from its seed.
#![allow(
    clippy::await_holding_refcell_ref,
    reason = "only guards of statements that end before the await"
)]

pub mod choice;
pub mod executor;
pub mod explore;
pub mod families;
pub mod isolates;
pub mod mechanisms;
pub mod object;
pub mod oracle;
pub mod provider;
pub mod scenario;
pub mod storage;
pub mod world;
