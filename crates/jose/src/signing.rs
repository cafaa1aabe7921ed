// SPDX-License-Identifier: Apache-2.0
//! Making signed tokens (RFC 7515, RFC 7519): what is signed here, the platform signs.

use serde_json::{Value, json};

use crate::algorithm::Algorithm;
use crate::private_key::PrivateKey;
use vault_base::encoding;
use vault_base::secret::Secret;

/// A token that is not signed yet: header and payload, each in base64url (RFC 7515 §5.1, step 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningInput {
    text: String,
    algorithm: Algorithm,
}

/// One signature to make. The counterpart of [`SignatureCheck`](crate::signature::SignatureCheck).
#[derive(Debug)]
pub struct SignatureRequest<'a> {
    /// The private key.
    pub key: &'a PrivateKey,
    /// The algorithm, as the token's header names it.
    pub algorithm: Algorithm,
    /// The bytes to sign.
    pub message: &'a [u8],
}

impl SigningInput {
    /// A JWT for a key of [`PrivateKey`], so signed with RS256. `typ` is the header's type, such as
    /// `JWT` or `at+jwt`; `kid` the key's id, for those who look keys up in a set; `claims` an object.
    pub fn new(typ: &str, kid: Option<&str>, claims: &Value) -> Self {
        let algorithm = Algorithm::Rs256;
        let mut header = json!({ "alg": algorithm.name(), "typ": typ });
        if let (Some(kid), Some(members)) = (kid, header.as_object_mut()) {
            members.insert("kid".into(), kid.into());
        }
        let [header, claims] = [&header, claims].map(|part| encoding::base64url(part.to_string()));
        Self { text: format!("{header}.{claims}"), algorithm }
    }

    /// What the platform is to sign with `key`.
    pub fn request<'a>(&'a self, key: &'a PrivateKey) -> SignatureRequest<'a> {
        SignatureRequest { key, algorithm: self.algorithm, message: self.text.as_bytes() }
    }

    /// The token in compact serialization (RFC 7515 §7.1).
    pub fn with_signature(&self, signature: &[u8]) -> Secret {
        Secret::new(format!("{}.{}", self.text, encoding::base64url(signature)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::jws::Jws;

    #[test]
    fn a_signed_token_reads_as_what_it_was_made_of() {
        for kid in [None, Some("k1")] {
            let claims = json!({ "iss": "https://vault.example/", "sub": "a" });
            let input = SigningInput::new("at+jwt", kid, &claims);
            let token = input.with_signature(&[7; 256]);
            let read = Jws::parse(token.expose()).unwrap();
            assert_eq!(read.algorithm(), Algorithm::Rs256);
            assert_eq!((read.token_type(), read.key_id()), (Some("at+jwt"), kid));
            assert_eq!(read.signature(), &[7; 256]);
            assert_eq!(input.text.as_bytes(), read.signed().as_bytes());
        }
    }
}
