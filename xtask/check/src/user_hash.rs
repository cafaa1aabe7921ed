// SPDX-License-Identifier: Apache-2.0
//! Computes the hash by which the log names a user: `cargo xtask user-hash`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use edge_token_vault::config::Config;
use edge_token_vault::encoding;
use edge_token_vault::ids::{ObjectNames, UserId};
use serde_json::Value;

use crate::similar::did_you_mean;

/// The variable of the environment that may have the key: arguments can be seen by every user of the machine.
const KEY: &str = "OBJECT_NAME_KEY";
/// The name of the key in the secrets of a development run.
const DEVELOPMENT_KEY: &str = "object_name_key";
/// The file next to those secrets that describes the run.
const DEVELOPMENT_RUN: &str = "run.json";

/// Reads the key of object names: from the file, if one is given, else from the environment, else from the file
/// that a deployment wrote. No error shows it.
pub(crate) fn key(file: Option<PathBuf>, environment: Option<&str>) -> Result<String> {
    let set = std::env::var(KEY).ok().filter(|key| !key.is_empty());
    if let (None, Some(key)) = (&file, set) {
        return Ok(key);
    }
    let written =
        || PathBuf::from(format!(".secrets/{}.json", environment.unwrap_or("production")));
    let file = file.unwrap_or_else(written);
    let text = fs::read_to_string(&file).with_context(|| {
        format!(
            "cannot read {}. Give the key of the deployment in the environment variable {KEY}, or with --keys \
             the file that `cargo xtask deploy` wrote (in development .dev/secrets.json)",
            file.display()
        )
    })?;
    let keys: Option<Value> = serde_json::from_str(&text).ok();
    let key = keys.as_ref().and_then(|keys| keys.get(KEY).or_else(|| keys.get(DEVELOPMENT_KEY)));
    let key = key.and_then(Value::as_str);
    Ok(key.with_context(|| format!("{} has no {KEY}", file.display()))?.to_owned())
}

/// The issuer of a user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UserIssuer {
    identifier: String,
    /// Whether it is the vault itself, whose subjects are a connection, `|` and the id there.
    is_vault: bool,
}

impl UserIssuer {
    /// Something to tell with the hash: that users of the vault have other subjects than this one.
    pub(crate) fn note(&self, subject: &str) -> Option<String> {
        (self.is_vault && !subject.contains('|')).then(|| {
            format!(
                "users who sign in at the vault have subjects such as `login|alice`: the connection, `|`, and the \
                 user's id at its provider; `{subject}` has no `|`"
            )
        })
    }
}

/// The issuer of the user in a development run, whose configuration is not in `wrangler.toml`: the given one, or
/// else that of the run. `None` if `keys` are not the secrets of a development run.
pub(crate) fn of_development(keys: &Path, given: Option<&str>) -> Option<UserIssuer> {
    let read = |path: &Path| -> Option<Value> {
        serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
    };
    read(keys)?.get(DEVELOPMENT_KEY)?;
    let run = read(&keys.with_file_name(DEVELOPMENT_RUN))?;
    let text = |name: &str| run.get(name).and_then(Value::as_str);
    let identifier = given.or_else(|| text("issuer"))?.to_owned();
    let is_vault = text("audience") == Some(&identifier);
    Some(UserIssuer { identifier, is_vault })
}

/// The issuer of the user: the given one, or else the only one of the configuration. `Err` if there are several,
/// or if the given one is not among them; without a configuration, or without issuers there, any can be given.
pub(crate) fn issuer(given: Option<String>, config: Result<&Config>) -> Result<UserIssuer> {
    let config = match (config, &given) {
        (Ok(config), _) => config,
        (Err(_), Some(given)) => {
            return Ok(UserIssuer { identifier: given.clone(), is_vault: false });
        }
        (Err(error), None) => return Err(error.context("without a configuration, give --issuer")),
    };
    let identifier = identifier(given, config)?;
    let is_vault = config.sign_in.is_some() && identifier == config.public_url.identifier();
    Ok(UserIssuer { identifier, is_vault })
}

