// SPDX-License-Identifier: Apache-2.0
//! Token responses (RFC 6749 §5), in the forms that providers send.
//!
//! Some providers send errors with status 200, some send numbers as strings or scopes as a list, some omit
//! the content type. A response decides about a grant, so the parser accepts many forms, but a grant ends
//! only if the response states clearly that it has ended.

use std::collections::BTreeMap;

use serde_json::Value;

use super::document::{Document, without_mark};
use super::error_codes::{self, TokenEndpointError};
use super::profile::{IdentitySource, LifetimeUnit, MissingLifetime, ResponseShape, ZeroLifetime};
use super::{json_path, userinfo};
use crate::connection::Connection;
use vault_base::json;
use vault_base::secret::Secret;
use vault_base::text;
use vault_base::time::{self, UnixSeconds};
use vault_jose::identity::Identity;

/// The maximum length of a response body, in bytes. Some providers put a picture of the user into their
/// responses, and a response that is not read can cost the grant.
pub const MAX_ANSWER: usize = 1024 * 1024;

/// The longest wait that a provider can impose with `Retry-After`, in seconds.
pub const MAX_RETRY_AFTER: i64 = 3600;

/// The outcome of a request at the network level.
#[derive(Debug, Clone)]
pub enum ProviderResponse {
    /// A complete response within the limits of time and size.
    Answer {
        /// HTTP status.
        status: u16,
        /// When the request may be repeated, in the format of [`retry_after`].
        retry_after: Option<String>,
        /// The body. It is a secret because it can contain tokens.
        body: Secret,
    },
    /// The beginning of a response whose connection broke, or whose time ran out, after its headers had
    /// arrived. The request may have had an effect.
    Cut {
        /// HTTP status.
        status: u16,
        /// What had arrived of the body.
        body: Secret,
    },
    /// No response, or one beyond the limits. The request may have had an effect.
    Lost,
}

impl ProviderResponse {
    /// The response whose connection broke, or whose time ran out, after its headers had arrived. `body` is
    /// what had arrived of it: if that is a complete JSON object, nothing is missing, and the response
    /// counts with its status.
    pub fn broken_off(status: u16, retry_after: Option<String>, body: Secret) -> Self {
        if json::is_complete_object(without_mark(body.expose()).as_bytes()) {
            Self::Answer { status, retry_after, body }
        } else {
            Self::Cut { status, body }
        }
    }

    /// Seconds to wait until the request may be repeated, from 1 to 3,600; `None` if the response does not
    /// state it.
    pub fn seconds_to_wait(&self, now: UnixSeconds) -> Option<i64> {
        match self {
            Self::Answer { retry_after, .. } => seconds_to_wait(retry_after.as_deref()?, now),
            Self::Cut { .. } | Self::Lost => None,
        }
    }

    /// Whether the response only reports a rate limit: status 429, or 403 with a time to wait, which some
    /// providers send instead. A limit is checked before a request is processed (RFC 6585 §4), by the
    /// provider or by a gateway before it, so the request had no effect, whatever the body is.
    pub fn is_limited(&self) -> bool {
        matches!(self, Self::Answer { status: 429, .. })
            || matches!(self, Self::Answer { status: 403, retry_after: Some(_), .. })
    }
}

/// When a request may be repeated, by the headers of a response: `header` is `Retry-After` (RFC 9110
/// §10.2.3), `remaining` and `reset` are `x-ratelimit-remaining` and `x-ratelimit-reset`, which count only
/// if no requests remain. GitHub sends the Unix time of the reset, other providers the seconds until then.
///
/// Returns the value of `Retry-After`, or the seconds until the reset, or its Unix time with a leading `@`.
pub fn retry_after(
    header: Option<String>,
    remaining: Option<&str>,
    reset: Option<&str>,
) -> Option<String> {
    // A greater value is a Unix time.
    const MAX_SECONDS: i64 = 1_000_000;
    header.or_else(|| {
        let reset: i64 = reset.filter(|_| remaining == Some("0"))?.parse().ok()?;
        Some(if reset > MAX_SECONDS { format!("@{reset}") } else { reset.to_string() })
    })
}

