// SPDX-License-Identifier: Apache-2.0
//! The endpoints of the vault as an OpenID provider.

pub mod authorize;
pub mod identities;
pub mod sign_in;
pub mod sign_out;
pub mod tokens;
pub mod userinfo;

use crate::issuer::session::{self, View};
use crate::issuer::user::{self, Check};
use crate::mac_id::{IdKind, MacId};
use crate::runtime::context::Context;
use crate::runtime::http::Incoming;
use crate::runtime::logout;
pub use crate::runtime::machines::ask;
use crate::runtime::object_call::CallError;
use crate::secret::Secret;

/// A value of the form `id.secret` that this deployment made.
pub fn handle(context: Context<'_>, kind: IdKind, text: &str) -> Option<(MacId, Secret)> {
    let (id, secret) = text.split_once('.')?;
    Some((MacId::read(&context.config.names, kind, id)?, Secret::new(secret)))
}

/// Name of the session's cookie.
pub const SESSION_COOKIE: &str = "session";
/// Name of the session's cookie for silent sign-in from other sites, which `SIGN_IN.cross_site` allows.
pub const CROSS_SITE_COOKIE: &str = "session-cross-site";
/// Name of the cookie that binds a sign-in to a browser.
pub const SIGN_IN_COOKIE: &str = "sign-in";

/// The `Set-Cookie` value of a cookie of ours. `max_age` in seconds.
pub fn cookie(context: Context<'_>, name: &str, value: &str, max_age: i64) -> Secret {
    let secure = context.config.public_url.is_secure();
    let prefix = if secure { "__Host-" } else { "" };
    let flag = if secure { "; Secure" } else { "" };
    let same_site = if name == CROSS_SITE_COOKIE { "None" } else { "Lax" };
    Secret::new(format!(
        "{prefix}{name}={value}; Path=/; HttpOnly; SameSite={same_site}; Max-Age={max_age}{flag}"
    ))
}

/// The value of a cookie of ours, if the browser sent it exactly once.
pub fn cookie_of(context: Context<'_>, incoming: &Incoming, name: &str) -> Option<Secret> {
    let prefix = if context.config.public_url.is_secure() { "__Host-" } else { "" };
    let name = format!("{prefix}{name}");
    let header = incoming.header("cookie").map(Secret::new)?;
    let mut values = header.expose().split(';').filter_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then(|| Secret::new(value))
    });
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// The `Set-Cookie` values of a session: one, or a second one for other sites.
pub fn session_cookies(context: Context<'_>, value: &str, max_age: i64) -> Vec<Secret> {
    let config = context.config;
    let is_cross_site = config.sign_in.as_ref().is_some_and(|sign_in| sign_in.cross_site);
    let mut cookies = vec![cookie(context, SESSION_COOKIE, value, max_age)];
    // Browsers accept `SameSite=None` only with `Secure`.
    if is_cross_site && config.public_url.is_secure() {
        cookies.push(cookie(context, CROSS_SITE_COOKIE, value, max_age));
    }
    cookies
}

/// The browser's session, if it has one that is live and whose user may go on with it.
pub async fn session(context: Context<'_>, incoming: &Incoming) -> Result<Option<View>, CallError> {
    session_of(context, incoming, SESSION_COOKIE).await
}

/// As [`session`], by the cookie with this name.
pub async fn session_of(
    context: Context<'_>,
    incoming: &Incoming,
    cookie: &str,
) -> Result<Option<View>, CallError> {
    let objects = context.config.objects(None);
    let cookie = cookie_of(context, incoming, cookie);
    let Some((id, secret)) =
        cookie.and_then(|cookie| handle(context, IdKind::Session, cookie.expose()))
    else {
        return Ok(None);
    };
    let check = session::Request::Check { secret };
    let session::Response::Session(view) =
        ask(context, objects.browser_session(&id), check).await?
    else {
        return Ok(None);
    };
    let auth_time = Some(view.auth_time);
    let check = Check { sid: Some(view.sid.clone()), auth_time, ..Check::default() };
    Ok(is_active(context, &view.sub, check).await?.then_some(*view))
}

/// Whether a token or session of this user still serves.
pub async fn is_active(
    context: Context<'_>,
    subject: &str,
    check: Check,
) -> Result<bool, CallError> {
    let name = context.config.objects(None).user_record(subject);
    Ok(ask(context, name, user::Request::Check(check)).await? == user::Response::Active)
}

/// Ends a session by what the browser holds, and the tokens that end with it.
pub async fn end_session(
    context: Context<'_>,
    id: &MacId,
    proof: session::Proof,
) -> Result<(), CallError> {
    let name = context.config.objects(None).browser_session(id);
    let end = session::Request::End { proof };
    let session::Response::Ended { sid, sub, tasks } = ask(context, name.clone(), end).await?
    else {
        return Ok(());
    };
    let count = tasks.len();
    let tasks = logout::carry_out(context, &sid, &sub, tasks).await;
    let is_complete = tasks.len() == count;
    ask(context, name, session::Request::Done { tasks }).await?;
    // The object carries on with what is left; until then the caller must not say that all has ended.
    if is_complete { Ok(()) } else { Err(CallError::Unavailable) }
}
