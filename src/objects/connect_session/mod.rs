// SPDX-License-Identifier: Apache-2.0
//! `ConnectSession`: the object of one connect, with its record.

mod redeem;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Request;
use worker::worker_sys::DurableObjectState;
use worker::{Env, State};

use crate::config::Config;
use crate::connect::hops::{Hop, Opened};
use crate::connect::identify::IdentityError;
use crate::connect::record::{
    AuthorizationResponse, Begin, Complete, Denied, Flow, FlowSecrets, Phase, SESSION_LIFETIME,
    Session, StatelessError,
};
use crate::connect::session::{Completion, SessionError, Unidentified};
use crate::event::{Event, EventName};
use crate::ids::AccountId;
use crate::json;
use crate::message::connect::{CREATE, SessionRequest, SessionResponse};
use crate::message::directory::DirectoryRequest;
use crate::message::vault::{VaultAction, VaultRequest, VaultResponse};
use crate::objects::connect_session::redeem::Redeem;
use crate::provider::authorization_request::{self, RequestError};
use crate::provider::connection::Connection;
use crate::provider::endpoints::Provider;
use crate::provider::userinfo::UserInfo;
use crate::runtime::context::Context;
use crate::runtime::object_call::{self, CallError, ObjectError};
use crate::runtime::providers::{self, ProviderError};
use crate::runtime::storage::Storage;
use crate::runtime::{clock, configuration, log, single_flight};
use crate::seal::Sealer;
use crate::secret::Secret;
use crate::vault::consent::NewGrant;

/// One object per connect.
#[wasm_bindgen]
pub struct ConnectSession {
    inner: Rc<Inner>,
}

struct Inner {
    state: State,
    env: Env,
    storage: Storage,
    /// The session, once it was read or written.
    known: RefCell<Option<Session>>,
    /// Whether a redemption of the code is in progress.
    redeeming: Cell<bool>,
}

#[wasm_bindgen]
impl ConnectSession {
    /// The platform calls it.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        let state = State::from(state);
        let storage = Storage::of(&state);
        let (known, redeeming) = (RefCell::default(), Cell::default());
        Self { inner: Rc::new(Inner { state, env, storage, known, redeeming }) }
    }

    /// Answers one message.
    #[must_use]
    pub fn fetch(&self, request: Request) -> JsValue {
        let inner = self.inner.clone();
        object_call::answer(request, move |ask| inner.answer(ask))
    }

    /// Deletes the session: its lifetime is over in any case.
    ///
    /// # Errors
    /// An error of the platform, which then calls again.
    pub async fn alarm(&self) -> Result<(), JsValue> {
        self.inner.known.take();
        let deleted = self.inner.storage.delete_all().await;
        deleted.map_err(|_| JsValue::from_str("the session could not be deleted"))
    }
}

impl Inner {
    async fn answer(self: Rc<Self>, ask: SessionRequest) -> Result<SessionResponse, ObjectError> {
        let config = configuration::load(&self.env).ok_or(ObjectError::Misconfigured)?;
        match ask {
            SessionRequest::Begin(begin) => self.begin(*begin).await,
            SessionRequest::Open { ticket, cookie } => {
                self.open(&config, &ticket, cookie.as_ref()).await
            }
            SessionRequest::ReturnWithoutState(told) => self.returned_without_state(&told),
            SessionRequest::Origin => Ok(match self.load()? {
                Some(session) => SessionResponse::Origin(session.origin()),
                None => SessionResponse::Denied(Denied::Unknown),
            }),
            SessionRequest::Return(back) => {
                let answer = self.returned(&config, &back).await;
                self.tell_if_over(&config);
                answer
            }
            SessionRequest::Complete(complete) => {
                // A code is redeemed once, so this continues even if the application goes away.
                let (this, config) = (self.clone(), config.clone());
                let work = async move {
                    let answer = this.complete(&config, &complete).await;
                    this.tell_if_over(&config);
                    answer
                };
                single_flight::run(&self.state, work)
                    .await
                    .unwrap_or(Err(ObjectError::Failed("detached")))
            }
        }
    }

