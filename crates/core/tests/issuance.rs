// SPDX-License-Identifier: Apache-2.0
//! Issuance of tokens with the vault's private key: for which accounts, and what a failed issuance means
//! for the grant it depends on. The provider is GitHub, whose Apps have tokens of installations.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "support/connection.rs"]
mod connection_support;

use connection_support::{connection, known, private_key, proved};
use serde_json::{Value, json};
use vault_base::encoding;
use vault_base::ids::AccountId;
use vault_base::secret::Secret;
use vault_core::vault::issuance_failure::{AfterIssuance, after};
use vault_core::vault::record::{AccessTokenRecord, AccountState, Grant, Reason, Selector};
use vault_core::vault::release::{
    Misconfiguration, NegativeCache, ReleaseError, ReleaseStep, RequestedToken, TokenUnavailable,
    Unobtainable, decide, decide_for, renewal, select,
};
use vault_provider::connection::Connection;
use vault_provider::endpoints::Provider;
use vault_provider::error_codes::TokenEndpointError;
use vault_provider::issuance::{
    self, Issuance, IssuanceError, IssuanceRequest, IssuedToken, NoAccount,
};
use vault_provider::profile::IssuanceRules;
use vault_provider::token_response::ProviderResponse;

const NOW: i64 = 1_795_492_800;
const KIND: &str = "installation";
const ALICE: &str = "7";

fn app() -> Connection {
    known("github_app")
}

fn rules(connection: &Connection) -> &IssuanceRules {
    connection.issuance(KIND).unwrap()
}

fn answer(status: u16, body: &Value) -> ProviderResponse {
    ProviderResponse::Answer { status, retry_after: None, body: Secret::new(body.to_string()) }
}

/// Issues a token for the account of this name, at a provider that sends these responses one after the
/// other. `None` if another request would follow.
fn made_by(
    user: Option<&str>,
    name: &str,
    answers: &[ProviderResponse],
) -> Option<Result<IssuedToken, IssuanceError>> {
    let connection = app();
    let provider = Provider::new(&connection, None).unwrap();
    let user_token = Secret::new("ghu_1");
    let wanted = IssuanceRequest { user_token: &user_token, user, name, scopes: None };
    let (issuance, signature) = (rules(&connection), Secret::new("signature"));
    let mut issuing = Issuance::new(&connection, &provider, issuance, wanted, signature);
    for answer in answers {
        assert!(issuing.request().is_some());
        match issuing.answered(answer, NOW) {
            Ok(None) => {}
            Ok(Some(issued)) => return Some(Ok(issued)),
            Err(failure) => return Some(Err(failure)),
        }
    }
    None
}

fn made(name: &str, answers: &[(u16, Value)]) -> Option<Result<IssuedToken, IssuanceError>> {
    let answers: Vec<_> = answers.iter().map(|(status, body)| answer(*status, body)).collect();
    made_by(Some(ALICE), name, &answers)
}

/// The error that the issuance ends with.
fn refused(name: &str, answers: &[(u16, Value)]) -> IssuanceError {
    made(name, answers).unwrap().unwrap_err()
}

fn no(reason: NoAccount) -> IssuanceError {
    IssuanceError::NoAccount(reason)
}

fn alice() -> (u16, Value) {
    (200, json!({"id": 7, "login": "alice"}))
}

fn membership(state: &str, role: &str) -> (u16, Value) {
    (200, json!({"state": state, "role": role, "organization": {"id": 8, "login": "octo-org"}}))
}

fn owner() -> (u16, Value) {
    membership("active", "admin")
}

fn installed(account: i64) -> (u16, Value) {
    (200, json!({"id": 42, "account": {"id": account}, "suspended_at": null}))
}

fn token_of(permissions: &Value) -> (u16, Value) {
    (
        201,
        json!({"token": "ghs_1", "expires_at": "2026-11-24T05:00:00Z", "permissions": permissions}),
    )
}

