// SPDX-License-Identifier: Apache-2.0
//! The record of a connect session, which its object stores as JSON. [`super::session`] is its
//! state machine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::hops::outward;
use crate::issuer::authorization::CodeGrant;
use vault_base::ids::{AccountId, UserId};
use vault_base::mac_id::MacId;
use vault_base::secret::{Secret, exposed, exposed_option};
use vault_base::time::UnixSeconds;
use vault_provider::registration::Registration;

/// Lifetime of a ticket, in seconds.
pub const TICKET_LIFETIME: i64 = 300;
/// Lifetime of a state, in seconds, from the browser's hop to the provider.
pub const STATE_LIFETIME: i64 = 600;
/// Lifetime of a connect code, in seconds.
pub const CODE_LIFETIME: i64 = 60;
/// Seconds within which tokens may still be identified and stored, if that was not possible at
/// once.
pub const STORE_LIFETIME: i64 = 600;
/// Seconds that the provider may take to redeem the code. The application's request ends earlier;
/// it repeats the request and finds the result.
pub const REDEEM_TIME: i64 = 120;
/// Lifetime of a session, in seconds. After it the session is of no use and is deleted.
pub const SESSION_LIFETIME: i64 =
    TICKET_LIFETIME + STATE_LIFETIME + CODE_LIFETIME + REDEEM_TIME + STORE_LIFETIME + 60;

/// What an application begins a session with, checked and complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// The session's id.
    pub session: MacId,
    /// The user who connects.
    pub user: UserId,
    /// The client that began the session.
    pub client_id: String,
    /// The name of the connection.
    pub connection: String,
    /// Where the browser returns: one of the client's redirect URIs.
    pub redirect_uri: String,
    /// The application's own state, returned unchanged.
    pub state: Option<String>,
    /// The S256 code challenge between application and vault (RFC 7636).
    pub code_challenge: Option<String>,
    /// The scopes to request, complete.
    pub scopes: Vec<String>,
    /// Further parameters of the authorization request.
    pub params: Vec<(String, String)>,
    /// Hash of the ticket's secret.
    pub ticket: String,
    /// Hash of the auth session's secret.
    pub auth_session: String,
    /// The authorization request that a sign-in belongs to; `None` for a connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
    /// The user who consented to link the account, and with which sign-in; `None` for a connect or a sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<CodeGrant>,
    /// The connection's registration. Code and tokens go to no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
}

/// The authorization response (RFC 6749 §4.1.2), and the browser that brought it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuthorizationResponse {
    /// The secret of the state.
    #[serde(with = "exposed")]
    pub state: Secret,
    /// The session's cookie, if the browser sent it.
    #[serde(with = "exposed_option")]
    pub cookie: Option<Secret>,
    /// The connection in the callback's path.
    pub connection: String,
    /// `iss` (RFC 9207).
    pub iss: Option<String>,
    /// `code`.
    #[serde(with = "exposed_option")]
    pub code: Option<Secret>,
    /// `error`, if the provider or the user declined.
    pub error: Option<String>,
    /// Parameters that the connection keeps for applications.
    #[serde(rename = "extra", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provider_data: BTreeMap<String, String>,
}

impl AuthorizationResponse {
    /// The reason word for the log, if the response is an error.
    pub fn reason(&self) -> Option<&'static str> {
        let word = |error: &str| {
            if outward(error).0 == "access_denied" { "declined" } else { "provider_error" }
        };
        self.error.as_deref().map(word)
    }
}

/// An authorization error response without `state`, which some providers send although RFC 6749 §4.1.2.1 requires
/// it, at one of the sessions whose cookie the browser has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatelessError {
    /// The session's cookie.
    #[serde(with = "exposed")]
    pub cookie: Secret,
    /// The connection in the callback's path.
    pub connection: String,
    /// `error`.
    pub error: String,
}

/// What the application sends to complete a connect.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Complete {
    /// The user of the access token.
    pub user: UserId,
    /// The client of the access token.
    pub client_id: String,
    /// The secret of the auth session.
    #[serde(with = "exposed")]
    pub auth_session: Secret,
    /// The secret of the connect code.
    #[serde(with = "exposed")]
    pub connect_code: Secret,
    /// The redirect URI, which must be the one it began with.
    pub redirect_uri: String,
    /// The code verifier between application and vault (RFC 7636).
    #[serde(with = "exposed_option")]
    pub code_verifier: Option<Secret>,
}

