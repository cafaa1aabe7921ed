// SPDX-License-Identifier: Apache-2.0
//! A provider's answer to a token request (RFC 6749 §5), as providers really send it.
//!
//! Some answer errors with 200, some write numbers as strings or scopes as a list, some forget the
//! content type. What is read here decides over a grant, so it is generous in form and strict in
//! meaning: only an answer that clearly says "this grant is over" ends one.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use url::form_urlencoded;

use super::error_codes::{self, TokenEndpointError};
use super::profile::{IdentitySource, LifetimeUnit, MissingLifetime, ResponseShape, ZeroLifetime};
use super::{json_path, userinfo};
use crate::connection::Connection;
use vault_base::json;
use vault_base::secret::Secret;
use vault_base::text;
use vault_base::time::UnixSeconds;
use vault_jose::identity::Identity;

/// Longest answer that is read, in bytes.
pub const MAX_ANSWER: usize = 64 * 1024;

/// Longest cool-down a provider's `Retry-After` may impose, in seconds.
const MAX_RETRY_AFTER: i64 = 3600;

/// An answer as the network gave it.
#[derive(Debug, Clone)]
pub enum ProviderResponse {
    /// A complete answer within the limits of time and size.
    Answer {
        /// HTTP status.
        status: u16,
        /// When to come again, as [`retry_after`] gives it.
        retry_after: Option<String>,
        /// The body: it holds tokens.
        body: Secret,
    },
    /// No answer, a broken one, or one beyond the limits. The request may have had its effect.
    Lost,
}

impl ProviderResponse {
    /// Seconds until it says to come again.
    pub fn seconds_to_wait(&self, now: UnixSeconds) -> Option<i64> {
        match self {
            Self::Answer { retry_after, .. } => seconds_to_wait(retry_after.as_deref()?, now),
            Self::Lost => None,
        }
    }

    /// Whether it says no more than that we ask too often. Some answer 403 then, and say when to come
    /// again.
    pub fn is_limited(&self) -> bool {
        matches!(self, Self::Answer { status: 429, .. })
            || matches!(self, Self::Answer { status: 403, retry_after: Some(_), .. })
    }
}

/// When to come again, as three headers tell it: `Retry-After` (RFC 9110 §10.2.3), or the time at which a
/// rate limit that is used up begins anew, as GitHub has it: `x-ratelimit-remaining`,
/// `x-ratelimit-reset`. Others write seconds in the latter.
pub fn retry_after(
    told: Option<String>,
    remaining: Option<&str>,
    reset: Option<&str>,
) -> Option<String> {
    const LONGEST_IN_SECONDS: i64 = 1_000_000;
    told.or_else(|| {
        let reset: i64 = reset.filter(|_| remaining == Some("0"))?.parse().ok()?;
        Some(if reset > LONGEST_IN_SECONDS { format!("@{reset}") } else { reset.to_string() })
    })
}

/// Whether another attempt may bring what this one did not.
pub fn may_pass(received: &ProviderResponse) -> bool {
    received.is_limited()
        || matches!(
            received,
            ProviderResponse::Lost | ProviderResponse::Answer { status: 500.., .. }
        )
}

/// What an answer tells of the life of its access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// This many seconds.
    Seconds(i64),
    /// The provider says that it does not end.
    Endless,
    /// Nothing, or nothing that can be read.
    Untold,
}

/// The life that is counted on where nothing else tells one and the token can be renewed, in seconds:
/// what most providers give, and short enough that a token that is over is not served for long.
const ASSUMED_LIFETIME: i64 = 3600;

/// Seconds that a token with this lifetime lives. `before`: the life of the token it replaces, if that is
/// known. `None`: it has no end that anybody knows, which is so only where it cannot be renewed or the
/// provider says it.
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

/// Whether the operator should know of it: the token can be renewed, its end is not told, and no
/// `default_expires_in` says that this is how the provider answers.
pub fn is_lifetime_assumed(connection: &Connection, lifetime: Lifetime, renewable: bool) -> bool {
    renewable && lifetime == Lifetime::Untold && connection.answer.default_expires_in.is_none()
}

/// Tokens from a provider.
#[derive(Debug, Clone)]
pub struct TokenResponse {
    /// The access token.
    pub access_token: Secret,
    /// A refresh token; `None` if the answer has none, which on a refresh means "keep the old".
    pub refresh_token: Option<Secret>,
    /// How long the access token lives.
    pub lifetime: Lifetime,
    /// Seconds the refresh token lives, if known.
    pub refresh_token_expires_in: Option<i64>,
    /// Scopes granted, if told; if not, they are those asked for (RFC 6749 §5.1).
    pub scopes: Option<Vec<String>>,
    /// An ID token.
    pub id_token: Option<Secret>,
}

