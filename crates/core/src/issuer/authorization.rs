// SPDX-License-Identifier: Apache-2.0
//! One authorization request of the vault as an OpenID provider: it waits for the user, gives one
//! authorization code, and remembers what the code gave (RFC 6749 §4.1, RFC 7636, RFC 9126).

use serde::{Deserialize, Serialize};

use super::authorization_request::AuthorizationRequest;
use super::machine::{At, Machine, Step, Write};
use crate::event::{Event, EventName};
use vault_base::encoding;
use vault_base::seal::SealError;
use vault_base::secret::{Secret, exposed, exposed_option};
use vault_base::time::UnixSeconds;

/// Lifetime of a pushed request, in seconds.
pub const PUSHED_LIFETIME: i64 = 90;
/// Seconds in which the user must sign in.
pub const SIGN_IN_TIME: i64 = 900;
/// Lifetime of an authorization code, in seconds.
pub const CODE_LIFETIME: i64 = 60;
/// Seconds for which a redeemed code is remembered, so that its replay is noticed.
const REMEMBERED: i64 = 86_400;

/// The stored record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The object's id ([`vault_base::mac_id`]).
    pub id: String,
    /// The checked request.
    pub request: AuthorizationRequest,
    /// How far it is.
    pub phase: Phase,
}

/// How far an authorization request is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// A client pushed it.
    Pushed {
        /// SHA-256 of the secret in `request_uri`, hex.
        secret: String,
        /// When it expires, Unix seconds.
        until: UnixSeconds,
    },
    /// The user is to sign in, or to consent.
    Open {
        /// SHA-256 of the browser's cookie, hex.
        browser: String,
        /// When it expires, Unix seconds.
        until: UnixSeconds,
        /// The user who signed in for it, while a consent is missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<CodeGrant>,
    },
    /// The code was issued.
    Issued {
        /// SHA-256 of the code's secret, hex.
        code: String,
        /// When it expires, Unix seconds.
        until: UnixSeconds,
        /// What it gives.
        grant: CodeGrant,
    },
    /// The code was redeemed.
    Redeemed {
        /// SHA-256 of the code's secret, hex.
        code: String,
        /// The refresh token family that it gave.
        family: String,
        /// Until when that is remembered, Unix seconds.
        until: UnixSeconds,
    },
}

/// Who signed in, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeGrant {
    /// The user (`sub`).
    pub subject: String,
    /// The browser session.
    pub sid: String,
    /// When the user signed in, Unix seconds.
    pub auth_time: UnixSeconds,
}

/// What an authorization is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Keep a pushed request.
    Push {
        /// The object's id.
        id: String,
        /// The checked request.
        request: Box<AuthorizationRequest>,
    },
    /// Use a pushed request, once.
    Take {
        /// The secret in `request_uri`.
        #[serde(with = "exposed")]
        secret: Secret,
        /// The client that uses it.
        client_id: String,
    },
    /// Keep a request while the user signs in.
    Open {
        /// The object's id.
        id: String,
        /// The checked request.
        request: Box<AuthorizationRequest>,
        /// The browser's cookie.
        #[serde(with = "exposed")]
        browser: Secret,
    },
    /// The request that this browser opened.
    Read {
        /// The browser's cookie.
        #[serde(with = "exposed")]
        browser: Secret,
    },
    /// The user signed in and must consent.
    Await {
        /// Who signed in.
        grant: CodeGrant,
    },
    /// Issue the code, of a request that is open or comes along.
    Issue {
        /// Who signed in; `None` takes the user that consents.
        grant: Option<CodeGrant>,
        /// Id and request, where it was not opened before.
        request: Option<(String, Box<AuthorizationRequest>)>,
    },
    /// End it.
    Fail,
    /// Redeem the code.
    Redeem {
        /// The secret of the code.
        #[serde(with = "exposed")]
        secret: Secret,
        /// The client that redeems.
        client_id: String,
        /// The redirect URI that it names.
        redirect_uri: Option<String>,
        /// Its code verifier.
        #[serde(with = "exposed_option")]
        code_verifier: Option<Secret>,
        /// The id of the refresh token family that follows.
        family: String,
    },
}

