// SPDX-License-Identifier: Apache-2.0
//! Tokens that the vault makes itself ([`vault_provider::issuance`]): what is stored, and what goes.

use vault_base::ids::AccountId;
use vault_base::seal::SealError;
use vault_base::secret::Secret;
use vault_base::time::UnixSeconds;
use vault_provider::error_codes::TokenEndpointError;
use vault_provider::issuance::{IssuanceError, IssuedToken};
use vault_provider::registration::Registration;

use super::contents::{Contents, Sealed};
use super::delete::TokenToRevoke;
use super::home::Home;
use super::plan::{Plan, Write};
use super::record::{self, AccessTokenRecord, Account, Selector};
use super::release;
use crate::event::{Event, EventName};

/// The user's own token, while it lives.
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

/// Stores a token that was made, or revokes it if its account was deleted meanwhile. `registration`: that of
/// the account when it was made.
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

/// Revokes and forgets what was made for an account at the provider that is not the user's any more: the
/// tokens of this kind for this resource, however narrowed.
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
        let lives = release::remaining(record, now).is_some();
        if let Some(envelope) = envelope.clone().filter(|_| is_meant && lives) {
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

/// What the operator is told where no token was made. That there is nothing to make one for is for the user
/// to settle.
pub fn failed(home: &Home, id: &AccountId, failure: &IssuanceError) -> Option<Event> {
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
