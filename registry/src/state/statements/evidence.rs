//! What may show that an image is signed.

use longshore_oci::{Digest, RepositoryName};

use super::super::super::EvidenceIndex;
use super::{Connection, Result, find_repository, parse};
use crate::signature::NOTATION_ARTIFACT;

/// The most manifests about one image that are looked at: the newest, so that who signs again is heard.
const MOST_ABOUT: i64 = 100;
/// The most indexes that list one image that are looked at.
const MOST_LISTING: i64 = 64;

/// The manifests about an image: bundles and Notation's signatures that refer to it, and what lies at the tags made of its digest; and the
/// indexes that list it.
pub async fn about(connection: &mut Connection, repository: &RepositoryName, image: &Digest) -> Result<EvidenceIndex> {
    let Some(id) = find_repository(connection, repository).await? else { return Ok(EvidenceIndex::default()) };
    let front = image.as_str().replace(':', "-");
    let about = sqlx::query(
        "SELECT digest FROM tags WHERE repository_id = $1 AND name IN ($2, $3)
         UNION SELECT digest FROM (
             SELECT f.digest FROM referrers f JOIN manifests m ON m.repository_id = f.repository_id AND m.digest = f.digest
             WHERE f.repository_id = $1 AND f.subject = $4
                 AND (f.artifact_type LIKE 'application/vnd.dev.sigstore.bundle%' OR f.artifact_type = $6)
             ORDER BY m.revision DESC LIMIT $5) AS newest
         ORDER BY digest",
    )
    .bind(id)
    .bind(format!("{front}.sig"))
    .bind(format!("{front}.att"))
    .bind(image.as_str())
    .bind(MOST_ABOUT)
    .bind(NOTATION_ARTIFACT)
    .fetch_all(&mut *connection)
    .await?;
    let listing = sqlx::query(
        "SELECT m.digest FROM manifests m
         WHERE m.repository_id = $2 AND m.digest IN (
             SELECT parent FROM manifest_edges WHERE child = $1 AND repository_id = $2 AND kind = 'manifest')
         ORDER BY m.revision DESC LIMIT $3",
    )
    .bind(image.as_str())
    .bind(id)
    .bind(MOST_LISTING)
    .fetch_all(&mut *connection)
    .await?;
    let digests = |rows: &[super::Row]| rows.iter().map(|row| parse(row, "digest")).collect::<Result<Vec<Digest>>>();
    Ok(EvidenceIndex { about: digests(&about)?, listing: digests(&listing)? })
}
