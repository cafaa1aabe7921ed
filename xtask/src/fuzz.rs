// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask fuzz`: runs the targets of `fuzz/`.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::count::Count;
use crate::process::{line_of, not_started, step};
use crate::tools::Tools;

/// The fuzz targets: the parsers of data that the vault receives from outside.
const TARGETS: [&str; 5] = ["token", "body", "envelope", "provider_answer", "redirect"];

/// Largest input, in bytes. Longer inputs reach no further code.
const MAX_LEN: usize = 8192;

pub(crate) fn fuzz_command(root: &Path, seconds: u32, targets: &[String]) -> Result<ExitCode> {
    if let Some(unknown) = targets.iter().find(|target| !TARGETS.contains(&target.as_str())) {
        bail!("unknown target {unknown:?}; there are {}", TARGETS.join(", "));
    }
    let chosen = TARGETS.iter().filter(|name| {
        targets.is_empty() || targets.iter().any(|target| target.as_str() == **name)
    });
    let count = fuzz(root, seconds, chosen.copied(), None)?;
    println!("{count}");
    Ok(if count.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs all targets, and counts each as one test. The inputs are the same in each checkout, so that a change is
/// not blamed for what chance found: `fuzz_command` is what looks for new inputs.
pub(crate) fn fuzz_all(root: &Path, seconds: u32) -> Result<Count> {
    fuzz(root, seconds, TARGETS.into_iter(), Some(1))
}

/// Without a `seed`, libFuzzer chooses one.
fn fuzz(
    root: &Path,
    seconds: u32,
    targets: impl Iterator<Item = &'static str>,
    seed: Option<u32>,
) -> Result<Count> {
    let tools = Tools::ensure_with_fuzzer(root)?;
    let mut count = Count::default();
    for target in targets {
        let corpus = root.join("target/fuzz-corpus").join(target);
        std::fs::create_dir_all(&corpus)?;
        let mut cargo = Command::new(tools.cargo_fuzz());
        cargo
            // Without a sanitizer it works with any toolchain; the code has no `unsafe` for an address
            // sanitizer to check.
            .args(["fuzz", "run", "--release", "--sanitizer", "none", "--target-dir"])
            .arg(root.join("target/fuzz"))
            .arg(target)
            .arg(&corpus)
            .arg(root.join("fuzz/seeds").join(target))
            .args(["--", "-verbosity=0", "-print_final_stats=1"])
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={MAX_LEN}"))
            .args(seed.map(|seed| format!("-seed={seed}")))
            .current_dir(root);
        let status = step(&format!("fuzzing {target} for {seconds} s"), || {
            cargo.status().map_err(|error| not_started(&cargo, &error, ""))
        })?;
        println!("{} - {}", if status.success() { "ok" } else { "not ok" }, line_of(&cargo));
        count.add(Count::one(status.success()));
    }
    Ok(count)
}
