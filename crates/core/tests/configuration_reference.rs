// SPDX-License-Identifier: Apache-2.0
//! Checks that `docs/configuration.md` has every field that the code reads and no other, and that its examples and
//! defaults are true.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/config.rs"]
mod config_support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use config_support::{load_all, merge, variables};
use serde_json::{Value, json};

const DIRECTORY: &str = env!("CARGO_MANIFEST_DIR");

/// The functions that read the fields of a table: the file, how the function begins, the variable, and the path of
/// the table in an entry. `NAME` stands for any name.
const READERS: [(&str, &str, &str, &str); 9] = [
    ("issuer.rs", "fn read(", "ISSUERS", ""),
    ("connection_entry.rs", "fn connection(", "CONNECTIONS", ""),
    ("profile.rs", "fn errors(", "CONNECTIONS", "errors."),
    ("profile.rs", "fn revocation(", "CONNECTIONS", "revocation."),
    ("profile.rs", "fn identity(", "CONNECTIONS", "identity."),
    ("profile.rs", "fn kind(", "CONNECTIONS", "kinds.NAME."),
    ("profile.rs", "fn issuance(", "CONNECTIONS", "kinds.NAME.minting."),
    ("sign_in.rs", "fn read(", "SIGN_IN", ""),
    ("api.rs", "fn read(", "APIS", ""),
];

/// A row of the reference.
struct Row {
    variable: String,
    field: String,
    default: String,
    example: String,
}

fn rows() -> Vec<Row> {
    let text =
        fs::read_to_string(Path::new(DIRECTORY).join("../../docs/configuration.md")).unwrap();
    let mut rows = Vec::new();
    let mut variable = "";
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            variable = heading.trim_matches('`');
        }
        let line = line.replace(r"\|", "\u{1}");
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", field, _, default, example, _, ""] = cells[..] else { continue };
        let Some(field) = code(field) else { continue };
        rows.push(Row {
            variable: variable.to_owned(),
            field: field.to_owned(),
            default: default.to_owned(),
            example: example.to_owned(),
        });
    }
    rows
}

/// The text between backticks at the start of a cell.
fn code(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.split_once('`').map(|(code, _)| code)
}

/// The fields that the code reads, as `VARIABLE field`.
fn read_fields() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (file, start, variable, path) in READERS {
        let source = source(file);
        for name in names(body(&source, start)) {
            found.insert(format!("{variable} {path}{name}"));
        }
    }
    // These read a part of their entry with functions or closures of their own.
    let source = source("connection_entry.rs");
    for start in ["fn protocol(", "fn answer(", "fn renewal("] {
        found.extend(names(body(&source, start)).map(|name| format!("CONNECTIONS {name}")));
    }
    let source = self::source("client.rs");
    let client = body(&source, "fn read(");
    let (own, refresh) = client.split_once(r#".table("refresh_tokens", |fields| {"#).unwrap();
    found.extend(names(own).map(|name| format!("CLIENTS {name}")));
    found.extend(names(refresh).map(|name| format!("CLIENTS refresh_tokens.{name}")));
    // `merge` fills the variables in and removes them.
    found.insert("CONNECTIONS variables.NAME".to_owned());
    // The tables whose fields have rows of their own.
    for table in [
        "errors",
        "revocation",
        "identity",
        "kinds",
        "kinds.NAME.minting",
        "kinds.NAME.minting.revocation",
    ] {
        assert!(found.remove(&format!("CONNECTIONS {table}")), "{table}");
    }
    found
}

fn source(file: &str) -> String {
    fs::read_to_string(Path::new(DIRECTORY).join("src/config").join(file)).unwrap()
}

/// The body of the first function that begins so, up to a line that closes it at the function's own depth.
fn body<'a>(source: &'a str, start: &str) -> &'a str {
    let from = source.find(start).unwrap_or_else(|| panic!("no {start}"));
    let indent = source[..from].rsplit('\n').next().unwrap();
    let depth = indent.len() - indent.trim_start().len();
    let end = format!("\n{}}}\n", " ".repeat(depth));
    let rest = &source[from..];
    &rest[..rest.find(&end).unwrap()]
}

