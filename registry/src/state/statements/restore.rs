//! Rebuilding the database from what lies in the store.

use sqlx::AssertSqlSafe;

use super::super::super::{PutManifest, RestoredBlob, RestoredPush, RestoredRecord, StoredBlob};
use super::{Connection, Result, blobs, ensure_repository, manifests, records};

/// Every table, those that others point at last.
const TABLES: [&str; 14] = [
    "garbage",
    "pending_changes",
    "record_subjects",
    "records",
    "events",
    "upload_parts",
    "uploads",
    "referrers",
    "tag_history",
    "tags",
    "manifest_edges",
    "manifests",
    "repository_blobs",
    "blobs",
];

/// Whether the database knows nothing at all, or not all since a rebuilding was broken off.
pub async fn needs_rebuilding(connection: &mut Connection) -> Result<bool> {
    let begun = sqlx::query("SELECT 1 FROM rebuilding LIMIT 1").fetch_optional(&mut *connection).await?;
    if begun.is_some() {
        return Ok(true);
    }
    for table in ["repositories", "uploads", "garbage"] {
        let row = sqlx::query(AssertSqlSafe(format!("SELECT 1 FROM {table} LIMIT 1"))).fetch_optional(&mut *connection).await?;
        if row.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Empties the database, to be rebuilt.
pub async fn clear(connection: &mut Connection) -> Result<()> {
    for table in TABLES.iter().chain(&["repositories"]) {
        sqlx::query(AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&mut *connection).await?;
    }
    sqlx::query("INSERT INTO rebuilding (begun_at) VALUES ($1)")
        .bind(jiff::Timestamp::now().as_microsecond())
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// Notes that the rebuilding is done. What was restored is no news, so the outbox is emptied.
pub async fn finish(connection: &mut Connection) -> Result<()> {
    for table in ["events", "rebuilding"] {
        sqlx::query(AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Takes in a blob that was found in the store; a second object of the same content becomes garbage.
pub async fn blob(connection: &mut Connection, blob: &RestoredBlob) -> Result<()> {
    let repository = ensure_repository(connection, &blob.repository).await?;
    let stored = StoredBlob { size_bytes: blob.size_bytes, key: blob.key.clone(), pieces: blob.pieces.as_slice().into() };
    if !blobs::insert(connection, &blob.digest, &stored, blob.created_at).await? {
        blobs::discard_duplicate(connection, &blob.digest, &blob.key, blob.created_at).await?;
    }
    blobs::link(connection, repository, &blob.digest).await?;
    Ok(())
}

/// Makes every blob that a manifest of a repository names one of that repository's.
pub async fn relink(connection: &mut Connection) -> Result<u64> {
    let linked = sqlx::query(
        "INSERT INTO repository_blobs (repository_id, digest, created_at)
         SELECT DISTINCT e.repository_id, b.digest, b.created_at FROM manifest_edges e JOIN blobs b ON b.digest = e.child
         WHERE e.kind <> 'manifest'
         ON CONFLICT DO NOTHING",
    )
    .execute(&mut *connection)
    .await?;
    Ok(linked.rows_affected())
}

/// Plays back one record.
pub async fn record(connection: &mut Connection, record: &RestoredRecord) -> Result<()> {
    if let Some(push) = &record.push {
        return push_again(connection, record, push).await;
    }
    let repository = ensure_repository(connection, &record.repository).await?;
    // A deletion may name tags that went their way in records since retired; it must be noted all the same.
    let mut gone = record.tags.clone();
    if let Some(digest) = &record.removed {
        for tag in manifests::tags_of(connection, &record.repository, digest).await?.unwrap_or_default() {
            if !gone.contains(&tag) {
                gone.push(tag);
            }
        }
    }
    for tag in &gone {
        sqlx::query("DELETE FROM tags WHERE repository_id = $1 AND name = $2")
            .bind(repository)
            .bind(tag.as_str())
            .execute(&mut *connection)
            .await?;
        manifests::note_history(connection, repository, tag, record.revision, None, record.at).await?;
    }
    if let Some(digest) = &record.removed {
        manifests::remove(connection, repository, digest, record.revision).await?;
    }
    records::add(connection, repository, record.revision, record.removed.as_ref(), &gone).await
}

async fn push_again(connection: &mut Connection, record: &RestoredRecord, push: &RestoredPush) -> Result<()> {
    let put = PutManifest {
        repository: record.repository.clone(),
        digest: push.digest.clone(),
        manifest: push.manifest.clone(),
        platform: push.platform.clone(),
        content: push.content.clone(),
        tags: record.tags.clone(),
        revision: record.revision,
        pushed_at: push.pushed_at,
        must_be_whole: false,
    };
    let repository = ensure_repository(connection, &record.repository).await?;
    manifests::put_again(connection, repository, &put).await
}
