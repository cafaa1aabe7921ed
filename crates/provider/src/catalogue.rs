// SPDX-License-Identifier: Apache-2.0
//! The catalogue of providers: `catalogue/<id>.toml`, one file each, with the source of every fact.
//! `build.rs` makes constants of them. Only the entries that a configuration names are ever read.

/// Ids and facts, as JSON in the form of a connection's configuration, by id.
const ENTRIES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// The facts about one provider.
pub fn entry(id: &str) -> Option<&'static str> {
    ENTRIES.iter().find(|(known, _)| *known == id).map(|(_, facts)| *facts)
}

/// All ids, in order.
pub fn ids() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().map(|(id, _)| *id)
}
