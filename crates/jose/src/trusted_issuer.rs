// SPDX-License-Identifier: Apache-2.0
//! A trusted issuer: whose access tokens count, and for what.

use super::algorithm::Algorithm;
use vault_base::ids::DocumentSource;

/// A trusted issuer of subject tokens.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// `iss` of its tokens, compared byte by byte, and where its keys are.
    pub source: DocumentSource,
    /// Audiences of its tokens that may be exchanged here.
    pub audiences: Vec<String>,
    /// Signature algorithms it uses.
    pub algorithms: Vec<Algorithm>,
    /// `typ` of its access tokens, lower case, without `application/`.
    pub types: Vec<String>,
}

impl Issuer {
    /// Whether its access tokens carry this `typ` (lower case, without `application/`).
    pub fn accepts_type(&self, typ: Option<&str>) -> bool {
        typ.is_some_and(|typ| self.types.iter().any(|accepted| accepted == typ))
    }
}
