//! `DELETE /v2/<name>/blobs/uploads/<id>`: ends an upload and gives up its bytes.

use std::sync::Arc;

use http::StatusCode;
use longshore_oci::RepositoryName;

use super::{Outcome, reply, upload_body};
use crate::{error::Error, registry::Registry, state::Cancelled};

pub async fn upload_cancel(registry: &Arc<Registry>, name: RepositoryName, id: String) -> Outcome {
    match registry.state.cancel_upload(&name, upload_body::parse_id(&id)?, None).await? {
        Cancelled::Done => {
            registry.garbage.notify_one();
            Ok(reply::status(StatusCode::NO_CONTENT))
        }
        Cancelled::Busy => Err(Error::UploadBusy(id)),
        Cancelled::Unknown => Err(Error::UploadUnknown(id)),
    }
}
