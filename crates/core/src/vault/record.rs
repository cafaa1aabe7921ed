// SPDX-License-Identifier: Apache-2.0
//! The records of a vault as plain values. [`super::schema`] defines how they are stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use vault_base::ids::AccountId;
use vault_base::text;
use vault_base::time::{CLOCK_SKEW_SECONDS, UnixSeconds};
use vault_jose::identity::Identity;
use vault_provider::connection::Connection;
use vault_provider::registration::Registration;
use vault_provider::scopes;

/// One connected account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The public id, `cac_…`.
    pub id: AccountId,
    /// The user at the provider.
    pub identity: Identity,
    /// Whether the account's own grant is valid.
    pub state: AccountState,
    /// When the account was first connected, Unix seconds.
    pub created_at: UnixSeconds,
    /// Members of the provider's response that applications need, such as Salesforce's
    /// `instance_url`. No secrets.
    pub provider_data: BTreeMap<String, String>,
}

impl Account {
    /// The account in the form that lists show. `grant` is its own.
    pub fn view(&self, grant: Option<&Grant>) -> AccountView {
        AccountView {
            id: self.id.clone(),
            user_id: self.identity.id.clone(),
            label: self.label().map(str::to_owned),
            scopes: grant.map(|grant| grant.scopes.clone()).unwrap_or_default(),
            created_at: self.created_at,
            expires_at: grant.and_then(|grant| grant.expires_at),
            provider_data: self.provider_data.clone(),
            registration: None,
            lease_until: None,
        }
    }

    /// What users know the account by: the e-mail address at the provider, or else the name there. `None` if the
    /// provider told neither.
    fn label(&self) -> Option<&str> {
        let Identity { email, name, .. } = &self.identity;
        email.as_deref().or(name.as_deref())
    }
}

/// Whether a grant is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    /// No refusal is known.
    Active,
    /// The grant has ended: the user must connect again.
    ReconnectRequired(Reason),
}

/// Why the user must connect again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The provider refused the refresh token: it was revoked, has expired, or the user withdrew
    /// it.
    RefreshRefused,
    /// The provider refused the refresh token after the response to an earlier refresh was lost: it
    /// had rotated the token, and the new one never arrived.
    RotationLost,
    /// The access token has expired, and the provider issued no refresh token.
    NoRefreshToken,
    /// The stored token does not open.
    Corrupt,
}

impl Reason {
    /// The word that is stored, and shown in `connection_state.reason`.
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
    /// The value of the column `account.state`: `active`, or the reason to reconnect.
    pub fn column(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::ReconnectRequired(reason) => reason.name(),
        }
    }

    /// Reads the column. A word of a later version reads as a refused refresh, because it was
    /// written when the grant ended.
    pub fn from_column(text: &str) -> Self {
        match text {
            "active" => Self::Active,
            other => {
                Self::ReconnectRequired(Reason::parse(other).unwrap_or(Reason::RefreshRefused))
            }
        }
    }
}

/// A grant, without its sealed refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Number of the current tokens: it grows by one with every renewal, and every commit compares
    /// it.
    pub generation: u64,
    /// Whether a refresh token is stored.
    pub has_refresh_token: bool,
    /// The scopes that the provider granted.
    pub scopes: Vec<String>,
    /// A refresh that was begun and is not settled.
    pub intent: Option<Intent>,
    /// No refresh is sent before this time, Unix seconds: the last one failed.
    pub retry_at: Option<UnixSeconds>,
    /// Number of consecutive failures.
    pub failures: u32,
    /// The provider's error code, if the operator must fix the cause of the last failure.
    pub fault: Option<String>,
    /// When the refresh token expires, or the grant ends, whichever comes first, Unix seconds; `None` if
    /// unknown.
    pub expires_at: Option<UnixSeconds>,
    /// Whether a grant of a further kind is valid. The state of the account's own grant is
    /// [`Account::state`].
    pub state: AccountState,
    /// The registration that the grant came from, and the only one it may be used with. `None`: an
    /// earlier version stored it, and it has not been renewed since.
    pub registration: Option<Registration>,
    /// When the user consented, Unix seconds. `None`: an earlier version stored the grant.
    pub consented_at: Option<UnixSeconds>,
}

impl Grant {
    /// Whether this grant is valid: the grants of several kinds end independently.
    pub fn state_of(&self, kind: &str, account: &Account) -> AccountState {
        if kind.is_empty() { account.state } else { self.state }
    }

