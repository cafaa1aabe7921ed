// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask coverage`: measures how much of the core the native tests cover.
//!
//! The Worker's own code is not measured, because it only runs as wasm; the end-to-end tests run it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::process::run;
use crate::tools::Tools;

/// The crates of the core, and the Worker's package, whose native tests cover them too.
const PACKAGES: [&str; 5] =
    ["vault-base", "vault-jose", "vault-provider", "vault-core", "edge-token-vault"];

pub(crate) fn coverage_command(root: &Path, html: bool) -> Result<ExitCode> {
    let llvm = Llvm::find()?;
    let cargo_llvm_cov = Tools::ensure_cargo_llvm_cov()?;
    let measure = |arguments: &[&str]| {
        let mut command = Command::new(&cargo_llvm_cov);
        command.arg("llvm-cov").args(arguments).current_dir(root);
        llvm.configure(&mut command);
        run(&mut command, "See the output above for the reason.")
    };
    let packages = PACKAGES.iter().flat_map(|package| ["--package", package]);
    // Build scripts are not part of the core. cargo-llvm-cov leaves out test code by default.
    let chosen = ["--locked", "--ignore-filename-regex", "/build\\.rs$"];
    let chosen: Vec<&str> = chosen.into_iter().chain(packages).collect();
    measure(&[&["--summary-only"], &chosen[..]].concat())?;
    if html {
        measure(&[&["--html"], &chosen[..]].concat())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where `llvm-cov` and `llvm-profdata` are. Both must be of the compiler's LLVM version.
enum Llvm {
    /// `cargo-llvm-cov` finds them by itself: through environment variables, or as rustup's component.
    Known,
    /// In this directory, from the distribution's package.
    At(PathBuf),
}

impl Llvm {
    fn find() -> Result<Self> {
        if env::var_os("LLVM_COV").is_some() && env::var_os("LLVM_PROFDATA").is_some() {
            return Ok(Self::Known);
        }
        let rustc = |argument: &[&str]| -> Result<String> {
            let output = Command::new("rustc").args(argument).output().context("no rustc")?;
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let libraries = PathBuf::from(rustc(&["--print", "target-libdir"])?.trim());
        if libraries.with_file_name("bin").join("llvm-profdata").exists() {
            return Ok(Self::Known);
        }
        let version = rustc(&["-vV"])?;
        let major = major(&version).context("rustc does not print its LLVM version")?;
        let debian = PathBuf::from(format!("/usr/lib/llvm-{major}/bin"));
        if !debian.join("llvm-profdata").exists() {
            bail!(
                "there is no llvm-profdata of LLVM {major}: run `rustup component add llvm-tools`, install \
                 Debian's llvm-{major}, or set LLVM_COV and LLVM_PROFDATA"
            );
        }
        Ok(Self::At(debian))
    }

    fn configure(&self, command: &mut Command) {
        if let Self::At(directory) = self {
            command.env("LLVM_COV", directory.join("llvm-cov"));
            command.env("LLVM_PROFDATA", directory.join("llvm-profdata"));
        }
    }
}

/// The major version from a line such as `LLVM version: 22.1.2`.
fn major(version: &str) -> Option<&str> {
    let llvm = version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    llvm.split('.').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_llvm_of_the_compiler_is_known_by_its_first_number() {
        assert_eq!(major("rustc 1.95.0\nLLVM version: 22.1.2\n"), Some("22"));
        assert_eq!(major("rustc 1.95.0\n"), None);
    }
}
