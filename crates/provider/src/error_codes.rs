// SPDX-License-Identifier: Apache-2.0
//! The meaning of a token endpoint's error response for a grant. A grant ends only if the response states
//! clearly that it has ended.

use serde_json::Value;

use vault_base::secret::Secret;

use super::json_path;
use super::profile::ErrorRules;

/// Why a token request brought no usable tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenEndpointError {
    /// The authorization code or the refresh token is no longer valid, as with `invalid_grant` (RFC 6749
    /// §5.2). Contains the error code of the provider.
    Refused(String),
    /// The user has not consented to what the request asks for. If the request was for fewer scopes or
    /// another resource, the grant remains valid; if it was for the grant's default token, the grant has
    /// ended. Contains the error code.
    Consent(String),
    /// The provider rejects the vault's registration or its request. The operator must act; the grant remains
    /// as valid as it was. Contains the error code.
    Misconfigured(String),
    /// The provider cannot serve the request at present, and states that it had no effect.
    Unavailable {
        /// Seconds to wait before the next request, if the provider states them.
        retry_after: Option<i64>,
    },
    /// The provider, or a gateway before it, is out of service for a while (status 503, RFC 9110 §15.6.4). It
    /// is not known whether the request had an effect.
    Down {
        /// Seconds to wait before the next request, if the response states them.
        retry_after: Option<i64>,
    },
    /// A complete response with a status from 400 to 499 and without a usable error code, neither a
    /// misconfiguration nor a rate limit. One such response proves nothing; some providers respond so to a
    /// refresh token that is no longer valid. Contains the status as a code, such as `http_400`.
    Unexplained(String),
    /// `invalid_grant` with a code of the provider that no list names, although the lists are complete
    /// ([`ErrorRules::codes_listed`]): it may be temporary. Contains the provider's code.
    Unlisted(String),
    /// It is not known whether the request had an effect.
    Ambiguous {
        /// Seconds to wait before the next request, if the provider states them.
        retry_after: Option<i64>,
    },
    /// The tokens belong to another user than the grant.
    OtherUser,
    /// The request succeeded, but the access token fails [`vault_base::text::is_access_token`].
    UnusableToken,
    /// The request succeeded, but `token_type` is none that the connection lists.
    UnknownTokenType,
    /// A response with a status of success that has neither tokens nor an error. As with
    /// [`TokenEndpointError::Ambiguous`], it is not known whether the request had an effect. Contains the
    /// cause, as a code for the log.
    Unreadable(&'static str),
}

impl TokenEndpointError {
    /// The same failure, without a code that is one of the secrets of the request: a provider may write back what it
    /// was sent, and codes are stored and logged.
    #[must_use]
    pub fn without<'a>(mut self, secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        if let Self::Refused(code)
        | Self::Consent(code)
        | Self::Misconfigured(code)
        | Self::Unexplained(code)
        | Self::Unlisted(code) = &mut self
            && secrets.into_iter().any(|secret| secret.expose() == code)
        {
            UNREGISTERED.clone_into(code);
        }
        self
    }

    /// The code for the operator's log: one of the vault's, one that the connection's configuration lists, or
    /// one of the provider that has the syntax of a code.
    pub fn word(&self) -> &str {
        match self {
            Self::Refused(code)
            | Self::Consent(code)
            | Self::Misconfigured(code)
            | Self::Unexplained(code)
            | Self::Unlisted(code) => code,
            Self::Unavailable { .. } | Self::Down { .. } => "unavailable",
            Self::Ambiguous { .. } => "ambiguous",
            Self::OtherUser => "other_user",
            Self::UnusableToken => UNUSABLE_ACCESS_TOKEN,
            Self::UnknownTokenType => "token_type",
            Self::Unreadable(cause) => cause,
        }
    }
}

/// The code for [`TokenEndpointError::UnusableToken`]: in the log, in the stored fault of a grant, and as the
/// reason that callers receive.
pub const UNUSABLE_ACCESS_TOKEN: &str = "unusable_access_token";

/// Whether a response is an error response, whatever its HTTP status: it has a member `error` that states an
/// error, or `"ok": false` as at Slack.
pub fn is_error(document: &Value) -> bool {
    document.get("error").is_some_and(names_an_error)
        || document.get("ok") == Some(&Value::Bool(false))
}

