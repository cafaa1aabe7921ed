// SPDX-License-Identifier: Apache-2.0
//! `/authorize` and `/oauth/par`: from an authorization request to its response, or to the sign-in page.

use serde_json::json;

use super::tokens::sender;
use super::{
    CROSS_SITE_COOKIE, SESSION_COOKIE, SIGN_IN_COOKIE, ask, cookie, cookie_of, handle, session_of,
};
use crate::address::Address;
use crate::connect::request;
use crate::encoding;
use crate::endpoints::look::look;
use crate::endpoints::token::{Failure, read_body};
use crate::error::OAuthError;
use crate::issuer::authorization::{self, CodeGrant, PUSHED_LIFETIME, SIGN_IN_TIME};
use crate::issuer::authorization_request::{self, AuthorizationRequest, Prompt, Refused};
use crate::issuer::authorization_response::Response as Outcome;
use crate::issuer::error_page;
use crate::issuer::sign_in::{self, Next};
use crate::issuer::user;
use crate::mac_id::{IdKind, MacId};
use crate::message::connect::{SessionRequest, SessionResponse};
use crate::oauth::parameters::MAX_BODY;
use crate::pages::{
    self, Account, AskedScope, Consent, Failed, Form, FormAction, Link, Notice, Page, SignIn, Way,
};
use crate::request_line::RequestLine;
use crate::runtime::context::Context;
use crate::runtime::http::{self, HttpResult, Incoming};
use crate::runtime::object_call::{self, CallError};
use crate::secret::Secret;

/// Prefix of the `request_uri` of a pushed request (RFC 9126 §2.2).
const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:";

/// Where the forms of the sign-in and consent pages are posted to.
const FORM_PATH: &str = "/sign-in";

/// `GET` or `POST /authorize`.
pub async fn authorize(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
) -> HttpResult {
    // A form that is too large has no parameters: its address does not stand in for it.
    let body = match incoming.method.as_str() {
        "POST" => Some(incoming.body(MAX_BODY).await.unwrap_or_default()),
        _ => None,
    };
    let query = body.as_deref().unwrap_or_else(|| incoming.query.expose().as_bytes());
    let request = match read(context, query).await {
        Ok(Ok(request)) => request,
        Ok(Err(refused)) => return refuse(context, incoming, line, refused),
        Err(error) => return unavailable(context, incoming, line, error),
    };
    line.client_id = Some(request.client_id.clone());
    match answer(context, incoming, request).await {
        Ok(response) => response,
        Err(error) => unavailable(context, incoming, line, error),
    }
}

async fn read(
    context: Context<'_>,
    query: &[u8],
) -> Result<Result<AuthorizationRequest, Refused>, CallError> {
    let parameter = |name: &str| {
        url::form_urlencoded::parse(query).find(|(key, _)| key == name).map(|(_, value)| value)
    };
    let pushed = parameter("request_uri").filter(|uri| uri.starts_with(REQUEST_URI));
    let Some(uri) = pushed else {
        return Ok(authorization_request::read(context.config, query, None));
    };
    let unknown = || Ok(Err(Refused::Page("request_uri_unknown")));
    let text = uri.strip_prefix(REQUEST_URI).unwrap_or_default();
    let Some((id, secret)) = handle(context, IdKind::Authorization, text) else {
        return unknown();
    };
    let client_id = parameter("client_id").unwrap_or_default().into_owned();
    let name = context.config.objects(Some(&client_id)).authorization(&id);
    match ask(context, name, authorization::Request::Take { secret, client_id }).await? {
        authorization::Response::Request { request, .. } => Ok(Ok(*request)),
        _ => unknown(),
    }
}

