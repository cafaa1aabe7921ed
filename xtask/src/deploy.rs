// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask deploy`: checks the configuration, generates and sets missing secrets, and deploys the vault.
//!
//! Keys are never generated a second time: with a new `OBJECT_NAME_KEY` every user would find an empty vault,
//! and without the old `KEY_RING` no stored token could be opened.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::dev_files::{random_key, write_private};
use crate::limits::too_large;
use crate::process::{not_started, run, run_quietly, step};
use crate::tools::Tools;
use crate::worker::check_title;

const KEYS: [&str; 2] = ["OBJECT_NAME_KEY", "KEY_RING"];
const PROVIDER_SECRETS: &str = "PROVIDER_SECRETS";
const LOGIN: &str = "Run `npx wrangler login`, or set CLOUDFLARE_API_TOKEN.";

pub(crate) struct DeployOptions {
    pub(crate) config: PathBuf,
    pub(crate) environment: Option<String>,
    /// A JSON file of [`ProviderSecrets`].
    pub(crate) provider_secrets: Option<PathBuf>,
    /// The file for the generated keys; default `.secrets/NAME.json`.
    pub(crate) keys: Option<PathBuf>,
    pub(crate) dry_run: bool,
}

type Secrets = BTreeMap<String, String>;

/// Secrets by connection: a client secret, or a table with `client_secret` and `private_key`.
type ProviderSecrets = BTreeMap<String, Value>;

pub(crate) fn deploy_command(root: &Path, options: &DeployOptions) -> Result<ExitCode> {
    let tools = Tools::ensure(root)?;
    let deployment = Deployment { root, tools: &tools, options };
    step(check_title(root), || deployment.check())?;
    let given = options.provider_secrets.as_deref().map(read_provider_secrets).transpose()?;
    let (needed, set) = (deployment.needed()?, deployment.secrets_set()?);
    let plan = plan(&set, &needed, given.as_ref())?;
    if plan.provider_secrets.is_empty() && !needed.is_empty() {
        println!(
            "==> {PROVIDER_SECRETS} cannot be read back; it must have entries for: {}",
            needed.join(", ")
        );
    }
    let names = plan.names().join(", ");
    if names.is_empty() {
        println!("==> all secrets are set; none is changed");
    }
    if options.dry_run {
        deployment.say_what_would_be_set(&plan, &names)?;
        step("building what would be deployed", || deployment.build())?;
        println!("Nothing was set and nothing was deployed.");
        return Ok(ExitCode::SUCCESS);
    }
    let secrets = deployment.make(plan)?;
    if !secrets.is_empty() {
        step(&format!("setting {names}"), || deployment.set(&secrets))?;
    }
    step("deploying", || deployment.deploy())?;
    println!("If not done yet, register the redirect URIs above at their providers.");
    Ok(ExitCode::SUCCESS)
}

/// Which secrets to generate and set.
#[derive(Debug, PartialEq)]
struct Plan {
    /// Names of the keys to set; they are generated unless an earlier run left them in the keys file.
    make: Vec<&'static str>,
    /// The parts of [`PROVIDER_SECRETS`] to set, by name; empty if they stay as they are.
    provider_secrets: Secrets,
}

impl Plan {
    /// Names of all secrets to set.
    fn names(&self) -> Vec<&str> {
        self.make.iter().copied().chain(self.provider_secrets.keys().map(String::as_str)).collect()
    }
}

/// Plans which secrets to set, from the names that are already set, the connections that need a client
/// secret, and the provider secrets that were given.
fn plan(
    set: &BTreeSet<String>,
    needed: &[String],
    given: Option<&ProviderSecrets>,
) -> Result<Plan> {
    let missing: Vec<&str> = KEYS.into_iter().filter(|name| !set.contains(*name)).collect();
    if let [missing] = missing[..] {
        bail!(
            "this Worker has only one of {}, so it was deployed before: restore {missing} from your \
             copy with `wrangler secret put {missing}`",
            KEYS.join(" and ")
        );
    }
    let provider_secrets = match given {
        Some(given) => parts(complete(needed, given)?, set)?,
        None if needed.is_empty() || set.contains(PROVIDER_SECRETS) => Secrets::new(),
        None => {
            let form: BTreeMap<&String, &str> = needed.iter().map(|name| (name, "…")).collect();
            bail!(
                "some connections need the client secret that their provider gave you. Write a file \
                 with the content {} and add --provider-secrets with its name",
                json!(form)
            );
        }
    };
    Ok(Plan { make: missing, provider_secrets })
}

