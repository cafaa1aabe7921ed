// SPDX-License-Identifier: Apache-2.0
//! Client assertions: each rule of RFC 7523 §3 that the vault holds them to, violated alone.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

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
fn an_assertion_is_of_this_client_for_this_vault_alone_and_lives_five_minutes_at_most() {
    for (change, refused) in [
        (json!({}), None),
        (json!({"aud": [VAULT]}), None),
        (json!({"exp": NOW + 300}), None),
        (json!({"exp": NOW + 301}), Some(TokenError::Time)),
        (json!({"exp": NOW - 61}), Some(TokenError::Time)),
        (json!({"exp": null}), Some(TokenError::Time)),
        (json!({"iss": "batch", "sub": "batch"}), Some(TokenError::Client)),
        (json!({"iss": "batch"}), Some(TokenError::Client)),
        (json!({"aud": "https://other.example.com"}), Some(TokenError::Audience)),
        (json!({"aud": [VAULT, "https://other.example.com"]}), Some(TokenError::Audience)),
        (json!({"aud": []}), Some(TokenError::Audience)),
        (json!({"aud": null}), Some(TokenError::Audience)),
    ] {
        let text = assertion(&change);
        let checked = check(&Jws::parse(&text).unwrap(), "agent", VAULT, NOW);
        assert_eq!(checked.err(), refused, "{change}");
    }
}
