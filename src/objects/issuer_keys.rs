// SPDX-License-Identifier: Apache-2.0
//! `IssuerKeys`: the last good metadata and keys of one source. Only this object fetches them.

use std::cell::Cell;
use std::rc::Rc;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Request;
use worker::worker_sys::DurableObjectState;
use worker::{Env, State};

use crate::event::{Event, EventName};
use crate::json;
use crate::jwt::jwk::JwkSet;
use crate::jwt::key_cache::{self, FetchHistory, FetchStep};
use crate::message::issuer::{CREATE, IssuerRequest, IssuerResponse, Published};
use crate::provider::endpoints::{DocumentError, Metadata};
use crate::public_url::PublicUrl;
use crate::runtime::object_call::{self, ObjectError};
use crate::runtime::single_flight::Flights;
use crate::runtime::storage::{self, Storage};
use crate::runtime::{clock, configuration, http_client, log};

/// One object per source.
#[wasm_bindgen]
pub struct IssuerKeys {
    inner: Rc<Inner>,
}

struct Inner {
    state: State,
    env: Env,
    storage: Storage,
    flights: Rc<Flights<()>>,
    /// Whether the last fetch failed because what the issuer publishes cannot be used. In memory only: an object
    /// that starts again says `unavailable` until it may fetch again.
    is_unusable: Cell<bool>,
}

#[wasm_bindgen]
impl IssuerKeys {
    /// The platform calls it.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        let state = State::from(state);
        let storage = Storage::of(&state);
        let (flights, is_unusable) = (Rc::default(), Cell::default());
        Self { inner: Rc::new(Inner { state, env, storage, flights, is_unusable }) }
    }

    /// Answers one message.
    #[must_use]
    pub fn fetch(&self, request: Request) -> JsValue {
        let inner = self.inner.clone();
        object_call::answer(request, move |ask| inner.answer(ask))
    }
}

impl Inner {
    async fn answer(self: Rc<Self>, ask: IssuerRequest) -> Result<IssuerResponse, ObjectError> {
        let config = configuration::load(&self.env).ok_or(ObjectError::Misconfigured)?;
        let (published, fetches) = self.stored(&ask)?;
        let (this, asked, public_url) = (self.clone(), ask.clone(), config.public_url.clone());
        let fetch = || async move { this.fetch(&asked, &public_url).await };
        match key_cache::plan(fetches, ask.renew, clock::now()) {
            FetchStep::Serve => Ok(self.served(published)),
            FetchStep::Unavailable => Ok(self.served(None)),
            FetchStep::ServeAndFetch => {
                self.flights.start(&self.state, (), fetch);
                Ok(self.served(published))
            }
            FetchStep::Fetch => {
                self.flights.join(&self.state, (), fetch).await;
                let (published, fetches) = self.stored(&ask)?;
                match key_cache::after_failure(fetches, clock::now()) {
                    FetchStep::Serve => Ok(self.served(published)),
                    _ => Ok(self.served(None)),
                }
            }
        }
    }

    /// Fetches and stores the documents. A failed fetch leaves the last good copy, and starts a
    /// cool-down.
    async fn fetch(&self, ask: &IssuerRequest, public_url: &PublicUrl) {
        let fetched = fetch_documents(ask, public_url).await;
        self.is_unusable.set(fetched.as_ref().is_err_and(|error| !error.may_pass()));
        if let Err(error) = &fetched {
            let event = Event::new(EventName::IssuerUnavailable).detail(error.to_string());
            log::event(&Event { issuer: Some(ask.issuer.clone()), ..event });
        }
        if self.store(fetched.ok()).is_err() {
            let event = Event::new(EventName::ObjectFailed).because("storage");
            log::event(&Event { object: Some("ISSUER_KEYS"), ..event });
        }
    }

    fn served(&self, published: Option<Published>) -> IssuerResponse {
        match published {
            Some(published) => IssuerResponse::Published(published),
            None if self.is_unusable.get() => IssuerResponse::Unusable,
            None => IssuerResponse::Unavailable,
        }
    }

    fn stored(
        &self,
        ask: &IssuerRequest,
    ) -> Result<(Option<Published>, FetchHistory), ObjectError> {
        let storage = &self.storage;
        if !storage.has_table("issuer")? {
            return Ok((None, FetchHistory::default()));
        }
        let query = "SELECT published, tried_at FROM issuer WHERE id = 1";
        let Some(mut row) = storage.run(query, vec![])?.into_iter().next() else {
            return Ok((None, FetchHistory::default()));
        };
        // A copy that an earlier version wrote in another form, or for another request, is fetched
        // again.
        let published: Option<Published> = row
            .optional_text()?
            .and_then(|json| json::parse_trusted(&json).ok())
            .filter(|published| ask.is_answered_by(published));
        let good_at = published.as_ref().map(|published| published.fetched_at);
        Ok((published, FetchHistory { good_at, tried_at: Some(row.integer()?) }))
    }

    fn store(&self, published: Option<Published>) -> Result<(), ObjectError> {
        let storage = &self.storage;
        storage.create(CREATE)?;
        let json = published.and_then(|published| serde_json::to_string(&published).ok());
        let upsert = "INSERT INTO issuer (id, published, tried_at) VALUES (1, ?1, ?2) ON CONFLICT \
                      (id) DO UPDATE SET published = COALESCE(?1, published), tried_at = ?2";
        storage.run(upsert, vec![json.into(), storage::integer(clock::now())?])?;
        Ok(())
    }
}

async fn fetch_documents(
    ask: &IssuerRequest,
    public_url: &PublicUrl,
) -> Result<Published, DocumentError> {
    let (metadata, jwks_uri) = match &ask.jwks_uri {
        Some(uri) => (None, uri.clone()),
        None => {
            let address = Metadata::address(&ask.issuer);
            let body = document("metadata", &address).await?;
            let metadata = Metadata::parse(&body, ask.discovery(), public_url)?;
            let uri = metadata.jwks_uri.clone();
            (Some(metadata), uri)
        }
    };
    let body = document("key set", &jwks_uri).await?;
    // An empty or malformed set is an error and never means "no keys": the last good one stays.
    JwkSet::parse(&body)?;
    let jwks = String::from_utf8_lossy(&body).into_owned();
    Ok(Published { metadata, jwks, fetched_at: clock::now() })
}

/// Fetches a document. `name` says which one it is.
async fn document(name: &'static str, address: &str) -> Result<Vec<u8>, DocumentError> {
    http_client::document(address).await.map_err(|status| match status {
        Some(status) => DocumentError::Status(name, status),
        None => DocumentError::Lost(name),
    })
}
