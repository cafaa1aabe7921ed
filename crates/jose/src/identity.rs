// SPDX-License-Identifier: Apache-2.0
//! Who somebody is at a provider.

/// Who the provider says its user is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The provider's own id of the user; `None` where a provider tells none.
    pub id: Option<String>,
    /// E-mail address, if told.
    pub email: Option<String>,
    /// A name to show: `preferred_username` or `name` in `OpenID` Connect.
    pub name: Option<String>,
}
