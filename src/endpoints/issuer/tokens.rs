// SPDX-License-Identifier: Apache-2.0
//! The grants that give tokens of the vault, and their revocation and introspection.

use serde_json::json;
use web_sys::Response;

use super::{ask, handle, is_active};
use crate::config::{Client, ClientKind, GrantType};
use crate::endpoints::client_auth::authenticate_any;
use crate::endpoints::token::{Failure, read_body};
use crate::error::OAuthError;
use crate::issuer::authorization;
use crate::issuer::family::{self, FamilyGrant, Refusal, grant_id};
use crate::issuer::scopes;
use crate::issuer::session;
use crate::issuer::tokens::{
    AccessToken, ID_TOKEN_LIFETIME, IdToken, Subject, access_token, id_token, random_id,
};
use crate::issuer::user::{self, Check};
use crate::mac_id::{IdKind, MacId};
use crate::oauth::authorization_code::CodeRequest;
use crate::oauth::client_auth::Credentials;
use crate::oauth::parameters::Parameters;
use crate::oauth::refresh_token::RefreshRequest;
use crate::request_line::RequestLine;
use crate::runtime::context::Context;
use crate::runtime::http::{self, Incoming};
use crate::runtime::object_call::CallError;
use crate::runtime::{families, signing_keys, tokens};
use crate::secret::Secret;

/// The authorization code grant (RFC 6749 §4.1.3).
pub async fn code(
    context: Context<'_>,
    credentials: &Credentials,
    request: &CodeRequest,
    line: &mut RequestLine,
) -> Result<Response, Failure> {
    let config = context.config;
    let (client_id, client, _) = authenticate_any(context, credentials).await?;
    line.client_id = Some(client_id.to_owned());
    allowed(client, GrantType::AuthorizationCode)?;
    let refused = || {
        invalid_grant(
            "code_invalid",
            "the code is unknown, used or expired, or it was not given for this client, redirect_uri and code_verifier",
        )
    };
    let (id, secret) =
        handle(context, IdKind::Authorization, request.code.expose()).ok_or_else(refused)?;
    let family = MacId::new(&config.names, IdKind::Family)
        .map_err(|_| unavailable(CallError::Unavailable))?;
    let redeem = authorization::Request::Redeem {
        secret,
        client_id: client_id.to_owned(),
        redirect_uri: request.redirect_uri.clone(),
        code_verifier: request.code_verifier.clone(),
        family: family.as_str().to_owned(),
    };
    let answer = ask(context, config.objects(Some(client_id)).authorization(&id), redeem)
        .await
        .map_err(unavailable)?;
    let (authorized, grant) = match answer {
        authorization::Response::Granted { request, grant } => (request, grant),
        authorization::Response::Replayed { family } => {
            // What the code gave may be in wrong hands (RFC 6749 §4.1.2).
            families::end(context, &family).await.map_err(unavailable)?;
            return Err(refused());
        }
        _ => return Err(refused()),
    };
    let refreshes = authorized.scopes.iter().any(|scope| scope == "offline_access");
    let issue = Issue {
        grant: FamilyGrant {
            subject: grant.subject,
            client_id: client_id.to_owned(),
            scopes: authorized.scopes.clone(),
            audience: authorized.audience.clone(),
            sid: Some(grant.sid.clone()),
            auth_time: grant.auth_time,
        },
        audience: authorized.audience.clone(),
        scopes: authorized.scopes.clone(),
        nonce: authorized.nonce.clone(),
        grant_id: refreshes.then(|| grant_id(family.as_str())),
        refresh_token: None,
    };
    join(context, client_id, client, &grant.sid, refreshes.then_some(&family)).await?;
    // The session does not know that its user was disabled, or all their sign-ins ended.
    let check = Check { auth_time: Some(grant.auth_time), ..Check::default() };
    if !is_active(context, &issue.grant.subject, check).await.map_err(unavailable)? {
        return Err(invalid_grant(
            "user_inactive",
            "the user may not sign in, or must sign in again",
        ));
    }
    let refresh_token = if refreshes {
        let start = family::Start {
            id: family.as_str().to_owned(),
            grant: issue.grant.clone(),
            rotation: client.refresh.rotation,
            idle: client.refresh.idle,
            lifetime: client.refresh.lifetime,
        };
        let start = family::Request::Start(Box::new(start));
        let started = families::ask(context, Some(client_id), &family, start).await;
        match started.map_err(unavailable)? {
            family::Response::Token { token, .. } => Some(token),
            // The code was replayed, or the session has ended, since the code was redeemed.
            _ => return Err(refused()),
        }
    } else {
        None
    };
    respond(context, Issue { refresh_token, ..issue }).await
}

