//! Tokens that let nodes in.

use sqlx::Row as _;

use super::super::super::{JoinTokenRow, StateError};
use super::super::now;
use super::column::small;
use super::{Connection, Result, Row};

/// Puts one.
pub async fn put(connection: &mut Connection, row: &JoinTokenRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO join_tokens (hash, hint, expires, uses_left) VALUES ($1, $2, $3, $4)
         ON CONFLICT (hash) DO UPDATE SET hint = excluded.hint, expires = excluded.expires, uses_left = excluded.uses_left",
    )
    .bind(row.hash.as_str())
    .bind(row.hint.as_str())
    .bind(row.expires)
    .bind(i64::from(row.uses_left))
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Uses one once.
pub async fn take(connection: &mut Connection, hash: &str, now: i64) -> Result<()> {
    let taken =
        sqlx::query("UPDATE join_tokens SET uses_left = uses_left - 1 WHERE hash = $1 AND uses_left > 0 AND expires > $2");
    let taken = taken.bind(hash.to_owned()).bind(now).execute(&mut *connection).await?;
    if taken.rows_affected() == 1 { Ok(()) } else { Err(StateError::NoSuchToken) }
}

/// Removes one.
pub async fn remove(connection: &mut Connection, hash: &str) -> Result<()> {
    Ok(sqlx::query("DELETE FROM join_tokens WHERE hash = $1").bind(hash.to_owned()).execute(&mut *connection).await.map(drop)?)
}

/// Those that let nodes in now.
pub async fn list(connection: &mut Connection) -> Result<Vec<JoinTokenRow>> {
    let now = now(connection).await?;
    let sql = "SELECT hash, hint, expires, uses_left FROM join_tokens WHERE uses_left > 0 AND expires > $1 ORDER BY hash";
    sqlx::query(sql).bind(now).fetch_all(&mut *connection).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<JoinTokenRow> {
    Ok(JoinTokenRow {
        hash: row.try_get("hash")?,
        hint: row.try_get("hint")?,
        expires: row.try_get("expires")?,
        uses_left: small(row, "uses_left")?,
    })
}