async fn answer(
    context: Context<'_>,
    incoming: &Incoming,
    request: AuthorizationRequest,
) -> Result<HttpResult, CallError> {
    let Context { config, now, .. } = context;
    let Some(client) = config.clients.get(&request.client_id) else {
        return Err(CallError::Misconfigured);
    };
    // A page of another site cannot send the other cookie; it may only ask silently.
    let is_silent = request.prompt == Prompt::None && incoming.method == "GET";
    let mut found = session_of(context, incoming, SESSION_COOKIE).await?;
    if found.is_none() && is_silent {
        found = session_of(context, incoming, CROSS_SITE_COOKIE).await?;
    }
    match sign_in::next(&request, client, found.as_ref(), now) {
        Next::Fail(code, description) => {
            let outcome = request.failed(code, description, &config.public_url.identifier());
            Ok(send(context, incoming, &outcome, request.ui_locales.as_deref(), &[]))
        }
        Next::Issue(grant) => {
            let id = new_id(context)?;
            let name = config.objects(Some(&request.client_id)).authorization(&id);
            let opened = Some((id.as_str().to_owned(), Box::new(request)));
            let issue = authorization::Request::Issue { grant: Some(grant), request: opened };
            issued(context, incoming, name, issue, &[]).await
        }
        Next::SignIn => {
            let (id, browser) = open(context, incoming, &request).await?;
            let cookies = [cookie(context, SIGN_IN_COOKIE, browser.expose(), SIGN_IN_TIME)];
            let sign_in = config.sign_in.as_ref().ok_or(CallError::Misconfigured)?;
            let only = match sign_in.connections.as_slice() {
                [only] => Some(only),
                _ => None,
            };
            match request.connection.as_ref().or(only) {
                Some(connection) => {
                    to_provider(context, &id, &request, connection, None, &cookies).await
                }
                None => {
                    let page = sign_in_page(context, incoming, &id, &request, found.is_some());
                    Ok(http::page(200, &page, &cookies))
                }
            }
        }
        Next::Consent(grant) => {
            let (id, browser) = open(context, incoming, &request).await?;
            let cookies = [cookie(context, SIGN_IN_COOKIE, browser.expose(), SIGN_IN_TIME)];
            consent(context, incoming, &id, &request, grant, &cookies).await
        }
        Next::Link(grant) => {
            let (id, browser) = open(context, incoming, &request).await?;
            let cookies = [cookie(context, SIGN_IN_COOKIE, browser.expose(), SIGN_IN_TIME)];
            link_consent(context, incoming, &id, &request, grant, &cookies).await
        }
    }
}

/// Shows the consent page for a user who has signed in.
pub async fn consent(
    context: Context<'_>,
    incoming: &Incoming,
    id: &MacId,
    request: &AuthorizationRequest,
    grant: CodeGrant,
    cookies: &[Secret],
) -> Result<HttpResult, CallError> {
    let config = context.config;
    let client = config.clients.get(&request.client_id).ok_or(CallError::Misconfigured)?;
    let Some(user) = waiting(context, id, grant).await? else {
        return Ok(page(context, incoming, "link_invalid", cookies));
    };
    let scopes: Vec<AskedScope> =
        request.scopes.iter().map(|scope| AskedScope { scope, description: None }).collect();
    let asked = Consent {
        application: &client.name,
        redirect_uri: &request.redirect_uri,
        user: account(&user),
        scopes: &scopes,
        form: Form { action: FORM_PATH, fields: &[("authorization", id.as_str())] },
    };
    let look = look(context, incoming, request.ui_locales.as_deref());
    Ok(http::page(200, &pages::consent(&look, &asked), cookies))
}

/// The page with a button for each way to sign in.
fn sign_in_page(
    context: Context<'_>,
    incoming: &Incoming,
    id: &MacId,
    request: &AuthorizationRequest,
    has_session: bool,
) -> Page {
    let config = context.config;
    let connections = config.sign_in.iter().flat_map(|sign_in| &sign_in.connections);
    let fields: Vec<_> = connections
        .map(|name| [("authorization", id.as_str()), ("connection", name.as_str())])
        .collect();
    let ways: Vec<Way> = fields
        .iter()
        .map(|fields| Way { service: fields[1].1, form: Form { action: FORM_PATH, fields } })
        .collect();
    let application = config.clients.get(&request.client_id).map(|client| client.name.as_str());
    let notice = (has_session && request.prompt != Prompt::SelectAccount).then_some(Notice::Again);
    let asked = SignIn { application, notice, ways: &ways, cancel: None };
    pages::sign_in(&look(context, incoming, request.ui_locales.as_deref()), &asked)
}

