// SPDX-License-Identifier: Apache-2.0
//! Finds the user whose tokens these are: by the ID token of an `OpenID` provider, by userinfo, or
//! by the token response.

use std::collections::BTreeMap;

use vault_base::secret::Secret;
use vault_base::time::UnixSeconds;
use vault_jose::TokenError;
use vault_jose::id_token::{self, ExpectedIdToken};
use vault_jose::identity::Identity;
use vault_jose::jws::Jws;
use vault_provider::connection::Connection;
use vault_provider::endpoints::Provider;
use vault_provider::json_path;
use vault_provider::profile::IdentitySource;
use vault_provider::request::ProviderRequest;
use vault_provider::token_response::ProviderResponse;
use vault_provider::userinfo::{self, NoUserInfo, UserInfo};

use super::record::Denied;
use super::session::Unidentified;
use crate::event::{Event, EventName};

/// Why the user is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityError {
    /// The provider cannot be asked now.
    Later,
    /// The ID token is not valid.
    Never(TokenError),
    /// The userinfo response, or the token response, does not name the user.
    Unnamed(NoUserInfo),
}

impl IdentityError {
    /// What the operator's log says of a connect that fails for it.
    pub fn event(&self) -> Event {
        match self {
            Self::Later => Event::new(EventName::IdentityUnavailable),
            Self::Never(refusal) => Event::new(EventName::IdTokenRefused).because(refusal.reason()),
            Self::Unnamed(cause) => Event::new(EventName::UserinfoRefused).because(cause.word()),
        }
    }
}

impl IdentityError {
    /// What a connect that ends for it is denied with.
    pub fn denial(&self) -> Denied {
        match self {
            Self::Later => Denied::NotStored,
            Self::Never(_) => Denied::Identity,
            Self::Unnamed(cause) => Denied::Unnamed { cause: cause.word() },
        }
    }
}

impl From<NoUserInfo> for IdentityError {
    fn from(cause: NoUserInfo) -> Self {
        if cause == NoUserInfo::Later { Self::Later } else { Self::Unnamed(cause) }
    }
}

impl From<TokenError> for IdentityError {
    fn from(refusal: TokenError) -> Self {
        if refusal.may_pass() { Self::Later } else { Self::Never(refusal) }
    }
}

/// The next step.
#[derive(Debug)]
pub enum IdentifyStep {
    /// Check the signature of this ID token with the provider's keys.
    CheckSignature(Secret),
    /// Ask the userinfo endpoint. With `completes` the user is known already, and a failure changes
    /// nothing.
    AskUserinfo {
        /// The request to send.
        request: Box<ProviderRequest>,
        /// What the ID token says.
        completes: Option<Box<UserInfo>>,
    },
    /// The user is known, or this provider identifies none.
    Known(UserInfo),
}

/// What the identification depends on.
#[derive(Clone, Copy)]
pub struct Identification<'a> {
    /// The connection.
    pub connection: &'a Connection,
    /// The provider's endpoints.
    pub provider: &'a Provider,
    /// The tokens of the user.
    pub tokens: &'a Unidentified,
}

impl Identification<'_> {
    /// The first step.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn begin(&self) -> Result<IdentifyStep, IdentityError> {
        let from = self.connection.identity.from;
        let by_id_token = self.provider.open_id.is_some()
            && Provider::discovery(self.connection).is_some()
            && matches!(from, None | Some(IdentitySource::IdToken));
        if by_id_token {
            let token = self.tokens.id_token.clone();
            return Ok(IdentifyStep::CheckSignature(token.ok_or(TokenError::IdToken)?));
        }
        match (from, self.tokens.store.identity()) {
            (
                Some(IdentitySource::Answer | IdentitySource::Callback),
                identity @ Identity { id: Some(_), .. },
            ) => Ok(IdentifyStep::Known(UserInfo { identity, provider_data: BTreeMap::new() })),
            (Some(IdentitySource::Answer), _) => Err(NoUserInfo::Nowhere.into()),
            (Some(IdentitySource::Callback), _) => Err(NoUserInfo::NotInCallback.into()),
            _ if self.provider.userinfo_endpoint.is_some() => self.ask(None),
            _ => Ok(IdentifyStep::Known(UserInfo::default())),
        }
    }

    /// Reads an ID token whose signature is valid (OpenID Connect Core §3.1.3.7). It is judged at
    /// the time it was received, because it may have waited since. Userinfo completes what it
    /// lacks.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn signed(&self, token: &Jws<'_>) -> Result<IdentifyStep, IdentityError> {
        let rules = &self.connection.identity;
        let expected = ExpectedIdToken {
            issuer: self.provider.open_id.as_deref().ok_or(TokenError::Issuer)?,
            client_id: &self.connection.client_id,
            nonce: self.tokens.secrets.nonce.expose(),
            access_token: self.tokens.store.access_token.expose(),
            required_claims: &self.connection.required_claims,
            several_audiences: rules.several_audiences,
            optional_nonce: rules.optional_nonce,
        };
        let identity = id_token::read(token, &expected, self.tokens.store.issued_at)?;
        let is_whole = identity.email.is_some() && identity.name.is_some();
        let claims = token.payload();
        let told =
            UserInfo { identity, provider_data: json_path::named(claims, &rules.provider_data) };
        if is_whole && told.provider_data.len() == rules.provider_data.len() {
            return Ok(IdentifyStep::Known(told));
        }
        match self.ask(Some(Box::new(told.clone()))) {
            Ok(step) => Ok(step),
            Err(_) => Ok(IdentifyStep::Known(told)),
        }
    }

    /// The error for an ID token for which the provider publishes no key. `fetched_at` is when its keys were
    /// fetched. Where that was after the token was issued, the key will not come, so asking again gains
    /// nothing.
    pub fn without_key(&self, fetched_at: Option<UnixSeconds>) -> IdentityError {
        match fetched_at {
            Some(at) if at > self.tokens.store.issued_at => IdentityError::Never(TokenError::Key),
            _ => IdentityError::Later,
        }
    }

    /// Reads the response of the userinfo endpoint.
    ///
    /// # Errors
    /// [`IdentityError`], unless the user was known before.
    pub fn asked(
        &self,
        received: &ProviderResponse,
        completes: Option<Box<UserInfo>>,
    ) -> Result<UserInfo, IdentityError> {
        let info = userinfo::read(received, &self.connection.identity);
        match (completes, info) {
            (Some(told), info) => Ok(userinfo::complete(*told, info.ok())),
            (None, info) => Ok(info?),
        }
    }

    fn ask(&self, completes: Option<Box<UserInfo>>) -> Result<IdentifyStep, IdentityError> {
        let token = &self.tokens.store.access_token;
        let request = ProviderRequest::userinfo(self.connection, self.provider, token);
        let request = Box::new(request.ok_or(NoUserInfo::Nowhere)?);
        Ok(IdentifyStep::AskUserinfo { request, completes })
    }
}
