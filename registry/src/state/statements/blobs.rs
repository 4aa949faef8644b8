//! Blobs: committed, found, mounted and deleted.
//!
//! That a blob is one of a repository's, its link, is what a rebuilding can read from the store: from the object that was brought for
//! it, or from a record. Where neither will stay, the link's revision is 0 until a record was written.

use jiff::Timestamp;
use longshore_oci::{Digest, RepositoryName};
use sqlx::{AssertSqlSafe, Row as _};

use super::super::super::{BlobCommit, DeleteBlob, EventKind, FinishUpload, Finished, Garbage, StateError, StoredBlob};
use super::super::{FOR_UPDATE, script};
use super::{
    Connection, Result, audit, emit, ensure_repository, find_repository, garbage, parse, places, read_key, records, signed,
    unsigned, uploads,
};
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
    ended.clear_strays(connection, &commit.key, &commit.digest, commit.garbage_due_at).await?;
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
    ended.clear_strays(connection, &whole.stored.key, digest, *garbage_due_at).await?;
    Ok(Finished::Done)
}

/// A blob that has been brought to a repository.
struct Arrival<'a> {
    repository: &'a RepositoryName,
    digest: &'a Digest,
    damaged: Option<&'a ObjectKey>,
    garbage_due_at: Timestamp,
}

const INSERT: &str = "INSERT INTO blobs (digest, size_bytes, object_key, pieces, created_at) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (digest) DO NOTHING";

/// What has to be so when a blob has arrived. Values: digest, length, key, pieces, now, when garbage is due, repository,
/// event, whether the key tells the digest's algorithm, and of the author the account, the address and the request's id.
const ARRIVAL: [&str; 5] = [
    INSERT,
    // Where somebody else's object has these bytes already, this one is not needed.
    "INSERT INTO garbage (object_key, parts_id, due_at, repository, digest) SELECT $3, '', $6, $7, $1
     WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE digest = $1 AND object_key = $3) ON CONFLICT DO NOTHING",
    "INSERT INTO repositories (name, created_at) SELECT $7, $5
     WHERE NOT EXISTS (SELECT 1 FROM repositories WHERE name = $7) ON CONFLICT (name) DO NOTHING",
    // A link that is there already is held, so that its deletion at the same time finds this object or waits for it. A deletion that
    // was begun and not made may have left a record, so what it speaks of is said anew.
    "INSERT INTO repository_blobs (repository_id, digest, created_at, revision)
     SELECT id, $1, $5, CASE WHEN $9 AND EXISTS (SELECT 1 FROM blobs WHERE digest = $1 AND object_key = $3) THEN NULL ELSE 0 END
     FROM repositories WHERE name = $7
     ON CONFLICT (repository_id, digest) DO UPDATE SET revision =
         CASE WHEN EXISTS (SELECT 1 FROM pending_changes WHERE repository = $7) THEN 0 ELSE repository_blobs.revision END",
    "INSERT INTO events (kind, repository, digest, happened_at, actor, address, request_id, is_unaudited)
     VALUES ($8, $7, $1, $5, $10, $11, $12, TRUE)",
];