/// All that the answer to a code brings.
#[derive(Debug, Clone)]
pub struct CodeResponse {
    /// The account's own tokens.
    pub tokens: TokenResponse,
    /// Further tokens that came along, by kind.
    pub kinds: BTreeMap<String, TokenResponse>,
    /// Who the account is, where the answer tells it.
    pub identity: Option<Identity>,
    /// What applications need of it: no secrets.
    pub provider_data: BTreeMap<String, String>,
}

/// Reads the answer to a code.
///
/// # Errors
/// [`TokenEndpointError`].
pub fn granted(
    received: &ProviderResponse,
    connection: &Connection,
    now: UnixSeconds,
) -> Result<CodeResponse, TokenEndpointError> {
    let shape = &connection.answer;
    let (tokens, document) = read(received, connection, &shape.path, now)?;
    let mut kinds = BTreeMap::new();
    let come_along = connection.kinds.iter().filter(|(_, kind)| kind.issuance.is_none());
    for (name, kind) in come_along {
        let found = json_path::value(&document, &kind.answer_path);
        let found = found.and_then(|found| tokens_of(found, shape)?.ok());
        kinds.extend(found.map(|tokens| (name.clone(), tokens)));
    }
    let provider_data = json_path::named(&document, &shape.provider_data);
    let identity = match connection.identity.from {
        Some(IdentitySource::Answer) => userinfo::of_document(&document, &connection.identity),
        _ => None,
    };
    Ok(CodeResponse { tokens, kinds, identity, provider_data })
}

/// Reads the answer to a refresh.
///
/// # Errors
/// [`TokenEndpointError`].
pub fn renewed(
    received: &ProviderResponse,
    connection: &Connection,
    now: UnixSeconds,
) -> Result<TokenResponse, TokenEndpointError> {
    let path = &connection.answer.refresh_path;
    read(received, connection, path, now).map(|(tokens, _)| tokens)
}

/// The refresh token that takes the place of the one that was `sent`, as a successful answer to a refresh
/// names it: whatever else is odd about that answer, it may be the only one that is good from now on.
pub fn successor(
    received: &ProviderResponse,
    connection: &Connection,
    sent: &Secret,
) -> Option<Secret> {
    let ProviderResponse::Answer { status: 200..=299, body, .. } = received else {
        return None;
    };
    let (body, path) = (without_mark(body.expose()), &connection.answer.refresh_path);
    let next = if body.trim_start().starts_with('{') {
        json::text_at(body.as_bytes(), path, REFRESH_TOKEN).map(Secret::new)
    } else {
        document(body).and_then(|form| member(json_path::value(&form, path)?, REFRESH_TOKEN))
    };
    next.filter(|next| !next.expose().is_empty() && next.sha256() != sent.sha256())
}

fn read(
    received: &ProviderResponse,
    connection: &Connection,
    path: &str,
    now: UnixSeconds,
) -> Result<(TokenResponse, Value), TokenEndpointError> {
    let ProviderResponse::Answer { status, retry_after, body } = received else {
        return Err(TokenEndpointError::Ambiguous { retry_after: None });
    };
    let retry_after = retry_after.as_deref().and_then(|value| seconds_to_wait(value, now));
    if received.is_limited() {
        return Err(TokenEndpointError::Unavailable { retry_after });
    }
    if let Some(document) = document(body.expose()) {
        let good = (200..=299).contains(status) && !error_codes::is_error(&document);
        let found = json_path::value(&document, path).filter(|_| good);
        match found.and_then(|found| tokens_of(found, &connection.answer)) {
            Some(Ok(tokens)) => return Ok((tokens, document)),
            Some(Err(Unusable)) => return Err(TokenEndpointError::UnusableToken),
            None => {}
        }
        match error_codes::verdict(&connection.errors, &document, retry_after) {
            // A gateway's words are no verdict on a grant, nor on our registration.
            Some(failure)
                if *status < 500 || matches!(failure, TokenEndpointError::Unavailable { .. }) =>
            {
                return Err(failure);
            }
            _ => {}
        }
    }
    Err(by_status(*status, retry_after))
}

/// What an answer without a code means.
fn by_status(status: u16, retry_after: Option<i64>) -> TokenEndpointError {
    match status {
        503 => TokenEndpointError::Unavailable { retry_after },
        // A redirect is never followed: it would take our credentials elsewhere.
        300..=399 => TokenEndpointError::Misconfigured("redirect".into()),
        404 | 405 | 410 => TokenEndpointError::Misconfigured(format!("http_{status}")),
        401 => TokenEndpointError::Misconfigured("invalid_client".into()),
        // An empty or unreadable 400 is not a verdict on the grant.
        _ => TokenEndpointError::Ambiguous { retry_after },
    }
}

