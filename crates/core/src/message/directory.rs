// SPDX-License-Identifier: Apache-2.0
//! Messages to a `Directory` object.

use serde::{Deserialize, Serialize};

use super::{Class, Question};
use vault_base::mac_id::MacId;

/// A request to the directory of a user.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryRequest {
    /// Add a connection that the user starts to connect. It is added before its first account is stored.
    Add {
        /// The connection's name.
        connection: String,
        /// The connect that begins, which counts as in flight from now on. Without it none is counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<MacId>,
    },
    /// A connect is over and does not count any more. If this is lost, it counts until its time is over.
    Ended {
        /// The connect.
        session: MacId,
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
    /// The connect does not count any more.
    Ended,
    /// The user has as many connects in flight as a user may have. Nothing was stored.
    TooManyInFlight {
        /// Seconds after which one may begin.
        retry_after: i64,
    },
    /// The names of the connections, sorted.
    Connections(Vec<String>),
}

impl Question for DirectoryRequest {
    const CLASS: Class = Class::Directory;
    type Answer = DirectoryResponse;
}

/// The connections of a user. `added_at` is in Unix seconds.
pub const CREATE: &str =
    "CREATE TABLE IF NOT EXISTS connection (name TEXT PRIMARY KEY, added_at INTEGER NOT NULL)";

/// The connects of a user that are in flight. `until` is when the session's lifetime is over, in Unix seconds.
pub const CREATE_IN_FLIGHT: &str =
    "CREATE TABLE IF NOT EXISTS in_flight (session TEXT PRIMARY KEY, until INTEGER NOT NULL)";
