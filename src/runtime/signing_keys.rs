// SPDX-License-Identifier: Apache-2.0
//! The vault's own signing keys, as this isolate holds them.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::Value;

use crate::issuer::scopes;
use crate::issuer::signing_keys::{CurrentKey, Request, Response};
use crate::issuer::tokens::Signer;
use crate::jwt::jwk::JwkSet;
use crate::jwt::private_key::PrivateKey;
use crate::jwt::signing::SigningInput;
use crate::runtime::context::Context;
use crate::runtime::object_call::CallError;
use crate::runtime::{machines, webcrypto};
use crate::secret::Secret;
use crate::time::UnixSeconds;

/// Seconds for which an isolate uses its copies. A key is published for longer before it signs.
const FRESH: i64 = 600;

/// The key that signs.
#[derive(Debug)]
pub struct SigningKey {
    kid: String,
    key: PrivateKey,
    usable: (UnixSeconds, UnixSeconds),
}

/// The public keys.
#[derive(Debug)]
pub struct PublishedKeys {
    /// For verification.
    pub set: JwkSet,
    /// As the JWK Set document has them.
    pub document: Value,
    asked_at: UnixSeconds,
}

#[derive(Default)]
struct Copies {
    signing: Option<Rc<SigningKey>>,
    published: Option<Rc<PublishedKeys>>,
}

thread_local! {
    static COPIES: RefCell<Copies> = RefCell::default();
}

/// The key to sign with now. It is generated if there is none.
pub async fn signing(context: Context<'_>) -> Result<Rc<SigningKey>, CallError> {
    let Context { config, now, .. } = context;
    let copy = COPIES.with_borrow(|copies| copies.signing.clone());
    if let Some(key) = copy.filter(|key| (key.usable.0..key.usable.1).contains(&now)) {
        return Ok(key);
    }
    let longest_life = scopes::longest_lifetime(config);
    let current = match ask(context, Request::Current { longest_life }).await? {
        Response::Current(current) if current.successor_due => {
            // The key in hand signs on if its successor cannot be made now.
            match generate(context, longest_life).await {
                Ok(Response::Current(current)) => current,
                _ => current,
            }
        }
        Response::Current(current) => current,
        _ => match generate(context, longest_life).await? {
            Response::Current(current) => current,
            _ => return Err(CallError::Unavailable),
        },
    };
    let key = current.private_key().ok_or(CallError::Unavailable)?;
    let CurrentKey { kid, until, .. } = current;
    let usable = (now, until.min(now.saturating_add(FRESH)));
    let key = Rc::new(SigningKey { kid, key, usable });
    COPIES.with_borrow_mut(|copies| copies.signing = Some(key.clone()));
    Ok(key)
}

/// The public keys. The first key is generated if there is none.
pub async fn published(context: Context<'_>) -> Result<Rc<PublishedKeys>, CallError> {
    let Context { config, now, .. } = context;
    let copy = COPIES.with_borrow(|copies| copies.published.clone());
    if let Some(keys) = copy.filter(|keys| (0..FRESH).contains(&(now - keys.asked_at))) {
        return Ok(keys);
    }
    let mut response = ask(context, Request::Jwks).await?;
    if matches!(response, Response::Generate) {
        generate(context, scopes::longest_lifetime(config)).await?;
        response = ask(context, Request::Jwks).await?;
    }
    let Response::Jwks(jwks) = response else {
        return Err(CallError::Unavailable);
    };
    let document = serde_json::to_value(&jwks).map_err(|_| CallError::Unavailable)?;
    let set = JwkSet::parse(document.to_string().as_bytes()).map_err(|_| CallError::Unavailable)?;
    let keys = Rc::new(PublishedKeys { set, document, asked_at: now });
    COPIES.with_borrow_mut(|copies| copies.published = Some(keys.clone()));
    Ok(keys)
}

async fn generate(context: Context<'_>, longest_life: i64) -> Result<Response, CallError> {
    let (n, e, pkcs8) = webcrypto::generate().await.ok_or(CallError::Unavailable)?;
    ask(context, Request::Generated { pkcs8, n, e, longest_life }).await
}

async fn ask(context: Context<'_>, request: Request) -> Result<Response, CallError> {
    machines::ask(context, context.config.objects(None).signing_keys(), request).await
}

impl SigningKey {
    /// Who signs, for the claims of a token.
    pub fn signer<'a>(&'a self, issuer: &'a str, now: UnixSeconds) -> Signer<'a> {
        Signer { issuer, kid: &self.kid, now }
    }

    /// Signs a token.
    pub async fn sign(&self, token: &SigningInput) -> Result<Secret, CallError> {
        let signature = webcrypto::sign(&token.request(&self.key)).await;
        signature.map(|bytes| token.with_signature(&bytes)).ok_or(CallError::Unavailable)
    }
}
