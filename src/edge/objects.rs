//! Questions to objects, and how objects answer them.

use std::future::Future;
use std::time::Duration;

use futures_util::future::{Either, select};
use wasm_bindgen::JsValue;
use worker::{Delay, Env, Method, Request, RequestInit, Response};

use super::log;
use crate::error::Event;
use crate::message::{self, Question, Reply};
use crate::seal::SealError;

/// How long an object may take. What it does goes on.
const DEADLINE: Duration = Duration::from_secs(15);

/// Largest message, in bytes.
const MAX_MESSAGE: usize = 512 * 1024;

/// Why an object gave no answer. Its log says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// Too late, out of order, or of another version.
    Unavailable,
    /// A sealing key is missing.
    KeyUnavailable,
    /// The configuration cannot be worked with.
    Misconfigured,
}

/// Asks the object of this name.
pub async fn ask<Q: Question>(env: &Env, name: &str, question: &Q) -> Result<Q::Answer, NoAnswer> {
    let work = Box::pin(call(env, name, question));
    let reply = match select(work, Delay::from(DEADLINE)).await {
        Either::Left((Ok(Some(reply)), _)) => reply,
        Either::Left((Ok(None), _)) => return unavailable::<Q>("unreadable"),
        Either::Left((Err(error), _)) => return unavailable::<Q>(log::kind(&error)),
        Either::Right(_) => return unavailable::<Q>("deadline"),
    };
    match reply {
        Reply::Answer(answer) => Ok(answer),
        Reply::KeyUnavailable => Err(NoAnswer::KeyUnavailable),
        Reply::Misconfigured => Err(NoAnswer::Misconfigured),
        Reply::Failed => unavailable::<Q>("failed"),
        Reply::Unsupported => unavailable::<Q>("unsupported"),
    }
}

fn unavailable<Q: Question>(reason: &str) -> Result<Q::Answer, NoAnswer> {
    let reason = format!("{}: {reason}", Q::CLASS.binding());
    log::event(&Event::new("object_unavailable", reason));
    Err(NoAnswer::Unavailable)
}

async fn call<Q: Question>(
    env: &Env,
    name: &str,
    question: &Q,
) -> worker::Result<Option<Reply<Q::Answer>>> {
    let stub = env.durable_object(Q::CLASS.binding())?.get_by_name(name)?;
    let Some(body) = message::write(question) else {
        return Ok(None);
    };
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(JsValue::from_str(&body)));
    let request = Request::new_with_init("https://object/", &init)?;
    let mut response = stub.fetch_with_request(request).await?;
    Ok(message::read(&response.bytes().await?))
}

/// What can keep an object from answering.
#[derive(Debug)]
pub enum Trouble {
    /// A stored value needs this sealing key.
    KeyUnavailable(String),
    /// The configuration cannot be worked with; that was logged.
    Misconfigured,
    /// Something else, by a stable word.
    Failed(&'static str),
}

impl From<worker::Error> for Trouble {
    fn from(error: worker::Error) -> Self {
        Self::Failed(log::kind(&error))
    }
}

impl From<SealError> for Trouble {
    fn from(error: SealError) -> Self {
        match error {
            SealError::KeyUnavailable { key_id } => Self::KeyUnavailable(key_id),
            SealError::Corrupt => Self::Failed("corrupt"),
            SealError::CannotSeal => Self::Failed("cannot_seal"),
        }
    }
}

/// Answers one question. Always `Ok`: an `Err` would be logged whole by the platform.
pub async fn answer<Q, F>(
    mut request: Request,
    work: impl FnOnce(Q) -> F,
) -> worker::Result<Response>
where
    Q: Question,
    F: Future<Output = Result<Q::Answer, Trouble>>,
{
    let body = request.bytes().await?;
    let question = (body.len() <= MAX_MESSAGE).then(|| message::read::<Q>(&body)).flatten();
    let reply = match question {
        None => Reply::Unsupported,
        Some(question) => match work(question).await {
            Ok(answer) => Reply::Answer(answer),
            Err(trouble) => report::<Q>(trouble),
        },
    };
    Response::ok(message::write(&reply).unwrap_or_default())
}

fn report<Q: Question>(trouble: Trouble) -> Reply<Q::Answer> {
    let (event, reason, reply) = match trouble {
        Trouble::KeyUnavailable(key_id) => ("key_unavailable", key_id, Reply::KeyUnavailable),
        Trouble::Misconfigured => return Reply::Misconfigured,
        Trouble::Failed(word) => {
            ("object_failed", format!("{}: {word}", Q::CLASS.binding()), Reply::Failed)
        }
    };
    log::event(&Event::new(event, reason));
    reply
}
