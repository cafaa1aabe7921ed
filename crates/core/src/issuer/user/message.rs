// SPDX-License-Identifier: Apache-2.0
//! Messages to a user's object.

use serde::{Deserialize, Serialize};

use vault_base::time::UnixSeconds;

use super::record::{Identity, LinkedIdentity, Profile, Record};

/// A request to the object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Somebody signed in with an identity that is reserved for this user, or belongs to it.
    SignedIn {
        /// The identity.
        identity: Identity,
        /// What the provider told. If that is nothing, what is known stays.
        profile: Profile,
    },
    /// Who the user is.
    Get,
    /// A further identity, which was reserved for this user, signs in as this user from now on.
    Link {
        /// The identity.
        identity: Identity,
        /// When the user signed in with one of those that are linked.
        auth_time: UnixSeconds,
    },
    /// An identity signs in as this user no more.
    Unlink {
        /// [`Identity::authority`].
        authority: String,
        /// [`Identity::provider_user_id`].
        provider_user_id: String,
    },
    /// A browser session of the user has ended.
    EndSession {
        /// Its id.
        sid: String,
        /// When the last access token of it ends by itself.
        until: UnixSeconds,
    },
    /// A refresh-token family of the user was revoked (RFC 7009 §2.1).
    EndGrant {
        /// [`super::super::family::grant_id`].
        grant_id: String,
        /// When the last access token of it ends by itself.
        until: UnixSeconds,
    },
    /// End all that came of sign-ins until now.
    EndAll,
    /// The same, and let nobody sign in.
    Disable,
    /// Let the user sign in again. What was ended stays so.
    Enable,
    /// Whether a token or session of the user still serves.
    Check(Check),
    /// Forget the user. The identities are erased first, each in its own object.
    Erase,
}

/// What is known of a token or session of a user.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Check {
    /// Browser session of an access token, or the session itself. Not of a refresh token: its
    /// family may outlive the session, and is ended on its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// The refresh-token family of an access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<String>,
    /// When the user signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<UnixSeconds>,
    /// When an access token was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<UnixSeconds>,
}

/// The response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// The user is signed in, or the token or session serves.
    Active,
    /// It does not.
    Refused(Refusal),
    /// This `sub` is another identity's, or was an erased user's.
    Taken,
    /// The user.
    User(Box<View>),
    /// The identity signs in as this user.
    Linked,
    /// The user must sign in again before anything is linked.
    SignInRequired,
    /// The user has as many identities as may be.
    TooMany,
    /// The identity does not sign in as this user.
    Unlinked,
    /// It is the user's last.
    LastIdentity,
    /// Noted.
    Done,
}

/// Why nothing serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// There is no such user, or no more.
    Unknown,
    /// The operator has disabled the user.
    Disabled,
    /// All that came of that sign-in, or all tokens of that time, were ended.
    Ended,
    /// The browser session has ended.
    SessionEnded,
}

/// A user, as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The identities.
    pub identities: Vec<LinkedIdentity>,
    /// What a provider told last.
    #[serde(default)]
    pub profile: Profile,
    /// First sign-in.
    pub created_at: UnixSeconds,
    /// Whether the operator has disabled the user.
    #[serde(default)]
    pub disabled: bool,
}

impl View {
    pub(super) fn of(record: Record) -> Self {
        let Record { identities, profile, created_at, disabled, .. } = record;
        Self { identities, profile, created_at, disabled }
    }

    /// Whether an identity signs in as this user.
    pub fn holds(&self, authority: &str, provider_user_id: &str) -> bool {
        self.identities.iter().any(|one| one.identity.is(authority, provider_user_id))
    }
}
