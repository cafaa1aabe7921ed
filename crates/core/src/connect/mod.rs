// SPDX-License-Identifier: Apache-2.0
//! Connects an account: the requests of the connected-accounts API, and the connect session from
//! its ticket to the stored grant.

pub mod browser;
pub mod handle;
pub mod hops;
pub mod identify;
pub mod in_flight;
pub mod listing;
pub mod policy;
pub mod record;
pub mod request;
pub mod session;
