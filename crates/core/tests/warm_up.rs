// SPDX-License-Identifier: Apache-2.0
//! What runs before the first request: all steps succeed, whatever the configuration has.

#![allow(clippy::unwrap_used)]

#[path = "support/config.rs"]
mod support;

use serde_json::json;
use support::{load_all, variables};
use vault_core::config::Config;
use vault_core::warm_up;

fn warmed_up(config: &Config) -> Option<()> {
    let (_, request) = warm_up::request(config)?;
    warm_up::exchange(config, &request)
}

#[test]
fn all_steps_succeed_with_a_configuration_that_has_what_an_exchange_needs() {
    let config = load_all(&variables()).unwrap();
    assert_eq!(warmed_up(&config), Some(()));
}

#[test]
fn names_that_a_form_encodes_do_not_stop_it() {
    let mut all = variables();
    let client = all["CLIENTS"]["backend"].take();
    all["CLIENTS"] = json!({ "https://app.example.com/?a&b+c": client });
    let config = load_all(&all).unwrap();
    assert_eq!(warmed_up(&config), Some(()));
}

#[test]
fn a_configuration_without_issuers_ends_it() {
    let mut all = variables();
    all["ISSUERS"] = json!({});
    let config = load_all(&all).unwrap();
    assert_eq!(warmed_up(&config), None);
}
