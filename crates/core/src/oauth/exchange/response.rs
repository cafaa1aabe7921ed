// SPDX-License-Identifier: Apache-2.0
//! Responses to a token exchange (RFC 6749 §5, RFC 8693 §2.2; Auth0's codes for Auth0's grant
//! type).

use std::collections::BTreeMap;

use serde_json::json;

use super::{ErrorCode, ExchangeProfile, profile};
use crate::config::ExchangeGrant;
use crate::error::{ConnectionState, OAuthError};
use crate::vault::release::{Misconfiguration, ReleaseError};
use vault_base::secret::Secret;
use vault_provider::issuance::NoAccount;

/// The members of a success beside `expires_in`, in JSON from the first member to the closing brace. Clients fail
/// on a `token_type` other than `Bearer` and on `scope` as a list. `provider_data` is what the provider's API
/// needs beside the token, such as Salesforce's `instance_url`.
pub fn members(
    grant: ExchangeGrant,
    token: &Secret,
    scopes: &[String],
    provider_data: &BTreeMap<String, String>,
) -> Secret {
    let mut body = json!({
        "access_token": token.expose(),
        "issued_token_type": profile(grant).issued_token_type,
        "token_type": "Bearer",
        "scope": scopes.join(" "),
    });
    if let (false, Some(members)) = (provider_data.is_empty(), body.as_object_mut()) {
        members.insert("provider_data".into(), json!(provider_data));
    }
    let body = Secret::new(body.to_string());
    Secret::new(body.expose().trim_start_matches('{'))
}

/// The body of a success with these [`members`]. Clients fail on a missing or null `expires_in`.
pub fn success(expires_in: i64, members: &Secret) -> Secret {
    Secret::new(format!("{{\"expires_in\":{expires_in},{}", members.expose()))
}

/// The error for a connection that gives no token. It carries `connection_state`, which says what the
/// application can do.
pub fn error(profile: &ExchangeProfile, problem: &ReleaseError) -> OAuthError {
    let state = state(problem);
    let ((status, code), description): (ErrorCode, String) = match problem {
        ReleaseError::NotConnected | ReleaseError::NoSuchAccount | ReleaseError::AmbiguousAccount => {
            (profile.not_connected, not_found(problem))
        }
        ReleaseError::ReconnectRequired { .. } => (
            profile.reconnect_required,
            "The account's grant is over; the user must connect it again.".into(),
        ),
        ReleaseError::MissingScopes { missing } => {
            let description = format!(
                "The account did not grant: {}. Connect it again with these scopes; those of an \
                 installation are granted by whoever owns that.",
                missing.join(" ")
            );
            ((400, "invalid_scope"), description)
        }
        ReleaseError::NoSuchKind => ((400, "invalid_target"),
            "The account has no token of this token_kind. Connections list the kinds they have; one \
             that is new in the configuration comes with the next connect, unless the vault makes \
             it."
                .into(),
        ),
        ReleaseError::NoSuchResource => ((400, "invalid_target"),
            "Tokens of this token_kind are for no such resource. docs/providers says which kinds are \
             for resources, and how those are named."
                .into(),
        ),
        ReleaseError::NoAccount { reason } => ((400, "invalid_target"), no_account(*reason).into()),
        ReleaseError::SeveralResources => ((400, "invalid_scope"),
            "At this provider a token is for one resource, and these scopes belong to several. Ask \
             for the scopes of one resource at a time."
                .into(),
        ),
        ReleaseError::CannotNarrow => ((400, "invalid_scope"),
            "This client may only have tokens with the scopes it names; the account's token has \
             more, and cannot be narrowed. Name all scopes of the account."
                .into(),
        ),
        ReleaseError::Unavailable { .. } => ((503, "temporarily_unavailable"),
            "The provider cannot renew the token at the moment. The account stays connected."
                .into(),
        ),
        ReleaseError::TooManyRequests { .. } => ((429, "too_many_requests"),
            "The account's newest token was issued less than a minute ago; refused_token asks for \
             another one after that time."
                .into(),
        ),
        ReleaseError::Misconfigured { reason, .. } => {
            ((503, "temporarily_unavailable"), misconfigured(*reason).into())
        }
    };
    OAuthError {
        retry_after: state.retry_after,
        connection_state: Some(Box::new(state)),
        ..OAuthError::new(status, code, &description)
    }
}

