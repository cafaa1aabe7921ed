// SPDX-License-Identifier: Apache-2.0
//! Responses of providers as each connection reads them: tokens, errors, revocations, identities.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/connection.rs"]
mod connection_support;

use connection_support::known;
use serde_json::{Value, json};
use vault_base::ids::AccountId;
use vault_base::secret::Secret;
use vault_core::vault::consent;
use vault_provider::connection::Connection;
use vault_provider::error_codes::TokenEndpointError;
use vault_provider::profile::RevokedToken;
use vault_provider::revocation::{self, Revocation, TokenTypeHint};
use vault_provider::token_response::{
    self, CodeResponse, Lifetime, ProviderResponse, TokenResponse,
};
use vault_provider::userinfo::NoUserInfo;
use vault_provider::{scopes, userinfo};

const NOW: i64 = 1_795_492_800;

/// A connection to a provider that is not in the catalogue, with these fields.
fn custom(more: &Value) -> Connection {
    let mut entry = json!({
        "kind": "oauth2", "client_id": "vault",
        "authorization_endpoint": "https://idp.example/a", "token_endpoint": "https://idp.example/t",
    });
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    connection(&entry)
}

fn connection(entry: &Value) -> Connection {
    connection_support::connection(entry).unwrap()
}

fn received(status: u16, body: &str) -> ProviderResponse {
    ProviderResponse::Answer { status, retry_after: None, body: Secret::new(body.to_owned()) }
}

fn granted(connection: &Connection, body: &Value) -> Result<CodeResponse, TokenEndpointError> {
    token_response::granted(&received(200, &body.to_string()), connection, NOW)
}

fn renewed(
    connection: &Connection,
    status: u16,
    body: &str,
) -> Result<TokenResponse, TokenEndpointError> {
    token_response::renewed(&received(status, body), connection, NOW)
}

/// The result of a refresh at a provider that follows the RFCs.
fn plain(status: u16, body: &str) -> Result<TokenResponse, TokenEndpointError> {
    renewed(&custom(&json!({})), status, body)
}

#[test]
fn a_plain_answer_is_read() {
    let body = r#"{"access_token":"a","refresh_token":"r","expires_in":3600,"scope":"x y x","token_type":"bearer"}"#;
    let tokens = plain(200, body).unwrap();
    assert_eq!(tokens.access_token.expose(), "a");
    assert_eq!(tokens.refresh_token.unwrap().expose(), "r");
    assert_eq!(tokens.lifetime, Lifetime::Seconds(3600));
    assert_eq!(tokens.scopes.unwrap(), ["x", "y"]);
}

#[test]
fn odd_but_honest_answers_are_read() {
    let tokens = plain(200, "access_token=a&scope=repo%2Cuser&token_type=bearer").unwrap();
    assert_eq!(tokens.access_token.expose(), "a");
    let body = r#"{"access_token":"a","expires_in":"60","scope":["x"],"refresh_token":""}"#;
    let tokens = plain(200, body).unwrap();
    assert_eq!(tokens.lifetime, Lifetime::Seconds(60));
    assert_eq!(tokens.scopes.unwrap(), ["x"]);
    assert!(tokens.refresh_token.is_none());
    let body = r#"{"access_token":"a","scope":"repo,user"}"#;
    assert_eq!(renewed(&known("github"), 200, body).unwrap().scopes.unwrap(), ["repo", "user"]);
}

#[test]
fn tokens_are_found_in_either_of_two_places() {
    let connection = custom(&json!({"answer_path": "data.0|", "refresh_answer_path": "new|"}));
    let found = |body: Value| {
        let tokens = granted(&connection, &body).map(|granted| granted.tokens);
        tokens.map(|tokens| tokens.access_token.expose().to_owned())
    };
    let (listed, plain) = (json!({"data": [{"access_token": "a"}]}), json!({"access_token": "b"}));
    assert_eq!(found(listed.clone()).unwrap(), "a");
    assert_eq!(found(plain.clone()).unwrap(), "b");
    // The first place counts if anything is there.
    let both = json!({"data": [{"access_token": ""}], "access_token": "b"});
    assert_eq!(found(both).unwrap_err(), TokenEndpointError::Unreadable("answer_without_token"));
    // Without an alternative, there is one place.
    let one = custom(&json!({"answer_path": "data.0"}));
    assert_eq!(granted(&one, &listed).unwrap().tokens.access_token.expose(), "a");
    assert!(granted(&one, &plain).is_err());
    let body = json!({"new": {"access_token": "c", "refresh_token": "r"}}).to_string();
    assert_eq!(renewed(&connection, 200, &body).unwrap().access_token.expose(), "c");
    let body = ProviderResponse::Answer { status: 200, retry_after: None, body: Secret::new(body) };
    let next = token_response::successor(&body, &connection, &Secret::new("old"));
    assert_eq!(next.unwrap().expose(), "r");
}

