// SPDX-License-Identifier: Apache-2.0
//! A connect in flight, with the handles that each party holds.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use serde_json::json;
use url::Url;
use vault_base::encoding::{base64url, sha256};
use vault_base::ids::{AccountId, ObjectNames, UserId};
use vault_base::mac_id::{IdKind, MacId};
use vault_base::seal::{KeyRing, Sealer};
use vault_base::secret::Secret;
use vault_core::connect::handle::{self, OpaqueHandle};
use vault_core::connect::hops::Opened;
use vault_core::connect::record::{AuthorizationResponse, Begin, Complete, Denied, Session};
use vault_core::connect::session::{Completion, SessionError};
use vault_core::vault::consent::NewGrant;

pub const NOW: i64 = 1_795_492_800;
pub const VERIFIER: &str = "0123456789012345678901234567890123456789012";

/// A connect in flight, with the handles that each party holds.
pub struct Journey {
    pub session: Session,
    pub ring: KeyRing,
    pub ticket: Secret,
    pub auth_session: Secret,
    pub state: Secret,
    pub cookie: Secret,
    pub connect_code: Secret,
}

pub fn names() -> ObjectNames {
    ObjectNames::new([3; 32])
}

pub fn user(subject: &str) -> UserId {
    UserId { issuer: "https://idp.example/".into(), subject: subject.into() }
}

impl Journey {
    pub fn started() -> Self {
        let (ticket, auth_session) = (Secret::new("T1cket5ecret"), Secret::new("A5ession5ecret"));
        let begin = Begin {
            session: MacId::new(&names(), IdKind::Connect).unwrap(),
            user: user("alice"),
            client_id: "spa".into(),
            connection: "demo".into(),
            redirect_uri: "https://app.example/back?tab=1".into(),
            state: Some("a b&c=#ü".into()),
            code_challenge: Some(base64url(sha256(VERIFIER))),
            scopes: vec!["openid".into()],
            params: vec![],
            ticket: handle::hash(&ticket),
            auth_session: handle::hash(&auth_session),
            authorization: None,
            link: None,
            registration: None,
        };
        let ring = json!({"write": "k1", "keys": {"k1": base64url([7; 32])}}).to_string();
        let nothing = || Secret::new("");
        Self {
            session: Session::new(begin, NOW),
            ring: KeyRing::parse(&ring).unwrap(),
            ticket,
            auth_session,
            state: nothing(),
            cookie: nothing(),
            connect_code: nothing(),
        }
    }

    pub fn at_provider() -> Self {
        let mut journey = Self::started();
        let ticket = journey.ticket.clone();
        (journey.state, journey.cookie) = journey.open(&ticket, None, NOW).unwrap();
        journey
    }

    /// Opens the ticket in a browser that gets a cookie: the secret of the state, and the cookie.
    pub fn open(
        &mut self,
        ticket: &Secret,
        cookie: Option<&Secret>,
        now: i64,
    ) -> Result<(Secret, Secret), Denied> {
        let opened = self.step(|session, sealer| session.open(ticket, cookie, sealer, now))?;
        let Opened::AtProvider { state, cookie: Some(cookie), .. } = opened else {
            panic!("{opened:?}");
        };
        let state = OpaqueHandle::parse(state.expose()).unwrap();
        assert_eq!(state.session_id(&names()), Some(self.session.begin.session.clone()));
        Ok((state.secret, cookie))
    }

    pub fn returned() -> Self {
        let mut journey = Self::at_provider();
        let location = journey.come_back(&journey.back(), true, NOW).unwrap();
        journey.connect_code = connect_code(&location);
        journey
    }

    pub fn step<T>(
        &mut self,
        step: impl FnOnce(&mut Session, &Sealer) -> Result<T, SessionError>,
    ) -> Result<T, Denied> {
        step(&mut self.session, &Sealer::new(&self.ring, "object")).map_err(|fault| match fault {
            SessionError::Declined(code) => panic!("declined: {code}"),
            SessionError::Denied(denied) => denied,
            SessionError::Seal(error) => panic!("{error}"),
        })
    }

    pub fn back(&self) -> AuthorizationResponse {
        AuthorizationResponse {
            state: self.state.clone(),
            cookie: Some(self.cookie.clone()),
            connection: "demo".into(),
            iss: None,
            code: Some(Secret::new("provider code")),
            error: None,
            provider_data: BTreeMap::new(),
        }
    }

    pub fn come_back(
        &mut self,
        back: &AuthorizationResponse,
        ours: bool,
        now: i64,
    ) -> Result<Secret, Denied> {
        self.step(|session, sealer| session.returned(back, ours, sealer, now))
    }

    pub fn ask(&self) -> Complete {
        Complete {
            user: user("alice"),
            client_id: "spa".into(),
            auth_session: self.auth_session.clone(),
            connect_code: self.connect_code.clone(),
            redirect_uri: "https://app.example/back?tab=1".into(),
            code_verifier: Some(Secret::new(VERIFIER)),
        }
    }

    pub fn complete(&mut self, ask: &Complete, now: i64) -> Result<Completion, Denied> {
        self.step(|session, sealer| session.complete(ask, None, false, sealer, now))
    }
}

pub fn parameter(location: &Secret, name: &str) -> Option<String> {
    let url = Url::parse(location.expose()).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

pub fn store() -> NewGrant {
    NewGrant {
        account: AccountId::random().unwrap(),
        provider_user: Some("1".into()),
        email: None,
        name: None,
        access_token: Secret::new("access"),
        refresh_token: Some(Secret::new("refresh")),
        scopes: vec![],
        issued_at: NOW,
        expires_at: None,
        refresh_token_expires_at: None,
        kinds: BTreeMap::new(),
        provider_data: BTreeMap::new(),
        registration: None,
    }
}

/// The secret of the connect code in a redirect to the application.
pub fn connect_code(location: &Secret) -> Secret {
    let code = parameter(location, "connect_code").unwrap();
    OpaqueHandle::parse(&code).unwrap().secret
}
