//! Blobs: committed, found, mounted and deleted.

use jiff::Timestamp;
use longshore_oci::{Digest, RepositoryName};
use sqlx::Row as _;

use super::super::super::{BlobCommit, BlobDeletion, EventKind, Garbage, StateError, StoredBlob};
use super::{Connection, Result, emit, ensure_repository, find_repository, garbage, signed, unsigned};
use crate::storage::ObjectKey;

/// Turns an upload into a blob of its repository.
pub async fn commit(connection: &mut Connection, commit: &BlobCommit) -> Result<bool> {
    let ended = sqlx::query("DELETE FROM uploads WHERE id = $1 AND claim = $2")
        .bind(commit.id.simple().to_string())
        .bind(commit.claim.simple().to_string())
        .execute(&mut *connection)
        .await?;
    if ended.rows_affected() != 1 {
        return Ok(false);
    }
    if !insert(connection, commit).await? && !replace_damaged(connection, commit).await? {
        // Somebody else's object has these bytes already, and this one is not needed.
        garbage::add(connection, &commit.key, None, commit.garbage_due_at).await?;
    }
    for Garbage { key, parts } in &commit.garbage {
        garbage::add(connection, key, parts.as_ref(), commit.garbage_due_at).await?;
    }
    if !link_by_name(connection, &commit.repository, &commit.digest).await? {
        let repository = ensure_repository(connection, &commit.repository).await?;
        link(connection, repository, &commit.digest).await?;
    }
    emit(connection, EventKind::BlobPushed, &commit.repository, Some(&commit.digest), None).await?;
    Ok(true)
}

