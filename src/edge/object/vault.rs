//! `Vault`: one user's accounts at one connection.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Request;
use worker::worker_sys::DurableObjectState;
use worker::{Env, State};
use zeroize::Zeroizing;

use super::detached::Flights;
use super::vault_store::{NewToken, Sealed, VaultStore};
use crate::config::{Config, Connection, GrantType};
use crate::edge::objects::{self, Trouble};
use crate::edge::{clock, configuration, log};
use crate::encoding;
use crate::error::Event;
use crate::ids::{AccountId, UserId};
use crate::jwt::id_token::Identity;
use crate::message::vault::{Act, Answer, Ask, Store};
use crate::seal::{Place, SealError, Sealer};
use crate::secret::Secret;
use crate::vault::jobs::Job;
use crate::vault::record::{
    AccessTokenRecord, Account, AccountState, AccountView, Grant, Selector,
};
use crate::vault::release::{self, Problem, Step, Want};

/// When jobs that could not be looked at are tried again.
const RETRY_JOBS: Duration = Duration::from_mins(5);

/// How often one exchange looks again after a refresh before it gives up.
const LOOKS: usize = 3;

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
    pub(super) flights: Rc<Flights<AccountId>>,
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
        match ask.act {
            Act::Exchange { grant, login_hint, scopes, exact } => {
                self.exchange(&open, grant, &Want { login_hint, scopes, exact }).await
            }
            Act::Store(store) => keep(&open, store),
            Act::Accounts => accounts(&open),
            Act::Delete { account } => self.delete(&open, &account).await,
        }
    }

    async fn exchange(
        self: &Rc<Self>,
        open: &Open,
        grant: GrantType,
        want: &Want,
    ) -> Result<Answer, Trouble> {
        for _ in 0..LOOKS {
            match look(open, want)? {
                Look::Serve { access_token, scopes, expires_in } => {
                    return Ok(Answer::Token { grant, access_token, scopes, expires_in });
                }
                Look::Stop(problem) => return Ok(Answer::Problem(problem)),
                Look::Refresh(account, selector) => {
                    if let Some(problem) = self.refresh(open, &account, selector).await? {
                        return Ok(Answer::Problem(problem));
                    }
                }
            }
        }
        Ok(Answer::Problem(Problem::Unavailable { retry_after: 2 }))
    }

    async fn delete(&self, open: &Open, id: &AccountId) -> Result<Answer, Trouble> {
        let store = &open.store;
        let contents = store.contents()?;
        let Some(account) = contents.accounts.iter().find(|account| account.id == *id) else {
            return Ok(Answer::Deleted(false));
        };
        let now = clock::now();
        // The refresh token first: at most providers its end is the grant's (RFC 7009 §2.1).
        if let Some(Sealed { record, envelope: Some(envelope) }) = store.grant(id)? {
            store
                .add_job(&revoke_job(account, "refresh_token", record.generation, envelope), now)?;
        }
        for token in contents.access_tokens(id) {
            if let Some(envelope) = token.envelope.clone() {
                let generation = token.record.generation;
                store.add_job(&revoke_job(account, "access_token", generation, envelope), now)?;
            }
        }
        store.drop_account(id)?;
        self.schedule(open).await?;
        Ok(Answer::Deleted(true))
    }
}

/// A job to revoke a token that is already sealed.
pub(super) fn revoke_job(
    account: &Account,
    field: &str,
    generation: u64,
    envelope: Vec<u8>,
) -> Job {
    Job::Revoke {
        account: account.id.clone(),
        field: field.to_owned(),
        generation,
        envelope: encoding::base64url(envelope),
        attempt: 0,
        user: account.identity.id.clone(),
    }
}

enum Look {
    Serve { access_token: Secret, scopes: Vec<String>, expires_in: i64 },
    Stop(Problem),
    Refresh(AccountId, Selector),
}

