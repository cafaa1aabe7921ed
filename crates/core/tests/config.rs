// SPDX-License-Identifier: Apache-2.0
//! Configuration: what a valid one means, and that each invalid one is rejected with the place and the fix.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/config.rs"]
mod config_support;

use config_support::{BACKEND_SECRET, config, load, merge};
use serde_json::{Value, json};
use vault_base::encoding;
use vault_base::public_url::PublicUrl;
use vault_base::secret::Secret;
use vault_core::config::{
    AccountAccess, Authentication, ClientKind, Config, ConfigError, ExchangeGrant, GrantType,
    RefreshPolicy, ScopePolicy,
};
use vault_jose::algorithm::Algorithm;
use vault_provider::connection::Protocol;
use vault_provider::profile::{ClientAuthentication, Pkce};

/// Asserts that the valid configuration with this change is rejected at `place`, such as
/// `CLIENTS.spa.origins[0]`, with an error that contains `fix`.
fn refused(change: &Value, place: &str, fix: &str) {
    let Err(error) = load(change) else { panic!("accepted: {change}") };
    let (variable, field) = place.split_once('.').unwrap_or((place, ""));
    assert_eq!((error.variable.as_str(), error.field.as_str()), (variable, field), "{change}");
    assert!(error.fix.contains(fix), "{change}: {}", error.fix);
    assert_eq!(error.to_string(), format!("{place}: {}", error.fix));
}

/// The SHA-256 of nothing (FIPS 180-4; NIST's test vectors).
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The change that sets the field at `place` to this value. An index at the end of `place` is ignored.
fn set(place: &str, value: &Value) -> Value {
    let path = place.split('[').next().unwrap_or_default();
    path.rsplit('.').fold(value.clone(), |inner, name| json!({ name: inner }))
}

/// Each row: a place, an invalid value there, and text that the error must contain.
fn refused_in_place(rows: &[(&str, Value, &str)]) {
    for (place, value, fix) in rows {
        refused(&set(place, value), place, fix);
    }
}

#[test]
fn a_good_configuration_is_read_whole() {
    let Config { public_url, issuers, connections, clients, .. } = config();
    assert_eq!(public_url.identifier(), "https://vault.example.com/");
    assert_eq!(public_url.me(), "https://vault.example.com/me/");
    assert_eq!(public_url.callback("code"), "https://vault.example.com/callback/code");
    assert!(!public_url.is_local());

    let issuer = &issuers["https://login.example.com/"];
    assert_eq!(issuer.audiences, ["https://vault.example.com/", "https://api.example.com/"]);
    assert_eq!(issuer.algorithms, [Algorithm::Rs256, Algorithm::EdDsa]);
    assert!(issuer.accepts_type(Some("at+jwt")) && !issuer.accepts_type(Some("jwt")));
    assert!(!issuer.accepts_type(None));

    let calendar = &connections["calendar"];
    assert!(matches!(&calendar.protocol, Protocol::OpenId { .. }));
    assert_eq!(calendar.required_scopes, ["openid", "offline_access"]);
    assert_eq!(calendar.client_authentication, ClientAuthentication::ClientSecretBasic);
    assert_eq!(calendar.client_secret.as_ref().unwrap().expose(), "calendar: secret+1%");
    assert!(calendar.pkce == Pkce::Supported && !calendar.down_scoping);
    assert_eq!(calendar.strategy, "oidc");

    let code = &connections["code"];
    assert!(matches!(&code.protocol, Protocol::OAuth2));
    let userinfo = code.endpoints.userinfo_endpoint.as_deref();
    assert_eq!(userinfo, Some("https://api.code.example/user"));
    assert_eq!((code.identity.id.as_str(), code.identity.email.as_str()), ("id", "email"));
    assert_eq!((code.scope_separator.as_str(), code.answer.default_expires_in), (",", Some(28800)));
    assert!(code.pkce == Pkce::Refused && code.down_scoping);
    assert_eq!(code.strategy, "oauth2");

    let backend = &clients["backend"];
    let Authentication::Secret(hashes) = &backend.authentication else { panic!("{backend:?}") };
    assert_eq!(hashes[1], encoding::sha256(BACKEND_SECRET));
    assert_eq!(backend.grants, ExchangeGrant::ALL.map(GrantType::Exchange));
    assert_eq!(backend.scope_policy, ScopePolicy::Exact);
}

#[test]
fn defaults_are_the_narrow_ones() {
    let bare = json!({ "ISSUERS": { "main": { "audiences": null, "algorithms": null } } });
    let config = load(&bare).unwrap();
    let issuer = &config.issuers["https://login.example.com/"];
    assert_eq!(issuer.audiences, ["https://vault.example.com/"]);
    assert_eq!(issuer.algorithms, Algorithm::ALL);
    let agent = &config.clients["agent"];
    assert_eq!(agent.audiences, ["https://vault.example.com/"]);
    assert_eq!(agent.accepts_from, ["agent"]);
    assert_eq!(agent.scope_policy, ScopePolicy::AtLeast);
    assert!(agent.connections.is_empty() && agent.origins.is_empty());
    assert_eq!(agent.account_access, AccountAccess::Connections);
    let chat = &config.connections["chat"];
    assert!(
        chat.pkce == Pkce::Supported
            && chat.client_secret.is_none()
            && chat.required_scopes.is_empty()
    );
    assert_eq!((chat.scope_separator.as_str(), chat.answer.default_expires_in), (" ", None));
}

