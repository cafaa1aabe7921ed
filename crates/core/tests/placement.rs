// SPDX-License-Identifier: Apache-2.0
//! Where objects are created: which of the configured places each address carries.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/config.rs"]
mod config_support;

use config_support::{load_all, merge, variables};
use serde_json::{Value, json};
use vault_base::address::{Address, Location};
use vault_base::ids::{DocumentSource, KEY_CHECK, UserId, key_check_copy};
use vault_base::mac_id::{IdKind, MacId};
use vault_core::config::Config;
use vault_core::placement::Objects;

/// The application `app` connects accounts at `calendar` and `code`; `a` and `b` exchange tokens issued to it, both
/// at `calendar` and `b` alone at `code`. `self` exchanges its own tokens. `change` is laid over that.
fn config(change: &Value) -> Config {
    let exchanging = |secret: char, connections: Value, from: Value| {
        json!({
            "authentication": "client_secret",
            "secret_sha256": [secret.to_string().repeat(64)],
            "grants": ["urn:ietf:params:oauth:grant-type:token-exchange"],
            "connections": connections,
            "accepts_from": from,
        })
    };
    let mut all = variables();
    let github = json!({ "provider": "github", "client_id": "1", "client_authentication": "none" });
    all.as_object_mut().unwrap().retain(|name, _| {
        matches!(name.as_str(), "PUBLIC_URL" | "ISSUERS" | "KEY_RING" | "OBJECT_NAME_KEY")
    });
    merge(
        &mut all,
        &json!({
            "CONNECTIONS": { "calendar": github, "code": github },
            "CLIENTS": {
                "app": { "authentication": "none", "connections": ["calendar", "code"] },
                "a": exchanging('a', json!(["calendar"]), json!(["app"])),
                "b": exchanging('b', json!(["calendar", "code"]), json!(["app"])),
                "self": exchanging('c', json!(["calendar"]), json!(["self"])),
            },
        }),
    );
    merge(&mut all, change);
    load_all(&all).unwrap()
}

fn user() -> UserId {
    UserId { issuer: "https://login.example.com".into(), subject: "u1".into() }
}

fn hint(address: &Address) -> Option<&'static str> {
    address.location.map(Location::hint)
}

#[test]
fn a_vault_and_its_connect_session_lie_where_the_back_ends_of_the_client_are() {
    let client = |name: &str, hint: &str| json!({ "CLIENTS": { name: { "location": hint } } });
    let connection = |hint: &str| json!({ "CONNECTIONS": { "calendar": { "location": hint } } });
    let deployment = json!({ "LOCATION": "wnam" });
    let rows: &[(&str, &[Value], Option<&str>, &str)] = &[
        ("app", &[], None, "nothing is configured"),
        ("app", std::slice::from_ref(&deployment), Some("wnam"), "the deployment's"),
        ("app", &[deployment.clone(), connection("weur")], Some("weur"), "the connection's"),
        (
            "app",
            &[deployment.clone(), connection("weur"), client("a", "enam")],
            Some("enam"),
            "that of the only client which exchanges for it and has one",
        ),
        (
            "app",
            &[connection("weur"), client("a", "enam"), client("b", "enam")],
            Some("enam"),
            "that of both clients which exchange for it",
        ),
        (
            "app",
            &[connection("weur"), client("a", "enam"), client("b", "oc")],
            Some("weur"),
            "the connection's, where the clients which exchange for it differ",
        ),
        (
            "app",
            &[deployment.clone(), client("a", "enam"), client("b", "oc")],
            Some("wnam"),
            "the deployment's, where they differ and the connection has none",
        ),
        ("app", &[client("b", "oc"), client("a", "enam")], Some("enam"), "the first client's"),
        (
            "app",
            &[deployment.clone(), connection("weur"), client("a", "enam"), client("app", "eeur")],
            Some("eeur"),
            "the client's own",
        ),
        (
            "app",
            &[deployment.clone(), client("self", "enam")],
            Some("wnam"),
            "not that of a client which exchanges others' tokens",
        ),
        ("self", &[deployment.clone(), client("a", "oc")], Some("wnam"), "nor for another client"),
        ("self", &[deployment.clone(), client("self", "enam")], Some("enam"), "its own tokens"),
        (
            "unknown",
            &[deployment.clone(), connection("weur"), client("a", "oc")],
            Some("weur"),
            "of a client that is not configured",
        ),
    ];
    for (client_id, changes, expected, what) in rows {
        let mut all = json!({});
        changes.iter().for_each(|change| merge(&mut all, change));
        let config = config(&all);
        let objects = config.objects(Some(client_id));
        let vault = objects.vault(&user(), "calendar");
        assert_eq!(hint(&vault), *expected, "{what}");
        let id = MacId::new(&config.names, IdKind::Connect).unwrap();
        let session = objects.connect_session(&id, Some("calendar"));
        assert_eq!(hint(&session), *expected, "{what}");
    }
}

