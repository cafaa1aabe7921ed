// SPDX-License-Identifier: Apache-2.0
//! Access tokens at the edge of each bound: length, key id, times, names. `tests/subject_token.rs` of the
//! Worker's package violates the rules themselves.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::rc::Rc;

use serde_json::{Value, json};
use vault_base::encoding::base64url;
use vault_base::ids::{DocumentSource, UserId, UserNames};
use vault_jose::TokenError;
use vault_jose::access_token::{AccessToken, claimed_issuer};
use vault_jose::algorithm::Algorithm;
use vault_jose::jws::Jws;
use vault_jose::trusted_issuer::Issuer;
use vault_jose::verified::{VerifiedToken, VerifiedTokens};

const NOW: i64 = 1_795_492_800;
const ISSUER: &str = "https://idp.example.com/";
const DAY: i64 = 86_400;

/// A token with these claims over good ones; `null` takes one away.
fn token(header: &Value, change: &Value) -> String {
    let mut claims = json!({
        "iss": ISSUER, "sub": "alice", "aud": "v", "client_id": "spa", "iat": NOW, "exp": NOW + 60,
    });
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    format!("{}.{}.c2ln", base64url(header.to_string()), base64url(claims.to_string()))
}

fn issuer() -> Issuer {
    Issuer {
        source: DocumentSource { issuer: ISSUER.into(), jwks_uri: None, pattern: None },
        audiences: vec!["v".into()],
        audience_claim: None,
        api_audience: None,
        client_claim: None,
        algorithms: vec![Algorithm::Rs256],
        types: vec!["at+jwt".into(), "jwt".into()],
    }
}

fn read_typed(typ: &str, change: &Value) -> Result<AccessToken, TokenError> {
    read_of(&issuer(), typ, change)
}

fn read_of(issuer: &Issuer, typ: &str, change: &Value) -> Result<AccessToken, TokenError> {
    let text = token(&json!({"alg": "RS256", "typ": typ}), change);
    AccessToken::read(&Jws::parse(&text)?, issuer, NOW)
}

fn read(change: &Value) -> Result<AccessToken, TokenError> {
    read_typed("at+jwt", change)
}

#[test]
fn times_hold_to_the_second() {
    for (change, good) in [
        (json!({"exp": NOW - 59}), true),
        (json!({"exp": NOW - 60}), true),
        (json!({"exp": NOW - 61}), false),
        (json!({"iat": NOW + 60, "exp": NOW + 120}), true),
        (json!({"iat": NOW + 61, "exp": NOW + 120}), false),
        (json!({"nbf": NOW + 60}), true),
        (json!({"nbf": NOW + 61}), false),
        (json!({"nbf": 0}), true),
        (json!({"nbf": -1}), false),
        (json!({"exp": NOW + DAY}), true),
        (json!({"exp": NOW + DAY + 1}), false),
        (json!({"iat": null, "exp": NOW + DAY}), true),
        (json!({"iat": null, "exp": NOW + DAY + 1}), false),
        // A clock that is ahead by the skew may give a whole life from there.
        (json!({"iat": NOW + 60, "exp": NOW + 60 + DAY}), true),
        (json!({"iat": NOW + 60, "exp": NOW + 61 + DAY}), false),
        (json!({"iat": NOW - 3600, "exp": NOW - 3600 + DAY}), true),
        (json!({"iat": NOW - 3600, "exp": NOW - 3599 + DAY}), false),
    ] {
        assert_eq!(read(&change).err(), (!good).then_some(TokenError::Time), "{change}");
    }
}

#[test]
fn a_remembered_token_is_good_until_a_minute_after_its_end() {
    let token = read(&json!({})).unwrap();
    for (later, good) in [(0, true), (119, true), (120, true), (121, false), (DAY, false)] {
        assert_eq!(token.is_current(NOW + later), good, "{later}");
    }
}

