// SPDX-License-Identifier: Apache-2.0
//! What a browser session's object holds. Stored as JSON.

use serde::{Deserialize, Serialize};

use vault_base::time::UnixSeconds;

use super::message::SignIn;

/// A browser session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its id, `sid` in tokens.
    pub sid: String,
    /// Who is signed in.
    pub sub: String,
    /// SHA-256 of the cookie's secret, hex.
    pub secret: String,
    /// The connection that the user signed in with.
    pub connection: String,
    /// When the user signed in last.
    pub auth_time: UnixSeconds,
    /// When the session began.
    pub created_at: UnixSeconds,
    /// When it was used, to the minute.
    pub used_at: UnixSeconds,
    /// Seconds without use after which it signs nobody in.
    pub idle_seconds: i64,
    /// When it ends in any case.
    pub absolute_end: UnixSeconds,
    /// The clients that the user signed in to, the latest last.
    #[serde(default)]
    pub clients: Vec<Member>,
    /// That it was ended, and what is left to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// A client that the user signed in to in this session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The client.
    pub client_id: String,
    /// Its refresh-token families that end with the session, the latest last.
    #[serde(default)]
    pub families: Vec<String>,
}

/// A session that was ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    pub at: UnixSeconds,
    /// What is left to do.
    #[serde(default)]
    pub tasks: Vec<Pending>,
}

/// A task that is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The task.
    pub task: Task,
    /// When it is to be tried.
    pub due: UnixSeconds,
    /// How often it was tried.
    pub attempts: usize,
}

/// What the end of a session leaves to do. Doing it twice does no harm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Tell the user's object that the session has ended, so that its access tokens end as well.
    EndAccessTokens,
    /// Send the client a logout token, if it has an address for that.
    Notify {
        /// The client.
        client_id: String,
    },
    /// End a refresh-token family.
    EndFamily {
        /// The family's id.
        family: String,
    },
}

impl Record {
    pub(super) fn new(sid: String, secret: String, sign_in: SignIn, now: UnixSeconds) -> Self {
        let SignIn { sub, connection, auth_time, idle_seconds, absolute_seconds } = sign_in;
        Self {
            sid,
            sub,
            secret,
            connection,
            auth_time,
            created_at: now,
            used_at: now,
            idle_seconds,
            absolute_end: now.saturating_add(absolute_seconds),
            clients: Vec::new(),
            ended: None,
        }
    }

    /// When it signs nobody in any more, if it is not used until then.
    pub fn ends_at(&self) -> UnixSeconds {
        self.used_at.saturating_add(self.idle_seconds).min(self.absolute_end)
    }
}

impl Ended {
    /// Ended now, with all that this leaves to do.
    pub(super) fn of(clients: &[Member], now: UnixSeconds) -> Self {
        let mut ended = Self { at: now, tasks: Vec::new() };
        ended.add(Task::EndAccessTokens, now);
        for family in clients.iter().flat_map(|member| &member.families) {
            ended.add(Task::EndFamily { family: family.clone() }, now);
        }
        for member in clients {
            ended.add(Task::Notify { client_id: member.client_id.clone() }, now);
        }
        ended
    }

    /// When the first task is due.
    pub fn due(&self) -> Option<UnixSeconds> {
        self.tasks.iter().map(|pending| pending.due).min()
    }

    fn add(&mut self, task: Task, due: UnixSeconds) {
        if self.tasks.iter().all(|pending| pending.task != task) {
            self.tasks.push(Pending { task, due, attempts: 0 });
        }
    }
}
