// SPDX-License-Identifier: Apache-2.0
//! What the commands are, and how to call them.

use anyhow::{Error, Result, anyhow};

/// The help of all commands. Each has a part of its own: a line that is indented by two spaces and begins with the name,
/// and those below it, which are indented further.
pub(crate) const USAGE: &str = "\
Usage: cargo xtask <command>

  bench [memory]
      Compares the speed of the release build with two other Workers; writes target/bench.json and
      docs/speed.svg.
      memory  tests instead whether memory stays flat over 200,000 aborted uploads and as many
              rejected requests
  build [--dev|--release] [--test-clock] [--out-dir DIR]
      Builds the Worker into build/ (or DIR), as a release unless `wrangler dev` runs the command.
      --test-clock  lets tests move the clock; needs an --out-dir other than build/
  check [--config wrangler.toml] [--env NAME] [--offline]
      Checks a configuration without deploying it, and sends requests to its issuers and providers.
      --offline     sends no requests
  coverage [--html]
      Prints how much of the core the native tests cover; needs LLVM's llvm-cov and llvm-profdata.
      --html        also writes a line-by-line report to target/llvm-cov/html
  deploy [--dry-run] [--provider-secrets FILE] [--keys FILE] [--config wrangler.toml] [--env NAME]
      Checks the configuration, generates and sets the secrets that are not set yet, and deploys.
      --dry-run     checks, builds, and prints which secrets it would generate and set; changes nothing
      --provider-secrets  a JSON file of client secrets (and private keys) by connection; it is only read
      --keys        the file for the generated keys; default .secrets/NAME.json
  dev [--once] [--quiet] [--https] [--foreign-issuer] [--with FILE.toml] [--state DIR]
      [--port 8787] [--provider-port 8788] [--app-port 8789]
      Runs the Worker and an OpenID provider on this machine and does the main job once.
      --once        exits after the job; the exit code is 0 only if the job succeeded
      --quiet       prints no line for each request to the Worker
      --https       serves everything with https on localhost, with a certificate of its own
      --foreign-issuer  lets users sign in at the provider, as a trusted issuer, instead of at the vault
      --with        adds connections, clients, issuers, APIs and secrets of your own
      --state       keeps its files and data in DIR instead of .dev, .dev.vars and .wrangler
  faults [table|kill|load|glewlwyd]...
      Tries, on the release build, what faults of a provider do to grants, with the named parts or all
      of them; compares the table in SECURITY.md with what it found.
      table     replies that are lost, late, cut or wrong, with and without rotation
      kill      the runtime is killed at random moments
      load      five minutes of mixed load: memory and state
      glewlwyd  the same questions to another provider, where Debian's glewlwyd is installed
  fuzz [--seconds 600] [token|body|envelope|provider_answer|redirect]...
      Runs the fuzz targets, one after another.
  lint
      Runs all static checks: format, clippy, rustdoc, licences and sources of the dependencies, and
      types and lints of the JavaScript.
  mutants [--shard K/N] [FILE]...
      Changes the code that guards tokens, piece by piece, and reports each change that no native test
      notices. This takes an hour or more.
      --shard       only part K of N, counted from 0
      FILE          only these files
  providers [--write | --stale [--on DAY]]
      Prints the catalogue of providers.
      --write       updates docs/providers/catalogue.md instead
      --stale       lists instead the facts whose source was read more than a year ago
      --on          a year before this day, as in 2028-01-31
  simulate [--seeds N | --refreshes N | --seed S [--trace]] [--exhaustive]
      Runs the core against model providers, faults and crashes, and names each lost grant's cause.
      --seeds       runs this many seeds (default 1000)
      --refreshes   runs seeds until this many refreshes were sent
      --seed        runs one seed; --trace prints what happens
      --exhaustive  goes through all orders of events of small cases instead
  size
      Builds the release and compares its size with budget.toml.
  test [native|simulate|wasm|e2e|clients|fuzz]...
      Runs the named test suites, or all of them.
  user-hash [--issuer URL] [--keys FILE] [--config wrangler.toml] [--env NAME] SUBJECT
      Prints the hash by which the log names the user with this `sub`, so that the user's lines can be found.
      The key is OBJECT_NAME_KEY of the environment, or of the file that the deployment wrote.
      --issuer      the issuer of the user's tokens; not needed if only one is configured, or in development
      --keys        that file; default .secrets/NAME.json
      For a user of `cargo xtask dev`: cargo xtask user-hash --keys .dev/secrets.json 'login|alice'
