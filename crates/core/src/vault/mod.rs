//! The vault of one user and connection: what is stored, which token is released, and how a grant
//! is renewed without being lost.

pub mod consent;
pub mod jobs;
pub mod mint;
pub mod record;
pub mod refresh;
pub mod release;
pub mod schema;
