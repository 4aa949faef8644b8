//! `DELETE /v2/<name>/blobs/<digest>`: takes a blob from this repository; other repositories keep theirs.

use std::sync::Arc;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use longshore_oci::{Digest, RepositoryName};

use super::{Outcome, reply};
use crate::{error::Error, registry::Registry, state::BlobDeletion};

pub async fn blob_delete(registry: &Arc<Registry>, name: RepositoryName, digest: Digest) -> Outcome {
    let grace = SignedDuration::try_from(registry.limits.uploads.garbage_grace).unwrap_or(SignedDuration::MAX);
    let due_at = Timestamp::now().saturating_add(grace).unwrap_or(Timestamp::MAX);
    let outcome = registry.state.delete_blob(&name, &digest, due_at).await;
    registry.changed(&name);
    match outcome? {
        BlobDeletion::Deleted => {
            registry.garbage.notify_one();
            Ok(reply::status(StatusCode::ACCEPTED))
        }
        BlobDeletion::Unknown => Err(Error::BlobUnknown(digest)),
        BlobDeletion::Needed(manifest) => Err(Error::BlobNeeded { digest, manifest }),
    }
}