/// Returns the given secrets if they are exactly those that the connections need.
fn complete<'a>(needed: &[String], given: &'a ProviderSecrets) -> Result<&'a ProviderSecrets> {
    if let Some(name) = needed.iter().find(|name| !given.contains_key(*name)) {
        bail!("the file of provider secrets has no entry for the connection {name}");
    }
    if let Some(name) = given.keys().find(|name| !needed.contains(name)) {
        bail!("the file of provider secrets names {name}, but no such connection uses a secret");
    }
    Ok(given)
}

/// The provider secrets as Cloudflare takes them: in several secrets if one would be too large, which the Worker
/// reads as one. A part that is set and not used any more becomes empty, because the Worker refuses an entry that is
/// in two of them.
fn parts(secrets: &ProviderSecrets, set: &BTreeSet<String>) -> Result<Secrets> {
    let mut parts: Vec<Map<String, Value>> = vec![Map::new()];
    for (name, value) in secrets {
        let alone = Map::from_iter([(name.clone(), value.clone())]);
        if too_large(PROVIDER_SECRETS, &Value::Object(alone.clone())).is_some() {
            bail!(
                "the secrets of the connection {name} are larger than Cloudflare accepts in one secret"
            );
        }
        let mut with = parts.pop().unwrap_or_default();
        with.extend(alone.clone());
        if too_large(PROVIDER_SECRETS, &Value::Object(with.clone())).is_some() {
            with.remove(name);
            parts.push(with);
            with = alone;
        }
        parts.push(with);
    }
    let name = |index: usize| match index {
        0 => PROVIDER_SECRETS.to_owned(),
        _ => format!("{PROVIDER_SECRETS}_{}", index + 1),
    };
    let used = parts.into_iter().enumerate();
    let mut named: Secrets =
        used.map(|(index, part)| (name(index), Value::Object(part).to_string())).collect();
    let prefix = format!("{PROVIDER_SECRETS}_");
    for stale in set.iter().filter(|name| name.starts_with(&prefix)) {
        named.entry(stale.clone()).or_insert_with(|| "{}".to_owned());
    }
    Ok(named)
}

fn read_provider_secrets(file: &Path) -> Result<ProviderSecrets> {
    let form = "a JSON object from connection to client secret, or to a table of client_secret and \
                private_key";
    let secrets: ProviderSecrets = read_private(file, form)?;
    if secrets.values().all(is_provider_secret) {
        return Ok(secrets);
    }
    bail!("{} must be {form}", file.display())
}

/// Whether this has the form of what proves a Worker at a provider: the client secret, or a table of it
/// and a private key.
pub(crate) fn is_provider_secret(value: &Value) -> bool {
    let texts = |table: &Map<String, Value>| table.values().all(Value::is_string);
    value.is_string() || value.as_object().is_some_and(texts)
}

/// Reads a JSON file of secrets. The parser's error is dropped, because it may quote the content.
fn read_private<T: DeserializeOwned>(file: &Path, form: &str) -> Result<T> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let read = serde_json::from_slice(&bytes).ok();
    read.with_context(|| format!("{} must be {form}", file.display()))
}

struct Deployment<'a> {
    root: &'a Path,
    tools: &'a Tools,
    options: &'a DeployOptions,
}

