//! The records of a vault, as plain values. [`super::schema`] says how they are stored.

use serde::{Deserialize, Serialize};

use crate::ids::AccountId;
use crate::jwt::id_token::Identity;
use crate::time::UnixSeconds;

/// One connected account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Public id.
    pub id: AccountId,
    /// Who it is at the provider.
    pub identity: Identity,
    /// Whether it can be used.
    pub state: AccountState,
    /// First connected.
    pub created_at: UnixSeconds,
}

/// Whether an account's grant is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    /// As far as we know.
    Active,
    /// The user must connect again.
    ReconnectRequired(Reason),
}

/// Why a user must connect again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The provider refused the refresh token: revoked, expired, or withdrawn by the user.
    RefreshRefused,
    /// The provider refused it after an answer to an earlier refresh was lost: it had rotated, and
    /// the new one never arrived.
    RotationLost,
    /// The access token is over, and the provider gave no refresh token.
    NoRefreshToken,
    /// What is stored does not open.
    Corrupt,
}

impl Reason {
    /// The word that is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::RefreshRefused => "refresh_refused",
            Self::RotationLost => "rotation_lost",
            Self::NoRefreshToken => "no_refresh_token",
            Self::Corrupt => "corrupt",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::RefreshRefused, Self::RotationLost, Self::NoRefreshToken, Self::Corrupt]
            .into_iter()
            .find(|reason| reason.name() == name)
    }
}

impl AccountState {
    /// The column `account.state`: `active`, or the reason to reconnect.
    pub fn column(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::ReconnectRequired(reason) => reason.name(),
        }
    }

    /// Reads the column. A word of a later version reads as a refused refresh: it was written when
    /// the grant ended.
    pub fn from_column(text: &str) -> Self {
        match text {
            "active" => Self::Active,
            other => {
                Self::ReconnectRequired(Reason::parse(other).unwrap_or(Reason::RefreshRefused))
            }
        }
    }
}

/// An account's grant, without its sealed refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Grows by one with every renewal; commits compare it.
    pub generation: u64,
    /// Whether there is a refresh token.
    pub has_refresh_token: bool,
    /// Scopes granted.
    pub scopes: Vec<String>,
    /// A refresh that was begun and not settled.
    pub intent: Option<Intent>,
    /// No refresh before this time, after one that failed.
    pub retry_at: Option<UnixSeconds>,
    /// Failures in a row.
    pub failures: u32,
    /// The provider's error code, if the last failure was the operator's to mend.
    pub fault: Option<String>,
}

impl Grant {
    /// A grant as it is when connected.
    pub fn new(generation: u64, has_refresh_token: bool, scopes: Vec<String>) -> Self {
        Self {
            generation,
            has_refresh_token,
            scopes,
            intent: None,
            retry_at: None,
            failures: 0,
            fault: None,
        }
    }
}

/// What is written before the provider is asked, so that a crash between its answer and our write
/// is noticed. Stored as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Generation of the grant that is being renewed.
    pub generation: u64,
    /// SHA-256 of the refresh token, hex.
    pub token_sha256: String,
    /// How many times this refresh token was sent without a settled answer, this one included.
    pub attempt: u32,
    /// When.
    pub at: UnixSeconds,
}

/// An access token, without its sealed text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessTokenRecord {
    /// Generation it was sealed with.
    pub generation: u64,
    /// Its true scopes.
    pub scopes: Vec<String>,
    /// When it came.
    pub issued_at: UnixSeconds,
    /// When it ends; `None` if the provider told no end.
    pub expires_at: Option<UnixSeconds>,
}

/// Which of an account's access tokens: canonical scopes, resource and kind. The default token has
/// none of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Selector {
    scopes: Vec<String>,
}

impl Selector {
    /// The token narrowed to these scopes.
    pub fn narrowed(scopes: &[String]) -> Self {
        let mut scopes = scopes.to_vec();
        scopes.sort_unstable();
        scopes.dedup();
        Self { scopes }
    }

    /// The scopes to ask for; `None` for the default token.
    pub fn scopes(&self) -> Option<&[String]> {
        (!self.scopes.is_empty()).then_some(self.scopes.as_slice())
    }

    /// The column `access_token.selector`: JSON `[scopes, resource, kind]`. Resource and kind are
    /// reserved for providers that issue one token per resource, or a bot's beside the user's.
    pub fn column(&self) -> String {
        serde_json::json!([self.scopes.join(" "), "", ""]).to_string()
    }
}

/// An account as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// Public id.
    pub id: AccountId,
    /// Scopes granted.
    pub scopes: Vec<String>,
    /// First connected.
    pub created_at: UnixSeconds,
}