#[test]
fn a_made_token_has_its_permissions_as_scopes_and_ends_when_it_says() {
    let permissions = json!({"contents": "write", "metadata": "read"});
    for (name, proof, account) in [("", alice(), 7), ("octo-org", owner(), 8)] {
        let answers = [proof, installed(account), token_of(&permissions)];
        let IssuedToken { access_token, scopes, expires_at } =
            made(name, &answers).unwrap().unwrap();
        assert_eq!(access_token.expose(), "ghs_1");
        assert_eq!(scopes, ["contents:write", "metadata:read"]);
        assert_eq!(expires_at, NOW + 3600);
    }
    // A token without a valid expiry would be served forever.
    for bad in [
        json!({"token": "ghs_1"}),
        json!({"token": "ghs_1", "expires_at": "soon"}),
        json!({"token": "", "expires_at": "2026-11-24T05:00:00Z"}),
        // It has already expired, so each caller would cause another issuance.
        json!({"token": "ghs_1", "expires_at": "2026-11-24T04:00:00Z"}),
    ] {
        let refused = refused("", &[alice(), installed(7), (201, bad)]);
        assert_eq!(
            refused,
            IssuanceError::Failure(TokenEndpointError::Ambiguous { retry_after: None })
        );
    }
}

#[test]
fn only_an_owner_gets_a_token_that_can_do_all_that_an_installation_can() {
    let message = |text: &str| json!({ "message": text });
    for proof in [
        membership("active", "member"),
        membership("active", "billing_manager"),
        // The user was invited and has not accepted yet.
        membership("pending", "admin"),
        (200, json!({"role": "admin", "organization": {"id": 8}})),
        (200, json!({"state": "active", "role": "admin"})),
        (404, message("Not Found")),
    ] {
        // A user who is not an owner does not learn whether the application is installed.
        assert_eq!(
            refused("octo-org", std::slice::from_ref(&proof)),
            no(NoAccount::NotOwner),
            "{proof:?}"
        );
    }
    // The provider does not disclose the membership, perhaps because the application is not installed.
    let untold = || (403, message("Resource not accessible by integration"));
    assert_eq!(refused("octo-org", &[untold(), installed(8)]), no(NoAccount::Untold));
    let nowhere = [untold(), (404, message("Not Found"))];
    assert_eq!(refused("octo-org", &nowhere), no(NoAccount::NotInstalled));
}

#[test]
fn ones_own_account_is_that_of_the_user_whose_grant_it_is() {
    for body in [json!({"id": 9, "login": "mallory"}), json!({"login": "alice"}), json!({})] {
        let other = refused("", &[(200, body)]);
        assert_eq!(other, IssuanceError::Failure(TokenEndpointError::OtherUser));
    }
    // Without a stored id of the user, no account is shown to be the user's own.
    let nobody = made_by(None, "", &[answer(200, &json!({"login": "alice"}))]).unwrap();
    assert_eq!(nobody.unwrap_err(), IssuanceError::Failure(TokenEndpointError::OtherUser));
    assert_eq!(refused("", &[(404, json!({}))]), no(NoAccount::Untold));
    // A rate limit says nothing about the ownership.
    let often =
        refused("", &[(403, json!({"message": "You have exceeded a secondary rate limit"}))]);
    assert_eq!(
        often,
        IssuanceError::Failure(TokenEndpointError::Unavailable { retry_after: None })
    );
}

#[test]
fn what_is_found_by_name_must_belong_to_the_account_that_was_proved() {
    // Another account has taken the name between the two requests.
    assert_eq!(refused("octo-org", &[owner(), installed(9)]), no(NoAccount::NotInstalled));
    assert_eq!(refused("", &[alice(), installed(8)]), no(NoAccount::NotInstalled));
    assert_eq!(refused("", &[alice(), (200, json!({"id": 42}))]), no(NoAccount::NotInstalled));
    assert_eq!(refused("", &[alice(), (404, json!({}))]), no(NoAccount::NotInstalled));
    let suspended = json!({"id": 42, "account": {"id": 8}, "suspended_at": "2026-11-24T04:00:00Z"});
    assert_eq!(refused("octo-org", &[owner(), (200, suspended)]), no(NoAccount::Suspended));
}

#[test]
fn what_the_provider_says_to_the_last_request_is_told_apart() {
    let last = |status| refused("", &[alice(), installed(7), (status, json!({}))]);
    assert_eq!(last(404), no(NoAccount::NotInstalled));
    assert_eq!(last(403), no(NoAccount::Suspended));
    // The request did not narrow the scopes, so a 422 is not about them.
    assert_eq!(
        last(422),
        IssuanceError::Failure(TokenEndpointError::Misconfigured("http_422".into()))
    );
    let misconfigured =
        |word: &str| IssuanceError::Failure(TokenEndpointError::Misconfigured(word.into()));
    assert_eq!(last(400), misconfigured("http_400"));
    // The provider rejects the vault's signature: the operator must act, and the user's token remains
    // valid.
    for answers in [&[alice(), (401, json!({}))][..], &[alice(), installed(7), (401, json!({}))]] {
        assert_eq!(refused("", answers), misconfigured("signature_refused"));
    }
    let untold = [(403, json!({})), (401, json!({}))];
    assert_eq!(refused("octo-org", &untold), misconfigured("signature_refused"));
}

