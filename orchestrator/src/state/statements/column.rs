//! Values of columns, from typed values and back.

use std::borrow::Cow;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::Row as _;

use super::super::super::StateError;
use super::{Result, Row};

/// Writes a count, a length or a revision; none comes near the limit of 8 EiB.
pub fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Reads a count, a length or a revision.
pub fn unsigned(row: &Row, column: &'static str) -> Result<u64> {
    let value: i64 = row.try_get(column)?;
    u64::try_from(value).map_err(|_| StateError::Unreadable { column, value: value.to_string() })
}

/// Reads one that may be absent.
pub fn optional_unsigned(row: &Row, column: &'static str) -> Result<Option<u64>> {
    let value: Option<i64> = row.try_get(column)?;
    value.map(|_| unsigned(row, column)).transpose()
}

/// Reads a count that is never great.
pub fn small<T: TryFrom<u64>>(row: &Row, column: &'static str) -> Result<T> {
    let value = unsigned(row, column)?;
    T::try_from(value).map_err(|_| StateError::Unreadable { column, value: value.to_string() })
}

/// Reads a text that this program wrote from a typed value.
pub fn parse<T: std::str::FromStr>(row: &Row, column: &'static str) -> Result<T> {
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|_| StateError::Unreadable { column, value: text.to_owned() })
}

/// Reads one that may be absent.
pub fn optional<T: std::str::FromStr>(row: &Row, column: &'static str) -> Result<Option<T>> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(|_| parse(row, column)).transpose()
}

/// Writes a value as JSON.
pub fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StateError::Refused(sqlx::Error::Encode(error.into())))
}

/// Reads a value from JSON.
pub fn read_json<T: DeserializeOwned>(row: &Row, column: &'static str) -> Result<T> {
    let text: &str = row.try_get(column)?;
    serde_json::from_str(text).map_err(|_| StateError::Unreadable { column, value: text.to_owned() })
}

/// Reads one that may be absent.
pub fn optional_json<T: DeserializeOwned>(row: &Row, column: &'static str) -> Result<Option<T>> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(|_| read_json(row, column)).transpose()
}

/// Writes a value that is one word.
pub fn word(value: &impl Serialize) -> Result<String> {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => Ok(word),
        Ok(_) => unreachable!("only what is a word is written as one"),
        Err(error) => Err(StateError::Refused(sqlx::Error::Encode(error.into()))),
    }
}

/// Reads a value that is one word.
pub fn read_word<T: DeserializeOwned>(row: &Row, column: &'static str) -> Result<T> {
    let text: String = row.try_get(column)?;
    T::deserialize(Value::String(text.clone())).map_err(|_| StateError::Unreadable { column, value: text })
}

/// A text from outside, as both databases take it: PostgreSQL's have no NUL.
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// These texts as one value, for [`super::super::EACH_TEXT`].
pub fn array<T: ToString>(texts: impl IntoIterator<Item = T>) -> String {
    Value::Array(texts.into_iter().map(|text| Value::String(text.to_string())).collect()).to_string()
}
