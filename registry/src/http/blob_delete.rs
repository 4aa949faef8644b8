//! `DELETE /v2/<name>/blobs/<digest>`: takes a blob from this repository; other repositories keep theirs.

use std::sync::Arc;

use http::StatusCode;
use longshore_oci::{Digest, RepositoryName};

use super::{Outcome, reply};
use crate::{error::Error, registry::Registry, state::BlobDeletion, upload::UploadError};

pub async fn blob_delete(registry: &Arc<Registry>, name: RepositoryName, digest: Digest) -> Outcome {
    let due_at = registry.limits.uploads.garbage_due_at();
    let (worker, gone) = (registry.clone(), digest.clone());
    // Once begun it is seen through, with or without the client: what was remembered must not outlive it.
    let work = async move {
        let outcome = worker.state.delete_blob(&name, &gone, due_at).await;
        worker.changed(&name);
        worker.garbage.notify_one();
        outcome
    };
    match registry.tasks.spawn(work).await.map_err(UploadError::Task)?? {
        BlobDeletion::Deleted => Ok(reply::status(StatusCode::ACCEPTED)),
        BlobDeletion::Unknown => Err(Error::BlobUnknown(digest)),
        BlobDeletion::Needed(manifest) => Err(Error::BlobNeeded { digest, manifest }),
    }
}
