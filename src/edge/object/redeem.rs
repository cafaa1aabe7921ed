//! Redeeming an authorization code: tokens, then who they are of.

use worker::Env;

use crate::config::{Config, Connection};
use crate::connect::record::{Denied, ProviderSecrets};
use crate::edge::outbound::{self, OTHER_TIME, TOKEN_TIME};
use crate::edge::tokens::{self, Signer};
use crate::edge::{clock, log};
use crate::error::Event;
use crate::ids::AccountId;
use crate::jwt::Refusal;
use crate::jwt::algorithm::Algorithm;
use crate::jwt::compact::Compact;
use crate::jwt::id_token::{self, Expected, Identity};
use crate::message::vault::Store;
use crate::provider::answer::{self, Failure, Tokens};
use crate::provider::endpoints::Provider;
use crate::provider::identity;
use crate::provider::request::{self, ProviderRequest};
use crate::secret::Secret;

/// What it takes.
pub struct Redeem<'a> {
    pub env: &'a Env,
    pub config: &'a Config,
    pub connection: &'a Connection,
    pub provider: &'a Provider,
    /// Scopes asked for: those granted, where the answer names none.
    pub scopes: &'a [String],
}

impl Redeem<'_> {
    /// Redeems the code, once.
    pub async fn code(
        &self,
        callback: &str,
        code: &Secret,
        secrets: &ProviderSecrets,
    ) -> Result<Store, Denied> {
        let request =
            request::redeem(self.connection, self.provider, callback, code, &secrets.verifier)
                .ok_or(Denied::ProviderMisconfigured)?;
        let received = outbound::send(&request, TOKEN_TIME).await;
        let now = clock::now();
        let tokens = answer::read(&received, &self.connection.scope_separator, now)
            .map_err(|failure| refused(&failure))?;
        let identity = self.identity(&tokens, &secrets.nonce).await.map_err(|refusal| {
            log::event(&Event::new("id_token_refused", refusal.reason()));
            Denied::Identity
        })?;
        let expires_in = tokens.expires_in.or(self.connection.default_expires_in);
        Ok(Store {
            account: AccountId::random().map_err(|_| Denied::NotStored)?,
            provider_user: identity.id,
            email: identity.email,
            name: identity.name,
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            scopes: tokens.scopes.unwrap_or_else(|| self.scopes.to_vec()),
            issued_at: now,
            expires_at: expires_in.map(|seconds| now + seconds),
        })
    }

    /// Who the tokens are of: by ID token from an `OpenID` provider, by userinfo from others.
    async fn identity(&self, tokens: &Tokens, nonce: &Secret) -> Result<Identity, Refusal> {
        let Some(issuer) = &self.provider.open_id else {
            return match &self.provider.userinfo {
                None => Ok(Identity::default()),
                Some(_) => self.userinfo(tokens).await.ok_or(Refusal::Subject),
            };
        };
        let text = tokens.id_token.as_ref().ok_or(Refusal::IdToken)?;
        let token = Compact::parse(text.expose())?;
        let signer = Signer { issuer, jwks_uri: None, algorithms: &Algorithm::ALL };
        let now = clock::now();
        tokens::check_signature(self.env, self.config, &token, signer, now).await?;
        let expected = Expected {
            issuer,
            client_id: &self.connection.client_id,
            nonce: nonce.expose(),
            access_token: tokens.access_token.expose(),
        };
        let told = id_token::read(&token, &expected, now)?;
        if told.email.is_some() && told.name.is_some() {
            return Ok(told);
        }
        Ok(identity::complete(told, self.userinfo(tokens).await))
    }

    async fn userinfo(&self, tokens: &Tokens) -> Option<Identity> {
        let (endpoint, fields) = self.provider.userinfo.as_ref()?;
        let request = ProviderRequest::userinfo(endpoint, &tokens.access_token);
        identity::read(&outbound::send(&request, OTHER_TIME).await, fields)
    }
}

fn refused(failure: &Failure) -> Denied {
    let (denied, reason) = match failure {
        Failure::Refused => (Denied::CodeRefused, "refused"),
        Failure::Misconfigured(code) => (Denied::ProviderMisconfigured, code.as_str()),
        Failure::Unavailable { .. } => (Denied::ProviderUnavailable, "unavailable"),
        Failure::Ambiguous => (Denied::ProviderUnavailable, "ambiguous"),
        Failure::OtherUser => (Denied::Identity, "other_user"),
    };
    log::event(&Event::new("code_not_redeemed", reason));
    denied
}
