// SPDX-License-Identifier: Apache-2.0
//! Which token is released, when a grant is refreshed, and that no response ends a grant that could be
//! kept.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/config.rs"]
mod config_support;

use std::collections::BTreeMap;

use config_support::config;
use serde_json::json;
use vault_base::encoding::base64url;
use vault_base::ids::AccountId;
use vault_base::secret::Secret;
use vault_core::vault::consent;
use vault_core::vault::record::{
    AccessTokenRecord, Account, AccountState, Grant, Intent, Reason, Selector, Unexplained,
};
use vault_core::vault::refresh::{self, CommitDecision, Heard, SentRequest, Settlement};
use vault_core::vault::release::{
    Misconfiguration, NegativeCache, ReleaseError, ReleaseStep, RenewalMethod, RequestedToken,
    TokenUnavailable, UNKNOWN_EXPIRES_IN, Unobtainable, as_believed, decide, decide_for, pick,
    registration_changed, renewal, select,
};
use vault_jose::identity::Identity;
use vault_provider::connection::Connection;
use vault_provider::error_codes::TokenEndpointError;
use vault_provider::profile::{RenewalRules, Rotation, ZeroLifetime};
use vault_provider::registration::Registration;
use vault_provider::token_response::{Lifetime, TokenResponse};

const NOW: i64 = 1_795_492_800;

fn account(id: &str, email: &str, name: &str) -> Account {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Account {
        id: AccountId::random().unwrap(),
        identity: Identity { id: some(id), email: some(email), name: some(name) },
        state: AccountState::Active,
        created_at: NOW,
        provider_data: BTreeMap::new(),
    }
}

fn grant() -> Grant {
    Grant::new(4, true, vec!["read".into(), "write".into()])
}

fn token(issued_ago: i64, expires_in: Option<i64>) -> AccessTokenRecord {
    AccessTokenRecord {
        generation: 4,
        scopes: vec!["read".into(), "write".into()],
        issued_at: NOW - issued_ago,
        expires_at: expires_in.map(|seconds| NOW + seconds),
    }
}

fn step(grant: &Grant, token: Option<&AccessTokenRecord>) -> ReleaseStep {
    let renewal = renewal(&connection(), "", grant, token, None, NOW);
    decide(AccountState::Active, grant, token, renewal, NOW)
}

/// A token that can be renewed, also ahead of its expiry.
const AHEAD: RenewalMethod =
    RenewalMethod { possible: true, ahead: true, by_itself: false, withheld: None, at_least: 0 };

#[test]
fn a_token_is_served_until_its_last_minute_or_its_second_half() {
    assert_eq!(
        step(&grant(), Some(&token(0, Some(3600)))),
        ReleaseStep::Serve { expires_in: 3600 }
    );
    assert_eq!(step(&grant(), Some(&token(3540, Some(60)))), ReleaseStep::Serve { expires_in: 60 });
    assert_eq!(step(&grant(), Some(&token(3541, Some(59)))), ReleaseStep::Refresh);
    // A token with a lifetime of 30 s is not refreshed at each call.
    assert_eq!(step(&grant(), Some(&token(15, Some(15)))), ReleaseStep::Serve { expires_in: 15 });
    assert_eq!(step(&grant(), Some(&token(16, Some(14)))), ReleaseStep::Refresh);
    assert_eq!(step(&grant(), Some(&token(3600, Some(0)))), ReleaseStep::Refresh);
    assert_eq!(step(&grant(), None), ReleaseStep::Refresh);
}

#[test]
fn a_token_that_renews_itself_is_renewed_after_half_of_its_lifetime_and_served_to_its_end() {
    const DAY: i64 = 86_400;
    let rules = RenewalRules { by_access_token: true, ..connection().renewal };
    let connection = Connection { renewal: rules, ..connection() };
    let grant = |ends: i64| Grant { expires_at: Some(NOW + ends), ..grant() };
    let step = |grant: &Grant, token: &AccessTokenRecord| {
        let renewal = renewal(&connection, "", grant, Some(token), None, NOW);
        decide(AccountState::Active, grant, Some(token), renewal, NOW)
    };
    let served = |expires_in| ReleaseStep::Serve { expires_in };
    let half = token(30 * DAY, Some(30 * DAY));
    assert_eq!(step(&grant(30 * DAY), &half), served(30 * DAY));
    let later = token(30 * DAY + 1, Some(30 * DAY - 1));
    assert_eq!(step(&grant(30 * DAY - 1), &later), ReleaseStep::Refresh);
    // While the provider is down, the token serves on.
    let down = Grant { retry_at: Some(NOW + 60), ..grant(DAY) };
    assert_eq!(step(&down, &token(59 * DAY, Some(DAY))), served(DAY));
    // One that has expired cannot be renewed any more.
    let over = ReleaseError::ReconnectRequired { reason: Reason::NoRefreshToken };
    assert_eq!(step(&grant(0), &token(60 * DAY, Some(0))), ReleaseStep::Stop(over));
    // One without a known end is not renewed at each call.
    assert!(matches!(step(&self::grant(), &token(60 * DAY, None)), ReleaseStep::Serve { .. }));
}

#[test]
fn a_token_is_never_released_for_longer_than_it_was_issued_for() {
    // The clock was set back by this number of seconds since the token was issued for an hour.
    for (back, served) in [(0, true), (1, true), (60, true), (61, false), (7200, false)] {
        let token = token(-back, Some(3600 + back));
        let expected = ReleaseStep::Serve { expires_in: 3600 };
        // Nobody knows how old it is, so it is renewed if that is possible.
        let told = if served { expected.clone() } else { ReleaseStep::Refresh };
        assert_eq!(step(&grant(), Some(&token)), told, "{back}");
        assert_eq!(step(&Grant::new(1, false, vec![]), Some(&token)), expected, "{back}");
        let connection = Connection { refresh_ends_access_token: true, ..connection() };
        let renewal = renewal(&connection, "", &grant(), Some(&token), None, NOW);
        assert_eq!(
            decide(AccountState::Active, &grant(), Some(&token), renewal, NOW),
            told,
            "{back}"
        );
    }
    // A token without an end is as good as before.
    let endless = ReleaseStep::Serve { expires_in: UNKNOWN_EXPIRES_IN };
    assert_eq!(step(&grant(), Some(&token(-7200, None))), endless);
}

#[test]
fn a_time_to_wait_that_no_failure_sets_was_noted_before_the_clock_was_set_back() {
    for (wait, counts) in [(0, false), (1, true), (3600, true), (3601, false)] {
        let waits = Grant { retry_at: Some(NOW + wait), ..grant() };
        let told = ReleaseStep::Stop(ReleaseError::Unavailable { retry_after: wait });
        let expected = if counts { told } else { ReleaseStep::Refresh };
        assert_eq!(step(&waits, None), expected, "{wait}");
        let held = Unobtainable::new(TokenUnavailable::Unavailable, NOW);
        let held = Unobtainable { until: NOW + wait, ..held };
        assert_eq!(held.problem(&want(&[], false), NOW).is_some(), counts, "{wait}");
    }
}

#[test]
fn a_token_that_was_issued_for_no_time_is_released_for_ten_seconds_before_another_is_asked_for() {
    let nothing = |ago: i64| AccessTokenRecord { expires_at: Some(NOW - ago), ..token(ago, None) };
    for (ago, expected) in [
        (0, ReleaseStep::Serve { expires_in: 0 }),
        (9, ReleaseStep::Serve { expires_in: 0 }),
        (10, ReleaseStep::Refresh),
        (-1, ReleaseStep::Refresh),
    ] {
        assert_eq!(step(&grant(), Some(&nothing(ago))), expected, "{ago}");
    }
    // A short time is a time.
    assert_eq!(step(&grant(), Some(&token(1, Some(0)))), ReleaseStep::Refresh);
}

#[test]
fn a_token_without_an_end_is_served_with_a_number() {
    let expected = ReleaseStep::Serve { expires_in: UNKNOWN_EXPIRES_IN };
    assert_eq!(step(&grant(), Some(&token(1_000_000, None))), expected);
}

