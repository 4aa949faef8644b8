//! What has been written beside the blobs, and when it may go.
//!
//! A record is live while a manifest, a tag or a blob's link has its revision, or while it is the newest word on a blob of which an
//! object lies below the repository: that it is no more the repository's. A dead one may go only if playing back the rest gives the
//! same result: for each digest, tag and blob that it speaks of, either a newer record speaks of it too, or no older one does. An older
//! one that is garbage still lies in the store until it is deleted, so while any of the repository's does, the newest ones stay; and so
//! they do while an older change is pending, whose record may lie there too.

use jiff::Timestamp;
use longshore_oci::{Digest, RepositoryName, Tag};
use sqlx::{AssertSqlSafe, Row as _};

use super::super::super::StateError;
use super::{Connection, Result, garbage, parse, places, rows, signed, unsigned};
use crate::storage::ObjectKey;

/// What a record of manifests and tags speaks of, as it names them.
pub fn subjects<'a>(digest: Option<&'a Digest>, tags: &'a [Tag]) -> Vec<&'a str> {
    digest.map(Digest::as_str).into_iter().chain(tags.iter().map(Tag::as_str)).collect()
}

/// What a record speaks of that links a blob to its repository, or unlinks it: no digest of a manifest and no tag.
pub fn blob_subject(digest: impl std::fmt::Display) -> String {
    format!("blob:{digest}")
}

/// Ends a change. `Changed` where it was abandoned.
pub async fn end(connection: &mut Connection, revision: u64) -> Result<()> {
    if discard(connection, revision).await? { Ok(()) } else { Err(StateError::Changed) }
}

/// Takes a change's row away. False where there is none.
pub async fn discard(connection: &mut Connection, revision: u64) -> Result<bool> {
    let discarded =
        sqlx::query("DELETE FROM pending_changes WHERE revision = $1").bind(signed(revision)).execute(&mut *connection).await?;
    Ok(discarded.rows_affected() == 1)
}

/// Gives up changes that were begun long ago: one that is only late finds itself ended, and is not made.
pub async fn abandon(connection: &mut Connection, before: Timestamp, limit: u32) -> Result<u64> {
    let rows = sqlx::query(
        "DELETE FROM pending_changes WHERE revision IN (
             SELECT revision FROM pending_changes WHERE begun_at < $1 ORDER BY revision LIMIT $2)
         RETURNING repository, revision",
    )
    .bind(before.as_microsecond())
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    for row in &rows {
        let key = ObjectKey::Record(parse(row, "repository")?, unsigned(row, "revision")?);
        garbage::add(connection, &key, None, Timestamp::now()).await?;
    }
    Ok(rows.len() as u64)
}

/// Notes a record and what it speaks of, and buries those that it displaced.
pub async fn add(connection: &mut Connection, repository: i64, revision: u64, subjects: &[&str]) -> Result<()> {
    sqlx::query("INSERT INTO records (repository_id, revision, is_dead) VALUES ($1, $2, FALSE)")
        .bind(repository)
        .bind(signed(revision))
        .execute(&mut *connection)
        .await?;
    for chunk in subjects.chunks(1000) {
        let sql = format!("INSERT INTO record_subjects (repository_id, subject, revision) VALUES {}", rows(chunk.len(), 3));
        let mut insert = sqlx::query(AssertSqlSafe(sql));
        for subject in chunk {
            insert = insert.bind(repository).bind(*subject).bind(signed(revision));
        }
        insert.execute(&mut *connection).await?;
    }
    bury(connection, repository, subjects).await
}

