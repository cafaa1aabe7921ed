// SPDX-License-Identifier: Apache-2.0
//! Scopes: which to request, which were granted, and which are missing.
//!
//! At a provider with [`Connection::default_resource`] each access token is for one resource, and each scope
//! belongs to one. The first token of a grant is the token that comes with the consent.

use std::collections::{BTreeMap, BTreeSet};

use crate::connection::Connection;
use vault_base::text;

/// The scopes of OpenID Connect (Core §3.1.2.1, §5.4 and §11). They belong to no resource and may be
/// requested along with the scopes of any.
const OPEN_ID: [&str; 6] = ["openid", "profile", "email", "address", "phone", "offline_access"];

/// The maximum number of steps by which included scopes are followed. Without it, a pattern that includes a
/// longer scope that matches it again would be followed forever.
const STEPS: usize = 8;

/// The scopes of an authorization request: the required ones, then those that the application asks for, or
/// if it asks for none, the connection's defaults. Empty if the provider has no scopes.
pub fn ask(connection: &Connection, asked: &[String]) -> Vec<String> {
    if connection.scope_parameter.is_empty() {
        return Vec::new();
    }
    let chosen = if asked.is_empty() { &connection.scopes } else { asked };
    text::unique(connection.required_scopes.iter().chain(chosen).cloned())
}

/// Whether an authorization request must repeat the scopes that were granted before.
pub fn keeps(connection: &Connection) -> bool {
    !connection.incremental_consent && !connection.scope_parameter.is_empty()
}

/// The scopes of an authorization request, extended by those granted `before`, so that a consent to more
/// scopes does not lose them. Providers with [`Connection::incremental_consent`] keep them themselves.
pub fn keeping<'a>(
    connection: &Connection,
    ask: Vec<String>,
    before: impl Iterator<Item = &'a String>,
) -> Vec<String> {
    if !keeps(connection) {
        return ask;
    }
    text::unique(ask.into_iter().chain(before.cloned()))
}

/// The scopes that a token response granted. `stated` are those that it states; without them, the scopes that
/// were `asked` for are granted (RFC 6749 §5.1). Where a token is for one resource, the response states the
/// scopes of that resource only; the scopes asked for of other resources count as granted.
pub fn granted(
    connection: &Connection,
    stated: Option<Vec<String>>,
    asked: &[String],
) -> Vec<String> {
    let Some(stated) = stated else {
        return asked.to_vec();
    };
    let first = first_resource(connection, asked);
    let elsewhere = asked.iter().filter(|scope| resource(connection, scope) != first);
    text::unique(stated.iter().chain(elsewhere).cloned())
}

/// The wanted scopes that were not granted. A scope counts as granted under its alias too, with or without
/// the default resource, and if a granted scope includes it.
pub fn missing(connection: &Connection, granted: &[String], wanted: &[String]) -> Vec<String> {
    let names: BTreeSet<&str> = granted.iter().map(|scope| name(connection, scope)).collect();
    let lacks = |scope: &&String| !names.contains(name(connection, scope));
    let mut missing: Vec<String> = wanted.iter().filter(lacks).cloned().collect();
    if !missing.is_empty() && !connection.scope_includes.is_empty() {
        let included = included(connection, &names);
        missing.retain(|scope| !included.contains(name(connection, scope)));
    }
    missing
}

/// The names of all scopes that the scopes of these names include, directly or through others.
fn included(connection: &Connection, names: &BTreeSet<&str>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut new: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    for _ in 0..STEPS {
        let mut next = Vec::new();
        for scope in &new {
            for (pattern, included) in &connection.scope_includes {
                let Some(part) = part_of(name(connection, pattern), scope) else {
                    continue;
                };
                let filled = included.iter().map(|scope| scope.replace('*', part));
                next.extend(filled.map(|scope| name(connection, &scope).to_owned()));
            }
        }
        next.retain(|scope| all.insert(scope.clone()));
        new = next;
    }
    all
}