/// Adds the client, and the family if it ends with the session, to the browser session that the user signed
/// in with. An ended session gives no tokens.
async fn join(
    context: Context<'_>,
    client_id: &str,
    client: &Client,
    sid: &str,
    family: Option<&MacId>,
) -> Result<(), Failure> {
    let names = &context.config.names;
    let ended = || invalid_grant("session_ended", "the user's session has ended; sign in again");
    let session = MacId::read(names, IdKind::Session, sid).ok_or_else(ended)?;
    let family = family.filter(|_| client.refresh.ends_with_session);
    let join = session::Request::Join {
        client_id: client_id.to_owned(),
        family: family.map(|family| family.as_str().to_owned()),
    };
    match ask(context, context.config.objects(Some(client_id)).browser_session(&session), join)
        .await
        .map_err(unavailable)?
    {
        session::Response::Joined { end } => {
            for family in end {
                families::end(context, &family).await.map_err(unavailable)?;
            }
            Ok(())
        }
        _ => Err(ended()),
    }
}

/// The refresh token grant (RFC 6749 §6).
pub async fn refresh(
    context: Context<'_>,
    credentials: &Credentials,
    request: &RefreshRequest,
    line: &mut RequestLine,
) -> Result<Response, Failure> {
    let config = context.config;
    let (client_id, client, authenticated) = authenticate_any(context, credentials).await?;
    line.client_id = Some(client_id.to_owned());
    allowed(client, GrantType::RefreshToken)?;
    let text = request.refresh_token.expose();
    let (id, secret) = handle(context, IdKind::Family, text)
        .ok_or_else(|| refresh_refused(Refusal::Unknown.reason()))?;
    // Nothing is replaced for a request that cannot be answered.
    let no_target = || {
        let fix = "no such resource server for this client";
        Failure::new(OAuthError::new(400, "invalid_target", fix))
    };
    if let Some(audience) = request.audience.as_deref() {
        if !scopes::may_ask(config, client, audience) {
            return Err(no_target());
        }
        if client.kind == ClientKind::ThirdParty {
            let look = family::Request::Look { secret: secret.clone(), authenticated };
            let answer =
                families::ask(context, Some(client_id), &id, look).await.map_err(unavailable)?;
            if let family::Response::Valid { grant, .. } = answer
                && !scopes::may_refresh(config, client, &grant, Some(audience))
            {
                return Err(no_target());
            }
        }
    }
    let refresh =
        family::Request::Refresh { secret, client_id: client_id.to_owned(), authenticated };
    let (token, grant) =
        match families::ask(context, Some(client_id), &id, refresh).await.map_err(unavailable)? {
            family::Response::Token { token, grant } => (token, grant),
            family::Response::Refused(refusal) => return Err(refresh_refused(refusal.reason())),
            family::Response::Replayed { .. } => return Err(refresh_refused(family::REPLAYED)),
            _ => return Err(unavailable(CallError::Unavailable)),
        };
    let check = Check { auth_time: Some(grant.auth_time), ..Check::default() };
    if !is_active(context, &grant.subject, check).await.map_err(unavailable)? {
        families::end(context, id.as_str()).await.map_err(unavailable)?;
        return Err(refresh_refused(Refusal::Unknown.reason()));
    }
    let audience = request.audience.clone().or_else(|| grant.audience.clone());
    let scopes = scopes::refreshed(config, client, &grant, audience.as_deref(), &request.scopes);
    let grant_id = Some(grant_id(id.as_str()));
    let issue =
        Issue { grant, audience, scopes, nonce: None, grant_id, refresh_token: Some(token) };
    respond(context, issue).await
}

