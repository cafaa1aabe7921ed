//! The Durable Objects. Each is a thin shell: it reads rows, lets the core decide, writes rows.

mod connect_session;
mod detached;
mod directory;
mod issuer_keys;
mod mint;
mod redeem;
mod refresh;
mod registry;
mod sql;
mod vault;
mod vault_jobs;
mod vault_revoke;
mod vault_store;
