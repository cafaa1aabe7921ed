// SPDX-License-Identifier: Apache-2.0
//! Signing in: what an authorization request needs, and which user of the vault an account at a provider
//! belongs to.

use super::authorization::CodeGrant;
use super::authorization_request::{AuthorizationRequest, Prompt};
use super::identity::Holder;
use super::session::View;
use super::user::{Identity, LINK_SECONDS, Profile};
use super::{identity, user};
use crate::config::{Client, ClientKind};
use vault_base::time::UnixSeconds;
use vault_provider::connection::Connection;

/// What comes next for an authorization request.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Issue the code.
    Issue(CodeGrant),
    /// Ask the user for consent.
    Consent(CodeGrant),
    /// Ask the user whether the account of another connection is to be linked.
    Link(CodeGrant),
    /// Let the user sign in.
    SignIn,
    /// Tell the client that the user would have to act: error code and description.
    Fail(&'static str, &'static str),
}

/// Decides what an authorization request needs. `session` is the browser's, if it has one.
pub fn next(
    request: &AuthorizationRequest,
    client: &Client,
    session: Option<&View>,
    now: UnixSeconds,
) -> Next {
    if request.link.is_some() && request.prompt == Prompt::None {
        return Next::Fail("interaction_required", "the user must consent to link an account");
    }
    let wants_sign_in = matches!(request.prompt, Prompt::Login | Prompt::SelectAccount);
    let link_age = request.link.as_ref().map(|_| LINK_SECONDS);
    let oldest = [request.max_age, link_age].into_iter().flatten().min();
    let is_fresh =
        |session: &&View| oldest.is_none_or(|age| now.saturating_sub(session.auth_time) <= age);
    match session.filter(|_| !wants_sign_in).filter(is_fresh) {
        Some(session) => after(request, client, CodeGrant::of(session)),
        None if request.prompt == Prompt::None => {
            Next::Fail("login_required", "the user must sign in")
        }
        None => Next::SignIn,
    }
}

/// Decides what follows when the user has signed in.
pub fn after(request: &AuthorizationRequest, client: &Client, grant: CodeGrant) -> Next {
    if request.link.is_some() {
        return Next::Link(grant);
    }
    let must_consent = client.kind == ClientKind::ThirdParty || request.prompt == Prompt::Consent;
    match (must_consent, request.prompt) {
        (true, Prompt::None) => Next::Fail("consent_required", "the user must consent"),
        (true, _) => Next::Consent(grant),
        (false, _) => Next::Issue(grant),
    }
}

/// Decides whether the user who waits at an authorization request may go on to link an account. `grant` is
/// what the user consented with, and `session` the browser's session, if it still has one.
///
/// # Errors
/// [`Refused`]: the session has ended or is another user's, or the sign-in is too old.
pub fn may_link(
    grant: &CodeGrant,
    session: Option<&View>,
    now: UnixSeconds,
) -> Result<(), Refused> {
    let is_same = |session: &View| session.sid == grant.sid && session.sub == grant.subject;
    if !session.is_some_and(is_same) {
        return Err(Refused::SessionEnded);
    }
    if now.saturating_sub(grant.auth_time) > LINK_SECONDS {
        return Err(Refused::SignInTooOld);
    }
    Ok(())
}

/// What an account is for that a browser brings from a provider.
#[derive(Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Its user signs in.
    SignIn,
    /// It is linked to this user.
    Link(CodeGrant),
}

/// Decides what an account at `connection` is for. `waiting` is the user who waits at the authorization
/// request. `link` is the user who consented to link an account before the browser went to the provider;
/// `None` if it went there to sign a user in. A consent counts for one user, one sign-in and one connection.
///
/// # Errors
/// [`Refused::OtherRequest`].
pub fn purpose(
    request: &AuthorizationRequest,
    connection: &str,
    waiting: Option<&CodeGrant>,
    link: Option<CodeGrant>,
) -> Result<Purpose, Refused> {
    match link {
        None => Ok(Purpose::SignIn),
        Some(link) if waiting == Some(&link) && request.link.as_deref() == Some(connection) => {
            Ok(Purpose::Link(link))
        }
        Some(_) => Err(Refused::OtherRequest),
    }
}

impl CodeGrant {
    /// What a code gives whose user signed in with this session.
    fn of(session: &View) -> Self {
        Self {
            subject: session.sub.clone(),
            sid: session.sid.clone(),
            auth_time: session.auth_time,
        }
    }
}

