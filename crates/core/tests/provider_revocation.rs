// SPDX-License-Identifier: Apache-2.0
//! What revocation endpoints answer, and what a revocation reaches.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/answers.rs"]
mod answers;

use answers::connection_support::known;
use answers::{custom, received};
use serde_json::json;
use vault_provider::profile::RevokedToken;
use vault_provider::revocation::{self, Revocation, TokenTypeHint};
use vault_provider::token_response::ProviderResponse;

#[test]
fn a_revocation_is_called_done_on_the_providers_word_alone() {
    use Revocation::{Failed, Pending, Revoked};
    for (provider, status, body, told) in [
        ("box", 200, "", Revoked),
        ("box", 200, "<html>maintenance</html>", Pending),
        ("x", 200, r#"{"revoked":true}"#, Revoked),
        ("x", 200, r#"{"revoked":false}"#, Failed),
        ("slack", 200, r#"{"ok":true,"revoked":false}"#, Failed),
        ("box", 400, r#"{"error":"invalid_request"}"#, Failed),
        ("box", 401, r#"{"error":"invalid_client"}"#, Pending),
        ("box", 503, "", Pending),
        ("box", 429, "", Pending),
        ("google", 200, "{}", Revoked),
        ("google", 400, r#"{"error":"invalid_token"}"#, Revoked),
        ("github", 204, "", Revoked),
        // GitHub also sends this response if the client secret has expired.
        ("github", 404, r#"{"message":"Not Found"}"#, Pending),
        ("github", 422, r#"{"message":"Validation Failed"}"#, Failed),
        ("slack", 200, r#"{"ok":true,"revoked":true}"#, Revoked),
        ("slack", 200, r#"{"ok":false,"error":"token_revoked"}"#, Revoked),
        ("slack", 200, r#"{"ok":false,"error":"invalid_auth"}"#, Failed),
        ("slack", 200, r#"{"ok":false,"error":"ratelimited"}"#, Pending),
        ("slack", 200, r#"{"ok":false,"error":"fatal_error"}"#, Pending),
        ("box", 400, r#"{"error":"server_error"}"#, Pending),
        ("twitch", 400, r#"{"status":400,"message":"Invalid token"}"#, Revoked),
        ("salesforce", 400, r#"{"error":"invalid_token"}"#, Revoked),
        ("hubspot", 200, "", Revoked),
        ("hubspot", 400, r#"{"error":"invalid_grant","status":"BAD_REFRESH_TOKEN"}"#, Revoked),
        ("hubspot", 404, "", Failed),
        ("github_app", 404, r#"{"message":"Not Found"}"#, Pending),
        // The access token is invalid, which says nothing about the grant.
        ("notion", 400, r#"{"code":"invalid_grant"}"#, Failed),
        ("dropbox", 401, r#"{"error_summary":"expired_access_token/"}"#, Failed),
        ("zendesk", 401, "", Failed),
    ] {
        let connection = known(provider);
        let kind = match connection.revocation.token {
            RevokedToken::AccessToken => TokenTypeHint::Access,
            _ => TokenTypeHint::Refresh,
        };
        let outcome = revocation::outcome(&received(status, body), &connection, "", kind);
        assert_eq!(outcome, told, "{provider} {status} {body}");
    }
    assert_eq!(
        revocation::outcome(&ProviderResponse::Lost, &known("box"), "", TokenTypeHint::Refresh),
        Pending
    );
    // Without client authentication, a 404 can only mean the token.
    let by_path = custom(&json!({
        "revocation_endpoint": "https://idp.example/tokens/{token}",
        "revocation": {"method": "DELETE", "authentication": "none", "blast": "token"},
    }));
    let gone = revocation::outcome(&received(404, ""), &by_path, "", TokenTypeHint::Refresh);
    assert_eq!(gone, Revoked);
}

#[test]
fn a_revocation_never_reaches_further_than_the_account() {
    // Scope of the revocation: the token; the grant; the app. `shared`: another account depends on the same
    // grant.
    for (provider, alone, shared) in [
        ("github", true, true),
        ("google", true, false),
        ("intercom", false, false),
        ("box", true, false),
    ] {
        let connection = known(provider);
        assert_eq!(revocation::is_narrow(&connection, "", false), alone, "{provider}");
        assert_eq!(revocation::is_narrow(&connection, "", true), shared, "{provider}");
    }
    // A bot serves the whole workspace. Whether a kind that is no longer configured may be revoked is not
    // known.
    let slack = known("slack");
    assert!(slack.may_revoke("") && !slack.may_revoke("bot") && !slack.may_revoke("gone"));
}

#[test]
fn the_refresh_token_goes_first_and_an_access_token_is_got_where_only_that_is_taken() {
    let chosen = |provider: &str, refresh, access| {
        let chosen = revocation::choose(&known(provider), refresh, access);
        (chosen.refresh, chosen.access)
    };
    // RFC 7009: each valid token.
    assert_eq!(chosen("gitlab", true, true), (true, true));
    assert_eq!(chosen("box", true, true), (true, false));
    assert_eq!(chosen("box", false, true), (false, true));
    // An access token, which is obtained first if there is none.
    assert_eq!(chosen("notion", true, true), (false, true));
    assert_eq!(chosen("notion", true, false), (true, false));
}

#[test]
fn what_was_minted_for_a_deleted_account_goes_as_its_other_tokens_did() {
    let chosen = |provider: &str, kind: &str, anew: bool| {
        let chosen = revocation::choose_issued(&known(provider), kind, anew);
        (chosen.refresh, chosen.access)
    };
    assert_eq!(chosen("box", "", false), (true, false));
    assert_eq!(chosen("gitlab", "", false), (true, true));
    assert_eq!(chosen("slack", "bot", false), (false, false));
    // The same user has connected again: the revocation must not end the new grant.
    assert_eq!(chosen("gitlab", "", true), (false, false));
}
