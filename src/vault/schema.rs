//! The tables of a `Vault` object. Made at the first connect: asking about an unknown user stores
//! nothing.

/// Version of the schema, kept in `owner.schema`.
pub const VERSION: i64 = 1;

/// Creates the tables of version 1.
///
/// `grant.refresh_token` and `access_token.token` are envelopes ([`crate::seal`]), sealed for the
/// fields `refresh_token` and `access_token` with the row's generation. `scopes` are separated by
/// spaces; times are Unix seconds; `grant.intent` is [`super::record::Intent`] in JSON;
/// `jobs.payload` is [`super::jobs::Job`] in JSON.
pub const CREATE: [&str; 5] = [
    "CREATE TABLE IF NOT EXISTS owner (id INTEGER PRIMARY KEY CHECK (id = 1), schema INTEGER NOT NULL, issuer TEXT NOT NULL, subject TEXT NOT NULL, connection TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS account (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, provider_user TEXT, email TEXT, name TEXT, state TEXT NOT NULL, created_at INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS \"grant\" (account TEXT PRIMARY KEY, generation INTEGER NOT NULL, refresh_token BLOB, scopes TEXT NOT NULL, intent TEXT, retry_at INTEGER, failures INTEGER NOT NULL, fault TEXT)",
    "CREATE TABLE IF NOT EXISTS access_token (account TEXT NOT NULL, selector TEXT NOT NULL, generation INTEGER NOT NULL, token BLOB NOT NULL, scopes TEXT NOT NULL, issued_at INTEGER NOT NULL, expires_at INTEGER, PRIMARY KEY (account, selector))",
    "CREATE TABLE IF NOT EXISTS jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, due INTEGER NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL)",
];
