//! Messages to a `ConnectSession` object.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Class, Question};
use crate::connect::record::{Begin, Denied};
use crate::ids::UserId;
use crate::secret::{Secret, exposed, exposed_option};
use crate::vault::record::AccountView;

/// What a session is asked, in the order of a connect.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// An application starts it.
    Begin(Box<Begin>),
    /// The browser opens it with the ticket.
    Open {
        /// The ticket's secret.
        #[serde(with = "exposed")]
        ticket: Secret,
    },
    /// The provider sends the browser back.
    Return(Return),
    /// The application completes it for its user.
    Complete(Complete),
}

/// What came with the provider's redirect.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Return {
    /// The state's secret.
    #[serde(with = "exposed")]
    pub state: Secret,
    /// The session's cookie, if the browser has it.
    #[serde(with = "exposed_option")]
    pub cookie: Option<Secret>,
    /// The connection of the callback's path.
    pub connection: String,
    /// `iss`.
    pub iss: Option<String>,
    /// `code`.
    #[serde(with = "exposed_option")]
    pub code: Option<Secret>,
    /// `error`, if the provider or the user said no.
    pub error: Option<String>,
    /// Parameters that the connection keeps for applications.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, String>,
}

/// What the application presents at the end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Complete {
    /// The user of the request.
    pub user: UserId,
    /// The client of the request.
    pub client_id: String,
    /// The auth session's secret.
    #[serde(with = "exposed")]
    pub auth_session: Secret,
    /// The connect code's secret.
    #[serde(with = "exposed")]
    pub connect_code: Secret,
    /// The redirect URI again.
    pub redirect_uri: String,
    /// PKCE's verifier between application and vault.
    #[serde(with = "exposed_option")]
    pub code_verifier: Option<Secret>,
}

/// What a session answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
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

impl Question for Ask {
    const CLASS: Class = Class::ConnectSession;
    type Answer = Answer;
}

/// The one table: [`crate::connect::record::Session`] in JSON.
pub const CREATE: &str = "CREATE TABLE IF NOT EXISTS session (id INTEGER PRIMARY KEY CHECK (id = 1), record TEXT NOT NULL)";
