// SPDX-License-Identifier: Apache-2.0
//! Authorization requests to the vault: what is refused, and where the browser goes with it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/config.rs"]
mod config_support;

use config_support::{CHALLENGE, load};
use serde_json::json;
use url::form_urlencoded::Serializer;
use vault_core::config::Config;
use vault_core::issuer::authorization_request::{
    self, AuthorizationRequest, ClientError, Prompt, Refused, ResponseMode,
};
use vault_core::issuer::authorization_response::Response;

const CALLBACK: &str = "https://app.example.com/callback?tenant=1";
const ISSUER: &str = "https://vault.example.com/";

fn config() -> Config {
    load(&json!({
        "SIGN_IN": { "connections": ["calendar"] },
        "APIS": { "orders": { "identifier": "https://orders.example.com/", "scopes": ["read", "write"] } },
        "CLIENTS": {
            "app": {
                "authentication": "none", "kind": "spa",
                "grants": ["authorization_code", "refresh_token"],
                "redirect_uris": [CALLBACK],
                "origins": ["https://app.example.com"],
                "apis": { "orders": ["read"] },
            },
            "partner": {
                "authentication": "client_secret", "kind": "third_party",
                "secret_sha256": ["11".repeat(32)],
                "grants": ["authorization_code"],
                "redirect_uris": ["https://partner.example/cb"],
            },
            "phone": {
                "authentication": "none", "kind": "native",
                "grants": ["authorization_code"],
                "redirect_uris": ["http://127.0.0.1/cb", "http://[::1]/cb", "com.example.app:/cb"],
            },
        },
    }))
    .unwrap()
}

