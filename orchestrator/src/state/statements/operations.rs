//! Long work.

use longshore_fleet::OperationId;
use sqlx::{AssertSqlSafe, Row as _};

use super::super::super::{OperationRow, Slice, StateError};
use super::column::{json, parse, read_json};
use super::{Connection, Result, Row};

/// Puts one. One that has ended stays as it is.
pub async fn put(connection: &mut Connection, row: &OperationRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO operations (id, content, created, ended) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO UPDATE SET content = excluded.content, ended = excluded.ended WHERE operations.ended IS NULL",
    )
    .bind(row.id.to_string())
    .bind(json(&row.view)?)
    .bind(row.created)
    .bind(row.ended)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Ends one that has not ended yet.
pub async fn cancel(connection: &mut Connection, row: &OperationRow) -> Result<()> {
    let update = sqlx::query("UPDATE operations SET content = $2, ended = $3 WHERE id = $1 AND ended IS NULL");
    let update = update.bind(row.id.to_string()).bind(json(&row.view)?).bind(row.ended);
    let cancelled = update.execute(&mut *connection).await?;
    if cancelled.rows_affected() == 1 { Ok(()) } else { Err(StateError::Changed(None)) }
}

const SELECT: &str = "SELECT id, content, created, ended FROM operations";

/// Operations by id; those that have not ended alone, or all.
pub async fn list(connection: &mut Connection, running_only: bool, slice: &Slice<OperationId>) -> Result<Vec<OperationRow>> {
    let condition = if running_only { " AND ended IS NULL" } else { "" };
    let sql = format!("{SELECT} WHERE id > $1{condition} ORDER BY id LIMIT $2");
    let after = slice.after.map_or_else(String::new, |id| id.to_string());
    let query = sqlx::query(AssertSqlSafe(sql)).bind(after).bind(i64::from(slice.most));
    query.fetch_all(&mut *connection).await?.iter().map(read).collect()
}

/// One operation.
pub async fn find(connection: &mut Connection, id: OperationId) -> Result<Option<OperationRow>> {
    let sql = format!("{SELECT} WHERE id = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.to_string()).fetch_optional(&mut *connection).await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<OperationRow> {
    Ok(OperationRow {
        id: parse(row, "id")?,
        view: read_json(row, "content")?,
        created: row.try_get("created")?,
        ended: row.try_get("ended")?,
    })
}
