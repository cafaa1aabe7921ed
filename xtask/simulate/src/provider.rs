// SPDX-License-Identifier: Apache-2.0
//! Model providers: authorization servers with their own records, which say what is true of each token. They
//! are written from RFC 6749, RFC 7009 and RFC 9700 §4.14.2, and share no code with the vault.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use url::form_urlencoded;
use vault_base::encoding::base64url;
use vault_base::secret::Secret;
use vault_provider::request::ProviderRequest;
use vault_provider::token_response::ProviderResponse;

/// What a refresh does to the refresh token that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// Nothing; the response has no refresh token.
    None,
    /// It is replaced. Sending it again ends the whole family.
    Strict,
    /// It is replaced, and accepted for these seconds more. Later it ends the whole family.
    LeewayByTime(i64),
    /// It is replaced, and accepted until its successor is used. Later it ends the whole family.
    LeewayByUse,
}

/// How a provider behaves when nothing fails.
#[derive(Debug, Clone, Copy)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact about a provider, apart from the others"
)]
pub struct Behaviour {
    /// What a refresh does to the refresh token.
    pub rotation: Rotation,
    /// Lifetime of access tokens, in seconds.
    pub lifetime: i64,
    /// Whether responses have `expires_in`.
    pub tells_lifetime: bool,
    /// Whether a refresh ends the family's earlier access tokens.
    pub ends_access_token: bool,
    /// Whether a consent ends the user's earlier ones.
    pub one_consent: bool,
    /// Days without a refresh after which it ends a grant, if it does that.
    pub idle_days: Option<i64>,
    /// Whether it is an `OpenID` provider, which names the user in each response.
    pub open_id: bool,
}

/// What goes wrong with one request. Before the provider decides, nothing has an effect; after it, all has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing.
    None,
    /// The connection breaks before the provider decides.
    DroppedBefore,
    /// The connection breaks after the provider has decided.
    DroppedAfter,
    /// The response takes these seconds.
    Slow(i64),
    /// The provider has decided, and the connection stays open without a response.
    Hangs,
    /// 503 with an error of RFC 6749, before the provider decides.
    Unavailable,
    /// 503 with a gateway's page, before the provider decides.
    GatewayBefore,
    /// 503 with a gateway's page, after the provider has decided.
    GatewayAfter,
    /// 429 with this `Retry-After`, before the provider decides.
    Limited(Option<i64>),
    /// 500 without a body, before the provider decides.
    BrokenBefore,
    /// 500 without a body, after the provider has decided.
    BrokenAfter,
    /// The first half of the response.
    Truncated,
    /// The response names a token type that nobody knows.
    OddTokenType,
    /// The access token has a space.
    UnusableAccessToken,
    /// The provider does not know the client for a while.
    InvalidClient,
    /// 400 without a body, before the provider decides.
    EmptyRefusal,
    /// The provider refuses a refresh token that is valid.
    RefusesLiveToken,
    /// The response names another user, whose tokens it has. The family has been rotated.
    OtherUser,
}

impl Fault {
    /// All of them, as a run may choose.
    pub const ALL: [Self; 21] = [
        Self::DroppedBefore,
        Self::DroppedAfter,
        Self::DroppedAfter,
        Self::Slow(9),
        Self::Slow(35),
        Self::Slow(110),
        Self::Hangs,
        Self::Unavailable,
        Self::GatewayBefore,
        Self::GatewayAfter,
        Self::Limited(None),
        Self::Limited(Some(20)),
        Self::Limited(Some(3600)),
        Self::BrokenBefore,
        Self::BrokenAfter,
        Self::Truncated,
        Self::OddTokenType,
        Self::UnusableAccessToken,
        Self::InvalidClient,
        Self::EmptyRefusal,
        Self::OtherUser,
    ];

    /// The name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::DroppedBefore => "dropped before the decision",
            Self::DroppedAfter => "dropped after the decision",
            Self::Slow(_) => "slow",
            Self::Hangs => "no response after the decision",
            Self::Unavailable => "503 with an OAuth error",
            Self::GatewayBefore => "503 of a gateway before the decision",
            Self::GatewayAfter => "503 of a gateway after the decision",
            Self::Limited(_) => "429",
            Self::BrokenBefore => "500 before the decision",
            Self::BrokenAfter => "500 after the decision",
            Self::Truncated => "truncated response",
            Self::OddTokenType => "unknown token type",
            Self::UnusableAccessToken => "unusable access token",
            Self::InvalidClient => "invalid_client",
            Self::EmptyRefusal => "400 without a body",
            Self::RefusesLiveToken => "refusal of a valid token",
            Self::OtherUser => "another user's tokens",
        }
    }
}