    async fn begin(&self, begin: Begin) -> Result<SessionResponse, ObjectError> {
        if self.load()?.is_some() {
            return Ok(SessionResponse::Denied(Denied::Used));
        }
        self.storage.create(CREATE)?;
        self.save(&Session::new(begin, clock::now()))?;
        let life = Duration::from_secs(SESSION_LIFETIME.unsigned_abs());
        self.storage.set_alarm(life).await?;
        Ok(SessionResponse::Begun)
    }

    async fn open(
        &self,
        config: &Config,
        ticket: &Secret,
        cookie: Option<&Secret>,
    ) -> Result<SessionResponse, ObjectError> {
        let now = clock::now();
        let Some(session) = self.load()? else {
            return Ok(SessionResponse::Denied(Denied::Unknown));
        };
        let found = match session.hop(ticket, cookie, now) {
            Ok(Hop::ToApplication) => None,
            Ok(Hop::Authorize | Hop::Repeat) => Some(self.provider(config, &session).await),
            Err(denied) => return Ok(SessionResponse::Denied(denied)),
        };
        if let Some(Err(denied)) = found {
            return Ok(match session.not_opened(denied.clone()) {
                Ok(location) => SessionResponse::Returned { location, denied: Some(denied) },
                Err(denied) => SessionResponse::Denied(denied),
            });
        }
        // Another request may have changed the session since the check above.
        let Some(mut session) = self.load()? else {
            return Ok(SessionResponse::Denied(Denied::Unknown));
        };
        let name = config.names.connect_session(&session.begin.session);
        let sealer = Sealer::new(&config.key_ring, &name);
        let opened = match session.open(ticket, cookie, &sealer, now) {
            Ok(opened) => opened,
            Err(error) => return denied(error),
        };
        let (state, cookie, secrets) = match opened {
            Opened::AtProvider { state, cookie, secrets } => (state, cookie, secrets),
            Opened::ToApplication(location) => {
                self.save(&session)?;
                return Ok(SessionResponse::Returned { location, denied: None });
            }
        };
        let Some(Ok((connection, provider))) = found else {
            return Ok(SessionResponse::Denied(Denied::Used));
        };
        let ask = authorization_request::AuthorizationRequest {
            callback: &config.public_url.callback(&session.begin.connection),
            state: state.expose(),
            nonce: secrets.nonce.expose(),
            verifier: secrets.verifier.expose(),
            scopes: &session.begin.scopes,
            params: &session.begin.params,
        };
        let location = match authorization_request::url(connection, &provider, &ask) {
            Ok(location) => location,
            Err(error) => {
                if let RequestError::OwnParameter(name) = error {
                    let event = Event::new(EventName::EndpointUnusable);
                    log::event(&event.at(&session.begin.connection).detail(name));
                }
                return Ok(SessionResponse::Denied(Denied::ProviderMisconfigured));
            }
        };
        self.save(&session)?;
        Ok(SessionResponse::Opened { location: location.into(), cookie })
    }

    async fn returned(
        &self,
        config: &Config,
        back: &AuthorizationResponse,
    ) -> Result<SessionResponse, ObjectError> {
        let Some(session) = self.load()? else {
            return Ok(SessionResponse::Denied(Denied::Unknown));
        };
        // The metadata of the provider say whether the response is its; one that is repeated is not looked at.
        let from_provider = if session.is_repeated(back) {
            true
        } else {
            match self.provider(config, &session).await {
                Ok((_, provider)) => provider.accepts_response_from(back.iss.as_deref()),
                Err(denied) => return Ok(SessionResponse::Denied(denied)),
            }
        };
        let Some(mut session) = self.load()? else {
            return Ok(SessionResponse::Denied(Denied::Unknown));
        };
        let name = config.names.connect_session(&session.begin.session);
        let sealer = Sealer::new(&config.key_ring, &name);
        if let Some(authorization) = session.begin.authorization.clone() {
            let result = session.returned_login(back, from_provider, &sealer, clock::now());
            // `Completing` is durable before the code is sent.
            self.save(&session)?;
            return match result {
                Ok((code, secrets)) => self.sign_in(config, session, &code, secrets).await,
                Err(SessionError::Declined(code)) => {
                    Ok(SessionResponse::Declined { authorization, code: code.to_owned() })
                }
                Err(error) => denied(error),
            };
        }
        let result = session.returned(back, from_provider, &sealer, clock::now());
        self.save(&session)?;
        match result {
            Ok(location) => Ok(SessionResponse::Returned { location, denied: None }),
            Err(error) => denied(error),
        }
    }

