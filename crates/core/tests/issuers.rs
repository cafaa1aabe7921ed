// SPDX-License-Identifier: Apache-2.0
//! The recipes of `docs/issuers.md`: with the configuration that the page has, a token of that issuer's
//! documented shape is accepted for what it is for, and its ID token for nothing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "support/config.rs"]
mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::{load_all, merge, variables};
use vault_base::encoding::base64url;
use vault_core::config::Config;
use vault_core::connect::policy as connect;
use vault_core::oauth::exchange::policy::{self, Forbidden};
use vault_jose::TokenError;
use vault_jose::access_token::AccessToken;
use vault_jose::jws::Jws;

const NOW: i64 = 1_795_492_800;
const CREATE: &str = connect::CREATE;

/// The variables in the block of the page that begins with this table, after `change`.
fn block(table: &str, change: impl FnOnce(&str) -> String) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/issuers.md");
    let page = fs::read_to_string(path).unwrap();
    let heading = format!("```toml\n[vars.{table}");
    let start = page.find(&heading).unwrap_or_else(|| panic!("no block {table}"));
    let text = page[start + "```toml\n".len()..].split("```").next().unwrap();
    let table: toml::Table = toml::from_str(&change(text)).unwrap();
    serde_json::to_value(&table["vars"]).unwrap()
}

/// The entry of `ISSUERS` in the page's recipe of this name.
fn recipe(name: &str) -> Value {
    block(&format!("ISSUERS.{name}]\n"), str::to_owned)["ISSUERS"][name].clone()
}

/// A configuration with the recipe and the page's clients: `client` connects accounts, and `backend` exchanges
/// what was issued to it.
fn config(name: &str, client: &str) -> Config {
    let recipe = recipe(name);
    let filled_in = |text: &str| {
        text.replace("<client id of the application at the issuer>", client)
            .replace("<64 hex digits>", &"01".repeat(32))
    };
    let mut all = variables();
    all["CLIENTS"] = block("CLIENTS.", filled_in)["CLIENTS"].clone();
    if let Some(audiences) = recipe.get("audiences") {
        all["CLIENTS"]["backend"]["audiences"] = audiences.clone();
    }
    all["ISSUERS"] = json!({ "main": recipe });
    load_all(&all).unwrap()
}

