// SPDX-License-Identifier: Apache-2.0
//! Issues a token with the vault's private key, as for a GitHub App's installations. The user's own access
//! token shows to which account the user is entitled.

use std::pin::Pin;
use std::rc::Rc;

use crate::ids::AccountId;
use crate::objects::vault::renew::Waited;
use crate::objects::vault::{Inner, Open};
use crate::provider::connection::Connection;
use crate::provider::endpoints::Provider;
use crate::provider::error_codes::TokenEndpointError;
use crate::provider::issuance::{self, Issuance, IssuanceError, IssuanceRequest, IssuedToken};
use crate::provider::profile::IssuanceRules;
use crate::runtime::http_client::{self, OTHER_TIME};
use crate::runtime::object_call::ObjectError;
use crate::runtime::{clock, providers, webcrypto};
use crate::vault::contents::Contents;
use crate::vault::issue::{self, Begin};
use crate::vault::record::Selector;

impl Inner {
    /// Requests a token and stores it, or records why it could not be obtained. The caller then looks at the
    /// vault again.
    pub(super) async fn issue(
        self: &Rc<Self>,
        open: &Open,
        id: &AccountId,
        selector: &Selector,
        issuance: &IssuanceRules,
    ) -> Result<(), ObjectError> {
        let connection = open.connection()?;
        let has_valid_own_token = |contents: &Contents| {
            issue::own_token(&open.home, contents, id, clock::now()).map(|own| own.is_some())
        };
        if !has_valid_own_token(&*open.store.contents()?)? {
            self.renew_own(open, id).await?;
        }
        let found = providers::of(self.context(open), connection).await;
        let key = (id.clone(), selector.clone());
        let remember = |entry| self.held.borrow_mut().insert(key.clone(), entry, clock::now());
        let contents = open.store.contents()?;
        let issuing = match issue::begin(&open.home, &contents, id, clock::now())? {
            Begin::Gone => return Ok(()),
            Begin::Withhold(entry) => {
                entry.map(remember);
                return Ok(());
            }
            Begin::Ask(issuing) => issuing,
        };
        let wanted = IssuanceRequest {
            user_token: &issuing.own,
            user: issuing.account.identity.id.as_deref(),
            name: selector.resource(),
            scopes: selector.narrowed(),
        };
        let issued = match &found {
            Ok(provider) => request_token(connection, provider, issuance, wanted).await,
            Err(reason) => Err(IssuanceError::Failure((*reason).into())),
        };
        let (now, stored) = (clock::now(), open.store.contents()?);
        let failure = match issued {
            Ok(issued) => {
                self.held.borrow_mut().remove(&key);
                let (account, of) = (&issuing.account, contents.registration(id));
                let plan = issue::keep(&open.home, &stored, account, of, selector, issued, now)?;
                open.carry_out(plan)?;
                return self.schedule().await;
            }
            Err(failure) => failure,
        };
        let before = self.held.borrow().get(&key).copied();
        let failed = issuing.failed(&open.home, &stored, selector, &failure, before, now);
        open.tell(&failed.event);
        failed.remember.map(remember);
        open.carry_out(failed.plan)?;
        self.schedule().await?;
        if failed.renews {
            self.renew_own(open, id).await?;
        }
        Ok(())
    }
}

impl Inner {
    /// Renews the user's own token, or waits for the renewal in flight. The future is boxed because
    /// `refresh` can in turn call `issue`.
    async fn renew_own(self: &Rc<Self>, open: &Open, id: &AccountId) -> Result<(), ObjectError> {
        let renewal = self.refresh(open, id, Selector::default());
        let renewal: Pin<Box<dyn Future<Output = Result<Waited, ObjectError>> + '_>> =
            Box::pin(renewal);
        renewal.await.map(drop)
    }
}

/// Sends the requests to the provider, step by step, until a token is issued.
async fn request_token(
    connection: &Connection,
    provider: &Provider,
    issuance: &IssuanceRules,
    wanted: IssuanceRequest<'_>,
) -> Result<IssuedToken, IssuanceError> {
    let misconfigured =
        |word: &str| IssuanceError::Failure(TokenEndpointError::Misconfigured(word.into()));
    let token = issuance::client_token(&connection.client_id, clock::now());
    let signature = match &connection.private_key {
        Some(key) => webcrypto::sign(&token.request(key)).await,
        None => None,
    };
    let signature = signature.ok_or_else(|| misconfigured("private_key_unusable"))?;
    let signature = token.with_signature(&signature);
    let mut issuing = Issuance::new(connection, provider, issuance, wanted, signature);
    loop {
        let request = issuing.request().ok_or_else(|| misconfigured("address"))?;
        let received = http_client::send(&request, OTHER_TIME).await;
        if let Some(issued) = issuing.answered(&received, clock::now())? {
            return Ok(issued);
        }
    }
}
