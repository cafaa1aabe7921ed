//! Scopes: what to ask for, what was granted, and what is missing.

use std::collections::BTreeSet;

use crate::config::Connection;
use crate::text;
use crate::vault::record::AccountView;

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

/// The same with what the user's accounts granted before: a consent for more must not end what is
/// there, and of several nobody knows yet which it will be. Some providers keep that themselves.
pub fn keeping(connection: &Connection, ask: Vec<String>, accounts: &[AccountView]) -> Vec<String> {
    if !keeps(connection) {
        return ask;
    }
    let before = accounts.iter().flat_map(|account| account.scopes.iter().cloned());
    text::unique(ask.into_iter().chain(before))
}

/// What an answer granted. `told` is what it says; what it does not say is what was `asked` for
/// (RFC 6749 §5.1). Where a token is for one resource, an answer tells of that one alone.
pub fn granted(
    connection: &Connection,
    told: Option<Vec<String>>,
    asked: &[String],
) -> Vec<String> {
    let Some(told) = told else {
        return asked.to_vec();
    };
    let elsewhere = asked.iter().filter(|scope| resource(connection, scope).is_some());
    text::unique(told.iter().chain(elsewhere).cloned())
}

/// Which of the wanted scopes were not granted.
pub fn missing(connection: &Connection, granted: &[String], wanted: &[String]) -> Vec<String> {
    let granted: BTreeSet<&str> = granted.iter().map(|one| name(connection, one)).collect();
    let has = |scope: &String| granted.contains(name(connection, scope));
    wanted.iter().filter(|scope| !has(scope)).cloned().collect()
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
