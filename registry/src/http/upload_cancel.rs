//! `DELETE /v2/<name>/blobs/uploads/<id>`: ends an upload and gives up its bytes.

use std::sync::Arc;

use http::StatusCode;
use longshore_oci::RepositoryName;

use super::{Outcome, reply, upload_body};
use crate::{error::Error, registry::Registry, state::Cancelled, upload::UploadError};

pub async fn upload_cancel(registry: &Arc<Registry>, name: RepositoryName, id: String) -> Outcome {
    let upload = upload_body::parse_id(&id)?;
    let worker = registry.clone();
    // Once begun it is seen through, so that the upload is not left claimed by nobody.
    let work = async move {
        let held = worker.begun.as_ref().and_then(|begun| begun.take(upload, &name)).map(|(claimed, _)| claimed.claim);
        worker.state.cancel_upload(&name, upload, held).await
    };
    match registry.spawn(work).await.map_err(UploadError::Task)?? {
        Cancelled::Done => {
            registry.garbage.notify_one();
            Ok(reply::status(StatusCode::NO_CONTENT))
        }
        Cancelled::Busy => Err(Error::UploadBusy(id)),
        Cancelled::Unknown => Err(Error::UploadUnknown(id)),
    }
}
