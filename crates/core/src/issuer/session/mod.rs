// SPDX-License-Identifier: Apache-2.0
//! The machine of a browser session: that a user is signed in in one browser, and at which clients.
//!
//! ```text
//!           sign-in, check, join                end                 each task done, or given up
//! (none) ──start──▶ live ──────▶ live ─────────────────▶ ended ─────────────────────────▶ (none)
//!                     └──idle──▶ over ──absolute end──▶ (none)
//! ```
//!
//! A session that was idle for too long signs nobody in, and is kept all the same until its
//! absolute end: until then a logout finds the clients.
//!
//! The session's id is the `sid` of tokens (OpenID Connect Back-Channel Logout 1.0 §2.1), and no
//! secret. The cookie holds a secret beside it, of which only the hash is here, and each sign-in
//! changes it.
//!
//! A session that ends leaves tasks: access tokens and refresh-token families to end, and clients to
//! notify. Each is given out again until it is reported as done.

pub mod message;
pub mod record;

use vault_base::encoding;
use vault_base::seal::SealError;
use vault_base::secret::Secret;
use vault_base::time::UnixSeconds;

use super::machine::{At, Machine, Step, Write};
use crate::event::{Event, EventName};

pub use message::{Proof, Request, Response, SignIn, View};
pub use record::{Ended, Member, Pending, Record, Task};

/// How often, in seconds, a use of the session is written, so that most checks write nothing.
pub const SLIDE_SECONDS: i64 = 60;

/// Most clients of one session.
pub const MAX_CLIENTS: usize = 50;

/// Most refresh-token families of one client in one session.
pub const MAX_FAMILIES: usize = 16;

/// Seconds until the object wakes again where tasks were not taken up.
const RETRY_SECONDS: i64 = 60;

/// Seconds from each attempt at a task to the next. What is not done after the last is given up.
const PAUSES: [i64; 7] = [RETRY_SECONDS, 120, 600, 3600, 6 * 3600, 86_400, 86_400];

type SessionStep = Step<Record, Response>;

/// The machine of a browser session.
#[derive(Debug)]
pub struct BrowserSession;

impl Machine for BrowserSession {
    type Record = Record;
    type Request = Request;
    type Response = Response;

    fn step(
        record: Option<Record>,
        request: Request,
        at: &At<'_>,
    ) -> Result<Step<Record, Response>, SealError> {
        let now = at.now;
        let Some(record) = record else {
            return match request {
                Request::Start { sid, sign_in } => start(sid, sign_in, now),
                _ => Ok(Step::answer(Response::None)),
            };
        };
        Ok(match request {
            Request::Start { .. } => Step::answer(Response::None),
            Request::SignIn { secret, sign_in } => {
                return sign_in_again(record, &secret, sign_in, now);
            }
            Request::Check { secret } => check(record, &secret, now),
            Request::Join { client_id, family } => join(record, client_id, family, now),
            Request::End { proof } => end(record, &proof, now),
            Request::Due => due(record, now),
            Request::Done { tasks } => done(record, &tasks),
        })
    }

    /// Deletes a session that is over and leaves nothing to do. Where there are tasks, the edge asks
    /// for them ([`Request::Due`]) before it calls this.
    fn wake(record: Record, at: &At<'_>) -> Step<Record, ()> {
        let wake_at = match record.ended {
            None => Some(record.absolute_end).filter(|end| at.now < *end),
            Some(ended) => ended.due().map(|due| due.max(at.now + RETRY_SECONDS)),
        };
        let write = if wake_at.is_some() { Write::Keep } else { Write::Delete };
        Step { write, wake_at, ..Step::answer(()) }
    }
}

fn start(sid: String, sign_in: SignIn, now: UnixSeconds) -> Result<SessionStep, SealError> {
    let secret = new_secret()?;
    let record = Record::new(sid, hash(&secret), sign_in, now);
    Ok(started(record, secret))
}

/// A new cookie and a new life for the same user. Clients keep their `sid`, so that a later logout
/// reaches those that joined before.
fn sign_in_again(
    record: Record,
    presented: &Secret,
    sign_in: SignIn,
    now: UnixSeconds,
) -> Result<SessionStep, SealError> {
    if !record.is_live(now) || !record.admits(presented) || record.sub != sign_in.sub {
        return Ok(Step::answer(Response::None));
    }
    let secret = new_secret()?;
    let begun = Record::new(record.sid.clone(), hash(&secret), sign_in, now);
    let record = Record { created_at: record.created_at, clients: record.clients, ..begun };
    Ok(started(record, secret))
}

fn started(record: Record, secret: Secret) -> SessionStep {
    let absolute_end = record.absolute_end;
    Step::put(record, Response::Started { secret }).waking(absolute_end)
}

fn check(mut record: Record, secret: &Secret, now: UnixSeconds) -> SessionStep {
    if !record.is_live(now) || !record.admits(secret) {
        return Step::answer(Response::None);
    }
    let slides = now - record.used_at >= SLIDE_SECONDS;
    if slides {
        record.used_at = now;
    }
    let response = Response::Session(Box::new(View::of(&record)));
    if slides { Step::put(record, response) } else { Step::answer(response) }
}

