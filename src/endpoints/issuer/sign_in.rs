// SPDX-License-Identifier: Apache-2.0
//! The forms of the sign-in and consent pages, and the end of a sign-in at a provider.

use url::form_urlencoded;

use super::authorize::{consent, issued, link_consent, page, send, to_provider, unavailable};
use super::{
    SESSION_COOKIE, SIGN_IN_COOKIE, ask, cookie_of, end_session, handle, session, session_cookies,
};
use crate::endpoints::look::look;
use crate::issuer::authorization::{self, CodeGrant};
use crate::issuer::error_page;
use crate::issuer::session::{self as browser_session, Proof, SignIn};
use crate::issuer::sign_in::{
    self, Answer, Next, Purpose, Question, Refused, Resolution, Resolved,
};
use crate::issuer::user::{Identity, Profile};
use crate::mac_id::{IdKind, MacId};
use crate::pages::Failed;
use crate::request_line::RequestLine;
use crate::runtime::context::Context;
use crate::runtime::http::{self, HttpResult, Incoming};
use crate::runtime::object_call::CallError;
use crate::secret::Secret;

/// Largest form that is read, in bytes.
const MAX_FORM: usize = 8 * 1024;

/// `POST /sign-in`: a button of the sign-in or consent page.
pub async fn submit(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
) -> HttpResult {
    match submitted(context, incoming, line).await {
        Ok(response) => response,
        Err(error) => unavailable(context, incoming, line, error),
    }
}

async fn submitted(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
) -> Result<HttpResult, CallError> {
    let config = context.config;
    let mut invalid = |reason: &'static str| {
        line.reason = Some(reason.to_owned());
        Ok(page(context, incoming, reason, &[]))
    };
    // The form is our own page's: a page of another origin cannot send it for the user.
    let origin = incoming.origin.clone();
    if origin.as_deref() != Some(config.public_url.origin()) {
        return invalid("other_origin");
    }
    let body = incoming.body(MAX_FORM).await.unwrap_or_default();
    let field = |name: &str| {
        let mut values = form_urlencoded::parse(&body).filter(|(key, _)| key == name);
        values.next().map(|(_, value)| value.into_owned())
    };
    let id = field("authorization");
    let id = id.and_then(|id| MacId::read(&config.names, IdKind::Authorization, &id));
    let (Some(id), Some(browser)) = (id, cookie_of(context, incoming, SIGN_IN_COOKIE)) else {
        return invalid("other_browser");
    };
    let name = config.objects(None).authorization(&id);
    let read = ask(context, name.clone(), authorization::Request::Read { browser }).await?;
    let authorization::Response::Request { request, user } = read else {
        return invalid("link_expired");
    };
    let is_offered = |name: &String| {
        config.sign_in.as_ref().is_some_and(|sign_in| sign_in.connections.contains(name))
    };
    match (field("action").as_deref(), field("connection"), user) {
        (Some("allow"), _, Some(grant)) if request.link.is_some() => {
            let found = session(context, incoming).await?;
            if let Err(refused) = sign_in::may_link(&grant, found.as_ref(), context.now) {
                return Ok(not_linked(context, incoming, line, refused, &[]));
            }
            match request.link.as_ref().filter(|name| is_offered(name)) {
                Some(name) => to_provider(context, &id, &request, name, Some(grant), &[]).await,
                None => invalid("connection_unknown"),
            }
        }
        (Some("allow"), _, Some(_)) => {
            let issue = authorization::Request::Issue { grant: None, request: None };
            issued(context, incoming, name, issue, &[]).await
        }
        (Some("deny"), _, Some(_)) => {
            ask(context, name, authorization::Request::Fail).await?;
            let issuer = config.public_url.identifier();
            let outcome = request.failed("access_denied", "the user did not consent", &issuer);
            Ok(send(context, incoming, &outcome, request.ui_locales.as_deref(), &[]))
        }
        (None, Some(connection), None) => {
            if !is_offered(&connection) {
                return invalid("connection_unknown");
            }
            to_provider(context, &id, &request, &connection, None, &[]).await
        }
        _ => invalid("form_invalid"),
    }
}