impl Deployment<'_> {
    fn check(&self) -> Result<()> {
        run(self.checker().arg("--offline"), "Fix the configuration first; see the reason above.")
    }

    fn needed(&self) -> Result<Vec<String>> {
        let output = self.checker().arg("--json").output().context("cannot start cargo")?;
        let needs: Value = serde_json::from_slice(&output.stdout)?;
        let names = needs.get("provider_secrets").context("the check printed no result")?;
        Ok(serde_json::from_value(names.clone())?)
    }

    fn checker(&self) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.args(["run", "--quiet", "--package", "check", "--"]).current_dir(self.root);
        self.add_config(&mut cargo);
        cargo
    }

    fn add_config(&self, command: &mut Command) {
        command.arg("--config").arg(&self.options.config);
        if let Some(environment) = &self.options.environment {
            command.args(["--env", environment]);
        }
    }

    fn wrangler(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(self.tools.node());
        command
            .arg(self.root.join("node_modules/wrangler/bin/wrangler.js"))
            .args(arguments)
            .current_dir(self.root)
            .env("PATH", self.tools.path()?)
            .env("WRANGLER_SEND_METRICS", "false")
            .env("WRANGLER_WRITE_LOGS", "false");
        self.add_config(&mut command);
        Ok(command)
    }

    /// Names of the secrets that the Worker has; empty if there is no such Worker yet.
    fn secrets_set(&self) -> Result<BTreeSet<String>> {
        let mut list = self.wrangler(&["secret", "list", "--format", "json"])?;
        let output = list.output().map_err(|error| not_started(&list, &error, ""))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            return names(&said).context(
                "cannot parse the list of the Worker's secrets, so no keys are generated",
            );
        }
        let said = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
        match NoList::of(&said) {
            NoList::NoWorker => {
                println!("==> this Worker does not exist yet; this is its first deployment");
                Ok(BTreeSet::new())
            }
            NoList::NoLogin => bail!("you are not logged in at Cloudflare. {LOGIN}"),
            NoList::Other => bail!(
                "cannot list the Worker's secrets, so no keys are generated. If the reason is the \
                 login: {LOGIN}\n{said}"
            ),
        }
    }

    /// Returns the secrets to set. Keys are generated if no file has them, and written to a file before they
    /// are set, because they cannot be read back from the platform.
    fn make(&self, plan: Plan) -> Result<Secrets> {
        let mut secrets = match plan.make[..] {
            [] => Secrets::new(),
            _ => self.kept_keys()?.map_or_else(|| self.make_keys(), Ok)?,
        };
        secrets.extend(plan.provider_secrets);
        Ok(secrets)
    }

    /// Prints what [`Self::make`] and [`Self::set`] would do, without generating anything.
    fn say_what_would_be_set(&self, plan: &Plan, names: &str) -> Result<()> {
        if !plan.make.is_empty() && self.kept_keys()?.is_none() {
            let file = self.keys_file();
            println!(
                "==> would generate {} and write them to {}",
                KEYS.join(" and "),
                file.display()
            );
        }
        if !names.is_empty() {
            println!("==> would set {names}");
        }
        Ok(())
    }

    fn keys_file(&self) -> PathBuf {
        let name = self.options.environment.as_deref().unwrap_or("production");
        let default = || self.root.join(".secrets").join(format!("{name}.json"));
        self.options.keys.clone().unwrap_or_else(default)
    }

    /// The keys that an earlier run generated; `None` if there is no keys file.
    fn kept_keys(&self) -> Result<Option<Secrets>> {
        let file = self.keys_file();
        if !file.exists() {
            return Ok(None);
        }
        println!("==> using the keys in {}, which an earlier run generated", file.display());
        let keys: Secrets = read_private(&file, "a JSON object of strings")?;
        if keys.keys().map(String::as_str).ne(BTreeSet::from(KEYS)) {
            bail!("{} must have exactly {}", file.display(), KEYS.join(" and "));
        }
        Ok(Some(keys))
    }

    fn make_keys(&self) -> Result<Secrets> {
        let file = self.keys_file();
        let ring = json!({"write": "k1", "keys": {"k1": random_key()?}});
        let keys = Secrets::from([
            ("OBJECT_NAME_KEY".to_owned(), random_key()?),
            ("KEY_RING".to_owned(), ring.to_string()),
        ]);
        if let Some(directory) = file.parent() {
            fs::create_dir_all(directory)
                .with_context(|| format!("cannot create {}", directory.display()))?;
        }
        write_private(&file, &serde_json::to_vec_pretty(&keys)?)?;
        println!(
            "==> generated {} in {}\n    Store a copy with your passwords, then delete the file. \
             Whoever has the keys and the storage can read all tokens. Without the keys, a deleted Worker \
             cannot be restored.",
            KEYS.join(" and "),
            file.display()
        );
        Ok(keys)
    }

    fn set(&self, secrets: &Secrets) -> Result<()> {
        // Through standard input: every user of the machine can see arguments.
        let input = serde_json::to_vec(secrets)?;
        let next =
            "The secrets could not be set; the same command continues where this one stopped.";
        run_quietly(&mut self.wrangler(&["secret", "bulk"])?, Some(&input), next)
    }

    fn deploy(&self) -> Result<()> {
        let mut deploy = self.wrangler(&["deploy"])?;
        let next = "The secrets are set; the same command continues here.";
        if std::io::stdin().is_terminal() {
            // Wrangler asks before it overwrites what was changed in Cloudflare's dashboard. Without a terminal it
            // would take the answer for granted.
            return run(&mut deploy, next);
        }
        run_quietly(&mut deploy, None, next)
    }

    /// Builds what a deployment would upload, and removes the directories that wrangler creates for it.
    fn build(&self) -> Result<()> {
        let scratch = self.wrangler_scratch();
        let new: Vec<_> = scratch.iter().filter(|directory| !directory.exists()).collect();
        let next = "See the output above for the reason.";
        let built = run_quietly(&mut self.wrangler(&["deploy", "--dry-run"])?, None, next);
        for directory in new {
            // Removes only empty directories: a development run of this checkout may have begun meanwhile.
            let _ = fs::remove_dir(directory);
        }
        built
    }

    /// Directories that wrangler creates beside the configuration, the innermost first.
    fn wrangler_scratch(&self) -> [PathBuf; 2] {
        let hidden = self.root.join(&self.options.config).with_file_name(".wrangler");
        [hidden.join("tmp"), hidden]
    }
}

