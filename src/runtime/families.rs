// SPDX-License-Identifier: Apache-2.0
//! Requests to refresh-token families. Where a family ends, its access tokens end with it.

use crate::issuer::family::{self, Request, Response, grant_id};
use crate::issuer::{scopes, user};
use crate::mac_id::{IdKind, MacId};
use crate::runtime::context::Context;
use crate::runtime::machines;
use crate::runtime::object_call::CallError;

/// Asks a family. `client_id`: whose it is, where that is known.
pub async fn ask(
    context: Context<'_>,
    client_id: Option<&str>,
    id: &MacId,
    request: Request,
) -> Result<Response, CallError> {
    let family = context.config.objects(client_id).refresh_family(id);
    let response = machines::ask(context, family, request).await?;
    if let Response::Replayed { subject } | Response::Revoked { subject: Some(subject) } = &response
    {
        end_access_tokens(context, id, subject).await?;
    }
    Ok(response)
}

/// Ends a family. An id that this deployment did not make names nothing to end.
pub async fn end(context: Context<'_>, id: &str) -> Result<(), CallError> {
    match MacId::read(&context.config.names, IdKind::Family, id) {
        Some(id) => {
            let revoke = family::Request::Revoke { secret: None, client_id: None };
            ask(context, None, &id, revoke).await.map(drop)
        }
        None => Ok(()),
    }
}

async fn end_access_tokens(
    context: Context<'_>,
    id: &MacId,
    subject: &str,
) -> Result<(), CallError> {
    let Context { config, now, .. } = context;
    let until = now.saturating_add(scopes::longest_lifetime(config));
    let request = user::Request::EndGrant { grant_id: grant_id(id.as_str()), until };
    machines::ask(context, config.objects(None).user_record(subject), request).await.map(drop)
}
