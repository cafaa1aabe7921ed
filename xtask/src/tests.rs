// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask test`: runs the test suites one after another and counts the tests.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Map, json};

use crate::count::Count;
use crate::fuzz::fuzz_all;
use crate::process::{line_of, not_started, run, step};
use crate::tools::{Tools, ensure_packages, ensure_python_packages, remove_dir};
use crate::worker::{BuildOptions, Profile, build};

/// How long each fuzz target runs, in seconds.
const FUZZ_SECONDS: u32 = 5;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Suite {
    /// Tests of the core and of this tool, compiled for this machine.
    Native,
    /// Simulated runs of the core, compiled for this machine with optimisation.
    Simulate,
    /// Tests of code that needs WebCrypto, as wasm under Node.
    Wasm,
    /// Tests of the built Worker in workerd, and `cargo xtask dev --once`.
    EndToEnd,
    /// Tests of the built Worker with clients from npm, `PyPI` and crates.io, which only this suite installs.
    Clients,
    /// The fuzz targets for some seconds each, to test that they build and run.
    Fuzz,
}

impl Suite {
    pub(crate) const ALL: [Self; 6] =
        [Self::Native, Self::Simulate, Self::Wasm, Self::EndToEnd, Self::Clients, Self::Fuzz];

    pub(crate) fn named(name: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|suite| suite.name() == name) {
            Some(suite) => Ok(suite),
            None => {
                let names = Self::ALL.map(Self::name).join(", ");
                bail!("unknown suite {name:?}; there are {names}")
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Simulate => "simulate",
            Self::Wasm => "wasm",
            Self::EndToEnd => "e2e",
            Self::Clients => "clients",
            Self::Fuzz => "fuzz",
        }
    }

    fn run(self, root: &Path) -> Result<Count> {
        match self {
            Self::Native => native(root),
            Self::Simulate => simulate(root),
            Self::Wasm => wasm(root),
            Self::EndToEnd => end_to_end(root),
            Self::Clients => clients(root),
            Self::Fuzz => fuzz_all(root, FUZZ_SECONDS),
        }
    }
}

pub(crate) fn test_command(root: &Path, suites: &[Suite]) -> Result<ExitCode> {
    let mut total = Count::default();
    for suite in suites {
        let name = suite.name();
        let counted = step(&format!("{name} tests"), || Ok(suite.run(root)))?;
        let count = counted.unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            Count::one(false)
        });
        println!("    {name}: {count}");
        total.add(count);
    }
    println!("{total}");
    Ok(if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn native(root: &Path) -> Result<Count> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["test", "--locked", "--workspace", "--exclude", "simulate", "--no-fail-fast"])
        .current_dir(root);
    counted(&mut cargo, Count::read_cargo)
}

fn simulate(root: &Path) -> Result<Count> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["test", "--locked", "--profile", "simulation", "--package", "simulate"])
        .arg("--no-fail-fast")
        .current_dir(root);
    counted(&mut cargo, Count::read_cargo)
}

fn wasm(root: &Path) -> Result<Count> {
    let tools = Tools::ensure(root)?;
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "test",
            "--locked",
            "--target",
            "wasm32-unknown-unknown",
            "--package",
            "edge-token-vault",
            "--test",
            "wasm",
        ])
        .current_dir(root)
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", tools.wasm_test_runner())
        .env("PATH", tools.path()?);
    counted(&mut cargo, Count::read_cargo)
}

/// Tests of the built Worker with the clients that `tests/clients` locks: those of its `package-lock.json`, of
/// `python/*.txt` and of `rust/Cargo.lock`.
fn clients(root: &Path) -> Result<Count> {
    let tools = Tools::ensure(root)?;
    let directory = root.join("tests/clients");
    ensure_packages(&directory)?;
    let mut python = Map::new();
    for name in ["requirements", "requirements-auth0-python"] {
        let requirements = directory.join(format!("python/{name}.txt"));
        let packages = ensure_python_packages(&requirements)?;
        python.insert(name.into(), packages.to_string_lossy().into());
    }
    // In a file, so that a test file can be run alone afterwards.
    let installed = json!({ "python": python, "oauth2": rust_driver(root)? });
    fs::write(root.join("target/clients-installed.json"), installed.to_string())
        .context("cannot write into target")?;
    remove_dir(&root.join("target/clients"))?;
    let mut count = with_worker(root, &tools, test_files(&directory)?)?;
    if count.failed == 0 {
        let mut node = Command::new(tools.node());
        node.arg("tests/clients/write-compatibility.mjs").current_dir(root);
        let written = run(&mut node, "Look at what it wrote, and keep it.");
        if let Err(error) = &written {
            eprintln!("error: {error:#}");
        }
        count.add(Count::one(written.is_ok()));
    }
    Ok(count)
}

/// Builds the program that calls the crate `oauth2`; returns its path.
fn rust_driver(root: &Path) -> Result<PathBuf> {
    let target = root.join("target/clients-rust");
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--quiet", "--locked", "--manifest-path", "tests/clients/rust/Cargo.toml"])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(root);
    step("building the program with the crate oauth2", || {
        run(&mut cargo, "Is the package registry reachable?")
    })?;
    Ok(target.join("debug/oauth2-driver"))
}

