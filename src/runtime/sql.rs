// SPDX-License-Identifier: Apache-2.0
//! Rows out of an object's SQLite, by position.

use std::collections::VecDeque;

use wasm_bindgen::JsValue;
use worker::{SqlStorage, SqlStorageValue};

use crate::runtime::object_call::ObjectError;
use crate::runtime::platform;

/// A row, read from its first column on.
pub struct Row(VecDeque<SqlStorageValue>);

/// Runs one statement and gives all rows.
///
/// Statements without an await between them reach the disk together; if one fails, those before it stay, unless
/// they are in a [`transaction`].
pub fn run(
    sql: &SqlStorage,
    query: &str,
    parameters: Vec<SqlStorageValue>,
) -> Result<Vec<Row>, ObjectError> {
    let cursor = sql.exec(query, parameters)?;
    let rows = cursor.raw().map(|row| Ok(Row(row?.into())));
    rows.collect::<worker::Result<_>>().map_err(ObjectError::from)
}

/// Runs `work` in one transaction of an object's storage: what it wrote is undone if it fails.
pub fn transaction<T>(
    storage: &JsValue,
    work: impl FnOnce() -> Result<T, ObjectError>,
) -> Result<T, ObjectError> {
    let (mut work, mut result) = (Some(work), Err(ObjectError::Failed("transaction")));
    let mut run = || {
        if let Some(work) = work.take() {
            result = work();
        }
        result.is_ok()
    };
    // Whatever else throws there is the platform's.
    let done = platform::transaction(storage, &mut run);
    done.map_err(|_| ObjectError::Failed("transaction")).and(result)
}

/// Whether this table was made yet.
pub fn has_table(sql: &SqlStorage, name: &str) -> Result<bool, ObjectError> {
    let query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?";
    Ok(!run(sql, query, vec![name.into()])?.is_empty())
}

impl Row {
    /// Text that is there.
    pub fn text(&mut self) -> Result<String, ObjectError> {
        self.optional_text()?.ok_or(UNEXPECTED)
    }

    /// Text or `NULL`.
    pub fn optional_text(&mut self) -> Result<Option<String>, ObjectError> {
        match self.0.pop_front() {
            Some(SqlStorageValue::String(text)) => Ok(Some(text)),
            Some(SqlStorageValue::Null) => Ok(None),
            _ => Err(UNEXPECTED),
        }
    }

    /// An integer that is there.
    pub fn integer(&mut self) -> Result<i64, ObjectError> {
        self.optional_integer()?.ok_or(UNEXPECTED)
    }

    /// An integer or `NULL`.
    pub fn optional_integer(&mut self) -> Result<Option<i64>, ObjectError> {
        match self.0.pop_front() {
            Some(SqlStorageValue::Integer(number)) => Ok(Some(number)),
            Some(SqlStorageValue::Null) => Ok(None),
            _ => Err(UNEXPECTED),
        }
    }

    /// Bytes or `NULL`.
    pub fn optional_blob(&mut self) -> Result<Option<Vec<u8>>, ObjectError> {
        match self.0.pop_front() {
            Some(SqlStorageValue::Blob(bytes)) => Ok(Some(bytes)),
            Some(SqlStorageValue::Null) => Ok(None),
            _ => Err(UNEXPECTED),
        }
    }
}

/// A column holds what this version does not write.
const UNEXPECTED: ObjectError = ObjectError::Failed("unexpected_row");

/// An integer for a statement; beyond 2^53 the platform would round it.
pub fn integer(number: i64) -> Result<SqlStorageValue, ObjectError> {
    SqlStorageValue::try_from_i64(number).map_err(ObjectError::from)
}

/// An integer or `NULL` for a statement.
pub fn optional_integer(number: Option<i64>) -> Result<SqlStorageValue, ObjectError> {
    number.map_or(Ok(SqlStorageValue::Null), integer)
}
