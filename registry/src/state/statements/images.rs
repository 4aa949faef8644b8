//! Images as people see them: with sizes, platforms, and what they share.

use longshore_oci::{Digest, RepositoryName, media_type};
use sqlx::{AssertSqlSafe, Row as _};

use super::super::super::{ImageDetail, ImageFilter, ImageSummary, LayerDetail, ManifestDetail, Sharing};
use super::{Connection, Result, Row, find_repository, timestamp, unsigned};

/// How many manifests that share a layer are counted at most.
const MAX_SHARED_WITH: i64 = 1000;

/// Tagged images with their sizes, by repository and tag.
pub async fn list(connection: &mut Connection, filter: &ImageFilter) -> Result<Vec<ImageSummary>> {
    let mut images = Vec::new();
    for (id, repository) in repositories(connection, filter).await? {
        let after = if repository == filter.after.0 { filter.after.1.as_str() } else { "" };
        let limit = i64::from(filter.limit) - i64::try_from(images.len()).unwrap_or(i64::MAX);
        if limit <= 0 {
            break;
        }
        list_one(connection, (id, &repository), after, (limit, filter.sharing), &mut images).await?;
    }
    Ok(images)
}

/// The repositories that a page may touch. Each is then a range of an index, where one query for all would sort what it skips.
async fn repositories(connection: &mut Connection, filter: &ImageFilter) -> Result<Vec<(i64, String)>> {
    if let Some(only) = &filter.repository {
        let id = find_repository(connection, only).await?.filter(|_| only.as_str() >= filter.after.0.as_str());
        return Ok(id.map(|id| (id, only.to_string())).into_iter().collect());
    }
    let rows = sqlx::query(
        "SELECT id, name FROM repositories r
         WHERE name >= $1 AND EXISTS (SELECT 1 FROM tags t WHERE t.repository_id = r.id)
         ORDER BY name LIMIT $2",
    )
    .bind(filter.after.0.as_str())
    // The first of them may have nothing left.
    .bind(i64::from(filter.limit) + 1)
    .fetch_all(&mut *connection)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("id")?, row.try_get("name")?))).collect()
}

/// A repository's images after a tag.
async fn list_one(
    connection: &mut Connection,
    (id, repository): (i64, &str),
    after: &str,
    (limit, sharing): (i64, Sharing),
    images: &mut Vec<ImageSummary>,
) -> Result<()> {
    let rows = sqlx::query(
        "SELECT t.name AS tag, t.digest, t.updated_at, m.media_type, m.artifact_type
         FROM tags t JOIN manifests m ON m.repository_id = t.repository_id AND m.digest = t.digest
         WHERE t.repository_id = $1 AND t.name > $2 ORDER BY t.name LIMIT $3",
    )
    .bind(id)
    .bind(after)
    .bind(limit)
    .fetch_all(&mut *connection)
    .await?;
    for row in &rows {
        let digest: String = row.try_get("digest")?;
        let members = members(connection, id, &digest).await?;
        let (size_bytes, shared_bytes) = sizes(connection, id, &digest, &members, sharing).await?;
        images.push(ImageSummary {
            repository: repository.to_owned(),
            tag: row.try_get("tag")?,
            digest,
            media_type: row.try_get("media_type")?,
            artifact_type: shown_artifact_type(row)?,
            platforms: platforms(&members),
            size_bytes,
            shared_bytes,
            pushed_at: timestamp(row, "updated_at")?,
        });
    }
    Ok(())
}

/// One image, manifest by manifest and layer by layer.
pub async fn inspect(
    connection: &mut Connection,
    repository: &RepositoryName,
    digest: &Digest,
    sharing: Sharing,
) -> Result<Option<ImageDetail>> {
    let Some(id) = find_repository(connection, repository).await? else { return Ok(None) };
    let row = sqlx::query("SELECT media_type, artifact_type, pushed_at FROM manifests WHERE repository_id = $1 AND digest = $2")
        .bind(id)
        .bind(digest.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let tags = sqlx::query("SELECT name FROM tags WHERE repository_id = $1 AND digest = $2 ORDER BY name")
        .bind(id)
        .bind(digest.as_str())
        .fetch_all(&mut *connection)
        .await?;
    let members = members(connection, id, digest.as_str()).await?;
    let (size_bytes, shared_bytes) = sizes(connection, id, digest.as_str(), &members, sharing).await?;
    let mut manifests = Vec::new();
    for member in members.iter().filter(|member| !member.is_index) {
        manifests.push(detail(connection, id, member, sharing).await?);
    }
    Ok(Some(ImageDetail {
        repository: repository.to_string(),
        digest: digest.to_string(),
        media_type: row.try_get("media_type")?,
        artifact_type: shown_artifact_type(&row)?,
        size_bytes,
        shared_bytes,
        pushed_at: timestamp(&row, "pushed_at")?,
        tags: tags.iter().map(|row| Ok(row.try_get("name")?)).collect::<Result<_>>()?,
        manifests,
    }))
}

/// A manifest of an image: itself, or an index's entry that is here.
struct Member {
    digest: String,
    media_type: String,
    platform: Option<String>,
    size_bytes: u64,
    is_index: bool,
}

/// The image's manifest ($2, of repository $1), and where that is an index its entries and theirs.
const MEMBERS: &str = "WITH RECURSIVE members (digest, platform, depth, position) AS (
         SELECT digest, platform, 0, CAST(0 AS BIGINT) FROM manifests WHERE repository_id = $1 AND digest = $2
         UNION
         SELECT e.child, e.platform, m.depth + 1, e.position FROM members m
         JOIN manifest_edges e ON e.repository_id = $1 AND e.parent = m.digest AND e.kind = 'manifest'
         WHERE m.depth < 4
     )";

