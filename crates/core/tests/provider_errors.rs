// SPDX-License-Identifier: Apache-2.0
//! What a refusal or a failure of a token endpoint means, by the codes of each provider.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/answers.rs"]
mod answers;

use answers::connection_support::known;
use answers::{NOW, custom, plain, renewed};
use serde_json::json;
use vault_base::secret::Secret;
use vault_provider::error_codes::TokenEndpointError;
use vault_provider::revocation::{self, Revocation, TokenTypeHint};
use vault_provider::token_response::{self, ProviderResponse};

#[test]
fn only_a_clear_verdict_ends_a_grant() {
    let refused = TokenEndpointError::Refused("invalid_grant".into());
    assert_eq!(plain(400, r#"{"error":"invalid_grant"}"#).unwrap_err(), refused);
    let unclear = TokenEndpointError::Ambiguous { retry_after: None };
    assert_eq!(plain(502, "Bad Gateway").unwrap_err(), unclear);
    for (body, cause) in [
        ("<html>", "answer_not_json"),
        ("", "answer_not_json"),
        ("[]", "answer_not_json"),
        (r#"{"access_token":"a""#, "answer_not_json"),
        ("access_token\u{fffd}", "answer_not_utf8"),
        ("{}", "answer_without_token"),
        (r#"{"access_token":7}"#, "answer_without_token"),
        (r#"{"access_token":"a","access_token":"b"}"#, "answer_repeats_member"),
        ("access_token=a&access_token=b", "answer_repeats_member"),
        (
            r#"{"access_token":"a","refresh_token":"r","refresh_token":"s"}"#,
            "answer_repeats_member",
        ),
        (r#"{"access_token":"a","scope":"x","scope":"y"}"#, "answer_repeats_member"),
        (
            r#"{"access_token":"a","token_type":"mac","token_type":"bearer"}"#,
            "answer_repeats_member",
        ),
        (r#"{"access_token":"a","expires_in":1,"expires_in":2}"#, "answer_repeats_member"),
        (r#"{"error":"invalid_grant","error":"x"}"#, "answer_repeats_member"),
        (r#"{"access_token":"a","error":true}"#, "answer_with_error"),
    ] {
        let failure = plain(200, body).unwrap_err();
        assert_eq!(failure, TokenEndpointError::Unreadable(cause), "{body}");
        assert_eq!(failure.word(), cause);
    }
    let contradiction = r#"{"error":"invalid_grant","error":"x"}"#;
    let unexplained = TokenEndpointError::Unexplained("http_400".into());
    assert_eq!(plain(400, contradiction).unwrap_err(), unexplained);
    // Some providers report a rate limit with 403 and a time to wait.
    let refused = |status, retry_after: Option<&str>| ProviderResponse::Answer {
        status,
        retry_after: retry_after.map(Into::into),
        body: Secret::new(r#"{"error":"invalid_grant"}"#),
    };
    for (status, limited) in [(403, true), (429, true), (400, false)] {
        let answer = refused(status, Some("120"));
        let told = token_response::renewed(&answer, &custom(&json!({})), NOW).unwrap_err();
        assert_eq!(
            told == TokenEndpointError::Unavailable { retry_after: Some(120) },
            limited,
            "{status}"
        );
        assert_eq!(token_response::may_pass(&answer), limited, "{status}");
        let told = revocation::outcome(&answer, &known("github"), "", TokenTypeHint::Access);
        assert_eq!(told == Revocation::Pending, limited, "{status}");
    }
    assert!(!token_response::may_pass(&refused(403, None)));
    let connection = custom(&json!({}));
    assert_eq!(
        token_response::renewed(&ProviderResponse::Lost, &connection, NOW).unwrap_err(),
        TokenEndpointError::Ambiguous { retry_after: None }
    );
}

#[test]
fn what_a_server_error_proves_depends_on_whose_it_is() {
    let unavailable = || TokenEndpointError::Unavailable { retry_after: Some(120) };
    let unclear = || TokenEndpointError::Ambiguous { retry_after: Some(120) };
    let transient = r#"{"code":"busy"}"#;
    let plain = json!({"errors": {"members": ["error", "code"], "transient": ["busy"]}});
    for (statuses, body, failure) in [
        // The provider's own code says that it did nothing.
        (&[400, 429, 500, 503][..], r#"{"error":"temporarily_unavailable"}"#, unavailable()),
        (&[400, 429, 500, 503], transient, unavailable()),
        // A gateway sends these statuses about a request that it has passed on.
        (&[502, 504], r#"{"error":"temporarily_unavailable"}"#, unclear()),
        (&[502, 504], transient, unclear()),
        // A provider that failed may have failed after it had replaced the refresh token.
        (&[400, 500, 502, 503, 504], r#"{"error":"server_error"}"#, unclear()),
        // These bodies are not the provider's, or not about this request.
        (&[500, 502, 503, 504], r#"{"error":"invalid_grant"}"#, unclear()),
        (&[500, 502, 503, 504], r#"{"error":"invalid_client"}"#, unclear()),
        (&[500, 502, 503, 504], r#"{"status":503,"error":"Service Unavailable"}"#, unclear()),
        (&[500, 502, 503, 504], r#"{"message":"no healthy upstream"}"#, unclear()),
        (&[500, 502, 503, 504], "<html>Service Unavailable</html>", unclear()),
        (&[500, 502, 503, 504], "", unclear()),
        // A limit is checked before the request is processed, also by a gateway.
        (&[429, 403], "<html>Too Many Requests</html>", unavailable()),
        (&[429, 403], "", unavailable()),
    ] {
        for status in statuses {
            let (retry_after, body) = (Some("120".into()), Secret::new(body.to_owned()));
            let down = ProviderResponse::Answer { status: *status, retry_after, body };
            let told = token_response::renewed(&down, &custom(&plain), NOW);
            // Of a service that is down, the time to wait is believed.
            let expected = match (*status, &failure) {
                (503, TokenEndpointError::Ambiguous { retry_after }) => {
                    TokenEndpointError::Down { retry_after: *retry_after }
                }
                _ => failure.clone(),
            };
            assert_eq!(told.unwrap_err(), expected, "{status}");
        }
    }
}

#[test]
fn a_refusal_without_a_code_is_unexplained_unless_its_status_is_listed_or_says_more() {
    let unexplained = |status: u16| TokenEndpointError::Unexplained(format!("http_{status}"));
    let unclear = || TokenEndpointError::Ambiguous { retry_after: None };
    for body in ["", "<html>", "{}", r#"{"message":"no"}"#, r#"{"error":{"code":"invalid_grant"}}"#]
    {
        for status in [400, 402, 403, 409, 418, 422, 451] {
            assert_eq!(plain(status, body).unwrap_err(), unexplained(status), "{status} {body}");
        }
        // These ask for the same request again.
        for status in [408, 425] {
            assert_eq!(plain(status, body).unwrap_err(), unclear(), "{status} {body}");
        }
    }
    assert_eq!(unexplained(400).word(), "http_400");
    let later = ProviderResponse::Answer {
        status: 400,
        retry_after: Some("7".into()),
        body: Secret::new(""),
    };
    assert_eq!(
        token_response::renewed(&later, &custom(&json!({})), NOW).unwrap_err(),
        TokenEndpointError::Ambiguous { retry_after: Some(7) }
    );
    // The operator may know what a status means at this provider. A code in the body goes before, and of a
    // server error no grant ends.
    let known = custom(&json!({"errors": {
        "permanent": ["http_400", "http_401", "http_503"], "transient": ["http_500", "http_502"],
        "misconfigured": ["http_422"],
    }}));
    for (status, body, failure) in [
        (400, "", TokenEndpointError::Refused("http_400".into())),
        (400, "<html>", TokenEndpointError::Refused("http_400".into())),
        (401, "", TokenEndpointError::Refused("http_401".into())),
        (422, "", TokenEndpointError::Misconfigured("http_422".into())),
        (500, "", TokenEndpointError::Unavailable { retry_after: None }),
        (502, "", unclear()),
        (503, "", TokenEndpointError::Down { retry_after: None }),
        (
            400,
            r#"{"error":"invalid_client"}"#,
            TokenEndpointError::Misconfigured("invalid_client".into()),
        ),
        (200, "", TokenEndpointError::Unreadable("answer_not_json")),
    ] {
        assert_eq!(renewed(&known, status, body).unwrap_err(), failure, "{status} {body}");
    }
}

#[test]
fn of_an_answer_that_breaks_off_a_complete_object_counts_with_its_status() {
    let broken = |status, body: &str| {
        ProviderResponse::broken_off(status, Some("7".into()), Secret::new(body.to_owned()))
    };
    let read = |received| token_response::renewed(&received, &custom(&json!({})), NOW);
    for body in [
        r#"{"access_token":"a"}"#,
        "\u{feff}{\"access_token\":\"a\"}",
        " {\"access_token\":\"a\"} ",
    ] {
        assert_eq!(read(broken(200, body)).unwrap().access_token.expose(), "a", "{body}");
        let granted = token_response::granted(&broken(200, body), &custom(&json!({})), NOW);
        assert_eq!(granted.unwrap().tokens.access_token.expose(), "a", "{body}");
    }
    let refused = broken(400, r#"{"error":"invalid_grant"}"#);
    assert_eq!(read(refused).unwrap_err(), TokenEndpointError::Refused("invalid_grant".into()));
    assert_eq!(broken(429, "{}").seconds_to_wait(NOW), Some(7));
    // A form and a page may go on, and of an empty body nothing is known.
    for body in [
        r#"{"access_token":"a""#,
        r#"{"access_token":"a","refresh_token":"r"#,
        r#"{"a":{"access_token":"a"}"#,
        "access_token=a&refresh_token=r",
        "[]",
        "<html>",
        "",
    ] {
        assert!(matches!(broken(200, body), ProviderResponse::Cut { .. }), "{body}");
    }
}

#[test]
fn our_own_mistakes_are_told_apart_from_the_users_grant() {
    for (status, body, code) in [
        (401, r#"{"error":"invalid_client"}"#, "invalid_client"),
        (401, "", "invalid_client"),
        (400, r#"{"error":"unauthorized_client"}"#, "unauthorized_client"),
        (307, "", "redirect"),
        (404, "not found", "http_404"),
        // Codes are stored and logged, so text that does not have the syntax of a code is replaced.
        (400, r#"{"error":"a b"}"#, "unregistered"),
    ] {
        let failure = plain(status, body).unwrap_err();
        assert_eq!(failure, TokenEndpointError::Misconfigured(code.into()), "{status} {body}");
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn dead_down_and_misconfigured_are_told_apart_by_each_providers_own_codes() {
    let down = TokenEndpointError::Unavailable { retry_after: None };
    let dead = |code: &str| TokenEndpointError::Refused(code.to_owned());
    let ours = |code: &str| TokenEndpointError::Misconfigured(code.to_owned());
    for (provider, status, body, meaning) in [
        ("github", 200, json!({"error": "bad_refresh_token"}), dead("bad_refresh_token")),
        ("github_app", 200, json!({"error": "bad_refresh_token"}), dead("bad_refresh_token")),
        (
            "github",
            200,
            json!({"error": "incorrect_client_credentials"}),
            ours("incorrect_client_credentials"),
        ),
        (
            "slack",
            200,
            json!({"ok": false, "error": "invalid_refresh_token"}),
            dead("invalid_refresh_token"),
        ),
        ("slack", 200, json!({"ok": false, "error": "ratelimited"}), down.clone()),
        ("slack", 200, json!({"ok": false, "error": "service_unavailable"}), down.clone()),
        // At Slack, part of the operation may have succeeded.
        (
            "slack",
            200,
            json!({"ok": false, "error": "fatal_error"}),
            TokenEndpointError::Ambiguous { retry_after: None },
        ),
        (
            "slack",
            200,
            json!({"ok": false, "error": "bad_client_secret"}),
            ours("bad_client_secret"),
        ),
        (
            "google",
            400,
            json!({"error": "invalid_grant", "error_subtype": "invalid_rapt"}),
            dead("invalid_rapt"),
        ),
        (
            "microsoft",
            400,
            json!({"error": "invalid_grant", "error_codes": [700_082]}),
            dead("700082"),
        ),
        // Reported as temporary: https://github.com/BingAds/BingAds-Python-SDK/issues/279.
        (
            "microsoft",
            400,
            json!({"error": "invalid_grant", "error_codes": [70_000]}),
            TokenEndpointError::Unlisted("70000".into()),
        ),
        (
            "entra",
            400,
            json!({"error": "invalid_grant", "suberror": "device_authentication_failed", "error_codes": [1]}),
            TokenEndpointError::Unlisted("1".into()),
        ),
        ("microsoft", 400, json!({"error": "invalid_grant"}), dead("invalid_grant")),
        (
            "microsoft",
            400,
            json!({"error": "interaction_required", "suberror": "basic_action", "error_codes": [50_076]}),
            TokenEndpointError::Consent("interaction_required".into()),
        ),
        (
            "microsoft",
            401,
            json!({"error": "invalid_client", "error_codes": [7_000_222]}),
            ours("7000222"),
        ),
        (
            "microsoft",
            400,
            json!({"error": "invalid_grant", "suberror": "consent_required", "error_codes": [65_001]}),
            TokenEndpointError::Consent("consent_required".into()),
        ),
        (
            "entra",
            400,
            json!({"error": "temporarily_unavailable", "error_codes": [90_033]}),
            down.clone(),
        ),
        // A rate limit, which does not end the grant.
        (
            "microsoft",
            400,
            json!({"error": "invalid_grant", "error_codes": [50_196]}),
            down.clone(),
        ),
        ("entra", 400, json!({"error": "invalid_grant", "error_codes": [50_196]}), down.clone()),
        (
            "atlassian",
            403,
            json!({"error": "unauthorized_client", "error_description": "refresh_token is invalid"}),
            dead("refresh_token is invalid"),
        ),
        (
            "atlassian",
            403,
            json!({"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."}),
            dead("invalid_grant"),
        ),
        (
            "atlassian",
            401,
            json!({"error": "access_denied", "error_description": "Unauthorized"}),
            ours("access_denied"),
        ),
        (
            "hubspot",
            400,
            json!({
                "error": "invalid_grant",
                "error_description": "refresh token is invalid, expired or revoked",
                "status": "BAD_REFRESH_TOKEN",
            }),
            dead("BAD_REFRESH_TOKEN"),
        ),
        (
            "salesforce",
            400,
            json!({"error": "invalid_grant", "error_description": "expired access/refresh token"}),
            dead("invalid_grant"),
        ),
        (
            "salesforce",
            400,
            json!({"error": "invalid_grant", "error_description": "login rate exceeded"}),
            down.clone(),
        ),
        (
            "notion",
            400,
            json!({"object": "error", "code": "invalid_grant", "status": 400}),
            dead("invalid_grant"),
        ),
        (
            "notion",
            401,
            json!({"object": "error", "code": "invalid_client", "status": 401}),
            ours("invalid_client"),
        ),
        (
            "x",
            400,
            json!({"error": "invalid_request", "error_description": "Value passed for the token was invalid."}),
            dead("Value passed for the token was invalid."),
        ),
        (
            "x",
            400,
            json!({"error": "invalid_request", "error_description": "Missing required parameter [grant_type]."}),
            ours("invalid_request"),
        ),
        (
            "hubspot",
            400,
            json!({"status": "BAD_REFRESH_TOKEN", "message": "missing or invalid refresh token"}),
            dead("BAD_REFRESH_TOKEN"),
        ),
        (
            "twitch",
            400,
            json!({"status": 400, "message": "Invalid refresh token"}),
            dead("Invalid refresh token"),
        ),
        (
            "twitch",
            403,
            json!({"status": 403, "message": "invalid client secret"}),
            ours("invalid client secret"),
        ),
        (
            "fitbit",
            400,
            json!({"success": false, "errors": [{"errorType": "invalid_grant"}]}),
            dead("invalid_grant"),
        ),
        // The catalogue has no source for this code, so it does not end the grant.
        (
            "zoom",
            400,
            json!({"reason": "Invalid Token!", "error": "invalid_request"}),
            ours("invalid_request"),
        ),
    ] {
        let failure = renewed(&known(provider), status, &body.to_string()).unwrap_err();
        assert_eq!(failure, meaning, "{provider} {body}");
    }
}
