// SPDX-License-Identifier: Apache-2.0
//! Who may use the connected-accounts API, and which errors its sessions cause.

use crate::config::{Client, Config};
use crate::connect::in_flight::MAX_IN_FLIGHT;
use crate::connect::record::{Denied, SESSION_LIFETIME};
use crate::error::{KEYS_UNUSABLE, ProblemDetails};
use vault_base::text;
use vault_jose::TokenError;
use vault_jose::access_token::AccessToken;

/// The scope to connect and complete.
pub const CREATE: &str = "create:me:connected_accounts";
/// The scope to list.
pub const READ: &str = "read:me:connected_accounts";
/// The scope to delete.
pub const DELETE: &str = "delete:me:connected_accounts";
/// The scope to list the user's identities.
pub const READ_IDENTITIES: &str = "read:me:identities";
/// The scope to unlink them.
pub const DELETE_IDENTITIES: &str = "delete:me:identities";

/// The log reason of a token without the scope of the request.
pub const SCOPE: &str = "scope";
/// The log reason of a token whose user does not sign in at this vault, where only those are served.
pub const FOREIGN_USER: &str = "foreign_user";
/// The log reason of a response that the page which asked for it may not read.
pub const ORIGIN_UNKNOWN: &str = "origin_unknown";

/// Reads `Authorization: Bearer` (RFC 6750 §2.1).
///
/// # Errors
/// 401 without a token.
pub fn bearer(authorization: Option<&str>) -> Result<&str, ProblemDetails> {
    authorization
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|token| !token.is_empty())
        .ok_or_else(|| {
            ProblemDetails::new(401, "Send the user's access token as Authorization: Bearer.")
        })
}

/// The error for an access token that cannot be verified.
pub fn token_refused(error: TokenError) -> ProblemDetails {
    match error {
        TokenError::KeysUnavailable => ProblemDetails::unavailable(5).because(error.reason()),
        TokenError::KeysUnusable => {
            let problem = ProblemDetails::new(503, KEYS_UNUSABLE).because(error.reason());
            ProblemDetails { retry_after: Some(60), ..problem }
        }
        _ => refused(error.reason()),
    }
}

/// The error for every access token that is not accepted here. Only the log has the reason.
pub fn refused(reason: &'static str) -> ProblemDetails {
    let problem = ProblemDetails::new(
        401,
        "The access token is not accepted. Check that it is of a trusted issuer, unexpired, with a \
         life of 24 hours at most, for the audience of this API, and issued to a client of this \
         vault.",
    );
    problem.because(reason)
}

/// Checks that a verified token may be used here: its audience is this API, it has the scope, and
/// it was issued to a client of ours. Returns that client.
///
/// # Errors
/// 401 or 403.
pub fn check<'a>(
    config: &'a Config,
    token: &AccessToken,
    scope: &'static str,
) -> Result<&'a Client, ProblemDetails> {
    let refused = |error: TokenError| refused(error.reason());
    let issuer = config.issuers.get(&token.user.issuer);
    let issuer = issuer.ok_or_else(|| refused(TokenError::Issuer))?;
    let own = config.public_url.me();
    if !token.audiences.contains(issuer.api_audience.as_ref().unwrap_or(&own)) {
        return Err(refused(TokenError::Audience));
    }
    let client = config.clients.get(&token.client_id).ok_or_else(|| refused(TokenError::Client))?;
    if token.scopes.iter().any(|granted| granted == scope) {
        return Ok(client);
    }
    let problem = ProblemDetails::new(403, format!("The access token lacks the scope {scope}."));
    Err(problem.because(SCOPE))
}

/// Checks that the user of a token is one of the vault itself: only those have identities here. Returns the
/// `sub`.
///
/// # Errors
/// 403.
pub fn own_user<'a>(config: &Config, token: &'a AccessToken) -> Result<&'a str, ProblemDetails> {
    if config.sign_in.is_some() && token.user.issuer == config.public_url.identifier() {
        return Ok(&token.user.subject);
    }
    let problem = ProblemDetails::new(
        403,
        "The access token is of another issuer. Only users who sign in at this vault have identities here.",
    );
    Err(problem.because(FOREIGN_USER))
}

/// Whether a preflight from this origin is answered: the origin belongs to a client. The client of
/// the request that follows is not known yet.
pub fn preflight_allowed(config: &Config, origin: &str) -> bool {
    config.clients.values().any(|client| client.origins.iter().any(|own| own == origin))
}

/// Checks that a browser on this origin may make requests of this client.
///
/// # Errors
/// 403.
pub fn check_origin(client: &Client, origin: Option<&str>) -> Result<(), ProblemDetails> {
    match origin {
        Some(origin) if !client.origins.iter().any(|own| own == origin) => {
            let problem =
                ProblemDetails::new(403, "This origin is not among the client's origins.");
            Err(problem.because("origin"))
        }
        _ => Ok(()),
    }
}

