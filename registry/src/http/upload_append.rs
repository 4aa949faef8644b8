//! `PATCH /v2/<name>/blobs/uploads/<id>`: the upload's next bytes.

use std::sync::Arc;

use longshore_oci::RepositoryName;

use super::{Call, Incoming, Outcome, upload_body, upload_start};
use crate::{error::Error, registry::Registry, upload::UploadError};

pub async fn upload_append<B: Incoming>(registry: &Arc<Registry>, name: RepositoryName, id: String, call: Call<B>) -> Outcome {
    let (range, length) = upload_body::chunk(&call)?;
    let claimed = upload_body::claim(registry, &name, &id, None).await?;
    let held = (claimed.id, claimed.claim);
    let mut writer = upload_body::writer(registry, claimed)?;
    if let Err(error) = upload_body::require_order(registry, range, &writer, &name, held.0) {
        upload_body::release(registry, held).await;
        return Err(error);
    }
    // What came is kept even if the client goes away, so this does not end with its request.
    let worker = registry.clone();
    let work = async move {
        match upload_body::take_in(&worker, &mut writer, call.body, length).await {
            // A streamed body is usually the whole of the blob; a chunk usually is not.
            Ok(()) => Ok(writer.pause(range.is_none()).await?),
            Err(error) => Err(upload_body::settle(&worker, writer, held, error).await),
        }
    };
    let offset_bytes = registry.tasks.spawn(work).await.map_err(UploadError::Task).map_err(Error::from)??;
    Ok(upload_start::accepted(registry, name, held.0, offset_bytes))
}