fn join(
    mut record: Record,
    client_id: String,
    family: Option<String>,
    now: UnixSeconds,
) -> SessionStep {
    if !record.is_live(now) {
        return Step::answer(Response::None);
    }
    let before = record.clients.clone();
    let mut member = match record.clients.iter().position(|one| one.client_id == client_id) {
        Some(index) => record.clients.remove(index),
        None => Member { client_id, families: Vec::new() },
    };
    member.families.extend(family.filter(|family| !member.families.contains(family)));
    let mut dropped = oldest(&mut member.families, MAX_FAMILIES);
    record.clients.push(member);
    for member in oldest(&mut record.clients, MAX_CLIENTS) {
        dropped.extend(member.families);
    }
    let response = Response::Joined { end: dropped };
    if record.clients == before { Step::answer(response) } else { Step::put(record, response) }
}

/// Removes the first of a list, so that at most this many are left, and gives them.
fn oldest<T>(list: &mut Vec<T>, most: usize) -> Vec<T> {
    list.drain(..list.len().saturating_sub(most)).collect()
}

fn end(mut record: Record, proof: &Proof, now: UnixSeconds) -> SessionStep {
    let is_proven = match proof {
        Proof::Secret(secret) => record.admits(secret),
        Proof::Subject(sub) => record.sub == *sub,
    };
    if !is_proven {
        return Step::answer(Response::None);
    }
    record.ended.get_or_insert_with(|| Ended::of(&record.clients, now));
    // The caller does at once what ends tokens. The object notifies the clients when it wakes.
    let is_callers = |task: &Task| !matches!(task, Task::Notify { .. });
    take_due(record, now, is_callers, |record, tasks| {
        let Record { sid, sub, .. } = record;
        Response::Ended { sid: sid.clone(), sub: sub.clone(), tasks }
    })
}

fn due(record: Record, now: UnixSeconds) -> SessionStep {
    take_due(
        record,
        now,
        |_| true,
        |record, tasks| {
            let Record { sid, sub, .. } = record;
            Response::Due { sid: sid.clone(), sub: sub.clone(), tasks }
        },
    )
}

/// Gives the tasks that are due. Each is due again later, unless it is reported as done.
fn take_due(
    mut record: Record,
    now: UnixSeconds,
    is_taken: impl Fn(&Task) -> bool,
    response: impl Fn(&Record, Vec<Task>) -> Response,
) -> SessionStep {
    let Some(ended) = &mut record.ended else {
        return Step::answer(response(&record, Vec::new()));
    };
    let sid = record.sid.clone();
    let mut tasks = Vec::new();
    let mut events = Vec::new();
    ended.tasks.retain_mut(|pending| {
        if now < pending.due || !is_taken(&pending.task) {
            return true;
        }
        let Some(pause) = PAUSES.get(pending.attempts) else {
            events.push(given_up(&pending.task, &sid));
            return false;
        };
        pending.attempts += 1;
        pending.due = now + pause;
        tasks.push(pending.task.clone());
        true
    });
    let wake_at = ended.due();
    let response = response(&record, tasks);
    Step { events, ..settled(record, response, wake_at) }
}

fn done(mut record: Record, tasks: &[Task]) -> SessionStep {
    let Some(ended) = &mut record.ended else {
        return Step::answer(Response::Done);
    };
    ended.tasks.retain(|pending| !tasks.contains(&pending.task));
    let wake_at = ended.due();
    settled(record, Response::Done, wake_at)
}

/// Keeps a session that has ended while it leaves anything to do.
fn settled(record: Record, response: Response, wake_at: Option<UnixSeconds>) -> SessionStep {
    let write = if wake_at.is_some() { Write::Put(record) } else { Write::Delete };
    Step { write, wake_at, ..Step::answer(response) }
}

fn given_up(task: &Task, sid: &str) -> Event {
    let (what, which) = match task {
        Task::Notify { client_id } => ("client_not_notified", client_id.as_str()),
        Task::EndFamily { family } => ("family_not_ended", family.as_str()),
        Task::EndAccessTokens => ("access_tokens_not_ended", sid),
    };
    Event::new(EventName::LogoutIncomplete).because(what).detail(which)
}

/// 256 random bits as 43 base64url characters.
fn new_secret() -> Result<Secret, SealError> {
    let bytes = encoding::random::<32>().map_err(|_| SealError::CannotSeal)?;
    Ok(Secret::new(encoding::base64url(bytes)))
}

/// What is stored of a secret: SHA-256, hex.
fn hash(secret: &Secret) -> String {
    encoding::hex(&secret.sha256())
}

impl Record {
    fn is_live(&self, now: UnixSeconds) -> bool {
        self.ended.is_none() && now < self.ends_at()
    }

    fn admits(&self, presented: &Secret) -> bool {
        encoding::constant_time_eq(hash(presented).as_bytes(), self.secret.as_bytes())
    }
}