/// What an authorization answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// Kept. The secret belongs into `request_uri`.
    Pushed {
        /// `id.secret`.
        #[serde(with = "exposed")]
        handle: Secret,
    },
    /// Done.
    Done,
    /// The request, and the user who is to consent.
    Request {
        /// The checked request.
        request: Box<AuthorizationRequest>,
        /// Who signed in for it.
        user: Option<CodeGrant>,
    },
    /// The code.
    Issued {
        /// `id.secret`.
        #[serde(with = "exposed")]
        code: Secret,
        /// The request that it answers.
        request: Box<AuthorizationRequest>,
    },
    /// What the code gives.
    Granted {
        /// The request.
        request: Box<AuthorizationRequest>,
        /// Who signed in.
        grant: CodeGrant,
    },
    /// The code was redeemed before: this family must end (RFC 6749 §4.1.2).
    Replayed {
        /// The family's id.
        family: String,
    },
    /// There is no such request or code, or it has expired, or something does not fit.
    Refused,
}

/// The machine of an authorization request.
#[derive(Debug)]
pub struct Authorization;

impl Machine for Authorization {
    type Record = Record;
    type Request = Request;
    type Response = Response;

    fn step(
        record: Option<Record>,
        request: Request,
        at: &At<'_>,
    ) -> Result<Step<Record, Response>, SealError> {
        match (record, request) {
            (None, Request::Push { id, request }) => push(id, *request, at.now),
            (None, Request::Open { id, request, browser }) => {
                let until = at.now.saturating_add(SIGN_IN_TIME);
                let phase = Phase::Open { browser: hash(&browser), until, user: None };
                let record = Record { id, request: *request, phase };
                Ok(Step::put(record, Response::Done).waking(until))
            }
            (None, Request::Issue { grant: Some(grant), request: Some((id, request)) }) => {
                issue(id, *request, grant, at.now)
            }
            (None, _) => Ok(Step::answer(Response::Refused)),
            (Some(record), _) if record.is_expired(at.now) => {
                Ok(Step { write: Write::Delete, ..Step::answer(Response::Refused) })
            }
            (Some(record), request) => record.answer(request, at.now),
        }
    }

    fn wake(record: Record, at: &At<'_>) -> Step<Record, ()> {
        if record.is_expired(at.now) {
            return Step { write: Write::Delete, ..Step::answer(()) };
        }
        Step::answer(()).waking(record.until())
    }
}

fn push(
    id: String,
    request: AuthorizationRequest,
    now: UnixSeconds,
) -> Result<Step<Record, Response>, SealError> {
    let secret = new_secret()?;
    let until = now.saturating_add(PUSHED_LIFETIME);
    let handle = Secret::new(format!("{id}.{}", secret.expose()));
    let record = Record { id, request, phase: Phase::Pushed { secret: hash(&secret), until } };
    Ok(Step::put(record, Response::Pushed { handle }).waking(until))
}

fn issue(
    id: String,
    request: AuthorizationRequest,
    grant: CodeGrant,
    now: UnixSeconds,
) -> Result<Step<Record, Response>, SealError> {
    let secret = new_secret()?;
    let until = now.saturating_add(CODE_LIFETIME);
    let code = Secret::new(format!("{id}.{}", secret.expose()));
    let response = Response::Issued { code, request: Box::new(request.clone()) };
    let phase = Phase::Issued { code: hash(&secret), until, grant };
    Ok(Step::put(Record { id, request, phase }, response).waking(until))
}