async fn arrive(connection: &mut Connection, arrival: &Arrival<'_>, stored: &StoredBlob) -> Result<()> {
    replace_damaged(connection, arrival, stored).await?;
    let (account, address, request_id) = audit::author();
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
            .bind(stored.key.algorithm() == Some(arrival.digest.algorithm()))
            .bind(account.as_deref())
            .bind(address.as_deref())
            .bind(request_id.as_deref())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Notes where a digest's bytes are. False where that is known already.
pub async fn insert(connection: &mut Connection, digest: &Digest, stored: &StoredBlob, at: Timestamp) -> Result<bool> {
    let inserted = sqlx::query(INSERT)
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
    garbage::add_blob(connection, key, digest, due_at).await
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
        garbage::add_blob(connection, damaged, arrival.digest, arrival.garbage_due_at).await?;
        // Whose object it was has only a record to show now.
        sqlx::query("UPDATE repository_blobs SET revision = 0 WHERE digest = $1 AND revision IS NULL")
            .bind(arrival.digest.as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Makes a blob one of a repository's; `is_shown` where an object below the repository, which stays, shows it.
pub async fn link(connection: &mut Connection, repository: i64, digest: &Digest, is_shown: bool) -> Result<bool> {
    let linked = sqlx::query(
        "INSERT INTO repository_blobs (repository_id, digest, created_at, revision) VALUES ($1, $2, $3, $4)
         ON CONFLICT (repository_id, digest) DO NOTHING",
    )
    .bind(repository)
    .bind(digest.as_str())
    .bind(Timestamp::now().as_microsecond())
    .bind((!is_shown).then_some(0_i64))
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
    let pieces: Vec<u8> = row.try_get("pieces")?;
    Ok(Some(StoredBlob { size_bytes: unsigned(&row, "size_bytes")?, key: read_key(&row)?, pieces: pieces.into() }))
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
    if link(connection, repository_id, digest, false).await? {
        emit(connection, EventKind::BlobMounted, repository, Some(digest), None).await?;
        return Ok(true);
    }
    // As where a blob arrives that is there already.
    sqlx::query(
        "UPDATE repository_blobs SET revision = 0 WHERE repository_id = $1 AND digest = $2
             AND EXISTS (SELECT 1 FROM pending_changes WHERE repository = $3)",
    )
    .bind(repository_id)
    .bind(digest.as_str())
    .bind(repository.as_str())
    .execute(&mut *connection)
    .await?;
    Ok(true)
}

/// The objects below a repository that hold a blob of it, those that are garbage too. `None` where it has no such blob, `Needed` where
/// a manifest of it is made of the blob.
pub async fn objects(
    connection: &mut Connection,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<Vec<ObjectKey>>> {
    let Some(repository_id) = find_repository(connection, repository).await? else { return Ok(None) };
    let link = sqlx::query("SELECT digest FROM repository_blobs WHERE repository_id = $1 AND digest = $2")
        .bind(repository_id)
        .bind(digest.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    if link.is_none() {
        return Ok(None);
    }
    require_unneeded(connection, repository_id, digest).await?;
    objects_below(connection, repository, digest).await.map(Some)
}

async fn require_unneeded(connection: &mut Connection, repository: i64, digest: &Digest) -> Result<()> {
    let user =
        sqlx::query("SELECT parent FROM manifest_edges WHERE child = $1 AND repository_id = $2 AND kind <> 'manifest' LIMIT 1")
            .bind(digest.as_str())
            .bind(repository)
            .fetch_optional(&mut *connection)
            .await?;
    match user {
        Some(row) => Err(StateError::Needed(parse(&row, "parent")?)),
        None => Ok(()),
    }
}

async fn objects_below(connection: &mut Connection, repository: &RepositoryName, digest: &Digest) -> Result<Vec<ObjectKey>> {
    let rows = sqlx::query(
        "SELECT object_key FROM blobs WHERE digest = $1
         UNION SELECT object_key FROM garbage WHERE digest = $1 AND repository = $2 ORDER BY object_key",
    )
    .bind(digest.as_str())
    .bind(repository.as_str())
    .fetch_all(&mut *connection)
    .await?;
    let keys: Vec<ObjectKey> = rows.iter().map(read_key).collect::<Result<_>>()?;
    Ok(keys.into_iter().filter(|key| key.repository() == repository).collect())
}

/// Takes a blob from a repository, and its bytes from the store where no other repository has it. `Changed`, and nothing done, where
/// the repository does not have it, has other objects of it than the caller has seen, or has had it since.
pub async fn delete(connection: &mut Connection, deletion: &DeleteBlob) -> Result<()> {
    let DeleteBlob { repository, digest, objects, revision, due_at } = deletion;
    let repository_id = find_repository(connection, repository).await?.ok_or(StateError::Changed)?;
    // A manifest that comes in with this blob holds the link until its edges are there, so they are looked for when it can be had.
    let sql = format!("SELECT digest FROM repository_blobs WHERE repository_id = $1 AND digest = $2{FOR_UPDATE}");
    let link = sqlx::query(AssertSqlSafe(sql)).bind(repository_id).bind(digest.as_str()).fetch_optional(&mut *connection).await?;
    if link.is_none() {
        return Err(StateError::Changed);
    }
    require_unneeded(connection, repository_id, digest).await?;
    // Two repositories that give it up at once would each see the other's link, and neither would take the bytes along; so the second
    // waits here for the first.
    sqlx::query("UPDATE blobs SET created_at = created_at WHERE digest = $1")
        .bind(digest.as_str())
        .execute(&mut *connection)
        .await?;
    let subject = records::blob_subject(digest);
    if objects_below(connection, repository, digest).await?.iter().any(|object| !objects.contains(object))
        || records::are_outrun(connection, repository_id, *revision, &[&subject]).await?
    {
        return Err(StateError::Changed);
    }
    sqlx::query("DELETE FROM repository_blobs WHERE repository_id = $1 AND digest = $2")
        .bind(repository_id)
        .bind(digest.as_str())
        .execute(&mut *connection)
        .await?;
    drop_if_unlinked(connection, digest, *due_at).await?;
    emit(connection, EventKind::BlobDeleted, repository, Some(digest), None).await?;
    records::end(connection, *revision).await?;
    records::add(connection, repository_id, *revision, &[&subject]).await
}

/// Gives a blob's object to the garbage where no repository has the blob.
async fn drop_if_unlinked(connection: &mut Connection, digest: &Digest, due_at: Timestamp) -> Result<()> {
    let orphan = sqlx::query(
        "DELETE FROM blobs WHERE digest = $1 AND NOT EXISTS (SELECT 1 FROM repository_blobs WHERE digest = $1)
         RETURNING object_key",
    )
    .bind(digest.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    match orphan {
        Some(row) => garbage::add_blob(connection, &read_key(&row)?, digest, due_at).await,
        None => Ok(()),
    }
}

/// Links since `before` or longer that no record and no object shows yet, by repository.
pub async fn unrecorded(
    connection: &mut Connection,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<(RepositoryName, Vec<Digest>)>> {
    let rows = sqlx::query(
        "SELECT n.name, l.digest FROM repository_blobs l JOIN repositories n ON n.id = l.repository_id
         WHERE l.revision = 0 AND l.created_at <= $1 ORDER BY l.repository_id, l.digest LIMIT $2",
    )
    .bind(before.as_microsecond())
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    let mut links: Vec<(RepositoryName, Vec<Digest>)> = Vec::new();
    for row in &rows {
        let (name, digest): (RepositoryName, Digest) = (parse(row, "name")?, parse(row, "digest")?);
        match links.last_mut() {
            Some((last, digests)) if *last == name => digests.push(digest),
            _ => links.push((name, vec![digest])),
        }
    }
    Ok(links)
}

/// Notes that a record shows these links. `Changed`, and nothing done, where one of them is gone, or is shown already.
pub async fn record(connection: &mut Connection, repository: &RepositoryName, digests: &[Digest], revision: u64) -> Result<()> {
    let repository_id = find_repository(connection, repository).await?.ok_or(StateError::Changed)?;
    let mut recorded = 0;
    for chunk in digests.chunks(500) {
        let sql = format!(
            "UPDATE repository_blobs SET revision = $1 WHERE repository_id = $2 AND revision = 0 AND digest IN ({})",
            places(3, chunk.len())
        );
        let mut record = sqlx::query(AssertSqlSafe(sql)).bind(signed(revision)).bind(repository_id);
        for digest in chunk {
            record = record.bind(digest.as_str());
        }
        recorded += record.execute(&mut *connection).await?.rows_affected();
    }
    if recorded != digests.len() as u64 {
        return Err(StateError::Changed);
    }
    let subjects: Vec<String> = digests.iter().map(records::blob_subject).collect();
    let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
    if records::are_outrun(connection, repository_id, revision, &subjects).await? {
        return Err(StateError::Changed);
    }
    records::end(connection, revision).await?;
    records::add(connection, repository_id, revision, &subjects).await
}
