// SPDX-License-Identifier: Apache-2.0
//! A refresh token family: the refresh tokens that follow from one sign-in, one after the other
//! (RFC 6749 §6, RFC 9700 §4.14).
//!
//! Each use replaces the token. The successor stays sealed under the token it replaced, so that a client that
//! lost the response gets it again: within the leeway anybody who presents that token, later only a
//! client that authenticates, and only while nobody has used the successor. A token that is older still
//! was copied, and ends the family.

use serde::{Deserialize, Serialize};

use super::machine::{At, Machine, Step, Write};
use crate::event::{Event, EventName};
use vault_base::encoding;
use vault_base::seal::{AssociatedData, KeyRing, SealError, Sealer};
use vault_base::secret::{Secret, exposed, exposed_option};
use vault_base::time::UnixSeconds;

/// Seconds for which a replaced token gives its successor to anybody who presents it.
pub const LEEWAY: i64 = 60;

/// Seconds for which the revocation of a family that has not begun is kept.
const REVOKED_AHEAD: i64 = 3600;

/// What a family gives access to. It never grows after the sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FamilyGrant {
    /// The user (`sub`).
    pub subject: String,
    /// The client that the tokens are for.
    pub client_id: String,
    /// The scopes that were granted at the sign-in.
    pub scopes: Vec<String>,
    /// The resource server of the sign-in; `None` is the userinfo endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The browser session that it began in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// When the user signed in, Unix seconds.
    pub auth_time: UnixSeconds,
}

/// What a family begins with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Start {
    /// The family's id ([`vault_base::mac_id`]).
    pub id: String,
    /// What it gives access to.
    pub grant: FamilyGrant,
    /// Whether each use replaces the token.
    pub rotation: bool,
    /// Seconds without use after which it expires.
    pub idle: i64,
    /// Seconds after which it expires in any case.
    pub lifetime: i64,
}

/// The stored record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The family's id.
    pub id: String,
    /// What it gives access to.
    pub grant: FamilyGrant,
    /// Whether each use replaces the token.
    pub rotation: bool,
    /// Seconds without use after which it expires.
    pub idle: i64,
    /// When it expires in any case, Unix seconds.
    pub expires_at: UnixSeconds,
    /// When it was last used, Unix seconds.
    pub used_at: UnixSeconds,
    /// Number of the current token.
    pub generation: u64,
    /// SHA-256 of the current token's secret, hex.
    pub current: String,
    /// Whether the current token was used since it replaced another.
    #[serde(default)]
    pub is_used: bool,
    /// The token that the current one replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<Predecessor>,
    /// Marks secrets as of this family; sealed, base64url.
    pub mark: String,
    /// Whether it was revoked before it began: the code that it follows from was replayed meanwhile.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_revoked: bool,
}

/// A replaced token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predecessor {
    /// SHA-256 of its secret, hex.
    pub hash: String,
    /// When it was replaced, Unix seconds.
    pub at: UnixSeconds,
    /// Its successor, sealed under its secret, base64url.
    pub successor: String,
}

/// What a family is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Begin.
    Start(Box<Start>),
    /// Refresh: replace the token.
    Refresh {
        /// The secret of the presented token.
        #[serde(with = "exposed")]
        secret: Secret,
        /// The client that presents it.
        client_id: String,
        /// Whether that client authenticated.
        authenticated: bool,
    },
    /// Tell what the token gives access to, and change nothing.
    Look {
        /// The secret of the presented token.
        #[serde(with = "exposed")]
        secret: Secret,
        /// Whether the client that presents it authenticated.
        authenticated: bool,
    },
    /// Revoke the family (RFC 7009 §2.1).
    Revoke {
        /// The secret of a token of it; `None` if the vault itself ends it.
        #[serde(with = "exposed_option")]
        secret: Option<Secret>,
        /// The client that revokes; `None` if the vault itself does.
        client_id: Option<String>,
    },
}