#[test]
fn that_the_users_token_is_over_is_believed_the_second_time() {
    let over = || (401, json!({"message": "Bad credentials"}));
    for name in ["", "octo-org"] {
        assert!(made(name, &[over()]).is_none(), "it asks again");
        assert_eq!(refused(name, &[over(), over()]), IssuanceError::UserToken);
        let spurious = refused(name, &[over(), alice()]);
        assert_eq!(
            spurious,
            IssuanceError::Failure(TokenEndpointError::Unavailable { retry_after: None })
        );
    }
}

#[test]
fn a_provider_that_is_down_or_limits_rates_says_nothing_about_ownership() {
    let told = |received: ProviderResponse| made_by(Some(ALICE), "octo-org", &[received]).unwrap();
    let unavailable =
        |retry_after| IssuanceError::Failure(TokenEndpointError::Unavailable { retry_after });
    assert_eq!(told(ProviderResponse::Lost).unwrap_err(), unavailable(None));
    assert_eq!(told(answer(502, &json!("<html>"))).unwrap_err(), unavailable(None));
    assert_eq!(
        told(answer(200, &json!("<html>"))).unwrap_err(),
        IssuanceError::Failure(TokenEndpointError::Ambiguous { retry_after: None })
    );
    for status in [403, 429] {
        let (retry_after, body) = (Some("60".into()), Secret::new("{}"));
        let limited = ProviderResponse::Answer { status, retry_after, body };
        assert_eq!(told(limited).unwrap_err(), unavailable(Some(60)));
    }
}

#[test]
fn a_resource_names_an_account_of_this_provider_and_nothing_else() {
    let connection = app();
    let name = |resource: &str| rules(&connection).name_in(resource);
    assert_eq!(name("https://github.com/Octo-Org").as_deref(), Some("octo-org"));
    for other in [
        "https://github.com/",
        "https://github.com/octo-org/repo",
        "https://github.com/..",
        "https://github.com/octo%2Forg",
        "https://github.com/octo-org?x=1",
        "https://github.com.evil.example/octo-org",
        "https://gitlab.com/octo-org",
        "octo-org",
    ] {
        assert_eq!(name(other), None, "{other}");
    }
}

fn want(scopes: &[&str], exact: bool, resource: Option<&str>) -> RequestedToken {
    RequestedToken {
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        exact,
        kind: KIND.into(),
        resource: resource.map(str::to_owned),
        ..RequestedToken::default()
    }
}

#[test]
fn each_account_and_each_narrowing_has_a_token_of_its_own() {
    let connection = app();
    let select = |want: RequestedToken| select(&connection, Some("Alice"), &[], &want);
    let octo = Some("https://github.com/octo-org");
    // The user's own account, identified by its name.
    let alice = select(want(&[], false, Some("https://github.com/alice")));
    assert_eq!(alice.unwrap(), Selector::new(KIND, "", &[]));
    assert_eq!(select(want(&[], false, None)).unwrap(), Selector::new(KIND, "", &[]));
    assert_eq!(select(want(&[], false, octo)).unwrap(), Selector::new(KIND, "octo-org", &[]));
    let narrow = ["contents:read".to_owned()];
    assert_eq!(
        select(want(&["contents:read"], true, octo)).unwrap(),
        Selector::new(KIND, "octo-org", &narrow)
    );
    let elsewhere = select(want(&[], false, Some("https://example.com/octo-org")));
    assert_eq!(elsewhere.unwrap_err(), ReleaseError::NoSuchResource);
    // The user's own token is not for a resource.
    let own = RequestedToken { kind: String::new(), ..want(&[], false, octo) };
    assert_eq!(select(own).unwrap_err(), ReleaseError::NoSuchResource);
}

#[test]
fn a_level_includes_those_below_it() {
    let granted = ["contents:write".to_owned(), "issues:read".into(), "admin:weird".into()];
    let missing = |wanted: &str| !issuance::missing(&granted, &[wanted.to_owned()]).is_empty();
    for has in ["contents:write", "contents:read", "issues:read", "admin:weird"] {
        assert!(!missing(has), "{has}");
    }
    for lacks in ["issues:write", "contents:admin", "contents", "pulls:read", "admin:read"] {
        assert!(missing(lacks), "{lacks}");
    }
}

