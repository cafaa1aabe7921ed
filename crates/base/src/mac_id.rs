// SPDX-License-Identifier: Apache-2.0
//! Ids that name an object and come back from strangers, such as the first part of a refresh token. Each
//! carries a MAC, so that a made-up one ends in the Worker and creates no object.

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
}

impl IdKind {
    fn name(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::Family => "family",
            Self::Session => "session",
        }
    }
}

/// An id that this deployment made: base64url of 12 random bytes and 12 bytes of HMAC-SHA-256 over kind
/// and random part. 32 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MacId(String);

/// Random bytes of an id.
const RANDOM: usize = 12;

impl MacId {
    /// A new id.
    ///
    /// # Errors
    /// [`RandomnessError`].
    pub fn new(names: &ObjectNames, kind: IdKind) -> Result<Self, RandomnessError> {
        Ok(Self::of(names, kind, &encoding::random::<RANDOM>()?))
    }

    /// Reads an id. `None` if this deployment did not make it, or made it for another kind.
    pub fn read(names: &ObjectNames, kind: IdKind, text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(encoding::from_base64url(text)?);
        let (random, _) = bytes.split_first_chunk::<RANDOM>()?;
        let own = Self::of(names, kind, random);
        encoding::constant_time_eq(own.0.as_bytes(), text.as_bytes()).then_some(own)
    }

    fn of(names: &ObjectNames, kind: IdKind, random: &[u8; RANDOM]) -> Self {
        let mac = names.id_mac(kind.name(), &encoding::hex(random));
        let (mac, _) = mac.split_at(RANDOM);
        Self(encoding::base64url([random.as_slice(), mac].concat()))
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

    #[test]
    fn an_id_reads_back_as_its_kind_and_under_its_key_alone() {
        let names = ObjectNames::new([1; 32]);
        let id = MacId::new(&names, IdKind::Family).unwrap();
        assert_eq!(id.as_str().len(), 32);
        assert_eq!(MacId::read(&names, IdKind::Family, id.as_str()), Some(id.clone()));
        assert_eq!(MacId::read(&names, IdKind::Session, id.as_str()), None);
        assert_eq!(MacId::read(&ObjectNames::new([2; 32]), IdKind::Family, id.as_str()), None);
    }

    #[test]
    fn what_this_deployment_did_not_make_is_no_id() {
        let names = ObjectNames::new([1; 32]);
        let id = MacId::new(&names, IdKind::Family).unwrap();
        let text = id.as_str();
        for at in 0..text.len() {
            let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert_eq!(MacId::read(&names, IdKind::Family, &changed), None, "{changed}");
        }
        for bad in ["", "A", &text[1..], &format!("{text}A"), &format!("{text}="), &"A".repeat(32)]
        {
            assert_eq!(MacId::read(&names, IdKind::Family, bad), None, "{bad}");
        }
    }

    #[test]
    fn ids_are_pinned() {
        // Another form would sign everybody out.
        let id = MacId::of(&ObjectNames::new([7; 32]), IdKind::Session, &[9; RANDOM]);
        assert_eq!(id.as_str(), "CQkJCQkJCQkJCQkJ0crukWwP5QQL_arf");
    }
}
