// SPDX-License-Identifier: Apache-2.0
//! The tables of a vault: reads them into [`Contents`] and applies the writes of plans.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::ids::{AccountId, UserId};
use crate::json;
use crate::jwt::identity::Identity;
use crate::provider::registration::Registration;
use crate::runtime::clock;
use crate::runtime::object_call::ObjectError;
use crate::runtime::storage::{self, Parameter, Row, Storage};
use crate::seal::KeyRing;
use crate::time::UnixSeconds;
use crate::vault::contents::{Contents, Sealed, StoredGrant, StoredToken};
use crate::vault::follow_up;
use crate::vault::home::Home;
use crate::vault::jobs::Job;
use crate::vault::lifetime::Stored;
use crate::vault::plan::{StoredJob, Write};
use crate::vault::record::{AccessTokenRecord, Account, AccountState, Grant, Selector};
use crate::vault::schema;
use crate::vault::stamp::{self, Stamp};

const ACCOUNTS: &str =
    "SELECT id, provider_user, email, name, state, created_at, extra FROM account ORDER BY seq";

const GRANTS: &str = "SELECT account, generation, refresh_token, scopes, intent, retry_at, failures, fault, kind, expires_at, state, authority, client_id, consented_at FROM \"grant\" ORDER BY kind";

const ACCESS_TOKENS: &str =
    "SELECT account, selector, generation, token, scopes, issued_at, expires_at FROM access_token";

/// A table of a vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Owner,
    KeyStamp,
    Account,
    Grant,
    AccessToken,
    Jobs,
    Redemption,
}

/// What the object knows of the tables without reading them.
#[derive(Default)]
struct Known {
    /// The tables that were read since they were last written. The other fields are as stored for these tables,
    /// and for no others.
    tables: Vec<Table>,
    contents: Rc<Contents>,
    jobs: Rc<Vec<StoredJob>>,
    /// Whether there is a job, perhaps one that this version cannot parse.
    has_jobs: bool,
    stamp: Stamp,
    last_redemption: Option<UnixSeconds>,
}

impl Known {
    fn has(&self, table: Table) -> bool {
        self.tables.contains(&table)
    }

    fn forget(&mut self, table: Table) {
        self.tables.retain(|known| *known != table);
    }
}

/// Access to the tables. A method that writes several rows does so in one transaction.
///
/// What is read is remembered, still sealed, until the next write to its table: an exchange of a token that is
/// still valid runs no statement.
pub struct VaultStore {
    storage: Rc<Storage>,
    known: RefCell<Known>,
    is_alarm_stale: Cell<bool>,
    /// Whether the tables exist, and are of this version; `None` if that is not known.
    is_ready: Cell<Option<bool>>,
}

impl VaultStore {
    /// Creates a store over an object's storage.
    pub fn new(storage: Rc<Storage>) -> Self {
        Self {
            storage,
            known: RefCell::default(),
            is_alarm_stale: Cell::new(false),
            is_ready: Cell::default(),
        }
    }

    /// Returns the contents of the vault; empty if no account was ever connected here. Tables of an earlier
    /// version are migrated first.
    pub fn contents(&self) -> Result<Rc<Contents>, ObjectError> {
        let exists = self.exists()?;
        let mut known = self.known.borrow_mut();
        let Known { tables, contents, .. } = &mut *known;
        let mut is_read = false;
        for table in [Table::Account, Table::Grant, Table::AccessToken] {
            if tables.contains(&table) {
                continue;
            }
            let contents = Rc::make_mut(contents);
            match table {
                Table::Account => contents.accounts = self.rows(ACCOUNTS, exists, read_account)?,
                Table::Grant => contents.grants = self.rows(GRANTS, exists, read_grant)?,
                _ => contents.tokens = self.rows(ACCESS_TOKENS, exists, read_token)?,
            }
            tables.push(table);
            is_read = true;
        }
        if is_read && exists {
            // An earlier version left an empty vault as it is, and knows no follow-up that is not a job.
            let is_late = follow_up::next(contents).is_some_and(|due| due < clock::now());
            let is_stale = contents.accounts.is_empty() || is_late;
            self.is_alarm_stale.set(self.is_alarm_stale.get() || is_stale);
        }
        Ok(contents.clone())
    }