/// A byte-order mark is passed over (RFC 8259 §8.1).
fn without_mark(body: &str) -> &str {
    body.strip_prefix('\u{feff}').unwrap_or(body)
}

/// A JSON object, or a form where the body is none.
pub(super) fn document(body: &str) -> Option<Value> {
    let body = without_mark(body);
    if body.trim_start().starts_with('{') {
        return json::read(body.as_bytes()).ok();
    }
    if !body.contains('=') || body.contains('<') {
        return None;
    }
    let mut members = Map::new();
    for (name, value) in form_urlencoded::parse(body.as_bytes()) {
        if members.insert(name.into_owned(), Value::String(value.into_owned())).is_some() {
            return None;
        }
    }
    Some(Value::Object(members))
}

const REFRESH_TOKEN: &str = "refresh_token";

/// A member that is text and not empty.
fn member(object: &Value, name: &str) -> Option<Secret> {
    match object.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(Secret::new(text.clone())),
        _ => None,
    }
}

/// There is an access token, and it is not text that may be one.
struct Unusable;

fn tokens_of(object: &Value, shape: &ResponseShape) -> Option<Result<TokenResponse, Unusable>> {
    let bearer = match object.get("token_type") {
        Some(Value::String(kind)) => {
            kind.eq_ignore_ascii_case("bearer") || shape.token_types.contains(kind)
        }
        // Required by the RFC, left out by some.
        None | Some(Value::Null) => true,
        Some(_) => false,
    };
    if !bearer {
        return None;
    }
    let access_token = member(object, "access_token")?;
    if !text::is_access_token(access_token.expose()) {
        return Some(Err(Unusable));
    }
    let told = |member: &str, unit| object.get(member).and_then(|value| lifetime(value, unit));
    Some(Ok(TokenResponse {
        access_token,
        refresh_token: member(object, REFRESH_TOKEN),
        lifetime: match told(&shape.expires_in_member, shape.expires_in_unit) {
            Some(0) if shape.zero_expires_in == ZeroLifetime::Never => Lifetime::Endless,
            Some(seconds) => Lifetime::Seconds(seconds),
            None if shape.missing_expires_in == MissingLifetime::Never
                && matches!(object.get(&shape.expires_in_member), None | Some(Value::Null)) =>
            {
                Lifetime::Endless
            }
            None => Lifetime::Untold,
        },
        refresh_token_expires_in: told(
            &shape.refresh_token_expires_in_member,
            LifetimeUnit::Seconds,
        )
        .or(shape.refresh_token_lifetime),
        scopes: object
            .get(&shape.scope_member)
            .and_then(|value| scopes(value, &shape.scope_separator)),
        id_token: member(object, "id_token"),
    }))
}

/// The whole part of a number that fits.
#[allow(clippy::cast_possible_truncation, reason = "it is within the limit")]
fn whole(number: f64) -> Option<i64> {
    (0.0..1e15).contains(&number).then(|| number.trunc() as i64)
}

/// A number, also as text, in seconds; anything else is as if it were not there.
fn lifetime(value: &Value, unit: LifetimeUnit) -> Option<i64> {
    let number = match value {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?))?,
        // The library's reader of fractions is 10 KB of the Worker.
        Value::String(text) => {
            let text = text.trim();
            let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
            rest.bytes().all(|b| b.is_ascii_digit()).then(|| whole.parse().ok())??
        }
        _ => return None,
    };
    let seconds = match unit {
        LifetimeUnit::Seconds => number,
        LifetimeUnit::Minutes => number.checked_mul(60)?,
        LifetimeUnit::Milliseconds => number / 1000,
    };
    (number >= 0 && seconds <= 315_360_000).then_some(seconds)
}

fn scopes(value: &Value, separator: &str) -> Option<Vec<String>> {
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

/// What [`retry_after`] gives: seconds, a date, or a time behind `@`; at most an hour.
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
        let told = |retry_after: Option<&str>, remaining, reset| {
            let told = super::retry_after(retry_after.map(str::to_owned), remaining, reset);
            told.and_then(|value| seconds_to_wait(&value, NOW))
        };
        let soon = (NOW + 500).to_string();
        assert_eq!(told(None, Some("0"), Some(&soon)), Some(500));
        assert_eq!(told(Some("60"), Some("0"), Some(&soon)), Some(60));
        // Others count in seconds, and what is not used up holds nobody.
        assert_eq!(told(None, Some("0"), Some("157")), Some(157));
        assert_eq!(told(None, Some("12"), Some(&soon)), None);
        assert_eq!(told(None, None, Some(&soon)), None);
        assert_eq!(told(None, Some("0"), Some("soon")), None);
    }
}
