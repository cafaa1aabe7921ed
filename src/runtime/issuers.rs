// SPDX-License-Identifier: Apache-2.0
//! This isolate's copies of what issuers publish: metadata and keys. The copies are plain data; a request
//! never waits for a promise of another.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::ids::DocumentSource;
use crate::jwt::TokenError;
use crate::jwt::jwk::JwkSet;
use crate::jwt::key_cache;
use crate::message::issuer::{IssuerRequest, IssuerResponse};
use crate::provider::endpoints::Metadata;
use crate::runtime::context::Context;
use crate::runtime::{object_call, signing_keys};
use crate::time::UnixSeconds;

/// An issuer's documents, parsed.
#[derive(Debug)]
pub struct Documents {
    /// The metadata document; `None` if the address of the keys is configured.
    pub metadata: Option<Metadata>,
    /// The issuer's public keys (RFC 7517 §5).
    pub keys: JwkSet,
    /// When the issuer's object fetched them.
    pub fetched_at: UnixSeconds,
}

struct Held {
    documents: Rc<Documents>,
    asked_at: UnixSeconds,
}

thread_local! {
    static COPIES: RefCell<HashMap<DocumentSource, Held>> = RefCell::default();
}

/// This isolate's copy, if it is still fresh enough to use without asking the issuer's object.
pub fn held(source: &DocumentSource, now: UnixSeconds) -> Option<Rc<Documents>> {
    COPIES.with_borrow(|copies| {
        let copy = copies.get(source)?;
        let held = key_cache::CachedCopy {
            fetched_at: copy.documents.fetched_at,
            asked_at: copy.asked_at,
        };
        held.is_usable(now).then(|| copy.documents.clone())
    })
}

/// Returns the documents of a source, from this isolate's copy or from the issuer's object. `lacking` is a
/// copy that was returned before and lacks a key: the caller wants a newer one, if one may be fetched by
/// now.
///
/// # Errors
/// [`TokenError::KeysUnavailable`], or [`TokenError::KeysUnusable`] if that lasts until somebody acts.
pub async fn documents(
    Context { env, config, now }: Context<'_>,
    source: &DocumentSource,
    lacking: Option<&Documents>,
) -> Result<Rc<Documents>, TokenError> {
    if let Some(documents) = held(source, now) {
        let newer = lacking.is_none_or(|lacking| lacking.fetched_at < documents.fetched_at);
        let held = key_cache::CachedCopy { fetched_at: documents.fetched_at, asked_at: now };
        if newer || !held.may_renew(now) {
            return Ok(documents);
        }
    }
    if config.sign_in.is_some() && source.issuer == config.public_url.identifier() {
        // The vault never asks itself by the network.
        let own = signing_keys::published(Context { env, config, now }).await;
        let own = own.map_err(|_| TokenError::KeysUnavailable)?;
        let documents =
            Rc::new(Documents { metadata: None, keys: own.set.clone(), fetched_at: now });
        let copy = Held { documents: documents.clone(), asked_at: now };
        COPIES.with_borrow_mut(|copies| copies.insert(source.clone(), copy));
        return Ok(documents);
    }
    let request = IssuerRequest::of(source, lacking.is_some());
    let keys = config.objects(None).issuer_keys(source);
    let answer = object_call::ask(env, &keys, &request).await;
    let published = match answer {
        Ok(IssuerResponse::Published(published)) => published,
        Ok(IssuerResponse::Unusable) => return Err(TokenError::KeysUnusable),
        Ok(IssuerResponse::Unavailable) | Err(_) => return Err(TokenError::KeysUnavailable),
    };
    let documents = Rc::new(Documents {
        keys: JwkSet::parse(published.jwks.as_bytes()).map_err(|_| TokenError::KeysUnusable)?,
        metadata: published.metadata,
        fetched_at: published.fetched_at,
    });
    let copy = Held { documents: documents.clone(), asked_at: now };
    COPIES.with_borrow_mut(|copies| copies.insert(source.clone(), copy));
    Ok(documents)
}