#[test]
fn the_connection_to_okta_may_sign_users_in() {
    let mut all = variables();
    merge(&mut all, &block("CONNECTIONS.work]", str::to_owned));
    all["PROVIDER_SECRETS"] = json!(r#"{"calendar":"x","code":"x","work":"x"}"#);
    let config = load_all(&all).unwrap();
    assert_eq!(config.sign_in.unwrap().connections, ["work"]);
}

fn read(config: &Config, header: &Value, claims: &Value) -> Result<AccessToken, TokenError> {
    let mut all = json!({ "sub": "u1", "iat": NOW, "exp": NOW + 3600 });
    merge(&mut all, claims);
    let text = format!("{}.{}.c2ln", base64url(header.to_string()), base64url(all.to_string()));
    let issuer = config.issuers.values().next().unwrap();
    AccessToken::read(&Jws::parse(&text)?, issuer, NOW)
}

struct Shape {
    recipe: &'static str,
    client: &'static str,
    header: Value,
    /// The claims of an access token to exchange.
    exchange: Value,
    /// What is other in one for the connect API.
    api: Value,
    /// What is other in the ID token of the same client.
    id: Value,
}

fn shapes() -> Vec<Shape> {
    let (vault, me) = ("https://vault.example.com/", "https://vault.example.com/me/");
    let entra = "66666666-7777-8888-9999-000000000000";
    let app = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
    let jwt = || json!({"alg": "RS256", "typ": "JWT", "kid": "1"});
    let bare = || json!({"kid": "1", "alg": "RS256"});
    vec![
        Shape {
            recipe: "auth0",
            client: "aUtH0cLiEnT",
            header: json!({"alg": "RS256", "typ": "at+jwt", "kid": "1"}),
            exchange: json!({"iss": "https://your-tenant.eu.auth0.com/",
                "aud": [vault, "https://your-tenant.eu.auth0.com/userinfo"],
                "client_id": "aUtH0cLiEnT", "scope": "openid offline_access", "jti": "j"}),
            api: json!({"aud": [me], "scope": format!("openid {CREATE}")}),
            id: json!({"aud": "aUtH0cLiEnT", "client_id": null, "nonce": "n", "at_hash": "h"}),
        },
        Shape {
            recipe: "auth0",
            client: "aUtH0cLiEnT",
            header: jwt(),
            exchange: json!({"iss": "https://your-tenant.eu.auth0.com/", "aud": vault,
                "azp": "aUtH0cLiEnT", "scope": "openid"}),
            api: json!({"aud": me, "scope": CREATE}),
            id: json!({"aud": "aUtH0cLiEnT", "azp": null, "nonce": "n", "sid": "s"}),
        },
        Shape {
            recipe: "keycloak",
            client: "app",
            header: jwt(),
            exchange: json!({"iss": "https://keycloak.example.com/realms/main", "typ": "Bearer",
                "aud": [vault, "account"], "azp": "app", "nonce": "n", "session_state": "s",
                "acr": "1", "allowed-origins": ["*"], "realm_access": {"roles": ["r"]},
                "scope": "openid email", "sid": "s", "jti": "j", "auth_time": NOW}),
            api: json!({"aud": me, "scope": format!("openid {CREATE}")}),
            id: json!({"typ": "ID", "aud": "app", "at_hash": "h"}),
        },
        Shape {
            recipe: "entra",
            client: app,
            header: json!({"typ": "JWT", "alg": "RS256", "x5t": "1", "kid": "1"}),
            exchange: json!({
                "iss": "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0",
                "aud": entra, "azp": app, "azpacr": "1", "scp": "exchange", "ver": "2.0",
                "oid": "o", "tid": "11111111-2222-3333-4444-555555555555", "uti": "u", "rh": "r"}),
            api: json!({"scp": format!("{CREATE} read:me:connected_accounts")}),
            id: json!({"aud": app, "azp": null, "nonce": "n", "scp": null}),
        },
        Shape {
            recipe: "entra_v1",
            client: app,
            header: json!({"typ": "JWT", "alg": "RS256", "x5t": "1", "kid": "1"}),
            exchange: json!({
                "iss": "https://sts.windows.net/11111111-2222-3333-4444-555555555555/",
                "aud": format!("api://{entra}"), "appid": app, "appidacr": "1", "scp": "exchange",
                "ver": "1.0", "unique_name": "u@example.com"}),
            api: json!({"scp": CREATE}),
            id: json!({"aud": app, "appid": null, "nonce": "n", "scp": null}),
        },
        Shape {
            recipe: "okta",
            client: "0oa1",
            header: bare(),
            exchange: json!({"iss": "https://your-org.okta.com/oauth2/aus1abcdefgHIJKLmn5d7",
                "ver": 1, "jti": "AT.1", "aud": vault, "cid": "0oa1", "uid": "00u1",
                "scp": ["openid", "exchange"], "auth_time": NOW, "sub": "u@example.com"}),
            api: json!({"scp": [CREATE]}),
            id: json!({"aud": "0oa1", "cid": null, "scp": null, "at_hash": "h", "nonce": "n",
                "amr": ["pwd"], "idp": "i"}),
        },
        Shape {
            recipe: "cognito",
            client: "1example23456789",
            header: bare(),
            exchange: json!({
                "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI",
                "client_id": "1example23456789", "token_use": "access", "scope": "openid email",
                "version": 2, "origin_jti": "o", "event_id": "e", "username": "u",
                "cognito:groups": ["g"], "auth_time": NOW}),
            api: json!({"scope": format!("openid {CREATE}")}),
            id: json!({"token_use": "id", "aud": "1example23456789", "client_id": null}),
        },
        Shape {
            recipe: "clerk",
            client: "https://app.example.com",
            header: json!({"alg": "RS256", "cat": "cl_1", "kid": "ins_1", "typ": "JWT"}),
            exchange: json!({"iss": "https://clerk.example.com", "aud": vault,
                "azp": "https://app.example.com", "nbf": NOW - 10, "jti": "j"}),
            api: json!({"aud": me, "scope": CREATE}),
            // The session token.
            id: json!({"aud": null, "sid": "s", "sts": "active"}),
        },
    ]
}

/// Whether a token may be exchanged, and whether it may be used at the connect API.
fn uses(config: &Config, token: &AccessToken) -> (Result<(), Forbidden>, bool) {
    let issuer = policy::issuer_of(config, token).unwrap();
    let exchange = policy::check(&config.clients["backend"], issuer, token, "calendar");
    (exchange, connect::check(config, token, CREATE).is_ok())
}

#[test]
fn with_its_recipe_a_token_of_each_issuer_is_good_for_what_it_was_issued_for_and_nothing_else() {
    for Shape { recipe, client, header, exchange, api, .. } in shapes() {
        let config = config(recipe, client);
        let token = read(&config, &header, &exchange).unwrap();
        assert_eq!(
            (token.client_id.as_str(), uses(&config, &token)),
            (client, (Ok(()), false)),
            "{recipe}"
        );

        let mut claims = exchange.clone();
        merge(&mut claims, &api);
        let token = read(&config, &header, &claims).unwrap();
        let refused = Err(Forbidden::SubjectToken(TokenError::Audience));
        assert_eq!(uses(&config, &token), (refused, true), "{recipe}");
    }
}

#[test]
fn an_id_or_session_token_of_each_issuer_is_good_for_nothing() {
    for Shape { recipe, client, header, exchange, id, .. } in shapes() {
        let config = config(recipe, client);
        let mut claims = exchange.clone();
        merge(&mut claims, &id);
        if let Ok(token) = read(&config, &header, &claims) {
            let refused = Err(Forbidden::SubjectToken(TokenError::Audience));
            assert_eq!(uses(&config, &token), (refused, false), "{recipe}");
        }
    }
}

#[test]
fn a_token_of_another_client_or_audience_is_not_exchanged() {
    for Shape { recipe, client, header, exchange, .. } in shapes() {
        let config = config(recipe, client);
        for (claim, refusal) in [
            (["client_id", "azp", "appid", "cid"].as_slice(), TokenError::Client),
            (["aud"].as_slice(), TokenError::Audience),
        ] {
            let mut claims = exchange.clone();
            let known = claim.iter().find(|claim| exchange.get(claim).is_some());
            let Some(known) = known else { continue };
            claims[known] = json!("other");
            let token = read(&config, &header, &claims).unwrap();
            // Where the client is the audience, the audience is what does not fit.
            let refusal = if recipe == "cognito" { TokenError::Audience } else { refusal };
            let refused = Err(Forbidden::SubjectToken(refusal));
            assert_eq!(uses(&config, &token), (refused, false), "{recipe} {known}");
        }
    }
}
