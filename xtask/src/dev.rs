// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask dev`: runs the Worker and an OpenID provider on this machine.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::dev_config::{Certificates, DevConfig, Setting, dotenv};
use crate::dev_files::{Secrets, lock, write_private};
use crate::process::{not_started, run, spawn_group, step};
use crate::tools::Tools;
use crate::with_file::Fault;
use crate::worker::{Profile, check_title, is_first_build};
use crate::wrangler::{Start, Wrangler};

pub(crate) struct DevOptions {
    /// Whether to exit after the main job.
    pub(crate) once: bool,
    /// Whether to print no line for each request.
    pub(crate) quiet: bool,
    pub(crate) setting: Setting,
    pub(crate) with: Option<PathBuf>,
    /// A directory for all files and data; `None` for the places where `wrangler dev` looks by default.
    pub(crate) state: Option<PathBuf>,
}

pub(crate) const DEFAULT_PORT: u16 = 8787;

/// How the script begins the last line that it prints before it waits.
const READY: &str = "Ready.";

/// The paths of the files that a development run writes.
struct Places {
    /// Directory of the secrets, `dev.json` and the log.
    directory: PathBuf,
    /// File of the Worker's variables.
    variables: PathBuf,
    /// Whether variables and storage are where `wrangler dev` looks by default.
    usual: bool,
    /// Directory of the Worker's storage.
    data: PathBuf,
}

impl Places {
    /// Each address of the vault has data of its own: what a vault stores is bound to its address.
    fn new(root: &Path, state: Option<&Path>, setting: Setting) -> Self {
        let Setting { port, https, .. } = setting;
        let usual_address = (port, https) == (DEFAULT_PORT, false);
        let usual = usual_address && state.is_none();
        let scheme = if https { "https" } else { "http" };
        let directory = root.join(state.unwrap_or_else(|| Path::new(".dev")));
        let data = if usual {
            root.join(".wrangler/state")
        } else if usual_address {
            directory.join("data")
        } else {
            directory.join(format!("data-{scheme}-{port}"))
        };
        let variables = if usual { root.join(".dev.vars") } else { directory.join("worker.vars") };
        Self { directory, variables, usual, data }
    }

    /// The directories of data of all addresses.
    fn all_data(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let others = entries.map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with("data") && *path != self.data
        });
        std::iter::once(self.data.clone()).chain(others).collect()
    }
}

pub(crate) fn dev_command(root: &Path, options: &DevOptions) -> Result<ExitCode> {
    let places = Places::new(root, options.state.as_deref(), options.setting);
    let directory = &places.directory;
    fs::create_dir_all(directory).map_err(|error| {
        let option = if options.state.is_some() { "--state " } else { "" };
        anyhow!("{option}{}: the directory cannot be created: {error}", directory.display())
    })?;
    let _lock = lock(directory)?;
    check_ports(options)?;
    let interrupted = catch_signals()?;

    let run_file = write_files(root, &places, options)?;
    let tools = Tools::ensure(root)?;
    let tls = options.setting.https.then(|| Certificates::below(directory));
    if let Some(tls) = &tls {
        let folder = tls.authority.with_file_name("");
        let mut script = Command::new(tools.node());
        script.arg("xtask/js/certificates.mjs").arg(folder).current_dir(root);
        run(&mut script, "Node comes with the npm packages: run `npm ci`.")?;
    }
    let ready = Arc::new(AtomicBool::new(false));
    let log = directory.join("wrangler.log");
    let first = is_first_build(root, Profile::Dev);
    let title = if first {
        "building (the first build takes minutes) and starting the Worker"
    } else {
        "building and starting the Worker"
    };
    let mut wrangler = step(title, || {
        let mut wrangler = Wrangler::start(&Start {
            root,
            tools: &tools,
            port: options.setting.port,
            tls: tls.as_ref(),
            variables: (!places.usual).then_some(&places.variables),
            data: &places.data,
            log: log.clone(),
            show_requests: if options.quiet { Arc::default() } else { Arc::clone(&ready) },
        })?;
        wrangler.wait_until_healthy(&interrupted)?;
        Ok(wrangler)
    })?;

    let mut script = Command::new(tools.node());
    script
        .arg("xtask/js/dev.mjs")
        .arg(&run_file)
        .current_dir(root)
        .env("PATH", tools.path()?)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    if let Some(tls) = &tls {
        script.env("NODE_EXTRA_CA_CERTS", &tls.authority);
    }
    if options.once {
        script.arg("--once");
    }
    let mut script = spawn_group(&mut script, "Node comes with the npm packages: run `npm ci`.")?;
    let output = script.child().stdout.take().context("no output")?;
    let printing = thread::spawn(move || print(output, &ready));
    loop {
        if let Some(status) = script.ended()? {
            let _ = printing.join();
            if !status.success() {
                bail!("the main job failed ({status}); the Worker's log is {}", log.display());
            }
            return Ok(ExitCode::SUCCESS);
        }
        if interrupted.load(Ordering::Relaxed) {
            println!("\n==> stopping the Worker and the provider");
            return Ok(if options.once { ExitCode::FAILURE } else { ExitCode::SUCCESS });
        }
        wrangler.check()?;
        sleep(Duration::from_millis(100));
    }
}