#[test]
fn a_subject_has_1024_bytes_at_most() {
    for (length, good) in [(0, false), (1, true), (1024, true), (1025, false)] {
        let read = read(&json!({"sub": "a".repeat(length)}));
        assert_eq!(read.err(), (!good).then_some(TokenError::Subject), "{length}");
    }
}

#[test]
fn the_client_is_named_by_either_claim_and_not_by_an_empty_one() {
    for (change, client) in [
        (json!({}), Ok("spa")),
        (json!({"azp": "spa"}), Ok("spa")),
        (json!({"client_id": null, "azp": "web"}), Ok("web")),
        (json!({"azp": "web"}), Err(TokenError::Client)),
        (json!({"client_id": ""}), Err(TokenError::Client)),
        (json!({"client_id": "", "azp": ""}), Err(TokenError::Client)),
        (json!({"client_id": null, "azp": ""}), Err(TokenError::Client)),
        (json!({"client_id": null}), Err(TokenError::Client)),
    ] {
        let read = read(&change).map(|token| token.client_id);
        assert_eq!(read.as_deref().map_err(|error| *error), client, "{change}");
    }
}

#[test]
fn a_configured_claim_names_the_client_and_no_other_may_contradict_it() {
    let issuer = Issuer { client_claim: Some("cid".into()), ..issuer() };
    for (change, client) in [
        (json!({"client_id": null, "cid": "web"}), Ok("web")),
        (json!({"client_id": "web", "cid": "web", "azp": "web"}), Ok("web")),
        (json!({"cid": "web"}), Err(TokenError::Client)),
        (json!({"client_id": null, "cid": "web", "azp": "spa"}), Err(TokenError::Client)),
        (json!({"client_id": null, "cid": ""}), Err(TokenError::Client)),
        (json!({"client_id": null, "cid": 7}), Err(TokenError::Client)),
        (json!({"client_id": null, "cid": ["web"]}), Err(TokenError::Client)),
        (json!({}), Err(TokenError::Client)),
        (json!({"azp": "spa"}), Err(TokenError::Client)),
    ] {
        let read = read_of(&issuer, "at+jwt", &change).map(|token| token.client_id);
        assert_eq!(read.as_deref().map_err(|error| *error), client, "{change}");
    }
}

#[test]
fn a_configured_claim_names_the_audience_of_a_token_without_aud() {
    let bound = Issuer { audience_claim: Some("client_id".into()), ..issuer() };
    for (issuer, change, audiences) in [
        (&bound, json!({"aud": null}), Ok(vec!["spa"])),
        // `aud` goes first, and names no client: that would be an ID token.
        (&bound, json!({}), Ok(vec!["v"])),
        (&bound, json!({"aud": []}), Ok(vec![])),
        (&bound, json!({"aud": "spa"}), Err(TokenError::IdToken)),
        (&bound, json!({"aud": ["v", "spa"]}), Err(TokenError::IdToken)),
        (&issuer(), json!({"aud": "spa"}), Ok(vec!["spa"])),
        (&issuer(), json!({"aud": null}), Ok(vec![])),
    ] {
        let read = read_of(issuer, "at+jwt", &change).map(|token| token.audiences);
        assert_eq!(
            read,
            audiences.map(|all| all.into_iter().map(str::to_owned).collect()),
            "{change}"
        );
    }
    let other = Issuer { audience_claim: Some("res".into()), ..issuer() };
    for (value, audiences) in [
        (json!("v"), Ok(vec!["v".to_owned()])),
        (json!(["v", "w"]), Ok(vec!["v".to_owned(), "w".to_owned()])),
        (json!(null), Ok(vec![])),
        (json!(7), Err(TokenError::Json)),
        (json!(["v", 7]), Err(TokenError::Json)),
    ] {
        let read = read_of(&other, "at+jwt", &json!({"aud": null, "res": value}));
        assert_eq!(read.map(|token| token.audiences), audiences, "{value}");
    }
}