    /// Reads all rows of a table. `query` selects them.
    fn rows<T>(
        &self,
        query: &str,
        exists: bool,
        read: impl Fn(Row) -> Result<Option<T>, ObjectError>,
    ) -> Result<Vec<T>, ObjectError> {
        let rows = if exists { self.read(query)? } else { Vec::new() };
        rows.into_iter().filter_map(|row| read(row).transpose()).collect()
    }

    /// Migrates tables of an earlier version, in one transaction.
    fn migrate(&self) -> Result<(), ObjectError> {
        let rows = self.read("SELECT schema FROM owner WHERE id = 1")?;
        let version =
            rows.into_iter().next().map_or(Ok(schema::VERSION), |mut row| row.integer())?;
        let mut statements = schema::upgrade(version).peekable();
        if statements.peek().is_none() {
            return Ok(());
        }
        self.known.take();
        self.together(&mut || {
            statements.try_for_each(|statement| self.storage.run(statement, vec![]).map(drop))
        })?;
        self.is_alarm_stale.set(true);
        Ok(())
    }

    /// Whether the alarm must be set, because a migration may have added jobs, or because the vault was found
    /// empty, or with a follow-up that is overdue. Asked once, it is `false` until the next time.
    pub fn take_stale_alarm(&self) -> bool {
        self.is_alarm_stale.take()
    }

    /// What the tables have; `None` if they do not exist.
    pub fn stored(&self) -> Result<Option<Stored>, ObjectError> {
        if !self.exists()? {
            return Ok(None);
        }
        let next_job = self.jobs()?.first().map(|(_, due, _)| *due);
        // Rows that cannot be read do not stop the jobs, and are not deleted.
        let contents = self.contents().ok();
        let follow_up = contents.as_ref().and_then(|contents| follow_up::next(contents));
        let last_redemption = self.last_redemption()?;
        Ok(Some(Stored {
            has_accounts: contents.is_none_or(|contents| !contents.accounts.is_empty()),
            has_jobs: self.known.borrow().has_jobs,
            next_job: next_job
                .map_or(follow_up, |due| Some(follow_up.map_or(due, |at| at.min(due)))),
            last_redemption,
        }))
    }

    fn last_redemption(&self) -> Result<Option<UnixSeconds>, ObjectError> {
        if !self.known.borrow().has(Table::Redemption) {
            let rows = self.read("SELECT max(at) FROM redemption")?;
            let last =
                rows.into_iter().next().map_or(Ok(None), |mut row| row.optional_integer())?;
            let mut known = self.known.borrow_mut();
            known.last_redemption = last;
            known.tables.push(Table::Redemption);
        }
        Ok(self.known.borrow().last_redemption)
    }

    /// Forgets what is in memory, because all that is stored is being deleted.
    pub fn forget(&self) {
        self.known.take();
        self.is_alarm_stale.take();
        self.is_ready.take();
    }

    /// Whether the tables exist. Tables of an earlier version are migrated first.
    fn exists(&self) -> Result<bool, ObjectError> {
        if let Some(is_ready) = self.is_ready.get() {
            return Ok(is_ready);
        }
        let exist = self.storage.has_table("owner")?;
        if exist {
            self.migrate()?;
        }
        self.is_ready.set(Some(exist));
        Ok(exist)
    }

    /// Creates the tables and stores the owner, unless they exist.
    fn create(&self, home: &Home) -> Result<(), ObjectError> {
        if self.exists()? {
            return Ok(());
        }
        schema::CREATE
            .iter()
            .try_for_each(|statement| self.storage.run(statement, vec![]).map(drop))?;
        let owner = "INSERT OR IGNORE INTO owner (id, schema, issuer, subject, connection) VALUES (1, ?, ?, ?, ?)";
        let row = vec![
            storage::integer(schema::VERSION)?,
            home.user.issuer.as_str().into(),
            home.user.subject.as_str().into(),
            home.connection.as_str().into(),
        ];
        self.write(Table::Owner, owner, row)?;
        self.is_ready.set(Some(true));
        Ok(())
    }