/// Why a family ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A refresh token was used again (RFC 9700 §4.14.2).
    Reuse,
    /// The vault revoked it.
    Revoked,
    /// The user withdrew the consent at the provider.
    Withdrawn,
    /// Nobody used it for too long.
    Idle,
    /// The user consented again, and the provider keeps one consent.
    Replaced,
}

/// One consent of a user, with the refresh tokens that follow from it.
#[derive(Debug)]
pub struct Family {
    /// The user.
    pub user: String,
    /// The granted scopes.
    pub scopes: Vec<String>,
    /// Why it ended.
    pub ended: Option<End>,
    /// Whether the provider refused one of its valid tokens.
    pub was_refused: bool,
    /// When it was last used, in milliseconds.
    used_at: i64,
}

/// A refresh token.
#[derive(Debug, Clone)]
pub struct RefreshToken {
    /// Its family.
    pub family: usize,
    /// When it was first rotated, in milliseconds.
    pub rotated_at: Option<i64>,
    /// Whether one of its successors was used.
    pub successor_used: bool,
    /// The token whose rotation made it.
    parent: Option<String>,
}

/// An access token.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// Its family.
    pub family: usize,
    /// The user whose data it opens.
    pub user: String,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// When it was issued, in milliseconds.
    pub issued_at: i64,
    /// When it expires, in milliseconds.
    pub expires_at: i64,
    /// Whether it was ended before that.
    pub ended: bool,
}

/// A provider with all of its records.
#[derive(Debug)]
pub struct Provider {
    /// The first letter of its tokens, and of its host.
    pub letter: char,
    /// How it behaves.
    pub behaviour: Behaviour,
    /// All families.
    pub families: Vec<Family>,
    /// All refresh tokens.
    pub refresh_tokens: BTreeMap<String, RefreshToken>,
    /// All access tokens.
    pub access_tokens: BTreeMap<String, AccessToken>,
    /// Tokens of another provider that it received: each is a leak.
    pub foreign: Vec<String>,
    issued: u64,
}

/// The tokens of a consent.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The access token.
    pub access_token: String,
    /// The refresh token, if the provider issues one.
    pub refresh_token: Option<String>,
    /// The granted scopes.
    pub scopes: Vec<String>,
}

/// What a refresh did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Tokens were issued, and the refresh token rotated if the provider does that.
    Issued,
    /// The refresh token was refused.
    Refused,
    /// Nothing: a fault came first.
    Nothing,
}

/// A decided token request.
#[derive(Debug)]
pub struct Decided {
    /// What it did.
    pub effect: Effect,
    /// The refresh token that replaces the one that was sent.
    pub next: Option<String>,
    /// What arrives.
    pub response: ProviderResponse,
}

impl Provider {
    /// A provider without users.
    pub fn new(letter: char, behaviour: Behaviour) -> Self {
        Self {
            letter,
            behaviour,
            families: Vec::new(),
            refresh_tokens: BTreeMap::new(),
            access_tokens: BTreeMap::new(),
            foreign: Vec::new(),
            issued: 0,
        }
    }

    /// Its issuer identifier, or its address if it is no `OpenID` provider.
    pub fn issuer(&self) -> String {
        format!("https://{}.example", self.letter)
    }

    /// A user consents. Without `refreshable` the provider issues no refresh token, as some do after the first
    /// consent.
    pub fn consent(
        &mut self,
        user: &str,
        scopes: &[String],
        refreshable: bool,
        now: i64,
    ) -> Granted {
        let replaced = self.families.iter_mut().filter(|family| family.user == user);
        for family in replaced.filter(|_| self.behaviour.one_consent && refreshable) {
            family.ended.get_or_insert(End::Replaced);
        }
        self.families.push(Family {
            user: user.to_owned(),
            scopes: scopes.to_vec(),
            ended: None,
            was_refused: false,
            used_at: now,
        });
        let family = self.families.len() - 1;
        let refresh_token = refreshable.then(|| self.issue_refresh_token(family, None));
        let access_token = self.issue_access_token(family, user, scopes, now);
        Granted { access_token, refresh_token, scopes: scopes.to_vec() }
    }

    /// The user withdraws all consents.
    pub fn withdraw(&mut self, user: &str) {
        for family in self.families.iter_mut().filter(|family| family.user == user) {
            family.ended.get_or_insert(End::Withdrawn);
        }
    }

