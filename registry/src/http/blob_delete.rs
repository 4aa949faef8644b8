//! `DELETE /v2/<name>/blobs/<digest>`: takes a blob from this repository; other repositories keep theirs.

use std::sync::Arc;

use http::StatusCode;
use jiff::Timestamp;
use longshore_oci::{Digest, RepositoryName};

use super::{Outcome, reply};
use crate::{
    error::Error,
    record,
    registry::Registry,
    state::{DeleteBlob, StateError},
    upload::UploadError,
};

pub async fn blob_delete(registry: &Arc<Registry>, name: RepositoryName, digest: Digest) -> Outcome {
    let worker = registry.clone();
    // Once begun it is seen through, with or without the client: what was remembered must not outlive it.
    let work = async move {
        let outcome = delete(&worker, &name, &digest).await;
        worker.changed(&name);
        worker.garbage.notify_one();
        outcome
    };
    registry.spawn(work).await.map_err(UploadError::Task)??;
    Ok(reply::status(StatusCode::ACCEPTED))
}

async fn delete(registry: &Registry, name: &RepositoryName, digest: &Digest) -> Result<(), Error> {
    let needed = |manifest| Error::BlobNeeded { digest: digest.clone(), manifest };
    for _ in 0..record::ATTEMPTS {
        let objects = match registry.state.blob_objects(name, digest).await {
            Err(StateError::Needed(manifest)) => return Err(needed(manifest)),
            objects => objects?.ok_or_else(|| Error::BlobUnknown(digest.clone()))?,
        };
        let record = |revision| record::of_unlinking(revision, Timestamp::now(), digest, &objects);
        let delete = |revision| {
            registry.state.delete_blob(DeleteBlob {
                repository: name.clone(),
                digest: digest.clone(),
                objects: objects.clone(),
                revision,
                due_at: registry.limits.uploads.garbage_due_at(),
            })
        };
        match record::change(registry, name, record, delete).await? {
            Err(StateError::Changed) => {}
            Err(StateError::Needed(manifest)) => return Err(needed(manifest)),
            deleted => return Ok(deleted?),
        }
    }
    Err(StateError::Changed.into())
}