    /// Runs writes in one transaction. If one fails, all are rolled back.
    fn together(
        &self,
        work: &mut dyn FnMut() -> Result<(), ObjectError>,
    ) -> Result<(), ObjectError> {
        let done = self.storage.transaction(work);
        // What is known may be of rows that were rolled back, and so may be the tables.
        if done.is_err() {
            self.known.take();
            self.is_ready.take();
        }
        done
    }

    /// Reads the owner: the user and the name of the connection. `None` if the tables do not exist.
    pub fn owner(&self) -> Result<Option<(UserId, String)>, ObjectError> {
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

    /// Applies all writes of a plan, or none if one fails. Returns the ids of the added jobs. The tables are
    /// created if they do not exist, or do not exist any more.
    pub fn apply(
        &self,
        home: &Home,
        ring: &KeyRing,
        writes: Vec<Write>,
    ) -> Result<Vec<i64>, ObjectError> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let mut stamp = stamp::of_writes(&writes, ring);
        let stored = self.stamp()?;
        stamp.retain(|id, _| !stored.contains_key(id));
        let (mut writes, mut added) = (Some(writes), Vec::new());
        self.together(&mut || {
            self.create(home)?;
            for (id, value) in &stamp {
                let keep = "INSERT OR IGNORE INTO key_stamp (id, value) VALUES (?, ?)";
                self.write(Table::KeyStamp, keep, vec![id.as_str().into(), value.as_str().into()])?;
            }
            added = self.write_all(writes.take().unwrap_or_default())?;
            Ok(())
        })?;
        Ok(added)
    }

    /// The stamp; empty if there are no tables.
    pub fn stamp(&self) -> Result<Stamp, ObjectError> {
        let exists = self.exists()?;
        let mut known = self.known.borrow_mut();
        if !known.has(Table::KeyStamp) {
            let query = "SELECT id, value FROM key_stamp";
            let read = |mut row: Row| Ok(Some((row.text()?, row.text()?)));
            known.stamp = self.rows(query, exists, read)?.into_iter().collect();
            known.tables.push(Table::KeyStamp);
        }
        Ok(known.stamp.clone())
    }

    fn write_all(&self, writes: Vec<Write>) -> Result<Vec<i64>, ObjectError> {
        let mut added = Vec::new();
        for write in writes {
            match write {
                Write::AddJob { job, due } => added.push(self.add_job(&job, due)?),
                Write::EndJob(id) => {
                    self.end_job(id)?;
                }
                other => self.put(other)?,
            }
        }
        Ok(added)
    }

    fn put(&self, write: Write) -> Result<(), ObjectError> {
        match write {
            Write::PutAccount(account) => self.put_account(&account),
            Write::SetState(account, state) => self.write(
                Table::Account,
                "UPDATE account SET state = ? WHERE id = ?",
                vec![state.column().into(), account.as_str().into()],
            ),
            Write::PutGrant { account, kind, grant, envelope } => {
                self.put_grant(&account, &kind, &grant, envelope)
            }
            Write::UpdateGrant { account, kind, grant } => self.update_grant(&account, &kind, &grant),
            Write::BindGrants(account, to) => self.write(
                Table::Grant,
                "UPDATE \"grant\" SET authority = ?, client_id = ? WHERE account = ? AND authority IS NULL",
                vec![to.authority.into(), to.client_id.into(), account.as_str().into()],
            ),
            Write::PutAccessToken { account, selector, record, envelope } => {
                self.put_access_token(&account, &selector, &record, envelope)
            }
            Write::DropAccessTokens(account, kind) => self.write(
                Table::AccessToken,
                "DELETE FROM access_token WHERE account = ? AND json_extract(selector, '$[2]') = ?",
                vec![account.as_str().into(), kind.into()],
            ),
            Write::DropMade { account, kind, resource } => self.write(
                Table::AccessToken,
                "DELETE FROM access_token WHERE account = ? AND json_extract(selector, '$[2]') = ? AND json_extract(selector, '$[1]') = ?",
                vec![account.as_str().into(), kind.into(), resource.into()],
            ),
            Write::DropOver { account, kind, now } => self.write(
                Table::AccessToken,
                "DELETE FROM access_token WHERE account = ? AND json_extract(selector, '$[2]') = ? AND expires_at <= ?",
                vec![account.as_str().into(), kind.into(), storage::integer(now)?],
            ),
            Write::DropAccount(account) => self.drop_account(&account),
            Write::RememberRedemption { id, account, now } => {
                self.remember_redemption(&id, &account, now)
            }
            // `write_all` handles these, because it returns the ids of added jobs.
            Write::AddJob { .. } | Write::EndJob(_) => Ok(()),
        }
    }

