// SPDX-License-Identifier: Apache-2.0
//! Messages to a `Directory` object.

use serde::{Deserialize, Serialize};

use super::{Class, Question};

/// A request to the directory of a user.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryRequest {
    /// Add a connection that the user starts to connect. It is added before its first account is stored.
    Add {
        /// The connection's name.
        connection: String,
    },
    /// List the connections that the user ever started to connect.
    List,
}

/// The response of a directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryResponse {
    /// The connection is stored.
    Added,
    /// The names of the connections, sorted.
    Connections(Vec<String>),
}

impl Question for DirectoryRequest {
    const CLASS: Class = Class::Directory;
    type Answer = DirectoryResponse;
}

/// The only table of a directory. `added_at` is in Unix seconds.
pub const CREATE: &str =
    "CREATE TABLE IF NOT EXISTS connection (name TEXT PRIMARY KEY, added_at INTEGER NOT NULL)";