#[test]
fn where_no_refresh_is_possible_what_is_left_of_the_token_serves() {
    let cooling = Grant { retry_at: Some(NOW + 30), failures: 1, ..grant() };
    let broken = Grant { fault: Some("invalid_client".into()), ..cooling.clone() };
    let bare = Grant::new(1, false, vec![]);
    for grant in [&cooling, &broken, &bare] {
        let left = step(grant, Some(&token(3599, Some(1))));
        assert_eq!(left, ReleaseStep::Serve { expires_in: 1 });
    }
    let stop = |grant: &Grant| step(grant, Some(&token(3600, Some(0))));
    assert_eq!(stop(&cooling), ReleaseStep::Stop(ReleaseError::Unavailable { retry_after: 30 }));
    assert_eq!(
        stop(&broken),
        ReleaseStep::Stop(ReleaseError::Misconfigured {
            retry_after: 30,
            reason: Misconfiguration::ProviderRefusedClient
        })
    );
    let reason = Reason::NoRefreshToken;
    assert_eq!(stop(&bare), ReleaseStep::Stop(ReleaseError::ReconnectRequired { reason }));
    assert_eq!(step(&Grant { retry_at: Some(NOW), ..cooling }, None), ReleaseStep::Refresh);
}

#[test]
fn a_grant_that_is_over_is_not_tried_again() {
    let reason = Reason::RefreshRefused;
    let over = Account { state: AccountState::ReconnectRequired(reason), ..account("1", "", "") };
    let stop = decide(over.state, &grant(), None, AHEAD, NOW);
    assert_eq!(stop, ReleaseStep::Stop(ReleaseError::ReconnectRequired { reason }));
    let left = decide(over.state, &grant(), Some(&token(3500, Some(50))), AHEAD, NOW);
    assert_eq!(left, ReleaseStep::Serve { expires_in: 50 });
}

#[test]
fn without_a_hint_the_oldest_account_is_meant() {
    let accounts = [account("1", "a@x.example", "a"), account("2", "b@x.example", "b")];
    assert_eq!(pick(&accounts, None, |_| true).unwrap().id, accounts[0].id);
    assert_eq!(pick(&[], None, |_| true).unwrap_err(), ReleaseError::NotConnected);
    assert_eq!(pick(&[], Some("a"), |_| true).unwrap_err(), ReleaseError::NotConnected);
}

#[test]
fn a_hint_matches_id_email_or_name_and_must_match_one() {
    let accounts = [
        account("1", "a@x.example", "same"),
        account("2", "b@x.example", "same"),
        account("3", "", "2"),
    ];
    let picked =
        |hint| pick(&accounts, Some(hint), |_| true).map(|account| account.identity.id.clone());
    assert_eq!(picked("1").unwrap().unwrap(), "1");
    assert_eq!(picked("B@x.example").unwrap().unwrap(), "2");
    // An id takes precedence over a name that is the same.
    assert_eq!(picked("2").unwrap().unwrap(), "2");
    assert_eq!(picked("same").unwrap_err(), ReleaseError::AmbiguousAccount);
    assert_eq!(picked("nobody").unwrap_err(), ReleaseError::NoSuchAccount);
}

#[test]
fn a_hint_that_is_an_account_id_matches_that_account_and_nothing_that_users_choose() {
    let [mut one, mut two, mut three] =
        [account("", "", ""), account("2", "b@x.example", "b"), account("3", "", "")];
    one.id = AccountId::parse("cac_1").unwrap();
    two.id = AccountId::parse("cac_2").unwrap();
    three.id = AccountId::parse("cac_3").unwrap();
    // Names at the provider that look like the ids of the others, and of an account that was deleted.
    two.identity.name = Some("cac_1".into());
    three.identity.name = Some("cac_9".into());
    three.identity.id = Some("cac_2".into());
    let accounts = [one, two, three];
    for (hint, expected) in [
        ("cac_1", Ok("cac_1")),
        ("cac_2", Ok("cac_2")),
        ("cac_3", Ok("cac_3")),
        ("cac_9", Err(ReleaseError::NoSuchAccount)),
        ("CAC_1", Err(ReleaseError::NoSuchAccount)),
        ("cac_", Err(ReleaseError::NoSuchAccount)),
        ("b", Err(ReleaseError::NoSuchAccount)),
        ("b@x.example", Ok("cac_2")),
    ] {
        let picked = pick(&accounts, Some(hint), |_| true).map(|account| account.id.as_str());
        assert_eq!(picked, expected, "{hint}");
    }
    let none_fits = pick(&accounts, Some("cac_1"), |_| false);
    assert_eq!(none_fits.unwrap_err(), registration_changed());
    assert_eq!(pick(&[], Some("cac_1"), |_| true).unwrap_err(), ReleaseError::NotConnected);
}

#[test]
fn two_accounts_that_tell_no_user_are_ambiguous_under_the_name_they_share() {
    let named = |id: &str| account(id, "", "same");
    for (accounts, expected) in [
        ([named(""), named("")], Err(ReleaseError::AmbiguousAccount)),
        ([named("1"), named("")], Err(ReleaseError::AmbiguousAccount)),
        ([named("1"), named("2")], Err(ReleaseError::AmbiguousAccount)),
        ([named("1"), named("1")], Ok(Some(0))),
    ] {
        let picked = pick(&accounts, Some("same"), |_| true);
        let position = picked.map(|one| accounts.iter().position(|other| other.id == one.id));
        assert_eq!(position, expected);
    }
}

#[test]
fn what_the_operator_must_look_into_has_a_word_and_the_first_of_them_is_left_out_of_messages() {
    for (reason, word) in [
        (Misconfiguration::ProviderRefusedClient, "provider_refused_client"),
        (Misconfiguration::RegistrationChanged, "registration_changed"),
        (Misconfiguration::UnusableAccessToken, "unusable_access_token"),
    ] {
        assert_eq!(reason.name(), word);
        let told = ReleaseError::Misconfigured { retry_after: 5, reason };
        let message = serde_json::to_value(&told).unwrap();
        // The version before knows no reason, and takes one that is missing for this.
        let expected = if reason == Misconfiguration::default() {
            json!({"misconfigured": {"retry_after": 5}})
        } else {
            json!({"misconfigured": {"retry_after": 5, "reason": word}})
        };
        assert_eq!(message, expected);
        assert_eq!(serde_json::from_value::<ReleaseError>(message).unwrap(), told);
    }
}

#[test]
fn a_token_that_was_not_to_be_had_is_remembered_for_ten_minutes_beyond_its_time_or_until_it_is_there()
 {
    let id = AccountId::random().unwrap();
    let of = |name: usize| (id.clone(), Selector::new("kind", &name.to_string(), &[]));
    let until = |until| Unobtainable { until, ..Unobtainable::new(TokenUnavailable::Scopes, NOW) };
    for (ended_ago, remembered) in [(0, true), (599, true), (600, false), (601, false)] {
        let mut held = NegativeCache::default();
        held.insert(of(0), until(NOW - ended_ago), NOW - ended_ago);
        held.insert(of(1), until(NOW), NOW);
        assert_eq!(held.get(&of(0)).is_some(), remembered, "{ended_ago}");
        assert!(held.get(&of(1)).is_some());
        held.remove(&of(1));
        assert!(held.get(&of(1)).is_none());
    }
    // 256 are remembered, and with one more all others are forgotten.
    let mut held = NegativeCache::default();
    (0..256).for_each(|name| held.insert(of(name), until(NOW), NOW));
    assert!((0..256).all(|name| held.get(&of(name)).is_some()));
    held.insert(of(256), until(NOW), NOW);
    assert_eq!((0..=256).filter(|name| held.get(&of(*name)).is_some()).count(), 1);
}

fn connection() -> Connection {
    config().connections["code"].clone()
}

fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

fn want(scopes: &[&str], exact: bool) -> RequestedToken {
    RequestedToken { scopes: texts(scopes), exact, ..RequestedToken::default() }
}

