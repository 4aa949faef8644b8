//! What has been written beside the blobs, and when it may go.
//!
//! A record is live while a manifest or a tag has its revision. A dead one may go only if playing back the rest gives the same
//! result: for each digest and tag that it speaks of, either a newer record speaks of it too, or no older one does. An older one that
//! is garbage still lies in the store until it is deleted, so while any of the repository's does, the newest ones stay; and so they do
//! while an older change is pending, whose record may lie there too.

use jiff::Timestamp;
use longshore_oci::{Digest, RepositoryName, Tag};
use sqlx::{AssertSqlSafe, Row as _};

use super::super::super::StateError;
use super::{Connection, Result, garbage, parse, rows, signed, unsigned};
use crate::storage::ObjectKey;

/// Ends a change. False where it was abandoned.
pub async fn end(connection: &mut Connection, revision: u64) -> Result<bool> {
    let ended =
        sqlx::query("DELETE FROM pending_changes WHERE revision = $1").bind(signed(revision)).execute(&mut *connection).await?;
    Ok(ended.rows_affected() == 1)
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

/// Ends a change, notes its record and what that speaks of, and buries those that it displaced. `Changed` where it was abandoned.
pub async fn settle(
    connection: &mut Connection,
    repository: i64,
    revision: u64,
    digest: Option<&Digest>,
    tags: &[Tag],
) -> Result<()> {
    if !end(connection, revision).await? {
        return Err(StateError::Changed);
    }
    add(connection, repository, revision, digest, tags).await
}

/// Notes a record and what it speaks of, and buries those that it displaced.
pub async fn add(
    connection: &mut Connection,
    repository: i64,
    revision: u64,
    digest: Option<&Digest>,
    tags: &[Tag],
) -> Result<()> {
    sqlx::query("INSERT INTO records (repository_id, revision, is_dead) VALUES ($1, $2, FALSE)")
        .bind(repository)
        .bind(signed(revision))
        .execute(&mut *connection)
        .await?;
    let subjects: Vec<&str> = digest.iter().map(|digest| digest.as_str()).chain(tags.iter().map(Tag::as_str)).collect();
    for chunk in subjects.chunks(1000) {
        let sql = format!("INSERT INTO record_subjects (repository_id, subject, revision) VALUES {}", rows(chunk.len(), 3));
        let mut insert = sqlx::query(AssertSqlSafe(sql));
        for subject in chunk {
            insert = insert.bind(repository).bind(*subject).bind(signed(revision));
        }
        insert.execute(&mut *connection).await?;
    }
    bury(connection, repository, digest, tags).await
}

/// Whether a record with a greater revision speaks of one of these digests and tags.
pub async fn are_outrun(connection: &mut Connection, repository: i64, revision: u64, subjects: &[&str]) -> Result<bool> {
    for chunk in subjects.chunks(1000) {
        let places: Vec<String> = (3..chunk.len() + 3).map(|place| format!("${place}")).collect();
        let sql = format!(
            "SELECT 1 FROM record_subjects WHERE repository_id = $1 AND revision > $2 AND subject IN ({}) LIMIT 1",
            places.join(", ")
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

/// Marks as dead the records of these subjects that no manifest and no tag has its revision from any more.
async fn bury(connection: &mut Connection, repository: i64, digest: Option<&Digest>, tags: &[Tag]) -> Result<()> {
    for subject in digest.iter().map(|digest| digest.as_str()).chain(tags.iter().map(Tag::as_str)) {
        sqlx::query(
            "UPDATE records SET is_dead = TRUE
             WHERE repository_id = $1 AND is_dead = FALSE
                 AND revision IN (SELECT revision FROM record_subjects WHERE repository_id = $1 AND subject = $2)
                 AND NOT EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = $1 AND m.revision = records.revision)
                 AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.repository_id = $1 AND t.revision = records.revision)",
        )
        .bind(repository)
        .bind(subject)
        .execute(&mut *connection)
        .await?;
    }
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
