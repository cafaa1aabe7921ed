// SPDX-License-Identifier: Apache-2.0
//! Messages to Durable Objects: how the Worker sends them, and how objects receive and answer them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{Request, Response};
use worker::Env;

use crate::address::{Address, Location};
use crate::event::{Event, EventName};
use crate::issuer::machine::Addressed;
use crate::message::{self, Class, Outcome, Question};
use crate::runtime::http::HttpResult;
use crate::runtime::{clock, executor, http, log, platform};
use crate::seal::SealError;
use crate::secret::Secret;

/// Longest message that is sent in the header, in bytes; a longer one is sent in the body.
const MAX_HEADER: usize = 4096;

/// How long the caller waits for an object's response, in milliseconds. The object's own work continues
/// after that.
const DEADLINE: u32 = 15_000;

/// Largest message that an object reads from the body, in bytes.
const MAX_MESSAGE: usize = 512 * 1024;

/// Why an object gave no answer. The operator's log has the details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallError {
    /// The object missed the deadline, failed, or runs a version that this code does not understand.
    /// A retry may succeed.
    Unavailable,
    /// A sealing key is missing, or the keys are not the ones the vault was created with.
    KeyUnavailable,
    /// The configuration is invalid.
    Misconfigured,
}

/// The answer of an object.
pub enum ObjectReply<A> {
    /// The HTTP response to the vault's caller, which is returned without being parsed.
    Passthrough(Response),
    /// A message in a form of its own, of [`Outcome::Released`].
    Released(Secret),
    /// A message for the code that asked.
    Answer(A),
}

/// Sends a message to the object at this address and returns its answer. For questions that are always
/// answered with a message: an HTTP response to pass through counts as [`CallError::Unavailable`].
pub async fn ask<Q: Question>(
    env: &Env,
    address: &Address,
    question: &Q,
) -> Result<Q::Answer, CallError> {
    ask_within(env, address, question, DEADLINE).await
}

/// Does the same as [`ask`], with a deadline in milliseconds.
pub async fn ask_within<Q: Question>(
    env: &Env,
    address: &Address,
    question: &Q,
    deadline: u32,
) -> Result<Q::Answer, CallError> {
    match pass_on_within(env, address, question, deadline).await? {
        ObjectReply::Answer(answer) => Ok(answer),
        _ => unavailable(Q::CLASS, "unexpected"),
    }
}

/// Sends a message to the object at this address. Its answer may have another form than a message.
pub async fn pass_on<Q: Question>(
    env: &Env,
    address: &Address,
    question: &Q,
) -> Result<ObjectReply<Q::Answer>, CallError> {
    pass_on_within(env, address, question, DEADLINE).await
}

async fn pass_on_within<Q: Question>(
    env: &Env,
    address: &Address,
    question: &Q,
    deadline: u32,
) -> Result<ObjectReply<Q::Answer>, CallError> {
    let Some(question) = message::write(question) else {
        return unavailable(Q::CLASS, "question");
    };
    match call_class(env, Q::CLASS, address, &question, deadline).await? {
        ObjectReply::Passthrough(response) => Ok(ObjectReply::Passthrough(response)),
        ObjectReply::Released(message) => Ok(ObjectReply::Released(message)),
        ObjectReply::Answer(bytes) => match message::read(&bytes) {
            Some(answer) => Ok(ObjectReply::Answer(answer)),
            None => unavailable(Q::CLASS, "unreadable"),
        },
    }
}

/// Asks a machine of this class. The answer is JSON.
pub async fn ask_machine(
    env: &Env,
    class: Class,
    address: &Address,
    message: &Addressed,
) -> Result<String, CallError> {
    let Some(question) = message::write(message) else {
        return unavailable(class, "question");
    };
    match call_class(env, class, address, &question, DEADLINE).await? {
        ObjectReply::Answer(bytes) => match message::read(&bytes) {
            Some(answer) => Ok(answer),
            None => unavailable(class, "unreadable"),
        },
        _ => unavailable(class, "unexpected"),
    }
}

async fn call_class(
    env: &Env,
    class: Class,
    address: &Address,
    question: &str,
    deadline: u32,
) -> Result<ObjectReply<Vec<u8>>, CallError> {
    match call(env, class.binding(), address, question, deadline).await {
        Ok(Called::Reply(reply)) => Ok(reply),
        Ok(Called::Late) => unavailable(class, "deadline"),
        Ok(Called::Nothing(Outcome::KeyUnavailable)) => Err(CallError::KeyUnavailable),
        Ok(Called::Nothing(Outcome::Misconfigured)) => Err(CallError::Misconfigured),
        Ok(Called::Nothing(Outcome::Unsupported)) => unavailable(class, "unsupported"),
        Ok(Called::Nothing(_)) => unavailable(class, "failed"),
        Err(_) => unavailable(class, "platform"),
    }
}

fn unavailable<T>(class: Class, reason: &str) -> Result<T, CallError> {
    let event = Event::new(EventName::ObjectUnavailable).because(reason);
    log::event(&Event { object: Some(class.binding()), ..event });
    Err(CallError::Unavailable)
}

