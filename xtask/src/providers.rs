// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask providers`: prints the catalogue of providers as a table, generates
//! docs/providers/catalogue.md, and lists the facts that are due to be checked again.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

/// The document. Its generated parts are between `<!-- NAME: begin -->` and `<!-- NAME: end -->`.
const DOCUMENT: &str = "docs/providers/catalogue.md";

/// What stands in the place of an address for a fact without a source.
const UNVERIFIED: &str = "unverified";

/// Facts that the vault does not rely on while they have no source; `build.rs` has the same list.
const CAUTIOUS: &[&str] = &include!("../../crates/provider/src/cautious.in");

/// What `cargo xtask providers` does.
pub(crate) enum Wanted {
    /// Prints the catalogue as a table.
    Table,
    /// Updates the document.
    Document,
    /// Lists the facts whose source was read more than a year before a day.
    Stale(Day),
}

pub(crate) fn providers_command(root: &Path, wanted: &Wanted) -> Result<()> {
    let entries = read(root)?;
    match wanted {
        Wanted::Table => print_table(&table(&entries)),
        Wanted::Document => {
            let file = root.join(DOCUMENT);
            let text =
                fs::read_to_string(&file).with_context(|| format!("cannot read {DOCUMENT}"))?;
            fs::write(&file, updated(&text, &entries)?)?;
            println!("wrote {DOCUMENT}");
        }
        Wanted::Stale(on) => print!("{}", stale(&entries, *on)?),
    }
    Ok(())
}

fn print_table(rows: &[Vec<String>]) {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..).map_while(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// A day of the calendar: year, month, day of the month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(u32, u32, u32);

impl Day {
    /// Today, in UTC.
    ///
    /// # Errors
    /// If the clock is before 1970.
    pub(crate) fn today() -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is wrong")?;
        Ok(Self::since_epoch(now.as_secs() / 86_400))
    }

    /// The day that is so many days after 1970-01-01.
    fn since_epoch(mut days: u64) -> Self {
        let (mut year, mut month) = (1970, 1);
        loop {
            let length = u64::from(length_of(year, month));
            if days < length {
                break;
            }
            days -= length;
            (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        }
        Self(year, month, u32::try_from(days).unwrap_or_default() + 1)
    }

    /// The same day of the year before; for 29 February the day before it.
    fn a_year_before(self) -> Self {
        let year = self.0.saturating_sub(1);
        Self(year, self.1, self.2.min(length_of(year, self.1)))
    }
}

/// How many days a month has, from 1 for January.
fn length_of(year: u32, month: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl FromStr for Day {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('-').collect();
        let read = |part: &str, length| (part.len() == length).then(|| part.parse().ok()).flatten();
        let day = match parts[..] {
            [year, month, day] => read(year, 4)
                .zip(read(month, 2))
                .zip(read(day, 2))
                .map(|((year, month), day)| Self(year, month, day)),
            _ => None,
        };
        day.filter(|day| {
            (1..=12).contains(&day.1) && (1..=length_of(day.0, day.1)).contains(&day.2)
        })
        .with_context(|| format!("{text:?} is not a day; write it as in 2028-01-31"))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(year, month, day) = self;
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// One line for each source that was read more than a year before a day: the provider, the day on which it
/// was read, its address, and the facts that rest on it. One line that says so if there is none.
fn stale(entries: &BTreeMap<String, Table>, on: Day) -> Result<String> {
    let since = on.a_year_before();
    let mut lines = String::new();
    for (id, entry) in entries {
        let days = entry.get("sources").and_then(Value::as_table).into_iter().flatten();
        for (day, read) in days {
            if day.parse::<Day>().with_context(|| format!("{id}: [sources]"))? >= since {
                continue;
            }
            for (address, fields) in read.as_table().into_iter().flatten() {
                let fields = fields.as_array().into_iter().flatten().filter_map(Value::as_str);
                let fields = fields.collect::<Vec<_>>().join(", ");
                let _ = writeln!(lines, "{id}  {day}  {address}  {fields}");
            }
        }
    }
    if lines.is_empty() {
        lines = format!("no fact is stale: every source was read on {since} or later\n");
    }
    Ok(lines)
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
    sources.and_then(|all| source(all, field)).is_some_and(|(_, address)| address != UNVERIFIED)
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
        Some((_, UNVERIFIED)) if CAUTIOUS.contains(&field) => {
            "unverified: not relied on".to_owned()
        }
        Some((_, UNVERIFIED)) => "unverified".to_owned(),
        Some((day, address)) => format!("<{address}>, {day}"),
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
            "rotation = \"none\"\npkce = \"refused\"\n[sources.2026-11-25]\n\"https://x\" = [\"pkce\"]\nunverified = [\"rotation\"]",
        )
        .unwrap();
        assert_eq!(refresh_token(&entry), "stays (unverified)");
        let row = |field: &str| {
            let mut rows = Vec::new();
            fact(&entry, field, &entry[field], &mut rows);
            rows.pop().unwrap().pop().unwrap()
        };
        assert_eq!(row("rotation"), "unverified: not relied on");
        assert_eq!(row("pkce"), "<https://x>, 2026-11-25");
    }
    #[test]
    fn a_source_is_stale_more_than_a_year_after_it_was_read() {
        let entry = |text: &str| toml::from_str::<Table>(text).unwrap();
        let entries = BTreeMap::from([
            (
                "old".to_owned(),
                entry(
                    "[sources.2026-11-25]\n\"https://x\" = [\"pkce\", \"errors\"]\nunverified = [\"rotation\"]\n[sources.2026-11-26]\n\"https://y\" = [\"identity\"]",
                ),
            ),
            ("new".to_owned(), entry("[sources.2027-03-01]\n\"https://z\" = [\"pkce\"]")),
        ]);
        let on = |day: &str| stale(&entries, day.parse().unwrap()).unwrap();
        assert_eq!(
            on("2027-11-25"),
            "no fact is stale: every source was read on 2026-11-25 or later\n"
        );
        let first =
            "old  2026-11-25  https://x  pkce, errors\nold  2026-11-25  unverified  rotation\n";
        assert_eq!(on("2027-11-26"), first);
        let rest = "old  2026-11-26  https://y  identity\n";
        assert_eq!(on("2028-02-29"), format!("{first}{rest}"));
        assert_eq!(on("2028-03-02"), format!("new  2027-03-01  https://z  pkce\n{first}{rest}"));
        // An entry whose day cannot be read is named.
        let broken = BTreeMap::from([("bad".to_owned(), entry("[sources.2026-13-01]"))]);
        let error = format!("{:#}", stale(&broken, Day(2028, 1, 1)).unwrap_err());
        assert_eq!(error, "bad: [sources]: \"2026-13-01\" is not a day; write it as in 2028-01-31");
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (days, text) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_785, "2026-11-28"),
            (21_243, "2028-02-29"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(Day::since_epoch(days).to_string(), text);
            assert_eq!(text.parse::<Day>().unwrap(), Day::since_epoch(days));
        }
        for text in ["2026-02-29", "2026-00-10", "2026-1-10", "26-01-10", "2026-01-00", "today"] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }
}
