// SPDX-License-Identifier: Apache-2.0
//! Checks that the modules of this crate use only modules of lower layers. Between crates, the compiler
//! checks that.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

/// The layers from the bottom up. Modules of one layer do not use each other.
const LAYERS: [&[&str]; 6] = [
    &["config"],
    &["error", "event", "pages", "placement"],
    &["issuer", "vault"],
    &["connect", "oauth"],
    &["metadata", "message", "reasons", "request_line", "routes"],
    &["warm_up"],
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The modules of this crate that a file names after `crate::`, except in comments.
fn used(text: &str) -> Vec<&str> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let paths = code.flat_map(|line| line.split("crate::").skip(1));
    let end =
        |path: &str| path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
    paths.map(|path| path.split_at(end(path)).0).filter(|name| !name.is_empty()).collect()
}

#[test]
fn no_module_uses_one_above_it_or_beside_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut uses = 0;
    for file in files(&root).into_iter().filter(|file| !file.ends_with("lib.rs")) {
        let module = file.strip_prefix(&root).unwrap().iter().next().unwrap().to_str().unwrap();
        let module = module.trim_end_matches(".rs");
        let own = layer(module).unwrap_or_else(|| panic!("{module} has no layer"));
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("use crate::{"), "{}: name modules one by one", file.display());
        for other in used(&text) {
            let theirs = layer(other).unwrap_or_else(|| panic!("{other} has no layer"));
            assert!(theirs < own || other == module, "{}: uses {other}", file.display());
            uses += 1;
        }
    }
    assert!(uses > 20, "the test found too few uses of modules to be meaningful");
}
