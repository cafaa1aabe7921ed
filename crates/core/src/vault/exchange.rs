// SPDX-License-Identifier: Apache-2.0
//! Token exchange (RFC 8693) in the vault: decides what a caller gets, given the vault's contents.

use std::collections::BTreeMap;

use vault_base::ids::AccountId;
use vault_base::seal::SealError;
use vault_base::secret::Secret;
use vault_base::time::UnixSeconds;
use vault_provider::connection::Connection;
use vault_provider::registration::Registration;

use super::contents::{Contents, Sealed};
use super::home::Home;
use super::record::{Account, Selector};
use super::release::{
    self, Misconfiguration, NegativeCache, ReleaseError, ReleaseStep, RequestedToken,
};
use crate::event::{Event, EventName};

/// The next step of an exchange.
#[derive(Debug)]
pub enum ExchangeStep {
    /// Release this token.
    Serve {
        /// The access token.
        access_token: Secret,
        /// The token's scopes ([`super::record::AccessTokenRecord::scopes`]).
        scopes: Vec<String>,
        /// The value of `expires_in` in the response, in seconds.
        expires_in: i64,
        /// The account's [`Account::provider_data`], which goes into the response.
        provider_data: BTreeMap<String, String>,
    },
    /// Answer with an error.
    Stop {
        /// The error that the caller gets.
        problem: ReleaseError,
        /// Events for the operator's log.
        events: Vec<Event>,
    },
    /// Renew or issue the selected token of this account, then call [`look`] again.
    Refresh(AccountId, Selector),
}

/// Decides the next step of an exchange for the requested token.
///
/// # Errors
/// [`SealError::KeyUnavailable`] if the sealing key of the selected token is missing. The caller must then
/// release nothing and report no connection state.
pub fn look(
    home: &Home,
    contents: &Contents,
    connection: &Connection,
    want: &RequestedToken,
    unobtainable: &NegativeCache,
    now: UnixSeconds,
) -> Result<ExchangeStep, SealError> {
    let reject = |problem| Ok(ExchangeStep::Stop { problem, events: Vec::new() });
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
        return reject(ReleaseError::NoSuchKind);
    };
    if !connection.accepts(contents.registration_of(&account.id, grant_kind)) {
        let problem = release::registration_changed();
        let events = registrations(home, contents, connection, &problem);
        return Ok(ExchangeStep::Stop { problem, events });
    }
    let account_name = account.identity.name.as_deref();
    let selector = match release::select(connection, account_name, &grant.scopes, want) {
        Ok(selector) => selector,
        Err(problem) => return reject(problem),
    };
    let token = home.access_token(contents, &account.id, &selector)?;
    let believed =
        token.as_ref().and_then(|(record, _)| release::as_believed(connection, grant, record));
    let record = believed.as_ref().or(token.as_ref().map(|(record, _)| *record));
    let own = contents.access_token(&account.id, &Selector::default()).map(|own| &own.record);
    let key = (account.id.clone(), selector);
    let withheld = unobtainable.get(&key).and_then(|entry| entry.problem(want, now));
    let renewal = release::renewal(connection, &want.kind, grant, own, withheld, now);
    let state = grant.state_of(grant_kind, account);
    let step = release::decide_for(want, connection, state, grant, record, renewal, now);
    match (step, token) {
        (ReleaseStep::Serve { expires_in }, Some((record, access_token))) => {
            Ok(ExchangeStep::Serve {
                access_token,
                scopes: record.scopes.clone(),
                expires_in,
                provider_data: account.provider_data.clone(),
            })
        }
        (ReleaseStep::Stop(problem), _) => reject(problem),
        _ => {
            let (account, selector) = key;
            Ok(ExchangeStep::Refresh(account, selector))
        }
    }
}

/// If `problem` is [`Misconfiguration::RegistrationChanged`], one log event for each stored registration that
/// the connection does not accept; otherwise none.
fn registrations(
    home: &Home,
    contents: &Contents,
    connection: &Connection,
    problem: &ReleaseError,
) -> Vec<Event> {
    let changed = Misconfiguration::RegistrationChanged;
    if !matches!(problem, ReleaseError::Misconfigured { reason, .. } if *reason == changed) {
        return Vec::new();
    }
    let Registration { authority, client_id } = &connection.registration;
    let grants = contents.accounts.iter().flat_map(|account| contents.grants(&account.id));
    let stored = grants.filter_map(|(_, grant)| grant.record.registration.as_ref());
    let mut stored: Vec<_> =
        stored.filter(|registration| !connection.accepts(Some(registration))).collect();
    stored.dedup();
    let event = |old: &Registration| {
        Event::new(EventName::RegistrationChanged).at(&home.connection).detail(format!(
            "connected at `{}` as `{}`; configured is `{authority}` as `{client_id}`",
            old.authority, old.client_id
        ))
    };
    stored.into_iter().map(event).collect()
}
