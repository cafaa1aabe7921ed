// SPDX-License-Identifier: Apache-2.0
//! Whether tokens of the vault's own users still count, with this isolate's memory of a few seconds.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::ids::{UserId, UserNames};
use crate::issuer::user::Check;
use crate::issuer::{family, user};
use crate::jwt::TokenError;
use crate::jwt::access_token::AccessToken;
use crate::jwt::verified::VerifiedToken;
use crate::mac_id::{IdKind, MacId};
use crate::runtime::context::Context;
use crate::runtime::{families, machines};
use crate::secret::Secret;
use crate::time::UnixSeconds;

/// Seconds for which an answer is remembered: so long a token may count after its session has ended.
const REMEMBERED: i64 = 5;

/// Most answers that are remembered.
const MOST: usize = 10_000;

/// A user, a session, a refresh-token family, and when their token was issued.
type Issued = (String, Option<String>, Option<String>, UnixSeconds);

#[derive(Default)]
struct Memory {
    active: HashMap<Issued, UnixSeconds>,
    refresh_tokens: HashMap<[u8; 32], (Rc<VerifiedToken>, UnixSeconds)>,
}

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::default();
}

/// What is asked about an access token of the vault.
fn issued(token: &AccessToken) -> Issued {
    let issued_at = token.issued_at.unwrap_or_default();
    (token.user.subject.clone(), token.sid.clone(), token.grant_id.clone(), issued_at)
}

/// Whether this isolate knows that an access token counts, because it did a moment ago ([`check`]). Tokens of other
/// issuers do.
pub fn remembers(Context { config, now, .. }: Context<'_>, token: &AccessToken) -> bool {
    if config.sign_in.is_none() || token.user.issuer != config.public_url.identifier() {
        return true;
    }
    let is_fresh = |at: &UnixSeconds| (0..REMEMBERED).contains(&(now - at));
    MEMORY.with_borrow(|memory| memory.active.get(&issued(token)).is_some_and(is_fresh))
}

/// Checks that the session of an access token of the vault has not ended, and that its user may sign in.
/// Tokens of other issuers pass.
pub async fn check(context: Context<'_>, token: &AccessToken) -> Result<(), TokenError> {
    let Context { config, now, .. } = context;
    if remembers(context, token) {
        return Ok(());
    }
    let key = issued(token);
    let (_, sid, grant_id, issued_at) = key.clone();
    let record = config.objects(Some(&token.client_id)).user_record(&token.user.subject);
    let check = Check { sid, grant_id, issued_at: Some(issued_at), ..Check::default() };
    let answer = machines::ask(context, record, user::Request::Check(check)).await;
    match answer.map_err(|_| TokenError::KeysUnavailable)? {
        user::Response::Active => {
            MEMORY.with_borrow_mut(|memory| {
                if memory.active.len() >= MOST {
                    memory.active.clear();
                }
                memory.active.insert(key, now)
            });
            Ok(())
        }
        _ => Err(TokenError::Time),
    }
}

/// Verifies a refresh token as a subject token. It is judged as in a refresh, and not replaced.
pub async fn refresh_token(
    context: Context<'_>,
    text: &Secret,
) -> Result<Rc<VerifiedToken>, TokenError> {
    let Context { config, now, .. } = context;
    let hash = text.sha256();
    let known = MEMORY.with_borrow(|memory| memory.refresh_tokens.get(&hash).cloned());
    if let Some((token, at)) = known
        && (0..REMEMBERED).contains(&(now - at))
    {
        return Ok(token);
    }
    let (id, secret) = text.expose().split_once('.').ok_or(TokenError::Format)?;
    let id = MacId::read(&config.names, IdKind::Family, id).ok_or(TokenError::Format)?;
    // Which client presents it is judged by the policy; its authentication comes before.
    let request = family::Request::Look { secret: Secret::new(secret), authenticated: true };
    let answer = families::ask(context, None, &id, request).await;
    let (grant, expires_at) = match answer.map_err(|_| TokenError::KeysUnavailable)? {
        family::Response::Valid { grant, expires_at } => (grant, expires_at),
        family::Response::Refused(family::Refusal::Expired) => return Err(TokenError::Time),
        _ => return Err(TokenError::Signature),
    };
    let issuer = config.public_url.identifier();
    let check = Check { auth_time: Some(grant.auth_time), ..Check::default() };
    let record = config.objects(Some(&grant.client_id)).user_record(&grant.subject);
    let answer = machines::ask(context, record, user::Request::Check(check)).await;
    if answer.map_err(|_| TokenError::KeysUnavailable)? != user::Response::Active {
        return Err(TokenError::Time);
    }
    let token = AccessToken {
        user: UserId { issuer: issuer.clone(), subject: grant.subject },
        client_id: grant.client_id,
        audiences: vec![issuer],
        scopes: grant.scopes,
        expires_at,
        issued_at: Some(now),
        sid: grant.sid,
        grant_id: None,
    };
    let verified = Rc::new(VerifiedToken { token, names: UserNames::default() });
    MEMORY.with_borrow_mut(|memory| {
        if memory.refresh_tokens.len() >= MOST {
            memory.refresh_tokens.clear();
        }
        memory.refresh_tokens.insert(hash, (verified.clone(), now))
    });
    Ok(verified)
}