    /// Inserts an account, or updates it except for its creation time.
    fn put_account(&self, account: &Account) -> Result<(), ObjectError> {
        let upsert = "INSERT INTO account (id, provider_user, email, name, state, created_at, extra) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET provider_user = excluded.provider_user, email = excluded.email, name = excluded.name, state = excluded.state, extra = excluded.extra";
        let row = vec![
            account.id.as_str().into(),
            account.identity.id.clone().into(),
            account.identity.email.clone().into(),
            account.identity.name.clone().into(),
            account.state.column().into(),
            storage::integer(account.created_at)?,
            serde_json::to_string(&account.provider_data).ok().into(),
        ];
        self.write(Table::Account, upsert, row)
    }

    /// Records that the tokens that a connect delivered under this id were stored for `account`. Deletes
    /// records older than an hour, whose connect sessions have expired.
    fn remember_redemption(
        &self,
        id: &AccountId,
        account: &AccountId,
        now: UnixSeconds,
    ) -> Result<(), ObjectError> {
        const LONG_AGO: i64 = 3600;
        let forget = "DELETE FROM redemption WHERE at < ?";
        self.write(Table::Redemption, forget, vec![storage::integer(now - LONG_AGO)?])?;
        let remember = "INSERT OR IGNORE INTO redemption (id, account, at) VALUES (?, ?, ?)";
        let row = vec![id.as_str().into(), account.as_str().into(), storage::integer(now)?];
        self.write(Table::Redemption, remember, row)
    }

    /// The account for which the tokens of this id were stored; that account may have been deleted since.
    pub fn redeemed(&self, id: &AccountId) -> Result<Option<AccountId>, ObjectError> {
        if !self.exists()? {
            return Ok(None);
        }
        let query = "SELECT account FROM redemption WHERE id = ?";
        let rows = self.storage.run(query, vec![id.as_str().into()])?;
        rows.into_iter().next().map(|mut row| read_id(&mut row)).transpose()
    }

    /// Inserts or replaces a grant with its sealed refresh token, if it has one.
    fn put_grant(
        &self,
        account: &AccountId,
        kind: &str,
        grant: &Grant,
        envelope: Option<Vec<u8>>,
    ) -> Result<(), ObjectError> {
        // `INSERT OR REPLACE` would write the row of the index too.
        let upsert = "INSERT INTO \"grant\" (account, generation, refresh_token, scopes, intent, retry_at, failures, fault, kind, expires_at, state, authority, client_id, consented_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET generation = ?2, refresh_token = ?3, scopes = ?4, intent = ?5, retry_at = ?6, failures = ?7, fault = ?8, expires_at = ?10, state = ?11, authority = ?12, client_id = ?13, consented_at = ?14";
        let registration = grant.registration.as_ref();
        let row = vec![
            account.as_str().into(),
            storage::integer(generation_column(grant.generation)?)?,
            envelope.into(),
            grant.scopes.join(" ").into(),
            intent_column(grant).into(),
            storage::optional_integer(grant.retry_at)?,
            storage::integer(i64::from(grant.failures))?,
            grant.fault.clone().into(),
            kind.into(),
            storage::optional_integer(grant.expires_at)?,
            grant.state.column().into(),
            registration.map(|registration| registration.authority.clone()).into(),
            registration.map(|registration| registration.client_id.clone()).into(),
            storage::optional_integer(grant.consented_at)?,
        ];
        self.write(Table::Grant, upsert, row)
    }

