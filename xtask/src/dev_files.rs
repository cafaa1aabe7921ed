// SPDX-License-Identifier: Apache-2.0
//! The secrets of a development run, and files that only their owner can read.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::tools::remove_dir;

const OWNER_ONLY: u32 = 0o600;

/// Development secrets, generated once per state directory. Each is 32 random bytes in base64url.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secrets {
    pub(crate) sealing_key: String,
    pub(crate) object_name_key: String,
    pub(crate) backend_client: String,
    pub(crate) provider_client: String,
    /// Empty in files of versions that had no such client.
    #[serde(default)]
    pub(crate) web_client: String,
}

impl Secrets {
    /// Reads the secrets from `file`. If there is no file, generates secrets and removes the directories
    /// `states` that were sealed with earlier ones.
    pub(crate) fn load_or_make(file: &Path, states: &[PathBuf]) -> Result<Self> {
        match fs::read(file) {
            Ok(bytes) => {
                let read = serde_json::from_slice(&bytes).map_err(|_| {
                    anyhow!(
                        "{} is damaged; delete it, and the next start generates new secrets",
                        file.display()
                    )
                });
                let mut secrets: Self = read?;
                if secrets.web_client.is_empty() {
                    secrets.web_client = random_key()?;
                    write_private(file, &serde_json::to_vec_pretty(&secrets)?)?;
                }
                Ok(secrets)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                for state in states.iter().filter(|state| state.exists()) {
                    println!(
                        "==> there are no development secrets: removing {}, which cannot be read without them",
                        state.display()
                    );
                    remove_dir(state)?;
                }
                let secrets = Self::random()?;
                write_private(file, &serde_json::to_vec_pretty(&secrets)?)?;
                println!("==> generated development secrets in {}", file.display());
                Ok(secrets)
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    fn random() -> Result<Self> {
        Ok(Self {
            sealing_key: random_key()?,
            object_name_key: random_key()?,
            backend_client: random_key()?,
            provider_client: random_key()?,
            web_client: random_key()?,
        })
    }

    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self {
            sealing_key: "seal".into(),
            object_name_key: "names".into(),
            backend_client: "backend-secret".into(),
            provider_client: "provider-secret".into(),
            web_client: "web-secret".into(),
        }
    }
}

/// Returns 32 random bytes in base64url, for a sealing key, the key of object names or a client secret.
pub(crate) fn random_key() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no random bytes: {error}"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Writes a file and sets its mode so that only its owner can read it, even if it existed with another mode.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(OWNER_ONLY)
            .open(path)?;
        file.set_permissions(Permissions::from_mode(OWNER_ONLY))?;
        file.write_all(content)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Locks a development run's directory, because two runs would overwrite each other's files. `Err` if
/// another run holds the lock. Dropping the file unlocks it.
pub(crate) fn lock(directory: &Path) -> Result<File> {
    let file = File::create(directory.join("lock"))
        .with_context(|| format!("cannot write to {}", directory.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("`cargo xtask dev` already runs in this checkout; stop it first")
        }
        Err(TryLockError::Error(error)) => Err(error).context("cannot lock .dev"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> std::path::PathBuf {
        let directory = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        remove_dir(&directory).unwrap();
        fs::create_dir_all(directory.join("state")).unwrap();
        directory
    }

    #[test]
    fn secrets_are_made_once_and_new_ones_drop_the_old_state() {
        let directory = scratch("secrets");
        let (file, state) = (directory.join("secrets.json"), directory.join("state"));
        let made = Secrets::load_or_make(&file, std::slice::from_ref(&state)).unwrap();
        assert!(!state.exists());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, OWNER_ONLY);
        assert_eq!(URL_SAFE_NO_PAD.decode(&made.sealing_key).unwrap().len(), 32);

        fs::create_dir(&state).unwrap();
        let read = Secrets::load_or_make(&file, std::slice::from_ref(&state)).unwrap();
        assert!(state.exists());
        assert!(read.sealing_key == made.sealing_key);
        remove_dir(&directory).unwrap();
    }

    #[test]
    fn a_secret_that_an_earlier_version_did_not_have_is_added_and_the_others_stay() {
        let directory = scratch("added");
        let (file, state) = (directory.join("secrets.json"), directory.join("state"));
        let earlier = r#"{"sealing_key":"a","object_name_key":"b","backend_client":"c","provider_client":"d"}"#;
        fs::write(&file, earlier).unwrap();
        let first = Secrets::load_or_make(&file, std::slice::from_ref(&state)).unwrap();
        assert!(state.exists() && first.sealing_key == "a" && first.web_client.len() == 43);
        assert!(
            Secrets::load_or_make(&file, std::slice::from_ref(&state)).unwrap().web_client
                == first.web_client
        );
        remove_dir(&directory).unwrap();
    }

    #[test]
    fn a_file_others_could_read_is_closed_to_them() {
        let directory = scratch("private");
        let file = directory.join("vars");
        fs::write(&file, "old and longer").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        write_private(&file, b"new").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, OWNER_ONLY);
        assert_eq!(fs::read(&file).unwrap(), b"new");
        remove_dir(&directory).unwrap();
    }

    #[test]
    fn a_second_run_in_the_same_checkout_is_refused() {
        let directory = scratch("lock");
        let held = lock(&directory).unwrap();
        assert!(lock(&directory).unwrap_err().to_string().contains("already runs"));
        drop(held);
        assert!(lock(&directory).is_ok());
        remove_dir(&directory).unwrap();
    }
}
