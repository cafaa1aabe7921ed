//! Tokens that the vault makes itself at a provider: for whom, and what becomes of a grant where none
//! is to be had. GitHub's installations are what they are made for.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/connection.rs"]
mod connection_support;

use connection_support::{connection, known, private_key, proved};
use edge_token_vault::config::Connection;
use edge_token_vault::encoding;
use edge_token_vault::provider::answer::Received;
use edge_token_vault::provider::dialect::Minting;
use edge_token_vault::provider::endpoints::Provider;
use edge_token_vault::provider::errors::Failure;
use edge_token_vault::provider::minting::{self, Making, Minted, NoAccount, Unminted, Wanted};
use edge_token_vault::secret::Secret;
use edge_token_vault::vault::mint::{After, after};
use edge_token_vault::vault::record::{AccessTokenRecord, AccountState, Grant, Reason, Selector};
use edge_token_vault::vault::refresh::Settlement;
use edge_token_vault::vault::release::{
    Problem, Step, Want, Withheld, check_minted, decide, renewal, select, withheld,
};
use serde_json::{Value, json};

const NOW: i64 = 1_795_492_800;
const KIND: &str = "installation";
const ALICE: &str = "7";

fn app() -> Connection {
    known("github_app")
}

fn rules(connection: &Connection) -> &Minting {
    connection.minting(KIND).unwrap()
}

fn answer(status: u16, body: &Value) -> Received {
    Received::Answer { status, retry_after: None, body: Secret::new(body.to_string()) }
}

/// Makes a token for the account of this name, at a provider that answers so, one after the other.
/// `None`: it would ask on.
fn made_by(
    user: Option<&str>,
    name: &str,
    answers: &[Received],
) -> Option<Result<Minted, Unminted>> {
    let connection = app();
    let provider = Provider::new(&connection, None).unwrap();
    let user_token = Secret::new("ghu_1");
    let wanted = Wanted { user_token: &user_token, user, name, scopes: None };
    let (minting, signature) = (rules(&connection), Secret::new("signature"));
    let mut making = Making::new(&connection, &provider, minting, wanted, signature);
    for answer in answers {
        assert!(making.request().is_some());
        match making.answered(answer, NOW) {
            Ok(None) => {}
            Ok(Some(minted)) => return Some(Ok(minted)),
            Err(unminted) => return Some(Err(unminted)),
        }
    }
    None
}

fn made(name: &str, answers: &[(u16, Value)]) -> Option<Result<Minted, Unminted>> {
    let answers: Vec<_> = answers.iter().map(|(status, body)| answer(*status, body)).collect();
    made_by(Some(ALICE), name, &answers)
}

/// Why there is no token.
fn refused(name: &str, answers: &[(u16, Value)]) -> Unminted {
    made(name, answers).unwrap().unwrap_err()
}

fn no(reason: NoAccount) -> Unminted {
    Unminted::NoAccount(reason)
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
        let Minted { access_token, scopes, expires_at } = made(name, &answers).unwrap().unwrap();
        assert_eq!(access_token.expose(), "ghs_1");
        assert_eq!(scopes, ["contents:write", "metadata:read"]);
        assert_eq!(expires_at, NOW + 3600);
    }
    // Without an end it would be served for ever.
    for bad in [
        json!({"token": "ghs_1"}),
        json!({"token": "ghs_1", "expires_at": "soon"}),
        json!({"token": "", "expires_at": "2026-11-24T05:00:00Z"}),
    ] {
        let refused = refused("", &[alice(), installed(7), (201, bad)]);
        assert_eq!(refused, Unminted::Failure(Failure::Ambiguous));
    }
}

#[test]
fn only_an_owner_gets_a_token_that_can_do_all_that_an_installation_can() {
    let message = |text: &str| json!({ "message": text });
    for proof in [
        membership("active", "member"),
        membership("active", "billing_manager"),
        // Invited, and not accepted yet.
        membership("pending", "admin"),
        (200, json!({"role": "admin", "organization": {"id": 8}})),
        (200, json!({"state": "active", "role": "admin"})),
        (200, json!([])),
        // No member, and a provider that does not tell.
        (404, message("Not Found")),
        (403, message("You do not have access to this organization membership.")),
    ] {
        let answers = [proof, installed(8)];
        assert_eq!(refused("octo-org", &answers), no(NoAccount::NotOwner), "{answers:?}");
        // Where the application is not installed, nobody is told who owns it.
        let [proof, _] = answers;
        let nowhere = [proof, (404, message("Not Found"))];
        assert_eq!(refused("octo-org", &nowhere), no(NoAccount::NotInstalled), "{nowhere:?}");
    }
}