/// A stored session. Sealed values are base64url envelopes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// What it began with.
    pub begin: Begin,
    /// When it began, Unix seconds.
    pub created_at: UnixSeconds,
    /// The kind of flow that its state belongs to.
    pub flow: Flow,
    /// How far it is.
    pub phase: Phase,
    /// Parameters of the callback that applications need.
    #[serde(rename = "extra", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provider_data: BTreeMap<String, String>,
    /// The browser that brought the authorization response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser: Option<ReturnedBrowser>,
}

/// The browser that brought the authorization response. It may repeat its hops: a page may be loaded again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnedBrowser {
    /// Hash of the state's secret.
    pub state: String,
    /// Hash of the cookie.
    pub cookie: String,
    /// Hash of the secret of the connect code that it got after the application had completed the connect with
    /// an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_code: Option<String>,
    /// The error that the application was told, if the response was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The kind of flow that a state belongs to. A state of one kind is refused where another is
/// expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// Connecting an account.
    Connect,
    /// Signing in to the vault.
    Login,
}

/// How far a session is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", try_from = "Members")]
pub enum Phase {
    /// The ticket was not opened yet.
    Started,
    /// The browser is at the provider.
    AtProvider {
        /// Hash of the state's secret.
        state: String,
        /// Hash of the cookie.
        cookie: String,
        /// When the state expires, Unix seconds.
        until: UnixSeconds,
        /// Sealed [`FlowSecrets`].
        secrets: String,
        /// The state itself, sealed, for the browser that repeats its hop. `None` if code before version
        /// 0.3.0 wrote this.
        #[serde(skip_serializing_if = "Option::is_none")]
        sealed_state: Option<String>,
    },
    /// The provider has answered; the application must complete.
    Returned {
        /// Hash of the connect code's secret.
        connect_code: String,
        /// When the connect code expires, Unix seconds.
        until: UnixSeconds,
        /// Sealed [`FlowSecrets`].
        secrets: String,
        /// The provider's authorization code, sealed.
        code: String,
    },
    /// The code is being redeemed. A session that stays here lost the provider's response. The code
    /// is not sent twice, because a second use may end the grant (RFC 6749 §4.1.2).
    Completing {
        /// Hash of the connect code's secret.
        connect_code: String,
    },
    /// The tokens have arrived, and the provider has not said yet whose they are.
    Granted {
        /// Hash of the connect code's secret.
        connect_code: String,
        /// Until when the provider may be asked, Unix seconds.
        until: UnixSeconds,
        /// Sealed [`FlowSecrets`].
        secrets: String,
        /// The ID token, sealed, if there is one.
        id_token: Option<String>,
        /// The sealed [`NewGrant`](crate::vault::consent::NewGrant), without its user.
        store: String,
    },
    /// The user is known, and the vault has not stored the tokens yet.
    Redeemed {
        /// Hash of the connect code's secret.
        connect_code: String,
        /// Until when they may be stored, Unix seconds.
        until: UnixSeconds,
        /// The sealed [`NewGrant`](crate::vault::consent::NewGrant).
        store: String,
    },
    /// The account is connected. Without its members the session was a sign-in, or the account was deleted
    /// before the session was told, or code before version 0.3.0 wrote this.
    Finished {
        /// Hash of the connect code's secret: whoever completed the connect may repeat that.
        #[serde(skip_serializing_if = "Option::is_none")]
        connect_code: Option<String>,
        /// The account.
        #[serde(skip_serializing_if = "Option::is_none")]
        account: Option<AccountId>,
    },
    /// The session failed and cannot go on. Without its members nobody gets the error again: it was not that of
    /// a completion by the user who began the connect.
    Failed {
        /// Hash of the connect code's secret.
        #[serde(skip_serializing_if = "Option::is_none")]
        connect_code: Option<String>,
        /// Why the completion failed. [`Denied::Unnamed`] is stored as [`Denied::Identity`], which code before version
        /// 0.3.0 reads, with its cause beside it.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Denied>,
        /// The cause of [`Denied::Unnamed`].
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
}

impl Phase {
    /// A failure that nobody is told again.
    pub const FAILED: Self = Self::Failed { connect_code: None, error: None, cause: None };

