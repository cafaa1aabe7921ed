// SPDX-License-Identifier: Apache-2.0
//! Where objects are created. The platform creates an object at the first request to it and never moves it, so
//! each request carries the hint: whichever is the first.
//!
//! Tokens are exchanged by back ends, so objects belong where these are, and not where the browser is that
//! happens to begin a connect. `location` of a client says where its back ends are. The rules are in
//! [`Objects::near_back_ends`].

use std::rc::Rc;

use crate::config::Config;
use vault_base::address::{Address, Location};
use vault_base::ids::{self, DocumentSource, KEY_CHECK, UserId};
use vault_base::mac_id::MacId;

impl Config {
    /// The objects that are asked for a user whose token was issued to this client. `None` for requests that no
    /// client makes.
    pub fn objects<'a>(&'a self, client_id: Option<&'a str>) -> Objects<'a> {
        Objects { config: self, client_id }
    }
}

/// Makes the addresses of objects. Where no client is known, as in the hops of a browser, the request is not the
/// first to its object.
#[derive(Debug, Clone, Copy)]
pub struct Objects<'a> {
    config: &'a Config,
    client_id: Option<&'a str>,
}

impl Objects<'_> {
    /// The `Vault` of a user at a connection.
    pub fn vault(self, user: &UserId, connection: &str) -> Address {
        let name = self.config.names.vault(user, connection);
        address(name, self.near_back_ends(Some(connection)))
    }

    /// The `ConnectSession` of a connect. It lies beside the vault, which it asks and gives the grant to.
    /// The browser's requests do not know the connection; the session has begun before them.
    pub fn connect_session(self, id: &MacId, connection: Option<&str>) -> Address {
        address(self.config.names.connect_session(id), self.near_back_ends(connection))
    }

    /// The `Directory` of a user.
    pub fn directory(self, user: &UserId) -> Address {
        self.of_client(self.config.names.directory(user))
    }

    /// The `Authorization` object of an authorization request.
    pub fn authorization(self, id: &MacId) -> Address {
        self.of_client(self.config.names.authorization(id))
    }

    /// The `RefreshFamily` object of a refresh-token family.
    pub fn refresh_family(self, id: &MacId) -> Address {
        self.of_client(self.config.names.refresh_family(id))
    }

    /// The `BrowserSession` object of a browser session.
    pub fn browser_session(self, id: &MacId) -> Address {
        self.of_client(self.config.names.browser_session(id))
    }

    /// The `Identity` object of an account at a provider.
    pub fn identity(self, authority: &str, user: &str) -> Address {
        self.of_client(self.config.names.identity(authority, user))
    }

    /// The `User` object of a user of the vault.
    pub fn user_record(self, subject: &str) -> Address {
        self.of_client(self.config.names.user_record(subject))
    }

    /// The shard of the `Registry` that lists a user.
    pub fn registry(self, user: &UserId) -> Address {
        self.of_all(self.config.names.registry(user))
    }

    /// The shard of the `Registry` with this name.
    pub fn registry_shard(self, name: String) -> Address {
        self.of_all(name)
    }

    /// The object of the `Registry` that keeps the check values of the keys.
    pub fn key_check(self) -> Address {
        self.of_all(KEY_CHECK.to_owned())
    }

    /// A copy of [`Self::key_check`], by any number.
    pub fn key_check_copy(self, number: u8) -> Address {
        self.of_all(ids::key_check_copy(number))
    }

    /// The `IssuerKeys` object of a source.
    pub fn issuer_keys(self, source: &DocumentSource) -> Address {
        self.of_all(self.config.names.issuer_keys(source))
    }

    /// The `SigningKeys` object of the deployment.
    pub fn signing_keys(self) -> Address {
        self.of_all(self.config.names.signing_keys())
    }

    /// The place of what belongs to users of the client, or of a client's users at `connection`: the first of
    ///
    /// 1. `location` of the client;
    /// 2. `location` of the clients that exchange tokens issued to it, at this connection: where these differ, none;
    /// 3. `location` of the connection;
    /// 4. `LOCATION`;
    /// 5. where clients differed, that of the first, in the order of their ids: the place of some back end is
    ///    still better than that of a browser.
    ///
    /// So all requests about a user of a client come to the same place, whoever is first.
    pub fn near_back_ends(self, connection: Option<&str>) -> Option<Location> {
        let Self { config, client_id } = self;
        let own = client_id.and_then(|id| config.clients.get(id)?.location);
        let (first, is_common) = self.of_exchanging(connection);
        let agreed = first.filter(|_| is_common && client_id.is_some());
        let at = || connection.and_then(|name| config.connections.get(name)?.location);
        own.or(agreed).or_else(at).or(config.location).or(first)
    }

    /// The place of what all clients share: `LOCATION`, else that of the first client which exchanges tokens.
    pub fn shared(self) -> Option<Location> {
        Objects { client_id: None, ..self }.near_back_ends(None)
    }

    /// The first `location` of the clients that exchange tokens issued to this client, and whether it is the only
    /// one.
    fn of_exchanging(self, connection: Option<&str>) -> (Option<Location>, bool) {
        let (mut first, mut is_common) = (None, true);
        for client in self.config.clients.values() {
            if client.location.is_some() && client.exchanges_for(self.client_id, connection) {
                is_common &= first.is_none() || first == client.location;
                first = first.or(client.location);
            }
        }
        (first, is_common)
    }

    fn of_client(self, name: String) -> Address {
        address(name, self.near_back_ends(None))
    }

    fn of_all(self, name: String) -> Address {
        address(name, self.shared())
    }
}

fn address(name: String, location: Option<Location>) -> Address {
    Address { name: Rc::from(name), location }
}
