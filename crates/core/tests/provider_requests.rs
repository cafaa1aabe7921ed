// SPDX-License-Identifier: Apache-2.0
//! Requests to providers: authorization, code, refresh, revocation, userinfo; metadata and `iss`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/config.rs"]
mod config_support;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use config_support::{config, load};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};
use vault_base::encoding::{base64url, sha256};
use vault_base::public_url::PublicUrl;
use vault_base::secret::Secret;
use vault_core::config::Config;
use vault_provider::authorization_request::{
    self, AuthorizationRequest, OWN_PARAMETERS, RequestError,
};
use vault_provider::connection::Connection;
use vault_provider::endpoints::{Discovery, Metadata, MetadataError, MissingEndpoint, Provider};
use vault_provider::profile::{HttpMethod, RevocationAuthentication, Rotation};
use vault_provider::request::{self, ProviderRequest};
use vault_provider::revocation::{self, TokenTypeHint};
use vault_provider::scopes;

const ISSUER: &str = "https://accounts.calendar.example";
const SOURCE: Discovery<'_> = Discovery { issuer: ISSUER, pattern: None };
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CALLBACK: &str = "https://vault.example.com/callback/calendar";
/// The parameters that every token request of the connection `code` has.
const CODE: [(&str, &str); 3] = [
    ("client_id", "vault-code"),
    ("client_secret", "code-secret"),
    ("resource", "https://api.code.example"),
];

/// Parses a valid metadata document after this change; `null` removes a member.
fn metadata(change: &Value) -> Result<Metadata, MetadataError> {
    let mut document = json!({
        "issuer": ISSUER,
        "jwks_uri": "https://keys.calendar.example/jwks",
        "authorization_endpoint": "https://accounts.calendar.example/authorize",
        "token_endpoint": "https://accounts.calendar.example/token",
        "userinfo_endpoint": "https://accounts.calendar.example/userinfo",
        "revocation_endpoint": "https://accounts.calendar.example/revoke",
        "scopes_supported": ["openid"],
    });
    for (name, value) in change.as_object().unwrap() {
        document[name] = value.clone();
    }
    document.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let vault = PublicUrl::parse("https://vault.example.com").unwrap();
    Metadata::parse(document.to_string().as_bytes(), SOURCE, &vault)
}

/// A connection of the test configuration, and its provider.
fn known(config: &Config, name: &str) -> (Connection, Provider) {
    let connection = config.connections[name].clone();
    let metadata = metadata(&json!({})).unwrap();
    let provider = Provider::new(&connection, Some(&metadata)).unwrap();
    (connection, provider)
}

/// The URL of the authorization request with these scopes and parameters of the application.
fn authorization(config: &Config, name: &str, scopes: &[&str], params: &[(&str, &str)]) -> Url {
    let (connection, provider) = known(config, name);
    let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let params: Vec<(String, String)> = map(params).into_iter().collect();
    let ask = AuthorizationRequest {
        callback: CALLBACK,
        state: "session.state",
        nonce: "the-nonce",
        verifier: VERIFIER,
        scopes: &scopes,
        params: &params,
    };
    authorization_request::url(&connection, &provider, &ask).unwrap()
}

/// The parameters of a query or form. None may occur twice (RFC 6749 §3.1, §3.2).
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        assert_eq!(all.insert(name.to_string(), value.into_owned()), None, "{name}: {text}");
    }
    all
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn sent(request: &ProviderRequest) -> BTreeMap<String, String> {
    parameters(request.body.as_ref().unwrap().text.expose())
}

fn authorization_header(request: &ProviderRequest) -> Option<&str> {
    request.authorization.as_ref().map(Secret::expose)
}