#[test]
fn a_header_without_typ_is_accepted_only_where_the_issuer_allows_it() {
    let untyped = Issuer { types: vec![String::new()], ..issuer() };
    let text = token(&json!({"alg": "RS256"}), &json!({}));
    let token = Jws::parse(&text).unwrap();
    assert!(AccessToken::read(&token, &untyped, NOW).is_ok());
    assert_eq!(AccessToken::read(&token, &issuer(), NOW).err(), Some(TokenError::Type));
    assert_eq!(read_of(&untyped, "at+jwt", &json!({})).err(), Some(TokenError::Type));
}

#[test]
fn the_type_is_one_of_the_issuers_and_the_issuer_is_read_before_anything_is_checked() {
    for (typ, good) in
        [("at+jwt", true), ("JWT", true), ("application/at+jwt", true), ("dpop+jwt", false)]
    {
        assert_eq!(read_typed(typ, &json!({})).err(), (!good).then_some(TokenError::Type), "{typ}");
    }
    let claimed = |change| {
        let text = token(&json!({"alg": "RS256"}), &change);
        claimed_issuer(&Jws::parse(&text).unwrap()).map(str::to_owned)
    };
    assert_eq!(claimed(json!({})).as_deref(), Ok(ISSUER));
    assert_eq!(claimed(json!({"iss": "https://other"})).as_deref(), Ok("https://other"));
    assert_eq!(claimed(json!({"iss": null})), Err(TokenError::Issuer));
    let other = json!({"iss": "https://idp.example.com"});
    assert_eq!(read(&other).err(), Some(TokenError::Issuer));
}

#[test]
fn a_token_of_16_kib_is_read_and_a_longer_one_is_not() {
    // So many claims that what remains for the signature is no impossible length of base64 (4n + 1).
    let start = format!("{}.{}.", base64url(json!({"alg": "RS256"}).to_string()), base64url("{ }"));
    for (length, read) in
        [(16_384, Ok(())), (16_385, Err(TokenError::Format)), (16_386, Err(TokenError::Format))]
    {
        let signature = "A".repeat(length - start.len());
        assert_ne!(signature.len() % 4, 1);
        assert_eq!(Jws::parse(&format!("{start}{signature}")).map(drop), read, "{length}");
    }
}

#[test]
fn a_key_id_has_256_bytes_at_most() {
    for (length, good) in [(0, true), (1, true), (256, true), (257, false), (258, false)] {
        let kid = "k".repeat(length);
        let text = token(&json!({"alg": "RS256", "kid": kid}), &json!({}));
        let read = Jws::parse(&text).map(|token| token.key_id().map(str::to_owned));
        assert_eq!(read, if good { Ok(Some(kid)) } else { Err(TokenError::Key) }, "{length}");
    }
    let text = token(&json!({"alg": "RS256"}), &json!({}));
    assert_eq!(Jws::parse(&text).unwrap().key_id(), None);
}

#[test]
fn a_message_is_three_segments_of_which_each_is_base64url_and_the_last_is_not_empty() {
    let (header, claims) = (base64url(json!({"alg": "RS256"}).to_string()), base64url("{}"));
    for (text, refused) in [
        (format!("{header}.{claims}.c2ln"), None),
        (format!("{header}.{claims}.AB"), Some(TokenError::Format)),
        (format!("{header}.{claims}."), Some(TokenError::Format)),
        (format!("{header}.AB.c2ln"), Some(TokenError::Format)),
        (format!("{header}.{claims}.c2ln.c2ln"), Some(TokenError::Format)),
        (format!("{header}.{claims}"), Some(TokenError::Format)),
        (format!("{header}.{claims}.c2l~"), Some(TokenError::Format)),
        // Characters come before contents.
        (format!("{}.{claims}.c2l~", base64url("[]")), Some(TokenError::Format)),
        (format!("{}.{claims}.c2ln", base64url("[]")), Some(TokenError::Json)),
        (format!("{}.{claims}.c2ln", base64url("{")), Some(TokenError::Json)),
        (format!("{header}.{}.c2ln", base64url("[]")), Some(TokenError::Json)),
    ] {
        assert_eq!(Jws::parse(&text).err(), refused, "{text}");
    }
    let text = token(&json!({"alg": "EdDSA"}), &json!({"more": [1]}));
    let read = Jws::parse(&text).unwrap();
    assert_eq!((read.algorithm(), read.signature()), (Algorithm::EdDsa, &b"sig"[..]));
    assert_eq!(read.signed(), text.strip_suffix(".c2ln").unwrap());
    assert_eq!(read.claim("more"), Some(&json!([1])));
    for name in ["none", "HS256", "rs256", ""] {
        let text = token(&json!({"alg": name}), &json!({}));
        assert_eq!(Jws::parse(&text).err(), Some(TokenError::Algorithm), "{name}");
    }
}