/// Whether a record with a greater revision speaks of one of these digests and tags.
pub async fn are_outrun(connection: &mut Connection, repository: i64, revision: u64, subjects: &[&str]) -> Result<bool> {
    for chunk in subjects.chunks(1000) {
        let sql = format!(
            "SELECT 1 FROM record_subjects WHERE repository_id = $1 AND revision > $2 AND subject IN ({}) LIMIT 1",
            places(3, chunk.len())
        );
        let mut newer = sqlx::query(AssertSqlSafe(sql)).bind(repository).bind(signed(revision));
        for subject in chunk {
            newer = newer.bind(*subject);
        }
        if newer.fetch_optional(&mut *connection).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What keeps a record alive, whatever else speaks of the same. A subject's rest behind the five letters of `blob:` is the blob's digest.
const IS_LIVE: &str =
    "(EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = records.repository_id AND m.revision = records.revision)
     OR EXISTS (SELECT 1 FROM tags t WHERE t.repository_id = records.repository_id AND t.revision = records.revision)
     OR EXISTS (SELECT 1 FROM repository_blobs l WHERE l.repository_id = records.repository_id AND l.revision = records.revision)
     OR EXISTS (SELECT 1 FROM record_subjects s JOIN repositories n ON n.id = s.repository_id
         WHERE s.repository_id = records.repository_id AND s.revision = records.revision AND s.subject LIKE 'blob:%'
             AND NOT EXISTS (SELECT 1 FROM record_subjects o
                 WHERE o.repository_id = s.repository_id AND o.subject = s.subject AND o.revision > s.revision)
             AND (EXISTS (SELECT 1 FROM garbage g WHERE g.digest = SUBSTR(s.subject, 6) AND g.repository = n.name)
                 OR EXISTS (SELECT 1 FROM blobs b WHERE b.digest = SUBSTR(s.subject, 6)
                     AND b.object_key > 'repositories/' || n.name || '/_blobs/'
                     AND b.object_key < 'repositories/' || n.name || '/_blobs0'))))";

/// Marks as dead the records of these subjects that nothing keeps alive any more.
pub async fn bury(connection: &mut Connection, repository: i64, subjects: &[&str]) -> Result<()> {
    for chunk in subjects.chunks(500) {
        let sql = format!(
            "UPDATE records SET is_dead = TRUE
             WHERE repository_id = $1 AND is_dead = FALSE AND revision IN (
                 SELECT revision FROM record_subjects WHERE repository_id = $1 AND subject IN ({})) AND NOT {IS_LIVE}",
            places(2, chunk.len())
        );
        let mut bury = sqlx::query(AssertSqlSafe(sql)).bind(repository);
        for subject in chunk {
            bury = bury.bind(*subject);
        }
        bury.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Finds out anew which records of blobs are dead, as after a rebuilding, which plays them back before the blobs are there. Where not
/// all of the store could be read, none is taken for dead, of whatever: what seems to be gone may only not have been found.
pub async fn settle(connection: &mut Connection, is_whole: bool) -> Result<()> {
    let sql = if is_whole {
        format!(
            "UPDATE records SET is_dead = NOT {IS_LIVE}
             WHERE EXISTS (SELECT 1 FROM record_subjects s
                 WHERE s.repository_id = records.repository_id AND s.revision = records.revision AND s.subject LIKE 'blob:%')"
        )
    } else {
        "UPDATE records SET is_dead = FALSE".to_owned()
    };
    sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    Ok(())
}

/// Hands dead records over to the garbage where no rebuilding needs them any more.
pub async fn retire(connection: &mut Connection, limit: u32) -> Result<u64> {
    let dead = sqlx::query(
        // The cross join has SQLite begin with the few dead records, not with all repositories. A repository's record keys lie
        // between `/_records/` and `/_records0`, which is the next text of that length.
        "SELECT r.repository_id, n.name, r.revision FROM records r CROSS JOIN repositories n
         WHERE r.is_dead AND n.id = r.repository_id AND NOT EXISTS (
             SELECT 1 FROM record_subjects s
             WHERE s.repository_id = r.repository_id AND s.revision = r.revision
                 AND NOT EXISTS (SELECT 1 FROM record_subjects o
                     WHERE o.repository_id = s.repository_id AND o.subject = s.subject AND o.revision > s.revision)
                 AND (EXISTS (SELECT 1 FROM record_subjects o
                         WHERE o.repository_id = s.repository_id AND o.subject = s.subject AND o.revision < s.revision)
                     OR EXISTS (SELECT 1 FROM garbage g WHERE g.object_key > 'repositories/' || n.name || '/_records/'
                         AND g.object_key < 'repositories/' || n.name || '/_records0')
                     OR EXISTS (SELECT 1 FROM pending_changes p WHERE p.repository = n.name AND p.revision < s.revision)))
         ORDER BY r.repository_id, r.revision LIMIT $1",
    )
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    // All of them can go at once: of the records that speak of one subject, the newest is among them only where it is the last.
    for row in &dead {
        let revision = unsigned(row, "revision")?;
        let name: RepositoryName = parse(row, "name")?;
        sqlx::query("DELETE FROM records WHERE repository_id = $1 AND revision = $2")
            .bind(row.try_get::<i64, _>("repository_id")?)
            .bind(signed(revision))
            .execute(&mut *connection)
            .await?;
        garbage::add(connection, &ObjectKey::Record(name, revision), None, Timestamp::now()).await?;
    }
    Ok(dead.len() as u64)
}
