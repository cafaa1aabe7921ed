// SPDX-License-Identifier: Apache-2.0
//! Messages to a `Registry` object, which is either a shard or the object that stores check values of keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Class, Question};
use vault_base::ids::UserId;

/// A request to a registry object.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryRequest {
    /// Add a user. The user is added before the user's directory is written.
    Add {
        /// The user.
        user: UserId,
    },
    /// Add a vault as a holder of an account at a provider. It is sent right after the vault has stored the
    /// account, and a job repeats it until it succeeds.
    #[serde(rename = "hold")]
    AddReference {
        /// The account's name ([`vault_base::ids::ObjectNames::provider_account`]).
        account: String,
        /// The vault's name.
        vault: String,
    },
    /// Tell whether the account has a holder other than this vault; [`RegistryResponse::Shared`].
    Others {
        /// The account's name ([`vault_base::ids::ObjectNames::provider_account`]).
        account: String,
        /// The name of the vault that asks.
        vault: String,
    },
    /// Tell whether this vault is listed as a holder of the account; [`RegistryResponse::Listed`].
    Lists {
        /// The account's name ([`vault_base::ids::ObjectNames::provider_account`]).
        account: String,
        /// The vault's name.
        vault: String,
    },
    /// Remove a vault as a holder, and tell whether the account has other holders;
    /// [`RegistryResponse::Shared`].
    #[serde(rename = "release")]
    RemoveReference {
        /// The account's name ([`vault_base::ids::ObjectNames::provider_account`]).
        account: String,
        /// The vault's name.
        vault: String,
    },
    /// Compare the check values of this deployment's keys with the stored ones. Sent only to the object
    /// [`vault_base::ids::KEY_CHECK`].
    Check {
        /// The check values by key: [`OBJECT_NAME_KEY`], and [`ring_key`] for each key of the ring.
        values: BTreeMap<String, String>,
        /// The keys whose check values to store: those that are about to be used to store something. A key
        /// that was deployed by mistake and never used can still be replaced.
        remember: Vec<String>,
    },
    /// The same as [`RegistryRequest::Check`], sent to a copy ([`vault_base::ids::key_check_copy`]). The copy
    /// asks the original where [`of_copy`] says so.
    CheckCopy {
        /// The check values by key.
        values: BTreeMap<String, String>,
        /// The keys whose check values to store.
        remember: Vec<String>,
    },
}

/// The response of a registry object.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryResponse {
    /// The user is stored.
    Added,
    /// The holder is stored.
    #[serde(rename = "held")]
    ReferenceAdded,
    /// Whether the account at the provider is shared.
    Shared {
        /// Whether the account has a holder other than the named vault.
        shared: bool,
    },
    /// Whether the vault is listed.
    Listed {
        /// Whether the vault is a holder of the account.
        listed: bool,
    },
    /// The comparison of the check values.
    Checked {
        /// The keys whose check values differ from the stored ones.
        changed: Vec<String>,
        /// Whether any check value is stored. If not, this vault has never stored anything.
        known: bool,
        /// All stored check values by key, for a copy. Earlier versions do not tell them.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        stored: BTreeMap<String, String>,
    },
}

impl Question for RegistryRequest {
    const CLASS: Class = Class::Registry;
    type Answer = RegistryResponse;
}

/// The name of the object name key among the check values.
pub const OBJECT_NAME_KEY: &str = "OBJECT_NAME_KEY";

/// The name of a key of the ring among the check values.
pub fn ring_key(id: &str) -> String {
    format!("KEY_RING.{id}")
}

/// The tables: the users of a shard, the check values of keys, and the holders of accounts at providers.
pub const CREATE: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS user (issuer TEXT NOT NULL, subject TEXT NOT NULL, added_at INTEGER NOT NULL, PRIMARY KEY (issuer, subject))",
    "CREATE TABLE IF NOT EXISTS key_check (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS holder (account TEXT NOT NULL, vault TEXT NOT NULL, PRIMARY KEY (account, vault))",
];

/// The table of a copy of the check values.
pub const CREATE_COPY: &str =
    "CREATE TABLE IF NOT EXISTS key_check_copy (name TEXT PRIMARY KEY, value TEXT NOT NULL)";

/// What a copy of the check values does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyStep {
    /// It answers itself: these keys differ.
    Answer(Vec<String>),
    /// It asks the original, stores the values that the original has, and answers what the original answers.
    AskOriginal,
}

/// Decides what a copy does that has these check values. It answers itself if a value differs, or if it has all
/// of them. It never takes a value from the configuration that asks: after an upgrade with a wrong key, an empty
/// copy would take the wrong key for the right one.
pub fn of_copy(stored: &BTreeMap<String, String>, values: &BTreeMap<String, String>) -> CopyStep {
    let changed = changed(values, stored);
    if changed.is_empty() && !values.keys().all(|name| stored.contains_key(name)) {
        return CopyStep::AskOriginal;
    }
    CopyStep::Answer(changed)
}

/// The names of the keys whose check values differ from the stored ones. A key without a stored check value
/// is new and not changed.
pub fn changed(
    values: &BTreeMap<String, String>,
    remembered: &BTreeMap<String, String>,
) -> Vec<String> {
    let differs = |(name, value): &(&String, &String)| {
        remembered.get(*name).is_some_and(|known| known != *value)
    };
    values.iter().filter(differs).map(|(name, _)| name.clone()).collect()
}