#[test]
fn ones_own_account_is_that_of_the_user_whose_grant_it_is() {
    for body in [json!({"id": 9, "login": "mallory"}), json!({"login": "alice"}), json!({})] {
        let other = refused("", &[(200, body)]);
        assert_eq!(other, Unminted::Failure(Failure::OtherUser));
    }
    // Of an account whose user is not known nothing is anybody's.
    let nobody = made_by(None, "", &[answer(200, &json!({"login": "alice"}))]).unwrap();
    assert_eq!(nobody.unwrap_err(), Unminted::Failure(Failure::OtherUser));
    assert_eq!(refused("", &[(404, json!({}))]), no(NoAccount::NotOwner));
}

#[test]
fn what_is_found_by_name_must_belong_to_the_account_that_was_proved() {
    // The name went to somebody else between the two requests.
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
    assert_eq!(last(422), Unminted::Scopes);
    let misconfigured = |word: &str| Unminted::Failure(Failure::Misconfigured(word.into()));
    assert_eq!(last(400), misconfigured("http_400"));
    // Our signature is not accepted: the operator's to mend, and the user's token is none the worse.
    for answers in [&[alice(), (401, json!({}))][..], &[alice(), installed(7), (401, json!({}))]] {
        assert_eq!(refused("", answers), misconfigured("signature_refused"));
    }
    assert_eq!(refused("", &[(401, json!({}))]), Unminted::UserToken);
    assert_eq!(refused("octo-org", &[(401, json!({}))]), Unminted::UserToken);
}

#[test]
fn a_provider_that_is_down_or_limits_rates_says_nothing_about_ownership() {
    let told = |received: Received| made_by(Some(ALICE), "octo-org", &[received]).unwrap();
    let unavailable = |retry_after| Unminted::Failure(Failure::Unavailable { retry_after });
    assert_eq!(told(Received::Lost).unwrap_err(), unavailable(None));
    assert_eq!(told(answer(502, &json!("<html>"))).unwrap_err(), unavailable(None));
    for status in [403, 429] {
        let (retry_after, body) = (Some("60".into()), Secret::new("{}"));
        let limited = Received::Answer { status, retry_after, body };
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

fn want(scopes: &[&str], exact: bool, resource: Option<&str>) -> Want {
    Want {
        login_hint: None,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        exact,
        kind: KIND.into(),
        resource: resource.map(str::to_owned),
    }
}

#[test]
fn each_account_and_each_narrowing_has_a_token_of_its_own() {
    let connection = app();
    let select = |want: Want| select(&connection, &[], &want);
    let octo = Some("https://github.com/octo-org");
    assert_eq!(select(want(&[], false, None)).unwrap(), Selector::new(KIND, "", &[]));
    assert_eq!(select(want(&[], false, octo)).unwrap(), Selector::new(KIND, "octo-org", &[]));
    let narrow = ["contents:read".to_owned()];
    assert_eq!(
        select(want(&["contents:read"], true, octo)).unwrap(),
        Selector::new(KIND, "octo-org", &narrow)
    );
    let elsewhere = select(want(&[], false, Some("https://example.com/octo-org")));
    assert_eq!(elsewhere.unwrap_err(), Problem::NoSuchResource);
    // The user's own token is for nothing in particular.
    let own = Want { kind: String::new(), ..want(&[], false, octo) };
    assert_eq!(select(own).unwrap_err(), Problem::NoSuchResource);
}

#[test]
fn a_level_includes_those_below_it() {
    let granted = ["contents:write".to_owned(), "issues:read".into(), "admin:weird".into()];
    let missing = |wanted: &str| !minting::missing(&granted, &[wanted.to_owned()]).is_empty();
    for has in ["contents:write", "contents:read", "issues:read", "admin:weird"] {
        assert!(!missing(has), "{has}");
    }
    for lacks in ["issues:write", "contents:admin", "contents", "pulls:read", "admin:read"] {
        assert!(missing(lacks), "{lacks}");
    }
    let token = AccessTokenRecord { scopes: granted.to_vec(), ..token(0) };
    let told = check_minted(&app(), &token, &want(&["contents:read", "issues:write"], false, None));
    let missing = vec!["issues:write".to_owned()];
    assert_eq!(told.unwrap_err(), Problem::MissingScopes { missing });
}

/// The user's own token, of this age.
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
        renewal(&connection, KIND, &grant, own, NOW).possible
    };
    // Where the App's tokens have no end, there is no refresh token.
    let endless = AccessTokenRecord { expires_at: None, ..token(0) };
    assert!(can(false, Some(&endless)) && can(false, Some(&token(60))) && can(true, None));
    assert!(!can(false, Some(&token(28_800))) && !can(false, None));
    // Another one does not end it, so it is made ahead of need, which the user's own is not.
    let grant = Grant::new(1, true, vec![]);
    let last = AccessTokenRecord { expires_at: Some(NOW + 30), ..token(3570) };
    let step = |kind: &str| {
        let renewal = renewal(&connection, kind, &grant, Some(&token(60)), NOW);
        decide(AccountState::Active, &grant, Some(&last), renewal, NOW)
    };
    assert_eq!(step(KIND), Step::Refresh);
    assert_eq!(step(""), Step::Serve { expires_in: 30 });
}

