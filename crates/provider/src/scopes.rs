// SPDX-License-Identifier: Apache-2.0
//! Scopes: what to ask for, what was granted, and what is missing.

use std::collections::{BTreeMap, BTreeSet};

use crate::connection::Connection;
use vault_base::text;

/// Scopes of OpenID Connect (Core §5.4 and §11). They name no resource, and a request for any may have
/// them.
const OPEN_ID: [&str; 6] = ["openid", "profile", "email", "address", "phone", "offline_access"];

/// How many steps an included scope is followed: a pattern may include one that grows at each.
const STEPS: usize = 8;

/// Scopes of a request: what the application asks for, or the connection's defaults, after those
/// that are always asked for.
pub fn ask(connection: &Connection, asked: &[String]) -> Vec<String> {
    if connection.scope_parameter.is_empty() {
        return Vec::new();
    }
    let chosen = if asked.is_empty() { &connection.scopes } else { asked };
    text::unique(connection.required_scopes.iter().chain(chosen).cloned())
}

/// Whether what was granted before is asked for along with what is new.
pub fn keeps(connection: &Connection) -> bool {
    !connection.incremental_consent && !connection.scope_parameter.is_empty()
}

/// The same with the scopes that were granted `before`: a consent for more must not end what is there.
/// Some providers keep that themselves.
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

/// What an answer granted. `told` is what it says; what it does not say is what was `asked` for
/// (RFC 6749 §5.1). Where a token is for one resource, an answer tells of that one alone, and takes
/// nothing from the others.
pub fn granted(
    connection: &Connection,
    told: Option<Vec<String>>,
    asked: &[String],
) -> Vec<String> {
    let Some(told) = told else {
        return asked.to_vec();
    };
    let of = first_resource(connection, asked);
    let elsewhere = asked.iter().filter(|scope| resource(connection, scope) != of);
    text::unique(told.iter().chain(elsewhere).cloned())
}

/// Which of the wanted scopes were not granted.
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

/// What the scopes of these names include, and what that does.
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
                let filled = included.iter().map(|one| one.replace('*', part));
                next.extend(filled.map(|one| name(connection, &one).to_owned()));
            }
        }
        next.retain(|scope| all.insert(scope.clone()));
        new = next;
    }
    all
}

/// What `*` stands for in a pattern that a scope fits: one character or more; nothing where there is
/// none.
fn part_of<'a>(pattern: &str, scope: &'a str) -> Option<&'a str> {
    let Some((before, after)) = pattern.split_once('*') else {
        return (pattern == scope).then_some("");
    };
    scope.strip_prefix(before)?.strip_suffix(after).filter(|part| !part.is_empty())
}

/// What is wrong with what the configuration says of scopes that include others, if anything is: the
/// field, and the fix.
pub fn fault_in_includes(
    includes: &BTreeMap<String, Vec<String>>,
) -> Option<(String, &'static str)> {
    let stars = |scope: &str| scope.matches('*').count();
    for (scope, included) in includes {
        let field = format!("scope_includes.{scope}");
        let most = stars(scope);
        if !text::is_scope(scope) || most > 1 {
            return Some((field, "must be one scope, with one `*` at most"));
        }
        if !included.iter().all(|one| text::is_scope(one) && stars(one) <= most) {
            let fix = "must be a list of scopes, each with one `*` at most, and with none where \
                        the scope that includes them has none";
            return Some((field, fix));
        }
    }
    None
}

/// A scope by the name it is compared with: the one it is granted under, and without the default
/// resource, with or without which it means the same.
fn name<'a>(connection: &'a Connection, scope: &'a str) -> &'a str {
    let name = connection.scope_aliases.get(scope).map_or(scope, String::as_str);
    let default = connection.default_resource.as_deref();
    let short = default.and_then(|default| name.strip_prefix(default)?.strip_prefix('/'));
    short.unwrap_or(name)
}

/// The resource that a scope belongs to, where a token is for one resource: what stands before its
/// last slash. `None` is the default resource.
pub fn resource<'a>(connection: &Connection, scope: &'a str) -> Option<&'a str> {
    let default = connection.default_resource.as_deref()?;
    let (resource, _) = scope.rsplit_once('/')?;
    (scope.contains("://") && resource.trim_end_matches('/') != default).then_some(resource)
}

/// The resource that a grant's first token is for, where a token is for one: the default one, unless
/// all scopes but those of OpenID Connect belong to others; then that of the first. `None` is the
/// default resource.
fn first_resource<'a>(connection: &Connection, scopes: &'a [String]) -> Option<&'a str> {
    let of_resources = scopes.iter().filter(|scope| !OPEN_ID.contains(&scope.as_str()));
    let mut resources = of_resources.map(|scope| resource(connection, scope));
    let first = resources.next()??;
    resources.all(|other| other.is_some()).then_some(first)
}

/// The scopes of a grant that its first token has.
pub fn of_first_token(connection: &Connection, granted: &[String]) -> Vec<String> {
    let of = first_resource(connection, granted);
    granted.iter().filter(|scope| resource(connection, scope) == of).cloned().collect()
}

/// What the redemption of a code names: where a token is for one resource, the scopes of one, with
/// those of OpenID Connect; elsewhere nothing, for the code says it (RFC 6749 §4.1.3).
pub fn at_redemption(connection: &Connection, asked: &[String]) -> Option<Vec<String>> {
    connection.default_resource.as_ref()?;
    let of = first_resource(connection, asked);
    let is_named =
        |scope: &&String| OPEN_ID.contains(&scope.as_str()) || resource(connection, scope) == of;
    Some(asked.iter().filter(is_named).cloned().collect())
}

/// What a refresh for a grant's first token names: the same where the grant is for several resources,
/// for then nothing else says which. Elsewhere nothing (RFC 6749 §6).
pub fn at_refresh(connection: &Connection, granted: &[String]) -> Option<Vec<String>> {
    let of = first_resource(connection, granted);
    let several = granted
        .iter()
        .any(|scope| !OPEN_ID.contains(&scope.as_str()) && resource(connection, scope) != of);
    if several { at_redemption(connection, granted) } else { None }
}