/// What a family answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// The refresh token from now on, and what it gives access to.
    Token {
        /// `id.secret`.
        #[serde(with = "exposed")]
        token: Secret,
        /// What it gives access to.
        grant: FamilyGrant,
    },
    /// What the presented token gives access to.
    Valid {
        /// What it gives access to.
        grant: FamilyGrant,
        /// When it expires, Unix seconds.
        expires_at: UnixSeconds,
    },
    /// The token is not accepted.
    Refused(Refusal),
    /// The token was replaced, and is presented again: the family has ended now.
    Replayed {
        /// The user, whose access tokens of this family end as well.
        subject: String,
    },
    /// The family has ended, or there was none.
    Revoked {
        /// The user, if the family ended now: the access tokens of it end as well (RFC 7009 §2.1).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
    },
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The family has ended, or the secret is none of its own.
    Unknown,
    /// It has expired.
    Expired,
    /// Another client presents it.
    OtherClient,
}

impl Refusal {
    /// The reason word for the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Unknown => "refresh_token_unknown",
            Self::Expired => "refresh_token_expired",
            Self::OtherClient => "refresh_token_of_other_client",
        }
    }
}

/// The reason word of a replay for the log.
pub const REPLAYED: &str = "refresh_token_replayed";

/// `grant_id` of the access tokens of a family. It tells nothing of the family's id.
pub fn grant_id(family: &str) -> String {
    let hash = encoding::sha256(encoding::length_prefixed(&[b"grant_id", family.as_bytes()]));
    format!("g.{}", encoding::base64url(hash.split_at(18).0))
}

/// How a presented secret relates to the family.
enum Presented {
    Current,
    Predecessor,
    Older,
    Foreign,
}

/// The machine of a family.
#[derive(Debug)]
pub struct Family;

impl Machine for Family {
    type Record = Record;
    type Request = Request;
    type Response = Response;

    fn step(
        record: Option<Record>,
        request: Request,
        at: &At<'_>,
    ) -> Result<Step<Record, Response>, SealError> {
        match (record, request) {
            (None, Request::Start(start)) => begin(*start, at),
            // The vault itself revokes a family whose start may still be on its way.
            (None, Request::Revoke { secret: None, .. }) => Ok(revoke_ahead(at.now)),
            (None, Request::Revoke { .. }) => Ok(Step::answer(Response::Revoked { subject: None })),
            (None, _) => Ok(refused(Refusal::Unknown)),
            (Some(record), request) => record.answer(request, at),
        }
    }

    fn wake(record: Record, at: &At<'_>) -> Step<Record, ()> {
        if record.is_expired(at.now) {
            return Step { write: Write::Delete, ..Step::answer(()) };
        }
        Step::answer(()).waking(record.ends())
    }
}

fn refused(refusal: Refusal) -> Step<Record, Response> {
    Step::answer(Response::Refused(refusal))
}

/// Keeps for an hour that the family was revoked, so that it does not begin after that.
fn revoke_ahead(now: UnixSeconds) -> Step<Record, Response> {
    let record = Record {
        id: String::new(),
        grant: FamilyGrant {
            subject: String::new(),
            client_id: String::new(),
            scopes: Vec::new(),
            audience: None,
            sid: None,
            auth_time: now,
        },
        rotation: true,
        idle: REVOKED_AHEAD,
        expires_at: now.saturating_add(REVOKED_AHEAD),
        used_at: now,
        generation: 0,
        current: String::new(),
        is_used: false,
        predecessor: None,
        mark: String::new(),
        is_revoked: true,
    };
    let ends = record.ends();
    Step::put(record, Response::Revoked { subject: None }).waking(ends)
}

fn begin(start: Start, at: &At<'_>) -> Result<Step<Record, Response>, SealError> {
    let mark = encoding::random::<32>().map_err(|_| SealError::CannotSeal)?;
    let mut record = Record {
        id: start.id,
        grant: start.grant,
        rotation: start.rotation,
        idle: start.idle,
        expires_at: at.now.saturating_add(start.lifetime),
        used_at: at.now,
        generation: 0,
        current: String::new(),
        is_used: false,
        predecessor: None,
        mark: String::new(),
        is_revoked: false,
    };
    let sealed = at.sealer.seal(&record.place("mark", at), &mark)?;
    record.mark = encoding::base64url(sealed);
    let secret = new_secret(&mark)?;
    record.current = hash(&secret);
    let response = record.token(&secret);
    let ends = record.ends();
    Ok(Step::put(record, response).waking(ends))
}