fn end_to_end(root: &Path) -> Result<Count> {
    let tools = Tools::ensure(root)?;
    let mut files = test_files(&root.join("tests/e2e"))?;
    files.extend(test_files(&root.join("bench"))?);
    let mut count = with_worker(root, &tools, files)?;
    // The ports are others each time, and each address has data of its own.
    remove_dir(&root.join(DEV_STATE))?;
    fs::write(root.join(WITH), ADDED_CONNECTION).context("cannot write into target/e2e")?;
    for options in [&[][..], &["--with", WITH], &["--foreign-issuer"], &["--https"]] {
        count.add(development_run(root, options)?);
    }
    count.add(refused_development_run(root)?);
    Ok(count)
}

/// Builds the Worker and runs test files that start it in workerd.
fn with_worker(root: &Path, tools: &Tools, files: Vec<PathBuf>) -> Result<Count> {
    let out_dir = root.join("target/e2e/build");
    build(
        root,
        tools,
        &BuildOptions { profile: Profile::Dev, test_clock: true, out_dir: out_dir.clone() },
    )?;
    let mut node = Command::new(tools.node());
    node.args(["--test", "--test-reporter=tap"])
        .args(files)
        .current_dir(root)
        .env("PATH", tools.path()?)
        .env("E2E_BUILD", &out_dir);
    counted(&mut node, Count::read_tap)
}

/// A connection such as a new user adds first. Its name sorts before the connection that the main job uses,
/// and nothing listens at its addresses.
const ADDED_CONNECTION: &str = r#"
[connections.asana]
kind = "oauth2"
client_id = "vault"
client_authentication = "none"
authorization_endpoint = "http://127.0.0.1:1/authorize"
token_endpoint = "http://127.0.0.1:1/token"
"#;

/// The state of the development runs.
const DEV_STATE: &str = "target/e2e/dev";

/// The file of [`ADDED_CONNECTION`].
const WITH: &str = "target/e2e/with.toml";

/// A connection without its secret; the second line names it.
const FAULTY: &str = "\n[connections.tasks]\nprovider = \"github\"\nclient_id = \"1\"\n";

/// Runs `cargo xtask dev --once`, which a new user runs first, and counts it as one test.
fn development_run(root: &Path, options: &[&str]) -> Result<Count> {
    let mut cargo = development(root, options)?;
    let status = cargo.status().map_err(|error| not_started(&cargo, &error, ""))?;
    Ok(judged(status.success(), &line_of(&cargo)))
}

/// Runs it with a faulty configuration, which it must report in the words of the file before it starts anything.
fn refused_development_run(root: &Path) -> Result<Count> {
    let file = "target/e2e/faulty.toml";
    fs::write(root.join(file), FAULTY).context("cannot write into target/e2e")?;
    let mut cargo = development(root, &["--with", file])?;
    let output = cargo.output().map_err(|error| not_started(&cargo, &error, ""))?;
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let told = "faulty.toml:2: [connections.tasks] client_authentication: needs the client secret in [secrets]";
    let passed = output.status.code() == Some(1)
        && stderr.matches(told).count() == 1
        && !stdout.contains("starting the Worker");
    if !passed {
        println!("{stdout}{stderr}");
    }
    Ok(judged(passed, &format!("refused: {}", line_of(&cargo))))
}

fn judged(passed: bool, title: &str) -> Count {
    println!("{} - {title}", if passed { "ok" } else { "not ok" });
    Count::one(passed)
}

fn development(root: &Path, options: &[&str]) -> Result<Command> {
    let (port, provider_port) = free_ports()?;
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "xtask",
            "dev",
            "--once",
            "--port",
            &port.to_string(),
            "--provider-port",
            &provider_port.to_string(),
            // A separate state, so that a development run of this checkout can continue beside the tests.
            "--state",
            DEV_STATE,
        ])
        .args(options)
        .current_dir(root);
    Ok(cargo)
}

fn test_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.to_string_lossy().ends_with(".test.mjs"));
    files.sort();
    if files.is_empty() {
        bail!("no *.test.mjs in {}", directory.display());
    }
    Ok(files)
}

fn free_ports() -> Result<(u16, u16)> {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port");
    let (first, second) = (listen()?, listen()?);
    Ok((first.local_addr()?.port(), second.local_addr()?.port()))
}

/// Runs `command`, shows its output and counts the tests in it.
fn counted(command: &mut Command, mut read: impl FnMut(&mut Count, &str)) -> Result<Count> {
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|error| not_started(command, &error, ""))?;
    let mut count = Count::default();
    let mut terminal = std::io::stdout();
    for line in BufReader::new(child.stdout.take().context("no output")?).split(b'\n') {
        let line = line?;
        let _ = terminal.write_all(&line).and_then(|()| terminal.write_all(b"\n"));
        read(&mut count, &String::from_utf8_lossy(&line));
    }
    let status = child.wait()?;
    if !status.success() {
        println!("    failed ({status}): {}", line_of(command));
    }
    Ok(count.judged(status.success()))
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn suites_have_the_names_that_people_type() {
        for suite in Suite::ALL {
            assert_eq!(Suite::named(suite.name()).unwrap(), suite);
        }
        assert!(Suite::named("all").is_err());
    }
}
