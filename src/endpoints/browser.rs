// SPDX-License-Identifier: Apache-2.0
//! The browser's two hops: from the application to the provider, and from the provider back.

use crate::connect::browser;
use crate::connect::record::Denied;
use crate::message::connect::{Answer, Ask};
use crate::request_line::RequestLine;
use crate::runtime::context::Context;
use crate::runtime::http::{self, Answered, Incoming};
use crate::runtime::object_call::{self, NoAnswer};
use crate::secret::Secret;

/// `GET /connected-accounts/connect?ticket=`: on to the provider.
pub async fn open_ticket(
    Context { env, config, .. }: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
) -> Answered {
    let ticket = match browser::ticket(incoming.query.expose()) {
        Ok(ticket) => ticket,
        Err(denied) => return refuse(line, &denied),
    };
    let session = config.names.connect_session(&ticket.session);
    let ask = Ask::Open { ticket: ticket.secret };
    match object_call::ask(env, &session, &ask).await {
        Ok(Answer::Opened { location, cookie }) => {
            let cookie = browser::set_cookie(&ticket.session, &cookie, &config.public_url);
            http::redirect(&Secret::new(location), &cookie)
        }
        Ok(Answer::Denied(denied)) => refuse(line, &denied),
        Ok(_) => refuse(line, &Denied::NotStored),
        Err(error) => no_answer(line, error),
    }
}

/// `GET /callback/{connection}`: back to the application.
pub async fn callback(
    Context { env, config, .. }: Context<'_>,
    incoming: &Incoming,
    connection: &str,
    line: &mut RequestLine,
) -> Answered {
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
        Err(denied) => return refuse(line, &denied),
    };
    let name = config.names.connect_session(&session);
    match object_call::ask(env, &name, &Ask::Return(back)).await {
        Ok(Answer::Returned { location }) => {
            let cookie = browser::clear_cookie(&session, &config.public_url);
            http::redirect(&location, &Secret::new(cookie))
        }
        Ok(Answer::Denied(denied)) => refuse(line, &denied),
        Ok(_) => refuse(line, &Denied::NotStored),
        Err(error) => no_answer(line, error),
    }
}

fn no_answer(line: &mut RequestLine, error: NoAnswer) -> Answered {
    let denied = match error {
        NoAnswer::Unavailable => Denied::NotStored,
        NoAnswer::KeyUnavailable | NoAnswer::Misconfigured => Denied::ProviderMisconfigured,
    };
    refuse(line, &denied)
}

fn refuse(line: &mut RequestLine, denied: &Denied) -> Answered {
    line.reason = Some(denied.reason().to_owned());
    let (status, html) = browser::page(denied);
    http::page(status, &html)
}
