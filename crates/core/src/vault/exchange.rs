// SPDX-License-Identifier: Apache-2.0
//! Decides an exchange from what the vault stores.

use std::collections::BTreeMap;

use vault_base::ids::AccountId;
use vault_base::seal::SealError;
use vault_base::secret::Secret;
use vault_base::time::UnixSeconds;
use vault_provider::connection::Connection;
use vault_provider::registration::Registration;

use super::contents::{Contents, Sealed};
use super::home::Home;
use super::lease;
use super::record::{Account, Selector};
use super::release::{
    self, Misconfiguration, NegativeCache, ReleaseError, ReleaseStep, RenewalMethod, RequestedToken,
};
use crate::event::{Event, EventName};

/// The next step of an exchange.
#[derive(Debug)]
pub enum ExchangeStep {
    /// Release this token.
    Serve {
        /// The provider's access token.
        access_token: Secret,
        /// The scopes that the token has, whatever was requested.
        scopes: Vec<String>,
        /// Seconds until the token expires.
        expires_in: i64,
        /// For how many seconds it may be lent ([`lease::lendable`]).
        lendable: i64,
        /// Members of the provider's response that applications need beside the token.
        provider_data: BTreeMap<String, String>,
    },
    /// Release nothing.
    Stop {
        /// The reason, for the caller.
        problem: ReleaseError,
        /// Events for the operator's log.
        events: Vec<Event>,
    },
    /// Renew the grant, or issue the token, then decide again.
    Refresh(AccountId, Selector),
}

/// Decides the next step. `held` is the negative cache: tokens that could not be obtained.
///
/// # Errors
/// [`SealError::KeyUnavailable`]: nothing is said about a token whose sealing key is missing.
pub fn look(
    home: &Home,
    contents: &Contents,
    connection: &Connection,
    want: &RequestedToken,
    held: &NegativeCache,
    now: UnixSeconds,
) -> Result<ExchangeStep, SealError> {
    let told = |problem| Ok(ExchangeStep::Stop { problem, events: Vec::new() });
    let fits = |account: &Account| connection.accepts(contents.registration(&account.id));
    let account = match release::pick(&contents.accounts, want.login_hint.as_deref(), fits) {
        Ok(account) => account,
        Err(problem) => {
            let events = registrations(home, contents, connection, &problem);
            return Ok(ExchangeStep::Stop { problem, events });
        }
    };
    let grant_kind = connection.grant_of(&want.kind);
    let Some(Sealed { record: grant, .. }) = contents.grant(&account.id, grant_kind) else {
        return told(ReleaseError::NoSuchKind);
    };
    if !connection.accepts(contents.registration_of(&account.id, grant_kind)) {
        let problem = release::registration_changed();
        let events = registrations(home, contents, connection, &problem);
        return Ok(ExchangeStep::Stop { problem, events });
    }
    let own = account.identity.name.as_deref();
    let selector = match release::select(connection, own, &grant.scopes, want) {
        Ok(selector) => selector,
        Err(problem) => return told(problem),
    };
    let token = home.access_token(contents, &account.id, &selector)?;
    let believed =
        token.as_ref().and_then(|(record, _)| release::as_believed(connection, grant, record));
    let record = believed.as_ref().or(token.as_ref().map(|(record, _)| *record));
    let tokens = contents.access_tokens(&account.id);
    let newest = tokens.map(|(_, token)| token.record.issued_at).max();
    // A token that the provider's API refuses counts as expired.
    let is_refused = token.as_ref().is_some_and(|(_, token)| want.is_refused(token));
    let record = record.filter(|_| !is_refused);
    let own = contents.access_token(&account.id, &Selector::default()).map(|own| &own.record);
    let key = (account.id.clone(), selector);
    let withheld = held.get(&key).and_then(|held| held.problem(want, now));
    let renewal = release::renewal(connection, &want.kind, grant, own, withheld, now);
    let at_least = release::at_least(want.min_ttl, record, newest, now);
    let renewal = RenewalMethod { at_least, ..renewal };
    let state = grant.state_of(grant_kind, account);
    let step = release::decide_for(want, connection, state, grant, record, renewal, now);
    let too_early = release::demand_wait(newest, now).filter(|_| is_refused);
    match (step, token) {
        (ReleaseStep::Refresh, _) if let Some(retry_after) = too_early => {
            told(ReleaseError::TooManyRequests { retry_after })
        }
        (ReleaseStep::Serve { expires_in }, Some((record, access_token))) => {
            Ok(ExchangeStep::Serve {
                access_token,
                scopes: record.scopes.clone(),
                expires_in,
                lendable: lease::lendable(connection, want, expires_in),
                provider_data: account.provider_data.clone(),
            })
        }
        (ReleaseStep::Stop(problem), _) => told(problem),
        _ => {
            let (account, selector) = key;
            Ok(ExchangeStep::Refresh(account, selector))
        }
    }
}

/// The log event that names both registrations, where the stored one is not the configured one.
fn registrations(
    home: &Home,
    contents: &Contents,
    connection: &Connection,
    told: &ReleaseError,
) -> Vec<Event> {
    let reason = Misconfiguration::RegistrationChanged;
    if !matches!(told, ReleaseError::Misconfigured { reason: why, .. } if *why == reason) {
        return Vec::new();
    }
    let Registration { authority, client_id } = &connection.registration;
    let grants = contents.accounts.iter().flat_map(|account| contents.grants(&account.id));
    let stored = grants.filter_map(|(_, grant)| grant.record.registration.as_ref());
    let mut stored: Vec<_> = stored.filter(|of| !connection.accepts(Some(of))).collect();
    stored.dedup();
    let event = |of: &Registration| {
        Event::new(EventName::RegistrationChanged).at(&home.connection).detail(format!(
            "connected at `{}` as `{}`; configured is `{authority}` as `{client_id}`",
            of.authority, of.client_id
        ))
    };
    stored.into_iter().map(event).collect()
}
