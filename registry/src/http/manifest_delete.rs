//! `DELETE /v2/<name>/manifests/<tag-or-digest>`: a tag alone, or a manifest with the tags at it.

use std::sync::Arc;

use http::StatusCode;
use jiff::Timestamp;
use longshore_oci::{Digest, Reference, RepositoryName, Tag};

use super::{Outcome, reply};
use crate::{
    error::Error,
    record,
    registry::Registry,
    state::{DeleteManifest, StateError},
    storage::ObjectKey,
};

/// How often a deletion is begun anew because tags were moved meanwhile.
const ATTEMPTS: u32 = 8;

pub async fn manifest_delete(registry: &Arc<Registry>, name: RepositoryName, reference: Reference) -> Outcome {
    let worker = registry.clone();
    let work = async move {
        let outcome = match &reference {
            Reference::Tag(tag) => delete_tag(&worker, &name, tag).await,
            Reference::Digest(digest) => delete_manifest(&worker, &name, digest).await,
        };
        worker.changed(&name);
        if outcome? { Ok(()) } else { Err(Error::ManifestUnknown(reference.to_string())) }
    };
    registry.tasks.spawn(work).await.map_err(|error| Error::Upload(crate::upload::UploadError::Task(error)))??;
    registry.garbage.notify_one();
    Ok(reply::status(StatusCode::ACCEPTED))
}

async fn delete_tag(registry: &Registry, name: &RepositoryName, tag: &Tag) -> Result<bool, Error> {
    if registry.state.manifest(name, &Reference::Tag(tag.clone())).await?.is_none() {
        return Ok(false);
    }
    let revision = registry.state.begin_change(name).await?;
    let tags = std::slice::from_ref(tag);
    let key = ObjectKey::Record(name.clone(), revision);
    registry.store.put(&key, record::of_deletion(revision, Timestamp::now(), None, tags)).await?;
    let is_deleted = registry.state.delete_tag(name, tag, revision).await?;
    if !is_deleted {
        // It went, or was set anew, meanwhile: this record must not undo that some day.
        record::withdraw(registry, &key, revision).await?;
    }
    Ok(is_deleted)
}

async fn delete_manifest(registry: &Registry, name: &RepositoryName, digest: &Digest) -> Result<bool, Error> {
    for _ in 0..ATTEMPTS {
        let Some(tags) = registry.state.tags_of(name, digest).await? else { return Ok(false) };
        let revision = registry.state.begin_change(name).await?;
        let key = ObjectKey::Record(name.clone(), revision);
        registry.store.put(&key, record::of_deletion(revision, Timestamp::now(), Some(digest), &tags)).await?;
        let deletion = DeleteManifest { repository: name.clone(), digest: digest.clone(), tags, revision };
        match registry.state.delete_manifest(deletion).await {
            Err(StateError::Changed) => record::withdraw(registry, &key, revision).await?,
            outcome => return Ok(outcome.map(|()| true)?),
        }
    }
    Err(StateError::Changed.into())
}
