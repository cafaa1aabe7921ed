// SPDX-License-Identifier: Apache-2.0
//! Holders: which vaults depend on the same account at a provider. The registry keeps the
//! references. One user can connect the same account twice, and another user can connect it too; a
//! revocation would end all of them.

use vault_base::ids::{AccountId, ObjectNames};
use vault_provider::connection::Connection;
use vault_provider::registration::Registration;

use super::contents::Contents;
use super::home::Home;
use super::plan::Write;

/// An account at a provider: its user, and the registration it was connected under.
#[derive(Debug, Clone, Copy)]
pub struct AtProvider<'a> {
    /// The provider's id of the user; `None` if unknown.
    pub user: Option<&'a str>,
    /// The registration; `None` means the configured one.
    pub registration: Option<&'a Registration>,
}

/// A reference that the registry keeps: this vault depends on that account. Both are keyed hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Name of the registry's shard.
    pub shard: String,
    /// Keyed hash of the account: [`ObjectNames::provider_account`].
    pub account: String,
    /// Object name of the vault.
    pub vault: String,
}

impl Holder {
    fn new(names: &ObjectNames, home: &Home, user: &str, of: &Registration) -> Self {
        let account = names.provider_account(of.bare_authority(), &of.client_id, user);
        let shard = names.registry_of(&account);
        Self { shard, account, vault: names.vault(&home.user, &home.connection) }
    }
}

/// This vault's references to an account: first the one under the account's own registration, which
/// the registry was told, then those under registrations that count as the same. `None` where the
/// user is unknown, because then nobody can find other holders.
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

/// The registrations under which the registry may know a grant of this registration; `None` is the
/// configured one.
fn same_registrations(
    connection: Option<&Connection>,
    of: Option<&Registration>,
) -> Vec<Registration> {
    match connection {
        Some(connection) => connection.same_registrations(of),
        None => of.cloned().into_iter().collect(),
    }
}

/// Whether another account than `except` of this vault depends on the same user's grant. One user
/// can have several accounts here, connected under registrations that the registry does not
/// distinguish.
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

/// How grants without a registration become bound to the configured one.
#[derive(Debug, PartialEq, Eq)]
pub enum Binding {
    /// Nothing remains to be done.
    Settled,
    /// If the registry has this reference, the grants were connected under this registration: write
    /// it.
    IfListed(Holder, Registration),
}

/// Plans how an account's grants are bound by what the registry knows ([`super::jobs::Job::Bind`]).
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
    // The registry knows authority and client id only. Where addresses depend on more, it proves
    // nothing.
    if !registration.is_bare() {
        return Binding::Settled;
    }
    let holder = Holder::new(names, home, user, registration);
    Binding::IfListed(holder, registration.clone())
}

/// The write that binds the account's grants.
pub fn bound(id: &AccountId, registration: Registration) -> Write {
    Write::BindGrants(id.clone(), registration)
}
