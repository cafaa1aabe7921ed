//! The browser's two hops: from the application to the provider, and from the provider back.

use worker::{Env, Response};

use super::http::{self, Incoming};
use super::log;
use super::objects::{self, NoAnswer};
use crate::config::Config;
use crate::connect::browser;
use crate::connect::record::Denied;
use crate::error::Event;
use crate::message::connect::{Answer, Ask};
use crate::secret::Secret;

/// `GET /connected-accounts/connect?ticket=`: on to the provider.
pub async fn open_ticket(
    incoming: &Incoming,
    env: &Env,
    config: &Config,
) -> worker::Result<Response> {
    let ticket = match browser::ticket(incoming.query.expose()) {
        Ok(ticket) => ticket,
        Err(denied) => return refuse(denied),
    };
    let session = config.names.connect_session(&ticket.session);
    let ask = Ask::Open { ticket: ticket.secret };
    match objects::ask(env, &session, &ask).await {
        Ok(Answer::Opened { location, cookie }) => {
            let cookie = browser::set_cookie(&ticket.session, &cookie, &config.public_url);
            http::redirect(&Secret::new(location), &cookie)
        }
        Ok(Answer::Denied(denied)) => refuse(denied),
        Ok(_) => refuse(Denied::NotStored),
        Err(error) => no_answer(error),
    }
}

/// `GET /callback/{connection}`: back to the application.
pub async fn callback(
    incoming: &Incoming,
    connection: &str,
    env: &Env,
    config: &Config,
) -> worker::Result<Response> {
    let cookies = incoming.header("cookie").map(Secret::new);
    let parsed = browser::callback(
        incoming.query.expose(),
        connection,
        cookies.as_ref().map(Secret::expose),
        &config.public_url,
    );
    let (session, back) = match parsed {
        Ok(parsed) => parsed,
        Err(denied) => return refuse(denied),
    };
    let name = config.names.connect_session(&session);
    match objects::ask(env, &name, &Ask::Return(back)).await {
        Ok(Answer::Returned { location }) => {
            let cookie = browser::clear_cookie(&session, &config.public_url);
            http::redirect(&location, &Secret::new(cookie))
        }
        Ok(Answer::Denied(denied)) => refuse(denied),
        Ok(_) => refuse(Denied::NotStored),
        Err(error) => no_answer(error),
    }
}

fn no_answer(error: NoAnswer) -> worker::Result<Response> {
    refuse(match error {
        NoAnswer::Unavailable => Denied::NotStored,
        NoAnswer::KeyUnavailable | NoAnswer::Misconfigured => Denied::ProviderMisconfigured,
    })
}

fn refuse(denied: Denied) -> worker::Result<Response> {
    log::event(&Event::new("connect_refused", format!("{denied:?}")));
    let (status, html) = browser::page(denied);
    http::page(status, html)
}