/// A user who has signed in at a provider.
pub struct AtProvider {
    /// The authorization request that the sign-in belongs to.
    pub authorization: String,
    /// The connection.
    pub connection: String,
    /// The provider's id of the user.
    pub user: String,
    /// What the provider tells.
    pub profile: Profile,
    /// The user who consented to link the account; `None` for a sign-in.
    pub link: Option<CodeGrant>,
}

/// Finishes a sign-in: finds the user, begins a browser session, and answers the authorization request. Or
/// links the account to the user whose session it is, and answers the request for that.
pub async fn finish(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
    signed_in: AtProvider,
    clear: Secret,
) -> HttpResult {
    match finished(context, incoming, line, signed_in, clear).await {
        Ok(response) => response,
        Err(error) => unavailable(context, incoming, line, error),
    }
}

async fn finished(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
    signed_in: AtProvider,
    clear: Secret,
) -> Result<HttpResult, CallError> {
    let Context { config, now, .. } = context;
    let AtProvider { authorization, connection, user, profile, link } = signed_in;
    let (Some(sign_in), Some(configured)) =
        (config.sign_in.as_ref(), config.connections.get(&connection))
    else {
        return Err(CallError::Misconfigured);
    };
    // A connection that was taken out of the configuration meanwhile signs nobody in.
    let id = MacId::read(&config.names, IdKind::Authorization, &authorization);
    let offered = sign_in.connections.contains(&connection);
    let (Some(id), true) = (id, offered) else {
        return Ok(page(context, incoming, "link_invalid", &[clear]));
    };
    // Nothing is stored of a user whose browser did not begin this.
    let browser = cookie_of(context, incoming, SIGN_IN_COOKIE);
    let name = config.objects(None).authorization(&id);
    let read = match browser {
        Some(browser) => {
            ask(context, name.clone(), authorization::Request::Read { browser }).await?
        }
        None => authorization::Response::Refused,
    };
    let authorization::Response::Request { request, user: waiting } = read else {
        line.reason = Some("other_browser".to_owned());
        return Ok(page(context, incoming, "other_browser", &[clear]));
    };
    match sign_in::purpose(&request, &connection, waiting.as_ref(), link) {
        Ok(Purpose::SignIn) => {}
        Ok(Purpose::Link(grant)) => {
            let found = session(context, incoming).await?;
            let linked = match sign_in::may_link(&grant, found.as_ref(), now) {
                Ok(()) => {
                    let CodeGrant { subject, auth_time, .. } = grant;
                    let linking =
                        Resolution::link(&connection, configured, user, subject, auth_time);
                    resolve(context, &request.client_id, linking).await?
                }
                Err(refused) => Err(refused),
            };
            if let Err(refused) = linked {
                return Ok(not_linked(context, incoming, line, refused, &[clear]));
            }
            let issue = authorization::Request::Issue { grant: None, request: None };
            return issued(context, incoming, name, issue, &[clear]).await;
        }
        Err(refused) => return Ok(not_linked(context, incoming, line, refused, &[clear])),
    }
    let resolution = Resolution::sign_in(&connection, configured, user, profile);
    let subject = match resolve(context, &request.client_id, resolution).await? {
        Ok(subject) => subject,
        Err(refused) => {
            line.reason = Some(refused.reason().to_owned());
            return Ok(page(context, incoming, refused.reason(), &[clear]));
        }
    };
    let client = config.clients.get(&request.client_id).ok_or(CallError::Misconfigured)?;
    let begun = SignIn {
        sub: subject.clone(),
        connection,
        auth_time: now,
        idle_seconds: sign_in.session_idle,
        absolute_seconds: sign_in.session_lifetime,
    };
    let (sid, value) = begin_session(context, incoming, &request.client_id, begun).await?;
    let mut cookies = session_cookies(context, value.expose(), sign_in.session_lifetime);
    cookies.push(clear);
    let grant = CodeGrant { subject, sid: sid.as_str().to_owned(), auth_time: now };
    match sign_in::after(&request, client, grant.clone()) {
        Next::Consent(grant) => consent(context, incoming, &id, &request, grant, &cookies).await,
        Next::Link(grant) => link_consent(context, incoming, &id, &request, grant, &cookies).await,
        _ => {
            let issue = authorization::Request::Issue { grant: Some(grant), request: None };
            issued(context, incoming, name, issue, &cookies).await
        }
    }
}

