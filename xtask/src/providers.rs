// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask providers`: prints the catalogue of providers as a table, and generates
//! docs/providers/catalogue.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

/// The document. Its generated parts are between `<!-- NAME: begin -->` and `<!-- NAME: end -->`.
const DOCUMENT: &str = "docs/providers/catalogue.md";

/// Facts that the vault does not rely on while they have no source; `build.rs` has the same list.
const CAUTIOUS: &[&str] = &include!("../../crates/provider/src/cautious.in");

pub(crate) fn providers_command(root: &Path, write: bool) -> Result<()> {
    let entries = read(root)?;
    if write {
        let file = root.join(DOCUMENT);
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {DOCUMENT}"))?;
        fs::write(&file, updated(&text, &entries)?)?;
        println!("wrote {DOCUMENT}");
        return Ok(());
    }
    let rows = table(&entries);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..).map_while(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    Ok(())
}

/// Reads the catalogue's entries, by id.
fn read(root: &Path) -> Result<BTreeMap<String, Table>> {
    let mut entries = BTreeMap::new();
    for file in fs::read_dir(root.join("crates/provider/src/catalogue"))? {
        let path = file?.path();
        let id = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path)?;
        entries.insert(id, toml::from_str(&text).with_context(|| path.display().to_string())?);
    }
    Ok(entries)
}

/// The document with its generated parts replaced.
fn updated(text: &str, entries: &BTreeMap<String, Table>) -> Result<String> {
    let text = replace(text, "catalogue", &markdown(&table(entries)))?;
    replace(&text, "facts", &facts(entries))
}

fn replace(text: &str, part: &str, content: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- {part}: begin -->\n"), format!("\n<!-- {part}: end -->"));
    let (Some((before, rest)), Some((_, after))) = (text.split_once(&begin), text.split_once(&end))
    else {
        bail!("{DOCUMENT} lacks the part {part}");
    };
    if !rest.contains(&end) {
        bail!("{DOCUMENT}: the part {part} ends before it begins");
    }
    Ok(format!("{before}{begin}{content}{end}{after}"))
}