/// The error for a client that would delete an account at a connection that it may not use.
pub fn not_among_connections() -> ProblemDetails {
    let problem = ProblemDetails::new(
        403,
        "The account is at a connection that is not among the client's connections, so it was not deleted. \
         Delete it with a client that may use the connection, or whose account_access is all.",
    );
    problem.because("connection")
}

/// The error for an application whose user has too many connects in flight. `retry_after` is in seconds.
pub fn too_many_in_flight(retry_after: i64) -> ProblemDetails {
    ProblemDetails {
        retry_after: Some(retry_after),
        ..ProblemDetails::new(
            429,
            format!(
                "This user has {MAX_IN_FLIGHT} connects in flight, and may have no more. Finish one: a connect \
                 counts until it is completed or cancelled, and for {} minutes at most. Or try again after the \
                 seconds in Retry-After.",
                SESSION_LIFETIME / 60
            ),
        )
    }
}

/// A cause of [`Denied::Unnamed`] in words.
fn unnamed(cause: &str) -> String {
    let words = match cause {
        "userinfo_signed" => "its userinfo response is a signed JWT, and the vault reads JSON only",
        "userinfo_not_json" => "its userinfo response is not JSON, or too large",
        "userinfo_repeats_member" => "its userinfo response has two ids",
        "userinfo_without_id" => "its userinfo response has no id where the connection expects it",
        "no_userinfo" => "there is no userinfo endpoint, or the token response has no id",
        "callback_without_id" => "the callback has no id",
        // The causes that are left have the status in their word.
        other => {
            return text::description(&other.replace("userinfo_http_", "userinfo has status "));
        }
    };
    words.to_owned()
}

/// The error for an application whose completion is denied.
pub fn completion_denied(denied: Denied) -> ProblemDetails {
    let reason = denied.reason();
    let problem = match denied {
        Denied::Unknown | Denied::OtherProvider | Denied::OtherBrowser => ProblemDetails::new(
            400,
            "auth_session and connect_code do not belong to a connect that waits for completion.",
        ),
        Denied::Used => ProblemDetails::new(
            409,
            "This connect is over: it has failed, its account was deleted, or another request completed it. Start \
             a new one.",
        ),
        Denied::Expired => ProblemDetails::new(
            400,
            "The connect_code has expired; complete within 60 seconds. Start a new connect.",
        ),
        Denied::OtherUser => ProblemDetails::new(
            403,
            "Another user or client began this connect. It has been ended; nothing was connected.",
        ),
        Denied::OtherRedirect => ProblemDetails::new(
            400,
            "redirect_uri differs from the one of the connect request. Start a new connect.",
        ),
        Denied::Verifier => ProblemDetails::new(
            400,
            "code_verifier does not fit: send the verifier of code_challenge if and only if the \
             connect request had one. Start a new connect.",
        ),
        Denied::CodeRefused => ProblemDetails::new(
            400,
            "The provider refused its authorization code. Start a new connect.",
        ),
        Denied::ProviderUnavailable => ProblemDetails::new(
            502,
            "The provider's answer was lost or unreadable. Nothing was connected; start a new \
             connect.",
        ),
        Denied::ProviderMisconfigured => ProblemDetails::new(
            502,
            "The provider does not accept this vault's registration, or publishes no metadata or keys that \
             the vault can use. The vault's operator must act.",
        ),
        Denied::Identity => ProblemDetails::new(
            502,
            "The provider's ID token is not valid, so nobody knows who the user is. Nothing was connected. The \
             vault's operator must act: the log has the cause.",
        ),
        Denied::Unnamed { cause } => ProblemDetails::new(
            502,
            format!(
                "The provider does not tell who the user is: {}. Nothing was connected. The vault's operator \
                 must act.",
                unnamed(&cause)
            ),
        ),
        Denied::RegistrationChanged => ProblemDetails {
            retry_after: Some(60),
            ..ProblemDetails::new(
                503,
                "The connection stands for another provider or client_id than when this connect began. \
                 The vault's operator must act. Nothing was changed.",
            )
        },
        Denied::UnknownUser => ProblemDetails::new(
            409,
            "The provider gave no refresh token, the account has one, and the provider does not tell \
             whether both are the same user's, so nothing was changed. Delete the account first, or make \
             the provider ask for consent again, so that it gives a refresh token.",
        ),
        Denied::Narrower { missing } => ProblemDetails::new(
            409,
            format!(
                "The user granted less than the account already has, so nothing was changed. \
                 Missing: {}. Connect again with these scopes, or delete the account first to give \
                 them up.",
                text::description(&missing.join(" "))
            ),
        ),
        Denied::NotStored => ProblemDetails {
            retry_after: Some(5),
            ..ProblemDetails::new(
                503,
                "The connect is not finished yet; send the same request again, within ten minutes.",
            )
        },
    };
    problem.because(reason)
}
