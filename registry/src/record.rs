//! Records: what is written beside the blobs of each change of manifests and tags, and of blobs' links where the blobs' objects don't
//! show them, so that the database can be rebuilt.
//!
//! A record is a line of JSON, and after it the manifest's bytes where it is of a push. Records are played back in the order of their
//! revisions.

use bytes::Bytes;
use jiff::Timestamp;
use longshore_oci::{Algorithm, Digest, Manifest, RepositoryName, Tag};
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    registry::Registry,
    state::{RestoredPush, RestoredRecord, StateError},
    storage::ObjectKey,
};

/// The first line of a record.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    /// The form of what follows; this program writes and reads 1.
    version: u32,
    revision: u64,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    push: Option<PushHeader>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    removed: Option<Digest>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    linked: Vec<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unlinked: Option<Unlinked>,
}

impl Header {
    fn new(revision: u64, at: Timestamp) -> Self {
        Self { version: 1, revision, at, push: None, removed: None, tags: Vec::new(), linked: Vec::new(), unlinked: None }
    }

    fn tagged(self, tags: &[Tag]) -> Self {
        Self { tags: tags.iter().map(ToString::to_string).collect(), ..self }
    }

    fn line(&self) -> Bytes {
        let mut line = serde_json::to_vec(self).expect("a header is always JSON");
        line.push(b'\n');
        line.into()
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct PushHeader {
    digest: Digest,
    media_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    pushed_at: Timestamp,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Unlinked {
    digest: Digest,
    /// The keys of the objects below the repository that held the blob.
    objects: Vec<String>,
}

/// Why bytes are no record.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRecord {
    /// The first line is not JSON of the right shape.
    #[error("its header can't be read")]
    Header(#[source] serde_json::Error),
    /// It was written by a later program.
    #[error("its version is {0}, and this program reads 1")]
    Version(u32),
    /// The manifest in it is damaged.
    #[error("its manifest has the digest {actual}, not {expected}")]
    Digest {
        /// What the header says.
        expected: Digest,
        /// What is there.
        actual: Digest,
    },
    /// The manifest in it can't be read.
    #[error("its manifest can't be read")]
    Manifest(#[from] longshore_oci::InvalidManifest),
    /// A tag in it is none.
    #[error("its tag {0:?} is none")]
    Tag(String),
    /// A key in it is none.
    #[error("its key {0:?} is none")]
    Key(String),
}

/// The record of a push.
pub fn of_push(revision: u64, at: Timestamp, push: &RestoredPush, tags: &[Tag]) -> Vec<Bytes> {
    let header = PushHeader {
        digest: push.digest.clone(),
        media_type: push.manifest.media_type.clone(),
        platform: push.platform.clone(),
        pushed_at: push.pushed_at,
    };
    let header = Header { push: Some(header), ..Header::new(revision, at).tagged(tags) };
    vec![header.line(), push.content.clone()]
}

/// The record of a deletion: a manifest's, with the tags that were at it, or a tag's.
pub fn of_deletion(revision: u64, at: Timestamp, removed: Option<&Digest>, tags: &[Tag]) -> Vec<Bytes> {
    vec![Header { removed: removed.cloned(), ..Header::new(revision, at).tagged(tags) }.line()]
}

/// The record of blobs that are the repository's.
pub fn of_links(revision: u64, at: Timestamp, digests: &[Digest]) -> Vec<Bytes> {
    vec![Header { linked: digests.to_vec(), ..Header::new(revision, at) }.line()]
}

/// The record of a blob's deletion from the repository, below which these objects hold it.
pub fn of_unlinking(revision: u64, at: Timestamp, digest: &Digest, objects: &[ObjectKey]) -> Vec<Bytes> {
    let unlinked = Unlinked { digest: digest.clone(), objects: objects.iter().map(ToString::to_string).collect() };
    vec![Header { unlinked: Some(unlinked), ..Header::new(revision, at) }.line()]
}

/// How often a change is begun anew because another came between.
pub const ATTEMPTS: u32 = 8;

/// Makes a change: has its record written, and then the database changed. A record of what was refused is taken back, so that it can't
/// bring the change about some day. Where it is not known whether it was done, the change's row knows, and the sweeper asks that.
pub async fn change<T, F: Future<Output = Result<T, StateError>>>(
    registry: &Registry,
    repository: &RepositoryName,
    record: impl FnOnce(u64) -> Vec<Bytes>,
    change: impl FnOnce(u64) -> F,
) -> Result<Result<T, StateError>, Error> {
    let revision = registry.state.begin_change(repository).await?;
    let key = ObjectKey::Record(repository.clone(), revision);
    registry.store.put(&key, record(revision)).await?;
    let outcome = change(revision).await;
    if outcome.as_ref().is_err_and(StateError::is_refusal) {
        registry.store.delete(std::slice::from_ref(&key)).await?;
        registry.state.drop_change(revision).await?;
    }
    Ok(outcome)
}

/// Reads a record back, and proves its manifest's digest.
pub fn read(repository: &RepositoryName, record: &Bytes) -> Result<RestoredRecord, InvalidRecord> {
    let end = record.iter().position(|&byte| byte == b'\n').unwrap_or(record.len());
    let header: Header = serde_json::from_slice(&record[..end]).map_err(InvalidRecord::Header)?;
    if header.version != 1 {
        return Err(InvalidRecord::Version(header.version));
    }
    let content = record.slice((end + 1).min(record.len())..);
    let push = header.push.map(|push| {
        let algorithm: Algorithm = push.digest.algorithm();
        let actual = Digest::of(algorithm, &content);
        if actual != push.digest {
            return Err(InvalidRecord::Digest { expected: push.digest, actual });
        }
        let manifest = Manifest::parse(&content, Some(&push.media_type))?;
        let PushHeader { digest, platform, pushed_at, .. } = push;
        Ok(RestoredPush { digest, manifest, platform, content, pushed_at })
    });
    let tags = header.tags.into_iter().map(|tag| tag.parse().map_err(|_| InvalidRecord::Tag(tag)));
    let read_key = |text: String| ObjectKey::parse(&text).ok_or(InvalidRecord::Key(text));
    let unlinked = header.unlinked.map(|Unlinked { digest, objects }| {
        objects.into_iter().map(read_key).collect::<Result<_, _>>().map(|objects| (digest, objects))
    });
    Ok(RestoredRecord {
        repository: repository.clone(),
        revision: header.revision,
        at: header.at,
        push: push.transpose()?,
        removed: header.removed,
        tags: tags.collect::<Result<_, _>>()?,
        linked: header.linked,
        unlinked: unlinked.transpose()?,
    })
}