#[test]
fn a_refused_user_token_is_renewed_once_and_ends_the_grant_where_it_cannot_be() {
    let grant = Grant::new(3, true, vec![]);
    let after = |grant: &Grant, age| after(Unminted::UserToken, grant, &token(age), NOW);
    assert!(matches!(after(&grant, 600), After::Renew));
    // It was renewed just now: more of that does not help.
    let After::Settle(Settlement::Kept { grant: kept }) = after(&grant, 1) else {
        panic!("{:?}", after(&grant, 1));
    };
    assert!(kept.retry_at.is_some_and(|at| at > NOW) && kept.fault.is_none());
    let bare = Grant::new(3, false, vec![]);
    let After::Settle(Settlement::Ended { state, .. }) = after(&bare, 600) else {
        panic!("{:?}", after(&bare, 600));
    };
    assert_eq!(state, AccountState::ReconnectRequired(Reason::RefreshRefused));
}

#[test]
fn what_is_not_to_be_had_costs_no_grant_and_is_asked_for_again_in_a_minute() {
    let grant = Grant::new(3, true, vec![]);
    let after = |unminted| after(unminted, &grant, &token(600), NOW);
    let After::Withhold(why) = after(no(NoAccount::NotOwner)) else {
        panic!("a member who is no owner lost a grant");
    };
    let told = |ago: i64| withheld(Some((why, NOW - ago)), &want(&[], false, None), NOW);
    assert_eq!(told(59), Some(Problem::NoAccount { reason: NoAccount::NotOwner }));
    assert_eq!(told(60), None);
    let key = Failure::Misconfigured("signature_refused".into());
    let After::Settle(Settlement::Kept { grant: kept }) = after(Unminted::Failure(key)) else {
        panic!("a key that is no good cost a grant");
    };
    assert_eq!(kept.fault.as_deref(), Some("signature_refused"));
    assert!(matches!(after(Unminted::Scopes), After::Withhold(Withheld::Scopes)));
}

#[test]
fn our_signature_tells_who_we_are_for_less_than_ten_minutes() {
    let signed = minting::signed("Iv1.client", NOW);
    let parts: Vec<Value> = signed
        .split('.')
        .map(|part| serde_json::from_slice(&encoding::from_base64url(part).unwrap()).unwrap())
        .collect();
    assert_eq!(parts[0], json!({"alg": "RS256", "typ": "JWT"}));
    let claims = json!({"iss": "Iv1.client", "iat": NOW - 60, "exp": NOW + 300});
    assert_eq!(parts[1..], [claims]);
}

#[test]
fn without_a_key_there_are_no_such_tokens() {
    let entry = json!({"provider": "github_app", "client_id": "x"});
    assert!(connection(&entry).unwrap().kinds.is_empty());
    // A kind that comes along is not signed for.
    let slack = json!({"provider": "slack", "client_id": "x"});
    let key = json!({"client_secret": "y", "private_key": private_key()});
    assert!(proved(&slack, &key).unwrap_err().mend.contains("nothing here is signed with it"));
}

#[test]
fn where_our_signature_goes_is_checked_like_every_endpoint() {
    let key = json!({"client_secret": "y", "private_key": private_key()});
    for (field, value, mend) in [
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
        assert!(error.mend.contains(mend), "{error}");
    }
}
