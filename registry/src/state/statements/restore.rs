//! Rebuilding the database from what lies in the store.

use jiff::Timestamp;
use longshore_oci::{Digest, RepositoryName};
use sqlx::AssertSqlSafe;

use super::super::super::{PutManifest, RestoredBlob, RestoredPush, RestoredRecord, StoredBlob};
use super::{Connection, Result, blobs, ensure_repository, garbage, manifests, outbox, parse, read_key, records, signed};

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
    outbox::renew(connection).await?;
    sqlx::query("INSERT INTO rebuilding (begun_at) VALUES ($1)")
        .bind(Timestamp::now().as_microsecond())
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
    let stored = StoredBlob { size_bytes: blob.size_bytes, key: blob.key.clone(), pieces: blob.pieces.as_slice().into() };
    let is_first = blobs::insert(connection, &blob.digest, &stored, blob.created_at).await?;
    if !is_first {
        blobs::discard_duplicate(connection, &blob.digest, &blob.key, blob.created_at).await?;
    }
    if !blob.is_disowned {
        let repository = ensure_repository(connection, blob.key.repository()).await?;
        let is_shown = is_first && blob.key.algorithm() == Some(blob.digest.algorithm());
        blobs::link(connection, repository, &blob.digest, is_shown).await?;
    }
    Ok(())
}

/// Plays back the links of one record, which was played back before the blobs were there.
pub async fn links(connection: &mut Connection, repository: &RepositoryName, digests: &[Digest], revision: u64) -> Result<()> {
    let repository = ensure_repository(connection, repository).await?;
    for digest in digests {
        if records::are_outrun(connection, repository, revision, &[&records::blob_subject(digest)]).await? {
            continue;
        }
        sqlx::query(
            "INSERT INTO repository_blobs (repository_id, digest, created_at, revision)
             SELECT $1, digest, created_at, $3 FROM blobs WHERE digest = $2
             ON CONFLICT (repository_id, digest) DO UPDATE SET revision = excluded.revision",
        )
        .bind(repository)
        .bind(digest.as_str())
        .bind(signed(revision))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Once all is played back: makes every blob that a manifest of a repository names one of that repository's, and gives the objects of
/// blobs that no repository has to the garbage, unless not all of the store could be read.
pub async fn settle(connection: &mut Connection, is_whole: bool) -> Result<()> {
    sqlx::query(
        "INSERT INTO repository_blobs (repository_id, digest, created_at, revision)
         SELECT DISTINCT e.repository_id, b.digest, b.created_at, 0 FROM manifest_edges e JOIN blobs b ON b.digest = e.child
         WHERE e.kind <> 'manifest'
         ON CONFLICT DO NOTHING",
    )
    .execute(&mut *connection)
    .await?;
    if is_whole {
        let unlinked = sqlx::query(
            "DELETE FROM blobs WHERE NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.digest = blobs.digest)
             RETURNING object_key, digest",
        )
        .fetch_all(&mut *connection)
        .await?;
        for row in &unlinked {
            garbage::add_blob(connection, &read_key(row)?, &parse(row, "digest")?, Timestamp::now()).await?;
        }
    }
    records::settle(connection, is_whole).await
}

/// Plays back one record.
pub async fn record(connection: &mut Connection, record: &RestoredRecord) -> Result<()> {
    if let Some(push) = &record.push {
        return push_again(connection, record, push).await;
    }
    let repository = ensure_repository(connection, &record.repository).await?;
    let blobs = record.linked.iter().chain(record.unlinked.as_ref().map(|(digest, _)| digest));
    let blobs: Vec<String> = blobs.map(records::blob_subject).collect();
    if !blobs.is_empty() {
        let blobs: Vec<&str> = blobs.iter().map(String::as_str).collect();
        return records::add(connection, repository, record.revision, &blobs).await;
    }
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
    records::add(connection, repository, record.revision, &records::subjects(record.removed.as_ref(), &gone)).await
}

async fn push_again(connection: &mut Connection, record: &RestoredRecord, push: &RestoredPush) -> Result<()> {
    let put = PutManifest {
        repository: record.repository.clone(),
        digest: push.digest.clone(),
        manifest: push.manifest.clone(),
        platform: push.platform.clone(),
        content: push.content.clone(),
        tags: record.tags.clone(),
        frozen_tags: Vec::new(),
        revision: record.revision,
        pushed_at: push.pushed_at,
        must_be_whole: false,
    };
    let repository = ensure_repository(connection, &record.repository).await?;
    manifests::put_again(connection, repository, &put).await
}