/// Asks a user who has signed in whether an account of another connection is to be linked.
pub async fn link_consent(
    context: Context<'_>,
    incoming: &Incoming,
    id: &MacId,
    request: &AuthorizationRequest,
    grant: CodeGrant,
    cookies: &[Secret],
) -> Result<HttpResult, CallError> {
    let Some(user) = waiting(context, id, grant).await? else {
        return Ok(page(context, incoming, "link_invalid", cookies));
    };
    let asked = Link {
        user: account(&user),
        // Which account it is, the user decides at the provider.
        added: Account {
            name: request.link.as_deref().unwrap_or_default(),
            email: None,
            service: None,
        },
        form: Form { action: FORM_PATH, fields: &[("authorization", id.as_str())] },
        // It leads to the provider, or back to the client.
        leads_to: FormAction::Anywhere,
    };
    let look = look(context, incoming, request.ui_locales.as_deref());
    Ok(http::page(200, &pages::link(&look, &asked), cookies))
}

/// Lets a request wait for the consent of a user who has signed in. Returns who that is, if both exist.
async fn waiting(
    context: Context<'_>,
    id: &MacId,
    grant: CodeGrant,
) -> Result<Option<Box<user::View>>, CallError> {
    let objects = context.config.objects(None);
    let user = objects.user_record(&grant.subject);
    let wait = authorization::Request::Await { grant };
    let authorization::Response::Done = ask(context, objects.authorization(id), wait).await? else {
        return Ok(None);
    };
    match ask(context, user, user::Request::Get).await? {
        user::Response::User(user) => Ok(Some(user)),
        _ => Ok(None),
    }
}

/// A user of the vault, as the user knows the account.
fn account(user: &user::View) -> Account<'_> {
    let profile = &user.profile;
    let name = profile.name.as_deref().unwrap_or_default();
    Account { name, email: profile.email.as_deref(), service: None }
}

/// Keeps a request while the user signs in. Returns its id, and the value of the browser's cookie.
async fn open(
    context: Context<'_>,
    incoming: &Incoming,
    request: &AuthorizationRequest,
) -> Result<(MacId, Secret), CallError> {
    let id = new_id(context)?;
    // Several tabs of one browser have the same cookie.
    let browser = match cookie_of(context, incoming, SIGN_IN_COOKIE) {
        Some(value) if value.expose().len() == 43 => value,
        _ => {
            let random = encoding::random::<32>().map_err(|_| CallError::Unavailable)?;
            Secret::new(encoding::base64url(random))
        }
    };
    let open = authorization::Request::Open {
        id: id.as_str().to_owned(),
        request: Box::new(request.clone()),
        browser: browser.clone(),
    };
    match ask(context, context.config.objects(Some(&request.client_id)).authorization(&id), open)
        .await?
    {
        authorization::Response::Done => Ok((id, browser)),
        _ => Err(CallError::Unavailable),
    }
}

/// Sends the browser to the provider of a connection, to sign in, or to link the account to the user who
/// consented to that.
pub async fn to_provider(
    context: Context<'_>,
    id: &MacId,
    request: &AuthorizationRequest,
    name: &str,
    link: Option<CodeGrant>,
    cookies: &[Secret],
) -> Result<HttpResult, CallError> {
    let Context { env, config, .. } = context;
    let connection = config.connections.get(name).ok_or(CallError::Misconfigured)?;
    // The hint is about the account that signs in, and not about the one that is linked.
    let hint = request
        .login_hint
        .iter()
        .filter(|_| link.is_none())
        .map(|hint| ("login_hint".to_owned(), hint.clone()));
    let issuer = config.public_url.identifier();
    let (begin, ticket) = request::sign_in(
        &config.names,
        &issuer,
        id.as_str(),
        &request.client_id,
        (name, connection),
        hint.collect(),
        link,
    )
    .map_err(|_| CallError::Unavailable)?;
    let session = begin.session.clone();
    let objects = config.objects(Some(&request.client_id));
    let object = objects.connect_session(&session, Some(name));
    let started = object_call::ask(env, &object, &SessionRequest::Begin(Box::new(begin))).await?;
    if !matches!(started, SessionResponse::Begun) {
        return Err(CallError::Unavailable);
    }
    match object_call::ask(env, &object, &SessionRequest::Open { ticket, cookie: None }).await? {
        SessionResponse::Opened { location, cookie: Some(cookie) } => {
            let binding =
                crate::connect::browser::set_cookie(&session, &cookie, &config.public_url);
            let cookies: Vec<Secret> =
                cookies.iter().cloned().chain(std::iter::once(binding)).collect();
            Ok(http::see_other(&Secret::new(location), &cookies))
        }
        _ => Err(CallError::Unavailable),
    }
}

