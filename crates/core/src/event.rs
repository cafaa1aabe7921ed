// SPDX-License-Identifier: Apache-2.0
//! Events of the operator's log, beside the line of each request: what happened to which object, and what the
//! operator can do about it. Events contain only configured names, the vault's own ids, words from a fixed
//! list, and error codes of providers; never a token, an address from a user, or a provider's text.

use serde::{Serialize, Serializer};
use vault_base::ids::AccountId;

/// The name of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventName {
    /// A provider rejected an authorization code, or its response to the code was not usable.
    CodeNotRedeemed,
    /// The configuration is invalid.
    ConfigurationError,
    /// The authorization endpoint in a provider's metadata cannot be used.
    EndpointUnusable,
    /// A provider's response did not tell the access token's lifetime, so the vault assumes one.
    ExpiresInAssumed,
    /// A stored grant cannot be decrypted.
    GrantCorrupt,
    /// The ID token of a connect is not valid.
    IdTokenRefused,
    /// A provider could not be asked who the user of a connect is.
    IdentityUnavailable,
    /// An issuer's metadata or keys cannot be fetched.
    IssuerUnavailable,
    /// The jobs of a vault could not be run.
    JobsFailed,
    /// A stored value needs a sealing key that `KEY_RING` lacks.
    KeyUnavailable,
    /// An isolate released a vault's tokens by lease.
    LeasedReleases,
    /// Not everything that a logout asks for could be done.
    LogoutIncomplete,
    /// An object failed to handle a request.
    ObjectFailed,
    /// An object did not respond.
    ObjectUnavailable,
    /// A grant has ended.
    ReconnectRequired,
    /// The vault could not carry out a renewal, for a reason on its own side.
    RefreshFailed,
    /// A provider did not issue a token.
    RefreshRefused,
    /// A refresh token of the vault was replayed, or presented by another client.
    RefreshTokenMisused,
    /// A connection has another registration than its accounts, or a connect in flight, came from.
    RegistrationChanged,
    /// The outcome of a revocation at a provider.
    Revocation,
    /// The vault made a key to sign its own tokens with.
    SigningKeyAdded,
    /// An isolate started, and its configuration is valid.
    Started,
    /// A provider's userinfo response does not name the user of a connect.
    UserinfoRefused,
}

