// SPDX-License-Identifier: Apache-2.0
//! Checks that `docs/log.md` is up to date, and that it explains every value of `reason` in the log's lines
//! of requests.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use vault_core::config::ExchangeGrant;
use vault_core::connect::policy::{FOREIGN_USER, ORIGIN_UNKNOWN, SCOPE};
use vault_core::connect::record::Denied;
use vault_core::error::ProblemDetails;
use vault_core::issuer::sign_in::Refused;
use vault_core::oauth::exchange::policy::Forbidden;
use vault_core::oauth::exchange::{profile, response};
use vault_core::reasons::{
    self, CLIENTS, CONNECTION_STATES, CONNECTS, REQUESTS, Row, SIGN_INS, TOKENS,
};
use vault_core::vault::record::Reason;
use vault_core::vault::release::ReleaseError;
use vault_jose::TokenError;
use vault_provider::issuance::NoAccount;
use vault_provider::revocation::Revocation;

/// The fields of a variable's entries, as `docs/configuration.md` names them.
fn fields(variable: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = fs::read_to_string(path).unwrap();
    let (_, section) = page.split_once(&format!("\n## `{variable}`\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(field, _)| field.to_owned()).collect()
}

/// The words in backticks that end a text: "`one`, `two` and `three`" has three.
fn words_at_the_end(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some((before, word)) = rest.strip_suffix('`').and_then(|text| text.rsplit_once('`')) {
        words.push(word);
        let joint =
            [", and ", " and ", ", ", " or "].iter().find_map(|one| before.strip_suffix(one));
        rest = joint.unwrap_or_default();
    }
    words
}

#[test]
fn each_field_that_the_page_tells_operators_to_check_is_in_the_configuration_reference() {
    let page = reasons::reference();
    for (owner, variable, least) in
        [("connection", "CONNECTIONS", 9), ("client", "CLIENTS", 9), ("issuer", "ISSUERS", 4)]
    {
        let known = fields(variable);
        let of = format!(" of the {owner}");
        let mut named: Vec<&str> =
            page.match_indices(&of).flat_map(|(at, _)| words_at_the_end(&page[..at])).collect();
        let possessive = format!("{owner}'s `");
        let after = page.match_indices(&possessive).map(|(at, text)| &page[at + text.len()..]);
        named.extend(after.filter_map(|text| text.split('`').next()));
        assert!(named.len() >= least, "{owner}: {named:?}");
        for word in named {
            let is_field = |field: &String| {
                field
                    .strip_prefix(word)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            assert!(known.iter().any(is_field), "`{word}` is no field of {variable}");
        }
    }
}

fn has(table: &[Row], word: &str) -> bool {
    table.iter().any(|row| row.0 == word)
}

#[test]
fn the_page_is_the_one_that_the_code_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/log.md");
    let made = reasons::reference();
    if env::var_os("WRITE_DOCS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), made);
}

#[test]
fn each_reason_of_a_refused_token_is_explained() {
    for refusal in TokenError::ALL {
        assert!(has(&TOKENS, refusal.reason()), "{refusal}");
    }
    assert_eq!(TokenError::ALL.len(), TOKENS.len());
}

#[test]
fn each_reason_of_a_client_that_may_not_is_explained() {
    for forbidden in [Forbidden::Grant, Forbidden::Connection, Forbidden::NoScope] {
        assert!(has(&CLIENTS, forbidden.reason()), "{forbidden:?}");
    }
}

#[test]
fn each_reason_of_a_token_that_is_not_released_is_explained() {
    let because = |reason| ReleaseError::NoAccount { reason };
    let all = [
        (ReleaseError::NotConnected, "not_connected"),
        (ReleaseError::NoSuchAccount, "login_hint_unknown"),
        (ReleaseError::AmbiguousAccount, "login_hint_ambiguous"),
        (ReleaseError::NoSuchKind, "token_kind_unknown"),
        (ReleaseError::NoSuchResource, "resource_unknown"),
        (because(NoAccount::NotInstalled), "not_installed"),
        (because(NoAccount::NotOwner), "not_owner"),
        (because(NoAccount::Suspended), "suspended"),
        (ReleaseError::ReconnectRequired { reason: Reason::Corrupt }, "reconnect_required"),
        (ReleaseError::MissingScopes { missing: vec![] }, "missing_scopes"),
        (ReleaseError::SeveralResources, "missing_scopes"),
        (ReleaseError::CannotNarrow, "misconfigured"),
        (ReleaseError::TooManyRequests { retry_after: 1 }, "unavailable"),
        (ReleaseError::Unavailable { retry_after: 1 }, "unavailable"),
    ];
    let mut words = BTreeSet::new();
    for (problem, word) in all {
        let error = response::error(profile(ExchangeGrant::TokenExchange), &problem);
        let state = error.connection_state.unwrap();
        assert_eq!(state.log_reason(), word, "{problem:?}");
        assert!(has(&CONNECTION_STATES, word), "{word}");
        words.insert(word);
    }
    assert_eq!(words.len(), CONNECTION_STATES.len());
}

#[test]
fn each_reason_of_a_refused_connect_is_explained() {
    let all = [
        Denied::Unknown,
        Denied::Used,
        Denied::Expired,
        Denied::OtherBrowser,
        Denied::OtherProvider,
        Denied::OtherUser,
        Denied::OtherRedirect,
        Denied::Verifier,
        Denied::CodeRefused,
        Denied::ProviderUnavailable,
        Denied::ProviderMisconfigured,
        Denied::Identity,
        Denied::Unnamed { cause: String::new() },
        Denied::NotStored,
        Denied::RegistrationChanged,
        Denied::UnknownUser,
        Denied::Narrower { missing: vec![] },
    ];
    assert!(all.iter().all(|denied| has(&CONNECTS, denied.reason())));
    assert_eq!(all.len(), CONNECTS.len());
}

#[test]
fn each_reason_of_a_refused_sign_in_or_link_is_explained() {
    for refused in [
        Refused::Disabled,
        Refused::OtherUser,
        Refused::SignInTooOld,
        Refused::TooMany,
        Refused::Again,
        Refused::SessionEnded,
        Refused::OtherRequest,
    ] {
        assert!(has(&SIGN_INS, refused.reason()), "{refused:?}");
    }
}

#[test]
fn each_reason_of_another_request_is_explained() {
    for status in [400, 401, 403, 404, 405, 409, 413, 415, 502, 503] {
        assert!(has(&REQUESTS, ProblemDetails::new(status, "").reason), "{status}");
    }
    for word in [FOREIGN_USER, ORIGIN_UNKNOWN, SCOPE] {
        assert!(has(&REQUESTS, word), "{word}");
    }
    for outcome in
        [Revocation::Revoked, Revocation::Pending, Revocation::NotSupported, Revocation::Failed]
    {
        assert!(has(&REQUESTS, outcome.name()), "{outcome:?}");
    }
}