/// Whether the value of a member `error` states an error. Some providers always send the member, with a value
/// for success: `""`, `false`, `0`, `[]`, or `{"code": "ok"}` as at `TikTok`.
fn names_an_error(error: &Value) -> bool {
    match error {
        Value::Null => false,
        Value::Bool(is_error) => *is_error,
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

/// The error codes of a response: all texts at the paths of [`ErrorRules::members`].
pub fn codes(rules: &ErrorRules, document: &Value) -> Vec<String> {
    rules.members.iter().flat_map(|member| json_path::texts(document, member)).collect()
}

/// The meaning of an error response: first by the codes that the connection's configuration lists, then by
/// RFC 6749 §5.2. `None` if the response has no listed code and no text as `error`.
///
/// Where the lists are complete, `invalid_grant` that comes with a further code is refused by none of them: the
/// code may be of a temporary fault, as some of Microsoft's are.
pub fn verdict(
    rules: &ErrorRules,
    document: &Value,
    retry_after: Option<i64>,
) -> Option<TokenEndpointError> {
    let codes = codes(rules, document);
    if let Some(listed) = listed(rules, &codes, retry_after) {
        return Some(listed);
    }
    let Some(Value::String(error)) = document.get("error") else {
        return None;
    };
    let further = codes.into_iter().rfind(|code| code != error);
    match (unlisted(error, retry_after), further) {
        (TokenEndpointError::Refused(_), Some(code)) if rules.codes_listed => {
            let code = if is_code(&code) { code } else { UNREGISTERED.to_owned() };
            Some(TokenEndpointError::Unlisted(code))
        }
        (meaning, _) => Some(meaning),
    }
}

/// The meaning of codes that the connection's configuration lists. `None` if it lists none of them.
pub fn listed(
    rules: &ErrorRules,
    codes: &[String],
    retry_after: Option<i64>,
) -> Option<TokenEndpointError> {
    let listed = |list: &[String]| codes.iter().find(|code| list.contains(code)).cloned();
    if let Some(code) = listed(&rules.misconfigured) {
        return Some(TokenEndpointError::Misconfigured(code));
    }
    if listed(&rules.transient).is_some() {
        return Some(TokenEndpointError::Unavailable { retry_after });
    }
    if listed(&rules.unclear).is_some() {
        return Some(TokenEndpointError::Ambiguous { retry_after });
    }
    if let Some(code) = listed(&rules.consent) {
        return Some(TokenEndpointError::Consent(code));
    }
    listed(&rules.permanent).map(TokenEndpointError::Refused)
}

/// The meaning of a value of `error` that no list names.
fn unlisted(code: &str, retry_after: Option<i64>) -> TokenEndpointError {
    match code {
        "invalid_grant" => TokenEndpointError::Refused(code.to_owned()),
        "temporarily_unavailable" | "slow_down" | "rate_limit_exceeded" => {
            TokenEndpointError::Unavailable { retry_after }
        }
        // The provider may have failed after it had replaced the refresh token.
        "server_error" => TokenEndpointError::Ambiguous { retry_after },
        code if is_code(code) => TokenEndpointError::Misconfigured(code.to_owned()),
        _ => TokenEndpointError::Misconfigured(UNREGISTERED.to_owned()),
    }
}

/// The word for a text in place of an error code that has not the syntax of one.
const UNREGISTERED: &str = "unregistered";

/// Whether an error code has the syntax of one. Codes are stored and logged, so free text, which could
/// contain personal data, must not pass as a code.
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
            unclear: list(&["fatal_error"]),
            misconfigured: list(&["7000222"]),
            consent: list(&["65001"]),
            codes_listed: false,
            access_denied: Vec::new(),
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
                json!({"ok": false, "error": "fatal_error"}),
                TokenEndpointError::Ambiguous { retry_after: Some(7) },
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
    fn a_code_that_complete_lists_do_not_name_is_no_clear_refusal() {
        let complete = ErrorRules { codes_listed: true, ..rules() };
        let unlisted = |code: &str| TokenEndpointError::Unlisted(code.into());
        let refused = || TokenEndpointError::Refused("invalid_grant".into());
        for (document, meaning, without) in [
            (
                json!({"error": "invalid_grant", "error_codes": [70_000]}),
                unlisted("70000"),
                refused(),
            ),
            (
                json!({"error": "invalid_grant", "error_description": "Name <a@example.com> left."}),
                unlisted("unregistered"),
                refused(),
            ),
            // Without a further code nothing speaks against RFC 6749 §5.2.
            (json!({"error": "invalid_grant"}), refused(), refused()),
            (
                json!({"error": "invalid_grant", "error_codes": [1, 700_082]}),
                TokenEndpointError::Refused("700082".into()),
                TokenEndpointError::Refused("700082".into()),
            ),
            (
                json!({"error": "invalid_client", "error_codes": [1]}),
                TokenEndpointError::Misconfigured("invalid_client".into()),
                TokenEndpointError::Misconfigured("invalid_client".into()),
            ),
        ] {
            assert_eq!(verdict(&complete, &document, None), Some(meaning), "{document}");
            assert_eq!(verdict(&rules(), &document, None), Some(without), "{document}");
        }
    }

    #[test]
    fn a_code_that_is_a_secret_of_the_request_is_not_kept() {
        let (sent, secret) = (Secret::new("canary-access"), Secret::new("canary.secret"));
        for document in [json!({"error": "canary-access"}), json!({"error": "canary.secret"})] {
            let failure = verdict(&rules(), &document, None).unwrap();
            assert_eq!(failure.without([&sent, &secret]).word(), "unregistered");
        }
        let other = verdict(&rules(), &json!({"error": "canary"}), None).unwrap();
        assert_eq!(other.without([&sent, &secret]).word(), "canary");
    }

    #[test]
    fn a_code_carries_nothing_but_itself() {
        for code in ["a b", "no such token: \"x\"", ""] {
            let verdict = verdict(&rules(), &json!({ "error": code }), None);
            assert_eq!(
                verdict,
                Some(TokenEndpointError::Misconfigured("unregistered".into())),
                "{code}"
            );
        }
    }
}
