// SPDX-License-Identifier: Apache-2.0
//! Identifiers of users and accounts, and the derivation of all Durable Object names.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fmt;

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::address::Address;
use crate::encoding::{self, RandomnessError};
use crate::mac_id::MacId;

/// A user, identified by issuer and subject together: `sub` is unique only within its issuer (RFC 7519
/// §4.1.2). Both are compared byte by byte, without case folding or Unicode normalization.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UserId {
    /// `iss` of the user's tokens.
    pub issuer: String,
    /// `sub` of the user's tokens.
    pub subject: String,
}

/// The source of an issuer's documents: its metadata and its key set. It is the key of every cache of these
/// documents, so that documents of different sources stay apart even for the same issuer: a discovered key
/// set must not replace the one whose address is configured.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DocumentSource {
    /// Issuer identifier.
    pub issuer: String,
    /// URL of the key set, if it is configured. Then neither discovery nor metadata are used.
    pub jwks_uri: Option<String>,
    /// The value of `issuer` in the metadata, if it differs from the issuer identifier.
    pub pattern: Option<String>,
}

/// The public id of a connected account. The vault issues ids of `cac_` and 22 letters or digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(String);

impl AccountId {
    /// A new id with 128 random bits.
    ///
    /// # Errors
    /// [`RandomnessError`] if the runtime gives no random bytes.
    pub fn random() -> Result<Self, RandomnessError> {
        Ok(Self(format!("cac_{}", alphanumeric(u128::from_be_bytes(encoding::random()?)))))
    }

    /// Parses an id of the published form `^cac_[A-Za-z0-9]+$`, at most 64 characters; `None` otherwise.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("cac_")?;
        let fits = (1..=60).contains(&rest.len());
        (fits && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
            .then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Encodes a number as 22 base-62 digits, which suffice for 128 bits.
fn alphanumeric(mut number: u128) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut out = String::with_capacity(22);
    for _ in 0..22 {
        let digit = usize::try_from(number % 62).unwrap_or(0);
        out.push(DIGITS.get(digit).copied().map_or('0', char::from));
        number /= 62;
    }
    out
}

/// The number of [`ObjectNames::registry`] shards. It must not change: users are found only in the shard
/// that their name selects.
pub const REGISTRY_SHARDS: u8 = 64;

/// Derives the names of Durable Objects: HMAC-SHA-256 under `OBJECT_NAME_KEY` over length-prefixed parts, in
/// 64 hexadecimal digits. Without the key, a name reveals nothing and cannot be computed.
#[derive(Clone)]
pub struct ObjectNames(Zeroizing<[u8; 32]>);

impl ObjectNames {
    /// Uses the key of this deployment. The key must never change: other names would address other objects.
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// Name of the `Vault` of one user at one connection.
    pub fn vault(&self, user: &UserId, connection: &str) -> String {
        self.name(&["vault", &user.issuer, &user.subject, connection])
    }

    /// Name of the `Directory` of one user.
    pub fn directory(&self, user: &UserId) -> String {
        self.name(&["directory", &user.issuer, &user.subject])
    }

    /// Name of the `Registry` shard that lists this user.
    pub fn registry(&self, user: &UserId) -> String {
        let shard = self.mac(&["registry-shard", &user.issuer, &user.subject]);
        let shard = shard.first().copied().unwrap_or(0) % REGISTRY_SHARDS;
        self.registry_shard(shard)
    }

    /// Name of the `Registry` shard with this number, which is below [`REGISTRY_SHARDS`].
    pub fn registry_shard(&self, shard: u8) -> String {
        self.name(&["registry", &shard.to_string()])
    }

    /// The registry's pseudonym for an account at a provider, from which the account cannot be read.
    /// `authority` is the bare authority of a registration, `client_id` the vault's client id there, and
    /// `user` the provider's id of the user.
    pub fn provider_account(&self, authority: &str, client_id: &str, user: &str) -> String {
        self.name(&["provider-account", authority, client_id, user])
    }

    /// Name of the `Registry` shard that lists the holders of an account at a provider.
    /// `provider_account` comes from [`Self::provider_account`].
    pub fn registry_of(&self, provider_account: &str) -> String {
        let shard = self.mac(&["registry-shard-of-account", provider_account]);
        self.registry_shard(shard.first().copied().unwrap_or(0) % REGISTRY_SHARDS)
    }

    /// Name of the `ConnectSession` of one connect in flight.
    pub fn connect_session(&self, id: &MacId) -> String {
        self.name(&["connect-session", id.as_str()])
    }

    /// Name of the `IssuerKeys` object of one document source.
    pub fn issuer_keys(&self, source: &DocumentSource) -> String {
        let mut parts = vec!["issuer-keys", &source.issuer];
        for (label, value) in [("jwks_uri", &source.jwks_uri), ("pattern", &source.pattern)] {
            if let Some(value) = value {
                parts.extend([label, value]);
            }
        }
        self.name(&parts)
    }

    /// The `Authorization` object of an authorization request.
    pub fn authorization(&self, id: &MacId) -> String {
        self.name(&["authorization", id.as_str()])
    }