#[test]
fn a_token_that_lacks_scopes_is_made_anew_before_that_is_told() {
    let connection = app();
    let decide = |age, state, scopes: &[&str], withheld| {
        let made = AccessTokenRecord {
            scopes: vec!["contents:write".into()],
            expires_at: Some(NOW + 3600 - age),
            ..token(age)
        };
        let grant = Grant::new(1, true, vec![]);
        let renewal = renewal(&connection, KIND, &grant, Some(&token(600)), withheld, NOW);
        let want = want(scopes, false, None);
        decide_for(&want, &connection, state, &grant, Some(&made), renewal, NOW)
    };
    let lacking = ["contents:read", "issues:write"];
    let missing =
        ReleaseStep::Stop(ReleaseError::MissingScopes { missing: vec!["issues:write".into()] });
    let active = AccountState::Active;
    assert_eq!(decide(600, active, &lacking, None), ReleaseStep::Refresh);
    // The token was issued just now, so another one would have the same scopes.
    assert_eq!(decide(59, active, &lacking, None), missing);
    // No token is issued while the provider must not be asked, or when the grant has ended.
    let down = Some(ReleaseError::Unavailable { retry_after: 5 });
    assert_eq!(decide(600, active, &lacking, down), missing);
    // The error that the account is no longer the user's takes precedence.
    let another = ReleaseError::NoAccount { reason: NoAccount::NotOwner };
    assert_eq!(decide(600, active, &lacking, Some(another.clone())), ReleaseStep::Stop(another));
    let over = AccountState::ReconnectRequired(Reason::RefreshRefused);
    assert_eq!(decide(600, over, &lacking, None), missing);
    assert_eq!(
        decide(600, active, &["contents:read"], None),
        ReleaseStep::Serve { expires_in: 3000 }
    );
}

#[test]
fn a_made_token_never_has_more_than_an_exact_client_asked_for() {
    let connection = app();
    let given = || ReleaseStep::Serve { expires_in: 3590 };
    let too_wide = || ReleaseStep::Stop(ReleaseError::CannotNarrow);
    let lacks_write = ReleaseStep::Stop(ReleaseError::MissingScopes {
        missing: vec!["contents:write".to_owned()],
    });
    for (has, asked, exact, expected) in [
        (&["contents:read"][..], &["contents:read"][..], true, given()),
        (&["contents:read"], &["contents:write"], true, lacks_write),
        (&["contents:write"], &["contents:write", "contents:read"], true, given()),
        (&["contents:read", "metadata:read"], &["contents:read"], true, too_wide()),
        (&["contents:read", "metadata:read"], &["contents:read", "metadata:read"], true, given()),
        (&["contents:read"], &[], true, too_wide()),
        (&["contents:read", "metadata:read"], &["contents:read"], false, given()),
        (&["contents:read"], &[], false, given()),
    ] {
        let scopes = has.iter().map(|scope| (*scope).to_owned()).collect();
        let made = AccessTokenRecord { scopes, expires_at: Some(NOW + 3590), ..token(10) };
        let grant = Grant::new(1, true, vec![]);
        let renewal = renewal(&connection, KIND, &grant, Some(&token(600)), None, NOW);
        let (want, state) = (want(asked, exact, None), AccountState::Active);
        let step = decide_for(&want, &connection, state, &grant, Some(&made), renewal, NOW);
        assert_eq!(step, expected, "{has:?} {asked:?}");
    }
}

/// The user's own access token, of this age in seconds.
fn token(age: i64) -> AccessTokenRecord {
    AccessTokenRecord {
        generation: 1,
        scopes: vec![],
        issued_at: NOW - age,
        expires_at: Some(NOW + 28_800 - age),
    }
}

