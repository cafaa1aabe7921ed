// SPDX-License-Identifier: Apache-2.0
//! Messages to a browser session's object.

use serde::{Deserialize, Serialize};

use vault_base::secret::{self, Secret};
use vault_base::time::UnixSeconds;

use super::record::{Record, Task};

/// A request to the object.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Begin: somebody signed in, in a browser without a session of this user.
    Start {
        /// The session's new id.
        sid: String,
        /// Who signed in.
        sign_in: SignIn,
    },
    /// The user signed in again: a new cookie and a new life, the same `sid`.
    SignIn {
        /// The cookie's secret.
        #[serde(with = "secret::exposed")]
        secret: Secret,
        /// Who signed in.
        sign_in: SignIn,
    },
    /// Whether this browser is signed in.
    Check {
        /// The cookie's secret.
        #[serde(with = "secret::exposed")]
        secret: Secret,
    },
    /// The user signed in to a client.
    Join {
        /// The client.
        client_id: String,
        /// The refresh-token family that began and ends with the session, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        family: Option<String>,
    },
    /// End it.
    End {
        /// What says that the asker may.
        proof: Proof,
    },
    /// The tasks that are due now. Each counts as tried.
    Due,
    /// These tasks are done, or there is nothing to do.
    Done {
        /// The tasks.
        tasks: Vec<Task>,
    },
}

/// A sign-in, and for how long it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// Who.
    pub sub: String,
    /// The connection.
    pub connection: String,
    /// When.
    pub auth_time: UnixSeconds,
    /// Seconds without use after which it is over.
    pub idle_seconds: i64,
    /// Seconds after which it is over in any case.
    pub absolute_seconds: i64,
}

/// What says that the asker may end a session.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The cookie's secret: the browser asks.
    #[serde(with = "secret::exposed")]
    Secret(Secret),
    /// Whose session it is, as an ID token with this `sid` says, or the operator.
    Subject(String),
}

/// The response.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// There is no such session, it is over, or the asker shows nothing that admits to it.
    None,
    /// Begun, or signed in to again: the cookie's new secret.
    Started {
        /// 43 base64url characters.
        #[serde(with = "secret::exposed")]
        secret: Secret,
    },
    /// The browser is signed in.
    Session(Box<View>),
    /// The client is among those of the session.
    Joined {
        /// Families that the session no longer remembers: end them, as no logout will.
        #[serde(default)]
        end: Vec<String>,
    },
    /// It has ended. What is to be done now; what is not reported as done is due again.
    Ended {
        /// Its id.
        sid: String,
        /// Whose it was.
        sub: String,
        /// What is due now.
        tasks: Vec<Task>,
    },
    /// The tasks that are due; as after the end.
    Due {
        /// Its id.
        sid: String,
        /// Whose it was.
        sub: String,
        /// What is due now.
        tasks: Vec<Task>,
    },
    /// Noted.
    Done,
}

/// A live session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Its id.
    pub sid: String,
    /// Who is signed in.
    pub sub: String,
    /// With which connection.
    pub connection: String,
    /// When the user signed in last.
    pub auth_time: UnixSeconds,
    /// When it ends in any case.
    pub absolute_end: UnixSeconds,
    /// The clients that the user signed in to.
    #[serde(default)]
    pub clients: Vec<String>,
}

impl View {
    pub(super) fn of(record: &Record) -> Self {
        Self {
            sid: record.sid.clone(),
            sub: record.sub.clone(),
            connection: record.connection.clone(),
            auth_time: record.auth_time,
            absolute_end: record.absolute_end,
            clients: record.clients.iter().map(|member| member.client_id.clone()).collect(),
        }
    }
}