    /// Ends the grants that nobody used for too long.
    pub fn end_idle(&mut self, now: i64) {
        let Some(days) = self.behaviour.idle_days else {
            return;
        };
        let idle = self.families.iter_mut().filter(|one| now - one.used_at > days * 86_400_000);
        for family in idle {
            family.ended.get_or_insert(End::Idle);
        }
    }

    /// Whether a refresh token would be accepted at this time.
    pub fn accepts(&self, token: &str, now: i64) -> bool {
        let Some(known) = self.refresh_tokens.get(token) else {
            return false;
        };
        self.family(known.family).is_some_and(|family| family.ended.is_none())
            && self.is_current(known, now)
    }

    /// The family with this number.
    pub fn family(&self, number: usize) -> Option<&Family> {
        self.families.get(number)
    }

    fn is_current(&self, token: &RefreshToken, now: i64) -> bool {
        match (token.rotated_at, self.behaviour.rotation) {
            (None, _) | (_, Rotation::None) => true,
            (Some(_), Rotation::Strict) => false,
            (Some(at), Rotation::LeewayByTime(leeway)) => now < at + leeway * 1000,
            (Some(_), Rotation::LeewayByUse) => !token.successor_used,
        }
    }

    /// Answers a token request, with a fault.
    pub fn token(&mut self, request: &ProviderRequest, fault: Fault, now: i64) -> Decided {
        let form = form(request);
        let member = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let token = member("refresh_token").to_owned();
        if !token.starts_with(self.letter) {
            self.foreign.push(token);
            return Decided { effect: Effect::Refused, next: None, response: refused() };
        }
        if let Some(response) = fault_before(fault) {
            return Decided { effect: Effect::Nothing, next: None, response };
        }
        let refuses = fault == Fault::RefusesLiveToken;
        let Some((family, user)) = self.take(&token, refuses, now) else {
            return Decided {
                effect: Effect::Refused,
                next: None,
                response: broken(fault, refused()),
            };
        };
        let asked: Vec<String> = member("scope").split_whitespace().map(str::to_owned).collect();
        let granted = self.family(family).map(|family| family.scopes.clone()).unwrap_or_default();
        let scopes = if asked.is_empty() { granted } else { asked };
        let access_token = self.issue_access_token(family, &user, &scopes, now);
        let next = match self.behaviour.rotation {
            Rotation::None => None,
            _ => Some(self.issue_refresh_token(family, Some(&token))),
        };
        let response = self.issued_response(fault, &access_token, next.as_deref(), &user, &scopes);
        Decided { effect: Effect::Issued, next, response: broken(fault, response) }
    }

    /// Accepts a refresh token and rotates it; returns its family and user. A token that was rotated before ends
    /// its family.
    fn take(&mut self, token: &str, refuses: bool, now: i64) -> Option<(usize, String)> {
        self.end_idle(now);
        let known = self.refresh_tokens.get(token)?.clone();
        let is_current = self.is_current(&known, now);
        let family = self.families.get_mut(known.family)?;
        if family.ended.is_some() {
            return None;
        }
        if !is_current {
            family.ended = Some(End::Reuse);
            return None;
        }
        if refuses {
            family.was_refused = true;
            return None;
        }
        family.used_at = now;
        let user = family.user.clone();
        if let Some(parent) =
            known.parent.as_ref().and_then(|parent| self.refresh_tokens.get_mut(parent))
        {
            parent.successor_used = true;
        }
        let rotates = self.behaviour.rotation != Rotation::None;
        if let Some(stored) = self.refresh_tokens.get_mut(token).filter(|_| rotates) {
            stored.rotated_at.get_or_insert(now);
        }
        Some((known.family, user))
    }

    fn issued_response(
        &mut self,
        fault: Fault,
        access_token: &str,
        next: Option<&str>,
        user: &str,
        scopes: &[String],
    ) -> ProviderResponse {
        let mut body = Map::new();
        body.insert("access_token".into(), json!(access_token));
        body.insert("token_type".into(), json!("Bearer"));
        body.insert("scope".into(), json!(scopes.join(" ")));
        if self.behaviour.tells_lifetime {
            body.insert("expires_in".into(), json!(self.behaviour.lifetime));
        }
        if let Some(next) = next {
            body.insert("refresh_token".into(), json!(next));
        }
        if self.behaviour.open_id {
            body.insert("id_token".into(), json!(self.id_token(user)));
        }
        match fault {
            Fault::OddTokenType => {
                body.insert("token_type".into(), json!("mac"));
            }
            Fault::UnusableAccessToken => {
                body.insert("access_token".into(), json!(format!("{access_token} {access_token}")));
            }
            Fault::OtherUser if self.behaviour.open_id => {
                let other = self.consent("mallory", scopes, true, 0);
                body.insert("access_token".into(), json!(other.access_token));
                body.insert("refresh_token".into(), json!(other.refresh_token));
                body.insert("id_token".into(), json!(self.id_token("mallory")));
            }
            _ => {}
        }
        answer(200, &Value::Object(body).to_string())
    }