/// Whether the same request may succeed later: after a rate limit, a lost response or a server error.
pub fn may_pass(received: &ProviderResponse) -> bool {
    received.is_limited()
        || matches!(
            received,
            ProviderResponse::Lost
                | ProviderResponse::Cut { .. }
                | ProviderResponse::Answer { status: 500.., .. }
        )
}

/// The lifetime of an access token, as a response states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// The token expires after this many seconds.
    Seconds(i64),
    /// The token does not expire.
    Endless,
    /// The response has no lifetime, or one that is not valid.
    Untold,
}

/// The assumed lifetime of a refreshable token if nothing else is known, in seconds. Most providers use it,
/// and it is short enough that an expired token is not served for long.
const ASSUMED_LIFETIME: i64 = 3600;

/// Seconds after which a token with this lifetime expires. A lifetime that the response does not state is
/// taken, if the token is `renewable`, from the token that it replaces (`before`), from the configuration,
/// or assumed to be an hour. `None`: no expiry is known, because the token does not expire or because it is
/// not renewable.
pub fn seconds_to_live(
    connection: &Connection,
    lifetime: Lifetime,
    renewable: bool,
    before: Option<i64>,
) -> Option<i64> {
    match lifetime {
        Lifetime::Seconds(seconds) => Some(seconds),
        Lifetime::Untold if renewable => {
            before.or(connection.answer.default_expires_in).or(Some(ASSUMED_LIFETIME))
        }
        Lifetime::Endless | Lifetime::Untold => None,
    }
}

/// Whether the lifetime is a guess that the operator should know of: the token can be refreshed, the response
/// states no lifetime, and `default_expires_in` is not configured.
pub fn is_lifetime_assumed(connection: &Connection, lifetime: Lifetime, renewable: bool) -> bool {
    renewable && lifetime == Lifetime::Untold && connection.answer.default_expires_in.is_none()
}

/// The tokens of a successful response.
#[derive(Debug, Clone)]
pub struct TokenResponse {
    /// The access token. [`text::is_access_token`] holds for it.
    pub access_token: Secret,
    /// The refresh token. `None` if the response has none; after a refresh, the old one then remains in use
    /// (RFC 6749 §6).
    pub refresh_token: Option<Secret>,
    /// The lifetime of the access token.
    pub lifetime: Lifetime,
    /// The lifetime of the refresh token in seconds, if known.
    pub refresh_token_expires_in: Option<i64>,
    /// The granted scopes. `None` if the response does not state them: then they are the requested ones (RFC
    /// 6749 §5.1).
    pub scopes: Option<Vec<String>>,
    /// The ID token (OpenID Connect Core §3.1.3.3), unverified.
    pub id_token: Option<Secret>,
}

/// The content of a successful response to an authorization code.
#[derive(Debug, Clone)]
pub struct CodeResponse {
    /// The account's own tokens.
    pub tokens: TokenResponse,
    /// Tokens of further kinds that came with the consent, by kind.
    pub kinds: BTreeMap<String, TokenResponse>,
    /// The identity of the account, if the connection takes it from the token response.
    pub identity: Option<Identity>,
    /// Further values for applications, by path; no secrets.
    pub provider_data: BTreeMap<String, String>,
}

/// Parses the response to an authorization code. A token of a further kind that is absent or unusable is
/// left out.
///
/// # Errors
/// [`TokenEndpointError`] if the response has no usable tokens of the account itself.
pub fn granted(
    received: &ProviderResponse,
    connection: &Connection,
    now: UnixSeconds,
) -> Result<CodeResponse, TokenEndpointError> {
    let shape = &connection.answer;
    let (tokens, document) = read(received, connection, &shape.path, now)?;
    let mut kinds = BTreeMap::new();
    for (name, kind) in connection.kinds.iter().filter(|(_, kind)| kind.issuance.is_none()) {
        let found = tokens_at(&document, &kind.answer_path, shape, now).and_then(Result::ok);
        kinds.extend(found.map(|tokens| (name.clone(), tokens)));
    }
    let provider_data = json_path::named(document.value(), &shape.provider_data);
    let rules = &connection.identity;
    let identity = match rules.from {
        Some(IdentitySource::Answer) if document.is_clear(&rules.id) => {
            userinfo::of_document(document.value(), rules)
        }
        _ => None,
    };
    Ok(CodeResponse { tokens, kinds, identity, provider_data })
}