#[test]
fn raw_basic_credentials_are_sent_as_they_are_and_have_no_colon_in_the_id() {
    let raw = "client_secret_basic_raw";
    let entry =
        json!({ "client_authentication": raw, "client_id": "va+ult/é%", "pkce": "supported" });
    let refused = load(&json!({ "CONNECTIONS": { "code": entry } }));
    assert!(refused.is_err(), "a client id is printable ASCII");
    let entry = json!({ "client_authentication": raw, "client_id": "va+ult/%" });
    let secrets = json!({ "calendar": "x", "code": "s:+ %e\u{301}" });
    let change =
        json!({ "CONNECTIONS": { "code": entry }, "PROVIDER_SECRETS": secrets.to_string() });
    let (connection, provider) = known(&load(&change).unwrap(), "code");
    let (token, code) = (Secret::new("t"), Secret::new("c"));
    let expected = format!("Basic {}", STANDARD.encode("va+ult/%:s:+ %e\u{301}"));
    let (verifier, scopes) = (Secret::new(VERIFIER), []);
    let redeem = request::redeem(&connection, &provider, CALLBACK, &code, &verifier, &scopes);
    let refresh = request::refresh(&connection, &provider, CALLBACK, &token, None);
    for request in [redeem.unwrap(), refresh.unwrap()] {
        assert_eq!(authorization_header(&request), Some(expected.as_str()));
        assert!(!sent(&request).contains_key("client_secret"));
    }
    let colon = json!({ "CONNECTIONS": { "calendar": { "client_authentication": raw } } });
    let refused = load(&colon).unwrap_err().to_string();
    assert!(refused.contains("client_id has a colon"), "{refused}");
}

#[test]
fn the_client_id_has_the_name_by_which_the_provider_reads_it_in_every_request() {
    let entry = json!({
        "client_id_parameter": "client_key",
        "revocation_endpoint": "https://code.example/revoke",
        "revocation": { "hint": false },
    });
    let config = load(&json!({ "CONNECTIONS": { "code": entry } })).unwrap();
    let url = authorization(&config, "code", &["repo"], &[("client_key", "another")]);
    let asked = parameters(url.query().unwrap());
    let (connection, provider) = known(&config, "code");
    let (token, verifier) = (Secret::new("t"), Secret::new(VERIFIER));
    let redeem = request::redeem(&connection, &provider, CALLBACK, &token, &verifier, &[]);
    let refresh = request::refresh(&connection, &provider, CALLBACK, &token, None);
    let revoked = (&token, TokenTypeHint::Refresh);
    let revoke = revocation::revoke(&connection, &provider, "", revoked, None);
    let bodies = [redeem, refresh, revoke].map(|request| sent(&request.unwrap()));
    for parameters in std::iter::once(asked).chain(bodies) {
        assert_eq!(parameters["client_key"], "vault-code");
        assert!(!parameters.contains_key("client_id"), "{parameters:?}");
    }
}

#[test]
fn a_revocation_carries_the_client_secret_with_the_scheme_client() {
    let entry = json!({
        "revocation_endpoint": "https://code.example/revoke",
        "revocation": { "authentication": "client_scheme", "hint": false },
    });
    let config = load(&json!({ "CONNECTIONS": { "code": entry } })).unwrap();
    let (connection, provider) = known(&config, "code");
    let token = (&Secret::new("t"), TokenTypeHint::Refresh);
    let request = revocation::revoke(&connection, &provider, "", token, None).unwrap();
    assert_eq!(authorization_header(&request), Some("Client code-secret"));
    assert_eq!(sent(&request), map(&[("token", "t")]));
}

#[test]
fn the_id_of_a_user_does_not_leave_its_segment_of_a_path() {
    let entry = json!({"revocation_endpoint": "https://code.example/users/{user}/grant"});
    let config = load(&json!({ "CONNECTIONS": { "code": entry } })).unwrap();
    let (connection, provider) = known(&config, "code");
    for (user, path) in [
        ("7", Some("/users/7/grant")),
        ("a/..", Some("/users/a%2F../grant")),
        ("%2e%2e", Some("/users/%252e%252e/grant")),
        ("...", Some("/users/.../grant")),
        (".", None),
        ("..", None),
    ] {
        let token = (&Secret::new("t"), TokenTypeHint::Refresh);
        let request = revocation::revoke(&connection, &provider, "", token, Some(user));
        assert_eq!(request.as_ref().map(|request| request.url.path()), path, "{user}");
    }
}