    /// Updates the columns of a grant that can change while its refresh token stays the same.
    fn update_grant(
        &self,
        account: &AccountId,
        kind: &str,
        grant: &Grant,
    ) -> Result<(), ObjectError> {
        let update = "UPDATE \"grant\" SET intent = ?, retry_at = ?, failures = ?, fault = ?, state = ? WHERE account = ? AND kind = ?";
        let row = vec![
            intent_column(grant).into(),
            storage::optional_integer(grant.retry_at)?,
            storage::integer(i64::from(grant.failures))?,
            grant.fault.clone().into(),
            grant.state.column().into(),
            account.as_str().into(),
            kind.into(),
        ];
        self.write(Table::Grant, update, row)
    }

    /// Inserts or replaces an access token.
    fn put_access_token(
        &self,
        account: &AccountId,
        selector: &Selector,
        record: &AccessTokenRecord,
        envelope: Vec<u8>,
    ) -> Result<(), ObjectError> {
        let upsert = "INSERT INTO access_token (account, selector, generation, token, scopes, issued_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET generation = ?3, token = ?4, scopes = ?5, issued_at = ?6, expires_at = ?7";
        let row = vec![
            account.as_str().into(),
            selector.column().into(),
            storage::integer(generation_column(record.generation)?)?,
            envelope.into(),
            record.scopes.join(" ").into(),
            storage::integer(record.issued_at)?,
            storage::optional_integer(record.expires_at)?,
        ];
        self.write(Table::AccessToken, upsert, row)
    }

    /// Deletes an account with its grants and access tokens.
    fn drop_account(&self, account: &AccountId) -> Result<(), ObjectError> {
        for (table, delete) in [
            (Table::AccessToken, "DELETE FROM access_token WHERE account = ?"),
            (Table::Grant, "DELETE FROM \"grant\" WHERE account = ?"),
            (Table::Account, "DELETE FROM account WHERE id = ?"),
        ] {
            self.write(table, delete, vec![account.as_str().into()])?;
        }
        Ok(())
    }

    /// Adds a job and returns its id.
    pub fn add_job(&self, job: &Job, due: UnixSeconds) -> Result<i64, ObjectError> {
        let insert = "INSERT INTO jobs (due, kind, payload) VALUES (?, ?, ?) RETURNING id";
        let row = vec![storage::integer(due)?, job.kind().into(), payload(job)?.into()];
        let rows = self.change(Table::Jobs, insert, row)?;
        rows.into_iter().next().map_or(Err(ObjectError::Failed("job")), |mut row| row.integer())
    }

    /// All jobs with their ids and due times, the earliest first. A job that this version cannot parse is left
    /// out.
    pub fn jobs(&self) -> Result<Rc<Vec<StoredJob>>, ObjectError> {
        let exists = self.exists()?;
        let mut known = self.known.borrow_mut();
        if !known.has(Table::Jobs) {
            let query = "SELECT id, due, payload FROM jobs ORDER BY due, id";
            let all = self.rows(query, exists, |row| Ok(Some(row)))?;
            known.has_jobs = !all.is_empty();
            let jobs = all.into_iter().filter_map(|row| read_job(row).transpose());
            known.jobs = Rc::new(jobs.collect::<Result<_, _>>()?);
            known.tables.push(Table::Jobs);
        }
        Ok(known.jobs.clone())
    }

    /// Deletes a job. Returns `false` if it did not exist.
    pub fn end_job(&self, id: i64) -> Result<bool, ObjectError> {
        let delete = "DELETE FROM jobs WHERE id = ? RETURNING id";
        Ok(!self.change(Table::Jobs, delete, vec![storage::integer(id)?])?.is_empty())
    }

