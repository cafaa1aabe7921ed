// SPDX-License-Identifier: Apache-2.0
//! Whose tokens are: by ID token from an `OpenID` provider, by userinfo or the token answer from others.

use std::collections::BTreeMap;

use serde_json::Value;
use vault_base::secret::Secret;
use vault_jose::Refusal;
use vault_jose::compact::Compact;
use vault_jose::id_token::{self, Expected};
use vault_jose::identity::Identity;
use vault_provider::answer::{self, Received};
use vault_provider::connection::Connection;
use vault_provider::dialect::IdentitySource;
use vault_provider::endpoints::Provider;
use vault_provider::identity::{self, Told};
use vault_provider::path;
use vault_provider::request::ProviderRequest;

use super::session::Unidentified;

/// Why it is not known whose tokens are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoIdentity {
    /// Whoever could tell cannot be asked now.
    Later,
    /// What was told does not hold.
    Never(Refusal),
}

impl From<Refusal> for NoIdentity {
    fn from(refusal: Refusal) -> Self {
        if refusal.may_pass() { Self::Later } else { Self::Never(refusal) }
    }
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Check the signature of this ID token with the provider's keys.
    CheckSignature(Secret),
    /// Ask the userinfo endpoint. `completes`: what the ID token told stands without it.
    AskUserinfo {
        /// The request.
        request: Box<ProviderRequest>,
        /// What is known already.
        completes: Option<Box<Told>>,
    },
    /// It is known, or nothing tells it.
    Known(Told),
}

/// What it takes to tell.
#[derive(Clone, Copy)]
pub struct Identifying<'a> {
    /// The connection.
    pub connection: &'a Connection,
    /// Its provider.
    pub provider: &'a Provider,
    /// The tokens.
    pub tokens: &'a Unidentified,
}

impl Identifying<'_> {
    /// What to do first.
    ///
    /// # Errors
    /// [`NoIdentity`].
    pub fn begin(&self) -> Result<Step, NoIdentity> {
        let from = self.connection.identity.from;
        let by_id_token = self.provider.open_id.is_some()
            && Provider::discovery(self.connection).is_some()
            && matches!(from, None | Some(IdentitySource::IdToken));
        if by_id_token {
            let token = self.tokens.id_token.clone();
            return Ok(Step::CheckSignature(token.ok_or(Refusal::IdToken)?));
        }
        match (from, self.tokens.store.identity()) {
            (Some(IdentitySource::Answer), identity @ Identity { id: Some(_), .. }) => {
                Ok(Step::Known(Told { identity, extra: BTreeMap::new() }))
            }
            (Some(IdentitySource::Answer), _) => Err(Refusal::Subject.into()),
            _ if self.provider.userinfo_endpoint.is_some() => self.ask(None),
            _ => Ok(Step::Known(Told::default())),
        }
    }

    /// Reads an ID token whose signature is good (OpenID Connect Core §3.1.3.7). It is judged as of its
    /// receipt: since then it may have had to wait. What it lacks is asked of userinfo.
    ///
    /// # Errors
    /// [`NoIdentity`].
    pub fn signed(&self, token: &Compact<'_>) -> Result<Step, NoIdentity> {
        let rules = &self.connection.identity;
        let expected = Expected {
            issuer: self.provider.open_id.as_deref().ok_or(Refusal::Issuer)?,
            client_id: &self.connection.client_id,
            nonce: self.tokens.secrets.nonce.expose(),
            access_token: self.tokens.store.access_token.expose(),
            required_claims: &self.connection.required_claims,
        };
        let identity = id_token::read(token, &expected, self.tokens.store.issued_at)?;
        let is_whole = identity.email.is_some() && identity.name.is_some();
        let claims = Value::Object(token.all_claims()?);
        let told = Told { identity, extra: path::named(&claims, &rules.extra) };
        if is_whole && told.extra.len() == rules.extra.len() {
            return Ok(Step::Known(told));
        }
        match self.ask(Some(Box::new(told.clone()))) {
            Ok(step) => Ok(step),
            Err(_) => Ok(Step::Known(told)),
        }
    }

    /// Reads the answer of the userinfo endpoint.
    ///
    /// # Errors
    /// [`NoIdentity`], where nothing was known before.
    pub fn asked(
        &self,
        received: &Received,
        completes: Option<Box<Told>>,
    ) -> Result<Told, NoIdentity> {
        let info = identity::read(received, &self.connection.identity);
        match (completes, info) {
            (Some(told), info) => Ok(identity::complete(*told, info)),
            (None, Some(told)) => Ok(told),
            (None, None) if answer::may_pass(received) => Err(NoIdentity::Later),
            (None, None) => Err(Refusal::Subject.into()),
        }
    }

    fn ask(&self, completes: Option<Box<Told>>) -> Result<Step, NoIdentity> {
        let token = &self.tokens.store.access_token;
        let request = ProviderRequest::userinfo(self.connection, self.provider, token);
        let request = Box::new(request.ok_or(Refusal::Subject)?);
        Ok(Step::AskUserinfo { request, completes })
    }
}
