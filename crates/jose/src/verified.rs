// SPDX-License-Identifier: Apache-2.0
//! Cache of the access tokens that this isolate has verified: from the SHA-256 digest of a token to its
//! claims.
//!
//! An entry is valid only with the key set that it was verified with, so the withdrawal of a key takes effect
//! as soon as the new key set arrives. The caller checks the expiry at each use.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::access_token::AccessToken;
use vault_base::ids::UserNames;

/// The maximum number of entries. The oldest is removed first.
const CAPACITY: usize = 2048;

/// The cache of one isolate.
#[derive(Debug, Default)]
pub struct VerifiedTokens {
    entries: HashMap<[u8; 32], Entry>,
    order: VecDeque<[u8; 32]>,
}

#[derive(Debug)]
struct Entry {
    keys: [u8; 32],
    token: Rc<VerifiedToken>,
}

/// A verified access token.
#[derive(Debug)]
pub struct VerifiedToken {
    /// Its claims.
    pub token: AccessToken,
    /// Object names derived from its user, cached with the token.
    pub names: UserNames,
}

impl VerifiedTokens {
    /// The token with this SHA-256 digest, if it was verified with the key set of this fingerprint
    /// ([`JwkSet::fingerprint`]). [`VerifiedTokens::issuer`] tells which key set is needed.
    ///
    /// [`JwkSet::fingerprint`]: super::jwk::JwkSet::fingerprint
    pub fn get(&self, hash: &[u8; 32], keys: &[u8; 32]) -> Option<&Rc<VerifiedToken>> {
        self.entries.get(hash).filter(|entry| entry.keys == *keys).map(|entry| &entry.token)
    }

    /// The issuer of the token with this SHA-256 digest, whose current key set must be passed to
    /// [`VerifiedTokens::get`]. `None` if the token is not in the cache.
    pub fn issuer(&self, hash: &[u8; 32]) -> Option<&str> {
        self.entries.get(hash).map(|entry| entry.token.token.user.issuer.as_str())
    }

    /// Adds a token that was verified with the key set of this fingerprint, or replaces its entry.
    pub fn insert(&mut self, hash: [u8; 32], keys: [u8; 32], token: Rc<VerifiedToken>) {
        if self.entries.insert(hash, Entry { keys, token }).is_none() {
            self.order.push_back(hash);
        }
        while self.order.len() > CAPACITY {
            if let Some(oldest) = self.order.pop_front() {
                self.entries.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vault_base::ids::UserId;

    fn token(subject: &str) -> Rc<VerifiedToken> {
        let token = AccessToken {
            user: UserId { issuer: "https://idp.example".into(), subject: subject.into() },
            client_id: "spa".into(),
            audiences: vec![],
            scopes: vec![],
            expires_at: 0,
            issued_at: None,
            sid: None,
            grant_id: None,
        };
        Rc::new(VerifiedToken { token, names: UserNames::default() })
    }

    #[test]
    fn another_key_set_forgets_what_the_old_one_verified() {
        let mut verified = VerifiedTokens::default();
        verified.insert([1; 32], [7; 32], token("alice"));
        assert!(verified.get(&[1; 32], &[7; 32]).is_some());
        assert!(verified.get(&[1; 32], &[8; 32]).is_none());
        assert!(verified.get(&[2; 32], &[7; 32]).is_none());
    }

    #[test]
    fn the_memory_is_bounded_and_the_oldest_goes_first() {
        let mut verified = VerifiedTokens::default();
        for index in 0..=u32::try_from(CAPACITY).unwrap() {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&index.to_be_bytes());
            verified.insert(hash, [7; 32], token("alice"));
        }
        assert_eq!(verified.entries.len(), CAPACITY);
        assert!(verified.get(&[0; 32], &[7; 32]).is_none());
    }
}
