//! `PATCH /v2/<name>/blobs/uploads/<id>`: the upload's next bytes.

use std::sync::Arc;

use longshore_oci::RepositoryName;

use super::{Call, Incoming, Outcome, upload_body, upload_start};
use crate::{error::Error, registry::Registry, upload::UploadError};

pub async fn upload_append<B: Incoming>(registry: &Arc<Registry>, name: RepositoryName, id: String, call: Call<B>) -> Outcome {
    let (range, length) = upload_body::chunk(&call)?;
    let upload = upload_body::parse_id(&id)?;
    let (worker, repository) = (registry.clone(), name.clone());
    // What came is kept even if the client goes away, and what was claimed is given up, so this does not end with its request.
    let work = async move {
        let mut writer = upload_body::open(&worker, &repository, upload, None, range).await?;
        let held = writer.held();
        match upload_body::take_in(&worker, &mut writer, call.body, length).await {
            // A streamed body is usually the whole of the blob; a chunk usually is not.
            Ok(()) => match writer.pause(range.is_none()).await {
                Ok(offset_bytes) => Ok(offset_bytes),
                Err(error) => {
                    upload_body::release(&worker, held, true).await;
                    Err(error.into())
                }
            },
            Err(error) => Err(upload_body::settle(&worker, writer, held, error).await),
        }
    };
    let offset_bytes = registry.spawn(work).await.map_err(UploadError::Task).map_err(Error::from)??;
    Ok(upload_start::accepted(registry, name, upload, offset_bytes))
}