    /// A grant as it is after a consent.
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
            consented_at: None,
        }
    }

    /// Whether the grant counts as ended only because of refusals without an error code, so that its
    /// refresh token may be accepted again.
    pub fn may_live_on(&self) -> bool {
        self.has_refresh_token && self.intent.as_ref().is_some_and(Intent::is_refused)
    }

    /// Whether the grant has a refresh token that may still be accepted.
    pub fn is_renewable(&self, state: AccountState, now: UnixSeconds) -> bool {
        let ended = self.expires_at.is_some_and(|at| at <= now);
        state == AccountState::Active && self.has_refresh_token && !ended
    }
}

/// The note that a refresh token is being sent. It is durable before the request, so that a crash
/// between response and write is noticed. Stored as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The generation that is being renewed.
    pub generation: u64,
    /// SHA-256 of the refresh token, in hex.
    pub token_sha256: String,
    /// How often this refresh token was sent without a settled response, including now.
    pub attempt: u32,
    /// When it was last sent, Unix seconds.
    pub at: UnixSeconds,
    /// When it was first sent without a settled response, Unix seconds; earlier versions stored
    /// only `at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UnixSeconds>,
    /// A refresh token that came in a response that was otherwise unusable, sealed as
    /// [`SUCCESSOR`], in base64url. It is sent from then on, and the grant's own one stays until it
    /// works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<String>,
    /// Whether the response to the last attempt is awaited. It stays so if the object stops meanwhile: the
    /// request may still be on its way then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_awaited: bool,
    /// The refusals without an error code that this refresh token met with, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unexplained: Option<Unexplained>,
    /// When the vault takes up the last attempt by itself if no response comes, Unix seconds. Until then it
    /// is no job ([`super::follow_up`]); the version before writes a job at once, and does not know this member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow_up: Option<UnixSeconds>,
}

/// Refusals of a refresh token that have no usable error code, or one that is not clear
/// ([`vault_provider::error_codes::TokenEndpointError::Unexplained`] and `Unlisted`). Each proves nothing.
/// Where they go on, the grant counts as ended; its refresh token is kept, and still tried now and then. The
/// same holds at once where the user must authenticate further (`Consent`), because the provider may stop
/// demanding it, as when the user was elsewhere for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unexplained {
    /// Their number.
    pub count: u32,
    /// When the first one came, Unix seconds.
    pub since: UnixSeconds,
    /// When the last one came, Unix seconds.
    pub last: UnixSeconds,
}

impl Unexplained {
    /// The number of refusals, and the seconds from the first to the last, from which on a grant counts
    /// as ended. Outages that give such responses end sooner.
    const ENOUGH: u32 = 5;
    const LONG_ENOUGH: i64 = 86_400;

    /// These refusals and one more.
    #[must_use]
    pub fn with_one_more(before: Option<Self>, now: UnixSeconds) -> Self {
        let Self { count, since, .. } = before.unwrap_or(Self { count: 0, since: now, last: now });
        Self { count: count.saturating_add(1), since, last: now }
    }

    /// As many as suffice, for a grant that ends now although its refresh token may be accepted again.
    pub fn enough(now: UnixSeconds) -> Self {
        Self { count: Self::ENOUGH, since: now.saturating_sub(Self::LONG_ENOUGH), last: now }
    }

    /// Whether the grant counts as ended.
    pub fn suffice(&self) -> bool {
        self.count >= Self::ENOUGH && self.last.saturating_sub(self.since) >= Self::LONG_ENOUGH
    }
}

impl Intent {
    /// Whether a response to an attempt before this one was lost or unclear: a refusal was complete.
    pub fn lost_a_response(&self) -> bool {
        let refusals = self.unexplained.map_or(0, |refusals| refusals.count);
        self.attempt.saturating_sub(refusals) > 1
    }

    /// Whether the grant counts as ended by refusals that have no error code.
    pub fn is_refused(&self) -> bool {
        self.unexplained.is_some_and(|refusals| refusals.suffice())
    }

    /// When its token was first sent without a settled response, Unix seconds.
    pub fn since(&self) -> UnixSeconds {
        self.since.unwrap_or(self.at)
    }
}

/// The field that [`Intent::successor`] is sealed as. It differs from the columns of tokens, so
/// that no kind of token can have the same field ([`field`]).
pub const SUCCESSOR: &str = "next_refresh_token";

