// SPDX-License-Identifier: Apache-2.0
//! Statements in an object's SQLite database. Rows are read by position.

use std::collections::VecDeque;

use wasm_bindgen::JsValue;
use worker::{SqlStorage, SqlStorageValue};

use crate::runtime::object_call::ObjectError;
use crate::runtime::platform;

/// A row; each read consumes the next column, from the first one on.
pub struct Row(VecDeque<SqlStorageValue>);

/// Runs one statement and returns all rows.
///
/// The platform writes statements without an await between them to disk together. If one of them fails,
/// those before it stay, unless they are in a [`transaction`].
pub fn run(
    sql: &SqlStorage,
    query: &str,
    parameters: Vec<SqlStorageValue>,
) -> Result<Vec<Row>, ObjectError> {
    let cursor = sql.exec(query, parameters)?;
    let rows = cursor.raw().map(|row| Ok(Row(row?.into())));
    rows.collect::<worker::Result<_>>().map_err(ObjectError::from)
}

/// Runs `work` in one transaction of an object's storage, and rolls back if it returns `Err`.
pub fn transaction(
    storage: &JsValue,
    work: &mut dyn FnMut() -> Result<(), ObjectError>,
) -> Result<(), ObjectError> {
    let mut result = Err(ObjectError::Failed("transaction"));
    let mut run = || {
        result = work();
        result.is_ok()
    };
    // `work` does not throw; any exception comes from the platform.
    let done = platform::transaction(storage, &mut run);
    done.map_err(|_| ObjectError::Failed("transaction")).and(result)
}

/// Whether the table exists.
pub fn has_table(sql: &SqlStorage, name: &str) -> Result<bool, ObjectError> {
    let query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?";
    Ok(!run(sql, query, vec![name.into()])?.is_empty())
}

impl Row {
    /// Reads text. `Err` for `NULL` and other types.
    pub fn text(&mut self) -> Result<String, ObjectError> {
        self.optional_text()?.ok_or(UNEXPECTED)
    }

    /// Reads text or `NULL`. `Err` for other types.
    pub fn optional_text(&mut self) -> Result<Option<String>, ObjectError> {
        match self.0.pop_front() {
            Some(SqlStorageValue::String(text)) => Ok(Some(text)),
            Some(SqlStorageValue::Null) => Ok(None),
            _ => Err(UNEXPECTED),
        }
    }

    /// Reads an integer. `Err` for `NULL` and other types.
    pub fn integer(&mut self) -> Result<i64, ObjectError> {
        self.optional_integer()?.ok_or(UNEXPECTED)
    }

    /// Reads an integer or `NULL`. `Err` for other types.
    pub fn optional_integer(&mut self) -> Result<Option<i64>, ObjectError> {
        match self.0.pop_front() {
            Some(SqlStorageValue::Integer(number)) => Ok(Some(number)),
            Some(SqlStorageValue::Null) => Ok(None),
            _ => Err(UNEXPECTED),
        }
    }

    /// Reads bytes or `NULL`. `Err` for other types.
    pub fn optional_blob(&mut self) -> Result<Option<Vec<u8>>, ObjectError> {
        match self.0.pop_front() {
            Some(SqlStorageValue::Blob(bytes)) => Ok(Some(bytes)),
            Some(SqlStorageValue::Null) => Ok(None),
            _ => Err(UNEXPECTED),
        }
    }
}

/// A column is absent or has a type that this version does not write.
const UNEXPECTED: ObjectError = ObjectError::Failed("unexpected_row");

/// Converts an integer into a statement's parameter. `Err` if it is beyond what a JavaScript number holds
/// exactly (2^53): the platform would round it.
pub fn integer(number: i64) -> Result<SqlStorageValue, ObjectError> {
    SqlStorageValue::try_from_i64(number).map_err(ObjectError::from)
}

/// Converts an integer or `NULL` into a statement's parameter. Errors as for [`integer`].
pub fn optional_integer(number: Option<i64>) -> Result<SqlStorageValue, ObjectError> {
    number.map_or(Ok(SqlStorageValue::Null), integer)
}
