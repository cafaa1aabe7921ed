// SPDX-License-Identifier: Apache-2.0
//! The connected-accounts API and the browser's redirects in the core: bodies, callers, lists, cookies.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/config.rs"]
mod config_support;

use std::collections::{BTreeMap, HashSet};

use config_support::{
    CHALLENGE, FORM, JSON, REDIRECT, VERIFIER, accounts, complete, config, connect, connect_in,
    fields, load, new_handle, new_session, user_token,
};
use serde_json::json;
use vault_base::ids::{AccountId, ObjectNames};
use vault_base::mac_id::{IdKind, MacId};
use vault_base::public_url::PublicUrl;
use vault_base::secret::Secret;
use vault_core::config::Config;
use vault_core::connect::browser::{self, Callback, CallbackRequest, ResponseMode};
use vault_core::connect::handle::{self, OpaqueHandle};
use vault_core::connect::identify::IdentityError;
use vault_core::connect::in_flight::MAX_IN_FLIGHT;
use vault_core::connect::listing::{self, Page};
use vault_core::connect::policy::{self, CREATE, DELETE, READ};
use vault_core::connect::record::{AuthorizationResponse, Denied, SESSION_LIFETIME};
use vault_core::connect::request::{self, CompleteBody, ConnectBody, NewSession};
use vault_core::error::ProblemDetails;
use vault_core::pages::{Language, Look};
use vault_core::vault::record::{Account, AccountState};
use vault_jose::TokenError;
use vault_jose::identity::Identity;
use vault_provider::connection::Connection;
use vault_provider::userinfo::NoUserInfo;

#[test]
fn a_connect_request_becomes_a_session_with_its_own_handles() {
    let mut asked = json!({ "code_challenge": CHALLENGE, "code_challenge_method": "S256" });
    asked["state"] = json!("a b&c");
    let NewSession { begin, ticket, auth_session } = connect(&asked).unwrap();
    assert_eq!((begin.user, begin.client_id.as_str()), (user_token().user, "spa"));
    assert_eq!([begin.connection, begin.redirect_uri], ["calendar", REDIRECT]);
    assert_eq!([begin.state.unwrap(), begin.code_challenge.unwrap()], ["a b&c", CHALLENGE]);
    // My Account API: `auth_session` has at most 64 characters, `connect_code` at most 46.
    for (text, stored) in [(&ticket, &begin.ticket), (&auth_session, &begin.auth_session)] {
        assert_eq!(text.expose().len(), 45);
        let handle = OpaqueHandle::parse(text.expose()).unwrap();
        assert_eq!(handle.session_id(&config().names).as_ref(), Some(&begin.session));
        assert!(handle::matches(&handle.secret, stored));
        assert!(!stored.contains(handle.secret.expose()));
    }
    assert_ne!(begin.ticket, begin.auth_session);
    assert_ne!(connect(&asked).unwrap().begin.session, begin.session);
    assert_eq!(new_handle(&begin.session).len(), 45);
}

#[test]
fn a_connect_request_names_every_wrong_field() {
    let long = "x".repeat(4097);
    let s256 = |text: &str| json!({ "code_challenge": text, "code_challenge_method": "S256" });
    // RFC 7636 §7.2: never `plain`.
    let plain = json!({ "code_challenge": VERIFIER, "code_challenge_method": "plain" });
    for (expected, change) in [
        ("connection", json!({ "connection": null })),
        ("connection", json!({ "connection": "code" })),
        ("connection redirect_uri", json!({ "connection": "", "redirect_uri": null })),
        ("redirect_uri", json!({ "redirect_uri": "https://app.example.com/connected" })),
        ("state", json!({ "state": "" })),
        ("state", json!({ "state": long })),
        ("code_challenge_method", plain),
        ("code_challenge_method", json!({ "code_challenge": CHALLENGE })),
        ("code_challenge", json!({ "code_challenge_method": "S256" })),
        ("code_challenge", s256(&CHALLENGE[1..])),
        ("scopes", json!({ "scopes": ["a", "a b"] })),
        ("scopes", json!({ "scopes": vec!["a"; 101] })),
        ("authorization_params", json!({ "authorization_params": { "prompt": [""] } })),
        ("authorization_params", json!({ "authorization_params": { "login_hint": long } })),
    ] {
        assert_eq!(fields(connect(&change)), expected, "{change}");
    }
}