/// Parses the response to a refresh.
///
/// # Errors
/// [`TokenEndpointError`] if the response has no usable tokens.
pub fn renewed(
    received: &ProviderResponse,
    connection: &Connection,
    now: UnixSeconds,
) -> Result<TokenResponse, TokenEndpointError> {
    let path = &connection.answer.refresh_path;
    read(received, connection, path, now).map(|(tokens, _)| tokens)
}

/// The refresh token in the response to a refresh that replaces the one that was `sent`. It is extracted
/// even from a response that is otherwise unusable, or was cut off behind it, because it may be the only
/// valid refresh token from then on. `None` if the status is not 2xx, or if the response has no refresh token or the same one.
pub fn successor(
    received: &ProviderResponse,
    connection: &Connection,
    sent: &Secret,
) -> Option<Secret> {
    let next = successful_member(received, connection, connection.answer.refresh_token_member)?;
    Some(next).filter(|next| next.sha256() != sent.sha256())
}

/// The ID token in the response to a refresh (OpenID Connect Core §12.2), even if the response is otherwise
/// unusable.
pub fn id_token(received: &ProviderResponse, connection: &Connection) -> Option<Secret> {
    successful_member(received, connection, "id_token")
}

/// A member of the response to a refresh, if the status is 2xx, whatever the other members contain.
fn successful_member(
    received: &ProviderResponse,
    connection: &Connection,
    name: &str,
) -> Option<Secret> {
    let (body, is_cut) = match received {
        ProviderResponse::Answer { status: 200..=299, body, .. } => (body, false),
        ProviderResponse::Cut { status: 200..=299, body } => (body, true),
        _ => return None,
    };
    let body = without_mark(body.expose());
    let is_json = body.trim_start().starts_with('{');
    // The last value of a form that was cut may have been longer.
    let form = if is_json || is_cut { None } else { Document::parse(body) };
    let found = connection.answer.refresh_path.split('|').find_map(|path| match &form {
        Some(form) => member(json_path::value(form.value(), path)?, name),
        None if is_json => json::text_at(body.as_bytes(), path, name).map(Secret::new),
        None => None,
    });
    // A text in which a byte was damaged is not what the provider issued.
    found.filter(|text| !text.expose().is_empty() && !text.expose().contains('\u{fffd}'))
}

fn read(
    received: &ProviderResponse,
    connection: &Connection,
    path: &str,
    now: UnixSeconds,
) -> Result<(TokenResponse, Document), TokenEndpointError> {
    let ProviderResponse::Answer { status, retry_after, body } = received else {
        return Err(TokenEndpointError::Ambiguous { retry_after: None });
    };
    let retry_after = retry_after.as_deref().and_then(|value| seconds_to_wait(value, now));
    if received.is_limited() {
        return Err(TokenEndpointError::Unavailable { retry_after });
    }
    let succeeded = (200..=299).contains(status);
    let mut cause = "answer_not_json";
    if let Some(document) = Document::parse(body.expose()) {
        let errors = &connection.errors;
        let mut told = errors.members.iter().map(String::as_str).chain(["error", "ok"]);
        let is_clear = told.all(|path| document.is_clear(path));
        let good = succeeded && is_clear && !error_codes::is_error(document.value());
        let path = path.split('|').find(|path| json_path::value(document.value(), path).is_some());
        let tokens = path.and_then(|path| tokens_at(&document, path, &connection.answer, now));
        match tokens.filter(|_| good) {
            Some(Ok(tokens)) => return Ok((tokens, document)),
            Some(Err(failure)) => return Err(failure),
            None => {}
        }
        let verdict = error_codes::verdict(errors, document.value(), retry_after);
        let verdict = verdict.filter(|failure| is_clear && counts(*status, failure));
        if let Some(failure) = verdict {
            return Err(failure);
        }
        cause = match () {
            () if !is_clear => REPEATS_MEMBER,
            () if error_codes::is_error(document.value()) => "answer_with_error",
            () => "answer_without_token",
        };
    } else if body.expose().contains('\u{fffd}') {
        cause = "answer_not_utf8";
    }
    let word = format!("http_{status}");
    let listed = error_codes::listed(&connection.errors, &[word], retry_after);
    let listed = listed.filter(|failure| counts(*status, failure));
    Err(listed.unwrap_or_else(|| match retry_after {
        None if succeeded => TokenEndpointError::Unreadable(cause),
        _ => by_status(*status, retry_after),
    }))
}