    fn returned_without_state(
        &self,
        told: &StatelessError,
    ) -> Result<SessionResponse, ObjectError> {
        let session = self.load()?.ok_or(Denied::Unknown);
        let location =
            session.and_then(|session| session.declined_without_state(told, clock::now()));
        Ok(match location {
            Ok(location) => SessionResponse::Returned { location, denied: None },
            Err(denied) => SessionResponse::Denied(denied),
        })
    }

    /// Redeems the code of a sign-in, and finds its user. The tokens are dropped: a sign-in connects no
    /// account.
    async fn sign_in(
        &self,
        config: &Config,
        mut session: Session,
        code: &Secret,
        secrets: FlowSecrets,
    ) -> Result<SessionResponse, ObjectError> {
        let (connection, provider) = match self.provider(config, &session).await {
            Ok(found) => found,
            Err(denied) => return self.fail(denied),
        };
        let callback = config.public_url.callback(&session.begin.connection);
        let redeem = self.at(config, connection, &provider, &session);
        let identity = match redeem.code(&callback, code, secrets).await {
            Ok(tokens) => redeem.identity(&tokens).await,
            Err(denied) => return self.fail(denied),
        };
        let user = match identity {
            Ok(UserInfo { identity, .. }) => identity,
            Err(IdentityError::Later) => return self.fail(Denied::ProviderUnavailable),
            Err(error) => {
                log::event(&error.event().at(&session.begin.connection));
                return self.fail(error.denial());
            }
        };
        let (Some(authorization), Some(id)) = (session.begin.authorization.clone(), user.id) else {
            return self.fail(Denied::Identity);
        };
        let (connection, link) = (session.begin.connection.clone(), session.begin.link.clone());
        session.finish(None);
        self.save(&session)?;
        let (email, display_name) = (user.email, user.name);
        Ok(SessionResponse::SignedIn {
            authorization,
            connection,
            user: id,
            email,
            display_name,
            link,
        })
    }

    async fn complete(
        &self,
        config: &Config,
        ask: &Complete,
    ) -> Result<SessionResponse, ObjectError> {
        let Some(mut session) = self.load()? else {
            return Ok(SessionResponse::Denied(Denied::Unknown));
        };
        let name = config.names.connect_session(&session.begin.session);
        let sealer = Sealer::new(&config.key_ring, &name);
        let connection = config.connections.get(&session.begin.connection);
        let completion =
            session.complete(ask, connection, self.redeeming.get(), &sealer, clock::now());
        // `Completing` is durable before the code is sent; so is a session that failed.
        self.save(&session)?;
        let tokens = match completion {
            Ok(Completion::Store(store)) => return self.store(config, session, *store).await,
            Ok(Completion::Answer(account)) => {
                return self.repeat(config, &session, &account).await;
            }
            Ok(Completion::Identify(tokens)) => Ok(tokens),
            Ok(Completion::Redeem { code, secrets }) => {
                self.redeeming.set(true);
                let redeemed = self.redeem(config, &mut session, &sealer, &code, secrets).await;
                self.redeeming.set(false);
                redeemed?
            }
            Err(error) => return denied(error),
        };
        match tokens {
            Ok(tokens) => self.identify(config, session, &sealer, tokens).await,
            Err(denied) => self.fail(denied),
        }
    }