/// The reference of events: the name, what it means, and what the operator does.
#[cfg(not(target_arch = "wasm32"))]
const ROWS: [(EventName, &str, &str); 23] = [
    (
        EventName::CodeNotRedeemed,
        "A provider rejected an authorization code, or its response was not usable. `reason` is the provider's error code, or `unavailable`, `ambiguous` (no response, or one that does not say what happened), `unusable_access_token`, `token_type` (one that the connection does not list), `answer_not_json`, `answer_not_utf8`, `answer_repeats_member` (a member that the vault uses occurs twice with different values), `answer_without_token` or `answer_with_error` (an error without a code).",
        "Nothing if it affects one user. For `token_type`, set `answer_token_types` of the connection if tokens of this type are sent as bearer tokens. If it affects all, check the connection's client secret and redirect URI.",
    ),
    (
        EventName::ConfigurationError,
        "The configuration is invalid. `detail` names the variable, the field and the fix.",
        "Correct it and deploy. Until then all requests get 503.",
    ),
    (
        EventName::EndpointUnusable,
        "The `authorization_endpoint` in a provider's metadata has the parameter `detail`, which the vault sets itself and must not send twice. Connects of the connection fail.",
        "Set `authorization_endpoint` of the connection to the same address without the parameter.",
    ),
    (
        EventName::ExpiresInAssumed,
        "A token response with a refresh token did not tell the lifetime of the access token in a readable form. The vault assumes one.",
        "Set `default_expires_in` of the connection to the lifetime that the provider documents.",
    ),
    (
        EventName::GrantCorrupt,
        "A stored grant cannot be decrypted, although `KEY_RING` has a key with its key id.",
        "Check that no key of `KEY_RING` was replaced without a new id. The user can connect again.",
    ),
    (
        EventName::IdTokenRefused,
        "The ID token of a connect is not valid. `reason` is one of the reasons under \"Tokens\" below.",
        "Check `issuer`, `client_id` and `required_claims` of the connection.",
    ),
    (
        EventName::IdentityUnavailable,
        "The provider could not be asked who the user of a connect is. The session keeps the tokens, and the application can complete the connect again.",
        "Nothing, unless it persists.",
    ),
    (
        EventName::IssuerUnavailable,
        "The metadata or keys of an issuer cannot be fetched, or no key can be used. `detail` says why: the status, a redirect (none is followed), or the index of the first key that cannot be used and the cause. The last valid ones are used for a day.",
        "Check that the issuer is reachable and that `issuer` is correct. `cargo xtask check` names each key of a set that the vault does not use.",
    ),
    (
        EventName::JobsFailed,
        "The jobs of a vault could not be run. They are tried again.",
        "See the other events at the same time.",
    ),
    (
        EventName::KeyUnavailable,
        "A stored value was sealed with the key `detail`, which `KEY_RING` lacks or has with other bytes. Nothing was changed.",
        "Put the key back into `KEY_RING`.",
    ),
    (
        EventName::LeasedReleases,
        "An isolate released tokens by lease to the client `client_id`, `count` times since it last asked the vault of `user` and `connection`. If `reason` is `not_reported`, the isolate had too many leases to keep the count until then. Each of these releases also has its own line, with `lease`.",
        "Nothing.",
    ),
    (
        EventName::LogoutIncomplete,
        "A browser session ended, and for two days the client `detail` took no logout token (`reason` is `client_not_notified`), or the refresh-token family `detail` could not be ended (`family_not_ended`), or the access tokens of the session `detail` were not ended (`access_tokens_not_ended`).",
        "Check the client's back-channel logout address. It serves its own session to its end.",
    ),
    (
        EventName::ObjectFailed,
        "A Durable Object failed to handle a request. `reason` is a word of the platform or of the vault.",
        "If it persists, report it.",
    ),
    (
        EventName::ObjectUnavailable,
        "A Durable Object did not respond in time, or its response is of another version.",
        "Nothing during a deployment. If it persists, check the platform's status.",
    ),
    (
        EventName::ReconnectRequired,
        "A grant has ended, and the user must connect again. `reason` has the same value as `connection_state.reason`.",
        "Nothing if it affects one user. If it affects many at once, check what was changed at the provider.",
    ),
    (
        EventName::RefreshFailed,
        "The vault could not carry out a renewal, for a reason on its own side. The grant is unchanged.",
        "See the other events at the same time.",
    ),
    (
        EventName::RefreshRefused,
        "A provider did not issue a token. `reason` is the provider's error code, the status of a response without one (such as `http_400`), or `unavailable`, `ambiguous` (no response, or one that does not say what happened), `token_type` (one that the connection does not list), `answer_not_json`, `answer_not_utf8`, `answer_repeats_member` (a member that the vault uses occurs twice with different values), `answer_without_token`, `answer_with_error` (an error without a code), `other_user` or `unusable_access_token`.",
        "For `invalid_client` and other codes about the registration, correct the connection. Otherwise nothing.",
    ),
    (
        EventName::RefreshTokenMisused,
        "A refresh token of the vault was presented by another client, or again after it was replaced. `reason` says which; a replay has ended its family, and the user must sign in again.",
        "Check that the application keeps the newest refresh token, in one place. Many events of one client may mean that tokens were copied.",
    ),
    (
        EventName::RegistrationChanged,
        "A connection has another provider or `client_id` than its accounts, or a connect in flight, came from. The vault does not send their tokens to the provider.",
        "Correct the configuration, or list the former authority in `earlier_authorities`.",
    ),
    (
        EventName::Revocation,
        "The outcome of the revocation of `token` at the provider. `reason` is `revoked`, `pending`, `not_supported` or `failed`.",
        "For `failed`, revoke it at the provider.",
    ),
    (
        EventName::SigningKeyAdded,
        "The vault made the key `detail` to sign its own tokens with. It is in the key set now, and signs when the key before it has signed for 90 days.",
        "Nothing.",
    ),
    (
        EventName::Started,
        "An isolate of version `detail` started, and its configuration is valid. It belongs to no request, so Cloudflare's logs do not have it: `wrangler dev` and a workerd of your own show it.",
        "Nothing.",
    ),
    (
        EventName::UserinfoRefused,
        "The userinfo response of a connect does not name the user. `reason` is `userinfo_http_…` (a status other than 2xx), `userinfo_not_json`, `userinfo_signed` (a JWT; the vault reads JSON only), `userinfo_repeats_member` (the id occurs twice with different values), `userinfo_without_id`, `no_userinfo` (there is no endpoint, or the token response has no id), or `callback_without_id` (the callback lacks the parameter of `identity.id`).",
        "Check `userinfo_endpoint`, `identity.id` and `scopes` of the connection. For a JWT, choose unsigned userinfo in the client's registration at the provider.",
    ),
];

