// SPDX-License-Identifier: Apache-2.0
//! The machine of a user: one object per `sub`. It has the last word on which identities sign in as
//! this user, and on which of the user's tokens and sessions still serve.
//!
//! ```text
//!        first sign-in       link, unlink, end, disable, enable       erase
//! (none) ────────────▶ user ────────────────────────────────────▶ user ────▶ erased
//! ```
//!
//! A further identity comes by an explicit link, soon after a sign-in, and in no other way: an
//! e-mail address is what a provider says of a user and never tells who that is. The last identity
//! stays.
//!
//! An erased user leaves an empty record, so that nobody becomes that `sub` again.

pub mod message;
pub mod record;

use vault_base::seal::SealError;
use vault_base::time::{CLOCK_SKEW_SECONDS, UnixSeconds};

use super::machine::{At, Machine, Step};

pub use message::{Check, Refusal, Request, Response, View};
pub use record::{EndedSession, Identity, LinkedIdentity, Profile, Record};

/// Oldest sign-in, in seconds, that links a further identity.
pub const LINK_SECONDS: i64 = 300;

/// Most identities of a user.
pub const MAX_IDENTITIES: usize = 10;

/// Most ended sessions that are remembered one by one.
pub const MAX_ENDED: usize = 100;

type UserStep = Step<Record, Response>;

/// The machine of a user.
#[derive(Debug)]
pub struct User;

impl Machine for User {
    type Record = Record;
    type Request = Request;
    type Response = Response;

    fn step(
        record: Option<Record>,
        request: Request,
        at: &At<'_>,
    ) -> Result<Step<Record, Response>, SealError> {
        let now = at.now;
        let mut record = match record {
            Some(record) if record.erased => return Ok(Step::answer(without_user(&request))),
            Some(record) => record,
            None => return Ok(first(request, now)),
        };
        Ok(match request {
            Request::SignedIn { identity, profile } => sign_in(record, &identity, profile),
            Request::Get => Step::answer(Response::User(Box::new(View::of(record)))),
            Request::Link { identity, auth_time } => link(record, identity, auth_time, now),
            Request::Unlink { authority, provider_user_id } => {
                unlink(record, &authority, &provider_user_id)
            }
            Request::EndSession { sid, until } => {
                record.end_session(sid, until, now);
                Step::put(record, Response::Done)
            }
            Request::EndGrant { grant_id, until } => {
                record.end_session(grant_id, until, now);
                Step::put(record, Response::Done)
            }
            Request::EndAll => Step::put(record.ended_all(now), Response::Done),
            Request::Disable => {
                let record = Record { disabled: true, ..record.ended_all(now) };
                Step::put(record, Response::Done)
            }
            Request::Enable => Step::put(Record { disabled: false, ..record }, Response::Done),
            Request::Check(check) => {
                let refusal = record.refusal(&check);
                Step::answer(refusal.map_or(Response::Active, Response::Refused))
            }
            Request::Erase => {
                Step::put(Record { erased: true, ..Record::default() }, Response::Done)
            }
        })
    }
}

/// A step where there is no record: a sign-in makes one.
fn first(request: Request, now: UnixSeconds) -> UserStep {
    match request {
        Request::SignedIn { identity, profile } => {
            let identities = vec![LinkedIdentity { identity, linked_at: now }];
            let profile = profile.bounded();
            let record = Record { identities, profile, created_at: now, ..Record::default() };
            Step::put(record, Response::Active)
        }
        other => Step::answer(without_user(&other)),
    }
}

/// The response where there is no user.
fn without_user(request: &Request) -> Response {
    match request {
        Request::SignedIn { .. } => Response::Taken,
        Request::Unlink { .. } => Response::Unlinked,
        Request::EndSession { .. }
        | Request::EndGrant { .. }
        | Request::EndAll
        | Request::Erase => Response::Done,
        Request::Get
        | Request::Link { .. }
        | Request::Disable
        | Request::Enable
        | Request::Check(_) => Response::Refused(Refusal::Unknown),
    }
}

fn sign_in(record: Record, identity: &Identity, profile: Profile) -> UserStep {
    if record.position(&identity.authority, &identity.provider_user_id).is_none() {
        return Step::answer(Response::Taken);
    }
    if record.disabled {
        return Step::answer(Response::Refused(Refusal::Disabled));
    }
    let profile = profile.bounded();
    if profile == Profile::default() || profile == record.profile {
        return Step::answer(Response::Active);
    }
    Step::put(Record { profile, ..record }, Response::Active)
}

fn link(
    mut record: Record,
    identity: Identity,
    auth_time: UnixSeconds,
    now: UnixSeconds,
) -> UserStep {
    let check = Check { auth_time: Some(auth_time), ..Check::default() };
    if let Some(refusal) = record.refusal(&check) {
        return Step::answer(Response::Refused(refusal));
    }
    if record.position(&identity.authority, &identity.provider_user_id).is_some() {
        return Step::answer(Response::Linked);
    }
    if !(-CLOCK_SKEW_SECONDS..=LINK_SECONDS).contains(&(now - auth_time)) {
        return Step::answer(Response::SignInRequired);
    }
    if record.identities.len() >= MAX_IDENTITIES {
        return Step::answer(Response::TooMany);
    }
    record.identities.push(LinkedIdentity { identity, linked_at: now });
    Step::put(record, Response::Linked)
}

fn unlink(mut record: Record, authority: &str, provider_user_id: &str) -> UserStep {
    let Some(index) = record.position(authority, provider_user_id) else {
        return Step::answer(Response::Unlinked);
    };
    if record.identities.len() == 1 {
        return Step::answer(Response::LastIdentity);
    }
    record.identities.remove(index);
    Step::put(record, Response::Unlinked)
}
