// SPDX-License-Identifier: Apache-2.0
//! Validation of the ID token in a provider's token response (OpenID Connect Core §3.1.3.7 and §12.2).

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

/// The longest accepted lifetime of an ID token, in seconds: ten years. It comes straight from the token
/// endpoint and is used once, so its lifetime protects nothing.
const MAX_LIFETIME: i64 = 3653 * 24 * 3600;

/// The placeholder for the tenant in an issuer identifier, where one metadata document serves all tenants.
pub const TENANT: &str = "{tenantid}";

/// Whether `text` is a valid tenant id: 1 to 64 ASCII letters, digits and hyphens. It becomes part of an
/// issuer identifier, so no other characters are allowed.
pub fn is_tenant(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// The values that an ID token must match.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedIdToken<'a> {
    /// The provider's issuer identifier; [`TENANT`] in it is replaced by the token's `tid`.
    pub issuer: &'a str,
    /// The vault's client id at the provider.
    pub client_id: &'a str,
    /// The `nonce` of the authorization request.
    pub nonce: &'a str,
    /// The access token of the same response, for `at_hash`.
    pub access_token: &'a str,
    /// Further claims that must be present with exactly these values.
    pub required_claims: &'a BTreeMap<String, String>,
    /// Whether further audiences are accepted if `azp` is the client id.
    pub several_audiences: bool,
    /// Whether `nonce` may be missing. Another `nonce` is never accepted.
    pub optional_nonce: bool,
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
}

/// Validates the claims of an ID token whose signature was verified with a key of the provider, and returns
/// the identity: `sub`, `email`, and `preferred_username` or `name`.
///
/// # Errors
/// The [`TokenError`] that says which claim was rejected.
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
    let is_ours = |id: &String| id == expected.client_id;
    let audiences = raw.aud.into_vec();
    // The vault trusts no other audience, so its client id must be the only one (Core §3.1.3.7, step 3), unless
    // the connection accepts others.
    if !audiences.iter().any(is_ours) || !(audiences.len() == 1 || expected.several_audiences) {
        return Err(TokenError::Audience);
    }
    if !raw.azp.as_ref().map_or(audiences.len() == 1, is_ours) {
        return Err(TokenError::Client);
    }
    let is_bound = match &raw.nonce {
        Some(nonce) => encoding::constant_time_eq(nonce.as_bytes(), expected.nonce.as_bytes()),
        None => expected.optional_nonce,
    };
    if !is_bound {
        return Err(TokenError::Binding);
    }
    // With Ed25519 the hash is not SHA-256 but SHA-512. `at_hash` is optional in the code flow (Core
    // §3.1.3.6), so it is not compared there.
    let matches_token = |hash: String| hash == access_token_hash(expected.access_token);
    if token.algorithm() != Algorithm::EdDsa && !raw.at_hash.is_none_or(matches_token) {
        return Err(TokenError::Binding);
    }
    // Claims for display count as absent if they are no text.
    let text = |claim: &str| token.claim(claim).and_then(Value::as_str).map(str::to_owned);
    Ok(Identity {
        id: Some(claims::check_subject(raw.sub)?),
        email: text("email"),
        name: text("preferred_username").or_else(|| text("name")),
    })
}

impl RawClaims {
    /// Whether `iss` is this issuer, with [`TENANT`] replaced by the token's `tid`.
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

/// Checks that the token has the required claims, such as `hd` for the accounts of one Google Workspace.
fn check_required(token: &Jws<'_>, required: &BTreeMap<String, String>) -> Result<(), TokenError> {
    let matches_claim = |(name, value): (&String, &String)| {
        token.claim(name).and_then(Value::as_str) == Some(value.as_str())
    };
    if required.iter().all(matches_claim) { Ok(()) } else { Err(TokenError::Subject) }
}

/// Whether the ID token in a refresh response has this issuer and this user as its subject (OpenID Connect
/// Core §12.2). The signature is not verified: the token comes directly from the provider's token endpoint,
/// and the result is used only to reject tokens of another user. A token without `iss` passes.
///
/// # Errors
/// The [`TokenError`] if the token is malformed or has no valid `sub`.
pub fn is_of(token: &str, issuer: &str, user: &str) -> Result<bool, TokenError> {
    let compact = Jws::parse_id_token(token)?;
    let raw = compact.claims::<RawClaims>()?.custom;
    let same_issuer = raw.iss.is_none() || raw.is_from(issuer);
    Ok(same_issuer && claims::check_subject(raw.sub)? == user)
}

/// `at_hash` of an access token (Core §3.1.3.6) for the algorithms that use SHA-256: the left half of the
/// digest in base64url.
pub fn access_token_hash(token: &str) -> String {
    let digest = encoding::sha256(token);
    encoding::base64url(digest.split_at(16).0)
}
