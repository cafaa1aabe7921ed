// SPDX-License-Identifier: Apache-2.0
//! Makes and checks signatures by the runtime's `WebCrypto`: RSA in pure Rust costs a millisecond of wasm
//! for each check.

use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{Crypto, CryptoKey, SubtleCrypto};
use zeroize::Zeroizing;

use crate::encoding;
use crate::jwt::algorithm::Algorithm;
use crate::jwt::jwk::{Jwk, KeyMaterial};
use crate::jwt::signature::SignatureCheck;
use crate::jwt::signing::SignatureRequest;
use crate::runtime::executor;
use crate::secret::Secret;

/// Whether the signature is valid. Anything that goes wrong is `false`.
pub async fn verify(check: &SignatureCheck<'_>) -> bool {
    try_verify(check).await.is_ok_and(|verified| verified)
}

async fn try_verify(check: &SignatureCheck<'_>) -> Result<bool, JsValue> {
    let subtle = subtle()?;
    let key = import(&subtle, check.key, check.algorithm).await?;
    let promise = subtle.verify_with_object_and_buffer_source_and_buffer_source(
        &algorithm(check.algorithm, false)?,
        &key,
        &Uint8Array::from(check.signature),
        &Uint8Array::from(check.message),
    )?;
    Ok(executor::wait(&promise).await?.as_bool() == Some(true))
}

/// Makes a signature. `None` if the key cannot be used.
pub async fn sign(request: &SignatureRequest<'_>) -> Option<Vec<u8>> {
    try_sign(request).await.ok()
}

async fn try_sign(request: &SignatureRequest<'_>) -> Result<Vec<u8>, JsValue> {
    let subtle = subtle()?;
    let usages = Array::of1(&"sign".into());
    let pkcs8 = Uint8Array::from(request.key.pkcs8().as_slice());
    let import = algorithm(request.algorithm, true)?;
    let promise = subtle.import_key_with_object("pkcs8", &pkcs8, &import, false, &usages)?;
    let key: CryptoKey = executor::wait(&promise).await?.dyn_into()?;
    let promise = subtle.sign_with_object_and_buffer_source(
        &algorithm(request.algorithm, false)?,
        &key,
        &Uint8Array::from(request.message),
    )?;
    Ok(Uint8Array::new(&executor::wait(&promise).await?).to_vec())
}

/// Makes an RSA key of 2048 bits: modulus and exponent, and PKCS#8, all in base64url.
pub async fn generate() -> Option<(String, String, Secret)> {
    try_generate().await.ok()
}

async fn try_generate() -> Result<(String, String, Secret), JsValue> {
    let subtle = subtle()?;
    let parameters = algorithm(Algorithm::Rs256, true)?;
    Reflect::set(&parameters, &"modulusLength".into(), &2048.into())?;
    let exponent = Uint8Array::from([1, 0, 1].as_slice());
    Reflect::set(&parameters, &"publicExponent".into(), &exponent)?;
    let usages = Array::of2(&"sign".into(), &"verify".into());
    let promise = subtle.generate_key_with_object(&parameters, true, &usages)?;
    let pair = executor::wait(&promise).await?;
    let key: CryptoKey = Reflect::get(&pair, &"privateKey".into())?.dyn_into()?;
    let jwk = executor::wait(&subtle.export_key("jwk", &key)?).await?;
    let member = |name: &str| -> Result<String, JsValue> {
        Reflect::get(&jwk, &name.into())?.as_string().ok_or(JsValue::NULL)
    };
    let pkcs8 = executor::wait(&subtle.export_key("pkcs8", &key)?).await?;
    let pkcs8 = Zeroizing::new(Uint8Array::new(&pkcs8).to_vec());
    Ok((member("n")?, member("e")?, Secret::new(encoding::base64(&*pkcs8))))
}

fn subtle() -> Result<SubtleCrypto, JsValue> {
    let crypto = Reflect::get(&js_sys::global(), &"crypto".into())?;
    Ok(crypto.dyn_into::<Crypto>()?.subtle())
}

async fn import(
    subtle: &SubtleCrypto,
    key: &Jwk,
    algorithm_of_key: Algorithm,
) -> Result<CryptoKey, JsValue> {
    let members: &[(&str, &str)] = match key.material() {
        KeyMaterial::Rsa { n, e } => &[("kty", "RSA"), ("n", n), ("e", e)],
        KeyMaterial::P256 { x, y } => &[("kty", "EC"), ("crv", "P-256"), ("x", x), ("y", y)],
        KeyMaterial::Ed25519 { x } => &[("kty", "OKP"), ("crv", "Ed25519"), ("x", x)],
    };
    let jwk = object(members)?;
    let usages = Array::of1(&"verify".into());
    let promise = subtle.import_key_with_object(
        "jwk",
        &jwk,
        &algorithm(algorithm_of_key, true)?,
        false,
        &usages,
    )?;
    executor::wait(&promise).await?.dyn_into()
}

/// `WebCrypto`'s parameters for importing a key, or for signing and verifying with it.
fn algorithm(algorithm: Algorithm, import: bool) -> Result<Object, JsValue> {
    match (algorithm, import) {
        (Algorithm::Rs256, _) => object(&[("name", "RSASSA-PKCS1-v1_5"), ("hash", "SHA-256")]),
        (Algorithm::Ps256, true) => object(&[("name", "RSA-PSS"), ("hash", "SHA-256")]),
        (Algorithm::Ps256, false) => {
            let parameters = object(&[("name", "RSA-PSS")])?;
            Reflect::set(&parameters, &"saltLength".into(), &32.into())?;
            Ok(parameters)
        }
        (Algorithm::Es256, true) => object(&[("name", "ECDSA"), ("namedCurve", "P-256")]),
        (Algorithm::Es256, false) => object(&[("name", "ECDSA"), ("hash", "SHA-256")]),
        (Algorithm::EdDsa, _) => object(&[("name", "Ed25519")]),
    }
}

fn object(members: &[(&str, &str)]) -> Result<Object, JsValue> {
    let object = Object::new();
    for (name, value) in members {
        Reflect::set(&object, &(*name).into(), &(*value).into())?;
    }
    Ok(object)
}
