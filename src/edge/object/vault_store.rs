//! The rows of a vault.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use worker::{SqlStorage, SqlStorageValue};

use super::sql::{self, Row};
use crate::edge::objects::Trouble;
use crate::ids::{AccountId, UserId};
use crate::json;
use crate::jwt::id_token::Identity;
use crate::provider::registration::Registration;
use crate::time::UnixSeconds;
use crate::vault::jobs::Job;
use crate::vault::record::{AccessTokenRecord, Account, AccountState, Grant, Selector};
use crate::vault::schema;

/// A record and what is sealed with it.
#[derive(Clone)]
pub struct Sealed<T> {
    pub record: T,
    /// The envelope, if there is one.
    pub envelope: Option<Vec<u8>>,
}

/// An access token to write.
pub struct NewToken<'a> {
    pub account: &'a AccountId,
    pub selector: &'a Selector,
    pub record: AccessTokenRecord,
    pub envelope: Vec<u8>,
}

/// What a vault holds, apart from its jobs.
#[derive(Default)]
pub struct Contents {
    /// All accounts, the oldest first.
    pub accounts: Vec<Account>,
    /// By account and kind.
    grants: HashMap<(AccountId, String), Sealed<Grant>>,
    tokens: Vec<StoredToken>,
}

/// A row of `access_token`.
pub struct StoredToken {
    account: AccountId,
    /// [`Selector::column`].
    selector: String,
    token: Sealed<AccessTokenRecord>,
}

impl Contents {
    /// An account's grant of this kind; empty for its own.
    pub fn grant(&self, account: &AccountId, kind: &str) -> Option<&Sealed<Grant>> {
        self.grants.get(&(account.clone(), kind.to_owned()))
    }

    /// An account's grants with their kinds, its own first.
    pub fn grants(&self, account: &AccountId) -> BTreeMap<&str, &Sealed<Grant>> {
        let mut grants = BTreeMap::new();
        let own = self.grants.iter().filter(|((of, _), _)| of == account);
        grants.extend(own.map(|((_, kind), grant)| (kind.as_str(), grant)));
        grants
    }

    /// The registration that an account's grants came from, its own before others.
    pub fn registration(&self, account: &AccountId) -> Option<&Registration> {
        let mut grants = self.grants(account).into_values();
        grants.find_map(|grant| grant.record.registration.as_ref())
    }

    /// The registration that its grant of this kind came from: a consent need not renew all kinds. One that
    /// does not tell it came from that of the others.
    pub fn registration_of(&self, account: &AccountId, kind: &str) -> Option<&Registration> {
        let own = self.grant(account, kind).and_then(|grant| grant.record.registration.as_ref());
        own.or_else(|| self.registration(account))
    }

    /// One of an account's access tokens.
    pub fn access_token(
        &self,
        account: &AccountId,
        selector: &Selector,
    ) -> Option<&Sealed<AccessTokenRecord>> {
        let selector = selector.column();
        let mut tokens = self.tokens.iter();
        let found = tokens.find(|one| one.account == *account && one.selector == selector);
        found.map(|one| &one.token)
    }

    /// An account's access tokens of this kind for this resource, however narrowed.
    pub fn made(
        &self,
        account: &AccountId,
        kind: &str,
        resource: &str,
    ) -> impl Iterator<Item = &Sealed<AccessTokenRecord>> {
        let is = move |one: &&StoredToken| {
            one.account == *account && Selector::is_for(&one.selector, kind, resource)
        };
        self.tokens.iter().filter(is).map(|one| &one.token)
    }

    /// All access tokens of an account with their kinds.
    pub fn access_tokens(
        &self,
        account: &AccountId,
    ) -> impl Iterator<Item = (String, &Sealed<AccessTokenRecord>)> {
        let tokens = self.tokens.iter().filter(move |one| one.account == *account);
        tokens.map(|one| (Selector::kind_in(&one.selector), &one.token))
    }
}

