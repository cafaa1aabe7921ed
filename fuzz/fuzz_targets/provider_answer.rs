// SPDX-License-Identifier: Apache-2.0
//! What providers and issuers answer. The first lines are a status and `Retry-After`.
#![no_main]

use edge_token_vault::config::Config;
use edge_token_vault::provider::connection::Connection;
use edge_token_vault::public_url::PublicUrl;
use edge_token_vault::provider::identity;
use edge_token_vault::provider::answer::{self, Lifetime, Received, Tokens};
use edge_token_vault::provider::endpoints::{Discovery, Metadata, Provider};
use edge_token_vault::provider::errors::Failure;
use edge_token_vault::provider::minting::{Making, Wanted};
use edge_token_vault::provider::revocation::{self, TokenKind};
use edge_token_vault::secret::Secret;
use edge_token_vault_fuzz::{NOW, config, lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    thread_local!(static CONFIG: Config = config());
    let Some([status, retry_after, body]) = lines(data) else { return };
    let received = Received::Answer {
        status: status.parse().unwrap_or(200),
        retry_after: Some(retry_after.to_owned()).filter(|value| !value.is_empty()),
        body: Secret::new(body),
    };
    CONFIG.with(|config| {
        for connection in config.connections.values() {
            read(&received, connection);
        }
    });
    let Ok(vault) = PublicUrl::parse("https://vault.example.com") else { return };
    let issuer = "https://accounts.example.com";
    let source = Discovery { issuer, pattern: Some("https://accounts.example.com/*/v2.0") };
    if let Ok(metadata) = Metadata::parse(body.as_bytes(), source, &vault) {
        let url = url::Url::parse(&metadata.jwks_uri);
        assert!(url.is_ok_and(|url| url.scheme() == "https"), "{}", metadata.jwks_uri);
    }
});

/// An answer as each connection reads it.
fn read(received: &Received, connection: &Connection) {
    let granted = answer::granted(received, connection, NOW);
    let failure = granted.as_ref().err().cloned();
    if let Ok(granted) = granted {
        granted.kinds.values().chain([&granted.tokens]).for_each(check);
    }
    match answer::renewed(received, connection, NOW) {
        Ok(tokens) => check(&tokens),
        Err(failure) => check_failure(&failure),
    }
    if let Some(failure) = failure {
        check_failure(&failure);
    }
    let _ = identity::read(received, &connection.identity).is_some();
    for kind in [TokenKind::Refresh, TokenKind::Access] {
        let _ = revocation::outcome(received, connection, "", kind);
    }
    if let Ok(provider) = Provider::new(connection, None) {
        for kind in connection.kinds.keys() {
            make(received, connection, &provider, kind);
        }
    }
}

/// The same answer to each request that makes a token of this kind, while there is a next one.
fn make(received: &Received, connection: &Connection, provider: &Provider, kind: &str) {
    const REQUESTS: usize = 4;
    let Some(minting) = connection.minting(kind) else { return };
    for name in ["", "octo-org"] {
        let user_token = Secret::new("user token");
        let wanted = Wanted { user_token: &user_token, user: Some("7"), name, scopes: None };
        let signature = Secret::new("signature");
        let mut making = Making::new(connection, provider, minting, wanted, signature);
        for _ in 0..REQUESTS {
            let request = making.request().unwrap();
            assert_eq!(request.url.host_str(), Some("api.github.com"));
            match making.answered(received, NOW) {
                Ok(None) => {}
                Ok(Some(minted)) => return assert!(!minted.access_token.expose().is_empty()),
                Err(_) => return,
            }
        }
        panic!("it goes on asking");
    }
}

fn check(tokens: &Tokens) {
    assert!(!tokens.access_token.expose().is_empty());
    assert!(tokens.refresh_token.as_ref().is_none_or(|token| !token.expose().is_empty()));
    assert!(!matches!(tokens.lifetime, Lifetime::Seconds(seconds) if seconds < 0));
}

fn check_failure(failure: &Failure) {
    match failure {
        Failure::Unavailable { retry_after: Some(seconds) } => {
            assert!((1..=3600).contains(seconds), "{seconds}");
        }
        // A code of the provider's is logged and shown to operators.
        Failure::Misconfigured(code) => {
            assert!(code.bytes().all(|b| (b' '..=b'~').contains(&b)), "{code}");
        }
        _ => {}
    }
}
