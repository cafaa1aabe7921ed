// SPDX-License-Identifier: Apache-2.0
//! Subject tokens: each test violates one rule of their validation, and cites the RFC that states it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use serde_json::{Value, json};
use vault_base::encoding::base64url;
use vault_base::ids::DocumentSource;
use vault_jose::TokenError;
use vault_jose::access_token::{AccessToken, MAX_LIFETIME, claimed_issuer};
use vault_jose::algorithm::Algorithm;
use vault_jose::jwk::JwkSet;
use vault_jose::jws::{Jws, MAX_LENGTH};
use vault_jose::signature::SignatureCheck;
use vault_jose::trusted_issuer::Issuer;

const NOW: i64 = 1_795_492_800;
const ISSUER: &str = "https://idp.example.com/";

fn issuer(typ: &str) -> Issuer {
    Issuer {
        source: DocumentSource { issuer: ISSUER.to_owned(), jwks_uri: None, pattern: None },
        audiences: vec!["https://vault.example.com/".to_owned()],
        audience_claim: None,
        api_audience: None,
        client_claim: None,
        algorithms: vec![Algorithm::Rs256],
        types: vec![typ.to_ascii_lowercase()],
    }
}

fn header() -> Value {
    json!({"alg": "RS256", "typ": "at+jwt", "kid": "1"})
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "alice", "aud": "https://vault.example.com/", "client_id": "spa",
        "scope": "read write", "iat": NOW, "exp": NOW + 3600,
    })
}

fn compact(header: &str, claims: &str) -> String {
    format!("{}.{}.c2lnbmF0dXJl", base64url(header), base64url(claims))
}

fn read(header: &Value, claims: &Value) -> Result<AccessToken, TokenError> {
    read_as("at+jwt", header, claims)
}

fn read_as(typ: &str, header: &Value, claims: &Value) -> Result<AccessToken, TokenError> {
    let text = compact(&header.to_string(), &claims.to_string());
    AccessToken::read(&Jws::parse(&text)?, &issuer(typ), NOW)
}