#[test]
fn a_connect_of_a_native_client_returns_to_any_port_of_its_loopback_address() {
    // RFC 8252 §7.3.
    let config = |kind: &str| {
        let client = json!({ "kind": kind, "redirect_uris": ["http://127.0.0.1/connected"] });
        load(&json!({ "CLIENTS": { "spa": client } })).unwrap()
    };
    let back = json!({ "redirect_uri": "http://127.0.0.1:51004/connected" });
    let begun = connect_in(&config("native"), &back).unwrap().begin;
    assert_eq!(begun.redirect_uri, "http://127.0.0.1:51004/connected");
    assert_eq!(fields(connect_in(&config("spa"), &back)), "redirect_uri");
}

#[test]
fn scopes_asked_for_replace_the_defaults_and_never_the_required_ones() {
    // The guides of Auth0 for GitHub, Box and Salesforce send `[]`.
    let defaults = ["openid", "offline_access", "events.read"];
    for none in [json!({}), json!({ "scopes": null }), json!({ "scopes": [] })] {
        assert_eq!(connect(&none).unwrap().begin.scopes, defaults, "{none}");
    }
    let asked = json!({ "scopes": ["mail", "openid", "mail"] });
    assert_eq!(connect(&asked).unwrap().begin.scopes, ["openid", "offline_access", "mail"]);
    let hundred: Vec<String> = (0..100).map(|index| format!("scope:{index}")).collect();
    assert_eq!(connect(&json!({ "scopes": hundred })).unwrap().begin.scopes.len(), 102);
}

#[test]
fn only_documented_parameters_are_passed_on_and_unknown_members_are_ignored() {
    let params = json!({
        "login_hint": "me@example.com", "max_age": 60, "client_id": "evil", "request_uri": "x",
        "redirect_uri": "https://evil.example", "scope": "all", "nested": { "a": [1] },
    });
    let body = json!({ "authorization_params": params, "unknown": [null], "scope": "all" });
    let sent = json!(connect(&body).unwrap().begin.params);
    assert_eq!(sent, json!([["login_hint", "me@example.com"], ["max_age", "60"]]));
}

#[test]
fn bodies_are_json_objects() {
    let read = |media_type, body: &str| {
        request::read::<ConnectBody>(media_type, body.as_bytes()).map_err(|problem| problem.status)
    };
    let good = r#"{"connection":"calendar"}"#;
    for media_type in [JSON, "Application/JSON", "application/json; charset=utf-8"] {
        assert!(read(Some(media_type), good).is_ok(), "{media_type}");
    }
    for other in [None, Some(""), Some("text/plain"), Some(FORM)] {
        assert_eq!(read(other, good).unwrap_err(), 415, "{other:?}");
    }
    for bad in ["", "[]", "null", "{", "{} {}", r#"{"state":"","state":""}"#] {
        assert_eq!(read(Some(JSON), bad).unwrap_err(), 400, "{bad}");
    }
}

#[test]
fn a_field_of_another_type_is_named_with_the_type_that_it_must_have() {
    for (field, value, detail) in [
        ("connection", json!(1), "must be a string"),
        ("redirect_uri", json!([REDIRECT]), "must be a string"),
        ("state", json!(1), "must be a string"),
        ("code_challenge", json!({}), "must be a string"),
        ("code_challenge_method", json!(256), "must be a string"),
        ("scopes", json!("a b"), "must be a list of strings"),
        ("scopes", json!(["a", 1]), "must be a list of strings"),
        ("authorization_params", json!([]), "must be an object"),
    ] {
        let problem = connect(&json!({ field: value })).unwrap_err();
        let named: Vec<_> =
            problem.validation_errors.iter().map(|one| (one.field, one.detail)).collect();
        assert_eq!(named, [(field, detail)]);
    }
    for field in ["auth_session", "connect_code", "redirect_uri", "code_verifier"] {
        let problem = complete(&new_session(), &json!({ field: 1 })).unwrap_err();
        let named: Vec<_> =
            problem.validation_errors.iter().map(|one| (one.field, one.detail)).collect();
        assert_eq!(named, [(field, "must be a string")]);
    }
}

