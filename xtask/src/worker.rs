// SPDX-License-Identifier: Apache-2.0
//! Builds the Worker with `worker-build`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::limits::too_large;
use crate::process::{run_quietly, step};
use crate::tools::{Tools, WASM_TARGET};

/// The module that the platform loads. It imports what `worker-build` generates.
const ENTRY: &str = "src/runtime/entry.js";

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

impl Profile {
    /// Chooses the profile from wrangler's subcommand, which wrangler passes to custom builds in
    /// `WRANGLER_COMMAND`.
    pub(crate) fn for_caller(wrangler_command: Option<&str>) -> Self {
        if wrangler_command == Some("dev") { Self::Dev } else { Self::Release }
    }

    /// The directory that cargo has for it.
    fn directory(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }
}

pub(crate) struct BuildOptions {
    pub(crate) profile: Profile,
    /// Whether to compile in the clock that tests can move.
    pub(crate) test_clock: bool,
    /// The absolute path of the output directory.
    pub(crate) out_dir: PathBuf,
}

pub(crate) fn build_command(root: &Path, options: &BuildOptions) -> Result<ExitCode> {
    build(root, &Tools::ensure(root)?, options)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn build(root: &Path, tools: &Tools, options: &BuildOptions) -> Result<()> {
    if options.test_clock && options.out_dir == root.join("build") {
        bail!("--test-clock needs another --out-dir: build/ is what gets deployed");
    }
    let configuration =
        fs::read_to_string(root.join("wrangler.toml")).context("cannot read wrangler.toml")?;
    check_variables(&configuration)?;
    let long =
        if is_first_build(root, options.profile) { "; the first build takes minutes" } else { "" };
    step(&format!("building the Worker ({} profile{long})", options.profile.name()), || {
        let mut worker_build = Command::new(tools.worker_build());
        worker_build
            .arg(format!("--{}", options.profile.name()))
            .arg("--out-dir")
            .arg(&options.out_dir)
            .current_dir(root)
            .env("WASM_BINDGEN_BIN", tools.wasm_bindgen())
            .env("WASM_OPT_BIN", tools.package_bin("wasm-opt"))
            .env("ESBUILD_BIN", tools.package_bin("esbuild"))
            .env("PATH", tools.path()?)
            // A backtrace of worker-build itself would hide the compiler's message.
            .env_remove("RUST_BACKTRACE");
        if options.test_clock {
            worker_build.args(["--features", "test-clock"]);
        }
        run_quietly(&mut worker_build, None, "See the output above for the reason.")?;
        if options.profile == Profile::Release {
            strip_names(tools, &options.out_dir.join("index_bg.wasm"))?;
        }
        fs::copy(root.join(ENTRY), options.out_dir.join("entry.js"))
            .with_context(|| format!("cannot copy {ENTRY}"))?;
        Ok(())
    })
}

/// Whether no build of this profile is left, so that the next one compiles everything.
pub(crate) fn is_first_build(root: &Path, profile: Profile) -> bool {
    is_first_build_in(&target(root), profile)
}

fn is_first_build_in(target: &Path, profile: Profile) -> bool {
    let directory = target.join(WASM_TARGET).join(profile.directory());
    !directory.join("edge_token_vault.wasm").exists()
}

/// What to print while the program `check` runs: it is compiled when it runs first.
pub(crate) fn check_title(root: &Path) -> &'static str {
    if target(root).join("debug/check").exists() {
        "checking the configuration"
    } else {
        "checking the configuration (the first time takes a minute or two, to compile the check)"
    }
}

/// The directory of what cargo builds.
fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

/// Removes the function names, which `worker-build` always keeps. They are an eighth of the size.
fn strip_names(tools: &Tools, wasm: &Path) -> Result<()> {
    let mut wasm_opt = Command::new(tools.package_bin("wasm-opt"));
    wasm_opt.args(["--all-features", "--strip-debug"]).arg(wasm).arg("-o").arg(wasm);
    wasm_opt.env("PATH", tools.path()?);
    run_quietly(&mut wasm_opt, None, "See the output above for the reason.")
}

/// Rejects variables that Cloudflare would reject at the deployment, because of their size.
fn check_variables(wrangler_toml: &str) -> Result<()> {
    let file: Value = toml::from_str(wrangler_toml).context("wrangler.toml")?;
    check_table("vars", file.get("vars"))?;
    let environments = file.get("env").and_then(Value::as_object);
    for (name, environment) in environments.into_iter().flatten() {
        check_table(&format!("env.{name}.vars"), environment.get("vars"))?;
    }
    Ok(())
}

fn check_table(place: &str, variables: Option<&Value>) -> Result<()> {
    for (name, value) in variables.and_then(Value::as_object).into_iter().flatten() {
        if let Some(fault) = too_large(name, value) {
            bail!("wrangler.toml [{place}]: {name} {fault}.");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrangler_dev_gets_a_dev_build_and_everybody_else_a_release() {
        assert_eq!(Profile::for_caller(Some("dev")), Profile::Dev);
        assert_eq!(Profile::for_caller(Some("deploy")), Profile::Release);
        assert_eq!(Profile::for_caller(None), Profile::Release);
    }

    #[test]
    fn a_build_is_the_first_until_one_of_its_profile_is_there() {
        let target = std::env::temp_dir().join(format!("first-build-{}", std::process::id()));
        let built = target.join(WASM_TARGET).join("debug");
        assert!(is_first_build_in(&target, Profile::Dev));
        fs::create_dir_all(&built).unwrap();
        fs::write(built.join("edge_token_vault.wasm"), "").unwrap();
        assert!(!is_first_build_in(&target, Profile::Dev));
        assert!(is_first_build_in(&target, Profile::Release));
        fs::remove_dir_all(target).unwrap();
    }

    #[test]
    fn a_variable_that_is_too_large_is_refused_by_its_name() {
        let text = format!("[vars]\nPUBLIC_URL = \"{}\"", "x".repeat(5_001));
        let message = check_variables(&text).unwrap_err().to_string();
        assert!(message.contains("[vars]: PUBLIC_URL has 5001 bytes"), "{message}");
        assert!(check_variables("[vars]\nPUBLIC_URL = \"x\"").is_ok());
    }

    #[test]
    fn variables_of_an_environment_are_checked_too() {
        let text = format!("[env.staging.vars]\nX = \"{}\"", "x".repeat(5_001));
        assert!(check_variables(&text).unwrap_err().to_string().contains("[env.staging.vars]"));
    }
}