#[test]
fn only_clients_that_exchange_at_a_connection_place_its_vaults() {
    let place = |change: Value, connection: &str| {
        hint(&config(&change).objects(Some("app")).vault(&user(), connection))
    };
    let change = json!({ "CLIENTS": { "a": { "location": "enam" }, "b": { "location": "oc" } } });
    assert_eq!(place(change.clone(), "code"), Some("oc"));
    // At a connection that was taken out of the configuration nobody exchanges.
    assert_eq!(place(change, "removed"), None);
    let refreshing = json!({
        "SIGN_IN": { "connections": ["code"] },
        "LOCATION": "wnam",
        "CLIENTS": { "a": { "location": "enam", "grants": ["authorization_code"] } },
    });
    assert_eq!(place(refreshing, "calendar"), Some("wnam"));
}

#[test]
fn each_class_lies_where_its_callers_are() {
    let config = config(&json!({
        "LOCATION": "wnam",
        "CONNECTIONS": { "calendar": { "location": "weur" } },
        "CLIENTS": { "app": { "location": "oc" } },
    }));
    let id = |kind| MacId::new(&config.names, kind).unwrap();
    let source = DocumentSource {
        issuer: "https://login.example.com".into(),
        jwks_uri: None,
        pattern: None,
    };
    let (connect, request) = (id(IdKind::Connect), id(IdKind::Authorization));
    let (family, session) = (id(IdKind::Family), id(IdKind::Session));
    let names = &config.names;
    // The places for the client `app`, and for a client that has none.
    for (class, of, name, expected) in [
        (
            "Vault",
            (|o| o.vault(&user(), "calendar")) as fn(Objects<'_>) -> Address,
            names.vault(&user(), "calendar"),
            ["oc", "weur"],
        ),
        ("Directory", |o| o.directory(&user()), names.directory(&user()), ["oc", "wnam"]),
        ("Identity", |o| o.identity("a", "1"), names.identity("a", "1"), ["oc", "wnam"]),
        ("User", |o| o.user_record("s"), names.user_record("s"), ["oc", "wnam"]),
        ("Registry", |o| o.registry(&user()), names.registry(&user()), ["wnam", "wnam"]),
        (
            "Registry",
            |o| o.registry_shard("shard".to_owned()),
            "shard".to_owned(),
            ["wnam", "wnam"],
        ),
        ("Registry", |o| o.key_check(), KEY_CHECK.to_owned(), ["wnam", "wnam"]),
        ("Registry", |o| o.key_check_copy(3), key_check_copy(3), ["wnam", "wnam"]),
        ("SigningKeys", |o| o.signing_keys(), names.signing_keys(), ["wnam", "wnam"]),
    ] {
        for (client, expected) in ["app", "self"].into_iter().zip(expected) {
            let address = of(config.objects(Some(client)));
            assert_eq!(hint(&address), Some(expected), "{class} for {client}");
            assert_eq!(&*address.name, name, "{class}");
        }
    }
    for (client, expected) in [("app", "oc"), ("self", "wnam")] {
        let objects = config.objects(Some(client));
        for (class, address, name) in [
            ("Authorization", objects.authorization(&request), names.authorization(&request)),
            ("RefreshFamily", objects.refresh_family(&family), names.refresh_family(&family)),
            ("BrowserSession", objects.browser_session(&session), names.browser_session(&session)),
            (
                "ConnectSession",
                objects.connect_session(&connect, None),
                names.connect_session(&connect),
            ),
        ] {
            assert_eq!(hint(&address), Some(expected), "{class} for {client}");
            assert_eq!(&*address.name, name, "{class}");
        }
        let keys = objects.issuer_keys(&source);
        assert_eq!(hint(&keys), Some("wnam"), "IssuerKeys for {client}");
        assert_eq!(&*keys.name, names.issuer_keys(&source));
    }
}

#[test]
fn without_a_place_of_the_deployment_what_all_share_lies_where_the_first_exchanging_client_is() {
    let place = |change: &Value| hint(&config(change).objects(Some("app")).key_check());
    assert_eq!(place(&json!({})), None);
    let of = |name: &str, hint: &str| json!({ "CLIENTS": { name: { "location": hint } } });
    assert_eq!(place(&of("self", "oc")), Some("oc"));
    // `app` exchanges nothing.
    assert_eq!(place(&of("app", "oc")), None);
    let mut all = of("self", "oc");
    merge(&mut all, &of("b", "weur"));
    assert_eq!(place(&all), Some("weur"));
    merge(&mut all, &json!({ "LOCATION": "enam" }));
    assert_eq!(place(&all), Some("enam"));
}

#[test]
fn each_hint_of_the_platform_is_accepted_as_it_is() {
    for known in Location::HINTS {
        let config = config(&json!({ "LOCATION": known }));
        assert_eq!(hint(&config.objects(None).signing_keys()), Some(known));
    }
    // An empty variable counts as absent, as everywhere.
    assert_eq!(config(&json!({ "LOCATION": "" })).location, None);
}
