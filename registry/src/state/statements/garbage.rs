//! Objects that nothing needs.

use jiff::Timestamp;
use longshore_oci::Digest;
use sqlx::Row as _;

use super::super::super::Garbage;
use super::{Connection, Result, find_repository, read_key, records};
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

/// Has an object deleted when due that holds a whole blob.
pub async fn add_blob(connection: &mut Connection, key: &ObjectKey, digest: &Digest, due_at: Timestamp) -> Result<()> {
    sqlx::query(
        "INSERT INTO garbage (object_key, parts_id, due_at, repository, digest) VALUES ($1, '', $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(key.to_string())
    .bind(due_at.as_microsecond())
    .bind(key.repository().as_str())
    .bind(digest.as_str())
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Objects due by now, the longest due first. One that shows a rebuilding that its blob is the repository's stays until a record does.
pub async fn due(connection: &mut Connection, limit: u32) -> Result<Vec<Garbage>> {
    let rows = sqlx::query(
        "SELECT g.object_key, g.parts_id FROM garbage g
         WHERE g.due_at <= $1 AND NOT EXISTS (
             SELECT 1 FROM repositories n JOIN repository_blobs l ON l.repository_id = n.id AND l.digest = g.digest
             WHERE n.name = g.repository AND l.revision = 0)
         ORDER BY g.due_at LIMIT $2",
    )
    .bind(Timestamp::now().as_microsecond())
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    let read = |row: &super::Row| {
        let parts: String = row.try_get("parts_id")?;
        Ok(Garbage { key: read_key(row)?, parts: (!parts.is_empty()).then_some(PartsId(parts)) })
    };
    rows.iter().map(read).collect()
}

/// Strikes off objects that have been deleted, and buries the records that stayed for the sake of one.
pub async fn forget(connection: &mut Connection, deleted: &[Garbage]) -> Result<()> {
    for Garbage { key, parts } in deleted {
        let row = sqlx::query("DELETE FROM garbage WHERE object_key = $1 AND parts_id = $2 RETURNING digest")
            .bind(key.to_string())
            .bind(parts.as_ref().map_or("", |parts| parts.0.as_str()))
            .fetch_optional(&mut *connection)
            .await?;
        let digest: Option<String> = row.map(|row| row.try_get("digest")).transpose()?.flatten();
        let Some(digest) = digest else { continue };
        if let Some(repository) = find_repository(connection, key.repository()).await? {
            records::bury(connection, repository, &[&records::blob_subject(&digest)]).await?;
        }
    }
    Ok(())
}
