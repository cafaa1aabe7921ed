// SPDX-License-Identifier: Apache-2.0
//! The browser's two hops: from the application to the provider, and from the provider back.

use crate::connect::browser;
use crate::connect::record::Denied;
use crate::message::connect::{SessionRequest, SessionResponse};
use crate::pages::{Language, Look};
use crate::request_line::RequestLine;
use crate::runtime::context::Context;
use crate::runtime::http::{self, HttpResult, Incoming};
use crate::runtime::object_call::{self, CallError};
use crate::secret::Secret;

/// `GET /connected-accounts/connect?ticket=`: on to the provider.
pub async fn open_ticket(
    Context { env, config, .. }: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
) -> HttpResult {
    let ticket = match browser::ticket(incoming.query.expose()) {
        Ok(ticket) => ticket,
        Err(denied) => return refuse(incoming, line, &denied),
    };
    let session = config.names.connect_session(&ticket.session);
    let ask = SessionRequest::Open { ticket: ticket.secret };
    match object_call::ask(env, &session, &ask).await {
        Ok(SessionResponse::Opened { location, cookie }) => {
            let cookie = browser::set_cookie(&ticket.session, &cookie, &config.public_url);
            http::redirect(&Secret::new(location), &cookie)
        }
        Ok(SessionResponse::Denied(denied)) => refuse(incoming, line, &denied),
        Ok(_) => refuse(incoming, line, &Denied::NotStored),
        Err(error) => no_answer(incoming, line, error),
    }
}

/// `GET /callback/{connection}`: back to the application.
pub async fn callback(
    Context { env, config, .. }: Context<'_>,
    incoming: &Incoming,
    connection: &str,
    line: &mut RequestLine,
) -> HttpResult {
    line.connection = config.connections.get_key_value(connection).map(|(name, _)| name.clone());
    let kept = config.connections.get(connection).map_or(&[][..], |one| &one.callback_extra);
    let cookies = incoming.header("cookie").map(Secret::new);
    let parsed = browser::callback(
        incoming.query.expose(),
        connection,
        kept,
        cookies.as_ref().map(Secret::expose),
        &config.public_url,
    );
    let (session, back) = match parsed {
        Ok(parsed) => parsed,
        Err(denied) => return refuse(incoming, line, &denied),
    };
    let name = config.names.connect_session(&session);
    match object_call::ask(env, &name, &SessionRequest::Return(back)).await {
        Ok(SessionResponse::Returned { location }) => {
            let cookie = browser::clear_cookie(&session, &config.public_url);
            http::redirect(&location, &Secret::new(cookie))
        }
        Ok(SessionResponse::Denied(denied)) => refuse(incoming, line, &denied),
        Ok(_) => refuse(incoming, line, &Denied::NotStored),
        Err(error) => no_answer(incoming, line, error),
    }
}

fn no_answer(incoming: &Incoming, line: &mut RequestLine, error: CallError) -> HttpResult {
    let denied = match error {
        CallError::Unavailable => Denied::NotStored,
        CallError::KeyUnavailable | CallError::Misconfigured => Denied::ProviderMisconfigured,
    };
    refuse(incoming, line, &denied)
}

fn refuse(incoming: &Incoming, line: &mut RequestLine, denied: &Denied) -> HttpResult {
    line.reason = Some(denied.reason().to_owned());
    let language = Language::choose(None, incoming.header("accept-language").as_deref());
    let (status, page) = browser::page(denied, &Look::plain(language));
    http::page(status, &page)
}
