// SPDX-License-Identifier: Apache-2.0
//! The vault's own signing keys, as this isolate holds them.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::encoding;
use crate::issuer::signing_keys::{Request, Response};
use crate::jwt::jwk::JwkSet;
use crate::jwt::private_key::PrivateKey;
use crate::jwt::signing::SigningInput;
use crate::runtime::context::Context;
use crate::runtime::object_call::CallError;
use crate::runtime::{machines, webcrypto};
use crate::secret::Secret;
use crate::time::UnixSeconds;

/// Seconds for which an isolate uses its copy. A key is published a day before it signs.
const FRESH: i64 = 600;

/// The keys.
#[derive(Debug)]
pub struct Keys {
    /// Id of the key that signs.
    pub kid: String,
    /// The public keys, read.
    pub set: JwkSet,
    /// The public keys as they are published.
    pub jwks: Value,
    key: PrivateKey,
    asked_at: UnixSeconds,
}

thread_local! {
    static COPY: RefCell<Option<Rc<Keys>>> = RefCell::default();
}

/// The keys as of now. A key that is missing is made.
pub async fn keys(context: Context<'_>) -> Result<Rc<Keys>, CallError> {
    let Context { now, .. } = context;
    let copy = COPY.with_borrow(Option::clone);
    if let Some(keys) = copy.filter(|keys| (0..FRESH).contains(&(now - keys.asked_at))) {
        return Ok(keys);
    }
    let mut response = ask(context, Request::Get).await?;
    if matches!(response, Response::Make | Response::Keys { make: true, .. }) {
        let (n, e, pkcs8) = webcrypto::generate().await.ok_or(CallError::Unavailable)?;
        response = ask(context, Request::Add { n, e, pkcs8 }).await?;
    }
    let Response::Keys { kid, pkcs8, jwks, .. } = response else {
        return Err(CallError::Unavailable);
    };
    let set = JwkSet::parse(jwks.to_string().as_bytes()).map_err(|_| CallError::Unavailable)?;
    let der = encoding::from_base64url(pkcs8.expose()).ok_or(CallError::Unavailable)?;
    let key = PrivateKey::from_pkcs8(&Zeroizing::new(der));
    let keys = Rc::new(Keys { kid, set, jwks, key, asked_at: now });
    COPY.with_borrow_mut(|copy| *copy = Some(keys.clone()));
    Ok(keys)
}

async fn ask(context: Context<'_>, request: Request) -> Result<Response, CallError> {
    machines::ask(context, context.config.names.signing_keys(), request).await
}

impl Keys {
    /// Signs a token.
    pub async fn sign(&self, token: &SigningInput) -> Result<Secret, CallError> {
        let signature = webcrypto::sign(&token.request(&self.key)).await;
        signature.map(|bytes| token.with_signature(&bytes)).ok_or(CallError::Unavailable)
    }
}