fn identifier(given: Option<String>, config: &Config) -> Result<String> {
    let mut known = config.issuers.keys().map(String::as_str);
    match given {
        Some(given) if config.issuers.is_empty() || config.issuers.contains_key(&given) => {
            Ok(given)
        }
        Some(given) => {
            let advice = did_you_mean(&given, known.clone()).unwrap_or_else(|| {
                format!("the issuers are {}", known.collect::<Vec<_>>().join(", "))
            });
            bail!("--issuer {given} is not an issuer of the configuration; {advice}")
        }
        None => match (known.next(), known.next()) {
            (Some(only), None) => Ok(only.to_owned()),
            (None, _) => bail!(
                "the configuration has no issuer; give --issuer, or for a user of `cargo xtask dev` only \
                 --keys .dev/secrets.json"
            ),
            (Some(one), Some(other)) => {
                let all: Vec<&str> = [one, other].into_iter().chain(known).collect();
                bail!(
                    "the configuration has several issuers; add --issuer with one of {}",
                    all.join(", ")
                )
            }
        },
    }
}

/// The value of `user` in the log's lines about this user.
pub(crate) fn hash(key: &str, issuer: UserIssuer, subject: String) -> Result<String> {
    let bytes = encoding::from_base64url_array(key);
    let bytes =
        bytes.with_context(|| format!("{KEY} must be 32 bytes in base64url without padding"))?;
    Ok(ObjectNames::new(bytes).log_name(&UserId { issuer: issuer.identifier, subject }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variables;

    fn config(issuers: &[&str]) -> Config {
        let tables = issuers.iter().enumerate();
        let tables: Vec<String> = tables
            .map(|(index, issuer)| format!("[vars.ISSUERS.i{index}]\nissuer = \"{issuer}\"\n"))
            .collect();
        let file =
            format!("[vars]\nPUBLIC_URL = \"https://vault.example.com\"\n{}", tables.concat());
        variables::loaded(&file)
    }

    #[test]
    fn the_issuer_is_the_only_one_of_the_configuration_or_one_that_it_has() {
        const ONE: &str = "https://one.example/";
        const TWO: &str = "https://two.example/";
        for (given, issuers, expected) in [
            (None, &[ONE][..], Ok(ONE)),
            (
                None,
                &[ONE, TWO],
                Err(
                    "several issuers; add --issuer with one of https://one.example/, https://two.example/",
                ),
            ),
            (None, &[], Err("has no issuer; give --issuer, or for a user of `cargo xtask dev`")),
            (Some("http://127.0.0.1:8787/"), &[], Ok("http://127.0.0.1:8787/")),
            (Some(TWO), &[ONE, TWO], Ok(TWO)),
            (Some("https://one.example"), &[ONE], Err("did you mean `https://one.example/`?")),
            (Some("x"), &[ONE], Err("the issuers are https://one.example/")),
        ] {
            let found = issuer(given.map(str::to_owned), Ok(&config(issuers)));
            match expected {
                Ok(expected) => assert_eq!(found.unwrap().identifier, expected),
                Err(text) => assert!(found.unwrap_err().to_string().contains(text), "{text}"),
            }
        }
        let none = || Err(anyhow::anyhow!("cannot read wrangler.toml"));
        let found = issuer(Some("https://x.example".into()), none()).unwrap();
        assert_eq!(found, UserIssuer { identifier: "https://x.example".into(), is_vault: false });
        assert!(issuer(None, none()).unwrap_err().to_string().contains("give --issuer"));
    }

    #[test]
    fn the_issuer_of_a_development_run_is_that_of_the_run_or_any_given_one() {
        const VAULT: &str = "http://127.0.0.1:8787/";
        let directory = std::env::temp_dir().join(format!("user-hash-run-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (keys, run) = (directory.join("secrets.json"), directory.join(DEVELOPMENT_RUN));
        let write = |secrets: &str, described: &str| {
            fs::write(&keys, secrets).unwrap();
            fs::write(&run, described).unwrap();
        };
        let found = |given: Option<&str>| {
            of_development(&keys, given).map(|found| (found.identifier, found.is_vault))
        };
        let secrets = r#"{"object_name_key":"k"}"#;
        let at_vault = format!(r#"{{"issuer":"{VAULT}","audience":"{VAULT}"}}"#);
        write(secrets, &at_vault);
        assert_eq!(found(None), Some((VAULT.to_owned(), true)));
        assert_eq!(found(Some(VAULT)), Some((VAULT.to_owned(), true)));
        assert_eq!(found(Some("http://x.example")), Some(("http://x.example".to_owned(), false)));
        let elsewhere = format!(r#"{{"issuer":"http://localhost:8788","audience":"{VAULT}"}}"#);
        write(secrets, &elsewhere);
        assert_eq!(found(None), Some(("http://localhost:8788".to_owned(), false)));
        // The secrets of a deployment say nothing of a development run.
        write(r#"{"OBJECT_NAME_KEY":"k"}"#, &at_vault);
        assert_eq!(found(None), None);
        fs::remove_file(&run).unwrap();
        fs::write(&keys, secrets).unwrap();
        assert_eq!(found(None), None);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_subject_that_no_user_of_the_vault_has_is_noted() {
        let vault = |sign_in: &str| {
            let file = format!(
                "[vars]\nPUBLIC_URL = \"https://vault.example.com\"\n{sign_in}\
                 [vars.CONNECTIONS.a]\nkind = \"oidc\"\nissuer = \"https://a.example\"\nclient_id = \"1\"\n\
                 [vars.ISSUERS.b]\nissuer = \"https://b.example\"\n"
            );
            variables::loaded(&file)
        };
        let signs_in = "[vars.SIGN_IN]\nconnections = [\"a\"]\n";
        let own = "https://vault.example.com/";
        for (sign_in, of, subject, noted) in [
            (signs_in, own, "alice", true),
            (signs_in, own, "a|alice", false),
            (signs_in, "https://b.example", "alice", false),
            ("", "https://b.example", "alice", false),
        ] {
            let found = issuer(Some(of.to_owned()), Ok(&vault(sign_in))).unwrap().note(subject);
            assert_eq!(found.is_some(), noted, "{sign_in} {of} {subject}");
            assert!(found.is_none_or(|note| note.contains("subjects such as `login|alice`")));
        }
    }

    #[test]
    fn the_hash_depends_on_key_issuer_and_subject_and_an_unusable_key_is_not_shown() {
        let key = |byte: u8| encoding::base64url([byte; 32]);
        let hash = |key: &str, issuer: &str, subject: &str| {
            hash(key, UserIssuer { identifier: issuer.into(), is_vault: false }, subject.into())
        };
        let found = hash(&key(1), "https://one.example/", "work|7").unwrap();
        assert_eq!(found, "4284c51f22f58b6c");
        assert_ne!(hash(&key(2), "https://one.example/", "work|7").unwrap(), found);
        assert_ne!(hash(&key(1), "https://one.example", "work|7").unwrap(), found);
        let refused = hash("canary", "i", "s").unwrap_err().to_string();
        assert!(
            refused.contains("OBJECT_NAME_KEY must be 32 bytes") && !refused.contains("canary")
        );
    }

    #[test]
    fn the_key_is_read_from_a_file_of_a_deployment_or_of_development() {
        let file = std::env::temp_dir().join(format!("user-hash-{}.json", std::process::id()));
        let key = |text: &str| {
            fs::write(&file, text).unwrap();
            key(Some(file.clone()), None).map_err(|error| format!("{error:#}"))
        };
        assert_eq!(key(r#"{"OBJECT_NAME_KEY":"a","KEY_RING":"b"}"#).unwrap(), "a");
        assert_eq!(key(r#"{"object_name_key":"c"}"#).unwrap(), "c");
        assert!(
            key(r#"{"KEY_RING":"canary"}"#)
                .is_err_and(|error| error.ends_with("has no OBJECT_NAME_KEY"))
        );
        assert!(key("canary").is_err_and(|error| !error.contains("canary")));
        fs::remove_file(&file).unwrap();
        let missing = super::key(Some(file), None).unwrap_err().to_string();
        assert!(missing.contains("environment variable OBJECT_NAME_KEY"), "{missing}");
    }
}