/// Why wrangler printed no list of secrets.
#[derive(Debug, PartialEq)]
enum NoList {
    NoWorker,
    NoLogin,
    Other,
}

impl NoList {
    fn of(said: &str) -> Self {
        let no_worker = |line: &str| {
            let name = line.split_once("Worker \"").map(|(_, rest)| rest);
            name.is_some_and(|rest| rest.contains("\" not found"))
        };
        if said.lines().any(no_worker) {
            Self::NoWorker
        } else if said.contains("set a CLOUDFLARE_API_TOKEN environment variable") {
            Self::NoLogin
        } else {
            Self::Other
        }
    }
}

/// Reads the names from `[{"name": …}]`, and ignores text that is printed before it.
fn names(said: &str) -> Option<BTreeSet<String>> {
    let list: Vec<Value> = serde_json::from_str(said.get(said.find('[')?..)?).ok()?;
    list.iter().map(|secret| Some(secret.get("name")?.as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn secrets(names: &[&str]) -> ProviderSecrets {
        names.iter().map(|name| ((*name).to_owned(), json!("x"))).collect()
    }

    #[test]
    fn a_first_deployment_makes_both_keys() {
        let plan = plan(&set(&[]), &["a".into()], Some(&secrets(&["a"]))).unwrap();
        let provider_secrets =
            Secrets::from([("PROVIDER_SECRETS".to_owned(), r#"{"a":"x"}"#.to_owned())]);
        assert_eq!(plan, Plan { make: KEYS.to_vec(), provider_secrets });
        assert_eq!(plan.names(), ["OBJECT_NAME_KEY", "KEY_RING", "PROVIDER_SECRETS"]);
    }

    #[test]
    fn a_later_deployment_touches_nothing_that_is_set() {
        let all = set(&["KEY_RING", "OBJECT_NAME_KEY", "PROVIDER_SECRETS"]);
        let plan = plan(&all, &["a".into()], None).unwrap();
        assert_eq!(plan, Plan { make: vec![], provider_secrets: Secrets::new() });
        assert!(plan.names().is_empty());
    }

    #[test]
    fn a_lost_key_is_the_operators_to_restore_and_never_made_anew() {
        for (has, lost) in [("KEY_RING", "OBJECT_NAME_KEY"), ("OBJECT_NAME_KEY", "KEY_RING")] {
            let error = plan(&set(&[has]), &[], None).unwrap_err().to_string();
            assert!(error.contains(&format!("wrangler secret put {lost}")), "{error}");
        }
    }

    #[test]
    fn provider_secrets_are_asked_for_by_name_and_must_fit() {
        let needed = ["a".to_owned(), "b".to_owned()];
        let error = plan(&set(&[]), &needed, None).unwrap_err().to_string();
        assert!(error.contains(r#"{"a":"…","b":"…"}"#), "{error}");
        let error = plan(&set(&[]), &needed, Some(&secrets(&["a"]))).unwrap_err().to_string();
        assert!(error.contains("no entry for the connection b"), "{error}");
        let error = plan(&set(&[]), &needed, Some(&secrets(&["a", "b", "c"]))).unwrap_err();
        assert!(error.to_string().contains("names c"), "{error}");
        assert!(plan(&set(&[]), &[], None).unwrap().provider_secrets.is_empty());
    }

    #[test]
    fn provider_secrets_that_are_too_large_for_one_secret_are_set_in_several() {
        let of = |sizes: &[usize]| -> ProviderSecrets {
            let named = sizes.iter().enumerate();
            named.map(|(index, size)| (format!("c{index}"), json!("x".repeat(*size)))).collect()
        };
        let sizes = |sizes: &[usize], has: &[&str]| -> Vec<(String, usize)> {
            let parts = parts(&of(sizes), &set(has)).unwrap();
            parts.into_iter().map(|(name, part)| (name, part.len())).collect()
        };
        // One entry has its name, its quotes and the braces around it.
        let frame = r#"{"c0":""}"#.len();
        let one = |size| vec![("PROVIDER_SECRETS".to_owned(), size)];
        assert_eq!(sizes(&[], &[]), one(2));
        assert_eq!(sizes(&[5_000 - frame], &[]), one(5_000));
        let three =
            sizes(&[2_000, 2_000, 2_000, 4_000], &["PROVIDER_SECRETS_3", "PROVIDER_SECRETS_9"]);
        let names: Vec<&str> = three.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["PROVIDER_SECRETS", "PROVIDER_SECRETS_2", "PROVIDER_SECRETS_3", "PROVIDER_SECRETS_9"]
        );
        assert!(three.iter().all(|(_, size)| *size <= 5_000));
        assert_eq!(three[3].1, "{}".len());
        let all: Map<String, Value> = parts(&of(&[2_000, 2_000, 2_000, 4_000]), &set(&[]))
            .unwrap()
            .values()
            .flat_map(|part| serde_json::from_str::<Map<String, Value>>(part).unwrap())
            .collect();
        assert_eq!(all.into_iter().collect::<ProviderSecrets>(), of(&[2_000, 2_000, 2_000, 4_000]));
        let error = parts(&of(&[10, 5_001 - frame]), &set(&[])).unwrap_err().to_string();
        assert!(error.contains("the connection c1 are larger") && !error.contains("xx"), "{error}");
    }

    #[test]
    fn only_wranglers_word_that_there_is_no_such_worker_makes_it_a_first_deployment() {
        let cases = [
            ("ERROR Worker \"a-vault\" not found.", NoList::NoWorker),
            (
                "ERROR In a non-interactive environment, it's necessary to set a \
                 CLOUDFLARE_API_TOKEN environment variable for wrangler to work.",
                NoList::NoLogin,
            ),
            ("Authentication error [code: 10000]", NoList::Other),
            ("getaddrinfo: host api.cloudflare.com not found", NoList::Other),
            ("", NoList::Other),
        ];
        for (said, expected) in cases {
            assert_eq!(NoList::of(said), expected, "{said}");
        }
    }

    #[test]
    fn the_list_of_secrets_is_found_after_what_wrangler_says_first() {
        assert_eq!(
            names("warning: x\n[\n {\"name\": \"KEY_RING\"}\n]\n"),
            Some(set(&["KEY_RING"]))
        );
        assert_eq!(names("[]"), Some(set(&[])));
        assert_eq!(names("nothing"), None);
    }
}