/// The page that says why an account was not linked. Nothing has changed.
fn not_linked(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
    refused: Refused,
    cookies: &[Secret],
) -> HttpResult {
    line.reason = Some(refused.reason().to_owned());
    let look = look(context, incoming, None);
    let (status, page) = error_page::page(Failed::Link, refused.reason(), &look);
    http::page(status, &page, cookies)
}

/// Begins a browser session, or goes on with the browser's session if it is the same user's. A session of
/// another user ends. Returns the session's id and the cookie's new value.
async fn begin_session(
    context: Context<'_>,
    incoming: &Incoming,
    client_id: &str,
    sign_in: SignIn,
) -> Result<(MacId, Secret), CallError> {
    let objects = context.config.objects(Some(client_id));
    let cookie = cookie_of(context, incoming, SESSION_COOKIE);
    if let Some((id, secret)) =
        cookie.and_then(|cookie| handle(context, IdKind::Session, cookie.expose()))
    {
        let again =
            browser_session::Request::SignIn { secret: secret.clone(), sign_in: sign_in.clone() };
        if let browser_session::Response::Started { secret } =
            ask(context, objects.browser_session(&id), again).await?
        {
            return Ok((id.clone(), cookie_value(&id, &secret)));
        }
        end_session(context, &id, Proof::Secret(secret)).await?;
    }
    let id =
        MacId::new(&context.config.names, IdKind::Session).map_err(|_| CallError::Unavailable)?;
    let start = browser_session::Request::Start { sid: id.as_str().to_owned(), sign_in };
    match ask(context, objects.browser_session(&id), start).await? {
        browser_session::Response::Started { secret } => {
            Ok((id.clone(), cookie_value(&id, &secret)))
        }
        _ => Err(CallError::Unavailable),
    }
}

fn cookie_value(id: &MacId, secret: &Secret) -> Secret {
    Secret::new(format!("{}.{}", id.as_str(), secret.expose()))
}

/// Sends the messages of a resolution.
async fn resolve(
    context: Context<'_>,
    client_id: &str,
    mut resolution: Resolution,
) -> Result<Result<String, Refused>, CallError> {
    // No path through a resolution is longer.
    for _ in 0..30 {
        let question = resolution.question();
        let answer =
            answer(context, Some(client_id), Some(resolution.identity()), question).await?;
        match resolution.answered(answer) {
            Resolved::More => {}
            Resolved::User(subject) => return Ok(Ok(subject)),
            Resolved::Refused(refused) => return Ok(Err(refused)),
        }
    }
    Err(CallError::Unavailable)
}

/// Asks the object of this identity, or that of a user. `client_id`: whose users these are.
pub async fn answer(
    context: Context<'_>,
    client_id: Option<&str>,
    identity: Option<&Identity>,
    question: Question,
) -> Result<Answer, CallError> {
    let objects = context.config.objects(client_id);
    match question {
        Question::Identity(request) => {
            let identity = identity.ok_or(CallError::Unavailable)?;
            let name = objects.identity(&identity.authority, &identity.provider_user_id);
            Ok(Answer::Identity(ask(context, name, request).await?))
        }
        Question::User(subject, request) => {
            Ok(Answer::User(ask(context, objects.user_record(&subject), request).await?))
        }
    }
}

/// Tells the client that the provider or the user declined the sign-in.
pub async fn declined(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
    authorization: &str,
    clear: Secret,
) -> HttpResult {
    let config = context.config;
    let id = MacId::read(&config.names, IdKind::Authorization, authorization);
    let browser = cookie_of(context, incoming, SIGN_IN_COOKIE);
    let (Some(id), Some(browser)) = (id, browser) else {
        return page(context, incoming, "link_invalid", &[clear]);
    };
    let name = config.objects(None).authorization(&id);
    match ask(context, name.clone(), authorization::Request::Read { browser }).await {
        Ok(authorization::Response::Request { request, .. }) => {
            line.reason = Some("declined".to_owned());
            if let Err(error) = ask(context, name, authorization::Request::Fail).await {
                return unavailable(context, incoming, line, error);
            }
            let issuer = config.public_url.identifier();
            let outcome = request.failed("access_denied", "the sign-in was declined", &issuer);
            send(context, incoming, &outcome, request.ui_locales.as_deref(), &[clear])
        }
        Ok(_) => page(context, incoming, "link_invalid", &[clear]),
        Err(error) => unavailable(context, incoming, line, error),
    }
}
