// SPDX-License-Identifier: Apache-2.0
//! `APIS`: resource servers that accept access tokens of the vault.

use super::FieldError;
use super::fields::Fields;
use super::issuer::subject_audiences;
use vault_base::public_url::PublicUrl;
use vault_base::text;

/// A resource server (RFC 6749 §1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// The audience of its access tokens (RFC 9068 §2.2).
    pub identifier: String,
    /// The scopes that it knows.
    pub scopes: Vec<String>,
    /// Lifetime of its access tokens, in seconds.
    pub access_token_lifetime: i64,
}

/// Ten minutes.
pub const ACCESS_TOKEN_LIFETIME: i64 = 600;

/// Subject tokens that live longer are refused by the exchange.
const LONGEST: i64 = 86_400;

impl Api {
    /// Reads all fields.
    pub(super) fn read(fields: &mut Fields) -> Self {
        Self {
            identifier: fields.required("identifier"),
            scopes: fields.list("scopes"),
            access_token_lifetime: fields
                .number("access_token_lifetime")
                .unwrap_or(ACCESS_TOKEN_LIFETIME),
        }
    }

    pub(super) fn check(self, vault: &PublicUrl) -> Result<Self, FieldError> {
        let audience = [self.identifier.clone()];
        subject_audiences(&audience, vault)
            .map_err(|fault| FieldError::new("identifier", fault.fix))?;
        if let Some(bad) = self.scopes.iter().position(|scope| !text::is_scope(scope)) {
            let fix = "must be a scope: printable ASCII without spaces, quotes and backslashes";
            return Err(FieldError::new(format!("scopes[{bad}]"), fix));
        }
        if !(60..=LONGEST).contains(&self.access_token_lifetime) {
            let fix = format!("must be between 60 and {LONGEST} seconds");
            return Err(FieldError::new("access_token_lifetime", fix));
        }
        Ok(self)
    }
}
