// SPDX-License-Identifier: Apache-2.0
//! The record of a connect session: what it was started with and how far it is. Stored as JSON by
//! its object; [`super::session`] says how it moves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use vault_base::ids::UserId;
use vault_base::secret::{Secret, exposed, exposed_option};
use vault_base::time::UnixSeconds;
use vault_provider::registration::Registration;

/// Seconds a ticket lives.
pub const TICKET_LIFETIME: i64 = 300;
/// Seconds a state lives, from the browser's hop to the provider.
pub const STATE_LIFETIME: i64 = 600;
/// Seconds a connect code lives.
pub const CODE_LIFETIME: i64 = 60;
/// Seconds within which a completed exchange of the code may still be stored, if that was not
/// possible at once.
pub const STORE_LIFETIME: i64 = 600;
/// Seconds that the provider may take to redeem the code. The application's request ends earlier; it sends
/// the same again and finds what came meanwhile.
pub const REDEEM_TIME: i64 = 120;
/// Seconds after which nothing of a session is of use, and it is deleted.
pub const SESSION_LIFETIME: i64 =
    TICKET_LIFETIME + STATE_LIFETIME + CODE_LIFETIME + REDEEM_TIME + STORE_LIFETIME + 60;

/// What an application starts a session with, checked and complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// The session's id.
    pub session: String,
    /// Who connects.
    pub user: UserId,
    /// For which client.
    pub client_id: String,
    /// Which connection.
    pub connection: String,
    /// Where the browser returns; registered for the client.
    pub redirect_uri: String,
    /// The application's own state, given back as it is.
    pub state: Option<String>,
    /// PKCE between application and vault: S256 challenge.
    pub code_challenge: Option<String>,
    /// Scopes to ask for, complete.
    pub scopes: Vec<String>,
    /// Extra parameters of the authorization request.
    pub params: Vec<(String, String)>,
    /// Hash of the ticket's secret.
    pub ticket: String,
    /// Hash of the auth session's secret.
    pub auth_session: String,
    /// The registration that the connection had: what the provider gives goes to no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
}

/// What came with the provider's redirect.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuthorizationResponse {
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
    #[serde(rename = "extra", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provider_data: BTreeMap<String, String>,
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

/// A session as it is stored, in JSON. Sealed values are base64url envelopes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// What it was started with.
    pub begin: Begin,
    /// When.
    pub created_at: UnixSeconds,
    /// What kind of flow its state belongs to: `connect`.
    pub flow: Flow,
    /// How far it is.
    pub phase: Phase,
    /// Parameters of the callback that applications need.
    #[serde(rename = "extra", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provider_data: BTreeMap<String, String>,
}

/// What a state is good for. A state of one kind is refused where another is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// Connecting an account.
    Connect,
}

/// How far a session is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", try_from = "Members")]
pub enum Phase {
    /// The ticket waits for the browser.
    Started,
    /// The browser is at the provider.
    AtProvider {
        /// Hash of the state's secret.
        state: String,
        /// Hash of the cookie.
        cookie: String,
        /// The state's end.
        until: UnixSeconds,
        /// Sealed [`FlowSecrets`].
        secrets: String,
    },
    /// The connect code waits for the application.
    Returned {
        /// Hash of the connect code's secret.
        connect_code: String,
        /// Its end.
        until: UnixSeconds,
        /// Sealed [`FlowSecrets`].
        secrets: String,
        /// The provider's code, sealed.
        code: String,
    },
    /// The code is being redeemed. A session that stays here lost the provider's answer; the code
    /// is not sent twice, for a second use may end the grant (RFC 6749 §4.1.2).
    Completing {
        /// Hash of the connect code's secret.
        connect_code: String,
    },
    /// The tokens are here, and the provider could not be asked yet whose they are.
    Granted {
        /// Hash of the connect code's secret.
        connect_code: String,
        /// Until when that may be asked.
        until: UnixSeconds,
        /// Sealed [`FlowSecrets`].
        secrets: String,
        /// The ID token, sealed, if one came.
        id_token: Option<String>,
        /// The sealed [`NewGrant`](crate::vault::consent::NewGrant), which names nobody.
        store: String,
    },
    /// The tokens are here and not yet in the vault.
    Redeemed {
        /// Hash of the connect code's secret.
        connect_code: String,
        /// Until when they may be stored.
        until: UnixSeconds,
        /// The sealed [`NewGrant`](crate::vault::consent::NewGrant).
        store: String,
    },
    /// The account is connected.
    Finished,
    /// Nothing can come of it any more.
    Failed,
}

