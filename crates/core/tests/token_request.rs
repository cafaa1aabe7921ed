// SPDX-License-Identifier: Apache-2.0
//! The token endpoint in the core: parsing of requests, client authentication, policy, responses.

#![allow(clippy::unwrap_used)]

#[path = "support/config.rs"]
mod config_support;

use config_support::{
    BACKEND_SECRET, FORM, JSON, assert_allowed, basic, code, config, exchange, form, read,
    read_json, read_with, user_token,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use vault_base::encoding::base64url;
use vault_base::secret::Secret;
use vault_core::config::ExchangeGrant::{self, FederatedConnection, TokenExchange};
use vault_core::config::{AssertionAudience, Authentication, Client};
use vault_core::oauth::client_auth::{self, JWT_BEARER, Unauthenticated};
use vault_core::oauth::exchange::federated_connection::FEDERATED_ACCESS_TOKEN as FEDERATED;
use vault_core::oauth::exchange::policy::{self, Forbidden};
use vault_core::oauth::exchange::token_exchange::ACCESS_TOKEN;
use vault_core::oauth::exchange::{profile, response};
use vault_core::oauth::parameters;
use vault_core::oauth::token_request::TokenRequest;
use vault_core::vault::record::Reason;
use vault_core::vault::release::{Misconfiguration, ReleaseError};
use vault_jose::TokenError;

#[test]
fn both_grants_read_as_forms_and_auth0s_also_as_json() {
    for grant in ExchangeGrant::ALL {
        let extra = [("scope", "a b a"), ("login_hint", "me@example.com")];
        let read = read_with(grant, None, &extra).unwrap();
        assert_eq!((read.grant, read.connection.as_str()), (grant, "calendar"));
        assert_eq!(read.scopes, ["a", "b"]);
        assert_eq!(read.login_hint.as_deref(), Some("me@example.com"));
        assert_eq!(read.subject_token.expose(), "canary-subject");
    }
    let json = |grant| read_json(grant, "scope", json!("a b"));
    assert!(json(FederatedConnection).is_ok_and(|read| read.scopes == ["a", "b"]));
    // RFC 6749 §3.2 requires a form; JSON is an extension that exists only for Auth0's grant type.
    assert_eq!(code(json(TokenExchange)), "invalid_request");
}

#[test]
fn other_media_types_and_unreadable_bodies_are_refused() {
    // RFC 6749 §3.2.
    let good = form(&exchange(FederatedConnection));
    assert!(read("Application/X-WWW-Form-Urlencoded; charset=utf-8", None, &good).is_ok());
    assert!(TokenRequest::read(None, None, &good, false).is_err_and(|error| error.status == 400));
    for media_type in ["", "text/plain", "multipart/form-data", JSON] {
        assert_eq!(code(read(media_type, None, &good)), "invalid_request");
    }
    for body in ["", "[]", "null", "{", "grant_type=x", r#"{"scope":"a","scope":"b"}"#] {
        assert_eq!(code(read(JSON, None, body.as_bytes())), "invalid_request");
    }
}

#[test]
fn a_parameter_we_read_stands_once_and_others_may_repeat() {
    // RFC 6749 §3.2. The SDK auth-js repeats extra parameters of an application up to 20 times.
    for grant in ExchangeGrant::ALL {
        let good = exchange(grant);
        for (name, value) in &good {
            let twice = [good.as_slice(), &[(*name, *value)]].concat();
            let expected = if *name == "audience" { "invalid_target" } else { "invalid_request" };
            assert_eq!(code(read(FORM, None, &form(&twice))), expected, "{name}");
        }
        assert!(read_with(grant, None, &[("foo", "1"); 20]).is_ok());
        assert_eq!(code(read_with(grant, None, &[("client_secret", "a"); 2])), "invalid_request");
    }
}

#[test]
fn every_list_in_a_request_has_a_bound_that_its_error_names() {
    let names = |count: usize| (0..count).map(|index| format!("s{index}")).collect::<Vec<_>>();
    let scope =
        |count: usize| read_with(TokenExchange, None, &[("scope", &names(count).join(" "))]);
    assert_eq!(scope(100).unwrap().scopes, names(100));
    for count in [101, 10_000] {
        let error = scope(count).unwrap_err();
        assert_eq!((error.status, error.code), (400, "invalid_scope"));
        assert!(error.description.contains("at most 100 scopes"), "{}", error.description);
    }
    assert_eq!(
        code(read_json(FederatedConnection, "scope", json!("a ".repeat(101)))),
        "invalid_scope"
    );

    let others = |count: usize| names(count).join("=1&") + "=1&";
    let good = form(&exchange(TokenExchange));
    let room = 100 - exchange(TokenExchange).len();
    let with = |others: String| read(FORM, None, &[others.as_bytes(), &good].concat());
    assert!(with(others(room)).is_ok());
    for refused in [others(room + 1), others(5000), "&".repeat(60_000), "=&".repeat(30_000)] {
        let error = with(refused).unwrap_err();
        assert_eq!((error.status, error.code), (400, "invalid_request"));
        assert!(error.description.contains("at most 100 parameters"), "{}", error.description);
    }

    let members = |count: usize| {
        let mut body = json!(BTreeMap::from_iter(exchange(FederatedConnection)));
        let others = names(count).into_iter().map(|name| (name, json!(1)));
        body.as_object_mut().unwrap().extend(others);
        read(JSON, None, body.to_string().as_bytes())
    };
    assert!(members(100 - exchange(FederatedConnection).len()).is_ok());
    let error = members(101).unwrap_err();
    assert!(error.description.contains("at most 100 parameters"), "{}", error.description);

    let resource = |length: usize| {
        let resource = format!("https://api.example/{}", "a".repeat(length - 20));
        read_with(TokenExchange, None, &[("resource", &resource)])
    };
    assert!(resource(2048).is_ok());
    let error = resource(2049).unwrap_err();
    assert_eq!((error.status, error.code), (400, "invalid_target"));
    assert!(error.description.contains("2048 bytes"), "{}", error.description);
}

#[test]
fn an_empty_parameter_counts_as_left_out() {
    // RFC 6749 §3.2, and RFC 8693 §2.1 for what is required.
    for optional in ["scope", "actor_token", "resource", "requested_token_type", "client_id"] {
        assert!(read_with(TokenExchange, None, &[(optional, "")]).is_ok(), "{optional}");
    }
    for required in ["grant_type", "subject_token", "subject_token_type", "audience"] {
        for missing in ["", "-"] {
            let refused = read_with(TokenExchange, None, &[(required, missing)]);
            assert_eq!(code(refused), "invalid_request", "{required}");
        }
    }
}

#[test]
fn a_json_null_is_left_out_and_other_types_are_refused() {
    // One SDK sends `connection: null` if the application gives none.
    let read = |name, value| read_json(FederatedConnection, name, value);
    let error = read("connection", Value::Null).unwrap_err();
    assert_eq!((error.status, error.code), (400, "invalid_request"));
    assert!(error.description.contains("connection is missing"), "{}", error.description);
    assert!(read("scope", Value::Null).is_ok());
    for value in [json!(1), json!(true), json!(["a"]), json!({ "a": 1 })] {
        assert_eq!(code(read("scope", value.clone())), "invalid_request");
        assert!(read("unknown", value).is_ok());
    }
}

#[test]
fn what_a_caller_says_about_the_token_it_has_is_a_hash_and_a_number_of_seconds() {
    const HASH: &str = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
    for grant in ExchangeGrant::ALL {
        let read = |name, value| read_with(grant, None, &[(name, value)]);
        let plain = read_with(grant, None, &[]).unwrap();
        assert_eq!((plain.refused_token.as_deref(), plain.min_ttl), (None, 0));
        let refused = read("refused_token", HASH).unwrap().refused_token.clone();
        assert_eq!(refused.as_deref(), Some(HASH));
        for value in [
            "ya29.an-access-token",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
            "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=",
            "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFV",
        ] {
            let error = read("refused_token", value).unwrap_err();
            assert_eq!((error.status, error.code), (400, "invalid_request"), "{value}");
            assert!(error.description.starts_with("refused_token must be"), "{value}");
        }
        for (value, seconds) in [("1", 1), ("300", 300), ("86400", 86_400)] {
            assert_eq!(read("min_ttl", value).unwrap().min_ttl, seconds);
        }
        for value in ["0", "-1", "+5", "86401", "1.5", "1e3", "5m", " 5", "99999999999999999999"] {
            let error = read("min_ttl", value).unwrap_err();
            assert_eq!((error.status, error.code), (400, "invalid_request"), "{value}");
            assert!(error.description.starts_with("min_ttl must be"), "{value}");
        }
    }
    // In JSON a number is one.
    let read = |value| read_json(FederatedConnection, "min_ttl", value);
    assert_eq!(read(json!(300)).unwrap().min_ttl, 300);
    assert_eq!(read(json!("300")).unwrap().min_ttl, 300);
    for value in [json!(-1), json!(1.5), json!(1e3), json!(true), json!([300])] {
        assert_eq!(code(read(value.clone())), "invalid_request", "{value}");
    }
}

#[test]
fn types_targets_and_scopes_are_checked() {
    let refresh = "urn:ietf:params:oauth:token-type:refresh_token";
    let id_token = "urn:ietf:params:oauth:token-type:id_token";
    for (rule, name, value, expected) in [
        ("RFC 6749 §5.2", "grant_type", "authorization_code", "unsupported_grant_type"),
        ("RFC 8693 §2.1", "actor_token", "x", "invalid_request"),
        ("RFC 8693 §2.1", "actor_token_type", ACCESS_TOKEN, "invalid_request"),
        ("RFC 8707 §2", "resource", "https://api.example.com#part", "invalid_target"),
        ("RFC 8707 §2", "resource", "not absolute", "invalid_target"),
        ("RFC 8693 §2.1", "requested_token_type", refresh, "invalid_request"),
        ("RFC 8693 §3", "subject_token_type", refresh, "invalid_request"),
        ("RFC 8693 §3", "subject_token_type", id_token, "invalid_request"),
        ("RFC 6749 §3.3", "scope", "a \"b\"", "invalid_scope"),
        ("RFC 6749 §3.3", "scope", "caf\u{e9}", "invalid_scope"),
    ] {
        for grant in ExchangeGrant::ALL {
            assert_eq!(code(read_with(grant, None, &[(name, value)])), expected, "{rule} {value}");
        }
    }
    let resource = read_with(TokenExchange, None, &[("resource", "https://api.example.com/a")]);
    assert_eq!(resource.unwrap().resource.as_deref().unwrap(), "https://api.example.com/a");
    let both = |other| read_with(TokenExchange, None, &[("connection", other)]);
    assert_eq!(both("calendar").unwrap().connection, "calendar");
    assert_eq!(code(both("code")), "invalid_request");
    let swapped = [("requested_token_type", ACCESS_TOKEN)];
    assert_eq!(code(read_with(FederatedConnection, None, &swapped)), "invalid_request");
}

#[test]
fn basic_credentials_are_form_decoded_after_base64() {
    // RFC 6749 §2.3.1.
    let header = basic("a:b", BACKEND_SECRET);
    let read = read_with(TokenExchange, Some(&header), &[("client_id", "a:b")]).unwrap();
    assert_eq!(read.credentials.client_id.as_deref(), Some("a:b"));
    let clients = config().clients;
    for (client, found) in [
        ("backend", Ok("backend")),
        ("agent", Err(Unauthenticated::Secret)),
        ("spa", Err(Unauthenticated::Secret)),
        ("nobody", Err(Unauthenticated::Unknown)),
    ] {
        let header = basic(client, BACKEND_SECRET);
        let read = read_with(TokenExchange, Some(&header), &[]).unwrap();
        assert_eq!(read.credentials.find(&clients, None).map(|(id, _)| id), found);
    }
    assert!(!format!("{read:?}").contains(BACKEND_SECRET));

    let other = read_with(TokenExchange, Some(&header), &[("client_id", "a")]);
    assert_eq!(code(other), "invalid_request");
    for unreadable in ["Basic", "Basic !", "Basic Og==", "Basic YWJj", "Bearer YTpi", "YTpi"] {
        assert_eq!(code(read_with(TokenExchange, Some(unreadable), &[])), "invalid_client");
    }
}

#[test]
fn basic_credentials_that_were_not_form_encoded_count_as_they_are() {
    use base64::Engine as _;
    let raw = |id: &str, secret: &str| {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"));
        format!("Basic {pair}")
    };
    let with = |secret: &str| {
        let mut client = config().clients["backend"].clone();
        client.authentication = Authentication::Secret(vec![vault_base::encoding::sha256(secret)]);
        client
    };
    let clients = BTreeMap::from([
        ("a b".to_owned(), with("x+y%2Fz&=")),
        ("a+b".to_owned(), with("x+y%2Fz&=")),
        ("c d".to_owned(), with("decoded /")),
        ("e+f".to_owned(), with("plain+")),
    ]);
    let found = |header: &str| {
        let read = read_with(TokenExchange, Some(header), &[]).unwrap();
        read.credentials.find(&clients, None).map(|(id, _)| id.to_owned())
    };
    for (id, secret) in
        [("a b", "x+y%2Fz&="), ("a+b", "x+y%2Fz&="), ("c d", "decoded /"), ("e+f", "plain+")]
    {
        assert_eq!(found(&raw(id, secret)).as_deref(), Ok(id));
        assert_eq!(found(&basic(id, secret)).as_deref(), Ok(id));
        assert!(found(&raw(id, &format!("{secret}x"))).is_err());
    }
    // Both halves are read in the same way: not an id as it is with a decoded secret, nor the reverse.
    assert_eq!(found(&raw("e+f", "plain%2B")), Err(Unauthenticated::Secret));
    assert_eq!(found(&raw("e%2Bf", "plain+")), Err(Unauthenticated::Secret));

    // The body names the client as it is.
    for (named, is_read) in [("e+f", true), ("e f", true), ("f", false)] {
        let read = read_with(TokenExchange, Some(&raw("e+f", "plain+")), &[("client_id", named)]);
        assert_eq!(read.is_ok(), is_read, "{named}");
    }
    let read =
        read_with(TokenExchange, Some(&raw("e+f", "plain+")), &[("client_id", "e f")]).unwrap();
    assert_eq!(read.credentials.find(&clients, None).err(), Some(Unauthenticated::Unknown));
}

#[test]
fn an_assertion_may_name_the_token_endpoint_only_for_a_client_that_is_configured_so() {
    let config = config();
    let mut client = config.clients["agent"].clone();
    let audiences = |client: &Client| client_auth::assertion_audiences(client, &config.public_url);
    let vault = config.public_url.identifier();
    assert_eq!(audiences(&client), [vault.as_str()]);
    client.assertion_audience = AssertionAudience::TokenEndpoint;
    assert_eq!(audiences(&client), [vault.clone(), format!("{vault}oauth/token")]);
}

#[test]
fn a_challenge_goes_only_to_rfc_8693_with_basic() {
    // RFC 6749 §5.2. Auth0's clients lose the error code if the response has a challenge.
    for (grant, challenged) in [(TokenExchange, true), (FederatedConnection, false)] {
        let error = read_with(grant, Some("Basic !"), &[]).unwrap_err();
        assert_eq!((error.status, error.challenge.is_some()), (401, challenged), "{grant:?}");
        for (header, body) in [
            (Some(basic("backend", "wrong")), vec![]),
            (None, vec![("client_id", "backend"), ("client_secret", "wrong")]),
        ] {
            let read = read_with(grant, header.as_deref(), &body).unwrap();
            assert!(read.credentials.find(&config().clients, None).is_err());
            let refused = read.credentials.refused();
            assert_eq!((refused.status, refused.code), (401, "invalid_client"));
            let challenge = profile(grant).error(refused).challenge;
            assert_eq!(challenge.is_some(), challenged && header.is_some(), "{grant:?}");
        }
    }
}

#[test]
fn one_way_of_client_authentication_and_no_half_of_one() {
    // RFC 6749 §2.3, RFC 7521 §4.2.
    let header = Some("Basic YTpi");
    let (secret, assertion) = (("client_secret", "s"), ("client_assertion", "a.b.c"));
    let [bearer, other] = [JWT_BEARER, "jwt"].map(|kind| ("client_assertion_type", kind));
    for (header, body) in [
        (header, vec![secret]),
        (header, vec![assertion, bearer]),
        (None, vec![secret, assertion, bearer]),
        (None, vec![assertion]),
        (None, vec![bearer]),
        (None, vec![assertion, other]),
    ] {
        for grant in ExchangeGrant::ALL {
            assert_eq!(code(read_with(grant, header, &body)), "invalid_request", "{body:?}");
        }
    }
}

#[test]
fn an_assertion_names_the_client_and_is_no_secret() {
    let jwt = |claims: Value| {
        let header = json!({ "alg": "EdDSA" }).to_string();
        [base64url(header), base64url(claims.to_string()), base64url([0; 64])].join(".")
    };
    let clients = config().clients;
    let client = |assertion: &str, id: &str| {
        let proof = [("client_assertion", assertion), ("client_assertion_type", JWT_BEARER)];
        let body = [proof.as_slice(), &[("client_id", id)]].concat();
        let credentials = read_with(FederatedConnection, None, &body).unwrap().credentials;
        assert!(!credentials.is_secret_alone());
        assert_eq!(credentials.find(&clients, None).map(drop), Err(Unauthenticated::Unknown));
        let assertion = credentials.assertion().ok()?;
        credentials.find(&clients, assertion.as_ref()).ok().map(|(id, _)| id.to_owned())
    };
    let good = jwt(json!({ "iss": "agent", "sub": "agent" }));
    assert_eq!(client(&good, "-").as_deref(), Some("agent"));
    assert_eq!(client(&good, "agent").as_deref(), Some("agent"));
    assert_eq!(client(&good, "backend"), None);
    let other = jwt(json!({ "iss": "backend", "sub": "agent" }));
    for bad in [other.as_str(), &jwt(json!({ "iss": "agent" })), "a.b.c", "opaque"] {
        assert_eq!(client(bad, "agent"), None, "{bad}");
    }
}

#[test]
fn a_secret_without_client_id_names_the_client_that_has_it() {
    // node-auth0's tokenForConnection.
    let clients = config().clients;
    let find = |parameters: &[(&str, &str)]| {
        let credentials = read_with(FederatedConnection, None, parameters).unwrap().credentials;
        let found = credentials.find(&clients, None).map(|(id, _)| id.to_owned());
        (credentials.is_secret_alone(), found)
    };
    assert_eq!(find(&[("client_secret", BACKEND_SECRET)]), (true, Ok("backend".into())));
    assert_eq!(find(&[("client_secret", "s")]), (true, Err(Unauthenticated::Secret)));
    for (error, word) in
        [(Unauthenticated::Unknown, "unknown"), (Unauthenticated::Secret, "secret")]
    {
        assert_eq!(error.reason(), word);
    }
    // Nothing at all is nobody, and an id alone proves nothing.
    assert_eq!(find(&[]), (false, Err(Unauthenticated::Unknown)));
    assert_eq!(find(&[("client_id", "spa")]), (false, Err(Unauthenticated::Unknown)));
}

#[test]
fn policy_lets_through_only_what_fits_in_every_respect() {
    // RFC 8725 §3.9: the audience; RFC 8693 §2.1: which client may exchange. Both are checked.
    let config = config();
    let check = |audience: &str, from: &str, connection: &str| {
        let mut token = user_token();
        token.audiences[1] = audience.into();
        token.client_id = from.into();
        let issuer = policy::issuer_of(&config, &token)?;
        policy::check(&config.clients["backend"], issuer, &token, connection)
    };
    let audience = |name| format!("https://{name}.example.com/");
    let [both, own, issuers] = ["api", "other", "vault"].map(audience);
    let refused = |refusal| Err(Forbidden::SubjectToken(refusal));
    assert_eq!(check(&both, "spa", "calendar"), Ok(()));
    for audience in [&own, &issuers, both.trim_end_matches('/')] {
        assert_eq!(check(audience, "spa", "calendar"), refused(TokenError::Audience), "{audience}");
    }
    // `backend` accepts only tokens of `spa`, not even its own. The error for a bad token does not depend
    // on the connection.
    for (from, connection) in [("agent", "calendar"), ("backend", "calendar"), ("agent", "no")] {
        assert_eq!(check(&both, from, connection), refused(TokenError::Client), "{from}");
    }
    for connection in ["chat", "Calendar", ""] {
        assert_eq!(check(&both, "spa", connection), Err(Forbidden::Connection), "{connection}");
    }
    let mut token = user_token();
    token.user.issuer.pop();
    assert_eq!(policy::issuer_of(&config, &token).map(drop), refused(TokenError::Issuer));
    let granted = |client, grant| policy::check_grant(&config.clients[client], grant).is_ok();
    assert!(granted("backend", FederatedConnection) && granted("agent", TokenExchange));
    assert!(!granted("agent", FederatedConnection) && !granted("spa", TokenExchange));
}

#[test]
fn a_client_that_gets_what_it_names_must_name_something_where_there_are_scopes() {
    // The client `backend` has the policy `exact`, the client `agent` does not.
    let config = config();
    let mut unscoped = config.connections["code"].clone();
    unscoped.scope_parameter = String::new();
    let [scoped, unscoped] = [&config.connections["code"], &unscoped].map(Some);
    for grant in ExchangeGrant::ALL {
        let none = read_with(grant, None, &[]).unwrap();
        let some = read_with(grant, None, &[("scope", "read")]).unwrap();
        let check = |client, connection, request| {
            policy::check_scopes(&config.clients[client], connection, request)
        };
        assert_eq!(check("backend", scoped, &none), Err(Forbidden::NoScope));
        for (client, connection, request) in [
            ("backend", scoped, &some),
            ("backend", unscoped, &none),
            ("backend", None, &none),
            ("agent", scoped, &none),
        ] {
            assert_eq!(check(client, connection, request), Ok(()), "{client}");
        }
        let error = Forbidden::NoScope.error(profile(grant));
        assert_eq!((error.status, error.code), (400, "invalid_scope"));
        assert!(error.description.contains("name them in scope"), "{}", error.description);
        assert_allowed(&error);
    }
}

#[test]
fn every_refusal_of_a_subject_token_is_the_same_and_others_name_their_cause() {
    // RFC 8693 §2.2.2. The reason is only in the log; the caller receives a list of what to check.
    use TokenError::{
        Algorithm, Audience, Bound, Client, Format, IdToken, Issuer, Signature, Time,
    };
    let refusals = [Algorithm, Audience, Bound, Client, Format, IdToken, Issuer, Signature, Time];
    for grant in ExchangeGrant::ALL {
        let expected = Forbidden::SubjectToken(Format).error(profile(grant));
        for refusal in refusals {
            assert_eq!(
                Forbidden::SubjectToken(refusal).error(profile(grant)),
                expected,
                "{refusal}"
            );
        }
    }
    for grant in ExchangeGrant::ALL {
        for (keys, retry_after, says) in [
            (TokenError::KeysUnavailable, 5, "cannot be obtained now"),
            (TokenError::KeysUnusable, 60, "operator must act"),
        ] {
            let told = Forbidden::SubjectToken(keys).error(profile(grant));
            assert_eq!((told.status, told.code), (503, "temporarily_unavailable"));
            assert_eq!(told.retry_after, Some(retry_after));
            assert!(told.description.contains(says), "{}", told.description);
        }
    }
    let token = Forbidden::SubjectToken(TokenError::Time);
    for (forbidden, grant, status, code) in [
        (token, TokenExchange, 400, "invalid_request"),
        (token, FederatedConnection, 403, "invalid_grant"),
        (Forbidden::Grant, TokenExchange, 400, "unauthorized_client"),
        (Forbidden::Grant, FederatedConnection, 403, "unauthorized_client"),
        (Forbidden::Connection, TokenExchange, 400, "invalid_target"),
        (Forbidden::Connection, FederatedConnection, 403, "unauthorized_client"),
    ] {
        let error = forbidden.error(profile(grant));
        assert_eq!((error.status, error.code), (status, code));
    }
}

#[test]
fn a_connection_without_a_token_tells_its_state() {
    // RFC 8693 §2.2.2 and RFC 6749 §5.2 for the error codes; the state is the vault's own.
    let target = [(400, "invalid_target"), (401, "federated_connection_refresh_token_not_found")];
    let failed = [(400, "invalid_target"), (401, "federated_connection_refresh_token_flow_failed")];
    let scope = [(400, "invalid_scope"); 2];
    let later = [(503, "temporarily_unavailable"); 2];
    let because = |state: &str, reason: &str| json!({ "state": state, "reason": reason });
    let reason = Reason::RotationLost;
    let reconnect = because("reconnect_required", "rotation_lost");
    let missing = vec!["repo".to_owned(), "user".to_owned()];
    let scopes = json!({ "state": "missing_scopes", "missing_scopes": ["repo", "user"] });
    let wait = json!({ "state": "unavailable", "retry_after": 30 });
    let mut refused = because("misconfigured", "provider_refused_client");
    refused["retry_after"] = json!(60);
    for (problem, answers, state) in [
        (ReleaseError::NotConnected, target, json!({ "state": "not_connected" })),
        (ReleaseError::NoSuchAccount, target, because("not_connected", "login_hint_unknown")),
        (ReleaseError::AmbiguousAccount, target, because("not_connected", "login_hint_ambiguous")),
        (ReleaseError::ReconnectRequired { reason }, failed, reconnect),
        (ReleaseError::MissingScopes { missing }, scope, scopes),
        (ReleaseError::CannotNarrow, scope, because("misconfigured", "cannot_narrow")),
        (ReleaseError::Unavailable { retry_after: 30 }, later, wait),
        (
            ReleaseError::TooManyRequests { retry_after: 30 },
            [(429, "too_many_requests"); 2],
            json!({ "state": "unavailable", "reason": "too_many_requests", "retry_after": 30 }),
        ),
        (
            ReleaseError::Misconfigured { retry_after: 60, reason: Misconfiguration::default() },
            later,
            refused,
        ),
    ] {
        for (grant, answer) in ExchangeGrant::ALL.into_iter().zip(answers) {
            let error = response::error(profile(grant), &problem);
            assert_eq!((error.status, error.code), answer, "{problem:?}");
            assert_eq!(error.body()["connection_state"], state);
            assert_eq!((error.retry_after, error.challenge), (state["retry_after"].as_i64(), None));
            let named = error.description.contains("repo user");
            assert_eq!(named, state["state"] == "missing_scopes", "{}", error.description);
            assert_allowed(&error);
        }
    }
}

#[test]
fn a_success_has_the_members_that_clients_need_and_no_others() {
    // RFC 6749 §5.1, RFC 8693 §2.2.1. Clients fail on a list of scopes.
    for (grant, kind) in [(TokenExchange, ACCESS_TOKEN), (FederatedConnection, FEDERATED)] {
        let scopes = ["repo".to_owned(), "user".to_owned()];
        let token = Secret::new("provider-token");
        let members = response::members(grant, &token, &scopes, &BTreeMap::new());
        let body = response::success(1377, &members);
        let body: serde_json::Value = serde_json::from_str(body.expose()).unwrap();
        let expected = json!({
            "access_token": "provider-token", "issued_token_type": kind, "token_type": "Bearer",
            "expires_in": 1377, "scope": "repo user",
        });
        assert_eq!(body, expected);
        let bare = response::members(grant, &Secret::new("t"), &[], &BTreeMap::new());
        assert!(bare.expose().contains(r#""scope":"""#), "{}", bare.expose());
    }
}

#[test]
fn a_json_body_is_read_as_one_only_under_its_own_media_type() {
    let body = json!(BTreeMap::from_iter(exchange(FederatedConnection))).to_string();
    assert!(read("application/json; charset=utf-8", None, body.as_bytes()).is_ok());
    for media_type in ["text/plain", "application/json5", "text/json", ""] {
        assert_eq!(
            code(read(media_type, None, body.as_bytes())),
            "invalid_request",
            "{media_type}"
        );
    }
}

#[test]
fn an_empty_json_member_counts_as_left_out() {
    for optional in ["scope", "actor_token", "resource", "login_hint", "client_id"] {
        let read = read_json(FederatedConnection, optional, json!("")).unwrap();
        assert_eq!((read.scopes.len(), &read.resource, &read.login_hint), (0, &None, &None));
        assert_eq!(read.credentials.client_id, None);
    }
    for required in ["grant_type", "subject_token", "subject_token_type", "connection"] {
        let refused = read_json(FederatedConnection, required, json!("")).unwrap_err();
        assert!(refused.description.contains(" is missing"), "{}", refused.description);
    }
}

#[test]
fn a_secret_counts_however_often_its_hash_is_listed() {
    let right = vault_base::encoding::sha256(BACKEND_SECRET);
    let mut client = config().clients["backend"].clone();
    for (hashes, known) in [
        (vec![], false),
        (vec![[0; 32]], false),
        (vec![right], true),
        (vec![right, [0; 32]], true),
        (vec![[0; 32], right], true),
        (vec![right, right], true),
    ] {
        client.authentication = Authentication::Secret(hashes);
        let header = basic("backend", BACKEND_SECRET);
        let credentials = read_with(TokenExchange, Some(&header), &[]).unwrap().credentials;
        let clients = [("backend".to_owned(), client.clone())].into();
        assert_eq!(credentials.find(&clients, None).is_ok(), known, "{client:?}");
    }
}

#[test]
fn the_log_has_a_word_for_each_reason_why_an_exchange_may_not_be_made() {
    for (forbidden, word) in [
        (Forbidden::Grant, "grant"),
        (Forbidden::Connection, "connection"),
        (Forbidden::NoScope, "no_scope"),
        (Forbidden::SubjectToken(TokenError::Audience), "audience"),
        (Forbidden::SubjectToken(TokenError::Client), "client"),
    ] {
        assert_eq!(forbidden.reason(), word);
    }
}

#[test]
fn the_largest_body_has_room_for_two_of_the_longest_tokens() {
    use vault_jose::jws;
    assert_eq!((parameters::MAX_BODY, jws::MAX_LENGTH), (65_536, 16_384));
}

#[test]
fn no_error_echoes_what_was_sent() {
    // RFC 6749 §5.2 rules the characters. Each parameter in turn has text that is invalid there.
    let canary = "canary-\"\\\u{7f}\n\u{e9}";
    let names = "actor_token actor_token_type audience client_assertion client_assertion_type \
                 client_id client_secret connection grant_type login_hint requested_token_type \
                 resource scope subject_token subject_token_type";
    let good = basic("canary", "canary");
    let mut refused = Vec::new();
    for (name, grant) in names.split(' ').flat_map(|name| ExchangeGrant::ALL.map(|g| (name, g))) {
        refused.push(read_json(grant, name, json!(["canary"])));
        for header in [None, Some("Basic canary"), Some("Bearer canary"), Some(&good)] {
            refused.push(read_with(grant, header, &[(name, canary)]));
            refused.push(read_with(grant, header, &[(name, canary); 2]));
        }
    }
    let errors = refused.into_iter().filter_map(Result::err);
    let count = errors.inspect(|error| assert_allowed(error)).count();
    assert!(count > 200, "{count}");
}
