// SPDX-License-Identifier: Apache-2.0
//! Events of the operator's log that no request line tells: what happened, to what, and what the operator does
//! about it. They hold configured names, our own ids, stable words and error codes of providers; never a
//! token, an address that a user brought, or a provider's text.

use serde::{Serialize, Serializer};
use vault_base::ids::AccountId;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventName {
    /// A provider refused a code, or gave no usable answer to it.
    CodeNotRedeemed,
    /// The configuration cannot be used.
    ConfigurationError,
    /// A provider's answer did not tell how long its token lives.
    ExpiresInAssumed,
    /// A stored grant does not open.
    GrantCorrupt,
    /// An ID token does not hold.
    IdTokenRefused,
    /// A provider could not be asked whose tokens are.
    IdentityUnavailable,
    /// An issuer's metadata or keys cannot be fetched.
    IssuerUnavailable,
    /// The jobs of a vault could not be run.
    JobsFailed,
    /// A stored value needs a key that `KEY_RING` lacks.
    KeyUnavailable,
    /// An object could not do its work.
    ObjectFailed,
    /// An object gave no answer.
    ObjectUnavailable,
    /// A grant is over.
    ReconnectRequired,
    /// A renewal could not be carried out here.
    RefreshFailed,
    /// A provider gave no token.
    RefreshRefused,
    /// A refresh token of the vault was replayed, or presented by another client.
    RefreshTokenMisused,
    /// A connection stands for another registration than its accounts, or a connect in flight, came from.
    RegistrationChanged,
    /// What a provider made of a revocation.
    Revocation,
}

/// The reference: what each means, and what the operator does.
#[cfg(not(target_arch = "wasm32"))]
const ROWS: [(EventName, &str, &str); 17] = [
    (
        EventName::CodeNotRedeemed,
        "A provider refused an authorization code, or gave no usable answer to it. `reason` is its error code, or `unavailable`, `ambiguous`, `unusable_access_token`.",
        "Nothing for one user; for all, check the connection's secret and redirect URI.",
    ),
    (
        EventName::ConfigurationError,
        "The configuration cannot be used. `detail` names the variable, the field and the fix.",
        "Correct it and deploy. Until then all requests get 503.",
    ),
    (
        EventName::ExpiresInAssumed,
        "An answer with a refresh token did not tell, in a form that can be read, how long its access token lives.",
        "Set `default_expires_in` of the connection to what the provider documents.",
    ),
    (
        EventName::GrantCorrupt,
        "A stored grant does not open, though its sealing key is there.",
        "Check that no key of `KEY_RING` was replaced under its id. The user can connect again.",
    ),
    (
        EventName::IdTokenRefused,
        "The ID token of a connect does not hold. `reason` is one of the reasons of tokens below.",
        "Check `issuer`, `client_id` and `required_claims` of the connection.",
    ),
    (
        EventName::IdentityUnavailable,
        "The provider could not be asked whose tokens a connect brought. The session keeps them; the application completes again.",
        "Nothing, unless it goes on.",
    ),
    (
        EventName::IssuerUnavailable,
        "The metadata or keys of an issuer cannot be fetched. The last good ones serve for a day.",
        "Check that the issuer is reachable and `issuer` is right.",
    ),
    (
        EventName::JobsFailed,
        "The jobs of a vault could not be run; they are tried again.",
        "See the events beside it.",
    ),
    (
        EventName::KeyUnavailable,
        "A stored value needs the sealing key `detail`, which `KEY_RING` lacks. Nothing was changed.",
        "Put the key back into `KEY_RING`.",
    ),
    (
        EventName::ObjectFailed,
        "A Durable Object could not do its work. `reason` is a word of the platform's or of ours.",
        "If it goes on, report it.",
    ),
    (
        EventName::ObjectUnavailable,
        "A Durable Object gave no answer in time, or one of another version.",
        "Nothing during a deployment; if it goes on, check the platform's status.",
    ),
    (
        EventName::ReconnectRequired,
        "A grant is over: `reason` is the one of `connection_state`.",
        "Nothing for one user; for many at once, check what was changed at the provider.",
    ),
    (
        EventName::RefreshFailed,
        "A renewal could not be carried out here. The grant is as it was.",
        "See the events beside it.",
    ),
    (
        EventName::RefreshRefused,
        "A provider gave no token. `reason` is its error code, or `unavailable`, `ambiguous`, `other_user`, `unusable_access_token`.",
        "For `invalid_client` and other codes about the registration: correct the connection. Else nothing.",
    ),
    (
        EventName::RefreshTokenMisused,
        "A refresh token of the vault was presented by another client, or again after it was replaced. `reason` says which; a replay has ended its family, and the user must sign in again.",
        "Check that the application keeps the newest refresh token, in one place. Many events of one client may mean that tokens were copied.",
    ),
    (
        EventName::RegistrationChanged,
        "A connection stands for another provider or `client_id` than its accounts, or a connect in flight, came from. Nothing is sent.",
        "Put the configuration right, or list what it was in `earlier_authorities`.",
    ),
    (
        EventName::Revocation,
        "What the provider made of a revocation of `token`: `revoked`, `pending`, `not_supported` or `failed`.",
        "For `failed`: revoke it at the provider.",
    ),
];

