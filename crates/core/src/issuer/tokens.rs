// SPDX-License-Identifier: Apache-2.0
//! The tokens that the vault issues: their claims, ready to be signed.

use serde_json::{Map, Value, json};

use super::user::Profile;
use vault_base::encoding::{self, RandomnessError};
use vault_base::secret::Secret;
use vault_base::time::UnixSeconds;
use vault_jose::signing::SigningInput;

/// Lifetime of an ID token, in seconds.
pub const ID_TOKEN_LIFETIME: i64 = 3600;
/// Lifetime of a logout token, in seconds (OpenID Connect Back-Channel Logout 1.0 §2.4).
pub const LOGOUT_TOKEN_LIFETIME: i64 = 120;

/// For whom tokens are issued.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The vault's issuer identifier.
    pub issuer: &'a str,
    /// Id of the signing key.
    pub kid: &'a str,
    /// The user (`sub`).
    pub subject: &'a str,
    /// The client.
    pub client_id: &'a str,
    /// The browser session.
    pub sid: Option<&'a str>,
    /// When the user signed in, Unix seconds.
    pub auth_time: UnixSeconds,
    /// The time of issue, Unix seconds.
    pub now: UnixSeconds,
}

impl Subject<'_> {
    /// An access token (RFC 9068 §2).
    ///
    /// # Errors
    /// [`RandomnessError`].
    pub fn access_token(
        &self,
        audience: &str,
        scopes: &[String],
        lifetime: i64,
    ) -> Result<SigningInput, RandomnessError> {
        let mut claims = self.claims(audience, lifetime);
        claims.insert("jti".into(), encoding::base64url(encoding::random::<16>()?).into());
        claims.insert("client_id".into(), self.client_id.into());
        claims.insert("scope".into(), scopes.join(" ").into());
        Ok(SigningInput::new("at+jwt", Some(self.kid), &Value::Object(claims)))
    }

    /// An ID token (OpenID Connect Core §2), with the claims that `scopes` ask for (§5.4).
    pub fn id_token(
        &self,
        nonce: Option<&str>,
        access_token: &Secret,
        scopes: &[String],
        profile: &Profile,
    ) -> SigningInput {
        let mut claims = self.claims(self.client_id, ID_TOKEN_LIFETIME);
        claims.extend(nonce.map(|nonce| ("nonce".to_owned(), nonce.into())));
        let hash = encoding::sha256(access_token.expose());
        claims.insert("at_hash".into(), encoding::base64url(hash.split_at(16).0).into());
        claims.extend(about(scopes, profile));
        SigningInput::new("JWT", Some(self.kid), &Value::Object(claims))
    }

    /// A logout token (OpenID Connect Back-Channel Logout 1.0 §2.4).
    ///
    /// # Errors
    /// [`RandomnessError`].
    pub fn logout_token(&self) -> Result<SigningInput, RandomnessError> {
        let mut claims = self.claims(self.client_id, LOGOUT_TOKEN_LIFETIME);
        claims.remove("auth_time");
        claims.insert("jti".into(), encoding::base64url(encoding::random::<16>()?).into());
        let event = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
        claims.insert("events".into(), event);
        Ok(SigningInput::new("logout+jwt", Some(self.kid), &Value::Object(claims)))
    }

    fn claims(&self, audience: &str, lifetime: i64) -> Map<String, Value> {
        let mut claims = Map::new();
        claims.insert("iss".into(), self.issuer.into());
        claims.insert("sub".into(), self.subject.into());
        claims.insert("aud".into(), audience.into());
        claims.insert("iat".into(), self.now.into());
        claims.insert("exp".into(), self.now.saturating_add(lifetime).into());
        claims.insert("auth_time".into(), self.auth_time.into());
        claims.extend(self.sid.map(|sid| ("sid".to_owned(), sid.into())));
        claims
    }
}

/// The claims about a user that these scopes ask for (OpenID Connect Core §5.4). The provider's word about
/// the address is not passed on as our own, so `email_verified` is false.
pub fn about(scopes: &[String], profile: &Profile) -> Map<String, Value> {
    let has = |scope: &str| scopes.iter().any(|one| one == scope);
    let mut claims = Map::new();
    if let (true, Some(name)) = (has("profile"), &profile.name) {
        claims.insert("name".into(), name.as_str().into());
    }
    if let (true, Some(email)) = (has("email"), &profile.email) {
        claims.insert("email".into(), email.as_str().into());
        claims.insert("email_verified".into(), false.into());
    }
    claims
}
