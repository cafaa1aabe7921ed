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
use crate::provider::issuance::{
    self, Issuance, IssuanceError, IssuanceRequest, IssuedToken, NoAccount,
};
use crate::provider::profile::IssuanceRules;
use crate::runtime::http_client::{self, OTHER_TIME};
use crate::runtime::object_call::ObjectError;
use crate::runtime::{clock, log, providers, webcrypto};
use crate::secret::Secret;
use crate::vault::contents::Contents;
use crate::vault::issuance_failure::{self, AfterIssuance};
use crate::vault::plan::Plan;
use crate::vault::record::Selector;
use crate::vault::release::{TokenUnavailable, Unobtainable};
use crate::vault::{issue, renew};

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
        let contents = open.store.contents()?;
        let account = contents.account(id);
        let grant = contents.grant(id, "").map(|grant| grant.record.clone());
        let (Some(account), Some(grant)) = (account, grant) else {
            return Ok(());
        };
        let key = (id.clone(), selector.clone());
        let remember = |held| self.held.borrow_mut().insert(key.clone(), held, clock::now());
        let own = issue::own_token(&open.home, &contents, id, clock::now())?;
        let Some((record, own)) = own else {
            // If a renewal was tried, its outcome is stored with the grant. If there is no refresh token,
            // the stored access token cannot be opened.
            if !grant.has_refresh_token {
                remember(Unobtainable::new(TokenUnavailable::Corrupt, clock::now()));
            }
            return Ok(());
        };
        let wanted = IssuanceRequest {
            user_token: &own,
            user: account.identity.id.as_deref(),
            name: selector.resource(),
            scopes: selector.narrowed(),
        };
        let issued = match &found {
            Ok(provider) => request_token(connection, provider, issuance, wanted).await,
            Err(reason) => Err(IssuanceError::Failure((*reason).into())),
        };
        let failure = match issued {
            Ok(issued) => {
                self.held.borrow_mut().remove(&key);
                let (now, registration) = (clock::now(), contents.registration(id));
                let stored = open.store.contents()?;
                let plan =
                    issue::keep(&open.home, &stored, account, registration, selector, issued, now)?;
                open.carry_out(plan)?;
                return self.schedule(open).await;
            }
            Err(failure) => failure,
        };
        if let Some(event) = issue::failed(&open.home, id, &failure) {
            log::event(&event);
        }
        let before = self.held.borrow().get(&key).copied();
        let after = issuance_failure::after(&failure, &grant, record, before, clock::now());
        let stored = open.store.contents()?;
        let stored = stored.grant(id, "").map(|sealed| sealed.record.generation);
        match after {
            AfterIssuance::Withhold(held) => {
                remember(held);
                if held.why == TokenUnavailable::NoAccount(NoAccount::NotOwner) {
                    let contents = open.store.contents()?;
                    let plan = issue::forget(&contents, account, selector, clock::now());
                    open.carry_out(plan)?;
                    self.schedule(open).await?;
                }
            }
            // The account was connected again or deleted meanwhile; the failure concerns the former grant.
            _ if stored != Some(grant.generation) => {}
            AfterIssuance::Renew(held) => {
                remember(held);
                self.renew_own(open, id).await?;
            }
            AfterIssuance::End { state, grant } => {
                let mut plan = Plan::default();
                renew::end(&mut plan, &open.home, id, "", state, *grant);
                open.carry_out(plan)?;
            }
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
    let signed = issuance::signed(&connection.client_id, clock::now());
    let signature = match &connection.private_key {
        Some(key) => webcrypto::sign(key, &signed).await,
        None => None,
    };
    let signature = signature.ok_or_else(|| misconfigured("private_key_unusable"))?;
    let signature = Secret::new(format!("{signed}.{signature}"));
    let mut issuing = Issuance::new(connection, provider, issuance, wanted, signature);
    loop {
        let request = issuing.request().ok_or_else(|| misconfigured("address"))?;
        let received = http_client::send(&request, OTHER_TIME).await;
        if let Some(issued) = issuing.answered(&received, clock::now())? {
            return Ok(issued);
        }
    }
}