/// Whether what the body says counts in a response with this status. The body of a 5xx response may come
/// from a gateway: it decides neither about the grant nor about the registration. That a request had no
/// effect is believed where the code of the provider says so, but not with 502 and 504: those are sent by a
/// gateway that got no valid response to a request which it had passed on (RFC 9110 §15.6.3, §15.6.5).
fn counts(status: u16, failure: &TokenEndpointError) -> bool {
    let is_without_effect = matches!(failure, TokenEndpointError::Unavailable { .. });
    match status {
        502 | 504 => false,
        500.. => is_without_effect,
        _ => true,
    }
}

/// The meaning of a response without a known error code, whose status the configuration does not list. A
/// server error, 503 too, does not say whether the request had an effect: it may be a gateway's, about a
/// provider that did not respond in time.
fn by_status(status: u16, retry_after: Option<i64>) -> TokenEndpointError {
    let word = format!("http_{status}");
    match status {
        503 => TokenEndpointError::Down { retry_after },
        // Redirects are not followed: they would send the vault's credentials to another URL.
        300..=399 => TokenEndpointError::Misconfigured("redirect".into()),
        404 | 405 | 410 => TokenEndpointError::Misconfigured(word),
        401 => TokenEndpointError::Misconfigured("invalid_client".into()),
        // These ask for the same request again (RFC 9110 §15.5.9, RFC 8470 §5.2).
        408 | 425 => TokenEndpointError::Ambiguous { retry_after },
        400..=499 if retry_after.is_none() => TokenEndpointError::Unexplained(word),
        _ => TokenEndpointError::Ambiguous { retry_after },
    }
}

/// The value of a member, if it is a string that is not empty.
fn member(object: &Value, name: &str) -> Option<Secret> {
    match object.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(Secret::new(text.clone())),
        _ => None,
    }
}

/// The cause of a response that has a member which the vault uses more than once, with different values.
const REPEATS_MEMBER: &str = "answer_repeats_member";

/// The tokens in the object at a path of a response. `None` if it has no access token.
///
/// # Errors
/// [`TokenEndpointError`] if the tokens cannot be used.
fn tokens_at(
    document: &Document,
    path: &str,
    shape: &ResponseShape,
    now: UnixSeconds,
) -> Option<Result<TokenResponse, TokenEndpointError>> {
    let used = [
        "access_token",
        shape.refresh_token_member,
        "token_type",
        "id_token",
        &shape.expires_in_member,
        &shape.refresh_token_expires_in_member,
        &shape.scope_member,
    ];
    let place =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    if used.into_iter().any(|name| !name.is_empty() && !document.is_clear(&place(name))) {
        return Some(Err(TokenEndpointError::Unreadable(REPEATS_MEMBER)));
    }
    let object = json_path::value(document.value(), path)?;
    let access_token = member(object, "access_token")?;
    let is_known = match object.get("token_type") {
        Some(Value::String(kind)) => {
            let kind = kind.trim();
            let listed = shape.token_types.iter().any(|listed| listed.eq_ignore_ascii_case(kind));
            kind.is_empty() || kind.eq_ignore_ascii_case("bearer") || listed
        }
        // RFC 6749 §5.1 requires the member, but some providers omit it.
        None | Some(Value::Null) => true,
        Some(_) => false,
    };
    if !is_known {
        return Some(Err(TokenEndpointError::UnknownTokenType));
    }
    if !text::is_access_token(access_token.expose()) {
        return Some(Err(TokenEndpointError::UnusableToken));
    }
    let seconds =
        |member: &str, unit| object.get(member).and_then(|value| lifetime(value, unit, now));
    // Where the access token renews itself, one member is the lifetime of both.
    let its_unit = if shape.refresh_token_expires_in_member == shape.expires_in_member {
        shape.expires_in_unit
    } else {
        LifetimeUnit::Seconds
    };
    Some(Ok(TokenResponse {
        access_token,
        refresh_token: member(object, shape.refresh_token_member),
        lifetime: match seconds(&shape.expires_in_member, shape.expires_in_unit) {
            Some(0) if shape.zero_expires_in == ZeroLifetime::Never => Lifetime::Endless,
            Some(seconds) => Lifetime::Seconds(seconds),
            None if shape.missing_expires_in == MissingLifetime::Never
                && matches!(object.get(&shape.expires_in_member), None | Some(Value::Null)) =>
            {
                Lifetime::Endless
            }
            None => Lifetime::Untold,
        },
        // No provider issues a token to renew with that has ended: 0 stands for no end.
        refresh_token_expires_in: seconds(&shape.refresh_token_expires_in_member, its_unit)
            .filter(|seconds| *seconds > 0)
            .or(shape.refresh_token_lifetime),
        scopes: object
            .get(&shape.scope_member)
            .and_then(|value| scopes(value, &shape.scope_separator)),
        id_token: member(object, "id_token"),
    }))
}

