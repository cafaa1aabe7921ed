// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask lint`: every check that is not a test. All of them run, whatever the first one says.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::process::{line_of, run, step};
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
        if let Err(error) = step(&line, || run(&mut command, "The reason stands above.")) {
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

fn commands(tools: &Tools, cargo_deny: &Path) -> Vec<Command> {
    let clippy = ["clippy", "--locked"];
    let strict = ["--", "-D", "warnings"];
    // What carries out, below `src`, exists for wasm only.
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
        doc(&["--workspace"]),
        doc(&wasm),
        // `deny.toml` says why its advisories are not among them.
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
