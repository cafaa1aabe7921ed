// SPDX-License-Identifier: Apache-2.0
//! Paths into the JSON of providers' responses: `authed_user.id`, `data.0.id`,
//! `team.id|enterprise.id+user.id`.

use std::collections::BTreeMap;

use serde_json::Value;

/// The maximum length of a text taken from a response, in bytes.
const MAX_TEXT: usize = 1024;

/// The value at a path. The steps of a path are separated by dots; each is a member name in an object, or an
/// index from 0 in an array. The empty path is the document itself. `None` if there is no such value.
pub fn value<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() {
        return Some(document);
    }
    path.split('.').try_fold(document, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => value.get(step),
    })
}

/// The text at a path. Numbers and booleans are converted to text. `a|b` takes the text at `b` if there is
/// none at `a`; `a+b` joins both texts with a colon, and needs both. `|` binds more tightly than `+`.
/// `None` if there is no text, or if it is empty or longer than 1,024 bytes.
pub fn text(document: &Value, path: &str) -> Option<String> {
    let mut texts = Vec::new();
    for part in path.split('+') {
        let found = part.split('|').find_map(|path| plain(value(document, path)?));
        texts.push(found?);
    }
    let text = texts.join(":");
    (!text.is_empty() && text.len() <= MAX_TEXT).then_some(text)
}

/// The texts at these paths, by path. Paths without a text are left out.
pub fn named(document: &Value, paths: &[String]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for path in paths {
        found.extend(text(document, path).map(|text| (path.clone(), text)));
    }
    found
}

/// All texts at a path: those of the elements if the value is an array, else the one of the value. Numbers
/// and booleans are converted to text.
pub fn texts(document: &Value, path: &str) -> Vec<String> {
    match value(document, path) {
        Some(Value::Array(items)) => items.iter().filter_map(plain).collect(),
        Some(value) => plain(value).into_iter().collect(),
        None => Vec::new(),
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_go_down_into_lists_and_join() {
        let document = json!({
            "team": {"id": "T1"}, "user": {"id": 9_007_199_254_740_993_i64, "email": null},
            "data": [{"id": "7"}], "error_codes": [700_082, "x"], "empty": "",
        });
        for (path, found) in [
            ("team.id", Some("T1")),
            ("user.id", Some("9007199254740993")),
            ("data.0.id", Some("7")),
            ("team.id+user.id", Some("T1:9007199254740993")),
            ("team.id+user.email", None),
            ("user.email|team.id+user.id", Some("T1:9007199254740993")),
            ("user.email|empty.x", None),
            ("data.1.id", None),
            ("user.email", None),
            ("team", None),
            ("empty", None),
        ] {
            assert_eq!(text(&document, path).as_deref(), found, "{path}");
        }
        assert_eq!(texts(&document, "error_codes"), ["700082", "x"]);
        assert_eq!(value(&document, ""), Some(&document));
    }
}