/// Prints the script's output, and sets `ready` once it has printed its last line.
fn print(output: impl Read, ready: &AtomicBool) {
    let mut terminal = std::io::stdout();
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let _ = writeln!(terminal, "{line}");
        if line.starts_with(READY) {
            ready.store(true, Ordering::Relaxed);
        }
    }
}

/// Checks the configuration, then writes the Worker's variables and the scripts' `run.json`; returns the path
/// of `run.json`.
fn write_files(root: &Path, places: &Places, options: &DevOptions) -> Result<PathBuf> {
    let directory = &places.directory;
    let secrets = Secrets::load_or_make(&directory.join("secrets.json"), &places.all_data())?;
    let mut config = DevConfig::new(options.setting, &secrets);
    let with = match &options.with {
        Some(file) => Some((file, config.merge_file(file)?)),
        None => None,
    };
    let variables = config.variables(&secrets);
    if let Some(fault) = step(check_title(root), || fault_of(root, &variables))? {
        match with {
            Some((file, text)) => bail!("{}", fault.in_words_of(file, &text)),
            None => bail!("the development configuration is invalid: {fault}"),
        }
    }
    write_private(&places.variables, dotenv(&variables).as_bytes())?;
    let run_file = directory.join("run.json");
    let run = config.run_file(&secrets, directory);
    write_private(&run_file, &serde_json::to_vec_pretty(&run)?)?;
    Ok(run_file)
}

/// Checks all variables with the Worker's own code, in the program `check`; this one does not contain that
/// code, to compile faster.
fn fault_of(root: &Path, variables: &[(&str, String)]) -> Result<Option<Fault>> {
    let variables: serde_json::Map<_, _> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
    let mut cargo = Command::new("cargo");
    cargo
        .args(["run", "--quiet", "--package", "check", "--", "--variables"])
        .current_dir(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = cargo.spawn().map_err(|error| not_started(&cargo, &error, ""))?;
    // Through standard input: every user of the machine can see arguments.
    child.stdin.take().context("no input")?.write_all(&serde_json::to_vec(&variables)?)?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("the configuration could not be checked; see the output above for the reason");
    }
    serde_json::from_slice(&output.stdout).context("the check printed no result")
}

fn check_ports(options: &DevOptions) -> Result<()> {
    let Setting { port, provider_port, app_port, .. } = options.setting;
    let mut ports = vec![(port, "--port"), (provider_port, "--provider-port")];
    if !options.once {
        ports.push((app_port, "--app-port"));
    }
    for (index, (port, flag)) in ports.iter().copied().enumerate() {
        if let Some((_, other)) = ports.iter().take(index).find(|(taken, _)| *taken == port) {
            bail!("{other} and {flag} are the same: {port}");
        }
        if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            bail!("port {port} cannot be used ({error}); choose another with {flag}");
        }
    }
    Ok(())
}

/// Installs handlers that only set a flag, so that this program can stop its children before it exits.
fn catch_signals() -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))
            .context("cannot handle signals")?;
    }
    Ok(interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_of_the_vault_has_its_own_data_and_wrangler_finds_those_of_its_own() {
        let places = |state: Option<&str>, port, https| {
            let (provider_port, app_port, foreign_issuer) = (8788, 8789, false);
            let setting = Setting { port, provider_port, app_port, https, foreign_issuer };
            Places::new(Path::new("/r"), state.map(Path::new), setting)
        };
        let data = |state, port, https| places(state, port, https).data;
        assert_eq!(data(None, 8787, false), Path::new("/r/.wrangler/state"));
        assert_eq!(data(None, 8787, true), Path::new("/r/.dev/data-https-8787"));
        assert_eq!(data(Some("s"), 8787, false), Path::new("/r/s/data"));
        assert_eq!(data(Some("s"), 9000, false), Path::new("/r/s/data-http-9000"));
        // `wrangler dev` without options uses port 8787 and http.
        assert_eq!(places(None, 8787, false).variables, Path::new("/r/.dev.vars"));
        for other in [places(None, 8787, true), places(None, 9000, false)] {
            assert_eq!(other.variables, Path::new("/r/.dev/worker.vars"));
            assert!(!other.usual);
        }
    }
}
