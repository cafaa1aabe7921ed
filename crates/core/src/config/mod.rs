// SPDX-License-Identifier: Apache-2.0
//! The deployment's configuration. It is read and checked once, before a request is served.
//!
//! The configuration consists of the variables `PUBLIC_URL` and `LOCATION`, the tables `ISSUERS`, `CONNECTIONS` and `CLIENTS`
//! (merged with the variables `ISSUERS_*` and so on), and the secrets `KEY_RING`, `OBJECT_NAME_KEY` and
//! `PROVIDER_SECRETS`. A table is a JSON object, or a string that contains one.
//!
//! An isolate reads it before its first answer, and V8 compiles a function as a whole when it is called for the
//! first time. So what few configurations have is read by functions that the compiler must not merge into others.

mod api;
mod client;
mod connection_entry;
mod fields;
mod grant_type;
mod issuer;
mod lease;
mod merge;
mod profile;
mod provider_secret;
mod sign_in;
mod variables;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

pub use api::{ACCESS_TOKEN_LIFETIME, Api};
pub use client::{
    AccountAccess, AssertionAudience, Authentication, Client, ClientKind, RefreshPolicy,
    ScopePolicy,
};
pub use grant_type::{ExchangeGrant, GrantType};
pub use lease::MAX_LEASE_SECONDS;
pub use sign_in::SignIn;
pub use variables::Variables;

use self::provider_secret::ProviderSecrets;
use self::variables::Table;
use vault_base::address::Location;
use vault_base::encoding;
use vault_base::ids::ObjectNames;
use vault_base::public_url::PublicUrl;
use vault_base::seal::KeyRing;
use vault_jose::trusted_issuer::Issuer;
use vault_provider::connection::Connection;

/// The variables that are text.
pub const TEXTS: [&str; 2] = ["PUBLIC_URL", "LOCATION"];
/// The variables that are tables, each of which may go on in variables named `NAME_*`.
pub const TABLES: [&str; 5] = ["ISSUERS", "CONNECTIONS", "CLIENTS", "SIGN_IN", "APIS"];
/// The secrets. The last is a table as well.
pub const SECRETS: [&str; 3] = ["KEY_RING", "OBJECT_NAME_KEY", "PROVIDER_SECRETS"];

/// A valid configuration.
#[derive(Debug)]
pub struct Config {
    /// The vault's public address, from which its identifiers are derived.
    pub public_url: PublicUrl,
    /// Where objects are created for which no client and no connection names a place.
    pub location: Option<Location>,
    /// Trusted issuers by issuer identifier.
    pub issuers: BTreeMap<String, Issuer>,
    /// Connections by name.
    pub connections: BTreeMap<String, Connection>,
    /// How the vault signs users in, if it is an OpenID provider.
    pub sign_in: Option<SignIn>,
    /// Resource servers by name.
    pub apis: BTreeMap<String, Api>,
    /// Clients by client id.
    pub clients: BTreeMap<String, Client>,
    /// The keys that seal stored tokens.
    pub key_ring: KeyRing,
    /// The key that derives the names of objects.
    pub names: ObjectNames,
    digest: Digest,
}

/// The SHA-256 digest of all variables.
struct Digest([u8; 32]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[digest]")
    }
}

/// A fault in the configuration, for the operator's log. It never contains the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The variable with the fault, such as `CONNECTIONS`.
    pub variable: String,
    /// The path of the faulty field in the variable, such as `github.token_endpoint`; empty if the fault is
    /// in the whole variable.
    pub field: String,
    /// A sentence without subject that says what is wrong with the field and how to fix it.
    pub fix: String,
    /// The name that is not known, if that is the fault.
    pub unknown: Option<Unknown>,
}

/// A name that the configuration does not know. `cargo xtask check` finds the name that is meant; the Worker does
/// not, because that needs code that no request uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The name as it is written.
    pub name: String,
    /// What it should be a name of.
    pub of: Names,
}

