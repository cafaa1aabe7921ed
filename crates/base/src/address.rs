// SPDX-License-Identifier: Apache-2.0
//! Addresses of Durable Objects: a name, and where an object of that name is created if there is none yet.

use std::rc::Rc;

/// A region in which the platform is asked to create an object (`locationHint`,
/// <https://developers.cloudflare.com/durable-objects/reference/data-location/>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location(&'static str);

impl Location {
    /// The hints that the platform knows.
    pub const HINTS: [&'static str; 11] =
        ["wnam", "enam", "sam", "weur", "eeur", "apac", "apac-ne", "apac-se", "oc", "afr", "me"];

    /// Parses one of [`Self::HINTS`]; they are compared byte by byte.
    ///
    /// # Errors
    /// What to write instead, as a sentence without subject.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found = Self::HINTS.iter().find(|hint| **hint == text);
        found
            .map(|hint| Self(hint))
            .ok_or_else(|| format!("must be one of \"{}\"", Self::HINTS.join("\", \"")))
    }

    /// The hint as the platform takes it.
    pub fn hint(self) -> &'static str {
        self.0
    }
}

/// Where to send a message: the object's name, and the hint for its place. The first request to an object
/// places it for ever, so there is no way to send a message to a name alone. The core decides both, in
/// `placement`; nothing else makes addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The object's name within its class.
    pub name: Rc<str>,
    /// Where it is created; `None` leaves that to the platform, which creates it near whoever asks first.
    pub location: Option<Location>,
}
