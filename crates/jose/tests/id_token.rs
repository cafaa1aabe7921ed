// SPDX-License-Identifier: Apache-2.0
//! ID tokens: the bounds of their life, whose they are, and which tenant's (OpenID Connect Core §3.1.3.7, §12.2).

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vault_base::encoding::{base64url, sha256};
use vault_jose::TokenError;
use vault_jose::id_token::{self, ExpectedIdToken};
use vault_jose::identity::Identity;
use vault_jose::jws::Jws;

const NOW: i64 = 1_795_492_800;
const ISSUER: &str = "https://idp.example.com";
const TENANTS: &str = "https://idp.example.com/{tenantid}/v2";

/// A good ID token with these claims over its own; `null` takes one away.
fn token(change: &Value) -> String {
    let mut claims = json!({
        "iss": ISSUER, "sub": "u", "aud": "c", "nonce": "n", "iat": NOW, "exp": NOW + 300,
    });
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    let header = base64url(json!({"alg": "RS256"}).to_string());
    format!("{header}.{}.c2ln", base64url(claims.to_string()))
}

fn read(issuer: &str, change: &Value) -> Result<Identity, TokenError> {
    read_with(issuer, &[], change)
}

fn read_with(
    issuer: &str,
    required: &[(&str, &str)],
    change: &Value,
) -> Result<Identity, TokenError> {
    let required = required.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let required_claims = required.collect();
    let expected = ExpectedIdToken {
        issuer,
        client_id: "c",
        nonce: "n",
        access_token: "a1",
        required_claims: &required_claims,
        several_audiences: false,
        optional_nonce: false,
    };
    id_token::read(&Jws::parse(&token(change)).unwrap(), &expected, NOW)
}

#[test]
fn an_id_token_is_for_us_alone_and_of_this_session_and_its_access_token() {
    let half = |token: &str| base64url(&sha256(token)[..16]);
    for (change, refused) in [
        (json!({"aud": ["c"]}), None),
        (json!({"aud": "other"}), Some(TokenError::Audience)),
        (json!({"aud": ["c", "other"]}), Some(TokenError::Audience)),
        (json!({"azp": "c"}), None),
        (json!({"azp": "other"}), Some(TokenError::Client)),
        (json!({"nonce": "m"}), Some(TokenError::Binding)),
        (json!({"nonce": null}), Some(TokenError::Binding)),
        (json!({"at_hash": half("a1")}), None),
        (json!({"at_hash": half("a2")}), Some(TokenError::Binding)),
        (json!({"at_hash": ""}), Some(TokenError::Binding)),
        (json!({"iat": null}), Some(TokenError::Time)),
    ] {
        assert_eq!(read(ISSUER, &change).err(), refused, "{change}");
    }
}

#[test]
fn each_required_claim_has_its_value() {
    let required = [("hd", "example.com"), ("plan", "paid")];
    for (change, refused) in [
        (json!({"hd": "example.com", "plan": "paid"}), None),
        (json!({"hd": "example.com"}), Some(TokenError::Subject)),
        (json!({"hd": "example.com", "plan": "free"}), Some(TokenError::Subject)),
        (json!({"hd": ["example.com"], "plan": "paid"}), Some(TokenError::Subject)),
        (json!({}), Some(TokenError::Subject)),
    ] {
        assert_eq!(read_with(ISSUER, &required, &change).err(), refused, "{change}");
    }
}

#[test]
fn an_id_token_may_live_for_years() {
    const YEARS: i64 = 3653 * 86_400;
    assert!(read(ISSUER, &json!({"exp": NOW + YEARS})).is_ok());
    assert_eq!(read(ISSUER, &json!({"exp": NOW + YEARS + 1})), Err(TokenError::Time));
}

#[test]
fn several_audiences_and_a_missing_nonce_are_accepted_only_where_the_connection_says_so() {
    let read = |several_audiences, optional_nonce, change: &Value| {
        let required_claims = BTreeMap::new();
        let expected = ExpectedIdToken {
            issuer: ISSUER,
            client_id: "c",
            nonce: "n",
            access_token: "a1",
            required_claims: &required_claims,
            several_audiences,
            optional_nonce,
        };
        id_token::read(&Jws::parse(&token(change)).unwrap(), &expected, NOW).err()
    };
    for (change, several, refused) in [
        (json!({"aud": ["c", "other"], "azp": "c"}), true, None),
        (json!({"aud": ["other", "c"], "azp": "c"}), true, None),
        (json!({"aud": ["c", "other"]}), true, Some(TokenError::Client)),
        (json!({"aud": ["c", "other"], "azp": "other"}), true, Some(TokenError::Client)),
        (json!({"aud": ["other"], "azp": "c"}), true, Some(TokenError::Audience)),
        (json!({"aud": [], "azp": "c"}), true, Some(TokenError::Audience)),
        (json!({"aud": "c"}), true, None),
        (json!({"aud": ["c", "other"], "azp": "c"}), false, Some(TokenError::Audience)),
    ] {
        assert_eq!(read(several, false, &change), refused, "{change}");
    }
    for (change, optional, refused) in [
        (json!({"nonce": null}), true, None),
        (json!({"nonce": "m"}), true, Some(TokenError::Binding)),
        (json!({"nonce": ""}), true, Some(TokenError::Binding)),
        (json!({"nonce": "n"}), true, None),
        (json!({"nonce": null}), false, Some(TokenError::Binding)),
    ] {
        assert_eq!(read(false, optional, &change), refused, "{change}");
    }
}

