// SPDX-License-Identifier: Apache-2.0
//! A browser session: who signed in, when, and which clients the session signed in to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::machine::{At, Machine, Step, Write};
use vault_base::encoding;
use vault_base::seal::SealError;
use vault_base::secret::{Secret, exposed, exposed_option};
use vault_base::time::UnixSeconds;

/// A use is written at most once in this many seconds, so that reading a session seldom writes.
const USED_EVERY: i64 = 60;

/// Most clients that a session remembers.
const MAX_CLIENTS: usize = 100;

/// Most refresh token families of one client that a session remembers, the latest ones.
const MAX_FAMILIES: usize = 20;

/// The stored record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The session's id: `sid` of ID tokens.
    pub id: String,
    /// SHA-256 of the cookie's secret, hex.
    pub secret: String,
    /// Who signed in.
    pub user: SignedIn,
    /// When it was last used, Unix seconds.
    pub used_at: UnixSeconds,
    /// Seconds without use after which it ends.
    pub idle: i64,
    /// When it ends in any case, Unix seconds.
    pub expires_at: UnixSeconds,
    /// The refresh token families of each client that the session signed in to.
    #[serde(default)]
    pub clients: BTreeMap<String, Vec<String>>,
}

/// Who signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    /// The user (`sub`).
    pub subject: String,
    /// The connection that the user signed in with.
    pub connection: String,
    /// When, Unix seconds.
    pub auth_time: UnixSeconds,
}

/// What a session is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Begin.
    Start {
        /// The session's id.
        id: String,
        /// Who signed in.
        user: SignedIn,
        /// Seconds without use after which it ends.
        idle: i64,
        /// Seconds after which it ends in any case.
        lifetime: i64,
    },
    /// Who signed in, if the browser's cookie is right.
    Check {
        /// The secret of the cookie.
        #[serde(with = "exposed")]
        secret: Secret,
    },
    /// Remember a client, and the refresh token family that it got.
    Join {
        /// The client.
        client_id: String,
        /// The family's id, if it got one.
        family: Option<String>,
    },
    /// End the session.
    End {
        /// The secret of the cookie; `None` if the vault itself ends it.
        #[serde(with = "exposed_option")]
        secret: Option<Secret>,
    },
}

/// What a session answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// It has begun.
    Started {
        /// The cookie's value: `id.secret`.
        #[serde(with = "exposed")]
        cookie: Secret,
    },
    /// The session is alive.
    Alive {
        /// Who signed in.
        user: SignedIn,
        /// The clients that it signed in to.
        clients: Vec<String>,
    },
    /// Remembered.
    Joined,
    /// The session has ended.
    Ended {
        /// Who had signed in.
        user: SignedIn,
        /// Clients and their refresh token families.
        clients: BTreeMap<String, Vec<String>>,
    },
    /// There is no such session, or the cookie is wrong.
    Unknown,
}

/// The machine of a browser session.
#[derive(Debug)]
pub struct BrowserSession;

impl Machine for BrowserSession {
    type Record = Record;
    type Request = Request;
    type Response = Response;

    fn step(
        record: Option<Record>,
        request: Request,
        at: &At<'_>,
    ) -> Result<Step<Record, Response>, SealError> {
        match (record, request) {
            (None, Request::Start { id, user, idle, lifetime }) => {
                let random = encoding::random::<32>().map_err(|_| SealError::CannotSeal)?;
                let secret = Secret::new(encoding::base64url(random));
                let cookie = Secret::new(format!("{id}.{}", secret.expose()));
                let record = Record {
                    id,
                    secret: encoding::hex(&secret.sha256()),
                    user,
                    used_at: at.now,
                    idle,
                    expires_at: at.now.saturating_add(lifetime),
                    clients: BTreeMap::new(),
                };
                let ends = record.ends();
                Ok(Step::put(record, Response::Started { cookie }).waking(ends))
            }
            (None, _) | (Some(_), Request::Start { .. }) => Ok(Step::answer(Response::Unknown)),
            (Some(record), _) if at.now >= record.ends() => {
                Ok(Step { write: Write::Delete, ..Step::answer(Response::Unknown) })
            }
            (Some(record), request) => Ok(record.answer(request, at.now)),
        }
    }

    fn wake(record: Record, at: &At<'_>) -> Step<Record, ()> {
        if at.now >= record.ends() {
            return Step { write: Write::Delete, ..Step::answer(()) };
        }
        Step::answer(()).waking(record.ends())
    }
}

impl Record {
    fn answer(mut self, request: Request, now: UnixSeconds) -> Step<Self, Response> {
        match request {
            Request::Check { secret } if self.has(&secret) => {
                let clients = self.clients.keys().cloned().collect();
                let alive = Response::Alive { user: self.user.clone(), clients };
                if now.saturating_sub(self.used_at) < USED_EVERY {
                    return Step::answer(alive);
                }
                self.used_at = now;
                let ends = self.ends();
                Step::put(self, alive).waking(ends)
            }
            Request::Join { client_id, family } => {
                if self.clients.len() < MAX_CLIENTS || self.clients.contains_key(&client_id) {
                    let families = self.clients.entry(client_id).or_default();
                    families.extend(family);
                    let surplus = families.len().saturating_sub(MAX_FAMILIES);
                    families.drain(..surplus);
                }
                Step::put(self, Response::Joined)
            }
            Request::End { secret } if secret.as_ref().is_none_or(|secret| self.has(secret)) => {
                let ended = Response::Ended { user: self.user, clients: self.clients };
                Step { write: Write::Delete, ..Step::answer(ended) }
            }
            Request::Start { .. } | Request::Check { .. } | Request::End { .. } => {
                Step::answer(Response::Unknown)
            }
        }
    }

    fn has(&self, secret: &Secret) -> bool {
        let presented = encoding::hex(&secret.sha256());
        encoding::constant_time_eq(presented.as_bytes(), self.secret.as_bytes())
    }

    fn ends(&self) -> UnixSeconds {
        self.expires_at.min(self.used_at.saturating_add(self.idle))
    }
}
