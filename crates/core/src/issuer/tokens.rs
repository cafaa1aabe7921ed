// SPDX-License-Identifier: Apache-2.0
//! What the vault's own tokens say. Each function gives what is to be signed; the platform signs
//! it.

use serde_json::{Map, Value, json};

use vault_base::encoding::{self, RandomnessError};
use vault_base::secret::Secret;
use vault_base::time::UnixSeconds;
use vault_jose::id_token::access_token_hash;
use vault_jose::signing::SigningInput;

use super::user::Profile;

/// `typ` of an access token (RFC 9068 §2.1).
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// `typ` of an ID token. `OpenID` Connect asks for none.
pub const ID_TOKEN_TYPE: &str = "JWT";

/// `typ` of a logout token (OpenID Connect Back-Channel Logout 1.0 §2.4).
pub const LOGOUT_TOKEN_TYPE: &str = "logout+jwt";

/// Lifetime of an ID token, in seconds.
pub const ID_TOKEN_LIFETIME: i64 = 3600;

/// Seconds that a logout token lives: two minutes, as §2.4 recommends.
pub const LOGOUT_TOKEN_SECONDS: i64 = 120;

/// The event that a logout token tells of (§2.4).
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Who signs, with which key, and when.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// The vault's issuer identifier, with its trailing slash.
    pub issuer: &'a str,
    /// Id of the key.
    pub kid: &'a str,
    /// `iat`.
    pub now: UnixSeconds,
}

/// Who signed in.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The user.
    pub sub: &'a str,
    /// The browser session, if there is one.
    pub sid: Option<&'a str>,
    /// When, if that is known.
    pub auth_time: Option<UnixSeconds>,
}

/// An access token (RFC 9068 §2.2).
#[derive(Debug, Clone, Copy)]
pub struct AccessToken<'a> {
    /// Who it is about.
    pub subject: Subject<'a>,
    /// The APIs that take it. A single one is written as text.
    pub audiences: &'a [String],
    /// The client it is issued to.
    pub client_id: &'a str,
    /// What is granted.
    pub scopes: &'a [String],
    /// The refresh-token family that it is issued with: [`super::family::grant_id`].
    pub grant_id: Option<&'a str>,
    /// Its own id: [`random_id`].
    pub jti: &'a str,
    /// Seconds that it lives.
    pub lifetime: i64,
}

/// An ID token (OpenID Connect Core §2).
#[derive(Debug, Clone, Copy)]
pub struct IdToken<'a> {
    /// Who signed in.
    pub subject: Subject<'a>,
    /// The client it is issued to: its only audience.
    pub client_id: &'a str,
    /// `nonce` of the authorization request. In a refresh it may be left out (Core §12.2).
    pub nonce: Option<&'a str>,
    /// The access token that goes along with it, for `at_hash`.
    pub access_token: Option<&'a Secret>,
    /// What is granted: which claims of the profile are in it.
    pub scopes: &'a [String],
    /// What is known of the user.
    pub profile: &'a Profile,
    /// Seconds that it lives.
    pub lifetime: i64,
}

/// A logout token (OpenID Connect Back-Channel Logout 1.0 §2.4).
#[derive(Debug, Clone, Copy)]
pub struct LogoutToken<'a> {
    /// Whose session has ended.
    pub sub: &'a str,
    /// The session.
    pub sid: &'a str,
    /// The client that is notified.
    pub client_id: &'a str,
    /// Its own id: [`random_id`].
    pub jti: &'a str,
}

/// What is to be signed of an access token.
pub fn access_token(by: &Signer<'_>, token: &AccessToken<'_>) -> SigningInput {
    let mut claims = by.claims(token.subject.sub, audience(token.audiences), token.lifetime);
    claims.insert("jti".into(), token.jti.into());
    claims.insert("client_id".into(), token.client_id.into());
    if !token.scopes.is_empty() {
        claims.insert("scope".into(), token.scopes.join(" ").into());
    }
    insert(&mut claims, "grant_id", token.grant_id);
    token.subject.add_sign_in(&mut claims);
    by.input(ACCESS_TOKEN_TYPE, claims)
}

/// What is to be signed of an ID token.
pub fn id_token(by: &Signer<'_>, token: &IdToken<'_>) -> SigningInput {
    let mut claims = by.claims(token.subject.sub, token.client_id.into(), token.lifetime);
    claims.append(&mut user_claims(token.profile, token.scopes));
    insert(&mut claims, "nonce", token.nonce);
    let at_hash = token.access_token.map(|token| access_token_hash(token.expose()));
    insert(&mut claims, "at_hash", at_hash);
    token.subject.add_sign_in(&mut claims);
    by.input(ID_TOKEN_TYPE, claims)
}

/// What is to be signed of a logout token. It has no `nonce`, so that it never passes for an ID
/// token.
pub fn logout_token(by: &Signer<'_>, token: &LogoutToken<'_>) -> SigningInput {
    let mut claims = by.claims(token.sub, token.client_id.into(), LOGOUT_TOKEN_SECONDS);
    claims.insert("jti".into(), token.jti.into());
    claims.insert("sid".into(), token.sid.into());
    claims.insert("events".into(), json!({ LOGOUT_EVENT: {} }));
    by.input(LOGOUT_TOKEN_TYPE, claims)
}

/// The response of the userinfo endpoint (OpenID Connect Core §5.3.2).
pub fn userinfo(sub: &str, profile: &Profile, scopes: &[String]) -> Value {
    let mut claims = user_claims(profile, scopes);
    claims.insert("sub".into(), sub.into());
    Value::Object(claims)
}

/// A new `jti`: 128 random bits in base64url.
///
/// # Errors
/// [`RandomnessError`].
pub fn random_id() -> Result<String, RandomnessError> {
    Ok(encoding::base64url(encoding::random::<16>()?))
}

/// What the scopes `profile` and `email` tell of a user (Core §5.4), as far as it is known.
fn user_claims(profile: &Profile, scopes: &[String]) -> Map<String, Value> {
    let is_granted = |scope: &str| scopes.iter().any(|one| one == scope);
    let mut claims = Map::new();
    if is_granted("profile") {
        insert(&mut claims, "name", profile.name.as_deref());
        insert(&mut claims, "picture", profile.picture.as_deref());
    }
    if is_granted("email")
        && let Some(email) = &profile.email
    {
        claims.insert("email".into(), email.as_str().into());
        claims.insert("email_verified".into(), profile.email_verified.into());
    }
    claims
}

/// `aud`: text for a single one, else a list (RFC 7519 §4.1.3).
fn audience(audiences: &[String]) -> Value {
    match audiences {
        [one] => one.as_str().into(),
        many => many.into(),
    }
}

fn insert(claims: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        claims.insert(name.to_owned(), value.into());
    }
}

impl Signer<'_> {
    /// The claims that all tokens have.
    fn claims(&self, sub: &str, audience: Value, lifetime: i64) -> Map<String, Value> {
        [
            ("iss", self.issuer.into()),
            ("sub", sub.into()),
            ("aud", audience),
            ("iat", self.now.into()),
            ("exp", self.now.saturating_add(lifetime).into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
    }

    fn input(&self, typ: &str, claims: Map<String, Value>) -> SigningInput {
        SigningInput::new(typ, Some(self.kid), &Value::Object(claims))
    }
}

impl Subject<'_> {
    fn add_sign_in(&self, claims: &mut Map<String, Value>) {
        insert(claims, "sid", self.sid);
        insert(claims, "auth_time", self.auth_time);
    }
}
