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
