// SPDX-License-Identifier: Apache-2.0
//! `POST /oauth/token`.

use web_sys::Response;

use crate::config::{Client, Config, GrantType, ScopePolicy};
use crate::error::OAuthError;
use crate::exchange::answer;
use crate::exchange::client_auth::{self, Proof};
use crate::exchange::policy::{self, Forbidden};
use crate::exchange::request::{self, MAX_BODY, TokenRequest};
use crate::jwt::access_token::AccessToken;
use crate::jwt::jws::Jws;
use crate::jwt::verified::VerifiedToken;
use crate::jwt::{TokenError, assertion};
use crate::message::vault::{VaultAction, VaultRequest, VaultResponse};
use crate::request_line::RequestLine;
use crate::runtime::context::Context;
use crate::runtime::http::{self, HttpResult, Incoming};
use crate::runtime::object_call::{self, CallError, ObjectReply};
use crate::runtime::{key_check, tokens, webcrypto};
use crate::secret::Secret;
use crate::time::UnixSeconds;

/// Answers a token request.
pub async fn exchange(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
) -> HttpResult {
    let read = match incoming.body(MAX_BODY).await {
        None => Err(OAuthError::new(413, "invalid_request", "the body is larger than 64 KiB")),
        Some(body) => {
            let authorization = incoming.authorization.as_ref().map(Secret::expose);
            request::read(incoming.content_type.as_deref(), authorization, &body)
        }
    };
    let refused = match read {
        Ok(request) => {
            let known = context.config.connections.get_key_value(&request.connection);
            line.connection = known.map(|(name, _)| name.clone());
            match answer_to(context, &request, line).await {
                Ok(response) => return Ok(response),
                Err(refused) => {
                    Refused { error: refused.error.for_grant(request.grant), ..refused }
                }
            }
        }
        Err(error) => Refused::new(error),
    };
    line.error = Some(refused.error.code);
    line.reason = refused.reason;
    http::oauth_error(&refused.error)
}

/// What leaves, and what more is logged.
struct Refused {
    error: OAuthError,
    reason: Option<String>,
}

impl Refused {
    fn new(error: OAuthError) -> Self {
        Self { error, reason: None }
    }

    fn because(error: OAuthError, reason: &str) -> Self {
        Self { error, reason: Some(reason.to_owned()) }
    }

    fn forbidden(forbidden: Forbidden, grant: GrantType) -> Self {
        Self::because(forbidden.answer(grant), forbidden.reason())
    }

    fn subject(refusal: TokenError, grant: GrantType) -> Self {
        if refusal == TokenError::KeysUnavailable {
            let error = OAuthError::unavailable("the issuer's keys cannot be had now", 5);
            return Self::because(error, refusal.reason());
        }
        Self::forbidden(Forbidden::SubjectToken(refusal), grant)
    }
}

async fn answer_to(
    context: Context<'_>,
    request: &TokenRequest,
    line: &mut RequestLine,
) -> Result<Response, Refused> {
    let Context { config, now, .. } = context;
    let grant = request.grant;
    let verify = || tokens::verify_access_token(context, &request.subject_token);
    // A secret without a client id belongs to the client the token was issued to.
    let early = if request.credentials.needs_subject() {
        let refused =
            |refusal: TokenError| Refused::because(request.credentials.refused(), refusal.reason());
        Some(verify().await.map_err(refused)?)
    } else {
        None
    };
    let (client_id, client) = authenticate(request, config, early.as_deref(), now).await?;
    line.client_id = Some(client_id);
    let forbidden = |reason| Refused::forbidden(reason, grant);
    policy::check_grant(client, grant).map_err(forbidden)?;
    let token = match early {
        Some(token) => token,
        None => verify().await.map_err(|refusal| Refused::subject(refusal, grant))?,
    };
    let VerifiedToken { token, names } = &*token;
    line.user = Some(names.log(&config.names, &token.user).to_owned());
    let issuer = policy::issuer_of(config, token).map_err(forbidden)?;
    policy::check(client, issuer, token, &request.connection).map_err(forbidden)?;
    let connection = config.connections.get(&request.connection);
    policy::check_scopes(client, connection, request).map_err(forbidden)?;
    let vault = names.vault(&config.names, &token.user, &request.connection);
    release(context, request, client, token, &vault).await
}

async fn authenticate<'a>(
    request: &TokenRequest,
    config: &'a Config,
    subject: Option<&VerifiedToken>,
    now: UnixSeconds,
) -> Result<(String, &'a Client), Refused> {
    let credentials = &request.credentials;
    let client_id =
        credentials.client_id(subject.map(|subject| &subject.token)).map_err(Refused::new)?;
    let refused = |reason: &str| Refused::because(credentials.refused(), reason);
    let client = config.clients.get(&client_id).ok_or_else(|| refused("unknown"))?;
    let Proof::Assertion(jwt) = &credentials.proof else {
        credentials.check_secret(client).map_err(|_| refused("secret"))?;
        return Ok((client_id, client));
    };
    let because = |refusal: TokenError| refused(refusal.reason());
    let token = Jws::parse(jwt.expose()).map_err(because)?;
    let check = client_auth::assertion_check(&token, client).map_err(because)?;
    if !webcrypto::verify(&check).await {
        return Err(because(TokenError::Signature));
    }
    assertion::check(&token, &client_id, &config.public_url.identifier(), now).map_err(because)?;
    Ok((client_id, client))
}

async fn release(
    context: Context<'_>,
    request: &TokenRequest,
    client: &Client,
    token: &AccessToken,
    vault: &str,
) -> Result<Response, Refused> {
    let no_answer = |error| {
        Refused::new(match error {
            CallError::KeyUnavailable => answer::key_unavailable(),
            CallError::Misconfigured => OAuthError::unavailable("configuration error", 60),
            CallError::Unavailable => OAuthError::unavailable("the vault cannot answer now", 2),
        })
    };
    key_check::compare(context).await.map_err(no_answer)?;
    let ask = VaultRequest {
        user: token.user.clone(),
        connection: request.connection.clone(),
        act: VaultAction::Exchange {
            grant: request.grant,
            login_hint: request.login_hint.clone(),
            scopes: request.scopes.clone(),
            exact: client.scope_policy == ScopePolicy::Exact,
            kind: request.kind.clone(),
            resource: request.resource.clone(),
        },
    };
    match object_call::pass_on(context.env, vault, &ask).await.map_err(no_answer)? {
        ObjectReply::Passthrough(response) => Ok(response),
        ObjectReply::Answer(VaultResponse::NotReleased(problem)) => {
            let error = answer::problem(request.grant, &problem);
            let state = error.connection_state.as_ref().map_or("", |told| told.state);
            Err(Refused::because(error, state))
        }
        ObjectReply::Answer(_) => Err(no_answer(CallError::Unavailable)),
    }
}
