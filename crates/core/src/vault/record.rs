// SPDX-License-Identifier: Apache-2.0
//! The records of a vault as plain values. [`super::schema`] defines how they are stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use vault_base::ids::AccountId;
use vault_base::text;
use vault_base::time::UnixSeconds;
use vault_jose::identity::Identity;
use vault_provider::connection::Connection;
use vault_provider::registration::Registration;
use vault_provider::scopes;

/// A user's connected account at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The id that callers see, such as `cac_…`.
    pub id: AccountId,
    /// The user's identity at the provider, as far as the provider told it.
    pub identity: Identity,
    /// The state of the account's own grant.
    pub state: AccountState,
    /// When the account was first connected.
    pub created_at: UnixSeconds,
    /// Members of the provider's responses that applications need, such as Salesforce's `instance_url`.
    pub provider_data: BTreeMap<String, String>,
}

impl Account {
    /// The account in the form that the API lists, without its registration. `grant` is the account's own.
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

/// The state of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    /// The grant is valid as far as the vault knows.
    Active,
    /// The user must connect again.
    ReconnectRequired(Reason),
}

/// Why a user must connect again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The provider rejected the refresh token: it was revoked, it expired, or the user withdrew consent.
    RefreshRefused,
    /// The provider rejected the refresh token after the response to an earlier refresh was lost: it had
    /// rotated the token, and the new one never arrived.
    RotationLost,
    /// The access token has expired, and the provider issued no refresh token.
    NoRefreshToken,
    /// A stored token cannot be decrypted.
    Corrupt,
}

impl Reason {
    /// The word that is stored, logged and shown to callers.
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
    /// The text of the columns `account.state` and `grant.state`: `active`, or the name of the [`Reason`].
    pub fn column(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::ReconnectRequired(reason) => reason.name(),
        }
    }

    /// Parses the column. An unknown word, which only a later version can have written, reads as
    /// [`Reason::RefreshRefused`], because every word except `active` means that the user must connect again.
    pub fn from_column(text: &str) -> Self {
        match text {
            "active" => Self::Active,
            other => {
                Self::ReconnectRequired(Reason::parse(other).unwrap_or(Reason::RefreshRefused))
            }
        }
    }
}

/// A grant of an account, without its sealed refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Increases by one each time the grant's tokens are replaced. It is compared before each write.
    pub generation: u64,
    /// Whether the grant has a refresh token.
    pub has_refresh_token: bool,
    /// The scopes that the user granted.
    pub scopes: Vec<String>,
    /// The refresh that was started and is not settled yet.
    pub intent: Option<Intent>,
    /// Callers start no refresh before this time, because the last one failed.
    pub retry_at: Option<UnixSeconds>,
    /// The number of consecutive failures.
    pub failures: u32,
    /// The error code of the last failure, if the operator must fix its cause.
    pub fault: Option<String>,
    /// When the refresh token expires, if known.
    pub expires_at: Option<UnixSeconds>,
    /// The state of a grant of a further kind. The state of the account's own grant is [`Account::state`];
    /// use [`Grant::state_of`].
    pub state: AccountState,
    /// The registration that issued the grant; the grant may be used with no other (RFC 6749 §6). `None` for
    /// a grant that was stored by a version without this field and has not been renewed since.
    pub registration: Option<Registration>,
}

impl Grant {
    /// The state of this grant, which is of the given kind. Grants of several kinds end independently.
    pub fn state_of(&self, kind: &str, account: &Account) -> AccountState {
        if kind.is_empty() { account.state } else { self.state }
    }

    /// A grant as a consent or a renewal creates it: active, with no intent, failure or expiry.
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

    /// Whether the grant has a refresh token that may still be valid. `state` is the grant's state.
    pub fn is_renewable(&self, state: AccountState, now: UnixSeconds) -> bool {
        let is_expired = self.expires_at.is_some_and(|at| at <= now);
        state == AccountState::Active && self.has_refresh_token && !is_expired
    }
}

/// The note that a refresh token is being sent. It is written durably before the request, so that a crash
/// between the provider's response and the vault's write is noticed. It is stored as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The generation of the grant that is being renewed.
    pub generation: u64,
    /// The SHA-256 of the refresh token that is sent, in hexadecimal.
    pub token_sha256: String,
    /// The number of times this refresh token was sent without a settled response, this time included.
    pub attempt: u32,
    /// When the token was last sent.
    pub at: UnixSeconds,
    /// When the token was first sent without a settled response. `None` if an older version wrote the
    /// intent: use [`Intent::since`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UnixSeconds>,
    /// A refresh token from a response whose other members could not be used. It is sealed for the field
    /// [`SUCCESSOR`] with `generation`, in base64url. It is sent from then on; the grant's own refresh token
    /// is kept until a refresh succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<String>,
}

