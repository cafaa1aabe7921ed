// SPDX-License-Identifier: Apache-2.0
//! The tables of a `Vault` object. They are created at the first connect, so that a question about
//! an unknown user stores nothing.

/// Version of the schema, stored in `owner.schema`.
pub const VERSION: i64 = 6;

/// Creates the tables.
///
/// `grant.refresh_token` and `access_token.token` are envelopes ([`vault_base::seal`]), sealed for
/// the fields `refresh_token` and `access_token` (followed by a space and the kind, if there is
/// one) with the row's generation. `kind` is empty for the account's own grant, whose state is in
/// `account`. `scopes` are separated by spaces; times are Unix seconds; `grant.authority` and
/// `grant.client_id` are [`vault_provider::registration::Registration`]; `grant.intent` is
/// [`super::record::Intent`] in JSON; `account.extra` is an object of texts in JSON; `jobs.payload`
/// is [`super::jobs::Job`] in JSON.
pub const CREATE: [&str; 7] = [
    "CREATE TABLE IF NOT EXISTS owner (id INTEGER PRIMARY KEY CHECK (id = 1), schema INTEGER NOT NULL, issuer TEXT NOT NULL, subject TEXT NOT NULL, connection TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS account (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, provider_user TEXT, email TEXT, name TEXT, state TEXT NOT NULL, created_at INTEGER NOT NULL, extra TEXT)",
    GRANT,
    "CREATE TABLE IF NOT EXISTS access_token (account TEXT NOT NULL, selector TEXT NOT NULL, generation INTEGER NOT NULL, token BLOB NOT NULL, scopes TEXT NOT NULL, issued_at INTEGER NOT NULL, expires_at INTEGER, PRIMARY KEY (account, selector))",
    "CREATE TABLE IF NOT EXISTS jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, due INTEGER NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL)",
    REDEMPTION,
    KEY_STAMP,
];

/// Consents whose tokens were stored, and when.
const REDEMPTION: &str = "CREATE TABLE IF NOT EXISTS redemption (id TEXT PRIMARY KEY, account TEXT NOT NULL, at INTEGER NOT NULL)";

/// [`super::stamp::Stamp`].
const KEY_STAMP: &str =
    "CREATE TABLE IF NOT EXISTS key_stamp (id TEXT PRIMARY KEY, value TEXT NOT NULL)";

/// `kind` has a default, so that code of version 1 still writes the account's own grant.
const GRANT: &str = "CREATE TABLE IF NOT EXISTS \"grant\" (account TEXT NOT NULL, generation INTEGER NOT NULL, refresh_token BLOB, scopes TEXT NOT NULL, intent TEXT, retry_at INTEGER, failures INTEGER NOT NULL, fault TEXT, kind TEXT NOT NULL DEFAULT '', expires_at INTEGER, state TEXT NOT NULL DEFAULT 'active', authority TEXT, client_id TEXT, consented_at INTEGER, PRIMARY KEY (account, kind))";

/// The same table in versions 2 and 3.
const GRANT_2: &str = "CREATE TABLE IF NOT EXISTS \"grant\" (account TEXT NOT NULL, generation INTEGER NOT NULL, refresh_token BLOB, scopes TEXT NOT NULL, intent TEXT, retry_at INTEGER, failures INTEGER NOT NULL, fault TEXT, kind TEXT NOT NULL DEFAULT '', expires_at INTEGER, state TEXT NOT NULL DEFAULT 'active', PRIMARY KEY (account, kind))";

/// Upgrades version 1: several grants per account, provider data, expiry of refresh tokens.
const FROM_1: [&str; 6] = [
    "ALTER TABLE account ADD COLUMN extra TEXT",
    "ALTER TABLE \"grant\" RENAME TO grant_1",
    GRANT_2,
    "INSERT INTO \"grant\" (account, generation, refresh_token, scopes, intent, retry_at, failures, fault) SELECT account, generation, refresh_token, scopes, intent, retry_at, failures, fault FROM grant_1",
    "DROP TABLE grant_1",
    "UPDATE owner SET schema = 2",
];

/// Upgrades version 2: a stored consent is remembered even if its account is deleted, and the
/// column `account.redemption` is no longer read. The registry is told of each account: version 1
/// did not tell it, and version 2 used other names.
const FROM_2: [&str; 3] = [
    REDEMPTION,
    "INSERT INTO jobs (due, kind, payload) SELECT 0, 'hold', json_object('kind', 'hold', 'user', provider_user) FROM account WHERE provider_user IS NOT NULL",
    "UPDATE owner SET schema = 3",
];

/// Upgrades version 3: a grant names the registration that it came from.
const FROM_3: [&str; 3] = [
    "ALTER TABLE \"grant\" ADD COLUMN authority TEXT",
    "ALTER TABLE \"grant\" ADD COLUMN client_id TEXT",
    "UPDATE owner SET schema = 4",
];

/// Upgrades version 4: a vault has a stamp of the keys that sealed what it holds.
const FROM_4: [&str; 2] = [KEY_STAMP, "UPDATE owner SET schema = 5"];

/// Upgrades version 5: a grant remembers when the user consented, because at some providers it ends a fixed
/// time after that. The time of an earlier consent is not known.
const FROM_5: [&str; 2] =
    ["ALTER TABLE \"grant\" ADD COLUMN consented_at INTEGER", "UPDATE owner SET schema = 6"];

/// Version 3 told the registry of each account when it was connected, under the registration of
/// that time. If the registry has the account under the configured registration, that is the one,
/// unless it depends on more than the registry knows. Earlier versions told other names or none, so
/// the registry proves nothing about them.
const BIND_3: [&str; 1] = [
    "INSERT INTO jobs (due, kind, payload) SELECT 0, 'bind', json_object('kind', 'bind', 'account', id, 'attempt', 0) FROM account WHERE provider_user IS NOT NULL",
];

/// The statements that upgrade tables of this version, to be run in one transaction.
pub fn upgrade(version: i64) -> impl Iterator<Item = &'static str> {
    let steps: &[&[&str]] = match version {
        1 => &[&FROM_1, &FROM_2, &FROM_3, &FROM_4, &FROM_5],
        2 => &[&FROM_2, &FROM_3, &FROM_4, &FROM_5],
        3 => &[&FROM_3, &BIND_3, &FROM_4, &FROM_5],
        4 => &[&FROM_4, &FROM_5],
        5 => &[&FROM_5],
        _ => &[],
    };
    steps.iter().flat_map(|step| step.iter().copied())
}
