// SPDX-License-Identifier: Apache-2.0
//! Token exchange: verifies the subject token, asks the policy, and asks the user's vault.

use web_sys::Response;

use crate::config::{Client, ScopePolicy};
use crate::endpoints::client_auth::authenticate;
use crate::endpoints::token::Failure;
use crate::error::OAuthError;
use crate::jwt::TokenError;
use crate::jwt::access_token::AccessToken;
use crate::jwt::verified::VerifiedToken;
use crate::message::vault::{VaultAction, VaultRequest, VaultResponse};
use crate::oauth::client_auth::Credentials;
use crate::oauth::exchange::policy::{self, Forbidden};
use crate::oauth::exchange::request::{ExchangeRequest, SubjectToken};
use crate::oauth::exchange::{profile, response};
use crate::request_line::RequestLine;
use crate::runtime::context::Context;
use crate::runtime::object_call::{self, CallError, ObjectReply};
use crate::runtime::{key_check, tokens};

/// Exchanges a user's token for the provider's access token. The vault's object wrote the response.
pub async fn exchange(
    context: Context<'_>,
    credentials: &Credentials,
    request: &ExchangeRequest,
    line: &mut RequestLine,
) -> Result<Response, Failure> {
    let Context { config, .. } = context;
    let profile = profile(request.grant);
    let known = config.connections.get_key_value(&request.connection);
    line.connection = known.map(|(name, _)| name.clone());
    let (client_id, client) = authenticate(context, credentials).await?;
    line.client_id = Some(client_id.to_owned());
    let forbidden = |reason: Forbidden| Failure::because(reason.error(profile), reason.reason());
    policy::check_grant(client, request.grant).map_err(forbidden)?;
    let token = match request.subject {
        SubjectToken::AccessToken => {
            tokens::verify_access_token(context, &request.subject_token).await
        }
        SubjectToken::RefreshToken => {
            tokens::verify_refresh_token(context, &request.subject_token).await
        }
    };
    let token = token.map_err(|error| forbidden(Forbidden::SubjectToken(error)))?;
    let VerifiedToken { token, names } = &*token;
    line.user = Some(names.log(&config.names, &token.user).to_owned());
    if credentials.is_secret_alone() && token.client_id != client_id {
        return Err(forbidden(Forbidden::SubjectToken(TokenError::Client)));
    }
    let issuer = policy::issuer_of(config, token).map_err(forbidden)?;
    policy::check(client, issuer, token, &request.connection).map_err(forbidden)?;
    policy::check_scopes(client, known.map(|(_, one)| one), request).map_err(forbidden)?;
    let vault = names.vault(&config.names, &token.user, &request.connection);
    ask_vault(context, request, client, token, &vault).await
}

async fn ask_vault(
    context: Context<'_>,
    request: &ExchangeRequest,
    client: &Client,
    token: &AccessToken,
    vault: &str,
) -> Result<Response, Failure> {
    let failed = |error| {
        Failure::new(match error {
            CallError::KeyUnavailable => response::key_unavailable(),
            CallError::Misconfigured => OAuthError::unavailable("configuration error", 60),
            CallError::Unavailable => OAuthError::unavailable("the vault cannot answer now", 2),
        })
    };
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
            refused_token: request.refused_token.clone(),
            min_ttl: request.min_ttl,
        },
    };
    let reply = object_call::pass_on(context.env, vault, &ask).await.map_err(failed)?;
    if let ObjectReply::Answer(answer) = &reply
        && !answer.vouches_for_keys()
    {
        key_check::compare(context).await.map_err(failed)?;
    }
    match reply {
        ObjectReply::Passthrough(response) => Ok(response),
        ObjectReply::Answer(VaultResponse::NotReleased(problem)) => {
            let error = response::error(profile(request.grant), &problem);
            let reason = error.connection_state.as_ref().map_or("", |state| state.log_reason());
            Err(Failure::because(error, reason))
        }
        ObjectReply::Answer(_) => Err(failed(CallError::Unavailable)),
    }
}