";

/// The help that the arguments ask for with `--help` or `-h`: of the command that they begin with, or else of all.
///
/// # Errors
/// The command is unknown.
pub(crate) fn wanted(arguments: impl Iterator<Item = String>) -> Result<Option<String>> {
    let arguments: Vec<String> = arguments.collect();
    if !arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return Ok(None);
    }
    match arguments.first().filter(|first| !first.starts_with('-')) {
        Some(command) => of(command).map(Some).ok_or_else(|| unknown(command)),
        None => Ok(Some(USAGE.to_owned())),
    }
}

/// What to say of a command that there is not.
pub(crate) fn unknown(command: &str) -> Error {
    let names: Vec<&str> = USAGE.lines().filter_map(name).collect();
    anyhow!(
        "unknown command {command:?}; the commands are {}. `cargo xtask --help` describes them, `cargo xtask \
         COMMAND --help` one of them",
        names.join(", ")
    )
}

/// The help of one command; `None` if there is no such command.
fn of(command: &str) -> Option<String> {
    let mut lines = USAGE.lines().skip_while(|line| name(line) != Some(command));
    let first = lines.next()?.trim_start();
    let rest = lines.take_while(|line| name(line).is_none()).map(|line| format!("{line}\n"));
    Some(format!("Usage: cargo xtask {first}\n{}", rest.collect::<String>()))
}

/// The name of the command whose part begins with this line.
fn name(line: &str) -> Option<&str> {
    let text = line.strip_prefix("  ").filter(|text| !text.starts_with(' '))?;
    text.split(' ').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(arguments: &[&str]) -> Result<Option<String>, String> {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned());
        super::wanted(arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn the_help_of_a_command_is_its_own_part() {
        let size = "Usage: cargo xtask size\n      Builds the release and compares its size with budget.toml.\n";
        for arguments in [["size", "--help"], ["size", "-h"]] {
            assert_eq!(wanted(&arguments).unwrap().as_deref(), Some(size));
        }
        let dev = wanted(&["dev", "--https", "--help"]).unwrap().unwrap();
        assert!(dev.starts_with("Usage: cargo xtask dev [--once] "), "{dev}");
        assert!(dev.contains("\n      [--port 8787]") && dev.contains("\n      --state "), "{dev}");
        assert!(!dev.contains("faults") && !dev.contains("deploy"), "{dev}");
        let last = wanted(&["user-hash", "--help"]).unwrap().unwrap();
        assert!(last.ends_with(&USAGE[USAGE.len() - 100..]), "{last}");
    }

    #[test]
    fn without_a_command_the_help_is_that_of_all_and_without_asking_there_is_none() {
        for arguments in [["--help"], ["-h"]] {
            assert_eq!(wanted(&arguments).unwrap().as_deref(), Some(USAGE));
        }
        assert_eq!(wanted(&["size"]), Ok(None));
        assert_eq!(wanted(&[]), Ok(None));
    }

    #[test]
    fn an_unknown_command_is_refused_with_the_names_of_all_and_how_to_get_help() {
        let expected = "unknown command \"chekc\"; the commands are bench, build, check, coverage, deploy, dev, \
                        faults, fuzz, lint, mutants, providers, simulate, size, test, user-hash. `cargo xtask \
                        --help` describes them, `cargo xtask COMMAND --help` one of them";
        assert_eq!(unknown("chekc").to_string(), expected);
        assert_eq!(wanted(&["chekc", "--help"]), Err(expected.to_owned()));
    }
}
