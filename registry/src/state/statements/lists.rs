//! Lists, each one indexed range.

use longshore_oci::{Digest, RepositoryName, Tag};
use sqlx::Row as _;

use super::super::super::{Referrer, StateError};
use super::{Connection, Result, find_repository, parse, unsigned};

/// A repository's tags; `None` where there is no such repository.
pub async fn tags(
    connection: &mut Connection,
    repository: &RepositoryName,
    after: &str,
    limit: u32,
) -> Result<Option<Vec<String>>> {
    let Some(id) = find_repository(connection, repository).await? else { return Ok(None) };
    let rows = sqlx::query("SELECT name FROM tags WHERE repository_id = $1 AND name > $2 ORDER BY name LIMIT $3")
        .bind(id)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&mut *connection)
        .await?;
    rows.iter().map(|row| Ok(row.try_get("name")?)).collect::<Result<_>>().map(Some)
}

/// A repository's tags, each with the digest that it is at.
pub async fn tagged(
    connection: &mut Connection,
    repository: &RepositoryName,
    after: &str,
    limit: u32,
) -> Result<Vec<(Tag, Digest)>> {
    let Some(id) = find_repository(connection, repository).await? else { return Ok(Vec::new()) };
    let rows = sqlx::query("SELECT name, digest FROM tags WHERE repository_id = $1 AND name > $2 ORDER BY name LIMIT $3")
        .bind(id)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&mut *connection)
        .await?;
    rows.iter().map(|row| Ok((parse(row, "name")?, parse(row, "digest")?))).collect()
}

/// The repositories.
pub async fn repositories(connection: &mut Connection, after: &str, limit: u32) -> Result<Vec<String>> {
    let rows = sqlx::query("SELECT name FROM repositories WHERE name > $1 ORDER BY name LIMIT $2")
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&mut *connection)
        .await?;
    rows.iter().map(|row| Ok(row.try_get("name")?)).collect()
}

/// Manifests whose subject is `subject`, by digest.
pub async fn referrers(
    connection: &mut Connection,
    repository: &RepositoryName,
    subject: &Digest,
    artifact_type: Option<&str>,
    after: &str,
    limit: u32,
) -> Result<Vec<Referrer>> {
    let Some(id) = find_repository(connection, repository).await? else { return Ok(Vec::new()) };
    let rows = sqlx::query(
        "SELECT m.digest, m.media_type, CAST(LENGTH(m.content) AS BIGINT) AS size_bytes, m.artifact_type, m.annotations FROM referrers f
         JOIN manifests m ON m.repository_id = f.repository_id AND m.digest = f.digest
         WHERE f.repository_id = $1 AND f.subject = $2 AND f.digest > $3 AND ($4 IS NULL OR f.artifact_type = $4)
         ORDER BY f.digest LIMIT $5",
    )
    .bind(id)
    .bind(subject.as_str())
    .bind(after)
    .bind(artifact_type)
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    let read = |row: &super::Row| {
        let annotations: String = row.try_get("annotations")?;
        Ok(Referrer {
            digest: parse(row, "digest")?,
            media_type: row.try_get("media_type")?,
            size_bytes: unsigned(row, "size_bytes")?,
            artifact_type: row.try_get("artifact_type")?,
            annotations: serde_json::from_str(&annotations)
                .map_err(|_| StateError::Unreadable { column: "annotations", value: annotations })?,
        })
    };
    rows.iter().map(read).collect()
}