fn with(change: &[(&str, Value)]) -> Value {
    let mut claims = claims();
    for (name, value) in change {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(*name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

#[test]
fn an_honest_token_is_read() {
    let token = read(&header(), &claims()).unwrap();
    assert_eq!((token.user.issuer.as_str(), token.user.subject.as_str()), (ISSUER, "alice"));
    assert_eq!(token.client_id, "spa");
    assert_eq!(token.audiences, ["https://vault.example.com/"]);
    assert_eq!(token.scopes, ["read", "write"]);
    assert_eq!(token.expires_at, NOW + 3600);
}

#[test]
fn only_three_base64url_segments_pass() {
    // RFC 7515 §3.1 and §7.1: the compact serialization.
    let good = compact(&header().to_string(), &claims().to_string());
    assert!(Jws::parse(&good).is_ok());
    for bad in [
        String::new(),
        good.replace('.', ""),
        format!("{good}.c2ln"),
        format!("{good}."),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{good}="),
        good.replacen("eyJ", "{yJ", 1),
        good.replacen('.', "+/.", 1),
        good.rsplit_once('.').unwrap().0.to_owned(),
        format!("{}.", good.rsplit_once('.').unwrap().0),
        json!({"payload": good}).to_string(),
        format!("{good}é"),
    ] {
        assert_eq!(Jws::parse(&bad).unwrap_err(), TokenError::Format, "{bad:?}");
    }
}

#[test]
fn long_and_deep_tokens_are_refused() {
    // These limits are the vault's own; no RFC sets any.
    let long = "a".repeat(MAX_LENGTH + 1);
    assert_eq!(Jws::parse(&long).unwrap_err(), TokenError::Format);
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(40), "]".repeat(40));
    let text = compact(&header().to_string(), &deep);
    assert_eq!(Jws::parse(&text).unwrap_err(), TokenError::Json);
}

#[test]
fn base64url_is_canonical_in_every_segment() {
    // RFC 7515 §2, RFC 4648 §3.5. "AB" and "AA" decode alike where left-over bits are ignored.
    let good = compact(&header().to_string(), &claims().to_string());
    let parts: Vec<&str> = good.split('.').collect();
    for bad in [
        format!("{}.{}.AB", parts[0], parts[1]),
        format!("{}.e31.{}", parts[0], "AB"),
        format!("{}.{}B.{}", base64url("{}"), "e3", parts[2]),
    ] {
        assert_eq!(Jws::parse(&bad).unwrap_err(), TokenError::Format, "{bad}");
    }
}

#[test]
fn header_and_claims_are_strict_json_objects() {
    // RFC 7519 §7.2; RFC 7515 §4 and §10.12: no name twice.
    let (head, body) = (header().to_string(), claims().to_string());
    for (header, claims) in [
        (head.as_str(), "[]"),
        ("\"x\"", body.as_str()),
        (head.as_str(), "\u{feff}{}"),
        (head.as_str(), r#"{"sub":"a","sub":"b"}"#),
        (head.as_str(), r#"{"sub":"a","s\u0075b":"b"}"#),
        (head.as_str(), "{} {}"),
        (r#"{"alg":"RS256","alg":"none"}"#, body.as_str()),
        (r#"{"alg":"RS256","a\u006cg":"none"}"#, body.as_str()),
        (head.as_str(), "{"),
        (head.as_str(), ""),
        ("", ""),
    ] {
        let text = compact(header, claims);
        assert_eq!(Jws::parse(&text).unwrap_err(), TokenError::Json, "{header} {claims}");
    }
}

#[test]
fn algorithms_are_exact_and_from_the_issuers_list() {
    // RFC 8725 §3.1.
    for name in ["none", "None", "nOnE", "HS256", "HS512", "rs256", "RS384", "ES384", "", "RS256 "]
    {
        let text = compact(&json!({"alg": name}).to_string(), &claims().to_string());
        assert_eq!(Jws::parse(&text).unwrap_err(), TokenError::Algorithm, "{name}");
    }
    let text = compact(&json!({"alg": "ES256", "kid": "1"}).to_string(), &claims().to_string());
    let token = Jws::parse(&text).unwrap();
    let check = SignatureCheck::of(&token, &keys(&[("1", None)]), &[Algorithm::Rs256]).map(drop);
    assert_eq!(check.unwrap_err(), TokenError::Algorithm);
}

const MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

fn keys(entries: &[(&str, Option<&str>)]) -> JwkSet {
    let keys: Vec<Value> = entries
        .iter()
        .map(|(kid, alg)| {
            let mut key = json!({"kty": "RSA", "n": MODULUS, "e": "AQAB", "kid": kid});
            if let Some(alg) = alg {
                key["alg"] = json!(alg);
            }
            key
        })
        .collect();
    JwkSet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

#[test]
fn one_key_has_one_algorithm() {
    // RFC 8725 §3.1.
    let text = compact(&json!({"alg": "PS256", "kid": "1"}).to_string(), "{}");
    let token = Jws::parse(&text).unwrap();
    let found = |alg| keys(&[("1", alg)]).key_for(&token).map(drop);
    assert_eq!(found(Some("RS256")), Err(TokenError::Key));
    assert_eq!(found(Some("PS256")), Ok(()));
    assert_eq!(found(None), Ok(()));
}

#[test]
fn extensions_are_refused_because_none_is_understood() {
    // RFC 7515 §4.1.11; `b64` is RFC 7797 §3, `zip` and five segments are RFC 7516.
    for extra in [
        json!({"crit": ["exp"]}),
        json!({"crit": []}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"b64": false}),
        json!({"zip": "DEF"}),
    ] {
        let mut header = header();
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let text = compact(&header.to_string(), &claims().to_string());
        assert_eq!(Jws::parse(&text).unwrap_err(), TokenError::Critical, "{extra}");
    }
    let encrypted = format!("{0}.{0}.{0}.{0}.{0}", base64url("{}"));
    assert_eq!(Jws::parse(&encrypted).unwrap_err(), TokenError::Format);
}

#[test]
fn typ_is_the_issuers_in_any_case_and_with_or_without_its_prefix() {
    // RFC 9068 §4, RFC 7515 §4.1.9.
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        let mut header = header();
        header["typ"] = json!(typ);
        assert!(read(&header, &claims()).is_ok(), "{typ}");
    }
    for typ in [json!("JWT"), json!("jwt"), json!("dpop+jwt"), json!(""), Value::Null] {
        let mut header = header();
        if typ.is_null() {
            header.as_object_mut().unwrap().remove("typ");
        } else {
            header["typ"] = typ.clone();
        }
        assert_eq!(read(&header, &claims()).unwrap_err(), TokenError::Type, "{typ}");
    }
}

#[test]
fn an_id_token_is_refused_where_access_tokens_have_the_same_typ() {
    // RFC 8725 §3.12.
    let jwt = json!({"alg": "RS256", "typ": "JWT"});
    assert!(read_as("JWT", &jwt, &claims()).is_ok());
    let marks = [("at_hash", "h"), ("c_hash", "h"), ("token_use", "id"), ("typ", "ID")];
    for (name, value) in marks.into_iter().chain([("nonce", "n")]) {
        let refusal = read_as("JWT", &jwt, &with(&[(name, json!(value))])).unwrap_err();
        assert_eq!(refusal, TokenError::IdToken, "{name}");
    }
    // What says that it is an access token may have a nonce, and none of the other marks.
    let says = [(jwt.clone(), "typ", "Bearer"), (jwt, "token_use", "access")];
    for (header, name, value) in says.into_iter().chain([(header(), "jti", "1")]) {
        let typ = header["typ"].as_str().unwrap();
        let said = [("nonce", json!("n")), (name, json!(value))];
        assert!(read_as(typ, &header, &with(&said)).is_ok(), "{name}");
        for (mark, value) in marks.into_iter().filter(|(mark, _)| *mark != name) {
            let marked = [said[0].clone(), said[1].clone(), (mark, json!(value))];
            let refusal = read_as(typ, &header, &with(&marked)).unwrap_err();
            assert_eq!(refusal, TokenError::IdToken, "{name} {mark}");
        }
    }
}

#[test]
fn iss_is_compared_byte_by_byte() {
    // RFC 8725 §3.8, RFC 9068 §4.
    for iss in ["https://idp.example.com", "https://IDP.example.com/", "https://idp.example.com//"]
    {
        assert_eq!(read(&header(), &with(&[("iss", json!(iss))])).unwrap_err(), TokenError::Issuer);
    }
    let text = compact(&header().to_string(), &with(&[("iss", Value::Null)]).to_string());
    assert_eq!(claimed_issuer(&Jws::parse(&text).unwrap()).unwrap_err(), TokenError::Issuer);
}

#[test]
fn audience_and_party_are_read_and_must_not_contradict() {
    // RFC 7519 §4.1.3, RFC 9068 §2.2, RFC 8693 §4.3 (`client_id`).
    let several = with(&[("aud", json!(["a", "b"]))]);
    assert_eq!(read(&header(), &several).unwrap().audiences, ["a", "b"]);
    assert!(read(&header(), &with(&[("aud", Value::Null)])).unwrap().audiences.is_empty());
    let party = with(&[("client_id", Value::Null), ("azp", json!("web"))]);
    assert_eq!(read(&header(), &party).unwrap().client_id, "web");
    let none = with(&[("client_id", Value::Null)]);
    assert_eq!(read(&header(), &none).unwrap_err(), TokenError::Client);
    let two = with(&[("azp", json!("web"))]);
    assert_eq!(read(&header(), &two).unwrap_err(), TokenError::Client);
    let wrong_type = with(&[("aud", json!(7))]);
    assert_eq!(read(&header(), &wrong_type).unwrap_err(), TokenError::Json);
}

#[test]
fn times_are_numbers_within_a_minute_of_skew() {
    // RFC 7519 §4.1.4 to §4.1.6.
    let good = [
        json!({"exp": NOW - 59}),
        json!({"exp": 1_795_492_860.5}),
        json!({"iat": NOW + 59}),
        json!({"nbf": NOW + 59}),
        json!({"iat": NOW, "exp": NOW + MAX_LIFETIME}),
        json!({"iat": null, "exp": NOW + MAX_LIFETIME}),
    ];
    for change in good {
        assert!(read(&header(), &changed(&change)).is_ok(), "{change}");
    }
    let late = [
        json!({"exp": null}),
        json!({"exp": NOW - 61}),
        json!({"exp": 0}),
        json!({"iat": NOW + 61}),
        json!({"nbf": NOW + 61}),
        json!({"nbf": -8_000_000_000_000_i64}),
        json!({"iat": NOW, "exp": NOW + MAX_LIFETIME + 1}),
        json!({"iat": NOW - 3600, "exp": NOW + MAX_LIFETIME}),
        json!({"iat": null, "exp": NOW + MAX_LIFETIME + 61}),
    ];
    for change in late {
        assert_eq!(read(&header(), &changed(&change)).unwrap_err(), TokenError::Time, "{change}");
    }
    for exp in [json!("1795496400"), json!(1e308), json!(u64::MAX), json!([1]), json!(true)] {
        let refusal = read(&header(), &with(&[("exp", exp.clone())])).unwrap_err();
        assert_eq!(refusal, TokenError::Json, "{exp}");
    }
}

fn changed(change: &Value) -> Value {
    let change: Vec<(&str, Value)> =
        change.as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
    with(&change)
}

#[test]
fn the_subject_is_text_of_sane_length_kept_as_it_is() {
    // RFC 7519 §4.1.2, RFC 9068 §2.2.
    for subject in ["auth0|x", " a ", "Ä", "a\u{0308}"] {
        let token = read(&header(), &with(&[("sub", json!(subject))])).unwrap();
        assert_eq!(token.user.subject, subject);
    }
    for subject in [Value::Null, json!(""), json!("a".repeat(1025))] {
        let refusal = read(&header(), &with(&[("sub", subject)])).unwrap_err();
        assert_eq!(refusal, TokenError::Subject);
    }
    assert_eq!(read(&header(), &with(&[("sub", json!(7))])).unwrap_err(), TokenError::Json);
}

#[test]
fn kid_is_only_compared() {
    // RFC 7515 §4.1.4, RFC 8725 §3.10.
    for kid in ["../../etc/passwd", "' OR 1=1", "https://evil.example/jwks", ""] {
        let text = compact(&json!({"alg": "RS256", "kid": kid}).to_string(), "{}");
        let token = Jws::parse(&text).unwrap();
        assert_eq!(keys(&[("1", None)]).key_for(&token).map(drop).unwrap_err(), TokenError::Key);
    }
    let long = compact(&json!({"alg": "RS256", "kid": "k".repeat(257)}).to_string(), "{}");
    assert_eq!(Jws::parse(&long).unwrap_err(), TokenError::Key);
}

#[test]
fn a_header_parameter_that_is_not_read_may_have_any_type_and_a_kid_that_is_no_text_names_no_key() {
    // RFC 7515 §4: parameters that are not understood are ignored.
    let values = [json!("x"), json!(7), json!(null), json!([1]), json!({"a": 1}), json!(true)];
    for name in ["cty", "x5t", "x5t#S256", "x5u", "x5c", "jku", "jwk", "cat", "epk"] {
        for value in &values {
            let header = json!({"alg": "RS256", "typ": "at+jwt", "kid": "1", name: value});
            assert!(read(&header, &claims()).is_ok(), "{header}");
        }
    }
    for value in values.iter().filter(|value| !value.is_string()) {
        let text = compact(&json!({"alg": "RS256", "kid": value}).to_string(), "{}");
        let token = Jws::parse(&text).unwrap();
        assert_eq!(token.key_id(), None, "{value}");
        assert!(keys(&[("1", None)]).key_for(&token).is_ok(), "{value}");
        assert!(keys(&[("1", None), ("2", None)]).key_for(&token).is_err(), "{value}");
        if !value.is_null() {
            for name in ["alg", "typ"] {
                let mut header = header();
                header[name] = value.clone();
                assert_eq!(read(&header, &claims()).unwrap_err(), TokenError::Json, "{header}");
            }
        }
    }
}

#[test]
fn two_keys_that_fit_are_ambiguous_and_a_lone_one_needs_no_kid() {
    // RFC 7517 §4.5.
    let named = compact(&json!({"alg": "RS256", "kid": "1"}).to_string(), "{}");
    let named = Jws::parse(&named).unwrap();
    let nameless = compact(&json!({"alg": "RS256"}).to_string(), "{}");
    let nameless = Jws::parse(&nameless).unwrap();
    let found = |entries: &[(&str, Option<&str>)], token| keys(entries).key_for(token).map(drop);
    let ambiguous = Err(TokenError::Key);
    assert_eq!(found(&[("1", None), ("2", None)], &named), Ok(()));
    assert_eq!(found(&[("1", None), ("1", None)], &named), ambiguous);
    assert_eq!(found(&[("1", Some("RS256")), ("1", Some("PS256"))], &named), Ok(()));
    assert_eq!(found(&[("1", None)], &nameless), Ok(()));
    assert_eq!(found(&[("1", None), ("2", None)], &nameless), ambiguous);
}

#[test]
fn signatures_of_es256_have_64_bytes() {
    // RFC 7518 §3.4.
    let set = json!({"keys": [{"kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]});
    let set = JwkSet::parse(set.to_string().as_bytes()).unwrap();
    for (length, fits) in [(64, true), (63, false), (65, false), (70, false), (72, false)] {
        let text = format!(
            "{}.{}.{}",
            base64url(r#"{"alg":"ES256"}"#),
            base64url("{}"),
            base64url(vec![1; length])
        );
        let token = Jws::parse(&text).unwrap();
        let check = SignatureCheck::of(&token, &set, &Algorithm::ALL).map(drop);
        assert_eq!(check, if fits { Ok(()) } else { Err(TokenError::Signature) }, "{length}");
    }
}

#[test]
fn scopes_are_text_or_a_list_under_either_name() {
    let scopes = |claims: &Value| read(&header(), claims).map(|token| token.scopes);
    let cases: [(&str, Value, &[&str]); 6] = [
        ("scope", json!("a b a"), &["a", "b"]),
        ("scope", json!(["a", "b", "a"]), &["a", "b"]),
        ("scope", json!([]), &[]),
        ("scp", json!("a b"), &["a", "b"]),
        ("scp", json!(["a", "b"]), &["a", "b"]),
        ("scp", Value::Null, &[]),
    ];
    for (name, value, expected) in cases {
        let claims = with(&[("scope", Value::Null), (name, value)]);
        assert_eq!(scopes(&claims).unwrap(), expected, "{claims}");
    }
    let both = with(&[("scope", json!(["a"])), ("scp", json!(["b"]))]);
    assert_eq!(scopes(&both).unwrap(), ["a"]);
    for name in ["scope", "scp"] {
        for value in [json!(["a", 7]), json!([null]), json!([["a"]]), json!(7), json!({"a": 1})] {
            let claims = with(&[("scope", Value::Null), (name, value)]);
            assert_eq!(scopes(&claims).unwrap_err(), TokenError::Json, "{claims}");
        }
    }
}

#[test]
fn a_token_bound_to_a_key_is_refused_without_its_proof() {
    // RFC 7800 §3.1, RFC 9449 §7.2.
    for cnf in [json!({"jkt": "x"}), json!({"x5t#S256": "x"}), json!({})] {
        assert_eq!(read(&header(), &with(&[("cnf", cnf)])).unwrap_err(), TokenError::Bound);
    }
}

#[test]
fn keys_that_are_no_good_are_left_out_one_by_one() {
    let good = json!({"kty": "RSA", "n": MODULUS, "e": "AQAB", "kid": "good"});
    let short = base64url([0xc1; 128]);
    let bad = [
        json!({"kty": "RSA", "n": MODULUS, "e": "AQAB", "use": "enc"}),
        json!({"kty": "RSA", "n": MODULUS, "e": "AQAB", "key_ops": ["sign"]}),
        json!({"kty": "RSA", "n": MODULUS, "e": "AQAB", "d": "AQAB"}),
        json!({"kty": "RSA", "n": MODULUS, "e": "AQ"}),
        json!({"kty": "RSA", "n": MODULUS, "e": "Ag"}),
        json!({"kty": "RSA", "n": short, "e": "AQAB"}),
        json!({"kty": "RSA", "n": MODULUS, "e": "AQAB", "alg": "HS256"}),
        json!({"kty": "oct", "k": "c2VjcmV0"}),
        json!({"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}),
        json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
        json!({"kty": "unknown"}),
        json!("no key"),
    ];
    for key in &bad {
        let only = json!({ "keys": [key] }).to_string();
        assert!(JwkSet::parse(only.as_bytes()).is_err(), "{key}");
        let both = json!({ "keys": [key, good] }).to_string();
        assert_eq!(JwkSet::parse(both.as_bytes()).unwrap().keys().len(), 1, "{key}");
    }
    for (keys, cause) in [
        (json!([]), "it has no keys"),
        (json!([bad[7], bad[0]]), "the key at index 0 is private or symmetric"),
        (json!([bad[0]]), "index 0 is not for signatures"),
        (json!([bad[5]]), "index 0 is neither RSA of 2048"),
        (json!([bad[6]]), "index 0 is for an unsupported algorithm"),
        (json!(["no key"]), "index 0 is no JWK"),
    ] {
        let error = JwkSet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap_err();
        assert!(error.to_string().contains(cause), "{error}");
    }
    assert!(JwkSet::parse(br#"{"keys":[]}"#).is_err());
    assert!(JwkSet::parse(b"<html>").is_err());
}