#[test]
fn a_claim_for_display_that_is_no_text_counts_as_absent() {
    for value in [json!(7), json!(["x"]), json!({"a": 1}), json!(true)] {
        let claims = json!({"email": value, "name": value, "preferred_username": value});
        let read = read(ISSUER, &claims).unwrap();
        assert_eq!((read.id.as_deref(), read.email, read.name), (Some("u"), None, None));
        let is_of = id_token::is_of(&token(&claims), ISSUER, "u");
        assert_eq!(is_of, Ok(true), "{value}");
    }
    let name = read(ISSUER, &json!({"preferred_username": 7, "name": "U"})).unwrap().name;
    assert_eq!(name.as_deref(), Some("U"));
}

#[test]
fn an_id_token_with_a_picture_is_read() {
    let text = token(&json!({"picture": "p".repeat(100_000)}));
    assert_eq!(Jws::parse(&text).err(), Some(TokenError::Format));
    assert!(Jws::parse_id_token(&text).is_ok());
    assert_eq!(id_token::is_of(&text, ISSUER, "u"), Ok(true));
    let longer = token(&json!({"picture": "p".repeat(400_000)}));
    assert_eq!(Jws::parse_id_token(&longer).err(), Some(TokenError::Format));
}

#[test]
fn an_identity_has_the_name_the_user_goes_by_before_the_full_one() {
    let name = |change: &Value| read(ISSUER, change).unwrap().name;
    assert_eq!(name(&json!({"name": "U", "preferred_username": "u1"})).as_deref(), Some("u1"));
    assert_eq!(name(&json!({"name": "U"})).as_deref(), Some("U"));
    assert_eq!(name(&json!({})), None);
    let read = read(ISSUER, &json!({"email": "u@example.com"})).unwrap();
    assert_eq!((read.id.as_deref(), read.email.as_deref()), (Some("u"), Some("u@example.com")));
}

#[test]
fn a_tenant_counts_only_where_the_issuer_has_a_place_for_it() {
    let of = |tenant: &str| json!({"iss": format!("https://idp.example.com/{tenant}/v2"), "tid": tenant});
    let long = "t".repeat(64);
    let longer = "t".repeat(65);
    for (issuer, change, refused) in [
        (TENANTS, of("9188040d-6c67"), None),
        (TENANTS, of(&long), None),
        (TENANTS, of(&longer), Some(TokenError::Issuer)),
        (TENANTS, of(""), Some(TokenError::Issuer)),
        (TENANTS, of("a.b"), Some(TokenError::Issuer)),
        (TENANTS, of("{tenantid}"), Some(TokenError::Issuer)),
        (TENANTS, json!({"iss": TENANTS}), Some(TokenError::Issuer)),
        // Elsewhere the claim may hold anything.
        (ISSUER, json!({"tid": "no tenant/"}), None),
        (
            ISSUER,
            json!({"tid": "t1", "iss": "https://idp.example.com/t1"}),
            Some(TokenError::Issuer),
        ),
    ] {
        assert_eq!(read(issuer, &change).err(), refused, "{issuer} {change}");
    }
}

#[test]
fn an_id_token_of_a_refresh_is_of_the_same_issuer_and_user_or_not_theirs() {
    for (issuer, change, same) in [
        (ISSUER, json!({}), Ok(true)),
        (ISSUER, json!({"iss": null}), Ok(true)),
        (ISSUER, json!({"iss": "https://other.example.com"}), Ok(false)),
        (ISSUER, json!({"sub": "v"}), Ok(false)),
        (ISSUER, json!({"iss": null, "sub": "v"}), Ok(false)),
        (ISSUER, json!({"iss": "https://other.example.com", "sub": "v"}), Ok(false)),
        (ISSUER, json!({"sub": null}), Err(TokenError::Subject)),
        (ISSUER, json!({"sub": ""}), Err(TokenError::Subject)),
        (ISSUER, json!({"sub": 7}), Err(TokenError::Json)),
        (TENANTS, json!({"iss": "https://idp.example.com/t1/v2", "tid": "t1"}), Ok(true)),
        (TENANTS, json!({"iss": "https://idp.example.com/t1/v2", "tid": "t2"}), Ok(false)),
    ] {
        assert_eq!(id_token::is_of(&token(&change), issuer, "u"), same, "{issuer} {change}");
    }
    assert_eq!(id_token::is_of("no token", ISSUER, "u"), Err(TokenError::Format));
}