#[test]
fn scopes_are_at_least_these_or_exactly_these() {
    let granted = texts(&["read", "write"]);
    let narrows = connection();
    let fixed = Connection { down_scoping: false, ..connection() };
    let default = Ok(Selector::default());
    assert_eq!(select(&fixed, None, &granted, &want(&[], false)), default);
    assert_eq!(select(&narrows, None, &granted, &want(&["read"], false)), default);
    let missing = ReleaseError::MissingScopes { missing: vec!["admin".into()] };
    assert_eq!(
        select(&narrows, None, &granted, &want(&["read", "admin"], false)).unwrap_err(),
        missing
    );
    assert_eq!(select(&fixed, None, &granted, &want(&["write", "read"], true)), default);
    let narrow = select(&narrows, None, &granted, &want(&["read"], true)).unwrap();
    assert_eq!(narrow.scopes(&narrows, &granted).unwrap(), ["read"]);
    let refused = select(&fixed, None, &granted, &want(&["read"], true)).unwrap_err();
    assert_eq!(refused, ReleaseError::CannotNarrow);
}

#[test]
fn a_client_that_gets_what_it_names_never_gets_more_whatever_the_provider_gave() {
    let aliases = [("mail".to_owned(), "https://p.example/mail".to_owned())];
    let includes = [("write".to_owned(), texts(&["read"]))];
    let plain = Connection {
        down_scoping: false,
        scope_aliases: aliases.into(),
        scope_includes: includes.into(),
        ..connection()
    };
    let narrows = Connection { down_scoping: true, ..plain.clone() };
    let graph = Some("https://graph.example".to_owned());
    let by_resource = Connection { default_resource: graph, ..plain.clone() };
    let unscoped = Connection { scope_parameter: String::new(), ..plain.clone() };
    let graph_read = "https://graph.example/read";
    let vault = "https://vault.example/a";
    // The grant's scopes as recorded, those of the token, the requested ones, and whether the token is
    // released.
    for (connection, granted, has, asked, given) in [
        (&plain, &["read"][..], &["read"][..], &["read"][..], true),
        // The token has more scopes than the grant has on record.
        (&plain, &["read"], &["read", "admin"], &["read"], false),
        // The response to a narrowed refresh has more scopes than requested, or exactly those.
        (&narrows, &["read", "admin"], &["read", "admin"], &["read"], false),
        (&narrows, &["read", "admin"], &["read"], &["read"], true),
        (&plain, &["read", "admin"], &["read", "admin"], &["read"], false),
        (&plain, &["read", "admin"], &["read", "admin"], &["admin", "read"], true),
        // Scopes are compared by the same names as for missing scopes.
        (&plain, &["https://p.example/mail"], &["https://p.example/mail"], &["mail"], true),
        (&by_resource, &[graph_read], &["read"], &["read"], true),
        (&by_resource, &["read", vault], &["read"], &[graph_read], true),
        (&by_resource, &["read", vault], &[vault], &[vault], true),
        (&by_resource, &["read", vault], &[vault, "https://vault.example/b"], &[vault], false),
        // A requested scope stands for those that it includes, but not the other way round.
        (&plain, &["write", "read"], &["write", "read"], &["write"], true),
        (&plain, &["write"], &["write"], &["write", "read"], true),
        (&plain, &["write"], &["write"], &["read"], false),
        // A request without scopes does not receive a token that has some, unless the provider has no
        // scopes.
        (&plain, &["read"], &["read"], &[], false),
        (&narrows, &["read"], &["read"], &[], false),
        (&unscoped, &[], &[], &[], true),
    ] {
        let case = format!("{granted:?} {has:?} {asked:?}");
        let decide = |exact, kind: &str| {
            let want = RequestedToken { kind: kind.to_owned(), ..want(asked, exact) };
            let stored = AccessTokenRecord { scopes: texts(has), ..token(600, Some(3000)) };
            match select(connection, None, &texts(granted), &want) {
                Ok(_) => {
                    let renewal = renewal(connection, kind, &grant(), None, None, NOW);
                    let state = AccountState::Active;
                    decide_for(&want, connection, state, &grant(), Some(&stored), renewal, NOW)
                }
                Err(problem) => ReleaseStep::Stop(problem),
            }
        };
        let served = ReleaseStep::Serve { expires_in: 3000 };
        let refused = ReleaseStep::Stop(ReleaseError::CannotNarrow);
        for kind in ["", "bot"] {
            assert_eq!(
                decide(true, kind),
                if given { served.clone() } else { refused.clone() },
                "{case}"
            );
            assert_eq!(decide(false, kind), served, "{case}");
        }
    }
}

#[test]
fn a_token_that_is_too_wide_is_asked_for_again_only_at_its_end() {
    let wide = |expires_in| AccessTokenRecord {
        scopes: texts(&["read", "admin"]),
        ..token(3600, Some(expires_in))
    };
    let step = |token: &AccessTokenRecord| {
        let renewal = renewal(&connection(), "", &grant(), None, None, NOW);
        let (want, state) = (want(&["read"], true), AccountState::Active);
        decide_for(&want, &connection(), state, &grant(), Some(token), renewal, NOW)
    };
    assert_eq!(step(&wide(3000)), ReleaseStep::Stop(ReleaseError::CannotNarrow));
    assert_eq!(step(&wide(0)), ReleaseStep::Refresh);
}

#[test]
fn a_scope_granted_under_its_other_name_is_not_missing() {
    let aliases = [("email".to_owned(), "https://p.example/auth/userinfo.email".to_owned())];
    let connection = Connection { scope_aliases: aliases.into(), ..connection() };
    let granted = texts(&["https://p.example/auth/userinfo.email"]);
    assert_eq!(
        select(&connection, None, &granted, &want(&["email"], false)),
        Ok(Selector::default())
    );
    let other = select(&connection, None, &granted, &want(&["profile"], false));
    assert_eq!(other.unwrap_err(), ReleaseError::MissingScopes { missing: texts(&["profile"]) });
}

#[test]
fn a_token_is_for_one_resource_where_the_provider_says_so() {
    let graph = "https://graph.example".to_owned();
    let connection = Connection { default_resource: Some(graph), ..connection() };
    let granted =
        texts(&["User.Read", "https://graph.example/Mail.Read", "https://vault.example/user"]);
    let select = |scopes: &[&str]| select(&connection, None, &granted, &want(scopes, false));
    assert_eq!(select(&["User.Read", "https://graph.example/Mail.Read"]), Ok(Selector::default()));
    let vault = select(&["https://vault.example/user"]).unwrap();
    assert_eq!(vault, Selector::new("", "https://vault.example", &[]));
    // A refresh requests all scopes that were granted for this resource.
    assert_eq!(vault.scopes(&connection, &granted).unwrap(), ["https://vault.example/user"]);
    assert_eq!(
        select(&["User.Read", "https://vault.example/user"]).unwrap_err(),
        ReleaseError::SeveralResources
    );
}

#[test]
fn a_consent_renews_its_users_account_or_the_one_from_before_users_were_told_apart() {
    let accounts = [account("", "", ""), account("1", "", "")];
    let id = |id: Option<&str>| Identity { id: id.map(str::to_owned), email: None, name: None };
    let renews = |accounts: &[Account], user| {
        consent::renews(accounts.iter(), &id(user)).map(|account| account.id.clone())
    };
    assert_eq!(renews(&accounts, Some("1")), Some(accounts[1].id.clone()));
    assert_eq!(renews(&accounts, Some("2")), Some(accounts[0].id.clone()));
    assert_eq!(renews(&accounts, None), Some(accounts[0].id.clone()));
    assert_eq!(renews(&accounts[1..], Some("2")), None);
    assert_eq!(renews(&accounts[1..], None), None);
}