/// The parameters of a good request, with these in place of those of the same name; `-` leaves one out.
fn query(changes: &[(&str, &str)]) -> String {
    let mut all = vec![
        ("client_id", "app"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid email offline_access"),
        ("state", "s t"),
        ("nonce", "n"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    all.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    all.extend(changes.iter().filter(|(_, value)| *value != "-"));
    Serializer::new(String::new()).extend_pairs(all).finish()
}

fn read(changes: &[(&str, &str)]) -> Result<AuthorizationRequest, Refused> {
    authorization_request::read(&config(), query(changes).as_bytes(), None)
}

fn client_error(changes: &[(&str, &str)]) -> ClientError {
    match read(changes) {
        Err(Refused::Client(error)) => *error,
        other => panic!("{changes:?}: {other:?}"),
    }
}

#[test]
fn a_good_request_is_read_whole() {
    let request = read(&[
        ("prompt", "login"),
        ("max_age", "60"),
        ("login_hint", "a@example.com"),
        ("ui_locales", "de en"),
        ("connection", "calendar"),
        ("auth0Client", "eyJ9"),
    ])
    .unwrap();
    assert_eq!((request.client_id.as_str(), request.redirect_uri.as_str()), ("app", CALLBACK));
    assert_eq!(request.scopes, ["openid", "email", "offline_access"]);
    assert_eq!((request.state.as_deref(), request.nonce.as_deref()), (Some("s t"), Some("n")));
    assert_eq!((request.prompt, request.max_age), (Prompt::Login, Some(60)));
    assert_eq!(request.code_challenge.as_deref(), Some(CHALLENGE));
    assert_eq!(request.connection.as_deref(), Some("calendar"));
    assert_eq!(request.audience, None);
}

#[test]
fn a_client_or_redirect_uri_that_is_not_known_gets_a_page_and_no_redirect() {
    // RFC 6749 §4.1.2.1, RFC 9700 §4.1.3.
    for look_alike in [
        "https://app.example.com/callback",
        "https://app.example.com/callback?tenant=1&x=2",
        "https://app.example.com/callback/?tenant=1",
        "https://app.example.com/callback?tenant=1#",
        "https://APP.example.com/callback?tenant=1",
        "https://app.example.com:443/callback?tenant=1",
        "https://app.example.com.evil.example/callback?tenant=1",
        "https://evil@app.example.com/callback?tenant=1",
        "http://app.example.com/callback?tenant=1",
        "-",
    ] {
        let refused = read(&[("redirect_uri", look_alike)]);
        assert_eq!(refused, Err(Refused::Page("redirect_uri_unknown")), "{look_alike}");
    }
    for unknown in ["nobody", "backend", "-", "APP"] {
        assert_eq!(
            read(&[("client_id", unknown)]),
            Err(Refused::Page("client_unknown")),
            "{unknown}"
        );
    }
    let twice = format!("{}&redirect_uri=https%3A%2F%2Fevil.example%2F", query(&[]));
    let refused = authorization_request::read(&config(), twice.as_bytes(), None);
    assert_eq!(refused, Err(Refused::Page("repeated_parameter")));
    // A pushed request is that of the client that authenticated.
    let pushed = authorization_request::read(&config(), query(&[]).as_bytes(), Some("partner"));
    assert_eq!(pushed, Err(Refused::Page("client_unknown")));
}

#[test]
fn what_else_is_wrong_is_told_the_client() {
    for (changes, code) in [
        (&[("response_type", "token")][..], "unsupported_response_type"),
        (&[("response_type", "id_token")], "unsupported_response_type"),
        (&[("response_type", "-")], "unsupported_response_type"),
        (&[("response_mode", "fragment")], "invalid_request"),
        (&[("request", "x.y.z")], "request_not_supported"),
        (&[("request_uri", "https://a.example/")], "request_uri_not_supported"),
        // RFC 9700 §2.1.1, RFC 7636 §4.4.1.
        (&[("code_challenge", "-"), ("code_challenge_method", "-")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "-")], "invalid_request"),
        (&[("code_challenge", "short")], "invalid_request"),
        (&[("audience", "https://other.example/")], "invalid_target"),
        (
            &[("audience", "https://orders.example.com/"), ("resource", "https://b.example/")],
            "invalid_target",
        ),
        (&[("prompt", "none login")], "invalid_request"),
        (&[("max_age", "-1")], "invalid_request"),
        (&[("max_age", "soon")], "invalid_request"),
        (&[("connection", "chat")], "invalid_request"),
    ] {
        let error = client_error(changes);
        assert_eq!(error.code, code, "{changes:?}");
        assert_eq!((error.redirect_uri.as_str(), error.state.as_deref()), (CALLBACK, Some("s t")));
    }
}

#[test]
fn scopes_are_those_that_the_client_may_have_at_the_resource_server() {
    let me = "https://vault.example.com/me/";
    let orders = "https://orders.example.com/";
    let all = "openid profile email offline_access read write create:me:connected_accounts admin";
    let granted = |changes: &[(&str, &str)]| {
        let changes = [changes, &[("scope", all)]].concat();
        read(&changes).map(|request| request.scopes.join(" "))
    };
    let own = "openid profile email offline_access";
    assert_eq!(granted(&[]).unwrap(), own);
    assert_eq!(granted(&[("audience", orders)]).unwrap(), format!("{own} read"));
    assert_eq!(granted(&[("resource", orders)]).unwrap(), format!("{own} read"));
    let mine = format!("{own} create:me:connected_accounts");
    assert_eq!(granted(&[("audience", me)]).unwrap(), mine);
    // Somebody else's application gets no token for the user's accounts, and no refresh token here.
    let partner = [
        ("client_id", "partner"),
        ("redirect_uri", "https://partner.example/cb"),
        ("code_challenge", "-"),
        ("code_challenge_method", "-"),
    ];
    assert_eq!(granted(&partner).unwrap(), "openid profile email");
    let refused = granted(&[&partner[..], &[("audience", me)]].concat());
    assert!(matches!(refused, Err(Refused::Client(error)) if error.code == "invalid_target"));
}

#[test]
fn a_native_client_may_use_any_port_of_a_registered_loopback_address_and_nothing_else() {
    // RFC 8252 §7.1 and §7.3.
    let config = config();
    let client = &config.clients["phone"];
    let accepted = |uri: &str| client.may_return_to(uri);
    for uri in [
        "http://127.0.0.1:51004/cb",
        "http://[::1]:7/cb",
        "http://127.0.0.1/cb",
        "com.example.app:/cb",
    ] {
        assert!(accepted(uri), "{uri}");
    }
    for uri in [
        "http://127.0.0.1:51004/cb2",
        "http://127.0.0.1:51004/cb?x=1",
        "http://127.0.0.1:51004/cb#",
        "http://127.0.0.2:51004/cb",
        "http://localhost:51004/cb",
        "https://127.0.0.1:51004/cb",
        "http://evil@127.0.0.1:51004/cb",
        "http://127.0.0.1:051004/cb",
        "http://127.1:51004/cb",
        "com.example.app:/cb2",
        "com.example.app://cb",
    ] {
        assert!(!accepted(uri), "{uri}");
    }
    // Other kinds of client register each address.
    let spa = &config.clients["app"];
    assert!(!spa.may_return_to("http://127.0.0.1:51004/cb"));
}

#[test]
fn a_response_goes_to_the_redirect_uri_alone_and_names_the_issuer() {
    // RFC 9207 §2; the state of the client comes back byte by byte.
    let code = vault_base::secret::Secret::new("c.1");
    let Response::Redirect(location) = read(&[]).unwrap().granted(&code, ISSUER) else { panic!() };
    assert_eq!(
        location.expose(),
        "https://app.example.com/callback?tenant=1&code=c.1&state=s+t&iss=https%3A%2F%2Fvault.example.com%2F"
    );
    let posted = read(&[("response_mode", "form_post")]).unwrap().granted(&code, ISSUER);
    let Response::FormPost { action, fields } = posted else { panic!() };
    let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
    assert_eq!((action.as_str(), names), (CALLBACK, vec!["code", "state", "iss"]));
    let message = read(&[("response_mode", "web_message")]).unwrap();
    assert_eq!(message.response_mode, ResponseMode::WebMessage);
    let Response::WebMessage { origin, .. } = message.failed("login_required", "x", ISSUER) else {
        panic!()
    };
    assert_eq!(origin, "https://app.example.com");
    // An origin that the client did not register learns nothing by a message.
    let partner = [
        ("client_id", "partner"),
        ("redirect_uri", "https://partner.example/cb"),
        ("response_mode", "web_message"),
    ];
    let error = client_error(&partner);
    assert_eq!((error.code, error.response_mode), ("invalid_request", ResponseMode::Query));
}
