// SPDX-License-Identifier: Apache-2.0
//! `IssuerKeys`: the last good metadata and keys of one source. Only this object fetches them.

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
use crate::provider::endpoints::Metadata;
use crate::public_url::PublicUrl;
use crate::runtime::object_call::{self, ObjectError};
use crate::runtime::single_flight::Flights;
use crate::runtime::{clock, configuration, http_client, log, sql};

/// One object per source.
#[wasm_bindgen]
pub struct IssuerKeys {
    inner: Rc<Inner>,
}

struct Inner {
    state: State,
    env: Env,
    flights: Rc<Flights<()>>,
}

#[wasm_bindgen]
impl IssuerKeys {
    /// The platform calls it.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        let state = State::from(state);
        Self { inner: Rc::new(Inner { state, env, flights: Rc::default() }) }
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
            FetchStep::Serve => Ok(served(published)),
            FetchStep::Unavailable => Ok(IssuerResponse::Unavailable),
            FetchStep::ServeAndFetch => {
                self.flights.start(&self.state, (), fetch);
                Ok(served(published))
            }
            FetchStep::Fetch => {
                self.flights.join(&self.state, (), fetch).await;
                let (published, fetches) = self.stored(&ask)?;
                match key_cache::after_failure(fetches, clock::now()) {
                    FetchStep::Serve => Ok(served(published)),
                    _ => Ok(IssuerResponse::Unavailable),
                }
            }
        }
    }

    /// Fetches and stores the documents. A failed fetch leaves the last good copy, and starts a
    /// cool-down.
    async fn fetch(&self, ask: &IssuerRequest, public_url: &PublicUrl) {
        let fetched = fetch_documents(ask, public_url).await;
        if let Err(reason) = &fetched {
            let event = Event::new(EventName::IssuerUnavailable).detail(reason.as_str());
            log::event(&Event { issuer: Some(ask.issuer.clone()), ..event });
        }
        if self.store(fetched.ok()).is_err() {
            let event = Event::new(EventName::ObjectFailed).because("storage");
            log::event(&Event { object: Some("ISSUER_KEYS"), ..event });
        }
    }

    fn stored(
        &self,
        ask: &IssuerRequest,
    ) -> Result<(Option<Published>, FetchHistory), ObjectError> {
        let storage = self.state.storage().sql();
        if !sql::has_table(&storage, "issuer")? {
            return Ok((None, FetchHistory::default()));
        }
        let query = "SELECT published, tried_at FROM issuer WHERE id = 1";
        let Some(mut row) = sql::run(&storage, query, vec![])?.into_iter().next() else {
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
        let storage = self.state.storage().sql();
        sql::run(&storage, CREATE, vec![])?;
        let json = published.and_then(|published| serde_json::to_string(&published).ok());
        let upsert = "INSERT INTO issuer (id, published, tried_at) VALUES (1, ?1, ?2) ON CONFLICT \
                      (id) DO UPDATE SET published = COALESCE(?1, published), tried_at = ?2";
        sql::run(&storage, upsert, vec![json.into(), sql::integer(clock::now())?])?;
        Ok(())
    }
}

fn served(published: Option<Published>) -> IssuerResponse {
    published.map_or(IssuerResponse::Unavailable, IssuerResponse::Published)
}

async fn fetch_documents(ask: &IssuerRequest, public_url: &PublicUrl) -> Result<Published, String> {
    let (metadata, jwks_uri) = match &ask.jwks_uri {
        Some(uri) => (None, uri.clone()),
        None => {
            let address = Metadata::address(&ask.issuer);
            let body = http_client::document(&address).await;
            let body = body.map_err(|why| format!("no metadata: {why}"))?;
            let metadata = Metadata::parse(&body, ask.discovery(), public_url)
                .map_err(|error| error.to_string())?;
            let uri = metadata.jwks_uri.clone();
            (Some(metadata), uri)
        }
    };
    let body = http_client::document(&jwks_uri).await;
    let body = body.map_err(|why| format!("no key set: {why}"))?;
    // An empty or malformed set is an error and never means "no keys": the last good one stays.
    JwkSet::parse(&body).map_err(|error| error.to_string())?;
    let jwks = String::from_utf8(body).map_err(|_| "key set is not UTF-8")?;
    Ok(Published { metadata, jwks, fetched_at: clock::now() })
}
