//! Manifests and tags: found, kept and deleted.
//!
//! Changes are ordered by their revisions, not by when their transactions come through: a change never undoes one with a greater
//! revision. What is read back from the records, which are played in that order, is therefore what the database says.

use jiff::Timestamp;
use longshore_oci::{Digest, Reference, RepositoryName, Tag};
use sqlx::{AssertSqlSafe, Row as _};

use super::super::super::{DeleteManifest, Edge, EventKind, PutManifest, StateError, StoredManifest, references};
use super::super::FOR_SHARE;
use super::{Connection, Result, emit, ensure_repository, find_repository, parse, places, records, rows, signed, unsigned};

/// A manifest by tag or digest.
pub async fn find(
    connection: &mut Connection,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Option<StoredManifest>> {
    let sql = match reference {
        Reference::Tag(_) => {
            "SELECT m.digest, m.media_type, m.content FROM repositories r
             JOIN tags t ON t.repository_id = r.id AND t.name = $2
             JOIN manifests m ON m.repository_id = r.id AND m.digest = t.digest
             WHERE r.name = $1"
        }
        Reference::Digest(_) => {
            "SELECT m.digest, m.media_type, m.content FROM repositories r
             JOIN manifests m ON m.repository_id = r.id AND m.digest = $2
             WHERE r.name = $1"
        }
    };
    let row = sqlx::query(sql).bind(repository.as_str()).bind(reference.as_str()).fetch_optional(&mut *connection).await?;
    let Some(row) = row else { return Ok(None) };
    let content: Vec<u8> = row.try_get("content")?;
    Ok(Some(StoredManifest { digest: parse(&row, "digest")?, media_type: row.try_get("media_type")?, content: content.into() }))
}

/// Which of these are not in the repository.
pub async fn missing(
    connection: &mut Connection,
    repository: &RepositoryName,
    blobs: &[Digest],
    manifests: &[Digest],
) -> Result<Vec<Digest>> {
    match find_repository(connection, repository).await? {
        Some(id) => missing_of(connection, id, blobs, manifests, "").await,
        None => Ok(blobs.iter().chain(manifests).cloned().collect()),
    }
}

/// As [`missing`]; `lock` is what holds the rows that were found, if anything is to.
async fn missing_of(
    connection: &mut Connection,
    repository: i64,
    blobs: &[Digest],
    manifests: &[Digest],
    lock: &str,
) -> Result<Vec<Digest>> {
    let mut missing = Vec::new();
    for (table, digests) in [("repository_blobs", blobs), ("manifests", manifests)] {
        for chunk in digests.chunks(500) {
            let places = places(2, chunk.len());
            let sql = format!("SELECT digest FROM {table} WHERE repository_id = $1 AND digest IN ({places}){lock}");
            let mut query = sqlx::query(AssertSqlSafe(sql)).bind(repository);
            for digest in chunk {
                query = query.bind(digest.as_str());
            }
            let there = query.fetch_all(&mut *connection).await?;
            let there: Vec<String> = there.iter().map(|row| row.try_get("digest")).collect::<std::result::Result<_, _>>()?;
            missing.extend(chunk.iter().filter(|digest| !there.iter().any(|found| found == digest.as_str())).cloned());
        }
    }
    Ok(missing)
}

/// Keeps a manifest and moves tags to it. `Changed`, and nothing done, where a deletion with a greater revision came through first;
/// `Missing` where it must be whole and is not.
pub async fn put(connection: &mut Connection, put: &PutManifest) -> Result<()> {
    let repository = ensure_repository(connection, &put.repository).await?;
    if put.must_be_whole {
        // Held until the edges are there, which a deletion of a blob looks for.
        let (blobs, manifests) = references(&put.manifest);
        let missing = missing_of(connection, repository, &blobs, &manifests, FOR_SHARE).await?;
        if !missing.is_empty() {
            return Err(StateError::Missing(missing));
        }
    }
    records::end(connection, put.revision).await?;
    put_again(connection, repository, put).await
}

/// As [`put`], of a change that needs no leave: it was made before.
pub async fn put_again(connection: &mut Connection, repository: i64, put: &PutManifest) -> Result<()> {
    let is_newest = keep(connection, repository, put).await?;
    emit(connection, EventKind::ManifestPushed, &put.repository, Some(&put.digest), None).await?;
    let mut made: Vec<&str> = if is_newest { vec![put.digest.as_str()] } else { Vec::new() };
    for tag in &put.tags {
        if set_tag(connection, repository, put, tag).await? {
            emit(connection, EventKind::TagSet, &put.repository, Some(&put.digest), Some(tag.as_str())).await?;
            made.push(tag.as_str());
        }
    }
    // What a newer push made was there, and was left alone. Where a change is newer and nothing was there, it was a deletion.
    if records::are_outrun(connection, repository, put.revision, &made).await? {
        return Err(StateError::Changed);
    }
    records::add(connection, repository, put.revision, &records::subjects(Some(&put.digest), &put.tags)).await
}

/// Writes the manifest's row, and where it is new what follows from its bytes. What does not follow from them is the newest push's;
/// false where that is another.
async fn keep(connection: &mut Connection, repository: i64, put: &PutManifest) -> Result<bool> {
    let renewed = sqlx::query(
        "UPDATE manifests SET revision = CASE WHEN revision < $3 THEN $3 ELSE revision END,
             media_type = CASE WHEN revision < $3 THEN $4 ELSE media_type END,
             platform = CASE WHEN revision < $3 THEN $5 ELSE platform END,
             pushed_at = CASE WHEN revision < $3 THEN $6 ELSE pushed_at END
         WHERE repository_id = $1 AND digest = $2 RETURNING revision",
    )
    .bind(repository)
    .bind(put.digest.as_str())
    .bind(signed(put.revision))
    .bind(put.manifest.media_type.as_str())
    .bind(put.platform.as_deref())
    .bind(put.pushed_at.as_microsecond())
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(row) = renewed {
        return Ok(unsigned(&row, "revision")? == put.revision);
    }
    sqlx::query(
        "INSERT INTO manifests (repository_id, digest, media_type, artifact_type, subject, annotations, platform, content, revision,
             pushed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(repository)
    .bind(put.digest.as_str())
    .bind(put.manifest.media_type.as_str())
    .bind(put.manifest.artifact_type.as_deref())
    .bind(put.manifest.subject.as_ref().map(|subject| subject.digest.as_str()))
    .bind(serde_json::to_string(&put.manifest.annotations).expect("text by text is always JSON"))
    .bind(put.platform.as_deref())
    .bind(put.content.as_ref())
    .bind(signed(put.revision))
    .bind(put.pushed_at.as_microsecond())
    .execute(&mut *connection)
    .await?;
    insert_edges(connection, repository, put).await?;
    if let Some(subject) = &put.manifest.subject {
        sqlx::query("INSERT INTO referrers (repository_id, subject, digest, artifact_type) VALUES ($1, $2, $3, $4)")
            .bind(repository)
            .bind(subject.digest.as_str())
            .bind(put.digest.as_str())
            .bind(put.manifest.artifact_type.as_deref())
            .execute(&mut *connection)
            .await?;
    }
    Ok(true)
}

async fn insert_edges(connection: &mut Connection, repository: i64, put: &PutManifest) -> Result<()> {
    let edges = Edge::of(&put.manifest);
    for (number, chunk) in edges.chunks(500).enumerate() {
        let sql = format!(
            "INSERT INTO manifest_edges (repository_id, parent, position, child, kind, media_type, size_bytes, platform) VALUES {}",
            rows(chunk.len(), 8)
        );
        let mut insert = sqlx::query(AssertSqlSafe(sql));
        for (index, edge) in chunk.iter().enumerate() {
            insert = insert
                .bind(repository)
                .bind(put.digest.as_str())
                .bind(signed((number * 500 + index) as u64))
                .bind(edge.child.as_str())
                .bind(edge.kind.as_str())
                .bind(edge.media_type.as_str())
                .bind(signed(edge.size_bytes))
                .bind(edge.platform.as_deref());
        }
        insert.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Moves a tag. False where a newer change has moved it already, `Frozen` where it stays where it is.
async fn set_tag(connection: &mut Connection, repository: i64, put: &PutManifest, tag: &Tag) -> Result<bool> {
    let set = sqlx::query(
        "INSERT INTO tags (repository_id, name, digest, revision, updated_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (repository_id, name) DO UPDATE
         SET digest = excluded.digest, revision = excluded.revision, updated_at = excluded.updated_at
         WHERE excluded.revision > tags.revision AND (excluded.digest = tags.digest OR NOT $6)",
    )
    .bind(repository)
    .bind(tag.as_str())
    .bind(put.digest.as_str())
    .bind(signed(put.revision))
    .bind(put.pushed_at.as_microsecond())
    .bind(put.frozen_tags.contains(tag))
    .execute(&mut *connection)
    .await?;
    if set.rows_affected() == 0 && put.frozen_tags.contains(tag) {
        let row = sqlx::query("SELECT digest FROM tags WHERE repository_id = $1 AND name = $2")
            .bind(repository)
            .bind(tag.as_str())
            .fetch_one(&mut *connection)
            .await?;
        let digest: Digest = parse(&row, "digest")?;
        if digest != put.digest {
            return Err(StateError::Frozen { tag: tag.clone(), digest });
        }
    }
    note_history(connection, repository, tag, put.revision, Some(&put.digest), put.pushed_at).await?;
    Ok(set.rows_affected() == 1)
}

/// Notes where a tag went, or that it was deleted.
pub async fn note_history(
    connection: &mut Connection,
    repository: i64,
    tag: &Tag,
    revision: u64,
    digest: Option<&Digest>,
    at: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO tag_history (repository_id, name, revision, digest, changed_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
    )
    .bind(repository)
    .bind(tag.as_str())
    .bind(signed(revision))
    .bind(digest.map(Digest::as_str))
    .bind(at.as_microsecond())
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// The tags at a manifest, or `None` where there is no such manifest.
pub async fn tags_of(connection: &mut Connection, repository: &RepositoryName, digest: &Digest) -> Result<Option<Vec<Tag>>> {
    let Some(id) = find_repository(connection, repository).await? else { return Ok(None) };
    let manifest = sqlx::query("SELECT 1 FROM manifests WHERE repository_id = $1 AND digest = $2")
        .bind(id)
        .bind(digest.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    if manifest.is_none() {
        return Ok(None);
    }
    let tags = sqlx::query("SELECT name FROM tags WHERE repository_id = $1 AND digest = $2 ORDER BY name")
        .bind(id)
        .bind(digest.as_str())
        .fetch_all(&mut *connection)
        .await?;
    tags.iter().map(|row| parse(row, "name")).collect::<Result<_>>().map(Some)
}

/// Deletes a manifest and the tags at it. `Changed`, and nothing done, where those are not the ones the caller has seen.
pub async fn delete(connection: &mut Connection, deletion: &DeleteManifest) -> Result<()> {
    let repository = find_repository(connection, &deletion.repository).await?.ok_or(StateError::Changed)?;
    lock(connection, repository, &deletion.digest).await?;
    let tags = sqlx::query("DELETE FROM tags WHERE repository_id = $1 AND digest = $2 RETURNING name")
        .bind(repository)
        .bind(deletion.digest.as_str())
        .fetch_all(&mut *connection)
        .await?;
    let mut gone: Vec<Tag> = tags.iter().map(|row| parse(row, "name")).collect::<Result<_>>()?;
    gone.sort_unstable();
    if gone != deletion.tags || !remove(connection, repository, &deletion.digest, deletion.revision).await? {
        return Err(StateError::Changed);
    }
    let now = Timestamp::now();
    for tag in &gone {
        note_history(connection, repository, tag, deletion.revision, None, now).await?;
        emit(connection, EventKind::TagDeleted, &deletion.repository, Some(&deletion.digest), Some(tag.as_str())).await?;
    }
    emit(connection, EventKind::ManifestDeleted, &deletion.repository, Some(&deletion.digest), None).await?;
    records::end(connection, deletion.revision).await?;
    records::add(connection, repository, deletion.revision, &records::subjects(Some(&deletion.digest), &gone)).await
}

/// Has whoever else would change a manifest wait. A push takes the manifest before its tags, and so must a deletion, lest each wait
/// for the other.
async fn lock(connection: &mut Connection, repository: i64, digest: &Digest) -> Result<()> {
    sqlx::query("UPDATE manifests SET revision = revision WHERE repository_id = $1 AND digest = $2")
        .bind(repository)
        .bind(digest.as_str())
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// Deletes a manifest that no tag is at. False where there is none, or where it came again after this revision.
pub async fn remove(connection: &mut Connection, repository: i64, digest: &Digest, revision: u64) -> Result<bool> {
    let removed = sqlx::query("DELETE FROM manifests WHERE repository_id = $1 AND digest = $2 AND revision < $3")
        .bind(repository)
        .bind(digest.as_str())
        .bind(signed(revision))
        .execute(&mut *connection)
        .await?;
    Ok(removed.rows_affected() == 1)
}

/// Deletes a tag. `Changed` where there is none, or where it was set after this revision.
pub async fn delete_tag(connection: &mut Connection, name: &RepositoryName, tag: &Tag, revision: u64) -> Result<()> {
    let repository = find_repository(connection, name).await?.ok_or(StateError::Changed)?;
    let deleted = sqlx::query("DELETE FROM tags WHERE repository_id = $1 AND name = $2 AND revision < $3")
        .bind(repository)
        .bind(tag.as_str())
        .bind(signed(revision))
        .execute(&mut *connection)
        .await?;
    if deleted.rows_affected() != 1 {
        return Err(StateError::Changed);
    }
    note_history(connection, repository, tag, revision, None, Timestamp::now()).await?;
    emit(connection, EventKind::TagDeleted, name, None, Some(tag.as_str())).await?;
    records::end(connection, revision).await?;
    records::add(connection, repository, revision, &[tag.as_str()]).await
}
