// SPDX-License-Identifier: Apache-2.0
//! Holders: the vaults that rest on one account at a provider, as the registry lists them. One user can
//! connect the same account at the provider several times, and so can another user; a revocation may end the
//! grants of all of them.

use vault_base::ids::{AccountId, ObjectNames};
use vault_provider::connection::Connection;
use vault_provider::registration::Registration;

use super::contents::Contents;
use super::home::Home;
use super::plan::Write;

/// An account at a provider.
#[derive(Debug, Clone, Copy)]
pub struct AtProvider<'a> {
    /// The provider's id of the user, if known.
    pub user: Option<&'a str>,
    /// The registration that the account was connected under; `None` for the connection's present one.
    pub registration: Option<&'a Registration>,
}

/// A vault that rests on an account at a provider, as the registry stores it. The names are derived with a
/// secret key, so that they do not identify the user or the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The name of the registry's shard that lists the account's holders.
    pub shard: String,
    /// The name of the account at the provider ([`ObjectNames::provider_account`]).
    pub account: String,
    /// The name of the vault ([`ObjectNames::vault`]).
    pub vault: String,
}

impl Holder {
    fn new(names: &ObjectNames, home: &Home, user: &str, registration: &Registration) -> Self {
        let (authority, client_id) = (registration.bare_authority(), &registration.client_id);
        let account = names.provider_account(authority, client_id, user);
        let shard = names.registry_of(&account);
        Self { shard, account, vault: names.vault(&home.user, &home.connection) }
    }
}

/// This vault as a holder of `at_provider`. The first holder is named by the account's own registration,
/// under which the vault adds itself to the registry; the others are named by the registrations that the
/// connection counts as the same. Empty if the user at the provider is not known, or neither a registration
/// nor a connection is given; whether the account has other holders is unknown then.
pub fn holders(
    names: &ObjectNames,
    home: &Home,
    connection: Option<&Connection>,
    at_provider: AtProvider<'_>,
) -> Vec<Holder> {
    let Some(user) = at_provider.user else {
        return Vec::new();
    };
    let registrations = same_registrations(connection, at_provider.registration);
    registrations.iter().map(|registration| Holder::new(names, home, user, registration)).collect()
}

/// The registrations under which the registry may list a grant of `registration`, or of the present one if
/// that is `None`.
fn same_registrations(
    connection: Option<&Connection>,
    registration: Option<&Registration>,
) -> Vec<Registration> {
    match connection {
        Some(connection) => connection.same_registrations(registration),
        None => registration.cloned().into_iter().collect(),
    }
}

/// Whether this vault has an account other than `except` that rests on `at_provider`. One user can have
/// several accounts here, connected under registrations that have the same name in the registry.
pub fn rests(
    contents: &Contents,
    connection: Option<&Connection>,
    at_provider: AtProvider<'_>,
    except: Option<&AccountId>,
) -> bool {
    let AtProvider { user, registration } = at_provider;
    let same = same_registrations(connection, registration);
    let is_same = |stored: Option<&Registration>| {
        let own = same_registrations(connection, stored);
        own.iter().any(|one| same.iter().any(|other| one.shares_name(other)))
    };
    contents.accounts.iter().any(|account| {
        user.is_some()
            && account.identity.id.as_deref() == user
            && except != Some(&account.id)
            && is_same(contents.registration(&account.id))
    })
}

/// How grants that name no registration are bound to the connection's present one.
#[derive(Debug, PartialEq, Eq)]
pub enum Binding {
    /// There is nothing to bind, or the registry cannot prove the registration.
    Settled,
    /// If the registry lists this holder, the grants were connected under this registration: bind them with
    /// [`bound`].
    IfListed(Holder, Registration),
}

/// Decides how an account's grants are bound by the registry's entries ([`super::jobs::Job::Bind`]).
pub fn binding(
    names: &ObjectNames,
    home: &Home,
    contents: &Contents,
    connection: &Connection,
    id: &AccountId,
) -> Binding {
    let user = contents.account(id).and_then(|account| account.identity.id.as_deref());
    let (Some(user), None) = (user, contents.registration(id)) else {
        return Binding::Settled;
    };
    let registration = &connection.registration;
    // The registry's names have only authority and client id. They prove nothing about a registration whose
    // addresses depend on more.
    if !registration.is_bare() {
        return Binding::Settled;
    }
    let holder = Holder::new(names, home, user, registration);
    Binding::IfListed(holder, registration.clone())
}

/// The write that binds an account's grants to this registration, where they name none.
pub fn bound(id: &AccountId, registration: Registration) -> Write {
    Write::BindGrants(id.clone(), registration)
}
