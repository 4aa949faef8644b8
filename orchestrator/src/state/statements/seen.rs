//! What a caller has seen of what it changes.

use sqlx::AssertSqlSafe;

use super::super::super::StateError;
use super::column::unsigned;
use super::{Connection, Query, Result};

/// A row that may not be there yet. `Exists` where it is, or where one of its name is.
pub async fn add(connection: &mut Connection, insert: Query) -> Result<()> {
    let added = insert.execute(&mut *connection).await?;
    if added.rows_affected() == 1 { Ok(()) } else { Err(StateError::Exists) }
}

/// A row of this table and key that must be as it was seen. `Changed` where it is not; `Exists` where another has the name that it gets.
pub async fn change(connection: &mut Connection, update: Query, (table, column): (&str, &str), key: &str) -> Result<()> {
    match update.execute(&mut *connection).await {
        Ok(changed) if changed.rows_affected() == 1 => Ok(()),
        Ok(_) => Err(StateError::Changed(revision(connection, (table, column), key).await?)),
        Err(error) if is_taken(&error) => Err(StateError::Exists),
        Err(error) => Err(error.into()),
    }
}

/// The revision of a row, if there is one.
pub async fn revision(connection: &mut Connection, (table, column): (&str, &str), key: &str) -> Result<Option<u64>> {
    let sql = format!("SELECT revision FROM {table} WHERE {column} = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(key.to_owned()).fetch_optional(&mut *connection).await?;
    row.map(|row| unsigned(&row, "revision")).transpose()
}

fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