    /// Whether a job is still stored.
    pub fn has_job(&self, id: i64) -> Result<bool, ObjectError> {
        Ok(self.jobs()?.iter().any(|(stored, ..)| *stored == id))
    }

    fn read(&self, query: &str) -> Result<Vec<Row>, ObjectError> {
        self.storage.run(query, vec![])
    }

    fn write(&self, table: Table, statement: &str, row: Vec<Parameter>) -> Result<(), ObjectError> {
        self.change(table, statement, row).map(drop)
    }

    fn change(
        &self,
        table: Table,
        statement: &str,
        row: Vec<Parameter>,
    ) -> Result<Vec<Row>, ObjectError> {
        self.known.borrow_mut().forget(table);
        self.storage.run(statement, row)
    }
}

fn read_account(mut row: Row) -> Result<Option<Account>, ObjectError> {
    Ok(Some(Account {
        id: read_id(&mut row)?,
        identity: Identity {
            id: row.optional_text()?,
            email: row.optional_text()?,
            name: row.optional_text()?,
        },
        state: AccountState::from_column(&row.text()?),
        created_at: row.integer()?,
        provider_data: row
            .optional_text()?
            .and_then(|json| json::parse_trusted(&json).ok())
            .unwrap_or_default(),
    }))
}

fn read_id(row: &mut Row) -> Result<AccountId, ObjectError> {
    AccountId::parse(&row.text()?).ok_or(ObjectError::Failed("account_id"))
}

fn read_grant(mut row: Row) -> Result<Option<StoredGrant>, ObjectError> {
    let account = read_id(&mut row)?;
    let generation = generation(row.integer()?)?;
    let envelope = row.optional_blob()?;
    let scopes = crate::text::scopes(&row.text()?);
    let intent = row.optional_text()?.and_then(|json| json::parse_trusted(&json).ok());
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
        consented_at: None,
    };
    let kind = row.text()?;
    record.expires_at = row.optional_integer()?;
    record.state = AccountState::from_column(&row.text()?);
    let (authority, client_id) = (row.optional_text()?, row.optional_text()?);
    let registration = authority.zip(client_id);
    record.consented_at = row.optional_integer()?;
    record.registration =
        registration.map(|(authority, client_id)| Registration { authority, client_id });
    Ok(Some(StoredGrant { account, kind, grant: Sealed { record, envelope } }))
}

/// Reads an access token. `None` if a later version wrote its selector in another format.
fn read_token(mut row: Row) -> Result<Option<StoredToken>, ObjectError> {
    let (account, column) = (read_id(&mut row)?, row.text()?);
    let generation = generation(row.integer()?)?;
    let envelope = row.optional_blob()?;
    let record = AccessTokenRecord {
        generation,
        scopes: crate::text::scopes(&row.text()?),
        issued_at: row.integer()?,
        expires_at: row.optional_integer()?,
    };
    let token = Sealed { record, envelope };
    let selector = Selector::from_column(&column);
    Ok(selector.map(|selector| StoredToken { account, selector, token }))
}

/// Reads a job. `None` if this version cannot parse it.
fn read_job(mut row: Row) -> Result<Option<StoredJob>, ObjectError> {
    let (id, due, payload) = (row.integer()?, row.integer()?, row.text()?);
    Ok(json::parse_trusted(&payload).ok().map(|job| (id, due, job)))
}

fn generation(column: i64) -> Result<u64, ObjectError> {
    u64::try_from(column).map_err(|_| ObjectError::Failed("generation"))
}

fn generation_column(generation: u64) -> Result<i64, ObjectError> {
    i64::try_from(generation).map_err(|_| ObjectError::Failed("generation"))
}

fn intent_column(grant: &Grant) -> Option<String> {
    grant.intent.as_ref().and_then(|intent| serde_json::to_string(intent).ok())
}

fn payload(job: &Job) -> Result<String, ObjectError> {
    serde_json::to_string(job).map_err(|_| ObjectError::Failed("job"))
}