/// Issues the code and sends it to the client.
pub async fn issued(
    context: Context<'_>,
    incoming: &Incoming,
    name: Address,
    issue: authorization::Request,
    cookies: &[Secret],
) -> Result<HttpResult, CallError> {
    match ask(context, name, issue).await? {
        authorization::Response::Issued { code, request } => {
            let outcome = request.granted(&code, &context.config.public_url.identifier());
            Ok(send(context, incoming, &outcome, request.ui_locales.as_deref(), cookies))
        }
        _ => Ok(page(context, incoming, "link_invalid", cookies)),
    }
}

/// Sends a response to the client. `ui_locales`: of its request.
pub fn send(
    context: Context<'_>,
    incoming: &Incoming,
    outcome: &Outcome,
    ui_locales: Option<&str>,
    cookies: &[Secret],
) -> HttpResult {
    let look = look(context, incoming, ui_locales);
    let answer = match outcome {
        Outcome::Redirect(location) => return http::see_other(location, cookies),
        Outcome::FormPost { action, fields } => pages::form_post(&look, action, &exposed(fields)),
        Outcome::WebMessage { origin, fields } => {
            pages::web_message(&look, origin, &exposed(fields))
        }
    };
    match answer {
        Some(answer) => http::page(200, &answer, cookies),
        None => page(context, incoming, "redirect_uri_unknown", cookies),
    }
}

fn exposed<'a>(fields: &'a [(&'static str, Secret)]) -> Vec<(&'a str, &'a str)> {
    fields.iter().map(|(name, value)| (*name, value.expose())).collect()
}

/// `POST /oauth/par` (RFC 9126 §2).
pub async fn push(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
) -> Result<web_sys::Response, Failure> {
    let body = read_body(incoming).await?;
    let (_, client_id, _) = sender(context, incoming, &body, line).await?;
    let request = authorization_request::read(context.config, &body, Some(client_id));
    let request = request.map_err(|refused| match refused {
        Refused::Page(reason) => Failure::because(
            OAuthError::invalid_request(
                "client_id or redirect_uri is not registered, or a parameter stands twice",
            ),
            reason,
        ),
        Refused::Client(error) => Failure::new(OAuthError::new(400, error.code, error.description)),
    })?;
    let failed = |_| Failure::new(OAuthError::unavailable("the vault cannot answer now", 2));
    let id = new_id(context).map_err(failed)?;
    let push =
        authorization::Request::Push { id: id.as_str().to_owned(), request: Box::new(request) };
    match ask(context, context.config.objects(Some(client_id)).authorization(&id), push)
        .await
        .map_err(failed)?
    {
        authorization::Response::Pushed { handle } => {
            let request_uri = format!("{REQUEST_URI}{}", handle.expose());
            let body = json!({ "request_uri": request_uri, "expires_in": PUSHED_LIFETIME });
            http::json(201, &body).map_err(|_| failed(CallError::Unavailable))
        }
        _ => Err(failed(CallError::Unavailable)),
    }
}

fn new_id(context: Context<'_>) -> Result<MacId, CallError> {
    MacId::new(&context.config.names, IdKind::Authorization).map_err(|_| CallError::Unavailable)
}

fn refuse(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
    refused: Refused,
) -> HttpResult {
    match refused {
        Refused::Page(reason) => {
            line.reason = Some(reason.to_owned());
            page(context, incoming, reason, &[])
        }
        Refused::Client(error) => {
            line.error = Some(error.code);
            let outcome = error.response(&context.config.public_url.identifier());
            send(context, incoming, &outcome, None, &[])
        }
    }
}

/// An error page with the text for this reason.
pub fn page(
    context: Context<'_>,
    incoming: &Incoming,
    reason: &'static str,
    cookies: &[Secret],
) -> HttpResult {
    let look = look(context, incoming, None);
    let (status, page) = error_page::page(Failed::SignIn, reason, &look);
    http::page(status, &page, cookies)
}

/// An error page for an object that gave no answer.
pub fn unavailable(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
    _error: CallError,
) -> HttpResult {
    line.reason = Some("unavailable".to_owned());
    page(context, incoming, "unavailable", &[])
}
