// SPDX-License-Identifier: Apache-2.0
//! Which user of the vault a user at a provider is. One object per realm (where the provider's ids are
//! unique) and id: two requests that come at once agree on one user, and nobody is found by e-mail.

use serde::{Deserialize, Serialize};

use super::machine::{At, Machine, Step};
use vault_base::seal::SealError;
use vault_provider::connection::Connection;

/// The stored record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// It is this user of the vault.
    Owned {
        /// The user (`sub`).
        subject: String,
    },
    /// The user was erased, or removed the identity. Whoever comes next with it is another user.
    Released,
}

/// What an identity is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Whose it is.
    Find,
    /// It is this user's, unless it is somebody's already.
    Own {
        /// The user (`sub`).
        subject: String,
    },
    /// It is this user's no longer.
    Release {
        /// The user (`sub`).
        subject: String,
    },
}

/// What an identity answers.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// It is this user's.
    Owned {
        /// The user (`sub`).
        subject: String,
    },
    /// It is nobody's. `was_owned`: it was somebody's, whose `sub` must not be given again.
    Free {
        /// Whether it was somebody's.
        was_owned: bool,
    },
}

/// The machine of an identity.
#[derive(Debug)]
pub struct Identity;

impl Machine for Identity {
    type Record = Record;
    type Request = Request;
    type Response = Response;

    fn step(
        record: Option<Record>,
        request: Request,
        _at: &At<'_>,
    ) -> Result<Step<Record, Response>, SealError> {
        let free = |was_owned| Step::answer(Response::Free { was_owned });
        Ok(match (record, request) {
            (Some(Record::Owned { subject }), Request::Release { subject: of })
                if subject == of =>
            {
                Step::put(Record::Released, Response::Free { was_owned: true })
            }
            (Some(Record::Owned { subject }), _) => Step::answer(Response::Owned { subject }),
            (_, Request::Own { subject }) => {
                Step::put(Record::Owned { subject: subject.clone() }, Response::Owned { subject })
            }
            (record, Request::Find | Request::Release { .. }) => free(record.is_some()),
        })
    }

    fn wake(_record: Record, _at: &At<'_>) -> Step<Record, ()> {
        Step::answer(())
    }
}

/// Where a connection's user ids are unique: its authority with the provider's variables and, as ids of
/// an OpenID provider may differ by client (OpenID Connect Core §8.1), the client id. A connection that
/// comes to stand for another provider signs nobody in as somebody else.
pub fn realm(connection: &Connection) -> String {
    let registration = &connection.registration;
    if connection.identity.permanent {
        registration.authority.clone()
    } else {
        format!("{} client={}", registration.authority, registration.client_id)
    }
}

/// The `sub` of a user who signs in for the first time. `suffix`: where another user has it.
pub fn subject(connection: &str, user: &str, suffix: Option<&str>) -> String {
    match suffix {
        None => format!("{connection}|{user}"),
        Some(suffix) => format!("{connection}|{user}~{suffix}"),
    }
}