/// The next message of a [`Resolution`].
#[derive(Debug)]
pub enum Question {
    /// To the identity's object.
    Identity(identity::Request),
    /// To the object of the user with this `sub`.
    User(String, user::Request),
}

/// The response to a [`Question`].
#[derive(Debug)]
pub enum Answer {
    /// Of the identity's object.
    Identity(identity::Response),
    /// Of the user's object.
    User(user::Response),
}

/// What comes of a response.
#[derive(Debug, PartialEq, Eq)]
pub enum Resolved {
    /// Another question follows.
    More,
    /// The user with this `sub` is signed in, or the account now signs in as this user.
    User(String),
    /// Nobody is signed in and nothing is linked.
    Refused(Refused),
}

/// Why an account does not sign in or is not linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The user is disabled.
    Disabled,
    /// The account signs in as another user.
    OtherUser,
    /// The last sign-in is too old to link an account.
    SignInTooOld,
    /// The user has as many identities as a user may have.
    TooMany,
    /// Another sign-in or link of the account got in between. A new attempt may succeed.
    Again,
    /// The browser session of the user who consented has ended.
    SessionEnded,
    /// The user consented to something else meanwhile.
    OtherRequest,
}

impl Refused {
    /// The reason word for the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Disabled => "user_disabled",
            Self::OtherUser => "account_of_other_user",
            Self::SignInTooOld => "sign_in_too_old",
            Self::TooMany => "too_many_identities",
            Self::Again => "identity_busy",
            Self::SessionEnded => "session_ended",
            Self::OtherRequest => "other_request",
        }
    }
}

/// How often an account is resolved again because an object disagreed.
const ATTEMPTS: u8 = 3;

/// The messages that find the user of an account, or link the account to a user. Each response decides the
/// next message. The steps and their order are those that [`identity`] describes.
#[derive(Debug)]
pub struct Resolution {
    identity: Identity,
    profile: Profile,
    /// The user to link the account to, and when that user signed in. `None`: a sign-in.
    link: Option<(String, UnixSeconds)>,
    stage: Stage,
    attempts: u8,
}

#[derive(Debug)]
enum Stage {
    Resolve {
        refused: Option<u64>,
    },
    SignIn(Holder),
    Reserve,
    AskOwner(Holder),
    Release(Holder),
    /// With the revision of the reservation.
    Link(u64),
    Confirm(String),
    /// Undoes a link in the user's object, and then refuses.
    GiveUp(Refused),
    /// Asks whether the user holds the identity from an earlier link, ends the reservation accordingly, and
    /// then refuses.
    AskTarget(Refused, u64),
    Unreserve(Refused, u64),
    Keep(Refused),
}

impl Resolution {
    /// The sign-in of an account at a provider. `name` is the connection's.
    pub fn sign_in(name: &str, connection: &Connection, user: String, profile: Profile) -> Self {
        let stage = Stage::Resolve { refused: None };
        let identity = identity::of(name, connection, user);
        Self { identity, profile, link: None, stage, attempts: 0 }
    }

    /// The link of an account to the user `sub`, who signed in at `auth_time`.
    pub fn link(
        name: &str,
        connection: &Connection,
        user: String,
        sub: String,
        auth_time: UnixSeconds,
    ) -> Self {
        let identity = identity::of(name, connection, user);
        let link = Some((sub, auth_time));
        Self { identity, profile: Profile::default(), link, stage: Stage::Reserve, attempts: 0 }
    }