enum Called {
    Reply(ObjectReply<Vec<u8>>),
    Nothing(Outcome),
    Late,
}

async fn call(
    env: &Env,
    binding: &str,
    address: &Address,
    question: &str,
    deadline: u32,
) -> Result<Called, JsValue> {
    let (name, hint) = (&address.name, address.location.map(Location::hint));
    let in_header = question.len() <= MAX_HEADER && question.is_ascii();
    let answer = executor::wait_for(|number, settled| {
        platform::ask(env, binding, name, hint, question, in_header, deadline, number, settled)
    })?;
    let answer = answer.await?;
    if answer.is_undefined() {
        return Ok(Called::Late);
    }
    if let Some(message) = answer.as_string() {
        return Ok(Called::Reply(ObjectReply::Released(Secret::new(message))));
    }
    let response: Response = answer.unchecked_into();
    match Outcome::of(response.status()) {
        Some(Outcome::Passthrough) => Ok(Called::Reply(ObjectReply::Passthrough(response))),
        Some(Outcome::Released) => {
            let message = String::from_utf8(body(&response).await?);
            let message = Secret::new(message.map_err(|_| JsValue::UNDEFINED)?);
            Ok(Called::Reply(ObjectReply::Released(message)))
        }
        Some(Outcome::Answer) => Ok(Called::Reply(ObjectReply::Answer(body(&response).await?))),
        Some(outcome) => Ok(Called::Nothing(outcome)),
        None => Err(JsValue::UNDEFINED),
    }
}

async fn body(response: &Response) -> Result<Vec<u8>, JsValue> {
    let bytes = executor::wait(&response.array_buffer()?).await?;
    Ok(Uint8Array::new(&bytes).to_vec())
}

/// Why an object cannot answer.
#[derive(Debug)]
pub enum ObjectError {
    /// A stored value is sealed with the key of this id, which is not in the key ring.
    KeyUnavailable(String),
    /// The configuration is invalid; the error was logged when it was loaded.
    Misconfigured,
    /// Another cause, as a stable word for the log.
    Failed(&'static str),
}

impl From<SealError> for ObjectError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::KeyUnavailable { key_id } => Self::KeyUnavailable(key_id),
            SealError::Corrupt => Self::Failed("corrupt"),
            SealError::CannotSeal => Self::Failed("cannot_seal"),
        }
    }
}

/// Answers one message: with a `Response` if the work finished without waiting, else with a promise of one.
pub fn answer<Q, F>(request: Request, work: impl FnOnce(Q) -> F + 'static) -> JsValue
where
    Q: Question + 'static,
    F: Future<Output = Result<Q::Answer, ObjectError>> + 'static,
{
    answer_as(request, Q::CLASS, work)
}

/// The same for an object of this class.
pub fn answer_as<Q, F>(
    request: Request,
    class: Class,
    work: impl FnOnce(Q) -> F + 'static,
) -> JsValue
where
    Q: Question + 'static,
    F: Future<Output = Result<Q::Answer, ObjectError>> + 'static,
{
    let mut answer: Pin<Box<dyn Future<Output = Result<JsValue, JsValue>>>> =
        Box::pin(async move { Ok(respond(&request, class, work).await?.into()) });
    match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response,
        Poll::Ready(Err(error)) => Promise::reject(&error).into(),
        Poll::Pending => executor::start(answer).into(),
    }
}

async fn respond<Q, F>(request: &Request, class: Class, work: impl FnOnce(Q) -> F) -> HttpResult
where
    Q: Question,
    F: Future<Output = Result<Q::Answer, ObjectError>>,
{
    let started = clock::milliseconds();
    let question = match platform::question(request) {
        Some(text) => message::read::<Q>(text.as_bytes()),
        None => {
            let read = |number, settled: &_| platform::body(request, number, settled);
            let body: Uint8Array = executor::wait_for(read)?.await?.unchecked_into();
            let body = body.to_vec();
            (body.len() <= MAX_MESSAGE).then(|| message::read::<Q>(&body)).flatten()
        }
    };
    let Some(question) = question else {
        return http::outcome(Outcome::Unsupported, "");
    };
    match work(question).await {
        Ok(answer) => match Q::written(&answer, clock::elapsed(started)) {
            Some((outcome, body)) => http::outcome(outcome, body.expose()),
            None => match message::write(&answer) {
                Some(body) => http::outcome(Outcome::Answer, &body),
                None => http::outcome(Outcome::Failed, ""),
            },
        },
        Err(trouble) => http::outcome(report(trouble, class.binding()), ""),
    }
}

fn report(trouble: ObjectError, binding: &'static str) -> Outcome {
    let (event, outcome) = match trouble {
        ObjectError::KeyUnavailable(key_id) => {
            (Event::new(EventName::KeyUnavailable).detail(key_id), Outcome::KeyUnavailable)
        }
        ObjectError::Misconfigured => return Outcome::Misconfigured,
        ObjectError::Failed(word) => {
            (Event::new(EventName::ObjectFailed).because(word), Outcome::Failed)
        }
    };
    log::event(&Event { object: Some(binding), ..event });
    outcome
}