/// Reads and writes. Methods that write several rows do so without an await: atomically.
///
/// What was read is remembered, still sealed, until the next write: an exchange of a token that is
/// still good asks the database nothing.
pub struct VaultStore {
    storage: SqlStorage,
    remembered: RefCell<Option<Rc<Contents>>>,
    has_new_jobs: Cell<bool>,
}

impl VaultStore {
    /// Over an object's database.
    pub fn new(storage: SqlStorage) -> Self {
        Self { storage, remembered: RefCell::default(), has_new_jobs: Cell::new(false) }
    }

    /// What the vault holds. Nothing, if nothing was ever connected here.
    pub fn contents(&self) -> Result<Rc<Contents>, Trouble> {
        if let Some(contents) = self.remembered.borrow().as_ref() {
            return Ok(contents.clone());
        }
        let contents = Rc::new(self.read_contents()?);
        self.remembered.replace(Some(contents.clone()));
        Ok(contents)
    }

    fn read_contents(&self) -> Result<Contents, Trouble> {
        if !self.exists()? {
            return Ok(Contents::default());
        }
        self.migrate()?;
        let accounts = "SELECT id, provider_user, email, name, state, created_at, extra FROM account ORDER BY seq";
        let grants = "SELECT account, generation, refresh_token, scopes, intent, retry_at, failures, fault, kind, expires_at, state, authority, client_id FROM \"grant\"";
        let tokens = "SELECT account, selector, generation, token, scopes, issued_at, expires_at FROM access_token";
        Ok(Contents {
            accounts: self
                .read(accounts)?
                .into_iter()
                .map(read_account)
                .collect::<Result<_, _>>()?,
            grants: self.read(grants)?.into_iter().map(read_grant).collect::<Result<_, _>>()?,
            tokens: self.read(tokens)?.into_iter().map(read_token).collect::<Result<_, _>>()?,
        })
    }

    /// Brings tables of an earlier version up to date.
    fn migrate(&self) -> Result<(), Trouble> {
        let rows = self.read("SELECT schema FROM owner WHERE id = 1")?;
        let version =
            rows.into_iter().next().map_or(Ok(schema::VERSION), |mut row| row.integer())?;
        for statement in schema::upgrade(version) {
            sql::run(&self.storage, statement, vec![])?;
            self.has_new_jobs.set(true);
        }
        Ok(())
    }

    /// Whether tables were brought up to date since the last time, which adds jobs.
    pub fn take_new_jobs(&self) -> bool {
        self.has_new_jobs.take()
    }

    fn exists(&self) -> Result<bool, Trouble> {
        sql::has_table(&self.storage, "owner")
    }

    /// Makes the tables and remembers whose vault this is.
    pub fn create(&self, user: &UserId, connection: &str) -> Result<(), Trouble> {
        if self.exists()? {
            return self.migrate();
        }
        for statement in schema::CREATE {
            self.write(statement, vec![])?;
        }
        let owner = "INSERT OR IGNORE INTO owner (id, schema, issuer, subject, connection) VALUES (1, ?, ?, ?, ?)";
        let row = vec![
            sql::integer(schema::VERSION)?,
            user.issuer.as_str().into(),
            user.subject.as_str().into(),
            connection.into(),
        ];
        self.write(owner, row).map(drop)
    }

    /// Whose vault this is.
    pub fn owner(&self) -> Result<Option<(UserId, String)>, Trouble> {
        if !self.exists()? {
            return Ok(None);
        }
        let query = "SELECT issuer, subject, connection FROM owner WHERE id = 1";
        let Some(mut row) = self.read(query)?.into_iter().next() else {
            return Ok(None);
        };
        let user = UserId { issuer: row.text()?, subject: row.text()? };
        Ok(Some((user, row.text()?)))
    }

