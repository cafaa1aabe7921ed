// SPDX-License-Identifier: Apache-2.0
//! The browser's two hops of a connect: to the provider, and back.

use crate::connect::browser::{self, Callback, CallbackRequest, ResponseMode};
use crate::connect::record::{AuthorizationResponse, Denied, StatelessError};
use crate::endpoints::issuer::sign_in::{self, AtProvider};
use crate::endpoints::look::look;
use crate::issuer::user::Profile;
use crate::mac_id::MacId;
use crate::message::connect::{SessionRequest, SessionResponse};
use crate::request_line::RequestLine;
use crate::runtime::context::Context;
use crate::runtime::http::{self, HttpResult, Incoming};
use crate::runtime::object_call::{self, CallError};
use crate::secret::Secret;

/// Most bytes of a form that a provider's page posts. Codes are short; some providers add the user's profile.
const MAX_FORM: usize = 32 * 1024;

/// `GET /connected-accounts/connect?ticket=`: redirects the browser to the provider, or to the application if the
/// provider has answered or is down.
pub async fn open_ticket(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
) -> HttpResult {
    let Context { env, config, .. } = context;
    let (session, ticket) = match browser::ticket(incoming.query.expose(), &config.names) {
        Ok(parsed) => parsed,
        Err(denied) => return refuse(context, incoming, line, &denied, None).await,
    };
    let object = config.objects(None).connect_session(&session, None);
    let cookies = incoming.header("cookie").map(Secret::new);
    let cookie = cookies
        .and_then(|header| browser::read_cookie(header.expose(), &session, &config.public_url));
    match object_call::ask(env, &object, &SessionRequest::Open { ticket, cookie }).await {
        Ok(SessionResponse::Opened { location, cookie }) => {
            let cookie = cookie.map(|it| browser::set_cookie(&session, &it, &config.public_url));
            http::see_other(&Secret::new(location), cookie.as_slice())
        }
        Ok(SessionResponse::Returned { location, denied }) => {
            line.reason = denied.map(|denied| denied.reason().to_owned());
            http::see_other(&location, &[])
        }
        answer => refuse(context, incoming, line, &denied(answer), Some(&session)).await,
    }
}

/// `GET` and `POST /callback/{connection}`: takes the authorization response and redirects the browser to the
/// application.
pub async fn callback(
    context: Context<'_>,
    incoming: &Incoming,
    name: &str,
    line: &mut RequestLine,
) -> HttpResult {
    let config = context.config;
    let connection = config.connections.get(name);
    line.connection = connection.map(|_| name.to_owned());
    let mode = ResponseMode::of(&incoming.method, incoming.query.expose());
    let body = match mode {
        ResponseMode::Query => None,
        _ => Some(incoming.body(MAX_FORM).await.unwrap_or_default()),
    };
    let body = body.map(|body| Secret::new(String::from_utf8(body).unwrap_or_default()));
    let parameters = body.as_ref().unwrap_or(&incoming.query);
    let cookies = incoming.header("cookie").map(Secret::new);
    let request = CallbackRequest {
        connection: name,
        parameters: parameters.expose(),
        mode,
        cookies: cookies.as_ref().map(Secret::expose),
    };
    match browser::callback(&request, connection, &config.names, &config.public_url) {
        Ok(Callback::Respond(session, back)) => {
            respond(context, incoming, line, session, back).await
        }
        Ok(Callback::Ask(sessions)) => ask_sessions(context, incoming, line, sessions).await,
        Ok(Callback::PostAgain(fields)) => {
            let look = look(context, incoming, None);
            match browser::post_again_page(&look, name, &fields, &config.public_url) {
                Some(page) => http::page(200, &page, &[]),
                None => refuse(context, incoming, line, &Denied::ProviderMisconfigured, None).await,
            }
        }
        Err(denied) => refuse(context, incoming, line, &denied, None).await,
    }
}

/// Passes an authorization response to its session.
async fn respond(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
    session: MacId,
    back: AuthorizationResponse,
) -> HttpResult {
    let Context { env, config, .. } = context;
    let object = config.objects(None).connect_session(&session, None);
    let clear = || Secret::new(browser::clear_cookie(&session, &config.public_url));
    line.reason = back.reason().map(str::to_owned);
    match object_call::ask(env, &object, &SessionRequest::Return(back)).await {
        Ok(SessionResponse::Returned { location, .. }) => http::see_other(&location, &[]),
        Ok(SessionResponse::SignedIn {
            authorization,
            connection,
            user,
            email,
            display_name,
            link,
        }) => {
            let profile = Profile { name: display_name, email, ..Profile::default() };
            let signed_in = AtProvider { authorization, connection, user, profile, link };
            sign_in::finish(context, incoming, line, signed_in, clear()).await
        }
        Ok(SessionResponse::Declined { authorization, .. }) => {
            sign_in::declined(context, incoming, line, &authorization, clear()).await
        }
        answer => refuse(context, incoming, line, &denied(answer), Some(&session)).await,
    }
}

/// Asks sessions whose error without `state` this is.
async fn ask_sessions(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
    sessions: Vec<(MacId, StatelessError)>,
) -> HttpResult {
    line.reason = Some("error_without_state".to_owned());
    let mut found = Vec::new();
    for (session, told) in sessions {
        let object = context.config.objects(None).connect_session(&session, None);
        let ask = SessionRequest::ReturnWithoutState(told);
        if let Ok(SessionResponse::Returned { location, .. }) =
            object_call::ask(context.env, &object, &ask).await
        {
            found.push(location);
        }
    }
    match found.as_slice() {
        [location] => http::see_other(location, &[]),
        _ => refuse(context, incoming, line, &Denied::Unknown, None).await,
    }
}

/// Why a session's response leads nowhere.
fn denied(answer: Result<SessionResponse, CallError>) -> Denied {
    match answer {
        Ok(SessionResponse::Denied(denied)) => denied,
        Ok(_) | Err(CallError::Unavailable) => Denied::NotStored,
        Err(CallError::KeyUnavailable | CallError::Misconfigured) => Denied::ProviderMisconfigured,
    }
}

/// The page for a browser that cannot be sent on. A session that is known is asked which application the user came
/// from.
async fn refuse(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
    denied: &Denied,
    session: Option<&MacId>,
) -> HttpResult {
    let Context { env, config, .. } = context;
    line.reason = Some(denied.reason().to_owned());
    let origin = match session {
        Some(session) => {
            let object = config.objects(None).connect_session(session, None);
            object_call::ask(env, &object, &SessionRequest::Origin).await.ok()
        }
        None => None,
    };
    let origin = match origin {
        Some(SessionResponse::Origin(origin)) => Some(origin),
        _ => None,
    };
    let client = origin.as_ref().and_then(|origin| config.clients.get(&origin.client_id));
    let look = look(context, incoming, None);
    let (status, page) = browser::page(denied, &look, origin.as_ref(), client);
    http::page(status, &page, &[])
}