#[test]
fn an_openid_request_carries_state_nonce_and_an_s256_challenge() {
    // RFC 7636 §4.2 (appendix B's verifier and challenge), RFC 6749 §10.12, OpenID Connect Core §3.1.2.1.
    let url = authorization(&config(), "calendar", &["openid", "events.read"], &[]);
    assert!(url.as_str().starts_with("https://accounts.calendar.example/authorize?"));
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    assert_eq!(challenge, base64url(sha256(VERIFIER)));
    let expected = [
        ("access_type", "offline"),
        ("client_id", "vault:calendar"),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
        ("nonce", "the-nonce"),
        ("prompt", "consent"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid events.read"),
        ("state", "session.state"),
    ];
    assert_eq!(parameters(url.query().unwrap()), map(&expected));
    assert!(!url.as_str().contains(VERIFIER));
}

#[test]
fn a_plain_oauth_request_keeps_the_query_and_has_neither_nonce_nor_unwanted_pkce() {
    // RFC 6749 §3.1: the endpoint's own query is kept.
    let url = authorization(&config(), "code", &["repo", "user"], &[]);
    let expected = [
        ("client_id", "vault-code"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "repo,user"),
        ("state", "session.state"),
        ("tenant", "7"),
    ];
    assert_eq!(parameters(url.query().unwrap()), map(&expected));
    // A public client always uses PKCE. Without scopes the parameter `scope` is absent.
    let chat = parameters(authorization(&config(), "chat", &[], &[]).query().unwrap());
    assert_eq!(chat["code_challenge_method"], "S256");
    assert!(!chat.contains_key("scope") && !chat.contains_key("nonce"));
}

#[test]
fn the_application_fills_in_what_the_operator_left_open() {
    let asked = [("prompt", "none"), ("login_hint", "a&b=c#d"), ("audience", "x")];
    let url = authorization(&config(), "calendar", &[], &asked);
    let sent = parameters(url.query().unwrap());
    assert_eq!(sent["prompt"], "consent");
    assert_eq!([&sent["login_hint"], &sent["audience"]], ["a&b=c#d", "x"]);
    assert_eq!(url.fragment(), None);
}

/// The URL of the authorization request of `calendar` if its metadata has an authorization endpoint with this
/// query.
fn with_query(query: &str, params: &[(&str, &str)]) -> Result<Url, RequestError> {
    let endpoint = format!("https://accounts.calendar.example/authorize{query}");
    let metadata = metadata(&json!({ "authorization_endpoint": endpoint })).unwrap();
    let config = config();
    let connection = &config.connections["calendar"];
    let provider = Provider::new(connection, Some(&metadata)).unwrap();
    let ask = AuthorizationRequest {
        callback: CALLBACK,
        state: "session.state",
        nonce: "the-nonce",
        verifier: VERIFIER,
        scopes: &["openid".to_owned()],
        params: &map(params).into_iter().collect::<Vec<_>>(),
    };
    authorization_request::url(connection, &provider, &ask)
}

#[test]
fn a_parameter_of_a_discovered_endpoint_is_sent_once() {
    // RFC 6749 §3.1: the query is retained, and no parameter is sent twice.
    for (query, params, name, value) in [
        ("?p=policy", [].as_slice(), "p", "policy"),
        ("?p=policy&p2=a+b%26c", &[], "p2", "a b&c"),
        // The operator's value, the endpoint's, the application's: the first that there is.
        ("?prompt=login", &[], "prompt", "consent"),
        ("?prompt=login&p=x", &[("prompt", "none")], "prompt", "consent"),
        ("?login_hint=at-the-provider", &[("login_hint", "a")], "login_hint", "at-the-provider"),
        ("?p=x", &[("login_hint", "a")], "login_hint", "a"),
    ] {
        let url = with_query(query, params).unwrap();
        let sent = parameters(url.query().unwrap());
        assert_eq!(sent[name], value, "{query}");
        assert_eq!([&sent["client_id"], &sent["access_type"]], ["vault:calendar", "offline"]);
    }
    assert!(with_query("?p=a+b", &[]).unwrap().as_str().contains("/authorize?p=a+b&"));
    assert!(
        with_query("?prompt=login", &[]).unwrap().as_str().contains("/authorize?response_type=")
    );
}

#[test]
fn a_discovered_endpoint_with_a_parameter_of_the_vault_stops_connects_alone() {
    for own in OWN_PARAMETERS {
        // `with_query` makes a provider of the same metadata, as a refresh does.
        for query in [format!("?{own}=x"), format!("?p=policy&{own}")] {
            let refused = with_query(&query, &[]).unwrap_err();
            assert_eq!(refused, RequestError::OwnParameter(own.to_owned()), "{query}");
        }
    }
}

#[test]
fn only_harmless_parameters_are_the_applications_to_set() {
    let some = "acr_values audience display id_token_hint login_hint max_age prompt resource \
                ui_locales";
    assert!(some.split(' ').all(authorization_request::allowed));
    let others = "access_type client_id code_challenge nonce Prompt redirect_uri request request_uri \
                  response_mode response_type scope state";
    assert!(
        !others.split(' ').any(authorization_request::allowed)
            && !authorization_request::allowed("")
    );
}

#[test]
fn required_scopes_come_first_and_defaults_stand_in_for_none() {
    let config = config();
    let calendar = &config.connections["calendar"];
    let asked = ["mail".to_owned(), "openid".to_owned()];
    assert_eq!(scopes::ask(calendar, &[]), ["openid", "offline_access", "events.read"]);
    assert_eq!(scopes::ask(calendar, &asked), ["openid", "offline_access", "mail"]);
    assert_eq!(scopes::ask(&config.connections["code"], &[]), ["repo", "user"]);
}

#[test]
fn a_code_is_redeemed_with_one_authentication_and_the_same_redirect_uri() {
    // RFC 6749 §2.3.1: Basic is form-encoded first; §4.1.3.
    let config = config();
    let redeem = |name: &str| {
        let (connection, provider) = known(&config, name);
        let (code, verifier) = (Secret::new("the code+"), Secret::new(VERIFIER));
        request::redeem(&connection, &provider, CALLBACK, &code, &verifier, &["repo".into()])
            .unwrap()
    };
    let common =
        [("code", "the code+"), ("grant_type", "authorization_code"), ("redirect_uri", CALLBACK)];
    let with = |more: &[(&str, &str)]| map(&[common.as_slice(), more].concat());
    let calendar = redeem("calendar");
    assert_eq!(calendar.url.as_str(), "https://accounts.calendar.example/token");
    let encoded = "Basic dmF1bHQlM0FjYWxlbmRhcjpjYWxlbmRhciUzQStzZWNyZXQlMkIxJTI1";
    assert_eq!(authorization_header(&calendar), Some(encoded));
    assert_eq!(sent(&calendar), with(&[("code_verifier", VERIFIER)]));
    let code = redeem("code");
    assert_eq!(code.url.as_str(), "https://code.example/token");
    assert_eq!(authorization_header(&code), None);
    assert_eq!(sent(&code), with(&CODE));
    let chat = redeem("chat");
    assert_eq!(authorization_header(&chat), None);
    assert_eq!(sent(&chat), with(&[("client_id", "vault-chat"), ("code_verifier", VERIFIER)]));
}

#[test]
fn a_code_is_redeemed_for_one_resource_where_a_token_is_for_one() {
    let config = config();
    let (connection, provider) = known(&config, "calendar");
    let by_resource =
        Connection { default_resource: Some("https://graph.example".into()), ..connection };
    let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    // Scopes of the consent; of the token request for the code; of a refresh for the same token.
    for (asked, redeemed, refreshed) in [
        ("openid offline_access Mail.Read", Some("openid offline_access Mail.Read"), None),
        (
            "openid https://vault.example/a Mail.Read https://vault.example/b profile",
            Some("openid Mail.Read profile"),
            Some("openid Mail.Read profile"),
        ),
        (
            "openid https://graph.example/Mail.Read https://vault.example/a",
            Some("openid https://graph.example/Mail.Read"),
            Some("openid https://graph.example/Mail.Read"),
        ),
        (
            "openid https://vault.example/a https://vault.example/b",
            Some("openid https://vault.example/a https://vault.example/b"),
            None,
        ),
        (
            "openid https://vault.example/a https://other.example/b",
            Some("openid https://vault.example/a"),
            Some("openid https://vault.example/a"),
        ),
        ("openid offline_access", Some("openid offline_access"), None),
    ] {
        let asked = list(asked);
        let secret = Secret::new("x");
        let redeem =
            request::redeem(&by_resource, &provider, CALLBACK, &secret, &secret, &asked).unwrap();
        assert_eq!(sent(&redeem).get("scope").map(String::as_str), redeemed, "{asked:?}");
        let named = scopes::at_refresh(&by_resource, &asked).map(|scopes| scopes.join(" "));
        assert_eq!(named.as_deref(), refreshed, "{asked:?}");
        // At other providers the code and the refresh token determine the scopes.
        let (plain, _) = known(&config, "calendar");
        let redeem =
            request::redeem(&plain, &provider, CALLBACK, &secret, &secret, &asked).unwrap();
        assert_eq!(sent(&redeem).get("scope"), None);
        assert_eq!(scopes::at_refresh(&plain, &asked), None);
        assert_eq!(scopes::of_first_token(&plain, &asked), asked);
    }
    let all = list("openid Mail.Read https://vault.example/a");
    assert_eq!(scopes::of_first_token(&by_resource, &all), ["openid", "Mail.Read"]);
    assert_eq!(scopes::of_first_token(&by_resource, &all[2..]), ["https://vault.example/a"]);
}

#[test]
fn a_refresh_asks_for_scopes_only_to_narrow() {
    // RFC 6749 §6.
    let config = config();
    let refresh = |name: &str, scopes: Option<&[String]>| {
        let (connection, provider) = known(&config, name);
        request::refresh(&connection, &provider, CALLBACK, &Secret::new("r/t"), scopes).unwrap()
    };
    let common = [("grant_type", "refresh_token"), ("refresh_token", "r/t")];
    let calendar = refresh("calendar", None);
    assert_eq!(sent(&calendar), map(&common));
    assert!(authorization_header(&calendar).is_some_and(|value| value.starts_with("Basic ")));
    assert_eq!(sent(&refresh("code", None)), map(&[common.as_slice(), &CODE].concat()));
    let narrow = ["user".to_owned(), "repo".to_owned()];
    assert_eq!(sent(&refresh("code", Some(&narrow)))["scope"], "user,repo");
    assert_eq!(sent(&refresh("calendar", Some(&narrow)))["scope"], "user repo");
    let chat = [("client_id", "vault-chat")];
    assert_eq!(sent(&refresh("chat", None)), map(&[common.as_slice(), &chat].concat()));
}

#[test]
fn a_revocation_says_which_kind_of_token_it_is_about() {
    // RFC 7009 §2.1.
    use TokenTypeHint::{Access, Refresh};
    let config = config();
    let revoke = |name: &str, kind| {
        let (connection, provider) = known(&config, name);
        revocation::revoke(&connection, &provider, "", (&Secret::new("t"), kind), None)
    };
    for (kind, hint) in [(Refresh, "refresh_token"), (Access, "access_token")] {
        let calendar = revoke("calendar", kind).unwrap();
        assert_eq!(calendar.url.as_str(), "https://accounts.calendar.example/revoke");
        assert_eq!(sent(&calendar), map(&[("token", "t"), ("token_type_hint", hint)]));
        assert!(authorization_header(&calendar).is_some());
        let code = sent(&revoke("code", kind).unwrap());
        assert_eq!([&code["token_type_hint"], &code["client_secret"]], [hint, "code-secret"]);
        assert!(revoke("chat", kind).is_none());
    }
}

#[test]
fn a_development_vault_revokes_at_the_very_endpoint_it_was_given() {
    let change = json!({
        "PUBLIC_URL": "http://127.0.0.1:8787",
        "CONNECTIONS": { "code": { "revocation_endpoint": "http://127.0.0.1:9000/revoke?x=1" } },
    });
    let config = load(&change).unwrap();
    let (connection, provider) = known(&config, "code");
    let token = Secret::new("t");
    let request =
        revocation::revoke(&connection, &provider, "", (&token, TokenTypeHint::Refresh), None)
            .unwrap();
    assert_eq!(request.url.as_str(), "http://127.0.0.1:9000/revoke?x=1");
    assert_eq!(sent(&request)["token"], "t");
}

#[test]
fn an_access_token_that_renews_itself_is_sent_as_the_provider_wants_it() {
    // https://developers.facebook.com/docs/facebook-login/guides/access-tokens/get-long-lived and
    // https://developers.facebook.com/docs/instagram-platform/reference/refresh_access_token.
    let config = load(&json!({"CONNECTIONS": {"code": {
        "renewal": "access_token",
        "refresh_method": "GET",
        "refresh_endpoint": "https://graph.code.example/refresh?v=1",
        "refresh_token_parameter": "exchange_token",
        "refresh_grant_type": "refresh_it",
        "first_refresh_endpoint": "https://graph.code.example/first",
        "first_refresh_grant_type": "exchange_it",
    }}}))
    .unwrap();
    let (connection, provider) = known(&config, "code");
    assert_eq!(connection.rotation, Rotation::OldStaysValid);
    let token = Secret::new("t+1");
    for (request, address, grant_type) in [
        (
            request::refresh(&connection, &provider, CALLBACK, &token, None).unwrap(),
            "/refresh",
            "refresh_it",
        ),
        (
            request::first_refresh(&connection, &provider, CALLBACK, &token).unwrap(),
            "/first",
            "exchange_it",
        ),
    ] {
        assert_eq!((request.method, request.url.path()), (HttpMethod::Get, address));
        assert!(request.body.is_none() && authorization_header(&request).is_none());
        let query: BTreeMap<_, _> = request.url.query_pairs().into_owned().collect();
        let own = [("grant_type", grant_type), ("exchange_token", "t+1")];
        let version: &[_] = if address == "/refresh" { &[("v", "1")] } else { &[] };
        assert_eq!(query, map(&[own.as_slice(), &CODE, version].concat()));
        let shown = format!("{request:?}");
        assert!(!shown.contains("code-secret") && !shown.contains("t%2B1"), "{shown}");
    }
    let rules = &connection.renewal;
    for (lifetime, is_first) in
        [(Some(3600), true), (Some(86_400), true), (Some(86_401), false), (None, false)]
    {
        assert_eq!(rules.is_first(lifetime), is_first, "{lifetime:?}");
    }
    let plain = config_support::config().connections["code"].renewal.clone();
    assert!(!plain.by_access_token && !plain.is_first(Some(60)));
}

#[test]
fn no_request_prints_a_secret() {
    // SECURITY.md, "What must never happen": no secret reaches a log.
    let config = config();
    let secret = Secret::new("canary");
    for name in ["calendar", "code", "chat"] {
        let (connection, provider) = known(&config, name);
        let requests = [
            request::redeem(&connection, &provider, CALLBACK, &secret, &secret, &[]),
            request::refresh(&connection, &provider, CALLBACK, &secret, None),
            revocation::revoke(&connection, &provider, "", (&secret, TokenTypeHint::Access), None),
            ProviderRequest::userinfo(&connection, &provider, &secret),
        ];
        let shown = format!("{connection:?} {requests:?}");
        for hidden in ["canary", "code-secret", "calendar: secret", "dmF1bHQlM0FjYWxlbmRhc"] {
            assert!(!shown.contains(hidden), "{hidden}");
        }
    }
    let (connection, provider) = known(&config, "code");
    let userinfo = ProviderRequest::userinfo(&connection, &provider, &secret).unwrap();
    assert_eq!(authorization_header(&userinfo), Some("Bearer canary"));
    assert!(userinfo.body.is_none() && userinfo.url.query().is_none());
    assert_eq!(userinfo.method, HttpMethod::Get);
}

#[test]
fn metadata_is_taken_whole_or_not_at_all() {
    // RFC 8414 §3.3.
    assert!(metadata(&json!({})).is_ok());
    for (change, expected) in [
        (json!({ "issuer": "https://accounts.calendar.example/" }), MetadataError::OtherIssuer),
        (json!({ "issuer": null }), MetadataError::Malformed),
        (json!({ "jwks_uri": null }), MetadataError::Malformed),
        (json!({ "token_endpoint": 7 }), MetadataError::Malformed),
        (json!({ "jwks_uri": "http://keys.calendar.example/jwks" }), MetadataError::Endpoint),
        (json!({ "authorization_endpoint": "http://a.example/" }), MetadataError::Endpoint),
        (json!({ "token_endpoint": "https://10.0.0.1/token" }), MetadataError::Endpoint),
        (json!({ "userinfo_endpoint": "https://metadata.local/" }), MetadataError::Endpoint),
        (json!({ "revocation_endpoint": "https://u:p@a.example/" }), MetadataError::Endpoint),
        (json!({ "revocation_endpoint": "/revoke" }), MetadataError::Endpoint),
    ] {
        assert_eq!(metadata(&change).unwrap_err(), expected, "{change}");
    }
    let vault = PublicUrl::parse("https://vault.example.com").unwrap();
    let twice = format!(r#"{{"issuer":"{ISSUER}","issuer":"{ISSUER}","jwks_uri":""}}"#);
    for body in ["", "[]", "<html>", &twice] {
        let refused = Metadata::parse(body.as_bytes(), SOURCE, &vault);
        assert_eq!(refused.unwrap_err(), MetadataError::Malformed, "{body}");
    }
}

#[test]
fn an_openid_provider_needs_both_endpoints_and_uses_the_standard_claims() {
    let config = config();
    let calendar = &config.connections["calendar"];
    assert_eq!(Provider::discovery(calendar).map(|found| found.issuer), Some(ISSUER));
    assert!(Provider::discovery(&config.connections["code"]).is_none());
    assert_eq!(Provider::new(calendar, None).unwrap_err(), MissingEndpoint);
    for missing in ["authorization_endpoint", "token_endpoint"] {
        let metadata = metadata(&json!({ missing: null })).unwrap();
        assert_eq!(
            Provider::new(calendar, Some(&metadata)).unwrap_err(),
            MissingEndpoint,
            "{missing}"
        );
    }
    let (_, provider) = known(&config, "calendar");
    assert_eq!(provider.open_id.as_deref(), Some(ISSUER));
    let userinfo = provider.userinfo_endpoint.unwrap();
    assert_eq!(userinfo.as_str(), "https://accounts.calendar.example/userinfo");
    assert_eq!(calendar.identity.id, "sub");
    assert!(known(&config, "chat").1.userinfo_endpoint.is_none());
}

#[test]
fn metadata_is_below_the_issuer_with_one_slash() {
    // OpenID Connect Discovery §4.1.
    for issuer in ["https://a.example", "https://a.example/t/1"] {
        let address = format!("{issuer}/.well-known/openid-configuration");
        assert_eq!(Metadata::address(issuer), address);
        assert_eq!(Metadata::address(&format!("{issuer}/")), address);
    }
}

#[test]
fn an_authorization_response_comes_from_the_right_issuer() {
    // RFC 9207 §2.4: plain string comparison.
    let config = config();
    let calendar = &config.connections["calendar"];
    let promised = json!({ "authorization_response_iss_parameter_supported": true });
    let promised = Provider::new(calendar, Some(&metadata(&promised).unwrap())).unwrap();
    let (_, silent) = known(&config, "calendar");
    let (_, code) = known(&config, "code");
    let (_, chat) = known(&config, "chat");
    let slash = "https://accounts.calendar.example/";
    for (row, provider, iss, accepted) in [
        ("promised and right", &promised, Some(ISSUER), true),
        ("promised and missing", &promised, None, false),
        ("promised and another", &promised, Some("https://evil.example"), false),
        ("promised and nearly right", &promised, Some(slash), false),
        ("not promised and missing", &silent, None, true),
        ("not promised and right", &silent, Some(ISSUER), true),
        ("not promised and another", &silent, Some(slash), false),
        ("configured and right", &code, Some("https://code.example"), true),
        ("configured and missing", &code, None, false),
        ("configured and another", &code, Some(ISSUER), false),
        ("nothing known and missing", &chat, None, true),
        ("nothing known and some", &chat, Some(ISSUER), true),
    ] {
        assert_eq!(provider.accepts_response_from(iss), accepted, "{row}");
    }
}

#[test]
fn a_token_that_would_make_another_header_is_never_sent() {
    let config = config();
    let (calendar, provider) = known(&config, "calendar");
    let (mut code, _) = known(&config, "code");
    code.revocation.authentication = RevocationAuthentication::Bearer;
    let revoke = |connection: &Connection, token: &Secret| {
        revocation::revoke(connection, &provider, "", (token, TokenTypeHint::Access), None)
    };
    let good = Secret::new("canary");
    assert!(ProviderRequest::userinfo(&calendar, &provider, &good).is_some());
    assert!(revoke(&code, &good).is_some());
    for bad in ["canary\r\nx-admin: 1", "canary\n", "a\0b", "canary ", "\u{e9}"] {
        let bad = Secret::new(bad);
        assert!(ProviderRequest::userinfo(&calendar, &provider, &bad).is_none(), "{bad:?}");
        assert!(revoke(&code, &bad).is_none(), "{bad:?}");
        // In a body, any text is encoded.
        assert!(revoke(&calendar, &bad).is_some());
    }
}

#[test]
fn the_headers_of_a_request_are_pairs_and_its_own_go_last() {
    let config = config();
    let (mut calendar, provider) = known(&config, "calendar");
    calendar.headers = BTreeMap::from([
        ("authorization".to_owned(), "configured".to_owned()),
        ("x-client".to_owned(), "{client_id}: a, b".to_owned()),
    ]);
    let token = Secret::new("canary");
    let request = request::refresh(&calendar, &provider, CALLBACK, &token, None).unwrap();
    let headers: Vec<_> = request.all_headers().collect();
    let own = authorization_header(&request).unwrap();
    assert_eq!(
        headers,
        [
            ("authorization", "configured"),
            ("x-client", format!("{}: a, b", calendar.client_id).as_str()),
            ("authorization", own),
            ("content-type", "application/x-www-form-urlencoded"),
        ]
    );
    calendar.client_id = "a\nb".to_owned();
    assert!(request::refresh(&calendar, &provider, CALLBACK, &token, None).is_none());
}
