// SPDX-License-Identifier: Apache-2.0
//! The browser's two hops of a connect: to the provider, and back.

use crate::connect::browser;
use crate::connect::record::Denied;
use crate::endpoints::issuer::sign_in::{self, AtProvider};
use crate::endpoints::look::look;
use crate::issuer::user::Profile;
use crate::message::connect::{SessionRequest, SessionResponse};
use crate::request_line::RequestLine;
use crate::runtime::context::Context;
use crate::runtime::http::{self, HttpResult, Incoming};
use crate::runtime::object_call::{self, CallError};
use crate::secret::Secret;

/// `GET /connected-accounts/connect?ticket=`: redirects the browser to the provider, or back to the application
/// while the provider is down.
pub async fn open_ticket(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
) -> HttpResult {
    let Context { env, config, .. } = context;
    let (session, ticket) = match browser::ticket(incoming.query.expose(), &config.names) {
        Ok(parsed) => parsed,
        Err(denied) => return refuse(context, incoming, line, &denied),
    };
    let name = config.names.connect_session(&session);
    match object_call::ask(env, &name, &SessionRequest::Open { ticket }).await {
        Ok(SessionResponse::Opened { location, cookie }) => {
            let cookie = browser::set_cookie(&session, &cookie, &config.public_url);
            http::redirect(&Secret::new(location), &cookie)
        }
        Ok(SessionResponse::Returned { location }) => {
            line.reason = Some(Denied::ProviderUnavailable.reason().to_owned());
            let cookie = browser::clear_cookie(&session, &config.public_url);
            http::redirect(&location, &Secret::new(cookie))
        }
        Ok(SessionResponse::Denied(denied)) => refuse(context, incoming, line, &denied),
        Ok(_) => refuse(context, incoming, line, &Denied::NotStored),
        Err(error) => no_answer(context, incoming, line, error),
    }
}

/// `GET /callback/{connection}`: takes the authorization response and redirects the browser to the
/// application.
pub async fn callback(
    context: Context<'_>,
    incoming: &Incoming,
    connection: &str,
    line: &mut RequestLine,
) -> HttpResult {
    let Context { env, config, .. } = context;
    line.connection = config.connections.get_key_value(connection).map(|(name, _)| name.clone());
    let kept = config.connections.get(connection).map_or(&[][..], |one| &one.callback_extra);
    let cookies = incoming.header("cookie").map(Secret::new);
    let parsed = browser::callback(
        incoming.query.expose(),
        connection,
        kept,
        cookies.as_ref().map(Secret::expose),
        &config.names,
        &config.public_url,
    );
    let (session, back) = match parsed {
        Ok(parsed) => parsed,
        Err(denied) => return refuse(context, incoming, line, &denied),
    };
    let name = config.names.connect_session(&session);
    match object_call::ask(env, &name, &SessionRequest::Return(back)).await {
        Ok(SessionResponse::Returned { location }) => {
            let cookie = browser::clear_cookie(&session, &config.public_url);
            http::redirect(&location, &Secret::new(cookie))
        }
        Ok(SessionResponse::SignedIn {
            authorization,
            connection,
            user,
            email,
            display_name,
            link,
        }) => {
            let clear = Secret::new(browser::clear_cookie(&session, &config.public_url));
            let profile = Profile { name: display_name, email, ..Profile::default() };
            let signed_in = AtProvider { authorization, connection, user, profile, link };
            sign_in::finish(context, incoming, line, signed_in, clear).await
        }
        Ok(SessionResponse::Declined { authorization, .. }) => {
            let clear = Secret::new(browser::clear_cookie(&session, &config.public_url));
            sign_in::declined(context, incoming, line, &authorization, clear).await
        }
        Ok(SessionResponse::Denied(denied)) => refuse(context, incoming, line, &denied),
        Ok(_) => refuse(context, incoming, line, &Denied::NotStored),
        Err(error) => no_answer(context, incoming, line, error),
    }
}

fn no_answer(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
    error: CallError,
) -> HttpResult {
    let denied = match error {
        CallError::Unavailable => Denied::NotStored,
        CallError::KeyUnavailable | CallError::Misconfigured => Denied::ProviderMisconfigured,
    };
    refuse(context, incoming, line, &denied)
}

fn refuse(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
    denied: &Denied,
) -> HttpResult {
    line.reason = Some(denied.reason().to_owned());
    let (status, page) = browser::page(denied, &look(context, incoming, None));
    http::page(status, &page, &[])
}
