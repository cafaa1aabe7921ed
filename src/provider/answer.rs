//! A provider's answer to a token request (RFC 6749 §5), as providers really send it.
//!
//! Some answer errors with 200, some write numbers as strings or scopes as a list, some forget the
//! content type. What is read here decides over a grant, so it is generous in form and strict in
//! meaning: only an answer that clearly says "this grant is over" ends one.

use std::collections::BTreeMap;

use serde_json::Value;
use url::form_urlencoded;

use crate::json;
use crate::secret::Secret;
use crate::text;
use crate::time::UnixSeconds;

/// Longest answer that is read, in bytes.
pub const MAX_ANSWER: usize = 64 * 1024;

/// Longest cool-down a provider's `Retry-After` may impose, in seconds.
const MAX_RETRY_AFTER: i64 = 3600;

/// An answer as the network gave it.
#[derive(Debug, Clone)]
pub enum Received {
    /// A complete answer within the limits of time and size.
    Answer {
        /// HTTP status.
        status: u16,
        /// `Retry-After`, if there is one.
        retry_after: Option<String>,
        /// The body: it holds tokens.
        body: Secret,
    },
    /// No answer, a broken one, or one beyond the limits. The request may have had its effect.
    Lost,
}

/// Tokens from a provider.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The access token.
    pub access_token: Secret,
    /// A refresh token; `None` if the answer has none, which on a refresh means "keep the old".
    pub refresh_token: Option<Secret>,
    /// Seconds the access token lives, if told.
    pub expires_in: Option<i64>,
    /// Scopes granted, if told; if not, they are those asked for (RFC 6749 §5.1).
    pub scopes: Option<Vec<String>>,
    /// An ID token.
    pub id_token: Option<Secret>,
}

/// Why there are no tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The code or refresh token is no good any more (`invalid_grant`).
    Refused,
    /// The provider does not accept our registration or request: the operator must act, and the
    /// grant is as good as it was. Carries the error code.
    Misconfigured(String),
    /// The provider cannot answer now, and says that it did nothing.
    Unavailable {
        /// Seconds to wait, if told.
        retry_after: Option<i64>,
    },
    /// Nobody knows what the provider did.
    Ambiguous,
    /// The tokens are another user's.
    OtherUser,
}

/// Reads an answer.
///
/// # Errors
/// [`Failure`].
pub fn read(received: &Received, separator: &str, now: UnixSeconds) -> Result<Tokens, Failure> {
    let Received::Answer { status, retry_after, body } = received else {
        return Err(Failure::Ambiguous);
    };
    let retry_after = retry_after.as_deref().and_then(|value| seconds_to_wait(value, now));
    if *status == 429 {
        return Err(Failure::Unavailable { retry_after });
    }
    let members = members(body.expose());
    if let Some(code) = members.as_ref().and_then(error_code) {
        return Err(classify(&code, retry_after));
    }
    match (*status, members) {
        (200..=299, Some(members)) => tokens(&members, separator).ok_or(Failure::Ambiguous),
        (503, _) => Err(Failure::Unavailable { retry_after }),
        // A redirect is never followed: it would take our credentials elsewhere.
        (300..=399, _) => Err(Failure::Misconfigured("redirect".into())),
        (404 | 405 | 410, _) => Err(Failure::Misconfigured(format!("http_{status}"))),
        (401, _) => Err(Failure::Misconfigured("invalid_client".into())),
        // An empty or unreadable 400 is not a verdict on the grant.
        _ => Err(Failure::Ambiguous),
    }
}

/// Members of a JSON object, or of a form where the body is none.
fn members(body: &str) -> Option<BTreeMap<String, Value>> {
    if body.trim_start().starts_with('{') {
        return json::read(body.as_bytes()).ok();
    }
    if !body.contains('=') || body.contains('<') {
        return None;
    }
    let mut members = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(body.as_bytes()) {
        if members.insert(name.into_owned(), Value::String(value.into_owned())).is_some() {
            return None;
        }
    }
    Some(members)
}

fn error_code(members: &BTreeMap<String, Value>) -> Option<String> {
    match members.get("error")? {
        Value::String(code) if is_code(code) => Some(code.clone()),
        Value::String(_) => Some("unregistered".into()),
        Value::Null => None,
        _ => Some("unreadable".into()),
    }
}

/// Whether an error code looks like one. It is stored and logged, and must carry nothing else.
fn is_code(code: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    (1..=64).contains(&code.len()) && code.bytes().all(plain)
}

/// RFC 6749 §5.2, and what GitHub says with its 200s.
fn classify(code: &str, retry_after: Option<i64>) -> Failure {
    match code {
        "invalid_grant" | "bad_refresh_token" | "bad_verification_code" => Failure::Refused,
        "temporarily_unavailable" | "server_error" | "slow_down" | "rate_limit_exceeded" => {
            Failure::Unavailable { retry_after }
        }
        "unreadable" => Failure::Ambiguous,
        other => Failure::Misconfigured(other.to_owned()),
    }
}

fn tokens(members: &BTreeMap<String, Value>, separator: &str) -> Option<Tokens> {
    let text = |name: &str| match members.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(Secret::new(text.clone())),
        _ => None,
    };
    let bearer = match members.get("token_type") {
        Some(Value::String(kind)) => kind.eq_ignore_ascii_case("bearer"),
        // Required by the RFC, left out by some.
        None | Some(Value::Null) => true,
        Some(_) => false,
    };
    if !bearer {
        return None;
    }
    Some(Tokens {
        access_token: text("access_token")?,
        refresh_token: text("refresh_token"),
        expires_in: members.get("expires_in").and_then(lifetime),
        scopes: members.get("scope").and_then(|value| granted(value, separator)),
        id_token: text("id_token"),
    })
}