#[test]
fn a_made_token_rests_on_the_users_own() {
    let connection = app();
    assert_eq!((connection.grant_of(KIND), connection.grant_of("bot")), ("", "bot"));
    let can = |has_refresh_token, own: Option<&AccessTokenRecord>| {
        let grant = Grant::new(1, has_refresh_token, vec![]);
        renewal(&connection, KIND, &grant, own, None, NOW).possible
    };
    // If the App's user tokens do not expire, there is no refresh token.
    let endless = AccessTokenRecord { expires_at: None, ..token(0) };
    assert!(can(false, Some(&endless)) && can(false, Some(&token(60))) && can(true, None));
    assert!(!can(false, Some(&token(28_800))) && !can(false, None));
    // The issuance of another token does not invalidate this one, so it is renewed ahead of the expiry,
    // unlike the user's own token.
    let grant = Grant::new(1, true, vec![]);
    let last = AccessTokenRecord { expires_at: Some(NOW + 30), ..token(3570) };
    let step = |kind: &str| {
        let renewal = renewal(&connection, kind, &grant, Some(&token(60)), None, NOW);
        decide(AccountState::Active, &grant, Some(&last), renewal, NOW)
    };
    assert_eq!(step(KIND), ReleaseStep::Refresh);
    assert_eq!(step(""), ReleaseStep::Serve { expires_in: 30 });
}

#[test]
fn a_refused_user_token_is_renewed_once_and_ends_the_grant_where_it_cannot_be() {
    let grant = Grant::new(3, true, vec![]);
    let after = |grant: &Grant, age, before: Option<Unobtainable>| {
        after(&IssuanceError::UserToken, grant, &token(age), before, NOW)
    };
    let AfterIssuance::Renew(renewed) = after(&grant, 600, None) else {
        panic!("{:?}", after(&grant, 600, None));
    };
    assert_eq!((renewed.until, renewed.failures), (NOW, 1));
    // The user's token was refreshed just now, or without effect. Another refresh would not help, and would
    // invalidate tokens that others use.
    for held in [withheld(after(&grant, 1, None)), withheld(after(&grant, 600, Some(renewed)))] {
        assert_eq!(held.why, TokenUnavailable::Unavailable);
        assert!(held.until > NOW);
    }
    // Without a refresh token, the only access token is tried again after a while.
    let bare = Grant::new(3, false, vec![]);
    // An earlier failure of another cause does not count as a rejection of the token.
    let down =
        Unobtainable { refused: false, ..Unobtainable::new(TokenUnavailable::Unavailable, NOW) };
    let down = Unobtainable { failures: 3, ..down };
    assert!(matches!(after(&grant, 600, Some(down)), AfterIssuance::Renew(_)));
    let once = withheld(after(&bare, 600, Some(down)));
    assert_eq!((once.why, once.until > NOW), (TokenUnavailable::Unavailable, true));
    let AfterIssuance::End { state, .. } = after(&bare, 600, Some(once)) else {
        panic!("{:?}", after(&bare, 600, Some(once)));
    };
    assert_eq!(state, AccountState::ReconnectRequired(Reason::RefreshRefused));
}

/// The entry of the negative cache, if the grant is unchanged.
fn withheld(after: AfterIssuance) -> Unobtainable {
    match after {
        AfterIssuance::Withhold(held) => held,
        other => panic!("it cost a grant: {other:?}"),
    }
}

#[test]
fn what_is_not_to_be_had_costs_no_grant_and_is_asked_for_again_in_a_while() {
    let grant = Grant::new(3, true, vec![]);
    let held = |failure, failures| {
        let before =
            Unobtainable { failures, ..Unobtainable::new(TokenUnavailable::Unavailable, NOW) };
        withheld(after(&failure, &grant, &token(600), Some(before), NOW))
    };
    let told = |held: Unobtainable, at| held.problem(&want(&["issues:read"], true, None), NOW + at);
    let reason = NoAccount::NotOwner;
    let not_owner = held(no(reason), 0);
    assert_eq!(told(not_owner, 59), Some(ReleaseError::NoAccount { reason }));
    assert_eq!(told(not_owner, 60), None);
    let missing = vec!["issues:read".to_owned()];
    assert_eq!(
        told(held(IssuanceError::Scopes, 0), 0),
        Some(ReleaseError::MissingScopes { missing })
    );
    // The longer the failure lasts, the less often the provider is asked.
    let key =
        || IssuanceError::Failure(TokenEndpointError::Misconfigured("signature_refused".into()));
    assert_eq!(
        told(held(key(), 0), 0),
        Some(ReleaseError::Misconfigured { retry_after: 5, reason: Misconfiguration::default() })
    );
    assert_eq!(
        told(held(key(), 3), 0),
        Some(ReleaseError::Misconfigured { retry_after: 40, reason: Misconfiguration::default() })
    );
    assert_eq!(held(key(), 3).failures, 4);
    let down =
        |retry_after| IssuanceError::Failure(TokenEndpointError::Unavailable { retry_after });
    assert_eq!(
        told(held(down(Some(90)), 3), 0),
        Some(ReleaseError::Unavailable { retry_after: 90 })
    );
}

