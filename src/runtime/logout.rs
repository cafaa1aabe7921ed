// SPDX-License-Identifier: Apache-2.0
//! Carries out what the end of a browser session leaves to do.

use crate::issuer::session::Task;
use crate::issuer::tokens::{self, LogoutToken};
use crate::issuer::{scopes, user};
use crate::runtime::context::Context;
use crate::runtime::object_call::CallError;
use crate::runtime::{families, http_client, machines, signing_keys};

/// Carries out the tasks of the session `sid` of the user `sub`. Returns those that are done.
pub async fn carry_out(context: Context<'_>, sid: &str, sub: &str, tasks: Vec<Task>) -> Vec<Task> {
    let mut done = Vec::new();
    for task in tasks {
        let succeeded = match &task {
            Task::EndAccessTokens => end_access_tokens(context, sid, sub).await,
            Task::EndFamily { family } => families::end(context, family).await,
            Task::Notify { client_id } => notify(context, sid, sub, client_id).await,
        };
        if succeeded.is_ok() {
            done.push(task);
        }
    }
    done
}

async fn end_access_tokens(context: Context<'_>, sid: &str, sub: &str) -> Result<(), CallError> {
    let Context { config, now, .. } = context;
    let until = now.saturating_add(scopes::longest_lifetime(config));
    let request = user::Request::EndSession { sid: sid.to_owned(), until };
    machines::ask(context, config.objects(None).user_record(sub), request).await.map(drop)
}

/// Sends the client a logout token (OpenID Connect Back-Channel Logout 1.0 §2.5), if it has an address for it.
async fn notify(
    context: Context<'_>,
    sid: &str,
    sub: &str,
    client_id: &str,
) -> Result<(), CallError> {
    let Context { config, now, .. } = context;
    let client = config.clients.get(client_id);
    let Some(address) = client.and_then(|client| client.backchannel_logout_uri.as_ref()) else {
        return Ok(());
    };
    let key = signing_keys::signing(context).await?;
    let issuer = config.public_url.identifier();
    let jti = tokens::random_id().map_err(|_| CallError::Unavailable)?;
    let token = LogoutToken { sub, sid, client_id, jti: &jti };
    let token = key.sign(&tokens::logout_token(&key.signer(&issuer, now), &token)).await?;
    match http_client::post_form(address, &[("logout_token", &token)]).await {
        Some(200 | 204) => Ok(()),
        _ => Err(CallError::Unavailable),
    }
}