#[test]
fn the_largest_body_that_the_schema_allows_is_read() {
    // My Account API: maxLength counts characters, and JSON may write one as a surrogate pair.
    let text = |characters: usize| format!("\"{}\"", r"\ud83d\ude00".repeat(characters));
    let scopes = vec![text(255); 100].join(",");
    let params =
        [("acr_values", 1024), ("audience", 512), ("resource", 512), ("id_token_hint", 4096)]
            .into_iter()
            .chain([("login_hint", 255), ("ui_locales", 100), ("display", 5), ("prompt", 30)])
            .map(|(name, longest)| format!("\"{name}\":{}", text(longest)))
            .collect::<Vec<_>>()
            .join(",");
    let texts =
        [("connection", 128), ("redirect_uri", 2048), ("state", 4096), ("code_challenge", 128)]
            .map(|(name, longest)| format!("\"{name}\":{}", text(longest)))
            .join(",");
    let body = format!(
        r#"{{{texts},"code_challenge_method":"S256","scopes":[{scopes}],"authorization_params":{{{params}}}}}"#
    );
    assert!(body.len() <= request::MAX_BODY, "{}", body.len());
    assert!(request::read::<ConnectBody>(Some(JSON), body.as_bytes()).is_ok());
}

#[test]
fn a_body_is_shown_without_its_values() {
    let body = br#"{"auth_session":"hidden","connect_code":"hidden"}"#;
    let read = request::read::<CompleteBody>(Some(JSON), body).unwrap();
    assert_eq!(format!("{read:?}"), r#"CompleteBody(["auth_session", "connect_code"])"#);
}

#[test]
fn a_complete_request_names_every_wrong_field() {
    let own = new_session();
    let (session, ask) =
        complete(&own, &json!({ "code_verifier": VERIFIER, "unknown": 1 })).unwrap();
    assert_eq!(session, own);
    assert_eq!([&ask.client_id, &ask.redirect_uri], ["spa", REDIRECT]);
    assert_eq!(ask.code_verifier.as_ref().map(Secret::expose), Some(VERIFIER));
    assert!(!format!("{ask:?}").contains(VERIFIER));
    assert!(complete(&own, &json!({})).unwrap().1.code_verifier.is_none());
    let other = new_handle(&new_session());
    for (expected, change) in [
        // Auth0's SDK for Next.js sends null after a failed connect.
        ("connect_code", json!({ "connect_code": null })),
        ("connect_code", json!({ "connect_code": other })),
        ("auth_session", json!({ "auth_session": null })),
        ("auth_session redirect_uri", json!({ "auth_session": "x.y", "redirect_uri": null })),
        // RFC 7636 §4.1: 43 to 128 unreserved characters.
        ("code_verifier", json!({ "code_verifier": &VERIFIER[1..] })),
        ("code_verifier", json!({ "code_verifier": "x".repeat(129) })),
        ("code_verifier", json!({ "code_verifier": "+".repeat(43) })),
    ] {
        assert_eq!(fields(complete(&own, &change)), expected, "{change}");
    }
}

/// Handles that look like those of a session and have another id: each character of it changed, and one at
/// random.
fn forged(session: &MacId) -> Vec<String> {
    let handle = new_handle(session);
    let other = |at: usize| if handle.as_bytes()[at] == b'A' { "Q" } else { "A" };
    let changed = (0..22).map(|at| format!("{}{}{}", &handle[..at], other(at), &handle[at + 1..]));
    let random = format!("{}.{}", handle::random().unwrap(), handle::random().unwrap());
    changed.chain([random]).collect()
}

#[test]
fn a_handle_whose_session_this_vault_did_not_make_is_answered_as_one_of_an_expired_session() {
    let config = config();
    let session = new_session();
    let elsewhere = MacId::new(&ObjectNames::new([9; 32]), IdKind::Connect).unwrap();
    let unknown = policy::completion_denied(Denied::Unknown);
    for handle in forged(&session).into_iter().chain([new_handle(&elsewhere)]) {
        let ticket = format!("ticket={handle}");
        assert_eq!(browser::ticket(&ticket, &config.names).unwrap_err(), Denied::Unknown);
        let query = format!("code=a&state={handle}");
        let callback = respond(&query, None, None, &config.names, &config.public_url);
        assert_eq!(callback.unwrap_err(), Denied::Unknown);
        let both = json!({ "auth_session": handle, "connect_code": handle });
        assert_eq!(complete(&session, &both).unwrap_err(), unknown);
    }
}

#[test]
fn a_problem_has_the_published_form() {
    // My Account API, ErrorResponse: exactly these members.
    let problem = complete(&new_session(), &json!({ "connect_code": null })).unwrap_err();
    let why = problem.validation_errors[0].detail;
    let expected = json!({
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": format!("connect_code: {why}"),
        "validation_errors": [{ "field": "connect_code", "detail": why }],
    });
    assert_eq!(problem.body(), expected);
    for (status, title) in [(401, "Unauthorized"), (409, "Conflict"), (502, "Bad Gateway")] {
        let mut expected = json!({ "type": "about:blank", "title": title, "status": status });
        expected["detail"] = json!("d");
        assert_eq!(ProblemDetails::new(status, "d").body(), expected);
    }
}

#[test]
fn a_token_whose_issuer_has_no_usable_keys_is_the_operators_turn() {
    let unavailable = policy::token_refused(TokenError::KeysUnavailable);
    assert_eq!((unavailable.status, unavailable.retry_after), (503, Some(5)));
    let unusable = policy::token_refused(TokenError::KeysUnusable);
    assert_eq!((unusable.status, unusable.retry_after), (503, Some(60)));
    assert!(unusable.detail.contains("operator must act"), "{}", unusable.detail);
}

#[test]
fn a_refused_completion_says_whose_turn_it_is() {
    use Denied::{
        CodeRefused, Expired, Identity, NotStored, OtherRedirect, OtherUser, ProviderMisconfigured,
        ProviderUnavailable, Unknown, Used, Verifier,
    };
    for (status, reasons) in [
        (400, vec![Unknown, Expired, OtherRedirect, Verifier, CodeRefused]),
        (403, vec![OtherUser]),
        (409, vec![Used]),
        (502, vec![ProviderUnavailable, ProviderMisconfigured, Identity]),
        (503, vec![NotStored]),
    ] {
        for problem in reasons.into_iter().map(policy::completion_denied) {
            assert_eq!((problem.status, problem.retry_after.is_some()), (status, status == 503));
        }
    }
    for operator in [ProviderMisconfigured, Identity] {
        let detail = policy::completion_denied(operator).detail;
        assert!(detail.contains("The vault's operator must act"), "{detail}");
    }
    // Each cause is told in words.
    for (cause, words) in [
        (NoUserInfo::Signed, "a signed JWT, and the vault reads JSON only"),
        (NoUserInfo::NotJson, "not JSON"),
        (NoUserInfo::RepeatsMember, "two ids"),
        (NoUserInfo::NoId, "no id where the connection expects it"),
        (NoUserInfo::Nowhere, "no userinfo endpoint"),
        (NoUserInfo::NotInCallback, "the callback has no id"),
        (NoUserInfo::Status(403), "who the user is: userinfo has status 403."),
    ] {
        let problem = policy::completion_denied(IdentityError::Unnamed(cause).denial());
        assert_eq!(problem.status, 502, "{cause:?}");
        assert!(problem.detail.contains(words), "{}", problem.detail);
        assert!(problem.detail.contains("The vault's operator must act"), "{}", problem.detail);
    }
}

#[test]
fn too_many_connects_of_a_user_are_answered_with_what_to_do_and_when() {
    let problem = policy::too_many_in_flight(7);
    assert_eq!((problem.status, problem.reason), (429, "too_many_requests"));
    assert_eq!(problem.retry_after, Some(7));
    assert_eq!(problem.body()["title"], "Too Many Requests");
    for said in [&format!("{MAX_IN_FLIGHT} connects"), "29 minutes", "completed or cancelled"] {
        assert!(problem.detail.contains(said), "{}", problem.detail);
    }
}

#[test]
fn a_bearer_token_comes_in_the_header_in_any_case_of_the_scheme() {
    // RFC 6750 §2.1; RFC 9110 §11.1 for the case of the scheme.
    for header in ["Bearer t.o.k", "bearer t.o.k", "BEARER  t.o.k "] {
        assert_eq!(policy::bearer(Some(header)).unwrap(), "t.o.k");
    }
    for header in [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Basic t"), Some("t")] {
        assert_eq!(policy::bearer(header).unwrap_err().status, 401, "{header:?}");
    }
}

#[test]
fn a_caller_needs_the_apis_audience_a_known_client_and_the_scope() {
    let config = config();
    let check = |audience: &str, client: &str, granted: &str| {
        let mut token = user_token();
        token.audiences.push(audience.into());
        token.client_id = client.into();
        token.scopes = vec!["openid".into(), granted.into()];
        let checked = policy::check(&config, &token, CREATE);
        checked.map_or_else(|problem| (problem.status, problem.reason), |_| (200, ""))
    };
    let me = "https://vault.example.com/me/";
    assert_eq!(check(me, "spa", CREATE), (200, ""));
    assert_eq!(check(me, "Spa", CREATE), (401, "client"));
    for audience in ["https://vault.example.com/", "https://vault.example.com/me", ""] {
        assert_eq!(check(audience, "spa", CREATE), (401, "audience"), "{audience}");
    }
    for scope in [READ, DELETE, "create:me", "create:me:connected_accounts:x"] {
        assert_eq!(check(me, "spa", scope), (403, "scope"), "{scope}");
    }
}

#[test]
fn the_log_says_why_a_token_is_refused_and_the_caller_is_told_the_same_for_all_causes() {
    let mut told = HashSet::new();
    for error in TokenError::ALL {
        let problem = policy::token_refused(error);
        assert_eq!(problem.reason, error.reason());
        let is_ours = matches!(error, TokenError::KeysUnavailable | TokenError::KeysUnusable);
        assert_eq!(problem.status, if is_ours { 503 } else { 401 }, "{error}");
        told.insert(problem.body().to_string());
    }
    assert_eq!(told.len(), 3);
    let mut token = user_token();
    token.user.issuer = "https://unknown.example/".into();
    let problem = policy::check(&config(), &token, CREATE).unwrap_err();
    assert_eq!((problem.status, problem.reason), (401, "issuer"));
    assert!(told.contains(&problem.body().to_string()));
    let problem = policy::not_among_connections();
    assert_eq!((problem.status, problem.reason), (403, "connection"));
}

#[test]
fn only_users_of_the_vault_itself_have_identities() {
    let issuing = load(&json!({ "SIGN_IN": { "connections": ["calendar"] } })).unwrap();
    let status = |config: &Config, issuer: &str| {
        let mut token = user_token();
        token.user.issuer = issuer.into();
        match policy::own_user(config, &token) {
            Ok(sub) => sub.to_owned(),
            Err(problem) => format!("{} {}", problem.status, problem.reason),
        }
    };
    let own = "https://vault.example.com/";
    assert_eq!(status(&issuing, own), "alice");
    for other in ["https://login.example.com/", "https://vault.example.com", ""] {
        assert_eq!(status(&issuing, other), "403 foreign_user", "{other}");
    }
    assert_eq!(status(&config(), own), "403 foreign_user");
}

#[test]
fn origins_are_compared_whole_and_per_client() {
    // RFC 6454 §4 and §5: scheme, host and port, each the same.
    let config = config();
    let own = "https://app.example.com";
    let status = |client: &str, origin| {
        let checked = policy::check_origin(&config.clients[client], origin);
        checked.map_or_else(
            |problem| {
                assert_eq!(problem.reason, "origin");
                problem.status
            },
            |()| 200,
        )
    };
    assert!(policy::preflight_allowed(&config, own));
    assert_eq!((status("spa", Some(own)), status("spa", None)), (200, 200));
    assert_eq!((status("backend", Some(own)), status("backend", None)), (403, 200));
    let others = "null * http://app.example.com https://app.example.com:8443 https://example.com \
                  https://app.example.com/ https://app.example.com.evil.example \
                  https://evil-app.example.com https://x@app.example.com https://APP.example.com";
    for other in others.split(' ').chain([""]) {
        assert!(!policy::preflight_allowed(&config, other), "{other}");
        assert_eq!(status("spa", Some(other)), 403, "{other}");
    }
}

#[test]
fn paging_visits_each_account_once_oldest_first() {
    for (take, cursor) in [("", "from"), ("take=1&", "next"), ("take=7&", "from")] {
        let (mut query, mut seen, mut dates) = (take.to_owned(), HashSet::new(), Vec::new());
        loop {
            let answer = Page::read(&query).unwrap().accounts(&accounts());
            for item in answer["accounts"].as_array().unwrap() {
                assert!(seen.insert(item["id"].to_string()), "{query}: {item}");
                dates.push(item["created_at"].to_string());
            }
            let Some(next) = answer.get("next") else { break };
            query = format!("{take}{cursor}={}", next.as_str().unwrap());
        }
        assert!(seen.len() == 25 && dates.is_sorted(), "{take}");
    }
    let first = Page::read("take=1").unwrap().accounts(&accounts());
    let expected = json!({
        "id": "cac_00", "connection": "calendar", "access_type": "offline", "scopes": ["a"],
        "created_at": "2026-11-24T04:00:00Z",
    });
    assert_eq!(first["accounts"], json!([expected]));
}

#[test]
fn an_account_says_who_the_user_is_at_the_provider_as_far_as_that_is_known() {
    let identity = |id: Option<&str>, email: Option<&str>, name: Option<&str>| Identity {
        id: id.map(str::to_owned),
        email: email.map(str::to_owned),
        name: name.map(str::to_owned),
    };
    for (identity, expected) in [
        (identity(Some("7"), Some("a@x.example"), Some("Anna")), json!(["7", "a@x.example"])),
        (identity(Some("7"), None, Some("Anna")), json!(["7", "Anna"])),
        (identity(Some("7"), None, None), json!(["7", null])),
        (identity(None, None, None), json!([null, null])),
    ] {
        let account = Account {
            id: AccountId::parse("cac_1").unwrap(),
            identity,
            state: AccountState::Active,
            created_at: 0,
            provider_data: BTreeMap::new(),
        };
        let item = listing::account_item(&account.view(None), "calendar");
        assert_eq!(json!([item["user_id"], item["label"]]), expected);
        // What is not known is left out.
        let members = item.as_object().unwrap();
        let names = ["user_id", "label"].map(|name| members.contains_key(name));
        assert_eq!(names, [!expected[0].is_null(), !expected[1].is_null()]);
    }
}

#[test]
fn a_list_can_be_filtered_by_up_to_20_connections_and_take_is_bounded() {
    let list = |query: &str| {
        let answer = Page::read(query).unwrap().accounts(&accounts());
        answer["accounts"].as_array().unwrap().len()
    };
    assert_eq!((list(""), list("take=20"), list("take=1&unknown=1")), (10, 20, 1));
    assert_eq!((list("connection=chat"), list("connection=none")), (4, 0));
    assert_eq!(list("take=20&connection=chat&connection=calendar"), 20);
    assert!(Page::read(&"connection=a&".repeat(20)).is_ok());
    assert_eq!(fields(Page::read(&"connection=a&".repeat(21))), "connection");
    assert!(Page::read(&"x=1&".repeat(99)).is_ok());
    let many = Page::read(&"x=1&".repeat(100)).unwrap_err();
    assert!(many.status == 400 && many.detail.contains("at most 100 parameters"), "{many:?}");
    for take in ["0", "21", "-1", "1.5", "ten", ""] {
        assert_eq!(fields(Page::read(&format!("take={take}"))), "take", "{take}");
    }
    for cursor in ["from=%2B", "next=AB", "from=_w"] {
        assert_eq!(fields(Page::read(cursor)), "from", "{cursor}");
    }
}

#[test]
fn connections_are_those_of_the_client_by_name() {
    let config = config();
    let spa = &config.clients["spa"];
    let list = |query: &str| Page::read(query).unwrap().connections(&config, spa);
    let scopes = ["openid", "offline_access", "events.read"];
    let calendar = json!({ "name": "calendar", "strategy": "oidc", "scopes": scopes });
    let chat = json!({ "name": "chat", "strategy": "oauth2", "scopes": [] });
    assert_eq!(list(""), json!({ "connections": [calendar, chat] }));
    let first = list("take=1");
    assert_eq!(first["connections"], json!([calendar]));
    let next = first["next"].as_str().unwrap();
    assert_eq!(list(&format!("take=1&from={next}")), json!({ "connections": [chat] }));
    assert_eq!(list("connection=code"), json!({ "connections": [] }));
}

/// The response of the callback of `calendar` in a query.
fn respond(
    query: &str,
    connection: Option<&Connection>,
    cookies: Option<&str>,
    names: &ObjectNames,
    vault: &PublicUrl,
) -> Result<(MacId, AuthorizationResponse), Denied> {
    let mode = ResponseMode::Query;
    let request = CallbackRequest { connection: "calendar", parameters: query, mode, cookies };
    match browser::callback(&request, connection, names, vault)? {
        Callback::Respond(session, back) => Ok((session, back)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connection_maps_a_providers_own_code_to_access_denied() {
    let vault = PublicUrl::parse("https://vault.example.com").unwrap();
    let (names, mut connection) = (config().names, config().connections["calendar"].clone());
    connection.errors.access_denied = vec!["200".into(), "consent_declined".into()];
    let state = new_handle(&new_session());
    for (query, expected) in [
        ("error=consent_declined", "access_denied"),
        ("error_code=200", "access_denied"),
        ("error=consent_declined_later", "consent_declined_later"),
    ] {
        let query = format!("{query}&state={state}");
        let (_, back) = respond(&query, Some(&connection), None, &names, &vault).unwrap();
        assert_eq!(back.error.as_deref(), Some(expected), "{query}");
    }
}

#[test]
fn a_form_is_posted_again_from_our_own_site_with_the_parameters_of_a_response_alone() {
    let vault = PublicUrl::parse("https://vault.example.com").unwrap();
    let (names, mut connection) = (config().names, config().connections["calendar"].clone());
    let session = new_session();
    let state = new_handle(&session);
    let form =
        format!("code=c%2B1&state={state}&iss=https%3A%2F%2Fa.example&user=%7B%7D&id_token=x");
    let cookie = format!("__Host-etv-{}=v", session.as_str());
    let read = |connection: &Connection, query: &str, cookies: Option<&str>, form: &str| {
        let mode = ResponseMode::of("POST", query);
        let request = CallbackRequest { connection: "calendar", parameters: form, mode, cookies };
        browser::callback(&request, Some(connection), &names, &vault)
    };
    // Only a connection that asks for a form gets one.
    let unasked = read(&connection, "", Some(&cookie), &form).unwrap_err();
    assert_eq!(unasked, Denied::Unknown);
    connection.authorization_params.insert("response_mode".into(), "form_post".into());
    connection.callback_extra = vec!["user".into()];
    let Ok(Callback::PostAgain(fields)) = read(&connection, "", None, &form) else {
        panic!("not posted again");
    };
    let exposed: Vec<_> = fields.iter().map(|(name, value)| (*name, value.expose())).collect();
    let iss = ("iss", "https://a.example");
    assert_eq!(exposed, [("code", "c+1"), ("state", &state), iss]);
    let look = Look::plain(Language::English);
    let page = browser::post_again_page(&look, "calendar", &fields, &vault).unwrap();
    assert!(page.html.contains("action=\"https://vault.example.com/callback/calendar?again\""));
    assert!(!page.html.contains("id_token"));
    // The vault's own form: with the cookie, or with none that would come another time.
    for (cookies, expected) in [(Some(cookie.as_str()), Some("v")), (None, None)] {
        let Ok(Callback::Respond(of, back)) = read(&connection, "again", cookies, &form) else {
            panic!("not taken");
        };
        assert_eq!((&of, back.cookie.as_ref().map(Secret::expose)), (&session, expected));
        assert_eq!(back.code.as_ref().map(Secret::expose), Some("c+1"));
        assert!(back.provider_data.is_empty());
    }
    // A provider of the same site, whose form has the cookie at once.
    assert!(matches!(read(&connection, "", Some(&cookie), &form), Ok(Callback::Respond(..))));
    for form in
        ["", "code=c", &format!("{form}&code=d"), &format!("{form}&iss=b"), "state=x&code=c"]
    {
        assert_eq!(read(&connection, "", None, form).unwrap_err(), Denied::Unknown, "{form}");
    }
    let declined = read(&connection, "", None, "error=access_denied").unwrap();
    assert!(matches!(declined, Callback::PostAgain(fields) if fields.len() == 1));
    let by_code = format!("error_code=200&error_message=x&state={state}");
    let Ok(Callback::PostAgain(fields)) = read(&connection, "", None, &by_code) else {
        panic!("not posted again");
    };
    let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["state", "error_code"]);
    assert_eq!(read(&connection, "again", None, "error=x").unwrap_err(), Denied::Unknown);
}

#[test]
fn an_error_without_state_is_asked_about_at_the_sessions_of_the_browsers_cookies() {
    let vault = PublicUrl::parse("https://vault.example.com").unwrap();
    let names = config().names;
    let (one, two) = (new_session(), new_session());
    let ask = |query: &str, cookies: &str| {
        let (mode, cookies) = (ResponseMode::Query, Some(cookies));
        let request = CallbackRequest { connection: "calendar", parameters: query, mode, cookies };
        browser::callback(&request, None, &names, &vault).map(|found| match found {
            Callback::Ask(sessions) => sessions,
            other => panic!("{other:?}"),
        })
    };
    let (own, other) = (one.as_str(), two.as_str());
    let cookies = format!("a=b; __Host-etv-{own}=v; etv-{other}=w; __Host-etv-made-up=x");
    for query in ["error=access_denied", "error=access_denied&state="] {
        let asked = ask(query, &cookies).unwrap();
        let [(session, told)] = asked.as_slice() else { panic!("{asked:?}") };
        assert_eq!((session, told.cookie.expose()), (&one, "v"));
        assert_eq!((told.connection.as_str(), told.error.as_str()), ("calendar", "access_denied"));
    }
    let both = format!("__Host-etv-{own}=v; __Host-etv-{other}=w");
    assert_eq!(ask("error=access_denied", &both).unwrap().len(), 2);
    for (query, cookies) in
        [("error=access_denied", ""), ("error=x&code=c", &both), ("code=c", &both), ("", &both)]
    {
        assert_eq!(ask(query, cookies).unwrap_err(), Denied::Unknown, "{query}");
    }
    let many: Vec<_> =
        (0..40).map(|_| format!("__Host-etv-{}=v", new_session().as_str())).collect();
    assert_eq!(ask("error=access_denied", &many.join("; ")).unwrap().len(), 20);
}

#[test]
fn a_callback_has_each_parameter_once() {
    // RFC 6749 §3.1 and §10.12, RFC 9207 §2.4.
    let vault = PublicUrl::parse("https://vault.example.com").unwrap();
    let (own, names) = (new_session(), config().names);
    let state = format!("state={}", new_handle(&own));
    let fill = |query: &str| query.replace("STATE", &state);
    let read = |query: &str| respond(&fill(query), None, None, &names, &vault);
    let (session, back) = read("code=c%2B1&STATE&iss=https%3A%2F%2Fa.example&x=1").unwrap();
    assert_eq!((&session, back.connection.as_str()), (&own, "calendar"));
    assert_eq!(back.code.as_ref().map(Secret::expose), Some("c+1"));
    assert_eq!((back.iss.as_deref(), back.error), (Some("https://a.example"), None));
    let (_, declined) = read("error=access_denied&iss=&STATE").unwrap();
    assert_eq!((declined.error.as_deref(), declined.iss), (Some("access_denied"), None));
    let (_, facebooks) = read("error_code=200&error_message=x&STATE").unwrap();
    assert_eq!(facebooks.error.as_deref(), Some("200"));
    let (_, both) = read("error=server_error&error_code=200&STATE").unwrap();
    assert_eq!(both.error.as_deref(), Some("server_error"));
    let (_, granted) = read("code=a&error_code=0&STATE").unwrap();
    assert_eq!((granted.code.is_some(), granted.error), (true, None));
    let refused = " STATE code=a code=a&state= code=a&state=x code=&error=&STATE access_token=t&STATE \
                   code=a&code=a&STATE code=a&code=&STATE code=a&STATE&STATE \
                   code=a&STATE&iss=a&iss=a error=a&error=b&STATE error_code=1&error_code=2&STATE";
    for refused in refused.split(' ') {
        assert_eq!(read(refused).unwrap_err(), Denied::Unknown, "{refused}");
    }
    let others = |count: usize| "x=1&".repeat(count) + "code=a&STATE";
    assert!(read(&others(98)).is_ok());
    assert_eq!(read(&others(99)).unwrap_err(), Denied::Unknown);
    let ticket = format!("ticket={}", new_handle(&own));
    assert_eq!(browser::ticket(&ticket, &names).unwrap().0, own);
    for refused in ["", "ticket=", "ticket=x", &format!("{ticket}&{ticket}")] {
        assert_eq!(browser::ticket(refused, &names).unwrap_err(), Denied::Unknown, "{refused}");
    }
}

#[test]
fn a_cookie_binds_the_browser_to_one_session() {
    // RFC 6265bis §4.1.3.2.
    for (url, prefix, secure) in
        [("https://vault.example.com", "__Host-", "; Secure"), ("http://127.0.0.1:8787", "", "")]
    {
        let vault = PublicUrl::parse(url).unwrap();
        let (session, other, names) = (new_session(), new_session(), config().names);
        let name = format!("{prefix}etv-{}", session.as_str());
        let other = format!("{prefix}etv-{}", other.as_str());
        let attributes = |age| format!("; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}");
        let set = browser::set_cookie(&session, &Secret::new("v"), &vault);
        assert_eq!(set.expose(), format!("{name}=v{}", attributes(SESSION_LIFETIME)));
        assert_eq!(browser::clear_cookie(&session, &vault), format!("{name}={}", attributes(0)));
        let query = format!("code=a&state={}", new_handle(&session));
        let read = |header: &str| {
            let header = header.replace("NAME", &name).replace("OTHER", &other);
            let (_, back) = respond(&query, None, Some(&header), &names, &vault).unwrap();
            back.cookie.map(|cookie| cookie.expose().to_owned())
        };
        assert_eq!(read("a=b; OTHER=w; NAME=v;c"), Some("v".into()));
        for none in ["", "OTHER=w", "NAME=v; NAME=v", "NAME=v; NAME=w", "xNAME=v", "NAME"] {
            assert_eq!(read(none), None, "{none}");
        }
        // Browsers store at most about 200 cookies of a host.
        assert_eq!(read(&format!("{}NAME=v", "a=b; ".repeat(199))), Some("v".into()));
        assert_eq!(read(&format!("{}NAME=v", "a=b; ".repeat(200))), None);
        // A host of the same site can set a cookie without the prefix `__Host-`.
        assert_eq!(read(&format!("etv-{}=v", session.as_str())).is_some(), secure.is_empty());
    }
}