    /// Redeems the code, and keeps the tokens.
    async fn redeem(
        &self,
        config: &Config,
        session: &mut Session,
        sealer: &Sealer,
        code: &Secret,
        secrets: FlowSecrets,
    ) -> Result<Result<Unidentified, Denied>, ObjectError> {
        let (connection, provider) = match self.provider(config, session).await {
            Ok(found) => found,
            Err(denied) => return Ok(Err(denied)),
        };
        let callback = config.public_url.callback(&session.begin.connection);
        let redeem = self.at(config, connection, &provider, session);
        let tokens = match redeem.code(&callback, code, secrets).await {
            Ok(tokens) => tokens,
            Err(denied) => return Ok(Err(denied)),
        };
        // The session may have failed meanwhile.
        if !matches!(self.stored_now(session)?, Some(Phase::Completing { .. })) {
            return Ok(Err(Denied::Used));
        }
        session.granted(&tokens, sealer, clock::now())?;
        self.save(session)?;
        Ok(Ok(tokens))
    }

    /// Finds the user of the tokens. The session keeps them until then.
    async fn identify(
        &self,
        config: &Config,
        mut session: Session,
        sealer: &Sealer,
        tokens: Unidentified,
    ) -> Result<SessionResponse, ObjectError> {
        let identity = match self.provider(config, &session).await {
            Ok((connection, provider)) => {
                self.at(config, connection, &provider, &session).identity(&tokens).await
            }
            Err(_) => Err(IdentityError::Later),
        };
        let stored = self.stored_now(&mut session)?;
        let identified = session.identified(stored.as_ref(), identity, tokens, sealer)?;
        if let Some(event) = &identified.event {
            log::event_of(event, &config.names, &session.begin.user);
        }
        if identified.is_changed {
            self.save(&session)?;
        }
        match identified.outcome {
            Ok(store) => self.store(config, session, *store).await,
            Err(denied) => Ok(SessionResponse::Denied(denied)),
        }
    }

