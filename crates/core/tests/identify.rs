// SPDX-License-Identifier: Apache-2.0
//! Identifying the user of a connect: each source of the identity, and each check of an ID token (OpenID
//! Connect Core §3.1.3.7).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::{NOW, answer, connection, id};
use vault_base::encoding::{base64url, sha256};
use vault_base::secret::Secret;
use vault_core::connect::identify::{Identification, IdentifyStep, IdentityError};
use vault_core::connect::record::FlowSecrets;
use vault_core::connect::session::Unidentified;
use vault_core::vault::consent::NewGrant;
use vault_jose::TokenError;
use vault_jose::jws::Jws;
use vault_provider::connection::Connection;
use vault_provider::endpoints::Provider;
use vault_provider::token_response::ProviderResponse;
use vault_provider::userinfo::{NoUserInfo, UserInfo};

const ISSUER: &str = "https://idp.example.com";

fn open_id(more: &Value) -> (Connection, Provider) {
    let entry = json!({
        "kind": "oidc",
        "issuer": ISSUER,
        "client_id": "c",
        "scopes": ["openid"],
        "identity": more.get("identity").unwrap_or(&json!({})),
    });
    let mut connection = support::connection_of(&entry);
    if let Some(required) = more.get("required_claims").and_then(Value::as_object) {
        let required = required.iter();
        connection.required_claims =
            required.map(|(name, value)| (name.clone(), value.as_str().unwrap().into())).collect();
    }
    let provider = Provider {
        authorization_endpoint: "https://idp.example.com/authorize".parse().unwrap(),
        token_endpoint: "https://idp.example.com/token".parse().unwrap(),
        refresh_endpoint: None,
        first_refresh_endpoint: None,
        userinfo_endpoint: Some("https://idp.example.com/me".parse().unwrap()),
        revocation_endpoint: None,
        open_id: Some(more.get("issuer").and_then(Value::as_str).unwrap_or(ISSUER).to_owned()),
        response_iss: None,
        response_iss_required: false,
    };
    (connection, provider)
}

fn tokens(id_token: Option<&str>, user: Option<&str>) -> Unidentified {
    let store = NewGrant {
        account: id("1"),
        provider_user: user.map(str::to_owned),
        email: None,
        name: None,
        access_token: Secret::new("a1"),
        refresh_token: None,
        scopes: Vec::new(),
        issued_at: NOW,
        expires_at: None,
        refresh_token_expires_at: None,
        kinds: BTreeMap::new(),
        provider_data: BTreeMap::new(),
        registration: None,
    };
    let secrets = FlowSecrets { verifier: Secret::new("v"), nonce: Secret::new("n") };
    Unidentified { store: Box::new(store), id_token: id_token.map(Secret::new), secrets }
}

/// An ID token with these claims in place of valid ones. The value `null` removes a claim.
fn jwt(algorithm: &str, claims: &Value) -> String {
    let mut all = json!({
        "iss": ISSUER, "sub": "u", "aud": "c", "nonce": "n",
        "iat": NOW - 10, "exp": NOW + 300,
        "at_hash": base64url(&sha256("a1")[..16]),
        "email": "u@example.com", "name": "U",
    });
    for (name, value) in claims.as_object().unwrap() {
        if value.is_null() {
            all.as_object_mut().unwrap().remove(name);
        } else {
            all[name] = value.clone();
        }
    }
    let header = json!({"alg": algorithm, "kid": "k"});
    format!("{}.{}.c2ln", base64url(header.to_string()), base64url(all.to_string()))
}

fn read(more: &Value, algorithm: &str, claims: &Value) -> Result<IdentifyStep, IdentityError> {
    let (connection, provider) = open_id(more);
    let text = jwt(algorithm, claims);
    let tokens = tokens(Some(&text), None);
    let identifying =
        Identification { connection: &connection, provider: &provider, tokens: &tokens };
    assert!(matches!(identifying.begin().unwrap(), IdentifyStep::CheckSignature(_)));
    identifying.signed(&Jws::parse(&text).unwrap())
}

