// SPDX-License-Identifier: Apache-2.0
//! Redeems an authorization code, and finds the user of its tokens.

use std::collections::BTreeMap;

use worker::Env;

use crate::config::Config;
use crate::connect::identify::{Identification, IdentifyStep, IdentityError};
use crate::connect::record::{Denied, FlowSecrets, REDEEM_TIME};
use crate::connect::session::{self, Unidentified};
use crate::event::{Event, EventName};
use crate::ids::{AccountId, UserId};
use crate::jwt::TokenError;
use crate::jwt::algorithm::Algorithm;
use crate::jwt::jws::Jws;
use crate::provider::connection::Connection;
use crate::provider::endpoints::Provider;
use crate::provider::request::{self, ProviderRequest};
use crate::provider::token_response::{self, ProviderResponse};
use crate::provider::userinfo::UserInfo;
use crate::runtime::context::Context;
use crate::runtime::http_client::{self, OTHER_TIME};
use crate::runtime::tokens::{self, TrustedKeys};
use crate::runtime::{clock, issuers, log, providers};
use crate::secret::Secret;
use crate::vault::consent;

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "two minutes")]
const REDEEM_MILLISECONDS: u32 = REDEEM_TIME as u32 * 1000;

/// What a redemption depends on.
pub struct Redeem<'a> {
    pub env: &'a Env,
    pub config: &'a Config,
    /// The connection's name.
    pub name: &'a str,
    pub connection: &'a Connection,
    pub provider: &'a Provider,
    /// The user who connects; `None` for a sign-in, which is to find out who the user is.
    pub user: Option<&'a UserId>,
    /// The requested scopes. They count as granted where the response names none; some providers
    /// require them again.
    pub scopes: &'a [String],
    /// The parameters that were kept of the authorization response.
    pub callback: &'a BTreeMap<String, String>,
}

impl Redeem<'_> {
    /// Redeems the code, once.
    pub async fn code(
        &self,
        callback: &str,
        code: &Secret,
        secrets: FlowSecrets,
    ) -> Result<Unidentified, Denied> {
        let (connection, verifier) = (self.connection, &secrets.verifier);
        let request =
            request::redeem(connection, self.provider, callback, code, verifier, self.scopes)
                .ok_or(Denied::ProviderMisconfigured)?;
        // A code works once: giving up the response would give up the grant.
        let received = http_client::send(&request, REDEEM_MILLISECONDS).await;
        let now = clock::now();
        let granted =
            token_response::granted(&received, self.connection, now).map_err(|failure| {
                let failure =
                    failure.without([code, verifier].into_iter().chain(&connection.client_secret));
                self.tell(Event::new(EventName::CodeNotRedeemed).because(failure.word()));
                session::not_redeemed(&failure)
            })?;
        if consent::assumes_lifetime(self.connection, &granted) {
            self.tell(Event::new(EventName::ExpiresInAssumed));
        }
        let id_token = granted.tokens.id_token.clone();
        let account = AccountId::random().map_err(|_| Denied::NotStored)?;
        let mut store = consent::store(self.connection, account, granted, self.scopes, now);
        if let Some(user) = connection.callback_user(self.callback) {
            store.provider_user = Some(user);
        }
        Ok(Unidentified { store: Box::new(store), id_token, secrets })
    }

    /// Logs an event of this connection, and of this user if one is known.
    fn tell(&self, event: Event) {
        let event = event.at(self.name);
        match self.user {
            Some(user) => log::event_of(&event, &self.config.names, user),
            None => log::event(&event),
        }
    }

    /// The user of the tokens.
    pub async fn identity(&self, tokens: &Unidentified) -> Result<UserInfo, IdentityError> {
        let identifying =
            Identification { connection: self.connection, provider: self.provider, tokens };
        let mut step = identifying.begin()?;
        if let IdentifyStep::CheckSignature(text) = &step {
            let token = Jws::parse_id_token(text.expose())?;
            let source = providers::source(self.connection).ok_or(TokenError::Issuer)?;
            let signer = TrustedKeys { source: &source, algorithms: &Algorithm::ALL };
            let now = clock::now();
            let context = Context { env: self.env, config: self.config, now };
            match tokens::check_signature(context, &token, signer).await {
                Err(TokenError::Key) => {
                    let held = issuers::held(&source, now).map(|documents| documents.fetched_at);
                    return Err(identifying.without_key(held));
                }
                checked => checked?,
            };
            step = identifying.signed(&token)?;
        }
        match step {
            IdentifyStep::Known(told) => Ok(told),
            IdentifyStep::AskUserinfo { request, completes } => {
                identifying.asked(&ask_userinfo(&request).await, completes)
            }
            IdentifyStep::CheckSignature(_) => Err(TokenError::Signature.into()),
        }
    }
}

/// Asks a second time after a temporary failure, because few applications complete again.
async fn ask_userinfo(request: &ProviderRequest) -> ProviderResponse {
    let received = http_client::send(request, OTHER_TIME).await;
    if token_response::may_pass(&received) {
        http_client::send(request, OTHER_TIME).await
    } else {
        received
    }
}