impl Record {
    fn answer(self, request: Request, now: UnixSeconds) -> Result<Step<Self, Response>, SealError> {
        let refused = || Ok(Step::answer(Response::Refused));
        match (&self.phase, request) {
            (Phase::Pushed { secret: stored, .. }, Request::Take { secret, client_id })
                if matches(&secret, stored) && client_id == self.request.client_id =>
            {
                // A request_uri is used once (RFC 9126 §4).
                let response = Response::Request { request: Box::new(self.request), user: None };
                Ok(Step { write: Write::Delete, ..Step::answer(response) })
            }
            (Phase::Open { browser: stored, user, .. }, Request::Read { browser })
                if matches(&browser, stored) =>
            {
                let (request, user) = (Box::new(self.request.clone()), user.clone());
                Ok(Step::answer(Response::Request { request, user }))
            }
            (Phase::Open { browser, until, .. }, Request::Await { grant }) => {
                let phase =
                    Phase::Open { browser: browser.clone(), until: *until, user: Some(grant) };
                Ok(Step::put(Self { phase, ..self }, Response::Done))
            }
            (Phase::Open { user, .. }, Request::Issue { grant, .. }) => {
                match grant.or_else(|| user.clone()) {
                    Some(grant) => issue(self.id, self.request, grant, now),
                    None => refused(),
                }
            }
            (Phase::Open { .. }, Request::Fail) => {
                Ok(Step { write: Write::Delete, ..Step::answer(Response::Done) })
            }
            (Phase::Issued { code, .. }, Request::Redeem { secret, .. })
                if !matches(&secret, code) =>
            {
                refused()
            }
            (
                Phase::Issued { code, grant, .. },
                Request::Redeem { client_id, redirect_uri, code_verifier, family, .. },
            ) => {
                if !self.fits(&client_id, redirect_uri.as_deref(), code_verifier.as_ref()) {
                    // Whoever has the code and not the rest has stolen it.
                    return Ok(Step { write: Write::Delete, ..Step::answer(Response::Refused) });
                }
                let (request, grant) = (Box::new(self.request.clone()), grant.clone());
                let until = now.saturating_add(REMEMBERED);
                let phase = Phase::Redeemed { code: code.clone(), family, until };
                let response = Response::Granted { request, grant };
                Ok(Step::put(Self { phase, ..self }, response).waking(until))
            }
            (Phase::Redeemed { code, family, .. }, Request::Redeem { secret, .. })
                if matches(&secret, code) =>
            {
                let response = Response::Replayed { family: family.clone() };
                let event = Event::new(EventName::RefreshTokenMisused).because("code_replayed");
                let step = Step { write: Write::Delete, ..Step::answer(response) };
                Ok(step.logging(event))
            }
            _ => refused(),
        }
    }

    /// Whether client, redirect URI and verifier are those of the request. A verifier is required exactly
    /// if there was a challenge, so that nobody downgrades PKCE (RFC 9700 §2.1.1). The redirect URI may be
    /// left out only with a challenge (RFC 6749 §4.1.3), which binds the code more closely.
    fn fits(
        &self,
        client_id: &str,
        redirect_uri: Option<&str>,
        code_verifier: Option<&Secret>,
    ) -> bool {
        let verified = match (&self.request.code_challenge, code_verifier) {
            (None, None) => true,
            (Some(challenge), Some(verifier)) => {
                let computed = encoding::base64url(verifier.sha256());
                encoding::constant_time_eq(computed.as_bytes(), challenge.as_bytes())
            }
            _ => false,
        };
        let returned = redirect_uri
            .map_or(self.request.code_challenge.is_some(), |uri| uri == self.request.redirect_uri);
        verified && returned && client_id == self.request.client_id
    }

    fn until(&self) -> UnixSeconds {
        match self.phase {
            Phase::Pushed { until, .. }
            | Phase::Open { until, .. }
            | Phase::Issued { until, .. }
            | Phase::Redeemed { until, .. } => until,
        }
    }

    fn is_expired(&self, now: UnixSeconds) -> bool {
        now >= self.until()
    }
}

fn new_secret() -> Result<Secret, SealError> {
    let random = encoding::random::<32>().map_err(|_| SealError::CannotSeal)?;
    Ok(Secret::new(encoding::base64url(random)))
}

fn hash(secret: &Secret) -> String {
    encoding::hex(&secret.sha256())
}

fn matches(presented: &Secret, stored: &str) -> bool {
    encoding::constant_time_eq(hash(presented).as_bytes(), stored.as_bytes())
}