#[test]
fn a_table_may_be_a_string_that_holds_it() {
    let text = r#"{"eu":{"issuer":"https://eu.example.com","typ":["JWT","application/at+jwt"]}}"#;
    let config = load(&json!({ "ISSUERS_EU": text, "CLIENTS_2": "  " })).unwrap();
    assert_eq!(config.issuers.len(), 2);
    let eu = &config.issuers["https://eu.example.com"];
    assert!(eu.accepts_type(Some("jwt")) && eu.accepts_type(Some("at+jwt")));
    let ring = json!({ "write": "k", "keys": { "k": encoding::base64url([7; 32]) } });
    assert!(load(&json!({ "KEY_RING": ring, "JURISDICTION": "" })).is_ok());
}

#[test]
fn a_name_may_stand_in_one_variable_only_and_once() {
    let chat = json!({ "kind": "oidc", "client_id": "a", "issuer": "https://a.example" });
    refused_in_place(&[
        ("CONNECTIONS_3.chat", chat, "also in CONNECTIONS_2"),
        ("PROVIDER_SECRETS_2.code", json!("x"), "also in PROVIDER_SECRETS"),
        ("ISSUERS_2", json!(r#"{"a":{"issuer":"x"},"a":{"issuer":"x"}}"#), "no name twice"),
        ("CLIENTS_2", json!(r#"{"a":{"grants":[],"gr\u0061nts":[]}}"#), "no name twice"),
        ("CLIENTS_2", json!("[clients"), "must be a table"),
        ("CLIENTS_2", json!([]), "must be a table"),
    ]);
    let same_issuer = set("ISSUERS.second.issuer", &json!("https://login.example.com/"));
    refused(&same_issuer, "ISSUERS.second.issuer", "keep one");
}

#[test]
fn unknown_missing_and_mistyped_fields_are_refused_with_their_path() {
    refused_in_place(&[
        ("CONNECTIONS.calendar.colour", json!(1), "unknown field `colour`: remove it, or correct"),
        ("CONNECTIONS.calendar.pkse", json!(1), "unknown field `pkse`"),
        (
            "CONNECTIONS.code.revocation_endpoint",
            json!("https://p.example/r?t={token}"),
            "unknown placeholder",
        ),
        (
            "CONNECTIONS.code.revocation_endpoint",
            json!("https://{user}.p.example/r"),
            "unknown placeholder",
        ),
        (
            "CONNECTIONS.code.token_endpoint",
            json!("https://p.example/{token}"),
            "unknown placeholder",
        ),
        ("CONNECTIONS.code.required_claims", json!({"hd": "x"}), "claims of the ID token"),
        ("CONNECTIONS_2.chat.colour", json!(1), "unknown field `colour`"),
        ("CONNECTIONS.code.identity.mail", json!("m"), "unknown field `mail`"),
        ("CONNECTIONS.calendar.scopes", json!("a b"), "must be a list of texts"),
        ("CONNECTIONS.calendar.client_authentication", json!("jwt"), "must be one of \""),
        ("ISSUERS.main.aud", json!([]), "unknown field `aud`"),
        ("ISSUERS.main.typ", json!(7), "must be text or a list of texts"),
        ("ISSUERS.main.typ", json!([]), "must name the `typ`"),
        ("ISSUERS.main.client_claim", json!(""), "must be the name of a claim"),
        ("ISSUERS.main.client_claim", json!(["cid"]), "must be text"),
        ("ISSUERS.main.audience_claim", json!(""), "must be the name of a claim"),
        ("ISSUERS.main.audience_claim", json!("aud"), "another claim than `aud`"),
        ("ISSUERS.main.api_audience", json!(""), "must not be empty"),
        ("CLIENTS.spa.origin", json!("x"), "unknown field `origin`"),
        ("CLIENTS.backend.grants[0]", json!(["password"]), "must be one of \"authorization_code\""),
        ("CLIENTS.backend.scope_policy", json!("all"), "must be one of \""),
        ("CLIENTS.spa.account_access", json!("own"), "must be one of \"connections\", \"all\""),
        (
            "CLIENTS.backend.assertion_audience",
            json!("issuer"),
            "is for private_key_jwt; remove it",
        ),
        ("CLIENTS.agent.assertion_audience", json!("par"), "must be one of \""),
    ]);
    // A field under a wrong name counts as unknown, not as missing.
    let misnamed =
        json!({ "ISSUERS": { "main": { "issuer": null, "issuer_url": "https://a.example" } } });
    refused(&misnamed, "ISSUERS.main.issuer_url", "unknown field `issuer_url`");
    for (entry, field) in [
        ("ISSUERS.main", "issuer"),
        ("CONNECTIONS.calendar", "client_id"),
        ("CLIENTS.spa", "authentication"),
    ] {
        let change = set(&format!("{entry}.{field}"), &Value::Null);
        refused(&change, &format!("{entry}.{field}"), "is missing; set it");
    }
}

#[test]
fn a_client_manages_accounts_at_its_connections_and_at_all_only_if_it_says_so() {
    for (access, kind, expected) in [
        (Value::Null, "spa", [true, false, false]),
        (json!("connections"), "spa", [true, false, false]),
        (json!("all"), "spa", [true, true, true]),
        (json!("connections"), "third_party", [true, false, false]),
    ] {
        let client = json!({ "account_access": access, "kind": kind });
        let config = load(&json!({ "CLIENTS": { "spa": client } })).unwrap();
        let spa = &config.clients["spa"];
        // `gone` is a connection that is not configured any more.
        assert_eq!(["calendar", "code", "gone"].map(|name| spa.may_manage(name)), expected);
    }
    let change =
        json!({ "CLIENTS": { "spa": { "account_access": "all", "kind": "third_party" } } });
    refused(&change, "CLIENTS.spa.account_access", "somebody else's application");
}

#[test]
fn public_url_is_an_origin_and_https_unless_loopback() {
    let origin_alone = "alone, such as https://vault.example.com";
    refused_in_place(&[
        ("PUBLIC_URL", json!(null), "is missing; set it"),
        ("PUBLIC_URL", json!(""), "is missing; set it"),
        ("PUBLIC_URL", json!(7), "must be text"),
        ("PUBLIC_URL", json!("vault.example.com"), "must be a URL such as"),
        ("PUBLIC_URL", json!("https://vault.example.com/"), origin_alone),
        ("PUBLIC_URL", json!("https://vault.example.com/vault"), origin_alone),
        ("PUBLIC_URL", json!("https://vault.example.com:443"), origin_alone),
        ("PUBLIC_URL", json!("https://VAULT.example.com"), origin_alone),
        ("PUBLIC_URL", json!("https://vault.example.com?x"), origin_alone),
        ("PUBLIC_URL", json!("https://V\u{c4}ULT.example.com"), "in ASCII: xn--"),
        ("PUBLIC_URL", json!("https://u@vault.example.com"), origin_alone),
        ("PUBLIC_URL", json!("http://vault.example.com"), "must be https"),
        ("PUBLIC_URL", json!("http://10.0.0.1:8787"), "must be https"),
        ("PUBLIC_URL", json!("http://localhost.example.com"), "must be https"),
    ]);
    for local in ["http://127.0.0.1:8787", "http://localhost:8787", "http://[::1]:8787"] {
        assert!(PublicUrl::parse(local).is_ok_and(|url| url.is_local()), "{local}");
    }
}

#[test]
fn a_place_is_one_of_the_platforms_hints_and_the_error_lists_them() {
    let all = "must be one of \"wnam\", \"enam\", \"sam\", \"weur\", \"eeur\", \"apac\", \"apac-ne\", \"apac-se\", \
               \"oc\", \"afr\", \"me\"";
    refused_in_place(&[
        ("LOCATION", json!("eu"), all),
        ("LOCATION", json!("WEUR"), all),
        ("LOCATION", json!(7), "must be text"),
        ("CONNECTIONS.calendar.location", json!("weur "), all),
        ("CONNECTIONS.calendar.location", json!(["weur"]), all),
        ("CLIENTS.spa.location", json!("Frankfurt"), all),
        ("CLIENTS.spa.location", json!(""), all),
    ]);
    let change = json!({
        "LOCATION": "wnam",
        "CONNECTIONS": { "calendar": { "location": "weur" } },
        "CLIENTS": { "spa": { "location": "apac-se" } },
    });
    let config = load(&change).unwrap();
    let found =
        [config.location, config.connections["calendar"].location, config.clients["spa"].location];
    let hints = found.map(|one| one.unwrap().hint());
    assert_eq!(hints, ["wnam", "weur", "apac-se"]);
    let none = load(&json!({})).unwrap();
    assert_eq!((none.location, none.clients["spa"].location), (None, None));
}

#[test]
fn addresses_of_others_are_https_with_a_public_host_and_nothing_else() {
    let host = "must have a public host name";
    for (url, fix) in [
        ("login", "absolute URL"),
        ("http://login.example/x", "must be https"),
        ("http://127.0.0.1:9000/x", "only while PUBLIC_URL is on loopback"),
        ("https://10.0.0.1/x", host),
        ("https://2130706433/x", host),
        ("https://[2001:db8::1]/x", host),
        ("https://localhost/x", host),
        ("https://intranet/x", host),
        ("https://PRINTER.local./x", host),
        ("https://user@login.example/x", "user info"),
        ("https://:secret@login.example/x", "user info"),
        ("https://login.example/x#", "fragment"),
    ] {
        refused_in_place(&[
            ("ISSUERS.main.issuer", json!(url), fix),
            ("ISSUERS.main.jwks_uri", json!(url), fix),
            ("CONNECTIONS.calendar.issuer", json!(url), fix),
            ("CONNECTIONS.code.authorization_endpoint", json!(url), fix),
            ("CONNECTIONS.code.token_endpoint", json!(url), fix),
            ("CONNECTIONS.code.userinfo_endpoint", json!(url), fix),
            ("CONNECTIONS.code.revocation_endpoint", json!(url), fix),
        ]);
    }
    // RFC 8414 §2: an issuer identifier has no query.
    refused_in_place(&[
        ("ISSUERS.main.issuer", json!("https://login.example.com/?"), "must not have a query"),
        ("CONNECTIONS.calendar.issuer", json!("https://a.example?b"), "must not have a query"),
    ]);
}

#[test]
fn a_development_vault_may_speak_http_to_loopback_and_to_nothing_else() {
    let local = |endpoint: &str| {
        let mut change = set("CONNECTIONS.code.token_endpoint", &json!(endpoint));
        change["PUBLIC_URL"] = json!("http://127.0.0.1:8787");
        change
    };
    for good in ["http://127.0.0.1:9000/t", "http://[::1]:9/t", "https://localhost/t"] {
        assert!(load(&local(good)).is_ok(), "{good}");
    }
    for bad in ["http://code.example/t", "http://10.0.0.1/t", "https://10.0.0.1/t"] {
        refused(&local(bad), "CONNECTIONS.code.token_endpoint", "must");
    }
}

#[test]
fn a_connection_names_a_provider_or_describes_one() {
    refused(&set("CONNECTIONS.code.kind", &Value::Null), "CONNECTIONS.code", "`kind = \"oauth2\"`");
    refused_in_place(&[
        ("CONNECTIONS.code.kind", json!("saml"), "must be one of \"oauth2\", \"oidc\""),
        ("CONNECTIONS.code.provider", json!("nobody"), "is not in the catalogue"),
        ("CONNECTIONS.code.provider", json!(7), "must be text"),
        ("CONNECTIONS.code.issuer", json!("https://code.example"), "is for kind `oidc`"),
        ("CONNECTIONS.calendar.issuer", Value::Null, "needs it for discovery"),
        ("CONNECTIONS.code.token_endpoint", Value::Null, "kind `oauth2` needs it"),
        ("CONNECTIONS.code.token_endpoint", json!("https://{shop}.example/t"), "placeholder"),
        ("CONNECTIONS.code.identity.from", json!("id_token"), "only kind `oidc`"),
        ("CONNECTIONS.code.grant_lifetime_days", json!(0), "a number of days from 1 to 3650"),
        ("CONNECTIONS.code.keep_alive_days", json!(0), "a number of days from 1 to 3650"),
        ("CONNECTIONS.code.keep_alive_days", json!(3651), "a number of days from 1 to 3650"),
        ("CONNECTIONS.code.keep_alive_days", json!("60"), "must be a whole number"),
    ]);
    let days = load(&set("CONNECTIONS.code.keep_alive_days", &json!(60))).unwrap();
    assert_eq!(days.connections["code"].keep_alive, Some(60 * 86_400));
    assert_eq!(days.connections["calendar"].keep_alive, None);
    refused_in_place(&[
        ("CONNECTIONS.code.lease_seconds", json!(-1), "a number of seconds from 0 to 60"),
        ("CONNECTIONS.code.lease_seconds", json!(61), "a number of seconds from 0 to 60"),
        ("CONNECTIONS.code.lease_seconds", json!("15"), "must be a whole number"),
        ("CLIENTS.backend.lease_seconds", json!(61), "a number of seconds from 0 to 60"),
    ]);
    let leases = load(&set("CONNECTIONS.code.lease_seconds", &json!(0))).unwrap();
    assert_eq!(leases.connections["code"].lease_seconds, 0);
    assert_eq!(leases.connections["calendar"].lease_seconds, 15);
    let leases = load(&set("CLIENTS.backend.lease_seconds", &json!(60))).unwrap();
    assert_eq!(leases.clients["backend"].lease_seconds, 60);
    let days = load(&set("CONNECTIONS.code.grant_lifetime_days", &json!(365))).unwrap();
    assert_eq!(days.connections["code"].grant_lifetime, Some(365 * 86_400));
    assert_eq!(days.connections["calendar"].grant_lifetime, None);
    refused_in_place(&[
        ("CONNECTIONS.code.renewal", json!("itself"), "must be one of"),
        ("CONNECTIONS.code.refresh_method", json!("PUT"), "must be one of"),
        ("CONNECTIONS.code.first_refresh_grant_type", json!("x"), "set that"),
        ("CONNECTIONS.code.first_refresh_endpoint", json!("http://a.example/"), "must"),
    ]);
    let mut query = set("CONNECTIONS.code.refresh_method", &json!("GET"));
    query["CONNECTIONS"]["code"]["body_format"] = json!("json");
    refused(&query, "CONNECTIONS.code.body_format", "in the query");
    // An id that the browser brings is nobody's proof, and signs nobody in.
    let company = |more: Value| {
        let mut vars = set("CONNECTIONS.code.identity", &more);
        vars["CONNECTIONS"]["code"]["callback_extra"] = json!(["realmId"]);
        vars
    };
    let by_callback = json!({"from": "callback", "id": "realmId"});
    let unlisted = set("CONNECTIONS.code.identity", &by_callback);
    refused(&unlisted, "CONNECTIONS.code.callback_extra", "parameter of `identity.id`");
    let config = load(&company(by_callback.clone())).unwrap();
    assert!(!config.connections["code"].proves_identity());
    assert!(!config.connections["code"].has_permanent_ids());
    let permanent = json!({"from": "callback", "id": "realmId", "permanent": true});
    refused(&company(permanent), "CONNECTIONS.code.identity.permanent", "by way of the browser");
    let mut form = company(by_callback.clone());
    form["CONNECTIONS"]["code"]["authorization_params"] = json!({"response_mode": "form_post"});
    refused(&form, "CONNECTIONS.code.authorization_params", "read from the query");
    let mut signs_in = company(by_callback);
    signs_in["SIGN_IN"] = json!({"connections": ["code"]});
    refused(&signs_in, "SIGN_IN.connections[0]", "`code` signs nobody in: with `identity.from");
    // Configured endpoints take precedence over discovered ones.
    let revocation = set("CONNECTIONS.calendar.revocation_endpoint", &json!("https://a.example/r"));
    let config = load(&revocation).unwrap();
    let endpoints = &config.connections["calendar"].endpoints;
    assert_eq!(endpoints.revocation_endpoint.as_deref(), Some("https://a.example/r"));
}

#[test]
fn a_secret_at_a_provider_stands_exactly_where_one_is_used() {
    let code = "CONNECTIONS.code.client_authentication";
    let chat = "CONNECTIONS_2.chat.client_authentication";
    refused(&set("PROVIDER_SECRETS", &json!({ "calendar": "x" })), code, "PROVIDER_SECRETS");
    refused(&set("PROVIDER_SECRETS_2.chat", &json!("x")), chat, "remove one of the two");
    let typo = set("PROVIDER_SECRETS_2.chatt", &json!("x"));
    refused(&typo, "PROVIDER_SECRETS.chatt", "no connection of this name");
}

#[test]
fn a_nonce_is_optional_only_with_pkce() {
    let place = "CONNECTIONS.calendar.identity.optional_nonce";
    let config = load(&set(place, &json!(true))).unwrap();
    assert!(config.connections["calendar"].identity.optional_nonce);
    let without = json!({ "pkce": "refused", "identity": { "optional_nonce": true } });
    refused(&json!({ "CONNECTIONS": { "calendar": without } }), place, "needs PKCE");
}

#[test]
fn text_that_stands_in_a_header_cannot_make_another() {
    let app =
        json!({ "CONNECTIONS_2": { "app": { "provider": "github_app", "client_id": "app" } } });
    let with = |place: &str, value: &Value| {
        let mut change = app.clone();
        change["CONNECTIONS_2"]["app"]
            .as_object_mut()
            .unwrap()
            .extend(set(place, value).as_object().unwrap().clone());
        change
    };
    for field in
        ["headers", "identity.headers", "revocation.headers", "kinds.installation.minting.headers"]
    {
        let table = format!("CONNECTIONS_2.app.{field}");
        for value in ["a\r\nx-admin: 1", "a\n", "\rb", "a\0b", " a", "a\t", "\u{e9}"] {
            let change = with(field, &json!({ "x-version": value }));
            refused(&change, &format!("{table}.x-version"), "printable ASCII without line breaks");
        }
        for name in ["x-a\r\nx-admin", "x a", "x:", "", "\u{e9}"] {
            refused(&with(field, &json!({ name: "a" })), &table, "not the name of a header");
        }
    }
    refused_in_place(&[
        ("CONNECTIONS.code.client_id", json!("a\nx-admin: 1"), "printable ASCII"),
        ("CONNECTIONS.code.identity.scheme", json!("Bearer\nx-admin:"), "must be one word"),
        ("CONNECTIONS.code.identity.scheme", json!(""), "must be one word"),
    ]);
}

#[test]
fn what_a_connection_sends_is_checked() {
    let not_a_scope = "not one scope";
    refused_in_place(&[
        // RFC 9700 §2.1.1: a public client must use PKCE; RFC 7636 §7.2: never `plain`.
        ("CONNECTIONS_2.chat.pkce", json!("refused"), "must use PKCE"),
        ("CONNECTIONS_2.chat.pkce", json!("plain"), "must be one of \""),
        ("CONNECTIONS.code.scopes[1]", json!(["repo", "repo user"]), not_a_scope),
        ("CONNECTIONS.code.required_scopes[0]", json!(["\u{e9}"]), not_a_scope),
        ("CONNECTIONS.code.scopes[0]", json!([""]), not_a_scope),
        ("CONNECTIONS.code.scope_separator", json!(";"), "a space or a comma"),
        ("CONNECTIONS.code.default_expires_in", json!(0), "must be 1 to"),
        (
            "CONNECTIONS.a b",
            json!({ "kind": "oauth2", "client_id": "x" }),
            "1 to 128 letters, digits",
        ),
        (
            "CONNECTIONS.a/b",
            json!({ "kind": "oauth2", "client_id": "x" }),
            "1 to 128 letters, digits",
        ),
        (
            "CONNECTIONS_2.-_",
            json!({ "kind": "oauth2", "client_id": "x" }),
            "1 to 128 letters, digits",
        ),
    ]);
    let own = "client_id code code_challenge code_challenge_method code_verifier grant_type nonce \
               redirect_uri response_type scope state";
    for own in own.split(' ') {
        for field in ["authorization_params", "token_params", "code_params"] {
            let place = format!("CONNECTIONS.code.{field}.{own}");
            refused_in_place(&[(&place, json!("x"), "is set by the vault; remove it")]);
        }
        let address = format!("https://code.example/authorize?tenant=7&{own}=x");
        let fix = format!("has the parameter `{own}`, which the vault sets itself; remove it");
        refused_in_place(&[(
            "CONNECTIONS.code.authorization_endpoint",
            json!(address),
            fix.as_str(),
        )]);
    }
}

#[test]
fn no_parameter_of_an_authorization_request_is_configured_twice() {
    let code = |entry: Value| json!({ "CONNECTIONS": { "code": entry } });
    let query = "which `authorization_params` sets too";
    let scopes = "is a parameter that the vault sets already";
    for (entry, field, fix) in [
        (json!({ "authorization_params": { "tenant": "8" } }), "authorization_endpoint", query),
        (
            json!({ "scope_parameter": "tenant" }),
            "authorization_endpoint",
            "has the parameter `tenant`, which the vault sets itself",
        ),
        (
            json!({ "scope_parameter": "user_scope", "authorization_params": { "user_scope": "x" } }),
            "authorization_params.user_scope",
            "is a parameter for scopes",
        ),
        (json!({ "scope_parameter": "state" }), "scope_parameter", scopes),
        (json!({ "client_id_parameter": "" }), "client_id_parameter", "must be the name of"),
        (json!({ "client_id_parameter": "state" }), "client_id_parameter", "must be the name of"),
        (json!({ "client_id_parameter": "scope" }), "client_id_parameter", "must be the name of"),
        (
            json!({ "client_id_parameter": "client_key", "token_params": { "client_key": "x" } }),
            "token_params.client_key",
            "is set by the vault; remove it",
        ),
        (
            json!({ "kinds": { "bot": { "scopes": ["x"], "scope_parameter": "scope" } } }),
            "kinds.bot.scope_parameter",
            scopes,
        ),
    ] {
        refused(&code(entry), &format!("CONNECTIONS.code.{field}"), fix);
    }
    for entry in [
        json!({ "authorization_params": { "tenant": "" } }),
        json!({ "scope_parameter": "", "kinds": { "bot": { "scope_parameter": "scope" } } }),
    ] {
        load(&code(entry)).unwrap();
    }
}

#[test]
fn the_type_of_an_issuers_tokens_is_kept_in_the_form_in_which_tokens_are_compared() {
    // RFC 7515 §4.1.9: `application/` may be left out, and case does not matter.
    for (typ, kept) in
        [(json!("JWT"), vec!["jwt"]), (json!(["application/AT+jwt", "jwt"]), vec!["at+jwt", "jwt"])]
    {
        let config = load(&set("ISSUERS.main.typ", &typ)).unwrap();
        let issuer = config.issuers.values().next().unwrap();
        assert_eq!(issuer.types, kept);
    }
}

#[test]
fn what_a_client_may_do_is_checked() {
    let (fragment, loopback) = ("must not have a fragment", "http is for loopback only");
    let symmetric = json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0" }] });
    let grants = json!(["urn:ietf:params:oauth:grant-type:token-exchange"]);
    let own_audience = json!(["https://api.example.com/", "https://vault.example.com/me/"]);
    let alone = "scheme, host and port alone";
    refused_in_place(&[
        ("CLIENTS.spa.grants", grants, "cannot exchange; remove its grants"),
        ("CLIENTS.spa.connections[1]", json!(["chat", "chatt"]), "`chatt` is not among"),
        ("CLIENTS.backend.secret_sha256[0]", json!(["0".repeat(63)]), "64 hex digits"),
        ("CLIENTS.backend.secret_sha256[0]", json!([BACKEND_SECRET]), "64 hex digits"),
        ("CLIENTS.backend.secret_sha256", Value::Null, "is missing"),
        ("CLIENTS.backend.secret_sha256[0]", json!([EMPTY_SHA256]), "hash of an empty secret"),
        (
            "CLIENTS.backend.secret_sha256[1]",
            json!(["00".repeat(32), EMPTY_SHA256.to_uppercase()]),
            "hash of an empty secret",
        ),
        ("CLIENTS.agent.jwks", Value::Null, "is missing"),
        ("CLIENTS.agent.jwks", json!({ "keys": [] }), "at least one public signature key"),
        ("CLIENTS.agent.jwks", symmetric, "at least one public signature key"),
        ("CLIENTS.backend.audiences", json!([]), "at least one audience"),
        // A token for the connected-accounts API must not be accepted at the token endpoint.
        ("CLIENTS.backend.audiences", own_audience.clone(), "must not contain https://vault"),
        ("ISSUERS.main.audiences", own_audience, "must not contain https://vault"),
        ("ISSUERS.main.audiences", json!([""]), "at least one audience"),
        ("ISSUERS.main.algorithms", json!([]), "at least one algorithm"),
        // RFC 8725 §3.1: `none` and HMAC cannot be configured.
        ("ISSUERS.main.algorithms[0]", json!(["HS256"]), "must be one of \"RS256\""),
        ("ISSUERS.main.algorithms[1]", json!(["RS256", "none"]), "must be one of \"RS256\""),
        ("CLIENTS.spa.redirect_uris[0]", json!(["/connected"]), "absolute URI"),
        ("CLIENTS.spa.redirect_uris[0]", json!(["https://app.example.com/#"]), fragment),
        ("CLIENTS.spa.redirect_uris[0]", json!(["http://app.example.com/"]), loopback),
        ("CLIENTS.spa.redirect_uris[0]", json!(["javascript:alert(1)"]), "private-use scheme"),
        ("CLIENTS.spa.redirect_uris[0]", json!(["https://*.example.com/connected"]), "without `*`"),
        ("CLIENTS.spa.redirect_uris[0]", json!(["https://app.example.com/*"]), "without `*`"),
        ("CLIENTS.spa.redirect_uris[0]", json!(["com.example.app:/*"]), "without `*`"),
        (
            "CLIENTS.spa.post_logout_redirect_uris[0]",
            json!(["https://*.example.com/"]),
            "without `*`",
        ),
        ("CLIENTS.spa.origins[0]", json!(["https://*.example.com"]), "without `*`"),
        ("CLIENTS.spa.origins[0]", json!(["null"]), "must be an origin"),
        ("CLIENTS.spa.origins[0]", json!(["https://app.example.com/"]), alone),
        ("CLIENTS.spa.origins[0]", json!(["app.example:x"]), alone),
    ]);
    for (place, value) in [
        ("CLIENTS.spa.secret_sha256", json!(["00".repeat(32)])),
        ("CLIENTS.backend.jwks", json!({ "keys": [] })),
    ] {
        let entry = place.rsplit_once('.').unwrap().0;
        refused(&set(place, &value), &format!("{entry}.authentication"), "neither for none");
    }
    // A secret alone may have to name its client.
    let shared = set(
        "CLIENTS.twin",
        &json!({
            "authentication": "client_secret",
            "secret_sha256": ["00".repeat(32), encoding::hex(&Secret::new(BACKEND_SECRET).sha256())],
        }),
    );
    refused(&shared, "CLIENTS.twin.secret_sha256", "client `backend` has the same secret");
    let native = ["com.example.app:/connected", "http://127.0.0.1/", "http://[::1]:7000/done"];
    assert!(load(&set("CLIENTS.spa.redirect_uris", &json!(native))).is_ok());
}

/// The good configuration as an OpenID provider, with this change.
fn issuing(change: &Value) -> Result<Config, ConfigError> {
    let mut all = json!({
        "SIGN_IN": { "connections": ["calendar"] },
        "APIS": { "orders": { "identifier": "https://orders.example.com/", "scopes": ["read"] } },
        "CLIENTS": {
            "spa": { "grants": ["authorization_code", "refresh_token"], "apis": { "orders": ["read"] } },
        },
    });
    merge(&mut all, change);
    load(&all)
}

#[test]
fn signing_users_in_has_defaults_and_needs_connections_whose_ids_are_permanent() {
    let config = issuing(&json!({})).unwrap();
    let sign_in = config.sign_in.unwrap();
    assert_eq!(sign_in.connections, ["calendar"]);
    assert_eq!((sign_in.session_idle, sign_in.session_lifetime), (259_200, 2_592_000));
    assert!(!sign_in.cross_site && sign_in.logo.is_none());
    let spa = &config.clients["spa"];
    assert_eq!(spa.grants, [GrantType::AuthorizationCode, GrantType::RefreshToken]);
    assert_eq!(spa.apis["https://orders.example.com/"], ["read"]);
    assert_eq!((spa.kind, spa.name.as_str()), (ClientKind::Web, "spa"));
    let refresh = RefreshPolicy {
        rotation: true,
        idle: 2_592_000,
        lifetime: 31_536_000,
        ends_with_session: false,
    };
    assert_eq!(spa.refresh, refresh);
    // The identity of `code` is read from an API, whose documentation may say so.
    let permanent = json!({
        "SIGN_IN": { "connections": ["code"] },
        "CONNECTIONS": { "code": { "identity": { "permanent": true } } },
    });
    assert!(issuing(&permanent).is_ok());
    assert!(load(&json!({})).unwrap().sign_in.is_none());
}

#[test]
fn what_an_issuer_needs_is_checked() {
    for (place, value, fix) in [
        ("SIGN_IN.connections", json!([]), "must name at least one connection"),
        ("SIGN_IN.connections[0]", json!(["nope"]), "`nope` is not among CONNECTIONS"),
        ("SIGN_IN.connections[0]", json!(["code"]), "set `identity.permanent`"),
        ("SIGN_IN.logo", json!("http://example.com/logo.png"), "must be https"),
        ("SIGN_IN.session_idle", json!(59), "at least 60 seconds"),
        ("SIGN_IN.session_lifetime", json!(1), "at least 60 seconds"),
        ("SIGN_IN.colour", json!("red"), "unknown"),
        ("APIS.orders.identifier", json!("https://vault.example.com/me/"), "must not contain"),
        ("APIS.orders.identifier", json!(""), "at least one audience"),
        ("APIS.other.identifier", json!("https://orders.example.com/"), "same identifier"),
        ("APIS.orders.scopes[1]", json!(["read", "a b"]), "must be a scope"),
        ("APIS.orders.access_token_lifetime", json!(59), "between 60 and 86400"),
        ("APIS.orders.access_token_lifetime", json!(86_401), "between 60 and 86400"),
        ("CLIENTS.spa.apis.orders", json!(["write"]), "`write` is not among its scopes"),
        ("CLIENTS.spa.apis.other", json!([]), "is not among APIS"),
        ("CLIENTS.spa.refresh_tokens.rotation", json!(false), "RFC 9700"),
        ("CLIENTS.backend.refresh_tokens", json!({"idle": 120, "lifetime": 60}), "no shorter"),
        ("CLIENTS.backend.backchannel_logout_uri", json!("ftp://a.example"), "must be https"),
        ("CLIENTS.spa.post_logout_redirect_uris[0]", json!(["/"]), "absolute URI"),
    ] {
        let Err(error) = issuing(&set(place, &value)) else { panic!("accepted: {place} {value}") };
        assert!(error.to_string().starts_with(place), "{error}");
        assert!(error.fix.contains(fix), "{error}");
    }
    let alone = json!({ "CLIENTS": { "spa": { "grants": ["authorization_code"] } } });
    refused(&alone, "CLIENTS.spa.grants", "need SIGN_IN");
}

#[test]
fn keys_are_checked_and_no_error_shows_a_secret() {
    let secret = "c2VjcmV0LWNhbmFyeS1zZWNyZXQtY2FuYXJ5IQ";
    let ring = |write: &str, id: &str, key: &str| {
        json!(json!({ "write": write, "keys": { id: key } }).to_string())
    };
    let good = encoding::base64url([1; 32]);
    let rows = [
        ("KEY_RING", Value::Null, "is missing"),
        ("KEY_RING", json!(secret), "must be JSON of the form"),
        ("KEY_RING", json!({ "k1": secret }), "must be JSON of the form"),
        ("KEY_RING", json!({ "write": "k", "keys": {}, "k": secret }), "must be JSON of the form"),
        ("KEY_RING", json!({ "write": "k", "keys": { "k": [secret] } }), "must be JSON"),
        ("KEY_RING", ring("k1", "k1", secret), "key `k1` must be 32 bytes in base64url"),
        ("KEY_RING", ring("k1", "k1", &format!("{good}=")), "key `k1` must be 32 bytes"),
        ("KEY_RING", ring("k/1", "k/1", &good), "1 to 32 letters"),
        ("KEY_RING", ring("k2", "k1", &good), "`k2`, which is not among `keys`"),
        ("OBJECT_NAME_KEY", Value::Null, "is missing"),
        ("OBJECT_NAME_KEY", json!(secret), "must be 32 bytes in base64url"),
        ("OBJECT_NAME_KEY", json!(format!("{good}=")), "without padding"),
        ("PROVIDER_SECRETS", json!(secret), "must be a table"),
        ("PROVIDER_SECRETS", json!([secret]), "must be a table"),
        ("PROVIDER_SECRETS_2.chat", json!([secret]), "must be text, the client secret, or a table"),
        ("PROVIDER_SECRETS_2.chat", json!({ "secret": secret }), "or a table of client_secret"),
        ("PROVIDER_SECRETS_2.chat", json!({ secret: "x" }), "or a table of client_secret"),
        ("PROVIDER_SECRETS_2.chat", json!({ "client_secret": [secret] }), "both text"),
        ("JURISDICTION", json!("eu"), "is reserved; remove it"),
    ];
    for (place, value, _) in &rows {
        let shown = load(&set(place, value)).unwrap_err().to_string();
        assert!(!shown.contains(secret), "{shown}");
    }
    refused_in_place(&rows);
    let broken = load(&set("PROVIDER_SECRETS_2.chat", &json!({ "private_key": secret })));
    let shown = broken.unwrap_err().to_string();
    assert!(shown.contains("chat.private_key: must be an RSA key"), "{shown}");
    assert!(!shown.contains(secret), "{shown}");
    let shown = format!("{:?}", config());
    for hidden in ["calendar: secret+1%", "code-secret", &good] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}
