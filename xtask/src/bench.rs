//! `cargo xtask bench`: how fast the Worker is, against others in the same run.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::process::{run, step};
use crate::tools::Tools;
use crate::worker::{BuildOptions, Profile, build};

pub(crate) fn bench_command(root: &Path) -> Result<ExitCode> {
    let tools = Tools::ensure(root)?;
    let out_dir = root.join("target/bench/vault");
    build(
        root,
        &tools,
        &BuildOptions { profile: Profile::Release, test_clock: false, out_dir: out_dir.clone() },
    )?;
    fs::create_dir_all(root.join("docs")).context("cannot make docs")?;
    step("measuring (some minutes; leave the machine alone meanwhile)", || {
        let mut node = Command::new(tools.node());
        node.args(["bench/run.mjs", "target/bench.json", "docs/speed.svg"])
            .current_dir(root)
            .env("PATH", tools.path()?)
            .env("BENCH_BUILD", &out_dir);
        run(&mut node, "The reason stands above.")
    })?;
    println!("target/bench.json has all numbers, docs/speed.svg the plot.");
    Ok(ExitCode::SUCCESS)
}
