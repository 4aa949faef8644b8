//! What callers were answered to operations that they named.

use sqlx::Row as _;

use super::super::super::{Answer, OperationKey, StateError};
use super::column::{clean, json, read_json, small};
use super::{Connection, Result};

/// Keeps an answer. False where the operation has one; where another transaction is about to give it one, that is waited for.
pub async fn add(connection: &mut Connection, operation: &OperationKey, answer: &Answer, now: i64) -> Result<bool> {
    let added = sqlx::query(
        "INSERT INTO answers (caller, id, request, status, body, at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (caller, id) DO NOTHING",
    )
    .bind(clean(&operation.caller))
    .bind(clean(&operation.id))
    .bind(operation.request.as_str())
    .bind(i64::from(answer.status))
    .bind(json(&answer.body)?)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    Ok(added.rows_affected() == 1)
}

/// The answer to an operation.
pub async fn find(connection: &mut Connection, operation: &OperationKey) -> Result<Option<Answer>> {
    let row = sqlx::query("SELECT request, status, body FROM answers WHERE caller = $1 AND id = $2")
        .bind(clean(&operation.caller))
        .bind(clean(&operation.id))
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    if row.try_get::<&str, _>("request")? != operation.request {
        return Err(StateError::OperationReused);
    }
    Ok(Some(Answer { status: small(&row, "status")?, body: read_json(&row, "body")? }))
}