#[test]
fn a_token_that_a_refresh_would_end_for_others_is_served_to_its_end() {
    let last = token(3590, Some(10));
    let step = |refresh_ends_access_token, token| {
        let connection = Connection { refresh_ends_access_token, ..connection() };
        let renewal = renewal(&connection, "", &grant(), Some(token), None, NOW);
        decide(AccountState::Active, &grant(), Some(token), renewal, NOW)
    };
    assert_eq!(step(false, &last), ReleaseStep::Refresh);
    assert_eq!(step(true, &last), ReleaseStep::Serve { expires_in: 10 });
    assert_eq!(step(true, &token(3600, Some(0))), ReleaseStep::Refresh);
}

fn tokens() -> TokenResponse {
    TokenResponse {
        access_token: Secret::new("new access"),
        refresh_token: Some(Secret::new("new refresh")),
        lifetime: Lifetime::Seconds(3600),
        refresh_token_expires_in: None,
        scopes: None,
        id_token: None,
    }
}

fn settle(grant: &Grant, answer: Result<TokenResponse, TokenEndpointError>) -> Settlement {
    settle_at(&connection(), grant, None, answer)
}

fn settle_at(
    connection: &Connection,
    grant: &Grant,
    scopes: Option<&[String]>,
    answer: Result<TokenResponse, TokenEndpointError>,
) -> Settlement {
    let old = Secret::new("old refresh");
    let asked = SentRequest {
        refresh_token: &old,
        kept: None,
        lifetime_before: None,
        scopes,
        user: Some("1"),
        issuer: Some("https://p.example"),
        sent_before: None,
        connection,
    };
    refresh::settle(grant, &asked, answer, NOW)
}

#[test]
fn a_renewal_moves_to_the_next_generation_with_the_new_refresh_token() {
    let begun = Grant { failures: 3, intent: Some(intent(1)), ..grant() };
    let Settlement::Renewed(renewal) = settle(&begun, Ok(tokens())) else { panic!() };
    // The refresh succeeded with the connection's registration, so the grant is bound to that.
    let registration = Some(connection().registration);
    let expected = Grant { registration, ..Grant::new(5, true, grant().scopes) };
    assert_eq!(renewal.grant, expected);
    // A bound grant keeps its registration, which the configuration may list as an earlier authority.
    let bound = Registration { authority: "earlier".into(), client_id: "c".into() };
    let begun = Grant { registration: Some(bound.clone()), ..grant() };
    let Settlement::Renewed(renewal) = settle(&begun, Ok(tokens())) else { panic!() };
    assert_eq!(renewal.grant.registration, Some(bound));
    let Settlement::Renewed(renewal) =
        settle(&Grant { failures: 3, intent: Some(intent(1)), ..grant() }, Ok(tokens()))
    else {
        panic!()
    };
    assert_eq!(renewal.refresh_token.expose(), "new refresh");
    assert_eq!(renewal.expires_at, Some(NOW + 3600));
}

#[test]
fn an_answer_without_a_refresh_token_keeps_the_old_one() {
    let answer = TokenResponse { refresh_token: None, ..tokens() };
    let Settlement::Renewed(renewal) = settle(&grant(), Ok(answer)) else { panic!() };
    assert_eq!(renewal.refresh_token.expose(), "old refresh");
}

#[test]
fn a_narrower_scope_narrows_what_is_recorded_unless_it_was_asked_for() {
    let answer = TokenResponse { scopes: Some(vec!["read".into()]), ..tokens() };
    let Settlement::Renewed(renewal) = settle(&grant(), Ok(answer.clone())) else { panic!() };
    assert_eq!(renewal.grant.scopes, ["read"]);
    let narrowed = ["read".to_owned()];
    let answer = TokenResponse { lifetime: Lifetime::Endless, ..answer };
    let settled = settle_at(&connection(), &grant(), Some(&narrowed), Ok(answer));
    let Settlement::Renewed(renewal) = settled else { panic!() };
    assert_eq!(renewal.grant.scopes, ["read", "write"]);
    assert_eq!(renewal.scopes, ["read"]);
    assert_eq!(renewal.expires_at, None);
}

#[test]
fn no_scopes_at_all_are_none_told_unless_fewer_were_asked_for() {
    let answer = TokenResponse { scopes: Some(Vec::new()), ..tokens() };
    let Settlement::Renewed(renewal) = settle(&grant(), Ok(answer.clone())) else { panic!() };
    assert_eq!(renewal.grant.scopes, ["read", "write"]);
    assert_eq!(renewal.scopes, ["read", "write"]);
    let settled = settle_at(&connection(), &grant(), Some(&["read".to_owned()]), Ok(answer));
    let Settlement::Renewed(renewal) = settled else { panic!() };
    assert_eq!((renewal.grant.scopes.len(), renewal.scopes.len()), (2, 0));
}

