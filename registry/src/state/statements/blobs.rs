//! Blobs: committed, found, mounted and deleted.

use jiff::Timestamp;
use longshore_oci::{Digest, RepositoryName};
use sqlx::{AssertSqlSafe, Row as _};

use super::super::super::{BlobCommit, BlobDeletion, EventKind, FinishUpload, Finished, Garbage, StateError, StoredBlob};
use super::super::{FOR_UPDATE, script};
use super::{Connection, Result, emit, ensure_repository, find_repository, garbage, signed, unsigned, uploads};
use crate::storage::ObjectKey;

/// Turns an upload into a blob of its repository.
pub async fn commit(connection: &mut Connection, commit: &BlobCommit) -> Result<bool> {
    let Some(ended) = uploads::end(connection, commit.id, commit.claim).await? else { return Ok(false) };
    let stored = StoredBlob { size_bytes: commit.size_bytes, key: commit.key.clone(), pieces: commit.pieces.as_slice().into() };
    let arrival = Arrival {
        repository: &commit.repository,
        digest: &commit.digest,
        damaged: commit.damaged.as_ref(),
        garbage_due_at: commit.garbage_due_at,
    };
    arrive(connection, &arrival, &stored).await?;
    for Garbage { key, parts } in &commit.garbage {
        garbage::add(connection, key, parts.as_ref(), commit.garbage_due_at).await?;
    }
    ended.clear_strays(connection, &commit.key, commit.garbage_due_at).await?;
    Ok(true)
}

/// Turns an upload that lies whole in one object, and that nobody holds, into a blob of its repository.
pub async fn finish(connection: &mut Connection, finish: &FinishUpload) -> Result<Finished> {
    let algorithm = finish.digest.algorithm();
    let Some((ended, whole)) = uploads::end_whole(connection, finish.id, &finish.repository, algorithm).await? else {
        return Ok(Finished::NotYet);
    };
    if whole.digest != finish.digest {
        ended.give_up(connection).await?;
        return Ok(Finished::Mismatch(whole.digest));
    }
    let FinishUpload { repository, digest, damaged, garbage_due_at, .. } = finish;
    let arrival = Arrival { repository, digest, damaged: damaged.as_ref(), garbage_due_at: *garbage_due_at };
    arrive(connection, &arrival, &whole.stored).await?;
    ended.clear_strays(connection, &whole.stored.key, *garbage_due_at).await?;
    Ok(Finished::Done)
}

/// A blob that has been brought to a repository.
struct Arrival<'a> {
    repository: &'a RepositoryName,
    digest: &'a Digest,
    damaged: Option<&'a ObjectKey>,
    garbage_due_at: Timestamp,
}

/// What has to be so when a blob has arrived. Values: digest, length, key, pieces, now, when garbage is due, repository, event.
const ARRIVAL: [&str; 5] = [
    "INSERT INTO blobs (digest, size_bytes, object_key, pieces, created_at) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (digest) DO NOTHING",
    // Where somebody else's object has these bytes already, this one is not needed.
    "INSERT INTO garbage (object_key, parts_id, due_at) SELECT $3, '', $6
     WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE digest = $1 AND object_key = $3) ON CONFLICT DO NOTHING",
    "INSERT INTO repositories (name, created_at) SELECT $7, $5
     WHERE NOT EXISTS (SELECT 1 FROM repositories WHERE name = $7) ON CONFLICT (name) DO NOTHING",
    "INSERT INTO repository_blobs (repository_id, digest, created_at) SELECT id, $1, $5 FROM repositories WHERE name = $7
     ON CONFLICT (repository_id, digest) DO NOTHING",
    "INSERT INTO events (kind, repository, digest, happened_at) VALUES ($8, $7, $1, $5)",
];

async fn arrive(connection: &mut Connection, arrival: &Arrival<'_>, stored: &StoredBlob) -> Result<()> {
    replace_damaged(connection, arrival, stored).await?;
    for statements in script(&ARRIVAL) {
        sqlx::query(AssertSqlSafe(statements))
            .bind(arrival.digest.as_str())
            .bind(signed(stored.size_bytes))
            .bind(stored.key.to_string())
            .bind(stored.pieces.as_ref())
            .bind(Timestamp::now().as_microsecond())
            .bind(arrival.garbage_due_at.as_microsecond())
            .bind(arrival.repository.as_str())
            .bind(EventKind::BlobPushed.as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Notes where a digest's bytes are. False where that is known already.
pub async fn insert(connection: &mut Connection, digest: &Digest, stored: &StoredBlob, at: Timestamp) -> Result<bool> {
    let inserted = sqlx::query(
        "INSERT INTO blobs (digest, size_bytes, object_key, pieces, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (digest) DO NOTHING",
    )
    .bind(digest.as_str())
    .bind(signed(stored.size_bytes))
    .bind(stored.key.to_string())
    .bind(stored.pieces.as_ref())
    .bind(at.as_microsecond())
    .execute(&mut *connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Gives an object to the garbage that is not the one of its digest.
pub async fn discard_duplicate(connection: &mut Connection, digest: &Digest, key: &ObjectKey, due_at: Timestamp) -> Result<()> {
    let row =
        sqlx::query("SELECT object_key FROM blobs WHERE digest = $1").bind(digest.as_str()).fetch_one(&mut *connection).await?;
    if row.try_get::<String, _>("object_key")? == key.to_string() {
        return Ok(());
    }
    garbage::add(connection, key, None, due_at).await
}

/// Puts the upload's object in the place of one that is known to be damaged, where that is the one there.
async fn replace_damaged(connection: &mut Connection, arrival: &Arrival<'_>, stored: &StoredBlob) -> Result<()> {
    let Some(damaged) = arrival.damaged else { return Ok(()) };
    let replaced =
        sqlx::query("UPDATE blobs SET object_key = $1, size_bytes = $2, pieces = $3 WHERE digest = $4 AND object_key = $5")
            .bind(stored.key.to_string())
            .bind(signed(stored.size_bytes))
            .bind(stored.pieces.as_ref())
            .bind(arrival.digest.as_str())
            .bind(damaged.to_string())
            .execute(&mut *connection)
            .await?;
    if replaced.rows_affected() == 1 {
        garbage::add(connection, damaged, None, arrival.garbage_due_at).await?;
    }
    Ok(())
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
    // A manifest that comes in with this blob holds the link until its edges are there, so they are looked for when it can be had.
    let sql = format!("SELECT digest FROM repository_blobs WHERE repository_id = $1 AND digest = $2{FOR_UPDATE}");
    let is_linked =
        sqlx::query(AssertSqlSafe(sql)).bind(repository_id).bind(digest.as_str()).fetch_optional(&mut *connection).await?;
    if is_linked.is_none() {
        return Ok(BlobDeletion::Unknown);
    }
    let user =
        sqlx::query("SELECT parent FROM manifest_edges WHERE child = $1 AND repository_id = $2 AND kind <> 'manifest' LIMIT 1")
            .bind(digest.as_str())
            .bind(repository_id)
            .fetch_optional(&mut *connection)
            .await?;
    if let Some(user) = user {
        return Ok(BlobDeletion::Needed(user.try_get("parent")?));
    }
    // Two repositories that give it up at once would each see the other's link, and neither would take the bytes along; so the second
    // waits here for the first.
    sqlx::query("UPDATE blobs SET created_at = created_at WHERE digest = $1")
        .bind(digest.as_str())
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM repository_blobs WHERE repository_id = $1 AND digest = $2")
        .bind(repository_id)
        .bind(digest.as_str())
        .execute(&mut *connection)
        .await?;
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