    /// The `RefreshFamily` object of a refresh token family.
    pub fn refresh_family(&self, id: &MacId) -> String {
        self.name(&["refresh-family", id.as_str()])
    }

    /// The `BrowserSession` object of a browser session.
    pub fn browser_session(&self, id: &MacId) -> String {
        self.name(&["browser-session", id.as_str()])
    }

    /// The `Identity` object of an account at a provider. `authority` says where the id is unique.
    pub fn identity(&self, authority: &str, user: &str) -> String {
        self.name(&["identity", authority, user])
    }

    /// The `UserRecord` object of a user of the vault.
    pub fn user_record(&self, subject: &str) -> String {
        self.name(&["user-record", subject])
    }

    /// The `SigningKeys` object of the deployment.
    pub fn signing_keys(&self) -> String {
        self.name(&["signing-keys"])
    }

    /// The MAC of an id that comes from strangers ([`crate::mac_id`]).
    pub(crate) fn id_mac(&self, kind: &str, random: &str) -> [u8; 32] {
        self.mac(&["id", kind, random])
    }

    /// A key for one purpose, derived from this one. Under it names and MACs are others.
    pub(crate) fn derived(&self, purpose: &str, of: &str) -> Self {
        Self::new(self.mac(&[purpose, of]))
    }

    /// A user's pseudonym in the log: 16 hexadecimal digits, always the same for the same user. It cannot be
    /// linked to the user without the key.
    pub fn log_name(&self, user: &UserId) -> String {
        let mac = self.mac(&["log", &user.issuer, &user.subject]);
        encoding::hex(mac.split_at(8).0)
    }

    /// Check value of the key, which the object [`KEY_CHECK`] stores. A deployment with another key would
    /// find only empty objects; comparing the check value detects that.
    pub fn check_value(&self) -> String {
        self.name(&["check"])
    }

    fn name(&self, parts: &[&str]) -> String {
        encoding::hex(&self.mac(parts))
    }

    fn mac(&self, parts: &[&str]) -> [u8; 32] {
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        // HMAC pads a short key with zeros to the block size of the hash (RFC 2104 §2). With the padding
        // done here, the constructor that cannot fail is enough.
        let mut block = Zeroizing::new([0; 64]);
        block.split_at_mut(32).0.copy_from_slice(self.0.as_slice());
        let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
        mac.update(&encoding::length_prefixed(&parts));
        mac.finalize().into_bytes().into()
    }
}

/// The names and addresses that exchanges of one token need. Each is derived at its first use and then kept.
#[derive(Debug, Default)]
pub struct UserNames {
    log: OnceCell<String>,
    vaults: RefCell<BTreeMap<String, Address>>,
}

impl UserNames {
    /// The cached [`ObjectNames::log_name`] of this user.
    pub fn log(&self, names: &ObjectNames, user: &UserId) -> &str {
        self.log.get_or_init(|| names.log_name(user))
    }

    /// The cached address of the user's vault at this connection, which `of` makes. `connection` must be
    /// configured: other names would fill the cache.
    pub fn vault(&self, connection: &str, of: impl FnOnce() -> Address) -> Address {
        if let Some(address) = self.vaults.borrow().get(connection) {
            return address.clone();
        }
        let address = of();
        self.vaults.borrow_mut().insert(connection.to_owned(), address.clone());
        address
    }
}

/// Name of the `Registry` object that stores [`ObjectNames::check_value`] and a check value of each sealing
/// key. Only its name and those of its copies do not depend on the key.
pub const KEY_CHECK: &str = "object-name-key-check";

/// The number of copies of [`KEY_CHECK`]. They spread the requests, and answer when it does not.
pub const KEY_CHECK_COPIES: u8 = 8;

/// Name of a copy of [`KEY_CHECK`], by any number.
pub fn key_check_copy(number: u8) -> String {
    format!("{KEY_CHECK}-{}", number % KEY_CHECK_COPIES + 1)
}

impl fmt::Debug for ObjectNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ObjectNames([secret])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_id_has_the_published_form() {
        let id = AccountId::random().unwrap();
        assert_eq!(id.as_str().len(), 26);
        assert_eq!(AccountId::parse(id.as_str()), Some(id));
        for refused in
            ["", "cac_", "cac_a-b", "acc_abc", "cac_a b", &format!("cac_{}", "a".repeat(61))]
        {
            assert_eq!(AccountId::parse(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn the_log_names_a_user_alike_each_time_and_others_otherwise() {
        let names = ObjectNames::new([1; 32]);
        let user = |issuer: &str, subject: &str| UserId {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
        };
        let name = names.log_name(&user("a", "bc"));
        assert_eq!(name.len(), 16);
        assert_eq!(name, names.log_name(&user("a", "bc")));
        assert_ne!(name, names.log_name(&user("ab", "c")));
        assert_ne!(name, ObjectNames::new([2; 32]).log_name(&user("a", "bc")));
    }

    #[test]
    fn the_biggest_number_fits_22_digits() {
        assert_eq!(alphanumeric(u128::MAX).len(), 22);
        assert!(62_f64.powi(22) > 2_f64.powi(128));
    }
}
