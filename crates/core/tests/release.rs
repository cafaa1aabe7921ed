// SPDX-License-Identifier: Apache-2.0
//! Which account and which token is released, and when it is refreshed before.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/grants.rs"]
mod grants;

use grants::{NOW, account, connection, grant, step, texts, token, tokens};
use serde_json::json;
use vault_base::ids::AccountId;
use vault_base::secret::Secret;
use vault_core::vault::consent;
use vault_core::vault::record::{
    AccessTokenRecord, Account, AccountState, Grant, Reason, Selector,
};
use vault_core::vault::refresh::{self, SentRequest, Settlement};
use vault_core::vault::release::{
    Misconfiguration, NegativeCache, ReleaseError, ReleaseStep, RenewalMethod, RequestedToken,
    TokenUnavailable, UNKNOWN_EXPIRES_IN, Unobtainable, as_believed, decide, decide_for, pick,
    registration_changed, renewal, select,
};
use vault_jose::identity::Identity;
use vault_provider::connection::Connection;
use vault_provider::profile::{RenewalRules, ZeroLifetime};
use vault_provider::token_response::{Lifetime, TokenResponse};

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
        consent::renews(&connection(), accounts.iter(), &id(user)).map(|account| account.id.clone())
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
