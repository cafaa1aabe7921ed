// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask dev`: runs the Worker and an OpenID provider on this machine.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::dev_config::DevConfig;
use crate::dev_files::{Secrets, lock, write_private};
use crate::process::{spawn_group, step};
use crate::tools::Tools;
use crate::wrangler::{Start, Wrangler};

pub(crate) struct DevOptions {
    /// Whether to exit after the main job.
    pub(crate) once: bool,
    pub(crate) port: u16,
    pub(crate) provider_port: u16,
    pub(crate) app_port: u16,
    pub(crate) with: Option<PathBuf>,
    /// A directory for all files and data; `None` for the places where `wrangler dev` looks by default.
    pub(crate) state: Option<PathBuf>,
}

/// The paths of the files that a development run writes.
struct Places {
    /// Directory of the secrets, `dev.json` and the log.
    directory: PathBuf,
    /// File of the Worker's variables.
    variables: PathBuf,
    /// Directory of the Worker's storage.
    data: PathBuf,
}

impl Places {
    fn new(root: &Path, state: Option<&Path>) -> Self {
        match state {
            None => Self {
                directory: root.join(".dev"),
                variables: root.join(".dev.vars"),
                data: root.join(".wrangler/state"),
            },
            Some(state) => {
                let directory = root.join(state);
                Self {
                    variables: directory.join("worker.vars"),
                    data: directory.join("data"),
                    directory,
                }
            }
        }
    }
}

pub(crate) fn dev_command(root: &Path, options: &DevOptions) -> Result<ExitCode> {
    let places = Places::new(root, options.state.as_deref());
    let directory = &places.directory;
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let _lock = lock(directory)?;
    check_ports(options)?;
    let interrupted = catch_signals()?;

    let run_file = write_files(&places, options)?;
    let tools = Tools::ensure(root)?;
    let mut wrangler = step("starting the Worker (the first build takes minutes)", || {
        let mut wrangler = Wrangler::start(&Start {
            root,
            tools: &tools,
            port: options.port,
            variables: options.state.is_some().then_some(&places.variables),
            data: &places.data,
            log: directory.join("wrangler.log"),
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
        .stdin(Stdio::null());
    if options.once {
        script.arg("--once");
    }
    let mut script = spawn_group(&mut script, "Node comes with the npm packages: run `npm ci`.")?;
    loop {
        if let Some(status) = script.ended()? {
            if !status.success() {
                bail!(
                    "the main job failed ({status}); the Worker's log is {}",
                    directory.join("wrangler.log").display()
                );
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

/// Writes the Worker's variables and the scripts' `run.json`; returns the path of `run.json`.
fn write_files(places: &Places, options: &DevOptions) -> Result<PathBuf> {
    let directory = &places.directory;
    let secrets = Secrets::load_or_make(&directory.join("secrets.json"), &places.data)?;
    let mut config =
        DevConfig::new(options.port, options.provider_port, options.app_port, &secrets);
    if let Some(file) = &options.with {
        config.merge_file(file)?;
    }
    write_private(&places.variables, config.dev_vars(&secrets)?.as_bytes())?;
    let (keys, dev) = (directory.join("provider-keys.json"), directory.join("dev.json"));
    let files = (keys.to_string_lossy(), dev.to_string_lossy());
    let run = config.run_file(options.provider_port, &secrets, (&files.0, &files.1));
    let run_file = directory.join("run.json");
    write_private(&run_file, &serde_json::to_vec_pretty(&run)?)?;
    Ok(run_file)
}

fn check_ports(options: &DevOptions) -> Result<()> {
    let mut ports = vec![(options.port, "--port"), (options.provider_port, "--provider-port")];
    if !options.once {
        ports.push((options.app_port, "--app-port"));
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