#[test]
fn an_extension_is_refused_whichever_member_asks_for_it() {
    for (member, value) in [("crit", json!(["x"])), ("b64", json!(false)), ("zip", json!("DEF"))] {
        let text = token(&json!({"alg": "RS256", member: value}), &json!({}));
        assert_eq!(Jws::parse(&text).err(), Some(TokenError::Critical), "{member}");
    }
}

#[test]
fn what_only_an_id_token_has_and_a_bound_key_are_refused() {
    for (claim, refused) in [
        ("at_hash", TokenError::IdToken),
        ("c_hash", TokenError::IdToken),
        ("cnf", TokenError::Bound),
    ] {
        assert_eq!(read(&json!({claim: "x"})).err(), Some(refused), "{claim}");
    }
}

#[test]
fn a_verified_token_tells_its_issuer_until_it_is_forgotten() {
    let token = AccessToken {
        user: UserId { issuer: ISSUER.into(), subject: "alice".into() },
        client_id: "spa".into(),
        audiences: Vec::new(),
        scopes: Vec::new(),
        expires_at: NOW,
        issued_at: None,
        sid: None,
        grant_id: None,
    };
    let mut verified = VerifiedTokens::default();
    let remembered = Rc::new(VerifiedToken { token, names: UserNames::default() });
    verified.insert([1; 32], [7; 32], Rc::clone(&remembered));
    assert_eq!(verified.issuer(&[1; 32]), Some(ISSUER));
    assert_eq!(verified.issuer(&[2; 32]), None);
    let found = verified.get(&[1; 32], &[7; 32]).unwrap();
    assert!(Rc::ptr_eq(found, &remembered));
}

#[test]
fn every_refusal_has_a_word_of_its_own_and_two_may_pass_later() {
    let mut words: Vec<&str> = TokenError::ALL.iter().map(|error| error.reason()).collect();
    assert!(TokenError::ALL.iter().all(|error| error.to_string() == error.reason()));
    assert!(words.iter().all(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), TokenError::ALL.len());
    let passing: Vec<_> = TokenError::ALL.into_iter().filter(|error| error.may_pass()).collect();
    assert_eq!(passing, [TokenError::Key, TokenError::KeysUnavailable]);
}

#[test]
fn an_algorithm_is_read_by_its_exact_name_and_two_have_signatures_of_64_bytes() {
    for (name, algorithm, length) in [
        ("RS256", Algorithm::Rs256, None),
        ("PS256", Algorithm::Ps256, None),
        ("ES256", Algorithm::Es256, Some(64)),
        ("EdDSA", Algorithm::EdDsa, Some(64)),
    ] {
        assert_eq!(Algorithm::parse(name), Some(algorithm));
        assert_eq!((algorithm.name(), algorithm.signature_length()), (name, length));
    }
    for other in ["none", "HS256", "es256", "RS384", ""] {
        assert_eq!(Algorithm::parse(other), None, "{other}");
    }
}
