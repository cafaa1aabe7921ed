// SPDX-License-Identifier: Apache-2.0
//! Messages to a `ConnectSession` object.

use serde::{Deserialize, Serialize};

use super::{Class, Question};
use crate::connect::record::{AuthorizationResponse, Begin, Complete, Denied};
use crate::vault::record::AccountView;
use vault_base::secret::{Secret, exposed};

/// What a session is asked, in the order of a connect.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionRequest {
    /// An application starts it.
    Begin(Box<Begin>),
    /// The browser opens it with the ticket.
    Open {
        /// The ticket's secret.
        #[serde(with = "exposed")]
        ticket: Secret,
    },
    /// The provider sends the browser back.
    Return(AuthorizationResponse),
    /// The application completes it for its user.
    Complete(Complete),
}

/// What a session answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionResponse {
    /// The session is stored.
    Begun,
    /// Send the browser to the provider, with the session's cookie.
    Opened {
        /// Where to.
        location: String,
        /// The cookie's value.
        #[serde(with = "exposed")]
        cookie: Secret,
    },
    /// Send the browser to the application.
    Returned {
        /// Where to.
        #[serde(with = "exposed")]
        location: Secret,
    },
    /// The user has signed in.
    SignedIn {
        /// The authorization request that the sign-in belongs to.
        authorization: String,
        /// The name of the connection.
        connection: String,
        /// The provider's id of the user.
        user: String,
        /// E-mail address, if known.
        email: Option<String>,
        /// Name to show, if known.
        display_name: Option<String>,
    },
    /// The provider or the user declined the sign-in.
    Declined {
        /// The authorization request that the sign-in belongs to.
        authorization: String,
        /// The error code.
        code: String,
    },
    /// The account is connected.
    Completed {
        /// The account.
        account: AccountView,
        /// Its connection.
        connection: String,
    },
    /// No.
    Denied(Denied),
}

impl Question for SessionRequest {
    const CLASS: Class = Class::ConnectSession;
    type Answer = SessionResponse;
}

/// The one table: [`crate::connect::record::Session`] in JSON.
pub const CREATE: &str = "CREATE TABLE IF NOT EXISTS session (id INTEGER PRIMARY KEY CHECK (id = 1), record TEXT NOT NULL)";