/// The names of the fields that a piece of code reads with the methods of `Fields`, or with a function that takes
/// the fields and the name.
fn names(code: &str) -> impl Iterator<Item = &str> {
    let calls = code.match_indices("fields").map(|(at, word)| code[at + word.len()..].trim_start());
    calls.filter_map(|rest| {
        if let Some(name) = rest.strip_prefix(", \"") {
            return name.split('"').next();
        }
        let (method, rest) = rest.strip_prefix('.')?.split_once('(')?;
        let name = rest.trim_start().strip_prefix('"')?.split('"').next()?;
        (!matches!(method, "fault" | "missing")).then_some(name)
    })
}

#[test]
fn every_field_that_the_code_reads_has_one_row_and_there_are_no_others() {
    let rows = rows();
    let documented: BTreeSet<String> =
        rows.iter().map(|row| format!("{} {}", row.variable, row.field)).collect();
    assert_eq!(documented.len(), rows.len(), "a field has two rows");
    let read = read_fields();
    assert!(read.len() > 100, "{}", read.len());
    let missing: Vec<_> = read.difference(&documented).collect();
    let unknown: Vec<_> = documented.difference(&read).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "no row: {missing:?}; not read: {unknown:?}");
}

/// Configurations in which a field is tried, each with the name of the entry that has it.
fn configurations(variable: &str) -> Vec<(&'static str, Value)> {
    let all = match variable {
        "ISSUERS" => vec![("main", json!({}))],
        "CONNECTIONS" => vec![
            ("calendar", json!({})),
            ("code", json!({})),
            (
                "app",
                json!({ "CONNECTIONS": { "app": { "provider": "github_app", "client_id": "x" } } }),
            ),
            (
                "mail",
                json!({ "CONNECTIONS": { "mail": { "provider": "entra", "client_id": "x" } } }),
            ),
        ],
        "APIS" => vec![(
            "orders",
            json!({ "APIS": { "orders": { "identifier": "https://o.example/" } } }),
        )],
        "CLIENTS" => vec![
            ("backend", json!({})),
            ("agent", json!({})),
            ("spa", json!({})),
            (
                "shop",
                json!({
                    "APIS": { "orders": { "identifier": "https://o.example/", "scopes": ["read:orders"] } },
                    "CLIENTS": { "shop": { "authentication": "none", "kind": "spa" } },
                }),
            ),
        ],
        "SIGN_IN" => vec![(
            "",
            json!({
                "SIGN_IN": { "connections": ["work"] },
                "CONNECTIONS": { "work": { "provider": "google", "client_id": "x" } },
            }),
        )],
        _ => panic!("{variable}"),
    };
    let whole = |(name, change): (&'static str, Value)| {
        let mut all = variables();
        merge(&mut all, &change);
        let mut secrets = json!({ "calendar": "calendar: secret+1%", "code": "code-secret" });
        for name in change["CONNECTIONS"].as_object().into_iter().flat_map(|added| added.keys()) {
            secrets[name] = json!("secret");
        }
        all["PROVIDER_SECRETS"] = json!(secrets.to_string());
        (name, all)
    };
    all.into_iter().map(whole).collect()
}

/// The path of a field in the variables, with a name for `NAME` that the entry has.
fn path(variable: &str, entry: &str, field: &str) -> Vec<String> {
    let name = match field {
        _ if entry == "app" => "installation",
        "variables.NAME" => "tenant",
        _ => "bot",
    };
    let parts = std::iter::once(entry).chain(field.split('.')).filter(|part| !part.is_empty());
    let parts = parts.map(|part| if part == "NAME" { name } else { part });
    std::iter::once(variable).chain(parts).map(str::to_owned).collect()
}

/// Sets a field; `null` removes it.
fn set(variables: &mut Value, path: &[String], value: Value) {
    let (last, tables) = path.split_last().unwrap();
    let table = tables.iter().fold(variables, |table, part| {
        table.as_object_mut().unwrap().entry(part.clone()).or_insert_with(|| json!({}))
    });
    table.as_object_mut().unwrap().remove(last);
    if !value.is_null() {
        table[last] = value;
    }
}