/// The integer part of a number from 0 to 1e15.
#[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
fn whole(number: f64) -> Option<i64> {
    (0.0..1e15).contains(&number).then(|| number.trunc() as i64)
}

/// A lifetime in seconds, from a number or a string with a decimal number, or from the time of expiry. `None`
/// for any other value, for negative ones, and for lifetimes over ten years. A time that has passed is the
/// lifetime 0.
fn lifetime(value: &Value, unit: LifetimeUnit, now: UnixSeconds) -> Option<i64> {
    let number = match value {
        Value::String(text) if unit == LifetimeUnit::DateTime => {
            time::from_rfc3339(text.trim())?.saturating_sub(now).max(0)
        }
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?))?,
        // Parsing an `f64` from text would add 10 KB to the Worker.
        Value::String(text) => {
            let text = text.trim();
            let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
            rest.bytes().all(|b| b.is_ascii_digit()).then(|| whole.parse().ok())??
        }
        _ => return None,
    };
    let seconds = match unit {
        LifetimeUnit::Seconds | LifetimeUnit::DateTime => number,
        LifetimeUnit::Minutes => number.checked_mul(60)?,
        LifetimeUnit::Milliseconds => number / 1000,
    };
    (number >= 0 && seconds <= 315_360_000).then_some(seconds)
}

/// The scopes in a string or a list of strings. `None` for any other value.
fn scopes(value: &Value, separator: &str) -> Option<Vec<String>> {
    let separators = |c: char| c.is_whitespace() || separator.contains(c);
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

/// Seconds to wait, from a value of [`retry_after`]: seconds, an HTTP date, or a Unix time with a leading
/// `@`. The result is clamped to 1..=[`MAX_RETRY_AFTER`].
pub(super) fn seconds_to_wait(value: &str, now: UnixSeconds) -> Option<i64> {
    let seconds = match (value.trim().parse::<i64>(), value.strip_prefix('@')) {
        (Ok(seconds), _) => seconds,
        (_, Some(at)) => at.parse::<i64>().ok()?.checked_sub(now)?,
        _ => {
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

    #[test]
    fn retry_after_is_read_as_seconds_or_date_and_capped() {
        let wait = |value: &str| seconds_to_wait(value, NOW);
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait("0"), Some(1));
        assert_eq!(wait("99999"), Some(3600));
        assert_eq!(wait("Tue, 24 Nov 2026 04:02:00 GMT"), Some(120));
        assert_eq!(wait("soon"), None);
    }

    #[test]
    fn a_rate_limit_that_is_used_up_tells_when_it_begins_anew() {
        let wait = |retry_after: Option<&str>, remaining, reset| {
            let value = super::retry_after(retry_after.map(str::to_owned), remaining, reset);
            value.and_then(|value| seconds_to_wait(&value, NOW))
        };
        let reset = (NOW + 500).to_string();
        assert_eq!(wait(None, Some("0"), Some(&reset)), Some(500));
        assert_eq!(wait(Some("60"), Some("0"), Some(&reset)), Some(60));
        // A small number is a number of seconds. While requests remain, there is no wait.
        assert_eq!(wait(None, Some("0"), Some("157")), Some(157));
        assert_eq!(wait(None, Some("12"), Some(&reset)), None);
        assert_eq!(wait(None, None, Some(&reset)), None);
        assert_eq!(wait(None, Some("0"), Some("soon")), None);
    }
}
