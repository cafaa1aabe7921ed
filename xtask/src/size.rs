// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask size`: compares the size of the release build with `budget.toml`.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::tools::Tools;
use crate::worker::{BuildOptions, Profile, build};

const BUDGET: &str = "budget.toml";

/// Maximum size of each part after gzip, in bytes.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Budget {
    wasm_gzip: u64,
    script_gzip: u64,
}

/// The output of `bench/size.mjs`.
#[derive(Deserialize)]
struct Size {
    wasm: Part,
    script: Part,
}

#[derive(Deserialize)]
struct Part {
    bytes: u64,
    gzip: u64,
}

pub(crate) fn size_command(root: &Path) -> Result<ExitCode> {
    let budget = fs::read_to_string(root.join(BUDGET)).context("cannot read budget.toml")?;
    let budget: Budget = toml::from_str(&budget).context(BUDGET)?;
    let tools = Tools::ensure(root)?;
    let out_dir = root.join("target/size");
    let options =
        BuildOptions { profile: Profile::Release, test_clock: false, out_dir: out_dir.clone() };
    build(root, &tools, &options)?;
    let mut node = Command::new(tools.node());
    node.arg("bench/size.mjs").arg(&out_dir).current_dir(root);
    let output = node.output().context("cannot start node")?;
    if !output.status.success() {
        bail!("bench/size.mjs failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let size: Size = serde_json::from_slice(&output.stdout).context("bench/size.mjs")?;
    let holds =
        [("wasm", &size.wasm, budget.wasm_gzip), ("script", &size.script, budget.script_gzip)].map(
            |(name, part, most)| {
                let (line, holds) = verdict(name, part, most);
                println!("{line}");
                holds
            },
        );
    if holds.contains(&false) {
        println!(
            "If the change is worth its size, raise the number in {BUDGET} in the same commit."
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn verdict(name: &str, part: &Part, most: u64) -> (String, bool) {
    let holds = part.gzip <= most;
    let said = if holds { "within" } else { "ABOVE" };
    let Part { bytes, gzip } = part;
    (format!("{name}: {gzip} bytes gzip of {bytes}, {said} the budget of {most}"), holds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_may_have_its_budget_and_no_byte_more() {
        let part = |gzip| Part { bytes: 3 * gzip, gzip };
        assert!(verdict("wasm", &part(100), 100).1);
        let (line, holds) = verdict("wasm", &part(101), 100);
        assert!(!holds);
        assert_eq!(line, "wasm: 101 bytes gzip of 303, ABOVE the budget of 100");
    }

    #[test]
    fn the_budget_is_read_whole_and_nothing_else() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(BUDGET);
        assert!(toml::from_str::<Budget>(&fs::read_to_string(file).unwrap()).is_ok());
        assert!(toml::from_str::<Budget>("wasm_gzip = 1").is_err());
        assert!(toml::from_str::<Budget>("wasm_gzip = 1\nscript_gzip = 1\nother = 1").is_err());
    }
}