    /// Adds an account, or renews what is known of it.
    pub fn put_account(&self, account: &Account) -> Result<(), Trouble> {
        let upsert = "INSERT INTO account (id, provider_user, email, name, state, created_at, extra) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET provider_user = excluded.provider_user, email = excluded.email, name = excluded.name, state = excluded.state, extra = excluded.extra";
        let row = vec![
            account.id.as_str().into(),
            account.identity.id.clone().into(),
            account.identity.email.clone().into(),
            account.identity.name.clone().into(),
            account.state.column().into(),
            sql::integer(account.created_at)?,
            serde_json::to_string(&account.extra).ok().into(),
        ];
        self.write(upsert, row).map(drop)
    }

    /// Remembers that the tokens that came with this id were stored; forgets those of an hour ago,
    /// whose sessions are over.
    pub fn remember_redemption(
        &self,
        id: &AccountId,
        account: &AccountId,
        now: UnixSeconds,
    ) -> Result<(), Trouble> {
        const LONG_AGO: i64 = 3600;
        let forget = "DELETE FROM redemption WHERE at < ?";
        self.write(forget, vec![sql::integer(now - LONG_AGO)?])?;
        let remember = "INSERT OR IGNORE INTO redemption (id, account, at) VALUES (?, ?, ?)";
        let row = vec![id.as_str().into(), account.as_str().into(), sql::integer(now)?];
        self.write(remember, row).map(drop)
    }

    /// The account that the tokens that came with this id were stored for, though it may be gone.
    pub fn redeemed(&self, id: &AccountId) -> Result<Option<AccountId>, Trouble> {
        let query = "SELECT account FROM redemption WHERE id = ?";
        let rows = sql::run(&self.storage, query, vec![id.as_str().into()])?;
        rows.into_iter().next().map(|mut row| read_id(&mut row)).transpose()
    }

    /// Changes an account's state.
    pub fn set_state(&self, account: &AccountId, state: AccountState) -> Result<(), Trouble> {
        let update = "UPDATE account SET state = ? WHERE id = ?";
        self.write(update, vec![state.column().into(), account.as_str().into()]).map(drop)
    }

    /// An account's grant of this kind.
    pub fn grant(&self, account: &AccountId, kind: &str) -> Result<Option<Sealed<Grant>>, Trouble> {
        Ok(self.contents()?.grant(account, kind).cloned())
    }

    /// Writes a grant with its refresh token.
    pub fn put_grant(
        &self,
        account: &AccountId,
        kind: &str,
        grant: &Grant,
        envelope: Option<Vec<u8>>,
    ) -> Result<(), Trouble> {
        let upsert = "INSERT OR REPLACE INTO \"grant\" (account, generation, refresh_token, scopes, intent, retry_at, failures, fault, kind, expires_at, state, authority, client_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let registration = grant.registration.as_ref();
        let row = vec![
            account.as_str().into(),
            sql::integer(generation_column(grant.generation)?)?,
            envelope.into(),
            grant.scopes.join(" ").into(),
            intent_column(grant).into(),
            sql::optional_integer(grant.retry_at)?,
            sql::integer(i64::from(grant.failures))?,
            grant.fault.clone().into(),
            kind.into(),
            sql::optional_integer(grant.expires_at)?,
            grant.state.column().into(),
            registration.map(|of| of.authority.clone()).into(),
            registration.map(|of| of.client_id.clone()).into(),
        ];
        self.write(upsert, row).map(drop)
    }

    /// Binds an account's grants to a registration, those that do not tell one.
    pub fn bind_grants(&self, account: &AccountId, to: &Registration) -> Result<(), Trouble> {
        let update = "UPDATE \"grant\" SET authority = ?, client_id = ? WHERE account = ? AND authority IS NULL";
        let row = vec![
            to.authority.as_str().into(),
            to.client_id.as_str().into(),
            account.as_str().into(),
        ];
        self.write(update, row).map(drop)
    }

    /// Writes what changes about a grant while its refresh token stays.
    pub fn update_grant(
        &self,
        account: &AccountId,
        kind: &str,
        grant: &Grant,
    ) -> Result<(), Trouble> {
        let update = "UPDATE \"grant\" SET intent = ?, retry_at = ?, failures = ?, fault = ?, state = ? WHERE account = ? AND kind = ?";
        let row = vec![
            intent_column(grant).into(),
            sql::optional_integer(grant.retry_at)?,
            sql::integer(i64::from(grant.failures))?,
            grant.fault.clone().into(),
            grant.state.column().into(),
            account.as_str().into(),
            kind.into(),
        ];
        self.write(update, row).map(drop)
    }