impl Record {
    fn answer(self, request: Request, at: &At<'_>) -> Result<Step<Self, Response>, SealError> {
        if self.is_expired(at.now) {
            let response = match request {
                Request::Revoke { .. } => Response::Revoked { subject: None },
                _ => Response::Refused(Refusal::Expired),
            };
            return Ok(Step { write: Write::Delete, ..Step::answer(response) });
        }
        match request {
            Request::Revoke { .. } if self.is_revoked => {
                Ok(Step::answer(Response::Revoked { subject: None }))
            }
            _ if self.is_revoked => Ok(refused(Refusal::Unknown)),
            Request::Start(_) => Ok(refused(Refusal::Unknown)),
            Request::Refresh { client_id, .. } if client_id != self.grant.client_id => {
                let event = Self::event(Refusal::OtherClient);
                Ok(refused(Refusal::OtherClient).logging(event))
            }
            Request::Refresh { secret, authenticated, .. } => {
                self.refresh(&secret, authenticated, at)
            }
            Request::Look { secret, authenticated } => self.look(&secret, authenticated, at),
            Request::Revoke { secret: None, .. } => Ok(self.revoked()),
            Request::Revoke { secret: Some(secret), client_id } => {
                // A replaced token ends the family as well (RFC 7009 §2.1): it came from the same consent.
                let is_own = !matches!(self.presented(&secret, at)?, Presented::Foreign);
                let is_clients = client_id.is_none_or(|id| id == self.grant.client_id);
                let ends = is_own && is_clients;
                Ok(if ends {
                    self.revoked()
                } else {
                    Step::answer(Response::Revoked { subject: None })
                })
            }
        }
    }

    fn refresh(
        mut self,
        secret: &Secret,
        authenticated: bool,
        at: &At<'_>,
    ) -> Result<Step<Self, Response>, SealError> {
        match self.presented(secret, at)? {
            Presented::Current if !self.rotation => {
                self.used_at = self.used_at.max(at.now);
                let (response, ends) = (self.token(secret), self.ends());
                Ok(Step::put(self, response).waking(ends))
            }
            Presented::Current => self.rotate(secret, at),
            Presented::Predecessor if self.may_repeat(authenticated, at.now) => {
                match self.successor(secret, at)? {
                    Some(successor) => Ok(Step::answer(self.token(&successor))),
                    None => Ok(self.replayed()),
                }
            }
            Presented::Predecessor | Presented::Older => Ok(self.replayed()),
            Presented::Foreign => Ok(refused(Refusal::Unknown)),
        }
    }

    /// Judges a token as a refresh would, and changes nothing but what a refresh would end.
    fn look(
        mut self,
        secret: &Secret,
        authenticated: bool,
        at: &At<'_>,
    ) -> Result<Step<Self, Response>, SealError> {
        let valid = Response::Valid { grant: self.grant.clone(), expires_at: self.ends() };
        match self.presented(secret, at)? {
            Presented::Current if self.predecessor.is_some() && !self.is_used => {
                // From now on the replaced token is a copy, and its successor is not given again.
                self.is_used = true;
                Ok(Step::put(self, valid))
            }
            Presented::Current => Ok(Step::answer(valid)),
            Presented::Predecessor if self.may_repeat(authenticated, at.now) => {
                Ok(Step::answer(valid))
            }
            Presented::Predecessor | Presented::Older => Ok(self.replayed()),
            Presented::Foreign => Ok(refused(Refusal::Unknown)),
        }
    }

    fn rotate(mut self, secret: &Secret, at: &At<'_>) -> Result<Step<Self, Response>, SealError> {
        let successor = new_secret(&self.mark(at)?)?;
        self.generation += 1;
        let under_secret = Sealer::new(&KeyRing::of_secret(secret)?, &self.id);
        let sealed =
            under_secret.seal(&self.place("successor", at), successor.expose().as_bytes())?;
        self.predecessor = Some(Predecessor {
            hash: std::mem::replace(&mut self.current, hash(&successor)),
            at: at.now,
            successor: encoding::base64url(sealed),
        });
        self.is_used = false;
        self.used_at = self.used_at.max(at.now);
        let (response, ends) = (self.token(&successor), self.ends());
        Ok(Step::put(self, response).waking(ends))
    }

    /// Whether a replaced token may give its successor once more.
    fn may_repeat(&self, authenticated: bool, now: UnixSeconds) -> bool {
        let at = self.predecessor.as_ref().map_or(0, |predecessor| predecessor.at);
        // A clock that went back makes no token older.
        now.saturating_sub(at) < LEEWAY || (authenticated && !self.is_used)
    }