#[test]
fn what_callers_ask_for_does_not_fill_the_memory() {
    let account = AccountId::random().unwrap();
    let key = |name: usize| (account.clone(), Selector::new(KIND, &name.to_string(), &[]));
    let mut held = NegativeCache::default();
    for name in 0..10_000 {
        held.insert(
            key(name),
            Unobtainable::new(TokenUnavailable::NoAccount(NoAccount::NotOwner), NOW),
            NOW,
        );
    }
    let there = (0..10_000).filter(|name| held.get(&key(*name)).is_some()).count();
    assert!((1..=256).contains(&there), "{there}");
    let last = key(9_999);
    assert!(held.get(&last).is_some());
    held.insert(key(0), Unobtainable::new(TokenUnavailable::Scopes, NOW + 700), NOW + 700);
    assert!(held.get(&last).is_none(), "it is long past");
}

#[test]
fn what_is_left_of_a_token_serves_while_the_provider_is_down_and_not_once_it_is_anothers() {
    let connection = app();
    let grant = Grant::new(1, true, vec![]);
    let last = AccessTokenRecord { expires_at: Some(NOW + 30), ..token(3570) };
    let step = |problem: ReleaseError| {
        let renewal = renewal(&connection, KIND, &grant, Some(&last), Some(problem), NOW);
        decide(AccountState::Active, &grant, Some(&last), renewal, NOW)
    };
    let served = ReleaseStep::Serve { expires_in: 30 };
    assert_eq!(step(ReleaseError::Unavailable { retry_after: 5 }), served);
    assert_eq!(
        step(ReleaseError::Misconfigured { retry_after: 5, reason: Misconfiguration::default() }),
        served
    );
    let not_owner = ReleaseError::NoAccount { reason: NoAccount::NotOwner };
    assert_eq!(step(not_owner.clone()), ReleaseStep::Stop(not_owner));
}

#[test]
fn our_signature_tells_who_we_are_for_less_than_ten_minutes() {
    let token = issuance::client_token("Iv1.client", NOW).with_signature(&[1; 256]);
    let parts: Vec<Value> = token
        .expose()
        .split('.')
        .take(2)
        .map(|part| serde_json::from_slice(&encoding::from_base64url(part).unwrap()).unwrap())
        .collect();
    assert_eq!(parts[0], json!({"alg": "RS256", "typ": "JWT"}));
    let claims = json!({"iss": "Iv1.client", "iat": NOW - 60, "exp": NOW + 300});
    assert_eq!(parts[1..], [claims]);
}

#[test]
fn without_a_key_there_are_no_such_tokens() {
    let entry = json!({"provider": "github_app", "client_id": "x"});
    let without = connection(&entry).unwrap();
    assert!(without.issuance(KIND).is_none() && without.kinds_there().next().is_none());
    assert_eq!(without.grant_of(KIND), KIND);
    // Tokens that were issued before the key was removed are still revoked, by the rules of their kind.
    assert!(without.may_revoke(KIND));
    assert_eq!(without.revocation_of(KIND), app().revocation_of(KIND));
    // A kind that comes with the consent needs no private key.
    let slack = json!({"provider": "slack", "client_id": "x"});
    let key = json!({"client_secret": "y", "private_key": private_key()});
    assert!(proved(&slack, &key).unwrap_err().fix.contains("have no `minting`"));
}

#[test]
fn where_our_signature_goes_is_checked_like_every_endpoint() {
    let key = json!({"client_secret": "y", "private_key": private_key()});
    for (field, value, fix) in [
        ("token_endpoint", "http://api.github.com/{id}", "https"),
        ("token_endpoint", "https://api.github.com/tokens", "lacks {id}"),
        ("own_lookup", "https://{name}/installation", "segment of its path may be {name}"),
        ("own_lookup", "https://api.github.com/users?name={name}", "lacks {name}"),
        ("organization_lookup", "https://api.github.com/{name}/{token}", "placeholder"),
        ("membership_endpoint", "https://api.github.com/", "lacks {name}"),
        ("resource", "https://github.com/", "must end with"),
    ] {
        let entry = json!({
            "provider": "github_app",
            "client_id": "x",
            "kinds": {"installation": {"minting": {field: value}}},
        });
        let error = proved(&entry, &key).unwrap_err();
        assert_eq!(error.field, format!("it.kinds.installation.minting.{field}"), "{error}");
        assert!(error.fix.contains(fix), "{error}");
    }
}