/// An access token, without its sealed text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessTokenRecord {
    /// The generation that it was sealed with.
    pub generation: u64,
    /// The scopes that it has.
    pub scopes: Vec<String>,
    /// When it was issued, Unix seconds.
    pub issued_at: UnixSeconds,
    /// When it expires, Unix seconds; `None` if it does not, or if that is unknown.
    pub expires_at: Option<UnixSeconds>,
}

impl AccessTokenRecord {
    /// Its whole lifetime in seconds, if known.
    pub fn lifetime(&self) -> Option<i64> {
        Some(self.expires_at?.saturating_sub(self.issued_at)).filter(|seconds| *seconds > 0)
    }

    /// Whether the provider may still accept the token: its clock may be behind ours.
    pub fn may_be_accepted(&self, now: UnixSeconds) -> bool {
        self.expires_at.is_none_or(|at| at > now - CLOCK_SKEW_SECONDS)
    }

    /// Whether the provider will accept the token for a while, although its clock may be ahead of ours.
    pub fn is_sure_to_be_accepted(&self, now: UnixSeconds) -> bool {
        self.expires_at.is_none_or(|at| at > now + CLOCK_SKEW_SECONDS)
    }
}

/// Which of an account's access tokens. The default token has none of the three.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Selector {
    /// The scopes that it is narrowed to, sorted.
    scopes: Vec<String>,
    /// The resource that it is for, where the provider issues one token per resource.
    resource: String,
    /// Its kind, where one consent brings several, such as a bot's beside the user's.
    kind: String,
}

impl Selector {
    /// The token of this kind (empty: the account's own) for this resource, narrowed to these
    /// scopes if there are any.
    pub fn new(kind: &str, resource: &str, narrowed: &[String]) -> Self {
        let mut scopes = narrowed.to_vec();
        scopes.sort_unstable();
        scopes.dedup();
        Self { scopes, resource: resource.to_owned(), kind: kind.to_owned() }
    }

    /// The kind; empty for the account's own.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The resource; empty for the default one.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The scopes that it is narrowed to; `None` if it is not.
    pub fn narrowed(&self) -> Option<&[String]> {
        (!self.scopes.is_empty()).then_some(self.scopes.as_slice())
    }

    /// The scopes to request in a refresh for this token; `None` for the default token of its kind.
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

    /// The value of the column `access_token.selector`: JSON `[scopes, resource, kind]`.
    pub fn column(&self) -> String {
        serde_json::json!([self.scopes.join(" "), self.resource, self.kind]).to_string()
    }

    /// Reads the column. `None` if a later version wrote another form.
    pub fn from_column(column: &str) -> Option<Self> {
        let [scopes, resource, kind]: [String; 3] = vault_base::json::parse_trusted(column).ok()?;
        Some(Self { scopes: text::scopes(&scopes), resource, kind })
    }
}

/// The field that a token is sealed as: the name of its column, then a space and the kind if it has
/// one.
pub fn field(column: &str, kind: &str) -> String {
    if kind.is_empty() { column.to_owned() } else { format!("{column} {kind}") }
}

/// Whether this is the field of a refresh token.
pub fn is_refresh_token(field: &str) -> bool {
    let column = field.split_once(' ').map_or(field, |(column, _)| column);
    matches!(column, "refresh_token" | SUCCESSOR)
}

/// The kind in a field; empty for the account's own.
pub fn kind_of(field: &str) -> &str {
    field.split_once(' ').map_or("", |(_, kind)| kind)
}

/// An account in the form that lists show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// The public id, `cac_…`.
    pub id: AccountId,
    /// The provider's id of the user; `None` if the provider gives none, or if an object of an earlier version
    /// answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The user's e-mail address at the provider, or else the name there, for display; `None` as for `user_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The scopes that the provider granted.
    pub scopes: Vec<String>,
    /// When the account was first connected, Unix seconds.
    pub created_at: UnixSeconds,
    /// When its refresh token expires, Unix seconds; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixSeconds>,
    /// [`Account::provider_data`].
    #[serde(rename = "extra", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provider_data: BTreeMap<String, String>,
    /// [`Grant::registration`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
    /// Until when a lease may still serve a token from before the account was stored, Unix seconds. `None` if none
    /// does, and in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<UnixSeconds>,
}
