// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask coverage`: what of the core the native tests reach.
//!
//! Of the Worker itself nothing is measured, as it runs as wasm alone: the end-to-end tests run it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::process::run;
use crate::tools::Tools;

/// The core, and the package whose tests it has.
const PACKAGES: [&str; 5] =
    ["vault-base", "vault-jose", "vault-provider", "vault-core", "edge-token-vault"];

pub(crate) fn coverage_command(root: &Path, html: bool) -> Result<ExitCode> {
    let llvm = Llvm::find()?;
    let cargo_llvm_cov = Tools::ensure_cargo_llvm_cov()?;
    let measure = |arguments: &[&str]| {
        let mut command = Command::new(&cargo_llvm_cov);
        command.arg("llvm-cov").args(arguments).current_dir(root);
        llvm.tell(&mut command);
        run(&mut command, "The reason stands above.")
    };
    let packages = PACKAGES.iter().flat_map(|package| ["--package", package]);
    // Build scripts are no part of the core; tests are left out by themselves.
    let chosen = ["--locked", "--ignore-filename-regex", "/build\\.rs$"];
    let chosen: Vec<&str> = chosen.into_iter().chain(packages).collect();
    measure(&[&["--summary-only"], &chosen[..]].concat())?;
    if html {
        measure(&[&["--html"], &chosen[..]].concat())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `llvm-cov` and `llvm-profdata`, which must be of the compiler's LLVM.
enum Llvm {
    /// `cargo-llvm-cov` finds them itself: by its environment, or as rustup's component.
    Known,
    /// A distribution's.
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
        let major = major(&version).context("rustc does not tell its LLVM")?;
        let debian = PathBuf::from(format!("/usr/lib/llvm-{major}/bin"));
        if !debian.join("llvm-profdata").exists() {
            bail!(
                "no llvm-profdata of LLVM {major}: `rustup component add llvm-tools`, or Debian's \
                 llvm-{major}, or name LLVM_COV and LLVM_PROFDATA"
            );
        }
        Ok(Self::At(debian))
    }

    fn tell(&self, command: &mut Command) {
        if let Self::At(directory) = self {
            command.env("LLVM_COV", directory.join("llvm-cov"));
            command.env("LLVM_PROFDATA", directory.join("llvm-profdata"));
        }
    }
}

/// Of `LLVM version: 22.1.2`.
fn major(version: &str) -> Option<&str> {
    let told = version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    told.split('.').next()
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