    /// The account: it names the identity's object.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    fn target(&self) -> String {
        self.link.as_ref().map(|(sub, _)| sub.clone()).unwrap_or_default()
    }

    /// The next message.
    pub fn question(&self) -> Question {
        let identity = self.identity.clone();
        match &self.stage {
            Stage::Resolve { refused } => Question::Identity(identity::Request::Resolve {
                connection: identity.connection,
                provider_user_id: identity.provider_user_id,
                refused: *refused,
            }),
            Stage::SignIn(holder) => Question::User(
                holder.sub.clone(),
                user::Request::SignedIn { identity, profile: self.profile.clone() },
            ),
            Stage::Reserve => Question::Identity(identity::Request::Link { sub: self.target() }),
            Stage::AskOwner(owner) => Question::User(owner.sub.clone(), user::Request::Get),
            Stage::Release(owner) => Question::Identity(identity::Request::Unlink {
                sub: owner.sub.clone(),
                revision: Some(owner.revision),
            }),
            Stage::Link(_) => {
                let auth_time = self.link.as_ref().map_or(0, |(_, auth_time)| *auth_time);
                Question::User(self.target(), user::Request::Link { identity, auth_time })
            }
            Stage::Confirm(sub) => {
                Question::Identity(identity::Request::Confirm { sub: sub.clone() })
            }
            Stage::AskTarget(..) => Question::User(self.target(), user::Request::Get),
            Stage::Keep(_) => Question::Identity(identity::Request::Confirm { sub: self.target() }),
            Stage::GiveUp(_) => Question::User(
                self.target(),
                user::Request::Unlink {
                    authority: identity.authority,
                    provider_user_id: identity.provider_user_id,
                },
            ),
            Stage::Unreserve(_, revision) => Question::Identity(identity::Request::Unlink {
                sub: self.target(),
                revision: Some(*revision),
            }),
        }
    }

    /// Takes the response to the message.
    pub fn answered(&mut self, answer: Answer) -> Resolved {
        match answer {
            Answer::Identity(response) => self.identity_answered(response),
            Answer::User(response) => self.user_answered(response),
        }
    }

    fn identity_answered(&mut self, response: identity::Response) -> Resolved {
        use identity::Response::{Busy, Free, Owned, Reserved, Taken};
        self.stage = match (&self.stage, response) {
            (Stage::Resolve { .. }, Owned(holder) | Reserved(holder)) => Stage::SignIn(holder),
            (Stage::Reserve, Owned(holder) | Reserved(holder)) => Stage::Link(holder.revision),
            (Stage::Reserve, Taken(owner)) if self.attempts < ATTEMPTS => {
                self.attempts += 1;
                Stage::AskOwner(owner)
            }
            (Stage::Release(_), _) => Stage::Reserve,
            (Stage::Confirm(sub), Owned(holder)) if holder.sub == *sub => {
                return Resolved::User(holder.sub);
            }
            (Stage::Confirm(_), _) if self.link.is_some() => Stage::GiveUp(Refused::Again),
            (Stage::Unreserve(refused, _) | Stage::Keep(refused), _) => {
                return Resolved::Refused(*refused);
            }
            (_, Owned(_) | Reserved(_) | Taken(_) | Busy | Free) => {
                return Resolved::Refused(Refused::Again);
            }
        };
        Resolved::More
    }

    fn user_answered(&mut self, response: user::Response) -> Resolved {
        use user::Response::{Active, LastIdentity, Linked, SignInRequired, Taken, TooMany, User};
        let holds = |view: &user::View| {
            view.holds(&self.identity.authority, &self.identity.provider_user_id)
        };
        self.stage = match (&self.stage, response) {
            (Stage::SignIn(holder), Active) => Stage::Confirm(holder.sub.clone()),
            // The `sub` is another account's: of a connection that had another provider, or of a user
            // who unlinked or was erased.
            (Stage::SignIn(holder), Taken) if self.attempts < ATTEMPTS => {
                self.attempts += 1;
                Stage::Resolve { refused: Some(holder.revision) }
            }
            (Stage::AskOwner(_), User(view)) if holds(&view) => {
                return Resolved::Refused(Refused::OtherUser);
            }
            (Stage::AskOwner(owner), _) => Stage::Release(owner.clone()),
            (Stage::Link(_), Linked) => Stage::Confirm(self.target()),
            (Stage::Link(revision), SignInRequired) => {
                Stage::Unreserve(Refused::SignInTooOld, *revision)
            }
            (Stage::Link(revision), TooMany) => Stage::Unreserve(Refused::TooMany, *revision),
            (Stage::Link(revision), _) => Stage::AskTarget(Refused::Disabled, *revision),
            (Stage::AskTarget(refused, _), User(view)) if holds(&view) => Stage::Keep(*refused),
            (Stage::AskTarget(refused, revision), _) => Stage::Unreserve(*refused, *revision),
            // The user unlinked all others meanwhile.
            (Stage::GiveUp(_), LastIdentity) if self.attempts < ATTEMPTS => {
                self.attempts += 1;
                Stage::Reserve
            }
            (Stage::GiveUp(refused), _) => return Resolved::Refused(*refused),
            (_, Taken) => return Resolved::Refused(Refused::Again),
            _ => return Resolved::Refused(Refused::Disabled),
        };
        Resolved::More
    }
}
