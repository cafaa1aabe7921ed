//! Redeeming an authorization code: tokens, then who they are of.

use std::collections::BTreeMap;

use serde_json::Value;
use worker::Env;

use crate::config::Config;
use crate::connect::record::{Denied, ProviderSecrets, REDEEM_TIME};
use crate::connect::session::Unidentified;
use crate::edge::outbound::{self, OTHER_TIME};
use crate::edge::tokens::{self, Signer};
use crate::edge::{clock, log, providers};
use crate::error::Event;
use crate::ids::AccountId;
use crate::jwt::Refusal;
use crate::jwt::algorithm::Algorithm;
use crate::jwt::compact::Compact;
use crate::jwt::id_token::{self, Expected};
use crate::jwt::identity::Identity;
use crate::provider::connection::Connection;
use crate::provider::dialect::IdentitySource;
use crate::provider::endpoints::Provider;
use crate::provider::errors::Failure;
use crate::provider::identity::{self, Told};
use crate::provider::request::{self, ProviderRequest};
use crate::provider::{answer, path};
use crate::secret::Secret;
use crate::vault::consent;

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "two minutes")]
const REDEEM_MILLISECONDS: u32 = REDEEM_TIME as u32 * 1000;

/// What it takes.
pub struct Redeem<'a> {
    pub env: &'a Env,
    pub config: &'a Config,
    pub connection: &'a Connection,
    pub provider: &'a Provider,
    /// Scopes asked for: those granted, where the answer names none. Some providers want them named
    /// again.
    pub scopes: &'a [String],
}

/// Why it is not known whose tokens are.
pub enum NoIdentity {
    /// Whoever could tell cannot be had now.
    Later,
    /// What was told does not hold.
    Never(Refusal),
}

impl From<Refusal> for NoIdentity {
    fn from(refusal: Refusal) -> Self {
        if refusal.may_pass() { Self::Later } else { Self::Never(refusal) }
    }
}

impl Redeem<'_> {
    /// Redeems the code, once.
    pub async fn code(
        &self,
        callback: &str,
        code: &Secret,
        secrets: ProviderSecrets,
    ) -> Result<Unidentified, Denied> {
        let (connection, verifier) = (self.connection, &secrets.verifier);
        let request =
            request::redeem(connection, self.provider, callback, code, verifier, self.scopes)
                .ok_or(Denied::ProviderMisconfigured)?;
        // The code is good once: whoever gives up the answer gives up the grant.
        let received = outbound::send(&request, REDEEM_MILLISECONDS).await;
        let now = clock::now();
        let granted = answer::granted(&received, self.connection, now)
            .map_err(|failure| refused(&failure))?;
        if consent::assumes_lifetime(self.connection, &granted) {
            log::event(&Event::new("expires_in_assumed", self.connection.strategy.clone()));
        }
        let id_token = granted.tokens.id_token.clone();
        let account = AccountId::random().map_err(|_| Denied::NotStored)?;
        let store = consent::store(self.connection, account, granted, self.scopes, now);
        Ok(Unidentified { store: Box::new(store), id_token, secrets })
    }

    /// Who the tokens are of: by ID token from an `OpenID` provider, by userinfo from others.
    pub async fn identity(&self, tokens: &Unidentified) -> Result<Told, NoIdentity> {
        let rules = &self.connection.identity;
        let source = providers::source(self.connection);
        let (Some(issuer), Some(source), None | Some(IdentitySource::IdToken)) =
            (&self.provider.open_id, &source, rules.from)
        else {
            return match (rules.from, &self.provider.userinfo_endpoint) {
                (Some(IdentitySource::Answer), _) => match tokens.store.identity() {
                    identity @ Identity { id: Some(_), .. } => {
                        Ok(Told { identity, extra: BTreeMap::new() })
                    }
                    _ => Err(Refusal::Subject.into()),
                },
                (_, Some(_)) => self.userinfo(&tokens.store.access_token).await,
                (_, None) => Ok(Told::default()),
            };
        };
        let text = tokens.id_token.as_ref().ok_or(Refusal::IdToken)?;
        let token = Compact::parse(text.expose())?;
        let signer = Signer { source, algorithms: &Algorithm::ALL };
        let now = clock::now();
        tokens::check_signature(self.env, self.config, &token, signer, now).await?;
        let expected = Expected {
            issuer,
            client_id: &self.connection.client_id,
            nonce: tokens.secrets.nonce.expose(),
            access_token: tokens.store.access_token.expose(),
            required_claims: &self.connection.required_claims,
        };
        // It was good when it came; since then it may have had to wait.
        let identity = id_token::read(&token, &expected, tokens.store.issued_at)?;
        let is_whole = identity.email.is_some() && identity.name.is_some();
        let claims = Value::Object(token.all_claims()?);
        let told = Told { identity, extra: path::named(&claims, &rules.extra) };
        if is_whole && told.extra.len() == rules.extra.len() {
            return Ok(told);
        }
        let info = self.userinfo(&tokens.store.access_token).await.ok();
        Ok(identity::complete(told, info))
    }

    /// Asked twice if need be: few applications complete again.
    async fn userinfo(&self, access_token: &Secret) -> Result<Told, NoIdentity> {
        let request = ProviderRequest::userinfo(self.connection, self.provider, access_token);
        let Some(request) = request else {
            return Err(Refusal::Subject.into());
        };
        let mut received = outbound::send(&request, OTHER_TIME).await;
        if answer::may_pass(&received) {
            received = outbound::send(&request, OTHER_TIME).await;
        }
        match identity::read(&received, &self.connection.identity) {
            Some(told) => Ok(told),
            None if answer::may_pass(&received) => Err(NoIdentity::Later),
            None => Err(Refusal::Subject.into()),
        }
    }
}

fn refused(failure: &Failure) -> Denied {
    log::event(&Event::new("code_not_redeemed", failure.word()));
    match failure {
        Failure::Refused(_) | Failure::Consent(_) => Denied::CodeRefused,
        Failure::Misconfigured(_) | Failure::UnusableToken => Denied::ProviderMisconfigured,
        Failure::Unavailable { .. } | Failure::Ambiguous { .. } => Denied::ProviderUnavailable,
        Failure::OtherUser => Denied::Identity,
    }
}
