//! Records: what is written beside the blobs of each change of manifests and tags, so that the database can be rebuilt.
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
    state::{RestoredPush, RestoredRecord},
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
    #[serde(default)]
    tags: Vec<String>,
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
}

/// The record of a push.
pub fn of_push(revision: u64, at: Timestamp, push: &RestoredPush, tags: &[Tag]) -> Vec<Bytes> {
    let header = PushHeader {
        digest: push.digest.clone(),
        media_type: push.manifest.media_type.clone(),
        platform: push.platform.clone(),
        pushed_at: push.pushed_at,
    };
    vec![line(revision, at, Some(header), None, tags), push.content.clone()]
}

/// The record of a deletion: a manifest's, with the tags that were at it, or a tag's.
pub fn of_deletion(revision: u64, at: Timestamp, removed: Option<&Digest>, tags: &[Tag]) -> Vec<Bytes> {
    vec![line(revision, at, None, removed.cloned(), tags)]
}

fn line(revision: u64, at: Timestamp, push: Option<PushHeader>, removed: Option<Digest>, tags: &[Tag]) -> Bytes {
    let tags = tags.iter().map(ToString::to_string).collect();
    let header = Header { version: 1, revision, at, push, removed, tags };
    let mut line = serde_json::to_vec(&header).expect("a header is always JSON");
    line.push(b'\n');
    line.into()
}

/// Takes back the record of a change that was not made. Where that fails the change stays pending, and the sweeper sees to it.
pub async fn withdraw(registry: &Registry, key: &ObjectKey, revision: u64) -> Result<(), Error> {
    registry.store.delete(std::slice::from_ref(key)).await?;
    Ok(registry.state.drop_change(revision).await?)
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
    Ok(RestoredRecord {
        repository: repository.clone(),
        revision: header.revision,
        at: header.at,
        push: push.transpose()?,
        removed: header.removed,
        tags: tags.collect::<Result<_, _>>()?,
    })
}
