//! The rows of a vault.

use worker::{SqlStorage, SqlStorageValue};

use super::sql::{self, Row};
use crate::edge::objects::Trouble;
use crate::ids::{AccountId, UserId};
use crate::jwt::id_token::Identity;
use crate::time::UnixSeconds;
use crate::vault::jobs::Job;
use crate::vault::record::{AccessTokenRecord, Account, AccountState, Grant, Selector};
use crate::vault::schema;

/// A record and what is sealed with it.
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

/// Reads and writes. Methods that write several rows do so without an await: atomically.
pub struct VaultStore(pub SqlStorage);

impl VaultStore {
    /// Whether anything was ever connected here.
    pub fn exists(&self) -> Result<bool, Trouble> {
        sql::has_table(&self.0, "owner")
    }

    /// Makes the tables and remembers whose vault this is.
    pub fn create(&self, user: &UserId, connection: &str) -> Result<(), Trouble> {
        for statement in schema::CREATE {
            self.run(statement, vec![])?;
        }
        let owner = "INSERT OR IGNORE INTO owner (id, schema, issuer, subject, connection) VALUES (1, ?, ?, ?, ?)";
        let row = vec![
            sql::integer(schema::VERSION)?,
            user.issuer.as_str().into(),
            user.subject.as_str().into(),
            connection.into(),
        ];
        self.run(owner, row).map(drop)
    }

    /// Whose vault this is.
    pub fn owner(&self) -> Result<Option<(UserId, String)>, Trouble> {
        if !self.exists()? {
            return Ok(None);
        }
        let query = "SELECT issuer, subject, connection FROM owner WHERE id = 1";
        let Some(mut row) = self.run(query, vec![])?.into_iter().next() else {
            return Ok(None);
        };
        let user = UserId { issuer: row.text()?, subject: row.text()? };
        Ok(Some((user, row.text()?)))
    }

    /// All accounts, the oldest first.
    pub fn accounts(&self) -> Result<Vec<Account>, Trouble> {
        let query =
            "SELECT id, provider_user, email, name, state, created_at FROM account ORDER BY seq";
        self.run(query, vec![])?.into_iter().map(read_account).collect()
    }

    /// Adds an account, or renews what is known of it.
    pub fn put_account(&self, account: &Account) -> Result<(), Trouble> {
        let upsert = "INSERT INTO account (id, provider_user, email, name, state, created_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET email = excluded.email, name = excluded.name, state = excluded.state";
        let row = vec![
            account.id.as_str().into(),
            account.identity.id.clone().into(),
            account.identity.email.clone().into(),
            account.identity.name.clone().into(),
            account.state.column().into(),
            sql::integer(account.created_at)?,
        ];
        self.run(upsert, row).map(drop)
    }

    /// Changes an account's state.
    pub fn set_state(&self, account: &AccountId, state: AccountState) -> Result<(), Trouble> {
        let update = "UPDATE account SET state = ? WHERE id = ?";
        self.run(update, vec![state.column().into(), account.as_str().into()]).map(drop)
    }

    /// An account's grant.
    pub fn grant(&self, account: &AccountId) -> Result<Option<Sealed<Grant>>, Trouble> {
        let query = "SELECT generation, refresh_token, scopes, intent, retry_at, failures, fault FROM \"grant\" WHERE account = ?";
        let rows = self.run(query, vec![account.as_str().into()])?;
        rows.into_iter().next().map(read_grant).transpose()
    }

