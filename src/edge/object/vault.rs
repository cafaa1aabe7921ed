//! `Vault`: one user's accounts at one connection.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Request;
use worker::worker_sys::DurableObjectState;
use worker::{Env, State};
use zeroize::Zeroizing;

use super::detached::Flights;
use super::refresh::Waited;
use super::vault_keep::{self, Kept};
use super::vault_store::{Contents, Sealed, VaultStore};
use crate::config::{Config, Connection, GrantType};
use crate::edge::objects::{self, Trouble};
use crate::edge::{clock, configuration, log};
use crate::encoding;
use crate::error::Event;
use crate::ids::{AccountId, UserId};
use crate::message::vault::{Act, Answer, Ask};
use crate::provider::registration::Registration;
use crate::seal::{Place, SealError, Sealer};
use crate::secret::Secret;
use crate::text;
use crate::vault::record::{
    self, AccessTokenRecord, Account, AccountView, Grant, SUCCESSOR, Selector,
};
use crate::vault::release::{self, HeldTokens, Misconfiguration, Problem, Step, Want};

/// When jobs that could not be looked at are tried again.
const RETRY_JOBS: Duration = Duration::from_mins(5);

/// Most refreshes that one exchange starts before it gives up.
const REFRESHES: usize = 3;

/// Most of others that it waits for.
const WAITS: usize = 100;

/// One per user and connection.
#[wasm_bindgen]
pub struct Vault {
    inner: Rc<Inner>,
}

pub(super) struct Inner {
    pub(super) state: State,
    pub(super) env: Env,
    pub(super) store: Rc<VaultStore>,
    home: RefCell<Option<Rc<Home>>>,
    pub(super) flights: Rc<Flights<(AccountId, String)>>,
    /// Tokens that were not to be had, and are not asked for again yet.
    pub(super) held: RefCell<HeldTokens>,
}

#[wasm_bindgen]
impl Vault {
    /// Called by the platform.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        let state = State::from(state);
        let store = Rc::new(VaultStore::new(state.storage().sql()));
        Self {
            inner: Rc::new(Inner {
                state,
                env,
                store,
                home: RefCell::default(),
                flights: Rc::default(),
                held: RefCell::default(),
            }),
        }
    }

    /// Answers one question.
    #[must_use]
    pub fn fetch(&self, request: Request) -> JsValue {
        let inner = self.inner.clone();
        objects::answer(request, move |ask| inner.answer(ask))
    }

    /// Does the jobs that are due.
    ///
    /// # Errors
    /// The platform's: it tries again.
    pub async fn alarm(&self) -> Result<(), JsValue> {
        let inner = self.inner.clone();
        if let Err(trouble) = inner.clone().run_jobs().await {
            let reason = match trouble {
                Trouble::Failed(word) => word.to_owned(),
                Trouble::KeyUnavailable(key_id) => format!("key_unavailable: {key_id}"),
                Trouble::Misconfigured => "misconfigured".to_owned(),
            };
            log::event(&Event::new("jobs_failed", reason));
            // The jobs are still there; without this nothing would wake for them.
            inner.state.storage().set_alarm(RETRY_JOBS).await?;
        }
        Ok(())
    }
}

/// Whose vault an object is. It never changes, so what follows from it is derived once.
pub(super) struct Home {
    pub(super) user: UserId,
    pub(super) connection: String,
    sealer: Sealer,
}

/// A grant's own refresh token, and the one that came in an answer nothing else could be taken from.
pub(super) struct RefreshTokens {
    own: Secret,
    successor: Option<Secret>,
}

impl RefreshTokens {
    /// The grant's own.
    pub(super) fn own(&self) -> &Secret {
        &self.own
    }

    /// The one that is not proved yet.
    pub(super) fn successor(&self) -> Option<&Secret> {
        self.successor.as_ref()
    }

    /// The one to send, and the grant's own where that is another.
    pub(super) fn into_sent_and_kept(self) -> (Secret, Option<Secret>) {
        match self.successor {
            Some(successor) => (successor, Some(self.own)),
            None => (self.own, None),
        }
    }
}

/// A vault at work: whose it is, and what it takes to open it.
pub(super) struct Open {
    pub(super) config: Rc<Config>,
    pub(super) home: Rc<Home>,
    pub(super) store: Rc<VaultStore>,
}

impl Open {
    pub(super) fn connection(&self) -> Result<&Connection, Trouble> {
        self.config
            .connections
            .get(&self.home.connection)
            .ok_or(Trouble::Failed("connection is not configured any more"))
    }

    /// The redirect URI of the connection.
    pub(super) fn callback(&self) -> String {
        self.config.public_url.callback(&self.home.connection)
    }

