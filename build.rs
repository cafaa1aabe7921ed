// SPDX-License-Identifier: Apache-2.0
//! Gives the Worker a name for its own code: a hash of its sources and its dependencies, in `VAULT_BUILD`. An object
//! lends tokens only to Workers of the same code.

#![allow(clippy::expect_used)]

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

fn main() {
    let mut hasher = DefaultHasher::new();
    for source in ["Cargo.lock", "src", "crates"] {
        println!("cargo::rerun-if-changed={source}");
        read(Path::new(source), &mut hasher);
    }
    println!("cargo::rustc-env=VAULT_BUILD={:016x}", hasher.finish());
}

fn read(path: &Path, hasher: &mut DefaultHasher) {
    path.hash(hasher);
    if !path.is_dir() {
        fs::read(path).expect("a source is readable").hash(hasher);
        return;
    }
    let entries = fs::read_dir(path).expect("a folder of sources is readable");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| !path.ends_with("tests")) {
        read(path, hasher);
    }
}
