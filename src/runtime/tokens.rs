// SPDX-License-Identifier: Apache-2.0
//! Verifies tokens: with the issuer's keys, the platform's signature check, and this isolate's
//! memory.

use std::cell::RefCell;
use std::rc::Rc;

use crate::config::Config;
use crate::ids::{DocumentSource, UserNames};
use crate::jwt::TokenError;
use crate::jwt::access_token::{self, AccessToken};
use crate::jwt::algorithm::Algorithm;
use crate::jwt::jws::Jws;
use crate::jwt::signature::SignatureCheck;
use crate::jwt::trusted_issuer::Issuer;
use crate::jwt::verified::{VerifiedToken, VerifiedTokens};
use crate::runtime::context::Context;
use crate::runtime::{executor, issuers, own_users, webcrypto};
use crate::secret::Secret;
use crate::time::UnixSeconds;

thread_local! {
    static VERIFIED: RefCell<VerifiedTokens> = RefCell::default();
}

/// Verifies an access token of any trusted issuer. The caller decides what it may be used for.
pub async fn verify_access_token(
    context: Context<'_>,
    text: &Secret,
) -> Result<Rc<VerifiedToken>, TokenError> {
    let verified = read_access_token(context, text).await?;
    own_users::check(context, &verified.token).await?;
    Ok(verified)
}

/// Does the same without [`own_users::check`], which the caller makes before it relies on the token.
pub async fn read_access_token(
    context: Context<'_>,
    text: &Secret,
) -> Result<Rc<VerifiedToken>, TokenError> {
    let Context { config, now, .. } = context;
    let hash = text.sha256();
    if let Some(token) = remembered(config, &hash, now) {
        return Ok(token);
    }
    let token = Jws::parse(text.expose())?;
    let issuer = access_token::claimed_issuer(&token)?;
    let issuer = config.issuers.get(issuer).ok_or(TokenError::Issuer)?;
    let keys = check_signature(context, &token, TrustedKeys::of(issuer)).await?;
    let token = AccessToken::read(&token, issuer, now)?;
    let verified = Rc::new(VerifiedToken { token, names: UserNames::default() });
    VERIFIED.with_borrow_mut(|memory| memory.insert(hash, keys, verified.clone()));
    Ok(verified)
}

/// Begins to verify a token before the first request, so that V8 compiles the functions. Nobody is asked: the first
/// text is no token, and no algorithm is accepted for the second one.
pub fn warm_up(context: Context<'_>, made_up: &Secret) {
    executor::poll_once(read_access_token(context, &Secret::new("-")));
    if let (Ok(token), Some(issuer)) =
        (Jws::parse(made_up.expose()), context.config.issuers.values().next())
    {
        let signer = TrustedKeys { source: &issuer.source, algorithms: &[] };
        executor::poll_once(check_signature(context, &token, signer));
    }
}

/// Verifies a refresh token of the vault as a subject token, and leaves it as it is.
pub async fn verify_refresh_token(
    context: Context<'_>,
    text: &Secret,
) -> Result<Rc<VerifiedToken>, TokenError> {
    own_users::refresh_token(context, text).await
}

fn remembered(config: &Config, hash: &[u8; 32], now: UnixSeconds) -> Option<Rc<VerifiedToken>> {
    VERIFIED.with_borrow(|memory| {
        // A connection to the same issuer may have other keys of it, so the source is compared too.
        let issuer = config.issuers.get(memory.issuer(hash)?)?;
        let documents = issuers::held(&issuer.source, now)?;
        let token = memory.get(hash, &documents.keys.fingerprint())?;
        token.token.is_current(now).then(|| token.clone())
    })
}

/// The keys that a signature must be of.
#[derive(Clone, Copy)]
pub struct TrustedKeys<'a> {
    /// Where the keys are.
    pub source: &'a DocumentSource,
    /// The algorithms that are accepted.
    pub algorithms: &'a [Algorithm],
}

impl<'a> TrustedKeys<'a> {
    fn of(issuer: &'a Issuer) -> Self {
        Self { source: &issuer.source, algorithms: &issuer.algorithms }
    }
}

/// Checks a token's signature with the issuer's keys. They are fetched again if they lack the
/// token's key. Returns the fingerprint of the key set.
pub async fn check_signature(
    context: Context<'_>,
    token: &Jws<'_>,
    signer: TrustedKeys<'_>,
) -> Result<[u8; 32], TokenError> {
    if !signer.algorithms.contains(&token.algorithm()) {
        return Err(TokenError::Algorithm);
    }
    let TrustedKeys { source, algorithms } = signer;
    let mut documents = issuers::documents(context, source, None).await?;
    if documents.keys.key_for(token).is_err() {
        documents = issuers::documents(context, source, Some(&documents)).await?;
    }
    let check = SignatureCheck::of(token, &documents.keys, algorithms)?;
    if webcrypto::verify(&check).await {
        Ok(documents.keys.fingerprint())
    } else {
        Err(TokenError::Signature)
    }
}
