// SPDX-License-Identifier: Apache-2.0
//! Messages to a `ConnectSession` object.

use serde::{Deserialize, Serialize};

use super::{Class, Question};
use crate::connect::hops::SessionOrigin;
use crate::connect::record::{AuthorizationResponse, Begin, Complete, Denied, StatelessError};
use crate::issuer::authorization::CodeGrant;
use crate::vault::record::AccountView;
use vault_base::secret::{Secret, exposed, exposed_option};

/// A request to a connect session, in the order of a connect.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionRequest {
    /// An application begins the connect.
    Begin(Box<Begin>),
    /// The browser opens the session with the ticket.
    Open {
        /// The ticket's secret.
        #[serde(with = "exposed")]
        ticket: Secret,
        /// The session's cookie, if the browser has it.
        #[serde(with = "exposed_option", default, skip_serializing_if = "Option::is_none")]
        cookie: Option<Secret>,
    },
    /// The provider redirects the browser back with the authorization response (RFC 6749 §4.1.2).
    Return(AuthorizationResponse),
    /// The browser brings an error without `state`, which may be for this session.
    ReturnWithoutState(StatelessError),
    /// An error page wants to name the application.
    Origin,
    /// The application completes the connect for its user.
    Complete(Complete),
}

/// The response of a connect session.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionResponse {
    /// The session is stored.
    Begun,
    /// Redirect the browser to the provider, and set the session's cookie.
    Opened {
        /// The authorization request to redirect to.
        location: String,
        /// The cookie's value; `None` if the browser has it.
        #[serde(with = "exposed_option", default, skip_serializing_if = "Option::is_none")]
        cookie: Option<Secret>,
    },
    /// Redirect the browser to the application.
    Returned {
        /// The application's redirect URI with the response parameters.
        #[serde(with = "exposed")]
        location: Secret,
        /// Why the browser did not go to the provider first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        denied: Option<Denied>,
    },
    /// The application that began the session.
    Origin(SessionOrigin),
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
        /// The user to whom the account is to be linked; `None` for a sign-in.
        link: Option<CodeGrant>,
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
        /// The connected account.
        account: AccountView,
        /// The name of the account's connection.
        connection: String,
    },
    /// The session rejects the request.
    Denied(Denied),
}

impl Question for SessionRequest {
    const CLASS: Class = Class::ConnectSession;
    type Answer = SessionResponse;
}

/// The only table of a session. Its row holds a [`crate::connect::record::Session`] in JSON.
pub const CREATE: &str = "CREATE TABLE IF NOT EXISTS session (id INTEGER PRIMARY KEY CHECK (id = 1), record TEXT NOT NULL)";