    fn at<'a>(
        &'a self,
        config: &'a Config,
        connection: &'a Connection,
        provider: &'a Provider,
        session: &'a Session,
    ) -> Redeem<'a> {
        Redeem {
            env: &self.env,
            config,
            name: &session.begin.connection,
            connection,
            provider,
            user: (session.flow == Flow::Connect).then_some(&session.begin.user),
            scopes: &session.begin.scopes,
            callback: &session.provider_data,
        }
    }

    /// Ends the session as it is stored now, because a completion or a sign-in failed.
    fn fail(&self, denied: Denied) -> Result<SessionResponse, ObjectError> {
        if let Some(mut session) = self.load()? {
            session.fail(&denied);
            self.save(&session)?;
        }
        Ok(SessionResponse::Denied(denied))
    }

    /// Answers a completion that is repeated with the account as its vault has it now.
    async fn repeat(
        &self,
        config: &Config,
        session: &Session,
        id: &AccountId,
    ) -> Result<SessionResponse, ObjectError> {
        let connection = session.begin.connection.clone();
        Ok(match self.ask_vault(config, session, VaultAction::Accounts).await? {
            Some(VaultResponse::Accounts(accounts)) => {
                match accounts.into_iter().find(|account| account.id == *id) {
                    Some(account) => SessionResponse::Completed { account, connection },
                    // The account was deleted since.
                    None => SessionResponse::Denied(Denied::Used),
                }
            }
            _ => SessionResponse::Denied(Denied::NotStored),
        })
    }

    /// Asks the vault of the session's user and connection. `None` if it does not answer.
    async fn ask_vault(
        &self,
        config: &Config,
        session: &Session,
        act: VaultAction,
    ) -> Result<Option<VaultResponse>, ObjectError> {
        let Begin { user, connection, .. } = &session.begin;
        let vault = config.objects(Some(&session.begin.client_id)).vault(user, connection);
        let ask = VaultRequest { user: user.clone(), connection: connection.clone(), act };
        match object_call::ask(&self.env, &vault, &ask).await {
            Ok(answer) => Ok(Some(answer)),
            Err(CallError::KeyUnavailable) => {
                Err(ObjectError::KeyUnavailable("in the vault".into()))
            }
            Err(_) => Ok(None),
        }
    }

    /// Tells the user's directory of a connect that is over, so that it does not count as in flight any more.
    /// Nobody waits for that: without it the connect counts until the session's lifetime is over.
    fn tell_if_over(&self, config: &Config) {
        let Ok(Some(session)) = self.load() else { return };
        if session.flow == Flow::Connect && session.is_over() {
            let objects = config.objects(Some(&session.begin.client_id));
            let (env, directory) = (self.env.clone(), objects.directory(&session.begin.user));
            let ended = DirectoryRequest::Ended { session: session.begin.session };
            self.state.wait_until(async move {
                let _ = object_call::ask(&env, &directory, &ended).await;
            });
        }
    }

    /// Passes the grant to its vault. The session keeps it until the vault has stored it.
    async fn store(
        &self,
        config: &Config,
        mut session: Session,
        store: NewGrant,
    ) -> Result<SessionResponse, ObjectError> {
        let act = VaultAction::Store(Box::new(store));
        let answer = self.ask_vault(config, &session, act).await?;
        self.stored_now(&mut session)?;
        match answer {
            Some(VaultResponse::Stored(account)) => {
                session.finish(Some(account.id.clone()));
                self.save(&session)?;
                let connection = session.begin.connection;
                Ok(SessionResponse::Completed { account, connection })
            }
            // The vault stored it before, and the account was deleted since.
            Some(VaultResponse::Deleted(_)) => {
                session.finish(None);
                self.save(&session)?;
                Ok(SessionResponse::Denied(Denied::Used))
            }
            Some(VaultResponse::Narrower { missing }) => self.fail(Denied::Narrower { missing }),
            Some(VaultResponse::UnknownUser) => self.fail(Denied::UnknownUser),
            _ => Ok(SessionResponse::Denied(Denied::NotStored)),
        }
    }

    async fn provider<'a>(
        &self,
        config: &'a Config,
        session: &Session,
    ) -> Result<(&'a Connection, Provider), Denied> {
        let connection = config
            .connections
            .get(&session.begin.connection)
            .ok_or(Denied::ProviderMisconfigured)?;
        if !session.is_of(connection) {
            let event = Event::new(EventName::RegistrationChanged).at(&session.begin.connection);
            log::event(&event.because("connect_in_flight"));
            return Err(Denied::RegistrationChanged);
        }
        let context = Context { env: &self.env, config, now: clock::now() };
        let found = providers::of(context, connection).await;
        match found {
            Ok(provider) => Ok((connection, provider)),
            Err(ProviderError::Unavailable) => Err(Denied::ProviderUnavailable),
            Err(ProviderError::Incomplete) => Err(Denied::ProviderMisconfigured),
        }
    }

    fn load(&self) -> Result<Option<Session>, ObjectError> {
        if let Some(session) = self.known.borrow().as_ref() {
            return Ok(Some(session.clone()));
        }
        if !self.storage.has_table("session")? {
            return Ok(None);
        }
        let rows = self.storage.run("SELECT record FROM session WHERE id = 1", vec![])?;
        let Some(mut row) = rows.into_iter().next() else {
            return Ok(None);
        };
        let stored: Session =
            json::parse_trusted(&row.text()?).map_err(|_| ObjectError::Failed("record"))?;
        self.known.replace(Some(stored.clone()));
        Ok(Some(stored))
    }

    /// The phase that is stored now. While the session waited for somebody, the browser may have repeated a hop:
    /// what that changed is taken over.
    fn stored_now(&self, session: &mut Session) -> Result<Option<Phase>, ObjectError> {
        let stored = self.load()?;
        Ok(stored.map(|stored| {
            session.browser = stored.browser;
            stored.phase
        }))
    }

    fn save(&self, session: &Session) -> Result<(), ObjectError> {
        let json = serde_json::to_string(session).map_err(|_| ObjectError::Failed("record"))?;
        let upsert = "INSERT OR REPLACE INTO session (id, record) VALUES (1, ?)";
        self.known.take();
        self.storage.run(upsert, vec![json.into()])?;
        self.known.replace(Some(session.clone()));
        Ok(())
    }
}

/// The response to a step that is denied.
fn denied(error: SessionError) -> Result<SessionResponse, ObjectError> {
    match error {
        SessionError::Denied(denied) => Ok(SessionResponse::Denied(denied)),
        SessionError::Declined(_) => Ok(SessionResponse::Denied(Denied::Unknown)),
        SessionError::Seal(error) => Err(error.into()),
    }
}
