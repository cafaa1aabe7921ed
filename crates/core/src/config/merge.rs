// SPDX-License-Identifier: Apache-2.0
//! A connection as it is written, put together with what the catalogue knows of its provider.

use serde_json::{Map, Value};

use super::FieldError;
use vault_base::json;
use vault_provider::catalogue;

/// An entry with all that is known of its provider.
pub(super) struct Completed {
    /// The entry, variables filled in.
    pub(super) entry: Value,
    /// What decides where tokens are sent beside the authority: the values of the provider's variables,
    /// and the endpoints of [`REDIRECTING`] that the entry itself gives.
    pub(super) details: Vec<(String, String)>,
}

/// Endpoints that refresh tokens are sent to, wherever the authority says.
const REDIRECTING: [&str; 2] = ["refresh_endpoint", "token_endpoint"];

/// Puts an entry of `CONNECTIONS` over the facts about the provider it names, member by member, and
/// fills in the provider's variables. What the entry says wins.
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
    over(&mut facts, given);
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

/// The token endpoint of a connection that names neither provider nor issuer is its authority already.
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
        FieldError::new("provider", fix)
    })
}

/// `variables = { tenant = "x" }` is short for `variables.tenant.value = "x"`.
fn lift_variables(given: &mut Map<String, Value>) {
    if let Some(Value::Object(variables)) = given.get_mut("variables") {
        for value in variables.values_mut() {
            if value.is_string() {
                *value = Value::Object(Map::from_iter([("value".to_owned(), value.take())]));
            }
        }
    }
}

/// Tables are merged, all else is replaced.
fn over(base: &mut Map<String, Value>, given: Map<String, Value>) {
    for (name, value) in given {
        match (base.get_mut(&name), value) {
            (Some(Value::Object(inner)), Value::Object(more)) => over(inner, more),
            (_, value) => {
                base.insert(name, value);
            }
        }
    }
}

fn value_of<'a>(name: &str, variable: &'a Value) -> Result<&'a str, FieldError> {
    let field = format!("variables.{name}");
    let Some(value) = variable.get("value").and_then(Value::as_str) else {
        return Err(FieldError::new(field, "is missing: this provider's addresses depend on it"));
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
        "must be one of: {} (`*` stands for letters, digits and hyphens, `**` for such with dots)",
        allowed.join(", ")
    );
    Err(FieldError::new(field, fix))
}

/// Whether a value fits a pattern with at most one wildcard: `*` is one label of a host name, `**`
/// one or more. It decides where a client secret is sent, so nothing else stands for anything.
fn matches(pattern: &str, value: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == value;
    };
    let (many, after) = match after.strip_prefix('*') {
        Some(after) => (true, after),
        None => (false, after),
    };
    let Some(middle) = value.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)) else {
        return false;
    };
    if many { middle.split('.').all(is_label) } else { is_label(middle) }
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Replaces a placeholder in all texts.
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