    /// Writes an access token.
    pub fn put_access_token(&self, token: NewToken<'_>) -> Result<(), Trouble> {
        let upsert = "INSERT OR REPLACE INTO access_token (account, selector, generation, token, scopes, issued_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)";
        let row = vec![
            token.account.as_str().into(),
            token.selector.column().into(),
            sql::integer(generation_column(token.record.generation)?)?,
            token.envelope.into(),
            token.record.scopes.join(" ").into(),
            sql::integer(token.record.issued_at)?,
            sql::optional_integer(token.record.expires_at)?,
        ];
        self.write(upsert, row).map(drop)
    }

    /// Forgets an account's access tokens of one kind.
    pub fn drop_access_tokens(&self, account: &AccountId, kind: &str) -> Result<(), Trouble> {
        let delete =
            "DELETE FROM access_token WHERE account = ? AND json_extract(selector, '$[2]') = ?";
        self.write(delete, vec![account.as_str().into(), kind.into()]).map(drop)
    }

    /// Forgets an account's access tokens of one kind for one resource.
    pub fn drop_made(
        &self,
        account: &AccountId,
        kind: &str,
        resource: &str,
    ) -> Result<(), Trouble> {
        let delete = "DELETE FROM access_token WHERE account = ? AND json_extract(selector, '$[2]') = ? AND json_extract(selector, '$[1]') = ?";
        self.write(delete, vec![account.as_str().into(), kind.into(), resource.into()]).map(drop)
    }

    /// Forgets an account's access tokens of one kind that are over.
    pub fn drop_over(
        &self,
        account: &AccountId,
        kind: &str,
        now: UnixSeconds,
    ) -> Result<(), Trouble> {
        let delete = "DELETE FROM access_token WHERE account = ? AND json_extract(selector, '$[2]') = ? AND expires_at <= ?";
        let row = vec![account.as_str().into(), kind.into(), sql::integer(now)?];
        self.write(delete, row).map(drop)
    }

    /// Forgets an account with everything.
    pub fn drop_account(&self, account: &AccountId) -> Result<(), Trouble> {
        for delete in [
            "DELETE FROM access_token WHERE account = ?",
            "DELETE FROM \"grant\" WHERE account = ?",
            "DELETE FROM account WHERE id = ?",
        ] {
            self.write(delete, vec![account.as_str().into()])?;
        }
        Ok(())
    }

    /// Adds a job and gives its id.
    pub fn add_job(&self, job: &Job, due: UnixSeconds) -> Result<i64, Trouble> {
        let insert = "INSERT INTO jobs (due, kind, payload) VALUES (?, ?, ?) RETURNING id";
        let row = vec![sql::integer(due)?, job.kind().into(), payload(job)?.into()];
        let rows = self.write(insert, row)?;
        rows.into_iter().next().map_or(Err(Trouble::Failed("job")), |mut row| row.integer())
    }

    /// Takes back the jobs that this picks.
    pub fn drop_jobs(&self, pick: impl Fn(&Job) -> bool) -> Result<(), Trouble> {
        for (id, _, job) in self.jobs()? {
            if pick(&job) {
                self.end_job(id)?;
            }
        }
        Ok(())
    }

    /// Jobs with their ids and when they are due, the earliest first. One of a version that reads
    /// otherwise is passed over.
    pub fn jobs(&self) -> Result<Vec<(i64, UnixSeconds, Job)>, Trouble> {
        let query = "SELECT id, due, payload FROM jobs ORDER BY due, id";
        let mut jobs = Vec::new();
        for mut row in self.read(query)? {
            let (id, due) = (row.integer()?, row.integer()?);
            if let Ok(job) = json::own(&row.text()?) {
                jobs.push((id, due, job));
            }
        }
        Ok(jobs)
    }

