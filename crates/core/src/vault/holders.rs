// SPDX-License-Identifier: Apache-2.0
//! Who rests on an account at a provider: what the registry is told and asked of a vault. One user can connect
//! the same account twice, and another user too; a revocation would take all of them along.

use vault_base::ids::{AccountId, ObjectNames};
use vault_provider::connection::Connection;
use vault_provider::registration::Registration;

use super::contents::Contents;
use super::home::Home;
use super::plan::Write;

/// An account at a provider: the user there, if known, and the registration it was connected under; without
/// one, today's.
#[derive(Debug, Clone, Copy)]
pub struct AtProvider<'a> {
    /// The provider's id of the user.
    pub user: Option<&'a str>,
    /// The registration.
    pub registration: Option<&'a Registration>,
}

/// A vault that rests on an account at a provider, as the registry knows both. Neither tells who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The registry's shard.
    pub shard: String,
    /// [`ObjectNames::provider_account`].
    pub account: String,
    /// Name of the vault.
    pub vault: String,
}

impl Holder {
    fn new(names: &ObjectNames, home: &Home, user: &str, of: &Registration) -> Self {
        let account = names.provider_account(of.bare_authority(), &of.client_id, user);
        let shard = names.registry_of(&account);
        Self { shard, account, vault: names.vault(&home.user, &home.connection) }
    }
}

/// This vault as a holder of an account: under the account's own registration first, which is the one it is
/// told under, then under those that count as the same. None where nothing tells whose the account is: then
/// nobody knows who else rests on it.
pub fn holders(
    names: &ObjectNames,
    home: &Home,
    connection: Option<&Connection>,
    of: AtProvider<'_>,
) -> Vec<Holder> {
    let Some(user) = of.user else {
        return Vec::new();
    };
    let registrations = same_registrations(connection, of.registration);
    registrations.iter().map(|one| Holder::new(names, home, user, one)).collect()
}

/// The registrations under which the registry may know a grant of this one; without, of today's.
fn same_registrations(
    connection: Option<&Connection>,
    of: Option<&Registration>,
) -> Vec<Registration> {
    match connection {
        Some(connection) => connection.same_registrations(of),
        None => of.cloned().into_iter().collect(),
    }
}

/// Whether this vault rests on a user's grant of this registration, with another account than `except`: one
/// user can have several here, connected under registrations that the registry does not tell apart.
pub fn rests(
    contents: &Contents,
    connection: Option<&Connection>,
    of: AtProvider<'_>,
    except: Option<&AccountId>,
) -> bool {
    let AtProvider { user, registration } = of;
    let meant = same_registrations(connection, registration);
    let is_meant = |stamp: Option<&Registration>| {
        let own = same_registrations(connection, stamp);
        own.iter().any(|one| meant.iter().any(|other| one.shares_name(other)))
    };
    contents.accounts.iter().any(|one| {
        user.is_some()
            && one.identity.id.as_deref() == user
            && except != Some(&one.id)
            && is_meant(contents.registration(&one.id))
    })
}

/// How grants that do not tell their registration come to be bound to today's.
#[derive(Debug, PartialEq, Eq)]
pub enum Binding {
    /// There is nothing left to find out.
    Settled,
    /// If the registry lists this holder, they were connected under today's registration: write that.
    IfListed(Holder, Registration),
}

/// Plans how an account's grants are bound by what the registry was told ([`super::jobs::Job::Bind`]).
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
    // The registry knows authority and client id: where addresses depend on more, it is no witness.
    if !registration.is_bare() {
        return Binding::Settled;
    }
    let holder = Holder::new(names, home, user, registration);
    Binding::IfListed(holder, registration.clone())
}

/// The write that binds them.
pub fn bound(id: &AccountId, registration: Registration) -> Write {
    Write::BindGrants(id.clone(), registration)
}
