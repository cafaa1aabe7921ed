// SPDX-License-Identifier: Apache-2.0
//! Access tokens that the vault requests with its private key ([`vault_provider::issuance`]): which of them
//! are stored, deleted and revoked.

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

/// The user's own access token, on which the issuance of further tokens rests. `None` if there is none, it
/// has expired, or it cannot be decrypted.
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

/// Plans to store an issued token, or to revoke it if its account was deleted meanwhile. `registration` is
/// that of the account when the token was issued.
///
/// # Errors
/// [`SealError`] if the token cannot be sealed; the caller must then write nothing.
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

/// Plans to revoke and delete the tokens that were issued for a resource which is no longer the user's: all
/// tokens of the selector's kind and resource, whatever their scopes are. Expired tokens are only deleted.
pub fn forget(
    contents: &Contents,
    account: &Account,
    selector: &Selector,
    now: UnixSeconds,
) -> Plan {
    let (kind, resource) = (selector.kind(), selector.resource());
    let mut plan = Plan::default();
    for (stored, Sealed { record, envelope }) in contents.access_tokens(&account.id) {
        let is_meant = stored.kind() == kind && stored.resource() == resource;
        let is_valid = release::remaining(record, now).is_some();
        if let Some(envelope) = envelope.clone().filter(|_| is_meant && is_valid) {
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

/// The log event for a failed issuance. `None` for failures that only the user can resolve: there is no such
/// account at the provider, or the token would lack scopes.
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