    /// Ends a job. `false`: it was gone already.
    pub fn end_job(&self, id: i64) -> Result<bool, Trouble> {
        let delete = "DELETE FROM jobs WHERE id = ? RETURNING id";
        Ok(!self.write(delete, vec![sql::integer(id)?])?.is_empty())
    }

    /// Whether a job is still to be done.
    pub fn has_job(&self, id: i64) -> Result<bool, Trouble> {
        Ok(self.jobs()?.iter().any(|(known, ..)| *known == id))
    }

    /// When the earliest job is due.
    pub fn next_job(&self) -> Result<Option<UnixSeconds>, Trouble> {
        Ok(self.jobs()?.first().map(|(_, due, _)| *due))
    }

    fn read(&self, query: &str) -> Result<Vec<Row>, Trouble> {
        sql::run(&self.storage, query, vec![])
    }

    fn write(&self, statement: &str, row: Vec<SqlStorageValue>) -> Result<Vec<Row>, Trouble> {
        self.remembered.take();
        sql::run(&self.storage, statement, row)
    }
}

fn read_account(mut row: Row) -> Result<Account, Trouble> {
    Ok(Account {
        id: read_id(&mut row)?,
        identity: Identity {
            id: row.optional_text()?,
            email: row.optional_text()?,
            name: row.optional_text()?,
        },
        state: AccountState::from_column(&row.text()?),
        created_at: row.integer()?,
        extra: row.optional_text()?.and_then(|json| json::own(&json).ok()).unwrap_or_default(),
    })
}

fn read_id(row: &mut Row) -> Result<AccountId, Trouble> {
    AccountId::parse(&row.text()?).ok_or(Trouble::Failed("account_id"))
}

type Keyed<T> = ((AccountId, String), Sealed<T>);

fn read_grant(mut row: Row) -> Result<Keyed<Grant>, Trouble> {
    let account = read_id(&mut row)?;
    let generation = generation(row.integer()?)?;
    let envelope = row.optional_blob()?;
    let scopes = crate::text::scopes(&row.text()?);
    let intent = row.optional_text()?.and_then(|json| json::own(&json).ok());
    let mut record = Grant {
        generation,
        has_refresh_token: envelope.is_some(),
        scopes,
        intent,
        retry_at: row.optional_integer()?,
        failures: u32::try_from(row.integer()?).unwrap_or(u32::MAX),
        fault: row.optional_text()?,
        expires_at: None,
        state: AccountState::Active,
        registration: None,
    };
    let kind = row.text()?;
    record.expires_at = row.optional_integer()?;
    record.state = AccountState::from_column(&row.text()?);
    let registration = row.optional_text()?.zip(row.optional_text()?);
    record.registration =
        registration.map(|(authority, client_id)| Registration { authority, client_id });
    Ok(((account, kind), Sealed { record, envelope }))
}

fn read_token(mut row: Row) -> Result<StoredToken, Trouble> {
    let (account, selector) = (read_id(&mut row)?, row.text()?);
    let generation = generation(row.integer()?)?;
    let envelope = row.optional_blob()?;
    let record = AccessTokenRecord {
        generation,
        scopes: crate::text::scopes(&row.text()?),
        issued_at: row.integer()?,
        expires_at: row.optional_integer()?,
    };
    Ok(StoredToken { account, selector, token: Sealed { record, envelope } })
}

fn generation(column: i64) -> Result<u64, Trouble> {
    u64::try_from(column).map_err(|_| Trouble::Failed("generation"))
}

fn generation_column(generation: u64) -> Result<i64, Trouble> {
    i64::try_from(generation).map_err(|_| Trouble::Failed("generation"))
}

fn intent_column(grant: &Grant) -> Option<String> {
    grant.intent.as_ref().and_then(|intent| serde_json::to_string(intent).ok())
}

fn payload(job: &Job) -> Result<String, Trouble> {
    serde_json::to_string(job).map_err(|_| Trouble::Failed("job"))
}
