// SPDX-License-Identifier: Apache-2.0
//! Runs the code of an exchange once, with made-up values, before the first request.
//!
//! V8 compiles a function of the wasm when it is called for the first time, and an exchange calls several hundred.
//! What runs while the platform starts an isolate is compiled then, and the first request need not wait for it.
//! Nothing here leaves the isolate, and no result is kept.

use std::collections::BTreeMap;
use std::hint::black_box;

use serde_json::json;

use crate::config::{Config, ExchangeGrant};
use crate::message;
use crate::message::issuer::{IssuerRequest, IssuerResponse, Published};
use crate::message::vault::{VaultAction, VaultRequest};
use crate::oauth::client_auth::Credentials;
use crate::oauth::exchange::request::ExchangeRequest;
use crate::oauth::exchange::response;
use crate::oauth::token_request::{self, TokenRequest};
use crate::request_line::RequestLine;
use crate::vault::contents::{Contents, Sealed, StoredGrant, StoredToken};
use crate::vault::exchange::look;
use crate::vault::home::Home;
use crate::vault::lease::LeaseRequest;
use crate::vault::lease_cache::{LeaseCache, LeaseKey, Released};
use crate::vault::record::{AccessTokenRecord, Account, AccountState, Grant, Selector};
use crate::vault::release::{NegativeCache, RequestedToken};
use vault_base::encoding;
use vault_base::ids::{AccountId, UserNames};
use vault_base::seal::Sealer;
use vault_base::secret::Secret;
use vault_jose::access_token::{self, AccessToken};
use vault_jose::identity::Identity;
use vault_jose::jwk::JwkSet;
use vault_jose::jws::Jws;
use vault_jose::signature::SignatureCheck;
use vault_jose::trusted_issuer::Issuer;
use vault_provider::connection::Connection;

/// Any time between those of the made-up token.
const NOW: i64 = 1;

/// Reads the token of a made-up request ([`request`]), writes and reads what the Worker and a vault say to each other,
/// and lends the token. `None` if a step fails.
pub fn exchange(config: &Config, made_up: &ExchangeRequest) -> Option<()> {
    let issuer = config.issuers.values().next()?;
    let connection = config.connections.keys().next()?;
    let (client_id, client) = config.clients.iter().next()?;
    let token = verified(&made_up.subject_token, issuer)?;
    let names = UserNames::default();
    let log_name = names.log(&config.names, &token.user).to_owned();
    let objects = config.objects(Some(client_id));
    let vault = names.vault(connection, || objects.vault(&token.user, connection)).name;
    let want = made_up.want(client);
    let lease = LeaseRequest::default();
    let request = message::write(&VaultRequest {
        user: token.user,
        connection: made_up.connection.clone(),
        act: VaultAction::exchange(made_up.grant, &want, lease),
    })?;
    let request: VaultRequest = message::read(request.as_bytes())?;
    let home = Home::new(request.user, request.connection, Sealer::new(&config.key_ring, &vault));
    let released = released(config, &home, &want, made_up.grant)?;
    let key = LeaseKey { vault: &vault, client_id, grant: made_up.grant, want: &want };
    let mut leases = LeaseCache::default();
    let asked = leases.ask(&vault, NOW);
    leases.note(&key, Some(released), asked, NOW);
    let (expires_in, members) = leases.find(&key, NOW)?;
    black_box(response::success(expires_in, members));
    let line = RequestLine {
        connection: Some(connection.clone()),
        client_id: Some(client_id.clone()),
        user: Some(log_name),
        ..RequestLine::default()
    };
    black_box(line.line());
    Some(())
}

/// Reads a request of an exchange, with a wrong secret and a wrong token. `None` if the configuration has no issuer,
/// client or connection.
pub fn request(config: &Config) -> Option<(Credentials, ExchangeRequest)> {
    let issuer = config.issuers.values().next()?;
    let connection = config.connections.keys().next()?;
    let client_id = config.clients.keys().next()?;
    let token = token(issuer, client_id);
    let body = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token={token}\
         &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token\
         &audience={connection}&client_id={client_id}&client_secret=-"
    );
    let form = Some("application/x-www-form-urlencoded");
    let request = TokenRequest::read(form, None, body.as_bytes(), false).ok()?;
    match request.grant {
        token_request::Grant::Exchange(exchange) => Some((request.credentials, exchange)),
        _ => None,
    }
}