    fn place<'a>(&'a self, account: &'a AccountId, field: &'a str, generation: u64) -> Place<'a> {
        Place {
            issuer: &self.home.user.issuer,
            subject: &self.home.user.subject,
            connection: &self.home.connection,
            account: account.as_str(),
            field,
            generation,
        }
    }

    pub(super) fn seal(
        &self,
        account: &AccountId,
        field: &str,
        generation: u64,
        secret: &Secret,
    ) -> Result<Vec<u8>, SealError> {
        let place = self.place(account, field, generation);
        self.home.sealer.seal(&place, secret.expose().as_bytes())
    }

    pub(super) fn open(
        &self,
        account: &AccountId,
        field: &str,
        generation: u64,
        envelope: &[u8],
    ) -> Result<Secret, SealError> {
        let place = self.place(account, field, generation);
        let bytes: Zeroizing<Vec<u8>> = self.home.sealer.open(&place, envelope)?;
        std::str::from_utf8(&bytes).map(Secret::new).map_err(|_| SealError::Corrupt)
    }

    /// A grant's refresh tokens. `None` if it has none.
    pub(super) fn refresh_tokens(
        &self,
        account: &AccountId,
        kind: &str,
        sealed: &Sealed<Grant>,
    ) -> Result<Option<RefreshTokens>, SealError> {
        let Some(envelope) = &sealed.envelope else {
            return Ok(None);
        };
        let grant = &sealed.record;
        let field = record::field("refresh_token", kind);
        let own = self.open(account, &field, grant.generation, envelope)?;
        let sealed = grant.intent.as_ref().and_then(|intent| {
            let envelope = encoding::from_base64url(intent.successor.as_ref()?)?;
            Some((intent.generation, envelope))
        });
        let successor = match sealed {
            Some((generation, envelope)) => {
                match self.open(account, &record::field(SUCCESSOR, kind), generation, &envelope) {
                    Err(SealError::Corrupt) => None,
                    opened => Some(opened?),
                }
            }
            None => None,
        };
        Ok(Some(RefreshTokens { own, successor }))
    }

    /// A stored access token. One that does not open counts as none: its grant may give another.
    pub(super) fn access_token<'a>(
        &self,
        contents: &'a Contents,
        account: &AccountId,
        selector: &Selector,
    ) -> Result<Option<(&'a AccessTokenRecord, Secret)>, Trouble> {
        let Some(Sealed { record, envelope: Some(envelope) }) =
            contents.access_token(account, selector)
        else {
            return Ok(None);
        };
        let field = record::field("access_token", selector.kind());
        match self.open(account, &field, record.generation, envelope) {
            // One that no header can carry was stored before that was looked at.
            Ok(token) if !text::is_access_token(token.expose()) => Ok(None),
            Ok(token) => Ok(Some((record, token))),
            Err(SealError::Corrupt) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Inner {
    pub(super) fn open(&self, user: UserId, connection: String) -> Result<Open, Trouble> {
        let config = configuration::load(&self.env).ok_or(Trouble::Misconfigured)?;
        let known = self.home.borrow().clone();
        let known = known.filter(|home| home.user == user && home.connection == connection);
        let home = known.unwrap_or_else(|| {
            let object = config.names.vault(&user, &connection);
            let sealer = Sealer::new(&config.key_ring, &object);
            let home = Rc::new(Home { user, connection, sealer });
            self.home.replace(Some(home.clone()));
            home
        });
        Ok(Open { config, home, store: self.store.clone() })
    }

    async fn answer(self: Rc<Self>, ask: Ask) -> Result<Answer, Trouble> {
        let open = self.open(ask.user, ask.connection)?;
        let answer = self.act(&open, ask.act).await;
        if open.store.take_new_jobs() {
            self.schedule(&open).await?;
        }
        answer
    }

    async fn act(self: &Rc<Self>, open: &Open, act: Act) -> Result<Answer, Trouble> {
        match act {
            Act::Exchange { grant, login_hint, scopes, exact, kind, resource } => {
                let want = Want { login_hint, scopes, exact, kind, resource };
                self.exchange(open, grant, &want).await
            }
            Act::Store(store) => {
                self.held.take();
                let user = store.provider_user.clone();
                let Kept { answer, job, registration } = vault_keep::keep(open, *store)?;
                self.schedule(open).await?;
                // At once, so that nobody who deletes from now on takes this grant along. The job
                // stands in for a registry that is silent.
                if let (Some(user), Some(job)) = (user, job)
                    && self.hold(open, &user, registration.as_ref()).await
                {
                    open.store.end_job(job)?;
                    self.schedule(open).await?;
                }
                Ok(answer)
            }
            Act::Accounts => accounts(open),
            Act::Delete { account, tell } => {
                let removed = self.delete(open, &account).await?;
                let gone = removed.is_some();
                Ok(if tell { Answer::Removed(removed) } else { Answer::Deleted(gone) })
            }
        }
    }

    async fn exchange(
        self: &Rc<Self>,
        open: &Open,
        grant: GrantType,
        want: &Want,
    ) -> Result<Answer, Trouble> {
        let mut started = 0;
        for _ in 0..WAITS {
            let looked = look(open, want, &self.held.borrow())?;
            match looked {
                Look::Serve { access_token, scopes, expires_in, extra } => {
                    return Ok(Answer::Token { grant, access_token, scopes, expires_in, extra });
                }
                Look::Stop(problem) => return Ok(Answer::Problem(problem)),
                Look::Refresh(..) if started == REFRESHES => break,
                Look::Refresh(account, selector) => {
                    match self.refresh(open, &account, selector).await? {
                        Waited::Own => started += 1,
                        Waited::Others => {}
                        Waited::Stopped(problem) => return Ok(Answer::Problem(problem)),
                    }
                }
            }
        }
        Ok(Answer::Problem(Problem::Unavailable { retry_after: 2 }))
    }
}

enum Look {
    Serve {
        access_token: Secret,
        scopes: Vec<String>,
        expires_in: i64,
        extra: BTreeMap<String, String>,
    },
    Stop(Problem),
    Refresh(AccountId, Selector),
}

/// Reads what is stored and decides, without an await.
fn look(open: &Open, want: &Want, held: &HeldTokens) -> Result<Look, Trouble> {
    let contents = open.store.contents()?;
    let connection = open.connection()?;
    let fits = |account: &Account| connection.accepts(contents.registration(&account.id));
    let account = match release::pick(&contents.accounts, want.login_hint.as_deref(), fits) {
        Ok(account) => account,
        Err(none) => {
            log_registrations(open, &contents, &none);
            return Ok(Look::Stop(none));
        }
    };
    let grant_kind = connection.grant_of(&want.kind);
    let Some(Sealed { record: grant, .. }) = contents.grant(&account.id, grant_kind) else {
        return Ok(Look::Stop(Problem::NoSuchKind));
    };
    if !connection.accepts(contents.registration_of(&account.id, grant_kind)) {
        let other = release::registration_changed();
        log_registrations(open, &contents, &other);
        return Ok(Look::Stop(other));
    }
    let own = account.identity.name.as_deref();
    let selector = match release::select(connection, own, &grant.scopes, want) {
        Ok(selector) => selector,
        Err(none) => return Ok(Look::Stop(none)),
    };
    let token = open.access_token(&contents, &account.id, &selector)?;
    let now = clock::now();
    let believed =
        token.as_ref().and_then(|(record, _)| release::as_believed(connection, grant, record));
    let record = believed.as_ref().or(token.as_ref().map(|(record, _)| *record));
    let own = contents.access_token(&account.id, &Selector::default()).map(|own| &own.record);
    let key = (account.id.clone(), selector);
    let withheld = held.get(&key).and_then(|held| held.problem(want, now));
    let renewal = release::renewal(connection, &want.kind, grant, own, withheld, now);
    let state = grant.state_of(grant_kind, account);
    let step = release::decide_for(want, connection, state, grant, record, renewal, now);
    Ok(match (step, token) {
        (Step::Serve { expires_in }, Some((record, access_token))) => Look::Serve {
            access_token,
            scopes: record.scopes.clone(),
            expires_in,
            extra: account.extra.clone(),
        },
        (Step::Stop(problem), _) => Look::Stop(problem),
        _ => {
            let (account, selector) = key;
            Look::Refresh(account, selector)
        }
    })
}

/// Tells the operator which registrations differ, where that is in the way.
fn log_registrations(open: &Open, contents: &Contents, told: &Problem) {
    let reason = Misconfiguration::RegistrationChanged;
    let differs = matches!(told, Problem::Misconfigured { reason: why, .. } if *why == reason);
    let Some(configured) = open.connection().ok().filter(|_| differs) else {
        return;
    };
    let Registration { authority, client_id } = &configured.registration;
    let grants = contents.accounts.iter().flat_map(|account| contents.grants(&account.id));
    let stored = grants.filter_map(|(_, grant)| grant.record.registration.as_ref());
    let mut stored: Vec<_> = stored.filter(|of| !configured.accepts(Some(of))).collect();
    stored.dedup();
    for of in stored {
        log::event(&Event {
            connection: Some(open.home.connection.clone()),
            ..Event::new(
                "registration_changed",
                format!(
                    "connected at `{}` as `{}`; configured is `{authority}` as `{client_id}`",
                    of.authority, of.client_id
                ),
            )
        });
    }
}

fn accounts(open: &Open) -> Result<Answer, Trouble> {
    let contents = open.store.contents()?;
    let views = contents.accounts.iter().map(|account| {
        let grant = contents.grant(&account.id, "").map(|grant| &grant.record);
        AccountView {
            registration: contents.registration(&account.id).cloned(),
            ..view(account, grant)
        }
    });
    Ok(Answer::Accounts(views.collect()))
}

pub(super) fn view(account: &Account, grant: Option<&Grant>) -> AccountView {
    AccountView {
        id: account.id.clone(),
        scopes: grant.map(|grant| grant.scopes.clone()).unwrap_or_default(),
        created_at: account.created_at,
        expires_at: grant.and_then(|grant| grant.expires_at),
        extra: account.extra.clone(),
        registration: None,
    }
}
