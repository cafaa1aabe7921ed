// SPDX-License-Identifier: Apache-2.0
//! Signing in: what an authorization request needs, and which user of the vault a user at a provider is.

use super::authorization::CodeGrant;
use super::authorization_request::{AuthorizationRequest, Prompt};
use super::session::SignedIn;
use super::user::{LinkedIdentity, Profile};
use super::{identity, user};
use crate::config::{Client, ClientKind};
use vault_base::encoding::{self, RandomnessError};
use vault_base::time::UnixSeconds;
use vault_provider::connection::Connection;

/// What comes next for an authorization request.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Issue the code.
    Issue(CodeGrant),
    /// Ask the user for consent.
    Consent(CodeGrant),
    /// Let the user sign in.
    SignIn,
    /// Tell the client that the user would have to act.
    Fail(&'static str, &'static str),
}

/// Decides what an authorization request needs. `session` is the browser's, with its `sid`.
pub fn next(
    request: &AuthorizationRequest,
    client: &Client,
    session: Option<(&str, &SignedIn)>,
    now: UnixSeconds,
) -> Next {
    let wants_sign_in = matches!(request.prompt, Prompt::Login | Prompt::SelectAccount);
    let is_fresh = |user: &SignedIn| {
        request.max_age.is_none_or(|age| now.saturating_sub(user.auth_time) <= age)
    };
    let session = session.filter(|(_, user)| !wants_sign_in && is_fresh(user));
    let Some((sid, user)) = session else {
        return if request.prompt == Prompt::None {
            Next::Fail("login_required", "the user must sign in")
        } else {
            Next::SignIn
        };
    };
    after(request, client, sid, user)
}

/// Decides what follows when the user has just signed in.
pub fn after(request: &AuthorizationRequest, client: &Client, sid: &str, user: &SignedIn) -> Next {
    let grant =
        CodeGrant { subject: user.subject.clone(), sid: sid.to_owned(), auth_time: user.auth_time };
    let must_consent = client.kind == ClientKind::ThirdParty || request.prompt == Prompt::Consent;
    match (must_consent, request.prompt) {
        (true, Prompt::None) => Next::Fail("consent_required", "the user must consent"),
        (true, _) => Next::Consent(grant),
        (false, _) => Next::Issue(grant),
    }
}

/// Finding the user of the vault: each question is asked, and its answer decides the next one.
#[derive(Debug)]
pub struct Resolution {
    identity: LinkedIdentity,
    profile: Profile,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Asks the identity whose it is.
    Find,
    /// Asks the user with this `sub` to sign in. `owned`: the identity says that it is this user's.
    SignIn { subject: String, owned: bool, attempts: u8 },
    /// Asks the identity to be this user's.
    Own { subject: String },
}

/// The next question.
#[derive(Debug)]
pub enum Question {
    /// Ask the identity.
    Identity(identity::Request),
    /// Ask the user with this `sub`.
    User(String, user::Request),
}

/// The answer to a question.
#[derive(Debug)]
pub enum Answer {
    /// Of the identity.
    Identity(identity::Response),
    /// Of the user.
    User(user::Response),
}

/// What comes of an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Resolved {
    /// Another question comes.
    More,
    /// The user with this `sub` is signed in.
    User(String),
    /// Nobody is signed in.
    Refused,
}

/// How often another `sub` is tried where one is taken.
const ATTEMPTS: u8 = 3;

/// Greatest length of a `sub` (OpenID Connect Core §2).
const MAX_SUBJECT: usize = 255;

/// A suffix as long as each that tells two users apart: base64url of six bytes.
const LONGEST_SUFFIX: &str = "--------";

impl Resolution {
    /// Begins with a user at a provider. `name` is the connection's. `None`: the provider's id of the user
    /// cannot be part of a `sub`, which is at most 255 ASCII characters long (OpenID Connect Core §2) and
    /// stands in headers and logs of applications.
    pub fn new(
        name: &str,
        connection: &Connection,
        user: String,
        profile: Profile,
    ) -> Option<Self> {
        let longest = identity::subject(name, &user, Some(LONGEST_SUFFIX)).len();
        let is_usable = longest <= MAX_SUBJECT && user.bytes().all(|byte| byte.is_ascii_graphic());
        let realm = identity::realm(connection);
        let identity = LinkedIdentity { realm, user, connection: name.to_owned() };
        is_usable.then_some(Self { identity, profile, stage: Stage::Find })
    }

    /// The identity: its realm, and the provider's id of the user.
    pub fn identity(&self) -> (&str, &str) {
        (&self.identity.realm, &self.identity.user)
    }

    /// The next question.
    pub fn question(&self) -> Question {
        match &self.stage {
            Stage::Find => Question::Identity(identity::Request::Find),
            Stage::SignIn { subject, .. } => Question::User(
                subject.clone(),
                user::Request::SignIn {
                    identity: self.identity.clone(),
                    profile: self.profile.clone(),
                },
            ),
            Stage::Own { subject } => {
                Question::Identity(identity::Request::Own { subject: subject.clone() })
            }
        }
    }

    /// Takes the answer to the question.
    ///
    /// # Errors
    /// [`RandomnessError`].
    pub fn answered(&mut self, answer: &Answer) -> Result<Resolved, RandomnessError> {
        let owned = |subject: &String| Stage::SignIn {
            subject: subject.clone(),
            owned: true,
            attempts: ATTEMPTS,
        };
        self.stage = match (&self.stage, answer) {
            (Stage::Find, Answer::Identity(identity::Response::Owned { subject })) => {
                owned(subject)
            }
            (Stage::Find, Answer::Identity(identity::Response::Free { was_owned })) => {
                Stage::SignIn { subject: self.subject(*was_owned)?, owned: false, attempts: 0 }
            }
            (
                Stage::SignIn { subject, owned: true, .. },
                Answer::User(user::Response::SignedIn),
            ) => {
                return Ok(Resolved::User(subject.clone()));
            }
            (Stage::SignIn { subject, .. }, Answer::User(user::Response::SignedIn)) => {
                Stage::Own { subject: subject.clone() }
            }
            // Another user has this `sub`: of a connection that stood for another provider, or of an
            // identity that was erased.
            (Stage::SignIn { owned: false, attempts, .. }, Answer::User(user::Response::Taken))
                if *attempts < ATTEMPTS =>
            {
                let attempts = attempts + 1;
                Stage::SignIn { subject: self.subject(true)?, owned: false, attempts }
            }
            // Two sign-ins at once: the first one's user counts.
            (
                Stage::Own { subject },
                Answer::Identity(identity::Response::Owned { subject: of }),
            ) => {
                if subject == of {
                    return Ok(Resolved::User(subject.clone()));
                }
                owned(of)
            }
            _ => return Ok(Resolved::Refused),
        };
        Ok(Resolved::More)
    }

    fn subject(&self, with_suffix: bool) -> Result<String, RandomnessError> {
        let suffix =
            if with_suffix { Some(encoding::base64url(encoding::random::<6>()?)) } else { None };
        let LinkedIdentity { connection, user, .. } = &self.identity;
        Ok(identity::subject(connection, user, suffix.as_deref()))
    }
}
