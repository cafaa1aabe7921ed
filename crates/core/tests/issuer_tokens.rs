// SPDX-License-Identifier: Apache-2.0
//! What the vault's own tokens say, claim by claim, and that others read them so.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vault_base::encoding;
use vault_base::ids::DocumentSource;
use vault_base::secret::Secret;
use vault_core::issuer::tokens::{
    AccessToken, IdToken, LogoutToken, Signer, Subject, access_token, id_token, logout_token,
    random_id, userinfo,
};
use vault_core::issuer::user::Profile;
use vault_jose::TokenError;
use vault_jose::access_token::AccessToken as ReadAccessToken;
use vault_jose::algorithm::Algorithm;
use vault_jose::id_token::{self, ExpectedIdToken};
use vault_jose::jws::Jws;
use vault_jose::signing::SigningInput;
use vault_jose::trusted_issuer::Issuer;

const NOW: i64 = 1_795_492_800;
const VAULT: &str = "https://vault.example/";
const BY: Signer = Signer { issuer: VAULT, kid: "k1", now: NOW };
const ALICE: Subject = Subject { sub: "github|42", sid: Some("s1"), auth_time: Some(NOW - 5) };
/// A user of whom nothing is known but who it is.
const PLAIN: Subject = Subject { sub: "github|42", sid: None, auth_time: None };

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn compact(input: &SigningInput) -> Secret {
    input.with_signature(&[7; 256])
}

/// Header and claims.
fn parts(input: &SigningInput) -> [Value; 2] {
    let token = compact(input);
    let mut parts = token.expose().split('.').map(|part| encoding::from_base64url(part).unwrap());
    [(); 2].map(|()| serde_json::from_slice(&parts.next().unwrap()).unwrap())
}

fn alice() -> Profile {
    Profile {
        name: Some("Alice".into()),
        email: Some("alice@example.com".into()),
        email_verified: true,
        picture: Some("https://p.example/alice".into()),
    }
}

fn access<'a>(audiences: &'a [String], scopes: &'a [String]) -> AccessToken<'a> {
    AccessToken {
        subject: ALICE,
        audiences,
        client_id: "app",
        scopes,
        grant_id: Some("g.1"),
        jti: "j1",
        lifetime: 600,
    }
}

fn id<'a>(scopes: &'a [String], profile: &'a Profile, access: Option<&'a Secret>) -> IdToken<'a> {
    IdToken {
        subject: ALICE,
        client_id: "app",
        nonce: Some("n1"),
        access_token: access,
        scopes,
        profile,
        lifetime: 3600,
    }
}

#[test]
fn the_claims_of_an_access_token() {
    let (one, two) = (texts(&["https://api.example"]), texts(&["https://api.example", "x"]));
    let scopes = texts(&["openid", "read:it"]);
    let [header, claims] = parts(&access_token(&BY, &access(&one, &scopes)));
    assert_eq!(header, json!({ "alg": "RS256", "typ": "at+jwt", "kid": "k1" }));
    assert_eq!(
        claims,
        json!({
            "iss": "https://vault.example/",
            "sub": "github|42",
            "aud": "https://api.example",
            "iat": 1_795_492_800,
            "exp": 1_795_493_400,
            "jti": "j1",
            "client_id": "app",
            "scope": "openid read:it",
            "sid": "s1",
            "grant_id": "g.1",
            "auth_time": 1_795_492_795,
        })
    );
    let [_, claims] = parts(&access_token(&BY, &access(&two, &scopes)));
    assert_eq!(claims["aud"], json!(["https://api.example", "x"]));
    let bare = AccessToken { subject: PLAIN, ..access(&one, &[]) };
    let [_, claims] = parts(&access_token(&BY, &bare));
    for absent in ["scope", "sid", "auth_time"] {
        assert_eq!(claims.get(absent), None, "{absent}");
    }
}

#[test]
fn an_access_token_reads_as_one_and_an_id_token_does_not() {
    let issuer = Issuer {
        source: DocumentSource { issuer: VAULT.into(), jwks_uri: None, pattern: None },
        audiences: vec![],
        audience_claim: None,
        api_audience: None,
        client_claim: None,
        algorithms: vec![Algorithm::Rs256],
        types: vec!["at+jwt".into()],
    };
    let (audiences, scopes) = (texts(&["https://api.example"]), texts(&["read:it"]));
    let token = compact(&access_token(&BY, &access(&audiences, &scopes)));
    let read =
        |token: &Secret| ReadAccessToken::read(&Jws::parse(token.expose()).unwrap(), &issuer, NOW);
    let known = read(&token).unwrap();
    assert_eq!((known.user.subject.as_str(), known.client_id.as_str()), ("github|42", "app"));
    assert_eq!((known.audiences, known.scopes, known.expires_at), (audiences, scopes, NOW + 600));
    let profile = alice();
    let other = compact(&id_token(&BY, &id(&[], &profile, None)));
    assert_eq!(read(&other), Err(TokenError::Type));
}

