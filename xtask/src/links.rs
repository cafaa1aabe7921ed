// SPDX-License-Identifier: Apache-2.0
//! Tests that the documents' links within this repository lead to existing files and headings.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn documents(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let trees = [root.join("docs"), root.join("examples")];
    let mut directories = vec![root.to_owned(), root.join("tests/vectors")];
    directories.extend(trees.clone());
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let is_ours =
                trees.iter().any(|tree| path.starts_with(tree)) && !path.ends_with("node_modules");
            if path.is_dir() && is_ours {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// The anchors of the headings, as GitHub derives them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter_map(|line| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len()).then(|| title.strip_prefix(' ')).flatten()
    });
    headings
        .map(|title| {
            let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase()
        })
        .collect()
}

/// The targets of the links, without web and mail addresses.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let after = text.split("](").skip(1);
    let all = after.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    all.filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

fn is_there(document: &Path, text: &str, target: &str) -> bool {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    if file.is_empty() {
        return anchors(text).contains(anchor);
    }
    let file = document.parent().unwrap().join(file);
    anchor.is_empty() && file.exists()
        || fs::read_to_string(&file).is_ok_and(|text| anchors(&text).contains(anchor))
}

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut dead = Vec::new();
    let mut seen = 0;
    for document in documents(root) {
        let text = fs::read_to_string(&document).unwrap();
        seen += targets(&text).count();
        let broken = targets(&text).filter(|target| !is_there(&document, &text, target));
        dead.extend(broken.map(|target| format!("{}: {target}", document.display())));
    }
    assert!(seen > 10, "{seen}");
    assert_eq!(dead, [""; 0]);
}

/// The files and directories of this repository that a text names in inline code.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split('`').skip(1).step_by(2);
    code.filter(|path| {
        let top = path.split('/').next().unwrap();
        let ours = ["crates", "src", "tests", "docs", "xtask", "fuzz", "bench"].contains(&top);
        ours && path.contains('/') && !path.contains(['<', '*', ' '])
    })
}

#[test]
fn the_recipes_name_files_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    assert!(paths(&text).count() > 20, "{}", paths(&text).count());
    let gone: Vec<&str> = paths(&text).filter(|path| !root.join(path).exists()).collect();
    assert_eq!(gone, [""; 0]);
}

#[test]
fn an_anchor_is_the_title_in_small_letters_without_signs() {
    let text = "# A\nno heading\n## Tokens of a GitHub App's installations\n#[attribute]";
    let expected = ["a", "tokens-of-a-github-apps-installations"].map(str::to_owned);
    assert_eq!(anchors(text), BTreeSet::from(expected));
    assert!(is_there(Path::new("x.md"), text, "#a"));
    assert!(!is_there(Path::new("x.md"), text, "#b"));
}