/// A token of this issuer whose signature is wrong.
fn token(issuer: &Issuer, client_id: &str) -> String {
    let header = json!({ "alg": "RS256", "typ": issuer.types.first(), "kid": "-" });
    let claims = json!({
        "iss": issuer.source.issuer,
        "sub": "-",
        "aud": issuer.audiences,
        "client_id": client_id,
        "scope": "- -",
        "iat": NOW,
        "exp": NOW,
    });
    let [header, claims] = [header, claims].map(|part| encoding::base64url(part.to_string()));
    format!("{header}.{claims}.{}", encoding::base64url([1; 256]))
}

/// The token, without the check of its signature, which is the platform's.
fn verified(token: &Secret, issuer: &Issuer) -> Option<AccessToken> {
    let keys = json!({ "keys": [{
        "kty": "RSA", "kid": "-", "n": encoding::base64url([255; 256]), "e": "AQAB",
    }] });
    let keys = keys.to_string();
    let set = JwkSet::parse(keys.as_bytes()).ok()?;
    asked(issuer, keys)?;
    let token = Jws::parse(token.expose()).ok()?;
    black_box(access_token::claimed_issuer(&token).ok()?);
    black_box(SignatureCheck::of(&token, &set, &[token.algorithm()]).ok()?);
    AccessToken::read(&token, issuer, NOW).ok()
}

/// Looks for a token in a vault that has one, and writes and reads the message with it.
fn released(
    config: &Config,
    home: &Home,
    want: &RequestedToken,
    grant: ExchangeGrant,
) -> Option<Released> {
    let connection = config.connections.get(&home.connection)?;
    let key = config.key_ring.primary_key();
    let mut envelope = vec![1, u8::try_from(key.len()).ok()?];
    envelope.extend_from_slice(key.as_bytes());
    envelope.extend_from_slice(&[0; 60]);
    let contents = contents(connection, envelope)?;
    // The envelope is not sealed, and the answer is that.
    black_box(look(home, &contents, connection, want, &NegativeCache::default(), NOW)).ok()?;
    let members = response::members(grant, &Secret::new("-"), &want.scopes, &BTreeMap::new());
    let token = Released { expires_in: 1, lease_seconds: 1, object_ms: 1, members };
    Released::read(&token.write())
}

/// A vault with one account, whose access token is this envelope.
fn contents(connection: &Connection, envelope: Vec<u8>) -> Option<Contents> {
    let id = AccountId::parse("cac_0000000000000000000000")?;
    let account = Account {
        id: id.clone(),
        identity: Identity { id: None, email: None, name: None },
        state: AccountState::Active,
        created_at: NOW,
        provider_data: BTreeMap::new(),
    };
    let mut grant = Grant::new(1, true, connection.scopes.clone());
    grant.registration = Some(connection.registration.clone());
    let record = AccessTokenRecord {
        generation: 1,
        scopes: connection.scopes.clone(),
        issued_at: NOW,
        expires_at: None,
    };
    let grant = Sealed { record: grant, envelope: None };
    let token = Sealed { record, envelope: Some(envelope) };
    Some(Contents {
        accounts: vec![account],
        grants: vec![StoredGrant { account: id.clone(), kind: String::new(), grant }],
        tokens: vec![StoredToken { account: id, selector: Selector::default(), token }],
    })
}

/// Writes and reads what the Worker and the object with an issuer's keys say to each other.
fn asked(issuer: &Issuer, keys: String) -> Option<()> {
    let request = message::write(&IssuerRequest::of(&issuer.source, false))?;
    black_box(message::read::<IssuerRequest>(request.as_bytes())?);
    let published = Published { metadata: None, jwks: keys, fetched_at: NOW };
    let response = message::write(&IssuerResponse::Published(published))?;
    black_box(message::read::<IssuerResponse>(response.as_bytes())?);
    Some(())
}
