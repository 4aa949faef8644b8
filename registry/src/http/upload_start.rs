//! `POST /v2/<name>/blobs/uploads/`: begins an upload, takes a whole blob at once, or mounts another repository's.

use std::sync::Arc;

use http::{HeaderValue, StatusCode, header};
use longshore_oci::{Algorithm, Digest, RepositoryName, Route};
use uuid::Uuid;

use super::{Call, Incoming, Outcome, reply, upload_body, upload_finish, upload_range};
use crate::{
    error::Error,
    registry::Registry,
    state::NewUpload,
    upload::{Begun, UploadError, Writer},
};

pub async fn upload_start<B: Incoming>(registry: &Arc<Registry>, name: RepositoryName, call: Call<B>) -> Outcome {
    let query = call.query();
    if let Some(mounted) = query.get("mount") {
        let digest: Digest = mounted.parse().map_err(|reason| Error::DigestParameter { parameter: "mount", reason })?;
        let from = query.get("from").map(|from| from.parse()).transpose().map_err(longshore_oci::RouteError::from)?;
        if may_mount(&call, from.as_ref()) && mount(registry, &name, from, &digest).await? {
            return Ok(reply::created(registry.location(Route::Blob(name, digest.clone())), &digest));
        }
    } else if let Some(digest) = query.get("digest") {
        let digest = digest.parse().map_err(|reason| Error::DigestParameter { parameter: "digest", reason })?;
        return take_whole(registry, name, digest, call).await;
    }
    let algorithm = match query.get("digest-algorithm") {
        Some(algorithm) => {
            algorithm.parse().map_err(|reason| Error::DigestParameter { parameter: "digest-algorithm", reason })?
        }
        None => Algorithm::Sha256,
    };
    begin(registry, name, algorithm).await
}

/// Whether the caller may see that another repository has a blob: the one that it names, or whichever it is.
fn may_mount<B>(call: &Call<B>, from: Option<&RepositoryName>) -> bool {
    from.map_or_else(|| call.caller.sees_all() && !call.caller.has_token(), |from| call.caller.may_pull(from))
}

/// Makes another repository's blob one of this one's. Once begun it is seen through, with or without the client.
async fn mount(
    registry: &Arc<Registry>,
    name: &RepositoryName,
    from: Option<RepositoryName>,
    digest: &Digest,
) -> Result<bool, Error> {
    let (worker, name, digest) = (registry.clone(), name.clone(), digest.clone());
    let work = async move {
        let outcome = worker.state.mount_blob(&name, from.as_ref(), &digest).await;
        worker.changed(&name);
        worker.links.notify_one();
        outcome
    };
    Ok(registry.spawn(work).await.map_err(UploadError::Task)??)
}

async fn begin(registry: &Registry, name: RepositoryName, algorithm: Algorithm) -> Outcome {
    let id = Uuid::now_v7();
    let part_bytes = registry.store.part_bytes();
    let claim = registry.begun.as_ref().is_some_and(Begun::has_room).then(Uuid::new_v4);
    let held = claim.map(|claim| (claim, upload_body::lease_us(registry)));
    let upload = NewUpload { id, repository: name.clone(), algorithm, part_bytes, claim: held };
    registry.state.create_upload(upload.clone()).await?;
    if let (Some(begun), Some(claim)) = (&registry.begun, claim) {
        begun.keep(upload.claimed(claim));
    }
    let mut response = accepted(registry, name, id, 0);
    if let Some(least) = registry.store.chunk_min_bytes() {
        response.headers_mut().insert("oci-chunk-min-length", least.into());
    }
    Ok(response)
}

/// A whole blob in the request that begins it. It has no upload that a client could go on with, so it is all or nothing.
async fn take_whole<B: Incoming>(registry: &Arc<Registry>, name: RepositoryName, digest: Digest, call: Call<B>) -> Outcome {
    let (id, claim) = (Uuid::now_v7(), Uuid::new_v4());
    let upload = NewUpload {
        id,
        repository: name.clone(),
        algorithm: digest.algorithm(),
        part_bytes: registry.store.part_bytes(),
        claim: Some((claim, upload_body::lease_us(registry))),
    };
    registry.state.create_upload(upload.clone()).await?;
    let writer = upload_body::writer(registry, upload.claimed(claim))?;
    let length = call.content_length();
    let (worker, content_digest, repository) = (registry.clone(), digest.clone(), name.clone());
    let work = async move {
        let mut writer: Writer = writer;
        if let Err(error) = upload_body::take_in(&worker, &mut writer, call.body, length).await {
            writer.abandon().await?;
            worker.garbage.notify_one();
            return Err(error);
        }
        upload_finish::commit(&worker, writer, &repository, (id, claim), &content_digest).await
    };
    registry.spawn(work).await.map_err(UploadError::Task)??;
    Ok(reply::created(registry.location(Route::Blob(name, digest.clone())), &digest))
}

/// 202: the upload stands here.
pub fn accepted(registry: &Registry, name: RepositoryName, id: Uuid, offset_bytes: u64) -> http::Response<axum::body::Body> {
    let mut response = reply::status(StatusCode::ACCEPTED);
    let headers = response.headers_mut();
    let id = id.to_string();
    headers.insert("docker-upload-uuid", HeaderValue::from_str(&id).expect("a UUID is plain ASCII"));
    headers.insert(header::LOCATION, registry.location(Route::Upload(name, id)));
    headers.insert(header::RANGE, HeaderValue::try_from(upload_range(offset_bytes)).expect("numbers are plain ASCII"));
    response
}
