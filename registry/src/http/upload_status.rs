//! `GET /v2/<name>/blobs/uploads/<id>`: how far an upload has come.

use std::sync::Arc;

use http::StatusCode;
use longshore_oci::RepositoryName;

use super::{Outcome, upload_body, upload_start};
use crate::{error::Error, registry::Registry};

pub async fn upload_status(registry: &Arc<Registry>, name: RepositoryName, id: String) -> Outcome {
    let uuid = upload_body::parse_id(&id)?;
    let status = registry.state.upload_status(&name, uuid).await?.ok_or(Error::UploadUnknown(id))?;
    let mut response = upload_start::accepted(registry, name, uuid, status.offset_bytes);
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
