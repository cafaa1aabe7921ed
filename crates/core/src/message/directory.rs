// SPDX-License-Identifier: Apache-2.0
//! Messages to a `Directory` object.

use serde::{Deserialize, Serialize};

use super::{Class, Question};

/// What a user's directory is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryRequest {
    /// Remember that the user started this connection. Written before its first account.
    Add {
        /// Which connection.
        connection: String,
    },
    /// The connections the user ever started.
    List,
}

/// What it answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryResponse {
    /// Remembered.
    Added,
    /// Names, in order.
    Connections(Vec<String>),
}

impl Question for DirectoryRequest {
    const CLASS: Class = Class::Directory;
    type Answer = DirectoryResponse;
}

/// The one table.
pub const CREATE: &str =
    "CREATE TABLE IF NOT EXISTS connection (name TEXT PRIMARY KEY, added_at INTEGER NOT NULL)";
