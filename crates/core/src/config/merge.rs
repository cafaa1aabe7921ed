// SPDX-License-Identifier: Apache-2.0
//! Merges an entry of `CONNECTIONS` with the catalogue's entry of its provider.

use serde_json::{Map, Value};

use super::{FieldError, Names};
use vault_base::json;
use vault_provider::catalogue;

/// An entry merged with the catalogue's entry of its provider.
pub(super) struct Completed {
    /// The merged entry, with the values of the provider's variables filled in.
    pub(super) entry: Value,
    /// The values that decide, besides the authority, where tokens are sent, by name: those of the provider's
    /// variables, and the endpoints of [`REDIRECTING`] that the entry itself sets.
    pub(super) details: Vec<(String, String)>,
}

/// The endpoints that refresh tokens are sent to.
const REDIRECTING: [&str; 3] = ["first_refresh_endpoint", "refresh_endpoint", "token_endpoint"];

/// Merges an entry of `CONNECTIONS` over the catalogue's entry of the provider that it names, member by
/// member, and fills in the provider's variables. Members of the entry take precedence.
pub(super) fn complete(entry: Value) -> Result<Completed, FieldError> {
    let Value::Object(mut given) = entry else {
        return Err(FieldError::new("", "must be a table"));
    };
    let mut facts = match (given.get("provider"), given.contains_key("kind")) {
        (Some(Value::String(id)), _) => facts(id)?,
        (Some(_), _) => return Err(FieldError::new("provider", "must be text")),
        (None, true) => Map::new(),
        (None, false) => {
            let fix = "name a `provider` that the vault knows (docs/providers), or say \
                        `kind = \"oauth2\"` or `kind = \"oidc\"` and describe one";
            return Err(FieldError::new("", fix));
        }
    };
    lift_variables(&mut given);
    let mut details = given_endpoints(&given);
    merge(&mut facts, given);
    let variables = match facts.remove("variables") {
        Some(Value::Object(variables)) => variables,
        Some(_) => return Err(FieldError::new("variables", "must be a table")),
        None => Map::new(),
    };
    let mut merged = Value::Object(facts);
    for (name, variable) in &variables {
        let value = value_of(name, variable)?;
        fill(&mut merged, &format!("{{{name}}}"), value);
        details.push((name.clone(), value.to_owned()));
    }
    Ok(Completed { entry: merged, details })
}

/// The endpoints of [`REDIRECTING`] that the entry sets. The token endpoint of a connection that names
/// neither provider nor issuer is left out, because it is the authority.
fn given_endpoints(given: &Map<String, Value>) -> Vec<(String, String)> {
    let is_authority = !given.contains_key("provider") && !given.contains_key("issuer");
    let redirecting =
        REDIRECTING.into_iter().filter(|name| !(is_authority && *name == "token_endpoint"));
    let found = redirecting.filter_map(|name| Some((name, given.get(name)?.as_str()?)));
    found.map(|(name, address)| (name.to_owned(), address.to_owned())).collect()
}

fn facts(id: &str) -> Result<Map<String, Value>, FieldError> {
    let facts = catalogue::entry(id).and_then(|facts| json::parse_trusted(facts).ok());
    facts.ok_or_else(|| {
        let fix = "is not in the catalogue: `cargo xtask providers` lists it. Describe another \
                    provider with `kind = \"oauth2\"` or `kind = \"oidc\"`";
        FieldError::new("provider", fix).unknown(id, Names::Providers)
    })
}

/// Expands the short form `variables = { tenant = "x" }` to `variables.tenant.value = "x"`.
fn lift_variables(given: &mut Map<String, Value>) {
    if let Some(Value::Object(variables)) = given.get_mut("variables") {
        for value in variables.values_mut() {
            if value.is_string() {
                *value = Value::Object(Map::from_iter([("value".to_owned(), value.take())]));
            }
        }
    }
}

/// Merges `given` into `base`: tables are merged recursively, other values are replaced.
fn merge(base: &mut Map<String, Value>, given: Map<String, Value>) {
    for (name, value) in given {
        match (base.get_mut(&name), value) {
            (Some(Value::Object(inner)), Value::Object(given)) => merge(inner, given),
            (_, value) => {
                base.insert(name, value);
            }
        }
    }
}

fn value_of<'a>(name: &str, variable: &'a Value) -> Result<&'a str, FieldError> {
    let field = format!("variables.{name}");
    let Some(value) = variable.get("value").and_then(Value::as_str) else {
        let fix = format!(
            "is missing: this provider's addresses depend on it; set variables = {{ {name} = \"…\" }}"
        );
        return Err(FieldError::new(field, fix));
    };
    let allowed = variable.get("allowed").and_then(Value::as_array);
    let fits = allowed.is_none_or(|allowed| {
        allowed.iter().filter_map(Value::as_str).any(|pattern| matches(pattern, value))
    });
    if fits {
        return Ok(value);
    }
    let allowed: Vec<&str> = allowed.into_iter().flatten().filter_map(Value::as_str).collect();
    let fix = format!(
        "must be one of: {} (`*` stands for letters, digits and hyphens, `**` for those and dots)",
        allowed.join(", ")
    );
    Err(FieldError::new(field, fix))
}

/// Whether a value fits a pattern with at most one wildcard: `*` matches one label of a host name, `**` one
/// or more labels separated by dots. There are no other wildcards, because the value decides where a client
/// secret is sent.
fn matches(pattern: &str, value: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == value;
    };
    let (allows_dots, after) = match after.strip_prefix('*') {
        Some(after) => (true, after),
        None => (false, after),
    };
    let Some(middle) = value.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)) else {
        return false;
    };
    if allows_dots { middle.split('.').all(is_label) } else { is_label(middle) }
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Replaces a placeholder in all strings of a value.
fn fill(value: &mut Value, placeholder: &str, text: &str) {
    match value {
        Value::String(found) if found.contains(placeholder) => {
            *found = found.replace(placeholder, text);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, placeholder, text)),
        Value::Object(members) => {
            members.values_mut().for_each(|member| fill(member, placeholder, text));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_decides_where_secrets_go_and_takes_nothing_but_labels() {
        for (pattern, value, fits) in [
            ("common", "common", true),
            ("common", "commons", false),
            ("*", "9188040d-6c67-4c5b-b112-36a304b66dad", true),
            ("*", "a.b", false),
            ("*", "evil.example/", false),
            ("*", "", false),
            ("*", "-a", false),
            ("*.my.salesforce.com", "acme--dev.my.salesforce.com", true),
            ("*.my.salesforce.com", "evil.example#.my.salesforce.com", false),
            ("*.my.salesforce.com", ".my.salesforce.com", false),
            ("**", "git.example.com", true),
            ("**", "git..example", false),
            ("**", "user@git.example", false),
            ("**", "git.example:8443", false),
        ] {
            assert_eq!(matches(pattern, value), fits, "{pattern} {value}");
        }
    }
}
