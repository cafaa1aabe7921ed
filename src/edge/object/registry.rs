//! `Registry`: the users that have a directory, in shards; and the check values of keys.

use std::collections::BTreeMap;

use worker::{DurableObject, Env, Request, Response, SqlStorage, State, durable_object};

use super::sql;
use crate::edge::clock;
use crate::edge::objects::{self, Trouble};
use crate::message::registry::{self, Answer, Ask, CREATE};

/// One per shard, and one under [`crate::ids::KEY_CHECK`].
#[durable_object(fetch)]
pub struct Registry {
    state: State,
}

impl DurableObject for Registry {
    fn new(state: State, _env: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        objects::answer(request, async |ask| self.answer(ask)).await
    }
}

impl Registry {
    fn answer(&self, ask: Ask) -> Result<Answer, Trouble> {
        let storage = self.state.storage().sql();
        match ask {
            Ask::Add { user } => {
                create(&storage)?;
                let add = "INSERT OR IGNORE INTO user (issuer, subject, added_at) VALUES (?, ?, ?)";
                let row =
                    vec![user.issuer.into(), user.subject.into(), sql::integer(clock::now())?];
                sql::run(&storage, add, row)?;
                Ok(Answer::Added)
            }
            Ask::Check { values, remember } => check(&storage, &values, &remember),
        }
    }
}

fn check(
    storage: &SqlStorage,
    values: &BTreeMap<String, String>,
    remember: &[String],
) -> Result<Answer, Trouble> {
    if !remember.is_empty() {
        create(storage)?;
    } else if !sql::has_table(storage, "key_check")? {
        return Ok(Answer::Checked { changed: Vec::new(), known: false });
    }
    let mut remembered = BTreeMap::new();
    for mut row in sql::run(storage, "SELECT name, value FROM key_check", vec![])? {
        remembered.insert(row.text()?, row.text()?);
    }
    let changed = registry::changed(values, &remembered);
    if changed.is_empty() {
        for (name, value) in values.iter().filter(|(name, _)| remember.contains(name)) {
            let first = "INSERT OR IGNORE INTO key_check (name, value) VALUES (?, ?)";
            sql::run(storage, first, vec![name.as_str().into(), value.as_str().into()])?;
        }
    }
    Ok(Answer::Checked { changed, known: true })
}

fn create(storage: &SqlStorage) -> Result<(), Trouble> {
    for statement in CREATE {
        sql::run(storage, statement, vec![])?;
    }
    Ok(())
}
