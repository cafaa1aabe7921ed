// SPDX-License-Identifier: Apache-2.0
//! The client registration that a grant was issued to.
//!
//! A grant is bound to it, as a refresh token is bound to the client it was issued to (RFC 6749 §6). If a
//! connection is reconfigured for another provider or another `client_id`, the vault must not send the tokens
//! of one to the other, nor take an error response of the other to mean that the grant has ended.

use serde::{Deserialize, Serialize};

/// A client registration at a provider. It is stored with each grant, with each connect in flight, and with
/// the jobs that remain after an account is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Registration {
    /// The bare authority ([`crate::connection::Connection::authority`]), followed by everything else that
    /// decides where tokens are sent, each as a space and `name=value`: the provider's variables, and the
    /// endpoints that the configuration overrides.
    pub authority: String,
    /// The vault's client id at the provider.
    pub client_id: String,
}

impl Registration {
    /// The registration of `client_id` at a bare authority. `details` are the names and values that follow it
    /// in [`Registration::authority`].
    pub fn new(authority: &str, details: &[(String, String)], client_id: &str) -> Self {
        let mut authority = authority.to_owned();
        for (name, value) in details {
            authority.extend([" ", name.as_str(), "=", value.as_str()]);
        }
        Self { authority, client_id: client_id.to_owned() }
    }

    /// Whether the bare authority alone decides where tokens are sent: there are no details, or each of their
    /// values is also a path segment of the authority, like the tenant in an issuer identifier. The registry
    /// knows only the bare authority and the client id, so only then is an entry there proof of the whole
    /// registration.
    pub fn is_bare(&self) -> bool {
        let mut parts = self.authority.split(' ');
        let authority = parts.next().unwrap_or_default();
        let is_address = authority.contains("://");
        parts.all(|detail| {
            let value = detail.split_once('=').map_or(detail, |(_, value)| value);
            is_address && authority.split('/').skip(3).any(|segment| segment == value)
        })
    }

    /// Whether both have the same bare authority and client id, so that the registry cannot tell them
    /// apart. A user's grants under the one may then be the same grant at the provider as those under the
    /// other.
    pub fn shares_name(&self, other: &Self) -> bool {
        self.client_id == other.client_id && self.bare_authority() == other.bare_authority()
    }

    /// The authority without details. The registry's names of accounts are derived from it.
    pub fn bare_authority(&self) -> &str {
        self.authority.split_once(' ').map_or(&self.authority, |(bare, _)| bare)
    }
}
