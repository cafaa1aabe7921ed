// SPDX-License-Identifier: Apache-2.0
//! `SIGN_IN`: whether and how the vault signs users in itself, as an OpenID provider.

use std::collections::BTreeMap;

use super::FieldError;
use super::fields::Fields;
use vault_base::public_url::PublicUrl;
use vault_provider::connection::Connection;

/// How the vault signs users in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Names of the connections that users sign in with, in the order in which the page shows them.
    pub connections: Vec<String>,
    /// The title of the pages; `None` for the vault's host.
    pub title: Option<String>,
    /// The https address of a logo.
    pub logo: Option<String>,
    /// Seconds without use after which a browser session ends.
    pub session_idle: i64,
    /// Seconds after its sign-in at which a browser session ends.
    pub session_lifetime: i64,
    /// Whether pages of other sites may sign in silently with the session (`SameSite=None`).
    pub cross_site: bool,
}

/// Three days.
const IDLE: i64 = 3 * 86_400;
/// Thirty days.
const LIFETIME: i64 = 30 * 86_400;

impl SignIn {
    /// Reads all fields.
    pub(super) fn read(fields: &mut Fields) -> Self {
        Self {
            connections: fields.list("connections"),
            title: fields.text("title"),
            logo: fields.text("logo"),
            session_idle: fields.number("session_idle").unwrap_or(IDLE),
            session_lifetime: fields.number("session_lifetime").unwrap_or(LIFETIME),
            cross_site: fields.flag("cross_site"),
        }
    }

    pub(super) fn check(
        self,
        vault: &PublicUrl,
        connections: &BTreeMap<String, Connection>,
    ) -> Result<Self, FieldError> {
        if self.connections.is_empty() {
            return Err(FieldError::new("connections", "must name at least one connection"));
        }
        for (index, name) in self.connections.iter().enumerate() {
            let field = format!("connections[{index}]");
            let Some(connection) = connections.get(name) else {
                return Err(FieldError::no_entry(field, name, "CONNECTIONS"));
            };
            if !connection.proves_identity() {
                let fix = format!(
                    "`{name}` signs nobody in: with `identity.from = \"callback\"` the id comes by way of the \
                     browser; name another connection"
                );
                return Err(FieldError::new(field, fix));
            }
            if !connection.has_permanent_ids() {
                let fix = format!(
                    "`{name}` does not prove that its user ids are never given to somebody else; \
                     if its documentation says so, set `identity.permanent` of the connection"
                );
                return Err(FieldError::new(field, fix));
            }
        }
        if let Some(logo) = &self.logo {
            vault.allows(logo).map_err(|fix| FieldError::new("logo", fix))?;
        }
        for (field, seconds) in
            [("session_idle", self.session_idle), ("session_lifetime", self.session_lifetime)]
        {
            if seconds < 60 {
                return Err(FieldError::new(field, "must be at least 60 seconds"));
            }
        }
        Ok(self)
    }
}
