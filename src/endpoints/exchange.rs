// SPDX-License-Identifier: Apache-2.0
//! Token exchange: verifies the subject token, asks the policy, and serves a lease or asks the user's vault.

use web_sys::Response;

use crate::address::Address;
use crate::config::Client;
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
use crate::runtime::{clock, executor, http, key_check, leases, own_users, tokens};
use crate::secret::Secret;
use crate::vault::lease;
use crate::vault::lease_cache::{LeaseKey, Released};

/// Exchanges a user's token for the provider's access token. `cache_control` is that header of the request.
pub async fn exchange(
    context: Context<'_>,
    credentials: &Credentials,
    request: &ExchangeRequest,
    cache_control: Option<&str>,
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
            tokens::read_access_token(context, &request.subject_token).await
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
    let vault = names.vault(&request.connection, || {
        config.objects(Some(&token.client_id)).vault(&token.user, &request.connection)
    });
    let want = request.want(client);
    let key = LeaseKey { vault: &vault.name, client_id, grant: request.grant, want: &want };
    // A refresh token was asked about when it was read.
    let is_known =
        request.subject == SubjectToken::RefreshToken || own_users::remembers(context, token);
    if is_known
        && !lease::goes_past(&want, cache_control)
        && let Some((expires_in, members)) = leases::find(&key)
    {
        line.lease = true;
        return released(expires_in, &members, "lease");
    }
    let question = Question { context, client, token, vault: &vault, key };
    if is_known {
        return question.ask(request).await;
    }
    // Both questions at the same time: each may have a long way. Nothing is released before both are answered.
    let is_active = own_users::check(context, token);
    let (is_active, answer) = executor::both(is_active, question.ask(request)).await;
    is_active.map_err(|error| forbidden(Forbidden::SubjectToken(error)))?;
    answer
}

/// Begins an exchange before the first request, so that V8 compiles its functions. The request is made up, and each
/// step refuses it before it asks anybody (`vault_core::warm_up::request`).
pub fn warm_up(context: Context<'_>, credentials: &Credentials, request: &ExchangeRequest) {
    let line = &mut RequestLine::default();
    executor::poll_once(exchange(context, credentials, request, None, line));
    tokens::warm_up(context, &request.subject_token);
}

/// A question to a vault that the policy allows.
struct Question<'a> {
    context: Context<'a>,
    client: &'a Client,
    token: &'a AccessToken,
    vault: &'a Address,
    key: LeaseKey<'a>,
}

impl Question<'_> {
    async fn ask(&self, request: &ExchangeRequest) -> Result<Response, Failure> {
        let Self { context, client, token, vault, key } = self;
        let lease = leases::request(context.config, key.vault, client.lease_seconds);
        let reported = lease.releases.clone();
        let ask = VaultRequest {
            user: token.user.clone(),
            connection: request.connection.clone(),
            act: VaultAction::exchange(request.grant, key.want, lease),
        };
        let (asked, started) = (leases::ask(key.vault), clock::milliseconds());
        let reply = object_call::pass_on(context.env, vault, &ask).await;
        let hop = clock::elapsed(started);
        match reply {
            Ok(ObjectReply::Released(message)) => {
                let token = Released::read(&message);
                leases::note(key, token.clone(), asked);
                let Released { expires_in, object_ms, members, .. } =
                    token.ok_or_else(|| failed(CallError::Unavailable))?;
                released(expires_in, &members, &format!("hop;dur={hop}, object;dur={object_ms}"))
            }
            // An object of an earlier version, which lends nothing.
            Ok(ObjectReply::Passthrough(response)) => Ok(response),
            Ok(ObjectReply::Answer(answer)) => {
                leases::note(key, None, asked);
                if !answer.vouches_for_keys() {
                    key_check::compare(*context).await.map_err(failed)?;
                }
                Err(not_released(request, &answer))
            }
            // This says nothing about the lease before.
            Err(error) => {
                leases::put_back(key.vault, reported);
                Err(failed(error))
            }
        }
    }
}

/// The response with a token. `timing` says where it came from (`Server-Timing`).
fn released(expires_in: i64, members: &Secret, timing: &str) -> Result<Response, Failure> {
    let body = response::success(expires_in, members);
    http::token(&body, timing).map_err(|_| failed(CallError::Unavailable))
}

fn not_released(request: &ExchangeRequest, answer: &VaultResponse) -> Failure {
    let VaultResponse::NotReleased(problem) = answer else {
        return failed(CallError::Unavailable);
    };
    let error = response::error(profile(request.grant), problem);
    let reason = error.connection_state.as_ref().map_or("", |state| state.log_reason());
    let reason = reason.to_owned();
    Failure { error, reason: Some(reason) }
}

fn failed(error: CallError) -> Failure {
    Failure::new(match error {
        CallError::KeyUnavailable => response::key_unavailable(),
        CallError::Misconfigured => OAuthError::unavailable("configuration error", 60),
        CallError::Unavailable => OAuthError::unavailable("the vault cannot answer now", 2),
    })
}
