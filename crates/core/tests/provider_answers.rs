// SPDX-License-Identifier: Apache-2.0
//! What token responses and userinfo responses say, in the odd ways of real providers.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/answers.rs"]
mod answers;

use answers::connection_support::known;
use answers::{NOW, connection, custom, granted, plain, received, renewed};
use serde_json::{Value, json};
use vault_base::ids::AccountId;
use vault_base::secret::Secret;
use vault_core::vault::consent;
use vault_provider::connection::Connection;
use vault_provider::error_codes::TokenEndpointError;
use vault_provider::token_response::{self, Lifetime, ProviderResponse};
use vault_provider::userinfo::NoUserInfo;
use vault_provider::{scopes, userinfo};

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
    // Of a character that could not be read nobody knows which one it was: the ids of two users would be the same.
    for unread in [r#"{"id":"a\ud800"}"#, "{\"id\":\"a\u{fffd}\"}"] {
        assert_eq!(userinfo::read(&received(200, unread), rules), Err(NoUserInfo::NoId));
    }
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
    // Both ends are read from the same member, in its unit; 0 is none.
    for (more, told, end) in [
        (json!({"expires_in_unit": "minutes"}), json!(60), Some(3600)),
        (json!({"expires_in_unit": "milliseconds"}), json!(60_000), Some(60)),
        (json!({"zero_expires_in": "never"}), json!(0), None),
    ] {
        let mut entry = json!({"renewal": "access_token"});
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let body = json!({"access_token": "a", "expires_in": told});
        assert_eq!(renews_with(&custom(&entry), &body).its_end, end, "{more}");
    }
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
        let error = answers::connection_support::connection(&entry).unwrap_err();
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