impl EventName {
    /// The value of `event` in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::CodeNotRedeemed => "code_not_redeemed",
            Self::ConfigurationError => "configuration_error",
            Self::EndpointUnusable => "endpoint_unusable",
            Self::ExpiresInAssumed => "expires_in_assumed",
            Self::GrantCorrupt => "grant_corrupt",
            Self::IdTokenRefused => "id_token_refused",
            Self::IdentityUnavailable => "identity_unavailable",
            Self::IssuerUnavailable => "issuer_unavailable",
            Self::JobsFailed => "jobs_failed",
            Self::KeyUnavailable => "key_unavailable",
            Self::LeasedReleases => "leased_releases",
            Self::LogoutIncomplete => "logout_incomplete",
            Self::ObjectFailed => "object_failed",
            Self::ObjectUnavailable => "object_unavailable",
            Self::ReconnectRequired => "reconnect_required",
            Self::RefreshFailed => "refresh_failed",
            Self::RefreshRefused => "refresh_refused",
            Self::RefreshTokenMisused => "refresh_token_misused",
            Self::RegistrationChanged => "registration_changed",
            Self::Revocation => "revocation",
            Self::SigningKeyAdded => "signing_key_added",
            Self::Started => "started",
            Self::UserinfoRefused => "userinfo_refused",
        }
    }
}

impl Serialize for EventName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One event, which is one line of the log in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The event's name.
    pub event: EventName,
    /// Why it happened: a word from a fixed list, or a provider's error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The name of the configured connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The account's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The user's pseudonym ([`vault_base::ids::ObjectNames::log_name`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The id of the configured client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// How often it happened, where that is not once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// The token that the event is about, as [`crate::vault::record::field`] names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The class of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<&'static str>,
    /// The configured issuer identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// More about the fault, such as what to fix: fixed words, configured values and key ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Event {
    /// An event that has only a name.
    pub fn new(event: EventName) -> Self {
        Self {
            event,
            reason: None,
            connection: None,
            account: None,
            user: None,
            client_id: None,
            count: None,
            token: None,
            object: None,
            issuer: None,
            detail: None,
        }
    }

    /// The event with a reason.
    #[must_use]
    pub fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    /// The event with the name of a connection.
    #[must_use]
    pub fn at(self, connection: &str) -> Self {
        Self { connection: Some(connection.to_owned()), ..self }
    }

    /// The event with an account's id.
    #[must_use]
    pub fn of(self, account: &AccountId) -> Self {
        Self { account: Some(account.to_string()), ..self }
    }

    /// The event with a detail.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// The line of the log, in JSON without a line break.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The reference of events for `docs/log.md`: a row of a Markdown table for each event.
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