/// What an unknown name should be a name of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// One of these fields of a table.
    Fields(Vec<&'static str>),
    /// A provider of the catalogue.
    Providers,
    /// An entry of this variable, such as `CONNECTIONS`.
    Entries(&'static str),
}

impl ConfigError {
    pub(crate) fn new(variable: &str, field: impl AsRef<str>, fix: impl AsRef<str>) -> Self {
        Self::of(variable, field.as_ref(), fix.as_ref())
    }

    #[cold]
    #[inline(never)]
    fn of(variable: &str, field: &str, fix: &str) -> Self {
        let [variable, field, fix] = [variable, field, fix].map(str::to_owned);
        Self { variable, field, fix, unknown: None }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.field.is_empty() { "" } else { "." };
        write!(f, "{}{dot}{}: {}", self.variable, self.field, self.fix)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads and checks all variables.
    ///
    /// # Errors
    /// The first [`ConfigError`] that is found.
    pub fn load(variables: &Variables) -> Result<Self, ConfigError> {
        if variables.text("JURISDICTION")?.is_some() {
            return Err(ConfigError::new("JURISDICTION", "", "is reserved; remove it"));
        }
        let public_url = PublicUrl::parse(&variables.required("PUBLIC_URL")?)
            .map_err(|fix| ConfigError::new("PUBLIC_URL", "", fix))?;
        let location = variables.text("LOCATION")?.map(|hint| Location::parse(&hint));
        let location = location.transpose().map_err(|fix| ConfigError::new("LOCATION", "", fix))?;
        let key_ring = KeyRing::parse(&variables.required("KEY_RING")?)
            .map_err(|error| ConfigError::new("KEY_RING", "", error.to_string()))?;
        let names = object_names(&variables.required("OBJECT_NAME_KEY")?)?;
        let mut secrets = ProviderSecrets::read(variables)?;

        let mut issuers = BTreeMap::new();
        let table = variables.table("ISSUERS")?;
        for (name, entry) in table.entries {
            let issuer = fields::read(entry, issuer::Raw::read)
                .and_then(|raw| raw.check(&public_url))
                .map_err(|fault| fault.at(table.origins.get(&name), &name))?;
            let identifier = issuer.source.issuer.clone();
            if issuers.insert(identifier, issuer).is_some() {
                let fix = "another entry of ISSUERS has the same issuer; keep one";
                return Err(FieldError::new("issuer", fix).at(table.origins.get(&name), &name));
            }
        }
        let mut connections = BTreeMap::new();
        let table = variables.table("CONNECTIONS")?;
        for (name, entry) in table.entries {
            let secret = secrets.take(&name)?;
            let connection = merge::complete(entry)
                .and_then(|entry| connection_entry::read(&name, entry, secret, &public_url))
                .map_err(|fault| fault.at(table.origins.get(&name), &name))?;
            connections.insert(name, connection);
        }
        secrets.end()?;
        let sign_in = match variables.table("SIGN_IN")? {
            table if table.entries.is_empty() => None,
            table => Some(sign_in(table, &public_url, &connections)?),
        };
        let apis = match variables.table("APIS")? {
            table if table.entries.is_empty() => BTreeMap::new(),
            table => apis(table, &public_url)?,
        };
        if sign_in.is_some() {
            let own = issuer::own(&public_url, &apis);
            if issuers.insert(public_url.identifier(), own).is_some() {
                let fix = "the vault trusts itself while SIGN_IN is set; remove this entry";
                return Err(ConfigError::new("ISSUERS", "", fix));
            }
        }
        let around = client::Around {
            vault: &public_url,
            connections: &connections,
            apis: &apis,
            signs_in: sign_in.is_some(),
        };
        let mut clients = BTreeMap::new();
        let table = variables.table("CLIENTS")?;
        for (name, entry) in table.entries {
            let client = fields::read(entry, client::Raw::read)
                .and_then(|raw| raw.check(&name, &around))
                .map_err(|fault| fault.at(table.origins.get(&name), &name))?;
            if let Some(other) = client::sharing_secret(&clients, &client) {
                let fix = format!("client `{other}` has the same secret; give each its own");
                return Err(
                    FieldError::new("secret_sha256", fix).at(table.origins.get(&name), &name)
                );
            }
            clients.insert(name, client);
        }
        let digest = Digest(variables.digest());
        Ok(Self {
            public_url,
            location,
            issuers,
            connections,
            sign_in,
            apis,
            clients,
            key_ring,
            names,
            digest,
        })
    }

    /// A hash of the whole configuration, secrets included, and of `build`, which says what code runs. It shows
    /// nothing of them, because the configuration has keys that nobody can guess.
    pub fn fingerprint(&self, build: &str) -> String {
        const LENGTH: usize = 22;
        let hash = encoding::sha256([build.as_bytes(), &self.digest.0].concat());
        let mut text = encoding::base64url(hash);
        text.truncate(LENGTH);
        text
    }
}

/// `SIGN_IN` is one table: its fields are the entries of the variable.
#[inline(never)]
fn sign_in(
    table: Table,
    vault: &PublicUrl,
    connections: &BTreeMap<String, Connection>,
) -> Result<SignIn, ConfigError> {
    let entry = Value::Object(table.entries.into_iter().collect());
    fields::read(entry, SignIn::read).and_then(|sign_in| sign_in.check(vault, connections)).map_err(
        |fault| ConfigError {
            unknown: fault.unknown,
            ..ConfigError::new("SIGN_IN", fault.field, fault.fix)
        },
    )
}

#[inline(never)]
fn apis(table: Table, vault: &PublicUrl) -> Result<BTreeMap<String, Api>, ConfigError> {
    let mut apis: BTreeMap<String, Api> = BTreeMap::new();
    for (name, entry) in table.entries {
        let api = fields::read(entry, Api::read)
            .and_then(|api| api.check(vault))
            .map_err(|fault| fault.at(table.origins.get(&name), &name))?;
        if apis.values().any(|other| other.identifier == api.identifier) {
            let fix = "another entry of APIS has the same identifier; keep one";
            return Err(FieldError::new("identifier", fix).at(table.origins.get(&name), &name));
        }
        apis.insert(name, api);
    }
    Ok(apis)
}

fn object_names(text: &str) -> Result<ObjectNames, ConfigError> {
    encoding::from_base64url_array(text).map(ObjectNames::new).ok_or_else(|| {
        let fix = "must be 32 bytes in base64url without padding";
        ConfigError::new("OBJECT_NAME_KEY", "", fix)
    })
}

/// A fault in a field of one entry, before the variable of the entry is known.
#[derive(Debug)]
pub(crate) struct FieldError {
    field: String,
    fix: String,
    unknown: Option<Unknown>,
}

impl FieldError {
    pub(crate) fn new(field: impl AsRef<str>, fix: impl AsRef<str>) -> Self {
        Self::of(field.as_ref(), fix.as_ref())
    }

    #[cold]
    #[inline(never)]
    fn of(field: &str, fix: &str) -> Self {
        Self { field: field.to_owned(), fix: fix.to_owned(), unknown: None }
    }

    /// A field with the name of an entry that the table `of` does not have.
    fn no_entry(field: impl AsRef<str>, name: &str, of: &'static str) -> Self {
        Self::new(field, format!("`{name}` is not among {of}")).unknown(name, Names::Entries(of))
    }

    /// The fault, which is that `name` is not known.
    fn unknown(self, name: &str, of: Names) -> Self {
        Self { unknown: Some(Unknown { name: name.to_owned(), of }), ..self }
    }

    /// The fault with `table`, a path that ends in a dot, before its field.
    #[cold]
    #[inline(never)]
    fn within(self, table: &str) -> Self {
        Self { field: format!("{table}{}", self.field), ..self }
    }

    #[cold]
    #[inline(never)]
    fn at(self, variable: Option<&String>, entry: &str) -> ConfigError {
        let variable = variable.map_or("", String::as_str);
        let dot = if self.field.is_empty() { "" } else { "." };
        let error = ConfigError::new(variable, format!("{entry}{dot}{}", self.field), self.fix);
        ConfigError { unknown: self.unknown, ..error }
    }
}

/// Checks the address of an endpoint outside the vault ([`PublicUrl::allows`]): it must have a host, must not
/// have user info or a fragment, and must be https. Loopback http is allowed if the vault itself runs there.
pub(crate) fn endpoint(field: &str, text: &str, vault: &PublicUrl) -> Result<(), FieldError> {
    vault.allows(text).map_err(|fix| FieldError::new(field, fix))
}
