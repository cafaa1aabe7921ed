// SPDX-License-Identifier: Apache-2.0
//! The SQLite tables of a `Vault` object. They are created at the first connect, so that a request about
//! an unknown user stores nothing.

/// The current schema version, stored in `owner.schema`.
pub const VERSION: i64 = 4;

/// The statements that create the tables of the current version.
///
/// - `grant.refresh_token` and `access_token.token` are envelopes ([`vault_base::seal`]). They are sealed
///   for the fields `refresh_token` and `access_token` ([`super::record::field`]) and the row's generation.
/// - `grant.kind` is empty for the account's own grant, whose state is in `account.state`.
/// - `scopes` are separated by spaces. Times are Unix seconds.
/// - `grant.authority` and `grant.client_id` are a [`vault_provider::registration::Registration`].
/// - `grant.intent` is a [`super::record::Intent`] in JSON, `jobs.payload` a [`super::jobs::Job`] in JSON,
///   and `account.extra` a JSON object with string values ([`super::record::Account::provider_data`]).
/// - `access_token.selector` is the text of [`super::record::Selector::column`].
pub const CREATE: [&str; 6] = [
    "CREATE TABLE IF NOT EXISTS owner (id INTEGER PRIMARY KEY CHECK (id = 1), schema INTEGER NOT NULL, issuer TEXT NOT NULL, subject TEXT NOT NULL, connection TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS account (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, provider_user TEXT, email TEXT, name TEXT, state TEXT NOT NULL, created_at INTEGER NOT NULL, extra TEXT)",
    GRANT,
    "CREATE TABLE IF NOT EXISTS access_token (account TEXT NOT NULL, selector TEXT NOT NULL, generation INTEGER NOT NULL, token BLOB NOT NULL, scopes TEXT NOT NULL, issued_at INTEGER NOT NULL, expires_at INTEGER, PRIMARY KEY (account, selector))",
    "CREATE TABLE IF NOT EXISTS jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, due INTEGER NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL)",
    REDEMPTION,
];

/// Ids of consents whose tokens were stored, the account that holds the tokens, and the time.
const REDEMPTION: &str = "CREATE TABLE IF NOT EXISTS redemption (id TEXT PRIMARY KEY, account TEXT NOT NULL, at INTEGER NOT NULL)";

/// `kind` has a default, so that code of schema version 1 can still write the account's own grant.
const GRANT: &str = "CREATE TABLE IF NOT EXISTS \"grant\" (account TEXT NOT NULL, generation INTEGER NOT NULL, refresh_token BLOB, scopes TEXT NOT NULL, intent TEXT, retry_at INTEGER, failures INTEGER NOT NULL, fault TEXT, kind TEXT NOT NULL DEFAULT '', expires_at INTEGER, state TEXT NOT NULL DEFAULT 'active', authority TEXT, client_id TEXT, PRIMARY KEY (account, kind))";

/// The table `grant` as versions 2 and 3 had it.
const GRANT_2: &str = "CREATE TABLE IF NOT EXISTS \"grant\" (account TEXT NOT NULL, generation INTEGER NOT NULL, refresh_token BLOB, scopes TEXT NOT NULL, intent TEXT, retry_at INTEGER, failures INTEGER NOT NULL, fault TEXT, kind TEXT NOT NULL DEFAULT '', expires_at INTEGER, state TEXT NOT NULL DEFAULT 'active', PRIMARY KEY (account, kind))";

/// From version 1 to 2: adds several grants per account, `account.extra`, and the expiry of refresh tokens.
const FROM_1: [&str; 6] = [
    "ALTER TABLE account ADD COLUMN extra TEXT",
    "ALTER TABLE \"grant\" RENAME TO grant_1",
    GRANT_2,
    "INSERT INTO \"grant\" (account, generation, refresh_token, scopes, intent, retry_at, failures, fault) SELECT account, generation, refresh_token, scopes, intent, retry_at, failures, fault FROM grant_1",
    "DROP TABLE grant_1",
    "UPDATE owner SET schema = 2",
];

/// From version 2 to 3: adds the table `redemption`, whose rows outlive their account; a column
/// `account.redemption` is no longer read. A job adds each account to the registry, because version 1 did not
/// add accounts there, and version 2 added them under other names.
const FROM_2: [&str; 3] = [
    REDEMPTION,
    "INSERT INTO jobs (due, kind, payload) SELECT 0, 'hold', json_object('kind', 'hold', 'user', provider_user) FROM account WHERE provider_user IS NOT NULL",
    "UPDATE owner SET schema = 3",
];

/// From version 3 to 4: stores with each grant the registration that it came from.
const FROM_3: [&str; 3] = [
    "ALTER TABLE \"grant\" ADD COLUMN authority TEXT",
    "ALTER TABLE \"grant\" ADD COLUMN client_id TEXT",
    "UPDATE owner SET schema = 4",
];

/// Only from version 3: adds a job that binds grants without a registration ([`super::jobs::Job::Bind`]).
/// Version 3 added each account to the registry under the registration of that time. If the registry lists
/// the account under the present registration, the grant came from it, unless the registration depends on
/// more than the registry knows. Earlier versions added no account, or added it under other names, so that
/// the registry's entries prove nothing about their grants.
const BIND_3: [&str; 1] = [
    "INSERT INTO jobs (due, kind, payload) SELECT 0, 'bind', json_object('kind', 'bind', 'account', id, 'attempt', 0) FROM account WHERE provider_user IS NOT NULL",
];

/// The statements that migrate tables of `version` to [`VERSION`]; none for any other version. The caller
/// must run them in one transaction.
pub fn upgrade(version: i64) -> impl Iterator<Item = &'static str> {
    let steps: &[&[&str]] = match version {
        1 => &[&FROM_1, &FROM_2, &FROM_3],
        2 => &[&FROM_2, &FROM_3],
        3 => &[&FROM_3, &BIND_3],
        _ => &[],
    };
    steps.iter().flat_map(|step| step.iter().copied())
}
