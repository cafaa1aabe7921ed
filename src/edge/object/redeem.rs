//! Redeeming an authorization code: tokens, then who they are of.

use worker::Env;

use crate::config::{Config, Connection};
use crate::connect::record::{Denied, ProviderSecrets};
use crate::edge::outbound::{self, OTHER_TIME, TOKEN_TIME};
use crate::edge::tokens::{self, Signer};
use crate::edge::{clock, log, providers};
use crate::error::Event;
use crate::ids::AccountId;
use crate::jwt::Refusal;
use crate::jwt::algorithm::Algorithm;
use crate::jwt::compact::Compact;
use crate::jwt::id_token::{self, Expected, Identity};
use crate::message::vault::Store;
use crate::provider::answer::{self, Granted, Tokens};
use crate::provider::dialect::IdentitySource;
use crate::provider::endpoints::Provider;
use crate::provider::errors::Failure;
use crate::provider::identity;
use crate::provider::request::{self, ProviderRequest};
use crate::secret::Secret;
use crate::vault::consent;

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
        let granted = answer::granted(&received, self.connection, now)
            .map_err(|failure| refused(&failure))?;
        let identity = self.identity(&granted, &secrets.nonce).await.map_err(|refusal| {
            log::event(&Event::new("id_token_refused", refusal.reason()));
            Denied::Identity
        })?;
        let account = AccountId::random().map_err(|_| Denied::NotStored)?;
        Ok(consent::store(self.connection, account, granted, identity, self.scopes, now))
    }

    /// Who the tokens are of: by ID token from an `OpenID` provider, by userinfo from others.
    async fn identity(&self, granted: &Granted, nonce: &Secret) -> Result<Identity, Refusal> {
        let tokens = &granted.tokens;
        let rules = &self.connection.identity;
        let source = providers::source(self.connection);
        let (Some(issuer), Some(source), None | Some(IdentitySource::IdToken)) =
            (&self.provider.open_id, source, rules.from)
        else {
            return match (rules.from, &self.provider.userinfo_endpoint) {
                (Some(IdentitySource::Answer), _) => {
                    granted.identity.clone().ok_or(Refusal::Subject)
                }
                (_, Some(_)) => self.userinfo(tokens).await.ok_or(Refusal::Subject),
                (_, None) => Ok(Identity::default()),
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
            nonce: nonce.expose(),
            access_token: tokens.access_token.expose(),
            required_claims: &self.connection.required_claims,
        };
        let told = id_token::read(&token, &expected, now)?;
        if told.email.is_some() && told.name.is_some() {
            return Ok(told);
        }
        Ok(identity::complete(told, self.userinfo(tokens).await))
    }

    /// Asked twice if need be: without an answer the tokens, which come but once, are of nobody.
    async fn userinfo(&self, tokens: &Tokens) -> Option<Identity> {
        let request =
            ProviderRequest::userinfo(self.connection, self.provider, &tokens.access_token)?;
        let rules = &self.connection.identity;
        let first = outbound::send(&request, OTHER_TIME).await;
        match identity::read(&first, rules) {
            None if answer::may_pass(&first) => {
                identity::read(&outbound::send(&request, OTHER_TIME).await, rules)
            }
            found => found,
        }
    }
}

fn refused(failure: &Failure) -> Denied {
    log::event(&Event::new("code_not_redeemed", failure.word()));
    match failure {
        Failure::Refused(_) | Failure::Consent(_) => Denied::CodeRefused,
        Failure::Misconfigured(_) => Denied::ProviderMisconfigured,
        Failure::Unavailable { .. } | Failure::Ambiguous => Denied::ProviderUnavailable,
        Failure::OtherUser => Denied::Identity,
    }
}