/// Reads what is stored and decides, without an await.
fn look(open: &Open, want: &Want) -> Result<Look, Trouble> {
    let contents = open.store.contents()?;
    let account = match release::pick(&contents.accounts, want.login_hint.as_deref()) {
        Ok(account) => account,
        Err(none) => return Ok(Look::Stop(none)),
    };
    let grant = &contents.grant(&account.id).ok_or(Trouble::Failed("no_grant"))?.record;
    let can_narrow = open.connection()?.down_scoping;
    let selector = match release::select(&grant.scopes, want, can_narrow) {
        Ok(selector) => selector,
        Err(none) => return Ok(Look::Stop(none)),
    };
    // A token that does not open counts as none: its grant may give another.
    let token = match contents.access_token(&account.id, &selector) {
        Some(Sealed { record, envelope: Some(envelope) }) => {
            match open.open(&account.id, "access_token", record.generation, envelope) {
                Ok(text) => Some((record, text)),
                Err(SealError::Corrupt) => None,
                Err(error) => return Err(error.into()),
            }
        }
        _ => None,
    };
    let record = token.as_ref().map(|(record, _)| *record);
    Ok(match (release::decide(account, grant, record, clock::now()), token) {
        (Step::Serve { expires_in }, Some((record, access_token))) => {
            Look::Serve { access_token, scopes: record.scopes.clone(), expires_in }
        }
        (Step::Stop(stop), _) => Look::Stop(stop),
        _ => Look::Refresh(account.id.clone(), selector),
    })
}

fn accounts(open: &Open) -> Result<Answer, Trouble> {
    let contents = open.store.contents()?;
    let views = contents.accounts.iter().map(|account| {
        let scopes = contents.grant(&account.id).map(|grant| grant.record.scopes.clone());
        view(account, scopes.unwrap_or_default())
    });
    Ok(Answer::Accounts(views.collect()))
}

fn view(account: &Account, scopes: Vec<String>) -> AccountView {
    AccountView { id: account.id.clone(), scopes, created_at: account.created_at }
}

/// Keeps a grant that was just connected. The same provider user connecting again renews the
/// account it has.
fn keep(open: &Open, new: Store) -> Result<Answer, Trouble> {
    open.store.create(&open.home.user, &open.home.connection)?;
    let identity = Identity { id: new.provider_user, email: new.email, name: new.name };
    let contents = open.store.contents()?;
    let known = contents.accounts.iter().find(|account| account.identity.id == identity.id);
    let old = known.and_then(|account| contents.grant(&account.id));
    let account = Account {
        id: known.map_or(new.account, |account| account.id.clone()),
        identity,
        state: AccountState::Active,
        created_at: known.map_or(new.issued_at, |account| account.created_at),
    };
    let generation = old.map_or(1, |grant| grant.record.generation + 1);
    let refresh_token = match new.refresh_token {
        Some(token) => Some(token),
        // Some providers give one only at the first consent. What we have is still good.
        None => old.map_or(Ok(None), |old| still_good(open, &account.id, old))?,
    };
    let sealed_refresh = match &refresh_token {
        Some(token) => Some(open.seal(&account.id, "refresh_token", generation, token)?),
        None => None,
    };
    let envelope = open.seal(&account.id, "access_token", generation, &new.access_token)?;
    let grant = Grant::new(generation, sealed_refresh.is_some(), new.scopes.clone());
    // One write from here on.
    open.store.drop_jobs(|job| job.is_against(account.identity.id.as_deref()))?;
    open.store.put_account(&account)?;
    open.store.put_grant(&account.id, &grant, sealed_refresh)?;
    open.store.drop_access_tokens(&account.id)?;
    open.store.put_access_token(NewToken {
        account: &account.id,
        selector: &Selector::default(),
        record: AccessTokenRecord {
            generation,
            scopes: new.scopes.clone(),
            issued_at: new.issued_at,
            expires_at: new.expires_at,
        },
        envelope,
    })?;
    Ok(Answer::Stored(view(&account, new.scopes)))
}

/// The refresh token an account had before it was connected again.
fn still_good(
    open: &Open,
    account: &AccountId,
    old: &Sealed<Grant>,
) -> Result<Option<Secret>, Trouble> {
    let Some(envelope) = &old.envelope else {
        return Ok(None);
    };
    match open.open(account, "refresh_token", old.record.generation, envelope) {
        Ok(token) => Ok(Some(token)),
        Err(SealError::Corrupt) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
