//! What every request that brings an upload bytes has in common: the claim, the chunk's place, the body.

use std::sync::Arc;

use http::header;
use longshore_oci::{Algorithm, ContentRange, RepositoryName, Route};
use uuid::Uuid;

use super::{Call, Incoming};
use crate::{
    error::Error,
    registry::Registry,
    state::{Claim, ClaimWish, Claimed},
    storage::StorageError,
    upload::{UploadError, Writer},
};

/// How long a claim lasts, in microseconds.
pub fn lease_us(registry: &Registry) -> i64 {
    i64::try_from(registry.limits.uploads.claim_lease.as_micros()).unwrap_or(i64::MAX)
}

/// A writer on an upload that was claimed.
pub fn writer(registry: &Registry, claimed: Claimed) -> Result<Writer, Error> {
    let (state, store, budget) = (registry.state.clone(), registry.store.clone(), registry.budget.clone());
    Ok(Writer::resume(state, store, budget, registry.limits.uploads.clone(), claimed)?)
}

/// An upload's id as it stands in a path.
pub fn parse_id(id: &str) -> Result<Uuid, Error> {
    Uuid::try_parse(id).map_err(|_| Error::UploadUnknown(id.to_owned()))
}

/// Takes the upload for a request whose body begins at `range`, where that was said. Called from a task of its own: a request that ends
/// while it waits would leave the upload claimed by nobody.
pub async fn open(
    registry: &Registry,
    name: &RepositoryName,
    id: Uuid,
    algorithm: Option<Algorithm>,
    range: Option<ContentRange>,
) -> Result<Writer, Error> {
    let claimed = match held_from_the_start(registry, name, id, algorithm).await? {
        Some(claimed) => claimed,
        None => claim(registry, name, id, algorithm).await?,
    };
    let held = (id, claimed.claim);
    let opened = writer(registry, claimed).and_then(|writer| match range {
        Some(range) if range.first != writer.offset_bytes() => Err(Error::ChunkOutOfOrder {
            first_byte: range.first,
            offset_bytes: writer.offset_bytes(),
            location: format!("{}{}", registry.limits.public_url, Route::Upload(name.clone(), id.to_string())),
        }),
        _ => Ok(writer),
    });
    if opened.is_err() {
        release(registry, held, false).await;
    }
    opened
}

async fn claim(registry: &Registry, name: &RepositoryName, id: Uuid, algorithm: Option<Algorithm>) -> Result<Claimed, Error> {
    let wish = ClaimWish { id, repository: name.clone(), algorithm, claim: Uuid::new_v4(), lease_us: lease_us(registry) };
    match registry.state.claim_upload(wish).await? {
        Claim::Taken(claimed) => Ok(*claimed),
        Claim::Busy => Err(Error::UploadBusy(id.to_string())),
        Claim::Unknown => Err(Error::UploadUnknown(id.to_string())),
    }
}

/// The claim under which the upload was begun here, for whoever asks first. It is given up where the content is to be hashed another
/// way, which takes a claim of its own to say.
async fn held_from_the_start(
    registry: &Registry,
    name: &RepositoryName,
    id: Uuid,
    algorithm: Option<Algorithm>,
) -> Result<Option<Claimed>, Error> {
    let Some((claimed, is_old)) = registry.begun.as_ref().and_then(|begun| begun.take(id, name)) else { return Ok(None) };
    if algorithm.is_some_and(|algorithm| algorithm != claimed.algorithm) {
        release(registry, (id, claimed.claim), false).await;
        return Ok(None);
    }
    let is_held = !is_old || registry.state.renew_claim(id, claimed.claim, lease_us(registry)).await?;
    Ok(is_held.then_some(claimed))
}

/// Gives a claim up, under which something may have been written or not. Where that fails, the lease's end does it.
pub async fn release(registry: &Registry, (id, claim): (Uuid, Uuid), has_written: bool) {
    if let Err(failure) = registry.state.release_claim(id, claim, has_written).await {
        tracing::warn!(upload = %id, error = &failure as &dyn std::error::Error, "a claim could not be given up");
    }
}

/// The chunk's announced place, and how many bytes are to come, where either was said.
pub fn chunk<B>(call: &Call<B>) -> Result<(Option<ContentRange>, Option<u64>), Error> {
    let length = call.content_length();
    let range: Option<ContentRange> = call.header(header::CONTENT_RANGE).map(str::parse).transpose()?;
    match (range, length) {
        (Some(range), Some(length_bytes)) if range.length() != length_bytes => Err(Error::ChunkLength { range, length_bytes }),
        (Some(range), _) => Ok((Some(range), Some(range.length()))),
        (None, length) => Ok((None, length)),
    }
}

/// Takes in the body and counts what came.
pub async fn take_in<B: Incoming>(registry: &Registry, writer: &mut Writer, body: B, length: Option<u64>) -> Result<(), Error> {
    let before = writer.offset_bytes();
    let outcome = writer.take_in(body, length).await;
    registry.traffic.received.inc_by(writer.offset_bytes() - before);
    Ok(outcome?)
}

/// What is left to do when a body could not be taken in: keep what came before it broke off, or end the upload where it lied.
pub async fn settle(registry: &Arc<Registry>, writer: Writer, held: (Uuid, Uuid), error: Error) -> Error {
    let settled = match &error {
        Error::Upload(UploadError::Interrupted { .. } | UploadError::NoBudget(_)) => writer.pause(false).await.map(drop),
        Error::Upload(
            UploadError::TooLarge { .. }
            | UploadError::Damaged { .. }
            | UploadError::HashState(_)
            | UploadError::Storage(StorageError::NotFound { .. } | StorageError::Length { .. }),
        ) => writer.abandon().await,
        // The database and the store go on from the last checkpoint.
        _ => {
            writer.let_go().await;
            release(registry, held, true).await;
            return error;
        }
    };
    registry.garbage.notify_one();
    if let Err(failure) = settled {
        tracing::warn!(upload = %held.0, error = &failure as &dyn std::error::Error, "an upload could not be settled");
        release(registry, held, true).await;
    }
    error
}