fn is_toml(text: &str) -> bool {
    toml::from_str::<toml::Table>(&format!("value = {text}")).is_ok()
}

/// A value as it is written in TOML.
fn toml(text: &str) -> Value {
    let text = text.replace('\u{1}', "|");
    let table: toml::Table = toml::from_str(&format!("value = {text}")).unwrap();
    serde_json::to_value(&table["value"]).unwrap()
}

/// What must be set beside one field for its example to make sense, in the entry of this name.
fn companions(entry: &str, field: &str) -> Vec<(&'static str, Value)> {
    match (entry, field) {
        ("calendar", "kind") => vec![
            ("issuer", Value::Null),
            ("authorization_endpoint", json!("https://calendar.example/authorize")),
            ("token_endpoint", json!("https://calendar.example/token")),
        ],
        ("code", "first_refresh_grant_type") => vec![("renewal", json!("access_token"))],
        ("agent", "authentication") => {
            vec![("jwks", Value::Null), ("secret_sha256", json!(["00".repeat(32)]))]
        }
        _ => Vec::new(),
    }
}

#[test]
fn every_example_is_accepted_in_some_entry() {
    for Row { variable, field, example, .. } in rows() {
        let example = code(&example).unwrap_or_else(|| panic!("{variable} {field} has no example"));
        let faults = configurations(&variable).into_iter().map(|(entry, mut all)| {
            set(&mut all, &path(&variable, entry, &field), toml(example));
            for (other, value) in companions(entry, &field) {
                set(&mut all, &path(&variable, entry, other), value);
            }
            load_all(&all).err()
        });
        let faults: Vec<_> = faults.collect();
        assert!(faults.contains(&None), "{variable} {field} = {example}: {faults:?}");
    }
}

#[test]
fn every_default_is_what_an_entry_without_the_field_has() {
    let mut checked = 0;
    for Row { variable, field, default, .. } in rows() {
        let Some(default) = code(&default).filter(|code| is_toml(code)) else { continue };
        // The catalogue has its own values.
        let bare = |(entry, _): &(&str, Value)| !matches!(*entry, "app" | "mail");
        let mut same = 0;
        for (entry, all) in configurations(&variable).into_iter().filter(bare) {
            let place = path(&variable, entry, &field);
            let with = |value| {
                let mut all = all.clone();
                let table = &place[..place.len() - 1];
                if field.starts_with("kinds.") {
                    set(&mut all, table, json!({}));
                }
                set(&mut all, &place, value);
                load_all(&all).map(|config| format!("{config:?}"))
            };
            let (Ok(without), Ok(with)) = (with(Value::Null), with(toml(default))) else {
                continue;
            };
            assert_eq!(without, with, "{variable} {field}, in {entry}");
            same += 1;
        }
        assert!(same > 0, "{variable} {field} = {default}: no entry shows it");
        checked += 1;
    }
    assert!(checked > 60, "{checked}");
}

#[test]
fn the_configuration_of_the_page_on_google_calendar_is_valid_below_the_wrangler_toml_of_the_project()
 {
    let read = |path| fs::read_to_string(Path::new(DIRECTORY).join("../..").join(path)).unwrap();
    let page = read("docs/google-calendar.md");
    let (_, text) = page.split_once("```toml\n").unwrap();
    let text = text.split("```").next().unwrap();
    let shipped = read("wrangler.toml");
    let table: toml::Table = toml::from_str(&format!("{shipped}\n{text}")).unwrap();
    let mut all = serde_json::to_value(&table["vars"]).unwrap();
    for name in ["KEY_RING", "OBJECT_NAME_KEY"] {
        all[name] = variables()[name].clone();
    }
    all["PROVIDER_SECRETS"] = json!(r#"{"login":"x","calendar":"x"}"#);
    let config = load_all(&all).unwrap();
    let calendar = &config.connections["calendar"];
    let sent = &calendar.authorization_params;
    assert_eq!((sent["access_type"].as_str(), sent["prompt"].as_str()), ("offline", "consent"));
    assert!(!config.connections["login"].authorization_params.contains_key("access_type"));
}
