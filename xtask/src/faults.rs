// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask faults`: tries, on the release build, what faults of a provider do to grants, and writes the table of
//! SECURITY.md.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::process::{run, step};
use crate::tools::Tools;
use crate::worker::{BuildOptions, Profile, build};

/// What the Worker is built from.
const SOURCES: [&str; 5] = ["src", "crates", "Cargo.toml", "Cargo.lock", "wrangler.toml"];

/// Tries the named parts, or all of them.
pub(crate) fn faults_command(root: &Path, parts: &[String]) -> Result<ExitCode> {
    let tools = Tools::ensure(root)?;
    let out_dir = root.join("target/faults/build");
    if is_outdated(root, &out_dir.join("entry.js"))? {
        build(
            root,
            &tools,
            &BuildOptions { profile: Profile::Release, test_clock: true, out_dir: out_dir.clone() },
        )?;
    }
    let mut node = Command::new(tools.node());
    node.arg("tests/faults/run.mjs")
        .args(parts)
        .current_dir(root)
        .env("PATH", tools.path()?)
        .env("E2E_BUILD", &out_dir);
    step("trying faults of providers (up to 15 minutes)", || {
        run(&mut node, "See the output above for the reason.")
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a source is newer than the `built` file, or there is no such file.
fn is_outdated(root: &Path, built: &Path) -> Result<bool> {
    let Ok(built) = fs::metadata(built).and_then(|file| file.modified()) else {
        return Ok(true);
    };
    for source in SOURCES {
        if newest(&root.join(source))? > built {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The time of the newest change of a file, or of a file below a directory.
fn newest(path: &Path) -> Result<SystemTime> {
    let unreadable = || format!("cannot read {}", path.display());
    if !path.is_dir() {
        return fs::metadata(path).and_then(|file| file.modified()).with_context(unreadable);
    }
    let mut latest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(path).with_context(unreadable)? {
        latest = latest.max(newest(&entry?.path())?);
    }
    Ok(latest)
}

#[cfg(test)]
mod unit {
    use std::env;
    use std::fs::{create_dir_all, write};

    use super::*;

    #[test]
    fn the_worker_is_built_if_it_is_missing_or_older_than_a_source() {
        let root = env::temp_dir().join(format!("edge-token-vault-faults-{}", std::process::id()));
        create_dir_all(root.join("src/runtime")).unwrap();
        create_dir_all(root.join("crates")).unwrap();
        for file in ["Cargo.toml", "Cargo.lock", "wrangler.toml", "src/runtime/clock.rs"] {
            write(root.join(file), "").unwrap();
        }
        let built = root.join("entry.js");
        assert!(is_outdated(&root, &built).unwrap());
        write(&built, "").unwrap();
        let at = |file: &str, seconds: u64| {
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            fs::File::options()
                .write(true)
                .open(root.join(file))
                .unwrap()
                .set_modified(time)
                .unwrap();
        };
        for file in ["Cargo.toml", "Cargo.lock", "wrangler.toml", "src/runtime/clock.rs"] {
            at(file, 100);
        }
        at("entry.js", 101);
        assert!(!is_outdated(&root, &built).unwrap());
        at("src/runtime/clock.rs", 102);
        assert!(is_outdated(&root, &built).unwrap());
        fs::remove_dir_all(&root).unwrap();
    }
}