    fn id_token(&self, user: &str) -> String {
        let claims = json!({"iss": self.issuer(), "sub": user, "aud": "c"}).to_string();
        format!(
            "{}.{}.{}",
            base64url(r#"{"alg":"RS256"}"#),
            base64url(claims),
            base64url("signature")
        )
    }

    /// Answers a revocation request (RFC 7009). Revoking a refresh token ends its family.
    pub fn revoke(&mut self, request: &ProviderRequest, fault: Fault) -> ProviderResponse {
        let form = form(request);
        let token = form.get("token").cloned().unwrap_or_default();
        if !token.starts_with(self.letter) {
            self.foreign.push(token);
            return answer(200, "");
        }
        if let Some(response) = fault_before(fault) {
            return response;
        }
        let family = self.refresh_tokens.get(&token).map(|known| known.family);
        if let Some(family) = family.and_then(|family| self.families.get_mut(family)) {
            family.ended.get_or_insert(End::Revoked);
        }
        if let Some(access) = self.access_tokens.get_mut(&token) {
            access.ended = true;
        }
        broken(fault, answer(200, ""))
    }

    fn issue_refresh_token(&mut self, family: usize, parent: Option<&str>) -> String {
        self.issued += 1;
        let token = format!("{}-r{}", self.letter, self.issued);
        let parent = parent.map(str::to_owned);
        let record = RefreshToken { family, rotated_at: None, successor_used: false, parent };
        self.refresh_tokens.insert(token.clone(), record);
        token
    }

    fn issue_access_token(
        &mut self,
        family: usize,
        user: &str,
        scopes: &[String],
        now: i64,
    ) -> String {
        if self.behaviour.ends_access_token {
            for old in self.access_tokens.values_mut().filter(|old| old.family == family) {
                old.ended = true;
            }
        }
        self.issued += 1;
        let token = format!("{}-a{}", self.letter, self.issued);
        let expires_at = now + self.behaviour.lifetime * 1000;
        let (user, scopes) = (user.to_owned(), scopes.to_vec());
        let record = AccessToken { family, user, scopes, issued_at: now, expires_at, ended: false };
        self.access_tokens.insert(token.clone(), record);
        token
    }
}

/// The parameters of a form body.
fn form(request: &ProviderRequest) -> BTreeMap<String, String> {
    let body = request.body.as_ref().map(|body| body.text.expose()).unwrap_or_default();
    form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

fn refused() -> ProviderResponse {
    answer(400, r#"{"error":"invalid_grant"}"#)
}

fn answer(status: u16, body: &str) -> ProviderResponse {
    ProviderResponse::Answer { status, retry_after: None, body: Secret::new(body) }
}

/// The response to a request that the provider never decides about.
fn fault_before(fault: Fault) -> Option<ProviderResponse> {
    Some(match fault {
        Fault::DroppedBefore => ProviderResponse::Lost,
        Fault::Unavailable => answer(503, r#"{"error":"temporarily_unavailable"}"#),
        Fault::GatewayBefore => answer(503, "<html>Service unavailable</html>"),
        Fault::Limited(wait) => ProviderResponse::Answer {
            status: 429,
            retry_after: wait.map(|seconds| seconds.to_string()),
            body: Secret::new(r#"{"error":"slow_down"}"#),
        },
        Fault::BrokenBefore => answer(500, ""),
        Fault::InvalidClient => answer(401, r#"{"error":"invalid_client"}"#),
        Fault::EmptyRefusal => answer(400, ""),
        _ => return None,
    })
}

/// What arrives of the response to a request that the provider has decided about.
fn broken(fault: Fault, response: ProviderResponse) -> ProviderResponse {
    match (fault, response) {
        (Fault::DroppedAfter | Fault::Hangs, _) => ProviderResponse::Lost,
        (Fault::GatewayAfter, _) => answer(503, "<html>Service unavailable</html>"),
        (Fault::BrokenAfter, _) => answer(500, ""),
        (Fault::Truncated, ProviderResponse::Answer { status, body, .. }) => {
            let text = body.expose();
            let half = text.get(..text.len() / 2).unwrap_or_default();
            answer(status, half)
        }
        (_, response) => response,
    }
}