    /// Writes a grant with its refresh token.
    pub fn put_grant(
        &self,
        account: &AccountId,
        grant: &Grant,
        envelope: Option<Vec<u8>>,
    ) -> Result<(), Trouble> {
        let upsert = "INSERT OR REPLACE INTO \"grant\" (account, generation, refresh_token, scopes, intent, retry_at, failures, fault) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        let row = vec![
            account.as_str().into(),
            sql::integer(generation_column(grant.generation)?)?,
            envelope.into(),
            grant.scopes.join(" ").into(),
            intent_column(grant).into(),
            sql::optional_integer(grant.retry_at)?,
            sql::integer(i64::from(grant.failures))?,
            grant.fault.clone().into(),
        ];
        self.run(upsert, row).map(drop)
    }

    /// Writes what changes about a grant while its refresh token stays.
    pub fn update_grant(&self, account: &AccountId, grant: &Grant) -> Result<(), Trouble> {
        let update = "UPDATE \"grant\" SET intent = ?, retry_at = ?, failures = ?, fault = ? WHERE account = ?";
        let row = vec![
            intent_column(grant).into(),
            sql::optional_integer(grant.retry_at)?,
            sql::integer(i64::from(grant.failures))?,
            grant.fault.clone().into(),
            account.as_str().into(),
        ];
        self.run(update, row).map(drop)
    }

    /// One of an account's access tokens.
    pub fn access_token(
        &self,
        account: &AccountId,
        selector: &Selector,
    ) -> Result<Option<Sealed<AccessTokenRecord>>, Trouble> {
        let query = "SELECT generation, token, scopes, issued_at, expires_at FROM access_token WHERE account = ? AND selector = ?";
        let rows = self.run(query, vec![account.as_str().into(), selector.column().into()])?;
        rows.into_iter().next().map(read_token).transpose()
    }

    /// All access tokens of an account.
    pub fn access_tokens(
        &self,
        account: &AccountId,
    ) -> Result<Vec<Sealed<AccessTokenRecord>>, Trouble> {
        let query = "SELECT generation, token, scopes, issued_at, expires_at FROM access_token WHERE account = ?";
        let rows = self.run(query, vec![account.as_str().into()])?;
        rows.into_iter().map(read_token).collect()
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
        self.run(upsert, row).map(drop)
    }

    /// Forgets an account's access tokens.
    pub fn drop_access_tokens(&self, account: &AccountId) -> Result<(), Trouble> {
        let delete = "DELETE FROM access_token WHERE account = ?";
        self.run(delete, vec![account.as_str().into()]).map(drop)
    }

    /// Forgets an account with everything.
    pub fn drop_account(&self, account: &AccountId) -> Result<(), Trouble> {
        self.drop_access_tokens(account)?;
        self.run("DELETE FROM \"grant\" WHERE account = ?", vec![account.as_str().into()])?;
        self.run("DELETE FROM account WHERE id = ?", vec![account.as_str().into()]).map(drop)
    }

    /// Adds a job.
    pub fn add_job(&self, job: &Job, due: UnixSeconds) -> Result<(), Trouble> {
        let insert = "INSERT INTO jobs (due, kind, payload) VALUES (?, ?, ?)";
        let row = vec![sql::integer(due)?, job.kind().into(), payload(job)?.into()];
        self.run(insert, row).map(drop)
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
        for mut row in self.run(query, vec![])? {
            let (id, due) = (row.integer()?, row.integer()?);
            if let Ok(job) = serde_json::from_str(&row.text()?) {
                jobs.push((id, due, job));
            }
        }
        Ok(jobs)
    }

    /// Ends a job. `false`: it was gone already.
    pub fn end_job(&self, id: i64) -> Result<bool, Trouble> {
        let delete = "DELETE FROM jobs WHERE id = ? RETURNING id";
        Ok(!self.run(delete, vec![sql::integer(id)?])?.is_empty())
    }

    /// When the earliest job is due.
    pub fn next_job(&self) -> Result<Option<UnixSeconds>, Trouble> {
        let rows = self.run("SELECT MIN(due) FROM jobs", vec![])?;
        rows.into_iter().next().map_or(Ok(None), |mut row| row.optional_integer())
    }

    fn run(&self, query: &str, row: Vec<SqlStorageValue>) -> Result<Vec<Row>, Trouble> {
        sql::run(&self.0, query, row)
    }
}

fn read_account(mut row: Row) -> Result<Account, Trouble> {
    Ok(Account {
        id: AccountId::parse(&row.text()?).ok_or(Trouble::Failed("account_id"))?,
        identity: Identity {
            id: row.optional_text()?,
            email: row.optional_text()?,
            name: row.optional_text()?,
        },
        state: AccountState::from_column(&row.text()?),
        created_at: row.integer()?,
    })
}

fn read_grant(mut row: Row) -> Result<Sealed<Grant>, Trouble> {
    let generation = generation(row.integer()?)?;
    let envelope = row.optional_blob()?;
    let scopes = crate::text::scopes(&row.text()?);
    let intent = row.optional_text()?.and_then(|json| serde_json::from_str(&json).ok());
    let record = Grant {
        generation,
        has_refresh_token: envelope.is_some(),
        scopes,
        intent,
        retry_at: row.optional_integer()?,
        failures: u32::try_from(row.integer()?).unwrap_or(u32::MAX),
        fault: row.optional_text()?,
    };
    Ok(Sealed { record, envelope })
}

fn read_token(mut row: Row) -> Result<Sealed<AccessTokenRecord>, Trouble> {
    let generation = generation(row.integer()?)?;
    let envelope = row.optional_blob()?;
    let record = AccessTokenRecord {
        generation,
        scopes: crate::text::scopes(&row.text()?),
        issued_at: row.integer()?,
        expires_at: row.optional_integer()?,
    };
    Ok(Sealed { record, envelope })
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
