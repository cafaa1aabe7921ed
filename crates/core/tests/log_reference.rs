// SPDX-License-Identifier: Apache-2.0
//! Checks that `docs/log.md` is up to date, and that it explains every value of `reason` in the log's lines
//! of requests.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::{env, fs};

use vault_core::connect::record::Denied;
use vault_core::error::ProblemDetails;
use vault_core::issuer::sign_in::Refused;
use vault_core::oauth::exchange::policy::Forbidden;
use vault_core::reasons::{self, CLIENTS, CONNECTS, REQUESTS, Row, SIGN_INS, TOKENS};
use vault_jose::TokenError;
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
    for outcome in
        [Revocation::Revoked, Revocation::Pending, Revocation::NotSupported, Revocation::Failed]
    {
        assert!(has(&REQUESTS, outcome.name()), "{outcome:?}");
    }
}