#[test]
fn the_claims_of_an_id_token() {
    let (scopes, profile) = (texts(&["openid", "profile", "email"]), alice());
    // The token of OpenID Connect Core, A.3.
    let access = Secret::new("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y");
    let [header, claims] = parts(&id_token(&BY, &id(&scopes, &profile, Some(&access))));
    assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" }));
    assert_eq!(
        claims,
        json!({
            "iss": "https://vault.example/",
            "sub": "github|42",
            "aud": "app",
            "iat": 1_795_492_800,
            "exp": 1_795_496_400,
            "nonce": "n1",
            "at_hash": "77QmUPtjPfzWtF2AnpK9RQ",
            "sid": "s1",
            "auth_time": 1_795_492_795,
            "name": "Alice",
            "picture": "https://p.example/alice",
            "email": "alice@example.com",
            "email_verified": true,
        })
    );
    let bare = IdToken { subject: PLAIN, nonce: None, ..id(&scopes, &profile, None) };
    let [_, claims] = parts(&id_token(&BY, &bare));
    for absent in ["nonce", "at_hash", "sid", "auth_time"] {
        assert_eq!(claims.get(absent), None, "{absent}");
    }
}

#[test]
fn an_id_token_reads_as_one() {
    let (profile, required_claims) = (alice(), BTreeMap::new());
    let (scopes, access) = (texts(&["openid", "email"]), Secret::new("a"));
    let token = compact(&id_token(&BY, &id(&scopes, &profile, Some(&access))));
    let expected = ExpectedIdToken {
        issuer: VAULT,
        client_id: "app",
        nonce: "n1",
        access_token: "a",
        required_claims: &required_claims,
        several_audiences: false,
        optional_nonce: false,
    };
    let read = id_token::read(&Jws::parse(token.expose()).unwrap(), &expected, NOW).unwrap();
    assert_eq!(read.id.as_deref(), Some("github|42"));
    assert_eq!(read.email.as_deref(), Some("alice@example.com"));
}

#[test]
fn a_scope_tells_what_is_its_own_and_known() {
    let unverified = Profile { email_verified: false, ..alice() };
    let email_only = Profile { name: None, picture: None, ..alice() };
    let (name, picture) = (json!("Alice"), json!("https://p.example/alice"));
    let email = json!("alice@example.com");
    for (scopes, profile, expected) in [
        (vec!["openid"], alice(), json!({})),
        (vec!["openid", "profile"], alice(), json!({ "name": name, "picture": picture })),
        (vec!["openid", "email"], alice(), json!({ "email": email, "email_verified": true })),
        (vec!["email"], unverified, json!({ "email": email, "email_verified": false })),
        (vec!["profile", "email"], email_only, json!({ "email": email, "email_verified": true })),
        (vec!["profile", "email"], Profile::default(), json!({})),
        (vec!["emails", "Profile"], alice(), json!({})),
    ] {
        let mut expected = expected;
        expected["sub"] = json!("github|42");
        assert_eq!(userinfo("github|42", &profile, &texts(&scopes)), expected, "{scopes:?}");
    }
}

#[test]
fn the_claims_of_a_logout_token() {
    let token = LogoutToken { sub: "github|42", sid: "s1", client_id: "app", jti: "j1" };
    let [header, claims] = parts(&logout_token(&BY, &token));
    assert_eq!(header, json!({ "alg": "RS256", "typ": "logout+jwt", "kid": "k1" }));
    assert_eq!(
        claims,
        json!({
            "iss": "https://vault.example/",
            "sub": "github|42",
            "aud": "app",
            "iat": 1_795_492_800,
            "exp": 1_795_492_920,
            "jti": "j1",
            "sid": "s1",
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        })
    );
}

#[test]
fn each_token_has_an_id_of_its_own() {
    let (one, other) = (random_id().unwrap(), random_id().unwrap());
    assert_eq!(one.len(), 22);
    assert_ne!(one, other);
}