/// Tokens to issue.
struct Issue {
    grant: FamilyGrant,
    audience: Option<String>,
    scopes: Vec<String>,
    nonce: Option<String>,
    /// `grant_id` of the family, if there is one.
    grant_id: Option<String>,
    refresh_token: Option<Secret>,
}

async fn respond(context: Context<'_>, issue: Issue) -> Result<Response, Failure> {
    let Context { config, now, .. } = context;
    let name = config.objects(Some(&issue.grant.client_id)).user_record(&issue.grant.subject);
    let known = ask(context, name, user::Request::Get).await.map_err(unavailable)?;
    let user::Response::User(view) = known else {
        return Err(invalid_grant("user_unknown", "the user may not sign in"));
    };
    let key = signing_keys::signing(context).await.map_err(unavailable)?;
    let issuer = config.public_url.identifier();
    let (signer, client_id) = (key.signer(&issuer, now), issue.grant.client_id.as_str());
    let subject = Subject {
        sub: &issue.grant.subject,
        sid: issue.grant.sid.as_deref(),
        auth_time: Some(issue.grant.auth_time),
    };
    let audience = issue.audience.as_deref().unwrap_or(&issuer);
    let audiences = [audience.to_owned()];
    let lifetime = scopes::access_token_lifetime(config, audience);
    let jti = random_id().map_err(|_| unavailable(CallError::Unavailable))?;
    let access = AccessToken {
        subject,
        audiences: &audiences,
        client_id,
        scopes: &issue.scopes,
        grant_id: issue.grant_id.as_deref(),
        jti: &jti,
        lifetime,
    };
    let access = key.sign(&access_token(&signer, &access)).await.map_err(unavailable)?;
    let mut body = json!({
        "access_token": access.expose(),
        "token_type": "Bearer",
        "expires_in": lifetime,
        "scope": issue.scopes.join(" "),
    });
    if let Some(members) = body.as_object_mut() {
        if let Some(token) = &issue.refresh_token {
            members.insert("refresh_token".into(), token.expose().into());
        }
        if issue.scopes.iter().any(|scope| scope == "openid") {
            let token = IdToken {
                subject,
                client_id,
                nonce: issue.nonce.as_deref(),
                access_token: Some(&access),
                scopes: &issue.scopes,
                profile: &view.profile,
                lifetime: ID_TOKEN_LIFETIME,
            };
            let token = key.sign(&id_token(&signer, &token)).await.map_err(unavailable)?;
            members.insert("id_token".into(), token.expose().into());
        }
    }
    http::json(200, &body).map_err(|_| unavailable(CallError::Unavailable))
}

/// `POST /oauth/revoke` (RFC 7009): 200 whatever the token was.
pub async fn revoke(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
) -> Result<Response, Failure> {
    let (parameters, client_id, _) = authenticated(context, incoming, line).await?;
    let token = parameters.required("token").map_err(Failure::new)?;
    if let Some((id, secret)) = handle(context, IdKind::Family, token.expose()) {
        let revoke =
            family::Request::Revoke { secret: Some(secret), client_id: Some(client_id.to_owned()) };
        // A revocation that could not be stored is no success (RFC 7009 §2.2.1).
        families::ask(context, Some(client_id), &id, revoke).await.map_err(unavailable)?;
    }
    http::json(200, &json!({})).map_err(|_| unavailable(CallError::Unavailable))
}

/// `POST /oauth/introspect` (RFC 7662), for clients that authenticate.
pub async fn introspect(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
) -> Result<Response, Failure> {
    let (parameters, client_id, is_authenticated) = authenticated(context, incoming, line).await?;
    if !is_authenticated {
        let fix = "this client has no authentication, and may not introspect";
        return Err(Failure::new(OAuthError::new(401, "invalid_client", fix)));
    }
    let token = parameters.required("token").map_err(Failure::new)?;
    let body = described(context, client_id, token).await.map_err(unavailable)?;
    http::json(200, &body).map_err(|_| unavailable(CallError::Unavailable))
}

