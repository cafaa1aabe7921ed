// SPDX-License-Identifier: Apache-2.0
//! JWTs in compact form, the claims of each kind of token, and key sets. The first line of the input is a
//! token, the rest is a key set.
#![no_main]

use std::sync::LazyLock;

use edge_token_vault::jwt::access_token::{self, AccessToken};
use edge_token_vault::jwt::assertion;
use edge_token_vault::jwt::id_token::{self, ExpectedIdToken};
use edge_token_vault::jwt::jwk::JwkSet;
use edge_token_vault::jwt::jws::Jws;
use edge_token_vault::jwt::signature::SignatureCheck;
use edge_token_vault_fuzz::{NOW, config, lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // The configuration is not `Sync`; fuzzing runs in one thread.
    thread_local!(static CONFIG: LazyLock<edge_token_vault::config::Config> = LazyLock::new(config));
    let Some([text, keys]) = lines(data) else { return };
    let keys = JwkSet::parse(keys.as_bytes());
    let Ok(token) = Jws::parse(text) else { return };
    // A token has three parts, and its signing input is the first two (RFC 7515 §5.1).
    assert_eq!(text.matches('.').count(), 2);
    assert!(text.starts_with(token.signed()) && !token.signed().is_empty());
    if let Ok(keys) = &keys {
        let _ = keys.key_for(&token).is_ok();
        let _ = SignatureCheck::of(&token, keys, &[token.algorithm()]).is_ok();
    }
    let _ = assertion::claimed_client(&token).is_ok();
    let audiences = ["https://vault.example.com/".to_owned()];
    let _ = assertion::check(&token, "agent", &audiences, NOW).is_ok();
    let expected = ExpectedIdToken {
        issuer: "https://accounts.example.com",
        client_id: "vault",
        nonce: "nonce",
        access_token: "at",
        required_claims: &std::collections::BTreeMap::new(),
        several_audiences: false,
        optional_nonce: false,
    };
    let _ = id_token::read(&token, &expected, NOW).is_ok();
    let _ = id_token::is_of(text, expected.issuer, "alice").is_ok();
    let Ok(issuer) = access_token::claimed_issuer(&token) else { return };
    CONFIG.with(|config| {
        let Some(issuer) = config.issuers.get(issuer) else { return };
        if let Ok(read) = AccessToken::read(&token, issuer, NOW) {
            assert_eq!(read.user.issuer, issuer.source.issuer);
            assert!(!read.user.subject.is_empty() && !read.client_id.is_empty());
            assert!(read.is_current(NOW));
        }
    });
});