impl Intent {
    /// When the token was first sent without a settled response, or last sent if the former is not known.
    pub fn since(&self) -> UnixSeconds {
        self.since.unwrap_or(self.at)
    }
}

/// The field name that [`Intent::successor`] is sealed for. It differs from the columns of tokens, so that
/// [`field`] gives no two kinds of sealed token the same name.
pub const SUCCESSOR: &str = "next_refresh_token";

/// The record of an access token, without the sealed token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessTokenRecord {
    /// The generation that the token was sealed with.
    pub generation: u64,
    /// The scopes that the token has, as the provider stated them, or else as they were requested or granted.
    pub scopes: Vec<String>,
    /// When the token was received.
    pub issued_at: UnixSeconds,
    /// When the token expires; `None` if the vault knows no expiry.
    pub expires_at: Option<UnixSeconds>,
}

impl AccessTokenRecord {
    /// The token's whole lifetime in seconds. `None` if its expiry is unknown or not after `issued_at`.
    pub fn lifetime(&self) -> Option<i64> {
        Some(self.expires_at?.saturating_sub(self.issued_at)).filter(|seconds| *seconds > 0)
    }
}

/// Identifies one of an account's access tokens by kind, resource and narrowed scopes. All three are empty
/// for the default token.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Selector {
    /// The scopes that the token is narrowed to, sorted; empty if it is not narrowed.
    scopes: Vec<String>,
    /// The resource that the token is for, where the provider issues one token per resource.
    resource: String,
    /// The token's kind, where an account has several, such as a bot's token beside the user's.
    kind: String,
}

impl Selector {
    /// Selects the token of this kind (empty for the account's own) for this resource (empty for the default
    /// one), narrowed to these scopes if there are any.
    pub fn new(kind: &str, resource: &str, narrowed: &[String]) -> Self {
        let mut scopes = narrowed.to_vec();
        scopes.sort_unstable();
        scopes.dedup();
        Self { scopes, resource: resource.to_owned(), kind: kind.to_owned() }
    }

    /// The token's kind; empty for the account's own.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The resource that the token is for; empty for the default one.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The scopes that the token is narrowed to, sorted; `None` if it is not narrowed.
    pub fn narrowed(&self) -> Option<&[String]> {
        (!self.scopes.is_empty()).then_some(self.scopes.as_slice())
    }

    /// The scopes that a refresh must request to obtain this token: the narrowed ones, or those among
    /// `granted` that belong to its resource. `None` for the default token of its kind.
    pub fn scopes(&self, connection: &Connection, granted: &[String]) -> Option<Vec<String>> {
        if let Some(narrowed) = self.narrowed() {
            return Some(narrowed.to_vec());
        }
        if self.resource.is_empty() {
            return None;
        }
        let is_for_resource =
            |scope: &&String| scopes::resource(connection, scope) == Some(self.resource.as_str());
        Some(granted.iter().filter(is_for_resource).cloned().collect())
    }

    /// The text of the column `access_token.selector`: the JSON array `[scopes, resource, kind]` of strings,
    /// with the scopes separated by spaces.
    pub fn column(&self) -> String {
        serde_json::json!([self.scopes.join(" "), self.resource, self.kind]).to_string()
    }

    /// Parses the column. `None` if it has another form, which only a later version can have written.
    pub fn from_column(column: &str) -> Option<Self> {
        let [scopes, resource, kind]: [String; 3] = vault_base::json::parse_trusted(column).ok()?;
        Some(Self { scopes: text::scopes(&scopes), resource, kind })
    }
}

/// The field that a token is sealed for ([`vault_base::seal::AssociatedData`]): the name of its column,
/// followed by a space and the kind if the kind is not empty.
pub fn field(column: &str, kind: &str) -> String {
    if kind.is_empty() { column.to_owned() } else { format!("{column} {kind}") }
}

/// Whether a token that is sealed for this field is a refresh token; successors count as refresh tokens.
pub fn is_refresh_token(field: &str) -> bool {
    let column = field.split_once(' ').map_or(field, |(column, _)| column);
    matches!(column, "refresh_token" | SUCCESSOR)
}

/// The kind of a token that is sealed for this field; empty for the account's own.
pub fn kind_of(field: &str) -> &str {
    field.split_once(' ').map_or("", |(_, kind)| kind)
}

/// An account in the form that objects send to the Worker for the connected-accounts API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// The account's id.
    pub id: AccountId,
    /// The scopes of the account's own grant.
    pub scopes: Vec<String>,
    /// When the account was first connected.
    pub created_at: UnixSeconds,
    /// When the refresh token of the account's own grant expires, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixSeconds>,
    /// [`Account::provider_data`].
    #[serde(rename = "extra", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provider_data: BTreeMap<String, String>,
    /// The registration that the account's grants came from ([`Grant::registration`]), if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
}
