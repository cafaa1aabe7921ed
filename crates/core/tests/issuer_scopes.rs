// SPDX-License-Identifier: Apache-2.0
//! Scopes of refreshed access tokens: whose client may have more than its sign-in granted, and where.

#![allow(clippy::unwrap_used)]

#[path = "support/config.rs"]
mod config_support;

use config_support::load;
use serde_json::json;
use vault_core::config::Config;
use vault_core::issuer::family::FamilyGrant;
use vault_core::issuer::scopes;

const ORDERS: &str = "https://orders.example.com/";
const BILLS: &str = "https://bills.example.com/";
const ISSUER: &str = "https://vault.example.com/";
const ME: &str = "https://vault.example.com/me/";

fn config() -> Config {
    let client = |kind: &str| {
        json!({
            "authentication": "client_secret", "kind": kind,
            "secret_sha256": [if kind == "web" { "11" } else { "22" }.repeat(32)],
            "grants": ["authorization_code", "refresh_token"],
            "apis": { "orders": ["read", "write"], "bills": ["read", "pay"] },
        })
    };
    load(&json!({
        "SIGN_IN": { "connections": ["calendar"] },
        "APIS": {
            "orders": { "identifier": ORDERS, "scopes": ["read", "write"] },
            "bills": { "identifier": BILLS, "scopes": ["read", "pay"] },
        },
        "CLIENTS": { "own": client("web"), "partner": client("third_party") },
    }))
    .unwrap()
}

fn grant(client_id: &str, audience: Option<&str>, scopes: &[&str]) -> FamilyGrant {
    FamilyGrant {
        subject: "google|1".into(),
        client_id: client_id.into(),
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        audience: audience.map(str::to_owned),
        sid: None,
        auth_time: 0,
    }
}

#[test]
fn only_the_owners_client_gets_what_its_sign_in_did_not_grant_and_only_elsewhere() {
    let config = config();
    let refreshed = |client_id: &str, audience: &str, requested: &str| {
        let client = config.clients.get(client_id).unwrap();
        let grant = grant(client_id, Some(ORDERS), &["openid", "read"]);
        let requested: Vec<String> = requested.split(' ').map(str::to_owned).collect();
        scopes::refreshed(&config, client, &grant, Some(audience), &requested).join(" ")
    };
    let all = "openid email read write pay admin";
    assert_eq!(refreshed("own", ORDERS, all), "openid read");
    assert_eq!(refreshed("own", BILLS, all), "openid read pay");
    assert_eq!(refreshed("partner", ORDERS, all), "openid read");
    // `read` of another resource server is another scope of the same name.
    assert_eq!(refreshed("partner", BILLS, all), "openid");
    let mine = "openid create:me:connected_accounts";
    assert_eq!(refreshed("own", ME, mine), mine);
    assert_eq!(refreshed("partner", ME, mine), "openid");
}

#[test]
fn somebody_elses_client_stays_at_the_resource_server_of_its_sign_in() {
    let config = config();
    let may = |client_id: &str, signed_in: Option<&str>, audience: Option<&str>| {
        let client = config.clients.get(client_id).unwrap();
        scopes::may_refresh(&config, client, &grant(client_id, signed_in, &[]), audience)
    };
    for (signed_in, audience, partners) in [
        (Some(ORDERS), Some(ORDERS), true),
        (Some(ORDERS), Some(BILLS), false),
        (Some(ORDERS), Some(ISSUER), false),
        (Some(ORDERS), None, false),
        (None, Some(ORDERS), false),
        (None, Some(ISSUER), true),
        (Some(ISSUER), None, true),
        (None, None, true),
    ] {
        assert!(may("own", signed_in, audience));
        assert_eq!(may("partner", signed_in, audience), partners, "{signed_in:?} {audience:?}");
    }
}
