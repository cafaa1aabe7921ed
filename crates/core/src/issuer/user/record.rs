// SPDX-License-Identifier: Apache-2.0
//! What a user's object holds. Stored as JSON.

use serde::{Deserialize, Serialize};

use vault_base::time::{CLOCK_SKEW_SECONDS, UnixSeconds};

use super::MAX_ENDED;
use super::message::{Check, Refusal};

/// What the object holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Record {
    /// The identities that sign in as this user, in the order of their links.
    #[serde(default)]
    pub identities: Vec<LinkedIdentity>,
    /// What a provider told last.
    #[serde(default)]
    pub profile: Profile,
    /// First sign-in.
    #[serde(default)]
    pub created_at: UnixSeconds,
    /// Whether the operator has disabled the user.
    #[serde(default)]
    pub disabled: bool,
    /// Sign-ins up to this time are over, and with them all that came of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<UnixSeconds>,
    /// Access tokens issued up to this time are over, though sign-ins may go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_not_before: Option<UnixSeconds>,
    /// Sessions and refresh-token families that ended while access tokens of theirs may still live, the
    /// latest last.
    #[serde(default)]
    pub ended: Vec<EndedSession>,
    /// Whether the user was erased. Then nothing else is known.
    #[serde(default)]
    pub erased: bool,
}

/// An account at a provider that signs in as a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Where the provider's id is unique: see [`crate::issuer::identity::of`].
    pub authority: String,
    /// The connection that it signed in with.
    pub connection: String,
    /// The provider's id of the user.
    pub provider_user_id: String,
}

/// An identity of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedIdentity {
    /// The identity.
    #[serde(flatten)]
    pub identity: Identity,
    /// Since when it signs in as this user.
    pub linked_at: UnixSeconds,
}

/// What a provider told of a user (OpenID Connect Core §5.1).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Profile {
    /// A name to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the provider says that the address is the user's.
    #[serde(default)]
    pub email_verified: bool,
    /// URL of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
}

/// A browser session or a refresh-token family that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedSession {
    /// `sid` or `grant_id` of its access tokens. The two never have the same form.
    pub sid: String,
    /// When it ended: access tokens that were issued up to then are over.
    pub at: UnixSeconds,
    /// When the last of them ends by itself.
    pub until: UnixSeconds,
}

impl Record {
    /// Where an identity stands among those of the user.
    pub(super) fn position(&self, authority: &str, provider_user_id: &str) -> Option<usize> {
        let is_it = |linked: &LinkedIdentity| linked.identity.is(authority, provider_user_id);
        self.identities.iter().position(is_it)
    }

    /// Nothing that came of sign-ins until now serves.
    pub(super) fn ended_all(self, now: UnixSeconds) -> Self {
        Self { not_before: self.not_before.max(Some(now)), ..self }
    }

    /// Remembers the end of a session or of a refresh-token family.
    pub(super) fn end_session(&mut self, sid: String, until: UnixSeconds, now: UnixSeconds) {
        self.ended.retain(|one| one.until + CLOCK_SKEW_SECONDS > now);
        if let Some(known) = self.ended.iter_mut().find(|one| one.sid == sid) {
            known.until = known.until.max(until);
            return;
        }
        self.ended.push(EndedSession { sid, at: now, until });
        // What cannot be remembered one by one is ended along with all that was issued before.
        while self.ended.len() > MAX_ENDED {
            let oldest = self.ended.remove(0);
            self.tokens_not_before = self.tokens_not_before.max(Some(oldest.at));
        }
    }

    /// Why a token or session does not serve, if it does not.
    pub(super) fn refusal(&self, check: &Check) -> Option<Refusal> {
        let up_to = |end: Option<UnixSeconds>, time: Option<UnixSeconds>| {
            end.zip(time).is_some_and(|(end, time)| time <= end)
        };
        let of_ended_session = |ended: &EndedSession| {
            let is_it = |id: &Option<String>| id.as_ref() == Some(&ended.sid);
            (is_it(&check.sid) || is_it(&check.grant_id))
                && check.issued_at.is_none_or(|issued_at| issued_at <= ended.at)
        };
        if self.disabled {
            return Some(Refusal::Disabled);
        }
        if up_to(self.not_before, check.auth_time)
            || up_to(self.not_before.max(self.tokens_not_before), check.issued_at)
        {
            return Some(Refusal::Ended);
        }
        self.ended.iter().any(of_ended_session).then_some(Refusal::SessionEnded)
    }
}

impl Identity {
    /// Whether it is this one: the connection's name does not matter.
    pub(super) fn is(&self, authority: &str, provider_user_id: &str) -> bool {
        self.authority == authority && self.provider_user_id == provider_user_id
    }
}

impl Profile {
    /// Without values that are empty or of no sane length.
    pub(super) fn bounded(self) -> Self {
        let fits = |value: Option<String>, most: usize| {
            value.filter(|text| (1..=most).contains(&text.len()))
        };
        // Longest address: RFC 5321 §4.5.3.1.
        let email = fits(self.email, 320);
        Self {
            name: fits(self.name, 256),
            email_verified: self.email_verified && email.is_some(),
            email,
            picture: fits(self.picture, 2048),
        }
    }
}
