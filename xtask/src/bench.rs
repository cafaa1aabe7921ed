// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask bench`: measures the Worker's speed against other Workers in the same run, and whether its
//! memory stays flat when callers disconnect.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::process::{run, step};
use crate::tools::Tools;
use crate::worker::{BuildOptions, Profile, build};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bench {
    Speed,
    Memory,
}

pub(crate) fn bench_command(root: &Path, what: Bench) -> Result<ExitCode> {
    let tools = Tools::ensure(root)?;
    let out_dir = root.join("target/bench/vault");
    build(
        root,
        &tools,
        &BuildOptions { profile: Profile::Release, test_clock: false, out_dir: out_dir.clone() },
    )?;
    let measure = |arguments: &[&str]| {
        let mut node = Command::new(tools.node());
        node.args(arguments)
            .current_dir(root)
            .env("PATH", tools.path()?)
            .env("BENCH_BUILD", &out_dir);
        run(&mut node, "See the output above for the reason.")
    };
    if what == Bench::Memory {
        step("measuring memory (some minutes)", || measure(&["bench/memory.mjs"]))?;
        return Ok(ExitCode::SUCCESS);
    }
    fs::create_dir_all(root.join("docs")).context("cannot create docs")?;
    step("measuring (some minutes; do not use the machine meanwhile)", || {
        measure(&["bench/run.mjs", "target/bench.json", "docs/speed.svg"])
    })?;
    println!(
        "All numbers are in target/bench.json, the plot is docs/speed.svg. `node bench/report.mjs \
         target/bench.json --write` writes the tables into docs/performance.md."
    );
    Ok(ExitCode::SUCCESS)
}
