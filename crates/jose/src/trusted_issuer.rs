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
    /// The claim whose values are the audiences of a token without `aud`, such as `client_id`. `None`: a
    /// token without `aud` has no audience.
    pub audience_claim: Option<String>,
    /// The audience of tokens for the connected-accounts API, where it is not the vault's identifier with
    /// `me/` appended.
    pub api_audience: Option<String>,
    /// The claim that names the client, such as `cid`; `None` for `client_id` (RFC 9068 §2.2) and `azp`.
    pub client_claim: Option<String>,
    /// Accepted signature algorithms.
    pub algorithms: Vec<Algorithm>,
    /// Accepted values of the header parameter `typ`, in lower case and without `application/`. The empty
    /// text stands for a header without `typ`.
    pub types: Vec<String>,
}

impl Issuer {
    /// Whether `typ` is accepted; it must be in the form of [`Issuer::types`].
    pub fn accepts_type(&self, typ: Option<&str>) -> bool {
        let typ = typ.unwrap_or_default();
        self.types.iter().any(|accepted| accepted == typ)
    }
}
