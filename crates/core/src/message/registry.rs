// SPDX-License-Identifier: Apache-2.0
//! Messages to a `Registry` object: a shard, or the one that remembers check values of keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Class, Question};
use vault_base::ids::UserId;

/// What a shard is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryRequest {
    /// Remember this user. Written before the user's directory.
    Add {
        /// Who.
        user: UserId,
    },
    /// Remember that a vault rests on an account at a provider. Written before the vault's account.
    #[serde(rename = "hold")]
    AddReference {
        /// [`vault_base::ids::ObjectNames::provider_account`].
        account: String,
        /// Name of the vault.
        vault: String,
    },
    /// Whether another vault rests on that account.
    Others {
        /// [`vault_base::ids::ObjectNames::provider_account`].
        account: String,
        /// Name of the vault that asks.
        vault: String,
    },
    /// Whether this vault is known to rest on that account.
    Lists {
        /// [`vault_base::ids::ObjectNames::provider_account`].
        account: String,
        /// Name of the vault.
        vault: String,
    },
    /// Forget that a vault rests on it, and say the same.
    #[serde(rename = "release")]
    RemoveReference {
        /// [`vault_base::ids::ObjectNames::provider_account`].
        account: String,
        /// Name of the vault.
        vault: String,
    },
    /// Compare the check values of this deployment's keys with those that are remembered. Asked of
    /// [`vault_base::ids::KEY_CHECK`] only.
    Check {
        /// Check values by key: [`OBJECT_NAME_KEY`], and [`ring_key`] for each of the ring.
        values: BTreeMap<String, String>,
        /// Which of them to remember from now on: those under which something is about to be
        /// stored. A key that was deployed by mistake and never used can still be replaced.
        remember: Vec<String>,
    },
}

/// What it answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryResponse {
    /// Remembered.
    Added,
    /// Remembered.
    #[serde(rename = "held")]
    ReferenceAdded,
    /// What was asked of the account.
    Shared {
        /// Whether another vault rests on it.
        shared: bool,
    },
    /// What was asked of the vault.
    Listed {
        /// Whether it is known to rest on that account.
        listed: bool,
    },
    /// How the keys compare.
    Checked {
        /// Keys that are not the ones this vault was made with.
        changed: Vec<String>,
        /// Whether there is anything to compare with: nothing was ever stored otherwise.
        known: bool,
    },
}

impl Question for RegistryRequest {
    const CLASS: Class = Class::Registry;
    type Answer = RegistryResponse;
}

/// Name of the object name key among check values.
pub const OBJECT_NAME_KEY: &str = "OBJECT_NAME_KEY";

/// Name of a key of the ring among check values.
pub fn ring_key(id: &str) -> String {
    format!("KEY_RING.{id}")
}

/// The tables: users of a shard, check values, and who rests on which account at a provider.
pub const CREATE: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS user (issuer TEXT NOT NULL, subject TEXT NOT NULL, added_at INTEGER NOT NULL, PRIMARY KEY (issuer, subject))",
    "CREATE TABLE IF NOT EXISTS key_check (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS holder (account TEXT NOT NULL, vault TEXT NOT NULL, PRIMARY KEY (account, vault))",
];

/// Keys of a deployment that are not the ones remembered under their names. A new name is no change.
pub fn changed(
    values: &BTreeMap<String, String>,
    remembered: &BTreeMap<String, String>,
) -> Vec<String> {
    let differs = |(name, value): &(&String, &String)| {
        remembered.get(*name).is_some_and(|known| known != *value)
    };
    values.iter().filter(differs).map(|(name, _)| name.clone()).collect()
}