/// The members of an image that are here, in the order in which it names them.
async fn members(connection: &mut Connection, repository: i64, digest: &str) -> Result<Vec<Member>> {
    let sql = format!(
        "{MEMBERS}
         SELECT m.digest, MAX(COALESCE(x.platform, m.platform)) AS platform, m.media_type, CAST(LENGTH(m.content) AS BIGINT) AS size_bytes
         FROM members x JOIN manifests m ON m.repository_id = $1 AND m.digest = x.digest
         GROUP BY m.digest, m.media_type, LENGTH(m.content) ORDER BY MIN(x.depth), MIN(x.position), m.digest"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(repository).bind(digest).fetch_all(&mut *connection).await?;
    let read = |row: &Row| {
        let kind: String = row.try_get("media_type")?;
        Ok(Member {
            digest: row.try_get("digest")?,
            platform: row.try_get("platform")?,
            size_bytes: unsigned(row, "size_bytes")?,
            is_index: kind == media_type::OCI_INDEX || kind == media_type::DOCKER_MANIFEST_LIST,
            media_type: kind,
        })
    };
    rows.iter().map(read).collect()
}

/// The bytes of the members and their blobs, each counted once, and how many of them manifests outside use too.
async fn sizes(
    connection: &mut Connection,
    repository: i64,
    digest: &str,
    members: &[Member],
    sharing: Sharing,
) -> Result<(u64, u64)> {
    let those = those(sharing);
    let sql = format!(
        "{MEMBERS}
         SELECT e.child, MAX(e.size_bytes) AS size_bytes, MAX(CASE WHEN EXISTS (SELECT 1 FROM manifest_edges o
             WHERE o.child = e.child {those} AND o.parent NOT IN (SELECT digest FROM members)) THEN 1 ELSE 0 END) AS is_shared
         FROM (SELECT DISTINCT digest FROM members) x
         JOIN manifest_edges e ON e.repository_id = $1 AND e.parent = x.digest AND e.kind <> 'manifest'
         GROUP BY e.child"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(repository).bind(digest).fetch_all(&mut *connection).await?;
    // The sizes of content that is not here are whatever the manifest says.
    let mut all_bytes = members.iter().map(|member| member.size_bytes).fold(0, u64::saturating_add);
    let mut shared_bytes = 0_u64;
    for row in &rows {
        let size_bytes = unsigned(row, "size_bytes")?;
        all_bytes = all_bytes.saturating_add(size_bytes);
        if row.try_get::<i32, _>("is_shared")? == 1 {
            shared_bytes = shared_bytes.saturating_add(size_bytes);
        }
    }
    Ok((all_bytes, shared_bytes))
}

/// The condition on an edge `o` that makes it one of those that count beside an edge `e`.
fn those(sharing: Sharing) -> &'static str {
    match sharing {
        Sharing::Anywhere => "",
        Sharing::Repository => "AND o.repository_id = e.repository_id",
    }
}

async fn detail(connection: &mut Connection, repository: i64, member: &Member, sharing: Sharing) -> Result<ManifestDetail> {
    let those = those(sharing);
    let rows = sqlx::query(AssertSqlSafe(format!(
        "SELECT child, kind, media_type, size_bytes, (SELECT COUNT(*) FROM (SELECT DISTINCT o.parent FROM manifest_edges o
             WHERE o.child = e.child {those} AND o.parent <> e.parent LIMIT $3) AS others) AS shared_with
         FROM manifest_edges e WHERE repository_id = $1 AND parent = $2 AND kind <> 'manifest' ORDER BY position"
    )))
    .bind(repository)
    .bind(member.digest.as_str())
    .bind(MAX_SHARED_WITH)
    .fetch_all(&mut *connection)
    .await?;
    let (mut config, mut layers) = (None, Vec::new());
    for row in &rows {
        let layer = LayerDetail {
            shared_with: unsigned(row, "shared_with")?,
            digest: row.try_get("child")?,
            media_type: row.try_get("media_type")?,
            size_bytes: unsigned(row, "size_bytes")?,
        };
        if row.try_get::<String, _>("kind")? == "config" {
            config = Some(layer);
        } else {
            layers.push(layer);
        }
    }
    Ok(ManifestDetail {
        digest: member.digest.clone(),
        media_type: member.media_type.clone(),
        platform: member.platform.clone(),
        size_bytes: member.size_bytes,
        config,
        layers,
    })
}

/// An image's configuration type says nothing that its media type does not; an artifact's type does.
fn shown_artifact_type(row: &Row) -> Result<Option<String>> {
    let artifact_type: Option<String> = row.try_get("artifact_type")?;
    let is_image = |kind: &String| kind == media_type::OCI_CONFIG || kind == "application/vnd.docker.container.image.v1+json";
    Ok(artifact_type.filter(|kind| !is_image(kind)))
}

fn platforms(members: &[Member]) -> Vec<String> {
    let is_told = |platform: &&String| !platform.is_empty() && !platform.starts_with("unknown/");
    let mut platforms: Vec<String> =
        members.iter().filter_map(|member| member.platform.as_ref()).filter(is_told).cloned().collect();
    platforms.sort_unstable();
    platforms.dedup();
    platforms
}