fn refusal(more: &Value, algorithm: &str, claims: &Value) -> Option<TokenError> {
    match read(more, algorithm, claims) {
        Err(IdentityError::Never(refusal)) => Some(refusal),
        Ok(IdentifyStep::Known(told)) => {
            assert_eq!(told.identity.id.as_deref(), Some("u"));
            None
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_id_token_must_be_for_us_of_this_session_and_of_now() {
    let plain = json!({});
    for (claims, refused) in [
        (json!({}), None),
        (json!({"iss": "https://other.example.com"}), Some(TokenError::Issuer)),
        (json!({"iss": null}), Some(TokenError::Issuer)),
        (json!({"aud": "other"}), Some(TokenError::Audience)),
        (json!({"aud": ["c", "other"]}), Some(TokenError::Audience)),
        (json!({"aud": ["c"]}), None),
        (json!({"aud": null}), Some(TokenError::Audience)),
        (json!({"azp": "c"}), None),
        (json!({"azp": "other"}), Some(TokenError::Client)),
        (json!({"nonce": "m"}), Some(TokenError::Binding)),
        (json!({"nonce": null}), Some(TokenError::Binding)),
        (json!({"at_hash": null}), None),
        (json!({"at_hash": base64url(&sha256("a2")[..16])}), Some(TokenError::Binding)),
        (json!({"exp": NOW - 120}), Some(TokenError::Time)),
        (json!({"exp": null}), Some(TokenError::Time)),
        (json!({"iat": null}), Some(TokenError::Time)),
        (json!({"iat": NOW + 120}), Some(TokenError::Time)),
        (json!({"exp": NOW + 30 * 86_400}), None),
        (json!({"sub": null}), Some(TokenError::Subject)),
        (json!({"sub": ""}), Some(TokenError::Subject)),
    ] {
        assert_eq!(refusal(&plain, "RS256", &claims), refused, "{claims}");
    }
}

#[test]
fn the_access_tokens_hash_is_compared_but_where_another_hash_makes_it() {
    let other = json!({"at_hash": base64url(&sha256("a2")[..16])});
    assert_eq!(refusal(&json!({}), "ES256", &other), Some(TokenError::Binding));
    assert_eq!(refusal(&json!({}), "EdDSA", &other), None);
}

#[test]
fn a_claim_that_the_connection_requires_has_its_value_or_the_token_is_refused() {
    let required = json!({"required_claims": {"hd": "example.com"}});
    for (claims, refused) in [
        (json!({"hd": "example.com"}), None),
        (json!({"hd": "example.org"}), Some(TokenError::Subject)),
        (json!({"hd": ["example.com"]}), Some(TokenError::Subject)),
        (json!({}), Some(TokenError::Subject)),
    ] {
        assert_eq!(refusal(&required, "RS256", &claims), refused, "{claims}");
    }
}

#[test]
fn an_issuer_of_many_tenants_is_that_of_the_tokens_own_tenant() {
    let many = json!({"issuer": "https://idp.example.com/{tenantid}/v2"});
    for (claims, refused) in [
        (json!({"iss": "https://idp.example.com/t1/v2", "tid": "t1"}), None),
        (json!({"iss": "https://idp.example.com/t1/v2", "tid": "t2"}), Some(TokenError::Issuer)),
        (json!({"iss": "https://idp.example.com/t1/v2"}), Some(TokenError::Issuer)),
        (json!({"iss": "https://idp.example.com/a/b/v2", "tid": "a/b"}), Some(TokenError::Issuer)),
        (json!({"iss": "https://idp.example.com/{tenantid}/v2"}), Some(TokenError::Issuer)),
    ] {
        assert_eq!(refusal(&many, "RS256", &claims), refused, "{claims}");
    }
}

#[test]
fn what_an_id_token_lacks_is_asked_of_userinfo_and_stands_without_it() {
    let (connection, provider) = open_id(&json!({}));
    let tokens = tokens(None, None);
    let identifying =
        Identification { connection: &connection, provider: &provider, tokens: &tokens };
    let step = read(&json!({}), "RS256", &json!({"email": null, "name": null})).unwrap();
    let IdentifyStep::AskUserinfo { request, completes: Some(told) } = step else {
        panic!("{step:?}");
    };
    assert_eq!(request.url.as_str(), "https://idp.example.com/me");
    let email = |received: &ProviderResponse| {
        identifying.asked(received, Some(told.clone())).unwrap().identity.email
    };
    let own = answer(200, &json!({"sub": "u", "email": "u@example.com"}));
    let others = answer(200, &json!({"sub": "v", "email": "v@example.com"}));
    assert_eq!(email(&own).as_deref(), Some("u@example.com"));
    assert_eq!(email(&others), None);
    assert_eq!(email(&ProviderResponse::Lost), None);
}

#[test]
fn a_connection_may_accept_several_audiences_and_a_missing_nonce() {
    let several = json!({"identity": {"several_audiences": true}});
    let audiences = json!({"aud": ["other", "c"], "azp": "c"});
    assert_eq!(refusal(&several, "RS256", &audiences), None);
    assert_eq!(refusal(&json!({}), "RS256", &audiences), Some(TokenError::Audience));
    let optional = json!({"identity": {"optional_nonce": true}});
    assert_eq!(refusal(&optional, "RS256", &json!({"nonce": null})), None);
    assert_eq!(refusal(&optional, "RS256", &json!({"nonce": "m"})), Some(TokenError::Binding));
}

#[test]
fn a_key_that_is_not_there_is_waited_for_until_the_keys_were_fetched_after_the_token_came() {
    let (connection, provider) = open_id(&json!({}));
    let tokens = tokens(None, None);
    let identifying =
        Identification { connection: &connection, provider: &provider, tokens: &tokens };
    for (fetched_at, error) in [
        (None, IdentityError::Later),
        (Some(NOW - 20), IdentityError::Later),
        (Some(NOW), IdentityError::Later),
        (Some(NOW + 1), IdentityError::Never(TokenError::Key)),
    ] {
        assert_eq!(identifying.without_key(fetched_at), error, "{fetched_at:?}");
    }
}

#[test]
fn the_log_tells_a_refused_id_token_from_userinfo_that_names_nobody() {
    for (error, event, reason) in [
        (IdentityError::Later, "identity_unavailable", None),
        (IdentityError::Never(TokenError::Key), "id_token_refused", Some("key")),
        (
            IdentityError::Unnamed(NoUserInfo::Status(403)),
            "userinfo_refused",
            Some("userinfo_http_403"),
        ),
        (
            IdentityError::Unnamed(NoUserInfo::NotJson),
            "userinfo_refused",
            Some("userinfo_not_json"),
        ),
        (IdentityError::Unnamed(NoUserInfo::Signed), "userinfo_refused", Some("userinfo_signed")),
        (
            IdentityError::Unnamed(NoUserInfo::RepeatsMember),
            "userinfo_refused",
            Some("userinfo_repeats_member"),
        ),
        (IdentityError::Unnamed(NoUserInfo::NoId), "userinfo_refused", Some("userinfo_without_id")),
        (IdentityError::Unnamed(NoUserInfo::Nowhere), "userinfo_refused", Some("no_userinfo")),
    ] {
        let told = error.event();
        assert_eq!((told.event.name(), told.reason.as_deref()), (event, reason));
    }
}

#[test]
fn an_open_id_provider_that_gives_no_id_token_tells_nobody() {
    let (connection, provider) = open_id(&json!({}));
    let tokens = tokens(None, Some("u"));
    let identifying =
        Identification { connection: &connection, provider: &provider, tokens: &tokens };
    assert_eq!(identifying.begin().unwrap_err(), IdentityError::Never(TokenError::IdToken));
}

#[test]
fn without_open_id_the_answer_or_userinfo_tells_and_userinfo_may_be_asked_again() {
    let from_answer = connection(&json!({}));
    let told = |connection: &Connection, user: Option<&str>| {
        let provider = Provider::new(connection, None).unwrap();
        let tokens = tokens(None, user);
        Identification { connection, provider: &provider, tokens: &tokens }.begin()
    };
    match told(&from_answer, Some("u")).unwrap() {
        IdentifyStep::Known(told) => assert_eq!(told.identity.id.as_deref(), Some("u")),
        other => panic!("{other:?}"),
    }
    assert_eq!(told(&from_answer, None).unwrap_err(), IdentityError::Unnamed(NoUserInfo::Nowhere));

    let from_userinfo = connection(&json!({
        "userinfo_endpoint": "https://p.example.com/me",
        "identity": {"id": "id"},
    }));
    assert!(matches!(
        told(&from_userinfo, None).unwrap(),
        IdentifyStep::AskUserinfo { completes: None, .. }
    ));
    let provider = Provider::new(&from_userinfo, None).unwrap();
    let tokens = tokens(None, None);
    let identifying =
        Identification { connection: &from_userinfo, provider: &provider, tokens: &tokens };
    let asked = |received: &ProviderResponse| identifying.asked(received, None);
    assert_eq!(asked(&answer(200, &json!({"id": 7}))).unwrap().identity.id.as_deref(), Some("7"));
    for (received, why) in [
        (ProviderResponse::Lost, IdentityError::Later),
        (answer(503, &json!({})), IdentityError::Later),
        (answer(200, &json!({"name": "U"})), IdentityError::Unnamed(NoUserInfo::NoId)),
        (answer(401, &json!({})), IdentityError::Unnamed(NoUserInfo::Status(401))),
    ] {
        assert_eq!(asked(&received).unwrap_err(), why, "{received:?}");
    }

    let callback = json!({
        "callback_extra": ["realmId", "other"],
        "identity": {"from": "callback", "id": "realmId"},
        "userinfo_endpoint": "https://p.example.com/me",
    });
    let from_callback = connection(&callback);
    match told(&from_callback, Some("company")).unwrap() {
        IdentifyStep::Known(told) => assert_eq!(told.identity.id.as_deref(), Some("company")),
        other => panic!("{other:?}"),
    }
    let missing = IdentityError::Unnamed(NoUserInfo::NotInCallback);
    assert_eq!(told(&from_callback, None).unwrap_err(), missing);
    let kept = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    for (connection, parameters, user) in [
        (&from_callback, kept("realmId", "company"), Some("company")),
        (&from_callback, kept("realmId", ""), None),
        (&from_callback, kept("other", "company"), None),
        (&from_answer, kept("id", "company"), None),
    ] {
        assert_eq!(connection.callback_user(&parameters).as_deref(), user);
    }

    let nobody = connection(&json!({"identity": {}}));
    match told(&nobody, None).unwrap() {
        IdentifyStep::Known(told) => assert_eq!(told, UserInfo::default()),
        other => panic!("{other:?}"),
    }
}