async fn insert(connection: &mut Connection, commit: &BlobCommit) -> Result<bool> {
    let inserted = sqlx::query(
        "INSERT INTO blobs (digest, size_bytes, object_key, pieces, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (digest) DO NOTHING",
    )
    .bind(commit.digest.as_str())
    .bind(signed(commit.size_bytes))
    .bind(commit.key.to_string())
    .bind(commit.pieces.as_slice())
    .bind(Timestamp::now().as_microsecond())
    .execute(&mut *connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Puts the upload's object in the place of one that is known to be damaged. False where that is not the one there.
async fn replace_damaged(connection: &mut Connection, commit: &BlobCommit) -> Result<bool> {
    let Some(damaged) = &commit.damaged else { return Ok(false) };
    let replaced =
        sqlx::query("UPDATE blobs SET object_key = $1, size_bytes = $2, pieces = $3 WHERE digest = $4 AND object_key = $5")
            .bind(commit.key.to_string())
            .bind(signed(commit.size_bytes))
            .bind(commit.pieces.as_slice())
            .bind(commit.digest.as_str())
            .bind(damaged.to_string())
            .execute(&mut *connection)
            .await?;
    if replaced.rows_affected() != 1 {
        return Ok(false);
    }
    garbage::add(connection, damaged, None, commit.garbage_due_at).await?;
    Ok(true)
}

/// Makes a blob one of a repository's.
pub async fn link(connection: &mut Connection, repository: i64, digest: &Digest) -> Result<bool> {
    let linked = sqlx::query(
        "INSERT INTO repository_blobs (repository_id, digest, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (repository_id, digest) DO NOTHING",
    )
    .bind(repository)
    .bind(digest.as_str())
    .bind(Timestamp::now().as_microsecond())
    .execute(&mut *connection)
    .await?;
    Ok(linked.rows_affected() == 1)
}

/// As [`link`], for a repository that is most likely there: false where it is not, or where it has the blob already.
async fn link_by_name(connection: &mut Connection, repository: &RepositoryName, digest: &Digest) -> Result<bool> {
    let linked = sqlx::query(
        "INSERT INTO repository_blobs (repository_id, digest, created_at) SELECT id, $2, $3 FROM repositories WHERE name = $1
         ON CONFLICT (repository_id, digest) DO NOTHING",
    )
    .bind(repository.as_str())
    .bind(digest.as_str())
    .bind(Timestamp::now().as_microsecond())
    .execute(&mut *connection)
    .await?;
    Ok(linked.rows_affected() == 1)
}

/// A blob of a repository.
pub async fn find(connection: &mut Connection, repository: &RepositoryName, digest: &Digest) -> Result<Option<StoredBlob>> {
    let row = sqlx::query(
        "SELECT b.size_bytes, b.object_key, b.pieces FROM repositories r
         JOIN repository_blobs l ON l.repository_id = r.id AND l.digest = $2
         JOIN blobs b ON b.digest = l.digest
         WHERE r.name = $1",
    )
    .bind(repository.as_str())
    .bind(digest.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let key: String = row.try_get("object_key")?;
    let pieces: Vec<u8> = row.try_get("pieces")?;
    Ok(Some(StoredBlob {
        size_bytes: unsigned(&row, "size_bytes")?,
        key: ObjectKey::parse(&key).ok_or(StateError::Unreadable { column: "object_key", value: key })?,
        pieces: pieces.into(),
    }))
}

/// Makes another repository's blob one of `repository`'s too.
pub async fn mount(
    connection: &mut Connection,
    repository: &RepositoryName,
    from: Option<&RepositoryName>,
    digest: &Digest,
) -> Result<bool> {
    let source = sqlx::query(
        "SELECT l.digest FROM repository_blobs l JOIN repositories r ON r.id = l.repository_id
         WHERE l.digest = $1 AND ($2 IS NULL OR r.name = $2) LIMIT 1",
    )
    .bind(digest.as_str())
    .bind(from.map(RepositoryName::as_str))
    .fetch_optional(&mut *connection)
    .await?;
    if source.is_none() {
        return Ok(false);
    }
    let repository_id = ensure_repository(connection, repository).await?;
    if link(connection, repository_id, digest).await? {
        emit(connection, EventKind::BlobMounted, repository, Some(digest), None).await?;
    }
    Ok(true)
}

/// Takes a blob from a repository, and its bytes from the store where no other repository has it.
pub async fn delete(
    connection: &mut Connection,
    repository: &RepositoryName,
    digest: &Digest,
    due_at: Timestamp,
) -> Result<BlobDeletion> {
    let Some(repository_id) = find_repository(connection, repository).await? else { return Ok(BlobDeletion::Unknown) };
    let user =
        sqlx::query("SELECT parent FROM manifest_edges WHERE child = $1 AND repository_id = $2 AND kind <> 'manifest' LIMIT 1")
            .bind(digest.as_str())
            .bind(repository_id)
            .fetch_optional(&mut *connection)
            .await?;
    let unlinked = sqlx::query("DELETE FROM repository_blobs WHERE repository_id = $1 AND digest = $2")
        .bind(repository_id)
        .bind(digest.as_str());
    if let Some(user) = user {
        let is_linked = find(connection, repository, digest).await?.is_some();
        return Ok(if is_linked { BlobDeletion::Needed(user.try_get("parent")?) } else { BlobDeletion::Unknown });
    }
    // Two repositories that give it up at once would each see the other's link, and neither would take the bytes along; so the second
    // waits here for the first.
    sqlx::query("UPDATE blobs SET created_at = created_at WHERE digest = $1")
        .bind(digest.as_str())
        .execute(&mut *connection)
        .await?;
    if unlinked.execute(&mut *connection).await?.rows_affected() != 1 {
        return Ok(BlobDeletion::Unknown);
    }
    let orphan = sqlx::query(
        "DELETE FROM blobs WHERE digest = $1 AND NOT EXISTS (SELECT 1 FROM repository_blobs WHERE digest = $1)
         RETURNING object_key",
    )
    .bind(digest.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(row) = orphan {
        let key: String = row.try_get("object_key")?;
        let key = ObjectKey::parse(&key).ok_or(StateError::Unreadable { column: "object_key", value: key })?;
        garbage::add(connection, &key, None, due_at).await?;
    }
    emit(connection, EventKind::BlobDeleted, repository, Some(digest), None).await?;
    Ok(BlobDeletion::Deleted)
}
