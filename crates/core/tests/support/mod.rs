// SPDX-License-Identifier: Apache-2.0
//! Builds vaults for tests, and shows plans as lines of text that tables of expected results can hold.

#![allow(
    dead_code,
    clippy::format_push_string,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vault_base::encoding::{base64url, from_base64url};
use vault_base::ids::{AccountId, UserId};
use vault_base::seal::{KeyRing, Sealer};
use vault_base::secret::Secret;
use vault_core::config::{Config, Variables};
use vault_core::vault::contents::{Contents, Sealed, StoredGrant, StoredToken};
use vault_core::vault::home::Home;
use vault_core::vault::jobs::Job;
use vault_core::vault::plan::{Plan, Write};
use vault_core::vault::record::{
    AccessTokenRecord, Account, AccountState, Grant, Intent, Selector, field,
};
use vault_jose::identity::Identity;
use vault_provider::connection::Connection;
use vault_provider::token_response::ProviderResponse;

pub const NOW: i64 = 1_795_492_800;

/// An OAuth 2.0 connection whose token response identifies the user, with the members of `more` added.
pub fn connection(more: &Value) -> Connection {
    let mut entry = json!({
        "kind": "oauth2",
        "authorization_endpoint": "https://p.example.com/authorize",
        "token_endpoint": "https://p.example.com/token",
        "revocation_endpoint": "https://p.example.com/revoke",
        "revocation": {"blast": "token"},
        "client_id": "c",
        "scopes": ["read"],
        "identity": {"from": "answer", "id": "user"},
    });
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    connection_of(&entry)
}

/// The connection that this entry of `CONNECTIONS` configures.
pub fn connection_of(entry: &Value) -> Connection {
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let variables = [
        ("PUBLIC_URL", json!("https://vault.example.com")),
        ("KEY_RING", json!({"write": "k1", "keys": {"k1": key}})),
        ("OBJECT_NAME_KEY", json!(key)),
        ("CONNECTIONS", json!({"it": entry})),
        ("PROVIDER_SECRETS", json!({"it": "s"})),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    Config::load(&Variables::from_iter(variables)).unwrap().connections["it"].clone()
}

pub fn home() -> Home {
    home_with_key("k1")
}

/// The same home, but with only the sealing key `key`.
pub fn home_with_key(key: &str) -> Home {
    let ring = json!({"write": key, "keys": {key: base64url([7; 32])}}).to_string();
    let user = UserId { issuer: "https://idp.example".into(), subject: "alice".into() };
    let sealer = Sealer::new(&KeyRing::parse(&ring).unwrap(), "object");
    Home::new(user, "it".into(), sealer)
}

pub fn id(text: &str) -> AccountId {
    AccountId::parse(&format!("cac_{text}")).unwrap()
}

pub fn account(name: &str, user: Option<&str>) -> Account {
    Account {
        id: id(name),
        identity: Identity { id: user.map(str::to_owned), email: None, name: None },
        state: AccountState::Active,
        created_at: NOW - 1000,
        provider_data: BTreeMap::new(),
    }
}

pub fn intent(attempt: u32) -> Intent {
    Intent {
        generation: 4,
        token_sha256: vault_base::encoding::hex(&Secret::new("r4").sha256()),
        attempt,
        at: NOW - 100,
        since: None,
        successor: None,
        is_awaited: false,
        unexplained: None,
        follow_up: None,
    }
}

/// Builds the contents of a vault.
pub struct Rows<'a> {
    pub home: &'a Home,
    pub contents: Contents,
}

impl<'a> Rows<'a> {
    pub fn new(home: &'a Home) -> Self {
        Self { home, contents: Contents::default() }
    }

    /// Adds an account with its own grant of generation 4, the refresh token `r4` if the grant has one, and
    /// the access token `a4`, which expires after `seconds_left`.
    pub fn with(mut self, account: Account, grant: Grant, seconds_left: i64) -> Self {
        let id = account.id.clone();
        let seal = |column: &str, text: &str| {
            self.home.seal(&id, &field(column, ""), 4, &Secret::new(text)).unwrap()
        };
        let refresh = grant.has_refresh_token.then(|| seal("refresh_token", "r4"));
        let access = seal("access_token", "a4");
        let record = AccessTokenRecord {
            generation: 4,
            scopes: grant.scopes.clone(),
            issued_at: NOW + seconds_left - 600,
            expires_at: Some(NOW + seconds_left),
        };
        self.contents.accounts.push(account);
        let grant = Sealed { record: grant, envelope: refresh };
        self.contents.grants.push(StoredGrant { account: id.clone(), kind: String::new(), grant });
        let token = Sealed { record, envelope: Some(access) };
        let selector = Selector::default();
        self.contents.tokens.push(StoredToken { account: id, selector, token });
        self
    }
}

