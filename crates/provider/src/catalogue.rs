// SPDX-License-Identifier: Apache-2.0
//! The catalogue of providers: one file `catalogue/<id>.toml` for each, with the source of every fact.
//! `build.rs` compiles the files into constants. An entry is parsed only if a configuration names it.

/// Id and facts of each provider, sorted by id. The facts are a JSON object with the members of a
/// connection's configuration.
const ENTRIES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// The facts about one provider: a JSON object with the members of a connection's configuration. `None` if
/// the catalogue has no such id.
pub fn entry(id: &str) -> Option<&'static str> {
    ENTRIES.iter().find(|(known, _)| *known == id).map(|(_, facts)| *facts)
}

/// All ids, sorted.
pub fn ids() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().map(|(id, _)| *id)
}