/// The members of any [`Phase`], to be read at once: a tagged enum is read twice, with a reader of its
/// own for what is in between, which is 4 KB of the Worker.
#[derive(Deserialize)]
struct Members {
    name: String,
    state: Option<String>,
    cookie: Option<String>,
    connect_code: Option<String>,
    until: Option<UnixSeconds>,
    secrets: Option<String>,
    code: Option<String>,
    id_token: Option<String>,
    store: Option<String>,
}

impl TryFrom<Members> for Phase {
    type Error = &'static str;

    fn try_from(members: Members) -> Result<Self, Self::Error> {
        phase(members).ok_or("no phase of this name has these members")
    }
}

fn phase(members: Members) -> Option<Phase> {
    let Members { name, state, cookie, connect_code, until, secrets, code, id_token, store } =
        members;
    Some(match name.as_str() {
        "started" => Phase::Started,
        "at_provider" => {
            Phase::AtProvider { state: state?, cookie: cookie?, until: until?, secrets: secrets? }
        }
        "returned" => Phase::Returned {
            connect_code: connect_code?,
            until: until?,
            secrets: secrets?,
            code: code?,
        },
        "completing" => Phase::Completing { connect_code: connect_code? },
        "granted" => Phase::Granted {
            connect_code: connect_code?,
            until: until?,
            secrets: secrets?,
            id_token,
            store: store?,
        },
        "redeemed" => Phase::Redeemed { connect_code: connect_code?, until: until?, store: store? },
        "finished" => Phase::Finished,
        "failed" => Phase::Failed,
        _ => return None,
    })
}

/// What goes to the provider and must come back, sealed between the hops.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlowSecrets {
    /// PKCE's verifier between vault and provider.
    #[serde(with = "vault_base::secret::exposed")]
    pub verifier: Secret,
    /// The nonce of the ID token.
    #[serde(with = "vault_base::secret::exposed")]
    pub nonce: Secret,
}

/// Why a step is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denied {
    /// No such session, or not this handle of it.
    Unknown,
    /// The handle was used already, or the session is over.
    Used,
    /// Too late.
    Expired,
    /// Another browser than the one that opened the ticket.
    OtherBrowser,
    /// The provider's answer came to another connection's callback, or from another issuer.
    OtherProvider,
    /// Another user or client than the one that began.
    OtherUser,
    /// Another redirect URI than the one of the request.
    OtherRedirect,
    /// The code verifier is missing, wrong, or not expected.
    Verifier,
    /// The provider refused the code.
    CodeRefused,
    /// The provider's answer to the code is lost or unreadable.
    ProviderUnavailable,
    /// The provider does not accept our registration.
    ProviderMisconfigured,
    /// The provider's word on who the user is does not hold.
    Identity,
    /// The vault could not store the grant now, or the provider not say whose it is; completing
    /// again within ten minutes will.
    NotStored,
    /// The connection stands for another provider or client than when this began. Nothing changed: should
    /// the configuration be put right in time, it goes on.
    RegistrationChanged,
    /// The account's grant can be renewed, the new one cannot, and nothing tells whether they are the same
    /// user's.
    UnknownUser,
    /// The user consented to less than the account already has.
    Narrower {
        /// The scopes that would be lost.
        missing: Vec<String>,
    },
}

impl Denied {
    /// The word for the log.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown_handle",
            Self::Used => "used",
            Self::Expired => "expired",
            Self::OtherBrowser => "other_browser",
            Self::OtherProvider => "other_provider",
            Self::OtherUser => "other_user",
            Self::OtherRedirect => "other_redirect_uri",
            Self::Verifier => "code_verifier",
            Self::CodeRefused => "code_refused",
            Self::ProviderUnavailable => "provider_unavailable",
            Self::ProviderMisconfigured => "provider_misconfigured",
            Self::Identity => "identity",
            Self::NotStored => "not_stored",
            Self::RegistrationChanged => "registration_changed",
            Self::UnknownUser => "unknown_user",
            Self::Narrower { .. } => "narrower",
        }
    }
}
