// SPDX-License-Identifier: Apache-2.0
//! Compiles the catalogue of providers (`src/catalogue/*.toml`) into constants: for each entry its facts as
//! JSON, without their sources. A fact of [`CAUTIOUS`] without a source is left out.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use toml::{Table, Value};

/// Facts that can end grants or widen access if they are wrong. Without a source they are left out, so that
/// the safe default applies.
const CAUTIOUS: &[&str] = &include!("src/cautious.in");

fn main() -> Result<(), Box<dyn Error>> {
    let directory = "src/catalogue";
    println!("cargo:rerun-if-changed={directory}");
    println!("cargo:rerun-if-changed=src/cautious.in");
    println!("cargo:rerun-if-changed=src/sources.in");
    let mut files = Vec::new();
    for file in fs::read_dir(directory)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    let mut out = String::from("&[\n");
    for path in files {
        let id = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let json = entry(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        writeln!(out, "    ({id:?}, {json:?}),")?;
    }
    out.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("catalogue.rs"), out)?;
    Ok(())
}

/// The facts of one entry, as JSON.
fn entry(path: &Path) -> Result<String, Box<dyn Error>> {
    let mut table: Table = toml::from_str(&fs::read_to_string(path)?)?;
    let Some(Value::Table(sources)) = table.remove("sources") else {
        return Err("[sources] is missing".into());
    };
    for text in ["name", "notes"] {
        table.remove(text);
    }
    for &field in CAUTIOUS {
        if !source(&sources, field).is_some_and(|(_, address)| address.starts_with("https://")) {
            remove(&mut table, field);
        }
    }
    Ok(json(&Value::Table(table)))
}

include!("src/sources.in");

fn remove(table: &mut Table, field: &str) {
    match field.split_once('.') {
        None => {
            table.remove(field);
        }
        Some((outer, inner)) => {
            if let Some(Value::Table(inside)) = table.get_mut(outer) {
                inside.remove(inner);
            }
        }
    }
}

fn json(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(json).collect();
            format!("[{}]", items.join(","))
        }
        Value::Table(table) => {
            let members: Vec<String> = table
                .iter()
                .map(|(name, value)| format!("{}:{}", quoted(name), json(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}

/// A JSON string (RFC 8259 §7).
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