fn misconfigured(reason: Misconfiguration) -> &'static str {
    match reason {
        Misconfiguration::ProviderRefusedClient => {
            "The provider does not accept this vault's registration, or publishes no metadata or keys that \
             the vault can use. The vault's operator must act; the account stays connected."
        }
        Misconfiguration::RegistrationChanged => {
            "The account was connected under another provider or client_id than the connection has \
             now. The vault's operator must act; the account stays as it is."
        }
        Misconfiguration::UnusableAccessToken => {
            "The provider's access token contains characters that no access token may have. The \
             vault's operator must act; the account stays connected."
        }
    }
}

fn no_account(reason: NoAccount) -> &'static str {
    match reason {
        NoAccount::NotInstalled => {
            "The application is not installed there. Whoever owns the account installs it at the \
             provider; the connection goes on."
        }
        NoAccount::NotOwner | NoAccount::Untold => {
            "The provider does not say that the user owns this account. Such a token can do more \
             than a member may, so only an owner gets it."
        }
        NoAccount::Suspended => {
            "The application is suspended there. Whoever owns the account takes that back at the \
             provider; the connection goes on."
        }
    }
}

fn not_found(problem: &ReleaseError) -> String {
    match problem {
        ReleaseError::NoSuchAccount => {
            "login_hint matches none of the user's connected accounts (by account id, provider user id, \
             e-mail or name)."
        }
        ReleaseError::AmbiguousAccount => {
            "login_hint matches two of the user's connected accounts; use the account id."
        }
        _ => "The user has not connected an account.",
    }
    .into()
}

fn state(problem: &ReleaseError) -> ConnectionState {
    let plain = |state| ConnectionState { state, ..ConnectionState::default() };
    match problem {
        ReleaseError::NotConnected => plain("not_connected"),
        ReleaseError::NoSuchAccount => {
            ConnectionState { reason: Some("login_hint_unknown"), ..plain("not_connected") }
        }
        ReleaseError::AmbiguousAccount => {
            ConnectionState { reason: Some("login_hint_ambiguous"), ..plain("not_connected") }
        }
        ReleaseError::ReconnectRequired { reason } => {
            ConnectionState { reason: Some(reason.name()), ..plain("reconnect_required") }
        }
        ReleaseError::MissingScopes { missing } => {
            ConnectionState { missing_scopes: Some(missing.clone()), ..plain("missing_scopes") }
        }
        ReleaseError::NoSuchKind => {
            ConnectionState { reason: Some("token_kind_unknown"), ..plain("not_connected") }
        }
        ReleaseError::NoSuchResource => {
            ConnectionState { reason: Some("resource_unknown"), ..plain("not_connected") }
        }
        ReleaseError::NoAccount { reason } => {
            ConnectionState { reason: Some(reason.name()), ..plain("not_connected") }
        }
        ReleaseError::SeveralResources => {
            ConnectionState { reason: Some("several_resources"), ..plain("missing_scopes") }
        }
        ReleaseError::CannotNarrow => {
            ConnectionState { reason: Some("cannot_narrow"), ..plain("misconfigured") }
        }
        ReleaseError::Unavailable { retry_after } => {
            ConnectionState { retry_after: Some(*retry_after), ..plain("unavailable") }
        }
        ReleaseError::TooManyRequests { retry_after } => ConnectionState {
            reason: Some("too_many_requests"),
            retry_after: Some(*retry_after),
            ..plain("unavailable")
        },
        ReleaseError::Misconfigured { retry_after, reason } => ConnectionState {
            reason: Some(reason.name()),
            retry_after: Some(*retry_after),
            ..plain("misconfigured")
        },
    }
}

/// The error where a sealing key is missing: the operator must act.
pub fn key_unavailable() -> OAuthError {
    OAuthError {
        retry_after: Some(60),
        ..OAuthError::new(
            503,
            "key_unavailable",
            "The vault cannot open what it stored. Its operator must act; nothing is lost.",
        )
    }
}
