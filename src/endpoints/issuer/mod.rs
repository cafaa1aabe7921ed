// SPDX-License-Identifier: Apache-2.0
//! The endpoints of the vault as an OpenID provider.

pub mod authorize;
pub mod logout;
pub mod sign_in;
pub mod tokens;
pub mod userinfo;

use crate::issuer::session::{self, SignedIn};
use crate::issuer::user;
use crate::mac_id::{IdKind, MacId};
use crate::runtime::context::Context;
use crate::runtime::http::Incoming;
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
/// Name of the cookie that binds a sign-in to a browser.
pub const SIGN_IN_COOKIE: &str = "sign-in";

/// The `Set-Cookie` value of a cookie of ours. `max_age` in seconds.
pub fn cookie(context: Context<'_>, name: &str, value: &str, max_age: i64) -> Secret {
    let secure = context.config.public_url.is_secure();
    let prefix = if secure { "__Host-" } else { "" };
    let flag = if secure { "; Secure" } else { "" };
    Secret::new(format!(
        "{prefix}{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age}{flag}"
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

/// The browser's session, if it has one that is alive: its id, its user, and the clients it signed in to.
pub async fn session(
    context: Context<'_>,
    incoming: &Incoming,
) -> Result<Option<(MacId, SignedIn, Vec<String>)>, CallError> {
    let cookie = cookie_of(context, incoming, SESSION_COOKIE);
    let Some((id, secret)) =
        cookie.and_then(|cookie| handle(context, IdKind::Session, cookie.expose()))
    else {
        return Ok(None);
    };
    let name = context.config.names.browser_session(&id);
    match ask(context, name, session::Request::Check { secret }).await? {
        session::Response::Alive { user, clients } => Ok(Some((id, user, clients))),
        _ => Ok(None),
    }
}

/// Whether tokens of this user and session still count.
pub async fn is_active(
    context: Context<'_>,
    subject: &str,
    sid: Option<&str>,
    issued_at: i64,
) -> Result<bool, CallError> {
    let name = context.config.names.user_record(subject);
    let request = user::Request::Check { sid: sid.map(str::to_owned), issued_at };
    Ok(ask(context, name, request).await? == user::Response::Active)
}