    fn successor(&self, secret: &Secret, at: &At<'_>) -> Result<Option<Secret>, SealError> {
        let sealed = self.predecessor.as_ref();
        let sealed = sealed.and_then(|one| encoding::from_base64url(&one.successor));
        let under_secret = Sealer::new(&KeyRing::of_secret(secret)?, &self.id);
        let opened = sealed.map(|sealed| under_secret.open(&self.place("successor", at), &sealed));
        match opened.transpose() {
            Ok(bytes) => Ok(bytes.and_then(|bytes| text(&bytes))),
            Err(SealError::Corrupt) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn presented(&self, secret: &Secret, at: &At<'_>) -> Result<Presented, SealError> {
        let presented = hash(secret);
        let is = |stored: &str| encoding::constant_time_eq(presented.as_bytes(), stored.as_bytes());
        if is(&self.current) {
            return Ok(Presented::Current);
        }
        if self.predecessor.as_ref().is_some_and(|one| is(&one.hash)) {
            return Ok(Presented::Predecessor);
        }
        let was_ours = has_mark(secret, &self.mark(at)?);
        Ok(if was_ours { Presented::Older } else { Presented::Foreign })
    }

    fn revoked(self) -> Step<Self, Response> {
        ended(Response::Revoked { subject: Some(self.grant.subject) })
    }

    fn replayed(self) -> Step<Self, Response> {
        let event = Event::new(EventName::RefreshTokenMisused).because(REPLAYED);
        ended(Response::Replayed { subject: self.grant.subject }).logging(event)
    }

    fn event(refusal: Refusal) -> Event {
        Event::new(EventName::RefreshTokenMisused).because(refusal.reason())
    }

    fn token(&self, secret: &Secret) -> Response {
        let token = Secret::new(format!("{}.{}", self.id, secret.expose()));
        Response::Token { token, grant: self.grant.clone() }
    }

    fn mark(&self, at: &At<'_>) -> Result<[u8; 32], SealError> {
        let sealed = encoding::from_base64url(&self.mark).ok_or(SealError::Corrupt)?;
        let opened = at.sealer.open(&self.place("mark", at), &sealed)?;
        opened.as_slice().try_into().map_err(|_| SealError::Corrupt)
    }

    fn place<'a>(&'a self, field: &'a str, at: &At<'a>) -> AssociatedData<'a> {
        AssociatedData {
            issuer: at.issuer,
            subject: &self.grant.subject,
            connection: "",
            account: &self.id,
            field,
            generation: if field == "successor" { self.generation } else { 0 },
        }
    }

    fn ends(&self) -> UnixSeconds {
        self.expires_at.min(self.used_at.saturating_add(self.idle))
    }

    fn is_expired(&self, now: UnixSeconds) -> bool {
        now >= self.ends()
    }
}

fn ended(response: Response) -> Step<Record, Response> {
    Step { write: Write::Delete, ..Step::answer(response) }
}

/// Length of the random part of a secret, in bytes, and of its mark.
const RANDOM: usize = 32;
const MARK: usize = 16;

/// A secret: 32 random bytes, and a mark by which the family knows it again when it has forgotten its hash.
fn new_secret(mark: &[u8; 32]) -> Result<Secret, SealError> {
    let random = encoding::random::<RANDOM>().map_err(|_| SealError::CannotSeal)?;
    Ok(Secret::new(encoding::base64url([random.as_slice(), &marked(&random, mark)].concat())))
}

fn has_mark(secret: &Secret, mark: &[u8; 32]) -> bool {
    let Some(bytes) = encoding::from_base64url(secret.expose()) else {
        return false;
    };
    bytes
        .split_first_chunk::<RANDOM>()
        .is_some_and(|(random, rest)| encoding::constant_time_eq(&marked(random, mark), rest))
}

fn marked(random: &[u8; RANDOM], mark: &[u8; 32]) -> [u8; MARK] {
    let hash = encoding::sha256(encoding::length_prefixed(&[mark, random]));
    let mut out = [0; MARK];
    out.copy_from_slice(hash.split_at(MARK).0);
    out
}

fn hash(secret: &Secret) -> String {
    encoding::hex(&secret.sha256())
}

fn text(bytes: &[u8]) -> Option<Secret> {
    std::str::from_utf8(bytes).ok().map(Secret::new)
}
