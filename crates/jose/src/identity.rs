// SPDX-License-Identifier: Apache-2.0
//! The identity of a user at a provider.

/// The identity of the user who consented, as the provider states it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The provider's id of the user; `None` if the provider gives none.
    pub id: Option<String>,
    /// E-mail address, for display; `None` if the provider gives none.
    pub email: Option<String>,
    /// Name, for display: in `OpenID` Connect `preferred_username`, or without that `name`.
    pub name: Option<String>,
}
