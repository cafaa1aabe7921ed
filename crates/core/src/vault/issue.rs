// SPDX-License-Identifier: Apache-2.0
//! Tokens that the vault requests with its private key ([`vault_provider::issuance`]): what is
//! stored, and what a failure changes.

use vault_base::ids::AccountId;
use vault_base::seal::SealError;
use vault_base::secret::Secret;
use vault_base::time::UnixSeconds;
use vault_provider::error_codes::TokenEndpointError;
use vault_provider::issuance::{IssuanceError, IssuedToken, NoAccount};
use vault_provider::registration::Registration;

use super::contents::{Contents, Sealed};
use super::delete::TokenToRevoke;
use super::home::Home;
use super::issuance_failure::{self, AfterIssuance};
use super::plan::{Plan, Write};
use super::record::{self, AccessTokenRecord, Account, Grant, Selector};
use super::release::{self, TokenUnavailable, Unobtainable};
use super::renew;
use crate::event::{Event, EventName};

/// The user's own access token, if it has not expired.
///
/// # Errors
/// [`SealError::KeyUnavailable`].
pub fn own_token<'a>(
    home: &Home,
    contents: &'a Contents,
    id: &AccountId,
    now: UnixSeconds,
) -> Result<Option<(&'a AccessTokenRecord, Secret)>, SealError> {
    let own = Selector::default();
    let stored = contents.access_token(id, &own);
    if stored.is_none_or(|token| release::remaining(&token.record, now).is_none()) {
        return Ok(None);
    }
    home.access_token(contents, id, &own)
}

/// Stores an issued token, or revokes it if its account was deleted meanwhile. `registration` is
/// the account's when the token was issued.
///
/// # Errors
/// [`SealError`]; nothing changes.
pub fn keep(
    home: &Home,
    contents: &Contents,
    account: &Account,
    registration: Option<&Registration>,
    selector: &Selector,
    issued: IssuedToken,
    now: UnixSeconds,
) -> Result<Plan, SealError> {
    let (id, kind) = (&account.id, selector.kind());
    let field = record::field("access_token", kind);
    let grant = contents.grant(id, "");
    let generation = grant.map_or(0, |grant| grant.record.generation);
    let envelope = home.seal(id, &field, generation, &issued.access_token)?;
    let mut plan = Plan::default();
    if grant.is_none() {
        let revoked = TokenToRevoke { field, generation, envelope };
        plan.add_job(revoked.job(account, registration, false), now);
        return Ok(plan);
    }
    plan.write(Write::DropOver { account: id.clone(), kind: kind.to_owned(), now });
    plan.write(Write::PutAccessToken {
        account: id.clone(),
        selector: selector.clone(),
        record: AccessTokenRecord {
            generation,
            scopes: issued.scopes,
            issued_at: now,
            expires_at: Some(issued.expires_at),
        },
        envelope,
    });
    Ok(plan)
}

/// Revokes and forgets tokens of an account at the provider that is no longer the user's: those of
/// this kind and resource, however narrowed.
pub fn forget(
    contents: &Contents,
    account: &Account,
    selector: &Selector,
    now: UnixSeconds,
) -> Plan {
    let (kind, resource) = (selector.kind(), selector.resource());
    let mut plan = Plan::default();
    for (of, Sealed { record, envelope }) in contents.access_tokens(&account.id) {
        let is_meant = of.kind() == kind && of.resource() == resource;
        let is_meant = is_meant && record.may_be_accepted(now);
        if let Some(envelope) = envelope.clone().filter(|_| is_meant) {
            let field = record::field("access_token", kind);
            let revoked = TokenToRevoke { field, generation: record.generation, envelope };
            let registration = contents.registration(&account.id);
            plan.add_job(revoked.job(account, registration, false), now);
        }
    }
    plan.write(Write::DropMade {
        account: account.id.clone(),
        kind: kind.to_owned(),
        resource: resource.to_owned(),
    });
    plan
}

