// SPDX-License-Identifier: Apache-2.0
//! Checks the configuration in `wrangler.toml` with the Worker's own parser, reports what it means, and
//! sends requests to its issuers and providers. This is a separate program, so that a build of the Worker
//! does not compile the core twice.
#![allow(clippy::disallowed_methods, reason = "the std clocks work here")]

#[path = "../../src/limits.rs"]
mod limits;
mod misplaced;
mod places;
mod report;
mod similar;
mod user_hash;
mod variables;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};
use edge_token_vault::config::{Config, ConfigError};
use lexopt::prelude::{Long, ValueExt};
use serde_json::{Map, Value};

struct Options {
    file: PathBuf,
    environment: Option<String>,
    offline: bool,
    /// Whether to print, instead of a report, what a deployment needs, as JSON for another program.
    json: bool,
    /// Whether to read all variables and secrets as JSON from standard input, and print the first fault, or
    /// `null`, as JSON.
    variables: bool,
    /// The subject whose hash in the log to print, instead of a check.
    user_hash: Option<String>,
    /// The issuer of that subject.
    issuer: Option<String>,
    /// The file with the key of the hash.
    keys: Option<PathBuf>,
}

fn main() -> ExitCode {
    match options().and_then(|options| check(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options> {
    let mut options = Options {
        file: PathBuf::from("wrangler.toml"),
        environment: None,
        offline: false,
        json: false,
        variables: false,
        user_hash: None,
        issuer: None,
        keys: None,
    };
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("config") => options.file = args.value()?.into(),
            Long("env") => options.environment = Some(args.value()?.string()?),
            Long("offline") => options.offline = true,
            Long("json") => options.json = true,
            Long("variables") => options.variables = true,
            Long("user-hash") => options.user_hash = Some(args.value()?.string()?),
            Long("issuer") => options.issuer = Some(args.value()?.string()?),
            Long("keys") => options.keys = Some(args.value()?.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(options)
}

/// Checks the configuration and prints the result. `Ok(false)` if it is invalid or a server failed a check.
fn check(options: &Options) -> Result<bool> {
    if options.variables {
        let given: Map<String, Value> = serde_json::from_reader(std::io::stdin())?;
        println!("{}", variables::fault(&given));
        return Ok(true);
    }
    if let Some(subject) = &options.user_hash {
        println!("{}", user_hash(options, subject)?);
        return Ok(true);
    }
    let config = match load(&read(options)?) {
        Ok(config) => config,
        Err(faults) => {
            eprint!("{}", refusal(&options.file, &faults));
            return Ok(false);
        }
    };
    if options.json {
        println!("{}", report::needs(&config));
        return Ok(true);
    }
    print!("{}", report::text(&config));
    if options.offline {
        return Ok(true);
    }
    ask(&report::questions(&config))
}

/// Reads the variables of a file, which has no secrets. `Err` has what is wrong with the variables as such, or else the
/// first fault in what they contain.
fn load(vars: &Map<String, Value>) -> Result<Config, Vec<String>> {
    let faults = variables::faults(vars);
    if !faults.is_empty() {
        return Err(faults);
    }
    Config::load(&variables::with_secrets(vars.clone())).map_err(|error| {
        let fix = variables::fix(&error, vars);
        vec![ConfigError { fix, ..error }.to_string()]
    })
}

/// What is printed about faults of a file.
fn refusal(file: &Path, faults: &[String]) -> String {
    let lines = faults.iter().map(|fault| format!("error: {}: {fault}\n", file.display()));
    let these = if let [_] = faults { "this first error" } else { "these first errors" };
    let end = format!("Correct {these} and run the check again: others may follow.\n");
    lines.chain([end]).collect()
}

fn read(options: &Options) -> Result<Map<String, Value>> {
    let text = std::fs::read_to_string(&options.file)
        .with_context(|| format!("cannot read {}", options.file.display()))?;
    variables::read(&text, options.environment.as_deref())
        .with_context(|| options.file.display().to_string())
}

/// The hash by which the log names a user.
fn user_hash(options: &Options, subject: &str) -> Result<String> {
    let config = read(options).and_then(|vars| {
        let config = Config::load(&variables::with_secrets(vars));
        config.with_context(|| options.file.display().to_string())
    });
    let config = config.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"));
    let keys = options.keys.as_deref();
    let development =
        keys.and_then(|keys| user_hash::of_development(keys, options.issuer.as_deref()));
    let issuer = match development {
        Some(issuer) => issuer,
        None => user_hash::issuer(options.issuer.clone(), config)?,
    };
    if let Some(note) = issuer.note(subject) {
        eprintln!("NOTE: {note}");
    }
    let key = user_hash::key(options.keys.clone(), options.environment.as_deref())?;
    user_hash::hash(&key, issuer, subject.to_owned())
}

/// Checks the issuers and providers with a script, which prints its findings. Returns whether all passed.
fn ask(questions: &serde_json::Value) -> Result<bool> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../js/check.mjs");
    let mut node = Command::new("node")
        .arg(script)
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start node; without it, use --offline")?;
    if let Some(input) = node.stdin.as_mut() {
        input.write_all(questions.to_string().as_bytes())?;
    }
    Ok(node.wait_with_output()?.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_ends_with_the_advice_to_check_again() {
        let said = |lines: &str| {
            let file = format!("[vars]\nPUBLIC_URL = \"https://vault.example.com\"\n{lines}");
            let faults = load(&variables::read(&file, None).unwrap()).unwrap_err();
            refusal(Path::new("w.toml"), &faults)
        };
        let two_clients = "[vars.CLIENTS.a]\n[vars.CLIENTS.b]\n";
        let one = said(two_clients);
        assert!(one.starts_with("error: w.toml: CLIENTS.a."), "{one}");
        assert!(
            one.ends_with(
                "\nCorrect this first error and run the check again: others may follow.\n"
            )
        );
        assert_eq!(one.lines().count(), 2, "{one}");
        let two = said(&format!("DEBUG = \"1\"\nTRACE = \"1\"\n{two_clients}"));
        assert!(two.ends_with(
            "\nCorrect these first errors and run the check again: others may follow.\n"
        ));
        assert_eq!(two.matches("error: w.toml: ").count(), 2, "{two}");
    }
}