/// A whole number of seconds, also as text; anything else is as if it were not there.
fn lifetime(value: &Value) -> Option<i64> {
    let seconds = match value {
        Value::Number(number) => number.as_i64()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    (0..=315_360_000).contains(&seconds).then_some(seconds)
}

fn granted(value: &Value, separator: &str) -> Option<Vec<String>> {
    let separators = |c: char| c == ' ' || separator.contains(c);
    match value {
        Value::String(text) => Some(text::unique(
            text.split(separators).filter(|scope| !scope.is_empty()).map(str::to_owned),
        )),
        Value::Array(items) => {
            let scopes = items.iter().map(|item| item.as_str().map(str::to_owned));
            scopes.collect::<Option<Vec<_>>>().map(text::unique)
        }
        _ => None,
    }
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds or a date, at most an hour.
fn seconds_to_wait(value: &str, now: UnixSeconds) -> Option<i64> {
    let seconds = match value.trim().parse::<i64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let at = httpdate::parse_http_date(value.trim()).ok()?;
            let since_epoch = at.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
            i64::try_from(since_epoch).ok()?.checked_sub(now)?
        }
    };
    Some(seconds.clamp(1, MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_492_800;

    fn answer(status: u16, body: &str) -> Result<Tokens, Failure> {
        let received =
            Received::Answer { status, retry_after: None, body: Secret::new(body.to_owned()) };
        read(&received, " ", NOW)
    }

    #[test]
    fn a_plain_answer_is_read() {
        let tokens = answer(
            200,
            r#"{"access_token":"a","refresh_token":"r","expires_in":3600,"scope":"x y x","token_type":"bearer"}"#,
        )
        .unwrap();
        assert_eq!(tokens.access_token.expose(), "a");
        assert_eq!(tokens.refresh_token.unwrap().expose(), "r");
        assert_eq!(tokens.expires_in, Some(3600));
        assert_eq!(tokens.scopes.unwrap(), ["x", "y"]);
    }

    #[test]
    fn odd_but_honest_answers_are_read() {
        let tokens = answer(200, "access_token=a&scope=repo%2Cuser&token_type=bearer").unwrap();
        assert_eq!(tokens.access_token.expose(), "a");
        let tokens = answer(
            200,
            r#"{"access_token":"a","expires_in":"60","scope":["x"],"refresh_token":""}"#,
        )
        .unwrap();
        assert_eq!((tokens.expires_in, tokens.scopes), (Some(60), Some(vec!["x".to_owned()])));
        assert!(tokens.refresh_token.is_none());
        let received = Received::Answer {
            status: 200,
            retry_after: None,
            body: Secret::new(r#"{"access_token":"a","scope":"repo,user"}"#),
        };
        assert_eq!(read(&received, ",", NOW).unwrap().scopes.unwrap(), ["repo", "user"]);
    }

    #[test]
    fn lifetimes_that_are_none_count_as_untold() {
        for value in ["-1", "1e400", "null", "\"x\"", "3.5", "\"-5\"", "99999999999999"] {
            let body = format!(r#"{{"access_token":"a","expires_in":{value}}}"#);
            match answer(200, &body) {
                Ok(tokens) => assert_eq!(tokens.expires_in, None, "{value}"),
                // 1e400 is no JSON number to us, so the whole answer is unreadable.
                Err(failure) => assert_eq!((value, failure), ("1e400", Failure::Ambiguous)),
            }
        }
    }

    #[test]
    fn only_a_clear_verdict_ends_a_grant() {
        assert_eq!(answer(400, r#"{"error":"invalid_grant"}"#).unwrap_err(), Failure::Refused);
        assert_eq!(answer(200, r#"{"error":"bad_refresh_token"}"#).unwrap_err(), Failure::Refused);
        for (status, body) in [
            (400, ""),
            (400, "<html>"),
            (200, "<html>"),
            (200, "{}"),
            (502, "Bad Gateway"),
            (200, r#"{"access_token":"a","token_type":"mac"}"#),
            (200, r#"{"access_token":"a","access_token":"b"}"#),
        ] {
            assert_eq!(answer(status, body).unwrap_err(), Failure::Ambiguous, "{status} {body}");
        }
        assert_eq!(read(&Received::Lost, " ", NOW).unwrap_err(), Failure::Ambiguous);
    }

    #[test]
    fn our_own_mistakes_are_told_apart_from_the_users_grant() {
        for (status, body, code) in [
            (401, r#"{"error":"invalid_client"}"#, "invalid_client"),
            (401, "", "invalid_client"),
            (400, r#"{"error":"unauthorized_client"}"#, "unauthorized_client"),
            (307, "", "redirect"),
            (404, "not found", "http_404"),
            // A code is stored and logged; what only pretends to be one is neither.
            (400, r#"{"error":"a b"}"#, "unregistered"),
            (400, r#"{"error":"no such token: \"x\""}"#, "unregistered"),
        ] {
            let failure = answer(status, body).unwrap_err();
            assert_eq!(failure, Failure::Misconfigured(code.into()), "{status} {body}");
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_date_and_capped() {
        let wait = |value: &str| seconds_to_wait(value, NOW);
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait("0"), Some(1));
        assert_eq!(wait("99999"), Some(3600));
        assert_eq!(wait("Tue, 24 Nov 2026 04:02:00 GMT"), Some(120));
        assert_eq!(wait("soon"), None);
    }
}