#[test]
fn an_answer_about_another_user_is_not_taken_over() {
    let id_token = |subject: &str| {
        let claims = format!(r#"{{"iss":"https://p.example","sub":"{subject}"}}"#);
        let header = base64url(r#"{"alg":"RS256"}"#);
        Some(Secret::new(format!("{header}.{}.c2ln", base64url(claims))))
    };
    let (old, connection) = (Secret::new("old refresh"), connection());
    let asked = SentRequest {
        refresh_token: &old,
        kept: None,
        lifetime_before: None,
        scopes: None,
        user: Some("1"),
        issuer: Some("https://p.example"),
        sent_before: None,
        connection: &connection,
    };
    let judged = |subject| {
        let token: Option<Secret> = id_token(subject);
        refresh::of_same_user(&asked, token.as_ref())
    };
    assert_eq!(judged("1"), Ok(()));
    assert_eq!(judged("2"), Err(TokenEndpointError::OtherUser));
    // The grant is unchanged: the provider's mistake may be temporary.
    let begun = Grant { intent: Some(intent(1)), ..grant() };
    let Settlement::Kept { grant: kept } = settle(&begun, Err(TokenEndpointError::OtherUser))
    else {
        panic!()
    };
    assert_eq!((kept.generation, kept.has_refresh_token, kept.intent), (4, true, begun.intent));
}

fn intent(attempt: u32) -> Intent {
    let token_sha256 = String::new();
    Intent {
        generation: 4,
        token_sha256,
        attempt,
        at: NOW,
        since: None,
        successor: None,
        is_awaited: false,
        unexplained: None,
    }
}

#[test]
fn only_the_providers_clear_no_ends_a_grant_and_says_whether_a_rotation_was_lost() {
    for (attempt, reason) in [(1, Reason::RefreshRefused), (2, Reason::RotationLost)] {
        let begun = Grant { intent: Some(intent(attempt)), ..grant() };
        let Settlement::Ended { state, grant } =
            settle(&begun, Err(TokenEndpointError::Refused("invalid_grant".into())))
        else {
            panic!()
        };
        assert_eq!(state, AccountState::ReconnectRequired(reason));
        assert_eq!((grant.intent, grant.has_refresh_token), (None, true));
    }
    for failure in [
        TokenEndpointError::Misconfigured("invalid_client".into()),
        TokenEndpointError::Unavailable { retry_after: Some(120) },
        TokenEndpointError::Down { retry_after: None },
        TokenEndpointError::Ambiguous { retry_after: None },
    ] {
        assert!(matches!(settle(&grant(), Err(failure)), Settlement::Kept { .. }));
    }
}

/// Refusals without a code of which the last came now.
fn refusals(count: u32, over: i64) -> Intent {
    let since = NOW - over;
    Intent { unexplained: Some(Unexplained { count, since, last: NOW }), ..intent(count) }
}

#[test]
fn refusals_that_are_not_clear_end_a_grant_after_five_over_a_day_and_keep_its_token() {
    const DAY: i64 = 86_400;
    let without_code = TokenEndpointError::Unexplained("http_400".into());
    let unlisted = TokenEndpointError::Unlisted("70000".into());
    let failures = [without_code, unlisted];
    let refused = |number: usize| Err(failures[number % 2].clone());
    for (number, (before, first_ago, ends)) in [
        (0, 0, false),
        (1, DAY, false),
        (3, 2 * DAY, false),
        (4, DAY - 1, false),
        (4, DAY, true),
        (40, DAY - 1, false),
        (40, DAY, true),
        (3, DAY, false),
        (4, DAY, true),
    ]
    .into_iter()
    .enumerate()
    {
        let case = (number, before, first_ago);
        let begun = Intent { attempt: before + 1, ..refusals(before, first_ago) };
        let begun = if before == 0 { Intent { unexplained: None, ..begun } } else { begun };
        let begun = Grant { intent: Some(begun), ..grant() };
        let intent = match settle(&begun, refused(number)) {
            Settlement::Kept { grant } if !ends => {
                assert!(grant.retry_at.is_some() && !grant.may_live_on(), "{case:?}");
                grant.intent.unwrap()
            }
            Settlement::Ended { state, grant } if ends => {
                let reason = Reason::RefreshRefused;
                assert_eq!(state, AccountState::ReconnectRequired(reason), "{case:?}");
                assert!(grant.may_live_on(), "{case:?}");
                // It is tried once a day.
                for told in [None, Some(60)] {
                    let due = refresh::follow_up(&grant, Some(60), Heard::Unclear, told, NOW);
                    assert_eq!(due, Some(NOW + DAY), "{case:?}");
                }
                grant.intent.unwrap()
            }
            other => panic!("{case:?} {other:?}"),
        };
        let counted = Unexplained { count: before + 1, since: NOW - first_ago, last: NOW };
        assert_eq!(intent.unexplained, Some(counted), "{case:?}");
        // They are counted of one refresh token.
        let next = |token: &str| {
            let sent = Secret::new(token);
            let begun = Grant { intent: Some(refresh::begin(&grant(), &sent, NOW)), ..grant() };
            let counted = begun.intent.unwrap();
            let counted = Intent { unexplained: intent.unexplained, ..counted };
            let begun = Grant { intent: Some(counted), ..grant() };
            refresh::begin(&begun, &Secret::new("own"), NOW).unexplained.is_some()
        };
        assert_eq!((next("own"), next("other")), (true, false), "{case:?}");
    }
}

#[test]
fn refusals_without_a_code_lose_no_rotation_and_those_about_scopes_are_not_counted() {
    let refused = |code| Err(TokenEndpointError::Refused(code));
    let unexplained = || Err(TokenEndpointError::Unexplained("http_400".into()));
    // One attempt more than there were refusals: a response was lost.
    for (attempt, reason) in [(5, Reason::RefreshRefused), (6, Reason::RotationLost)] {
        let begun = Intent { attempt, ..refusals(4, 86_400) };
        let begun = Grant { intent: Some(begun), ..grant() };
        for answer in [unexplained(), refused("invalid_grant".into())] {
            let Settlement::Ended { state, .. } = settle(&begun, answer) else { panic!() };
            assert_eq!(state, AccountState::ReconnectRequired(reason), "{attempt}");
        }
    }
    let begun = Grant { intent: Some(refusals(4, 86_400)), ..grant() };
    let scopes = texts(&["read"]);
    let settled = settle_at(&connection(), &begun, Some(&scopes), unexplained());
    let Settlement::Kept { grant: kept } = settled else { panic!() };
    assert_eq!(kept.intent, begun.intent);
    // A new refresh token that is refused so gives way to the one before it.
    let begun = Intent { successor: Some("sealed".into()), ..refusals(4, 86_400) };
    let begun = Grant { intent: Some(begun), ..grant() };
    let Settlement::Kept { grant: kept } = settle_successor(&begun, unexplained()) else {
        panic!()
    };
    let intent = kept.intent.unwrap();
    assert_eq!((intent.successor, intent.unexplained), (None, None));
}

#[test]
fn a_grant_whose_user_must_authenticate_further_is_over_and_tried_once_a_day() {
    const DAY: i64 = 86_400;
    let begun = Grant { intent: Some(intent(1)), ..grant() };
    let demanded = || Err(TokenEndpointError::Consent("50076".into()));
    let Settlement::Ended { state, grant: over } = settle(&begun, demanded()) else { panic!() };
    assert_eq!(state, AccountState::ReconnectRequired(Reason::RefreshRefused));
    assert!(over.may_live_on());
    assert_eq!(refresh::follow_up(&over, None, Heard::Unclear, None, NOW), Some(NOW + DAY));
    // The same answer a day later changes nothing, and a success makes the grant good again.
    let sent = refresh::begin(&over, &Secret::new("own"), NOW + DAY);
    let again = Grant { intent: Some(sent), ..over };
    let Settlement::Ended { state, grant: over } = settle(&again, demanded()) else { panic!() };
    assert_eq!(state, AccountState::ReconnectRequired(Reason::RefreshRefused));
    assert!(over.may_live_on());
    // A clear refusal drops nothing more than the attempts.
    let refused = settle(&again, Err(TokenEndpointError::Refused("700082".into())));
    let Settlement::Ended { grant: over, .. } = refused else { panic!() };
    assert!(!over.may_live_on());
}

#[test]
fn an_unlisted_code_for_one_resource_is_about_that_resource() {
    let begun = Grant { intent: Some(intent(1)), ..grant() };
    let scopes = texts(&["https://vault.example/user"]);
    let unlisted = || Err(TokenEndpointError::Unlisted("70000".into()));
    let microsoft =
        Connection { default_resource: Some("https://graph.example".into()), ..connection() };
    let Settlement::Kept { grant: kept } = settle_at(&microsoft, &begun, Some(&scopes), unlisted())
    else {
        panic!()
    };
    assert_eq!((kept.intent, kept.retry_at), (None, None));
}

#[test]
fn a_grant_that_is_over_waits_for_nothing_and_has_no_fault_of_before() {
    let begun = Grant {
        intent: Some(intent(1)),
        retry_at: Some(NOW - 1),
        fault: Some("invalid_client".into()),
        failures: 2,
        ..grant()
    };
    let refused = settle(&begun, Err(TokenEndpointError::Refused("invalid_grant".into())));
    let Settlement::Ended { grant: over, .. } = refused else { panic!() };
    assert_eq!((over.intent, over.retry_at, over.fault), (None, None, None));
}

#[test]
fn where_refresh_tokens_go_on_a_lost_answer_lost_no_rotation() {
    let begun = Grant { intent: Some(intent(2)), ..grant() };
    for (rotation, reason) in [
        (Rotation::None, Reason::RefreshRefused),
        (Rotation::OldStaysValid, Reason::RefreshRefused),
        (Rotation::SingleUse, Reason::RotationLost),
        (Rotation::Unknown, Reason::RotationLost),
    ] {
        let connection = Connection { rotation, ..connection() };
        let refused = Err(TokenEndpointError::Refused("invalid_grant".into()));
        let Settlement::Ended { state, .. } = settle_at(&connection, &begun, None, refused) else {
            panic!()
        };
        assert_eq!(state, AccountState::ReconnectRequired(reason), "{rotation:?}");
    }
}

#[test]
fn consent_that_is_missing_for_one_resource_ends_no_grant() {
    let begun = Grant { intent: Some(intent(1)), ..grant() };
    let scopes = texts(&["https://vault.example/user"]);
    let refused = || Err(TokenEndpointError::Consent("65001".into()));
    let Settlement::Kept { grant: kept } =
        settle_at(&connection(), &begun, Some(&scopes), refused())
    else {
        panic!()
    };
    assert_eq!((kept.retry_at, kept.intent), (None, None));
    // If the consent to the default token is missing, the grant has ended.
    assert!(matches!(settle(&begun, refused()), Settlement::Ended { .. }));
    // Where a token is for one resource, `invalid_grant` may concern that resource only. A code that is
    // listed as permanent ends the grant.
    let by_resource =
        Connection { default_resource: Some("https://graph.example".into()), ..connection() };
    let settled = |connection: &Connection, code: &str| {
        settle_at(connection, &begun, Some(&scopes), Err(TokenEndpointError::Refused(code.into())))
    };
    assert!(matches!(settled(&by_resource, "invalid_grant"), Settlement::Kept { .. }));
    assert!(matches!(settled(&by_resource, "700082"), Settlement::Ended { .. }));
    assert!(matches!(settled(&connection(), "invalid_grant"), Settlement::Ended { .. }));
}

#[test]
fn the_end_of_a_refresh_token_is_that_of_the_one_that_is_kept() {
    let old = Grant { expires_at: Some(NOW + 7), ..grant() };
    let ends = |answer| match settle(&old, Ok(answer)) {
        Settlement::Renewed(renewal) => renewal.grant.expires_at,
        other => panic!("{other:?}"),
    };
    let told = TokenResponse { refresh_token_expires_in: Some(60), ..tokens() };
    assert_eq!(ends(told.clone()), Some(NOW + 60));
    assert_eq!(ends(tokens()), None);
    assert_eq!(ends(TokenResponse { refresh_token: None, ..told }), Some(NOW + 7));
}

#[test]
fn a_grant_that_ends_a_fixed_time_after_the_consent_ends_then_however_often_it_is_refreshed() {
    const YEAR: i64 = 365 * 86_400;
    let year = Connection { grant_lifetime: Some(YEAR), ..connection() };
    let consented = NOW - 300 * 86_400;
    let refresh = |connection: &Connection, consented_at, expires_at, answer: TokenResponse| {
        let old = Grant { consented_at, expires_at, ..grant() };
        match settle_at(connection, &old, None, Ok(answer)) {
            Settlement::Renewed(renewal) => {
                assert_eq!(renewal.grant.consented_at, consented_at);
                renewal.grant.expires_at
            }
            other => panic!("{other:?}"),
        }
    };
    let told = |seconds| TokenResponse { refresh_token_expires_in: Some(seconds), ..tokens() };
    let end = Some(consented + YEAR);
    for (connection, consented_at, stored, answer, ends) in [
        (&year, Some(consented), end, tokens(), end),
        (&year, Some(consented), None, tokens(), end),
        // The refresh token may end before.
        (&year, Some(consented), end, told(60), Some(NOW + 60)),
        (&year, Some(consented), Some(NOW + 60), told(2 * YEAR), end),
        // Without a fixed time, or an unknown consent, the refresh token's end alone counts.
        (&connection(), Some(consented), None, told(60), Some(NOW + 60)),
        (&year, None, None, told(60), Some(NOW + 60)),
        (&year, None, None, tokens(), None),
    ] {
        assert_eq!(refresh(connection, consented_at, stored, answer), ends, "{consented_at:?}");
    }
}

#[test]
fn a_lost_answer_keeps_its_intent_and_the_next_attempt_counts_on() {
    let secret = Secret::new("old refresh");
    let first = refresh::begin(&grant(), &secret, NOW);
    assert_eq!((first.attempt, first.generation), (1, 4));
    let begun = Grant { intent: Some(first.clone()), ..grant() };
    let Settlement::Kept { grant: kept } =
        settle(&begun, Err(TokenEndpointError::Ambiguous { retry_after: None }))
    else {
        panic!()
    };
    assert_eq!(kept.intent, Some(first));
    let second = refresh::begin(&kept, &secret, NOW + 5);
    assert_eq!(second.attempt, 2);
    // With a refresh token that was stored since, the attempts are counted anew.
    assert_eq!(refresh::begin(&kept, &Secret::new("another"), NOW).attempt, 1);
    assert_eq!(refresh::begin(&Grant { generation: 5, ..kept }, &secret, NOW).attempt, 1);
}

#[test]
fn a_provider_that_did_nothing_settles_its_own_attempt_and_none_before() {
    for failure in [
        TokenEndpointError::Unavailable { retry_after: None },
        TokenEndpointError::Misconfigured("invalid_client".into()),
    ] {
        for (attempt, left) in [(1, None), (2, Some(intent(1)))] {
            let begun = Grant { intent: Some(intent(attempt)), ..grant() };
            let Settlement::Kept { grant: kept } = settle(&begun, Err(failure.clone())) else {
                panic!()
            };
            assert_eq!(kept.intent, left);
        }
    }
}

#[test]
fn failures_wait_as_long_as_the_provider_says_or_longer_each_time() {
    let wait = |grant: &Grant, failure| match settle(grant, Err(failure)) {
        Settlement::Kept { grant } => (grant.retry_at.unwrap() - NOW, grant),
        other => panic!("{other:?}"),
    };
    let (told, _) = wait(&grant(), TokenEndpointError::Unavailable { retry_after: Some(120) });
    assert_eq!(told, 120);
    // A refresh token that may have been rotated is sent again before the rotation leeway has passed.
    let (told, _) = wait(&grant(), TokenEndpointError::Ambiguous { retry_after: Some(1800) });
    assert_eq!(told, 30);
    // A service that says how long it is down does not answer sooner.
    let (told, _) = wait(&grant(), TokenEndpointError::Down { retry_after: Some(1800) });
    assert_eq!(told, 1800);
    let mut grant = grant();
    let mut waits = Vec::new();
    for _ in 0..9 {
        let (seconds, next) = wait(&grant, TokenEndpointError::Ambiguous { retry_after: None });
        waits.push(seconds);
        grant = next;
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    let (_, faulty) = wait(&grant, TokenEndpointError::Misconfigured("invalid_client".into()));
    assert_eq!((faulty.fault.as_deref(), faulty.intent), (Some("invalid_client"), None));
}

fn successor(attempt: u32) -> Intent {
    Intent { successor: Some("sealed".into()), ..intent(attempt) }
}

/// Settles a refresh that was sent with the successor of the grant's own refresh token.
fn settle_successor(
    begun: &Grant,
    answer: Result<TokenResponse, TokenEndpointError>,
) -> Settlement {
    let (sent, own, connection) = (Secret::new("next"), Secret::new("own"), connection());
    let asked = SentRequest {
        refresh_token: &sent,
        kept: Some(&own),
        lifetime_before: None,
        scopes: None,
        user: Some("1"),
        issuer: None,
        sent_before: None,
        connection: &connection,
    };
    refresh::settle(begun, &asked, answer, NOW)
}

#[test]
fn a_new_refresh_token_outlives_an_answer_that_nothing_else_can_be_taken_from() {
    let begun =
        refresh::with_successor(Grant { intent: Some(intent(1)), ..grant() }, "sealed".to_owned());
    for failure in
        [TokenEndpointError::Ambiguous { retry_after: None }, TokenEndpointError::UnusableToken]
    {
        let Settlement::Kept { grant: kept } = settle(&begun, Err(failure)) else { panic!() };
        assert_eq!(kept.intent.as_ref().unwrap().successor.as_deref(), Some("sealed"));
        // The next attempt keeps the successor, and is its first: it was never sent.
        let next = refresh::begin(&kept, &Secret::new("next"), NOW + 5);
        assert_eq!((next.attempt, next.successor.as_deref()), (1, Some("sealed")));
    }
}

#[test]
fn a_provider_that_did_nothing_leaves_the_successor_to_be_sent() {
    for failure in [
        TokenEndpointError::Unavailable { retry_after: None },
        TokenEndpointError::Misconfigured("invalid_client".into()),
    ] {
        let begun = Grant { intent: Some(successor(1)), ..grant() };
        let Settlement::Kept { grant: kept } = settle_successor(&begun, Err(failure)) else {
            panic!()
        };
        assert_eq!(kept.intent, Some(successor(0)));
    }
}

#[test]
fn a_successor_that_is_refused_gives_way_to_the_grants_own_token_before_the_grant_ends() {
    let begun = Grant { intent: Some(successor(1)), ..grant() };
    let refused = || Err(TokenEndpointError::Refused("invalid_grant".into()));
    let Settlement::Kept { grant: kept } = settle_successor(&begun, refused()) else { panic!() };
    assert_eq!((kept.intent.as_ref().unwrap().successor.as_ref(), kept.retry_at), (None, None));
    // The provider rejects the grant's own token as well: it was rotated, and its successor is invalid.
    let own = Secret::new("own");
    let again = Grant { intent: Some(refresh::begin(&kept, &own, NOW)), ..kept };
    let Settlement::Ended { state, .. } = settle(&again, refused()) else { panic!() };
    assert_eq!(state, AccountState::ReconnectRequired(Reason::RotationLost));
}

#[test]
fn another_users_tokens_leave_a_successor_to_be_sent_again() {
    let begun = Grant { intent: Some(successor(3)), ..grant() };
    let other_user = Err(TokenEndpointError::OtherUser);
    let Settlement::Kept { grant: kept } = settle_successor(&begun, other_user) else { panic!() };
    assert_eq!(kept.intent, Some(successor(3)));
}

#[test]
fn a_successor_that_works_takes_the_place_of_the_grants_own_token() {
    let begun = Grant { intent: Some(successor(1)), ..grant() };
    let answer = TokenResponse { refresh_token: None, ..tokens() };
    let Settlement::Renewed(renewal) = settle_successor(&begun, Ok(answer)) else { panic!() };
    assert_eq!((renewal.refresh_token.expose(), renewal.grant.intent), ("next", None));
}

#[test]
fn an_access_token_that_cannot_be_used_leaves_the_grant_and_names_itself_as_the_fault() {
    for failure in [TokenEndpointError::UnusableToken, TokenEndpointError::UnknownTokenType] {
        let begun = Grant { intent: Some(intent(1)), ..grant() };
        let Settlement::Kept { grant: kept } = settle(&begun, Err(failure.clone())) else {
            panic!()
        };
        // The response has no new refresh token: the old one remains valid, and no attempt is open.
        assert_eq!((kept.generation, kept.intent.as_ref()), (4, None));
        let told = step(&kept, None);
        let reason = Misconfiguration::UnusableAccessToken;
        assert_eq!(told, ReleaseStep::Stop(ReleaseError::Misconfigured { retry_after: 5, reason }));
        // A new one is sent from then on.
        let begun = Grant { intent: Some(successor(0)), ..grant() };
        let Settlement::Kept { grant: kept } = settle(&begun, Err(failure)) else { panic!() };
        assert_eq!(kept.intent, begun.intent);
    }
}

#[test]
fn an_answer_that_cannot_be_read_leaves_the_grant_as_one_that_says_nothing_does() {
    let begun = Grant { intent: Some(intent(1)), ..grant() };
    let kept = |failure| match settle(&begun, Err(failure)) {
        Settlement::Kept { grant } => grant,
        other => panic!("{other:?}"),
    };
    let unclear = kept(TokenEndpointError::Ambiguous { retry_after: None });
    assert_eq!(kept(TokenEndpointError::Unreadable("answer_not_json")), unclear);
}

#[test]
fn what_is_not_settled_is_followed_up_within_the_time_the_provider_leaves() {
    use Heard::{Lost, NotProcessed, Unclear};
    let due = |attempt, failures, leeway, heard, told| {
        let grant = Grant { intent: Some(intent(attempt)), failures, ..grant() };
        refresh::follow_up(&grant, leeway, heard, told, NOW + 1).map(|at| at - NOW)
    };
    for (attempt, failures, leeway, heard, told, expected) in [
        // After a lost response: at once, then in pairs, which come less and less often.
        (1, 1, None, Lost, None, Some(1)),
        (2, 2, None, Lost, None, Some(6)),
        (3, 3, None, Lost, None, Some(6)),
        (4, 4, None, Lost, None, Some(11)),
        (5, 5, None, Lost, None, Some(6)),
        (6, 6, None, Lost, None, Some(31)),
        (16, 16, None, Lost, None, Some(7201)),
        (17, 17, None, Lost, None, Some(6)),
        (99, 99, None, Unclear, None, Some(6)),
        (100, 100, None, Unclear, None, Some(7201)),
        // After an unclear response: after some seconds, or within half of a short leeway.
        (1, 1, None, Unclear, None, Some(6)),
        (1, 1, Some(0), Unclear, None, Some(6)),
        (1, 1, Some(4), Unclear, None, Some(3)),
        (1, 1, Some(600), Unclear, None, Some(6)),
        // Failures of earlier tokens do not delay it.
        (1, 9, None, Unclear, None, Some(6)),
        // A provider that reports again and again that it did nothing is asked less often, too, and
        // so is one whose responses bring nothing but a new refresh token.
        (1, 6, None, NotProcessed, None, Some(601)),
        (0, 6, None, Unclear, None, Some(601)),
        (0, 1, None, Unclear, None, Some(6)),
        // After the time that the provider states, unless the rotation leeway has passed by then.
        (1, 1, None, Unclear, Some(900), Some(901)),
        (1, 1, Some(60), Unclear, Some(900), Some(57)),
        (6, 6, Some(60), Lost, None, Some(31)),
        (8, 8, Some(60), Lost, None, Some(57)),
    ] {
        let case = (attempt, failures, leeway, heard, told);
        assert_eq!(due(attempt, failures, leeway, heard, told), expected, "{case:?}");
    }
    assert_eq!(refresh::follow_up(&grant(), None, Lost, None, NOW), None);
}

#[test]
fn a_follow_up_ends_with_the_leeway_of_the_last_attempt_unless_a_successor_was_never_sent() {
    let open = |intent: Intent, heard, at| {
        let grant = Grant { intent: Some(Intent { at, ..intent }), ..grant() };
        refresh::follow_up(&grant, Some(60), heard, None, NOW).map(|due| due - NOW)
    };
    assert_eq!(open(intent(3), Heard::Lost, NOW - 59), None);
    // Any attempt may be the one that rotated the token: that the first one is long ago ends nothing.
    let first_ago = Some(NOW - 800);
    assert_eq!(open(Intent { since: first_ago, ..intent(3) }, Heard::Lost, NOW - 1), Some(5));
    assert_eq!(open(successor(0), Heard::Unclear, NOW - 59), Some(5));
    assert_eq!(open(successor(3), Heard::Unclear, NOW - 59), None);
    // The last seconds of the rotation leeway count.
    assert_eq!(open(intent(1), Heard::Lost, NOW - 59), Some(0));
}

#[test]
fn an_intent_remembers_its_first_unsettled_attempt() {
    let own = Secret::new("own");
    let first = refresh::begin(&grant(), &own, NOW);
    let after = |intent: Intent| {
        let next = refresh::begin(&Grant { intent: Some(intent), ..grant() }, &own, NOW + 9);
        (next.attempt, next.at - NOW, next.since() - NOW)
    };
    assert_eq!(after(first.clone()), (2, 9, 0));
    // An attempt that was taken back, or that was made with another token, is none.
    assert_eq!(after(Intent { attempt: 0, ..first.clone() }), (1, 9, 9));
    assert_eq!(after(Intent { token_sha256: "other".into(), ..first }), (1, 9, 9));
}

#[test]
fn a_request_that_the_provider_did_not_process_leaves_the_time_of_the_one_before() {
    let (token, connection) = (Secret::new("own"), connection());
    let begun = Grant { intent: Some(intent(2)), ..grant() };
    for (sent_before, at) in [(Some(NOW - 20), NOW - 20), (None, intent(2).at)] {
        let asked = SentRequest {
            refresh_token: &token,
            kept: None,
            lifetime_before: None,
            scopes: None,
            user: None,
            issuer: None,
            sent_before,
            connection: &connection,
        };
        let unavailable = Err(TokenEndpointError::Unavailable { retry_after: None });
        let Settlement::Kept { grant } = refresh::settle(&begun, &asked, unavailable, NOW) else {
            panic!()
        };
        let left = grant.intent.unwrap();
        assert_eq!((left.attempt, left.at), (1, at));
    }
}

#[test]
fn the_last_seconds_of_a_leeway_are_used_once_and_nothing_is_asked_when_it_is_over() {
    let due = |intent: Intent, leeway, begun_ago: i64, told| {
        let grant = Grant { intent: Some(Intent { at: NOW - begun_ago, ..intent }), ..grant() };
        refresh::follow_up(&grant, Some(leeway), Heard::Lost, told, NOW).map(|at| at - NOW)
    };
    for (attempt, leeway, begun_ago, told, expected) in [
        // Too late for what is due in five seconds: it is tried three seconds before the end, once.
        (3, 60, 55, None, Some(2)),
        (3, 60, 56, None, Some(1)),
        (3, 60, 57, None, None),
        (3, 60, 58, None, None),
        // What is due when the time is over is too late.
        (1, 60, 58, Some(1), Some(1)),
        (1, 60, 58, Some(2), None),
        (1, 60, 58, Some(3), None),
        // A provider that takes no rotated token again leaves no time to run out.
        (2, 0, 0, None, Some(5)),
        (4, 0, 300, None, Some(10)),
    ] {
        let case = (attempt, leeway, begun_ago, told);
        assert_eq!(due(intent(attempt), leeway, begun_ago, told), expected, "{case:?}");
    }
    // For a quarter of an hour each attempt's leeway is used up, and then no longer.
    for (first_ago, expected) in [(899, Some(57)), (900, None)] {
        let since = Some(NOW - first_ago);
        let told = due(Intent { since, ..intent(12) }, 60, 0, None);
        assert_eq!(told, expected, "{first_ago}");
    }
}

#[test]
fn a_refresh_that_nobody_can_settle_is_followed_up_for_a_month_and_not_for_ever() {
    let (mut grant, token) = (grant(), Secret::new("own"));
    let mut now = NOW;
    for asked in 1..1000 {
        grant.intent = Some(refresh::begin(&grant, &token, now));
        match refresh::follow_up(&grant, None, Heard::Lost, None, now) {
            Some(due) => now = due,
            None => {
                let waited = now - NOW;
                assert!((30 * 86_400..30 * 86_400 + 7200).contains(&waited), "{waited}");
                assert!(asked < 740, "{asked}");
                return;
            }
        }
    }
    panic!("it is asked for ever");
}

#[test]
fn the_first_answer_is_followed_up_though_its_flight_took_longer_than_the_leeway() {
    use Heard::{Lost, NotProcessed, Unclear};
    let due = |attempt, failures, leeway, heard, told| {
        let grant = Grant { intent: Some(intent(attempt)), failures, ..grant() };
        refresh::follow_up(&grant, Some(leeway), heard, told, NOW + 120).map(|at| at - NOW)
    };
    for (leeway, pause) in [(1, 1), (2, 1), (30, 5), (60, 5)] {
        assert_eq!(due(1, 1, leeway, Lost, None), Some(120), "{leeway}");
        assert_eq!(due(1, 1, leeway, Unclear, None), Some(120 + pause), "{leeway}");
        // One additional attempt is enough, and not before the time that the provider states.
        assert_eq!(due(2, 2, leeway, Lost, None), None, "{leeway}");
        assert_eq!(due(1, 2, leeway, NotProcessed, None), None, "{leeway}");
        assert_eq!(due(1, 1, leeway, NotProcessed, Some(60)), None, "{leeway}");
    }
}

#[test]
fn a_flight_waits_as_long_as_it_may_and_leaves_half_of_a_known_leeway() {
    for (leeway, seconds) in [
        (None, 120),
        (Some(0), 120),
        (Some(30), 120),
        (Some(59), 120),
        (Some(60), 30),
        (Some(90), 45),
        (Some(600), 120),
    ] {
        assert_eq!(refresh::flight_time(leeway), seconds, "{leeway:?}");
    }
}

#[test]
fn an_answer_that_tells_no_end_never_makes_a_renewable_token_endless() {
    let (old, mut connection) = (Secret::new("old refresh"), connection());
    connection.answer.default_expires_in = None;
    let lives = |connection: &Connection, lifetime, lifetime_before| {
        let asked = SentRequest {
            refresh_token: &old,
            kept: None,
            lifetime_before,
            scopes: None,
            user: None,
            issuer: None,
            sent_before: None,
            connection,
        };
        let answer = TokenResponse { lifetime, ..tokens() };
        let Settlement::Renewed(renewal) = refresh::settle(&grant(), &asked, Ok(answer), NOW)
        else {
            panic!()
        };
        (renewal.expires_at.map(|at| at - NOW), renewal.is_lifetime_assumed)
    };
    let mut known = connection.clone();
    known.answer.default_expires_in = Some(900);
    let untold = Lifetime::Untold;
    assert_eq!(lives(&connection, untold, Some(7200)), (Some(7200), true));
    assert_eq!(lives(&connection, untold, None), (Some(3600), true));
    assert_eq!(lives(&known, untold, None), (Some(900), false));
    assert_eq!(lives(&known, untold, Some(60)), (Some(60), false));
    assert_eq!(lives(&connection, Lifetime::Endless, Some(60)), (None, false));
}

#[test]
fn a_stored_token_without_an_end_that_can_be_renewed_is_taken_to_live_an_hour() {
    let believed = |grant: &Grant, connection: &Connection, token: &AccessTokenRecord| {
        as_believed(connection, grant, token).map(|token| token.expires_at.unwrap() - NOW)
    };
    let (mut connection, bare) = (connection(), Grant::new(1, false, vec![]));
    connection.answer.default_expires_in = None;
    assert_eq!(believed(&grant(), &connection, &token(600, None)), Some(3000));
    assert_eq!(believed(&grant(), &connection, &token(600, Some(5))), None);
    assert_eq!(believed(&bare, &connection, &token(600, None)), None);
    let mut endless = connection.clone();
    endless.answer.zero_expires_in = ZeroLifetime::Never;
    assert_eq!(believed(&grant(), &endless, &token(600, None)), None);
}

#[test]
fn an_account_of_another_registration_is_passed_over_as_long_as_one_fits() {
    let accounts =
        [account("1", "a@x.example", "a"), account("1", "a@x.example", "a"), account("2", "", "b")];
    let picked = |hint, fitting: &[usize]| {
        let fits = |one: &Account| fitting.iter().any(|index| accounts[*index].id == one.id);
        let picked = pick(&accounts, hint, fits);
        picked.map(|one| accounts.iter().position(|other| other.id == one.id).unwrap())
    };
    assert_eq!(picked(None, &[1, 2]), Ok(1));
    assert_eq!(picked(Some("1"), &[1, 2]), Ok(1));
    assert_eq!(picked(Some("a@x.example"), &[1]), Ok(1));
    // Two accounts of the same user count as one, as without a hint.
    assert_eq!(picked(Some("a@x.example"), &[0, 1]), Ok(0));
    assert_eq!(picked(Some("1"), &[0, 1]), Ok(0));
    // No account that could be meant has a fitting registration: the operator must act, and the account is
    // unchanged.
    for (hint, fitting) in [(None, &[][..]), (Some("1"), &[]), (Some("b"), &[1]), (Some("a"), &[])]
    {
        assert_eq!(picked(hint, fitting), Err(registration_changed()), "{hint:?}");
    }
    assert_eq!(picked(Some("nobody"), &[]), Err(ReleaseError::NoSuchAccount));
    assert_eq!(picked(Some("nobody"), &[0, 1, 2]), Err(ReleaseError::NoSuchAccount));
}

#[test]
fn an_answer_is_written_to_the_grant_it_is_about_and_to_no_other() {
    let (asked, sent) = (grant(), Secret::new("rt-4"));
    let fate = |stored| refresh::fate(&asked, &[&sent], stored);
    let same = grant();
    let later = Grant { generation: 5, ..grant() };
    let other = Secret::new("rt-5");
    assert_eq!(fate(Some((&same, Some(&sent)))), CommitDecision::Write);
    assert_eq!(fate(Some((&later, Some(&other)))), CommitDecision::Drop);
    assert_eq!(fate(Some((&later, None))), CommitDecision::Drop);
    assert_eq!(fate(None), CommitDecision::Revoke);
    // The user has connected again without a new refresh token, so the one in flight is still the only one.
    assert_eq!(fate(Some((&later, Some(&sent)))), CommitDecision::KeepToken);
}
