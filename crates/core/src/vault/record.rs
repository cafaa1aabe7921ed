// SPDX-License-Identifier: Apache-2.0
//! The records of a vault, as plain values. [`super::schema`] says how they are stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use vault_base::ids::AccountId;
use vault_base::text;
use vault_base::time::UnixSeconds;
use vault_jose::identity::Identity;
use vault_provider::connection::Connection;
use vault_provider::registration::Registration;
use vault_provider::scopes;

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
    /// What applications need of the provider's answer, such as Salesforce's `instance_url`.
    pub provider_data: BTreeMap<String, String>,
}

impl Account {
    /// How lists show it. `grant`: its own.
    pub fn view(&self, grant: Option<&Grant>) -> AccountView {
        AccountView {
            id: self.id.clone(),
            scopes: grant.map(|grant| grant.scopes.clone()).unwrap_or_default(),
            created_at: self.created_at,
            expires_at: grant.and_then(|grant| grant.expires_at),
            provider_data: self.provider_data.clone(),
            registration: None,
        }
    }
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
    /// The provider's error code, if the last failure was the operator's to fix.
    pub fault: Option<String>,
    /// When the refresh token ends, if known.
    pub expires_at: Option<UnixSeconds>,
    /// Whether a grant of a further kind goes on. That of the account's own stands in
    /// [`Account::state`].
    pub state: AccountState,
    /// The registration it came from, and the only one it may be used with. `None`: stored by a version
    /// that did not keep it, and not renewed since.
    pub registration: Option<Registration>,
}

impl Grant {
    /// Whether this grant goes on: tokens of several kinds end each on its own.
    pub fn state_of(&self, kind: &str, account: &Account) -> AccountState {
        if kind.is_empty() { account.state } else { self.state }
    }

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
            expires_at: None,
            state: AccountState::Active,
            registration: None,
        }
    }

    /// Whether its refresh token may still be good.
    pub fn is_renewable(&self, state: AccountState, now: UnixSeconds) -> bool {
        let ended = self.expires_at.is_some_and(|at| at <= now);
        state == AccountState::Active && self.has_refresh_token && !ended
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
    /// When it was sent last.
    pub at: UnixSeconds,
    /// When it was first sent without a settled answer; of a version that did not tell, `at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UnixSeconds>,
    /// A refresh token that came in an answer nothing else could be taken from: sealed as
    /// [`SUCCESSOR`], base64url. It is sent from then on, and the grant's own stays until that works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<String>,
}

impl Intent {
    /// When its token was first sent without a settled answer.
    pub fn since(&self) -> UnixSeconds {
        self.since.unwrap_or(self.at)
    }
}

/// The column that [`Intent::successor`] is sealed as: another word than the tokens' own columns, so that
/// no kind of token makes the same of it ([`field`]).
pub const SUCCESSOR: &str = "next_refresh_token";

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

impl AccessTokenRecord {
    /// Seconds it lives in all, if that is known.
    pub fn lifetime(&self) -> Option<i64> {
        Some(self.expires_at?.saturating_sub(self.issued_at)).filter(|seconds| *seconds > 0)
    }
}

/// Which of an account's access tokens. The default token has none of the three.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Selector {
    /// The scopes it is narrowed to, sorted.
    scopes: Vec<String>,
    /// The resource it is for, where the provider issues one token per resource.
    resource: String,
    /// Its kind, where several come along, such as a bot's beside the user's.
    kind: String,
}

impl Selector {
    /// The token of this kind (empty: the account's own) for this resource, narrowed to these scopes
    /// if there are any.
    pub fn new(kind: &str, resource: &str, narrowed: &[String]) -> Self {
        let mut scopes = narrowed.to_vec();
        scopes.sort_unstable();
        scopes.dedup();
        Self { scopes, resource: resource.to_owned(), kind: kind.to_owned() }
    }

    /// The kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// What it is for; empty for the default.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The scopes it is narrowed to, if it is.
    pub fn narrowed(&self) -> Option<&[String]> {
        (!self.scopes.is_empty()).then_some(self.scopes.as_slice())
    }

    /// The scopes that a refresh must ask for to get it; `None` for the default token of its kind.
    pub fn scopes(&self, connection: &Connection, granted: &[String]) -> Option<Vec<String>> {
        if let Some(narrowed) = self.narrowed() {
            return Some(narrowed.to_vec());
        }
        if self.resource.is_empty() {
            return None;
        }
        let of_it =
            |scope: &&String| scopes::resource(connection, scope) == Some(self.resource.as_str());
        Some(granted.iter().filter(of_it).cloned().collect())
    }

    /// The column `access_token.selector`: JSON `[scopes, resource, kind]`.
    pub fn column(&self) -> String {
        serde_json::json!([self.scopes.join(" "), self.resource, self.kind]).to_string()
    }

    /// Reads the column. `None`: a later version wrote it otherwise.
    pub fn from_column(column: &str) -> Option<Self> {
        let [scopes, resource, kind]: [String; 3] = vault_base::json::parse_trusted(column).ok()?;
        Some(Self { scopes: text::scopes(&scopes), resource, kind })
    }
}

/// What a token of this kind is sealed as: the name of its column, and the kind if it has one.
pub fn field(column: &str, kind: &str) -> String {
    if kind.is_empty() { column.to_owned() } else { format!("{column} {kind}") }
}

/// Whether what is sealed so is a refresh token.
pub fn is_refresh_token(field: &str) -> bool {
    let column = field.split_once(' ').map_or(field, |(column, _)| column);
    matches!(column, "refresh_token" | SUCCESSOR)
}

/// The kind of a token that is sealed so.
pub fn kind_of(field: &str) -> &str {
    field.split_once(' ').map_or("", |(_, kind)| kind)
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
    /// When its refresh token ends, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixSeconds>,
    /// [`Account::provider_data`].
    #[serde(rename = "extra", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provider_data: BTreeMap<String, String>,
    /// [`Grant::registration`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
}
