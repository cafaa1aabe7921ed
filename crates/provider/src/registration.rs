// SPDX-License-Identifier: Apache-2.0
//! Which client registration, at which provider, a grant came from.
//!
//! A grant is bound to it (RFC 6749 §6: a refresh token is bound to the client it was issued to). A
//! connection that comes to stand for another provider or another `client_id` must not send one
//! provider's tokens to the other, nor take the other's refusal for the end of the grant.

use serde::{Deserialize, Serialize};

/// A client registration at a provider. It is stored with each grant, and travels with a connect in
/// flight and with jobs that outlive the account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Registration {
    /// The authority ([`crate::connection::Connection::authority`]), and behind spaces whatever else
    /// decides where tokens are sent, as `name=value`: the provider's variables, and endpoints that the
    /// configuration gives in place of the provider's own.
    pub authority: String,
    /// `client_id` there.
    pub client_id: String,
}

impl Registration {
    /// The registration of `client_id` at an authority, with what its addresses depend on.
    pub fn new(authority: &str, details: &[(String, String)], client_id: &str) -> Self {
        let mut authority = authority.to_owned();
        for (name, value) in details {
            authority.extend([" ", name.as_str(), "=", value.as_str()]);
        }
        Self { authority, client_id: client_id.to_owned() }
    }

    /// Whether nothing decides where tokens are sent but the authority, or what stands in it already, as
    /// the tenant does in an issuer identifier. Only then is the registry, which knows no more than that,
    /// a witness of the whole registration.
    pub fn is_bare(&self) -> bool {
        let mut parts = self.authority.split(' ');
        let authority = parts.next().unwrap_or_default();
        let is_address = authority.contains("://");
        parts.all(|detail| {
            let value = detail.split_once('=').map_or(detail, |(_, value)| value);
            is_address && authority.split('/').skip(3).any(|step| step == value)
        })
    }

    /// Whether the registry, which knows authority and client alone, has one name for both: then a user's
    /// grants of either may be one at the provider.
    pub fn shares_name(&self, other: &Self) -> bool {
        self.client_id == other.client_id && self.bare_authority() == other.bare_authority()
    }

    /// The authority alone: the registry's names are made of it.
    pub fn bare_authority(&self) -> &str {
        self.authority.split_once(' ').map_or(&self.authority, |(bare, _)| bare)
    }
}
