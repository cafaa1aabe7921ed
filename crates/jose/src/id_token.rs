// SPDX-License-Identifier: Apache-2.0
//! The ID token a provider returns with its tokens (OpenID Connect Core §3.1.3.7).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::TokenError;
use super::algorithm::Algorithm;
use super::claims::{self, Audience};
use super::jws::Jws;
use crate::identity::Identity;
use vault_base::encoding;
use vault_base::time::UnixSeconds;

/// Longest life we take for sane: a day.
const MAX_LIFETIME: i64 = 24 * 3600;

/// The tenant's place in the issuer of a provider that has one document for all of them.
pub const TENANT: &str = "{tenantid}";

/// Whether this can be a tenant's id: it stands in an issuer identifier.
pub fn is_tenant(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// What the token must match.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedIdToken<'a> {
    /// The provider's issuer identifier; [`TENANT`] in it stands for the token's `tid`.
    pub issuer: &'a str,
    /// Our client id there.
    pub client_id: &'a str,
    /// The nonce of this session.
    pub nonce: &'a str,
    /// The access token that came along, for `at_hash`.
    pub access_token: &'a str,
    /// Further claims that must have these values.
    pub required_claims: &'a BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RawClaims {
    iss: Option<String>,
    tid: Option<String>,
    sub: Option<String>,
    #[serde(default)]
    aud: Audience,
    azp: Option<String>,
    nonce: Option<String>,
    at_hash: Option<String>,
    email: Option<String>,
    name: Option<String>,
    preferred_username: Option<String>,
}

/// Reads the identity from an ID token whose signature was checked with the provider's keys.
///
/// # Errors
/// The [`TokenError`] for the operator's log.
pub fn read(
    token: &Jws<'_>,
    expected: &ExpectedIdToken<'_>,
    now: UnixSeconds,
) -> Result<Identity, TokenError> {
    let claims = token.claims::<RawClaims>()?;
    claims::check_time(&claims, now, MAX_LIFETIME)?;
    if claims.issued_at.is_none() {
        return Err(TokenError::Time);
    }
    let raw = claims.custom;
    if !raw.is_from(expected.issuer) {
        return Err(TokenError::Issuer);
    }
    check_required(token, expected.required_claims)?;
    // We trust no other audience, so ours must be the only one.
    if raw.aud.into_vec() != [expected.client_id] {
        return Err(TokenError::Audience);
    }
    if raw.azp.is_some_and(|party| party != expected.client_id) {
        return Err(TokenError::Client);
    }
    let nonce = raw.nonce.unwrap_or_default();
    if !encoding::constant_time_eq(nonce.as_bytes(), expected.nonce.as_bytes()) {
        return Err(TokenError::Binding);
    }
    let bound = |hash: String| hash == access_token_hash(expected.access_token);
    if token.algorithm() != Algorithm::EdDsa && !raw.at_hash.is_none_or(bound) {
        return Err(TokenError::Binding);
    }
    Ok(Identity {
        id: Some(claims::check_subject(raw.sub)?),
        email: raw.email,
        name: raw.preferred_username.or(raw.name),
    })
}

impl RawClaims {
    /// Whether `iss` is this issuer, in the token's own tenant where there are several.
    fn is_from(&self, issuer: &str) -> bool {
        let Some(iss) = &self.iss else {
            return false;
        };
        match &self.tid {
            Some(tenant) if issuer.contains(TENANT) => {
                is_tenant(tenant) && *iss == issuer.replace(TENANT, tenant)
            }
            _ => iss == issuer && !issuer.contains(TENANT),
        }
    }
}

/// A Workspace's `hd`, for one: without the check anybody's account would do.
fn check_required(token: &Jws<'_>, required: &BTreeMap<String, String>) -> Result<(), TokenError> {
    let has = |(name, value): (&String, &String)| {
        token.claim(name).and_then(Value::as_str) == Some(value.as_str())
    };
    if required.iter().all(has) { Ok(()) } else { Err(TokenError::Subject) }
}

/// Whether an ID token in a refresh answer is of this issuer and user (Core §12.2). It came from the
/// provider's own token endpoint; no signature is needed to refuse it.
///
/// # Errors
/// [`TokenError`] if it cannot be read.
pub fn is_of(token: &str, issuer: &str, user: &str) -> Result<bool, TokenError> {
    let compact = Jws::parse(token)?;
    let raw = compact.claims::<RawClaims>()?.custom;
    let from = raw.iss.is_none() || raw.is_from(issuer);
    Ok(from && claims::check_subject(raw.sub)? == user)
}

/// Left half of SHA-256 of the token (Core §3.1.3.6), the hash of all our algorithms but Ed25519:
/// there it is SHA-512's, and the claim, which the code flow may leave out, is not compared.
fn access_token_hash(token: &str) -> String {
    let digest = encoding::sha256(token);
    encoding::base64url(digest.split_at(16).0)
}
