// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask mutants`: changes the code that guards tokens, a little at a time, and says which changes no
//! native test notices.
//!
//! It takes an hour and more, so it is no part of `cargo xtask test`. What it said is in `docs/testing.md`.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::process::{line_of, not_started, step};
use crate::tools::{Tools, remove_dir};

/// What is changed together, and what tests it.
struct Area {
    name: &'static str,
    files: &'static [&'static str],
    /// Arguments for cargo: the test programs that reach these files. Without any, all of the file's own crate.
    /// Others would only be built and linked again for each mutant.
    tests: &'static [&'static str],
}

const AREAS: [Area; 5] = [
    Area { name: "sealing", files: &["crates/base/src/seal.rs"], tests: &[] },
    Area {
        name: "jose",
        files: &[
            "crates/jose/src/access_token.rs",
            "crates/jose/src/algorithm.rs",
            "crates/jose/src/assertion.rs",
            "crates/jose/src/claims.rs",
            "crates/jose/src/id_token.rs",
            "crates/jose/src/jwk.rs",
            "crates/jose/src/jws.rs",
            "crates/jose/src/key_cache.rs",
            "crates/jose/src/lib.rs",
            "crates/jose/src/private_key.rs",
            "crates/jose/src/signature.rs",
            "crates/jose/src/signing.rs",
            "crates/jose/src/trusted_issuer.rs",
            "crates/jose/src/verified.rs",
        ],
        tests: &[],
    },
    Area {
        name: "exchange",
        files: &[
            "crates/core/src/oauth/client_auth.rs",
            "crates/core/src/oauth/exchange/policy.rs",
            "crates/core/src/oauth/exchange/request.rs",
            "crates/core/src/oauth/parameters.rs",
        ],
        tests: &["--package=vault-core", "--test=token_request"],
    },
    Area {
        name: "release",
        files: &["crates/core/src/vault/release.rs"],
        tests: &[
            "--package=vault-core",
            "--test=refresh",
            "--test=issuance",
            "--test=exchange",
            "--test=issue",
        ],
    },
    Area {
        name: "refresh",
        files: &["crates/core/src/vault/refresh.rs", "crates/core/src/vault/renew.rs"],
        tests: &[
            "--package=vault-core",
            "--test=refresh",
            "--test=issuance",
            "--test=exchange",
            "--test=renew",
            "--test=issue",
            "--test=keep",
        ],
    },
];

/// What a run of `cargo-mutants` may end with: nothing missed, something missed, or a test that did not end.
const RAN: [i32; 3] = [0, 2, 3];

pub(crate) fn mutants_command(
    root: &Path,
    shard: Option<&str>,
    files: &[String],
) -> Result<ExitCode> {
    let areas = chosen(files)?;
    let cargo_mutants = Tools::ensure_cargo_mutants()?;
    let out = root.join("target/mutants");
    remove_dir(&out)?;
    let mut told = Vec::new();
    for (area, files) in areas {
        let out_of_area = out.join(area.name);
        fs::create_dir_all(&out_of_area)?;
        let mut command = Command::new(&cargo_mutants);
        // A copy of the sources is changed, which lies elsewhere at each run; what they need is built once.
        command.args(["mutants", "--workspace", "--no-shuffle", "--timeout=60", "--output"]);
        command.arg(&out_of_area).args(["--cargo-arg=--locked"]);
        command.args(area.tests.iter().map(|argument| format!("--cargo-arg={argument}")));
        command.args(files.iter().map(|file| format!("--file={file}")));
        command.args(shard.map(|shard| format!("--shard={shard}")));
        command.env("CARGO_TARGET_DIR", out.join("build")).env("CARGO_PROFILE_DEV_DEBUG", "0");
        command.current_dir(root);
        step(&format!("mutants of {}", area.name), || {
            let next = "The reason stands above.";
            let status = command.status().map_err(|error| not_started(&command, &error, next))?;
            match status.code() {
                Some(code) if RAN.contains(&code) => Ok(()),
                _ => bail!("failed ({status}): {}\n{next}", line_of(&command)),
            }
        })?;
        told.push((area.name, Figures::read(&out_of_area.join("mutants.out"))?));
    }
    for (name, figures) in told {
        println!("{name}: {figures}");
    }
    println!("What was missed stands in target/mutants/AREA/mutants.out/missed.txt.");
    Ok(ExitCode::SUCCESS)
}

/// The areas of these files, each with those of its files that are wanted; all without any.
fn chosen(wanted: &[String]) -> Result<Vec<(&'static Area, Vec<&'static str>)>> {
    let known = |file: &String| AREAS.iter().any(|area| area.files.contains(&file.as_str()));
    if let Some(unknown) = wanted.iter().find(|file| !known(file)) {
        let all: Vec<_> = AREAS.iter().flat_map(|area| area.files).copied().collect();
        bail!("{unknown:?} is in no area; there are\n    {}", all.join("\n    "));
    }
    let is_wanted = |file: &&str| wanted.is_empty() || wanted.iter().any(|one| one == file);
    let areas = AREAS.iter().map(|area| {
        let files: Vec<_> = area.files.iter().copied().filter(is_wanted).collect();
        (area, files)
    });
    Ok(areas.filter(|(_, files)| !files.is_empty()).collect())
}

/// How many mutants ended how.
#[derive(Debug, PartialEq, Eq)]
struct Figures {
    caught: usize,
    missed: usize,
    /// They do not compile.
    unviable: usize,
    /// Their tests did not end.
    timeouts: usize,
}

impl Figures {
    fn read(directory: &Path) -> Result<Self> {
        let count = |name: &str| -> Result<usize> {
            let file = directory.join(name);
            let text = fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            Ok(text.lines().count())
        };
        Ok(Self {
            caught: count("caught.txt")?,
            missed: count("missed.txt")?,
            unviable: count("unviable.txt")?,
            timeouts: count("timeout.txt")?,
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { caught, missed, unviable, timeouts } = self;
        let all = caught + missed + unviable + timeouts;
        write!(
            f,
            "{all} mutants: {caught} caught, {missed} missed, {unviable} unviable, {timeouts} timeouts"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_an_area_exists_in_one_area_alone() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut all: Vec<_> = AREAS.iter().flat_map(|area| area.files).collect();
        assert!(all.iter().all(|file| root.join(file).is_file()), "{all:?}");
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn named_files_choose_their_areas_and_no_name_chooses_all() {
        let names = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|file| (*file).to_owned()).collect();
            chosen(&wanted).map(|areas| {
                areas.into_iter().map(|(area, files)| (area.name, files.len())).collect::<Vec<_>>()
            })
        };
        assert_eq!(names(&[]).unwrap().len(), AREAS.len());
        let two = names(&["crates/jose/src/jwk.rs", "crates/base/src/seal.rs"]).unwrap();
        assert_eq!(two, [("sealing", 1), ("jose", 1)]);
        assert!(names(&["crates/jose/src/none.rs"]).is_err());
    }
}
