// SPDX-License-Identifier: Apache-2.0
//! The storage of one object: its SQLite database, and its alarm. Rows are read by position.

use std::cell::RefCell;
use std::time::Duration;
use std::vec::IntoIter;

use js_sys::Uint8Array;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::State;

use crate::runtime::object_call::ObjectError;
use crate::runtime::platform;

/// An object's storage. One object has one.
pub struct Storage {
    storage: worker::Storage,
    /// Tables that exist, and statements that created some: neither is asked for again.
    known: RefCell<Vec<&'static str>>,
}

impl Storage {
    pub fn of(state: &State) -> Self {
        Self { storage: state.storage(), known: RefCell::default() }
    }

    /// Runs one statement and returns all rows.
    ///
    /// The platform writes statements without an await between them to disk together. If one of them fails,
    /// those before it stay, unless they are in a [`Self::transaction`].
    pub fn run(&self, query: &str, parameters: Vec<Parameter>) -> Result<Vec<Row>, ObjectError> {
        let parameters = parameters.into_iter().map(|parameter| parameter.0).collect();
        let mut values =
            platform::rows(self.storage.as_raw(), query, parameters).map_err(failed)?.into_iter();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few columns")]
        let width = values.next().and_then(|width| width.as_f64()).unwrap_or_default() as usize;
        let mut rows = Vec::new();
        while values.len() > 0 {
            let row: Vec<_> = values.by_ref().take(width.max(1)).collect();
            rows.push(Row(row.into_iter()));
        }
        Ok(rows)
    }

    /// Runs `work` in one transaction, and rolls back if it returns `Err`.
    pub fn transaction(
        &self,
        work: &mut dyn FnMut() -> Result<(), ObjectError>,
    ) -> Result<(), ObjectError> {
        let mut result = Err(ObjectError::Failed("transaction"));
        let mut run = || {
            result = work();
            result.is_ok()
        };
        // `work` does not throw; any exception comes from the platform.
        let done = platform::transaction(self.storage.as_raw(), &mut run);
        let done = done.map_err(|_| ObjectError::Failed("transaction")).and(result);
        if done.is_err() {
            // The transaction may have created them.
            self.known.take();
        }
        done
    }

    /// Whether the table exists. Once it does, it does until [`Self::delete_all`].
    pub fn has_table(&self, name: &'static str) -> Result<bool, ObjectError> {
        if self.known.borrow().contains(&name) {
            return Ok(true);
        }
        let query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?";
        let exists = !self.run(query, vec![name.into()])?.is_empty();
        if exists {
            self.known.borrow_mut().push(name);
        }
        Ok(exists)
    }

    /// Runs a statement that creates a table if it does not exist, unless this object ran it before.
    pub fn create(&self, statement: &'static str) -> Result<(), ObjectError> {
        if !self.known.borrow().contains(&statement) {
            self.run(statement, vec![])?;
            self.known.borrow_mut().push(statement);
        }
        Ok(())
    }

    /// Deletes all that is stored, and the alarm.
    pub async fn delete_all(&self) -> Result<(), ObjectError> {
        self.known.take();
        self.storage.delete_all().await.map_err(failed)
    }

    /// Sets the alarm, which then runs after this time by the platform's clock.
    pub async fn set_alarm(&self, after: Duration) -> Result<(), ObjectError> {
        self.storage.set_alarm(after).await.map_err(failed)
    }

    /// Deletes the alarm, if there is one.
    pub async fn delete_alarm(&self) -> Result<(), ObjectError> {
        self.storage.delete_alarm().await.map_err(failed)
    }
}

/// The platform's text is not logged, because it may quote the data that was being handled.
fn failed<E>(_: E) -> ObjectError {
    ObjectError::Failed("platform")
}

/// A value for a `?` in a statement.
pub struct Parameter(JsValue);

impl From<&str> for Parameter {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Parameter {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Vec<u8>> for Parameter {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Uint8Array::from(bytes.as_slice()).into())
    }
}

impl<T> From<Option<T>> for Parameter
where
    Self: From<T>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Self(JsValue::NULL), Self::from)
    }
}

/// The largest integer that a JavaScript number holds exactly, with all that are smaller.
const LARGEST: f64 = js_sys::Number::MAX_SAFE_INTEGER;

/// An integer as a parameter. `Err` if it is beyond what a JavaScript number holds exactly (2^53): the platform
/// would round it.
#[allow(clippy::cast_precision_loss, reason = "what is rounded is beyond the range")]
pub fn integer(number: i64) -> Result<Parameter, ObjectError> {
    let value = number as f64;
    if value.abs() > LARGEST {
        return Err(ObjectError::Failed("integer"));
    }
    Ok(Parameter(value.into()))
}

/// An integer or `NULL` as a parameter. Errors as for [`integer`].
pub fn optional_integer(number: Option<i64>) -> Result<Parameter, ObjectError> {
    number.map_or(Ok(Parameter(JsValue::NULL)), integer)
}

/// A row; each read consumes the next column, from the first one on.
pub struct Row(IntoIter<JsValue>);

impl Row {
    /// Reads text. `Err` for `NULL` and other types.
    pub fn text(&mut self) -> Result<String, ObjectError> {
        self.optional_text()?.ok_or(UNEXPECTED)
    }

    /// Reads text or `NULL`. `Err` for other types.
    pub fn optional_text(&mut self) -> Result<Option<String>, ObjectError> {
        self.optional(|value| value.as_string())
    }

    /// Reads an integer. `Err` for `NULL`, other types, and integers beyond 2^53.
    pub fn integer(&mut self) -> Result<i64, ObjectError> {
        self.optional_integer()?.ok_or(UNEXPECTED)
    }

    /// Reads an integer or `NULL`. `Err` for other types, and for integers beyond 2^53.
    pub fn optional_integer(&mut self) -> Result<Option<i64>, ObjectError> {
        self.optional(|value| {
            let number = value.as_f64()?;
            #[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
            (number.fract() == 0.0 && number.abs() <= LARGEST).then_some(number as i64)
        })
    }

    /// Reads bytes or `NULL`. `Err` for other types.
    pub fn optional_blob(&mut self) -> Result<Option<Vec<u8>>, ObjectError> {
        self.optional(|value| {
            value.is_instance_of::<js_sys::ArrayBuffer>().then(|| Uint8Array::new(&value).to_vec())
        })
    }

    fn optional<T>(
        &mut self,
        read: impl FnOnce(JsValue) -> Option<T>,
    ) -> Result<Option<T>, ObjectError> {
        let value = self.0.next().ok_or(UNEXPECTED)?;
        if value.is_null() { Ok(None) } else { read(value).map(Some).ok_or(UNEXPECTED) }
    }
}

/// A column is absent or has a type that this version does not write.
const UNEXPECTED: ObjectError = ObjectError::Failed("unexpected_row");