async fn described(
    context: Context<'_>,
    client_id: &str,
    token: &Secret,
) -> Result<serde_json::Value, CallError> {
    let config = context.config;
    let inactive = json!({ "active": false });
    if let Some((id, secret)) = handle(context, IdKind::Family, token.expose()) {
        let look = family::Request::Look { secret, authenticated: true };
        let answer = families::ask(context, Some(client_id), &id, look).await?;
        let family::Response::Valid { grant, expires_at } = answer else {
            return Ok(inactive);
        };
        // A refresh token is of no concern to others than its client.
        let check = Check { auth_time: Some(grant.auth_time), ..Check::default() };
        let active = is_active(context, &grant.subject, check).await?;
        if grant.client_id != client_id || !active {
            return Ok(inactive);
        }
        return Ok(json!({
            "active": true, "client_id": grant.client_id, "sub": grant.subject,
            "scope": grant.scopes.join(" "), "exp": expires_at,
            "iss": config.public_url.identifier(), "token_type": "refresh_token",
        }));
    }
    let Ok(verified) = tokens::verify_access_token(context, token).await else {
        return Ok(inactive);
    };
    let token = &verified.token;
    let issuer = config.public_url.identifier();
    let client = config.clients.get(client_id);
    let may_know = client.is_some_and(|client| client.may_introspect(client_id, token));
    if token.user.issuer != issuer || !may_know {
        return Ok(inactive);
    }
    Ok(json!({
        "active": true, "client_id": token.client_id, "sub": token.user.subject,
        "scope": token.scopes.join(" "), "exp": token.expires_at, "iat": token.issued_at,
        "iss": issuer, "aud": token.audiences, "token_type": "Bearer",
    }))
}

async fn authenticated<'a>(
    context: Context<'a>,
    incoming: &Incoming,
    line: &mut RequestLine,
) -> Result<(Parameters, &'a str, bool), Failure> {
    let body = read_body(incoming).await?;
    sender(context, incoming, &body, line).await
}

/// Reads the parameters of a body and authenticates the client that sends it. The last value says whether
/// the client has authentication at all.
///
/// # Errors
/// `invalid_request`, `invalid_client`.
pub(super) async fn sender<'a>(
    context: Context<'a>,
    incoming: &Incoming,
    body: &[u8],
    line: &mut RequestLine,
) -> Result<(Parameters, &'a str, bool), Failure> {
    let content_type = incoming.content_type.as_deref();
    let (parameters, _) = Parameters::read(content_type, body).map_err(Failure::new)?;
    let authorization = incoming.authorization.as_ref().map(Secret::expose);
    let credentials = Credentials::read(authorization, &parameters).map_err(Failure::new)?;
    let (client_id, _, authenticated) = authenticate_any(context, &credentials).await?;
    line.client_id = Some(client_id.to_owned());
    Ok((parameters, client_id, authenticated))
}

fn allowed(client: &Client, grant: GrantType) -> Result<(), Failure> {
    if client.grants.contains(&grant) {
        return Ok(());
    }
    let fix = "this client may not use this grant_type; it is not among its grants";
    Err(Failure::because(OAuthError::new(400, "unauthorized_client", fix), "grant"))
}

fn invalid_grant(reason: &str, description: &str) -> Failure {
    Failure::because(OAuthError::new(400, "invalid_grant", description), reason)
}

/// Auth0's SDK for browsers looks for this text, and then signs the user in again.
fn refresh_refused(reason: &str) -> Failure {
    invalid_grant(reason, "Unknown or invalid refresh token.")
}

fn unavailable(error: CallError) -> Failure {
    Failure::new(match error {
        CallError::Misconfigured => OAuthError::unavailable("configuration error", 60),
        CallError::KeyUnavailable => crate::oauth::exchange::response::key_unavailable(),
        CallError::Unavailable => OAuthError::unavailable("the vault cannot answer now", 2),
    })
}