#[test]
fn lifetimes_that_are_none_count_as_untold() {
    for value in [
        "-1",
        "null",
        "\"\"",
        "\"3600s\"",
        "\"x\"",
        "\"NaN\"",
        "\"1.5e9\"",
        "\"-5\"",
        "99999999999999",
        "1e18",
        "1e400",
        "18446744073709551616",
    ] {
        let body = format!(r#"{{"access_token":"a","expires_in":{value}}}"#);
        assert_eq!(plain(200, &body).unwrap().lifetime, Lifetime::Untold, "{value}");
    }
}

#[test]
fn a_lifetime_is_read_as_its_provider_means_it() {
    let lives = |more: Value, body: Value| {
        let connection = custom(&more);
        let tokens = granted(&connection, &body).unwrap().tokens;
        let renewable = tokens.refresh_token.is_some();
        token_response::seconds_to_live(&connection, tokens.lifetime, renewable, None)
    };
    for whole in [json!(3600.9), json!("3600.9"), json!(3.6009e3), json!(" 3600 ")] {
        let body = json!({"access_token": "a", "expires_in": whole});
        assert_eq!(lives(json!({}), body.clone()), Some(3600), "{body}");
    }
    let zero = json!({"access_token": "a", "expires_in": 0});
    assert_eq!(lives(json!({}), zero.clone()), Some(0));
    assert_eq!(lives(json!({"zero_expires_in": "never"}), zero), None);
    let never = json!({"missing_expires_in": "never"});
    let renewable =
        |told: Value| json!({"access_token": "a", "refresh_token": "r", "expires_in": told});
    assert_eq!(lives(never.clone(), renewable(json!(null))), None);
    assert_eq!(lives(never.clone(), renewable(json!(60))), Some(60));
    assert_eq!(lives(never, renewable(json!("3600s"))), Some(3600));
    // An assumed lifetime must not end a token that cannot be refreshed.
    let untold = json!({"access_token": "a", "refresh_token": "r"});
    assert_eq!(lives(json!({"default_expires_in": 900}), untold.clone()), Some(900));
    assert_eq!(lives(json!({}), untold), Some(3600));
    assert_eq!(lives(json!({"default_expires_in": 900}), json!({"access_token": "a"})), None);
    let again = renewed(&known("salesforce"), 200, r#"{"access_token":"a"}"#).unwrap();
    let lives = |before| {
        token_response::seconds_to_live(&known("salesforce"), again.lifetime, true, before)
    };
    assert_eq!((lives(None), lives(Some(7200))), (Some(900), Some(7200)));
    let lives = |more: Value, body: Value| granted(&custom(&more), &body).unwrap().tokens.lifetime;
    for (unit, seconds) in [("seconds", 7200), ("minutes", 432_000), ("milliseconds", 7)] {
        let rules = json!({"expires_in_member": "ttl", "expires_in_unit": unit});
        let told = lives(rules, json!({"access_token": "a", "ttl": "7200"}));
        assert_eq!(told, Lifetime::Seconds(seconds));
    }
    for (told, lifetime) in [
        (json!("2026-11-24T05:00:00Z"), Lifetime::Seconds(3600)),
        // The time has passed: the token is over.
        (json!("2026-11-24T03:59:59Z"), Lifetime::Seconds(0)),
        (json!("2026-11-24"), Lifetime::Untold),
        (json!("2126-11-24T05:00:00Z"), Lifetime::Untold),
        (json!(null), Lifetime::Untold),
    ] {
        let rules = json!({"expires_in_member": "expires_at", "expires_in_unit": "date_time"});
        let body = json!({"access_token": "a", "expires_at": told});
        assert_eq!(lives(rules, body), lifetime, "{told}");
    }
    assert_eq!(
        granted(&known("mailchimp"), &json!({"access_token": "a", "expires_in": 0}))
            .unwrap()
            .tokens
            .lifetime,
        Lifetime::Endless
    );
}

#[test]
fn the_operator_is_told_of_a_life_that_is_counted_on_without_the_providers_word() {
    let custom = |more: Value| custom(&more);
    for (connection, lifetime, renewable, told) in [
        (custom(json!({})), Lifetime::Untold, true, true),
        (custom(json!({})), Lifetime::Untold, false, false),
        (custom(json!({})), Lifetime::Seconds(5), true, false),
        (custom(json!({"default_expires_in": 9})), Lifetime::Untold, true, false),
    ] {
        assert_eq!(token_response::is_lifetime_assumed(&connection, lifetime, renewable), told);
    }
}

#[test]
fn a_member_error_is_one_unless_it_names_none() {
    for error in [
        "\"\"",
        "\" \"",
        "false",
        "0",
        "0.0",
        "[]",
        "{}",
        "null",
        r#"{"code":"ok"}"#,
        r#"{"code":0}"#,
    ] {
        let body = format!(r#"{{"access_token":"a","error":{error}}}"#);
        assert_eq!(plain(200, &body).unwrap().access_token.expose(), "a", "{error}");
    }
    let unclear = || TokenEndpointError::Unreadable("answer_with_error");
    for (error, failure) in [
        ("\"x\"", TokenEndpointError::Misconfigured("x".into())),
        ("true", unclear()),
        ("1", unclear()),
        ("[0]", unclear()),
        (r#"{"code":"access_token_invalid"}"#, unclear()),
        (r#"{"message":"no"}"#, unclear()),
    ] {
        let body = format!(r#"{{"access_token":"a","error":{error}}}"#);
        assert_eq!(plain(200, &body).unwrap_err(), failure, "{error}");
    }
}

#[test]
fn an_access_token_that_no_header_can_carry_is_not_taken() {
    for bad in ["a b", "a\\nx-evil: 1", "\\u00e9", "a\\u0000"] {
        let body =
            format!(r#"{{"access_token":"{bad}","refresh_token":"r2","token_type":"bearer"}}"#)
                .replace("\\\\", "\\");
        assert_eq!(plain(200, &body).unwrap_err(), TokenEndpointError::UnusableToken, "{body}");
    }
    for good in ["a!b|c", "ya29.a0-_~+/=", "00D!AQ"] {
        let body = format!(r#"{{"access_token":"{good}"}}"#);
        assert_eq!(plain(200, &body).unwrap().access_token.expose(), good);
    }
}

#[test]
fn a_new_refresh_token_is_found_whatever_else_is_odd_about_a_successful_answer() {
    let connection = custom(&json!({}));
    let sent = Secret::new("r1");
    let next = |status, body: &str| {
        let next = token_response::successor(&received(status, body), &connection, &sent);
        next.map(|next| next.expose().to_owned())
    };
    for body in [
        r#"{"access_token":"a","refresh_token":"r2"}"#,
        r#"{"access_token":"a b","refresh_token":"r2"}"#,
        r#"{"refresh_token":"r2"}"#,
        r#"{"access_token":"a","token_type":"mac","refresh_token":"r2"}"#,
        r#"{"error":"none","refresh_token":"r2"}"#,
        r#"{"refresh_token":"r2","name":"\ud800"}"#,
        r#"{"refresh_token":"r2","a":1,"a":2}"#,
        r#"{"access_token":"a","refresh_token":"r2","#,
        r#"{"refresh_token":"r2","refresh_token":"r2"}"#,
        r#"{"access_token":"a","access_token":"b","refresh_token":"r2"}"#,
        r#"{"access_token":"�","refresh_token":"r2"}"#,
        "\u{feff}{\"refresh_token\":\"r2\"}",
        " {\"refresh_token\":\"r2\"}",
        "access_token=a&refresh_token=r2",
    ] {
        assert_eq!(next(200, body).as_deref(), Some("r2"), "{body}");
    }
    for body in [
        r#"{"refresh_token":"r1"}"#,
        r#"{"refresh_token":""}"#,
        r#"{"refresh_token":null}"#,
        r#"{"refresh_token":7}"#,
        r#"{"refresh_token":"r2","refresh_token":"r3"}"#,
        r#"{"access_token":"a","refresh_token":"r2"#,
        "{\"refresh_token\":\"r2\u{fffd}\"}",
        "<html>refresh_token=r2</html>",
        "",
    ] {
        assert_eq!(next(200, body), None, "{body}");
    }
    assert_eq!(next(400, r#"{"refresh_token":"r2"}"#), None);
    assert!(token_response::successor(&ProviderResponse::Lost, &connection, &sent).is_none());
    let cut = |status, body: &str| {
        let cut = ProviderResponse::Cut { status, body: Secret::new(body.to_owned()) };
        token_response::successor(&cut, &connection, &sent).map(|next| next.expose().to_owned())
    };
    let body = r#"{"refresh_token":"r2","access_token":"a"#;
    assert_eq!(cut(200, body).as_deref(), Some("r2"));
    assert_eq!(cut(500, body), None);
    for body in [r#"{"refresh_token":"r2"#, "access_token=a&refresh_token=r2"] {
        assert_eq!(cut(200, body), None, "{body}");
    }
    // Slack's response to a refresh has the tokens at the top level, the one to a code below `authed_user`.
    let body = r#"{"ok":true,"authed_user":{"refresh_token":"user"},"refresh_token":"top"}"#;
    let found = token_response::successor(&received(200, body), &known("slack"), &sent);
    assert_eq!(found.unwrap().expose(), "top");
}

#[test]
fn what_nobody_uses_costs_no_tokens() {
    let picture = format!(r#""{}""#, "p".repeat(900_000));
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    for other in [
        r#""\ud800""#,
        "\"\u{fffd}\"",
        "18446744073709551617",
        "1e400",
        &deep,
        &picture,
        r#"{"a":1,"a":2}"#,
        r#"1,"other":2"#,
        r#"1,"token_type":"bearer","token_type":"bearer","access_token":"a""#,
    ] {
        let body = format!(
            r#"{{"other":{other},"access_token":"a","refresh_token":"r2","expires_in":60,"scope":"x"}}"#
        );
        let tokens = plain(200, &body).unwrap();
        assert_eq!(tokens.access_token.expose(), "a");
        assert_eq!(tokens.refresh_token.unwrap().expose(), "r2");
        assert_eq!(tokens.lifetime, Lifetime::Seconds(60));
        assert_eq!(tokens.scopes.unwrap(), ["x"]);
    }
    let form = plain(200, "access_token=a&other=1&other=2&access_token=a").unwrap();
    assert_eq!(form.access_token.expose(), "a");
    // A kind of token that says two things is left out, and the account's own tokens are taken.
    let body = r#"{"ok":true,"access_token":"b","access_token":"c","authed_user":{"access_token":"u","id":"U"},"team":{"id":"T"}}"#;
    let granted = token_response::granted(&received(200, body), &known("slack"), NOW).unwrap();
    assert_eq!(granted.tokens.access_token.expose(), "u");
    assert!(granted.kinds.is_empty());
}

#[test]
fn a_token_type_is_bearer_however_it_is_spelled_and_another_only_where_it_is_listed() {
    let listed = custom(&json!({"answer_token_types": ["user"]}));
    let read = |connection: &Connection, kind: Value| {
        let body = json!({"access_token": "a", "refresh_token": "r2", "token_type": kind});
        renewed(connection, 200, &body.to_string()).map(drop)
    };
    for kind in ["Bearer", "BEARER", " bearer ", "bearer\n", "", " "] {
        assert_eq!(read(&custom(&json!({})), json!(kind)), Ok(()), "{kind:?}");
    }
    assert_eq!(read(&custom(&json!({})), json!(null)), Ok(()));
    assert_eq!(read(&listed, json!(" User")), Ok(()));
    for kind in [json!("user"), json!("mac"), json!("DPoP"), json!(7), json!(["bearer"])] {
        let failure = read(&custom(&json!({})), kind.clone()).unwrap_err();
        assert_eq!(failure, TokenEndpointError::UnknownTokenType, "{kind}");
        assert_eq!(failure.word(), "token_type");
    }
}

#[test]
fn scopes_are_split_at_any_white_space_and_at_the_connections_separator() {
    let scopes = |connection: &Connection, scope: &str| {
        let body = json!({"access_token": "a", "scope": scope});
        renewed(connection, 200, &body.to_string()).unwrap().scopes.unwrap()
    };
    let comma = custom(&json!({"scope_separator": ","}));
    for text in ["x y", "x\ty", "x\ny", " x  y ", "x\u{a0}y"] {
        assert_eq!(scopes(&custom(&json!({})), text), ["x", "y"], "{text:?}");
    }
    for text in ["x,y", "x, y", "x y", " x ,, y,"] {
        assert_eq!(scopes(&comma, text), ["x", "y"], "{text:?}");
    }
    assert_eq!(scopes(&custom(&json!({})), "x,y"), ["x,y"]);
    assert!(scopes(&custom(&json!({})), " ").is_empty());
}

#[test]
fn an_id_is_as_it_was_written_however_long() {
    let rules = &custom(&json!({"identity": {"id": "id", "email": "e|id"}})).identity;
    let id = |written: &str| {
        let body = format!("\u{feff}{{\"id\":{written},\"name\":\"\\ud800\"}}");
        userinfo::read(&received(200, &body), rules).unwrap().identity.id.unwrap()
    };
    for written in [
        "7",
        "-7",
        "9007199254740993",
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551617",
        "-9223372036854775809",
        "9007199254740993.0",
        "123456789012345678901234567890",
    ] {
        assert_eq!(id(written), written);
        assert_eq!(id(&format!("\"{written}\"")), written);
    }
    let twice = received(200, r#"{"id":1,"id":2,"e":"e"}"#);
    assert_eq!(userinfo::read(&twice, rules), Err(NoUserInfo::RepeatsMember));
    // Neither does another place take the place of one with two values.
    let rules = &custom(&json!({"identity": {"id": "a.id|b.id"}})).identity;
    for body in
        [r#"{"a":{"id":1,"id":2},"b":{"id":3}}"#, r#"{"a":{"id":1},"a":{"id":2},"b":{"id":3}}"#]
    {
        assert_eq!(userinfo::read(&received(200, body), rules), Err(NoUserInfo::RepeatsMember));
    }
    let same = userinfo::read(&received(200, r#"{"a":{"id":1,"x":1,"x":2},"b":{"id":3}}"#), rules);
    assert_eq!(same.unwrap().identity.id.as_deref(), Some("1"));
}

#[test]
fn a_userinfo_response_names_the_user_or_says_why_not() {
    let rules = &custom(&json!({"identity": {"id": "id"}})).identity;
    let signed = "eyJhbGciOiJSUzI1NiJ9.eyJpZCI6MX0.c2ln";
    for (status, body, why) in [
        (200, r#"{"id":"u"}"#, None),
        (201, r#"{"id":"u"}"#, None),
        (203, r#"{"id":"u"}"#, None),
        (204, "", Some(NoUserInfo::NotJson)),
        (200, "<html>", Some(NoUserInfo::NotJson)),
        (200, "id=u", Some(NoUserInfo::NotJson)),
        (200, r#"["u"]"#, Some(NoUserInfo::NotJson)),
        (200, r#"{"id":{}}"#, Some(NoUserInfo::NoId)),
        (200, "{}", Some(NoUserInfo::NoId)),
        (200, signed, Some(NoUserInfo::Signed)),
        (302, r#"{"id":"u"}"#, Some(NoUserInfo::Status(302))),
        (401, "", Some(NoUserInfo::Status(401))),
        (403, r#"{"id":"u"}"#, Some(NoUserInfo::Status(403))),
        (429, "", Some(NoUserInfo::Later)),
        (500, r#"{"id":"u"}"#, Some(NoUserInfo::Later)),
    ] {
        let read = userinfo::read(&received(status, body), rules);
        assert_eq!(read.err(), why, "{status} {body}");
    }
    assert_eq!(userinfo::read(&ProviderResponse::Lost, rules), Err(NoUserInfo::Later));
}

#[test]
fn a_byte_order_mark_before_an_answer_is_passed_over() {
    assert!(plain(200, "\u{feff}{\"access_token\":\"a\"}").is_ok());
}

#[test]
fn a_refresh_tokens_end_is_read_where_it_is_told_and_known_where_it_is_not() {
    let ends = |connection: &Connection, body: Value| {
        granted(connection, &body).unwrap().tokens.refresh_token_expires_in
    };
    let body = json!({"access_token": "a", "refresh_token": "r", "x_refresh_token_expires_in": 9});
    assert_eq!(ends(&known("quickbooks"), body.clone()), Some(9));
    assert_eq!(ends(&known("box"), body.clone()), Some(60 * 86_400));
    assert_eq!(ends(&custom(&json!({})), body), None);
}

#[test]
fn an_access_token_that_renews_itself_is_kept_as_the_refresh_token() {
    let itself = custom(&json!({"renewal": "access_token"}));
    let body = json!({"access_token": "a", "expires_in": 5_184_000});
    let GrantedTokens { refresh, its_end } = renews_with(&itself, &body);
    assert_eq!((refresh.as_deref(), its_end), (Some("a"), Some(5_184_000)));
    let GrantedTokens { refresh, its_end } = renews_with(&custom(&json!({})), &body);
    assert_eq!((refresh, its_end), (None, None));
    // The new token of a response that is otherwise unusable, or was cut off, is not lost.
    let body = Secret::new(r#"{"access_token":"b","token_type":"odd","#);
    let cut = ProviderResponse::Cut { status: 200, body };
    let next = token_response::successor(&cut, &itself, &Secret::new("a")).unwrap();
    assert_eq!(next.expose(), "b");
    assert!(token_response::successor(&cut, &itself, &Secret::new("b")).is_none());
}

struct GrantedTokens {
    refresh: Option<String>,
    its_end: Option<i64>,
}

fn renews_with(connection: &Connection, body: &Value) -> GrantedTokens {
    let tokens = granted(connection, body).unwrap().tokens;
    GrantedTokens {
        refresh: tokens.refresh_token.map(|token| token.expose().to_owned()),
        its_end: tokens.refresh_token_expires_in,
    }
}

#[test]
fn a_consent_ends_a_fixed_time_later_where_the_provider_says_so_and_not_after_its_refresh_token() {
    let ends = |more: &Value, body: &Value| {
        let connection = custom(more);
        let account = AccountId::random().unwrap();
        let store =
            consent::store(&connection, account, granted(&connection, body).unwrap(), &[], NOW);
        store.refresh_token_expires_at.map(|at| at - NOW)
    };
    let year = json!({"grant_lifetime_days": 365});
    let tokens = json!({"access_token": "a", "refresh_token": "r"});
    let short = json!({"access_token": "a", "refresh_token": "r", "refresh_token_expires_in": 9});
    for (more, body, end) in [
        (&year, &tokens, Some(365 * 86_400)),
        (&year, &short, Some(9)),
        (&json!({}), &tokens, None),
        // Without a refresh token the grant ends with its access token.
        (&year, &json!({"access_token": "a"}), None),
    ] {
        assert_eq!(ends(more, body), end, "{more} {body}");
    }
}

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

#[test]
fn slacks_answer_holds_a_users_token_and_a_bots() {
    let connection = connection(&json!({
        "provider": "slack", "client_id": "vault", "kinds": {"bot": {"scopes": ["chat:write"]}},
    }));
    let body = json!({
        "ok": true, "app_id": "A1", "bot_user_id": "B1", "team": {"id": "T1", "name": "Team"},
        "access_token": "bot", "token_type": "bot", "scope": "chat:write,commands",
        "authed_user": {"id": "U1", "access_token": "user", "token_type": "user",
            "scope": "search:read", "expires_in": 43200, "refresh_token": "user-refresh"},
    });
    let granted = granted(&connection, &body).unwrap();
    assert_eq!(granted.tokens.access_token.expose(), "user");
    assert_eq!(granted.tokens.scopes.unwrap(), ["search:read"]);
    let bot = &granted.kinds["bot"];
    assert_eq!((bot.access_token.expose(), bot.lifetime), ("bot", Lifetime::Untold));
    assert_eq!(bot.scopes.as_deref().unwrap(), ["chat:write", "commands"]);
    assert_eq!(granted.identity.unwrap().id.unwrap(), "T1:U1");
    let extra: Vec<_> =
        granted.provider_data.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("app_id", "A1"),
        ("authed_user.id", "U1"),
        ("bot_user_id", "B1"),
        ("team.id", "T1"),
        ("team.name", "Team"),
    ];
    assert_eq!(extra, expected);
    // If the app is installed for a whole organization, there is no team.
    let grid = json!({
        "ok": true, "team": null, "enterprise": {"id": "E1", "name": "Org"},
        "authed_user": {"id": "U1", "access_token": "user", "token_type": "user"},
    });
    assert_eq!(self::granted(&connection, &grid).unwrap().identity.unwrap().id.unwrap(), "E1:U1");
    // The response to a refresh has the tokens at the top level.
    let body =
        json!({"ok": true, "access_token": "new", "refresh_token": "r", "token_type": "user"});
    assert_eq!(renewed(&connection, 200, &body.to_string()).unwrap().access_token.expose(), "new");
}

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

#[test]
fn identities_are_read_where_each_provider_keeps_them() {
    for (provider, body, id, email, name) in [
        (
            "github",
            json!({"id": 583_231, "login": "octocat", "email": null}),
            "583231",
            None,
            Some("octocat"),
        ),
        (
            "box",
            json!({"type": "user", "id": "11446498", "login": "a@box.example", "name": "A"}),
            "11446498",
            Some("a@box.example"),
            Some("A"),
        ),
        (
            "x",
            json!({"data": {"id": "2244994945", "username": "XDev", "name": "X Dev"}}),
            "2244994945",
            None,
            Some("XDev"),
        ),
        (
            "twitch",
            json!({"data": [{"id": "141981764", "login": "twitchdev"}]}),
            "141981764",
            None,
            Some("twitchdev"),
        ),
        (
            "linear",
            json!({"data": {"viewer": {"id": "u", "email": "e@l.example", "name": "N"}}}),
            "u",
            Some("e@l.example"),
            Some("N"),
        ),
        (
            "notion",
            json!({"workspace_id": "w", "owner": {"user": {"id": "u", "name": "N", "person": {"email": "e@n.example"}}}}),
            "u:w",
            Some("e@n.example"),
            Some("N"),
        ),
    ] {
        let read = userinfo::of_document(&body, &known(provider).identity).unwrap();
        assert_eq!(
            (read.id.as_deref(), read.email.as_deref(), read.name.as_deref()),
            (Some(id), email, name),
            "{provider}"
        );
    }
    let other = json!({"message": "Bad credentials"});
    assert!(userinfo::of_document(&other, &known("github").identity).is_none());
}

#[test]
fn scopes_are_what_the_provider_says_it_granted() {
    let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let google = known("google");
    let told = list(
        "openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/drive",
    );
    let kept = scopes::granted(&google, Some(told), &list("openid email"));
    assert!(scopes::missing(&google, &kept, &list("openid email")).is_empty());
    let more = list("https://www.googleapis.com/auth/calendar");
    assert_eq!(scopes::missing(&google, &kept, &more), more);
    // LinkedIn separates scopes by commas in responses and by spaces in requests.
    let told = json!({"access_token": "a", "scope": "email,openid,profile"});
    let tokens = granted(&known("linkedin"), &told).unwrap().tokens;
    assert_eq!(tokens.scopes.unwrap(), list("email openid profile"));
    // Microsoft states the scopes of one resource, and names its own scopes with or without the resource.
    let microsoft = known("microsoft");
    let asked = list("Mail.Read https://vault.azure.net/user_impersonation");
    let kept =
        scopes::granted(&microsoft, Some(list("https://graph.microsoft.com/Mail.Read")), &asked);
    assert!(scopes::missing(&microsoft, &kept, &asked).is_empty());
    assert_eq!(scopes::missing(&microsoft, &kept, &list("Mail.Send")), ["Mail.Send"]);
    // If the token is for another resource, the response states the scopes of that one. All others remain.
    let asked = list("openid offline_access https://vault.azure.net/a https://vault.azure.net/b");
    let kept = scopes::granted(&microsoft, Some(list("https://vault.azure.net/b")), &asked);
    assert_eq!(kept, list("https://vault.azure.net/b openid offline_access"));
    assert_eq!(
        scopes::resource(&microsoft, "https://vault.azure.net/user_impersonation"),
        Some("https://vault.azure.net")
    );
    assert_eq!(scopes::resource(&microsoft, "https://graph.microsoft.com/Mail.Read"), None);
    assert_eq!(scopes::resource(&microsoft, "Mail.Read"), None);
    // At a provider without scopes, none are requested.
    assert!(scopes::ask(&known("notion"), &list("read")).is_empty());
}

#[test]
fn a_scope_that_includes_another_satisfies_it() {
    let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let by_hand = custom(&json!({
        "scope_includes": {
            "admin": ["write"], "write": ["read"], "a_*_z": ["b_*"], "grow*": ["grow*!"],
            "loop": ["pool"], "pool": ["loop"],
        },
        "scope_aliases": {"peruse": "read"},
    }));
    let (github, shopify) = (known("github"), known("shopify"));
    for (connection, granted, wanted, missing) in [
        // As GitHub documents it: the granted scopes, the wanted ones, and the missing ones.
        (&github, "user gist", "user gist user:email", ""),
        (&github, "repo", "public_repo repo:status repo_deployment repo:invite", ""),
        (&github, "admin:org", "read:org write:org", ""),
        (&github, "user:email", "user", "user"),
        (&github, "read:org", "write:org", "write:org"),
        (&github, "repo", "read:user delete_repo", "read:user delete_repo"),
        (&shopify, "write_orders", "read_orders write_orders", ""),
        (&shopify, "unauthenticated_write_checkouts", "unauthenticated_read_checkouts", ""),
        (&shopify, "read_orders", "write_orders", "write_orders"),
        (&shopify, "write_orders", "read_products", "read_products"),
        (&shopify, "write_orders", "unauthenticated_read_orders", "unauthenticated_read_orders"),
        (&by_hand, "admin", "read", ""),
        (&by_hand, "admin", "peruse", ""),
        (&by_hand, "read", "admin", "admin"),
        (&by_hand, "a_x_z", "b_x", ""),
        (&by_hand, "a__z", "b_", "b_"),
        (&by_hand, "growx loop", "pool growx! other", "other"),
    ] {
        let found = scopes::missing(connection, &list(granted), &list(wanted));
        assert_eq!(found, list(missing), "{granted}: {wanted}");
    }
    for (field, value) in [
        ("scope_includes.a", json!("b")),
        ("scope_includes.a", json!(["b c"])),
        ("scope_includes.a", json!(["b_*"])),
        ("scope_includes.a*b*", json!(["c"])),
        ("scope_includes.a*", json!(["b_*_*"])),
    ] {
        let scope = field.strip_prefix("scope_includes.").unwrap();
        let entry = json!({
            "kind": "oauth2", "client_id": "x", "scope_includes": {scope: value},
            "authorization_endpoint": "https://idp.example/a",
            "token_endpoint": "https://idp.example/t",
        });
        let error = connection_support::connection(&entry).unwrap_err();
        assert_eq!(error.field, format!("it.{field}"), "{error}");
    }
}

#[test]
fn each_account_of_hubspot_is_one_of_its_portals() {
    let answer = |hub: u32| {
        json!({
            "access_token": "a", "refresh_token": "r", "expires_in": 1800, "hub_id": hub,
            "scopes": ["oauth", "crm.objects.contacts.read"],
        })
    };
    let hubspot = known("hubspot");
    for hub in [62_515, 62_516] {
        let granted = granted(&hubspot, &answer(hub)).unwrap();
        assert_eq!(granted.identity.unwrap().id.unwrap(), hub.to_string());
        assert_eq!(granted.provider_data["hub_id"], hub.to_string());
        assert_eq!(granted.tokens.scopes.unwrap(), ["oauth", "crm.objects.contacts.read"]);
    }
}
