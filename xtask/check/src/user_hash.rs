// SPDX-License-Identifier: Apache-2.0
//! Computes the hash by which the log names a user: `cargo xtask user-hash`.

use std::fs;
use std::path::PathBuf;

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

/// The issuer of the user: the given one, or else the only one of the configuration. `Err` if there are several,
/// or if the given one is not among them; without a configuration any can be given.
pub(crate) fn issuer(given: Option<String>, config: Result<&Config>) -> Result<String> {
    let config = match (config, &given) {
        (Ok(config), _) => config,
        (Err(_), Some(given)) => return Ok(given.clone()),
        (Err(error), None) => return Err(error.context("without a configuration, give --issuer")),
    };
    let mut known = config.issuers.keys().map(String::as_str);
    match given {
        Some(given) if config.issuers.contains_key(&given) => Ok(given),
        Some(given) => {
            let advice = did_you_mean(&given, known.clone()).unwrap_or_else(|| {
                format!("the issuers are {}", known.collect::<Vec<_>>().join(", "))
            });
            bail!("--issuer {given} is not an issuer of the configuration; {advice}")
        }
        None => match (known.next(), known.next()) {
            (Some(only), None) => Ok(only.to_owned()),
            (None, _) => bail!("the configuration has no issuer; give --issuer"),
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
pub(crate) fn hash(key: &str, issuer: String, subject: String) -> Result<String> {
    let bytes = encoding::from_base64url_array(key);
    let bytes =
        bytes.with_context(|| format!("{KEY} must be 32 bytes in base64url without padding"))?;
    Ok(ObjectNames::new(bytes).log_name(&UserId { issuer, subject }))
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
        let vars = variables::read(&file, None).unwrap();
        Config::load(&variables::with_secrets(vars)).unwrap()
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
            (None, &[], Err("has no issuer; give --issuer")),
            (Some(TWO), &[ONE, TWO], Ok(TWO)),
            (Some("https://one.example"), &[ONE], Err("did you mean `https://one.example/`?")),
            (Some("x"), &[ONE], Err("the issuers are https://one.example/")),
        ] {
            let found = issuer(given.map(str::to_owned), Ok(&config(issuers)));
            match expected {
                Ok(expected) => assert_eq!(found.unwrap(), expected),
                Err(text) => assert!(found.unwrap_err().to_string().contains(text), "{text}"),
            }
        }
        let none = || Err(anyhow::anyhow!("cannot read wrangler.toml"));
        assert_eq!(issuer(Some("https://x.example".into()), none()).unwrap(), "https://x.example");
        assert!(issuer(None, none()).unwrap_err().to_string().contains("give --issuer"));
    }

    #[test]
    fn the_hash_depends_on_key_issuer_and_subject_and_an_unusable_key_is_not_shown() {
        let key = |byte: u8| encoding::base64url([byte; 32]);
        let hash =
            |key: &str, issuer: &str, subject: &str| hash(key, issuer.into(), subject.into());
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
