// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask lint`: runs every check that is not a test. If one fails, the others still run.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::process::{line_of, run_quietly, step};
use crate::tools::Tools;

const WORKER: &str = "edge-token-vault";
const WASM: &str = "wasm32-unknown-unknown";

pub(crate) fn lint_command(root: &Path) -> Result<ExitCode> {
    let (tools, cargo_deny) = Tools::ensure_with_linters(root)?;
    let path = tools.path()?;
    let mut failed = Vec::new();
    for mut command in commands(&tools, &cargo_deny) {
        command.current_dir(root).env("PATH", &path);
        let line = line_of(&command);
        let next = "See the output above for the reason.";
        if let Err(error) = step(&line, || run_quietly(&mut command, None, next)) {
            eprintln!("error: {error:#}");
            failed.push(line);
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("failed:\n    {}", failed.join("\n    "));
    Ok(ExitCode::FAILURE)
}

const FUZZ: [&str; 4] = ["--manifest-path", "fuzz/Cargo.toml", "--target-dir", "target"];

fn commands(tools: &Tools, cargo_deny: &Path) -> Vec<Command> {
    let clippy = ["clippy", "--locked"];
    let strict = ["--", "-D", "warnings"];
    // The runtime, endpoints and objects below `src` compile for wasm only.
    let wasm = ["-p", WORKER, "--target", WASM, "--all-features"];
    let doc = |place: &[&str]| {
        let mut doc = command("cargo", &[&["doc", "--locked", "--no-deps"], place]);
        doc.env("RUSTDOCFLAGS", "-D warnings");
        doc
    };
    vec![
        command("cargo", &[&["fmt", "--check", "--all"]]),
        command("cargo", &[&clippy, &["--workspace", "--all-targets"], &strict]),
        command("cargo", &[&clippy, &wasm, &["--all-targets"], &strict]),
        // The fuzz targets are no members of the workspace, and call what the others may have changed.
        command("cargo", &[&clippy, &FUZZ, &strict]),
        doc(&["--workspace"]),
        doc(&wasm),
        // `deny.toml` explains why the check `advisories` is missing here.
        command(cargo_deny, &[&["--locked", "check", "licenses", "bans", "sources"]]),
        command(tools.package_bin("tsc"), &[&["--project", "."]]),
        command(tools.package_bin("tsc"), &[&["--project", "tests"]]),
        command(tools.package_bin("biome"), &[&["lint", "--error-on-warnings"]]),
    ]
}

fn command(program: impl AsRef<std::ffi::OsStr>, arguments: &[&[&str]]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments.iter().copied().flatten());
    command
}