/// What an issuance may do.
#[derive(Debug)]
pub enum Begin {
    /// The account or its grant is gone: nothing.
    Gone,
    /// The user's own token cannot be used. What is to be remembered, unless the grant already tells why.
    Withhold(Option<Unobtainable>),
    /// Ask the provider.
    Ask(Box<Issuing>),
}

/// An issuance in progress.
#[derive(Debug)]
pub struct Issuing {
    /// The account that the token is for.
    pub account: Account,
    /// The user's own access token, which proves to the provider that the user owns the account.
    pub own: Secret,
    grant: Grant,
    record: AccessTokenRecord,
}

/// What a failed issuance changes.
#[derive(Debug, Default)]
pub struct Failed {
    /// The operator log event, unless the failure is for the user to settle.
    pub event: Option<Event>,
    /// The entry of the negative cache.
    pub remember: Option<Unobtainable>,
    /// The writes.
    pub plan: Plan,
    /// Whether to renew the user's own token now.
    pub renews: bool,
}

/// Decides whether a token of this account can be asked for, after its own token was renewed where that
/// was needed.
///
/// # Errors
/// [`SealError::KeyUnavailable`].
pub fn begin(
    home: &Home,
    contents: &Contents,
    id: &AccountId,
    now: UnixSeconds,
) -> Result<Begin, SealError> {
    let (Some(account), Some(grant)) = (contents.account(id), contents.grant(id, "")) else {
        return Ok(Begin::Gone);
    };
    let grant = &grant.record;
    let Some((record, own)) = own_token(home, contents, id, now)? else {
        // A failed renewal is stored with the grant. Without a refresh token, the access token does not open.
        let remember =
            (!grant.has_refresh_token).then(|| Unobtainable::new(TokenUnavailable::Corrupt, now));
        return Ok(Begin::Withhold(remember));
    };
    let (account, grant, record) = (account.clone(), grant.clone(), record.clone());
    Ok(Begin::Ask(Box::new(Issuing { account, own, grant, record })))
}

impl Issuing {
    /// Decides what a failure changes. `contents` is what the vault holds when the provider has answered,
    /// `before` the entry of the negative cache for the token.
    pub fn failed(
        self,
        home: &Home,
        contents: &Contents,
        selector: &Selector,
        failure: &IssuanceError,
        before: Option<Unobtainable>,
        now: UnixSeconds,
    ) -> Failed {
        let id = &self.account.id;
        let failed = Failed { event: event(home, id, failure), ..Failed::default() };
        let stored = contents.grant(id, "").map(|sealed| sealed.record.generation);
        let is_same = stored == Some(self.grant.generation);
        match issuance_failure::after(failure, &self.grant, &self.record, before, now) {
            AfterIssuance::Withhold(entry) => {
                let not_owner = TokenUnavailable::NoAccount(NoAccount::NotOwner);
                let plan = if entry.why == not_owner {
                    forget(contents, &self.account, selector, now)
                } else {
                    Plan::default()
                };
                Failed { remember: Some(entry), plan, ..failed }
            }
            AfterIssuance::Renew(entry) if is_same => {
                Failed { remember: Some(entry), renews: true, ..failed }
            }
            AfterIssuance::End { state, grant } if is_same => {
                let mut plan = Plan::default();
                renew::end(&mut plan, home, id, "", state, *grant);
                Failed { plan, ..failed }
            }
            // The account was connected again meanwhile, or deleted: that grant was not asked about.
            AfterIssuance::Renew(_) | AfterIssuance::End { .. } => failed,
        }
    }
}

/// The operator log event of a failed issuance. A missing installation or ownership is for the user to
/// settle, so it makes none.
fn event(home: &Home, id: &AccountId, failure: &IssuanceError) -> Option<Event> {
    let word = match failure {
        IssuanceError::Failure(failure) => failure.word().to_owned(),
        IssuanceError::UserToken => {
            TokenEndpointError::Refused("http_401".into()).word().to_owned()
        }
        IssuanceError::NoAccount(_) | IssuanceError::Scopes => return None,
    };
    let event = Event::new(EventName::RefreshRefused).at(&home.connection).of(id);
    Some(event.because(word))
}
