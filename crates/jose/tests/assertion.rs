// SPDX-License-Identifier: Apache-2.0
//! Client assertions: each rule of RFC 7523 §3 that the vault holds them to, violated alone.

#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use serde_json::{Value, json};
use vault_base::encoding::base64url;
use vault_jose::TokenError;
use vault_jose::assertion::{check, claimed_client};
use vault_jose::jws::Jws;

const NOW: i64 = 1_795_492_800;
const VAULT: &str = "https://vault.example.com";

/// A good assertion of `agent` with these claims over its own; `null` takes one away.
fn assertion(change: &Value) -> String {
    let mut claims = json!({
        "iss": "agent", "sub": "agent", "aud": VAULT, "iat": NOW, "exp": NOW + 60,
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

#[test]
fn an_assertion_claims_the_client_that_is_both_its_issuer_and_its_subject() {
    for (change, client) in [
        (json!({}), Ok("agent")),
        (json!({"iss": "batch", "sub": "batch"}), Ok("batch")),
        (json!({"iss": "batch"}), Err(TokenError::Client)),
        (json!({"sub": "batch"}), Err(TokenError::Client)),
        (json!({"iss": "", "sub": ""}), Err(TokenError::Client)),
        (json!({"iss": null}), Err(TokenError::Client)),
        (json!({"sub": null}), Err(TokenError::Client)),
        (json!({"iss": null, "sub": null}), Err(TokenError::Client)),
        (json!({"sub": 7}), Err(TokenError::Json)),
    ] {
        let text = assertion(&change);
        let claimed = claimed_client(&Jws::parse(&text).unwrap());
        assert_eq!(claimed.as_deref().map_err(|error| *error), client, "{change}");
    }
}

#[test]
fn an_assertion_is_of_this_client_for_one_of_these_audiences_alone() {
    const TOKEN: &str = "https://vault.example.com/oauth/token";
    for (change, audiences, refused) in [
        (json!({}), &[VAULT][..], None),
        (json!({"aud": [VAULT]}), &[VAULT], None),
        (json!({"aud": TOKEN}), &[VAULT], Some(TokenError::Audience)),
        (json!({"aud": TOKEN}), &[VAULT, TOKEN], None),
        (json!({"aud": [VAULT, TOKEN]}), &[VAULT, TOKEN], Some(TokenError::Audience)),
        (json!({"iss": "batch", "sub": "batch"}), &[VAULT], Some(TokenError::Client)),
        (json!({"iss": "batch"}), &[VAULT], Some(TokenError::Client)),
        (json!({"aud": "https://other.example.com"}), &[VAULT], Some(TokenError::Audience)),
        (
            json!({"aud": [VAULT, "https://other.example.com"]}),
            &[VAULT],
            Some(TokenError::Audience),
        ),
        (json!({"aud": []}), &[VAULT], Some(TokenError::Audience)),
        (json!({"aud": null}), &[VAULT], Some(TokenError::Audience)),
    ] {
        let text = assertion(&change);
        let audiences: Vec<String> = audiences.iter().map(|one| (*one).to_owned()).collect();
        let checked = check(&Jws::parse(&text).unwrap(), "agent", &audiences, NOW);
        assert_eq!(checked.err(), refused, "{change}");
    }
}

#[test]
fn an_assertion_is_accepted_for_five_minutes_and_the_tolerance_however_long_it_lives() {
    for (change, is_good) in [
        (json!({"exp": NOW + 300}), true),
        // Authlib lets its assertions live an hour.
        (json!({"exp": NOW + 3600}), true),
        (json!({"iat": NOW - 360, "exp": NOW + 3240}), true),
        (json!({"iat": NOW - 361, "exp": NOW + 3239}), false),
        (json!({"iat": NOW + 60}), true),
        (json!({"iat": NOW + 61}), false),
        (json!({"exp": NOW + 86_400}), true),
        (json!({"exp": NOW + 86_401}), false),
        (json!({"exp": NOW - 59}), true),
        (json!({"exp": NOW - 61}), false),
        (json!({"exp": null}), false),
        (json!({"iat": null, "exp": NOW + 300}), true),
        (json!({"iat": null, "exp": NOW + 301}), false),
    ] {
        let text = assertion(&change);
        let checked = check(&Jws::parse(&text).unwrap(), "agent", &[VAULT.to_owned()], NOW);
        assert_eq!(checked.err(), (!is_good).then_some(TokenError::Time), "{change}");
    }
}
