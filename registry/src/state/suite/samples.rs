//! What the cases push.

use bytes::Bytes;
use jiff::Timestamp;
use longshore_oci::{Algorithm, Digest, Manifest, Reference, RepositoryName, Tag, media_type};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    state::{BlobCommit, DeleteBlob, NewUpload, PutManifest, SharedState, StateError, upload::tail_key},
    storage::ObjectKey,
};

/// How long a claim lasts that must not end during a test.
pub const LEASE_US: i64 = 3_600_000_000;

pub fn repository(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

pub fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

pub fn tags(names: &[&str]) -> Vec<Tag> {
    names.iter().copied().map(tag).collect()
}

/// The digest of a blob whose content is this text.
pub fn digest(content: &str) -> Digest {
    Digest::of(Algorithm::Sha256, content.as_bytes())
}

/// The first eight digits of a digest, as events are shown.
pub fn short(digest: &Digest) -> &str {
    &digest.hex()[..8]
}

/// An upload begun, held by the claim that is returned.
pub async fn begin(state: &SharedState, name: &str) -> (NewUpload, Uuid) {
    let claim = Uuid::now_v7();
    let upload = NewUpload {
        id: Uuid::now_v7(),
        repository: repository(name),
        algorithm: Algorithm::Sha256,
        part_bytes: 8 << 20,
        claim: Some((claim, LEASE_US)),
    };
    state.create_upload(upload.clone()).await.unwrap();
    (upload, claim)
}

/// How the first claim of an upload commits this content.
pub fn whole(upload: &NewUpload, claim: Uuid, content: &str) -> BlobCommit {
    BlobCommit {
        id: upload.id,
        claim,
        repository: upload.repository.clone(),
        digest: digest(content),
        size_bytes: content.len() as u64,
        key: tail_key(&upload.repository, upload.id, upload.algorithm, 1),
        pieces: vec![7; 32],
        damaged: None,
        garbage: Vec::new(),
        garbage_due_at: Timestamp::now(),
    }
}

/// A blob pushed; the key of the object that was written for it.
pub async fn commit(state: &SharedState, name: &str, content: &str) -> ObjectKey {
    let (upload, claim) = begin(state, name).await;
    let commit = whole(&upload, claim, content);
    let key = commit.key.clone();
    assert!(state.commit_blob(commit).await.unwrap());
    key
}

/// Deletes a blob as a registry does; false where the repository has no such blob.
pub async fn delete(state: &SharedState, name: &str, content: &str, due_at: Timestamp) -> Result<bool, StateError> {
    let (repository, digest) = (repository(name), digest(content));
    loop {
        let Some(objects) = state.blob_objects(&repository, &digest).await? else { return Ok(false) };
        let revision = state.begin_change(&repository).await?;
        let deletion = DeleteBlob { repository: repository.clone(), digest: digest.clone(), objects, revision, due_at };
        match state.delete_blob(deletion).await {
            Err(StateError::Changed) => state.drop_change(revision).await?,
            Err(error) => {
                state.drop_change(revision).await?;
                return Err(error);
            }
            Ok(()) => return Ok(true),
        }
    }
}

/// Has a record written for every link that needs one; how many links that were.
pub async fn record_links(state: &SharedState) -> usize {
    let mut recorded = 0;
    for (repository, digests) in state.unrecorded_links(Timestamp::MAX, 10_000).await.unwrap() {
        let revision = state.begin_change(&repository).await.unwrap();
        state.record_links(&repository, &digests, revision).await.unwrap();
        recorded += digests.len();
    }
    recorded
}

/// A descriptor of a blob whose content is this text.
pub fn descriptor(kind: &str, content: &str) -> Value {
    json!({ "mediaType": kind, "digest": digest(content), "size": content.len() })
}

/// An image of these blobs.
pub fn image(config: &str, layers: &[&str]) -> Bytes {
    let layers: Vec<Value> = layers.iter().map(|layer| descriptor("application/vnd.oci.image.layer.v1.tar", layer)).collect();
    bytes(&json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": descriptor(media_type::OCI_CONFIG, config), "layers": layers
    }))
}

/// An artifact about another manifest.
pub fn artifact(kind: &str, note: &str, subject: &Bytes) -> Bytes {
    let subject_digest = Digest::of(Algorithm::Sha256, subject);
    bytes(&json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "artifactType": kind,
        "config": descriptor("application/vnd.oci.empty.v1+json", "{}"), "layers": [], "annotations": { "note": note },
        "subject": { "mediaType": media_type::OCI_MANIFEST, "digest": subject_digest, "size": subject.len() }
    }))
}

/// An index of these manifests and what they run on.
pub fn index(members: &[(&Bytes, &str)]) -> Bytes {
    let member = |(content, architecture): &(&Bytes, &str)| {
        json!({
            "mediaType": media_type::OCI_MANIFEST, "digest": Digest::of(Algorithm::Sha256, content), "size": content.len(),
            "platform": { "os": "linux", "architecture": architecture }
        })
    };
    let manifests: Vec<Value> = members.iter().map(member).collect();
    bytes(&json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests }))
}

fn bytes(value: &Value) -> Bytes {
    serde_json::to_vec(value).unwrap().into()
}

/// The push of a manifest, which `revision` numbers.
pub fn push(name: &str, content: &Bytes, names: &[&str], revision: u64) -> PutManifest {
    PutManifest {
        repository: repository(name),
        digest: Digest::of(Algorithm::Sha256, content),
        manifest: Manifest::parse(content, None).unwrap(),
        platform: None,
        content: content.clone(),
        tags: tags(names),
        frozen_tags: Vec::new(),
        revision,
        pushed_at: Timestamp::now(),
        must_be_whole: false,
    }
}

/// Pushes a manifest with the next number; its digest.
pub async fn put(state: &SharedState, name: &str, content: &Bytes, names: &[&str]) -> Digest {
    let push = push(name, content, names, state.begin_change(&repository(name)).await.unwrap());
    let digest = push.digest.clone();
    state.put_manifest(push).await.unwrap();
    digest
}

/// The manifest that a tag is at.
pub async fn at_tag(state: &SharedState, name: &str, at: &str) -> Option<Digest> {
    let found = state.manifest(&repository(name), &Reference::Tag(tag(at))).await.unwrap();
    found.map(|manifest| manifest.digest)
}

/// Whether a repository has a manifest.
pub async fn has(state: &SharedState, name: &str, digest: &Digest) -> bool {
    state.manifest(&repository(name), &Reference::Digest(digest.clone())).await.unwrap().is_some()
}

/// The keys that are due for deletion.
pub async fn garbage(state: &SharedState) -> Vec<ObjectKey> {
    let mut keys: Vec<ObjectKey> = state.due_garbage(10_000).await.unwrap().into_iter().map(|garbage| garbage.key).collect();
    keys.sort();
    keys
}
