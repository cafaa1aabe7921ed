// SPDX-License-Identifier: Apache-2.0
//! Finds the name that was meant by one that is not known.

use edge_token_vault::config::{Names, Unknown};
use edge_token_vault::provider::catalogue;
use serde_json::{Map, Value};

use crate::variables;

/// At most this many names are proposed, and listed only if there are no more.
const FEW: usize = 3;
const LIST: usize = 16;

/// What to say after the fault of `variable` that a name is not known: which name was meant, or else which names
/// there are. `vars` are the variables of the configuration.
pub(crate) fn advice(unknown: &Unknown, variable: &str, vars: &Map<String, Value>) -> String {
    if let Some(place) = place_of_secret(&unknown.name, variable) {
        return place.to_owned();
    }
    let entries;
    let (known, what): (Vec<&str>, _) = match &unknown.of {
        Names::Fields(fields) => (fields.clone(), "the fields here are"),
        Names::Providers => (catalogue::ids().collect(), "the providers are"),
        Names::Entries(table) => {
            entries = variables::entries(vars, table);
            (entries.iter().map(String::as_str).collect(), "its entries are")
        }
    };
    if let Some(question) = did_you_mean(&unknown.name, known.iter().copied()) {
        return question;
    }
    if known.len() <= LIST && !known.is_empty() {
        return format!("{what} {}", known.join(", "));
    }
    match &unknown.of {
        Names::Fields(_) => {
            let table = variables::table_of(variable).unwrap_or(variable);
            format!("docs/configuration.md#{} lists the fields", table.to_lowercase())
        }
        Names::Providers | Names::Entries(_) => String::new(),
    }
}

/// Where a secret belongs that stands in a table.
fn place_of_secret(name: &str, variable: &str) -> Option<&'static str> {
    let is_secret = matches!(name, "secret" | "client_secret" | "private_key");
    match variable {
        _ if !is_secret => None,
        _ if variable.starts_with("CONNECTIONS") => Some(
            "what proves the vault at a provider belongs into PROVIDER_SECRETS, not into a connection",
        ),
        _ if variable.starts_with("CLIENTS") => {
            Some("secrets of clients are never in this file: give the SHA-256 in `secret_sha256`")
        }
        _ => None,
    }
}

/// The question whether one of these names was meant; `None` if none is similar.
pub(crate) fn did_you_mean<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|known| Some((distance(&plain(name), &plain(known))?, known)))
        .collect();
    near.sort_unstable();
    let best = near.first()?.0;
    let names: Vec<String> = near
        .iter()
        .take_while(|(distance, _)| *distance == best)
        .take(FEW)
        .map(|(_, name)| format!("`{name}`"))
        .collect();
    Some(format!("did you mean {}?", names.join(" or ")))
}

/// A name without what other conventions write differently: upper case, hyphens and underscores.
fn plain(name: &str) -> Vec<char> {
    let letters = name.chars().filter(|letter| !matches!(letter, '-' | '_'));
    letters.flat_map(char::to_lowercase).collect()
}

/// How many letters to insert, remove, replace or swap with their neighbour until `one` is `other` (optimal string
/// alignment). `None` if the two are not similar: if that is more than a third of the longer one, and neither
/// begins with the other.
fn distance(one: &[char], other: &[char]) -> Option<usize> {
    const SHORTEST_START: usize = 3;
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, theirs) in other.iter().enumerate() {
            let at =
                |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let replaced = at(&row, j) + usize::from(letter != theirs);
            let mut least = replaced.min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            let swapped = i > 0
                && j > 0
                && one.get(i - 1) == Some(theirs)
                && other.get(j - 1) == Some(letter);
            if swapped {
                least = least.min(at(&before, j - 1) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    let found = row.last().copied()?;
    let shorter = one.len().min(other.len());
    let is_start = shorter >= SHORTEST_START && (one.starts_with(other) || other.starts_with(one));
    (is_start || found * 3 <= one.len().max(other.len())).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_names_are_proposed_and_others_are_not() {
        let known = ["redirect_uris", "origins", "grants", "audiences", "pkce", "kind", "kinds"];
        for (name, expected) in [
            ("redirect_uri", Some("did you mean `redirect_uris`?")),
            ("redirectUris", Some("did you mean `redirect_uris`?")),
            ("origin", Some("did you mean `origins`?")),
            ("grnats", Some("did you mean `grants`?")),
            ("pkec", Some("did you mean `pkce`?")),
            ("aud", Some("did you mean `audiences`?")),
            ("kindz", Some("did you mean `kind` or `kinds`?")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(did_you_mean(name, known).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn an_unknown_name_gets_the_one_that_was_meant_or_all_if_they_are_few() {
        let vars = r#"{"CONNECTIONS": {"calendar": {}}, "CONNECTIONS_2": "{\"chat\":{}}"}"#;
        let vars: Map<String, Value> = serde_json::from_str(vars).unwrap();
        let many: Vec<&str> = vec!["field"; LIST + 1];
        for (name, of, expected) in [
            ("origin", Names::Fields(vec!["origins", "name"]), "did you mean `origins`?"),
            ("colour", Names::Fields(vec!["origins", "name"]), "the fields here are origins, name"),
            ("colour", Names::Fields(many), "docs/configuration.md#clients lists the fields"),
            ("gogle", Names::Providers, "did you mean `google`?"),
            ("calender", Names::Entries("CONNECTIONS"), "did you mean `calendar`?"),
            ("mail", Names::Entries("CONNECTIONS"), "its entries are calendar, chat"),
            ("mail", Names::Entries("APIS"), ""),
        ] {
            let unknown = Unknown { name: name.to_owned(), of };
            assert_eq!(advice(&unknown, "CLIENTS", &vars), expected, "{name}");
        }
        for (variable, expected) in [
            ("ISSUERS", "docs/configuration.md#issuers lists the fields"),
            ("CONNECTIONS_2", "docs/configuration.md#connections lists the fields"),
            ("SIGN_IN", "docs/configuration.md#sign_in lists the fields"),
        ] {
            let of = Names::Fields(vec!["field"; LIST + 1]);
            let unknown = Unknown { name: "colour".to_owned(), of };
            assert_eq!(advice(&unknown, variable, &vars), expected);
        }
        for (variable, name, expected) in [
            (
                "CONNECTIONS_2",
                "client_secret",
                "belongs into PROVIDER_SECRETS, not into a connection",
            ),
            ("CONNECTIONS", "private_key", "belongs into PROVIDER_SECRETS"),
            ("CLIENTS", "secret", "give the SHA-256 in `secret_sha256`"),
            ("ISSUERS", "secret", "the fields here are issuer"),
        ] {
            let unknown = Unknown { name: name.to_owned(), of: Names::Fields(vec!["issuer"]) };
            let said = advice(&unknown, variable, &vars);
            assert!(said.contains(expected), "{variable} {name}: {said}");
        }
    }
}
