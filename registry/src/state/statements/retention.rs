//! What is kept for a time only: the outbox, and where tags have been.

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Connection, Result, outbox};

/// Drops what happened before a time, but for what waits for its line in the audit log, where there is one. Events are numbered as they
/// happen, so only the oldest are looked at.
pub async fn expire_events(connection: &mut Connection, before: Timestamp, is_audited: bool, limit: u32) -> Result<u64> {
    let expired = sqlx::query(
        "SELECT id FROM (SELECT id, happened_at, is_unaudited FROM events ORDER BY id LIMIT $2) AS oldest
         WHERE happened_at < $1 AND NOT ($3 AND is_unaudited)",
    )
    .bind(before.as_microsecond())
    .bind(i64::from(limit))
    .bind(is_audited)
    .fetch_all(&mut *connection)
    .await?;
    let ids = expired.iter().map(|row| row.try_get("id")).collect::<std::result::Result<Vec<i64>, _>>()?;
    outbox::drop_events(connection, &ids).await
}

/// Drops where tags went before a time; where they are is in their own rows.
pub async fn expire_tag_history(connection: &mut Connection, before: Timestamp, limit: u32) -> Result<u64> {
    let expired = sqlx::query(
        "DELETE FROM tag_history WHERE (repository_id, name, revision) IN (
             SELECT repository_id, name, revision FROM tag_history WHERE changed_at < $1 ORDER BY changed_at LIMIT $2)",
    )
    .bind(before.as_microsecond())
    .bind(i64::from(limit))
    .execute(&mut *connection)
    .await?;
    Ok(expired.rows_affected())
}
