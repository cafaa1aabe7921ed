// SPDX-License-Identifier: Apache-2.0
//! The project's command line: builds, runs, checks, tests and deploys the Worker. It runs natively only.
#![allow(clippy::disallowed_methods, reason = "the std clocks work here; xtask never becomes wasm")]

mod bench;
mod count;
mod coverage;
mod deploy;
mod dev;
mod dev_config;
mod dev_files;
mod faults;
mod fuzz;
#[cfg(test)]
mod headers;
mod help;
mod limits;
#[cfg(test)]
mod links;
mod lint;
mod mutants;
mod process;
mod providers;
mod size;
mod tests;
mod tools;
mod with_file;
mod worker;
mod wrangler;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use lexopt::prelude::{Long, Value, ValueExt};

fn main() -> ExitCode {
    match dispatch() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<ExitCode> {
    if let Some(help) = help::wanted(env::args().skip(1))? {
        print!("{help}");
        return Ok(ExitCode::SUCCESS);
    }
    let root = project_root();
    let mut args = lexopt::Parser::from_env();
    match args.next()? {
        Some(Value(command)) => match command.string()?.as_str() {
            "bench" => bench::bench_command(&root, bench_of(&mut args)?),
            "build" => worker::build_command(&root, &build_options(&root, &mut args)?),
            "check" => check_command(&root, &mut args),
            "coverage" => coverage_command(&root, &mut args),
            "deploy" => deploy::deploy_command(&root, &deploy_options(&mut args)?),
            "faults" => faults_command(&root, &mut args),
            "fuzz" => fuzz_command(&root, &mut args),
            "dev" => dev::dev_command(&root, &dev_options(&mut args)?),
            "lint" => lint::lint_command(&root),
            "mutants" => mutants_command(&root, &mut args),
            "providers" => providers_command(&root, &mut args),
            "simulate" => simulate_command(&root, &mut args),
            "size" => size::size_command(&root),
            "test" => tests::test_command(&root, &test_suites(&mut args)?),
            "user-hash" => user_hash_command(&root, &mut args),
            other => Err(help::unknown(other)),
        },
        Some(other) => Err(other.unexpected().into()),
        None => bail!("no command\n\n{}", help::USAGE),
    }
}

fn bench_of(args: &mut lexopt::Parser) -> Result<bench::Bench> {
    match args.next()? {
        None => Ok(bench::Bench::Speed),
        Some(Value(what)) if what == "memory" => Ok(bench::Bench::Memory),
        Some(other) => Err(other.unexpected().into()),
    }
}

fn coverage_command(root: &Path, args: &mut lexopt::Parser) -> Result<ExitCode> {
    let mut html = false;
    while let Some(arg) = args.next()? {
        match arg {
            Long("html") => html = true,
            other => return Err(other.unexpected().into()),
        }
    }
    coverage::coverage_command(root, html)
}

fn faults_command(root: &Path, args: &mut lexopt::Parser) -> Result<ExitCode> {
    let mut parts = Vec::new();
    while let Some(arg) = args.next()? {
        match arg {
            Value(part) => parts.push(part.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    faults::faults_command(root, &parts)
}

fn mutants_command(root: &Path, args: &mut lexopt::Parser) -> Result<ExitCode> {
    let (mut shard, mut files) = (None, Vec::new());
    while let Some(arg) = args.next()? {
        match arg {
            Long("shard") => shard = Some(args.value()?.string()?),
            Value(file) => files.push(file.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    mutants::mutants_command(root, shard.as_deref(), &files)
}

fn providers_command(root: &Path, args: &mut lexopt::Parser) -> Result<ExitCode> {
    providers::providers_command(root, &providers_wanted(args)?)?;
    Ok(ExitCode::SUCCESS)
}

fn providers_wanted(args: &mut lexopt::Parser) -> Result<providers::Wanted> {
    let (mut write, mut stale, mut on) = (false, false, None);
    while let Some(arg) = args.next()? {
        match arg {
            Long("write") => write = true,
            Long("stale") => stale = true,
            Long("on") => on = Some(args.value()?.string()?.parse().context("--on")?),
            other => return Err(other.unexpected().into()),
        }
    }
    match (write, stale, on) {
        (true, true, _) => bail!("use either --write or --stale"),
        (_, false, Some(_)) => bail!("--on belongs to --stale"),
        (true, false, None) => Ok(providers::Wanted::Document),
        (false, false, None) => Ok(providers::Wanted::Table),
        (false, true, on) => {
            Ok(providers::Wanted::Stale(on.map_or_else(providers::Day::today, Ok)?))
        }
    }
}

fn check_command(root: &Path, args: &mut lexopt::Parser) -> Result<ExitCode> {
    eprintln!("==> {}…", worker::check_title(root));
    check_program(root, args.raw_args()?)
}

fn user_hash_command(root: &Path, args: &mut lexopt::Parser) -> Result<ExitCode> {
    let (mut options, mut subject) = (Vec::new(), None);
    while let Some(arg) = args.next()? {
        match arg {
            Value(text) if subject.is_none() => subject = Some(text),
            Long(name @ ("issuer" | "keys" | "config" | "env")) => {
                options.push(format!("--{name}").into());
                options.push(args.value()?);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let subject = subject.context("whose hash? Give the `sub` of the user's tokens")?;
    // With `=`, because a subject may begin like an option.
    let mut named = OsString::from("--user-hash=");
    named.push(subject);
    options.push(named);
    check_program(root, options)
}

/// Runs the program `check`, which contains the Worker's code; this one does not, to compile faster.
fn check_program(root: &Path, args: impl IntoIterator<Item = OsString>) -> Result<ExitCode> {
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--quiet", "--package", "check", "--"]).args(args);
    let status = cargo.current_dir(root).status().context("cannot start cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn build_options(root: &Path, args: &mut lexopt::Parser) -> Result<worker::BuildOptions> {
    let (mut profile, mut test_clock, mut out_dir) = (None, false, PathBuf::from("build"));
    while let Some(arg) = args.next()? {
        match arg {
            Long("dev") => profile = Some(worker::Profile::Dev),
            Long("release") => profile = Some(worker::Profile::Release),
            Long("test-clock") => test_clock = true,
            Long("out-dir") => out_dir = args.value()?.into(),
            other => return Err(other.unexpected().into()),
        }
    }
    let profile = profile.unwrap_or_else(|| {
        worker::Profile::for_caller(env::var("WRANGLER_COMMAND").ok().as_deref())
    });
    Ok(worker::BuildOptions { profile, test_clock, out_dir: root.join(out_dir) })
}

fn dev_options(args: &mut lexopt::Parser) -> Result<dev::DevOptions> {
    let mut options = dev::DevOptions {
        once: false,
        quiet: false,
        setting: dev_config::Setting {
            port: dev::DEFAULT_PORT,
            provider_port: 8788,
            app_port: 8789,
            https: false,
            foreign_issuer: false,
        },
        with: None,
        state: None,
    };
    let setting = &mut options.setting;
    while let Some(arg) = args.next()? {
        match arg {
            Long("once") => options.once = true,
            Long("quiet") => options.quiet = true,
            Long("https") => setting.https = true,
            Long("foreign-issuer") => setting.foreign_issuer = true,
            Long("port") => setting.port = port("--port", args)?,
            Long("provider-port") => setting.provider_port = port("--provider-port", args)?,
            Long("app-port") => setting.app_port = port("--app-port", args)?,
            Long("with") => options.with = Some(args.value()?.into()),
            Long("state") => options.state = Some(args.value()?.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(options)
}

/// The value of an option that is a port. The errors of `lexopt` about a value do not name the option.
fn port(option: &str, args: &mut lexopt::Parser) -> Result<u16> {
    let text = args.value()?.string()?;
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => bail!("{option} must be a port, from 1 to 65535, not {text:?}"),
    }
}

fn deploy_options(args: &mut lexopt::Parser) -> Result<deploy::DeployOptions> {
    let mut options = deploy::DeployOptions {
        config: PathBuf::from("wrangler.toml"),
        environment: None,
        provider_secrets: None,
        keys: None,
        dry_run: false,
    };
    while let Some(arg) = args.next()? {
        match arg {
            Long("config") => options.config = args.value()?.into(),
            Long("env") => options.environment = Some(args.value()?.string()?),
            Long("provider-secrets") => options.provider_secrets = Some(args.value()?.into()),
            Long("keys") => options.keys = Some(args.value()?.into()),
            Long("dry-run") => options.dry_run = true,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(options)
}

/// The program reads the arguments: it is a separate one, because it is compiled with optimisation.
fn simulate_command(root: &Path, args: &mut lexopt::Parser) -> Result<ExitCode> {
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "run",
            "--quiet",
            "--locked",
            "--profile",
            "simulation",
            "--package",
            "simulate",
            "--",
        ])
        .args(args.raw_args()?)
        .current_dir(root);
    let status = cargo.status().context("cannot start cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn fuzz_command(root: &Path, args: &mut lexopt::Parser) -> Result<ExitCode> {
    let (mut seconds, mut targets) = (600, Vec::new());
    while let Some(arg) = args.next()? {
        match arg {
            Long("seconds") => {
                let text = args.value()?.string()?;
                let Ok(number) = text.parse() else {
                    bail!("--seconds must be a number of seconds, not {text:?}")
                };
                seconds = number;
            }
            Value(name) => targets.push(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    fuzz::fuzz_command(root, seconds, &targets)
}

fn test_suites(args: &mut lexopt::Parser) -> Result<Vec<tests::Suite>> {
    let mut suites = Vec::new();
    while let Some(arg) = args.next()? {
        match arg {
            Value(name) => suites.push(tests::Suite::named(&name.string()?)?),
            other => return Err(other.unexpected().into()),
        }
    }
    if suites.is_empty() {
        suites.extend(tests::Suite::ALL);
    }
    Ok(suites)
}

/// The root of the checkout. `cargo run` sets the package's directory at run time, so a checkout that was
/// moved after compilation still works.
fn project_root() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or_else(|| package.clone(), Path::to_path_buf)
}

#[cfg(test)]
mod unit {
    use super::*;

    fn refusal(arguments: &[&str]) -> String {
        let mut args = lexopt::Parser::from_args(arguments);
        format!("{:#}", dev_options(&mut args).err().unwrap())
    }

    #[test]
    fn an_error_about_an_option_names_it_once() {
        let cases: [(&[&str], &str); 5] = [
            (&["--port", "x"], "--port must be a port, from 1 to 65535, not \"x\""),
            (&["--app-port", "0"], "--app-port must be a port, from 1 to 65535, not \"0\""),
            (
                &["--provider-port=65536"],
                "--provider-port must be a port, from 1 to 65535, not \"65536\"",
            ),
            (&["--with"], "missing argument for option '--with'"),
            (&["--prot", "1"], "invalid option '--prot'"),
        ];
        for (arguments, expected) in cases {
            assert_eq!(refusal(arguments), expected);
        }
    }

    #[test]
    fn the_options_of_a_development_run_are_read() {
        let given = ["--https", "--quiet", "--once", "--foreign-issuer", "--port", "1"];
        let options = dev_options(&mut lexopt::Parser::from_args(given)).unwrap();
        let setting = options.setting;
        assert!(options.quiet && options.once && setting.https && setting.foreign_issuer);
        assert_eq!((setting.port, setting.provider_port), (1, 8788));
    }

    #[test]
    fn the_options_of_the_catalogue_exclude_each_other() {
        let wanted = |arguments: &[&str]| {
            let parsed = providers_wanted(&mut lexopt::Parser::from_args(arguments));
            parsed.map_err(|error| format!("{error:#}"))
        };
        assert!(matches!(wanted(&[]), Ok(providers::Wanted::Table)));
        assert!(matches!(wanted(&["--write"]), Ok(providers::Wanted::Document)));
        assert!(matches!(wanted(&["--stale"]), Ok(providers::Wanted::Stale(_))));
        let Ok(providers::Wanted::Stale(on)) = wanted(&["--stale", "--on", "2028-01-31"]) else {
            panic!("--on is not read");
        };
        assert_eq!(on.to_string(), "2028-01-31");
        for (arguments, expected) in [
            (["--stale", "--write"].as_slice(), "use either --write or --stale"),
            (&["--on", "2028-01-31"], "--on belongs to --stale"),
            (
                &["--stale", "--on", "soon"],
                "--on: \"soon\" is not a day; write it as in 2028-01-31",
            ),
        ] {
            assert_eq!(wanted(arguments).err().unwrap(), expected);
        }
    }
}
