// SPDX-License-Identifier: Apache-2.0
//! The configuration of a trusted issuer of subject tokens.

use super::algorithm::Algorithm;
use vault_base::ids::DocumentSource;

/// A trusted issuer, and the subject tokens that the vault accepts from it.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// `iss` of its tokens, compared byte by byte, and the source of its keys.
    pub source: DocumentSource,
    /// Accepted audiences: `aud` of a token must contain one of them.
    pub audiences: Vec<String>,
    /// Accepted signature algorithms.
    pub algorithms: Vec<Algorithm>,
    /// Accepted values of the header parameter `typ`, in lower case and without `application/`.
    pub types: Vec<String>,
}

impl Issuer {
    /// Whether `typ` is accepted; it must be in the form of [`Issuer::types`]. A missing `typ` is not.
    pub fn accepts_type(&self, typ: Option<&str>) -> bool {
        typ.is_some_and(|typ| self.types.iter().any(|accepted| accepted == typ))
    }
}
