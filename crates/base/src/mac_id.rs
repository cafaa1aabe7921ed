// SPDX-License-Identifier: Apache-2.0
//! Ids that name an object and come back from strangers, such as the first part of a refresh token. Each
//! carries a MAC, so that a made-up one ends in the Worker and creates no object.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::encoding::{self, RandomnessError};
use crate::ids::ObjectNames;

/// What an id names. An id of one kind is none of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdKind {
    /// An authorization request, and the code it leads to.
    Authorization,
    /// A refresh token family.
    Family,
    /// A browser session.
    Session,
    /// A connect session, which is also that of a sign-in at a provider.
    Connect,
}

impl IdKind {
    fn name(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::Family => "family",
            Self::Session => "session",
            Self::Connect => "connect",
        }
    }

    /// The number of random bytes, and of those of the MAC. A connect's id is shorter, because
    /// `connect_code`, which begins with it, may have 46 characters (My Account API).
    fn lengths(self) -> (usize, usize) {
        match self {
            Self::Authorization | Self::Family | Self::Session => (12, 12),
            Self::Connect => (9, 7),
        }
    }

    fn mac(self, names: &ObjectNames, random: &str) -> [u8; 32] {
        match self {
            Self::Authorization | Self::Family | Self::Session => names.id_mac(self.name(), random),
            // A shorter MAC is under a key that makes nothing else.
            Self::Connect => names.derived("id-key", self.name()).id_mac(self.name(), random),
        }
    }
}

/// An id that this deployment made: base64url of random bytes, and of HMAC-SHA-256 over kind and random part.
/// The id of a connect has 9 random bytes and 7 of the MAC, in 22 characters; others have 12 of each, in 32.
///
/// Only [`MacId::read`] checks what comes from a stranger. Deserialization does not: it is for records and
/// messages of this deployment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MacId(String);

impl MacId {
    /// A new id.
    ///
    /// # Errors
    /// [`RandomnessError`].
    pub fn new(names: &ObjectNames, kind: IdKind) -> Result<Self, RandomnessError> {
        let random = encoding::random::<12>()?;
        Ok(Self::of(names, kind, random.split_at(kind.lengths().0).0))
    }

    /// Reads an id. `None` if this deployment did not make it, or made it for another kind.
    pub fn read(names: &ObjectNames, kind: IdKind, text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(encoding::from_base64url(text)?);
        let (random, _) = bytes.split_at_checked(kind.lengths().0)?;
        let own = Self::of(names, kind, random);
        encoding::constant_time_eq(own.0.as_bytes(), text.as_bytes()).then_some(own)
    }

    fn of(names: &ObjectNames, kind: IdKind, random: &[u8]) -> Self {
        let mac = kind.mac(names, &encoding::hex(random));
        let (mac, _) = mac.split_at(kind.lengths().1);
        Self(encoding::base64url([random, mac].concat()))
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ALL: [IdKind; 4] =
        [IdKind::Authorization, IdKind::Family, IdKind::Session, IdKind::Connect];

    #[test]
    fn an_id_reads_back_as_its_kind_and_under_its_key_alone() {
        let names = ObjectNames::new([1; 32]);
        for kind in ALL {
            let id = MacId::new(&names, kind).unwrap();
            assert_eq!(id.as_str().len(), if kind == IdKind::Connect { 22 } else { 32 });
            for other in ALL {
                let expected = (other == kind).then(|| id.clone());
                assert_eq!(MacId::read(&names, other, id.as_str()), expected, "{kind:?} {other:?}");
            }
            assert_eq!(MacId::read(&ObjectNames::new([2; 32]), kind, id.as_str()), None);
            assert_ne!(MacId::new(&names, kind).unwrap(), id);
        }
    }

    #[test]
    fn what_this_deployment_did_not_make_is_no_id() {
        let names = ObjectNames::new([1; 32]);
        for kind in ALL {
            let id = MacId::new(&names, kind).unwrap();
            let text = id.as_str();
            for at in 0..text.len() {
                let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
                let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                assert_eq!(MacId::read(&names, kind, &changed), None, "{changed}");
            }
            let nothing = "A".repeat(text.len());
            for bad in
                ["", "A", &text[1..], &format!("{text}A"), &format!("{text}="), nothing.as_str()]
            {
                assert_eq!(MacId::read(&names, kind, bad), None, "{bad}");
            }
        }
    }

    #[test]
    fn ids_are_pinned() {
        // Another form would sign everybody out, and end the connects in flight.
        let names = ObjectNames::new([7; 32]);
        let session = MacId::of(&names, IdKind::Session, &[9; 12]);
        assert_eq!(session.as_str(), "CQkJCQkJCQkJCQkJ0crukWwP5QQL_arf");
        let connect = MacId::of(&names, IdKind::Connect, &[9; 9]);
        assert_eq!(connect.as_str(), "CQkJCQkJCQkJD17UjC3FlA");
    }
}