    /// Hash of the connect code's secret, once the application has received one.
    pub fn connect_code(&self) -> Option<&str> {
        match self {
            Self::Started | Self::AtProvider { .. } => None,
            Self::Returned { connect_code, .. }
            | Self::Completing { connect_code }
            | Self::Granted { connect_code, .. }
            | Self::Redeemed { connect_code, .. } => Some(connect_code),
            Self::Finished { connect_code, .. } | Self::Failed { connect_code, .. } => {
                connect_code.as_deref()
            }
        }
    }

    /// Until when the application may complete, Unix seconds.
    pub fn completes_until(&self) -> Option<UnixSeconds> {
        match self {
            Self::Returned { until, .. }
            | Self::Granted { until, .. }
            | Self::Redeemed { until, .. } => Some(*until),
            _ => None,
        }
    }
}

/// The members of any [`Phase`], read in one pass: serde reads a tagged enum twice, with code of
/// its own for the intermediate form, which is 4 KB of the Worker.
#[derive(Deserialize)]
struct Members {
    name: String,
    state: Option<String>,
    cookie: Option<String>,
    connect_code: Option<String>,
    until: Option<UnixSeconds>,
    secrets: Option<String>,
    sealed_state: Option<String>,
    code: Option<String>,
    id_token: Option<String>,
    store: Option<String>,
    account: Option<AccountId>,
    error: Option<Denied>,
    cause: Option<String>,
}

impl TryFrom<Members> for Phase {
    type Error = &'static str;

    fn try_from(members: Members) -> Result<Self, Self::Error> {
        phase(members).ok_or("no phase of this name has these members")
    }
}

fn phase(members: Members) -> Option<Phase> {
    let Members { name, state, cookie, connect_code, until, secrets, code, .. } = members;
    let Members { id_token, store, account, error, cause, sealed_state, .. } = members;
    Some(match name.as_str() {
        "started" => Phase::Started,
        "at_provider" => Phase::AtProvider {
            state: state?,
            cookie: cookie?,
            until: until?,
            secrets: secrets?,
            sealed_state,
        },
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
        "finished" => Phase::Finished { connect_code, account },
        "failed" => Phase::Failed { connect_code, error, cause },
        _ => return None,
    })
}

/// Secrets of the flow between vault and provider, sealed between the browser's hops.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlowSecrets {
    /// The code verifier (RFC 7636).
    #[serde(with = "vault_base::secret::exposed")]
    pub verifier: Secret,
    /// The nonce of the ID token (OpenID Connect Core §2).
    #[serde(with = "vault_base::secret::exposed")]
    pub nonce: Secret,
}

/// Why a step of the session is denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denied {
    /// There is no such session, or the handle is wrong.
    Unknown,
    /// The handle was used before, or the session has ended.
    Used,
    /// The handle has expired.
    Expired,
    /// Another browser opened the ticket.
    OtherBrowser,
    /// The response came to another connection's callback, or from another issuer.
    OtherProvider,
    /// Another user or client began the session.
    OtherUser,
    /// The redirect URI differs from the one that it began with.
    OtherRedirect,
    /// The code verifier is missing, wrong, or unexpected.
    Verifier,
    /// The provider refused the code.
    CodeRefused,
    /// The provider's response to the code was lost or is unreadable.
    ProviderUnavailable,
    /// The provider does not accept the vault's registration.
    ProviderMisconfigured,
    /// The ID token is not valid.
    Identity,
    /// The provider's responses, or the callback, do not say who the user is.
    Unnamed {
        /// The cause, as a word of the log ([`vault_provider::userinfo::NoUserInfo::word`]).
        cause: String,
    },
    /// The code is being redeemed, or the vault could not store the grant, or the provider could not say whose
    /// it is. Completing again within ten minutes succeeds once that is over.
    NotStored,
    /// The connection has another provider or client than when the session began. Nothing changes:
    /// if the configuration is corrected in time, the session goes on.
    RegistrationChanged,
    /// The stored grant can be renewed, the new one cannot, and nothing proves that both are the
    /// same user's.
    UnknownUser,
    /// The user consented to less than the account already has.
    Narrower {
        /// The scopes that the account would lose.
        missing: Vec<String>,
    },
}

impl Denied {
    /// The reason word for the log.
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
            Self::Unnamed { .. } => "user_unnamed",
            Self::NotStored => "not_stored",
            Self::RegistrationChanged => "registration_changed",
            Self::UnknownUser => "unknown_user",
            Self::Narrower { .. } => "narrower",
        }
    }
}
