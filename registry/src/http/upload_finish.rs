//! `PUT /v2/<name>/blobs/uploads/<id>?digest=`: the upload's last bytes, if there are more, and its digest.

use std::sync::Arc;

use longshore_oci::{Digest, RepositoryName, Route};
use uuid::Uuid;

use super::{Call, Incoming, Outcome, reply, upload_body};
use crate::{
    error::Error,
    registry::Registry,
    state::{FinishUpload, Finished},
    storage::StorageError,
    upload::{UploadError, Writer},
};

pub async fn upload_finish<B: Incoming>(registry: &Arc<Registry>, name: RepositoryName, id: String, call: Call<B>) -> Outcome {
    let digest = call.query().get("digest").filter(|digest| !digest.is_empty()).ok_or(Error::DigestMissing)?;
    let digest: Digest = digest.parse().map_err(|reason| Error::DigestParameter { parameter: "digest", reason })?;
    let (range, length) = upload_body::chunk(&call)?;
    let upload = upload_body::parse_id(&id)?;
    if range.is_none() && call.body.is_end_stream() && finish_as_it_stands(registry, &name, upload, &digest).await? {
        return Ok(reply::created(registry.location(Route::Blob(name, digest.clone())), &digest));
    }
    let (worker, repository, content_digest) = (registry.clone(), name.clone(), digest.clone());
    let work = async move {
        let mut writer = upload_body::open(&worker, &repository, upload, Some(content_digest.algorithm()), range).await?;
        let held = writer.held();
        if !call.body.is_end_stream()
            && let Err(error) = upload_body::take_in(&worker, &mut writer, call.body, length).await
        {
            return Err(upload_body::settle(&worker, writer, held, error).await);
        }
        commit(&worker, writer, &repository, held, &content_digest).await
    };
    registry.spawn(work).await.map_err(UploadError::Task)??;
    Ok(reply::created(registry.location(Route::Blob(name, digest.clone())), &digest))
}

/// Makes the upload a blob in one step, as it is after a `PATCH` that brought all of it. False where it takes a writer.
async fn finish_as_it_stands(registry: &Arc<Registry>, name: &RepositoryName, id: Uuid, digest: &Digest) -> Result<bool, Error> {
    let damaged = registry.delivery.damaged_object(digest);
    let (repository, digest) = (name.clone(), digest.clone());
    let garbage_due_at = registry.limits.uploads.garbage_due_at();
    let finish = FinishUpload { id, repository, digest, damaged, garbage_due_at };
    let worker = registry.clone();
    let work = async move {
        let outcome = worker.state.finish_upload(finish.clone()).await;
        if !matches!(outcome, Ok(Finished::NotYet)) {
            worker.committed(&finish.repository, finish.damaged.is_some());
        }
        match outcome? {
            Finished::Done => Ok(true),
            Finished::Mismatch(actual) => Err(UploadError::DigestMismatch { expected: finish.digest, actual }.into()),
            Finished::NotYet => Ok(false),
        }
    };
    registry.spawn(work).await.map_err(UploadError::Task)?
}

/// Makes the upload a blob. One whose digest is wrong, or whose stored bytes are, ends here and leaves nothing behind; one that
/// could not be noted can be finished again.
pub async fn commit(
    registry: &Registry,
    writer: Writer,
    name: &RepositoryName,
    held: (Uuid, Uuid),
    digest: &Digest,
) -> Result<(), Error> {
    let damaged = registry.delivery.damaged_object(digest);
    let was_damaged = damaged.is_some();
    let outcome = writer.commit(digest, damaged).await;
    registry.committed(name, was_damaged);
    match outcome {
        Err(
            error @ (UploadError::DigestMismatch { .. }
            | UploadError::Damaged { .. }
            | UploadError::Storage(StorageError::NotFound { .. } | StorageError::Length { .. })),
        ) => {
            registry.state.cancel_upload(name, held.0, Some(held.1)).await?;
            Err(error.into())
        }
        Err(error) => {
            upload_body::release(registry, held, true).await;
            Err(error.into())
        }
        Ok(()) => Ok(()),
    }
}
