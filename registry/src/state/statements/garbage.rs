//! Objects that nothing needs.

use jiff::Timestamp;
use sqlx::Row as _;

use super::super::super::{Garbage, StateError};
use super::{Connection, Result};
use crate::storage::{ObjectKey, PartsId};

/// Has an object deleted when due.
pub async fn add(connection: &mut Connection, key: &ObjectKey, parts: Option<&PartsId>, due_at: Timestamp) -> Result<()> {
    sqlx::query("INSERT INTO garbage (object_key, parts_id, due_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(key.to_string())
        .bind(parts.map_or("", |parts| parts.0.as_str()))
        .bind(due_at.as_microsecond())
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// Objects due by now, the longest due first.
pub async fn due(connection: &mut Connection, limit: u32) -> Result<Vec<Garbage>> {
    let rows = sqlx::query("SELECT object_key, parts_id FROM garbage WHERE due_at <= $1 ORDER BY due_at LIMIT $2")
        .bind(Timestamp::now().as_microsecond())
        .bind(i64::from(limit))
        .fetch_all(&mut *connection)
        .await?;
    let read = |row: &super::Row| {
        let (key, parts): (String, String) = (row.try_get("object_key")?, row.try_get("parts_id")?);
        let key = ObjectKey::parse(&key).ok_or(StateError::Unreadable { column: "object_key", value: key })?;
        Ok(Garbage { key, parts: (!parts.is_empty()).then_some(PartsId(parts)) })
    };
    rows.iter().map(read).collect()
}

/// Strikes off objects that have been deleted.
pub async fn forget(connection: &mut Connection, deleted: &[Garbage]) -> Result<()> {
    for Garbage { key, parts } in deleted {
        sqlx::query("DELETE FROM garbage WHERE object_key = $1 AND parts_id = $2")
            .bind(key.to_string())
            .bind(parts.as_ref().map_or("", |parts| parts.0.as_str()))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