/// Matches a scope against a pattern and returns what `*` matched, at least one character; an empty text if
/// the pattern has no `*`. `None` if the scope does not match.
fn part_of<'a>(pattern: &str, scope: &'a str) -> Option<&'a str> {
    let Some((before, after)) = pattern.split_once('*') else {
        return (pattern == scope).then_some("");
    };
    scope.strip_prefix(before)?.strip_suffix(after).filter(|part| !part.is_empty())
}

/// Checks the configuration of [`Connection::scope_includes`]. `Some` for the first fault: the field, and how
/// its value must look.
pub fn fault_in_includes(
    includes: &BTreeMap<String, Vec<String>>,
) -> Option<(String, &'static str)> {
    let stars = |scope: &str| scope.matches('*').count();
    for (scope, included) in includes {
        let field = format!("scope_includes.{scope}");
        let max = stars(scope);
        if !text::is_scope(scope) || max > 1 {
            return Some((field, "must be one scope, with one `*` at most"));
        }
        if !included.iter().all(|scope| text::is_scope(scope) && stars(scope) <= max) {
            let fix = "must be a list of scopes, each with one `*` at most, and with none where \
                        the scope that includes them has none";
            return Some((field, fix));
        }
    }
    None
}

/// The name by which a scope is compared: the alias under which it is granted, without the default resource,
/// because a scope means the same with and without it.
fn name<'a>(connection: &'a Connection, scope: &'a str) -> &'a str {
    let name = connection.scope_aliases.get(scope).map_or(scope, String::as_str);
    let default = connection.default_resource.as_deref();
    let short = default.and_then(|default| name.strip_prefix(default)?.strip_prefix('/'));
    short.unwrap_or(name)
}

/// The resource that a scope belongs to, where a token is for one resource: the part before its last slash.
/// `None` stands for the default resource, and for providers whose tokens are not for one resource.
pub fn resource<'a>(connection: &Connection, scope: &'a str) -> Option<&'a str> {
    let default = connection.default_resource.as_deref()?;
    let (resource, _) = scope.rsplit_once('/')?;
    (scope.contains("://") && resource.trim_end_matches('/') != default).then_some(resource)
}

/// The resource of a grant's first token, where a token is for one resource: the default resource (`None`) if
/// one of the scopes belongs to it, else the resource of the first scope. The scopes of OpenID Connect do not
/// count.
fn first_resource<'a>(connection: &Connection, scopes: &'a [String]) -> Option<&'a str> {
    let of_resources = scopes.iter().filter(|scope| !OPEN_ID.contains(&scope.as_str()));
    let mut resources = of_resources.map(|scope| resource(connection, scope));
    let first = resources.next()??;
    resources.all(|other| other.is_some()).then_some(first)
}

/// The granted scopes that the first token of a grant has.
pub fn of_first_token(connection: &Connection, granted: &[String]) -> Vec<String> {
    let first = first_resource(connection, granted);
    granted.iter().filter(|scope| resource(connection, scope) == first).cloned().collect()
}

/// The scopes to name in the token request for a code. Where a token is for one resource: those of the first
/// token and of OpenID Connect. Else `None`: the code determines the scopes (RFC 6749 §4.1.3).
pub fn at_redemption(connection: &Connection, asked: &[String]) -> Option<Vec<String>> {
    connection.default_resource.as_ref()?;
    let first = first_resource(connection, asked);
    let is_named =
        |scope: &&String| OPEN_ID.contains(&scope.as_str()) || resource(connection, scope) == first;
    Some(asked.iter().filter(is_named).cloned().collect())
}

/// The scopes to name in a refresh request for a grant's first token: those of [`at_redemption`] if the
/// grant has scopes of several resources, because the refresh token does not determine the resource then.
/// Else `None`: the refresh token determines the scopes (RFC 6749 §6).
pub fn at_refresh(connection: &Connection, granted: &[String]) -> Option<Vec<String>> {
    let first = first_resource(connection, granted);
    let several = granted
        .iter()
        .any(|scope| !OPEN_ID.contains(&scope.as_str()) && resource(connection, scope) != first);
    if several { at_redemption(connection, granted) } else { None }
}
