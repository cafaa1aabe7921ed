//! `Directory`: the connections one user ever started.

use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::sql;
use crate::edge::clock;
use crate::edge::objects::{self, Trouble};
use crate::message::directory::{Answer, Ask, CREATE};

/// One per user.
#[durable_object(fetch)]
pub struct Directory {
    state: State,
}

impl DurableObject for Directory {
    fn new(state: State, _env: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        objects::answer(request, async |ask| self.answer(ask)).await
    }
}

impl Directory {
    fn answer(&self, ask: Ask) -> Result<Answer, Trouble> {
        let storage = self.state.storage().sql();
        match ask {
            Ask::Add { connection } => {
                sql::run(&storage, CREATE, vec![])?;
                let add = "INSERT OR IGNORE INTO connection (name, added_at) VALUES (?, ?)";
                sql::run(&storage, add, vec![connection.into(), sql::integer(clock::now())?])?;
                Ok(Answer::Added)
            }
            Ask::List if !sql::has_table(&storage, "connection")? => {
                Ok(Answer::Connections(Vec::new()))
            }
            Ask::List => {
                let rows = sql::run(&storage, "SELECT name FROM connection ORDER BY name", vec![])?;
                let names = rows.into_iter().map(|mut row| row.text());
                names.collect::<Result<_, _>>().map(Answer::Connections)
            }
        }
    }
}
