// SPDX-License-Identifier: Apache-2.0
//! `/me/v1/identities`: the accounts that sign in as a user of the vault, and the end of a link.

use serde_json::Value;

use super::ask;
use super::sign_in::answer;
use crate::error::ProblemDetails;
use crate::issuer::identities::{self, Unlinked, Unlinking};
use crate::issuer::user;
use crate::request_line::RequestLine;
use crate::runtime::context::Context;
use crate::runtime::object_call::CallError;

/// Lists the identities of a user.
pub async fn list(
    context: Context<'_>,
    sub: &str,
) -> Result<Result<Value, ProblemDetails>, CallError> {
    let name = context.config.objects(None).user_record(sub);
    Ok(match ask(context, name, user::Request::Get).await? {
        user::Response::User(view) => Ok(identities::list(&view)),
        _ => Err(ProblemDetails::unavailable(5)),
    })
}

/// Unlinks the identity with this id from a user.
pub async fn unlink(
    context: Context<'_>,
    sub: &str,
    id: &str,
    line: &mut RequestLine,
) -> Result<Result<(), ProblemDetails>, CallError> {
    let mut unlinking = Unlinking::new(sub, id);
    // No path is longer.
    for _ in 0..8 {
        if let Some(identity) = unlinking.identity() {
            line.connection = Some(identity.connection.clone());
        }
        let answer = answer(context, None, unlinking.identity(), unlinking.question()).await?;
        match unlinking.answered(answer) {
            Unlinked::More => {}
            Unlinked::Done => return Ok(Ok(())),
            Unlinked::Unknown => {
                return Ok(Err(ProblemDetails::new(404, "The user has no identity with this id.")));
            }
            Unlinked::Last => {
                let detail = "This is the user's last identity. Link another account before this one is unlinked.";
                return Ok(Err(ProblemDetails::new(409, detail)));
            }
        }
    }
    Err(CallError::Unavailable)
}
