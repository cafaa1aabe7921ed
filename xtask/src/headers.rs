// SPDX-License-Identifier: Apache-2.0
//! Tests that each source file names its licence.

use std::fs;
use std::path::{Path, PathBuf};

const HEADER: &str = "SPDX-License-Identifier: Apache-2.0";

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        // Vendored files have their own licences, and `target` holds build output.
        if path.is_dir() && !["target", "node_modules", "vectors"].contains(&name) {
            sources(&path, found);
        } else if path.extension().is_some_and(|ext| {
            ["rs", "mjs", "js", "ts", "sh", "py"].iter().any(|known| ext == *known)
        }) {
            found.push(path);
        }
    }
}

#[test]
fn every_source_names_its_licence_in_its_first_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    for directory in ["bench", "crates", "examples", "fuzz", "src", "tests", "xtask"] {
        sources(&root.join(directory), &mut found);
    }
    assert!(found.len() > 200, "{}", found.len());
    let nameless: Vec<&PathBuf> = found
        .iter()
        .filter(|path| {
            !fs::read_to_string(path).unwrap().lines().take(2).any(|line| line.contains(HEADER))
        })
        .collect();
    assert!(nameless.is_empty(), "{nameless:?}");
}
