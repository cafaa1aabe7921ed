// SPDX-License-Identifier: Apache-2.0
//! The key check: which answers need it, which keys count as changed, and what a copy answers itself.

use std::collections::BTreeMap;

use vault_core::message::registry::{self, CopyStep, of_copy};
use vault_core::message::vault::VaultResponse;
use vault_core::vault::record::Reason;
use vault_core::vault::release::ReleaseError;
use vault_provider::issuance::NoAccount;

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_key_is_changed_if_its_stored_check_value_differs() {
    let stored = values(&[("name", "1"), ("k1", "2")]);
    for (now, changed) in [
        (&[("name", "1"), ("k1", "2")], &[][..]),
        (&[("name", "1"), ("k2", "3")], &[]),
        (&[("name", "9"), ("k1", "2")], &["name"]),
    ] {
        assert_eq!(registry::changed(&values(now), &stored), changed, "{now:?}");
    }
}

#[test]
fn a_copy_answers_what_it_has_from_the_original_and_asks_about_everything_else() {
    let answer = |changed: &[&str]| {
        CopyStep::Answer(changed.iter().map(|name| (*name).to_owned()).collect())
    };
    for (stored, now, step) in [
        // An empty copy never believes the configuration that asks.
        (&[][..], &[("name", "1"), ("k1", "2")][..], CopyStep::AskOriginal),
        (&[("name", "1"), ("k1", "2")], &[("name", "1"), ("k1", "2")], answer(&[])),
        // A key that left the ring.
        (&[("name", "1"), ("k1", "2"), ("k2", "3")], &[("name", "1"), ("k2", "3")], answer(&[])),
        // A key that may have been used since the copy was filled.
        (&[("name", "1"), ("k1", "2")], &[("name", "1"), ("k2", "3")], CopyStep::AskOriginal),
        (&[("name", "1"), ("k1", "2")], &[("name", "9"), ("k1", "2")], answer(&["name"])),
        (&[("name", "1"), ("k1", "2")], &[("name", "1"), ("k1", "9")], answer(&["k1"])),
        (&[("name", "1")], &[("name", "9"), ("k2", "3")], answer(&["name"])),
    ] {
        assert_eq!(of_copy(&values(stored), &values(now)), step, "{stored:?} {now:?}");
    }
}

#[test]
fn an_answer_that_a_wrong_key_would_cause_too_does_not_vouch_for_the_keys() {
    let ended = |reason| ReleaseError::ReconnectRequired { reason };
    for (problem, vouches) in [
        (ReleaseError::NotConnected, false),
        (ended(Reason::Corrupt), false),
        (ended(Reason::RefreshRefused), true),
        (ended(Reason::RotationLost), true),
        (ended(Reason::NoRefreshToken), true),
        (ReleaseError::NoSuchAccount, true),
        (ReleaseError::AmbiguousAccount, true),
        (ReleaseError::MissingScopes { missing: Vec::new() }, true),
        (ReleaseError::NoSuchKind, true),
        (ReleaseError::NoSuchResource, true),
        (ReleaseError::NoAccount { reason: NoAccount::NotOwner }, true),
        (ReleaseError::SeveralResources, true),
        (ReleaseError::CannotNarrow, true),
        (ReleaseError::Unavailable { retry_after: 2 }, true),
    ] {
        let text = format!("{problem:?}");
        assert_eq!(VaultResponse::NotReleased(problem).vouches_for_keys(), vouches, "{text}");
    }
}
