// SPDX-License-Identifier: Apache-2.0
//! Responses of providers and issuers. The first line of the input is the status, the second is the header
//! `Retry-After`, the rest is the body.
#![no_main]

use edge_token_vault::config::Config;
use edge_token_vault::provider::connection::Connection;
use edge_token_vault::provider::endpoints::{Discovery, Metadata, Provider};
use edge_token_vault::provider::error_codes::TokenEndpointError;
use edge_token_vault::provider::issuance::{Issuance, IssuanceRequest};
use edge_token_vault::provider::revocation::{self, TokenTypeHint};
use edge_token_vault::provider::token_response::{self, Lifetime, ProviderResponse, TokenResponse};
use edge_token_vault::provider::userinfo;
use edge_token_vault::public_url::PublicUrl;
use edge_token_vault::secret::Secret;
use edge_token_vault_fuzz::{NOW, config, lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    thread_local!(static CONFIG: Config = config());
    let Some([status, retry_after, body]) = lines(data) else { return };
    let received = ProviderResponse::Answer {
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

/// Reads a response with the rules of one connection, in every role that a response can have.
fn read(received: &ProviderResponse, connection: &Connection) {
    let granted = token_response::granted(received, connection, NOW);
    let failure = granted.as_ref().err().cloned();
    if let Ok(granted) = granted {
        granted.kinds.values().chain([&granted.tokens]).for_each(check);
    }
    match token_response::renewed(received, connection, NOW) {
        Ok(tokens) => check(&tokens),
        Err(failure) => check_failure(&failure),
    }
    if let Some(failure) = failure {
        check_failure(&failure);
    }
    let _ = userinfo::read(received, &connection.identity).is_ok();
    for kind in [TokenTypeHint::Refresh, TokenTypeHint::Access] {
        let _ = revocation::outcome(received, connection, "", kind);
    }
    if let Ok(provider) = Provider::new(connection, None) {
        for kind in connection.kinds.keys() {
            make(received, connection, &provider, kind);
        }
    }
}

/// Gives the same response to each request of an issuance, for the user's own account and for an organization.
fn make(received: &ProviderResponse, connection: &Connection, provider: &Provider, kind: &str) {
    let Some(rules) = connection.issuance(kind) else { return };
    for name in ["", "octo-org"] {
        let user_token = Secret::new("user token");
        let wanted =
            IssuanceRequest { user_token: &user_token, user: Some("7"), name, scopes: None };
        let signature = Secret::new("signature");
        issue(received, Issuance::new(connection, provider, rules, wanted, signature));
    }
}

fn issue(received: &ProviderResponse, mut issuing: Issuance<'_>) {
    const REQUESTS: usize = 4;
    for _ in 0..REQUESTS {
        let request = issuing.request().unwrap();
        assert_eq!(request.url.host_str(), Some("api.github.com"));
        match issuing.answered(received, NOW) {
            Ok(None) => {}
            Ok(Some(issued)) => return assert!(!issued.access_token.expose().is_empty()),
            Err(_) => return,
        }
    }
    panic!("the issuance sends further requests");
}

fn check(tokens: &TokenResponse) {
    assert!(!tokens.access_token.expose().is_empty());
    assert!(tokens.refresh_token.as_ref().is_none_or(|token| !token.expose().is_empty()));
    assert!(!matches!(tokens.lifetime, Lifetime::Seconds(seconds) if seconds < 0));
}

fn check_failure(failure: &TokenEndpointError) {
    match failure {
        TokenEndpointError::Unavailable { retry_after: Some(seconds) } => {
            assert!((1..=3600).contains(seconds), "{seconds}");
        }
        // The provider's error code is written to the log.
        TokenEndpointError::Misconfigured(code) => {
            assert!(code.bytes().all(|b| (b' '..=b'~').contains(&b)), "{code}");
        }
        _ => {}
    }
}
