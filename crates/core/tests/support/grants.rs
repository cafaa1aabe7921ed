// SPDX-License-Identifier: Apache-2.0
//! A grant, its account and its tokens, and what a response does to them.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used)]

#[path = "config.rs"]
mod config_support;

use std::collections::BTreeMap;

use config_support::config;
use vault_base::ids::AccountId;
use vault_base::secret::Secret;
use vault_core::vault::record::{AccessTokenRecord, Account, AccountState, Grant, Intent};
use vault_core::vault::refresh::{self, SentRequest, Settlement};
use vault_core::vault::release::{ReleaseStep, decide, renewal};
use vault_jose::identity::Identity;
use vault_provider::connection::Connection;
use vault_provider::error_codes::TokenEndpointError;
use vault_provider::token_response::{Lifetime, TokenResponse};

pub const NOW: i64 = 1_795_492_800;

pub fn account(id: &str, email: &str, name: &str) -> Account {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Account {
        id: AccountId::random().unwrap(),
        identity: Identity { id: some(id), email: some(email), name: some(name) },
        state: AccountState::Active,
        created_at: NOW,
        provider_data: BTreeMap::new(),
    }
}

pub fn grant() -> Grant {
    Grant::new(4, true, vec!["read".into(), "write".into()])
}

pub fn token(issued_ago: i64, expires_in: Option<i64>) -> AccessTokenRecord {
    AccessTokenRecord {
        generation: 4,
        scopes: vec!["read".into(), "write".into()],
        issued_at: NOW - issued_ago,
        expires_at: expires_in.map(|seconds| NOW + seconds),
    }
}

pub fn connection() -> Connection {
    config().connections["code"].clone()
}

pub fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

pub fn tokens() -> TokenResponse {
    TokenResponse {
        access_token: Secret::new("new access"),
        refresh_token: Some(Secret::new("new refresh")),
        lifetime: Lifetime::Seconds(3600),
        refresh_token_expires_in: None,
        scopes: None,
        id_token: None,
    }
}

pub fn settle(grant: &Grant, answer: Result<TokenResponse, TokenEndpointError>) -> Settlement {
    settle_at(&connection(), grant, None, answer)
}

pub fn settle_at(
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

pub fn intent(attempt: u32) -> Intent {
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
        follow_up: None,
    }
}

pub fn successor(attempt: u32) -> Intent {
    Intent { successor: Some("sealed".into()), ..intent(attempt) }
}

pub fn step(grant: &Grant, token: Option<&AccessTokenRecord>) -> ReleaseStep {
    let renewal = renewal(&connection(), "", grant, token, None, NOW);
    decide(AccountState::Active, grant, token, renewal, NOW)
}