/// The rows of the overview: a head, then a row for each provider.
fn table(entries: &BTreeMap<String, Table>) -> Vec<Vec<String>> {
    let head =
        ["provider", "name", "refresh token", "renewed ahead", "PKCE", "revocation", "variables"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (id, entry) in entries {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        rows.push(vec![
            id.clone(),
            text("name").to_owned(),
            refresh_token(entry),
            ahead(entry),
            pkce(entry),
            revocation(entry),
            variables(entry),
        ]);
    }
    rows
}

fn refresh_token(entry: &Table) -> String {
    let rotation = entry.get("rotation").and_then(Value::as_str);
    let label = match rotation {
        Some("none") => "stays",
        Some("single_use") => "serves once",
        Some("old_stays_valid") => "new one, old one stays",
        Some("periodic" | "sometimes") => "new one now and then",
        Some("per_app") => "as the app is set up",
        _ => return "-".to_owned(),
    };
    let unsure = |field| if is_cited(entry, field) { "" } else { " (unverified)" };
    let grace = match entry.get("reuse_grace").and_then(Value::as_integer) {
        Some(seconds) if seconds > 0 => {
            format!(", {seconds} s of grace{}", unsure("reuse_grace"))
        }
        _ => String::new(),
    };
    let life = match entry.get("refresh_token_lifetime").and_then(Value::as_integer) {
        Some(seconds) => format!(", {} days", seconds / 86_400),
        None => String::new(),
    };
    format!("{label}{}{grace}{life}", unsure("rotation"))
}

/// Whether the vault renews a token before it expires. It does not where a refresh invalidates the access
/// token that callers still use.
fn ahead(entry: &Table) -> String {
    let ends = entry.get("refresh_ends_access_token").and_then(Value::as_bool);
    match (ends, entry.contains_key("rotation")) {
        (Some(true), _) => "no",
        (_, true) => "yes",
        (_, false) => "-",
    }
    .to_owned()
}

/// Whether the vault sends PKCE, marked as unverified unless a source is cited for it.
fn pkce(entry: &Table) -> String {
    let label = match entry.get("pkce").and_then(Value::as_str) {
        Some("required") => "required",
        Some("refused") => "not sent",
        _ => "sent",
    };
    let unsure = if is_cited(entry, "pkce") { "" } else { " (unverified)" };
    format!("{label}{unsure}")
}

fn revocation(entry: &Table) -> String {
    let open_id = entry.get("kind").and_then(Value::as_str) == Some("oidc");
    let identity = entry.get("identity").and_then(Value::as_table);
    let identifies_user = open_id
        || entry.contains_key("userinfo_endpoint")
        || identity.is_some_and(|identity| identity.contains_key("from"));
    let rules = entry.get("revocation").and_then(Value::as_table);
    let rule = |field: &str| rules.and_then(|rules| rules.get(field)).and_then(Value::as_str);
    if !entry.contains_key("revocation_endpoint") {
        return if open_id && rules.is_some() { "by discovery" } else { "-" }.to_owned();
    }
    match rule("blast").filter(|_| is_cited(entry, "revocation.blast")) {
        Some("token") => "this token",
        Some("app") => "never: would end other users' too",
        _ if !identifies_user => "never: nothing tells whose grant it is",
        _ => "the grant",
    }
    .to_owned()
}

fn variables(entry: &Table) -> String {
    let variables = entry.get("variables").and_then(Value::as_table);
    let shown = variables.into_iter().flatten().map(|(name, variable)| {
        match variable.get("value").and_then(Value::as_str) {
            Some(value) => format!("{name} ({value:?})"),
            None => name.clone(),
        }
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Whether a source address is cited for a field or for the table that contains it.
fn is_cited(entry: &Table, field: &str) -> bool {
    let sources = entry.get("sources").and_then(Value::as_table);
    sources.and_then(|all| source(all, field)).is_some_and(|source| source != "unverified")
}

include!("../../crates/provider/src/sources.in");

/// A section for each provider: its notes, and a table of its facts with their sources.
fn facts(entries: &BTreeMap<String, Table>) -> String {
    let mut out = String::new();
    for (id, entry) in entries {
        let name = entry.get("name").and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(out, "### {name}\n\n`provider = \"{id}\"`\n");
        if let Some(notes) = entry.get("notes").and_then(Value::as_str) {
            let _ = writeln!(out, "{}\n", notes.trim());
        }
        let mut rows = vec![["field", "value", "source"].map(str::to_owned).to_vec()];
        for (field, value) in entry {
            if !matches!(field.as_str(), "name" | "notes" | "sources") {
                fact(entry, field, value, &mut rows);
            }
        }
        let _ = writeln!(out, "{}\n", markdown(&rows));
    }
    out.trim_end().to_owned()
}

/// Adds a row for a field, or a row for each field of a table.
fn fact(entry: &Table, field: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    // A table that is nested deeper is one fact, a map from names to values.
    let depth = field.split('.').count();
    let is_table = depth == 1 || field.starts_with("kinds.") && depth <= 3;
    if let (Value::Table(table), true) = (value, is_table) {
        for (inner, value) in table {
            fact(entry, &format!("{field}.{inner}"), value, rows);
        }
        return;
    }
    let sources = entry.get("sources").and_then(Value::as_table);
    let source = match sources.and_then(|all| source(all, field)) {
        Some("unverified") if CAUTIOUS.contains(&field) => "unverified: not relied on".to_owned(),
        Some("unverified") => "unverified".to_owned(),
        Some(address) => format!("<{address}>"),
        None => String::new(),
    };
    rows.push(vec![format!("`{field}`"), format!("`{value}`"), source]);
}

fn markdown(rows: &[Vec<String>]) -> String {
    let mut lines = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        lines.push(format!("| {} |", cells.join(" | ")));
        if index == 0 {
            lines.push(format!("| {} |", vec!["---"; row.len()].join(" | ")));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_says_what_the_catalogue_says() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let text = fs::read_to_string(root.join(DOCUMENT)).unwrap();
        let now = updated(&text, &read(&root).unwrap()).unwrap();
        assert!(text == now, "run `cargo xtask providers --write`");
    }

    #[test]
    fn a_fact_without_a_source_is_called_unverified() {
        let entry: Table = toml::from_str(
            "rotation = \"none\"\npkce = \"refused\"\n[sources]\n\"https://x\" = [\"pkce\"]\nunverified = [\"rotation\"]",
        )
        .unwrap();
        assert_eq!(refresh_token(&entry), "stays (unverified)");
        let row = |field: &str| {
            let mut rows = Vec::new();
            fact(&entry, field, &entry[field], &mut rows);
            rows.pop().unwrap().pop().unwrap()
        };
        assert_eq!(row("rotation"), "unverified: not relied on");
        assert_eq!(row("pkce"), "<https://x>");
    }
}
