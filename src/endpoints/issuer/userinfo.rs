// SPDX-License-Identifier: Apache-2.0
//! `/userinfo` (OpenID Connect Core §5.3).

use serde_json::Value;

use super::ask;
use crate::connect::policy;
use crate::error::ProblemDetails;
use crate::issuer::sign_in::Refused;
use crate::issuer::tokens;
use crate::issuer::user;
use crate::request_line::RequestLine;
use crate::runtime;
use crate::runtime::context::Context;
use crate::runtime::http::{self, HttpResult, Incoming};
use crate::secret::Secret;

/// Answers with the claims that the token's scopes ask for.
pub async fn userinfo(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
) -> HttpResult {
    match claims(context, incoming, line).await {
        Ok(claims) => http::json(200, &claims),
        Err(problem) => {
            line.reason.get_or_insert_with(|| problem.reason.to_owned());
            http::problem(&problem)
        }
    }
}

async fn claims(
    context: Context<'_>,
    incoming: &Incoming,
    line: &mut RequestLine,
) -> Result<Value, ProblemDetails> {
    let config = context.config;
    let bearer = policy::bearer(incoming.authorization.as_ref().map(Secret::expose))?;
    let verified = runtime::tokens::verify_access_token(context, &Secret::new(bearer)).await;
    let verified = verified.map_err(policy::token_refused)?;
    let token = &verified.token;
    line.user = Some(verified.names.log(&config.names, &token.user).to_owned());
    let is_ours = token.user.issuer == config.public_url.identifier();
    if !is_ours {
        return Err(policy::refused(policy::FOREIGN_USER));
    }
    if !token.scopes.iter().any(|scope| scope == "openid") {
        return Err(policy::refused(policy::SCOPE));
    }
    let name = config.objects(Some(&token.client_id)).user_record(&token.user.subject);
    let answer = ask(context, name, user::Request::Get).await;
    match answer.map_err(|_| ProblemDetails::unavailable(5))? {
        user::Response::User(view) if !view.disabled => {
            Ok(tokens::userinfo(&token.user.subject, &view.profile, &token.scopes))
        }
        _ => Err(policy::refused(Refused::Disabled.reason())),
    }
}
