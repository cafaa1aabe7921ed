// SPDX-License-Identifier: Apache-2.0
//! What an error of a provider's token endpoint means for a grant. Only what clearly says "this
//! grant is over" ends one.

use serde_json::Value;

use super::json_path;
use super::profile::ErrorRules;

/// Why there are no tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenEndpointError {
    /// The code or refresh token is no good any more. Carries the provider's code.
    Refused(String),
    /// The user has not consented to what this request asks for. Of a token for less or for another resource
    /// the grant goes on; of the default token, it is over.
    Consent(String),
    /// The provider does not accept our registration or request: the operator must act, and the
    /// grant is as good as it was. Carries the error code.
    Misconfigured(String),
    /// The provider cannot answer now, and says that it did nothing.
    Unavailable {
        /// Seconds to wait, if told.
        retry_after: Option<i64>,
    },
    /// Nobody knows what the provider did.
    Ambiguous {
        /// Seconds to wait, if told.
        retry_after: Option<i64>,
    },
    /// The tokens are another user's.
    OtherUser,
    /// The provider did it, and its access token is not text that may be one (RFC 6749 §A.12).
    UnusableToken,
}

impl TokenEndpointError {
    /// Whether it says that the token itself, or whose it is, will not do.
    pub fn is_verdict_on_token(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Consent(_) | Self::OtherUser)
    }

    /// The word for the operator's log: one of ours, a code of the catalogue, or what looks like a
    /// code.
    pub fn word(&self) -> &str {
        match self {
            Self::Refused(code) | Self::Consent(code) | Self::Misconfigured(code) => code,
            Self::Unavailable { .. } => "unavailable",
            Self::Ambiguous { .. } => "ambiguous",
            Self::OtherUser => "other_user",
            Self::UnusableToken => UNUSABLE_ACCESS_TOKEN,
        }
    }
}

/// The word for an access token that is not text that may be one: in the log, stored as a grant's fault,
/// and as the reason that callers are told.
pub const UNUSABLE_ACCESS_TOKEN: &str = "unusable_access_token";

/// Whether an answer says that it is an error, whatever its status: `error`, or Slack's `ok`.
pub fn is_error(document: &Value) -> bool {
    document.get("error").is_some_and(names_an_error)
        || document.get("ok") == Some(&Value::Bool(false))
}

/// Whether a member `error` is about one. Some providers send it always, with a value that says that
/// there is none: `""`, `false`, `0`, `[]`, or `{"code": "ok"}` as at `TikTok`.
fn names_an_error(error: &Value) -> bool {
    match error {
        Value::Null => false,
        Value::Bool(is_one) => *is_one,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => match members.get("code") {
            Some(Value::String(code)) => !code.is_empty() && !code.eq_ignore_ascii_case("ok"),
            Some(code) => names_an_error(code),
            None => !members.is_empty(),
        },
    }
}

/// The codes of an error answer.
pub fn codes(rules: &ErrorRules, document: &Value) -> Vec<String> {
    rules.members.iter().flat_map(|member| json_path::texts(document, member)).collect()
}

/// What an error answer means: by the provider's own codes first, then by RFC 6749 §5.2. `None` if
/// it has no code that is known.
pub fn verdict(
    rules: &ErrorRules,
    document: &Value,
    retry_after: Option<i64>,
) -> Option<TokenEndpointError> {
    let codes = codes(rules, document);
    let named = |list: &[String]| codes.iter().find(|code| list.contains(code)).cloned();
    if let Some(code) = named(&rules.misconfigured) {
        return Some(TokenEndpointError::Misconfigured(code));
    }
    if named(&rules.transient).is_some() {
        return Some(TokenEndpointError::Unavailable { retry_after });
    }
    if let Some(code) = named(&rules.consent) {
        return Some(TokenEndpointError::Consent(code));
    }
    if let Some(code) = named(&rules.permanent) {
        return Some(TokenEndpointError::Refused(code));
    }
    match document.get("error") {
        Some(Value::String(code)) => Some(registered(code, retry_after)),
        Some(Value::Object(_) | Value::Array(_) | Value::Bool(_)) => {
            Some(TokenEndpointError::Ambiguous { retry_after })
        }
        _ => None,
    }
}

fn registered(code: &str, retry_after: Option<i64>) -> TokenEndpointError {
    match code {
        "invalid_grant" => TokenEndpointError::Refused(code.to_owned()),
        "temporarily_unavailable" | "server_error" | "slow_down" | "rate_limit_exceeded" => {
            TokenEndpointError::Unavailable { retry_after }
        }
        code if is_code(code) => TokenEndpointError::Misconfigured(code.to_owned()),
        _ => TokenEndpointError::Misconfigured("unregistered".to_owned()),
    }
}

/// Whether an error code looks like one. It is stored and logged, and must carry nothing else.
fn is_code(code: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    (1..=64).contains(&code.len()) && code.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules() -> ErrorRules {
        let list = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect();
        ErrorRules {
            members: list(&["error", "error_codes", "error_description"]),
            permanent: list(&["700082", "Value passed for the token was invalid."]),
            transient: list(&["ratelimited"]),
            misconfigured: list(&["7000222"]),
            consent: list(&["65001"]),
        }
    }

    #[test]
    fn a_providers_own_codes_go_before_the_registered_ones() {
        let read = |document: Value| verdict(&rules(), &document, Some(7));
        for (document, meaning) in [
            (
                json!({"error": "invalid_grant", "error_codes": [700_082]}),
                TokenEndpointError::Refused("700082".into()),
            ),
            (
                json!({"error": "invalid_grant", "error_codes": [65_001]}),
                TokenEndpointError::Consent("65001".into()),
            ),
            (
                json!({"error": "invalid_grant", "error_codes": [7_000_222, 65_001]}),
                TokenEndpointError::Misconfigured("7000222".into()),
            ),
            (
                json!({"ok": false, "error": "ratelimited"}),
                TokenEndpointError::Unavailable { retry_after: Some(7) },
            ),
            (
                json!({"error": "invalid_request", "error_description": "Value passed for the token was invalid."}),
                TokenEndpointError::Refused("Value passed for the token was invalid.".into()),
            ),
            (
                json!({"error": "invalid_request", "error_description": "redirect_uri is wrong"}),
                TokenEndpointError::Misconfigured("invalid_request".into()),
            ),
        ] {
            assert_eq!(read(document.clone()), Some(meaning), "{document}");
        }
        assert_eq!(read(json!({"message": "what?"})), None);
        assert_eq!(read(json!({"error": 500})), None);
    }

    #[test]
    fn a_code_carries_nothing_but_itself() {
        for code in ["a b", "no such token: \"x\"", ""] {
            let told = verdict(&rules(), &json!({ "error": code }), None);
            assert_eq!(
                told,
                Some(TokenEndpointError::Misconfigured("unregistered".into())),
                "{code}"
            );
        }
    }
}