pub fn grant(connection: &Connection) -> Grant {
    let registration = Some(connection.registration.clone());
    Grant { registration, ..Grant::new(4, true, vec!["read".into()]) }
}

pub fn answer(status: u16, body: &Value) -> ProviderResponse {
    let body = Secret::new(body.to_string());
    ProviderResponse::Answer { status, retry_after: None, body }
}

/// A plan as lines, one for each write and each event. Sealed tokens are decrypted.
pub fn lines(home: &Home, plan: &Plan) -> Vec<String> {
    let writes = plan.writes.iter().map(|write| line(home, write));
    let events = plan.events.iter().map(|event| {
        let account = event.account.as_deref().unwrap_or_default();
        let reason = event.reason.as_deref().map(|word| format!(": {word}")).unwrap_or_default();
        format!("log {} {account}{reason}", event.event.name())
    });
    writes.chain(events).collect()
}

fn line(home: &Home, write: &Write) -> String {
    let open = |account: &AccountId, field: &str, generation: u64, envelope: &[u8]| {
        home.open(account, field, generation, envelope).unwrap().expose().to_owned()
    };
    match write {
        Write::PutAccount(account) => format!("account {} {}", account.id, account.state.column()),
        Write::SetState(account, state) => format!("state {account} {}", state.column()),
        Write::PutGrant { account, kind, grant, envelope } => {
            let field = field("refresh_token", kind);
            let token = envelope.as_ref().map(|one| open(account, &field, grant.generation, one));
            format!(
                "grant {account}{} = {}",
                grant_line(home, account, kind, grant),
                token.as_deref().unwrap_or("none")
            )
        }
        Write::UpdateGrant { account, kind, grant } => {
            format!("update {account}{}", grant_line(home, account, kind, grant))
        }
        Write::BindGrants(account, to) => format!("bind {account} {}", to.authority),
        Write::PutAccessToken { account, selector, record, envelope } => {
            let field = field("access_token", selector.kind());
            let token = open(account, &field, record.generation, envelope);
            let ends = record.expires_at.map(|at| at - NOW);
            format!("token {account} {token} gen {} ends {ends:?}", record.generation)
        }
        Write::DropAccessTokens(account, kind) => format!("drop tokens {account} {kind:?}"),
        Write::DropMade { account, kind, resource } => {
            format!("drop made {account} {kind} {resource:?}")
        }
        Write::DropOver { account, kind, .. } => format!("drop over {account} {kind}"),
        Write::DropAccount(account) => format!("drop {account}"),
        Write::RememberRedemption { id, account, .. } => format!("redeemed {id} {account}"),
        Write::AddJob { job, due } => format!("job +{} {}", due - NOW, job_line(home, job)),
        Write::EndJob(job) => format!("end job {job}"),
    }
}

fn grant_line(home: &Home, account: &AccountId, kind: &str, grant: &Grant) -> String {
    let mut line = format!(" gen {} {}", grant.generation, grant.state.column());
    if let Some(intent) = &grant.intent {
        line += &format!(" attempt {}", intent.attempt);
        if let Some(next) = &intent.successor {
            let envelope = from_base64url(next).unwrap();
            let field = field("next_refresh_token", kind);
            let next = home.open(account, &field, intent.generation, &envelope).unwrap();
            line += &format!(" next {}", next.expose());
        }
        if let Some(at) = intent.follow_up {
            line += &format!(" followed up +{}", at - NOW);
        }
    }
    if let Some(at) = grant.retry_at {
        line += &format!(" retry +{}", at - NOW);
    }
    if let Some(fault) = &grant.fault {
        line += &format!(" fault {fault}");
    }
    line
}

fn job_line(home: &Home, job: &Job) -> String {
    match job {
        Job::Recover { account, generation, .. } => format!("recover {account} gen {generation}"),
        Job::Revoke { account, field, generation, envelope, doubtful, .. } => {
            let envelope = from_base64url(envelope).unwrap();
            let token = home.open(account, field, *generation, &envelope).unwrap();
            let doubtful = if *doubtful { " doubtful" } else { "" };
            format!("revoke {field} {}{doubtful}", token.expose())
        }
        Job::AddReference { user, .. } => format!("hold {user}"),
        Job::Bind { account, attempt } => format!("bind {account} {attempt}"),
        Job::KeepAlive { account, token_kind } => format!("keep alive {account} {token_kind:?}"),
    }
}