impl EventName {
    /// The word in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::CodeNotRedeemed => "code_not_redeemed",
            Self::ConfigurationError => "configuration_error",
            Self::ExpiresInAssumed => "expires_in_assumed",
            Self::GrantCorrupt => "grant_corrupt",
            Self::IdTokenRefused => "id_token_refused",
            Self::IdentityUnavailable => "identity_unavailable",
            Self::IssuerUnavailable => "issuer_unavailable",
            Self::JobsFailed => "jobs_failed",
            Self::KeyUnavailable => "key_unavailable",
            Self::ObjectFailed => "object_failed",
            Self::ObjectUnavailable => "object_unavailable",
            Self::ReconnectRequired => "reconnect_required",
            Self::RefreshFailed => "refresh_failed",
            Self::RefreshRefused => "refresh_refused",
            Self::RefreshTokenMisused => "refresh_token_misused",
            Self::RegistrationChanged => "registration_changed",
            Self::Revocation => "revocation",
        }
    }
}

impl Serialize for EventName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// What happened.
    pub event: EventName,
    /// Why: a stable word, or a provider's error code in the form of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The connection, as it is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What kind of token it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The class of object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<&'static str>,
    /// The configured issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// What to fix, in words made of the configuration's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Event {
    /// An event without further members.
    pub fn new(event: EventName) -> Self {
        Self {
            event,
            reason: None,
            connection: None,
            account: None,
            token: None,
            object: None,
            issuer: None,
            detail: None,
        }
    }

    /// With a reason.
    #[must_use]
    pub fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    /// At a connection.
    #[must_use]
    pub fn at(self, connection: &str) -> Self {
        Self { connection: Some(connection.to_owned()), ..self }
    }

    /// Of an account.
    #[must_use]
    pub fn of(self, account: &AccountId) -> Self {
        Self { account: Some(account.to_string()), ..self }
    }

    /// With what to fix.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// The line.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The reference of events, as `docs/log.md` has it: a row of a table for each.
#[cfg(not(target_arch = "wasm32"))]
pub fn reference() -> String {
    let row = |(event, meaning, action): &(EventName, &str, &str)| {
        format!("| `{}` | {meaning} | {action} |\n", event.name())
    };
    ROWS.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_has_a_word_of_its_own() {
        let names: Vec<&str> = ROWS.iter().map(|row| row.0.name()).collect();
        assert!(names.is_sorted_by(|one, other| one < other), "{names:?}");
    }

    #[test]
    fn a_line_has_what_is_known_and_no_more() {
        let event = Event::new(EventName::RefreshRefused).at("demo").because("invalid_grant");
        let json = r#"{"event":"refresh_refused","reason":"invalid_grant","connection":"demo"}"#;
        assert_eq!(event.line(), json);
    }
}
